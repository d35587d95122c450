// Running sums, products and extremes along the middle of three dimensions.
#pragma once

#include "kernels/ops/order.h"

namespace cairn::kernels::CAIRN_ISA {

// Base of a chain y[j] = y[j - 1] (op) x[j] over x (outer, n, inner), f32 or i64. Of f32 the chain is binary64, rounded where
// it becomes an element; of i64 it wraps.
template <class Op>
struct Scan {
  using Args = OrderedLines;
  static std::vector<AttrSpec> attrs() { return {}; }
  static std::vector<InPlace> in_place() { return {{0, 0}}; }
  static KnownCall known() { return {{f32({2, 300, 3})}, {}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(1).attributes(0).rank_is(0, 3);
    expect.that([&] { return in[0].dtype == DType::f32 || in[0].dtype == DType::i64; }, "takes f32 and i64");
    if (!expect.ok()) return expect.error();
    return Types{in[0]};
  }
  static Args args(const CallShape& call) { return ordered_lines(call.in[0]); }
  static uint64_t multiply_adds(const Args& a) { return static_cast<uint64_t>(a.outer * a.n * a.inner); }
  KERNEL_FN static int64_t blocks(const Args& a, size_t) { return blocks_of(a.n, kFoldBlock); }

  KERNEL_FN static double as_double(uint64_t bits) {
    double value;
    memcpy(&value, &bits, 8);
    return value;
  }
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t, int64_t e, int64_t block, Carry carry, S& source) {
    const int64_t t = e / a.inner % a.n, first = e - t * a.inner, end = least(t + 1, (block + 1) * kFoldBlock);
    const bool last = (block + 1) * kFoldBlock >= a.n;
    if (a.dtype == DType::i64) {
      uint64_t chain = block == 0 ? static_cast<uint64_t>(Op::kStart) : carry.lo;
      for (int64_t i = block * kFoldBlock; i < end; i++) chain = Op::step(chain, source.bits(0, first + i * a.inner));
      return {chain, 0};
    }
    double chain = block == 0 ? Op::kStart : as_double(carry.lo);
    for (int64_t i = block * kFoldBlock; i < end; i++) chain = Op::step(chain, static_cast<double>(source.f32(0, first + i * a.inner)));
    if (last) return result(static_cast<float>(chain));
    if (chain != chain) chain = as_double(uint64_t{0x7FF80000} << 32);  // one NaN
    memcpy(&carry.lo, &chain, 8);
    return carry;
  }

