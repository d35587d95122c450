// Moves: rows of a data set in and out, permuted and broadcast dimensions, conversions. Moves copy bits, any dtype, also
// those of a NaN; only cast.v1 computes.
#pragma once

#include "kernels/ops/op.h"
#include "kernels/packing.h"

namespace cairn::kernels::CAIRN_ISA {

template <class T>
LANES_FN void copy_elements(void* out, int64_t to, const void* in, int64_t from, int64_t n) {
  __builtin_memcpy(static_cast<T*>(out) + to, static_cast<const T*>(in) + from, static_cast<size_t>(n) * sizeof(T));
}

// body(element) with an unsigned integer of `size` bytes.
template <class Body>
LANES_FN void by_size(int64_t size, Body body) {
  if (size == 8) body(uint64_t{});
  else if (size == 4) body(uint32_t{});
  else if (size == 2) body(uint16_t{});
  else body(uint8_t{});
}

// y[i, ...] = data[row(step * B + i), ...]
//   data (n, ...) any dtype -> y (B, ...)
//   row of position q in epoch e = q / n: mode 1: q mod n; mode 0: Shuffle(seed, e, n).at(q mod n)
struct SampleRows {
  static constexpr OperatorText kText{
      1, "sample_rows.v1", "y[i] = data[row(step * B + i)]; row q of epoch q / n is q % n, or its image under a bijection",
      "moves bits; integers only", "Black & Rogaway 2002 over Philox4x32-10"};
  struct Args {
    int64_t n, width, batch;
    int64_t mode;
    int64_t size;
  };
  static std::vector<AttrSpec> attrs() { return {{"batch"}, {"mode"}}; }
  static std::vector<InPlace> in_place() { return {}; }
  static KnownCall known() { return {{f32({13, 3})}, {8, 0}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(1).attributes(2);
    expect.that([&] { return !in[0].shape.empty(); }, "takes rows: operand 0 needs a first dimension");
    expect.that([&] { return attrs[0] >= 1 && attrs[0] <= int64_t{1} << 32; }, "batch must be 1 .. 2^32");
    expect.that([&] { return attrs[1] == 0 || attrs[1] == 1; }, "mode must be 0 (shuffled) or 1 (sequential)");
    if (!expect.ok()) return expect.error();
    TensorType out = in[0];
    out.shape[0] = attrs[0];
    return Types{out};
  }
  static Args args(const CallShape& call) {
    const int64_t n = call.in[0].shape[0];
    return {n, elements(call.in[0]) / n, call.attrs[0], call.attrs[1], size_of(call.in[0].dtype)};
  }
  static uint64_t multiply_adds(const Args&) { return 0; }
  static uint64_t moved_bytes(const CallShape& call) { return 2 * static_cast<uint64_t>(bytes(call.out[0])); }
  KERNEL_FN static int64_t blocks(const Args&, size_t) { return 1; }

  KERNEL_FN static uint64_t position(const Args& a, const StepContext& step, int64_t i) {
    return step.step * static_cast<uint64_t>(a.batch) + static_cast<uint64_t>(i);
  }
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext& step, size_t, int64_t e, int64_t, Carry, S& source) {
    const uint64_t q = position(a, step, e / a.width), n = static_cast<uint64_t>(a.n);
    int64_t row = static_cast<int64_t>(q % n);
    if (a.mode == 0) row = Shuffle(step.seed, q / n, a.n).at(row);
    return {source.bits(0, row * a.width + e % a.width), 0};
  }
  static void host(const Args& a, const HostCall& c) {
    const int64_t row_bytes = a.width * a.size;
    parallel(c.pool, a.batch, kGrain * 4 / row_bytes + 1, 1, [&](int64_t begin, int64_t end) {
      const uint64_t n = static_cast<uint64_t>(a.n);
      uint64_t epoch = position(a, c.step, begin) / n;
      Shuffle shuffle(c.step.seed, epoch, a.n);
      for (int64_t i = begin; i < end; i++) {
        const uint64_t q = position(a, c.step, i);
        if (q / n != epoch) shuffle = Shuffle(c.step.seed, epoch = q / n, a.n);
        const int64_t row = a.mode == 1 ? static_cast<int64_t>(q % n) : shuffle.at(static_cast<int64_t>(q % n));
        copy_elements<char>(c.out[0], i * row_bytes, c.in[0], row * row_bytes, row_bytes);
      }
    });
  }
};

// y = target, but row step * B + i is rows[i] where that is a row of target
//   target (n, ...), rows (B, ...) or (...) for B = 1, the same dtype -> y as target
struct PutRows {
  static constexpr OperatorText kText{2, "put_rows.v1", "y = target with row step * B + i replaced by rows[i]; rows past the end fall away",
                                      "moves bits", "scatter by position"};
  struct Args {
    int64_t n, width, batch;
    int64_t size;
  };
  static std::vector<AttrSpec> attrs() { return {}; }
  static std::vector<InPlace> in_place() { return {{0, 0}}; }
  static KnownCall known() { return {{f32({13, 3}), f32({4, 3})}, {}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(2).attributes(0).that([&] { return !in[0].shape.empty(); }, "operand 0 needs a first dimension");
    expect.that([&] { return in[0].dtype == in[1].dtype; }, "operands must have one dtype");
    expect.that([&] {
      const size_t whole = in[0].shape.size(), rank = in[1].shape.size();
      if (rank != whole && rank + 1 != whole) return false;
      for (size_t d = 1; d < whole; d++)
        if (in[0].shape[d] != in[1].shape[rank - whole + d]) return false;
      return true;
    }, "rows must have the shape of rows of the target");
    if (!expect.ok()) return expect.error();
    return Types{in[0]};
  }
  static Args args(const CallShape& call) {
    const int64_t n = call.in[0].shape[0], width = elements(call.in[0]) / n;
    return {n, width, elements(call.in[1]) / width, size_of(call.in[0].dtype)};
  }
  static uint64_t multiply_adds(const Args&) { return 0; }
  static uint64_t moved_bytes(const CallShape& call) { return 2 * static_cast<uint64_t>(bytes(call.in[1])); }
  KERNEL_FN static int64_t blocks(const Args&, size_t) { return 1; }
  KERNEL_FN static uint64_t first_row(const Args& a, const StepContext& step) {
    return step.step * static_cast<uint64_t>(a.batch);
  }
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext& step, size_t, int64_t e, int64_t, Carry, S& source) {
    const uint64_t at = static_cast<uint64_t>(e / a.width) - first_row(a, step);  // below the first row: huge
    if (at < static_cast<uint64_t>(a.batch)) return {source.bits(1, static_cast<int64_t>(at) * a.width + e % a.width), 0};
    return {source.bits(0, e), 0};
  }
  static void host(const Args& a, const HostCall& c) {
    require_cpu_state();
    const int64_t row_bytes = a.width * a.size;
    if (c.out[0] != c.in[0]) copy_elements<char>(c.out[0], 0, c.in[0], 0, a.n * row_bytes);
    const uint64_t first = first_row(a, c.step);
    if (first >= static_cast<uint64_t>(a.n)) return;
    const int64_t rows = least(a.batch, a.n - static_cast<int64_t>(first));
    copy_elements<char>(c.out[0], static_cast<int64_t>(first) * row_bytes, c.in[1], 0, rows * row_bytes);
  }
};

// A walk over row-major output that reads with any strides: what permute and broadcast are.
struct Strided {
  static constexpr int kRank = 6;
  struct Args {
    int64_t n;
    int64_t size;
    int64_t offset;  // of the first element read
    int32_t rank;    // after merging neighbours that are contiguous in both; >= 1
    int64_t dim[kRank], stride[kRank];
  };
  static Args merged(int64_t size, std::span<const int64_t> dim, std::span<const int64_t> stride) {
    Args a{};
    a.n = 1;
    a.size = size;
    for (size_t d = 0; d < dim.size(); d++) {
      a.n *= dim[d];
      if (dim[d] == 1) continue;
      if (a.rank > 0 && a.stride[a.rank - 1] == stride[d] * dim[d]) {
        a.dim[a.rank - 1] *= dim[d];
        a.stride[a.rank - 1] = stride[d];
      } else {
        a.dim[a.rank] = dim[d];
        a.stride[a.rank] = stride[d];
        a.rank++;
      }
    }
    if (a.rank == 0) {
      a.dim[0] = 1;
      a.stride[0] = 1;
      a.rank = 1;
    }
    return a;
  }
  static std::vector<InPlace> in_place() { return {}; }
  static uint64_t multiply_adds(const Args&) { return 0; }
  KERNEL_FN static int64_t blocks(const Args&, size_t) { return 1; }
  KERNEL_FN static int64_t from(const Args& a, int64_t e) {
    int64_t at = a.offset;
    for (int d = a.rank - 1; d > 0; d--) {
      const int64_t above = short_quotient(e, a.dim[d]);
      at += (e - above * a.dim[d]) * a.stride[d];
      e = above;
    }
    return at + e * a.stride[0];
  }
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t, int64_t e, int64_t, Carry, S& source) {
    return {source.bits(0, from(a, e)), 0};
  }

