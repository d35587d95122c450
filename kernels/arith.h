// The primitive set: what an operator may compute with.
//
// IEEE-754 binary32 add, subtract, multiply, divide, fused multiply-add, square root (all to nearest even), comparison,
// selection, integer operations and bit casts; nothing else. The same names exist for `float` (here: the definition, and
// CUDA) and for a register of floats (lanes.h), so a formula written once over `F` means the same bits everywhere.
//
// Everything an operator file holds lives in a namespace of the instruction set that it is compiled for: inline functions
// compiled for AVX-512 must never be merged by the linker with those that a plain machine runs.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/operator.h"

// KERNEL_AHEAD stands before a loop whose reads wait for none of its sums: a GPU then starts the reads of 16 turns together.
#ifdef __CUDACC__
#define KERNEL_FN __host__ __device__ inline
#define KERNEL_AHEAD _Pragma("unroll 16")
#else
#define KERNEL_FN inline __attribute__((always_inline))
#define KERNEL_AHEAD
#endif

#ifndef CAIRN_ISA
#define CAIRN_ISA isa_scalar
#endif

namespace cairn::kernels::CAIRN_ISA {

inline constexpr uint32_t kNan = 0x7FC00000;  // the one NaN that is ever stored
inline constexpr int64_t kSumBlock = 4096;    // elements a block of a recursive sum
inline constexpr int64_t kFoldBlock = 256;    // positions a block of a fold
inline constexpr int64_t kMaxColumns = 65536; // of a row that one element's fold reads whole: 256 KiB

KERNEL_FN float as_float(uint32_t bits) {
  float value;
  memcpy(&value, &bits, 4);
  return value;
}
KERNEL_FN uint32_t as_bits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  return bits;
}

// a * b + c, rounded once.
KERNEL_FN float fused(float a, float b, float c) {
#ifdef __CUDA_ARCH__
  return __fmaf_rn(a, b, c);
#else
  return __builtin_fmaf(a, b, c);
#endif
}
KERNEL_FN float root(float x) {
#ifdef __CUDA_ARCH__
  return __fsqrt_rn(x);
#else
  return __builtin_sqrtf(x);
#endif
}
KERNEL_FN float select(bool mask, float yes, float no) { return mask ? yes : no; }
KERNEL_FN uint32_t select(bool mask, uint32_t yes, uint32_t no) { return mask ? yes : no; }
KERNEL_FN bool is_nan(float x) { return x != x; }
KERNEL_FN bool any(bool mask) { return mask; }
KERNEL_FN bool unordered_or(float x, float limit) { return !(x < limit); }  // x >= limit, or a NaN
KERNEL_FN float at_least(float x, float low) { return x < low ? low : x; }  // a NaN stays
KERNEL_FN float at_most(float x, float high) { return x > high ? high : x; }
KERNEL_FN uint32_t shift_signed(uint32_t x, int by) {
  return static_cast<uint32_t>(static_cast<int32_t>(x) >> by);
}
KERNEL_FN float to_float(uint32_t x) { return static_cast<float>(static_cast<int32_t>(x)); }  // of a signed integer

// What `F` computes with beside floats.
template <class F>
struct Lane;
template <>
struct Lane<float> {
  static constexpr int kWidth = 1;
  using Int = uint32_t;
};

template <class F>
KERNEL_FN F constant(uint32_t bits) {
  return F(as_float(bits));
}
template <class F>
KERNEL_FN F absolute(F x) {
  return as_float(as_bits(x) & 0x7FFFFFFFu);
}
template <class F>
KERNEL_FN F negated(F x) {
  return as_float(as_bits(x) ^ typename Lane<F>::Int(0x80000000u));
}
template <class F>
KERNEL_FN F minus_size(F x) {  // -|x|
  return as_float(as_bits(x) | typename Lane<F>::Int(0x80000000u));
}
template <class F>
KERNEL_FN F limited(F x, float low, float high) {
  return at_least(at_most(x, high), low);
}
template <class F>
KERNEL_FN F with_sign(F size, F sign) {
  using I = typename Lane<F>::Int;
  return as_float((as_bits(size) & I(0x7FFFFFFFu)) | (as_bits(sign) & I(0x80000000u)));
}
template <class F>
KERNEL_FN F canonical(F x) {
  return select(is_nan(x), constant<F>(kNan), x);
}

