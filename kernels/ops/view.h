// Views: a strided part of a buffer read and written, buffers joined, a triangle, a buffer of one value. All copy bits, any dtype.
#pragma once

#include <algorithm>
#include <optional>

#include "kernels/ops/move.h"

namespace cairn::kernels::CAIRN_ISA {

// The last element of a view, or nothing when it passes 2^62.
inline std::optional<int64_t> last_element(int64_t offset, std::span<const int64_t> dim, std::span<const int64_t> stride) {
  int64_t last = offset;
  for (size_t d = 0; d < dim.size(); d++) {
    int64_t span = 0;
    if (__builtin_mul_overflow(dim[d] - 1, stride[d], &span) || __builtin_add_overflow(last, span, &last) || last >> 62 != 0) return std::nullopt;
  }
  return last;
}

// y[i_0, i_1, ...] = x[offset + i_0 * stride_0 + i_1 * stride_1 + ...], x as one row of elements
//   x any shape and dtype, y of rank 0 .. 6; strides >= 0, and all of the view lies in x
struct AsStrided : Strided {
  static constexpr OperatorText kText{6, "as_strided.v1", "y[i, j, ...] = x[offset + i * stride_0 + j * stride_1 + ...], x as one row of elements",
                                      "moves bits", "numpy's strided views"};
  static std::vector<AttrSpec> attrs() { return {{"offset"}, {"dims and strides..."}}; }
  static KnownCall known() { return {{f32({5, 7})}, {3, 2, 3, 4, 7, 2, 1}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    const size_t rank = attrs.size() / 2;
    Expect expect(in, attrs);
    expect.operands(1).that([&] { return attrs.size() % 2 == 1 && rank <= kRank; }, "takes an offset, and up to 6 dimensions with a stride each");
    expect.that([&] { return std::all_of(attrs.begin() + 1, attrs.begin() + 1 + static_cast<int64_t>(rank), [](int64_t d) { return d >= 1; }); },
                "a dimension must be 1 or more");
    expect.that([&] {
      if (std::any_of(attrs.begin() + 1 + static_cast<int64_t>(rank), attrs.end(), [](int64_t s) { return s < 0; }) || attrs[0] < 0) return false;
      const auto last = last_element(attrs[0], attrs.subspan(1, rank), attrs.subspan(1 + rank));
      return last && *last < elements(in[0]);
    }, "the view does not lie inside the operand");
    if (!expect.ok()) return expect.error();
    return Types{{in[0].dtype, {attrs.begin() + 1, attrs.begin() + 1 + static_cast<int64_t>(rank)}}};
  }
  static Args args(const CallShape& call) {
    const size_t rank = call.attrs.size() / 2;
    Args a = merged(size_of(call.in[0].dtype), call.attrs.subspan(1, rank), call.attrs.subspan(1 + rank));
    a.offset = call.attrs[0];
    return a;
  }
  static uint64_t moved_bytes(const CallShape& call) { return 2 * static_cast<uint64_t>(bytes(call.out[0])); }
};

// y = x, but y[offset + i_0 * stride_0 + i_1 * stride_1 + ...] = source[i_0, i_1, ...], x and y as one row of elements
//   x any shape, source of rank 0 .. 6 and the same dtype -> y as x. The view lies in x and meets no element twice: each
//   stride passes the whole reach of the smaller ones.
struct AsStridedScatter {
  static constexpr OperatorText kText{7, "as_strided_scatter.v1", "y = x with y[offset + i * stride_0 + j * stride_1 + ...] = source[i, j, ...]",
                                      "moves bits", "numpy's strided views"};
  struct Args {
    Strided::Args view;  // over the source, row-major, where it goes
    int64_t n;
    int32_t order[Strided::kRank];      // the view's dimensions from the greatest stride to the least
    int64_t weight[Strided::kRank];     // of a dimension in the source
  };
  static std::vector<AttrSpec> attrs() { return {{"offset"}, {"strides..."}}; }
  static std::vector<InPlace> in_place() { return {{0, 0}}; }
  static KnownCall known() { return {{f32({5, 7}), f32({2, 3})}, {8, 2, 7}}; }
  static Args args_of(int64_t n, int64_t size, int64_t offset, std::span<const int64_t> dim, std::span<const int64_t> stride) {
    Args a{};
    a.view = Strided::merged(size, dim, stride);
    a.view.offset = offset;
    a.n = n;
    int64_t weight = 1;
    for (int32_t d = a.view.rank - 1; d >= 0; weight *= a.view.dim[d--]) {
      a.order[d] = d;
      a.weight[d] = weight;
    }
    std::sort(a.order, a.order + a.view.rank, [&](int32_t c, int32_t d) { return a.view.stride[c] > a.view.stride[d]; });
    return a;
  }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(2).that([&] { return in[0].dtype == in[1].dtype; }, "operands must have one dtype");
    expect.that([&] { return in[1].shape.size() <= Strided::kRank && attrs.size() == 1 + in[1].shape.size(); },
                "takes an offset, and a stride for each of up to 6 dimensions");
    expect.that([&] {
      if (std::any_of(attrs.begin(), attrs.end(), [](int64_t a) { return a < 0; })) return false;
      const auto last = last_element(attrs[0], in[1].shape, attrs.subspan(1));
      return last && *last < elements(in[0]);
    }, "the view does not lie inside the operand");
    expect.that([&] {
      const Args a = args_of(0, 1, 0, in[1].shape, attrs.subspan(1));
      int64_t reach = 0;
      for (int k = a.view.rank - 1; k >= 0; k--) {
        const int d = a.order[k];
        if (a.view.dim[d] > 1 && a.view.stride[d] <= reach) return false;
        reach += (a.view.dim[d] - 1) * a.view.stride[d];
      }
      return true;
    }, "the view overlaps itself");
    if (!expect.ok()) return expect.error();
    return Types{in[0]};
  }
  static Args args(const CallShape& call) {
    return args_of(elements(call.in[0]), size_of(call.in[0].dtype), call.attrs[0], call.in[1].shape, call.attrs.subspan(1));
  }
  static uint64_t multiply_adds(const Args&) { return 0; }
  KERNEL_FN static int64_t blocks(const Args&, size_t) { return 1; }
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t, int64_t e, int64_t, Carry, S& source) {
    int64_t rest = e - a.view.offset, at = 0;
    if (rest < 0) return {source.bits(0, e), 0};
    for (int k = 0; k < a.view.rank; k++) {
      const int d = a.order[k];
      const int64_t i = rest / a.view.stride[d];
      if (i >= a.view.dim[d]) return {source.bits(0, e), 0};
      rest -= i * a.view.stride[d];
      at += i * a.weight[d];
    }
    return rest == 0 ? Carry{source.bits(1, at), 0} : Carry{source.bits(0, e), 0};
  }
  template <class T>
  static void host_of(const Args& a, const HostCall& c) {
    T* out = static_cast<T*>(c.out[0]);
    if (c.out[0] != c.in[0])
      parallel(c.pool, a.n, kGrain, 64, [&](int64_t begin, int64_t end) { copy_elements<T>(out, begin, c.in[0], begin, end - begin); });
    const T* in = static_cast<const T*>(c.in[1]);
    const int64_t width = a.view.dim[a.view.rank - 1], stride = a.view.stride[a.view.rank - 1];
    parallel(c.pool, a.view.n / width, kGrain / width + 1, 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; r++) {
        T* to = out + Strided::from(a.view, r * width);
        const T* row = in + r * width;
        if (stride == 1) copy_elements<T>(to, 0, row, 0, width);
        else
          for (int64_t i = 0; i < width; i++) to[i * stride] = row[i];
      }
    });
  }
  static void host(const Args& a, const HostCall& c) {
    by_size(a.view.size, [&](auto element) { host_of<decltype(element)>(a, c); });
  }
};

