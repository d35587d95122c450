// exp, log, powers, tanh, sigmoid, rounding from the primitive set, over a float or a register of floats. Errors are over all
// 2^32 inputs, against double precision, by tests/kernels/sweep.cc.
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

// The same where `mask` holds, elsewhere y.
template <class Mask, class F>
KERNEL_FN F scale_where(Mask mask, F y, F t) {
  return select(mask, scale(y, t), y);
}

// e^r - 1 for |r| <= 0.35: a polynomial of degree 7.
template <class F>
KERNEL_FN F exp_tail(F r) {
  F p = F(0x1.a1267ep-13f);
  p = fused(p, r, F(0x1.6d44e4p-10f));
  p = fused(p, r, F(0x1.1110e0p-7f));
  p = fused(p, r, F(0x1.5554e8p-5f));
  p = fused(p, r, F(0x1.555556p-3f));
  p = fused(p, r, F(0.5f));
  return fused(p, r * r, r);
}

// (e^r - 1 - r) / r^2 for |r| <= 0.35, so that e^r is within 2^-28: for what rounds more than once anyway.
template <class F>
KERNEL_FN F exp_bend(F r) {
  F p = F(0x1.6a5234p-10f);
  p = fused(p, r, F(0x1.12396cp-7f));
  p = fused(p, r, F(0x1.5558aap-5f));
  p = fused(p, r, F(0x1.555492p-3f));
  return fused(p, r, F(0x1.fffffcp-2f));
}
// e^r - 1 by it.
template <class F>
KERNEL_FN F short_tail(F r) {
  return fused(exp_bend(r), r * r, r);
}

// x = r + n ln 2: Cody-Waite reduction by ln 2 in two parts. For |x| <= 125; a NaN gives a NaN.
template <class F>
struct ExpReduced {
  F r;
  F t;            // kMagic + n, for scale()
  F first, last;  // r in two parts, the first exact
};
template <class F>
KERNEL_FN ExpReduced<F> exp_reduced(F x) {
  const F t = fused(x, F(0x1.715476p+0f), F(kMagic));
  const F n = t - F(kMagic);
  const F first = fused(n, F(-0x1.62e400p-1f), x);
  return {fused(n, F(-0x1.7f7d1cp-20f), first), t, first, n * F(-0x1.7f7d1cp-20f)};
}

// e^x = (high + low) * 2^n with |low| far below an ulp of high.
template <class F>
struct ExpParts {
  F high, low;
  F t;
};
template <class F>
KERNEL_FN ExpParts<F> exp_parts(F x) {
  const ExpReduced<F> e = exp_reduced(x);
  const F p = exp_tail(e.r), high = F(1.0f) + p;
  return {high, p - (high - F(1.0f)), e.t};
}

// e^x
template <class F>
KERNEL_FN F exp_of(F x) {
  const ExpParts<F> e = exp_parts(limited(x, -104.5f, 89.0f));  // beyond, the result is +0 and infinity anyway
  return scale(e.high, e.t);
}

// 2^x: e^(r ln 2) for r = x - n, its exponent in two parts.
template <class F>
KERNEL_FN F exp2_of(F x) {
  x = limited(x, -151.0f, 129.0f);
  const F t = x + F(kMagic), r = x - (t - F(kMagic));
  const F z = r * F(0x1.62e430p-1f), z_low = fused(r, F(-0x1.05c610p-29f), fused(r, F(0x1.62e430p-1f), negated(z)));
  const F p = exp_tail(z);
  return scale(F(1.0f) + (p + fused(p, z_low, z_low)), t);
}

// e^x - 1: 2^n (e^r - 1) + (2^n - 1), halved, as 2^128 is no float.
template <class F>
KERNEL_FN F expm1_of(F x) {
  const ExpReduced<F> e = exp_reduced(limited(x, -104.5f, 89.0f));
  const F half = scale(F(0.5f), e.t), y = fused(half, exp_tail(e.r), half - F(0.5f));
  return select(absolute(x) < F(0x1p-26f), x, y + y);
}

// ln x = k ln 2 + ln(1 + f) for finite x >= 2^-126, f in [-1/3, 1/3]; the logarithm of 1 + f by a polynomial of degree 11.
template <class F>
struct LogParts {
  F k, p;
};
template <class F>
KERNEL_FN LogParts<F> log_parts(F x, F k_more) {
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
  return {k, fused(p, f * f, f)};
}
template <class F>
KERNEL_FN F log_normal(F x, F k_more) {
  const LogParts<F> e = log_parts(x, k_more);
  return fused(e.k, F(0x1.62e430p-1f), e.p);
}

