#include "agent/computer.h"
#include "attest/tree.h"

namespace cairn::agent {

namespace {
Error not_as_told(const std::string& what, const std::string& found, const std::string& told) {
  return {Code::invalid, "the job's " + what + " is " + told + ", its plan's is " + found, "refuse the job"};
}
}  // namespace

Result<Assignment> load_assignment(const attest::JobSpec& spec, const ArtifactStore& store, const attest::WorkTable& table,
                                   const ContentKey& key) {
  TRY(attest::check(spec));
  TRY_LET(bytes, store.read(spec.plan, attest::kMaxPlanBytes));
  Assignment work{spec, {}, key};
  TRY_LET(plan, decode<attest::Plan>(bytes));
  work.plan = std::move(plan);
  TRY_LET(facts, attest::validate(work.plan, table));
  if (facts.root != spec.plan_root) return not_as_told("plan root", facts.root.hex(), spec.plan_root.hex());
  if (work.plan.calls.size() != spec.calls)
    return not_as_told("number of calls", std::to_string(work.plan.calls.size()), std::to_string(spec.calls));
  if (work.plan.state.size() != spec.state_slots)
    return not_as_told("number of state slots", std::to_string(work.plan.state.size()), std::to_string(spec.state_slots));
  if (facts.work_ns != spec.step_work_ns)
    return Error{Code::understated_work, "the job says " + std::to_string(spec.step_work_ns) + " ns of work a step, its plan has " +
                     std::to_string(static_cast<uint64_t>(facts.work_ns)), "refuse the job"};
  if (facts.peak_bytes > spec.memory_bytes)
    return not_as_told("memory", std::to_string(facts.peak_bytes), std::to_string(spec.memory_bytes));

  std::vector<std::pair<std::string, attest::TensorType>> slots;
  for (const auto& input : work.plan.inputs) slots.emplace_back(input.name, input.type);
  for (const auto& slot : work.plan.state)
    if (slot.init.kind == attest::InitKind::given) slots.emplace_back(slot.name, slot.type);
  if (slots.size() != spec.inputs.size())
    return not_as_told("number of inputs", std::to_string(slots.size()), std::to_string(spec.inputs.size()));
  for (size_t i = 0; i < slots.size(); i++) {
    const auto& binding = spec.inputs[i];
    if (binding.name != slots[i].first) return not_as_told("input " + std::to_string(i), slots[i].first, binding.name);
    TRY(store.keyed(key).verified(binding.id));
    const auto size = static_cast<uint64_t>(kernels::bytes(slots[i].second));
    if (store.size_bytes(binding.id) != size)
      return Error{Code::shape, "input " + binding.name + " has " + std::to_string(store.size_bytes(binding.id)) +
                       " bytes, its slot " + std::to_string(size), "refuse the job"};
  }
  return work;
}

}  // namespace cairn::agent
