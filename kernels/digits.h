// Numbers as signed digits of 8 bits under a common power of two: what the integer classes of products compute with.
//
//   x ~ q * 2^e,  q = 2^(8 (S-1)) d[0] + ... + 2^8 d[S-2] + d[S-1],  d[i] in [-128, 127], S = 2 or 3 digits
//
// e belongs to a group of numbers (128 of a row of A or of a column of B, or a whole row): the least e >= -126 for which the
// greatest |x| of the group rounds to a q that S digits hold. Then q = x * 2^-e, rounded to nearest even. A group with a NaN or
// an infinity has no e: every product with it is NaN.
//
// The product of two numbers keeps the digit products of weight >= S - 1 (counting from 0 at the lowest): 3 for S = 2, 6 for
// S = 3. Sums of these are exact integers, so their order is free and any engine gives the same bits.
//
// Source: Ootomo, Ozaki & Yokota 2024, "DGEMM on integer matrix multiplication unit", for splitting into digits.
#pragma once

#include "kernels/math.h"

namespace cairn::kernels::CAIRN_ISA {

inline constexpr int64_t kDigitBlock = 128;  // of k that share a scale, and a block of the fold
inline constexpr int32_t kNoExponent = 1 << 20;

// The digits' greatest q, and how far below the exponent of the greatest |x| its unit lies.
template <int S>
inline constexpr float kMostQ = S == 2 ? 32639.0f : 8355711.0f;
template <int S>
inline constexpr uint32_t kBelow = S == 2 ? 14 : 22;

// The exponent e of a group whose greatest |x| has these bits.
template <int S>
KERNEL_FN int32_t exponent_of(uint32_t greatest) {
  if (greatest >= 0x7F800000u) return kNoExponent;
  const uint32_t biased = greatest >> 23, least = 1 + kBelow<S>;  // e >= -126
  const int32_t e = static_cast<int32_t>(biased > least ? biased : least) - 127 - static_cast<int32_t>(kBelow<S>);
  const float unit = as_float(static_cast<uint32_t>(127 - e) << 23);
  return as_float(greatest) * unit >= kMostQ<S> + 0.5f ? e + 1 : e;
}
KERNEL_FN float unit_of(int32_t e) {  // 2^-e; 0 makes every q 0
  return e == kNoExponent ? 0.0f : as_float(static_cast<uint32_t>(127 - e) << 23);
}

template <int S>
struct Digits {
  int32_t d[S];  // highest first
};
// x * unit rounded to nearest even, where adding 2^23 leaves no fraction. Of a group's own e |x * unit| < 2^23; what a dispute
// brings under a false e is cut there.
template <int S>
KERNEL_FN Digits<S> digits_of(float x, float unit) {
  const float scaled = x * unit, size = absolute(scaled), cut = size < 0x1p23f ? size : 0x1p23f - 1.0f;
  const auto whole = static_cast<int32_t>((cut + 0x1p23f) - 0x1p23f);
  int32_t q = scaled < 0.0f ? -whole : whole;
  Digits<S> out;
  for (int i = S - 1; i > 0; i--) {
    out.d[i] = ((q + 128) & 255) - 128;
    q = (q - out.d[i]) >> 8;
  }
  out.d[0] = q;
  return out;
}

// The digit products of weight >= S - 1, as one integer in units of 2^(8 (S-1)).
template <int S>
KERNEL_FN int64_t product_of(const Digits<S>& a, const Digits<S>& b) {
  const auto times = [&](int i, int j) { return int64_t{a.d[i]} * b.d[j]; };
  if constexpr (S == 2) return times(0, 0) * 256 + times(0, 1) + times(1, 0);
  else return times(0, 0) * 65536 + (times(0, 1) + times(1, 0)) * 256 + times(0, 2) + times(1, 1) + times(2, 0);
}

// sum * 2^(ea + eb + 8 (S-1)), the sum rounded to f32 first, |sum| < 2^53; NaN without exponents. Where the second rounding
// matters, in the denormals, it is a rounding of its own.
template <int S>
KERNEL_FN float value_of(int64_t sum, int32_t ea, int32_t eb) {
  if (ea == kNoExponent || eb == kNoExponent) return as_float(kNan);
  return scale(static_cast<float>(static_cast<double>(sum)), kMagic + static_cast<float>(ea + eb + 8 * (S - 1)));
}

}  // namespace cairn::kernels::CAIRN_ISA