  template <class T, class Chain>
  static void host_of(const Args& a, const HostCall& c) {
    const T* x = static_cast<const T*>(c.in[0]);
    T* y = static_cast<T*>(c.out[0]);
    parallel(c.pool, a.outer * a.inner, kGrain / a.n + 1, 16, [&](int64_t begin, int64_t end) {
      constexpr int64_t kColumns = 64;
      Chain chain[kColumns];
      for (int64_t line = begin, m = 0; line < end; line += m) {
        m = least(kColumns, least(end - line, a.inner - line % a.inner));
        const int64_t first = line / a.inner * a.n * a.inner + line % a.inner;
        for (int64_t i = 0; i < m; i++) chain[i] = static_cast<Chain>(Op::kStart);
        for (int64_t j = 0; j < a.n; j++)
          for (int64_t i = 0; i < m; i++) {
            const int64_t at = first + j * a.inner + i;
            chain[i] = Op::step(chain[i], static_cast<Chain>(x[at]));
            if constexpr (std::is_same_v<T, float>) y[at] = canonical(static_cast<float>(chain[i]));
            else y[at] = static_cast<T>(chain[i]);
          }
      }
    });
  }
  static void host(const Args& a, const HostCall& c) {
    if (a.dtype == DType::i64) host_of<int64_t, uint64_t>(a, c);
    else host_of<float, double>(a, c);
  }
};

// y[o, j, c] = sum of x[o, i, c] over i <= j
struct Cumsum : Scan<Cumsum> {
  static constexpr OperatorText kText{206, "cumsum.v1", "y[o, j, c] = sum of x[o, i, c] over i <= j; f32, or i64 modulo 2^64",
                                      "a chain over i ascending from +0, binary64 for f32 and rounded to each y; blocks of 256", "prefix sums"};
  static constexpr double kStart = 0;
  template <class T>
  KERNEL_FN static T step(T chain, T x) {
    return chain + x;
  }
};

// y[o, j, c] = product of x[o, i, c] over i <= j
struct Cumprod : Scan<Cumprod> {
  static constexpr OperatorText kText{207, "cumprod.v1", "y[o, j, c] = product of x[o, i, c] over i <= j; f32, or i64 modulo 2^64",
                                      "a chain over i ascending from 1, binary64 for f32 and rounded to each y; blocks of 256", "prefix products"};
  static constexpr double kStart = 1;
  template <class T>
  KERNEL_FN static T step(T chain, T x) {
    return chain * x;
  }
};

// index[o, j, c] = the highest i <= j with the greatest x[o, i, c] of those, or the least; value[o, j, c] = x[o, index, c]
//   x (outer, n, inner) f32, i64, i32, u8 -> index i64, value, of its shape; a NaN is greater, or less, than everything
struct CumulativeExtremum {
  static constexpr OperatorText kText{208, "cumulative_extremum.v1", "index[j] = the highest i <= j with the greatest x[o, i, c], the least when `lowest` is 1; value = x at index; a NaN comes before both",
                                      "exact; value moves bits; blocks of 256", "prefix maxima"};
  using Args = Extremum::Args;
  static std::vector<AttrSpec> attrs() { return {{"lowest"}}; }
  static std::vector<InPlace> in_place() { return {}; }
  static KnownCall known() { return {{f32({2, 300, 5})}, {0}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    TRY_LET(lines, Extremum::infer(in, attrs));
    return Types{i64(in[0].shape), in[0]};
  }
  static Args args(const CallShape& call) { return Extremum::args(call); }
  static uint64_t multiply_adds(const Args& a) { return Extremum::multiply_adds(a); }
  KERNEL_FN static int64_t blocks(const Args& a, size_t out) { return Extremum::blocks(a, out); }

  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t out, int64_t e, int64_t block, Carry carry, S& source) {
    const OrderedLines& l = a.lines;
    const int64_t t = e / l.inner % l.n, first = e - t * l.inner, end = least(t + 1, (block + 1) * kFoldBlock);
    if (out == 1) return {source.bits(0, first + source.i64(1, e) * l.inner), 0};
    for (int64_t i = block * kFoldBlock; i < end; i++) {  // the carry: the index and its key
      const uint64_t key = of_dtype(l.dtype, source.bits(0, first + i * l.inner), [&](auto x) -> uint64_t { return Extremum::key_of(a, x); });
      if (key >= carry.hi) carry = {static_cast<uint64_t>(i), key};
    }
    return (block + 1) * kFoldBlock < l.n ? carry : Carry{carry.lo, 0};
  }
  template <class T>
  static void host_of(const Args& a, const HostCall& c) {
    const OrderedLines& l = a.lines;
    const T* x = static_cast<const T*>(c.in[0]);
    int64_t* index = static_cast<int64_t*>(c.out[0]);
    T* value = static_cast<T*>(c.out[1]);
    parallel(c.pool, l.outer * l.inner, kGrain / l.n + 1, 16, [&](int64_t begin, int64_t end) {
      for (int64_t line = begin; line < end; line++) {
        const int64_t first = line / l.inner * l.n * l.inner + line % l.inner;
        int64_t best = 0;
        for (int64_t j = 0; j < l.n; j++) {
          const int64_t at = first + j * l.inner;
          if (Extremum::key_of(a, x[at]) >= Extremum::key_of(a, x[first + best * l.inner])) best = j;
          index[at] = best;
          value[at] = x[first + best * l.inner];
        }
      }
    });
  }
  static void host(const Args& a, const HostCall& c) {
    with_dtype(a.lines.dtype, [&](auto element) { host_of<decltype(element)>(a, c); });
  }
};

// y[o, j, c] = log of the sum of e^x[o, i, c] over i <= j, by a running maximum m and a sum s of e^(x - m)
//   x (outer, n, inner) f32 -> y
//   a step: x > m: s = s * e^(m - x) + 1, m = x; else s = s + e^(x - m), e^0 = 1 where x = m;  y = m + log s
struct LogCumsumExp {
  static constexpr OperatorText kText{209, "logcumsumexp.v1", "y[o, j, c] = m + log s; from m = -inf, s = 0: x > m: s = s e^(m - x) + 1, m = x; else s = s + e^(x - m), 1 where x = m",
                                      "a chain over i ascending; exp.v1, log.v1; blocks of 256", "Milakov & Gimelshein 2018, the online normaliser"};
  using Args = OrderedLines;
  static std::vector<AttrSpec> attrs() { return {}; }
  static std::vector<InPlace> in_place() { return {{0, 0}}; }
  static KnownCall known() { return {{f32({2, 300, 5})}, {}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(1).attributes(0).type(0, DType::f32, 3);
    if (!expect.ok()) return expect.error();
    return Types{in[0]};
  }
  static Args args(const CallShape& call) { return ordered_lines(call.in[0]); }
  static uint64_t multiply_adds(const Args& a) { return static_cast<uint64_t>(30 * a.outer * a.n * a.inner); }
  KERNEL_FN static int64_t blocks(const Args& a, size_t) { return blocks_of(a.n, kFoldBlock); }

  static constexpr uint32_t kLowest = 0xFF800000u;  // -infinity
  template <class F>
  KERNEL_FN static void step(F x, F& max, F& sum) {
    const auto rises = x > max;
    const F power = exp_of(select(rises, max - x, x - max)), term = select(x == max, F(1.0f), power);
    sum = select(rises, sum * power + F(1.0f), sum + term);
    max = select(rises, x, max);
  }
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t, int64_t e, int64_t block, Carry carry, S& source) {
    const int64_t t = e / a.inner % a.n, first = e - t * a.inner, end = least(t + 1, (block + 1) * kFoldBlock);
    float max = as_float(block == 0 ? kLowest : static_cast<uint32_t>(carry.hi)), sum = as_float(static_cast<uint32_t>(carry.lo));
    for (int64_t i = block * kFoldBlock; i < end; i++) step(source.f32(0, first + i * a.inner), max, sum);
    if ((block + 1) * kFoldBlock >= a.n) return result(max + log_of(sum));
    return {as_bits(canonical(sum)), as_bits(max)};
  }
  static void host(const Args& a, const HostCall& c) {
    const float* x = in_f32(c, 0);
    float* y = out_f32(c, 0);
    parallel(c.pool, a.outer * a.inner, kGrain / 8 / a.n + 1, 16, [&](int64_t begin, int64_t end) {
      for (int64_t line = begin, m = 0; line < end; line += m) {
        m = least(kWidth, least(end - line, a.inner - line % a.inner));
        const int64_t first = line / a.inner * a.n * a.inner + line % a.inner;
        const int lanes = static_cast<int>(m);
        Vector max = constant<Vector>(kLowest), sum = Vector(0.0f);
        for (int64_t j = 0; j < a.n; j++) {
          const int64_t at = first + j * a.inner;
          step(read(x + at, lanes), max, sum);
          write(y + at, lanes, max + log_of(sum));
        }
      }
    });
  }
};

}  // namespace cairn::kernels::CAIRN_ISA
