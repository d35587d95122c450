// Activations and their gradients, element by element: ELEMENTWISE lines as in elementwise.h. A gradient takes grad first.
#pragma once

#include "kernels/ops/elementwise.h"

namespace cairn::kernels::CAIRN_ISA {

// ---- by cases: one or two roundings ------------------------------------------------------------------------------------------

ELEMENTWISE(Relu, 1, (F x), (), 1, 30, "relu.v1", "y = x <= 0 ? +0 : x", "exact; a NaN stays", "Fukushima 1969",
            select(x <= F(0.0f), F(0.0f), x))
ELEMENTWISE(ReluBackward, 2, (F grad, F x), ("scalar"), 1, 31, "relu_backward.v1", "dx = x > threshold ? grad : +0; operands grad, x", "exact",
            "derivative of relu.v1; threshold 0", select(x > F(s[0]), grad, F(0.0f)))
ELEMENTWISE(Threshold, 1, (F x), ("threshold", "value"), 1, 190, "threshold.v1", "y = x <= threshold ? value : x", "exact; a NaN stays",
            "torch.nn.Threshold", select(x <= F(s[0]), F(s[1]), x))
ELEMENTWISE(ClampBackward, 2, (F grad, F x), ("low", "high"), 1, 185, "clamp_backward.v1", "dx = low < x < high ? grad : +0; operands grad, x",
            "exact", "derivative of clamp.v1", select(x > F(s[0]), select(x < F(s[1]), grad, F(0.0f)), F(0.0f)))
ELEMENTWISE(LeakyRelu, 1, (F x), ("slope"), 1, 177, "leaky_relu.v1", "y = x > 0 ? x : x * slope", "one product", "Maas et al. 2013",
            select(x > F(0.0f), x, x * F(s[0])))
ELEMENTWISE(LeakyReluBackward, 2, (F grad, F x), ("slope"), 1, 178, "leaky_relu_backward.v1",
            "dx = x > 0 ? grad : grad * slope; operands grad, x", "one product", "derivative of leaky_relu.v1",
            select(x > F(0.0f), grad, grad * F(s[0])))
ELEMENTWISE(Prelu, 2, (F x, F w), (), 1, 351, "prelu.v1", "y = x > 0 ? x : w * x", "one product", "He et al. 2015", select(x > F(0.0f), x, w * x))
ELEMENTWISE(PreluBackward, 3, (F grad, F x, F w), (), 1, 352, "prelu_backward.v1", "dx = x > 0 ? grad : w * grad; operands grad, x, w",
            "one product", "derivative of prelu.v1", select(x > F(0.0f), grad, w * grad))
ELEMENTWISE(PreluBackwardWeight, 2, (F grad, F x), (), 1, 353, "prelu_backward_weight.v1", "dw = x > 0 ? +0 : x * grad; operands grad, x",
            "one product", "derivative of prelu.v1", select(x > F(0.0f), F(0.0f), x * grad))
ELEMENTWISE(Hardsigmoid, 1, (F x), (), 4, 182, "hardsigmoid.v1", "y = min(max(x + 3, 0), 6) / 6", "a sum, a division", "Courbariaux et al. 2015",
            limited(x + F(3.0f), 0.0f, 6.0f) / F(6.0f))
ELEMENTWISE(HardsigmoidBackward, 2, (F grad, F x), (), 4, 183, "hardsigmoid_backward.v1", "dx = -3 < x < 3 ? grad / 6 : +0; operands grad, x",
            "one division", "derivative of hardsigmoid.v1",
            select(x > F(-3.0f), select(x < F(3.0f), grad / F(6.0f), F(0.0f)), F(0.0f)))
ELEMENTWISE(Hardswish, 1, (F x), (), 4, 180, "hardswish.v1", "y = x * min(max(x + 3, 0), 6) / 6", "a sum, a product, a division",
            "Howard et al. 2019", x * limited(x + F(3.0f), 0.0f, 6.0f) / F(6.0f))
ELEMENTWISE(HardswishBackward, 2, (F grad, F x), (), 4, 181, "hardswish_backward.v1",
            "dx = x <= -3 ? +0 : x < 3 ? grad * (x / 3 + 0.5) : grad; operands grad, x", "a division, a sum, a product",
            "derivative of hardswish.v1",
            select(x <= F(-3.0f), F(0.0f), select(x < F(3.0f), grad * (x / F(3.0f) + F(0.5f)), grad)))
ELEMENTWISE(Softshrink, 1, (F x), ("lambda"), 1, 349, "softshrink.v1", "y = x > lambda ? x - lambda : x < -lambda ? x + lambda : x * 0", "one sum",
            "Donoho 1995", select(x > F(s[0]), x - F(s[0]), select(x < F(-s[0]), x + F(s[0]), x * F(0.0f))))
ELEMENTWISE(Hardshrink, 1, (F x), ("lambda"), 1, 350, "hardshrink.v1", "y = |x| <= lambda ? +0 : x", "exact; a NaN stays", "Donoho 1995",
            select(absolute(x) <= F(s[0]), F(0.0f), x))
ELEMENTWISE(ShrinkBackward, 2, (F grad, F x), ("lambda"), 1, 354, "shrink_backward.v1", "dx = |x| <= lambda ? +0 : grad; operands grad, x", "exact",
            "derivative of softshrink.v1 and hardshrink.v1", select(absolute(x) <= F(s[0]), F(0.0f), grad))

// ---- by exponentials ---------------------------------------------------------------------------------------------------------

ELEMENTWISE(Sigmoid, 1, (F x), (), 24, 35, "sigmoid.v1", "y = 1 / (1 + e^-x)", "the formulas of math.h; <= 1 ulp", "Verhulst 1838", sigmoid_of(x))
ELEMENTWISE(SigmoidBackward, 2, (F grad, F y), (), 3, 171, "sigmoid_backward.v1", "dx = grad (1 - y) y; operands grad, y", "from left to right",
            "derivative of sigmoid.v1", grad * (F(1.0f) - y) * y)
ELEMENTWISE(TanhBackward, 2, (F grad, F y), (), 2, 172, "tanh_backward.v1", "dx = grad (1 - y^2); operands grad, y",
            "1 - y^2 rounded once, one product", "derivative of tanh.v1", grad * fused(negated(y), y, F(1.0f)))
ELEMENTWISE(Silu, 1, (F x), (), 24, 169, "silu.v1", "y = x / (1 + e^-x)", "the formulas of activations.h; <= 2 ulp", "Elfwing et al. 2017", silu_of(x))
ELEMENTWISE(SiluBackward, 2, (F grad, F x), (), 24, 170, "silu_backward.v1", "dx = grad s (1 + x (1 - s)), s = 1 / (1 + e^-x); operands grad, x",
            "s and 1 - s from e^-|x| by one division, slope within 2^-22; one product", "derivative of silu.v1", grad * silu_slope(x))
ELEMENTWISE(Gelu, 1, (F x), (), 32, 165, "gelu.v1", "y = x (1 + erf(x / sqrt 2)) / 2",
            "the formulas of activations.h; <= 4 ulp for x > -4, absolute error <= 2^-25 elsewhere", "Hendrycks & Gimpel 2016", gelu_of(x))
ELEMENTWISE(GeluBackward, 2, (F grad, F x), (), 32, 166, "gelu_backward.v1", "dx = grad ((1 + erf(x / sqrt 2)) / 2 + x e^(-x^2 / 2) / sqrt(2 pi)); operands grad, x",
            "the formulas of activations.h, slope within 2^-22; one product", "derivative of gelu.v1", grad * gelu_slope(x))
ELEMENTWISE(GeluTanh, 1, (F x), (), 32, 167, "gelu_tanh.v1", "y = x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2",
            "the formulas of activations.h; <= 4 ulp for x > -4, absolute error <= 2^-25 elsewhere", "Hendrycks & Gimpel 2016", gelu_tanh_of(x))
ELEMENTWISE(GeluTanhBackward, 2, (F grad, F x), (), 32, 168, "gelu_tanh_backward.v1", "dx = grad times the derivative of gelu_tanh.v1 at x; operands grad, x",
            "the formulas of activations.h, slope within 2^-20; one product", "derivative of gelu_tanh.v1", grad * gelu_tanh_slope(x))
ELEMENTWISE(Softplus, 1, (F x), ("beta", "threshold"), 40, 173, "softplus.v1", "y = x beta > threshold ? x : ln(1 + e^(x beta)) / beta",
            "max(z, 0) + ln(1 + e^-|z|), z = x beta, one division; <= 3 ulp at beta 1", "Dugas et al. 2000",
            select(x * F(s[0]) > F(s[1]), x, softplus_of(x * F(s[0])) / F(s[0])))
ELEMENTWISE(SoftplusBackward, 2, (F grad, F x), ("beta", "threshold"), 24, 174, "softplus_backward.v1",
            "dx = x beta > threshold ? grad : grad / (1 + e^(-x beta)); operands grad, x", "sigmoid.v1, one product", "derivative of softplus.v1",
            select(x * F(s[0]) > F(s[1]), grad, grad * sigmoid_of(x * F(s[0]))))
ELEMENTWISE(LogSigmoid, 1, (F x), (), 40, 188, "log_sigmoid.v1", "y = min(x, 0) - ln(1 + e^-|x|)", "exp.v1, log1p.v1, one sum; <= 3 ulp", "Verhulst 1838",
            F(0.0f) - softplus_of(negated(x)))
ELEMENTWISE(LogSigmoidBackward, 2, (F grad, F x), (), 24, 189, "log_sigmoid_backward.v1", "dx = grad / (1 + e^x); operands grad, x",
            "sigmoid.v1 of -x, one product", "derivative of log_sigmoid.v1", grad * sigmoid_of(negated(x)))
ELEMENTWISE(Elu, 1, (F x), ("alpha", "scale", "input_scale"), 20, 175, "elu.v1", "y = x > 0 ? x scale : (e^(x input_scale) - 1) (alpha scale)",
            "expm1.v1, products rounded once each", "Clevert et al. 2015; Klambauer et al. 2017",
            select(x > F(0.0f), x * F(s[1]), expm1_of(x * F(s[2])) * F(s[0] * s[1])))
ELEMENTWISE(EluBackward, 2, (F grad, F x), ("alpha", "scale", "input_scale", "of_result"), 20, 176, "elu_backward.v1",
            "dx = x > 0 ? grad scale : grad input_scale d, d = alpha scale e^(x input_scale), or x + alpha scale where x is elu's result (of_result 1); operands grad, x",
            "exp.v1, products rounded once each", "derivative of elu.v1",
            select(x > F(0.0f), grad * F(s[1]),
                   grad * F(s[2]) * (s[3] != 0.0f ? x + F(s[0] * s[1]) : F(s[0] * s[1]) * exp_of(x * F(s[2])))))
ELEMENTWISE(Mish, 1, (F x), (), 24, 186, "mish.v1", "y = x tanh(ln(1 + e^x))", "n / (n + 2), n = e^x (e^x + 2), one product; <= 5 ulp for x > -80",
            "Misra 2019", x * mish_step(x))
ELEMENTWISE(MishBackward, 2, (F grad, F x), (), 48, 187, "mish_backward.v1", "dx = grad (t + x s (1 - t^2)), t = tanh(ln(1 + e^x)), s = 1 / (1 + e^-x); operands grad, x",
            "mish.v1's t, sigmoid.v1, from left to right", "derivative of mish.v1",
            grad * (mish_step(x) + x * sigmoid_of(x) * (F(1.0f) - mish_step(x) * mish_step(x))))

}  // namespace cairn::kernels::CAIRN_ISA
