// Places by index: gathered, scattered, counted and found.
//
// A tensor here is (outer, n, inner): an index names one of n places along the middle dimension. An index (k) holds for all
// lines alike, as of rows; an index of three dimensions names a place for each element. What an index outside of 0 .. n - 1
// names does not exist: it is read as a NaN, of integers as the least (which is no index either), of u8 as 255; and scattered
// it spoils each line that it could have meant in the same way. So it never goes by unseen: a NaN in a state is a job fault.
#pragma once

#include "kernels/ops/op.h"

namespace cairn::kernels::CAIRN_ISA {

KERNEL_FN uint64_t bits_of_nothing(DType t) {
  if (t == DType::f32) return kNan;
  const int64_t size = size_of(t);
  return size == 8 ? uint64_t{1} << 63 : size == 4 ? 0x80000000u : size == 2 ? 0x7FC0u : 0xFFu;
}
KERNEL_FN bool is_place(int64_t index, int64_t n) { return static_cast<uint64_t>(index) < static_cast<uint64_t>(n); }

// body(T{}) for the unsigned integer T of `size` bytes.
template <class Body>
LANES_FN void with_size(int64_t size, Body body) {
  if (size == 8) body(uint64_t{});
  else if (size == 4) body(uint32_t{});
  else if (size == 2) body(uint16_t{});
  else body(uint8_t{});
}

// Memory that a host body works in.
template <class T>
struct Workspace {
  explicit Workspace(int64_t n) : data(static_cast<T*>(aligned_alloc(64, (static_cast<size_t>(n) * sizeof(T) + 64) / 64 * 64))) {
    if (data == nullptr) __builtin_trap();
  }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  ~Workspace() { free(data); }
  T* data;
};

// The lines of an operand and its index.
struct IndexedLines {
  int64_t outer, n, inner;                // of the operand
  int64_t k, index_outer, index_inner;    // positions of a line's index, and the lines that have one
  int64_t shared;                         // the index is (k)
  DType dtype;
};
inline Expect& expect_index(Expect& expect, std::span<const TensorType> in, std::span<const int64_t> shape) {
  expect.dtype_is(1, DType::i64).that([&] { return in[1].shape.size() == 1 || in[1].shape.size() == 3; }, "an index has 1 or 3 dimensions");
  return expect.that([&] {
    const auto& index = in[1].shape;
    return index.size() == 1 || (index[0] <= shape[0] && index[2] <= shape[2]);
  }, "an index may not have more lines than what it indexes");
}
inline IndexedLines indexed_lines(std::span<const int64_t> shape, const TensorType& index, DType dtype) {
  if (index.shape.size() == 1) return {shape[0], shape[1], shape[2], index.shape[0], shape[0], shape[2], 1, dtype};
  return {shape[0], shape[1], shape[2], index.shape[1], index.shape[0], index.shape[2], 0, dtype};
}

// y[o, j, i] = x[o, index[j], i], or x[o, index[o, j, i], i]
//   x (outer, n, inner) any dtype; index (k), or up to (outer, k, inner), i64 -> y (outer, k, inner), or as index
struct Gather {
  static constexpr OperatorText kText{200, "gather.v1", "y[o, j, i] = x[o, index[j], i] of an index (k), x[o, index[o, j, i], i] of one with x's dimensions; nothing there: NaN",
                                      "moves bits", "Bengio et al. 2003, rows of an embedding"};
  using Args = IndexedLines;
  static std::vector<AttrSpec> attrs() { return {}; }
  static std::vector<InPlace> in_place() { return {}; }
  static KnownCall known() { return {{f32({2, 6, 5}), i64({9})}, {}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(2).attributes(0).rank_is(0, 3);
    if (expect.ok()) expect_index(expect, in, in[0].shape);
    if (!expect.ok()) return expect.error();
    if (in[1].shape.size() == 3) return Types{{in[0].dtype, in[1].shape}};
    return Types{{in[0].dtype, {in[0].shape[0], in[1].shape[0], in[0].shape[2]}}};
  }
  static Args args(const CallShape& call) { return indexed_lines(call.in[0].shape, call.in[1], call.in[0].dtype); }
  static uint64_t multiply_adds(const Args&) { return 0; }
  static uint64_t moved_bytes(const CallShape& call) {
    return static_cast<uint64_t>(2 * bytes(call.out[0]) + bytes(call.in[1]));
  }
  KERNEL_FN static int64_t blocks(const Args&, size_t) { return 1; }

  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t, int64_t e, int64_t, Carry, S& source) {
    const int64_t i = e % a.index_inner, j = e / a.index_inner % a.k, o = e / a.index_inner / a.k;
    const int64_t at = source.i64(1, a.shared ? j : e);
    if (!is_place(at, a.n)) return {bits_of_nothing(a.dtype), 0};
    return {source.bits(0, (o * a.n + at) * a.inner + i), 0};
  }
  static void host(const Args& a, const HostCall& c) {
    const int64_t* index = static_cast<const int64_t*>(c.in[1]);
    with_size(size_of(a.dtype), [&](auto element) {
      using T = decltype(element);
      const T* x = static_cast<const T*>(c.in[0]);
      T* y = static_cast<T*>(c.out[0]);
      const T nothing = static_cast<T>(bits_of_nothing(a.dtype));
      const int64_t width = a.index_inner;
      parallel(c.pool, a.index_outer * a.k, kGrain / width + 1, 1, [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; row++) {
          const T* from = x + row / a.k * a.n * a.inner;
          T* to = y + row * width;
          if (a.shared && width > 1) {
            const int64_t at = index[row % a.k];
            if (is_place(at, a.n)) __builtin_memcpy(to, from + at * width, static_cast<size_t>(width) * sizeof(T));
            else
              for (int64_t i = 0; i < width; i++) to[i] = nothing;
          } else {
            const int64_t* at = a.shared ? index + row % a.k : index + row * width;
            for (int64_t i = 0; i < width; i++) to[i] = is_place(at[i], a.n) ? from[at[i] * a.inner + i] : nothing;
          }
        }
      });
    });
  }
};

