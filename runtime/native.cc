#include "runtime/native.h"

#include <ATen/Parallel.h>

#include <cstring>

#include "runtime/torch.h"

namespace cairn::runtime {
namespace {

using at::Tensor;
using attest::From;
using kernels::DType;
using kernels::TensorType;

at::ScalarType torch_type(DType dtype) {
  switch (dtype) {
    case DType::f32: return at::kFloat;
    case DType::i64: return at::kLong;
    case DType::i32: return at::kInt;
    case DType::u8: return at::kByte;
  }
  return at::kByte;
}

struct Lowered {
  const attest::Call& call;
  const kernels::StepContext& step;
  const std::vector<Tensor>& in;

  float f(size_t i) const { return kernels::attr_f32(call.attrs[i]); }
  int64_t n(size_t i) const { return call.attrs[i]; }
  Tensor turned(size_t i, size_t attr) const { return n(attr) ? in[i].t() : in[i]; }
};

using Lowering = std::vector<Tensor> (*)(const Lowered&);

// Row `step` of a schedule; the last row repeats.
const float* schedule_row(const Lowered& c, size_t operand) {
  const Tensor& table = c.in[operand];
  const int64_t row = std::min<int64_t>(static_cast<int64_t>(c.step.step), table.size(0) - 1);
  return table.const_data_ptr<float>() + row * table.size(1);
}

std::vector<Tensor> sgd(const Lowered& c) {
  const float lr = schedule_row(c, 3)[0], momentum = c.f(0), decay = c.f(1);
  const Tensor g = decay != 0 ? c.in[1].add(c.in[0], decay) : c.in[1];
  const Tensor buffer = c.in[2].mul(momentum).add_(g);
  return {buffer, c.in[0].sub(c.n(2) ? g.add(buffer, momentum) : buffer, lr)};
}
std::vector<Tensor> adam(const Lowered& c) {
  const float* row = schedule_row(c, 4);
  const float lr = row[0], beta1 = c.f(0), beta2 = c.f(1), eps = c.f(2), decay = c.f(3);
  const bool decoupled = c.n(4) != 0;
  const Tensor p = decoupled && decay != 0 ? c.in[0].mul(1 - lr * decay) : c.in[0];
  const Tensor g = !decoupled && decay != 0 ? c.in[1].add(p, decay) : c.in[1];
  const Tensor m = c.in[2].lerp(g, 1 - beta1), v = c.in[3].mul(beta2).addcmul_(g, g, 1 - beta2);
  return {m, v, p.addcdiv(m, v.sqrt().div_(row[2]).add_(eps), -lr / row[1])};
}
std::vector<Tensor> layer_norm(const Lowered& c) {
  auto [y, mean, rstd] = at::native_layer_norm(c.in[0], {c.in[0].size(1)}, c.in[1], c.in[2], c.f(0));
  return {mean.reshape({-1}), rstd.reshape({-1}), y};
}
std::vector<Tensor> nll_loss(const Lowered& c) {
  auto [loss, count] = at::nll_loss_forward(c.in[0], c.in[1], {}, c.n(0), c.n(1));
  return {c.in[1].ne(c.n(1)).sum().to(at::kFloat), loss};
}
std::vector<Tensor> nll_loss_backward(const Lowered& c) {
  const Tensor like = at::empty({c.in[1].size(0), c.n(0)});
  return {at::nll_loss_backward(c.in[0], like, c.in[1], {}, c.n(1), c.n(2), c.in[2])};
}

// A multi-output call whose statistics nobody reads gives the result alone; the rest stays undefined.
std::vector<Tensor> last_of(const Lowered& c, Tensor result) {
  std::vector<Tensor> out(c.call.output_types.size());
  out.back() = std::move(result);
  return out;
}

Lowering lowering_of(uint16_t op) {
  switch (op) {
    case 3: return [](const Lowered& c) -> std::vector<Tensor> { return {c.in[0].permute(c.call.attrs).contiguous()}; };
    case 4: return [](const Lowered& c) -> std::vector<Tensor> { return {c.in[0].expand(c.call.attrs).contiguous()}; };
    case 5: return [](const Lowered& c) -> std::vector<Tensor> { return {c.in[0].to(torch_type(static_cast<DType>(c.n(0))))}; };
    case 10: return [](const Lowered& c) -> std::vector<Tensor> { return {at::mm(c.turned(0, 0), c.turned(1, 1))}; };
    case 11: return [](const Lowered& c) -> std::vector<Tensor> { return {at::addmm(c.in[2], c.in[0], c.turned(1, 0))}; };
    case 20: return [](const Lowered& c) -> std::vector<Tensor> { return {c.in[0].add(c.in[1])}; };
    case 21: return [](const Lowered& c) -> std::vector<Tensor> { return {c.in[0].sub(c.in[1])}; };
    case 22: return [](const Lowered& c) -> std::vector<Tensor> { return {c.in[0].mul(c.in[1])}; };
    case 23: return [](const Lowered& c) -> std::vector<Tensor> { return {c.in[0].div(c.in[1])}; };
    case 24: return [](const Lowered& c) -> std::vector<Tensor> { return {c.in[0].add(c.f(0))}; };
    case 25: return [](const Lowered& c) -> std::vector<Tensor> { return {c.in[0].mul(c.f(0))}; };
    case 26: return [](const Lowered& c) -> std::vector<Tensor> { return {c.in[0].div(c.f(0))}; };
    case 27: return [](const Lowered& c) -> std::vector<Tensor> { return {c.in[0].neg()}; };
    case 30: return [](const Lowered& c) -> std::vector<Tensor> { return {c.in[0].relu()}; };
    case 31: return [](const Lowered& c) -> std::vector<Tensor> { return {at::threshold_backward(c.in[0], c.in[1], c.f(0))}; };
    case 32: return [](const Lowered& c) -> std::vector<Tensor> { return {c.in[0].exp()}; };
    case 33: return [](const Lowered& c) -> std::vector<Tensor> { return {c.in[0].log()}; };
    case 34: return [](const Lowered& c) -> std::vector<Tensor> { return {c.in[0].tanh()}; };
    case 35: return [](const Lowered& c) -> std::vector<Tensor> { return {c.in[0].sigmoid()}; };
    case 40: return [](const Lowered& c) -> std::vector<Tensor> { return {c.in[0].sum(at::IntArrayRef{0})}; };
    case 41: return [](const Lowered& c) { return last_of(c, c.in[0].sum(at::IntArrayRef{-1})); };
    case 50: return layer_norm;
    case 51: return [](const Lowered& c) {
      const int64_t columns = c.in[1].size(1), rows = c.in[1].size(0);
      return last_of(c, std::get<0>(at::native_layer_norm_backward(c.in[0], c.in[1], {columns}, c.in[2].view({rows, 1}), c.in[3].view({rows, 1}), c.in[4], {}, {true, false, false})));
    };
    case 52: return [](const Lowered& c) -> std::vector<Tensor> {
      const int64_t columns = c.in[1].size(1), rows = c.in[1].size(0);
      const Tensor ones = at::ones({columns});
      auto [dx, dw, db] = at::native_layer_norm_backward(c.in[0], c.in[1], {columns}, c.in[2].view({rows, 1}), c.in[3].view({rows, 1}), ones, ones, {false, true, true});
      return {dw, db};
    };
    case 60: return [](const Lowered& c) { return last_of(c, at::_log_softmax(c.in[0], -1, false)); };
    case 61: return [](const Lowered& c) { return last_of(c, at::_log_softmax_backward_data(c.in[0], c.in[1], -1, at::kFloat)); };
    case 62: return nll_loss;
    case 63: return nll_loss_backward;
    case 64: return [](const Lowered& c) { return last_of(c, at::_softmax(c.in[0], -1, false)); };
    case 80: return sgd;
    case 81: return adam;
    case 90: return [](const Lowered& c) { return last_of(c, c.in[0].argmax(-1)); };
    default: return nullptr;
  }
}

// Sampling, scattering, masks: bytes and integers, the same on every tier.
bool is_shared(uint16_t op) { return op == 1 || op == 2 || op == 70; }

std::vector<Tensor> run_shared(const kernels::Operator& op, const attest::Call& call, const kernels::StepContext& step, const std::vector<Tensor>& in) {
  std::vector<Tensor> out;
  std::vector<const void*> from;
  std::vector<void*> to;
  for (const Tensor& tensor : in) from.push_back(tensor.const_data_ptr());
  for (const TensorType& type : call.output_types) {
    out.push_back(at::empty(type.shape, at::TensorOptions(torch_type(type.dtype))));
    to.push_back(out.back().mutable_data_ptr());
  }
  op.host({call.input_types, call.output_types, call.attrs}, step, from, to, {});
  return out;
}

}  // namespace

struct NativeRun::Values {
  const attest::Plan& plan;
  uint64_t seed;
  mutable State state;
  std::vector<Tensor> slots, inputs, constants;
  std::vector<std::vector<Tensor>> outputs;

