// Losses, dropout, optimizers.
#include <algorithm>
#include <numeric>

#include "runtime/aten.h"
#include "runtime/recorder.h"

namespace cairn::runtime {
namespace {

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

void on_exact(torch::Library& m) {
  m.impl("nll_loss_forward.output", &nll_loss);
  m.impl("nll_loss_backward.grad_input", &nll_loss_backward);
  m.impl("mse_loss.out", &mse_loss);
  m.impl("mse_loss_backward", &mse_loss_backward);
  m.impl("mse_loss_backward.grad_input", &mse_loss_backward_out);
  m.impl("native_dropout", &dropout);
  m.impl("native_dropout_backward", &dropout_backward);
}

// ---- the native tier ----

// Row `step` of a schedule; the last row repeats.
const float* schedule_row(const Lowered& c, size_t operand) {
  const Tensor& table = c.in[operand];
  const int64_t row = std::min<int64_t>(static_cast<int64_t>(c.step.step), table.size(0) - 1);
  return table.const_data_ptr<float>() + row * table.size(1);
}

Outputs sgd_lowered(const Lowered& c) {
  const float lr = schedule_row(c, 3)[0], momentum = c.f(0), decay = c.f(1);
  const Tensor g = decay != 0 ? c.in[1].add(c.in[0], decay) : c.in[1];
  const Tensor buffer = c.in[2].mul(momentum).add_(g);
  return {buffer, c.in[0].sub(c.n(2) ? g.add(buffer, momentum) : buffer, lr)};
}
Outputs adam_lowered(const Lowered& c) {
  const float* row = schedule_row(c, 4);
  const float lr = row[0], beta1 = c.f(0), beta2 = c.f(1), eps = c.f(2), decay = c.f(3);
  const bool decoupled = c.n(4) != 0;
  const Tensor p = decoupled && decay != 0 ? c.in[0].mul(1 - lr * decay) : c.in[0];
  const Tensor g = !decoupled && decay != 0 ? c.in[1].add(p, decay) : c.in[1];
  const Tensor m = c.in[2].lerp(g, 1 - beta1), v = c.in[3].mul(beta2).addcmul_(g, g, 1 - beta2);
  return {m, v, p.addcdiv(m, v.sqrt().div_(row[2]).add_(eps), -lr / row[1])};
}
Outputs nll_loss_lowered(const Lowered& c) {
  auto [loss, count] = at::nll_loss_forward(c.in[0], c.in[1], {}, c.n(0), c.n(1));
  return {c.in[1].ne(c.n(1)).sum().to(at::kFloat), loss};
}
Outputs nll_loss_backward_lowered(const Lowered& c) {
  const Tensor like = at::empty({c.in[1].size(0), c.n(0)});
  return {at::nll_loss_backward(c.in[0], like, c.in[1], {}, c.n(1), c.n(2), c.in[2])};
}

constexpr Lowering kLowerings[] = {
    {"nll_loss.v1", nll_loss_lowered},
    {"nll_loss_backward.v1", nll_loss_backward_lowered},
    {"sgd.v1", sgd_lowered},
    {"adam.v1", adam_lowered},
};

}  // namespace

Family aten_training() { return {&on_exact, kLowerings}; }

}  // namespace cairn::runtime
