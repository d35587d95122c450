// Products of matrices.
#include <algorithm>
#include <cmath>

#include "tests/kernels/family.h"

namespace cairn::kernels {
namespace {

Numbers product(const Numbers& a, bool ta, const Numbers& b, bool tb, size_t m, size_t n, size_t k) {
  Numbers c(m * n);
  for (size_t i = 0; i < m; i++)
    for (size_t j = 0; j < n; j++)
      for (size_t l = 0; l < k; l++) c[i * n + j] += (ta ? a[l * m + i] : a[i * k + l]) * (tb ? b[j * k + l] : b[l * n + j]);
  return c;
}

}  // namespace

Family products_family() {
  constexpr int64_t t = kMostTokens, f = kMostFeatures;
  return {
      .title = "Products",
      .cases = {
          {"matmul.f32.v1", {f32({1, 1}), f32({1, 1})}, {0, 0}},
          {"matmul.f32.v1", {f32({7, 300}), f32({300, 9})}, {0, 0}},
          {"matmul.f32.v1", {f32({300, 29}), f32({300, 33})}, {1, 0}},
          {"matmul.f32.v1", {f32({15, 257}), f32({70, 257})}, {0, 1}},
          {"matmul.f32.v1", {f32({65, 100}), f32({17, 65})}, {1, 1}},
          {"matmul.f32.v1", {f32({100, 5}), f32({5, 300})}, {0, 0}},
          {"matmul.f32.v1", {f32({5, 100}), f32({5, 300})}, {1, 0}},
          {"matmul.f32.v1", {f32({1, 520}), f32({520, 70})}, {0, 0}},
          {"matmul.f32.v1", {f32({3, 520}), f32({70, 520})}, {0, 1}},
          {"matmul.f32.v1", {f32({200, 300}), f32({300, 1})}, {0, 0}},
          {"matmul.f32.v1", {f32({300, 130}), f32({130, 70})}, {0, 0}},
          {"matmul.f32.v1", {f32({9, 130}), f32({130, 1100})}, {0, 0}},
          {"matmul.f32.v1", {f32({260, 70}), f32({290, 70})}, {0, 1}},
          {"matmul.f32.v1", {f32({120, 600}), f32({600, 290})}, {0, 0}},
          {"matmul.f32.v1", {f32({300, 600}), f32({60, 600})}, {0, 1}},
          {"linear.f32.v1", {f32({7, 300}), f32({9, 300}), f32({9})}, {1}},
          {"linear.f32.v1", {f32({65, 30}), f32({30, 40}), f32({40})}, {0}},
          {"linear.f32.v1", {f32({100, 300}), f32({300, 333}), f32({333})}, {0}},
      },
      .largest = {
          {"matmul.f32.v1", {f32({t, f}), f32({f, f})}, {0, 0}},
          {"matmul.f32.v1", {f32({t, f}), f32({t, f})}, {1, 0}},
          {"matmul.f32.v1", {f32({f, t}), f32({f, f})}, {1, 1}},
          {"linear.f32.v1", {f32({t, f}), f32({f, f}), f32({f})}, {0}},
      },
      .formulas = {
          {"matmul.f32.v1", {3e-5, [](const Naive& n) {
            const size_t m = static_cast<size_t>(n.run.out_types[0].shape[0]), cols = static_cast<size_t>(n.run.out_types[0].shape[1]);
            return std::vector<Numbers>{product(n.in[0], n.attr(0), n.in[1], n.attr(1), m, cols, n.in[0].size() / m)}; }}},
          {"linear.f32.v1", {3e-5, [](const Naive& n) {
            const size_t m = n.dim(0, 0), cols = n.dim(2, 0);
            Numbers y = product(n.in[0], false, n.in[1], n.attr(0), m, cols, n.dim(0, 1));
            for (size_t i = 0; i < y.size(); i++) y[i] += n.in[2][i % cols];
            return std::vector<Numbers>{y}; }}},
      },
      .refused = {
          {{"matmul.f32.v1", {f32({2, 3}), f32({2, 3})}, {0, 0}}, "inner dimensions"},
          {{"matmul.f32.v1", {f32({2, 3}), f32({3, 2})}, {0, 2}}, "0 or 1"},
          {{"matmul.f32.v1", {f32({2, 3, 1}), f32({3, 2})}, {0, 0}}, "2 dimensions"},
          {{"linear.f32.v1", {f32({2, 3}), f32({4, 3}), f32({3})}, {1}}, "bias"},
      },
  };
}

}  // namespace cairn::kernels
