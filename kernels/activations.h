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
  far = F(1.0f) - exp_of(select(t < F(10.0f), fused(far, t, negated(t)), F(-100.0f)));
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

// The normal distribution's tail below -|x|: Q = e^-x^2/2 R(|x|), by a polynomial of degree 13 for R on [0, 5.5], where it
// stays beyond: there x Q is below 2^-23.
template <class F>
struct NormalTail {
  F mills;  // R
  F power;  // e^-x^2/2 = power * 2^n
  F t;      // kMagic + n
};
template <class F>
KERNEL_FN NormalTail<F> normal_tail(F x) {
  const F a = limited(absolute(x), 0.0f, 15.0f), square = a * a, square_low = fused(a, a, negated(square));
  const ExpParts<F> e = exp_parts(F(-0.5f) * square);
  const F c = limited(a, 0.0f, 5.5f) - F(2.0f);
  F p = F(-0x1.82a006p-28f);
  p = fused(p, c, F(0x1.51b1eap-25f));
  p = fused(p, c, F(-0x1.ee051ep-24f));
  p = fused(p, c, F(0x1.9be248p-22f));
  p = fused(p, c, F(-0x1.0f3e28p-19f));
  p = fused(p, c, F(0x1.35a6b8p-17f));
  p = fused(p, c, F(-0x1.380914p-15f));
  p = fused(p, c, F(0x1.315182p-13f));
  p = fused(p, c, F(-0x1.207230p-11f));
  p = fused(p, c, F(0x1.0304eep-9f));
  p = fused(p, c, F(-0x1.b76106p-8f));
  p = fused(p, c, F(0x1.5d300cp-6f));
  p = fused(p, c, F(-0x1.00f9d8p-4f));
  p = fused(p, c, F(0x1.5845dcp-3f));
  return {p, e.high + fused(e.high, F(-0.5f) * square_low, e.low), e.t};
}
// x times the normal distribution below x: x Q below 0, x - x Q above.
template <class F>
KERNEL_FN F gelu_of(F x) {
  const NormalTail<F> tail = normal_tail(x);
  const F near = limited(x, -16.0f, 16.0f), m = tail.mills * tail.power;
  return with_sign(select(x < F(0.0f), scale(near * m, tail.t), fused(negated(near), scale(m, tail.t), x)), x);
}
// Its derivative: with E = e^-x^2/2 (R(|x|) - |x| / sqrt(2 pi)), E below 0, 1 - E above.
template <class F>
KERNEL_FN F gelu_slope(F x) {
  const NormalTail<F> tail = normal_tail(x);
  const F m = fused(limited(absolute(x), 0.0f, 16.0f), F(-0x1.988454p-2f), tail.mills), e = scale(m * tail.power, tail.t);
  return select(x < F(0.0f), e, F(1.0f) - e);
}

// x / (1 + e^-z), z and z_low two parts of an argument with the sign of x, |x| <= 125: rounded nearly once, also where the
// result is denormal.
template <class F>
KERNEL_FN F times_sigmoid(F x, F z, F z_low) {
  const auto negative = z < F(0.0f);
  const ExpParts<F> parts = exp_parts(limited(negated(absolute(z)), -125.0f, 0.0f));
  const F low = fused(parts.high, select(negative, z_low, negated(z_low)), parts.low);
  const F e = scale(parts.high, parts.t), sum = F(1.0f) + e, sum_low = (F(1.0f) - sum) + e + scale(low, parts.t);
  const F product = x * parts.high, product_low = fused(x, low, fused(x, parts.high, negated(product)));
  const F y = divide(select(negative, product, x), select(negative, product_low, F(0.0f)), sum, sum_low);
  return with_sign(select(negative, scale(y, parts.t), y), x);
}
template <class F>
KERNEL_FN F silu_of(F x) {
  const F near = limited(x, -125.0f, 125.0f), y = times_sigmoid(near, near, F(0.0f));
  return select(x > F(125.0f), x, y);
}

// x / (1 + e^-w), w = 2 sqrt(2 / pi) (x + 0.044715 x^3) in two parts.
template <class F>
KERNEL_FN F gelu_tanh_of(F x) {
  const F near = limited(x, -11.0f, 11.0f), square = near * near, square_low = fused(near, near, negated(square));
  const F p = fused(F(0x1.2444f2p-4f), square, F(0x1.988454p+0f));
  const F p_low = fused(F(0x1.2444f2p-4f), square, F(0x1.988454p+0f) - p) +
                  fused(F(0x1.49b16ap-29f), square, fused(F(0x1.2444f2p-4f), square_low, F(-0x1.857936p-25f)));
  const F w = p * near, w_low = fused(p_low, near, fused(p, near, negated(w)));
  const F y = times_sigmoid(near, w, w_low);
  return select(x > F(11.0f), x, y);
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