  template <class T>
  static void host_of(const Args& a, const HostCall& c) {
    const T* in = static_cast<const T*>(c.in[0]);
    T* out = static_cast<T*>(c.out[0]);
    const int last = a.rank - 1;
    const int64_t width = a.dim[last], stride = a.stride[last];
    // A transposition in the last two dimensions goes by tiles, so that both sides use whole cache lines.
    if (a.rank >= 2 && stride > 1 && a.stride[last - 1] == 1) {
      constexpr int64_t kTile = 16;
      const int64_t height = a.dim[last - 1], bands = blocks_of(height, kTile), outer = a.n / (width * height);
      parallel(c.pool, outer * bands, kGrain / (width * kTile) + 1, 1, [&](int64_t begin, int64_t end) {
        for (int64_t b = begin; b < end; b++) {
          const int64_t first = b % bands * kTile, rows = least(kTile, height - first);
          T* to = out + (b / bands * height + first) * width;
          const T* base = in + from(a, (b / bands * height + first) * width);
          if constexpr (sizeof(T) == 4) {
            pack_transposed(reinterpret_cast<float*>(to), width, reinterpret_cast<const float*>(base), stride, width, rows);
          } else {
            for (int64_t j = 0; j < width; j++)
              for (int64_t i = 0; i < rows; i++) to[i * width + j] = base[j * stride + i];
          }
        }
      });
      return;
    }
    parallel(c.pool, a.n / width, kGrain / width + 1, 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; r++) {
        const T* base = in + from(a, r * width);
        T* to = out + r * width;
        if (stride == 1) copy_elements<T>(to, 0, base, 0, width);
        else if (stride == 0)
          for (int64_t i = 0; i < width; i++) to[i] = *base;
        else
          for (int64_t i = 0; i < width; i++) to[i] = base[i * stride];
      }
    });
  }
  static void host(const Args& a, const HostCall& c) {
    by_size(a.size, [&](auto element) { host_of<decltype(element)>(a, c); });
  }
};

