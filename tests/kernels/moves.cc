// Bytes that change place or type.
#include <algorithm>
#include <cmath>

#include "tests/kernels/family.h"

namespace cairn::kernels {
namespace {

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

}  // namespace

Family moves_family() {
  const auto u8 = [](std::vector<int64_t> shape) { return TensorType{DType::u8, std::move(shape)}; };
  const auto i32 = [](std::vector<int64_t> shape) { return TensorType{DType::i32, std::move(shape)}; };
  constexpr int64_t t = kMostTokens, f = kMostFeatures;
  return {
      .title = "Bytes that change place or type",
      .cases = {
          {"sample_rows.v1", {f32({13, 3})}, {8, 0}},
          {"sample_rows.v1", {i64({1})}, {5, 0}},
          {"sample_rows.v1", {u8({130, 3, 5})}, {64, 0}},
          {"sample_rows.v1", {f32({1000, 80})}, {999, 0}},
          {"sample_rows.v1", {f32({1000, 80})}, {999, 1}},
          {"put_rows.v1", {f32({13, 3}), f32({4, 3})}, {}},
          {"put_rows.v1", {f32({13}), f32({})}, {}},
          {"put_rows.v1", {i64({3, 2}), i64({7, 2})}, {}},
          {"permute.v1", {f32({300, 70})}, {1, 0}},
          {"permute.v1", {i64({3, 4, 5})}, {2, 0, 1}},
          {"permute.v1", {u8({2, 3, 2, 3, 2, 3})}, {5, 1, 3, 0, 2, 4}},
          {"permute.v1", {f32({8, 17, 9, 33})}, {0, 2, 1, 3}},
          {"permute.v1", {f32({8, 17, 33})}, {0, 2, 1}},
          {"permute.v1", {f32({7})}, {0}},
          {"broadcast.v1", {f32({})}, {3, 70}},
          {"broadcast.v1", {f32({70})}, {300, 70}},
          {"broadcast.v1", {i64({3, 1, 2})}, {2, 3, 4, 2}},
          {"broadcast.v1", {u8({1})}, {1, 1}},
          {"cast.v1", {f32({7, 11})}, {2}},
          {"cast.v1", {f32({7, 11})}, {3}},
          {"cast.v1", {f32({7, 11})}, {4}},
          {"cast.v1", {i64({70001})}, {1}},
          {"cast.v1", {i32({77})}, {1}},
          {"cast.v1", {u8({77})}, {1}},
      },
      .largest = {
          {"sample_rows.v1", {f32({t, f})}, {t, 0}},
          {"put_rows.v1", {f32({t, f}), f32({t, f})}, {}},
          {"permute.v1", {f32({t, f})}, {1, 0}},
          {"broadcast.v1", {f32({f})}, {t, f}},
          {"cast.v1", {i64({t, f})}, {1}},
      },
      .formulas = {
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
      },
      .refused = {
          {{"permute.v1", {f32({2, 3})}, {0, 0}}, "permutation"},
          {{"permute.v1", {f32({2, 3})}, {0}}, "attribute a dimension"},
          {{"broadcast.v1", {f32({2, 3})}, {2, 4}}, "neither 1"},
          {{"broadcast.v1", {f32({1})}, {1 << 20, 1 << 20, 1 << 20}}, "larger than 2^46"},
          {{"cast.v1", {f32({2})}, {1}}, "between f32"},
          {{"cast.v1", {f32({2})}, {9}}, "no dtype"},
          {{"sample_rows.v1", {f32({})}, {1, 0}}, "first dimension"},
          {{"sample_rows.v1", {f32({2})}, {0, 0}}, "batch"},
          {{"sample_rows.v1", {f32({2})}, {1, 2}}, "mode"},
          {{"put_rows.v1", {f32({4, 2}), f32({3})}, {}}, "shape of rows"},
      },
  };
}

}  // namespace cairn::kernels
