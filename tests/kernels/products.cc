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

// The integer classes with 64-bit integers, digits by division.
struct IntShape {
  explicit IntShape(const Naive& of)
      : ta(of.attr(0)), tb(of.attr(1)), rank(of.run.in_types[0].shape.size()), batch(rank == 3 ? of.dim(0, 0) : 1),
        m(of.dim(0, rank - (ta ? 1 : 2))), n(of.dim(1, rank - (tb ? 2 : 1))), k(of.dim(0, rank - (ta ? 2 : 1))) {}
  double a(const Naive& in, size_t batch_index, size_t i, size_t l) const { return in.in[0][batch_index * m * k + (ta ? l * m + i : i * k + l)]; }
  double b(const Naive& in, size_t batch_index, size_t j, size_t l) const { return in.in[1][batch_index * n * k + (tb ? j * k + l : l * n + j)]; }
  bool ta, tb;
  size_t rank, batch, m, n, k;
};
double exponent(const std::function<double(size_t)>& x, size_t begin, size_t end, int digits) {
  const double most = digits == 2 ? 32639 : 8355711;
  double greatest = 0;
  for (size_t l = begin; l < end; l++) greatest = std::max(greatest, std::fabs(x(l)));
  int e = -126;
  while (std::nearbyint(std::ldexp(greatest, -e)) > most) e++;
  return e;
}
Numbers integer_product(const Naive& n, int digits, size_t block) {
  const IntShape s(n);
  Numbers c;
  for (size_t b = 0; b < s.batch; b++)
    for (size_t i = 0; i < s.m; i++)
      for (size_t j = 0; j < s.n; j++) {
        float total = 0;
        for (size_t begin = 0; begin < s.k; begin += block) {
          const size_t end = std::min(s.k, begin + block);
          const double ea = exponent([&](size_t l) { return s.a(n, b, i, l); }, begin, end, digits);
          const double eb = exponent([&](size_t l) { return s.b(n, b, j, l); }, begin, end, digits);
          int64_t sum = 0;
          for (size_t l = begin; l < end; l++) {
            int64_t x[3], y[3], qx = std::llrint(std::ldexp(s.a(n, b, i, l), -static_cast<int>(ea))), qy = std::llrint(std::ldexp(s.b(n, b, j, l), -static_cast<int>(eb)));
            for (int d = 0; d < digits; d++) {  // lowest first
              x[d] = d + 1 == digits ? qx : ((qx + 128) % 256 + 256) % 256 - 128;
              y[d] = d + 1 == digits ? qy : ((qy + 128) % 256 + 256) % 256 - 128;
              qx = (qx - x[d]) / 256;
              qy = (qy - y[d]) / 256;
            }
            for (int u = 0; u < digits; u++)
              for (int v = 0; v < digits; v++)
                if (u + v >= digits - 1) sum += x[u] * y[v] * (int64_t{1} << 8 * (u + v - digits + 1));
          }
          total += std::ldexp(static_cast<float>(sum), static_cast<int>(ea + eb) + 8 * (digits - 1));
        }
        c.push_back(static_cast<double>(total));
      }
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
          {"bmm.f32.v1", {f32({1, 1, 1}), f32({1, 1, 1})}, {0, 0}},
          {"bmm.f32.v1", {f32({9, 7, 300}), f32({9, 300, 9})}, {0, 0}},
          {"bmm.f32.v1", {f32({3, 30, 17}), f32({3, 30, 33})}, {1, 0}},
          {"bmm.f32.v1", {f32({30, 15, 17}), f32({30, 20, 17})}, {0, 1}},
          {"bmm.f32.v1", {f32({2, 257, 5}), f32({2, 17, 257})}, {1, 1}},
          {"linear.f32.v1", {f32({65, 30}), f32({30, 40}), f32({40})}, {0}},
          {"linear.f32.v1", {f32({100, 300}), f32({300, 333}), f32({333})}, {0}},
          {"matmul.int2.v1", {f32({1, 1}), f32({1, 1})}, {0, 0}},
          {"matmul.int2.v1", {f32({7, 300}), f32({300, 9})}, {0, 0}},
          {"matmul.int2.v1", {f32({130, 50}), f32({130, 33})}, {1, 0}},
          {"matmul.int2.v1", {f32({53, 257}), f32({70, 257})}, {0, 1}},
          {"matmul.int2.v1", {f32({65, 100}), f32({17, 65})}, {1, 1}},
          {"matmul.int2.v1", {f32({3, 5, 40}), f32({3, 40, 35})}, {0, 0}},
          {"matmul.int2.v1", {f32({2, 9, 1100}), f32({2, 70, 1100})}, {0, 1}},
          {"matmul.int2.row.v1", {f32({1, 1}), f32({1, 1})}, {0, 0}},
          {"matmul.int2.row.v1", {f32({7, 300}), f32({300, 9})}, {0, 0}},
          {"matmul.int2.row.v1", {f32({130, 50}), f32({130, 33})}, {1, 0}},
          {"matmul.int2.row.v1", {f32({53, 257}), f32({70, 257})}, {0, 1}},
          {"matmul.int2.row.v1", {f32({65, 100}), f32({17, 65})}, {1, 1}},
          {"matmul.int2.row.v1", {f32({3, 5, 40}), f32({3, 40, 35})}, {0, 0}},
          {"matmul.int2.row.v1", {f32({2, 9, 1100}), f32({2, 70, 1100})}, {0, 1}},
          {"matmul.int3.v1", {f32({1, 1}), f32({1, 1})}, {0, 0}},
          {"matmul.int3.v1", {f32({7, 300}), f32({300, 9})}, {0, 0}},
          {"matmul.int3.v1", {f32({130, 50}), f32({130, 33})}, {1, 0}},
          {"matmul.int3.v1", {f32({53, 257}), f32({70, 257})}, {0, 1}},
          {"matmul.int3.v1", {f32({65, 100}), f32({17, 65})}, {1, 1}},
          {"matmul.int3.v1", {f32({3, 5, 40}), f32({3, 40, 35})}, {0, 0}},
          {"matmul.int3.v1", {f32({2, 9, 1100}), f32({2, 70, 1100})}, {0, 1}},
      },
      .largest = {
          {"matmul.f32.v1", {f32({t, f}), f32({f, f})}, {0, 0}},
          {"matmul.f32.v1", {f32({t, f}), f32({t, f})}, {1, 0}},
          {"matmul.f32.v1", {f32({f, t}), f32({f, f})}, {1, 1}},
          {"linear.f32.v1", {f32({t, f}), f32({f, f}), f32({f})}, {0}},
          {"matmul.int2.v1", {f32({t, f}), f32({f, f})}, {0, 0}},
          {"matmul.int2.v1", {f32({t, f}), f32({t, f})}, {1, 0}},
          {"matmul.int2.row.v1", {f32({t, isa_scalar::kMaxColumns}), f32({isa_scalar::kMaxColumns, f})}, {0, 0}},
          {"matmul.int2.row.v1", {f32({isa_scalar::kMaxColumns, t}), f32({f, isa_scalar::kMaxColumns})}, {1, 1}},
          {"matmul.int3.v1", {f32({t, f}), f32({f, f})}, {0, 0}},
          {"matmul.int3.v1", {f32({t, f}), f32({t, f})}, {1, 0}},
          {"bmm.f32.v1", {f32({2, f, t}), f32({2, t, f})}, {0, 0}},
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
          {"matmul.int2.v1", {2e-7, [](const Naive& n) { return std::vector<Numbers>{integer_product(n, 2, 128)}; }}},
          {"matmul.int3.v1", {2e-7, [](const Naive& n) { return std::vector<Numbers>{integer_product(n, 3, 128)}; }}},
          {"matmul.int2.row.v1", {2e-7, [](const Naive& n) {
             const IntShape s(n);
             Numbers ea, eb;
             for (size_t b = 0; b < s.batch; b++) {
               for (size_t i = 0; i < s.m; i++) ea.push_back(exponent([&](size_t l) { return s.a(n, b, i, l); }, 0, s.k, 2));
               for (size_t j = 0; j < s.n; j++) eb.push_back(exponent([&](size_t l) { return s.b(n, b, j, l); }, 0, s.k, 2));
             }
             return std::vector<Numbers>{ea, eb, integer_product(n, 2, s.k)};
           }}},
          {"bmm.f32.v1", {3e-5, [](const Naive& n) {
            const size_t batch = n.dim(0, 0), m = static_cast<size_t>(n.run.out_types[0].shape[1]), cols = static_cast<size_t>(n.run.out_types[0].shape[2]);
            const size_t k = n.dim(0, 1) * n.dim(0, 2) / m;
            Numbers y;
            for (size_t b = 0; b < batch; b++) {
              const auto one = [&](size_t operand, size_t size) {
                const auto from = n.in[operand].begin() + static_cast<long>(b * size);
                return Numbers(from, from + static_cast<long>(size));
              };
              const Numbers c = product(one(0, m * k), n.attr(0), one(1, k * cols), n.attr(1), m, cols, k);
              y.insert(y.end(), c.begin(), c.end());
            }
            return std::vector<Numbers>{y}; }}},
      },
      .refused = {
          {{"matmul.f32.v1", {f32({2, 3}), f32({2, 3})}, {0, 0}}, "inner dimensions"},
          {{"matmul.f32.v1", {f32({2, 3}), f32({3, 2})}, {0, 2}}, "0 or 1"},
          {{"matmul.f32.v1", {f32({2, 3, 1}), f32({3, 2})}, {0, 0}}, "2 dimensions"},
          {{"linear.f32.v1", {f32({2, 3}), f32({4, 3}), f32({3})}, {1}}, "bias"},
          {{"matmul.int2.v1", {f32({2, 3}), f32({2, 3})}, {0, 0}}, "inner dimensions"},
          {{"matmul.int3.v1", {f32({2, 2, 3}), f32({3, 3, 2})}, {0, 0}}, "batches differ"},
          {{"matmul.int3.v1", {f32({3}), f32({3})}, {0, 0}}, "2 or 3 dimensions"},
          {{"matmul.int2.row.v1", {f32({2, 65537}), f32({65537, 2})}, {0, 0}}, "65536"},
          {{"bmm.f32.v1", {f32({2, 3, 4}), f32({3, 4, 3})}, {0, 0}}, "batches"},
          {{"bmm.f32.v1", {f32({2, 3, 4}), f32({2, 4, 3})}, {1, 0}}, "inner dimensions"},
      },
  };
}

}  // namespace cairn::kernels
