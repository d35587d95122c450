// Element by element, all f32: arithmetic, powers, exponentials, trigonometry, rounding, comparisons by value. A line each; a
// second operand may be a number, a row, a column or a channel of the first's rank (Elementwise in op.h).
//
// Errors in ulp are over all 2^32 inputs, by tests/kernels/sweep.cc.
#pragma once

#include "kernels/ops/op.h"

namespace cairn::kernels::CAIRN_ISA {

#define ELEMENTWISE_UNWRAP(...) __VA_ARGS__
// The struct, its number of operands and their names, attributes, cost in multiply-adds; the texts; the value, in which s[i] is
// attribute i.
#define ELEMENTWISE(...) ELEMENTWISE_ON(-2.0f, 2.0f, __VA_ARGS__)
// The same with the range from which the operands of the known answer are drawn.
#define ELEMENTWISE_ON(low, high, Struct, operands, parameters, attributes, operations, id, name, formula, order, source, ...) \
  struct Struct : Elementwise<Struct, operands> {                                                                              \
    static constexpr OperatorText kText{id, name, formula, order, source};                                                     \
    static constexpr uint64_t kOperations = operations;                                                                        \
    static constexpr float kLow = low, kHigh = high;                                                                           \
    static std::vector<const char*> names() { return {ELEMENTWISE_UNWRAP attributes}; }                                        \
    template <class F>                                                                                                         \
    KERNEL_FN static F value([[maybe_unused]] const float* s, ELEMENTWISE_UNWRAP parameters) {                                 \
      return __VA_ARGS__;                                                                                                      \
    }                                                                                                                          \
  };

// ---- arithmetic ------------------------------------------------------------------------------------------------------------

ELEMENTWISE(Add, 2, (F a, F b), (), 1, 20, "add.v1", "y = a + b", "one addition", "IEEE 754-2019", a + b)
ELEMENTWISE(Sub, 2, (F a, F b), (), 1, 21, "sub.v1", "y = a - b", "one subtraction", "IEEE 754-2019", a - b)
ELEMENTWISE(Mul, 2, (F a, F b), (), 1, 22, "mul.v1", "y = a * b", "one multiplication", "IEEE 754-2019", a * b)
ELEMENTWISE(Div, 2, (F a, F b), (), 4, 23, "div.v1", "y = a / b", "one division", "IEEE 754-2019", a / b)
ELEMENTWISE(AddScalar, 1, (F x), ("scalar"), 1, 24, "add_scalar.v1", "y = x + s", "one addition", "IEEE 754-2019", x + F(s[0]))
ELEMENTWISE(MulScalar, 1, (F x), ("scalar"), 1, 25, "mul_scalar.v1", "y = x * s", "one multiplication", "IEEE 754-2019", x * F(s[0]))
ELEMENTWISE(DivScalar, 1, (F x), ("scalar"), 4, 26, "div_scalar.v1", "y = x / s", "one division", "IEEE 754-2019", x / F(s[0]))
ELEMENTWISE(Neg, 1, (F x), (), 1, 27, "neg.v1", "y = -x", "the sign bit is flipped", "IEEE 754-2019", negated(x))
ELEMENTWISE(Abs, 1, (F x), (), 1, 28, "abs.v1", "y = |x|", "the sign bit is cleared", "IEEE 754-2019", absolute(x))
ELEMENTWISE(Sign, 1, (F x), (), 1, 29, "sign.v1", "y = 1 above 0, -1 below, +0 at 0 and of a NaN", "exact", "signum",
            select(x > F(0.0f), F(1.0f), select(x < F(0.0f), F(-1.0f), F(0.0f))))
ELEMENTWISE(AddMul, 3, (F a, F b, F c), ("scalar"), 3, 341, "add_mul.v1", "y = a + s * b * c", "two products, one sum", "IEEE 754-2019",
            a + F(s[0]) * b * c)
ELEMENTWISE(AddDiv, 3, (F a, F b, F c), ("scalar"), 6, 342, "add_div.v1", "y = a + s * b / c", "a product, a division, a sum",
            "IEEE 754-2019", a + F(s[0]) * b / c)
ELEMENTWISE(Lerp, 3, (F a, F b, F w), (), 4, 343, "lerp.v1", "y = |w| < 0.5 ? a + w (b - a) : b - (b - a) (1 - w)",
            "each operation rounded once", "linear interpolation",
            select(absolute(w) < F(0.5f), a + w * (b - a), b - (b - a) * (F(1.0f) - w)))

// ---- extremes, signs, rounding: exact --------------------------------------------------------------------------------------

ELEMENTWISE(Minimum, 2, (F a, F b), (), 1, 191, "minimum.v1", "y = the lesser; a NaN if one is", "exact; a where they are equal",
            "IEEE 754-2019", select(is_nan(a), a, select(is_nan(b), b, select(b < a, b, a))))
ELEMENTWISE(Maximum, 2, (F a, F b), (), 1, 192, "maximum.v1", "y = the greater; a NaN if one is", "exact; a where they are equal",
            "IEEE 754-2019", select(is_nan(a), a, select(is_nan(b), b, select(b > a, b, a))))
ELEMENTWISE(Fmin, 2, (F a, F b), (), 1, 193, "fmin.v1", "y = the lesser; the other if one is a NaN", "exact; a where they are equal",
            "IEEE 754-2019", select(is_nan(b), a, select(is_nan(a), b, select(b < a, b, a))))
ELEMENTWISE(Fmax, 2, (F a, F b), (), 1, 194, "fmax.v1", "y = the greater; the other if one is a NaN", "exact; a where they are equal",
            "IEEE 754-2019", select(is_nan(b), a, select(is_nan(a), b, select(b > a, b, a))))
ELEMENTWISE(Clamp, 1, (F x), ("low", "high"), 2, 184, "clamp.v1", "y = min(max(x, low), high)", "exact; a NaN stays", "IEEE 754-2019",
            select(select(x < F(s[0]), F(s[0]), x) > F(s[1]), F(s[1]), select(x < F(s[0]), F(s[0]), x)))
ELEMENTWISE(Copysign, 2, (F a, F b), (), 1, 344, "copysign.v1", "y = |a| with the sign of b", "exact", "IEEE 754-2019", with_sign(a, b))
ELEMENTWISE(NanToNum, 1, (F x), ("nan", "above", "below"), 3, 345, "nan_to_num.v1",
            "y = x, but nan for a NaN, above for infinity, below for -infinity", "exact", "numpy.nan_to_num",
            select(is_nan(x), F(s[0]), select(absolute(x) == constant<F>(0x7F800000u), select(x > F(0.0f), F(s[1]), F(s[2])), x)))
ELEMENTWISE(Floor, 1, (F x), (), 3, 195, "floor.v1", "y = the greatest integer <= x", "exact", "IEEE 754-2019", floor_of(x))
ELEMENTWISE(Ceil, 1, (F x), (), 3, 196, "ceil.v1", "y = the least integer >= x", "exact", "IEEE 754-2019", ceil_of(x))
ELEMENTWISE(Round, 1, (F x), (), 3, 197, "round.v1", "y = the nearest integer, the even one of two", "exact", "IEEE 754-2019", round_even(x))
ELEMENTWISE(Trunc, 1, (F x), (), 3, 198, "trunc.v1", "y = x without its fraction", "exact", "IEEE 754-2019", truncated(x))
ELEMENTWISE(Fmod, 2, (F a, F b), (), 64, 199, "fmod.v1", "y = a - trunc(a / b) b; NaN where |a / b| >= 2^128", "exact", "IEEE 754-2019",
            fmod_of(a, b))
ELEMENTWISE(Remainder, 2, (F a, F b), (), 64, 340, "remainder.v1", "y = fmod(a, b), plus b where its sign is not that of b",
            "fmod is exact; one addition", "Knuth 1972", remainder_of(a, b))

// ---- roots, powers, exponentials, logarithms --------------------------------------------------------------------------------

ELEMENTWISE_ON(0.0f, 9.0f, Sqrt, 1, (F x), (), 4, 36, "sqrt.v1", "y = sqrt x", "one square root", "IEEE 754-2019", root(x))
ELEMENTWISE_ON(0.0f, 9.0f, Rsqrt, 1, (F x), (), 8, 37, "rsqrt.v1", "y = 1 / sqrt x", "one square root, one division; <= 2 ulp", "IEEE 754-2019",
               F(1.0f) / root(x))
ELEMENTWISE(Reciprocal, 1, (F x), (), 4, 38, "reciprocal.v1", "y = 1 / x", "one division", "IEEE 754-2019", F(1.0f) / x)
ELEMENTWISE_ON(0.0f, 4.0f, Pow, 2, (F a, F b), (), 64, 39, "pow.v1", "y = a^b; NaN for a below 0 and b no integer",
               "e^(b ln a), logarithm and product in two parts (math.h); <= 4 ulp where normal", "IEEE 754-2019, 9.2", pow_of(a, b))
ELEMENTWISE(Exp, 1, (F x), (), 12, 32, "exp.v1", "y = e^x", "the polynomial of math.h; <= 1 ulp", "Cody & Waite 1980", exp_of(x))
ELEMENTWISE(Exp2, 1, (F x), (), 16, 150, "exp2.v1", "y = 2^x", "the polynomial of math.h; <= 1 ulp", "Cody & Waite 1980", exp2_of(x))
ELEMENTWISE(Expm1, 1, (F x), (), 16, 151, "expm1.v1", "y = e^x - 1", "the polynomial of math.h; <= 2 ulp", "Cody & Waite 1980", expm1_of(x))
ELEMENTWISE_ON(0.0f, 9.0f, Log, 1, (F x), (), 16, 33, "log.v1", "y = ln x; -infinity at 0, NaN below", "the polynomial of math.h; <= 1 ulp",
               "Cody & Waite 1980", log_of(x))
ELEMENTWISE_ON(-1.0f, 9.0f, Log1p, 1, (F x), (), 24, 152, "log1p.v1", "y = ln(1 + x); -infinity at -1, NaN below",
               "the logarithm of the rounded sum, plus its error over it; <= 2 ulp", "Cody & Waite 1980", log1p_of(x))
ELEMENTWISE_ON(0.0f, 9.0f, Log2, 1, (F x), (), 20, 153, "log2.v1", "y = log2 x; -infinity at 0, NaN below",
               "the polynomial of math.h; <= 2 ulp", "Cody & Waite 1980", log2_of(x))
ELEMENTWISE_ON(0.0f, 9.0f, Log10, 1, (F x), (), 20, 154, "log10.v1", "y = log10 x; -infinity at 0, NaN below",
               "the polynomial of math.h; <= 3 ulp", "Cody & Waite 1980", log10_of(x))
ELEMENTWISE(Logaddexp, 2, (F a, F b), (), 40, 347, "logaddexp.v1", "y = ln(e^a + e^b) = max + ln(1 + e^-|a - b|)", "exp.v1, log1p.v1, one sum",
            "logarithm of a sum",
            select(a == b, a + F(0x1.62e430p-1f), select(b > a, b, a) + log1p_of(exp_of(negated(absolute(a - b))))))
ELEMENTWISE_ON(0.0f, 2.0f, Xlogy, 2, (F a, F b), (), 20, 346, "xlogy.v1", "y = a ln b; 0 at a = 0, NaN where b is", "log.v1, one product",
               "entropy", select(is_nan(b), b, select(a == F(0.0f), F(0.0f), a * log_of(b))))

// ---- trigonometry and hyperbolic functions ----------------------------------------------------------------------------------

ELEMENTWISE(Sin, 1, (F x), (), 24, 155, "sin.v1", "y = sin x; NaN for |x| > 2^20", "pi / 2 in three parts (trigonometry.h); <= 2 ulp",
            "Cody & Waite 1980", sin_of(x))
ELEMENTWISE(Cos, 1, (F x), (), 24, 156, "cos.v1", "y = cos x; NaN for |x| > 2^20", "pi / 2 in three parts (trigonometry.h); <= 2 ulp",
            "Cody & Waite 1980", cos_of(x))
ELEMENTWISE(Tan, 1, (F x), (), 28, 157, "tan.v1", "y = tan x; NaN for |x| > 2^20", "sine over cosine (trigonometry.h); <= 4 ulp",
            "Cody & Waite 1980", tan_of(x))
ELEMENTWISE_ON(-1.0f, 1.0f, Asin, 1, (F x), (), 24, 158, "asin.v1", "y = asin x; NaN for |x| > 1", "the formulas of trigonometry.h; <= 3 ulp",
               "Cody & Waite 1980", asin_of(x))
ELEMENTWISE_ON(-1.0f, 1.0f, Acos, 1, (F x), (), 24, 159, "acos.v1", "y = acos x; NaN for |x| > 1", "the formulas of trigonometry.h; <= 3 ulp",
               "Cody & Waite 1980", acos_of(x))
ELEMENTWISE(Atan, 1, (F x), (), 20, 160, "atan.v1", "y = atan x", "the formulas of trigonometry.h; <= 3 ulp", "Cody & Waite 1980", atan_of(x))
ELEMENTWISE(Atan2, 2, (F a, F b), (), 24, 348, "atan2.v1", "y = the angle of (b, a)", "atan.v1 of the smaller over the larger, turned; <= 4 ulp",
            "Cody & Waite 1980", atan2_of(a, b))
ELEMENTWISE(Sinh, 1, (F x), (), 40, 161, "sinh.v1", "y = sinh x", "expm1.v1 below 1; e^x / 2 - e^-x / 2; <= 3 ulp", "Cody & Waite 1980", sinh_of(x))
ELEMENTWISE(Cosh, 1, (F x), (), 20, 162, "cosh.v1", "y = cosh x", "e^x / 2 + e^-x / 2; <= 3 ulp", "Cody & Waite 1980", cosh_of(x))
ELEMENTWISE(Tanh, 1, (F x), (), 24, 34, "tanh.v1", "y = tanh x", "the formulas of math.h; <= 1 ulp", "Cody & Waite 1980", tanh_of(x))
ELEMENTWISE(Erf, 1, (F x), (), 28, 163, "erf.v1", "y = erf x", "the polynomials of activations.h; <= 1 ulp", "Juffa 2016", erf_of(x))
ELEMENTWISE(Erfc, 1, (F x), (), 40, 164, "erfc.v1", "y = 1 - erf x", "the polynomial of activations.h; <= 4 ulp", "Juffa 2016", erfc_of(x))

}  // namespace cairn::kernels::CAIRN_ISA
