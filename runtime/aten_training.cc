// Losses, dropout, optimizers.
#include <algorithm>
#include <numeric>

#include "runtime/aten.h"
#include "runtime/recorder.h"

namespace cairn::runtime {
namespace {

// ---- labels ------------------------------------------------------------------------------------------------------------------

// Log probabilities of classes at many places, as (outer, classes, inner), and their labels.
struct Places {
  int64_t outer, classes, inner;
  std::vector<int64_t> labels() const { return {outer, inner}; }
  std::vector<int64_t> scores() const { return {outer, classes, inner}; }
};
Places places_of(const Tensor& logp) {
  if (logp.dim() == 1) return {1, logp.size(0), 1};
  return {logp.size(0), logp.size(1), logp.numel() / std::max<int64_t>(1, logp.size(0) * logp.size(1))};
}
Operand weights_of(const Maybe& weight, int64_t classes) {
  return {weight && weight->defined() ? plain(*weight) : constant(1, {classes}), {classes}};
}
struct Nll {
  Tensor loss, weight;
};
// Without class weights a mean or a sum of rows is one operator; else loss and weight of each place, then their sums.
Nll nll(const Tensor& logp, const Tensor& target, const Maybe& weight, int64_t reduction, int64_t ignore_index) {
  require_float(logp, "a loss");
  const Places p = places_of(logp);
  if (reduction != at::Reduction::None && !(weight && weight->defined()) && p.inner == 1) {
    const auto out = call("nll_loss.v1", {reduction, ignore_index}, {{plain(logp), {p.outer, p.classes}}, {plain(target), {p.outer}}});
    return {out[1], out[0]};
  }
  const auto out = call("nll_rows.v1", {ignore_index}, {{plain(logp), p.scores()}, {plain(target), p.labels()}, weights_of(weight, p.classes)});
  if (reduction == at::Reduction::None) return {out[1], constant(0, {})};
  const Tensor total = summed(out[0], std::nullopt), sum = summed(out[1], std::nullopt);
  return {reduction == at::Reduction::Mean ? one("div.v1", {sum, total}) : sum, total};
}
Tensor nll_gradient(const Tensor& grad, const Tensor& logp, const Tensor& target, const Maybe& weight, int64_t reduction, int64_t ignore_index,
                    const Tensor& total_weight) {
  const Places p = places_of(logp);
  if (reduction != at::Reduction::None && !(weight && weight->defined()) && p.inner == 1)
    return reshaped(call("nll_loss_backward.v1", {p.classes, reduction, ignore_index}, {{plain(grad), {}}, {plain(target), {p.outer}}, {plain(total_weight), {}}})[0], logp.sizes());
  Tensor each = grad;
  if (reduction == at::Reduction::Mean) each = one("div.v1", {reshaped(plain(grad), {}), reshaped(plain(total_weight), {})});
  if (reduction != at::Reduction::None) each = spread(each, p.labels());
  return reshaped(call("nll_rows_backward.v1", {ignore_index}, {{plain(each), p.labels()}, {plain(target), p.labels()}, weights_of(weight, p.classes)})[0], logp.sizes());
}
std::tuple<Tensor&, Tensor&> nll_loss(const Tensor& logp, const Tensor& target, const Maybe& weight, int64_t reduction, int64_t ignore_index,
                                      Tensor& out, Tensor& total_weight) {
  const Nll result = nll(logp, target, weight, reduction, ignore_index);
  assign(out, reshaped(result.loss, out.sizes()));
  assign(total_weight, reshaped(result.weight, total_weight.sizes()));
  return {out, total_weight};
}
Tensor& nll_loss_backward(const Tensor& grad, const Tensor& logp, const Tensor& target, const Maybe& weight, int64_t reduction, int64_t ignore_index,
                          const Tensor& total_weight, Tensor& out) {
  assign(out, nll_gradient(grad, logp, target, weight, reduction, ignore_index, total_weight));
  return out;
}
std::tuple<Tensor, Tensor> nll_loss2d(const Tensor& logp, const Tensor& target, const Maybe& weight, int64_t reduction, int64_t ignore_index) {
  const Nll result = nll(logp, target, weight, reduction, ignore_index);
  return {reduction == at::Reduction::None ? reshaped(result.loss, target.sizes()) : reshaped(result.loss, {}), reshaped(result.weight, {})};
}
// Label smoothing with neither masks nor selections by value: where a label is ignored, its row weighs 0.
Tensor cross_entropy(const Tensor& input, const Tensor& target, const Maybe& weight, int64_t reduction, c10::SymInt ignore_index, double smoothing) {
  const int64_t ignored = ignore_index.expect_int();
  const int64_t dim = input.dim() == 1 ? 0 : 1;
  if (target.is_floating_point() || smoothing == 0) {
    const Tensor logp = at::log_softmax(input, dim);
    if (!target.is_floating_point()) return at::nll_loss_nd(logp, target, weight, reduction, ignored);
    Tensor wanted = target;
    if (smoothing > 0) wanted = at::add(at::mul(target, 1 - smoothing), smoothing / static_cast<double>(input.size(dim)));
    Tensor product = at::mul(logp, wanted);
    std::vector<int64_t> shape(static_cast<size_t>(input.dim()), 1);
    shape[static_cast<size_t>(dim)] = input.size(dim);
    if (weight && weight->defined()) product = at::mul(product, weight->view(shape));
    if (reduction == at::Reduction::None) return at::neg(at::sum(product, dim));
    const double count = static_cast<double>(input.numel() / input.size(dim));
    return at::neg(reduction == at::Reduction::Mean ? at::div(at::sum(product), count) : at::sum(product));
  }
  const Tensor logp = at::log_softmax(input, dim);
  std::vector<int64_t> shape(static_cast<size_t>(input.dim()), 1);
  shape[static_cast<size_t>(dim)] = input.size(dim);
  const Tensor rows = at::neg(at::sum(weight && weight->defined() ? at::mul(logp, weight->view(shape)) : logp, dim));
  const Tensor minus = at::full(input.sizes(), -1, input.options());  // of which the loss is the weight of the label
  const Tensor counts = at::nll_loss_nd(minus, target, {}, at::Reduction::None, ignored);
  const Tensor kept = at::mul(rows, counts), nll = at::nll_loss_nd(logp, target, weight, reduction, ignored);
  Tensor smooth = kept;
  if (reduction == at::Reduction::Sum) smooth = at::sum(kept);
  if (reduction == at::Reduction::Mean) smooth = at::div(at::sum(kept), at::nll_loss_nd(minus, target, weight, at::Reduction::Sum, ignored));
  return at::add(at::mul(nll, 1 - smoothing), at::mul(smooth, smoothing / static_cast<double>(input.size(dim))));
}
Tensor nll_loss2d_backward(const Tensor& grad, const Tensor& logp, const Tensor& target, const Maybe& weight, int64_t reduction, int64_t ignore_index,
                           const Tensor& total_weight) {
  return nll_gradient(grad, logp, target, weight, reduction, ignore_index, total_weight);
}

// ---- pairs -------------------------------------------------------------------------------------------------------------------

Tensor reduced(const Tensor& each, int64_t reduction) {
  if (reduction == at::Reduction::None) return each;
  const Tensor sum = summed(each, std::nullopt);
  return reduction == at::Reduction::Mean ? one("div_scalar.v1", {sum}, {number(static_cast<double>(each.numel()))}) : sum;
}
// The gradient of each element of a loss whose reduction has `grad`.
Tensor gradient_each(const Tensor& grad, int64_t count, int64_t reduction) {
  return reduction == at::Reduction::Mean ? one("div_scalar.v1", {grad}, {number(static_cast<double>(count))}) : grad;
}
Tensor& mse_loss(const Tensor& a, const Tensor& b, int64_t reduction, Tensor& out) {
  assign(out, reduced(elementwise("squared_difference.v1", {a, b}), reduction));
  return out;
}
Tensor mse_gradient(const Tensor& grad, const Tensor& a, const Tensor& b, int64_t reduction) {
  const double count = reduction == at::Reduction::Mean ? static_cast<double>(a.numel()) : 1.0;
  return elementwise("difference_product.v1", {grad, a, b}, {number(2.0 / count)}, a.sizes());
}
Tensor& mse_loss_backward_out(const Tensor& grad, const Tensor& a, const Tensor& b, int64_t reduction, Tensor& out) {
  assign(out, mse_gradient(grad, a, b, reduction));
  return out;
}
Tensor huber(const Tensor& a, const Tensor& b, int64_t reduction, double delta) {
  return reduced(elementwise("huber.v1", {a, b}, {number(delta)}), reduction);
}
Tensor& huber_loss_out(const Tensor& a, const Tensor& b, int64_t reduction, double delta, Tensor& out) {
  assign(out, huber(a, b, reduction, delta));
  return out;
}
Tensor& huber_loss_backward(const Tensor& grad, const Tensor& a, const Tensor& b, int64_t reduction, double delta, Tensor& out) {
  assign(out, elementwise("huber_backward.v1", {gradient_each(grad, a.numel(), reduction), a, b}, {number(delta)}, a.sizes()));
  return out;
}
Tensor& smooth_l1_loss(const Tensor& a, const Tensor& b, int64_t reduction, double beta, Tensor& out) {
  assign(out, reduced(elementwise("smooth_l1.v1", {a, b}, {number(beta)}), reduction));
  return out;
}
Tensor& smooth_l1_loss_backward(const Tensor& grad, const Tensor& a, const Tensor& b, int64_t reduction, double beta, Tensor& out) {
  assign(out, elementwise("smooth_l1_backward.v1", {gradient_each(grad, a.numel(), reduction), a, b}, {number(beta)}, a.sizes()));
  return out;
}
Tensor weighted(const Tensor& each, const Maybe& weight) {
  return weight && weight->defined() ? elementwise("mul.v1", {each, *weight}, {}, each.sizes()) : each;
}
Tensor binary_entropy(const Tensor& x, const Tensor& target, const Maybe& weight, int64_t reduction) {
  return reduced(weighted(elementwise("binary_cross_entropy.v1", {x, target}), weight), reduction);
}
Tensor& binary_cross_entropy_out(const Tensor& x, const Tensor& target, const Maybe& weight, int64_t reduction, Tensor& out) {
  assign(out, binary_entropy(x, target, weight, reduction));
  return out;
}
Tensor binary_entropy_gradient(const Tensor& grad, const Tensor& x, const Tensor& target, const Maybe& weight, int64_t reduction) {
  return weighted(elementwise("binary_cross_entropy_backward.v1", {gradient_each(grad, x.numel(), reduction), x, target}, {}, x.sizes()), weight);
}
Tensor& binary_cross_entropy_backward_out(const Tensor& grad, const Tensor& x, const Tensor& target, const Maybe& weight, int64_t reduction, Tensor& out) {
  assign(out, binary_entropy_gradient(grad, x, target, weight, reduction));
  return out;
}
// With weights w of what is positive: (1 - t) x + (1 + (w - 1) t) ln(1 + e^-x)
Tensor binary_cross_entropy_with_logits(const Tensor& x, const Tensor& target, const Maybe& weight, const Maybe& positive, int64_t reduction) {
  if (!(positive && positive->defined())) return reduced(weighted(elementwise("binary_cross_entropy_logits.v1", {x, target}), weight), reduction);
  const Tensor more = one("add_scalar.v1", {elementwise("mul.v1", {one("add_scalar.v1", {*positive}, {number(-1)}), target})}, {number(1)});
  const Tensor rest = one("add_scalar.v1", {one("neg.v1", {target})}, {number(1)});
  const Tensor each = one("sub.v1", {elementwise("mul.v1", {rest, x}), elementwise("mul.v1", {more, one("log_sigmoid.v1", {x})})});
  return reduced(weighted(each, weight), reduction);
}

// ---- random numbers ------------------------------------------------------------------------------------------------------------

Tensor drawn(std::string_view op, std::vector<double> numbers, IntArrayRef sizes) {
  Recorder* recorder = Recorder::current();
  std::vector<int64_t> attrs{recorder ? recorder->next_random_site() : 0};
  for (const double value : numbers) attrs.push_back(number(value));
  attrs.insert(attrs.end(), sizes.begin(), sizes.end());
  return call(op, attrs, {})[0];
}
using Generator = std::optional<at::Generator>;
Tensor& uniform_(Tensor& x, double low, double high, Generator) {
  assign(x, drawn("philox_uniform.v1", {low, high}, x.sizes()));
  return x;
}
Tensor& normal_(Tensor& x, double mean, double std, Generator) {
  assign(x, drawn("philox_normal.v1", {mean, std}, x.sizes()));
  return x;
}
Tensor& bernoulli_(Tensor& x, double p, Generator) {
  assign(x, drawn("philox_bernoulli.v1", {p}, x.sizes()));
  return x;
}
// u < p as the sign of what p has over u
Tensor& bernoulli_of_tensor_(Tensor& x, const Tensor& p, Generator) {
  const Tensor over = elementwise("sub.v1", {p, drawn("philox_uniform.v1", {0, 1}, x.sizes())}, {}, x.sizes());
  assign(x, one("sign.v1", {one("relu.v1", {over})}));
  return x;
}
// The mask holds 0 or 1 / (1 - p), so that it is all that the backward pass needs.
std::tuple<Tensor, Tensor> dropout(const Tensor& input, double p, std::optional<bool> train) {
  if (train && !*train) return {plain(input), constant(1, input.sizes())};
  const Tensor mask = drawn("philox_mask.v1", {p}, input.sizes());
  return {one("mul.v1", {input, mask}), mask};
}
Tensor dropout_backward(const Tensor& grad, const Tensor& mask, double) { return elementwise("mul.v1", {grad, mask}); }

void on_exact(torch::Library& m) {
  m.impl("nll_loss_forward.output", &nll_loss);
  m.impl("nll_loss_backward.grad_input", &nll_loss_backward);
  m.impl("nll_loss2d_forward", &nll_loss2d);
  m.impl("nll_loss2d_backward", &nll_loss2d_backward);
  m.impl("huber_loss", &huber);
  m.impl("huber_loss.out", &huber_loss_out);
  m.impl("huber_loss_backward.out", &huber_loss_backward);
  m.impl("smooth_l1_loss.out", &smooth_l1_loss);
  m.impl("smooth_l1_loss_backward.grad_input", &smooth_l1_loss_backward);
  m.impl("binary_cross_entropy", &binary_entropy);
  m.impl("binary_cross_entropy.out", &binary_cross_entropy_out);
  m.impl("binary_cross_entropy_backward", &binary_entropy_gradient);
  m.impl("binary_cross_entropy_backward.grad_input", &binary_cross_entropy_backward_out);
  m.impl("binary_cross_entropy_with_logits", &binary_cross_entropy_with_logits);
  m.impl("uniform_", &uniform_);
  m.impl("normal_", &normal_);
  m.impl("bernoulli_.float", &bernoulli_);
  m.impl("bernoulli_.Tensor", &bernoulli_of_tensor_);
  m.impl("mse_loss.out", &mse_loss);
  m.impl("mse_loss_backward", &mse_gradient);
  m.impl("mse_loss_backward.grad_input", &mse_loss_backward_out);
  m.impl("native_dropout", &dropout);
  m.impl("native_dropout_backward", &dropout_backward);
}

void above_autograd(torch::Library& m) { m.impl("cross_entropy_loss", &cross_entropy); }

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
// As images of one row, which stock losses know.
Outputs nll_rows_lowered(const Lowered& c) {
  const Tensor target = c.in[1].unsqueeze(1);
  const auto loss = [&](const Tensor& logp) { return std::get<0>(at::nll_loss2d_forward(logp, target, c.in[2], at::Reduction::None, c.n(0))).squeeze(1); };
  return {loss(at::full_like(c.in[0], -1).unsqueeze(2)), loss(c.in[0].unsqueeze(2))};
}
Outputs nll_rows_backward_lowered(const Lowered& c) {
  const Tensor like = at::empty({c.in[0].size(0), c.in[2].size(0), 1, c.in[0].size(1)});
  return {at::nll_loss2d_backward(c.in[0].unsqueeze(1), like, c.in[1].unsqueeze(1), c.in[2], at::Reduction::None, c.n(0), at::zeros({})).squeeze(2)};
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
    {"squared_difference.v1", [](const Lowered& c) -> Outputs { return {c.in[0].sub(c.in[1]).square_()}; }},
    {"difference_product.v1", [](const Lowered& c) -> Outputs { return {c.in[1].sub(c.in[2]).mul_(c.f(0)).mul_(c.in[0])}; }},
    {"huber.v1", [](const Lowered& c) -> Outputs { return {at::huber_loss(c.in[0], c.in[1], at::Reduction::None, c.f(0))}; }},
    {"huber_backward.v1", [](const Lowered& c) -> Outputs { return {c.in[1].sub(c.in[2]).clamp_(-c.f(0), c.f(0)).mul_(c.in[0])}; }},
    {"smooth_l1.v1", [](const Lowered& c) -> Outputs { return {at::smooth_l1_loss(c.in[0], c.in[1], at::Reduction::None, c.f(0))}; }},
    {"smooth_l1_backward.v1", [](const Lowered& c) -> Outputs {
      return {at::smooth_l1_loss_backward(c.in[0].expand_as(c.in[1]), c.in[1], c.in[2], at::Reduction::None, c.f(0))};
    }},
    {"binary_cross_entropy.v1", [](const Lowered& c) -> Outputs { return {at::binary_cross_entropy(c.in[0], c.in[1], {}, at::Reduction::None)}; }},
    {"binary_cross_entropy_backward.v1", [](const Lowered& c) -> Outputs {
      return {at::binary_cross_entropy_backward(c.in[0].expand_as(c.in[1]), c.in[1], c.in[2], {}, at::Reduction::None)};
    }},
    {"binary_cross_entropy_logits.v1", [](const Lowered& c) -> Outputs {
      return {at::binary_cross_entropy_with_logits(c.in[0], c.in[1], {}, {}, at::Reduction::None)};
    }},
    {"clip_factor.v1", [](const Lowered& c) -> Outputs { return {c.in[0].sqrt().add_(1e-6).reciprocal_().mul_(c.f(0)).clamp_max_(1)}; }},
    {"nll_rows.v1", nll_rows_lowered},
    {"nll_rows_backward.v1", nll_rows_backward_lowered},
    {"nll_loss.v1", nll_loss_lowered},
    {"nll_loss_backward.v1", nll_loss_backward_lowered},
    {"sgd.v1", sgd_lowered},
    {"adam.v1", adam_lowered},
};

}  // namespace

Family aten_training() { return {&on_exact, kLowerings, &above_autograd}; }

}  // namespace cairn::runtime
