// The error function, and activations that are a product with a smooth step, from the primitive set, over a float or a register
// of floats. Errors as in math.h.
#pragma once

#include "kernels/math.h"

namespace cairn::kernels::CAIRN_ISA {

// erf |x| = 1 - e^-p(|x|); an odd polynomial near 0. Source: Juffa 2016, erff with an error below 1 ulp.
template <class F>
KERNEL_FN F erf_of(F x) {
  const F t = absolute(x), square = x * x;
  F far = fused(F(-0x1.220000p-16f), t, F(0x1.91cfb2p-12f));
  far = fused(far, square, fused(F(-0x1.fd1438p-9f), t, F(0x1.8d6342p-6f)));
  far = fused(far, t, F(-0x1.b55cb8p-4f));
  far = fused(far, t, F(-0x1.450aa0p-1f));
  far = fused(far, t, F(-0x1.079d0cp-3f));
  const ExpReduced<F> e = exp_reduced(select(t < F(10.0f), fused(far, t, negated(t)), F(-100.0f)));
  const F unit = scale(F(1.0f), e.t);
  far = fused(negated(unit), exp_tail(e.r), F(1.0f) - unit);  // 1 - 2^n exact
  F near = F(-0x1.38e000p-11f);
  near = fused(near, square, F(0x1.471a58p-8f));
  near = fused(near, square, F(-0x1.b691b2p-6f));
  near = fused(near, square, F(0x1.ce1c44p-4f));
  near = fused(near, square, F(-0x1.812700p-2f));
  near = fused(near, square, F(0x1.06eba8p-3f));
  return select(is_nan(x), x, select(t > F(0x1.dbp-1f), with_sign(far, x), fused(near, x, x)));
}

// erfc |x| = e^-x^2 (1 + p(q)) / (1 + 2 |x|), q = (|x| - 2) / (|x| + 2). Source: Juffa 2016, erfcf.
template <class F>
KERNEL_FN F erfc_of(F x) {
  const F a = limited(absolute(x), 0.0f, 10.5f), sum = a + F(2.0f), inverse = F(1.0f) / sum;
  F q = fused(F(-4.0f), inverse, F(1.0f));
  const F rest = fused(negated(a), q, fused(q + F(1.0f), F(-2.0f), a));
  q = fused(inverse, rest, q);
  F p = F(-0x1.a4a000p-12f);
  p = fused(p, q, F(-0x1.42a260p-10f));
  p = fused(p, q, F(0x1.585714p-10f));
  p = fused(p, q, F(0x1.1adcc4p-7f));
  p = fused(p, q, F(-0x1.081b82p-7f));
  p = fused(p, q, F(-0x1.bc0b6ap-5f));
  p = fused(p, q, F(0x1.4ffc46p-3f));
  p = fused(p, q, F(-0x1.540840p-3f));
  p = fused(p, q, F(-0x1.7bf616p-4f));
  p = fused(p, q, F(0x1.1ba03ap-2f));
  const F over = F(1.0f) / fused(F(2.0f), a, F(1.0f)), y = fused(p, over, over);
  const F scaled = fused(fused(fused(y, negated(a), F(0.5f)), F(2.0f), p - y), over, y);
  const F square = a * a, square_low = fused(a, a, negated(square));
  const ExpParts<F> e = exp_parts(negated(square));
  const F m = scaled * (e.high + fused(negated(e.high), square_low, e.low));
  const F tail = scale(m, e.t);
  return select(x < F(0.0f), F(2.0f) - tail, tail);
}

// The normal distribution's tail below -|x|: Q = e^-x^2/2 / S(|x|), by a polynomial of degree 9 for S on [0, 5.6]; beyond, that is
// large enough for x Q to stay below 2^-23.
template <class F>
struct NormalTail {
  F size;   // |x|, at most 15
  F under;  // S
  F p, t;   // e^-x^2/2 = 2^n (1 + p), t = kMagic + n
};
template <class F>
KERNEL_FN NormalTail<F> normal_tail(F x) {
  const F a = at_most(absolute(x), 15.0f), half = F(-0.5f) * a;
  const F t = fused(half * a, F(0x1.715476p+0f), F(kMagic)), n = t - F(kMagic);
  const F r = fused(n, F(-0x1.7f7d1cp-20f), fused(half, a, n * F(-0x1.62e400p-1f)));  // n ln 2 in two parts, the first exact
  F under = F(0x1.cf3932p-21f);
  under = fused(under, a, F(-0x1.4c6382p-16f));
  under = fused(under, a, F(0x1.9ff6b0p-13f));
  under = fused(under, a, F(-0x1.212a64p-10f));
  under = fused(under, a, F(0x1.ae53f0p-9f));
  under = fused(under, a, F(-0x1.cc8f12p-12f));
  under = fused(under, a, F(-0x1.8936eap-5f));
  under = fused(under, a, F(0x1.17d170p-2f));
  under = fused(under, a, F(0x1.98842ep+0f));
  under = fused(under, a, F(2.0f));
  return {a, under, short_tail(r), t};
}
// x times the normal distribution below x: max(x, 0) - |x| Q.
template <class F>
KERNEL_FN F gelu_of(F x) {
  const NormalTail<F> tail = normal_tail(x);
  return with_sign(at_least(x, 0.0f) - scale(fused(tail.size, tail.p, tail.size) / tail.under, tail.t), x);
}
// Its derivative: with E = e^-x^2/2 (1 / S - |x| / sqrt(2 pi)), E below 0, 1 - E above.
template <class F>
KERNEL_FN F gelu_slope(F x) {
  const NormalTail<F> tail = normal_tail(x);
  const F m = fused(tail.size, F(-0x1.988454p-2f), F(1.0f) / tail.under), e = scale(fused(m, tail.p, m), tail.t);
  return select(x < F(0.0f), e, F(1.0f) - e);
}

// x / (1 + e^-w), given -|x| and e^-|w| = 2^n (1 + p), w of the sign of x: a product and a step rounded once each, also where the
// result is denormal.
template <class F>
KERNEL_FN F times_step(F x, F minus, F p, F t) {
  const SmoothStep<F> step = smooth_step(p, t);
  const auto negative = x < F(0.0f);
  const F base = scale_where(negative, minus, t) * step.q;
  return with_sign(fused(base, select(negative, fused(step.rest, step.high, p), step.rest), base), x);
}
template <class F>
KERNEL_FN F silu_of(F x) {
  const F minus = at_least(minus_size(x), -125.0f);
  const ExpReduced<F> e = exp_reduced(minus);
  return select(x > F(125.0f), x, times_step(x, minus, short_tail(e.r), e.t));
}

// x / (1 + e^-w), w = 2 sqrt(2 / pi) (x + 0.044715 x^3) in two parts.
template <class F>
KERNEL_FN F gelu_tanh_of(F x) {
  const F minus = at_least(minus_size(x), -11.0f), square = minus * minus, square_low = fused(minus, minus, negated(square));
  const F p = fused(F(0x1.2444f2p-4f), square, F(0x1.988454p+0f));
  const F p_low = fused(F(0x1.2444f2p-4f), square, F(0x1.988454p+0f) - p) +
                  fused(F(0x1.49b16ap-29f), square, fused(F(0x1.2444f2p-4f), square_low, F(-0x1.857936p-25f)));
  const F w = p * minus, w_low = fused(p_low, minus, fused(p, minus, negated(w)));
  const ExpReduced<F> e = exp_reduced(w);
  return select(x > F(11.0f), x, times_step(x, minus, short_tail(e.r + w_low), e.t));
}
// 1 / (1 + e^-z) and 1 / (1 + e^z), neither by a difference from 1.
template <class F>
struct TwoSigmoids {
  F above, below;
};
template <class F>
KERNEL_FN TwoSigmoids<F> two_sigmoids(F z) {
  const F e = exp_of(negated(absolute(z))), large = F(1.0f) / (F(1.0f) + e), small = e * large;
  const auto negative = z < F(0.0f);
  return {select(negative, small, large), select(negative, large, small)};
}
template <class F>
KERNEL_FN F gelu_tanh_slope(F x) {
  const F near = limited(x, -16.0f, 16.0f), square = near * near;
  const TwoSigmoids<F> s = two_sigmoids(near * fused(F(0x1.2444f2p-4f), square, F(0x1.988454p+0f)));
  const F inner = near * fused(F(3.0f * 0x1.2444f2p-4f), square, F(0x1.988454p+0f));
  return fused(s.above * s.below, inner, s.above);
}
// s (1 + x (1 - s)), s = 1 / (1 + e^-x)
template <class F>
KERNEL_FN F silu_slope(F x) {
  const F near = limited(x, -125.0f, 125.0f);
  const TwoSigmoids<F> s = two_sigmoids(near);
  return s.above * fused(near, s.below, F(1.0f));
}

// ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|)
template <class F>
KERNEL_FN F softplus_of(F x) {
  return select(x > F(0.0f), x, select(is_nan(x), x, F(0.0f))) + log1p_of(exp_of(negated(absolute(x))));
}

// tanh(softplus x) = n / (n + 2), n = e^x (e^x + 2); above 0 over e^2x, so that nothing overflows.
template <class F>
KERNEL_FN F mish_step(F x) {
  const F u = exp_of(negated(absolute(x)));
  const auto above = x > F(0.0f);
  const F n = select(above, fused(F(2.0f), u, F(1.0f)), u * (u + F(2.0f)));
  return n / (n + select(above, F(2.0f) * u * u, F(2.0f)));
}

}  // namespace cairn::kernels::CAIRN_ISA
