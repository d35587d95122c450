// What each ATen operator is on `exact`: a composition of calls of Cairn's operators. Registered where libtorch's own
// composites end (exact-device facts: structured operators arrive as `.out`, scalars as 0-dimensional CPU tensors).
#include <algorithm>
#include <cmath>
#include <numeric>

#include "runtime/exact_device.h"
#include "runtime/recorder.h"

namespace cairn::runtime {
namespace {

using at::IntArrayRef;
using at::Scalar;
using at::Tensor;
using Maybe = std::optional<Tensor>;

// An f32 as an attribute.
int64_t number(double value) { return kernels::attr_of(static_cast<float>(value)); }
int64_t number(const Scalar& value) { return number(value.to<double>()); }

// One call whose operands keep their shapes.
Tensor one(std::string_view op, const std::vector<Tensor>& inputs, std::vector<int64_t> attrs = {}) {
  std::vector<Operand> operands;
  for (const Tensor& input : inputs) {
    const Tensor whole = plain(input);
    operands.push_back({whole, whole.sizes().vec()});
  }
  return call(op, std::move(attrs), operands)[0];
}

bool is_scalar(const Tensor& tensor) { return tensor.is_cpu() && tensor.dim() == 0; }
double value_of(const Tensor& scalar) { return scalar.item().to<double>(); }

Tensor constant(double value, IntArrayRef sizes) {
  Tensor out = empty_exact(sizes, at::kFloat);
  out.fill_(value);
  return out;
}

// The tensor as rows of its last dimension, or of its last `n` elements.
struct Rows {
  int64_t rows, columns;
  std::vector<int64_t> shape() const { return {rows, columns}; }
};
Rows rows_of(const Tensor& tensor, int64_t columns) {
  return {columns == 0 ? 0 : tensor.numel() / columns, columns};
}
void require_last(const Tensor& tensor, int64_t dim, const char* what) {
  if (dim != tensor.dim() - 1 && dim != -1) refuse_undefined(std::string(what) + " over a dimension that is not the last", what);
}

// ---- products ----

// A matrix as it lies in memory, and whether it is read transposed.
struct Matrix {
  Operand operand;
  int64_t transposed;
};
Matrix matrix(const Tensor& tensor) {
  const bool swapped = tensor.dim() == 2 && !tensor.is_contiguous() && tensor.stride(0) == 1 && tensor.stride(1) == tensor.size(0) &&
                       tensor.storage_offset() == 0 && tensor.storage().nbytes() == static_cast<size_t>(tensor.numel()) * tensor.element_size();
  if (!swapped) {
    const Tensor whole = plain(tensor);
    return {{whole, whole.sizes().vec()}, 0};
  }
  const std::vector<int64_t> stored{tensor.size(1), tensor.size(0)};
  return {{reshaped(tensor, stored), stored}, 1};
}

Tensor product(const Tensor& a, const Tensor& b) {
  const Matrix left = matrix(a), right = matrix(b);
  return call("matmul.f32.v1", {left.transposed, right.transposed}, {left.operand, right.operand})[0];
}
Tensor& mm(const Tensor& a, const Tensor& b, Tensor& out) {
  assign(out, product(a, b));
  return out;
}
Tensor scaled(const Tensor& tensor, const Scalar& by) {
  return by.equal(1) ? tensor : one("mul_scalar.v1", {tensor}, {number(by)});
}
Tensor& addmm(const Tensor& bias, const Tensor& a, const Tensor& b, const Scalar& beta, const Scalar& alpha, Tensor& out) {
  if (bias.dim() == 1 && bias.size(0) == out.size(1) && beta.equal(1) && alpha.equal(1)) {
    const Matrix weights = matrix(b);
    const Tensor x = plain(a), offset = plain(bias);
    assign(out, call("linear.f32.v1", {weights.transposed}, {{x, x.sizes().vec()}, weights.operand, {offset, offset.sizes().vec()}})[0]);
  } else {
    assign(out, one("add.v1", {scaled(spread(bias, out.sizes()), beta), scaled(product(a, b), alpha)}));
  }
  return out;
}

// ---- element by element ----

Tensor added(const Tensor& a, const Tensor& b, const Scalar& alpha, IntArrayRef sizes) {
  if (is_scalar(b)) return one("add_scalar.v1", {spread(a, sizes)}, {number(value_of(b) * alpha.to<double>())});
  if (is_scalar(a)) return one("add_scalar.v1", {scaled(spread(b, sizes), alpha)}, {number(value_of(a))});
  return one("add.v1", {spread(a, sizes), scaled(spread(b, sizes), alpha)});
}
Tensor& add(const Tensor& a, const Tensor& b, const Scalar& alpha, Tensor& out) {
  assign(out, added(a, b, alpha, out.sizes()));
  return out;
}
Tensor& sub(const Tensor& a, const Tensor& b, const Scalar& alpha, Tensor& out) {
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

// ---- reductions ----

// Sum over `dims`; the result has the other dimensions, in order.
Tensor summed(const Tensor& x, at::OptionalIntArrayRef dims) {
  std::vector<bool> reduced(static_cast<size_t>(x.dim()), !dims || dims->empty());
  if (dims)
    for (const int64_t d : *dims) reduced[static_cast<size_t>(d < 0 ? d + x.dim() : d)] = true;
  std::vector<int64_t> kept, gone;
  for (int64_t d = 0; d < x.dim(); d++) (reduced[static_cast<size_t>(d)] ? gone : kept).push_back(d);
  std::vector<int64_t> shape;
  int64_t rows = 1;
  for (const int64_t d : kept) {
    shape.push_back(x.size(d));
    rows *= x.size(d);
  }
  const int64_t columns = rows == 0 ? 0 : x.numel() / rows;
  const bool leading = !kept.empty() && !gone.empty() && gone.back() < kept.front();
  if (leading) {
    const Tensor whole = plain(x);
    return reshaped(call("sum_rows.v1", {}, {{whole, {columns, rows}}})[0], shape);
  }
  std::vector<int64_t> order = kept;
  order.insert(order.end(), gone.begin(), gone.end());
  const Tensor whole = plain(x.permute(order));
  return reshaped(call("sum_last.v1", {}, {{whole, {rows, columns}}}).back(), shape);
}
void require_float(const Tensor& x, const char* what) {
  if (x.scalar_type() != at::kFloat) refuse_undefined(std::string(what) + " of " + c10::toString(x.scalar_type()), "cast.v1");
}
Tensor& sum(const Tensor& x, at::OptionalIntArrayRef dims, bool, std::optional<at::ScalarType>, Tensor& out) {
  require_float(x, "a sum");
  assign(out, reshaped(summed(x, dims), out.sizes()));
  return out;
}
Tensor& mean(const Tensor& x, at::OptionalIntArrayRef dims, bool, std::optional<at::ScalarType>, Tensor& out) {
  require_float(x, "a mean");
  const auto count = static_cast<double>(x.numel() / std::max<int64_t>(out.numel(), 1));
  assign(out, reshaped(one("div_scalar.v1", {summed(x, dims)}, {number(count)}), out.sizes()));
  return out;
}
Tensor& argmax(const Tensor& x, std::optional<int64_t> dim, bool, Tensor& out) {
  if (!dim) refuse_undefined("argmax over all dimensions", "argmax_last.v1");
  require_last(x, *dim, "argmax_last.v1");
  const Tensor whole = plain(x);
  assign(out, reshaped(call("argmax_last.v1", {}, {{whole, rows_of(whole, x.size(-1)).shape()}}).back(), out.sizes()));
  return out;
}

// ---- normalisation, softmax, losses ----

std::tuple<Tensor, Tensor, Tensor> layer_norm(const Tensor& input, IntArrayRef normalized, const Maybe& weight, const Maybe& bias, double eps) {
  const int64_t columns = std::accumulate(normalized.begin(), normalized.end(), int64_t{1}, std::multiplies<>());
  const Tensor x = plain(input);
  const auto vector = [&](const Maybe& given, double otherwise) -> Operand {
    if (given && given->defined()) return {plain(*given), {columns}};
    return {constant(otherwise, {columns}), {columns}};
  };
  const auto out = call("layer_norm.v1", {number(eps)}, {{x, rows_of(x, columns).shape()}, vector(weight, 1), vector(bias, 0)});
  std::vector<int64_t> outer(input.sizes().begin(), input.sizes().end() - static_cast<std::ptrdiff_t>(normalized.size()));
  outer.resize(input.sizes().size(), 1);
  return {reshaped(out[2], input.sizes()), reshaped(out[0], outer), reshaped(out[1], outer)};
}
std::tuple<Tensor, Tensor, Tensor> layer_norm_backward(const Tensor& grad, const Tensor& input, IntArrayRef normalized, const Tensor& mean_in,
                                                       const Tensor& rstd_in, const Maybe& weight, const Maybe&, std::array<bool, 3> wanted) {
  const int64_t columns = std::accumulate(normalized.begin(), normalized.end(), int64_t{1}, std::multiplies<>());
  const Tensor dy = plain(grad), x = plain(input), m = plain(mean_in), r = plain(rstd_in);
  const Rows rows = rows_of(x, columns);
  const Operand w{weight && weight->defined() ? plain(*weight) : constant(1, {columns}), {columns}};
  const Operand mean_row{m, {rows.rows}}, rstd_row{r, {rows.rows}};
  Tensor dx, dw, db;
  if (wanted[0])
    dx = reshaped(call("layer_norm_backward_input.v1", {}, {{dy, rows.shape()}, {x, rows.shape()}, mean_row, rstd_row, w}).back(), input.sizes());
  if (wanted[1] || wanted[2]) {
    const auto out = call("layer_norm_backward_affine.v1", {}, {{dy, rows.shape()}, {x, rows.shape()}, mean_row, rstd_row});
    if (wanted[1]) dw = reshaped(out[0], normalized);
    if (wanted[2]) db = reshaped(out[1], normalized);
  }
  return {dx, dw, db};
}

Tensor& log_softmax(const Tensor& input, int64_t dim, bool, Tensor& out) {
  require_last(input, dim, "log_softmax.v1");
  const Tensor x = plain(input);
  assign(out, reshaped(call("log_softmax.v1", {}, {{x, rows_of(x, x.size(-1)).shape()}}).back(), out.sizes()));
  return out;
}
Tensor& log_softmax_backward(const Tensor& grad, const Tensor& output, int64_t dim, at::ScalarType, Tensor& out) {
  require_last(output, dim, "log_softmax_backward.v1");
  const Tensor g = plain(grad), y = plain(output);
  const auto shape = rows_of(y, y.size(-1)).shape();
  assign(out, reshaped(call("log_softmax_backward.v1", {}, {{g, shape}, {y, shape}}).back(), out.sizes()));
  return out;
}
Tensor& softmax(const Tensor& input, int64_t dim, bool, Tensor& out) {
  require_last(input, dim, "softmax.v1");
  const Tensor x = plain(input);
  assign(out, reshaped(call("softmax.v1", {}, {{x, rows_of(x, x.size(-1)).shape()}}).back(), out.sizes()));
  return out;
}
// y * (g - sum(g * y))
Tensor& softmax_backward(const Tensor& grad, const Tensor& output, int64_t dim, at::ScalarType, Tensor& out) {
  require_last(output, dim, "softmax.v1");
  const Tensor y = plain(output), gy = one("mul.v1", {grad, y});
  const Rows rows = rows_of(y, y.size(-1));
  const Tensor total = call("sum_last.v1", {}, {{gy, rows.shape()}}).back();
  const Tensor wide = reshaped(call("broadcast.v1", rows.shape(), {{total, {rows.rows, 1}}})[0], y.sizes());
  assign(out, one("mul.v1", {y, one("sub.v1", {grad, wide})}));
  return out;
}

std::tuple<Tensor&, Tensor&> nll_loss(const Tensor& logp, const Tensor& target, const Maybe& weight, int64_t reduction, int64_t ignore_index,
                                      Tensor& out, Tensor& total_weight) {
  if (weight && weight->defined()) refuse_undefined("a loss with class weights", "nll_loss.v1");
  if (reduction == at::Reduction::None) refuse_undefined("a loss without reduction", "nll_loss.v1");
  const Tensor p = plain(logp), t = plain(target);
  const auto result = call("nll_loss.v1", {reduction, ignore_index}, {{p, rows_of(p, p.size(-1)).shape()}, {t, {t.numel()}}});
  assign(out, reshaped(result[1], out.sizes()));
  assign(total_weight, reshaped(result[0], total_weight.sizes()));
  return {out, total_weight};
}
Tensor& nll_loss_backward(const Tensor& grad, const Tensor& logp, const Tensor& target, const Maybe&, int64_t reduction, int64_t ignore_index,
                          const Tensor& total_weight, Tensor& out) {
  const Tensor g = plain(grad), t = plain(target), count = plain(total_weight);
  assign(out, reshaped(call("nll_loss_backward.v1", {logp.size(-1), reduction, ignore_index}, {{g, {}}, {t, {t.numel()}}, {count, {}}})[0], out.sizes()));
  return out;
}

double pairs_of(const Tensor& a, int64_t reduction) { return reduction == at::Reduction::Mean ? static_cast<double>(a.numel()) : 1.0; }
Tensor& mse_loss(const Tensor& a, const Tensor& b, int64_t reduction, Tensor& out) {
  const Tensor difference = one("sub.v1", {a, b}), square = one("mul.v1", {difference, difference});
  if (reduction == at::Reduction::None) assign(out, square);
  else assign(out, one("div_scalar.v1", {summed(square, std::nullopt)}, {number(pairs_of(a, reduction))}));
  return out;
}
Tensor& mse_loss_backward_out(const Tensor& grad, const Tensor& a, const Tensor& b, int64_t reduction, Tensor& out) {
  const Tensor slope = one("mul_scalar.v1", {one("sub.v1", {a, b})}, {number(2.0 / pairs_of(a, reduction))});
  assign(out, one("mul.v1", {slope, spread(grad, a.sizes())}));
  return out;
}
Tensor mse_loss_backward(const Tensor& grad, const Tensor& a, const Tensor& b, int64_t reduction) {
  Tensor out = empty_exact(a.sizes(), at::kFloat);
  return mse_loss_backward_out(grad, a, b, reduction, out);
}

// ---- random ----

// The mask holds 0 or 1 / (1 - p), so that it is all that the backward pass needs.
std::tuple<Tensor, Tensor> dropout(const Tensor& input, double p, std::optional<bool> train) {
  if (train && !*train) return {plain(input), constant(1, input.sizes())};
  Recorder* recorder = Recorder::current();
  std::vector<int64_t> attrs{recorder ? recorder->next_random_site() : 0, number(p)};
  attrs.insert(attrs.end(), input.sizes().begin(), input.sizes().end());
  const Tensor mask = call("philox_mask.v1", attrs, {})[0];
  return {one("mul.v1", {input, mask}), mask};
}
Tensor dropout_backward(const Tensor& grad, const Tensor& mask, double) { return one("mul.v1", {grad, mask}); }

}  // namespace

void register_exact_operators(torch::Library& m) {
  m.impl("mm.out", &mm);
  m.impl("addmm.out", &addmm);
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
  m.impl("sum.IntList_out", &sum);
  m.impl("mean.out", &mean);
  m.impl("argmax.out", &argmax);
  m.impl("native_layer_norm", &layer_norm);
  m.impl("native_layer_norm_backward", &layer_norm_backward);
  m.impl("_log_softmax.out", &log_softmax);
  m.impl("_log_softmax_backward_data.out", &log_softmax_backward);
  m.impl("_softmax.out", &softmax);
  m.impl("_softmax_backward_data.out", &softmax_backward);
  m.impl("nll_loss_forward.output", &nll_loss);
  m.impl("nll_loss_backward.grad_input", &nll_loss_backward);
  m.impl("mse_loss.out", &mse_loss);
  m.impl("mse_loss_backward", &mse_loss_backward);
  m.impl("mse_loss_backward.grad_input", &mse_loss_backward_out);
  m.impl("native_dropout", &dropout);
  m.impl("native_dropout_backward", &dropout_backward);
}

}  // namespace cairn::runtime