// To bf16, to nearest even, any NaN as 0x7FC0; and back.
KERNEL_FN uint16_t to_bf16(float x) {
  const uint32_t bits = as_bits(x);
  return static_cast<uint16_t>(is_nan(x) ? 0x7FC0u : (bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}
KERNEL_FN float from_bf16(uint16_t x) { return canonical(as_float(uint32_t{x} << 16)); }

// An element's final carry.
KERNEL_FN Carry result(float value) { return {as_bits(canonical(value)), 0}; }

// a / b of what is not negative, by the shorter division where it does: a GPU divides by program, 64 bits five times as long.
KERNEL_FN int64_t short_quotient(int64_t a, int64_t b) {
  return ((a | b) >> 32) == 0 ? static_cast<int64_t>(static_cast<uint32_t>(a) / static_cast<uint32_t>(b)) : a / b;
}
KERNEL_FN int64_t blocks_of(int64_t n, int64_t block) { return n <= block ? 1 : (n + block - 1) / block; }
KERNEL_FN int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

// The recursive rule for sums, over term(0) .. term(n - 1), n <= 4096^2: blocks of 4096 consecutive terms; in a block 32
// strided lanes, each a chain, then a butterfly 16 8 4 2 1; the block results are reduced by the same rule. A missing lane
// is skipped: it holds -0, and x + -0 is x for every x.
template <class Term, class Op>
KERNEL_FN float reduce_block(int64_t n, Term term, float identity, Op op) {
  float lane[32];
  for (int l = 0; l < 32; l++) lane[l] = identity;
  for (int64_t i = 0; i < n; i++) lane[i & 31] = op(lane[i & 31], term(i));
  for (int w = 16; w > 0; w /= 2)
    for (int l = 0; l < w; l++) lane[l] = op(lane[l], lane[l + w]);
  return lane[0];
}
template <class Term>
KERNEL_FN float sum_block(int64_t n, Term term) {
  return reduce_block(n, term, -0.0f, [](float a, float b) { return a + b; });
}
template <class Term>
KERNEL_FN float sum_of(int64_t n, Term term) {
  if (n <= kSumBlock) return sum_block(n, term);
  return sum_block(blocks_of(n, kSumBlock), [&](int64_t block) {
    const int64_t first = block * kSumBlock;
    return sum_block(least(kSumBlock, n - first), [&](int64_t i) { return term(first + i); });
  });
}

// The greatest term: NaN if any is NaN, -0 as +0. Exact, so its order does not matter.
template <class F>
KERNEL_FN F greater(F a, F b) {
  return select(b > a, b, select(is_nan(b), b, a));
}
template <class Term>
KERNEL_FN float max_of(int64_t n, Term term) {
  float best = term(0);
  for (int64_t i = 1; i < n; i++) best = greater(best, term(i));
  return canonical(best + 0.0f);
}

// The lowest index of the greatest term; a NaN is greater than everything.
template <class Term>
KERNEL_FN int64_t argmax_of(int64_t n, Term term) {
  int64_t at = 0;
  float best = term(0);
  for (int64_t i = 1; i < n && !is_nan(best); i++) {
    const float x = term(i);
    if (x > best || is_nan(x)) {
      best = x;
      at = i;
    }
  }
  return at;
}

// A fold reduces by these, given its source: on a GPU a whole warp runs the fold of one element, and they share the work.
template <class S, class Term>
KERNEL_FN float sum_block(S&, int64_t n, Term term) {
  return sum_block(n, term);
}
template <class S, class Term>
KERNEL_FN float sum_of(S&, int64_t n, Term term) {
  return sum_of(n, term);
}
template <class S, class Term>
KERNEL_FN float max_of(S&, int64_t n, Term term) {
  return max_of(n, term);
}
template <class S, class Term>
KERNEL_FN int64_t argmax_of(S&, int64_t n, Term term) {
  return argmax_of(n, term);
}
template <class S, class Condition>
KERNEL_FN int64_t count_of(S&, int64_t n, Condition condition) {
  int64_t count = 0;
  for (int64_t i = 0; i < n; i++) count += condition(i);
  return count;
}

}  // namespace cairn::kernels::CAIRN_ISA