// A logarithm of any x, given that of a positive, finite x * 2^-k_more that is not denormal.
template <class F, class Normal>
KERNEL_FN F log_anywhere(F x, Normal normal) {
  const F kInfinity = constant<F>(0x7F800000u);
  const auto tiny = x < F(0x1p-126f);
  if (!any(tiny) && !any(unordered_or(x, kInfinity))) return normal(x, F(0.0f));
  const F y = normal(select(tiny, x * F(0x1p23f), x), select(tiny, F(-23.0f), F(0.0f)));
  return select(x < F(0.0f), constant<F>(kNan),
                select(x == F(0.0f), F(0.0f) - kInfinity, select(x == kInfinity, x, select(is_nan(x), x, y))));
}
template <class F>
KERNEL_FN F log_of(F x) {
  return log_anywhere(x, [](F v, F k) { return log_normal(v, k); });
}
template <class F>
KERNEL_FN F log2_of(F x) {
  return log_anywhere(x, [](F v, F more) {
    const LogParts<F> e = log_parts(v, more);
    return fused(e.p, F(0x1.715476p+0f), fused(e.p, F(0x1.4ae0c0p-26f), e.k));
  });
}
template <class F>
KERNEL_FN F log10_of(F x) {
  return log_anywhere(x, [](F v, F more) {
    const LogParts<F> e = log_parts(v, more);  // log10 2 with 16 bits to spare for k, and the rest
    return fused(e.k, F(0x1.344000p-2f), fused(e.p, F(0x1.bcb7b2p-2f), fused(e.k, F(0x1.3509f8p-18f), e.p * F(-0x1.5b235ep-27f))));
  });
}
// ln(1 + x): the logarithm of the rounded sum, and what rounding lost, divided by it.
template <class F>
KERNEL_FN F log1p_of(F x) {
  const F u = F(1.0f) + x, lost = x - (u - F(1.0f));
  const F whole = log_of(u), y = whole + lost / u;
  return select(absolute(x) < F(0x1p-26f), x, select(u == F(0.0f), whole, select(x < constant<F>(0x7F800000u), y, x)));
}

// For e = 2^n (1 + p) <= 1:  1 / (1 + e) = q (1 + rest), q rounded once and what that lost found without another division, as
// 1 - q - q 2^n is exact;  e / (1 + e) = part (1 + p + rest (1 + p)).
template <class F>
struct SmoothStep {
  F q, rest;
  F part;  // q 2^n
  F high;  // 1 + p
};
template <class F>
KERNEL_FN SmoothStep<F> smooth_step(F p, F t) {  // t = kMagic + n
  const F high = F(1.0f) + p, unit = scale(F(1.0f), t), q = F(1.0f) / fused(unit, high, F(1.0f)), part = q * unit;
  return {q, fused(negated(part), p, (F(1.0f) - q) - part), part, high};
}

// 1 / (1 + e^-x): with e = e^-|x| it is 1 / (1 + e), or e / (1 + e) for negative x.
template <class F>
KERNEL_FN F sigmoid_of(F x) {
  const ExpReduced<F> e = exp_reduced(at_least(minus_size(x), -104.5f));
  const F bend = fused(exp_bend(e.r), e.r * e.r, e.last);
  const SmoothStep<F> step = smooth_step(e.first + bend, e.t);
  const auto negative = x < F(0.0f);
  const F base = select(negative, step.part, step.q);
  return fused(base, select(negative, e.first + fused(step.rest, step.high, bend), step.rest), base);
}

// tanh |x| = 1 - 2 / (1 + e^2|x|); an odd polynomial below 1. The sign is copied, that of 0 too.
template <class F>
KERNEL_FN F tanh_of(F x) {
  const F size = at_most(absolute(x), 20.0f);  // where it is 1
  const F t = fused(size, F(0x1.715476p+1f), F(kMagic)), n = t - F(kMagic);
  const F r = fused(size, F(-0x1.4ae0c0p-25f), fused(size, F(-0x1.715476p+1f), n));  // n - 2 |x| log2 e, that in two parts
  F p = F(0x1.416b52p-13f);  // e^2|x| = 2^n (1 + r p) for |r| <= 1/2
  p = fused(p, r, F(-0x1.5f082ep-10f));
  p = fused(p, r, F(0x1.3b2de0p-7f));
  p = fused(p, r, F(-0x1.c6af7cp-5f));
  p = fused(p, r, F(0x1.ebfbdcp-3f));
  p = fused(p, r, F(-0x1.62e430p-1f));
  const F unit = scale(F(1.0f), t), large = F(1.0f) - F(2.0f) / fused(unit, r * p, F(1.0f) + unit);
  const F square = size * size;
  F q = F(-0x1.77d4c6p-12f);
  q = fused(q, square, F(0x1.2da29cp-9f));
  q = fused(q, square, F(-0x1.04608cp-7f));
  q = fused(q, square, F(0x1.6009c4p-6f));
  q = fused(q, square, F(-0x1.b9623cp-5f));
  q = fused(q, square, F(0x1.110be4p-3f));
  q = fused(q, square, F(-0x1.55553cp-2f));
  return with_sign(select(size < F(1.0f), fused(size * square, q, size), large), x);
}

