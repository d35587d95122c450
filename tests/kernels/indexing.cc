// Places by index: gather, scatter, embedding, order.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/kernels/family.h"

namespace cairn::kernels {
namespace {

// Positions of (outer, n, inner), by counting.
struct Lines {
  size_t outer, n, inner;
  size_t at(size_t o, size_t j, size_t i) const { return (o * n + j) * inner + i; }
  static Lines of(const Naive& n, size_t operand = 0) { return {n.dim(operand, 0), n.dim(operand, 1), n.dim(operand, 2)}; }
};
template <class Body>
void each_line(const Lines& lines, Body body) {
  for (size_t o = 0; o < lines.outer; o++)
    for (size_t i = 0; i < lines.inner; i++) body(o, i);
}

std::vector<Numbers> gathered(const Naive& n) {
  const Lines x = Lines::of(n);
  const auto& shape = n.run.out_types[0].shape;
  const bool shared = n.run.in_types[1].shape.size() == 1;
  Numbers y;
  for (size_t o = 0; o < static_cast<size_t>(shape[0]); o++)
    for (size_t j = 0; j < static_cast<size_t>(shape[1]); j++)
      for (size_t i = 0; i < static_cast<size_t>(shape[2]); i++) {
        const double at = n.in[1][shared ? j : y.size()];
        y.push_back(at < 0 || at >= static_cast<double>(x.n) ? -0x1p63 : n.in[0][x.at(o, static_cast<size_t>(at), i)]);
      }
  return {y};
}

std::vector<Numbers> scattered(const Naive& n) {
  const Lines y{static_cast<size_t>(n.attr(0)), static_cast<size_t>(n.attr(1)), static_cast<size_t>(n.attr(2))};
  const bool shared = n.run.in_types[1].shape.size() == 1;
  const Lines index = shared ? Lines{y.outer, n.dim(1, 0), y.inner} : Lines::of(n, 1);
  Numbers out(y.outer * y.n * y.inner);
  for (size_t e = 0; e < out.size(); e++) out[e] = n.in[0][n.in[0].size() == 1 ? 0 : e];
  std::vector<bool> written(out.size(), n.attr(4) != 0), spoilt(out.size());
  for (size_t j = 0; j < index.n; j++)
    each_line(index, [&](size_t o, size_t i) {
      const double place = n.in[1][shared ? j : index.at(o, j, i)];
      if (n.attr(5) >= 0 && place == static_cast<double>(n.attr(5))) return;
      if (place < 0 || place >= static_cast<double>(y.n)) {
        for (size_t t = 0; t < y.n; t++) spoilt[y.at(o, t, i)] = true;
        return;
      }
      const size_t at = y.at(o, static_cast<size_t>(place), i);
      const double v = n.in[2][n.in[2].size() == 1 ? 0 : index.at(o, j, i)], a = out[at];
      const double all[] = {v, a + v, a * v, std::max(a, v), std::min(a, v)};
      out[at] = written[at] ? all[n.attr(3)] : v;
      written[at] = true;
    });
  for (size_t e = 0; e < out.size(); e++)
    if (spoilt[e]) out[e] = -0x1p63;
  return {out};
}

std::vector<Numbers> sorted(const Naive& n) {
  const Lines x = Lines::of(n), y{x.outer, static_cast<size_t>(n.attr(0)), x.inner};
  Numbers place(n.in[0].size()), index(y.outer * y.n * y.inner), value(index.size());
  each_line(x, [&](size_t o, size_t i) {
    std::vector<size_t> order(x.n);
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
      const double left = n.in[0][x.at(o, a, i)], right = n.in[0][x.at(o, b, i)];
      return n.attr(1) ? left > right : left < right;
    });
    for (size_t j = 0; j < x.n; j++) {
      place[x.at(o, order[j], i)] = static_cast<double>(std::min(j, y.n));
      if (j >= y.n) continue;
      index[y.at(o, j, i)] = static_cast<double>(order[j]);
      value[y.at(o, j, i)] = n.in[0][x.at(o, order[j], i)];
    }
  });
  return {place, index, value};
}