// y[b, i, j] = x[b, i, j] where j - i <= diagonal (lower) or j - i >= diagonal (upper), else zero
//   x (batch, rows, columns) any dtype
struct Triangle {
  static constexpr OperatorText kText{100, "triangle.v1", "y[b, i, j] = (upper ? j - i >= diagonal : j - i <= diagonal) ? x[b, i, j] : 0", "moves bits",
                                      "triangular matrices"};
  struct Args {
    int64_t n, size, rows, columns, diagonal;
    bool upper;
  };
  static std::vector<AttrSpec> attrs() { return {{"diagonal"}, {"upper"}}; }
  static std::vector<InPlace> in_place() { return {{0, 0}}; }
  static KnownCall known() { return {{f32({2, 5, 7})}, {1, 0}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(1).attributes(2).rank_is(0, 3);
    expect.that([&] { return attrs[0] >= -(int64_t{1} << 62) && attrs[0] <= int64_t{1} << 62; }, "the diagonal passes 2^62");
    expect.that([&] { return attrs[1] == 0 || attrs[1] == 1; }, "upper is 0 or 1");
    if (!expect.ok()) return expect.error();
    return Types{in[0]};
  }
  static Args args(const CallShape& call) {
    const auto& shape = call.in[0].shape;
    return {elements(call.in[0]), size_of(call.in[0].dtype), shape[1], shape[2], call.attrs[0], call.attrs[1] != 0};
  }
  static uint64_t multiply_adds(const Args&) { return 0; }
  KERNEL_FN static int64_t blocks(const Args&, size_t) { return 1; }
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t, int64_t e, int64_t, Carry, S& source) {
    const int64_t past = e % a.columns - e / a.columns % a.rows;
    return {(a.upper ? past >= a.diagonal : past <= a.diagonal) ? source.bits(0, e) : 0, 0};
  }
  static void host(const Args& a, const HostCall& c) {
    const auto* in = static_cast<const char*>(c.in[0]);
    auto* out = static_cast<char*>(c.out[0]);
    parallel(c.pool, a.n / a.columns, kGrain / a.columns + 1, 1, [=](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; r++) {
        // Of a row, [first, last) is kept.
        const int64_t edge = r % a.rows + a.diagonal, within = edge < -1 ? -1 : least(edge, a.columns);
        const int64_t first = a.upper ? (within < 0 ? 0 : within) : 0, last = a.upper ? a.columns : least(within + 1, a.columns);
        const char* from = in + r * a.columns * a.size;
        char* to = out + r * a.columns * a.size;
        __builtin_memset(to, 0, static_cast<size_t>(first * a.size));
        if (to != from) copy_elements<char>(to, first * a.size, from, first * a.size, (last - first) * a.size);
        __builtin_memset(to + last * a.size, 0, static_cast<size_t>((a.columns - last) * a.size));
      }
    });
  }
};

