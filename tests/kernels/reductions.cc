// Sums, norms and softmax.
#include <algorithm>
#include <cmath>

#include "tests/kernels/family.h"

namespace cairn::kernels {
namespace {

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

// Of a reduction of the last axis: the results of each 4096, and of those in turn.
std::vector<Numbers> levels(const Naive& n, double start, double (*first)(double), const std::function<double(double, double)>& op) {
  std::vector<Numbers> all;
  Numbers x = map(n.in[0], first);
  for (const TensorType& type : n.run.out_types) {
    const size_t rows = n.dim(0, 0), cols = x.size() / rows;
    Numbers y(static_cast<size_t>(elements(type)), start);
    for (size_t r = 0; r < rows; r++)
      for (size_t c = 0; c < cols; c++) {
        double& to = y[r * (y.size() / rows) + c / 4096];
        to = op(to, x[r * cols + c]);
      }
    all.push_back(y);
    x = y;
  }
  return all;
}

}  // namespace

Family reductions_family() {
  const auto bits = [](float x) { return attr_of(x); };
  constexpr int64_t t = kMostTokens, f = kMostFeatures, classes = isa_scalar::kMaxColumns;
  return {
      .title = "Sums, norms and softmax",
      .cases = {
          {"sum_rows.v1", {f32({1, 1})}, {}},
          {"sum_rows.v1", {f32({300, 70})}, {}},
          {"sum_rows.v1", {f32({600, 133})}, {}},
          {"sum_last.v1", {f32({70, 1})}, {}},
          {"sum_last.v1", {f32({70, 33})}, {}},
          {"sum_last.v1", {f32({9, 4096})}, {}},
          {"sum_last.v1", {f32({2, 70001})}, {}},
          {"sum_squares_last.v1", {f32({2, 70001})}, {}},
          {"max_last.v1", {f32({70, 33})}, {}},
          {"max_last.v1", {f32({2, 70001})}, {}},
          {"min_last.v1", {f32({70, 33})}, {}},
          {"min_last.v1", {f32({2, 70001})}, {}},
          {"prod_last.v1", {f32({70, 33})}, {}},
          {"prod_last.v1", {f32({3, 5001})}, {}},
          {"softmax_backward.v1", {f32({300, 70}), f32({300, 70})}, {}},
          {"softmax_backward.v1", {f32({3, 5001}), f32({3, 5001})}, {}},
          {"layer_norm.v1", {f32({5, 1}), f32({1}), f32({1})}, {bits(1e-5f)}},
          {"layer_norm.v1", {f32({300, 70}), f32({70}), f32({70})}, {bits(1e-5f)}},
          {"layer_norm.v1", {f32({2, 5001}), f32({5001}), f32({5001})}, {bits(1e-5f)}},
          {"layer_norm_backward_input.v1", {f32({300, 70}), f32({300, 70}), f32({300}), f32({300}), f32({70})}, {}},
          {"layer_norm_backward_input.v1", {f32({2, 5001}), f32({2, 5001}), f32({2}), f32({2}), f32({5001})}, {}},
          {"layer_norm_backward_affine.v1", {f32({300, 9}), f32({300, 9}), f32({300}), f32({300})}, {}},
          {"layer_norm_backward_affine.v1", {f32({300, 133}), f32({300, 133}), f32({300}), f32({300})}, {}},
          {"log_softmax.v1", {f32({64, 10})}, {}},
          {"log_softmax.v1", {f32({300, 70})}, {}},
          {"log_softmax.v1", {f32({3, 5001})}, {}},
          {"log_softmax.v1", {f32({3, 1})}, {}},
          {"log_softmax_backward.v1", {f32({300, 70}), f32({300, 70})}, {}},
          {"log_softmax_backward.v1", {f32({3, 5001}), f32({3, 5001})}, {}},
          {"softmax.v1", {f32({300, 70})}, {}},
          {"softmax.v1", {f32({3, 5001})}, {}},
          {"argmax_last.v1", {f32({300, 70})}, {}},
          {"argmax_last.v1", {f32({3, 5001})}, {}},
          {"argmax_last.v1", {f32({3, 1})}, {}},
      },
      .largest = {
          {"sum_rows.v1", {f32({t, f})}, {}},
          {"sum_last.v1", {f32({f, t})}, {}},
          {"sum_squares_last.v1", {f32({f, t})}, {}},
          {"max_last.v1", {f32({f, t})}, {}},
          {"min_last.v1", {f32({f, t})}, {}},
          {"prod_last.v1", {f32({f, t})}, {}},
          {"softmax_backward.v1", {f32({t, classes}), f32({t, classes})}, {}},
          {"layer_norm.v1", {f32({t, classes}), f32({classes}), f32({classes})}, {attr_of(1e-5f)}},
          {"layer_norm_backward_input.v1", {f32({t, classes}), f32({t, classes}), f32({t}), f32({t}), f32({classes})}, {}},
          {"layer_norm_backward_affine.v1", {f32({t, classes}), f32({t, classes}), f32({t}), f32({t})}, {}},
          {"log_softmax.v1", {f32({t, classes})}, {}},
          {"log_softmax_backward.v1", {f32({t, classes}), f32({t, classes})}, {}},
          {"softmax.v1", {f32({t, classes})}, {}},
          {"argmax_last.v1", {f32({t, classes})}, {}},
      },
      .formulas = {
          {"sum_rows.v1", {1e-4, [](const Naive& n) {
            Numbers y(n.dim(0, 1));
            for (size_t i = 0; i < n.in[0].size(); i++) y[i % y.size()] += n.in[0][i];
            return std::vector<Numbers>{y}; }}},
          {"sum_last.v1", {1e-4, [](const Naive& n) { return levels(n, 0, [](double x) { return x; }, std::plus<>()); }}},
          {"sum_squares_last.v1", {1e-4, [](const Naive& n) { return levels(n, 0, [](double x) { return x * x; }, std::plus<>()); }}},
          {"prod_last.v1", {1e-4, [](const Naive& n) { return levels(n, 1, [](double x) { return x; }, std::multiplies<>()); }}},
          {"max_last.v1", {0, [](const Naive& n) { return levels(n, -INFINITY, [](double x) { return x; }, [](double a, double b) { return std::max(a, b); }); }}},
          {"min_last.v1", {0, [](const Naive& n) { return levels(n, INFINITY, [](double x) { return x; }, [](double a, double b) { return std::min(a, b); }); }}},
          {"softmax_backward.v1", {1e-4, [](const Naive& n) {
            const size_t rows = n.dim(0, 0), cols = n.dim(0, 1);
            Numbers s(rows), dx(rows * cols);
            for (size_t i = 0; i < dx.size(); i++) s[i / cols] += n.in[0][i] * n.in[1][i];
            for (size_t i = 0; i < dx.size(); i++) dx[i] = n.in[1][i] * (n.in[0][i] - s[i / cols]);
            return std::vector<Numbers>{s, dx}; }}},
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
          {"argmax_last.v1", {0, [](const Naive& n) {
            const size_t cols = n.dim(0, 1);
            Numbers y;
            for (size_t r = 0; r < n.dim(0, 0); r++) {
              const auto row = n.in[0].begin() + static_cast<long>(r * cols);
              y.push_back(static_cast<double>(std::max_element(row, row + static_cast<long>(cols)) - row));
            }
            return std::vector<Numbers>{y}; }}},
      },
      .refused = {
          {{"sum_rows.v1", {f32({4})}, {}}, "2 dimensions"},
          {{"layer_norm.v1", {f32({4, 2}), f32({3}), f32({3})}, {0}}, "weight"},
          {{"log_softmax.v1", {f32({4, 65537})}, {}}, "65536"},
      },
  };
}

}  // namespace cairn::kernels