std::vector<Numbers> extremes(const Naive& n) {
  const Lines x = Lines::of(n);
  Numbers index, value;
  each_line(x, [&](size_t o, size_t i) {
    size_t best = 0;
    for (size_t j = 1; j < x.n; j++) {
      const double have = n.in[0][x.at(o, best, i)], next = n.in[0][x.at(o, j, i)];
      if (n.attr(0) ? next < have : next > have) best = j;
    }
    index.push_back(static_cast<double>(best));
    value.push_back(n.in[0][x.at(o, best, i)]);
  });
  return {index, value};
}

// y[j] = of(x[0], ..., x[j]) along each line.
Numbers running(const Naive& n, const std::function<double(const Numbers&)>& of) {
  const Lines x = Lines::of(n);
  Numbers y(n.in[0].size());
  each_line(x, [&](size_t o, size_t i) {
    Numbers prefix;
    for (size_t j = 0; j < x.n; j++) {
      prefix.push_back(n.in[0][x.at(o, j, i)]);
      y[x.at(o, j, i)] = of(prefix);
    }
  });
  return y;
}

}  // namespace

Family indexing_family() {
  const auto of = [](DType t, std::vector<int64_t> shape) { return TensorType{t, std::move(shape)}; };
  constexpr int64_t t = kMostTokens, f = kMostFeatures;
  return {
      .title = "Places by index",
      .cases = {
          {"gather.v1", {f32({1, 7, 70}), i64({300})}, {}},
          {"gather.v1", {f32({3, 9, 1}), i64({17})}, {}},
          {"gather.v1", {of(DType::u8, {2, 8, 5}), i64({2, 3, 5})}, {}},
          {"gather.v1", {i64({4, 5, 6}), i64({3, 11, 2})}, {}},
          {"gather.v1", {of(DType::i32, {1, 7, 1}), i64({1, 70001, 1})}, {}},
          {"scatter.v1", {f32({}), i64({600}), f32({1, 600, 70})}, {1, 7, 70, 1, 1, -1}},
          {"scatter.v1", {f32({1, 8, 9}), i64({600}), f32({1, 600, 9})}, {1, 8, 9, 1, 1, 3}},
          {"scatter.v1", {f32({2, 7, 1}), i64({2, 300, 1}), f32({2, 300, 1})}, {2, 7, 1, 1, 1, -1}},
          {"scatter.v1", {f32({3, 7, 300}), i64({2, 20, 290}), f32({2, 20, 290})}, {3, 7, 300, 1, 1, -1}},
          {"scatter.v1", {f32({3, 7, 5}), i64({2, 20, 5}), f32({})}, {3, 7, 5, 0, 1, -1}},
          {"scatter.v1", {of(DType::u8, {3, 9, 5}), i64({4}), of(DType::u8, {3, 4, 5})}, {3, 9, 5, 0, 1, -1}},
          {"scatter.v1", {f32({2, 9, 20}), i64({4}), f32({2, 4, 20})}, {2, 9, 20, 2, 0, -1}},
          {"scatter.v1", {f32({2, 9, 5}), i64({2, 6, 5}), f32({2, 6, 5})}, {2, 9, 5, 3, 0, -1}},
          {"scatter.v1", {f32({2, 9, 20}), i64({12}), f32({})}, {2, 9, 20, 4, 1, -1}},
          {"scatter.v1", {i64({2, 9, 5}), i64({2, 6, 5}), i64({2, 6, 5})}, {2, 9, 5, 4, 1, -1}},
          {"scatter.v1", {i64({2, 5, 3}), i64({2, 6, 3}), i64({2, 6, 3})}, {2, 5, 3, 1, 1, -1}},
          {"scatter.v1", {of(DType::i32, {1, 9, 3}), i64({600}), of(DType::i32, {1, 600, 3})}, {1, 9, 3, 2, 0, 2}},
          {"ravel_index.v1", {i64({70001})}, {7}},
          {"ravel_index.v1", {i64({5, 7}), i64({5, 7}), i64({5, 7})}, {7, 5, 9}},
          {"searchsorted.v1", {f32({1, 70}), f32({3, 80})}, {0}},
          {"searchsorted.v1", {i64({3, 5}), i64({3, 80})}, {1}},
          {"searchsorted.v1", {of(DType::i32, {3, 1}), of(DType::i32, {3, 1})}, {0}},
          {"sort.v1", {f32({3, 70, 1})}, {70, 0}},
          {"sort.v1", {f32({2, 600, 3})}, {600, 1}},
          {"sort.v1", {f32({2, 1500, 1})}, {9, 1}},
          {"sort.v1", {f32({1, 2, 65})}, {1, 0}},
          {"sort.v1", {i64({2, 300, 2})}, {5, 1}},
          {"sort.v1", {of(DType::i32, {1, 2000, 2})}, {300, 0}},
          {"sort.v1", {of(DType::u8, {2, 300, 1})}, {300, 0}},
          {"extremum.v1", {f32({9, 300, 1})}, {0}},
          {"extremum.v1", {f32({9, 70, 1})}, {1}},
          {"extremum.v1", {f32({2, 600, 300})}, {1}},
          {"extremum.v1", {i64({2, 9, 3})}, {0}},
          {"extremum.v1", {of(DType::u8, {2, 300, 3})}, {1}},
          {"cumsum.v1", {f32({3, 600, 1})}, {}},
          {"cumsum.v1", {f32({2, 20, 70})}, {}},
          {"cumsum.v1", {i64({2, 300, 3})}, {}},
          {"cumprod.v1", {f32({3, 70, 3})}, {}},
          {"cumprod.v1", {i64({2, 20, 1})}, {}},
          {"cumulative_extremum.v1", {f32({3, 600, 2})}, {0}},
          {"cumulative_extremum.v1", {i64({3, 20, 2})}, {1}},
          {"logcumsumexp.v1", {f32({3, 300, 1})}, {}},
          {"logcumsumexp.v1", {f32({2, 20, 70})}, {}},
      },
      .largest = {
          {"gather.v1", {f32({1, t, f}), i64({t})}, {}},
          {"scatter.v1", {f32({1, t, f}), i64({1, t, f}), f32({1, t, f})}, {1, t, f, 1, 1, -1}},
          {"ravel_index.v1", {i64({t, f}), i64({t, f})}, {t, f}},
          {"searchsorted.v1", {f32({t, f}), f32({t, f})}, {0}},
          {"sort.v1", {f32({1, t, f})}, {t, 0}},
          {"extremum.v1", {f32({1, t, f})}, {0}},
          {"cumsum.v1", {f32({1, t, f})}, {}},
          {"cumprod.v1", {f32({1, t, f})}, {}},
          {"cumulative_extremum.v1", {f32({1, t, f})}, {0}},
          {"logcumsumexp.v1", {f32({1, t, f})}, {}},
      },
      .formulas = {
          {"gather.v1", {0, gathered}},
          {"scatter.v1", {1e-4, scattered}},
          {"ravel_index.v1", {0, [](const Naive& n) {
            Numbers y;
            for (size_t e = 0; e < n.in[0].size(); e++) {
              double place = 0;
              bool inside = true;
              for (size_t k = 0; k < n.in.size(); k++) {
                inside = inside && n.in[k][e] < static_cast<double>(n.attr(k));
                place = place * static_cast<double>(n.attr(k)) + n.in[k][e];
              }
              y.push_back(inside ? place : -0x1p63);
            }
            return std::vector<Numbers>{y}; }}},
          {"searchsorted.v1", {0, [](const Naive& n) {  // the middle where a comparison of the operands' order has found it
            const size_t length = n.dim(0, 1), m = n.dim(1, 1);
            Numbers y;
            for (size_t e = 0; e < n.in[1].size(); e++) {
              const auto row = n.in[0].begin() + static_cast<long>(n.dim(0, 0) == 1 ? 0 : e / m * length);
              const double v = n.in[1][e];
              const auto found = std::partition_point(row, row + static_cast<long>(length), [&](double x) { return n.attr(0) ? x <= v : x < v; });
              y.push_back(static_cast<double>(found - row));
            }
            return std::vector<Numbers>{y}; }}},
          {"sort.v1", {0, sorted}},
          {"extremum.v1", {0, extremes}},
          {"cumsum.v1", {1e-6, [](const Naive& n) { return std::vector<Numbers>{running(n, [](const Numbers& x) { return std::accumulate(x.begin(), x.end(), 0.0); })}; }}},
          {"cumprod.v1", {1e-6, [](const Naive& n) { return std::vector<Numbers>{running(n, [](const Numbers& x) { return std::accumulate(x.begin(), x.end(), 1.0, std::multiplies<>()); })}; }}},
          {"cumulative_extremum.v1", {0, [](const Naive& n) {
            const auto last = [&](const Numbers& x) {  // from the end, the first that is not beaten
              const auto found = n.attr(0) ? std::min_element(x.rbegin(), x.rend()) : std::max_element(x.rbegin(), x.rend());
              return x.rend() - found - 1;
            };
            return std::vector<Numbers>{running(n, [&](const Numbers& x) { return static_cast<double>(last(x)); }),
                                        running(n, [&](const Numbers& x) { return x[static_cast<size_t>(last(x))]; })}; }}},
          {"logcumsumexp.v1", {1e-5, [](const Naive& n) { return std::vector<Numbers>{running(n, [](const Numbers& x) {
            double sum = 0;
            for (const double v : x) sum += std::exp(v);
            return std::log(sum); })}; }}},
      },
      .refused = {
          {{"gather.v1", {f32({2, 3}), i64({4})}, {}}, "3 dimensions"},
          {{"gather.v1", {f32({2, 3, 4}), f32({4})}, {}}, "must be i64"},
          {{"gather.v1", {f32({2, 3, 4}), i64({3, 3, 4})}, {}}, "more lines"},
          {{"gather.v1", {f32({2, 3, 4}), i64({3, 3})}, {}}, "1 or 3 dimensions"},
          {{"scatter.v1", {f32({2, 3, 4}), i64({3}), f32({2, 2, 4})}, {2, 3, 4, 1, 1, -1}}, "src must have"},
          {{"scatter.v1", {f32({2, 3, 4}), i64({3}), i64({})}, {2, 3, 4, 1, 1, -1}}, "one dtype"},
          {{"scatter.v1", {f32({2, 3}), i64({3}), f32({})}, {2, 3, 4, 1, 1, -1}}, "target must be"},
          {{"scatter.v1", {f32({}), i64({3}), f32({})}, {2, 3, 4, 5, 1, -1}}, "reduce is"},
          {{"scatter.v1", {of(DType::u8, {}), i64({3}), of(DType::u8, {})}, {2, 3, 4, 1, 1, -1}}, "computes in"},
          {{"scatter.v1", {f32({2, 3, 4}), i64({2, 3, 4}), f32({})}, {2, 3, 4, 1, 1, 2}}, "passed over"},
          {{"ravel_index.v1", {i64({3}), i64({4})}, {2, 2}}, "must match"},
          {{"ravel_index.v1", {i64({3})}, {0}}, "at least 1"},
          {{"searchsorted.v1", {f32({2, 3}), f32({3, 3})}, {0}}, "one sorted row"},
          {{"searchsorted.v1", {f32({1, 3}), i64({3, 3})}, {0}}, "one dtype"},
          {{"sort.v1", {f32({1, 3, 1})}, {4, 0}}, "length of a line"},
          {{"sort.v1", {f32({1, int64_t{1} << 31, 1})}, {4, 0}}, "2^31"},
          {{"extremum.v1", {f32({1, 3})}, {0}}, "3 dimensions"},
          {{"cumsum.v1", {of(DType::u8, {1, 3, 1})}, {}}, "takes f32 and i64"},
          {{"cumulative_extremum.v1", {f32({1, 3, 1})}, {2}}, "0 or 1"},
          {{"logcumsumexp.v1", {i64({1, 3, 1})}, {}}, "must be f32"},
      },
  };
}

}  // namespace cairn::kernels