// ---- rounding to integers: exact; the sign of zero stays ------------------------------------------------------------------

template <class F>
KERNEL_FN F round_even(F x) {
  const F size = absolute(x);
  return select(size < F(0x1p23f), with_sign((size + F(0x1p23f)) - F(0x1p23f), x), x);
}
template <class F>
KERNEL_FN F floor_of(F x) {
  const F y = round_even(x);
  return select(y > x, y - F(1.0f), y);
}
template <class F>
KERNEL_FN F ceil_of(F x) {
  const F y = round_even(x);
  return select(y < x, with_sign(y + F(1.0f), x), y);
}
template <class F>
KERNEL_FN F truncated(F x) {
  const F size = absolute(x), y = round_even(size);
  return with_sign(select(y > size, y - F(1.0f), y), x);
}

// x - trunc(x / y) y, exact, with the sign of x: each round takes 23 bits off the quotient, of which the last may be one too
// many. NaN where |x / y| >= 2^128.
template <class F>
KERNEL_FN F fmod_of(F x, F y) {
  const F size = absolute(y);
  F r = absolute(x);
  for (int round = 0; round < 6; round++) {
    r = fused(negated(truncated(r / size)), size, r);
    if (!any(size <= absolute(r))) break;
  }
  r = with_sign(select(r < F(0.0f), r + size, r), x);
  return select(size == constant<F>(0x7F800000u), select(absolute(x) < size, x, constant<F>(kNan)), r);
}
// The same with the sign of y.
template <class F>
KERNEL_FN F remainder_of(F x, F y) {
  const F r = fmod_of(x, y);
  return select(r * with_sign(F(1.0f), y) < F(0.0f), r + y, r);
}

// ---- powers ----------------------------------------------------------------------------------------------------------------

// x^y = e^(y ln x), logarithm and product in two parts: <= 4 ulp where the result is normal.
template <class F>
KERNEL_FN F pow_of(F x, F y) {
  using I = typename Lane<F>::Int;
  const F kInfinity = constant<F>(0x7F800000u), size = absolute(x);
  const auto tiny = size < F(0x1p-126f);
  const F normal = select(tiny, size * F(0x1p23f), size);
  const I exponent = (as_bits(normal) - I(0x3F2AAAABu)) & I(0xFF800000u);
  const F f = as_float(as_bits(normal) - exponent) - F(1.0f);
  const F k = to_float(shift_signed(exponent, 23)) + select(tiny, F(-23.0f), F(0.0f));
  // ln(1 + f) = f - f^2 / 2 + f^3 p
  F p = F(-0x1.d329b0p-4f);
  p = fused(p, f, F(0x1.f033d8p-4f));
  p = fused(p, f, F(-0x1.87b576p-4f));
  p = fused(p, f, F(0x1.b741c0p-4f));
  p = fused(p, f, F(-0x1.009420p-3f));
  p = fused(p, f, F(0x1.25042ap-3f));
  p = fused(p, f, F(-0x1.5550f4p-3f));
  p = fused(p, f, F(0x1.9996dep-3f));
  p = fused(p, f, F(-0x1.000006p-2f));
  p = fused(p, f, F(0x1.555558p-2f));
  const F square = f * f, half = F(-0.5f) * square, high = f + half;
  const F cube = fused(f * square, p, ((f - high) + half) + F(-0.5f) * fused(f, f, negated(square)));
  const F log = high + cube, low = (high - log) + cube;
  const F whole = k * F(0x1.62e400p-1f), sum = whole + log;  // k ln 2 is larger than the rest, or 0
  const F rest = fused(k, F(0x1.7f7d1cp-20f), ((whole - sum) + log) + low);
  const F z = y * sum, z_low = fused(y, sum, negated(z)) + y * rest;
  const ExpParts<F> e = exp_parts(limited(z, -104.5f, 89.0f));
  const F more = select(absolute(z) < F(104.0f), fused(e.high, z_low, e.low), F(0.0f));
  F result = scale(e.high + more, e.t);
  result = select(size == F(0.0f), select(y < F(0.0f), kInfinity, F(0.0f)), result);
  result = select(size == kInfinity, select(y < F(0.0f), F(0.0f), kInfinity), result);
  result = select(size == F(1.0f), F(1.0f), result);
  // Below 0: the sign of an odd power, and no value where y is no integer.
  const F half_y = F(0.5f) * y, odd_sign = select(truncated(half_y) == half_y, F(1.0f), x);
  const F signed_result = select(truncated(y) == y, with_sign(result, odd_sign), result);
  result = select(select(x < F(0.0f), size, F(0.0f)) == F(0.0f), signed_result,
                  select(truncated(y) == y, signed_result, select(size == kInfinity, result, constant<F>(kNan))));
  result = select(is_nan(x), x, select(is_nan(y), y, result));
  return select(y == F(0.0f), F(1.0f), select(x == F(1.0f), F(1.0f), result));
}

}  // namespace cairn::kernels::CAIRN_ISA