// y[...] = value
struct Fill {
  static constexpr OperatorText kText{8, "fill.v1", "y[...] = value, the bits of one element", "moves bits", "a constant"};
  struct Args {
    int64_t n, size;
    uint64_t bits;
  };
  static std::vector<AttrSpec> attrs() { return {{"dtype"}, {"bits"}, {"dims..."}}; }
  static std::vector<InPlace> in_place() { return {}; }
  static KnownCall known() { return {{}, {static_cast<int64_t>(DType::f32), attr_of(0.75f), 5, 67}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(0).that([&] { return attrs.size() >= 2; }, "takes dtype, bits, and the dimensions");
    expect.that([&] { return attrs[0] >= 0 && attrs[0] <= 255 && is_valid(static_cast<DType>(attrs[0])); }, "attribute 0 is no dtype");
    expect.that([&] {
      const int64_t size = size_of(static_cast<DType>(attrs[0]));
      return size == 8 || static_cast<uint64_t>(attrs[1]) >> (8 * size) == 0;
    }, "the bits are wider than the dtype");
    expect.that([&] { return std::all_of(attrs.begin() + 2, attrs.end(), [](int64_t d) { return d >= 1; }); }, "a dimension must be 1 or more");
    if (!expect.ok()) return expect.error();
    return Types{{static_cast<DType>(attrs[0]), {attrs.begin() + 2, attrs.end()}}};
  }
  static Args args(const CallShape& call) {
    return {elements(call.out[0]), size_of(call.out[0].dtype), static_cast<uint64_t>(call.attrs[1])};
  }
  static uint64_t multiply_adds(const Args&) { return 0; }
  KERNEL_FN static int64_t blocks(const Args&, size_t) { return 1; }
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t, int64_t, int64_t, Carry, S&) {
    return {a.bits, 0};
  }
  static void host(const Args& a, const HostCall& c) {
    by_size(a.size, [&](auto element) {
      using T = decltype(element);
      T* out = static_cast<T*>(c.out[0]);
      const T value = static_cast<T>(a.bits);
      parallel(c.pool, a.n, kGrain, 64, [=](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; i++) out[i] = value;
      });
    });
  }
};

