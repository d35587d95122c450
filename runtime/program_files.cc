#include "runtime/program_files.h"

#include <algorithm>
#include <map>

#include "base/file.h"
#include "runtime/artefacts.h"
#include "runtime/executor.h"

namespace cairn::runtime {

namespace fs = std::filesystem;

namespace {

constexpr size_t kMaxTensorFile = size_t{1} << 40;
constexpr size_t kMaxProgramBytes = size_t{1} << 30;

struct Brought {
  kernels::TensorType type;
  Hash id;
  uint64_t size = 0;
};

// Every tensor of a safetensors file, into the store.
Result<std::map<std::string, Brought>> bring(const std::string& file, const std::string& store) {
  TRY_LET(bytes, read_file(file, kMaxTensorFile));
  TRY_LET(parsed, parse_tensors(bytes));
  std::map<std::string, Brought> out;
  for (const NamedTensor& tensor : parsed.tensors) {
    TRY_LET(id, write_artefact(store, tensor.bytes));
    out[tensor.name] = {tensor.type, id, tensor.bytes.size()};
  }
  return out;
}

// By parameter name: the weights file's, under any of a tied weight's names, else the program's own.
Result<std::map<std::string, Brought>> weights_of(const Program& program, const std::map<std::string, Brought>& file,
                                                  const std::vector<TracedTensor>& own) {
  std::map<std::string, Brought> out;
  for (const Parameter& parameter : program.parameters) {
    std::vector<std::string> names = parameter.aliases;
    names.insert(names.begin(), parameter.name);
    for (const std::string& name : names) {
      const auto found = file.find(name);
      if (found == file.end() || out.contains(parameter.name)) continue;
      if (found->second.type != parameter.type)
        return Error{Code::shape, "weight '" + name + "' is " + to_string(found->second.type) + "; the program wants " + to_string(parameter.type),
                     "bring the weights of this program"};
      out[parameter.name] = found->second;
    }
    for (const TracedTensor& weight : own)
      if (weight.name == parameter.name)
        out.try_emplace(parameter.name, Brought{weight.type, weight.id, static_cast<uint64_t>(kernels::bytes(weight.type))});
  }
  return out;
}

Bytes initial_weight(const Program& program, const std::string& name, uint64_t seed) {
  attest::Plan plan;
  for (const Parameter& parameter : program.parameters) {
    plan.state.emplace_back();
    if (parameter.name != name) continue;
    plan.state.back() = {name, parameter.type, default_init(parameter), {}};
    break;
  }
  return must(initial_state(plan, seed, {})).slots.back();
}

}  // namespace

Result<Prepared> prepare(WorkerClient& worker, const ProgramFiles& files) {
  AskTrace ask{files.path, files.store, {}};
  ask.request.train = files.train;
  ask.request.batch = files.batch;
  ask.request.steps = files.steps;
  ask.request.optimizer = files.optimizer;
  ask.request.work = files.work;
  TRY_LET(data, bring(files.data, files.store));
  for (const auto& [name, tensor] : data) ask.request.data.push_back({name, tensor.type});
  std::map<std::string, Brought> file;
  if (!files.weights.empty()) {
    TRY_LET(brought, bring(files.weights, files.store));
    file = std::move(brought);
  }
  Prepared out;
  TRY_LET(traced, worker.trace(ask));
  TRY_LET(program_bytes, read_artefact(files.store, traced.program_artefact, kMaxProgramBytes));
  TRY_LET(program, decode<Program>(program_bytes));
  TRY_LET(weights, weights_of(program, file, traced.weights));
  if (files.train && !weights.empty()) {  // now that its parameters are known
    for (const auto& [name, weight] : weights) ask.request.given.push_back(name);
    TRY_LET(again, worker.trace(ask));
    traced = std::move(again);
  }

  const auto add = [&](const std::string& name, const Hash& id, uint64_t size, bool weight) {
    out.inputs.push_back({name, id, (fs::path(files.store) / id.hex()).string(), size, weight});
  };
  const auto is_data = [&](const std::string& name) {
    return std::any_of(program.inputs.begin(), program.inputs.end(), [&](const ProgramInput& input) { return input.name == name; });
  };
  for (const std::string& name : traced.inputs) {
    if (files.train && name == kSchedule && traced.schedule && !is_data(name)) {
      add(name, *traced.schedule, files.steps * 4 * static_cast<uint64_t>(schedule_columns(files.optimizer)), false);
    } else if (is_data(name)) {
      add(name, data.at(name).id, data.at(name).size, false);
    } else if (const auto weight = weights.find(name); weight != weights.end()) {
      add(name, weight->second.id, weight->second.size, true);
    } else {
      const Bytes bytes = initial_weight(program, name, files.seed);
      TRY_LET(id, write_artefact(files.store, bytes));
      add(name, id, bytes.size(), true);
    }
    out.work.inputs.push_back(out.inputs.back().id);
  }
  for (const std::string& name : traced.given) {
    add(name, weights.at(name).id, weights.at(name).size, true);
    out.work.given.push_back(out.inputs.back().id);
  }
  out.work.store = files.store;
  out.work.plan = traced.plan;
  out.work.seed = files.seed;
  out.work.table = files.work;
  TRY_LET(initial, worker.initial(out.work));
  out.initial = std::move(initial);
  out.program = std::move(program);
  out.traced = std::move(traced);
  return out;
}

}  // namespace cairn::runtime
