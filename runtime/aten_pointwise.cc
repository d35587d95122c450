// Element by element.
#include <cmath>

#include "runtime/aten.h"

namespace cairn::runtime {
namespace {

void require_float_result(const Tensor& out) {
  if (!out.is_floating_point()) refuse_undefined(std::string("arithmetic in ") + c10::toString(out.scalar_type()), "");
}

// ---- shapes of registrations: an operator of Cairn's with the operands of ATen's ----------------------------------------------

template <OpName kOp>
Tensor& unary(const Tensor& x, Tensor& out) {
  require_float_result(out);
  assign(out, elementwise(kOp, {x}, {}, out.sizes()));
  return out;
}
template <OpName kOp>
Tensor unary_new(const Tensor& x) {
  return elementwise(kOp, {x});
}
template <OpName kOp>
Tensor& unary_(Tensor& x) {
  assign(x, elementwise(kOp, {x}));
  return x;
}
// floor() and its like leave an integer as it is.
template <OpName kOp>
Tensor& rounded(const Tensor& x, Tensor& out) {
  if (!is_integer(out)) return unary<kOp>(x, out);
  assign(out, x);
  return out;
}
template <OpName kOp>
Tensor& binary(const Tensor& a, const Tensor& b, Tensor& out) {
  require_float_result(out);
  assign(out, elementwise(kOp, {a, b}, {}, out.sizes()));
  return out;
}
template <OpName kFloat, OpName kInteger>
Tensor& binary_of_numbers(const Tensor& a, const Tensor& b, Tensor& out) {
  if (!is_integer(out)) return binary<kFloat>(a, b, out);
  assign(out, paired(kInteger, a, b, out.scalar_type(), out.sizes()));
  return out;
}
template <OpName kOp>
Tensor binary_new(const Tensor& a, const Tensor& b) {
  return elementwise(kOp, {a, b});
}
template <OpName kOp>  // an attribute
Tensor& unary_by(const Tensor& x, const Scalar& by, Tensor& out) {
  assign(out, elementwise(kOp, {x}, {number(by)}, out.sizes()));
  return out;
}
template <OpName kOp>
Tensor& binary_by(const Tensor& grad, const Tensor& x, const Scalar& by, Tensor& out) {
  assign(out, elementwise(kOp, {grad, x}, {number(by)}, out.sizes()));
  return out;
}

// ---- arithmetic ----------------------------------------------------------------------------------------------------------------

Tensor added(const Tensor& a, const Tensor& b, const Scalar& alpha, IntArrayRef sizes) {
  if (is_scalar(b)) return elementwise("add_scalar.v1", {a}, {number(value_of(b) * alpha.to<double>())}, sizes);
  if (is_scalar(a)) return elementwise("add_scalar.v1", {scaled(b, alpha)}, {number(value_of(a))}, sizes);
  return elementwise("add.v1", {a, scaled(b, alpha)}, {}, sizes);
}
Tensor& add(const Tensor& a, const Tensor& b, const Scalar& alpha, Tensor& out) {
  if (is_integer(out)) return integer_added("integer_add.v1", a, b, alpha, out);
  require_float_result(out);
  assign(out, added(a, b, alpha, out.sizes()));
  return out;
}
Tensor& sub(const Tensor& a, const Tensor& b, const Scalar& alpha, Tensor& out) {
  if (is_integer(out)) return integer_added("integer_sub.v1", a, b, alpha, out);
  require_float_result(out);
  if (is_scalar(a) || is_scalar(b)) assign(out, added(a, b, Scalar(-alpha.to<double>()), out.sizes()));
  else assign(out, elementwise("sub.v1", {a, scaled(b, alpha)}, {}, out.sizes()));
  return out;
}
Tensor& mul(const Tensor& a, const Tensor& b, Tensor& out) {
  if (is_integer(out)) return integer_multiplied(a, b, out);
  require_float_result(out);
  if (is_scalar(b)) assign(out, elementwise("mul_scalar.v1", {a}, {number(value_of(b))}, out.sizes()));
  else if (is_scalar(a)) assign(out, elementwise("mul_scalar.v1", {b}, {number(value_of(a))}, out.sizes()));
  else assign(out, elementwise("mul.v1", {a, b}, {}, out.sizes()));
  return out;
}
Tensor& neg(const Tensor& x, Tensor& out) {
  if (is_integer(out)) return integer_multiplied(x, at::scalar_tensor(-1, at::kLong), out);
  return unary<"neg.v1">(x, out);
}
Tensor& absolute(const Tensor& x, Tensor& out) {
  if (out.sizes() != x.sizes()) out.resize_(x.sizes());  // it has no structure: a caller brings an empty result
  if (!is_integer(out)) return unary<"abs.v1">(x, out);
  if (out.scalar_type() == at::kByte) {
    assign(out, x);
    return out;
  }
  Tensor minus = empty_exact(x.sizes(), x.scalar_type());
  neg(x, minus);
  assign(out, paired("integer_max.v1", x, minus, x.scalar_type(), x.sizes()));
  return out;
}
Tensor divided(const Tensor& a, const Tensor& b, IntArrayRef sizes) {
  if (is_scalar(b)) return elementwise("div_scalar.v1", {a}, {number(value_of(b))}, sizes);
  return elementwise("div.v1", {a, b}, {}, sizes);
}
Tensor& div(const Tensor& a, const Tensor& b, Tensor& out) {
  assign(out, divided(a, b, out.sizes()));
  return out;
}
// Rounded down it is what the remainder leaves, divided.
Tensor& div_mode(const Tensor& a, const Tensor& b, std::optional<std::string_view> mode, Tensor& out) {
  if (mode && is_integer(out)) {
    assign(out, paired(*mode == "trunc" ? "trunc_div.v1" : "floor_div.v1", a, b, out.scalar_type(), out.sizes()));
    return out;
  }
  require_float_result(out);
  if (!mode) return div(a, b, out);
  if (*mode == "trunc") assign(out, one("trunc.v1", {divided(a, b, out.sizes())}));
  else assign(out, one("round.v1", {divided(elementwise("sub.v1", {a, elementwise("remainder.v1", {a, b}, {}, out.sizes())}, {}, out.sizes()), b, out.sizes())}));
  return out;
}
Tensor floor_divide(const Tensor& a, const Tensor& b) { return at::div(a, b, "floor"); }
Tensor& floor_divide_out(const Tensor& a, const Tensor& b, Tensor& out) { return at::div_out(out, a, b, "floor"); }
Tensor& floor_divide_(Tensor& a, const Tensor& b) { return a.div_(b, "floor"); }
template <OpName kOp>
Tensor& with_product(const Tensor& a, const Tensor& b, const Tensor& c, const Scalar& value, Tensor& out) {
  require_float_result(out);
  assign(out, elementwise(kOp, {a, b, c}, {number(value)}, out.sizes()));
  return out;
}
Tensor& lerp(const Tensor& a, const Tensor& b, const Tensor& weight, Tensor& out) {
  assign(out, elementwise("lerp.v1", {a, b, weight}, {}, out.sizes()));
  return out;
}
Tensor& lerp_scalar(const Tensor& a, const Tensor& b, const Scalar& weight, Tensor& out) {
  return lerp(a, b, at::scalar_tensor(weight, at::kDouble), out);
}

// Small whole and half powers by multiplication and square root, others by pow.v1.
Tensor power(const Tensor& x, double exponent) {
  const auto square = [](const Tensor& t) { return one("mul.v1", {t, t}); };
  if (exponent == 0) return constant(1, x.sizes());
  if (exponent == 1) return x;
  if (exponent == 2) return square(x);
  if (exponent == 3) return one("mul.v1", {square(x), x});
  if (exponent == 4) return square(square(x));
  if (exponent == 0.5) return one("sqrt.v1", {x});
  if (exponent == -0.5) return one("rsqrt.v1", {x});
  if (exponent == -1) return one("reciprocal.v1", {x});
  if (exponent == -2) return one("reciprocal.v1", {square(x)});
  return elementwise("pow.v1", {x, at::scalar_tensor(exponent, at::kDouble)});
}
// By squaring, from the highest bit of the exponent on.
Tensor integer_power(const Tensor& x, int64_t exponent) {
  TORCH_CHECK(exponent >= 0, "integers to negative integer powers are not allowed");
  if (exponent == 0) return cast(constant(1, x.sizes()), x.scalar_type());
  if (exponent == 1) return x;
  const Tensor root = integer_power(x, exponent / 2), square = one("integer_mul.v1", {root, root});
  return exponent % 2 ? one("integer_mul.v1", {square, x}) : square;
}
Tensor& pow_scalar(const Tensor& x, const Scalar& exponent, Tensor& out) {
  if (is_integer(out)) {
    assign(out, integer_power(cast(x, out.scalar_type()), exponent.to<int64_t>()));
    return out;
  }
  require_float_result(out);
  assign(out, power(x.is_floating_point() ? x : cast(plain(x), at::kFloat), exponent.to<double>()));
  return out;
}
Tensor& pow_of_scalar(const Scalar& base, const Tensor& exponent, Tensor& out) {
  require_float_result(out);
  assign(out, elementwise("pow.v1", {at::scalar_tensor(base, at::kDouble), exponent}, {}, out.sizes()));
  return out;
}
Tensor& frac(const Tensor& x, Tensor& out) {
  assign(out, one("sub.v1", {x, one("trunc.v1", {x})}));
  return out;
}

// ---- extremes --------------------------------------------------------------------------------------------------------------------

Tensor clamped(const Tensor& x, std::optional<double> low, std::optional<double> high) {
  return elementwise("clamp.v1", {x}, {number(low.value_or(-INFINITY)), number(high.value_or(INFINITY))});
}
std::optional<double> real(const std::optional<Scalar>& value) { return value ? std::optional(value->to<double>()) : std::nullopt; }
Tensor& clamp(const Tensor& x, const std::optional<Scalar>& low, const std::optional<Scalar>& high, Tensor& out) {
  if (is_integer(out)) {
    Tensor y = x;
    if (low) y = paired("integer_max.v1", y, at::scalar_tensor(*low, at::kLong), out.scalar_type(), out.sizes());
    if (high) y = paired("integer_min.v1", y, at::scalar_tensor(*high, at::kLong), out.scalar_type(), out.sizes());
    assign(out, y);
    return out;
  }
  assign(out, clamped(x, real(low), real(high)));
  return out;
}
Tensor& sign(const Tensor& x, Tensor& out) { return is_integer(out) ? clamp(x, -1, 1, out) : unary<"sign.v1">(x, out); }
Tensor& clamp_min(const Tensor& x, const Scalar& low, Tensor& out) { return clamp(x, low, std::nullopt, out); }
Tensor& clamp_max(const Tensor& x, const Scalar& high, Tensor& out) { return clamp(x, std::nullopt, high, out); }
Tensor& clamp_tensor(const Tensor& x, const Maybe& low, const Maybe& high, Tensor& out) {
  const auto extreme = [&](std::string_view of_floats, std::string_view of_integers, const Tensor& y, const Tensor& limit) {
    return is_integer(out) ? paired(of_integers, y, limit, out.scalar_type(), out.sizes()) : elementwise(of_floats, {y, limit}, {}, out.sizes());
  };
  Tensor y = x;
  if (low && low->defined()) y = extreme("maximum.v1", "integer_max.v1", y, *low);
  if (high && high->defined()) y = extreme("minimum.v1", "integer_min.v1", y, *high);
  assign(out, y);
  return out;
}
Tensor hardtanh(const Tensor& x, const Scalar& low, const Scalar& high) { return clamped(x, low.to<double>(), high.to<double>()); }
Tensor& hardtanh_out(const Tensor& x, const Scalar& low, const Scalar& high, Tensor& out) { return clamp(x, low, high, out); }
Tensor& hardtanh_(Tensor& x, const Scalar& low, const Scalar& high) { return clamp(x, low, high, x); }
Tensor hardtanh_gradient(const Tensor& grad, const Tensor& x, const Scalar& low, const Scalar& high) {
  return elementwise("clamp_backward.v1", {grad, x}, {number(low), number(high)});
}
Tensor& hardtanh_backward_out(const Tensor& grad, const Tensor& x, const Scalar& low, const Scalar& high, Tensor& out) {
  assign(out, hardtanh_gradient(grad, x, low, high));
  return out;
}
Tensor& nan_to_num(const Tensor& x, std::optional<double> nan, std::optional<double> above, std::optional<double> below, Tensor& out) {
  constexpr double kMost = 3.4028234663852886e38;
  assign(out, one("nan_to_num.v1", {x}, {number(nan.value_or(0)), number(above.value_or(kMost)), number(below.value_or(-kMost))}));
  return out;
}

// ---- activations -----------------------------------------------------------------------------------------------------------------

Tensor& threshold(const Tensor& x, const Scalar& limit, const Scalar& value, Tensor& out) {
  assign(out, one("threshold.v1", {x}, {number(limit), number(value)}));
  return out;
}
Tensor& gelu(const Tensor& x, std::string_view approximate, Tensor& out) {
  assign(out, one(approximate == "tanh" ? "gelu_tanh.v1" : "gelu.v1", {x}));
  return out;
}
Tensor& gelu_backward(const Tensor& grad, const Tensor& x, std::string_view approximate, Tensor& out) {
  assign(out, elementwise(approximate == "tanh" ? "gelu_tanh_backward.v1" : "gelu_backward.v1", {grad, x}, {}, out.sizes()));
  return out;
}
Tensor& softplus(const Tensor& x, const Scalar& beta, const Scalar& limit, Tensor& out) {
  assign(out, one("softplus.v1", {x}, {number(beta), number(limit)}));
  return out;
}
Tensor& softplus_backward(const Tensor& grad, const Tensor& x, const Scalar& beta, const Scalar& limit, Tensor& out) {
  assign(out, elementwise("softplus_backward.v1", {grad, x}, {number(beta), number(limit)}, out.sizes()));
  return out;
}
Tensor& elu(const Tensor& x, const Scalar& alpha, const Scalar& scale, const Scalar& input_scale, Tensor& out) {
  assign(out, one("elu.v1", {x}, {number(alpha), number(scale), number(input_scale)}));
  return out;
}
Tensor& elu_backward(const Tensor& grad, const Scalar& alpha, const Scalar& scale, const Scalar& input_scale, bool of_result, const Tensor& x, Tensor& out) {
  assign(out, elementwise("elu_backward.v1", {grad, x}, {number(alpha), number(scale), number(input_scale), number(of_result ? 1.0 : 0.0)}, out.sizes()));
  return out;
}
Tensor& leaky_relu_backward(const Tensor& grad, const Tensor& x, const Scalar& slope, bool, Tensor& out) {
  return binary_by<"leaky_relu_backward.v1">(grad, x, slope, out);
}
std::tuple<Tensor, Tensor> prelu_backward(const Tensor& grad, const Tensor& x, const Tensor& weight) {
  return {elementwise("prelu_backward.v1", {grad, x, weight}, {}, x.sizes()), elementwise("prelu_backward_weight.v1", {grad, x}, {}, x.sizes())};
}
std::tuple<Tensor, Tensor> log_sigmoid(const Tensor& x) { return {one("log_sigmoid.v1", {x}), empty_exact({0}, at::kFloat)}; }
std::tuple<Tensor&, Tensor&> log_sigmoid_out(const Tensor& x, Tensor& out, Tensor& buffer) {
  assign(out, one("log_sigmoid.v1", {x}));
  return {out, buffer};
}
Tensor log_sigmoid_backward(const Tensor& grad, const Tensor& x, const Tensor&) { return elementwise("log_sigmoid_backward.v1", {grad, x}); }
Tensor& log_sigmoid_backward_out(const Tensor& grad, const Tensor& x, const Tensor&, Tensor& out) {
  return binary<"log_sigmoid_backward.v1">(grad, x, out);
}
// ln(x / (1 - x)), x kept from 0 and 1 by eps
Tensor log_odds(const Tensor& x, std::optional<double> eps) {
  const Tensor kept = eps ? clamped(x, *eps, 1 - *eps) : x;
  return one("log.v1", {one("div.v1", {kept, one("add_scalar.v1", {one("neg.v1", {kept})}, {number(1)})})});
}
Tensor& logit_out(const Tensor& x, std::optional<double> eps, Tensor& out) {
  assign(out, log_odds(x, eps));
  return out;
}
Tensor& logit_backward(const Tensor& grad, const Tensor& x, std::optional<double> eps, Tensor& out) {
  const Tensor rest = one("add_scalar.v1", {one("neg.v1", {x})}, {number(1)});
  const Tensor inside = eps ? elementwise("clamp_backward.v1", {grad, x}, {number(*eps), number(1 - *eps)}) : grad;
  assign(out, elementwise("div.v1", {inside, one("mul.v1", {x, rest})}, {}, out.sizes()));
  return out;
}
// a sigmoid(b) of the two halves
Tensor& glu(const Tensor& x, int64_t dim, Tensor& out) {
  const auto half = x.chunk(2, dim);
  assign(out, one("mul.v1", {half[0], one("sigmoid.v1", {half[1]})}));
  return out;
}
Tensor glu_gradient(const Tensor& grad, const Tensor& x, int64_t dim) {
  const auto half = x.chunk(2, dim);
  const Tensor step = one("sigmoid.v1", {half[1]}), product = elementwise("mul.v1", {grad, half[0]});
  return at::cat({elementwise("mul.v1", {grad, step}), one("sigmoid_backward.v1", {product, step})}, dim);
}
Tensor& glu_backward_out(const Tensor& grad, const Tensor& x, int64_t dim, Tensor& out) {
  assign(out, glu_gradient(grad, x, dim));
  return out;
}

void on_exact(torch::Library& m) {
  m.impl("add.out", &add);
  m.impl("sub.out", &sub);
  m.impl("mul.out", &mul);
  m.impl("div.out", &div);
  m.impl("div.out_mode", &div_mode);
  m.impl("floor_divide", &floor_divide);
  m.impl("floor_divide.out", &floor_divide_out);
  m.impl("floor_divide_.Tensor", &floor_divide_);
  m.impl("neg.out", &neg);
  m.impl("abs.out", &absolute);
  m.impl("sgn.out", &sign);
  m.impl("sign.out", &sign);
  m.impl("addcmul.out", &with_product<"add_mul.v1">);
  m.impl("addcdiv.out", &with_product<"add_div.v1">);
  m.impl("lerp.Tensor_out", &lerp);
  m.impl("lerp.Scalar_out", &lerp_scalar);
  m.impl("copysign.out", &binary<"copysign.v1">);
  m.impl("minimum.out", &binary_of_numbers<"minimum.v1", "integer_min.v1">);
  m.impl("maximum.out", &binary_of_numbers<"maximum.v1", "integer_max.v1">);
  m.impl("fmin.out", &binary_of_numbers<"fmin.v1", "integer_min.v1">);
  m.impl("fmax.out", &binary_of_numbers<"fmax.v1", "integer_max.v1">);
  m.impl("fmod.Tensor_out", &binary_of_numbers<"fmod.v1", "trunc_remainder.v1">);
  m.impl("remainder.Tensor_out", &binary_of_numbers<"remainder.v1", "floor_remainder.v1">);
  m.impl("clamp.out", &clamp);
  m.impl("clamp_min.out", &clamp_min);
  m.impl("clamp_max.out", &clamp_max);
  m.impl("clamp.Tensor_out", &clamp_tensor);
  m.impl("clamp_min.Tensor_out", [](const Tensor& x, const Tensor& low, Tensor& out) -> Tensor& { return clamp_tensor(x, low, std::nullopt, out); });
  m.impl("clamp_max.Tensor_out", [](const Tensor& x, const Tensor& high, Tensor& out) -> Tensor& { return clamp_tensor(x, std::nullopt, high, out); });
  m.impl("nan_to_num.out", &nan_to_num);
  m.impl("floor.out", &rounded<"floor.v1">);
  m.impl("ceil.out", &rounded<"ceil.v1">);
  m.impl("round.out", &rounded<"round.v1">);
  m.impl("trunc.out", &rounded<"trunc.v1">);
  m.impl("frac.out", &frac);

  m.impl("sqrt.out", &unary<"sqrt.v1">);
  m.impl("rsqrt.out", &unary<"rsqrt.v1">);
  m.impl("reciprocal.out", &unary<"reciprocal.v1">);
  m.impl("pow.Tensor_Scalar_out", &pow_scalar);
  m.impl("pow.Tensor_Tensor_out", &binary<"pow.v1">);
  m.impl("pow.Scalar_out", &pow_of_scalar);
  m.impl("exp.out", &unary<"exp.v1">);
  m.impl("exp2.out", &unary<"exp2.v1">);
  m.impl("expm1.out", &unary<"expm1.v1">);
  m.impl("log.out", &unary<"log.v1">);
  m.impl("log1p.out", &unary<"log1p.v1">);
  m.impl("log2.out", &unary<"log2.v1">);
  m.impl("log10.out", &unary<"log10.v1">);
  m.impl("logaddexp.out", &binary<"logaddexp.v1">);
  m.impl("xlogy.OutTensor", &binary<"xlogy.v1">);
  m.impl("logit", &log_odds);
  m.impl("logit.out", &logit_out);
  m.impl("logit_backward.grad_input", &logit_backward);
  m.impl("sin.out", &unary<"sin.v1">);
  m.impl("cos.out", &unary<"cos.v1">);
  m.impl("tan.out", &unary<"tan.v1">);
  m.impl("asin.out", &unary<"asin.v1">);
  m.impl("acos.out", &unary<"acos.v1">);
  m.impl("atan.out", &unary<"atan.v1">);
  m.impl("atan2.out", &binary<"atan2.v1">);
  m.impl("sinh.out", &unary<"sinh.v1">);
  m.impl("cosh.out", &unary<"cosh.v1">);
  m.impl("tanh.out", &unary<"tanh.v1">);
  m.impl("erf.out", &unary<"erf.v1">);
  m.impl("erfc.out", &unary<"erfc.v1">);

  m.impl("relu", &unary_new<"relu.v1">);
  m.impl("relu_", &unary_<"relu.v1">);
  m.impl("threshold.out", &threshold);
  m.impl("threshold_backward.grad_input", &binary_by<"relu_backward.v1">);
  m.impl("leaky_relu.out", &unary_by<"leaky_relu.v1">);
  m.impl("leaky_relu_backward.grad_input", &leaky_relu_backward);
  m.impl("_prelu_kernel", &binary_new<"prelu.v1">);
  m.impl("_prelu_kernel_backward", &prelu_backward);
  m.impl("hardtanh", &hardtanh);
  m.impl("hardtanh.out", &hardtanh_out);
  m.impl("hardtanh_", &hardtanh_);
  m.impl("hardtanh_backward", &hardtanh_gradient);
  m.impl("hardtanh_backward.grad_input", &hardtanh_backward_out);
  m.impl("hardsigmoid.out", &unary<"hardsigmoid.v1">);
  m.impl("hardsigmoid_backward.grad_input", &binary<"hardsigmoid_backward.v1">);
  m.impl("hardswish", &unary_new<"hardswish.v1">);
  m.impl("hardswish.out", &unary<"hardswish.v1">);
  m.impl("hardswish_", &unary_<"hardswish.v1">);
  m.impl("hardswish_backward", &binary_new<"hardswish_backward.v1">);
  m.impl("softshrink.out", &unary_by<"softshrink.v1">);
  m.impl("softshrink_backward.grad_input", &binary_by<"shrink_backward.v1">);
  m.impl("hardshrink.out", &unary_by<"hardshrink.v1">);
  m.impl("hardshrink_backward.grad_input", &binary_by<"shrink_backward.v1">);
  m.impl("sigmoid.out", &unary<"sigmoid.v1">);
  m.impl("sigmoid_backward.grad_input", &binary<"sigmoid_backward.v1">);
  m.impl("tanh_backward.grad_input", &binary<"tanh_backward.v1">);
  m.impl("silu.out", &unary<"silu.v1">);
  m.impl("silu_backward", &binary_new<"silu_backward.v1">);
  m.impl("silu_backward.grad_input", &binary<"silu_backward.v1">);
  m.impl("gelu.out", &gelu);
  m.impl("gelu_backward.grad_input", &gelu_backward);
  m.impl("softplus.out", &softplus);
  m.impl("softplus_backward.grad_input", &softplus_backward);
  m.impl("log_sigmoid_forward", &log_sigmoid);
  m.impl("log_sigmoid_forward.output", &log_sigmoid_out);
  m.impl("log_sigmoid_backward", &log_sigmoid_backward);
  m.impl("log_sigmoid_backward.grad_input", &log_sigmoid_backward_out);
  m.impl("elu.out", &elu);
  m.impl("elu_backward.grad_input", &elu_backward);
  m.impl("mish.out", &unary<"mish.v1">);
  m.impl("mish_backward", &binary_new<"mish_backward.v1">);
  m.impl("glu.out", &glu);
  m.impl("glu_backward", &glu_gradient);
  m.impl("glu_backward.grad_input", &glu_backward_out);
}

// ---- the native tier ----

constexpr Lowering kLowerings[] = {
    {"add.v1", [](const Lowered& c) -> Outputs { return {c.in[0].add(c.in[1])}; }},
    {"sub.v1", [](const Lowered& c) -> Outputs { return {c.in[0].sub(c.in[1])}; }},
    {"mul.v1", [](const Lowered& c) -> Outputs { return {c.in[0].mul(c.in[1])}; }},
    {"div.v1", [](const Lowered& c) -> Outputs { return {c.in[0].div(c.in[1])}; }},
    {"add_scalar.v1", [](const Lowered& c) -> Outputs { return {c.in[0].add(c.f(0))}; }},
    {"mul_scalar.v1", [](const Lowered& c) -> Outputs { return {c.in[0].mul(c.f(0))}; }},
    {"div_scalar.v1", [](const Lowered& c) -> Outputs { return {c.in[0].div(c.f(0))}; }},
    {"neg.v1", [](const Lowered& c) -> Outputs { return {c.in[0].neg()}; }},
    {"abs.v1", [](const Lowered& c) -> Outputs { return {c.in[0].abs()}; }},
    {"sign.v1", [](const Lowered& c) -> Outputs { return {c.in[0].sgn()}; }},
    {"add_mul.v1", [](const Lowered& c) -> Outputs { return {c.in[0].addcmul(c.in[1], c.in[2], c.f(0))}; }},
    {"add_div.v1", [](const Lowered& c) -> Outputs { return {c.in[0].addcdiv(c.in[1], c.in[2], c.f(0))}; }},
    {"lerp.v1", [](const Lowered& c) -> Outputs { return {c.in[0].lerp(c.in[1], c.in[2])}; }},
    {"minimum.v1", [](const Lowered& c) -> Outputs { return {at::minimum(c.in[0], c.in[1])}; }},
    {"maximum.v1", [](const Lowered& c) -> Outputs { return {at::maximum(c.in[0], c.in[1])}; }},
    {"fmin.v1", [](const Lowered& c) -> Outputs { return {at::fmin(c.in[0], c.in[1])}; }},
    {"fmax.v1", [](const Lowered& c) -> Outputs { return {at::fmax(c.in[0], c.in[1])}; }},
    {"clamp.v1", [](const Lowered& c) -> Outputs { return {c.in[0].clamp(c.f(0), c.f(1))}; }},
    {"copysign.v1", [](const Lowered& c) -> Outputs { return {at::copysign(c.in[0], c.in[1])}; }},
    {"nan_to_num.v1", [](const Lowered& c) -> Outputs { return {c.in[0].nan_to_num(c.f(0), c.f(1), c.f(2))}; }},
    {"floor.v1", [](const Lowered& c) -> Outputs { return {c.in[0].floor()}; }},
    {"ceil.v1", [](const Lowered& c) -> Outputs { return {c.in[0].ceil()}; }},
    {"round.v1", [](const Lowered& c) -> Outputs { return {c.in[0].round()}; }},
    {"trunc.v1", [](const Lowered& c) -> Outputs { return {c.in[0].trunc()}; }},
    {"fmod.v1", [](const Lowered& c) -> Outputs { return {c.in[0].fmod(c.in[1])}; }},
    {"remainder.v1", [](const Lowered& c) -> Outputs { return {c.in[0].remainder(c.in[1])}; }},
    {"sqrt.v1", [](const Lowered& c) -> Outputs { return {c.in[0].sqrt()}; }},
    {"rsqrt.v1", [](const Lowered& c) -> Outputs { return {c.in[0].rsqrt()}; }},
    {"reciprocal.v1", [](const Lowered& c) -> Outputs { return {c.in[0].reciprocal()}; }},
    {"pow.v1", [](const Lowered& c) -> Outputs { return {c.in[0].pow(c.in[1])}; }},
    {"exp.v1", [](const Lowered& c) -> Outputs { return {c.in[0].exp()}; }},
    {"exp2.v1", [](const Lowered& c) -> Outputs { return {c.in[0].exp2()}; }},
    {"expm1.v1", [](const Lowered& c) -> Outputs { return {c.in[0].expm1()}; }},
    {"log.v1", [](const Lowered& c) -> Outputs { return {c.in[0].log()}; }},
    {"log1p.v1", [](const Lowered& c) -> Outputs { return {c.in[0].log1p()}; }},
    {"log2.v1", [](const Lowered& c) -> Outputs { return {c.in[0].log2()}; }},
    {"log10.v1", [](const Lowered& c) -> Outputs { return {c.in[0].log10()}; }},
    {"logaddexp.v1", [](const Lowered& c) -> Outputs { return {at::logaddexp(c.in[0], c.in[1])}; }},
    {"xlogy.v1", [](const Lowered& c) -> Outputs { return {at::xlogy(c.in[0], c.in[1])}; }},
    {"sin.v1", [](const Lowered& c) -> Outputs { return {c.in[0].sin()}; }},
    {"cos.v1", [](const Lowered& c) -> Outputs { return {c.in[0].cos()}; }},
    {"tan.v1", [](const Lowered& c) -> Outputs { return {c.in[0].tan()}; }},
    {"asin.v1", [](const Lowered& c) -> Outputs { return {c.in[0].asin()}; }},
    {"acos.v1", [](const Lowered& c) -> Outputs { return {c.in[0].acos()}; }},
    {"atan.v1", [](const Lowered& c) -> Outputs { return {c.in[0].atan()}; }},
    {"atan2.v1", [](const Lowered& c) -> Outputs { return {at::atan2(c.in[0], c.in[1])}; }},
    {"sinh.v1", [](const Lowered& c) -> Outputs { return {c.in[0].sinh()}; }},
    {"cosh.v1", [](const Lowered& c) -> Outputs { return {c.in[0].cosh()}; }},
    {"tanh.v1", [](const Lowered& c) -> Outputs { return {c.in[0].tanh()}; }},
    {"erf.v1", [](const Lowered& c) -> Outputs { return {c.in[0].erf()}; }},
    {"erfc.v1", [](const Lowered& c) -> Outputs { return {c.in[0].erfc()}; }},
    {"relu.v1", [](const Lowered& c) -> Outputs { return {c.in[0].relu()}; }},
    {"relu_backward.v1", [](const Lowered& c) -> Outputs { return {at::threshold_backward(c.in[0], c.in[1], c.f(0))}; }},
    {"threshold.v1", [](const Lowered& c) -> Outputs { return {at::threshold(c.in[0], c.f(0), c.f(1))}; }},
    {"clamp_backward.v1", [](const Lowered& c) -> Outputs { return {at::hardtanh_backward(c.in[0], c.in[1], c.f(0), c.f(1))}; }},
    {"leaky_relu.v1", [](const Lowered& c) -> Outputs { return {at::leaky_relu(c.in[0], c.f(0))}; }},
    {"leaky_relu_backward.v1", [](const Lowered& c) -> Outputs { return {at::leaky_relu_backward(c.in[0], c.in[1], c.f(0), false)}; }},
    {"prelu.v1", [](const Lowered& c) -> Outputs { return {at::_prelu_kernel(c.in[0], c.in[1])}; }},
    {"prelu_backward.v1", [](const Lowered& c) -> Outputs { return {std::get<0>(at::_prelu_kernel_backward(c.in[0], c.in[1], c.in[2]))}; }},
    {"prelu_backward_weight.v1", [](const Lowered& c) -> Outputs { return {std::get<1>(at::_prelu_kernel_backward(c.in[0], c.in[1], c.in[1]))}; }},
    {"hardsigmoid.v1", [](const Lowered& c) -> Outputs { return {at::hardsigmoid(c.in[0])}; }},
    {"hardsigmoid_backward.v1", [](const Lowered& c) -> Outputs { return {at::hardsigmoid_backward(c.in[0], c.in[1])}; }},
    {"hardswish.v1", [](const Lowered& c) -> Outputs { return {at::hardswish(c.in[0])}; }},
    {"hardswish_backward.v1", [](const Lowered& c) -> Outputs { return {at::hardswish_backward(c.in[0], c.in[1])}; }},
    {"softshrink.v1", [](const Lowered& c) -> Outputs { return {at::softshrink(c.in[0], c.f(0))}; }},
    {"hardshrink.v1", [](const Lowered& c) -> Outputs { return {at::hardshrink(c.in[0], c.f(0))}; }},
    {"shrink_backward.v1", [](const Lowered& c) -> Outputs { return {at::hardshrink_backward(c.in[0], c.in[1], c.f(0))}; }},
    {"sigmoid.v1", [](const Lowered& c) -> Outputs { return {c.in[0].sigmoid()}; }},
    {"sigmoid_backward.v1", [](const Lowered& c) -> Outputs { return {at::sigmoid_backward(c.in[0], c.in[1])}; }},
    {"tanh_backward.v1", [](const Lowered& c) -> Outputs { return {at::tanh_backward(c.in[0], c.in[1])}; }},
    {"silu.v1", [](const Lowered& c) -> Outputs { return {at::silu(c.in[0])}; }},
    {"silu_backward.v1", [](const Lowered& c) -> Outputs { return {at::silu_backward(c.in[0], c.in[1])}; }},
    {"gelu.v1", [](const Lowered& c) -> Outputs { return {at::gelu(c.in[0])}; }},
    {"gelu_backward.v1", [](const Lowered& c) -> Outputs { return {at::gelu_backward(c.in[0], c.in[1])}; }},
    {"gelu_tanh.v1", [](const Lowered& c) -> Outputs { return {at::gelu(c.in[0], "tanh")}; }},
    {"gelu_tanh_backward.v1", [](const Lowered& c) -> Outputs { return {at::gelu_backward(c.in[0], c.in[1], "tanh")}; }},
    {"softplus.v1", [](const Lowered& c) -> Outputs { return {at::softplus(c.in[0], c.f(0), c.f(1))}; }},
    {"softplus_backward.v1", [](const Lowered& c) -> Outputs { return {at::softplus_backward(c.in[0], c.in[1], c.f(0), c.f(1))}; }},
    {"log_sigmoid.v1", [](const Lowered& c) -> Outputs { return {at::log_sigmoid(c.in[0])}; }},
    {"log_sigmoid_backward.v1", [](const Lowered& c) -> Outputs { return {c.in[0].mul(c.in[1].neg().sigmoid_())}; }},
    {"elu.v1", [](const Lowered& c) -> Outputs { return {at::elu(c.in[0], c.f(0), c.f(1), c.f(2))}; }},
    {"elu_backward.v1", [](const Lowered& c) -> Outputs { return {at::elu_backward(c.in[0], c.f(0), c.f(1), c.f(2), c.f(3) != 0, c.in[1])}; }},
    {"mish.v1", [](const Lowered& c) -> Outputs { return {at::mish(c.in[0])}; }},
    {"mish_backward.v1", [](const Lowered& c) -> Outputs { return {at::mish_backward(c.in[0], c.in[1])}; }},
};

}  // namespace

Family aten_pointwise() { return {&on_exact, kLowerings}; }

}  // namespace cairn::runtime
