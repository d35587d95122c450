// Element by element.
#include <algorithm>
#include <numeric>

#include "runtime/aten.h"

namespace cairn::runtime {
namespace {

Tensor added(const Tensor& a, const Tensor& b, const Scalar& alpha, IntArrayRef sizes) {
  if (is_scalar(b)) return one("add_scalar.v1", {spread(a, sizes)}, {number(value_of(b) * alpha.to<double>())});
  if (is_scalar(a)) return one("add_scalar.v1", {scaled(spread(b, sizes), alpha)}, {number(value_of(a))});
  return one("add.v1", {spread(a, sizes), scaled(spread(b, sizes), alpha)});
}
Tensor& add(const Tensor& a, const Tensor& b, const Scalar& alpha, Tensor& out) {
  if (is_integer(out)) return integer_added("integer_add.v1", a, b, alpha, out);
  assign(out, added(a, b, alpha, out.sizes()));
  return out;
}
Tensor& sub(const Tensor& a, const Tensor& b, const Scalar& alpha, Tensor& out) {
  if (is_integer(out)) return integer_added("integer_sub.v1", a, b, alpha, out);
  if (is_scalar(a) || is_scalar(b)) assign(out, added(a, b, Scalar(-alpha.to<double>()), out.sizes()));
  else assign(out, one("sub.v1", {spread(a, out.sizes()), scaled(spread(b, out.sizes()), alpha)}));
  return out;
}
Tensor multiplied(const Tensor& a, const Tensor& b, IntArrayRef sizes) {
  if (is_scalar(b)) return one("mul_scalar.v1", {spread(a, sizes)}, {number(value_of(b))});
  if (is_scalar(a)) return one("mul_scalar.v1", {spread(b, sizes)}, {number(value_of(a))});
  return one("mul.v1", {spread(a, sizes), spread(b, sizes)});
}
Tensor& mul(const Tensor& a, const Tensor& b, Tensor& out) {
  if (is_integer(out)) return integer_multiplied(a, b, out);
  assign(out, multiplied(a, b, out.sizes()));
  return out;
}
Tensor& div(const Tensor& a, const Tensor& b, Tensor& out) {
  if (is_scalar(b)) assign(out, one("div_scalar.v1", {spread(a, out.sizes())}, {number(value_of(b))}));
  else if (is_scalar(a)) assign(out, one("div.v1", {constant(value_of(a), out.sizes()), spread(b, out.sizes())}));
  else assign(out, one("div.v1", {spread(a, out.sizes()), spread(b, out.sizes())}));
  return out;
}
template <const char* kName>
Tensor& unary(const Tensor& x, Tensor& out) {
  assign(out, one(kName, {x}));
  return out;
}
constexpr char kNeg[] = "neg.v1", kExp[] = "exp.v1", kLog[] = "log.v1", kTanh[] = "tanh.v1", kSigmoid[] = "sigmoid.v1";

Tensor relu(const Tensor& x) { return one("relu.v1", {x}); }
Tensor& relu_(Tensor& x) {
  assign(x, one("relu.v1", {x}));
  return x;
}
Tensor& threshold_backward(const Tensor& grad, const Tensor& x, const Scalar& threshold, Tensor& out) {
  assign(out, one("relu_backward.v1", {grad, x}, {number(threshold)}));
  return out;
}
// g * y * (1 - y), g * (1 - y * y)
Tensor& sigmoid_backward(const Tensor& grad, const Tensor& y, Tensor& out) {
  const Tensor rest = one("add_scalar.v1", {one("neg.v1", {y})}, {number(1)});
  assign(out, one("mul.v1", {grad, one("mul.v1", {y, rest})}));
  return out;
}
Tensor& tanh_backward(const Tensor& grad, const Tensor& y, Tensor& out) {
  const Tensor rest = one("add_scalar.v1", {one("neg.v1", {one("mul.v1", {y, y})})}, {number(1)});
  assign(out, one("mul.v1", {grad, rest}));
  return out;
}
Tensor& silu(const Tensor& x, Tensor& out) {
  assign(out, one("mul.v1", {x, one("sigmoid.v1", {x})}));
  return out;
}
Tensor& pow_scalar(const Tensor& x, const Scalar& exponent, Tensor& out) {
  const double power = exponent.to<double>();
  if (power != 2 && power != 3) refuse_undefined("a power other than 2 and 3", "mul.v1");
  const Tensor square = one("mul.v1", {x, x});
  assign(out, power == 2 ? square : one("mul.v1", {square, x}));
  return out;
}

void on_exact(torch::Library& m) {
  m.impl("add.out", &add);
  m.impl("sub.out", &sub);
  m.impl("mul.out", &mul);
  m.impl("div.out", &div);
  m.impl("neg.out", &unary<kNeg>);
  m.impl("exp.out", &unary<kExp>);
  m.impl("log.out", &unary<kLog>);
  m.impl("tanh.out", &unary<kTanh>);
  m.impl("sigmoid.out", &unary<kSigmoid>);
  m.impl("relu", &relu);
  m.impl("relu_", &relu_);
  m.impl("threshold_backward.grad_input", &threshold_backward);
  m.impl("sigmoid_backward.grad_input", &sigmoid_backward);
  m.impl("tanh_backward.grad_input", &tanh_backward);
  m.impl("silu.out", &silu);
  m.impl("pow.Tensor_Scalar_out", &pow_scalar);
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
    {"relu.v1", [](const Lowered& c) -> Outputs { return {c.in[0].relu()}; }},
    {"relu_backward.v1", [](const Lowered& c) -> Outputs { return {at::threshold_backward(c.in[0], c.in[1], c.f(0))}; }},
    {"exp.v1", [](const Lowered& c) -> Outputs { return {c.in[0].exp()}; }},
    {"log.v1", [](const Lowered& c) -> Outputs { return {c.in[0].log()}; }},
    {"tanh.v1", [](const Lowered& c) -> Outputs { return {c.in[0].tanh()}; }},
    {"sigmoid.v1", [](const Lowered& c) -> Outputs { return {c.in[0].sigmoid()}; }},
};

}  // namespace

Family aten_pointwise() { return {&on_exact, kLowerings}; }

}  // namespace cairn::runtime
