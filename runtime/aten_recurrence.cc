// Recurrent layers whole: LSTM, GRU, and plain ones with tanh or relu. libtorch would take them apart into steps of two products
// each; here the input's products of all steps are one, and so are those of the weights' gradients.
#include <torch/csrc/autograd/custom_function.h>

#include "runtime/aten_products.h"

namespace cairn::runtime {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

enum class Kind : int64_t { lstm, gru, tanh, relu };
constexpr int64_t gates_of(Kind kind) { return kind == Kind::lstm ? 4 : kind == Kind::gru ? 3 : 1; }

Operand as(const Tensor& tensor, std::vector<int64_t> shape) { return {plain(tensor), std::move(shape)}; }

// Autograd asks every operand for its device, so none may be undefined: a layer without c0 or biases is given others, which it does
// not read.
//
// One layer in one direction over x (steps, batch, inputs). Gives y (steps, batch, hidden), the last state, and an LSTM's cells.
class Layer : public torch::autograd::Function<Layer> {
  // What a step leaves for backward: its gates, and the cell state after it or the state's part of the gates.
  enum Saved : size_t { kX, kH0, kC0, kWih, kWhh, kY, kSteps };

 public:
  static variable_list forward(AutogradContext* context, const Tensor& x, const Tensor& h0, const Tensor& c0, const Tensor& w_ih, const Tensor& w_hh,
                               const Tensor& b_ih, const Tensor& b_hh, int64_t kind_number, bool reversed, bool biased) {
    const Kind kind = static_cast<Kind>(kind_number);
    const int64_t steps = x.size(0), batch = x.size(1), inputs = x.size(2), hidden = w_hh.size(1), width = w_hh.size(0);
    const Tensor gx = product(as(x, {steps * batch, inputs}), false, as(w_ih, w_ih.sizes().vec()), true, biased ? b_ih : Tensor());
    const Tensor turned = call("permute.v1", {1, 0}, {as(w_hh, {width, hidden})})[0];  // once, not in the product of every step
    Tensor h = plain(h0), c = kind == Kind::lstm ? plain(c0) : Tensor();
    std::vector<Tensor> hs(static_cast<size_t>(steps)), gates = hs, more = hs;
    for (int64_t k = 0; k < steps; k++) {
      const int64_t t = reversed ? steps - 1 - k : k;
      const auto at = static_cast<size_t>(t);
      const Tensor gh = product(as(h, {batch, hidden}), false, as(turned, turned.sizes().vec()), false, biased ? b_hh : Tensor());
      if (kind == Kind::lstm) {
        const auto out = call("lstm_cell.v1", {t}, {as(gx, {steps, batch, width}), as(gh, {batch, width}), as(c, {batch, hidden})});
        gates[at] = out[0];
        more[at] = c = out[1];
        h = out[2];
      } else if (kind == Kind::gru) {
        const auto out = call("gru_cell.v1", {t}, {as(gx, {steps, batch, width}), as(gh, {batch, width}), as(h, {batch, hidden})});
        gates[at] = out[0];
        more[at] = gh;
        h = out[1];
      } else {
        const Tensor sum = one("add.v1", {reshaped(gx, {steps, batch, width}).select(0, t), gh});
        h = kind == Kind::tanh ? at::tanh(sum) : at::relu(sum);
      }
      hs[at] = h;
    }
    const Tensor y = reshaped(steps == 1 ? h : at::cat(hs), {steps, batch, hidden});
    variable_list saved{x, h0, c0, w_ih, w_hh, y};
    if (kind == Kind::lstm || kind == Kind::gru) {
      saved.insert(saved.end(), gates.begin(), gates.end());
      saved.insert(saved.end(), more.begin(), more.end());
    }
    context->save_for_backward(std::move(saved));
    context->saved_data["kind"] = kind_number;
    context->saved_data["reversed"] = reversed;
    context->saved_data["biased"] = biased;
    return kind == Kind::lstm ? variable_list{y, h, c} : variable_list{y, h};
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list saved = context->get_saved_variables();
    const Kind kind = static_cast<Kind>(context->saved_data["kind"].toInt());
    const bool reversed = context->saved_data["reversed"].toBool(), biased = context->saved_data["biased"].toBool();
    const Tensor &x = saved[kX], &w_ih = saved[kWih], &w_hh = saved[kWhh];
    const int64_t steps = x.size(0), batch = x.size(1), inputs = x.size(2), hidden = w_hh.size(1), width = w_hh.size(0);
    const std::vector<int64_t> state{batch, hidden}, sequence{steps, batch, hidden}, gate_shape{batch, width};
    const auto given = [&](const Tensor& grad, const std::vector<int64_t>& shape) { return grad.defined() ? plain(grad) : constant(0, shape); };
    const Tensor dy = given(grads[0], sequence), y = plain(saved[kY]), h0 = plain(saved[kH0]), c0 = kind == Kind::lstm ? plain(saved[kC0]) : Tensor();
    Tensor dh = given(grads[1], state), dc = kind == Kind::lstm ? given(grads[2], state) : Tensor();
    std::vector<Tensor> dgx(static_cast<size_t>(steps)), dgh = dgx;
    for (int64_t k = steps - 1; k >= 0; k--) {
      const int64_t t = reversed ? steps - 1 - k : k, before = reversed ? t + 1 : t - 1;
      const auto at = static_cast<size_t>(t);
      const auto gates = [&] { return as(saved[kSteps + at], gate_shape); };
      const auto more = [&](int64_t step) { return saved[kSteps + static_cast<size_t>(steps + step)]; };
      Tensor direct;  // what reaches the state before this step not through the product
      if (kind == Kind::lstm) {
        const Tensor c_before = k == 0 ? c0 : more(before);
        const auto out = call("lstm_cell_backward.v1", {t}, {as(dy, sequence), as(dh, state), as(dc, state), gates(), as(c_before, state), as(more(t), state)});
        dgx[at] = dgh[at] = out[0];
        dc = out[1];
      } else if (kind == Kind::gru) {
        const Tensor h_before = k == 0 ? h0 : y.select(0, before);
        const auto out = call("gru_cell_backward.v1", {t}, {as(dy, sequence), as(dh, state), gates(), as(more(t), gate_shape), as(h_before, state)});
        dgx[at] = out[0];
        dgh[at] = out[1];
        direct = out[2];
      } else {
        const Tensor d = one("add.v1", {dy.select(0, t), dh}), h = y.select(0, t);
        dgx[at] = dgh[at] = kind == Kind::tanh ? at::tanh_backward(d, h) : at::threshold_backward(d, h, 0);
      }
      dh = product(as(dgh[at], gate_shape), false, as(w_hh, {width, hidden}), false);
      if (direct.defined()) dh = one("add.v1", {dh, direct});
    }
    const auto joined = [&](const std::vector<Tensor>& parts) { return as(steps == 1 ? parts[0] : at::cat(parts), {steps * batch, width}); };
    const Operand all_x = joined(dgx), all_h = kind == Kind::gru ? joined(dgh) : all_x;
    const Tensor first = reshaped(h0, {1, batch, hidden});
    Tensor states = first;  // before each step
    if (steps > 1) states = reversed ? at::cat({y.narrow(0, 1, steps - 1), first}) : at::cat({first, y.narrow(0, 0, steps - 1)});
    const auto weight_gradient = [&](const Operand& of_gates, const Operand& of) { return product(of_gates, true, of, false); };
    const Tensor dx = reshaped(product(all_x, false, as(w_ih, {width, inputs}), false), x.sizes());
    const Tensor db_x = biased ? call("sum_rows.v1", {}, {all_x})[0] : Tensor();
    const Tensor db_h = !biased ? Tensor() : kind == Kind::gru ? call("sum_rows.v1", {}, {all_h})[0] : db_x;
    return {dx, dh, dc, weight_gradient(all_x, as(x, {steps * batch, inputs})), weight_gradient(all_h, as(states, {steps * batch, hidden})), db_x, db_h,
            Tensor(), Tensor(), Tensor()};
  }
};

struct Stack {
  Kind kind;
  bool biased, train, bidirectional, batch_first;
  int64_t layers;
  double dropout;
};
// All layers; the last states of (layer, direction) in order, stacked.
std::tuple<Tensor, Tensor, Tensor> run(const Stack& stack, const Tensor& input, const Tensor& h0, const Tensor& c0, at::TensorList weights) {
  require_float(input, "a recurrent layer");
  const int64_t directions = stack.bidirectional ? 2 : 1;
  const size_t each = stack.biased ? 4 : 2;
  if (weights.size() != static_cast<size_t>(stack.layers * directions) * each) refuse_undefined("a recurrent layer with a projection of its state", "lstm_cell.v1");
  Tensor x = stack.batch_first ? input.transpose(0, 1) : input;
  std::vector<Tensor> hs, cs;
  for (int64_t layer = 0; layer < stack.layers; layer++) {
    std::vector<Tensor> sides;
    for (int64_t side = 0; side < directions; side++) {
      const int64_t at = layer * directions + side;
      const auto w = weights.slice(static_cast<size_t>(at) * each, each);
      const auto out = Layer::apply(x, h0.select(0, at), (c0.defined() ? c0 : h0).select(0, at), w[0], w[1], w[stack.biased ? 2 : 0],
                                    w[stack.biased ? 3 : 1], static_cast<int64_t>(stack.kind), side == 1, stack.biased);
      sides.push_back(out[0]);
      hs.push_back(out[1]);
      if (c0.defined()) cs.push_back(out[2]);
    }
    x = directions == 1 ? sides[0] : at::cat(sides, 2);
    if (stack.dropout > 0 && stack.train && layer + 1 < stack.layers) x = at::dropout(x, stack.dropout, true);
  }
  const auto stacked = [](const std::vector<Tensor>& list) { return list.size() == 1 ? list[0].unsqueeze(0) : at::stack(list); };
  return {stack.batch_first ? x.transpose(0, 1) : x, stacked(hs), c0.defined() ? stacked(cs) : Tensor()};
}

std::tuple<Tensor, Tensor, Tensor> lstm(const Tensor& input, at::TensorList state, at::TensorList weights, bool biased, int64_t layers, double dropout,
                                        bool train, bool bidirectional, bool batch_first) {
  TORCH_CHECK(state.size() == 2, "an LSTM takes two states");
  return run({Kind::lstm, biased, train, bidirectional, batch_first, layers, dropout}, input, state[0], state[1], weights);
}
template <Kind kKind>
std::tuple<Tensor, Tensor> recurrent(const Tensor& input, const Tensor& state, at::TensorList weights, bool biased, int64_t layers, double dropout, bool train,
                                     bool bidirectional, bool batch_first) {
  const auto [y, h, c] = run({kKind, biased, train, bidirectional, batch_first, layers, dropout}, input, state, {}, weights);
  return {y, h};
}

variable_list cell(Kind kind, const Tensor& input, const Tensor& h, const Tensor& c, const Tensor& w_ih, const Tensor& w_hh, const Maybe& b_ih, const Maybe& b_hh) {
  const bool biased = b_ih && b_ih->defined();
  return Layer::apply(input.unsqueeze(0), h, c.defined() ? c : h, w_ih, w_hh, biased ? *b_ih : w_ih, biased ? *b_hh : w_hh, static_cast<int64_t>(kind), false, biased);
}
std::tuple<Tensor, Tensor> lstm_cell(const Tensor& input, at::TensorList state, const Tensor& w_ih, const Tensor& w_hh, const Maybe& b_ih, const Maybe& b_hh) {
  TORCH_CHECK(state.size() == 2, "an LSTM takes two states");
  const variable_list out = cell(Kind::lstm, input, state[0], state[1], w_ih, w_hh, b_ih, b_hh);
  return {out[1], out[2]};
}
Tensor gru_cell(const Tensor& input, const Tensor& state, const Tensor& w_ih, const Tensor& w_hh, const Maybe& b_ih, const Maybe& b_hh) {
  return cell(Kind::gru, input, state, {}, w_ih, w_hh, b_ih, b_hh)[1];
}

void on_exact(torch::Library&) {
  // Kept for the life of the process, like the rest. The layer is one node of autograd's graph.
  static auto* const autograd = new torch::Library(torch::Library::IMPL, "aten", c10::DispatchKey::AutogradPrivateUse1, __FILE__, __LINE__);
  autograd->impl("lstm.input", &lstm);
  autograd->impl("gru.input", &recurrent<Kind::gru>);
  autograd->impl("rnn_tanh.input", &recurrent<Kind::tanh>);
  autograd->impl("rnn_relu.input", &recurrent<Kind::relu>);
  autograd->impl("lstm_cell", &lstm_cell);
  autograd->impl("gru_cell", &gru_cell);
}

// ---- the native tier ----

Outputs lstm_cell_lowered(const Lowered& c) {
  const auto sums = c.in[0].select(0, c.n(0)).add(c.in[1]).chunk(4, 1);
  const Tensor i = sums[0].sigmoid(), f = sums[1].sigmoid(), g = sums[2].tanh(), o = sums[3].sigmoid(), after = f.mul(c.in[2]).add_(i.mul(g));
  return {at::cat({i, f, g, o}, 1), after, o.mul(after.tanh())};
}
Outputs lstm_cell_backward_lowered(const Lowered& c) {
  const auto gates = c.in[3].chunk(4, 1);
  const Tensor d = c.in[0].select(0, c.n(0)).add(c.in[1]), t = c.in[5].tanh(), s = at::tanh_backward(d.mul(gates[3]), t).add_(c.in[2]);
  return {at::cat({at::sigmoid_backward(s.mul(gates[2]), gates[0]), at::sigmoid_backward(s.mul(c.in[4]), gates[1]), at::tanh_backward(s.mul(gates[0]), gates[2]),
                   at::sigmoid_backward(d.mul(t), gates[3])}, 1),
          s.mul(gates[1])};
}
Outputs gru_cell_lowered(const Lowered& c) {
  const auto x = c.in[0].select(0, c.n(0)).chunk(3, 1), y = c.in[1].chunk(3, 1);
  const Tensor r = x[0].add(y[0]).sigmoid_(), z = x[1].add(y[1]).sigmoid_(), n = x[2].add(r.mul(y[2])).tanh_();
  return {at::cat({r, z, n}, 1), n.add(z.mul(c.in[2].sub(n)))};
}
Outputs gru_cell_backward_lowered(const Lowered& c) {
  const auto gates = c.in[2].chunk(3, 1);
  const Tensor &r = gates[0], &z = gates[1], &n = gates[2];
  const Tensor d = c.in[0].select(0, c.n(0)).add(c.in[1]), u = at::tanh_backward(d.mul(1 - z), n);
  const Tensor dr = at::sigmoid_backward(u.mul(c.in[3].chunk(3, 1)[2]), r), dz = at::sigmoid_backward(d.mul(c.in[4].sub(n)), z);
  return {at::cat({dr, dz, u}, 1), at::cat({dr, dz, u.mul(r)}, 1), d.mul(z)};
}

constexpr Lowering kLowerings[] = {
    {"lstm_cell.v1", lstm_cell_lowered},
    {"lstm_cell_backward.v1", lstm_cell_backward_lowered},
    {"gru_cell.v1", gru_cell_lowered},
    {"gru_cell_backward.v1", gru_cell_backward_lowered},
};

}  // namespace

Family aten_recurrence() { return {&on_exact, kLowerings}; }

}  // namespace cairn::runtime