  Tensor& at(const attest::ValueRef& ref) {
    switch (ref.from) {
      case From::input: return inputs[ref.index];
      case From::constant: return constants[ref.index];
      case From::state: return slots[ref.index];
      case From::call: break;
    }
    return outputs[ref.index][ref.output];
  }
};

NativeRun::NativeRun(std::unique_ptr<Values> values) : values_(std::move(values)) {}
NativeRun::~NativeRun() = default;

Result<std::unique_ptr<NativeRun>> NativeRun::make(const attest::Plan& plan, std::span<const ByteSpan> inputs, uint64_t seed, State start,
                                                   int threads) {
  at::set_num_threads(threads);
  auto values = std::make_unique<Values>(Values{plan, seed, std::move(start), {}, {}, {}, {}});
  const auto copy = [](const TensorType& type, ByteSpan bytes) -> Result<Tensor> {
    if (bytes.size() != static_cast<size_t>(kernels::bytes(type))) return Error{Code::shape, "a tensor has another size than the plan says", ""};
    Tensor tensor = at::empty(type.shape, at::TensorOptions(torch_type(type.dtype)));
    if (!bytes.empty()) std::memcpy(tensor.mutable_data_ptr(), bytes.data(), bytes.size());
    return tensor;
  };
  if (inputs.size() != plan.inputs.size() || values->state.slots.size() != plan.state.size()) return Error{Code::shape, "inputs or state are missing", ""};
  for (size_t i = 0; i < inputs.size(); i++) {
    TRY_LET(tensor, copy(plan.inputs[i].type, inputs[i]));
    values->inputs.push_back(tensor);
  }
  for (const attest::Constant& constant : plan.constants) {
    TRY_LET(tensor, copy(constant.type, constant.bytes));
    values->constants.push_back(tensor);
  }
  for (size_t s = 0; s < plan.state.size(); s++) {
    TRY_LET(tensor, copy(plan.state[s].type, values->state.slots[s]));
    values->slots.push_back(tensor);
  }
  for (const attest::Call& call : plan.calls)
    if (!is_shared(call.op) && lowering_of(call.op) == nullptr) {
      const kernels::Operator* op = kernels::find_operator(call.op);
      return Error{Code::undefined_operator, "operator " + (op ? std::string(op->name) : std::to_string(call.op)) + " has no native lowering", "run it on the exact tier"};
    }
  values->outputs.resize(plan.calls.size());
  return std::unique_ptr<NativeRun>(new NativeRun(std::move(values)));
}

void NativeRun::run_step() {
  at::NoGradGuard no_grad;
  Values& v = *values_;
  const kernels::StepContext step{v.seed, v.state.step};
  for (size_t c = 0; c < v.plan.calls.size(); c++) {
    const attest::Call& call = v.plan.calls[c];
    std::vector<Tensor> in;
    for (size_t i = 0; i < call.inputs.size(); i++) in.push_back(v.at(call.inputs[i]).view(call.input_types[i].shape));
    v.outputs[c] = is_shared(call.op) ? run_shared(*kernels::find_operator(call.op), call, step, in) : lowering_of(call.op)({call, step, in});
    for (Tensor& out : v.outputs[c])
      if (out.defined()) out = out.contiguous();
  }
  std::vector<Tensor> next;
  for (const attest::StateSlot& slot : v.plan.state) next.push_back(v.at(slot.next).view(slot.type.shape));
  v.slots = std::move(next);
  v.state.step++;
}

const State& NativeRun::state() const {
  for (size_t s = 0; s < values_->slots.size(); s++) {
    Bytes& bytes = values_->state.slots[s];
    if (!bytes.empty()) std::memcpy(bytes.data(), values_->slots[s].const_data_ptr(), bytes.size());
  }
  return values_->state;
}

}  // namespace cairn::runtime
