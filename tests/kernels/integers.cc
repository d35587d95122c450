// Integers and truth values: arithmetic, comparison, choice.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/kernels/family.h"

namespace cairn::kernels {
namespace {

// Exact in double: the operands of the cases are small, and only u8 wraps.
Formula pairwise(double (*f)(double, double)) {
  return {0, [f](const Naive& n) {
    Numbers y;
    for (size_t i = 0; i < n.in[0].size(); i++) {
      double other = 0;
      if (n.in.size() == 2) other = n.in[1][i];
      else other = n.run.in_types[0].dtype == DType::f32 ? n.real(0) : static_cast<double>(n.attr(0));
      const double exact = f(n.in[0][i], other);
      y.push_back(n.run.out_types[0].dtype == DType::u8 ? exact - 256 * std::floor(exact / 256) : exact);
    }
    return std::vector<Numbers>{y};
  }};
}
double floored(double a, double b) { return b == 0 ? 0 : std::floor(a / b); }
double truncated(double a, double b) { return b == 0 ? 0 : std::trunc(a / b); }

// Over the middle dimension.
Formula reduction(std::function<double(const Numbers&)> f) {
  return {0, [f](const Naive& n) {
    const size_t outer = n.dim(0, 0), count = n.dim(0, 1), inner = n.dim(0, 2);
    Numbers y;
    for (size_t o = 0; o < outer; o++)
      for (size_t i = 0; i < inner; i++) {
        Numbers line;
        for (size_t k = 0; k < count; k++) line.push_back(n.in[0][(o * count + k) * inner + i]);
        y.push_back(f(line));
      }
    return std::vector<Numbers>{y};
  }};
}

}  // namespace

Family integers_family() {
  const auto u8 = [](std::vector<int64_t> shape) { return TensorType{DType::u8, std::move(shape)}; };
  const auto i32 = [](std::vector<int64_t> shape) { return TensorType{DType::i32, std::move(shape)}; };
  const auto bf16 = [](std::vector<int64_t> shape) { return TensorType{DType::bf16, std::move(shape)}; };
  constexpr int64_t t = kMostTokens, f = kMostFeatures;
  Family family{
      .title = "Integers and truth values",
      .cases = {
          {"where.v1", {u8({5, 67}), f32({5, 67}), f32({5, 67})}, {}},
          {"where.v1", {u8({70001}), i64({70001}), i64({70001})}, {}},
          {"where.v1", {u8({77}), u8({77}), u8({77})}, {}},
          {"where.v1", {u8({77}), bf16({77}), bf16({77})}, {}},
          {"masked_fill.v1", {f32({5, 67}), u8({5, 67})}, {attr_of(-INFINITY)}},
          {"masked_fill.v1", {i64({70001}), u8({70001})}, {-1}},
          {"masked_fill.v1", {u8({3}), u8({3})}, {1}},
          {"matmul.i64.v1", {i64({2, 7, 300}), i64({2, 300, 9})}, {}},
          {"matmul.i64.v1", {i64({1, 33, 5}), i64({1, 5, 130})}, {}},
          {"matmul.i64.v1", {i64({3, 1, 1}), i64({3, 1, 1})}, {}},
      },
      .largest = {
          {"where.v1", {u8({t, f}), f32({t, f}), f32({t, f})}, {}},
          {"masked_fill.v1", {f32({t, f}), u8({t, f})}, {0}},
          {"matmul.i64.v1", {i64({1, t, f}), i64({1, f, t})}, {}},
      },
      .formulas = {
          {"integer_add.v1", pairwise([](double a, double b) { return a + b; })},
          {"integer_sub.v1", pairwise([](double a, double b) { return a - b; })},
          {"integer_mul.v1", pairwise([](double a, double b) { return a * b; })},
          {"trunc_div.v1", pairwise(truncated)},
          {"floor_div.v1", pairwise(floored)},
          {"trunc_remainder.v1", pairwise([](double a, double b) { return a - b * truncated(a, b); })},
          {"floor_remainder.v1", pairwise([](double a, double b) { return a - b * floored(a, b); })},
          {"integer_min.v1", pairwise([](double a, double b) { return std::min(a, b); })},
          {"integer_max.v1", pairwise([](double a, double b) { return std::max(a, b); })},
          {"bit_and.v1", pairwise([](double a, double b) { return static_cast<double>(static_cast<int64_t>(a) & static_cast<int64_t>(b)); })},
          {"bit_or.v1", pairwise([](double a, double b) { return static_cast<double>(static_cast<int64_t>(a) | static_cast<int64_t>(b)); })},
          {"bit_xor.v1", pairwise([](double a, double b) { return static_cast<double>(static_cast<int64_t>(a) ^ static_cast<int64_t>(b)); })},
          {"shift_left.v1", pairwise([](double a, double b) { return std::ldexp(a, static_cast<int>(b)); })},
          {"shift_right.v1", pairwise([](double a, double b) { return std::floor(std::ldexp(a, -static_cast<int>(b))); })},
          {"eq.v1", pairwise([](double a, double b) { return a == b ? 1.0 : 0.0; })},
          {"ne.v1", pairwise([](double a, double b) { return a != b ? 1.0 : 0.0; })},
          {"lt.v1", pairwise([](double a, double b) { return a < b ? 1.0 : 0.0; })},
          {"le.v1", pairwise([](double a, double b) { return a <= b ? 1.0 : 0.0; })},
          {"gt.v1", pairwise([](double a, double b) { return a > b ? 1.0 : 0.0; })},
          {"ge.v1", pairwise([](double a, double b) { return a >= b ? 1.0 : 0.0; })},
          {"where.v1", {0, [](const Naive& n) {
            Numbers y;
            for (size_t i = 0; i < n.in[0].size(); i++) y.push_back(n.in[n.in[0][i] != 0 ? 1 : 2][i]);
            return std::vector<Numbers>{y}; }}},
          {"masked_fill.v1", {0, [](const Naive& n) {
            const double value = n.run.in_types[0].dtype == DType::f32 ? n.real(0) : static_cast<double>(n.attr(0));
            return std::vector<Numbers>{map(n.in[0], n.in[1], [&](double x, double mask) { return mask != 0 ? value : x; })}; }}},
          {"integer_sum.v1", reduction([](const Numbers& x) { return std::accumulate(x.begin(), x.end(), 0.0); })},
          {"integer_least.v1", reduction([](const Numbers& x) { return *std::min_element(x.begin(), x.end()); })},
          {"integer_greatest.v1", reduction([](const Numbers& x) { return *std::max_element(x.begin(), x.end()); })},
          {"integer_argmin.v1", reduction([](const Numbers& x) { return static_cast<double>(std::min_element(x.begin(), x.end()) - x.begin()); })},
          {"integer_argmax.v1", reduction([](const Numbers& x) { return static_cast<double>(std::max_element(x.begin(), x.end()) - x.begin()); })},
          {"matmul.i64.v1", {0, [](const Naive& n) {
            const size_t batch = n.dim(0, 0), rows = n.dim(0, 1), depth = n.dim(0, 2), columns = n.dim(1, 2);
            Numbers c(batch * rows * columns);
            for (size_t b = 0; b < batch; b++)
              for (size_t i = 0; i < rows; i++)
                for (size_t j = 0; j < columns; j++)
                  for (size_t k = 0; k < depth; k++)
                    c[(b * rows + i) * columns + j] += n.in[0][(b * rows + i) * depth + k] * n.in[1][(b * depth + k) * columns + j];
            return std::vector<Numbers>{c}; }}},
      },
      .refused = {
          {{"integer_add.v1", {f32({2}), f32({2})}, {}}, "i64, i32 or u8"},
          {{"integer_add.v1", {i64({2}), i64({3})}, {}}, "must match"},
          {{"integer_add.v1", {i64({2})}, {}}, "1 attributes"},
          {{"integer_add.v1", {i64({2}), i64({2})}, {1}}, "0 attributes"},
          {{"integer_add.v1", {i32({2})}, {int64_t{1} << 31}}, "does not fit"},
          {{"lt.v1", {u8({2})}, {-1}}, "does not fit"},
          {{"lt.v1", {f32({2})}, {int64_t{1} << 32}}, "does not fit"},
          {{"lt.v1", {bf16({2})}, {0}}, "must be f32"},
          {{"lt.v1", {}, {}}, "2 operands"},
          {{"where.v1", {u8({2}), f32({2}), i64({2})}, {}}, "must match"},
          {{"where.v1", {u8({3}), f32({2}), f32({2})}, {}}, "one shape"},
          {{"where.v1", {f32({2}), f32({2}), f32({2})}, {}}, "must be u8"},
          {{"masked_fill.v1", {f32({2}), u8({3})}, {0}}, "one shape"},
          {{"masked_fill.v1", {u8({2}), u8({2})}, {256}}, "wider"},
          {{"integer_sum.v1", {i64({2, 3})}, {}}, "3 dimensions"},
          {{"integer_least.v1", {f32({2, 3, 4})}, {}}, "i64, i32 or u8"},
          {{"matmul.i64.v1", {i64({2, 3, 4}), i64({1, 4, 5})}, {}}, "batches"},
      },
  };
  for (const char* op : {"integer_add.v1", "integer_sub.v1", "integer_mul.v1", "trunc_div.v1", "floor_div.v1", "trunc_remainder.v1", "floor_remainder.v1",
                         "integer_min.v1", "integer_max.v1", "bit_and.v1", "bit_or.v1", "bit_xor.v1", "shift_left.v1", "shift_right.v1",
                         "eq.v1", "ne.v1", "lt.v1", "le.v1", "gt.v1", "ge.v1"}) {
    const std::string_view name(op);
    const bool compares = name.size() == 5;
    family.cases.push_back({op, {i64({5, 67}), i64({5, 67})}, {}});
    family.cases.push_back({op, {i32({70001}), i32({70001})}, {}});
    family.cases.push_back({op, {i64({77})}, {3}});
    family.cases.push_back({op, {i32({77})}, {name.starts_with("shift") ? 2 : -2}});
    family.cases.push_back({op, {u8({77}), u8({77})}, {}});
    family.cases.push_back({op, {u8({77})}, {3}});
    if (compares) {
      family.cases.push_back({op, {f32({5, 67}), f32({5, 67})}, {}});
      family.cases.push_back({op, {f32({70001})}, {attr_of(0.25f)}});
    }
    family.largest.push_back({op, {i64({t, f}), i64({t, f})}, {}});
  }
  for (const char* op : {"integer_sum.v1", "integer_least.v1", "integer_greatest.v1", "integer_argmin.v1", "integer_argmax.v1"}) {
    family.cases.push_back({op, {i64({3, 300, 5})}, {}});
    family.cases.push_back({op, {i64({4, 1000, 1})}, {}});
    family.cases.push_back({op, {i32({2, 300, 131})}, {}});
    family.cases.push_back({op, {u8({1, 7, 300})}, {}});
    family.cases.push_back({op, {u8({7, 1, 1})}, {}});
    family.largest.push_back({op, {i64({1, t, f})}, {}});
  }
  return family;
}

}  // namespace cairn::kernels
