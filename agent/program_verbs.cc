#include "agent/program_verbs.h"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

#include "agent/settings.h"
#include "base/file.h"
#include "runtime/artefacts.h"
#include "runtime/program_files.h"

namespace cairn::agent {

namespace fs = std::filesystem;
using namespace runtime;

namespace {

constexpr size_t kMaxFileBytes = size_t{1} << 40;

// A folder that goes when nobody looks at it any more.
struct Scratch {
  fs::path path;
  Scratch() {
    std::string name = (fs::temp_directory_path() / "cairn-program-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw Fault({Code::io, "cannot make a folder in " + fs::temp_directory_path().string(), "set TMPDIR"});
    path = name;
  }
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
};

std::string short_number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}
// Enough digits to give the float back.
std::string precise(float value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.9g", static_cast<double>(value));
  return text;
}
std::string bytes_text(uint64_t size_bytes) {
  const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(size_bytes);
  size_t unit = 0;
  for (; value >= 1024 && unit + 1 < std::size(units); unit++) value /= 1024;
  return short_number(value) + " " + units[unit];
}
std::string time_text(uint64_t nanoseconds) { return short_number(static_cast<double>(nanoseconds) / 1e6) + " ms"; }
std::string row(const std::string& label, const std::string& text) {
  return label + std::string(label.size() < 14 ? 14 - label.size() : 1, ' ') + text;
}

struct Outcome {
  StateReached reached;
  std::vector<CheckpointMade> checkpoints;  // with those gone on from
  std::vector<float> losses;                // one a step
  uint64_t steps_run = 0;                   // by this call
};

// What a folder remembers of an exact run: its plan and seed, and every checkpoint.
struct Record {
  Hash plan;
  uint64_t seed = 0;
  uint64_t interval = 0;
  std::vector<CheckpointMade> checkpoints;
  static constexpr auto fields() {
    return std::tuple{field("plan", &Record::plan), field("seed", &Record::seed), field("interval", &Record::interval),
                      field("checkpoints", &Record::checkpoints)};
  }
};

Result<Bytes> slot_bytes(const Prepared& prepared, const StatePoint& state, const std::string& name) {
  for (size_t i = 0; i < prepared.traced.slots.size(); i++)
    if (prepared.traced.slots[i] == name) return read_artefact(prepared.work.store, state.ids.at(i), kMaxFileBytes);
  return Error{Code::not_found, "the plan has no state '" + name + "'", ""};
}

// `record` may be empty: then nothing is remembered.
Result<Outcome> run_plan(const Output& out, WorkerClient& worker, const Prepared& prepared, uint64_t interval, attest::Tier tier,
                         const fs::path& record_path) {
  Outcome outcome;
  Record record{prepared.traced.plan, prepared.work.seed, interval, {}};
  if (!record_path.empty() && fs::exists(record_path)) {
    TRY_LET(bytes, read_file(record_path, kMaxFileBytes));
    const auto earlier = decode<Record>(bytes);
    if (earlier && earlier->plan == record.plan && earlier->seed == record.seed && earlier->interval == interval) record = *earlier;
  }
  outcome.checkpoints = record.checkpoints;
  const StatePoint from = record.checkpoints.empty() ? prepared.initial.state : record.checkpoints.back().state;
  const uint64_t steps = prepared.traced.steps;
  const AskRun ask{prepared.work, from, steps, interval, tier};
  std::string loss;
  const auto on_progress = [&](const Progress& progress) {
    if (progress.loss_bits) loss = "  loss " + short_number(std::bit_cast<float>(*progress.loss_bits));
    out.bar(std::string(attest::name(tier)), static_cast<double>(progress.step) / static_cast<double>(std::max<uint64_t>(steps, 1)),
            std::to_string(progress.step) + "/" + std::to_string(steps) + loss);
  };
  const auto on_checkpoint = [&](const CheckpointMade& made) {
    outcome.checkpoints.push_back(made);
    record.checkpoints.push_back(made);
    if (!record_path.empty()) static_cast<void>(must(write_file(record_path, encode(record))));
  };
  TRY_LET(reached, worker.run(ask, on_progress, on_checkpoint));
  outcome.reached = std::move(reached);
  outcome.steps_run = steps - from.step;
  if (const auto losses = slot_bytes(prepared, outcome.reached.state, std::string(kLosses))) {
    outcome.losses.resize(losses->size() / 4);
    std::memcpy(outcome.losses.data(), losses->data(), outcome.losses.size() * 4);
  }
  return outcome;
}

void describe(const Output& out, const Traced& traced) {
  out.line(row("program", traced.program.hex()));
  out.line(row("plan", traced.plan.hex()));
  out.line(row("a step is", std::to_string(traced.calls) + " calls, " + time_text(traced.step_work_ns) + " on the reference machine, " +
                                bytes_text(traced.peak_bytes) + " of memory"));
}

JsonObject facts(const Prepared& prepared) {
  const Traced& traced = prepared.traced;
  JsonObject object;
  object.add("program", traced.program).add("plan", traced.plan).add("plan_root", traced.plan_root);
  object.add("initial_state", prepared.initial.root).add("calls", traced.calls).add("step_work_ns", traced.step_work_ns);
  object.add("peak_bytes", traced.peak_bytes).add("batch", traced.batch).add("steps", traced.steps);
  std::vector<JsonObject> inputs;
  for (const PreparedInput& input : prepared.inputs) inputs.push_back(JsonObject().add("name", input.name).add("id", input.id));
  return object.add("inputs", inputs);
}

std::string json_of(const std::vector<float>& losses) {
  std::string list;
  for (const float loss : losses) list += (list.empty() ? "" : ",") + (std::isfinite(loss) ? precise(loss) : "null");
  return "[" + list + "]";
}

JsonObject json_of(const Outcome& outcome) {
  JsonObject object;
  object.add("root", outcome.reached.root).raw("losses", json_of(outcome.losses));
  std::vector<JsonObject> checkpoints;
  for (const CheckpointMade& made : outcome.checkpoints)
    checkpoints.push_back(JsonObject().add("step", made.state.step).add("root", made.root));
  const double run_ms = static_cast<double>(outcome.reached.run_ns) / 1e6;
  object.add("checkpoints", checkpoints).add("steps_run", outcome.steps_run).add("run_ms", run_ms);
  object.add("checkpoint_ms", static_cast<double>(outcome.reached.checkpoint_ns) / 1e6);
  return object.add("ms_per_step", run_ms / static_cast<double>(std::max<uint64_t>(outcome.steps_run, 1)));
}

// Writes the slots of a state that `wanted` chooses, with the names under which somebody looks for them.
Result<> write_outputs(const Prepared& prepared, const StatePoint& state, const fs::path& to,
                       const std::map<std::string, std::vector<std::string>>& wanted, std::map<std::string, std::string> metadata) {
  TRY_LET(plan_bytes, read_artefact(prepared.work.store, prepared.traced.plan, kMaxFileBytes));
  TRY_LET(plan, decode<attest::Plan>(plan_bytes));
  std::vector<Bytes> held;
  held.reserve(plan.state.size());
  TensorFile file;
  file.metadata = std::move(metadata);
  for (size_t i = 0; i < plan.state.size(); i++) {
    const auto names = wanted.find(plan.state[i].name);
    if (names == wanted.end()) continue;
    TRY_LET(bytes, read_artefact(prepared.work.store, state.ids.at(i), kMaxFileBytes));
    held.push_back(std::move(bytes));
    for (const std::string& name : names->second) file.tensors.push_back({name, plan.state[i].type, held.back()});
  }
  return write_file(to, write_tensors(file));
}

}  // namespace

Result<LocalTier> parse_local_tier(const std::string& text) {
  if (text == "exact") return LocalTier::exact;
  if (text == "native") return LocalTier::native;
  if (text == "both") return LocalTier::both;
  return Error{Code::usage, "there is no tier '" + text + "'", "use exact, native or both"};
}

Result<> program_inspect(const Output& out, const fs::path& program) {
  TRY_LET(worker, WorkerClient::start(find_program("cairn-worker")));
  TRY_LET(found, worker->inspect(program.string()));
  out.line(row("program", found.program.hex()));
  out.line(row("kind", found.trains ? "training: its first output is a loss" : "prediction: a row out for each row in"));
  for (const auto& input : found.inputs) out.line(row("input", input.name + "  " + input.type));
  for (const auto& output : found.outputs) out.line(row("output", output.name + "  " + output.type));
  for (const auto& parameter : found.parameters) out.line(row("parameter", parameter.name + "  " + parameter.type));
  for (const auto& op : found.operators) out.line(row("operator", op.name + "  x" + std::to_string(op.calls)));
  if (found.undefined.empty()) {
    out.line(row("work", time_text(found.step_work_ns) + " a step of the reference machine, batch " + std::to_string(found.batch)));
    out.line(row("memory", bytes_text(found.peak_bytes) + ", of which state " + bytes_text(found.state_bytes)));
  }
  for (const std::string& text : found.undefined) out.line(row("undefined", text));
  for (const std::string& text : found.removed) out.line(row("removed", text));
  out.object(to_json(found));
  if (found.undefined.empty()) return {};
  return Error{Code::undefined_operator, std::to_string(found.undefined.size()) + " operators of this program are not defined on exact",
               "write those parts with defined operators, or run it on the native tier of PyTorch"};
}

Result<> program_run(const Output& out, const ProgramRun& request) {
  if (request.tier == LocalTier::both) return Error{Code::usage, "a prediction runs on one tier", "use exact or native"};
  const Scratch scratch;
  TRY_LET(worker, WorkerClient::start(find_program("cairn-worker")));
  ProgramFiles files;
  files.path = request.program.string();
  files.data = request.inputs.string();
  files.weights = request.weights.string();
  files.store = scratch.path.string();
  files.train = false;
  files.batch = request.batch;
  files.seed = request.seed;
  TRY_LET(prepared, prepare(*worker, files));
  prepared.work.threads = request.threads;
  describe(out, prepared.traced);
  const auto tier = request.tier == LocalTier::native ? attest::Tier::native : attest::Tier::exact;
  TRY_LET(outcome, run_plan(out, *worker, prepared, 0, tier, {}));
  std::map<std::string, std::vector<std::string>> wanted;
  for (const std::string& name : prepared.traced.slots) wanted[name] = {name};
  TRY(write_outputs(prepared, outcome.reached.state, request.outputs, wanted,
                    {{"program", prepared.traced.program.hex()}, {"plan", prepared.traced.plan.hex()}, {"root", outcome.reached.root.hex()}}));
  out.line(row("root", outcome.reached.root.hex()));
  out.line(row("wrote", request.outputs.string()));
  out.object(facts(prepared).add(std::string(attest::name(tier)), json_of(outcome)));
  return {};
}

Result<> program_train(const Output& out, const ProgramTraining& request) {
  if (request.steps == 0) return Error{Code::usage, "a training needs a number of steps", "add --steps N"};
  const Scratch scratch;
  TRY_LET(worker, WorkerClient::start(find_program("cairn-worker")));
  const fs::path folder = request.folder.empty() ? scratch.path : request.folder;
  std::error_code error;
  fs::create_directories(folder / "store", error);
  if (error) return Error{Code::io, "cannot make the folder " + folder.string(), ""};
  ProgramFiles files;
  files.path = request.program.string();
  files.data = request.data.string();
  files.weights = request.weights.string();
  files.store = (folder / "store").string();
  files.batch = request.batch;
  files.steps = request.steps;
  files.seed = request.seed;
  files.optimizer = request.optimizer;
  TRY_LET(prepared, prepare(*worker, files));
  prepared.work.threads = request.threads;
  describe(out, prepared.traced);
  out.line(row("training", std::to_string(prepared.traced.steps) + " steps of " + std::to_string(prepared.traced.batch) + " rows, " +
                               std::string(name(request.optimizer.kind)) + ", seed " + std::to_string(request.seed)));

  const uint64_t interval = request.interval != 0 ? request.interval : request.folder.empty() ? 0 : std::max<uint64_t>(request.steps / 10, 1);
  JsonObject answer = facts(prepared);
  std::optional<StatePoint> result;
  Hash root;
  for (const attest::Tier tier : {attest::Tier::exact, attest::Tier::native}) {
    if (request.tier != LocalTier::both && (tier == attest::Tier::native) != (request.tier == LocalTier::native)) continue;
    const bool remember = tier == attest::Tier::exact && !request.folder.empty();
    TRY_LET(outcome, run_plan(out, *worker, prepared, interval, tier, remember ? folder / "record" : fs::path{}));
    const std::string label(attest::name(tier));
    if (!outcome.losses.empty()) out.line(row("final loss", short_number(outcome.losses.back()) + "  (" + label + ")"));
    if (tier == attest::Tier::exact) out.line(row("root", outcome.reached.root.hex()));
    out.line(row("time", time_text(outcome.reached.run_ns) + ", " +
                             time_text(outcome.reached.run_ns / std::max<uint64_t>(outcome.steps_run, 1)) + " a step"));
    answer.add(label, json_of(outcome));
    if (result) continue;
    result = outcome.reached.state;
    root = outcome.reached.root;
    answer.raw("losses", json_of(outcome.losses));  // of the first tier that ran
  }
  if (!request.outputs.empty()) {
    std::map<std::string, std::vector<std::string>> wanted;
    for (const Parameter& parameter : prepared.program.parameters) {
      wanted[parameter.name] = {parameter.name};
      wanted[parameter.name].insert(wanted[parameter.name].end(), parameter.aliases.begin(), parameter.aliases.end());
    }
    TRY(write_outputs(prepared, *result, request.outputs, wanted,
                      {{"program", prepared.traced.program.hex()}, {"plan", prepared.traced.plan.hex()}, {"root", root.hex()},
                       {"seed", std::to_string(request.seed)}, {"steps", std::to_string(request.steps)}}));
    out.line(row("wrote", request.outputs.string()));
  }
  out.object(answer);
  return {};
}

}  // namespace cairn::agent
