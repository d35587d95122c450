// Sums, means, the greatest; normalisation and softmax over the last dimension.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "runtime/aten.h"

namespace cairn::runtime {
namespace {

// A tensor whose reduced dimensions stand last, as rows; `kept` are the sizes of the others, in order.
struct Folded {
  Tensor whole;
  Rows rows;
  std::vector<int64_t> kept;
};
std::vector<bool> reduced_dims(const Tensor& x, at::OptionalIntArrayRef dims) {
  std::vector<bool> reduced(static_cast<size_t>(x.dim()), !dims || dims->empty());
  if (dims)
    for (const int64_t d : *dims) reduced[static_cast<size_t>(d < 0 ? d + x.dim() : d)] = true;
  return reduced;
}
Folded folded(const Tensor& x, at::OptionalIntArrayRef dims) {
  const std::vector<bool> reduced = reduced_dims(x, dims);
  std::vector<int64_t> order, gone;
  Folded out{{}, {1, 1}, {}};
  for (int64_t d = 0; d < x.dim(); d++) {
    const bool is_gone = reduced[static_cast<size_t>(d)];
    (is_gone ? gone : order).push_back(d);
    (is_gone ? out.rows.columns : out.rows.rows) *= x.size(d);
    if (!is_gone) out.kept.push_back(x.size(d));
  }
  order.insert(order.end(), gone.begin(), gone.end());
  out.whole = plain(x.permute(order));
  return out;
}
// The last output of a reduction of rows.
Tensor last_axis(std::string_view op, const Folded& x) {
  return reshaped(call(op, {}, {{x.whole, x.rows.shape()}}).back(), x.kept);
}

}  // namespace

Tensor summed(const Tensor& x, at::OptionalIntArrayRef dims) {
  const std::vector<bool> reduced = reduced_dims(x, dims);
  const auto first_kept = std::find(reduced.begin(), reduced.end(), false);
  const bool leading = first_kept != reduced.begin() && first_kept != reduced.end() && std::find(first_kept, reduced.end(), true) == reduced.end();
  if (!leading) return last_axis("sum_last.v1", folded(x, dims));
  const IntArrayRef kept = x.sizes().slice(static_cast<size_t>(first_kept - reduced.begin()));
  const Rows rows = rows_of(x, std::accumulate(kept.begin(), kept.end(), int64_t{1}, std::multiplies<>()));
  return reshaped(call("sum_rows.v1", {}, {{plain(x), rows.shape()}})[0], kept);
}

namespace {

Tensor as_float(const Tensor& x, const Tensor& out, const char* what) {
  if (!out.is_floating_point()) refuse_undefined(std::string(what) + " in " + c10::toString(out.scalar_type()), "");
  return cast(x, at::kFloat);
}
Tensor& sum(const Tensor& x, at::OptionalIntArrayRef dims, bool, std::optional<at::ScalarType>, Tensor& out) {
  if (is_integer(out)) {
    assign(out, reshaped(integer_reduced("integer_sum.v1", cast(x, is_integer(x) ? x.scalar_type() : out.scalar_type()), dims), out.sizes()));
    return out;
  }
  assign(out, reshaped(summed(as_float(x, out, "a sum"), dims), out.sizes()));
  return out;
}
Tensor& mean(const Tensor& x, at::OptionalIntArrayRef dims, bool, std::optional<at::ScalarType>, Tensor& out) {
  const auto count = static_cast<double>(x.numel() / std::max<int64_t>(out.numel(), 1));
  assign(out, reshaped(one("div_scalar.v1", {summed(as_float(x, out, "a mean"), dims)}, {number(count)}), out.sizes()));
  return out;
}
template <OpName kOp, OpName kInteger>
Tensor& extreme(const Tensor& x, IntArrayRef dims, bool, Tensor& out) {
  if (is_integer(out)) assign(out, reshaped(integer_reduced(kInteger, x, dims), out.sizes()));
  else assign(out, reshaped(last_axis(kOp, folded(as_float(x, out, "an extreme"), dims)), out.sizes()));
  return out;
}
Tensor greatest(const Tensor& x) { return x.amax(); }
Tensor least(const Tensor& x) { return x.amin(); }
Tensor& greatest_out(const Tensor& x, Tensor& out) { return at::amax_out(out, x, IntArrayRef{}); }
Tensor& least_out(const Tensor& x, Tensor& out) { return at::amin_out(out, x, IntArrayRef{}); }
std::tuple<Tensor&, Tensor&> least_and_greatest(const Tensor& x, std::optional<int64_t> dim, bool keep, Tensor& low, Tensor& high) {
  const std::vector<int64_t> dims(dim ? 1 : 0, dim.value_or(0));
  at::amin_out(low, x, dims, keep);
  at::amax_out(high, x, dims, keep);
  return {low, high};
}
Tensor product_of_integers(const Tensor& x, int64_t dim) { return cast(x, at::kLong).cumprod(dim).select(dim, -1); }
Tensor product_of_all(const Tensor& x, std::optional<at::ScalarType> dtype) {
  if (is_integer(x) && dtype.value_or(at::kLong) == at::kLong) return product_of_integers(x.reshape(-1), 0);
  if (dtype.value_or(x.scalar_type()) != at::kFloat) refuse_undefined("a product that is no float32", "prod_last.v1");
  return last_axis("prod_last.v1", folded(cast(x, at::kFloat), std::nullopt));
}
Tensor& product(const Tensor& x, int64_t dim, bool, std::optional<at::ScalarType>, Tensor& out) {
  if (is_integer(out)) assign(out, product_of_integers(x, dim).reshape(out.sizes()));
  else assign(out, reshaped(last_axis("prod_last.v1", folded(as_float(x, out, "a product"), IntArrayRef{dim})), out.sizes()));
  return out;
}

// The sizes of a reduction's result.
std::vector<int64_t> result_sizes(const Tensor& x, at::OptionalIntArrayRef dims, bool keep) {
  const std::vector<bool> reduced = reduced_dims(x, dims);
  std::vector<int64_t> sizes;
  for (int64_t d = 0; d < x.dim(); d++)
    if (!reduced[static_cast<size_t>(d)] || keep) sizes.push_back(reduced[static_cast<size_t>(d)] ? 1 : x.size(d));
  return sizes;
}
// Mean, then the squares of what is left, over count - correction.
std::tuple<Tensor, Tensor> variance_and_mean(const Tensor& x, at::OptionalIntArrayRef dims, const std::optional<Scalar>& correction, bool keep) {
  require_float(x, "a variance");
  const Folded f = folded(x, dims);
  const auto count = static_cast<double>(f.rows.columns);
  const Tensor rows = reshaped(f.whole, f.rows.shape());
  const Tensor mean = one("div_scalar.v1", {reshaped(last_axis("sum_last.v1", f), {f.rows.rows, 1})}, {number(count)});
  const Tensor squares = elementwise("squared_difference.v1", {rows, mean});
  const Tensor sum = last_axis("sum_last.v1", {squares, f.rows, f.kept});
  const double free = std::max(0.0, count - (correction ? correction->to<double>() : 1.0));
  const auto sizes = result_sizes(x, dims, keep);
  return {reshaped(one("div_scalar.v1", {sum}, {number(free)}), sizes), reshaped(mean, sizes)};
}
std::tuple<Tensor, Tensor> deviation_and_mean(const Tensor& x, at::OptionalIntArrayRef dims, const std::optional<Scalar>& correction, bool keep) {
  const auto [variance, mean] = variance_and_mean(x, dims, correction, keep);
  return {one("sqrt.v1", {variance}), mean};
}
Tensor variance(const Tensor& x, at::OptionalIntArrayRef dims, const std::optional<Scalar>& correction, bool keep) {
  return std::get<0>(variance_and_mean(x, dims, correction, keep));
}
Tensor deviation(const Tensor& x, at::OptionalIntArrayRef dims, const std::optional<Scalar>& correction, bool keep) {
  return std::get<0>(deviation_and_mean(x, dims, correction, keep));
}

Tensor norm_of(const Tensor& x, double power, at::OptionalIntArrayRef dims) {
  const Folded f = folded(x, dims);
  if (power == 2) return one("sqrt.v1", {last_axis("sum_squares_last.v1", f)});
  const Folded sizes{one("abs.v1", {f.whole}), f.rows, f.kept};
  if (power == 1) return last_axis("sum_last.v1", sizes);
  if (power == INFINITY) return last_axis("max_last.v1", sizes);
  if (power == -INFINITY) return last_axis("min_last.v1", sizes);
  if (power == 0) refuse_undefined("the 0-norm", "sum_last.v1");
  const auto raised = [](const Tensor& t, double to) { return elementwise("pow.v1", {t, at::scalar_tensor(to, at::kDouble)}); };
  return raised(last_axis("sum_last.v1", {raised(sizes.whole, power), f.rows, f.kept}), 1 / power);
}
Tensor& vector_norm(const Tensor& x, const Scalar& power, at::OptionalIntArrayRef dims, bool, std::optional<at::ScalarType>, Tensor& out) {
  assign(out, reshaped(norm_of(as_float(x, out, "a norm"), power.to<double>(), dims), out.sizes()));
  return out;
}
Tensor& norm(const Tensor& x, const std::optional<Scalar>& power, IntArrayRef dims, bool, Tensor& out) {
  assign(out, reshaped(norm_of(as_float(x, out, "a norm"), power ? power->to<double>() : 2.0, dims), out.sizes()));
  return out;
}

// max + ln sum e^(x - max), as in log_softmax; an infinite max leaves nothing to subtract.
Tensor log_sum_exp(const Tensor& x, IntArrayRef dims, bool keep) {
  require_float(x, "logsumexp");
  const Folded f = folded(x, dims);
  const Tensor rows = reshaped(f.whole, f.rows.shape());
  const Tensor greatest = reshaped(last_axis("max_last.v1", f), {f.rows.rows, 1});
  const Tensor finite = one("nan_to_num.v1", {greatest}, {number(NAN), 0, 0});
  const Tensor powers = one("exp.v1", {elementwise("sub.v1", {rows, finite})});
  const Tensor sum = reshaped(last_axis("sum_last.v1", {powers, f.rows, f.kept}), {f.rows.rows, 1});
  return reshaped(one("add.v1", {one("log.v1", {sum}), finite}), result_sizes(x, dims, keep));
}
Tensor& logsumexp_out(const Tensor& x, IntArrayRef dims, bool keep, Tensor& out) {
  assign(out, log_sum_exp(x, dims, keep));
  return out;
}

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

// An operator on rows along any dimension: that one is put last before, and back after.
Tensor& along(std::string_view op, const std::vector<Tensor>& operands, int64_t dim, Tensor& out) {
  std::vector<Operand> rows;
  for (const Tensor& operand : operands) {
    require_float(operand, "a softmax");
    const Tensor turned = plain(operand.dim() == 0 ? operand : operand.movedim(dim, -1));
    rows.push_back({turned, rows_of(turned, operand.dim() == 0 ? 1 : operand.size(dim)).shape()});
  }
  const Tensor result = call(op, {}, rows).back();
  const Tensor turned = reshaped(result, rows[0].tensor.sizes());
  assign(out, out.dim() == 0 ? turned : turned.movedim(-1, dim));
  return out;
}
template <OpName kOp>
Tensor& softmax(const Tensor& x, int64_t dim, bool, Tensor& out) {
  return along(kOp, {x}, dim, out);
}
template <OpName kOp>
Tensor& softmax_backward(const Tensor& grad, const Tensor& y, int64_t dim, at::ScalarType, Tensor& out) {
  return along(kOp, {grad, y}, dim, out);
}

void on_exact(torch::Library& m) {
  m.impl("sum.IntList_out", &sum);
  m.impl("mean.out", &mean);
  m.impl("amax.out", &extreme<"max_last.v1", "integer_greatest.v1">);
  m.impl("amin.out", &extreme<"min_last.v1", "integer_least.v1">);
  m.impl("max", &greatest);
  m.impl("max.unary_out", &greatest_out);
  m.impl("min", &least);
  m.impl("min.unary_out", &least_out);
  m.impl("aminmax.out", &least_and_greatest);
  m.impl("prod", &product_of_all);
  m.impl("prod.int_out", &product);
  m.impl("var.correction", &variance);
  m.impl("std.correction", &deviation);
  m.impl("var_mean.correction", &variance_and_mean);
  m.impl("std_mean.correction", &deviation_and_mean);
  m.impl("linalg_vector_norm.out", &vector_norm);
  m.impl("norm.out", &norm);
  m.impl("logsumexp", &log_sum_exp);
  m.impl("logsumexp.out", &logsumexp_out);
  m.impl("native_layer_norm", &layer_norm);
  m.impl("native_layer_norm_backward", &layer_norm_backward);
  m.impl("_log_softmax.out", &softmax<"log_softmax.v1">);
  m.impl("_log_softmax_backward_data.out", &softmax_backward<"log_softmax_backward.v1">);
  m.impl("_softmax.out", &softmax<"softmax.v1">);
  m.impl("_softmax_backward_data.out", &softmax_backward<"softmax_backward.v1">);
}

// ---- the native tier ----

Outputs layer_norm_lowered(const Lowered& c) {
  auto [y, mean, rstd] = at::native_layer_norm(c.in[0], {c.in[0].size(1)}, c.in[1], c.in[2], c.f(0));
  return {mean.reshape({-1}), rstd.reshape({-1}), y};
}
constexpr Lowering kLowerings[] = {
    {"sum_rows.v1", [](const Lowered& c) -> Outputs { return {c.in[0].sum(at::IntArrayRef{0})}; }},
    {"sum_last.v1", [](const Lowered& c) { return last_of(c, c.in[0].sum(at::IntArrayRef{-1})); }},
    {"layer_norm.v1", layer_norm_lowered},
    {"layer_norm_backward_input.v1", [](const Lowered& c) {
      const int64_t columns = c.in[1].size(1), rows = c.in[1].size(0);
      return last_of(c, std::get<0>(at::native_layer_norm_backward(c.in[0], c.in[1], {columns}, c.in[2].view({rows, 1}), c.in[3].view({rows, 1}), c.in[4], {}, {true, false, false})));
    }},
    {"layer_norm_backward_affine.v1", [](const Lowered& c) -> Outputs {
      const int64_t columns = c.in[1].size(1), rows = c.in[1].size(0);
      const Tensor ones = at::ones({columns});
      auto [dx, dw, db] = at::native_layer_norm_backward(c.in[0], c.in[1], {columns}, c.in[2].view({rows, 1}), c.in[3].view({rows, 1}), ones, ones, {false, true, true});
      return {dw, db};
    }},
    {"log_softmax.v1", [](const Lowered& c) { return last_of(c, at::_log_softmax(c.in[0], -1, false)); }},
    {"log_softmax_backward.v1", [](const Lowered& c) { return last_of(c, at::_log_softmax_backward_data(c.in[0], c.in[1], -1, at::kFloat)); }},
    {"softmax.v1", [](const Lowered& c) { return last_of(c, at::_softmax(c.in[0], -1, false)); }},
    {"softmax_backward.v1", [](const Lowered& c) { return last_of(c, at::_softmax_backward_data(c.in[0], c.in[1], -1, at::kFloat)); }},
    {"sum_squares_last.v1", [](const Lowered& c) { return last_of(c, c.in[0].square().sum(at::IntArrayRef{-1})); }},
    {"max_last.v1", [](const Lowered& c) { return last_of(c, c.in[0].amax(-1)); }},
    {"min_last.v1", [](const Lowered& c) { return last_of(c, c.in[0].amin(-1)); }},
    {"prod_last.v1", [](const Lowered& c) { return last_of(c, c.in[0].prod(-1)); }},
    {"argmax_last.v1", [](const Lowered& c) { return last_of(c, c.in[0].argmax(-1)); }},
};

}  // namespace

Family aten_reductions() { return {&on_exact, kLowerings}; }

}  // namespace cairn::runtime