// How what is scattered meets what is there.
struct Replace {
  template <class V>
  KERNEL_FN V operator()(V, V b) const {
    return b;
  }
};
struct Sum {
  template <class V>
  KERNEL_FN V operator()(V a, V b) const {
    return a + b;
  }
};
struct Times {
  template <class V>
  KERNEL_FN V operator()(V a, V b) const {
    return a * b;
  }
};
struct Greatest {
  template <class V>
  KERNEL_FN V operator()(V a, V b) const {
    return greater(a, b);
  }
  KERNEL_FN uint64_t operator()(uint64_t a, uint64_t b) const { return static_cast<int64_t>(b) > static_cast<int64_t>(a) ? b : a; }
  KERNEL_FN uint32_t operator()(uint32_t a, uint32_t b) const { return static_cast<int32_t>(b) > static_cast<int32_t>(a) ? b : a; }
};
struct Least {
  template <class V>
  KERNEL_FN V operator()(V a, V b) const {
    return select(b < a, b, select(is_nan(b), b, a));
  }
  KERNEL_FN uint64_t operator()(uint64_t a, uint64_t b) const { return static_cast<int64_t>(b) < static_cast<int64_t>(a) ? b : a; }
  KERNEL_FN uint32_t operator()(uint32_t a, uint32_t b) const { return static_cast<int32_t>(b) < static_cast<int32_t>(a) ? b : a; }
};