// y = the operands one after the other along `axis`
//   1 .. 64 operands of one dtype and rank >= 1, equal in all dimensions but `axis`
struct Cat {
  static constexpr OperatorText kText{9, "cat.v1", "y = the operands one after the other along dimension `axis`", "moves bits", "concatenation"};
  static constexpr size_t kMost = 64;
  static constexpr int kOperands = kMost + 1;  // with the output
  struct Args {
    int64_t n, size;
    int64_t inner;       // elements of one position of the axis
    int32_t parts;
    int64_t end[kMost];  // along the axis
  };
  static std::vector<AttrSpec> attrs() { return {{"axis"}}; }
  static std::vector<InPlace> in_place() { return {}; }
  static KnownCall known() { return {{f32({5, 7, 2}), f32({5, 1, 2}), f32({5, 3, 2})}, {1}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.that([&] { return in.size() >= 1 && in.size() <= kMost; }, "takes 1 to 64 operands").attributes(1);
    expect.that([&] { return attrs[0] >= 0 && attrs[0] < static_cast<int64_t>(in[0].shape.size()); }, "the axis is no dimension of operand 0");
    for (const TensorType& type : in)
      expect.that([&] {
        if (type.dtype != in[0].dtype || type.shape.size() != in[0].shape.size()) return false;
        for (size_t d = 0; d < type.shape.size(); d++)
          if (static_cast<int64_t>(d) != attrs[0] && type.shape[d] != in[0].shape[d]) return false;
        return true;
      }, "operands must match in all but the axis");
    if (!expect.ok()) return expect.error();
    TensorType out = in[0];
    const auto axis = static_cast<size_t>(attrs[0]);
    out.shape[axis] = 0;
    for (const TensorType& type : in) out.shape[axis] += type.shape[axis];
    return Types{out};
  }
  static Args args(const CallShape& call) {
    Args a{elements(call.out[0]), size_of(call.out[0].dtype), 1, static_cast<int32_t>(call.in.size()), {}};
    const auto axis = static_cast<size_t>(call.attrs[0]);
    for (size_t d = axis + 1; d < call.out[0].shape.size(); d++) a.inner *= call.out[0].shape[d];
    int64_t end = 0;
    for (size_t k = 0; k < call.in.size(); k++) a.end[k] = end += call.in[k].shape[axis];
    return a;
  }
  static uint64_t multiply_adds(const Args&) { return 0; }
  KERNEL_FN static int64_t blocks(const Args&, size_t) { return 1; }

  // Where element e of y comes from, and how many elements from e on come from there in a row.
  struct Place {
    int32_t operand;
    int64_t element, run;
  };
  KERNEL_FN static Place place(const Args& a, int64_t e) {
    const int64_t total = a.end[a.parts - 1], row = e / (total * a.inner), at = e % (total * a.inner);
    int32_t low = 0, high = a.parts - 1;  // the first operand that ends beyond it
    while (low < high) {
      const int32_t middle = (low + high) / 2;
      if (a.end[middle] * a.inner > at) high = middle;
      else low = middle + 1;
    }
    const int64_t begin = low == 0 ? 0 : a.end[low - 1];
    return {low, row * (a.end[low] - begin) * a.inner + at - begin * a.inner, a.end[low] * a.inner - at};
  }
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t, int64_t e, int64_t, Carry, S& source) {
    const Place from = place(a, e);
    return {source.bits(static_cast<size_t>(from.operand), from.element), 0};
  }
  static void host(const Args& a, const HostCall& c) {
    parallel(c.pool, a.n, kGrain, 64, [&](int64_t begin, int64_t end) {
      for (int64_t e = begin; e < end;) {
        const Place from = place(a, e);
        const int64_t run = least(from.run, end - e);
        copy_elements<char>(c.out[0], e * a.size, c.in[from.operand], from.element * a.size, run * a.size);
        e += run;
      }
    });
  }
};

}  // namespace cairn::kernels::CAIRN_ISA
