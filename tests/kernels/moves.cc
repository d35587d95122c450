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
  const auto bf16 = [](std::vector<int64_t> shape) { return TensorType{DType::bf16, std::move(shape)}; };
  const auto bits_of = [](DType type) { return static_cast<int64_t>(type); };
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
          {"cast.v1", {f32({70001})}, {5}},
          {"cast.v1", {bf16({70001})}, {1}},
          {"cast.v1", {i64({7, 11})}, {3}},
          {"cast.v1", {i64({7, 11})}, {4}},
          {"cast.v1", {i32({7, 11})}, {2}},
          {"cast.v1", {i32({7, 11})}, {4}},
          {"cast.v1", {u8({7, 11})}, {2}},
          {"cast.v1", {u8({7, 11})}, {3}},
          {"permute.v1", {bf16({30, 70})}, {1, 0}},
          {"as_strided.v1", {f32({300, 70})}, {71, 298, 68, 70, 1}},                        // the inner of a matrix
          {"as_strided.v1", {f32({300, 70})}, {3, 67, 299, 1, 70}},                         // transposed
          {"as_strided.v1", {f32({300, 70})}, {0, 70, 71}},                                 // a diagonal
          {"as_strided.v1", {f32({1000})}, {5, 245, 8, 4, 1}},                              // windows that overlap
          {"as_strided.v1", {i64({3, 4, 5})}, {7, 2, 3, 2, 0, 0, 20}},                      // a repeated dimension
          {"as_strided.v1", {u8({2, 3, 2, 3, 2, 3})}, {1, 2, 2, 1, 3, 2, 1, 108, 36, 18, 6, 3, 2}},
          {"as_strided.v1", {bf16({9, 8})}, {2, 9, 2, 8, 3}},
          {"as_strided.v1", {f32({7})}, {6}},
          {"triangle.v1", {f32({2, 30, 70})}, {0, 0}},
          {"triangle.v1", {f32({2, 70, 30})}, {-2, 1}},
          {"triangle.v1", {i64({1, 7, 7})}, {-9, 0}},
          {"triangle.v1", {u8({1, 7, 7})}, {9, 1}},
          {"triangle.v1", {bf16({3, 5, 1})}, {2, 0}},
          {"as_strided_scatter.v1", {f32({300, 70}), f32({298, 68})}, {71, 70, 1}},
          {"as_strided_scatter.v1", {f32({300, 70}), f32({67, 299})}, {3, 1, 70}},
          {"as_strided_scatter.v1", {f32({300, 70}), f32({70})}, {0, 71}},
          {"as_strided_scatter.v1", {i64({3, 4, 5}), i64({2, 1, 3})}, {1, 20, 0, 1}},
          {"as_strided_scatter.v1", {u8({2, 3, 2, 3, 2, 3}), u8({3, 2, 2, 2})}, {2, 36, 108, 3, 9}},
          {"as_strided_scatter.v1", {bf16({9, 8}), bf16({9, 2})}, {2, 8, 3}},
          {"as_strided_scatter.v1", {f32({7}), f32({})}, {6}},
          {"as_strided_scatter.v1", {f32({7}), f32({7})}, {0, 1}},
          {"fill.v1", {}, {bits_of(DType::f32), attr_of(-0.75f), 300, 70}},
          {"fill.v1", {}, {bits_of(DType::i64), -3, 7}},
          {"fill.v1", {}, {bits_of(DType::i32), 0xFFFFFFFF, 7}},
          {"fill.v1", {}, {bits_of(DType::u8), 1, 70001}},
          {"fill.v1", {}, {bits_of(DType::bf16), 0x3F80}},
          {"cat.v1", {f32({300, 70}), f32({300, 1}), f32({300, 33})}, {1}},
          {"cat.v1", {f32({3, 700}), f32({41, 700})}, {0}},
          {"cat.v1", {i64({2, 3, 4}), i64({2, 1, 4})}, {1}},
          {"cat.v1", {u8({5})}, {0}},
          {"cat.v1", Types(64, bf16({2, 3})), {1}},
      },
      .largest = {
          {"sample_rows.v1", {f32({t, f})}, {t, 0}},
          {"put_rows.v1", {f32({t, f}), f32({t, f})}, {}},
          {"permute.v1", {f32({t, f})}, {1, 0}},
          {"broadcast.v1", {f32({f})}, {t, f}},
          {"cast.v1", {i64({t, f})}, {1}},
          {"as_strided.v1", {f32({t, f})}, {1, f - 1, t, 1, f}},
          {"as_strided_scatter.v1", {f32({t, f}), f32({f - 1, t})}, {1, 1, f}},
          {"fill.v1", {}, {bits_of(DType::f32), 0, t, f}},
          {"triangle.v1", {f32({1, t, f})}, {0, 0}},
          {"cat.v1", Types(64, f32({t, f / 64})), {1}},
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
            if (n.attr(0) != 5) return n.attr(0) == 1 ? x : n.attr(0) == 4 ? std::min(255.0, std::max(0.0, std::trunc(x))) : std::trunc(x);
            int exponent = 0;  // 8 bits of precision, ties to even
            const double mantissa = std::frexp(x, &exponent);
            return std::ldexp(std::nearbyint(std::ldexp(mantissa, 8)), exponent - 8); })}; }}},
          {"as_strided.v1", {0, [](const Naive& n) {
            const size_t rank = n.run.attrs.size() / 2;
            Numbers y;
            for (const auto& index : indices(n.run.out_types[0].shape)) {
              int64_t at = n.attr(0);
              for (size_t d = 0; d < rank; d++) at += index[d] * n.attr(1 + rank + d);
              y.push_back(n.in[0][static_cast<size_t>(at)]);
            }
            return std::vector<Numbers>{y};
          }}},
          {"as_strided_scatter.v1", {0, [](const Naive& n) {
            Numbers y = n.in[0];
            const auto& shape = n.run.in_types[1].shape;
            for (const auto& index : indices(shape)) {
              int64_t at = n.attr(0);
              for (size_t d = 0; d < shape.size(); d++) at += index[d] * n.attr(1 + d);
              y[static_cast<size_t>(at)] = n.in[1][flat(shape, index)];
            }
            return std::vector<Numbers>{y};
          }}},
          {"triangle.v1", {0, [](const Naive& n) {
            Numbers y = n.in[0];
            const auto& shape = n.run.in_types[0].shape;
            for (const auto& at : indices(shape))
              if (n.attr(1) ? at[2] < at[1] + n.attr(0) : at[2] > at[1] + n.attr(0)) y[flat(shape, at)] = 0;
            return std::vector<Numbers>{y};
          }}},
          {"fill.v1", {0, [](const Naive& n) {
            Buffer one(8);
            std::memcpy(one.data.get(), &n.run.attrs[1], 8);
            return std::vector<Numbers>{Numbers(static_cast<size_t>(elements(n.run.out_types[0])), numbers(one, static_cast<DType>(n.attr(0)), 1)[0])};
          }}},
          {"cat.v1", {0, [](const Naive& n) {
            const auto axis = static_cast<size_t>(n.attr(0));
            const auto& whole = n.run.out_types[0].shape;
            Numbers y(static_cast<size_t>(elements(n.run.out_types[0])));
            int64_t begin = 0;
            for (size_t k = 0; k < n.in.size(); k++) {
              const auto& shape = n.run.in_types[k].shape;
              for (auto index : indices(shape)) {
                const double x = n.in[k][flat(shape, index)];
                index[axis] += begin;
                y[flat(whole, index)] = x;
              }
              begin += shape[axis];
            }
            return std::vector<Numbers>{y};
          }}},
      },
      .refused = {
          {{"permute.v1", {f32({2, 3})}, {0, 0}}, "permutation"},
          {{"permute.v1", {f32({2, 3})}, {0}}, "attribute a dimension"},
          {{"broadcast.v1", {f32({2, 3})}, {2, 4}}, "neither 1"},
          {{"broadcast.v1", {f32({1})}, {1 << 20, 1 << 20, 1 << 20}}, "larger than 2^46"},
          {{"cast.v1", {f32({2})}, {1}}, "between f32"},
          {{"cast.v1", {f32({2})}, {9}}, "no dtype"},
          {{"cast.v1", {bf16({2})}, {2}}, "between f32"},
          {{"as_strided.v1", {f32({2, 3})}, {1, 2}}, "a stride each"},
          {{"as_strided.v1", {f32({2, 3})}, {0, 0, 1}}, "1 or more"},
          {{"as_strided.v1", {f32({2, 3})}, {-1, 2, 1}}, "inside"},
          {{"as_strided.v1", {f32({2, 3})}, {5, 2, -1}}, "inside"},
          {{"triangle.v1", {f32({2, 3})}, {0, 0}}, "3 dimensions"},
          {{"triangle.v1", {f32({1, 2, 3})}, {0, 2}}, "0 or 1"},
          {{"as_strided.v1", {f32({2, 3})}, {1, 2, 3, 3, 2}}, "inside"},
          {{"as_strided.v1", {f32({2, 3})}, {0, int64_t{1} << 40, int64_t{1} << 40}}, "inside"},
          {{"as_strided_scatter.v1", {f32({2, 3}), i64({2})}, {0, 1}}, "one dtype"},
          {{"as_strided_scatter.v1", {f32({2, 3}), f32({2})}, {0}}, "a stride for each"},
          {{"as_strided_scatter.v1", {f32({2, 3}), f32({2})}, {5, 1}}, "inside"},
          {{"as_strided_scatter.v1", {f32({2, 3}), f32({2})}, {0, 0}}, "overlaps"},
          {{"as_strided_scatter.v1", {f32({2, 3}), f32({2, 3})}, {0, 1, 1}}, "overlaps"},
          {{"fill.v1", {}, {1}}, "takes dtype"},
          {{"fill.v1", {}, {9, 0}}, "no dtype"},
          {{"fill.v1", {}, {4, 256}}, "wider"},
          {{"fill.v1", {}, {1, 0, 0}}, "1 or more"},
          {{"cat.v1", {}, {0}}, "1 to 64"},
          {{"cat.v1", {f32({2})}, {1}}, "axis"},
          {{"cat.v1", {f32({2, 3}), f32({3, 3})}, {1}}, "all but the axis"},
          {{"cat.v1", {f32({2}), i64({2})}, {0}}, "all but the axis"},
          {{"sample_rows.v1", {f32({})}, {1, 0}}, "first dimension"},
          {{"sample_rows.v1", {f32({2})}, {0, 0}}, "batch"},
          {{"sample_rows.v1", {f32({2})}, {1, 2}}, "mode"},
          {{"put_rows.v1", {f32({4, 2}), f32({3})}, {}}, "shape of rows"},
      },
  };
}

}  // namespace cairn::kernels