// y = target; then for j ascending y[o, t, i] = y[o, t, i] (reduce) src[o, j, i] with t = index[j] or index[o, j, i]
//   target (outer, n, inner) or one element for all; index (k), or up to (outer, k, inner), i64; src as the index says, or one
//   element for all -> y (outer, n, inner)
//   reduce: 0 replace (the last position wins), 1 add, 2 multiply, 3 greatest, 4 least (a NaN wins). Without `keep` what
//   stands in target is no part of the result where something is scattered. Of an index (k), positions that hold `skip` are
//   passed over; -1 skips none.
struct Scatter {
  static constexpr OperatorText kText{
      201, "scatter.v1", "y = target, then y[o, index, i] = y (reduce) src[o, j, i] for j ascending; reduce: 0 replace, 1 add, 2 multiply, 3 greatest, 4 least; keep 0: without target's element; index = skip is passed over",
      "moves bits where nothing is computed; else a chain over j ascending, blocks of 256 positions", "gradient of gather.v1"};
  struct Args {
    IndexedLines lines;
    int64_t reduce, keep, skip;
    int64_t one_target, one_src;
  };
  static constexpr uint64_t kSpoilt = 1, kWritten = 2;  // in the carry
  static std::vector<AttrSpec> attrs() { return {{"outer"}, {"n"}, {"inner"}, {"reduce"}, {"keep"}, {"skip"}}; }
  static std::vector<InPlace> in_place() { return {{0, 0}}; }
  static KnownCall known() { return {{f32({2, 7, 5}), i64({300}), f32({2, 300, 5})}, {2, 7, 5, 1, 1, 3}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(3).attributes(6);
    expect.that([&] { return attrs[0] >= 1 && attrs[1] >= 1 && attrs[2] >= 1; }, "outer, n and inner must be at least 1");
    if (expect.ok()) expect_index(expect, in, attrs.first(3));
    expect.that([&] { return in[0].shape.empty() || std::equal(in[0].shape.begin(), in[0].shape.end(), attrs.begin(), attrs.begin() + 3); },
                "target must be (outer, n, inner), or one element");
    expect.that([&] {
      if (in[2].shape.empty()) return true;
      if (in[1].shape.size() == 3) return in[2].shape == in[1].shape;
      return in[2].shape == std::vector<int64_t>{attrs[0], in[1].shape[0], attrs[2]};
    }, "src must have an element for each that is indexed, or one for all");
    expect.that([&] { return in[0].dtype == in[2].dtype; }, "target and src must have one dtype");
    expect.that([&] { return attrs[5] == -1 || (attrs[5] >= 0 && in[1].shape.size() == 1); }, "skip is -1, or an index that is passed over in an index of 1 dimension");
    expect.that([&] { return attrs[3] >= 0 && attrs[3] <= 4 && (attrs[4] == 0 || attrs[4] == 1); }, "reduce is 0 .. 4, keep 0 or 1");
    expect.that([&] { return attrs[3] == 0 || in[0].dtype == DType::f32 || in[0].dtype == DType::i64 || in[0].dtype == DType::i32; },
                "computes in f32, i64 and i32 only");
    if (!expect.ok()) return expect.error();
    return Types{{in[0].dtype, {attrs.begin(), attrs.begin() + 3}}};
  }
  static Args args(const CallShape& call) {
    return {indexed_lines(call.attrs.first(3), call.in[1], call.in[0].dtype), call.attrs[3], call.attrs[4], call.attrs[5],
            call.in[0].shape.empty(), call.in[2].shape.empty()};
  }
  static uint64_t multiply_adds(const Args& a) {
    return static_cast<uint64_t>(a.lines.index_outer * a.lines.k * a.lines.index_inner);
  }
  KERNEL_FN static int64_t blocks(const Args& a, size_t) { return blocks_of(a.lines.k, kFoldBlock); }

  template <class V>
  KERNEL_FN static V reduced(int64_t reduce, V a, V b) {
    return reduce == 0 ? b : reduce == 1 ? Sum{}(a, b) : reduce == 2 ? Times{}(a, b) : reduce == 3 ? Greatest{}(a, b) : Least{}(a, b);
  }
  KERNEL_FN static uint64_t combined(const Args& a, uint64_t x, uint64_t y) {
    if (a.reduce == 0) return y;
    if (a.lines.dtype == DType::f32)
      return result(reduced(a.reduce, as_float(static_cast<uint32_t>(x)), as_float(static_cast<uint32_t>(y)))).lo;
    if (a.lines.dtype == DType::i64) return reduced(a.reduce, x, y);
    return reduced(a.reduce, static_cast<uint32_t>(x), static_cast<uint32_t>(y));
  }
  template <class S>
  KERNEL_FN static Carry fold(const Args& args, const StepContext&, size_t, int64_t e, int64_t block, Carry carry, S& source) {
    const IndexedLines& a = args.lines;
    const int64_t i = e % a.inner, t = e / a.inner % a.n, o = e / a.inner / a.n, end = least(a.k, (block + 1) * kFoldBlock);
    if (block == 0) carry.lo = source.bits(0, args.one_target ? 0 : e);
    for (int64_t j = block * kFoldBlock; j < end && o < a.index_outer && i < a.index_inner; j++) {
      const int64_t position = (o * a.k + j) * a.index_inner + i, at = source.i64(1, a.shared ? j : position);
      if (args.skip >= 0 && at == args.skip) continue;
      if (!is_place(at, a.n)) carry.hi |= kSpoilt;
      if (at != t) continue;
      const uint64_t value = source.bits(2, args.one_src ? 0 : position);
      carry.lo = args.keep || (carry.hi & kWritten) ? combined(args, carry.lo, value) : value;
      carry.hi |= kWritten;
    }
    if (end < a.k) return carry;
    return {carry.hi & kSpoilt ? bits_of_nothing(a.dtype) : carry.lo, 0};
  }

  // to[i] = reduce(to[i], from[i]), or of from[0] alone; where `fresh`, from.
  template <class T, class Reduce>
  LANES_FN static void combine(T* to, const T* from, bool one, int64_t n, bool fresh, Reduce reduce) {
    if (fresh || std::is_same_v<Reduce, Replace>) {
      for (int64_t i = 0; i < n; i++) to[i] = from[one ? 0 : i];
    } else if constexpr (std::is_same_v<T, float>) {
      if (one) each(0, n, [&](int64_t i, int m) { write(to + i, m, reduce(read(to + i, m), Vector(*from))); });
      else each(0, n, [&](int64_t i, int m) { write(to + i, m, reduce(read(to + i, m), read(from + i, m))); });
    } else {
      for (int64_t i = 0; i < n; i++) to[i] = reduce(to[i], from[one ? 0 : i]);
    }
  }
  // Columns first .. first + m - 1 of the lines of `o`, an index for all.
  template <class T, class Reduce>
  static void rows(const Args& args, const int64_t* index, const T* src, T* y, int64_t o, int64_t first, int64_t m, Reduce reduce) {
    const IndexedLines& a = args.lines;
    const Workspace<bool> written(args.keep ? 0 : a.n);
    if (!args.keep) __builtin_memset(written.data, 0, static_cast<size_t>(a.n));
    for (int64_t j = 0; j < a.k; j++) {
      const int64_t at = index[j];
      if (args.skip >= 0 && at == args.skip) continue;
      const T* from = args.one_src ? src : src + (o * a.k + j) * a.inner + first;
      combine(y + (o * a.n + at) * a.inner + first, from, args.one_src, m, !args.keep && !written.data[at], reduce);
      if (!args.keep) written.data[at] = true;
    }
  }
  // The same, each with its own index; m <= kColumns.
  static constexpr int64_t kColumns = 256;
  template <class T, class Reduce>
  static void elements_of(const Args& args, const int64_t* index, const T* src, T* y, int64_t o, int64_t first, int64_t m, T nothing,
                          Reduce reduce) {
    const IndexedLines& a = args.lines;
    const Workspace<bool> written(args.keep ? 0 : a.n * m);
    if (!args.keep) __builtin_memset(written.data, 0, static_cast<size_t>(a.n * m));
    bool spoilt[kColumns] = {};
    T* lines = y + o * a.n * a.inner + first;
    for (int64_t j = 0; j < a.k; j++) {
      const int64_t position = (o * a.k + j) * a.index_inner + first;
      for (int64_t i = 0; i < m; i++) {
        const int64_t at = index[position + i];
        if (!is_place(at, a.n)) {
          spoilt[i] = true;
          continue;
        }
        const bool fresh = !args.keep && !written.data[at * m + i];
        combine(lines + at * a.inner + i, src + (args.one_src ? 0 : position + i), true, 1, fresh, reduce);
        if (!args.keep) written.data[at * m + i] = true;
      }
    }
    for (int64_t i = 0; i < m; i++)
      if (spoilt[i])
        for (int64_t t = 0; t < a.n; t++) lines[t * a.inner + i] = nothing;
  }
  template <class T>
  static void fill(const HostCall& c, T* y, int64_t n, T value) {
    parallel(c.pool, n, kGrain, 64, [=](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) y[i] = value;
    });
  }
  template <class T, class Reduce>
  static void host_of(const Args& args, const HostCall& c, Reduce reduce) {
    const IndexedLines& a = args.lines;
    const T *target = static_cast<const T*>(c.in[0]), *src = static_cast<const T*>(c.in[2]);
    const int64_t* index = static_cast<const int64_t*>(c.in[1]);
    T* y = static_cast<T*>(c.out[0]);
    const uint64_t bits = bits_of_nothing(a.dtype);
    T nothing;
    __builtin_memcpy(&nothing, &bits, sizeof nothing);
    const int64_t count = a.outer * a.n * a.inner;
    bool spoilt = false;
    for (int64_t j = 0; a.shared && j < a.k; j++) spoilt |= !is_place(index[j], a.n) && (args.skip < 0 || index[j] != args.skip);
    if (spoilt) return fill(c, y, count, nothing);
    if (args.one_target) fill(c, y, count, *target);
    else if (y != target)
      parallel(c.pool, count, kGrain, 64, [&](int64_t begin, int64_t end) {
        __builtin_memcpy(y + begin, target + begin, static_cast<size_t>(end - begin) * sizeof(T));
      });
    const int64_t width = a.index_inner, most = a.shared ? width : kColumns;
    parallel(c.pool, a.index_outer * width, kGrain / a.k + 1, 16, [&](int64_t begin, int64_t end) {
      for (int64_t line = begin, m = 0; line < end; line += m) {
        m = least(most, least(end - line, width - line % width));
        if (a.shared) rows(args, index, src, y, line / width, line % width, m, reduce);
        else elements_of(args, index, src, y, line / width, line % width, m, nothing, reduce);
      }
    });
  }
  template <class T>
  static void host_by_reduce(const Args& a, const HostCall& c) {
    if (a.reduce == 1) host_of<T>(a, c, Sum{});
    else if (a.reduce == 2) host_of<T>(a, c, Times{});
    else if (a.reduce == 3) host_of<T>(a, c, Greatest{});
    else host_of<T>(a, c, Least{});
  }
  static void host(const Args& a, const HostCall& c) {
    if (a.reduce == 0) with_size(size_of(a.lines.dtype), [&](auto element) { host_of<decltype(element)>(a, c, Replace{}); });
    else if (a.lines.dtype == DType::f32) host_by_reduce<float>(a, c);
    else if (a.lines.dtype == DType::i64) host_by_reduce<uint64_t>(a, c);
    else host_by_reduce<uint32_t>(a, c);
  }
};

