#include "agent/cli/order.h"

#include <algorithm>
#include <map>

#include "base/clock.h"
#include "base/file.h"
#include "runtime/program.h"
#include "runtime/safetensors.h"
#include "runtime/worker_client.h"

namespace cairn::agent {

namespace fs = std::filesystem;

namespace {

constexpr size_t kPlanMaxBytes = size_t{1} << 30;
constexpr size_t kFileMaxBytes = size_t{16} << 30;

// A tensor of one of the job's files.
struct Piece {
  kernels::TensorType type;
  ByteSpan bytes;
  bool weight = false;
};

// Which asset an input stands for: keys of `assets` are names of inputs, or `weights` for all of these. The ledger checks that
// the bytes are the asset's.
AssetId asset_for(const std::map<std::string, AssetId>& assets, const std::string& name, bool weight) {
  if (const auto found = assets.find(name); found != assets.end()) return found->second;
  if (const auto found = assets.find("weights"); weight && found != assets.end()) return found->second;
  return {};
}

Result<AssetId> asset_id(const std::string& text) {
  if (const auto id = AssetId::from_hex(text)) return *id;
  return Error{Code::usage, "`" + text + "` is no id of an asset", "an id is 64 hexadecimal digits: cairn asset list"};
}

// Segments of about a hundredth of the job, but so long that hashing the state stays below 0.3 % of the work.
uint64_t usual_interval(const attest::JobSpec& spec, uint64_t state_bytes) {
  constexpr uint64_t kHashBytesPerNs = 2;
  const uint64_t hash_ns = state_bytes / kHashBytesPerNs;
  const uint64_t for_hashing = hash_ns * 1000 / 3 / std::max<uint64_t>(1, spec.step_work_ns) + 1;
  const uint64_t hundredth = (spec.steps + 99) / 100;
  return std::clamp<uint64_t>(std::max(hundredth, for_hashing), 1, std::max<uint64_t>(1, (spec.steps + 3) / 4));
}

}  // namespace

Result<Order> make_order(const JobFile& job, const RequesterConfig& settings, const attest::WorkTable& work, ArtifactStore& store,
                         const std::function<void(const std::string&)>& stage) {
  for (const fs::path& file : {job.program, job.data, job.weights})
    if (!file.empty() && !fs::exists(file))
      return Error{Code::not_found, "there is no file " + file.string(), "mend its path in the job file; it is relative to that"};
  Order order;
  attest::JobSpec& spec = order.spec;

  stage("reading");
  TRY_LET(program_bytes, read_file(job.program, kFileMaxBytes));
  TRY_LET(import, runtime::import_pt2(program_bytes));
  TRY_LET(data_bytes, read_file(job.data, kFileMaxBytes));
  TRY_LET(data, runtime::parse_tensors(data_bytes));
  Bytes weight_bytes;
  runtime::TensorFile weights;
  if (!job.weights.empty()) {
    TRY_LET(bytes, read_file(job.weights, kFileMaxBytes));
    weight_bytes = std::move(bytes);
    TRY_LET(parsed, runtime::parse_tensors(weight_bytes));
    weights = std::move(parsed);
  }
  runtime::AskTrace ask;
  ask.program = fs::absolute(job.program).string();
  ask.store = fs::absolute(store.folder()).string();
  ask.request.train = job.graph == Graph::train;
  ask.request.batch = job.batch;
  ask.request.steps = job.steps;
  ask.request.optimizer = job.optimizer.optimizer();
  std::map<std::string, Piece> pieces;
  for (const auto& input : import.program.inputs)
    if (const auto* tensor = data.find(input.name)) {
      ask.request.data.push_back({tensor->name, tensor->type});
      pieces[tensor->name] = {tensor->type, tensor->bytes, false};
    }
  for (const auto& parameter : import.program.parameters) {
    const auto* tensor = weights.find(parameter.name);
    const auto carried = std::find_if(import.weights.begin(), import.weights.end(),
                                      [&](const auto& weight) { return weight.name == parameter.name; });
    if (tensor) pieces[parameter.name] = {tensor->type, tensor->bytes, true};
    else if (carried != import.weights.end()) pieces[parameter.name] = {carried->type, carried->bytes, true};
    else continue;
    ask.request.given.push_back(parameter.name);
  }

  stage("tracing " + job.program.filename().string());
  const SystemClock clock;
  const uint64_t before_ns = clock.steady_ns();
  TRY_LET(worker, runtime::WorkerClient::start(find_program(settings.worker)));
  TRY_LET(traced, worker->trace(ask));
  order.trace_seconds = double(clock.steady_ns() - before_ns) * 1e-9;
  order.removed = traced.removed;
  order.artefacts = {traced.plan, traced.program_artefact};

  // What the worker says of the plan is checked: it has read bytes of strangers.
  TRY_LET(plan_bytes, store.read(traced.plan, kPlanMaxBytes));
  TRY_LET(plan, decode<attest::Plan>(plan_bytes));
  TRY_LET(facts, attest::validate(plan, work));

  stage("hashing");
  runtime::Work before{ask.store, traced.plan, {}, {}, job.seed, settings.threads, 0, work};
  const auto bind = [&](const std::string& input, const kernels::TensorType& type) -> Result<Hash> {
    const auto found = pieces.find(input);
    Hash id;
    if (traced.schedule && input == runtime::kSchedule) {
      id = *traced.schedule;
    } else if (found != pieces.end() && found->second.type == type) {
      TRY_LET(put, store.put(found->second.bytes));
      id = put;
    } else {
      return Error{Code::shape, "the plan wants `" + input + "` as " + kernels::to_string(type) +
                       (found == pieces.end() ? ", which is in none of the job's files"
                                              : "; the job's files have it as " + kernels::to_string(found->second.type)),
                   "name a file that has it"};
    }
    order.artefacts.push_back(id);
    spec.inputs.push_back({input, id, {}});
    return id;
  };
  for (const auto& slot : plan.inputs) {
    TRY_LET(id, bind(slot.name, slot.type));
    before.inputs.push_back(id);
  }
  for (const auto& slot : plan.state) {
    if (slot.init.kind != attest::InitKind::given) continue;
    TRY_LET(id, bind(slot.name, slot.type));
    before.given.push_back(id);
  }
  TRY_LET(first, worker->initial(before));

  std::map<std::string, AssetId> assets;
  for (const auto& [input, text] : job.assets) {
    TRY_LET(id, asset_id(text));
    assets[input] = id;
  }
  for (auto& input : spec.inputs) {
    const auto found = pieces.find(input.name);
    input.asset = asset_for(assets, input.name, found != pieces.end() && found->second.weight);
  }
  for (const auto& [input, id] : assets) {
    const bool used = std::any_of(spec.inputs.begin(), spec.inputs.end(), [&, wanted = id](const auto& b) { return b.asset == wanted; });
    if (!used)
      return Error{Code::usage, "`assets` names `" + input + "`, which is no input of this job",
                   "name one of its inputs, or `weights`"};
  }

  spec.title = job.title;
  spec.program = traced.program;
  if (job.program_asset) {
    TRY_LET(id, asset_id(*job.program_asset));
    spec.program_asset = id;
  }
  spec.plan = traced.plan;
  spec.plan_root = facts.root;
  spec.calls = static_cast<uint32_t>(plan.calls.size());
  spec.state_slots = static_cast<uint32_t>(plan.state.size());
  if (facts.work_ns > UINT64_MAX) return Error{Code::limit, "a step of this job is too long", "use a smaller batch"};
  spec.step_work_ns = static_cast<uint64_t>(facts.work_ns);
  spec.initial_state = first.root;
  spec.seed = job.seed;
  spec.steps = traced.steps;
  spec.interval = std::min(job.interval ? job.interval : usual_interval(spec, facts.state_bytes), spec.steps);
  spec.klass.device = job.device;
  spec.memory_bytes = facts.peak_bytes;
  spec.policy = job.policy;
  spec.require_audit = job.require_audit;
  spec.accept_ms = uint64_t{job.accept_seconds} * 1000;
  spec.run_ms = uint64_t{job.run_seconds} * 1000;
  const auto ceiling = scale(job.price_ceiling, 1'000'000'000, 3600);
  if (!ceiling) return Error{Code::limit, "`price_ceiling` is more than a price can be", "ask for less"};
  spec.price_ceiling = *ceiling;
  TRY(attest::check_against_plan(spec, plan, facts));
  return order;
}

Hash secret_hash(const Hash& secret) { return tagged_hash("cairn.secret.v1", {secret.span()}); }

Result<> remember(const fs::path& folder, const OrderNote& note) {
  std::error_code fault;
  fs::create_directories(folder / "orders", fault);
  return write_file(folder / "orders" / secret_hash(note.secret).hex(), encode(note), 0600);
}

Result<OrderNote> recall(const fs::path& folder, const attest::JobSpec& spec) {
  const auto bytes = read_file(folder / "orders" / spec.secret_hash.hex(), 64 << 20);
  if (!bytes)
    return Error{Code::not_found, "this job was not opened from " + folder.string(), "use the settings that it was opened with"};
  return decode<OrderNote>(*bytes);
}

}  // namespace cairn::agent
