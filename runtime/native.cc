#include "runtime/native.h"

#include <ATen/Parallel.h>

#include <cstring>

#include "runtime/aten.h"

namespace cairn::runtime {
namespace {

using attest::From;
using kernels::DType;
using kernels::TensorType;

// Null where there is none.
const Lowering* lowering_of(const kernels::Operator& op) {
  for (const Family& family : aten_families())
    for (const Lowering& lowering : family.lowerings)
      if (lowering.op == op.name) return &lowering;
  return nullptr;
}

// Sampling, scattering, random numbers: the same on every tier.
bool is_shared(uint16_t op) { return op == 1 || op == 2 || (op >= 70 && op <= 73); }

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

// How a call is run: by its lowering, or by the operator itself where that is null.
Result<const Lowering*> way_of(const attest::Call& call) {
  const kernels::Operator* op = kernels::find_operator(call.op);
  const bool shared = op != nullptr && is_shared(call.op);
  const Lowering* lowering = op != nullptr && !shared ? lowering_of(*op) : nullptr;
  if (lowering != nullptr || shared) return lowering;
  return Error{Code::undefined_operator, "operator " + (op ? std::string(op->name) : std::to_string(call.op)) + " has no native lowering",
               "run it on the exact tier"};
}

std::vector<Tensor> run_call(const Lowering* way, const attest::Call& call, const kernels::StepContext& step, const std::vector<Tensor>& in) {
  std::vector<Tensor> out = way ? way->run({call, step, in}) : run_shared(*kernels::find_operator(call.op), call, step, in);
  for (Tensor& one : out)
    if (one.defined()) one = one.contiguous();
  return out;
}

Result<Tensor> tensor_of(const TensorType& type, ByteSpan bytes) {
  if (bytes.size() != static_cast<size_t>(kernels::bytes(type))) return Error{Code::shape, "a tensor has another size than the plan says", ""};
  Tensor tensor = at::empty(type.shape, at::TensorOptions(torch_type(type.dtype)));
  if (!bytes.empty()) std::memcpy(tensor.mutable_data_ptr(), bytes.data(), bytes.size());
  return tensor;
}

}  // namespace

struct NativeRun::Values {
  const attest::Plan& plan;
  uint64_t seed;
  Tamper tamper;
  mutable State state;
  std::vector<Tensor> slots, inputs, constants;
  std::vector<const Lowering*> lowerings;  // of each call; null: run by the operator itself
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
                                                   int threads, Tamper tamper) {
  at::set_num_threads(threads);
  auto values = std::make_unique<Values>(Values{plan, seed, std::move(tamper), std::move(start), {}, {}, {}, {}, {}});
  if (inputs.size() != plan.inputs.size() || values->state.slots.size() != plan.state.size()) return Error{Code::shape, "inputs or state are missing", ""};
  for (size_t i = 0; i < inputs.size(); i++) {
    TRY_LET(tensor, tensor_of(plan.inputs[i].type, inputs[i]));
    values->inputs.push_back(tensor);
  }
  for (const attest::Constant& constant : plan.constants) {
    TRY_LET(tensor, tensor_of(constant.type, constant.bytes));
    values->constants.push_back(tensor);
  }
  for (size_t s = 0; s < plan.state.size(); s++) {
    TRY_LET(tensor, tensor_of(plan.state[s].type, values->state.slots[s]));
    values->slots.push_back(tensor);
  }
  for (const attest::Call& call : plan.calls) {
    TRY_LET(way, way_of(call));
    values->lowerings.push_back(way);
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
    v.outputs[c] = run_call(v.lowerings[c], call, step, in);
    for (size_t o = 0; v.tamper && o < v.outputs[c].size(); o++) {
      Tensor& out = v.outputs[c][o];
      if (!out.defined()) continue;
      out = out.clone();  // it may be an operand's view
      v.tamper(v.state.step, static_cast<uint32_t>(c), static_cast<uint8_t>(o), {static_cast<uint8_t*>(out.mutable_data_ptr()), out.nbytes()});
    }
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

Result<std::vector<Bytes>> run_native_call(const attest::Call& call, const kernels::StepContext& step, std::span<const ByteSpan> inputs) {
  at::NoGradGuard no_grad;
  TRY_LET(way, way_of(call));
  std::vector<Tensor> in;
  for (size_t i = 0; i < inputs.size(); i++) {
    TRY_LET(tensor, tensor_of(call.input_types[i], inputs[i]));
    in.push_back(tensor);
  }
  std::vector<Bytes> out;
  for (const Tensor& one : run_call(way, call, step, in)) {
    const auto* bytes = one.defined() ? static_cast<const uint8_t*>(one.const_data_ptr()) : nullptr;
    out.emplace_back(bytes, bytes + (bytes ? one.nbytes() : 0));
  }
  return out;
}

}  // namespace cairn::runtime
