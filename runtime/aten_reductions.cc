// Sums, means, the greatest; normalisation and softmax over the last dimension.
#include <algorithm>
#include <numeric>

#include "runtime/aten.h"

namespace cairn::runtime {
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

namespace {

void require_last(const Tensor& tensor, int64_t dim, const char* what) {
  if (dim != tensor.dim() - 1 && dim != -1) refuse_undefined(std::string(what) + " over a dimension that is not the last", what);
}
Tensor& sum(const Tensor& x, at::OptionalIntArrayRef dims, bool, std::optional<at::ScalarType>, Tensor& out) {
  if (is_integer(out)) {
    assign(out, reshaped(integer_reduced("integer_sum.v1", cast(x, is_integer(x) ? x.scalar_type() : out.scalar_type()), dims), out.sizes()));
    return out;
  }
  assign(out, reshaped(summed(is_integer(x) ? cast(x, out.scalar_type()) : x, dims), out.sizes()));
  return out;
}
Tensor& mean(const Tensor& x, at::OptionalIntArrayRef dims, bool, std::optional<at::ScalarType>, Tensor& out) {
  require_float(x, "a mean");
  const auto count = static_cast<double>(x.numel() / std::max<int64_t>(out.numel(), 1));
  assign(out, reshaped(one("div_scalar.v1", {summed(x, dims)}, {number(count)}), out.sizes()));
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

void on_exact(torch::Library& m) {
  m.impl("sum.IntList_out", &sum);
  m.impl("mean.out", &mean);
  m.impl("native_layer_norm", &layer_norm);
  m.impl("native_layer_norm_backward", &layer_norm_backward);
  m.impl("_log_softmax.out", &log_softmax);
  m.impl("_log_softmax_backward_data.out", &log_softmax_backward);
  m.impl("_softmax.out", &softmax);
  m.impl("_softmax_backward_data.out", &softmax_backward);
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
    {"argmax_last.v1", [](const Lowered& c) { return last_of(c, c.in[0].argmax(-1)); }},
};

}  // namespace

Family aten_reductions() { return {&on_exact, kLowerings}; }

}  // namespace cairn::runtime