// y = ((i_0 * dim_1 + i_1) * dim_2 + i_2) ...: the place of coordinates in row-major order, negative ones counted from the end
//   i_0, i_1, ... i64 of one shape, dimensions dim_0, dim_1, ... -> y i64; a coordinate out of range: the least i64
struct RavelIndex {
  static constexpr int kMost = 8;
  static constexpr OperatorText kText{202, "ravel_index.v1", "y = ((i_0 * dim_1 + i_1) * dim_2 + i_2) ..., negative coordinates from the end; one out of range: the least i64",
                                      "exact", "numpy's ravel_multi_index"};
  struct Args {
    int64_t n;
    int32_t count;
    int64_t dim[kMost];
  };
  static std::vector<AttrSpec> attrs() { return {{"dims..."}}; }
  static std::vector<InPlace> in_place() { return {{0, 0}}; }
  static KnownCall known() { return {{i64({5, 67}), i64({5, 67})}, {6, 9}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.that([&] { return in.size() >= 1 && in.size() <= kMost; }, "takes 1 .. 8 indices");
    expect.attributes(in.size()).dtype_is(0, DType::i64);
    for (size_t k = 1; k < in.size(); k++) expect.same(0, k);
    expect.that([&] {
      int64_t places = 1;
      for (const int64_t dim : attrs)
        if (dim < 1 || __builtin_mul_overflow(places, dim, &places)) return false;
      return true;
    }, "dimensions must be at least 1, and their product an i64");
    if (!expect.ok()) return expect.error();
    return Types{in[0]};
  }
  static Args args(const CallShape& call) {
    Args a{elements(call.out[0]), static_cast<int32_t>(call.in.size()), {}};
    for (int k = 0; k < a.count; k++) a.dim[k] = call.attrs[static_cast<size_t>(k)];
    return a;
  }
  static uint64_t multiply_adds(const Args& a) { return static_cast<uint64_t>(a.n * a.count); }
  KERNEL_FN static int64_t blocks(const Args&, size_t) { return 1; }

  template <class Coordinate>
  KERNEL_FN static int64_t value(const Args& a, Coordinate coordinate) {
    int64_t place = 0;
    for (int k = 0; k < a.count; k++) {
      const int64_t given = coordinate(k), at = given < 0 ? given + a.dim[k] : given;
      if (!is_place(at, a.dim[k])) return INT64_MIN;
      place = place * a.dim[k] + at;
    }
    return place;
  }
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t, int64_t e, int64_t, Carry, S& source) {
    return {static_cast<uint64_t>(value(a, [&](int k) { return source.i64(static_cast<size_t>(k), e); })), 0};
  }
  static void host(const Args& a, const HostCall& c) {
    int64_t* y = static_cast<int64_t*>(c.out[0]);
    parallel(c.pool, a.n, kGrain, 64, [&](int64_t begin, int64_t end) {
      for (int64_t e = begin; e < end; e++) y[e] = value(a, [&](int k) { return static_cast<const int64_t*>(c.in[k])[e]; });
    });
  }
};

