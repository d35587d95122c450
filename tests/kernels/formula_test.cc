// A second implementation of every formula, naive and in double (integers where the operator is exact), written from the
// formula and not from the definition: an error in a definition would be an error of consensus.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>

#include "tests/kernels/cases.h"

namespace cairn::kernels {
namespace {

using Numbers = std::vector<double>;

struct Naive {
  const Trial& run;
  StepContext step;
  std::vector<Numbers> in;

  size_t dim(size_t operand, size_t d) const { return static_cast<size_t>(run.in_types[operand].shape[d]); }
  int64_t attr(size_t k) const { return run.attrs[k]; }
  double real(size_t k) const { return static_cast<double>(attr_f32(run.attrs[k])); }
};

Numbers numbers(const Buffer& buffer, DType dtype, int64_t count) {
  Numbers out;
  for (size_t i = 0; i < static_cast<size_t>(count); i++)
    out.push_back(dtype == DType::f32   ? static_cast<double>(buffer.as<float>()[i])
                  : dtype == DType::i64 ? static_cast<double>(buffer.as<int64_t>()[i])
                  : dtype == DType::i32 ? static_cast<double>(buffer.as<int32_t>()[i])
                                        : static_cast<double>(buffer.as<uint8_t>()[i]));
  return out;
}

Numbers map(const Numbers& x, const std::function<double(double)>& f) {
  Numbers y;
  for (const double v : x) y.push_back(f(v));
  return y;
}
Numbers map(const Numbers& x, const Numbers& z, const std::function<double(double, double)>& f) {
  Numbers y;
  for (size_t i = 0; i < x.size(); i++) y.push_back(f(x[i], z[i]));
  return y;
}

// Index arithmetic by counting, dimension by dimension.
std::vector<std::vector<int64_t>> indices(const std::vector<int64_t>& shape) {
  std::vector<std::vector<int64_t>> all{{}};
  for (const int64_t dim : shape) {
    std::vector<std::vector<int64_t>> longer;
    for (const auto& index : all)
      for (int64_t i = 0; i < dim; i++) {
        longer.push_back(index);
        longer.back().push_back(i);
      }
    all = std::move(longer);
  }
  return all;
}
size_t flat(const std::vector<int64_t>& shape, const std::vector<int64_t>& index) {
  int64_t at = 0;
  for (size_t d = 0; d < shape.size(); d++) at = at * shape[d] + index[d];
  return static_cast<size_t>(at);
}

Numbers product(const Numbers& a, bool ta, const Numbers& b, bool tb, size_t m, size_t n, size_t k) {
  Numbers c(m * n);
  for (size_t i = 0; i < m; i++)
    for (size_t j = 0; j < n; j++)
      for (size_t l = 0; l < k; l++) c[i * n + j] += (ta ? a[l * m + i] : a[i * k + l]) * (tb ? b[j * k + l] : b[l * n + j]);
  return c;
}

struct Formula {
  double tolerance;  // |have - want| <= tolerance * (1 + |want|); 0: equal
  std::function<std::vector<Numbers>(const Naive&)> outputs;
};

std::vector<Numbers> soft(const Naive& n, bool logarithm) {
  const size_t rows = n.dim(0, 0), cols = n.dim(0, 1);
  Numbers maxima, sums, y;
  for (size_t r = 0; r < rows; r++) {
    const auto row = n.in[0].begin() + static_cast<long>(r * cols);
    const double max = *std::max_element(row, row + static_cast<long>(cols));
    double sum = 0;
    for (size_t c = 0; c < cols; c++) sum += std::exp(row[static_cast<long>(c)] - max);
    maxima.push_back(max);
    sums.push_back(logarithm ? std::log(sum) : sum);
    for (size_t c = 0; c < cols; c++) {
      const double x = row[static_cast<long>(c)] - max;
      y.push_back(logarithm ? x - std::log(sum) : std::exp(x) / sum);
    }
  }
  return {maxima, sums, y};
}

const std::map<std::string_view, Formula>& formulas() {
  static const std::map<std::string_view, Formula> all = {
      {"sample_rows.v1", {0, [](const Naive& n) {
        const size_t rows = n.dim(0, 0), width = n.in[0].size() / rows;
        Numbers y;
        for (uint64_t i = 0; i < static_cast<uint64_t>(n.attr(0)); i++) {
          const uint64_t q = n.step.step * static_cast<uint64_t>(n.attr(0)) + i;
          const size_t row = n.attr(1) ? q % rows : static_cast<size_t>(Shuffle(n.step.seed, q / rows, static_cast<int64_t>(rows)).at(static_cast<int64_t>(q % rows)));
          for (size_t c = 0; c < width; c++) y.push_back(n.in[0][row * width + c]);
        }
        return std::vector<Numbers>{y};
      }}},
      {"put_rows.v1", {0, [](const Naive& n) {
        Numbers y = n.in[0];
        const size_t first = n.step.step * n.in[1].size();  // both in elements
        for (size_t i = 0; i < n.in[1].size() && first + i < y.size(); i++) y[first + i] = n.in[1][i];
        return std::vector<Numbers>{y};
      }}},
      {"permute.v1", {0, [](const Naive& n) {
        const auto& from = n.run.in_types[0].shape;
        Numbers y(n.in[0].size());
        for (const auto& index : indices(from)) {
          std::vector<int64_t> to;
          for (const int64_t d : n.run.attrs) to.push_back(index[static_cast<size_t>(d)]);
          y[flat(n.run.out_types[0].shape, to)] = n.in[0][flat(from, index)];
        }
        return std::vector<Numbers>{y};
      }}},
      {"broadcast.v1", {0, [](const Naive& n) {
        const auto& from = n.run.in_types[0].shape;
        Numbers y;
        for (auto index : indices(n.run.attrs)) {
          index.erase(index.begin(), index.end() - static_cast<long>(from.size()));
          for (size_t d = 0; d < from.size(); d++) index[d] = std::min(index[d], from[d] - 1);
          y.push_back(n.in[0][flat(from, index)]);
        }
        return std::vector<Numbers>{y};
      }}},
      {"cast.v1", {0x1p-24, [](const Naive& n) { return std::vector<Numbers>{map(n.in[0], [&](double x) {
        return n.attr(0) == 1 ? x : n.attr(0) == 4 ? std::min(255.0, std::max(0.0, std::trunc(x))) : std::trunc(x); })}; }}},
      {"matmul.f32.v1", {3e-5, [](const Naive& n) {
        const size_t m = static_cast<size_t>(n.run.out_types[0].shape[0]), cols = static_cast<size_t>(n.run.out_types[0].shape[1]);
        return std::vector<Numbers>{product(n.in[0], n.attr(0), n.in[1], n.attr(1), m, cols, n.in[0].size() / m)}; }}},
      {"linear.f32.v1", {3e-5, [](const Naive& n) {
        const size_t m = n.dim(0, 0), cols = n.dim(2, 0);
        Numbers y = product(n.in[0], false, n.in[1], n.attr(0), m, cols, n.dim(0, 1));
        for (size_t i = 0; i < y.size(); i++) y[i] += n.in[2][i % cols];
        return std::vector<Numbers>{y}; }}},
      {"add.v1", {1e-7, [](const Naive& n) { return std::vector<Numbers>{map(n.in[0], n.in[1], [](double a, double b) { return a + b; })}; }}},
      {"sub.v1", {1e-7, [](const Naive& n) { return std::vector<Numbers>{map(n.in[0], n.in[1], [](double a, double b) { return a - b; })}; }}},
      {"mul.v1", {1e-7, [](const Naive& n) { return std::vector<Numbers>{map(n.in[0], n.in[1], [](double a, double b) { return a * b; })}; }}},
      {"div.v1", {1e-7, [](const Naive& n) { return std::vector<Numbers>{map(n.in[0], n.in[1], [](double a, double b) { return a / b; })}; }}},
      {"add_scalar.v1", {1e-7, [](const Naive& n) { return std::vector<Numbers>{map(n.in[0], [&](double x) { return x + n.real(0); })}; }}},
      {"mul_scalar.v1", {1e-7, [](const Naive& n) { return std::vector<Numbers>{map(n.in[0], [&](double x) { return x * n.real(0); })}; }}},
      {"div_scalar.v1", {1e-7, [](const Naive& n) { return std::vector<Numbers>{map(n.in[0], [&](double x) { return x / n.real(0); })}; }}},
      {"neg.v1", {0, [](const Naive& n) { return std::vector<Numbers>{map(n.in[0], [](double x) { return -x; })}; }}},
      {"relu.v1", {0, [](const Naive& n) { return std::vector<Numbers>{map(n.in[0], [](double x) { return std::max(x, 0.0); })}; }}},
      {"relu_backward.v1", {0, [](const Naive& n) { return std::vector<Numbers>{map(n.in[0], n.in[1], [&](double g, double x) { return x > n.real(0) ? g : 0; })}; }}},
      {"exp.v1", {1e-7, [](const Naive& n) { return std::vector<Numbers>{map(n.in[0], [](double x) { return std::exp(x); })}; }}},
      {"log.v1", {1e-7, [](const Naive& n) { return std::vector<Numbers>{map(n.in[0], [](double x) { return std::log(x); })}; }}},
      {"tanh.v1", {1e-7, [](const Naive& n) { return std::vector<Numbers>{map(n.in[0], [](double x) { return std::tanh(x); })}; }}},
      {"sigmoid.v1", {1e-7, [](const Naive& n) { return std::vector<Numbers>{map(n.in[0], [](double x) { return 1 / (1 + std::exp(-x)); })}; }}},
      {"sum_rows.v1", {1e-4, [](const Naive& n) {
        Numbers y(n.dim(0, 1));
        for (size_t i = 0; i < n.in[0].size(); i++) y[i % y.size()] += n.in[0][i];
        return std::vector<Numbers>{y}; }}},
      {"sum_last.v1", {1e-4, [](const Naive& n) {
        std::vector<Numbers> levels;
        Numbers x = n.in[0];
        for (const TensorType& type : n.run.out_types) {
          const size_t rows = n.dim(0, 0), cols = x.size() / rows;
          Numbers y(static_cast<size_t>(elements(type)));
          for (size_t r = 0; r < rows; r++)
            for (size_t c = 0; c < cols; c++) y[r * (y.size() / rows) + c / 4096] += x[r * cols + c];
          levels.push_back(y);
          x = y;
        }
        return levels; }}},
      {"layer_norm.v1", {1e-5, [](const Naive& n) {
        const size_t rows = n.dim(0, 0), cols = n.dim(0, 1);
        Numbers mean(rows), rstd(rows), y(rows * cols);
        for (size_t r = 0; r < rows; r++) {
          double variance = 0;
          for (size_t c = 0; c < cols; c++) mean[r] += n.in[0][r * cols + c] / static_cast<double>(cols);
          for (size_t c = 0; c < cols; c++) variance += std::pow(n.in[0][r * cols + c] - mean[r], 2) / static_cast<double>(cols);
          rstd[r] = 1 / std::sqrt(variance + n.real(0));
          for (size_t c = 0; c < cols; c++) y[r * cols + c] = (n.in[0][r * cols + c] - mean[r]) * rstd[r] * n.in[1][c] + n.in[2][c];
        }
        return std::vector<Numbers>{mean, rstd, y}; }}},
      {"layer_norm_backward_input.v1", {1e-4, [](const Naive& n) {
        const size_t rows = n.dim(0, 0), cols = n.dim(0, 1);
        const auto &dy = n.in[0], &x = n.in[1], &mean = n.in[2], &rstd = n.in[3], &w = n.in[4];
        Numbers s1(rows), s2(rows), dx(rows * cols);
        for (size_t r = 0; r < rows; r++) {
          for (size_t c = 0; c < cols; c++) {
            s1[r] += dy[r * cols + c] * w[c];
            s2[r] += dy[r * cols + c] * w[c] * (x[r * cols + c] - mean[r]) * rstd[r];
          }
          for (size_t c = 0; c < cols; c++) {
            const double hat = (x[r * cols + c] - mean[r]) * rstd[r], count = static_cast<double>(cols);
            dx[r * cols + c] = rstd[r] * (dy[r * cols + c] * w[c] - s1[r] / count - hat * s2[r] / count);
          }
        }
        return std::vector<Numbers>{s1, s2, dx}; }}},
      {"layer_norm_backward_affine.v1", {1e-4, [](const Naive& n) {
        const size_t rows = n.dim(0, 0), cols = n.dim(0, 1);
        Numbers dw(cols), db(cols);
        for (size_t r = 0; r < rows; r++)
          for (size_t c = 0; c < cols; c++) {
            dw[c] += n.in[0][r * cols + c] * (n.in[1][r * cols + c] - n.in[2][r]) * n.in[3][r];
            db[c] += n.in[0][r * cols + c];
          }
        return std::vector<Numbers>{dw, db}; }}},
      {"log_softmax.v1", {1e-6, [](const Naive& n) { return soft(n, true); }}},
      {"softmax.v1", {1e-6, [](const Naive& n) { return soft(n, false); }}},
      {"log_softmax_backward.v1", {1e-4, [](const Naive& n) {
        const size_t rows = n.dim(0, 0), cols = n.dim(0, 1);
        Numbers s(rows), dx(rows * cols);
        for (size_t i = 0; i < dx.size(); i++) s[i / cols] += n.in[0][i];
        for (size_t i = 0; i < dx.size(); i++) dx[i] = n.in[0][i] - std::exp(n.in[1][i]) * s[i / cols];
        return std::vector<Numbers>{s, dx}; }}},
      {"nll_loss.v1", {1e-4, [](const Naive& n) {
        const size_t cols = n.dim(0, 1);
        double count = 0, loss = 0;
        for (size_t r = 0; r < n.in[1].size(); r++) {
          if (n.in[1][r] == static_cast<double>(n.attr(1))) continue;
          count++;
          loss -= n.in[0][r * cols + static_cast<size_t>(n.in[1][r])];
        }
        return std::vector<Numbers>{{count}, {n.attr(0) == 1 ? loss / count : loss}}; }}},
      {"nll_loss_backward.v1", {1e-6, [](const Naive& n) {
        const size_t cols = static_cast<size_t>(n.attr(0));
        Numbers dx(n.in[1].size() * cols);
        for (size_t r = 0; r < n.in[1].size(); r++)
          if (n.in[1][r] != static_cast<double>(n.attr(2)))
            dx[r * cols + static_cast<size_t>(n.in[1][r])] = -n.in[0][0] / (n.attr(1) == 1 ? n.in[2][0] : 1);
        return std::vector<Numbers>{dx}; }}},
      {"philox_mask.v1", {1e-7, [](const Naive& n) {
        Numbers y;
        for (int64_t i = 0; i < elements(n.run.out_types[0]); i++) {
          const auto words = philox(n.step.seed, {{static_cast<uint32_t>(n.step.step), static_cast<uint32_t>(n.attr(0)), static_cast<uint32_t>(i / 4), 0}});
          y.push_back(words.word[i % 4] >> 8 >= n.real(1) * 16777216.0 ? 1 / (1 - n.real(1)) : 0);
        }
        return std::vector<Numbers>{y}; }}},
      {"sgd.v1", {1e-6, [](const Naive& n) {
        Numbers buf, next;
        const double lr = n.in[3][std::min<size_t>(n.step.step, n.dim(3, 0) - 1)];
        for (size_t i = 0; i < n.in[0].size(); i++) {
          const double g = n.in[1][i] + n.real(1) * n.in[0][i];
          buf.push_back(n.real(0) * n.in[2][i] + g);
          next.push_back(n.in[0][i] - lr * (n.attr(2) ? g + n.real(0) * buf[i] : buf[i]));
        }
        return std::vector<Numbers>{buf, next}; }}},
      {"adam.v1", {2e-6, [](const Naive& n) {
        Numbers m, v, next;
        const size_t row = 3 * std::min<size_t>(n.step.step, n.dim(4, 0) - 1);
        const double lr = n.in[4][row], c1 = n.in[4][row + 1], c2 = n.in[4][row + 2];
        for (size_t i = 0; i < n.in[0].size(); i++) {
          const bool decoupled = n.attr(4);
          const double p = n.in[0][i] * (decoupled ? 1 - lr * n.real(3) : 1), g = n.in[1][i] + (decoupled ? 0 : n.real(3) * n.in[0][i]);
          m.push_back(n.real(0) * n.in[2][i] + (1 - n.real(0)) * g);
          v.push_back(n.real(1) * n.in[3][i] + (1 - n.real(1)) * g * g);
          next.push_back(p - lr / c1 * m[i] / (std::sqrt(v[i]) / c2 + n.real(2)));
        }
        return std::vector<Numbers>{m, v, next}; }}},
      {"argmax_last.v1", {0, [](const Naive& n) {
        const size_t cols = n.dim(0, 1);
        Numbers y;
        for (size_t r = 0; r < n.dim(0, 0); r++) {
          const auto row = n.in[0].begin() + static_cast<long>(r * cols);
          y.push_back(static_cast<double>(std::max_element(row, row + static_cast<long>(cols)) - row));
        }
        return std::vector<Numbers>{y}; }}},
  };
  return all;
}

TEST(Formulas, definitions_follow_a_naive_implementation) {
  for (const Operator* op : operators()) EXPECT_TRUE(formulas().contains(op->name)) << op->name << " has no second implementation";
  for (const Case& c : cases()) {
    Trial run(c, Values::tame);
    if (run.op.name == "log.v1")
      for (int64_t i = 0; i < elements(c.in[0]); i++) run.in[0].as<float>()[i] += 2.5f;
    if (run.op.name == "adam.v1")  // corrections near 1, as they are in life; near 0 the error of a division dominates
      for (int64_t i = 0; i < elements(c.in[4]); i++) run.in[4].as<float>()[i] += 0.5f;
    const StepContext step{0x1234567890ABCDEF, 3};
    Naive naive{run, step, {}};
    for (size_t k = 0; k < run.in.size(); k++) naive.in.push_back(numbers(run.in[k], c.in[k].dtype, elements(c.in[k])));
    const Formula& formula = formulas().at(c.op);
    const std::vector<Numbers> want = formula.outputs(naive);
    const std::vector<Buffer> have = run.reference(step);
    ASSERT_EQ(want.size(), have.size()) << describe(c);
    for (size_t o = 0; o < want.size(); o++) {
      const Numbers got = numbers(have[o], run.out_types[o].dtype, elements(run.out_types[o]));
      ASSERT_EQ(got.size(), want[o].size()) << describe(c);
      for (size_t i = 0; i < got.size(); i++) {
        if (std::isinf(want[o][i]) && got[i] == want[o][i]) continue;
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

}  // namespace
}  // namespace cairn::kernels
