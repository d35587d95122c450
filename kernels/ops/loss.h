// Losses of pairs and their gradients, element by element: ELEMENTWISE lines as in elementwise.h. Means and sums are sum_last.v1's.
#pragma once

#include "kernels/ops/elementwise.h"

namespace cairn::kernels::CAIRN_ISA {

ELEMENTWISE(SquaredDifference, 2, (F a, F b), (), 2, 300, "squared_difference.v1", "y = (a - b)^2", "a difference, a product", "Gauss 1809",
            (a - b) * (a - b))
ELEMENTWISE(DifferenceProduct, 3, (F grad, F a, F b), ("scalar"), 3, 301, "difference_product.v1", "y = s (a - b) grad; operands grad, a, b",
            "a difference, two products", "derivative of squared_difference.v1", F(s[0]) * (a - b) * grad)
ELEMENTWISE(Huber, 2, (F a, F b), ("delta"), 4, 302, "huber.v1", "y = z < delta ? z^2 / 2 : delta (z - delta / 2), z = |a - b|",
            "from left to right", "Huber 1964",
            select(absolute(a - b) < F(s[0]), F(0.5f) * absolute(a - b) * absolute(a - b), F(s[0]) * (absolute(a - b) - F(0.5f * s[0]))))
ELEMENTWISE(HuberBackward, 3, (F grad, F a, F b), ("delta"), 3, 303, "huber_backward.v1",
            "da = grad min(max(a - b, -delta), delta); operands grad, a, b", "a difference, a product", "derivative of huber.v1",
            grad * select(a - b > F(s[0]), F(s[0]), select(a - b < F(-s[0]), F(-s[0]), a - b)))
ELEMENTWISE(SmoothL1, 2, (F a, F b), ("beta"), 6, 304, "smooth_l1.v1", "y = z < beta ? z^2 / 2 / beta : z - beta / 2, z = |a - b|",
            "from left to right", "Girshick 2015",
            select(absolute(a - b) < F(s[0]), F(0.5f) * absolute(a - b) * absolute(a - b) / F(s[0]), absolute(a - b) - F(0.5f * s[0])))
ELEMENTWISE(SmoothL1Backward, 3, (F grad, F a, F b), ("beta"), 6, 305, "smooth_l1_backward.v1",
            "da = a - b >= beta ? grad : a - b <= -beta ? -grad : grad (a - b) / beta; operands grad, a, b", "from left to right",
            "derivative of smooth_l1.v1",
            select(F(s[0]) <= a - b, grad, select(a - b <= F(-s[0]), negated(grad), grad * (a - b) / F(s[0]))))
ELEMENTWISE_ON(0.0f, 1.0f, BinaryCrossEntropy, 2, (F x, F t), (), 48, 306, "binary_cross_entropy.v1",
               "y = (t - 1) max(ln(1 - x), -100) - t max(ln x, -100); operands x, t", "log1p.v1, log.v1, from left to right", "Good 1952",
               (t - F(1.0f)) * select(log1p_of(negated(x)) < F(-100.0f), F(-100.0f), log1p_of(negated(x))) -
                   t * select(log_of(x) < F(-100.0f), F(-100.0f), log_of(x)))
ELEMENTWISE_ON(0.0f, 1.0f, BinaryCrossEntropyBackward, 3, (F grad, F x, F t), (), 8, 307, "binary_cross_entropy_backward.v1",
               "dx = grad (x - t) / max((1 - x) x, 1e-12); operands grad, x, t", "from left to right", "derivative of binary_cross_entropy.v1",
               grad * (x - t) / select((F(1.0f) - x) * x < F(1e-12f), F(1e-12f), (F(1.0f) - x) * x))
ELEMENTWISE(BinaryCrossEntropyLogits, 2, (F x, F t), (), 44, 308, "binary_cross_entropy_logits.v1",
            "y = (1 - t) x + ln(1 + e^-x); operands x, t", "max(-x, 0) + ln(1 + e^-|x|), then the product and the sum", "Good 1952",
            (F(1.0f) - t) * x + softplus_of(negated(x)))
ELEMENTWISE_ON(0.0f, 9.0f, ClipFactor, 1, (F x), ("limit"), 8, 311, "clip_factor.v1", "y = min(1, limit / (sqrt x + 1e-6))",
               "a square root, a sum, a division", "Pascanu et al. 2013; torch.nn.utils.clip_grad_norm_",
               select(F(s[0]) / (root(x) + F(1e-6f)) < F(1.0f), F(s[0]) / (root(x) + F(1e-6f)), F(1.0f)))

}  // namespace cairn::kernels::CAIRN_ISA