// y[r, j] = how many of the ascending row lie before v[r, j]: with right 0 the less, with right 1 the less and equal ones
//   sorted (rows, n), or (1, n) for all; v (rows, m), both f32, i64 or i32 -> y (rows, m) i64
//   found by halves, so the same of a row that is not ascending; a NaN lies behind everything
struct SearchSorted {
  static constexpr OperatorText kText{203, "searchsorted.v1", "y[r, j] = elements of sorted[r] less than v[r, j], or equal to it too when right is 1; a NaN is behind all",
                                      "binary search over [start, end): the middle is start + (end - start) / 2; exact", "Knuth, volume 3, 6.2.1"};
  struct Args {
    int64_t rows, n, m;
    int64_t one_row, right;
    DType dtype;
  };
  static std::vector<AttrSpec> attrs() { return {{"right"}}; }
  static std::vector<InPlace> in_place() { return {}; }
  static KnownCall known() { return {{f32({1, 9}), f32({5, 67})}, {0}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(2).attributes(1).rank_is(0, 2).rank_is(1, 2);
    expect.that([&] { return in[0].dtype == in[1].dtype; }, "both must have one dtype");
    expect.that([&] { return in[0].dtype == DType::f32 || in[0].dtype == DType::i64 || in[0].dtype == DType::i32; }, "searches f32, i64 and i32");
    expect.that([&] { return in[0].shape[0] == 1 || in[0].shape[0] == in[1].shape[0]; }, "needs one sorted row, or one a row of values");
    expect.that([&] { return attrs[0] == 0 || attrs[0] == 1; }, "right is 0 or 1");
    if (!expect.ok()) return expect.error();
    return Types{i64(in[1].shape)};
  }
  static Args args(const CallShape& call) {
    const auto &sorted = call.in[0].shape, &v = call.in[1].shape;
    return {v[0], sorted[1], v[1], sorted[0] == 1, call.attrs[0], call.in[0].dtype};
  }
  static uint64_t multiply_adds(const Args& a) { return static_cast<uint64_t>(a.rows * a.m * (64 - __builtin_clzll(static_cast<uint64_t>(a.n)))); }
  KERNEL_FN static int64_t blocks(const Args&, size_t) { return 1; }

  template <class T, class At>
  KERNEL_FN static int64_t find(const Args& a, T v, At at) {
    int64_t start = 0, end = a.n;
    while (start < end) {
      const int64_t middle = start + (end - start) / 2;
      const T x = at(middle);
      if (a.right ? !(x > v) : !(x >= v)) start = middle + 1;
      else end = middle;
    }
    return start;
  }
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t, int64_t e, int64_t, Carry, S& source) {
    const int64_t row = a.one_row ? 0 : e / a.m * a.n;
    const uint64_t v = source.bits(1, e);
    int64_t found = 0;
    if (a.dtype == DType::f32)
      found = find(a, as_float(static_cast<uint32_t>(v)), [&](int64_t i) { return source.f32(0, row + i); });
    else if (a.dtype == DType::i64)
      found = find(a, static_cast<int64_t>(v), [&](int64_t i) { return source.i64(0, row + i); });
    else
      found = find(a, static_cast<int32_t>(v), [&](int64_t i) { return static_cast<int32_t>(source.bits(0, row + i)); });
    return {static_cast<uint64_t>(found), 0};
  }
  template <class T>
  static void host_of(const Args& a, const HostCall& c) {
    const T *sorted = static_cast<const T*>(c.in[0]), *v = static_cast<const T*>(c.in[1]);
    int64_t* y = static_cast<int64_t*>(c.out[0]);
    parallel(c.pool, a.rows * a.m, kGrain / 8, 16, [&](int64_t begin, int64_t end) {
      for (int64_t e = begin; e < end; e++) {
        const T* row = sorted + (a.one_row ? 0 : e / a.m * a.n);
        y[e] = find(a, v[e], [=](int64_t i) { return row[i]; });
      }
    });
  }
  static void host(const Args& a, const HostCall& c) {
    if (a.dtype == DType::f32) host_of<float>(a, c);
    else if (a.dtype == DType::i64) host_of<int64_t>(a, c);
    else host_of<int32_t>(a, c);
  }
};

}  // namespace cairn::kernels::CAIRN_ISA