// y[i_0, i_1, ...] = x[...] with dimension d of y being dimension perm[d] of x
//   x any dtype, rank 1 .. 6
struct Permute : Strided {
  static constexpr OperatorText kText{3, "permute.v1", "dimension d of y is dimension perm[d] of x", "moves bits", "transposition"};
  static std::vector<AttrSpec> attrs() { return {{"perm..."}}; }
  static KnownCall known() { return {{f32({3, 4, 5})}, {2, 0, 1}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(1).that([&] { return in[0].shape.size() >= 1 && in[0].shape.size() <= kRank; }, "takes rank 1 .. 6");
    expect.that([&] { return attrs.size() == in[0].shape.size(); }, "needs one attribute a dimension");
    expect.that([&] {
      unsigned seen = 0;
      for (const int64_t d : attrs) {
        if (d < 0 || d >= static_cast<int64_t>(attrs.size()) || (seen >> d & 1)) return false;
        seen |= 1u << d;
      }
      return true;
    }, "needs a permutation of the dimensions");
    if (!expect.ok()) return expect.error();
    TensorType out = in[0];
    for (size_t d = 0; d < attrs.size(); d++) out.shape[d] = in[0].shape[static_cast<size_t>(attrs[d])];
    return Types{out};
  }
  static Args args(const CallShape& call) {
    int64_t stride_in[kRank], stride[kRank];
    const auto& shape = call.in[0].shape;
    int64_t step = 1;
    for (size_t d = shape.size(); d-- > 0; step *= shape[d]) stride_in[d] = step;
    for (size_t d = 0; d < shape.size(); d++) stride[d] = stride_in[call.attrs[d]];
    return merged(size_of(call.in[0].dtype), call.out[0].shape, {stride, shape.size()});
  }
};

// y = x repeated to the shape given by the attributes; numpy's alignment: dimensions from the last, 1 or missing repeats
//   any dtype, target rank 0 .. 6
struct Broadcast : Strided {
  static constexpr OperatorText kText{4, "broadcast.v1", "y[..., i, ...] = x[..., min(i, dim - 1), ...], dimensions aligned at the last",
                                      "moves bits", "numpy's broadcasting"};
  static std::vector<AttrSpec> attrs() { return {{"dims..."}}; }
  static KnownCall known() { return {{f32({4, 1, 3})}, {2, 4, 5, 3}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(1).that([&] { return attrs.size() <= kRank && in[0].shape.size() <= attrs.size(); },
                            "takes up to 6 target dimensions, no fewer than the operand has");
    expect.that([&] {
      const size_t skip = attrs.size() - in[0].shape.size();
      for (size_t d = 0; d < attrs.size(); d++)
        if (attrs[d] < 1 || (d >= skip && in[0].shape[d - skip] != 1 && in[0].shape[d - skip] != attrs[d])) return false;
      return true;
    }, "a dimension is neither 1 nor the target's");
    if (!expect.ok()) return expect.error();
    return Types{{in[0].dtype, {attrs.begin(), attrs.end()}}};
  }
  static Args args(const CallShape& call) {
    int64_t stride[kRank] = {};
    const auto& shape = call.in[0].shape;
    const size_t skip = call.attrs.size() - shape.size();
    int64_t step = 1;
    for (size_t d = shape.size(); d-- > 0; step *= shape[d]) stride[d + skip] = shape[d] == 1 ? 0 : step;
    return merged(size_of(call.in[0].dtype), call.out[0].shape, {stride, call.attrs.size()});
  }
};

// y = x in another dtype
//   f32 to an integer: toward zero, saturating, NaN -> 0;  to f32: to nearest even
//   integer to integer: the low bits, i32 sign-extended;  bf16 meets f32 alone, rounded to nearest even, any NaN 0x7FC0
struct Cast {
  static constexpr OperatorText kText{5, "cast.v1", "y = x as dtype; f32 to and from all, integer to integer",
                                      "to an integer toward zero, saturating, NaN to 0; to f32 and bf16 to nearest even; integers wrap", "IEEE 754-2019, 5.4.1"};
  struct Args {
    int64_t n;
    DType from, to;
  };
  static std::vector<AttrSpec> attrs() { return {{"dtype"}}; }
  static std::vector<InPlace> in_place() { return {}; }
  static KnownCall known() { return {{f32({5, 7})}, {static_cast<int64_t>(DType::i64)}, -300.0f, 300.0f}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(1).attributes(1).that([&] { return attrs[0] >= 0 && attrs[0] <= 255 && is_valid(static_cast<DType>(attrs[0])); }, "attribute 0 is no dtype");
    expect.that([&] {
      const DType from = in[0].dtype, to = static_cast<DType>(attrs[0]);
      return from != to && (from == DType::f32 || to == DType::f32 || (from != DType::bf16 && to != DType::bf16));
    }, "converts between f32 and another dtype, or between integers");
    if (!expect.ok()) return expect.error();
    return Types{{static_cast<DType>(attrs[0]), in[0].shape}};
  }
  static Args args(const CallShape& call) { return {elements(call.in[0]), call.in[0].dtype, call.out[0].dtype}; }
  static uint64_t multiply_adds(const Args& a) { return static_cast<uint64_t>(a.n); }
  KERNEL_FN static int64_t blocks(const Args&, size_t) { return 1; }

