// Sine and its kin from the primitive set, over a float or a register of floats. Errors as in math.h.
#pragma once

#include "kernels/math.h"

namespace cairn::kernels::CAIRN_ISA {

// x = r + k pi / 2, |r| <= pi / 4: pi / 2 in three parts. For |x| <= 2^20, where k and what cancels are exact.
inline constexpr float kMostAngle = 0x1p20f;
template <class F>
struct Angle {
  F r;
  F t;  // kMagic + k
};
template <class F>
KERNEL_FN Angle<F> reduced_angle(F x) {
  const F t = fused(x, F(0x1.45f306p-1f), F(kMagic)), k = t - F(kMagic);
  const F r = fused(k, F(0x1.777a5cp-25f), fused(k, F(-0x1.921fb6p+0f), x));
  return {fused(k, F(0x1.ee59dap-50f), r), t};
}
template <class F>
KERNEL_FN F sine_near_zero(F r) {
  const F square = r * r;
  F p = F(0x1.80a000p-19f);
  p = fused(p, square, F(-0x1.a0690cp-13f));
  p = fused(p, square, F(0x1.111182p-7f));
  p = fused(p, square, F(-0x1.555556p-3f));
  return fused(p * square, r, r);
}
template <class F>
KERNEL_FN F cosine_near_zero(F r) {
  const F square = r * r;
  F p = F(0x1.9a8000p-16f);
  p = fused(p, square, F(-0x1.6c0efap-10f));
  p = fused(p, square, F(0x1.555550p-5f));
  p = fused(p, square, F(-0.5f));
  return fused(p, square, F(1.0f));
}
// sin(x + quarters pi / 2)
template <class F>
KERNEL_FN F turned_sine(F x, uint32_t quarters) {
  using I = typename Lane<F>::Int;
  const Angle<F> angle = reduced_angle(x);
  const I quarter = as_bits(angle.t) + I(quarters);
  const F y = select(to_float(quarter & I(1u)) == F(1.0f), cosine_near_zero(angle.r), sine_near_zero(angle.r));
  return select(absolute(x) <= F(kMostAngle), as_float(as_bits(y) ^ ((quarter & I(2u)) << 30)), constant<F>(kNan));
}
template <class F>
KERNEL_FN F sin_of(F x) {
  return select(x == F(0.0f), x, turned_sine(x, 0));
}
template <class F>
KERNEL_FN F cos_of(F x) {
  return turned_sine(x, 1);
}
template <class F>
KERNEL_FN F tan_of(F x) {
  using I = typename Lane<F>::Int;
  const Angle<F> angle = reduced_angle(x);
  const F sine = sine_near_zero(angle.r), cosine = cosine_near_zero(angle.r);
  const auto odd = to_float(as_bits(angle.t) & I(1u)) == F(1.0f);
  const F y = select(odd, negated(cosine), sine) / select(odd, sine, cosine);
  return select(x == F(0.0f), x, select(absolute(x) <= F(kMostAngle), y, constant<F>(kNan)));
}

// atan x = x + x^3 p(x^2) for |x| <= 1, pi / 2 - atan(1 / x) beyond.
template <class F>
KERNEL_FN F atan_near_zero(F x) {
  const F square = x * x;
  F p = F(-0x1.d5581ap-10f);
  p = fused(p, square, F(0x1.652948p-7f));
  p = fused(p, square, F(-0x1.fe581cp-6f));
  p = fused(p, square, F(0x1.da8a34p-5f));
  p = fused(p, square, F(-0x1.5820f8p-4f));
  p = fused(p, square, F(0x1.c092dep-4f));
  p = fused(p, square, F(-0x1.2420fap-3f));
  p = fused(p, square, F(0x1.9991eap-3f));
  p = fused(p, square, F(-0x1.55553ep-2f));
  return fused(p * square, x, x);
}
inline constexpr float kHalfPi = 0x1.921fb6p+0f, kHalfPiRest = -0x1.777a5cp-25f;
template <class F>
KERNEL_FN F atan_of(F x) {
  const F size = absolute(x);
  const auto beyond = size > F(1.0f);
  const F y = atan_near_zero(select(beyond, F(1.0f) / size, size));
  return with_sign(select(beyond, F(kHalfPi) - (y - F(kHalfPiRest)), y), x);
}
// The angle of (x, y): atan of the smaller over the larger, then turned into its eighth.
template <class F>
KERNEL_FN F atan2_of(F y, F x) {
  const F a = absolute(y), b = absolute(x);
  const auto steep = a > b;
  const F larger = select(steep, a, b), smaller = select(steep, b, a);
  const F ratio = select(smaller == larger, select(larger == F(0.0f), F(0.0f), F(1.0f)), smaller / larger);
  F angle = atan_near_zero(ratio);
  angle = select(steep, F(kHalfPi) - (angle - F(kHalfPiRest)), angle);
  angle = select(with_sign(F(1.0f), x) < F(0.0f), F(2.0f * kHalfPi) - (angle - F(2.0f * kHalfPiRest)), angle);
  return select(is_nan(x), x, select(is_nan(y), y, with_sign(angle, y)));
}

// asin x = x + x^3 p(x^2) for x <= 1/2.
template <class F>
KERNEL_FN F asin_near_zero(F x, F square) {
  F p = F(0x1.34db12p-5f);
  p = fused(p, square, F(0x1.d4fb38p-7f));
  p = fused(p, square, F(0x1.04d452p-5f));
  p = fused(p, square, F(0x1.6ca744p-5f));
  p = fused(p, square, F(0x1.3338acp-4f));
  p = fused(p, square, F(0x1.55554cp-3f));
  return fused(p * square, x, x);
}
// Beyond: pi / 2 - 2 asin sqrt((1 - x) / 2).
template <class F>
KERNEL_FN F asin_of(F x) {
  const F size = absolute(x);
  const auto beyond = size > F(0.5f);
  const F square = select(beyond, F(0.5f) - F(0.5f) * size, size * size), y = asin_near_zero(select(beyond, root(square), size), square);
  return with_sign(select(beyond, F(kHalfPi) - (y + y - F(kHalfPiRest)), y), x);
}
template <class F>
KERNEL_FN F acos_of(F x) {
  const F size = absolute(x);
  const auto beyond = size > F(0.5f);
  const F square = select(beyond, F(0.5f) - F(0.5f) * size, size * size), y = asin_near_zero(select(beyond, root(square), size), square);
  const F far = select(x < F(0.0f), F(2.0f * kHalfPi) - (y + y - F(2.0f * kHalfPiRest)), y + y);
  return select(beyond, far, F(kHalfPi) - (with_sign(y, x) - F(kHalfPiRest)));
}

// ---- the hyperbolic ones ---------------------------------------------------------------------------------------------------

// e^x / 2, which is finite where cosh is.
template <class F>
KERNEL_FN F half_exp(F x) {
  const ExpParts<F> e = exp_parts(limited(x, -104.5f, 90.0f));
  return scale(e.high, e.t - F(1.0f));
}
template <class F>
KERNEL_FN F sinh_of(F x) {
  const F size = absolute(x), e = expm1_of(size), half = half_exp(size);
  const F y = select(size < F(1.0f), F(0.5f) * (e + e / (e + F(1.0f))), half - F(0.25f) / half);
  return with_sign(select(size < F(0x1p-13f), size, y), x);
}
template <class F>
KERNEL_FN F cosh_of(F x) {
  const F half = half_exp(absolute(x));
  return half + F(0.25f) / half;
}

}  // namespace cairn::kernels::CAIRN_ISA
