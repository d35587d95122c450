// Attention, recurrence, norms of language models.
#include <ATen/native/transformers/attention.h>

#include <cmath>
#include <numeric>

#include "runtime/aten.h"
#include "runtime/recorder.h"

namespace cairn::runtime {
namespace {

// ---- attention ----

// libtorch asks the device which fused kind to take. What the fused operator has not is composed of products and softmax.
int64_t kind_of_attention(const Tensor& q, const Tensor& k, const Tensor& v, const Maybe& bias, double p, bool, std::optional<double>, bool) {
  const bool bias_learns = bias && bias->defined() && bias->requires_grad() && (p > 0 || q.size(1) != k.size(1));
  const bool fits = q.dim() == 4 && k.dim() == 4 && v.dim() == 4 && q.size(3) <= 256 && v.size(3) <= 256 && p < 1 && !bias_learns &&
                    numeric_class() == attest::NumericClass::f32;
  return static_cast<int64_t>(fits ? at::SDPBackend::overrideable : at::SDPBackend::math);
}

struct AttentionCall {
  std::vector<int64_t> attrs;
  std::vector<Operand> operands;  // q, k, v, bias where there is one
};
Operand whole(const Tensor& tensor) {
  const Tensor x = plain(tensor);
  return {x, x.sizes().vec()};
}
// A mask of truth values becomes a bias before it comes here; a bias has the scores' dimensions or fewer, each whole or 1.
AttentionCall attention_call(const Tensor& q, const Tensor& k, const Tensor& v, const Maybe& bias, double p, bool causal, std::optional<double> scale,
                             int64_t site) {
  for (const Tensor* tensor : {&q, &k, &v}) require_float(*tensor, "attention");
  AttentionCall out;
  out.attrs = {number(scale.value_or(1.0 / std::sqrt(static_cast<double>(q.size(-1))))), causal, site, number(p)};
  out.operands = {whole(q), whole(k), whole(v)};
  if (bias && bias->defined()) {
    Tensor b = *bias;
    while (b.dim() < 4) b = b.unsqueeze(0);
    for (int64_t d = 0; d < 3; d++)  // what was expanded is read once
      if (b.stride(d) == 0) b = b.narrow(d, 0, 1);
    if (b.size(3) != k.size(2)) b = spread(b, {b.size(0), b.size(1), b.size(2), k.size(2)});
    out.operands.push_back(whole(b));
  }
  return out;
}

std::tuple<Tensor, Tensor, Tensor, Tensor, c10::SymInt, c10::SymInt, Tensor, Tensor, Tensor> attention(
    const Tensor& q, const Tensor& k, const Tensor& v, const Maybe& bias, double p, bool causal, bool, std::optional<double> scale) {
  Recorder* recorder = Recorder::current();
  const int64_t site = p > 0 && recorder ? recorder->next_random_site() : 0;
  const AttentionCall c = attention_call(q, k, v, bias, p, causal, scale, site);
  const auto out = call("attention.f32.v1", c.attrs, c.operands);
  // Backward gets the statistics as libtorch's log-sum-exp and seed: (max, sum) in one place each; the site as a number.
  const Tensor number_of_site = at::scalar_tensor(site, at::TensorOptions(at::kLong));
  return {out[2], out[0], out[1], Tensor(), q.size(2), k.size(2), number_of_site, number_of_site, Tensor()};
}

// The slopes of the scores, which the fused operator does not keep. Without dropout and grouped heads: see kind_of_attention;
// a bias is never causal besides.
Tensor bias_gradient(const AttentionCall& c, const Tensor& grad, const Tensor& delta, const Tensor& max, const Tensor& sum, const Tensor& bias) {
  const Tensor &q = c.operands[0].tensor, &k = c.operands[1].tensor, &v = c.operands[2].tensor;
  const int64_t n = q.size(0) * q.size(1), queries = q.size(2), keys = k.size(2);
  const std::vector<int64_t> sizes{q.size(0), q.size(1), queries, keys};
  const auto products = [&](const Tensor& a, const Tensor& b) {
    return reshaped(call("bmm.f32.v1", {0, 1}, {{a, {n, queries, a.size(3)}}, {b, {n, keys, b.size(3)}}})[0], sizes);
  };
  const auto column = [&](const Tensor& row) { return spread(reshaped(row, {q.size(0), q.size(1), queries, 1}), sizes); };
  const Tensor scores = one("add.v1", {one("mul_scalar.v1", {products(q, k)}, {c.attrs[0]}), spread(c.operands[3].tensor, sizes)});
  const Tensor weights = one("div.v1", {one("exp.v1", {one("sub.v1", {scores, column(max)})}), column(sum)});
  const Tensor slopes = one("mul.v1", {weights, one("sub.v1", {products(grad, v), column(delta)})});
  std::vector<int64_t> repeated;
  for (int64_t d = 0; d < 4; d++)
    if (d < 4 - bias.dim() || (bias.size(d - 4 + bias.dim()) == 1 && sizes[static_cast<size_t>(d)] != 1)) repeated.push_back(d);
  return reshaped(repeated.empty() ? slopes : summed(slopes, repeated), bias.sizes());
}

std::tuple<Tensor, Tensor, Tensor, Tensor> attention_backward(const Tensor& grad, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& bias,
                                                              std::array<bool, 4> wanted, const Tensor& y, const Tensor& max, const Tensor& sum, const Tensor&,
                                                              c10::SymInt, c10::SymInt, double p, bool causal, const Tensor& site, const Tensor&,
                                                              std::optional<double> scale) {
  AttentionCall c = attention_call(q, k, v, bias, p, causal, scale, site.item<int64_t>());
  std::vector<Operand> operands{whole(grad), c.operands[0], c.operands[1], c.operands[2], whole(y), whole(max), whole(sum)};
  if (c.operands.size() > 3) operands.push_back(c.operands[3]);
  const auto out = call("attention_backward.f32.v1", c.attrs, operands);
  Tensor bias_grad;
  if (wanted[3] && bias.defined()) bias_grad = bias_gradient(c, operands[0].tensor, out[0], operands[5].tensor, operands[6].tensor, bias);
  return {out[1], out[2], out[3], bias_grad};
}

// ---- RMS norm ----

std::tuple<Tensor, Tensor> rms_norm(const Tensor& input, IntArrayRef normalized, const Maybe& weight, std::optional<double> eps) {
  require_float(input, "rms_norm");
  const int64_t columns = std::accumulate(normalized.begin(), normalized.end(), int64_t{1}, std::multiplies<>());
  const Tensor x = plain(input), w = weight && weight->defined() ? plain(*weight) : constant(1, {columns});
  const auto out = call("rms_norm.v1", {number(eps.value_or(std::numeric_limits<float>::epsilon()))}, {{x, rows_of(x, columns).shape()}, {w, {columns}}});
  std::vector<int64_t> outer(input.sizes().begin(), input.sizes().end() - static_cast<std::ptrdiff_t>(normalized.size()));
  outer.resize(input.sizes().size(), 1);
  return {reshaped(out[1], input.sizes()), reshaped(out[0], outer)};
}
std::tuple<Tensor, Tensor> rms_norm_backward(const Tensor& grad, const Tensor& input, IntArrayRef normalized, const Tensor& rstd, const Maybe& weight,
                                             std::array<bool, 2> wanted) {
  const int64_t columns = std::accumulate(normalized.begin(), normalized.end(), int64_t{1}, std::multiplies<>());
  const Tensor dy = plain(grad), x = plain(input), w = weight && weight->defined() ? plain(*weight) : constant(1, {columns});
  const Rows rows = rows_of(x, columns);
  const Operand statistic{plain(rstd), {rows.rows}};
  Tensor dx, dw;
  if (wanted[0])
    dx = reshaped(call("rms_norm_backward_input.v1", {}, {{dy, rows.shape()}, {x, rows.shape()}, statistic, {w, {columns}}}).back(), input.sizes());
  if (wanted[1]) dw = reshaped(call("rms_norm_backward_weight.v1", {}, {{dy, rows.shape()}, {x, rows.shape()}, statistic})[0], normalized);
  return {dx, dw};
}

void on_exact(torch::Library& m) {
  m.impl("_scaled_dot_product_fused_attention_overrideable", &attention);
  m.impl("_scaled_dot_product_fused_attention_overrideable_backward", &attention_backward);
  m.impl("_fused_rms_norm", &rms_norm);
  m.impl("_fused_rms_norm_backward", &rms_norm_backward);
}

// ---- the native tier ----

// The mask of dropout is the definition's own, so that both tiers drop the same weights.
Tensor kept_of(const Lowered& c, IntArrayRef sizes) {
  const kernels::Operator& mask = *kernels::find_operator("philox_mask.v1");
  std::vector<int64_t> attrs{c.n(2), c.n(3)};
  attrs.insert(attrs.end(), sizes.begin(), sizes.end());
  const std::vector<kernels::TensorType> out{{kernels::DType::f32, sizes.vec()}};
  const Tensor kept = at::empty(sizes);
  const std::vector<void*> to{kept.mutable_data_ptr()};
  mask.host({{}, out, attrs}, c.step, {}, to, {});
  return kept;
}
Tensor repeated(const Tensor& kv, int64_t heads) { return kv.repeat_interleave(heads / kv.size(1), 1); }
// Over the keys and values of every head.
Tensor scores_of(const Lowered& c, size_t first, const Tensor& k) {
  Tensor s = at::matmul(c.in[first], k.transpose(2, 3)).mul_(c.f(0));
  const size_t bias = first == 0 ? 3 : 7;
  if (c.in.size() > bias) s.add_(c.in[bias]);
  if (c.n(1)) s.masked_fill_(at::ones({s.size(2), s.size(3)}, at::kBool).tril_().logical_not_(), -std::numeric_limits<double>::infinity());
  return s;
}
Outputs attention_lowered(const Lowered& c) {
  const Tensor k = repeated(c.in[1], c.in[0].size(1)), v = repeated(c.in[2], c.in[0].size(1));
  const Tensor s = scores_of(c, 0, k), max = s.amax(-1);
  const Tensor shift = max.masked_fill(max.eq(-std::numeric_limits<double>::infinity()), 0), w = s.sub(shift.unsqueeze(-1)).exp_(), sum = w.sum(-1);
  const Tensor weighed = c.f(3) > 0 ? w.mul(kept_of(c, w.sizes())) : w;
  return {max, sum, at::matmul(weighed, v).div_(sum.masked_fill(sum.eq(0), 1).unsqueeze(-1))};
}
Outputs attention_backward_lowered(const Lowered& c) {
  const Tensor &dy = c.in[0], &q = c.in[1], &y = c.in[4], &max = c.in[5], &sum = c.in[6];
  const int64_t heads = q.size(1), kv_heads = c.in[2].size(1);
  const Tensor k = repeated(c.in[2], heads), v = repeated(c.in[3], heads), delta = dy.mul(y).sum(-1);
  const Tensor shift = max.masked_fill(max.eq(-std::numeric_limits<double>::infinity()), 0);
  const Tensor w = scores_of(c, 1, k).sub_(shift.unsqueeze(-1)).exp_().div_(sum.masked_fill(sum.eq(0), 1).unsqueeze(-1));
  const Tensor kept = c.f(3) > 0 ? kept_of(c, w.sizes()) : at::ones({});
  const Tensor slopes = at::matmul(dy, v.transpose(2, 3)).mul_(kept).sub_(delta.unsqueeze(-1)).mul_(w).mul_(c.f(0));
  const auto grouped = [&](const Tensor& x) { return x.unflatten(1, {kv_heads, heads / kv_heads}).sum(2); };
  return {delta, at::matmul(slopes, k), grouped(at::matmul(slopes.transpose(2, 3), q)), grouped(at::matmul(w.mul(kept).transpose(2, 3), dy))};
}
Outputs rms_norm_lowered(const Lowered& c) {
  const Tensor rstd = c.in[0].square().mean(-1, true).add_(c.f(0)).rsqrt_();
  return {rstd.flatten(), c.in[0].mul(rstd).mul_(c.in[1])};
}
Outputs rms_norm_backward_input_lowered(const Lowered& c) {
  const Tensor rstd = c.in[2].unsqueeze(1), hat = c.in[1].mul(rstd), g = c.in[0].mul(c.in[3]);
  return last_of(c, g.sub(hat.mul(g.mul(hat).mean(-1, true))).mul_(rstd));
}

constexpr Lowering kLowerings[] = {
    {"attention.f32.v1", attention_lowered},
    {"attention_backward.f32.v1", attention_backward_lowered},
    {"rms_norm.v1", rms_norm_lowered},
    {"rms_norm_backward_input.v1", rms_norm_backward_input_lowered},
    {"rms_norm_backward_weight.v1", [](const Lowered& c) -> Outputs { return {c.in[0].mul(c.in[1]).mul_(c.in[2].unsqueeze(1)).sum(at::IntArrayRef{0})}; }},
};

}  // namespace

Family aten_sequence() { return {&on_exact, kLowerings}; }

}  // namespace cairn::runtime

namespace at::native {
REGISTER_PRIVATEUSE1_DISPATCH(_fused_sdp_choice_stub, &cairn::runtime::kind_of_attention)
}  // namespace at::native
