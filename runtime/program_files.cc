#include "runtime/program_files.h"

#include <algorithm>
#include <cstring>

#include "base/file.h"
#include "runtime/artefacts.h"

namespace cairn::runtime {

namespace fs = std::filesystem;

namespace {

constexpr size_t kMaxTensorFile = size_t{1} << 40;
constexpr size_t kMaxProgramBytes = size_t{1} << 30;

// Every tensor of a safetensors file, into the store.
Result<std::vector<StoredTensor>> bring(const fs::path& file, const fs::path& store) {
  TRY_LET(bytes, read_file(file, kMaxTensorFile));
  TRY_LET(parsed, parse_tensors(bytes));
  std::vector<StoredTensor> out;
  for (const NamedTensor& tensor : parsed.tensors) {
    TRY_LET(id, write_artefact(store, tensor.bytes));
    out.push_back({tensor.name, tensor.type, id});
  }
  return out;
}

Result<Hash> id_of(const std::vector<StoredTensor>& tensors, const std::string& name) {
  for (const StoredTensor& tensor : tensors)
    if (tensor.name == name) return tensor.id;
  return Error{Code::not_found, "the plan wants `" + name + "`, which nobody brings", "use programs of one version"};
}

Result<Bytes> slot_bytes(const FinalState& state, size_t slot) {
  const auto size = static_cast<uint64_t>(kernels::bytes(state.plan.state[slot].type));
  const Error other{Code::proof, "`" + state.plan.state[slot].name + "` is not of the size that the plan says", "keep the receipt: it is evidence"};
  if (slot >= state.ids.size()) return other;
  TRY_LET(bytes, read_artefact(state.store, state.ids[slot], size, state.key));
  if (bytes.size() != size) return other;
  return bytes;
}

}  // namespace

Result<Prepared> prepare(WorkerClient& worker, const ProgramFiles& files) {
  AskTrace ask{files.program.string(), files.store.string(), {}, {}, files.seed};
  ask.request.train = files.train;
  ask.request.batch = files.batch;
  ask.request.steps = files.steps;
  ask.request.optimizer = files.optimizer;
  ask.request.work = files.work;
  ask.request.numeric = files.numeric;
  TRY_LET(data, bring(files.data, files.store));
  for (const StoredTensor& tensor : data) ask.request.data.push_back({tensor.name, tensor.type});
  if (!files.weights.empty()) {
    TRY_LET(weights, bring(files.weights, files.store));
    ask.weights = std::move(weights);
  }
  TRY_LET(traced, worker.trace(ask));
  TRY_LET(program_bytes, read_artefact(files.store, traced.program_artefact, kMaxProgramBytes));
  TRY_LET(program, decode<Program>(program_bytes));
  TRY_LET(plan_bytes, read_artefact(files.store, traced.plan, attest::kMaxPlanBytes));
  TRY_LET(plan, decode<attest::Plan>(plan_bytes));

  Prepared out{std::move(traced), std::move(program), std::move(plan), {}, {}, {}};
  const auto is_data = [&](const std::string& name) {
    return std::any_of(out.program.inputs.begin(), out.program.inputs.end(), [&](const ProgramInput& input) { return input.name == name; });
  };
  for (const std::string& name : out.traced.inputs) {
    const bool schedule = name == kSchedule && out.traced.schedule && !is_data(name);
    TRY_LET(id, schedule ? *out.traced.schedule : id_of(is_data(name) ? data : out.traced.weights, name));
    out.inputs.push_back({name, id, !schedule && !is_data(name)});
    out.work.inputs.push_back(id);
  }
  for (const std::string& name : out.traced.given) {
    TRY_LET(id, id_of(out.traced.weights, name));
    out.inputs.push_back({name, id, true});
    out.work.given.push_back(id);
  }
  out.work.store = files.store.string();
  out.work.plan = out.traced.plan;
  out.work.seed = files.seed;
  out.work.table = files.work;
  TRY_LET(initial, worker.initial(out.work));
  out.initial = std::move(initial);
  return out;
}

SlotRole role_of(std::string_view slot) {
  constexpr std::string_view kOutput = "output_";
  if (slot == kLosses) return SlotRole::losses;
  if (slot.starts_with("adam_m:") || slot.starts_with("adam_v:") || slot.starts_with("momentum:")) return SlotRole::optimizer;
  if (slot.starts_with(kOutput) && slot.find_first_not_of("0123456789", kOutput.size()) == std::string_view::npos) return SlotRole::output;
  return SlotRole::weight;
}

Result<bool> FinalState::write(const fs::path& file, SlotRole role, std::map<std::string, std::string> metadata,
                               const std::map<std::string, std::vector<std::string>>& aliases) const {
  std::vector<Bytes> held;
  held.reserve(plan.state.size());
  TensorFile out;
  out.metadata = std::move(metadata);
  for (size_t s = 0; s < plan.state.size(); s++) {
    const attest::StateSlot& slot = plan.state[s];
    if (role_of(slot.name) != role) continue;
    TRY_LET(bytes, slot_bytes(*this, s));
    held.push_back(std::move(bytes));
    out.tensors.push_back({slot.name, slot.type, held.back()});
    if (const auto others = aliases.find(slot.name); others != aliases.end())
      for (const std::string& alias : others->second) out.tensors.push_back({alias, slot.type, held.back()});
  }
  if (held.empty()) return false;
  TRY(write_file(file, write_tensors(out)));
  return true;
}

Result<std::vector<float>> FinalState::losses() const {
  std::vector<float> out;
  for (size_t s = 0; s < plan.state.size(); s++) {
    if (role_of(plan.state[s].name) != SlotRole::losses || plan.state[s].type.dtype != kernels::DType::f32) continue;
    TRY_LET(bytes, slot_bytes(*this, s));
    out.resize(bytes.size() / sizeof(float));
    std::memcpy(out.data(), bytes.data(), bytes.size());
  }
  return out;
}

}  // namespace cairn::runtime
