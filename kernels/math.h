// exp, log, tanh, sigmoid from the primitive set, over a float or a register of floats. Errors are over all 2^32 inputs,
// against double precision, by tests/kernels/sweep.cc.
#pragma once

#include "kernels/arith.h"

namespace cairn::kernels::CAIRN_ISA {

// Adding it to a small number rounds that to an integer, which then stands in the low bits.
inline constexpr float kMagic = 0x1.8p23f;

// y * 2^n, rounded once, where t = kMagic + n: in two steps, of which only the second rounds, and only into the denormals.
// -252 <= n <= 254.
template <class F>
KERNEL_FN F scale(F y, F t) {
  using I = typename Lane<F>::Int;
  const I n = as_bits(t) - as_bits(F(kMagic)), half = shift_signed(n, 1);
  return (y * as_float((half + I(127u)) << 23)) * as_float((n - half + I(127u)) << 23);
}

// e^x = (high + low) * 2^n with |low| far below an ulp of high: Cody-Waite reduction by ln 2 in two parts, then a polynomial
// of degree 7. For -104.5 <= x <= 89; a NaN gives a NaN.
template <class F>
struct ExpParts {
  F high, low;
  F t;  // kMagic + n, for scale()
};
template <class F>
KERNEL_FN ExpParts<F> exp_parts(F x) {
  const F t = fused(x, F(0x1.715476p+0f), F(kMagic));
  const F n = t - F(kMagic);
  F r = fused(n, F(-0x1.62e400p-1f), x);
  r = fused(n, F(-0x1.7f7d1cp-20f), r);
  F p = F(0x1.a1267ep-13f);
  p = fused(p, r, F(0x1.6d44e4p-10f));
  p = fused(p, r, F(0x1.1110e0p-7f));
  p = fused(p, r, F(0x1.5554e8p-5f));
  p = fused(p, r, F(0x1.555556p-3f));
  p = fused(p, r, F(0.5f));
  p = fused(p, r * r, r);
  const F high = F(1.0f) + p;
  return {high, p - (high - F(1.0f)), t};
}

// e^x
template <class F>
KERNEL_FN F exp_of(F x) {
  const ExpParts<F> e = exp_parts(limited(x, -104.5f, 89.0f));  // beyond, the result is +0 and infinity anyway
  return scale(e.high, e.t);
}

// ln x for finite x >= 2^-126: k ln 2 + ln(1 + f), f in [-1/3, 1/3], polynomial of degree 11.
template <class F>
KERNEL_FN F log_normal(F x, F k_more) {
  using I = typename Lane<F>::Int;
  const I exponent = (as_bits(x) - I(0x3F2AAAABu)) & I(0xFF800000u);
  const F f = as_float(as_bits(x) - exponent) - F(1.0f);
  const F k = to_float(shift_signed(exponent, 23)) + k_more;
  F p = F(0x1.d01a22p-4f);
  p = fused(p, f, F(-0x1.fcd036p-4f));
  p = fused(p, f, F(0x1.bf1af0p-4f));
  p = fused(p, f, F(-0x1.f75896p-4f));
  p = fused(p, f, F(0x1.24b28cp-3f));
  p = fused(p, f, F(-0x1.557832p-3f));
  p = fused(p, f, F(0x1.999954p-3f));
  p = fused(p, f, F(-0x1.ffffb6p-3f));
  p = fused(p, f, F(0x1.555556p-2f));
  p = fused(p, f, F(-0.5f));
  p = fused(p, f * f, f);
  return fused(k, F(0x1.62e430p-1f), p);
}

// ln x
template <class F>
KERNEL_FN F log_of(F x) {
  const F kInfinity = constant<F>(0x7F800000u);
  const auto tiny = x < F(0x1p-126f);
  if (!any(tiny) && !any(unordered_or(x, kInfinity))) return log_normal(x, F(0.0f));
  const F y = log_normal(select(tiny, x * F(0x1p23f), x), select(tiny, F(-23.0f), F(0.0f)));
  return select(x < F(0.0f), constant<F>(kNan),
                select(x == F(0.0f), F(0.0f) - kInfinity, select(x == kInfinity, x, select(is_nan(x), x, y))));
}

// (a + a_low) / (b + b_low), nearly rounded once: one division, then a correction by its remainder.
template <class F>
KERNEL_FN F divide(F a, F a_low, F b, F b_low) {
  const F inverse = F(1.0f) / b;
  const F q = a * inverse;
  const F rest = fused(F(0.0f) - q, b, a) + fused(F(0.0f) - q, b_low, a_low);
  return fused(rest, inverse, q);
}

// 1 / (1 + e^-x): with e = e^-|x| it is 1 / (1 + e), or e / (1 + e) for negative x.
template <class F>
KERNEL_FN F sigmoid_of(F x) {
  const F z = F(0.0f) - absolute(x);
  const ExpParts<F> parts = exp_parts(limited(z, -104.5f, 0.0f));
  const F e = scale(parts.high, parts.t), e_low = scale(parts.low, parts.t);
  const F sum = F(1.0f) + e, sum_low = (F(1.0f) - sum) + e + e_low;
  const auto negative = x < F(0.0f);
  return divide(select(negative, e, F(1.0f)), select(negative, e_low, F(0.0f)), sum, sum_low);
}

// tanh |x| = 1 - 2 t / (1 + t), t = e^-2|x|; an odd polynomial below 1. The sign is copied, that of 0 too.
template <class F>
KERNEL_FN F tanh_of(F x) {
  using I = typename Lane<F>::Int;
  const F size = absolute(x);
  const ExpParts<F> parts = exp_parts(limited(F(-2.0f) * size, -104.5f, 0.0f));
  const F t = scale(parts.high, parts.t);
  const F large = F(1.0f) - (t + t) / (F(1.0f) + t);
  const F square = size * size;
  F p = F(-0x1.969254p-15f);
  p = fused(p, square, F(0x1.6217ecp-12f));
  p = fused(p, square, F(-0x1.459fc8p-10f));
  p = fused(p, square, F(0x1.c7eb48p-9f));
  p = fused(p, square, F(-0x1.2137f4p-7f));
  p = fused(p, square, F(0x1.66324ap-6f));
  p = fused(p, square, F(-0x1.ba1a40p-5f));
  p = fused(p, square, F(0x1.11110ep-3f));
  p = fused(p, square, F(-0x1.555556p-2f));
  const F small = fused(size * square, p, size);
  const F y = select(size < F(1.0f), small, large);
  return as_float(as_bits(y) | (as_bits(x) & I(0x80000000u)));
}

}  // namespace cairn::kernels::CAIRN_ISA