  KERNEL_FN static int64_t to_i64(float x) {
    if (x != x) return 0;
    if (x >= 0x1p63f) return INT64_MAX;
    if (x < -0x1p63f) return INT64_MIN;
    return static_cast<int64_t>(x);
  }
  KERNEL_FN static int32_t to_i32(float x) {
    const int64_t wide = to_i64(x);
    return static_cast<int32_t>(wide > INT32_MAX ? INT32_MAX : wide < INT32_MIN ? INT32_MIN : wide);
  }
  KERNEL_FN static uint8_t to_u8(float x) {
    const int64_t wide = to_i64(x);
    return static_cast<uint8_t>(wide > 255 ? 255 : wide < 0 ? 0 : wide);
  }
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t, int64_t e, int64_t, Carry, S& source) {
    const uint64_t bits = source.bits(0, e);
    if (a.from == DType::f32) {
      const float x = as_float(static_cast<uint32_t>(bits));
      if (a.to == DType::i64) return {static_cast<uint64_t>(to_i64(x)), 0};
      if (a.to == DType::i32) return {static_cast<uint32_t>(to_i32(x)), 0};
      if (a.to == DType::bf16) return {to_bf16(x), 0};
      return {to_u8(x), 0};
    }
    if (a.from == DType::bf16) return result(from_bf16(static_cast<uint16_t>(bits)));
    const int64_t x = a.from == DType::i32 ? static_cast<int32_t>(static_cast<uint32_t>(bits)) : static_cast<int64_t>(bits);
    if (a.to == DType::f32) return result(static_cast<float>(x));
    if (a.to == DType::i64) return {static_cast<uint64_t>(x), 0};
    if (a.to == DType::i32) return {static_cast<uint32_t>(x), 0};
    return {static_cast<uint8_t>(x), 0};
  }
  template <class To, class From, class Convert>
  static void host_of(const Args& a, const HostCall& c, Convert convert) {
    const From* in = static_cast<const From*>(c.in[0]);
    To* out = static_cast<To*>(c.out[0]);
    parallel(c.pool, a.n, kGrain, 64, [=](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) out[i] = convert(in[i]);
    });
  }
  template <class From>
  static void host_from(const Args& a, const HostCall& c) {
    if (a.to == DType::f32) host_of<float, From>(a, c, [](From x) { return static_cast<float>(x); });
    else if (a.to == DType::i64) host_of<int64_t, From>(a, c, [](From x) { return static_cast<int64_t>(x); });
    else if (a.to == DType::i32) host_of<int32_t, From>(a, c, [](From x) { return static_cast<int32_t>(x); });
    else host_of<uint8_t, From>(a, c, [](From x) { return static_cast<uint8_t>(x); });
  }
  static void host(const Args& a, const HostCall& c) {
    if (a.from == DType::i64) host_from<int64_t>(a, c);
    else if (a.from == DType::i32) host_from<int32_t>(a, c);
    else if (a.from == DType::u8) host_from<uint8_t>(a, c);
    else if (a.from == DType::bf16) host_of<float, uint16_t>(a, c, [](uint16_t x) { return from_bf16(x); });
    else if (a.to == DType::i64) host_of<int64_t, float>(a, c, [](float x) { return to_i64(x); });
    else if (a.to == DType::i32) host_of<int32_t, float>(a, c, [](float x) { return to_i32(x); });
    else if (a.to == DType::bf16) host_of<uint16_t, float>(a, c, [](float x) { return to_bf16(x); });
    else host_of<uint8_t, float>(a, c, [](float x) { return to_u8(x); });
  }
};

}  // namespace cairn::kernels::CAIRN_ISA
