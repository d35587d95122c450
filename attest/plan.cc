#include "attest/plan.h"

#include <algorithm>
#include <set>

#include "attest/tree.h"

namespace cairn::attest {
namespace {

using kernels::CallShape;
using kernels::DType;
using kernels::Operator;

constexpr const char* kNext = "trace the program again with this version of the tool";

Error refuse(Code code, std::string text) { return {code, std::move(text), kNext}; }

std::string call_name(size_t index, const Call& call) {
  const Operator* op = kernels::find_operator(call.op);
  return "call " + std::to_string(index) + " (" + (op ? std::string(op->name) : "operator " + std::to_string(call.op)) + ")";
}

std::string to_string(const ValueRef& ref) {
  constexpr const char* kFrom[] = {"?", "input", "constant", "state", "call"};
  std::string text = std::string(kFrom[static_cast<uint8_t>(ref.from)]) + " " + std::to_string(ref.index);
  return ref.from == From::call ? text + " output " + std::to_string(ref.output) : text;
}

Result<> check_type(const TensorType& type) {
  if (type.shape.size() > kMaxRank)
    return refuse(Code::shape, "a shape of " + std::to_string(type.shape.size()) + " dimensions; at most " +
                                   std::to_string(kMaxRank));
  const auto count = kernels::elements_checked(type);
  if (!count) return refuse(count.error().code, count.error().text);
  if (*count == 0) return refuse(Code::shape, kernels::to_string(type) + " has no elements");
  return {};
}

Result<> check_name(const std::string& name, std::set<std::string>& names, const char* what) {
  if (name.empty() || name.size() > kMaxNameBytes)
    return refuse(Code::malformed, std::string(what) + ": a name has 1 to " + std::to_string(kMaxNameBytes) + " bytes");
  if (!names.insert(name).second) return refuse(Code::malformed, std::string(what) + " " + name + ": the name is taken");
  return {};
}

// Bytes of one type read as another: nothing moves.
bool reinterprets(const TensorType& from, const TensorType& to) {
  return from.dtype == to.dtype && kernels::elements(from) == kernels::elements(to);
}

Result<> check_init(const StateSlot& slot) {
  const bool valued = slot.init.kind == InitKind::fill || slot.init.kind == InitKind::uniform;
  if (valued && slot.type.dtype != DType::f32 && slot.type.dtype != DType::bf16)
    return refuse(Code::shape, "state " + slot.name + ": only f32 and bf16 start from a fill or uniform value");
  if (!valued && slot.init.value_bits != 0)
    return refuse(Code::malformed, "state " + slot.name + ": its start has no value, yet one is given");
  return {};
}

// Sum of state, inputs, constants and the largest set of intermediates that live at one call: from the call that gives a
// value to the last one that reads it, or to the step's end where a slot's `next` names it.
u128 peak_of(const Plan& plan, u128 fixed) {
  std::vector<std::vector<size_t>> last_use(plan.calls.size());
  for (size_t i = 0; i < plan.calls.size(); i++) last_use[i].assign(plan.calls[i].output_types.size(), i);
  for (size_t i = 0; i < plan.calls.size(); i++)
    for (const ValueRef& ref : plan.calls[i].inputs)
      if (ref.from == From::call) last_use[ref.index][ref.output] = i;
  for (const StateSlot& slot : plan.state)
    if (slot.next.from == From::call) last_use[slot.next.index][slot.next.output] = plan.calls.size();

  std::vector<u128> freed(plan.calls.size() + 1);  // after call i
  u128 live = 0, largest = 0;
  for (size_t i = 0; i < plan.calls.size(); i++) {
    for (size_t o = 0; o < plan.calls[i].output_types.size(); o++) {
      const auto size = static_cast<u128>(kernels::bytes(plan.calls[i].output_types[o]));
      live += size;
      freed[last_use[i][o]] += size;
    }
    largest = std::max(largest, live);
    live -= freed[i];
  }
  return fixed + largest;
}

}  // namespace

const TensorType* type_of(const Plan& plan, const ValueRef& ref) {
  const size_t i = ref.index;
  if (ref.from != From::call && ref.output != 0) return nullptr;
  switch (ref.from) {
    case From::input: return i < plan.inputs.size() ? &plan.inputs[i].type : nullptr;
    case From::constant: return i < plan.constants.size() ? &plan.constants[i].type : nullptr;
    case From::state: return i < plan.state.size() ? &plan.state[i].type : nullptr;
    case From::call:
      if (i >= plan.calls.size() || ref.output >= plan.calls[i].output_types.size()) return nullptr;
      return &plan.calls[i].output_types[ref.output];
  }
  return nullptr;
}

uint64_t work_of(const Operator& op, const CallShape& call, const WorkTable& table) {
  const kernels::Cost cost = op.cost(call);
  const auto up = [](uint64_t amount, uint64_t per_ns) { return per_ns == 0 ? 0 : amount / per_ns + (amount % per_ns != 0); };
  return std::max({up(cost.multiply_adds, table.mac_per_ns), up(cost.bytes, table.bytes_per_ns), uint64_t{table.fixed_ns}});
}

Result<> check_leaf(const Call& call) {
  const Operator* op = kernels::find_operator(call.op);
  if (!op) return refuse(Code::undefined_operator, "no operator has the number " + std::to_string(call.op));
  if (call.inputs.size() != call.input_types.size())
    return refuse(Code::shape, std::to_string(call.inputs.size()) + " inputs with " + std::to_string(call.input_types.size()) + " types");
  for (const TensorType& type : call.input_types) TRY(check_type(type));
  for (const TensorType& type : call.output_types) TRY(check_type(type));
  TRY_LET(outputs, op->infer(call.input_types, call.attrs));
  if (outputs != call.output_types) {
    std::string expected;
    for (const TensorType& type : outputs) expected += " " + kernels::to_string(type);
    return refuse(Code::shape, "its outputs are not" + expected);
  }
  if (outputs.empty() || outputs.size() > 255) return refuse(Code::shape, "a call gives 1 to 255 outputs");
  return {};
}

Result<> check_leaf(const Call& call, const WorkTable& table) {
  TRY(check_leaf(call));
  const uint64_t work = work_of(*kernels::find_operator(call.op), {call.input_types, call.output_types, call.attrs}, table);
  if (call.work_ns != work)
    return refuse(Code::understated_work, "it states " + std::to_string(call.work_ns) + " ns of work, the rule gives " + std::to_string(work));
  return {};
}

Result<PlanFacts> validate(const Plan& plan, const WorkTable& table) {
  if (plan.version != Plan::kVersion)
    return Error{Code::malformed, "a plan of version " + std::to_string(plan.version) + "; this program knows " +
                                      std::to_string(Plan::kVersion), "update this program"};
  if (plan.calls.empty() || plan.calls.size() > kMaxCalls)
    return refuse(Code::malformed, std::to_string(plan.calls.size()) + " calls; a plan has 1 to " + std::to_string(kMaxCalls));
  if (plan.state.empty()) return refuse(Code::malformed, "a plan without state has no result");

  PlanFacts facts;
  std::set<std::string> names;
  u128 fixed = 0;
  for (const InputSlot& slot : plan.inputs) {
    TRY(check_name(slot.name, names, "input"));
    TRY(check_type(slot.type));
    fixed += static_cast<u128>(kernels::bytes(slot.type));
  }
  u128 constant_bytes = 0;
  for (size_t i = 0; i < plan.constants.size(); i++) {
    const Constant& constant = plan.constants[i];
    TRY(check_type(constant.type));
    if (constant.bytes.size() != static_cast<uint64_t>(kernels::bytes(constant.type)))
      return refuse(Code::shape, "constant " + std::to_string(i) + ": " + std::to_string(constant.bytes.size()) + " bytes for " +
                                     kernels::to_string(constant.type));
    constant_bytes += constant.bytes.size();
  }
  if (constant_bytes > kMaxConstantBytes)
    return refuse(Code::limit, "more than " + std::to_string(kMaxConstantBytes >> 20) + " MiB of constants: make them inputs");
  u128 state_bytes = 0;
  for (const StateSlot& slot : plan.state) {
    TRY(check_name(slot.name, names, "state"));
    TRY(check_type(slot.type));
    TRY(check_init(slot));
    state_bytes += static_cast<u128>(kernels::bytes(slot.type));
  }

  for (size_t i = 0; i < plan.calls.size(); i++) {
    const Call& call = plan.calls[i];
    const auto named = [&](const Error& error) { return refuse(error.code, call_name(i, call) + ": " + error.text); };
    if (auto leaf = check_leaf(call, table); !leaf) return named(leaf.error());
    for (size_t k = 0; k < call.inputs.size(); k++) {
      const ValueRef& ref = call.inputs[k];
      if (ref.from == From::call && ref.index >= i)
        return named(refuse(Code::malformed, "input " + std::to_string(k) + " is " + to_string(ref) + ", which does not stand before it"));
      const TensorType* type = type_of(plan, ref);
      if (!type) return named(refuse(Code::malformed, "input " + std::to_string(k) + " is " + to_string(ref) + ", which there is not"));
      if (!reinterprets(*type, call.input_types[k]))
        return named(refuse(Code::shape, "input " + std::to_string(k) + " is " + to_string(ref) + " of type " + kernels::to_string(*type) +
                                             ", not " + kernels::to_string(call.input_types[k])));
    }
    facts.work_ns += call.work_ns;
  }
  for (const StateSlot& slot : plan.state) {
    const TensorType* type = type_of(plan, slot.next);
    if (!type) return refuse(Code::malformed, "state " + slot.name + ": its next value is " + to_string(slot.next) + ", which there is not");
    if (!reinterprets(*type, slot.type))
      return refuse(Code::shape, "state " + slot.name + " of type " + kernels::to_string(slot.type) + ": its next value is " +
                                     to_string(slot.next) + " of type " + kernels::to_string(*type));
  }

  const u128 peak = peak_of(plan, fixed + constant_bytes + state_bytes);
  if (peak > UINT64_MAX / 2 || facts.work_ns > UINT64_MAX)
    return refuse(Code::limit, "a step of this plan passes every machine's memory or the 64 bits of its work");
  facts.id = blake3(encode(plan));
  facts.root = plan_root(plan);
  facts.peak_bytes = static_cast<uint64_t>(peak);
  facts.state_bytes = static_cast<uint64_t>(state_bytes);
  return facts;
}

}  // namespace cairn::attest

CODEC_HERE(attest::Plan)
