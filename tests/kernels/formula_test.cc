// Every definition beside its second implementation, and values that a tolerance does not show.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/kernels/family.h"

namespace cairn::kernels {
namespace {

TEST(Formulas, definitions_follow_a_naive_implementation) {
  std::map<std::string_view, Formula> formulas;
  for (const Family& family : families()) formulas.insert(family.formulas.begin(), family.formulas.end());
  for (const Operator* op : operators()) EXPECT_TRUE(formulas.contains(op->name)) << op->name << " has no second implementation";
  for (const Case& c : cases()) {
    Trial run(c, Values::tame);
    if (run.op.name == "log.v1")
      for (int64_t i = 0; i < elements(c.in[0]); i++) run.in[0].as<float>()[i] += 2.5f;
    if (run.op.name == "adam.v1")  // corrections near 1, as they are in life; near 0 the error of a division dominates
      for (int64_t i = 0; i < elements(c.in[4]); i++) run.in[4].as<float>()[i] += 0.5f;
    if (run.op.name == "attention_backward.f32.v1")  // so for sums of weights
      for (int64_t i = 0; i < elements(c.in[6]); i++) run.in[6].as<float>()[i] += 2.5f;
    const StepContext step{0x1234567890ABCDEF, 3};
    Naive naive{run, step, {}};
    for (size_t k = 0; k < run.in.size(); k++) naive.in.push_back(numbers(run.in[k], c.in[k].dtype, elements(c.in[k])));
    const Formula& formula = formulas.at(c.op);
    const std::vector<Numbers> want = formula.outputs(naive);
    const std::vector<Buffer> have = run.reference(step);
    ASSERT_EQ(want.size(), have.size()) << describe(c);
    for (size_t o = 0; o < want.size(); o++) {
      const Numbers got = numbers(have[o], run.out_types[o].dtype, elements(run.out_types[o]));
      ASSERT_EQ(got.size(), want[o].size()) << describe(c);
      for (size_t i = 0; i < got.size(); i++) {
        if (std::isinf(want[o][i]) && got[i] == want[o][i]) continue;
        if (std::isnan(want[o][i]) && std::isnan(got[i])) continue;
        ASSERT_LE(std::fabs(got[i] - want[o][i]), formula.tolerance * (1 + std::fabs(want[o][i])))
            << describe(c) << ": output " << o << " element " << i << ": " << got[i] << ", not " << want[o][i];
      }
    }
  }
}

// Values that a tolerance does not show.
TEST(Formulas, corners) {
  const float inf = INFINITY, nan = NAN;
  const struct {
    const char* op;
    float x, want;
  } rows[] = {
      {"relu.v1", -0.0f, 0.0f},     {"relu.v1", nan, nan},         {"neg.v1", 0.0f, -0.0f},       {"neg.v1", nan, nan},
      {"exp.v1", inf, inf},         {"exp.v1", -inf, 0.0f},        {"exp.v1", 0.0f, 1.0f},        {"exp.v1", -0.0f, 1.0f},
      {"exp.v1", 88.72284f, inf},   {"exp.v1", -103.98f, 0.0f},    {"exp.v1", -103.9f, 0x1p-149f}, {"exp.v1", nan, nan},
      {"log.v1", 0.0f, -inf},       {"log.v1", -0.0f, -inf},       {"log.v1", -1.0f, nan},        {"log.v1", inf, inf},
      {"log.v1", 1.0f, 0.0f},       {"log.v1", -inf, nan},         {"log.v1", nan, nan},          {"log.v1", 0x1p-149f, -103.278929f},
      {"tanh.v1", -0.0f, -0.0f},    {"tanh.v1", inf, 1.0f},        {"tanh.v1", -inf, -1.0f},      {"tanh.v1", 0x1p-149f, 0x1p-149f},
      {"sigmoid.v1", inf, 1.0f},    {"sigmoid.v1", -inf, 0.0f},    {"sigmoid.v1", 0.0f, 0.5f},    {"sigmoid.v1", nan, nan},
  };
  for (const auto& row : rows) {
    const Trial run({row.op, {f32({1})}, {}}, Values::tame);
    *run.in[0].as<float>() = row.x;
    const auto out = run.reference({});
    const uint32_t want = std::isnan(row.want) ? 0x7FC00000 : std::bit_cast<uint32_t>(row.want);
    EXPECT_EQ(*out[0].as<uint32_t>(), want) << row.op << "(" << row.x << ") = " << *out[0].as<float>();
  }
}

TEST(Formulas, corners_of_casts) {
  const struct {
    float x;
    int64_t as_i64;
    int32_t as_i32;
    uint8_t as_u8;
  } rows[] = {
      {-1.9f, -1, -1, 0},
      {255.9f, 255, 255, 255},
      {NAN, 0, 0, 0},
      {INFINITY, INT64_MAX, INT32_MAX, 255},
      {-INFINITY, INT64_MIN, INT32_MIN, 0},
      {0x1p31f, int64_t{1} << 31, INT32_MAX, 255},
      {-0x1p63f, INT64_MIN, INT32_MIN, 0},
  };
  for (const auto& row : rows)
    for (const DType to : {DType::i64, DType::i32, DType::u8}) {
      const Trial run({"cast.v1", {f32({1})}, {static_cast<int64_t>(to)}}, Values::tame);
      *run.in[0].as<float>() = row.x;
      const auto out = run.reference({});
      const int64_t have = to == DType::i64 ? *out[0].as<int64_t>() : to == DType::i32 ? *out[0].as<int32_t>() : *out[0].as<uint8_t>();
      EXPECT_EQ(have, to == DType::i64 ? row.as_i64 : to == DType::i32 ? row.as_i32 : row.as_u8) << row.x;
    }
}

TEST(Formulas, corners_of_integers) {
  constexpr int64_t kLeast = INT64_MIN, kGreatest = INT64_MAX;
  const struct {
    const char* op;
    int64_t a, b, want;
  } rows[] = {
      {"integer_add.v1", kGreatest, 1, kLeast},  {"integer_sub.v1", kLeast, 1, kGreatest},  {"integer_mul.v1", kLeast, -1, kLeast},
      {"trunc_div.v1", -7, 2, -3},               {"trunc_div.v1", 7, 0, 0},                 {"trunc_div.v1", kLeast, -1, kLeast},
      {"floor_div.v1", -7, 2, -4},               {"floor_div.v1", 7, -2, -4},               {"floor_div.v1", -7, 0, 0},
      {"trunc_remainder.v1", -7, 2, -1},         {"trunc_remainder.v1", -7, 0, -7},         {"trunc_remainder.v1", kLeast, -1, 0},
      {"floor_remainder.v1", -7, 2, 1},          {"floor_remainder.v1", 7, -2, -1},         {"floor_remainder.v1", 7, 0, 7},
      {"shift_left.v1", 1, 63, kLeast},          {"shift_left.v1", 1, 64, 0},               {"shift_left.v1", 1, -1, 0},
      {"shift_right.v1", -5, 1, -3},             {"shift_right.v1", -5, 64, -1},            {"shift_right.v1", 5, -1, 0},
  };
  for (const auto& row : rows) {
    const Trial run({row.op, {i64({1}), i64({1})}, {}}, Values::tame);
    *run.in[0].as<int64_t>() = row.a;
    *run.in[1].as<int64_t>() = row.b;
    EXPECT_EQ(*run.reference({})[0].as<int64_t>(), row.want) << row.op << "(" << row.a << ", " << row.b << ")";
  }
}

TEST(Formulas, corners_of_comparisons) {
  const struct {
    const char* op;
    float a, b;
    uint8_t want;
  } rows[] = {{"eq.v1", NAN, NAN, 0}, {"ne.v1", NAN, NAN, 1}, {"lt.v1", NAN, 1, 0}, {"ge.v1", NAN, 1, 0}, {"eq.v1", -0.0f, 0.0f, 1}, {"gt.v1", INFINITY, 1, 1}};
  for (const auto& row : rows) {
    const Trial run({row.op, {f32({1}), f32({1})}, {}}, Values::tame);
    *run.in[0].as<float>() = row.a;
    *run.in[1].as<float>() = row.b;
    EXPECT_EQ(*run.reference({})[0].as<uint8_t>(), row.want) << row.op << "(" << row.a << ", " << row.b << ")";
  }
}

TEST(Formulas, ties_and_nans_of_argmax) {
  const struct {
    std::vector<float> x;
    int64_t want;
  } rows[] = {{{1, 3, 3, 2}, 1}, {{-INFINITY, -INFINITY}, 0}, {{-0.0f, 0.0f}, 0}, {{1, NAN, INFINITY, NAN}, 1}, {{NAN, 1}, 0}};
  for (const auto& row : rows) {
    const Trial run({"argmax_last.v1", {f32({1, static_cast<int64_t>(row.x.size())})}, {}}, Values::tame);
    std::copy(row.x.begin(), row.x.end(), run.in[0].as<float>());
    EXPECT_EQ(*run.reference({})[0].as<int64_t>(), row.want);
  }
}

TEST(Formulas, a_label_out_of_range_makes_the_loss_nan) {
  const Trial run({"nll_loss.v1", {f32({4, 3}), i64({4})}, {1, -100}}, Values::tame);
  const int64_t labels[] = {0, -100, 2, 1};
  std::copy(labels, labels + 4, run.in[1].as<int64_t>());
  EXPECT_TRUE(std::isfinite(*run.reference({})[1].as<float>()));
  EXPECT_EQ(*run.reference({})[0].as<float>(), 3.0f);
  run.in[1].as<int64_t>()[3] = 3;
  EXPECT_EQ(*run.reference({})[1].as<uint32_t>(), 0x7FC00000u);
}

TEST(Formulas, zeros_ties_and_nans_in_order) {
  const std::vector<float> x{0.0f, NAN, -0.0f, -INFINITY, NAN, 1.0f};
  const struct {
    const char* op;
    std::vector<int64_t> attrs;
    size_t output;
    std::vector<int64_t> want;
  } rows[] = {
      {"sort.v1", {6, 0}, 1, {3, 0, 2, 5, 1, 4}},
      {"sort.v1", {6, 1}, 1, {1, 4, 5, 0, 2, 3}},
      {"sort.v1", {2, 1}, 1, {1, 4}},
      {"extremum.v1", {0}, 0, {1}},
      {"extremum.v1", {1}, 0, {1}},
      {"cumulative_extremum.v1", {0}, 0, {0, 1, 1, 1, 4, 4}},
      {"cumulative_extremum.v1", {1}, 0, {0, 1, 1, 1, 4, 4}},
  };
  for (const auto& row : rows) {
    const Trial run({row.op, {f32({1, 6, 1})}, row.attrs}, Values::tame);
    std::copy(x.begin(), x.end(), run.in[0].as<float>());
    const auto out = run.reference({});
    for (size_t i = 0; i < row.want.size(); i++) EXPECT_EQ(out[row.output].as<int64_t>()[i], row.want[i]) << row.op << " " << i;
  }
}

TEST(Formulas, an_index_out_of_range_is_a_nan) {
  for (const int64_t wrong : {int64_t{-1}, int64_t{3}, INT64_MIN, INT64_MAX}) {
    const Trial rows({"gather.v1", {f32({1, 3, 2}), i64({2})}, {}}, Values::tame);
    rows.in[1].as<int64_t>()[0] = 2;
    rows.in[1].as<int64_t>()[1] = wrong;
    const auto have = rows.reference({});
    EXPECT_EQ(have[0].as<float>()[1], rows.in[0].as<float>()[5]);
    EXPECT_EQ(have[0].as<uint32_t>()[2], 0x7FC00000u);
    EXPECT_EQ(have[0].as<uint32_t>()[3], 0x7FC00000u);

    const Trial integers({"gather.v1", {i64({1, 3, 1}), i64({1})}, {}}, Values::tame);
    integers.in[1].as<int64_t>()[0] = wrong;
    EXPECT_EQ(*integers.reference({})[0].as<int64_t>(), INT64_MIN);

    // Of two lines only the one with the wrong index is lost.
    const Trial lines({"scatter.v1", {f32({1, 3, 2}), i64({1, 2, 2}), f32({})}, {1, 3, 2, 0, 1, -1}}, Values::tame);
    const int64_t index[] = {0, 0, wrong, 1};
    std::copy(index, index + 4, lines.in[1].as<int64_t>());
    const auto spoilt = lines.reference({});
    for (size_t j = 0; j < 3; j++) {
      EXPECT_EQ(spoilt[0].as<uint32_t>()[2 * j], 0x7FC00000u);
      EXPECT_FALSE(std::isnan(spoilt[0].as<float>()[2 * j + 1]));
    }
    const Trial padded({"scatter.v1", {f32({}), i64({2}), f32({})}, {1, 3, 1, 1, 1, 2}}, Values::tame);
    padded.in[1].as<int64_t>()[0] = 2;
    padded.in[1].as<int64_t>()[1] = wrong;
    EXPECT_EQ(*padded.reference({})[0].as<uint32_t>(), 0x7FC00000u);
    padded.in[1].as<int64_t>()[1] = 2;
    EXPECT_EQ(*padded.reference({})[0].as<float>(), *padded.in[0].as<float>());
  }
}

}  // namespace
}  // namespace cairn::kernels
