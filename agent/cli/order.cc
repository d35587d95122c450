#include "agent/cli/order.h"

#include <algorithm>

#include "attest/economics.h"
#include "attest/tree.h"
#include "base/clock.h"
#include "base/file.h"
#include "runtime/program_files.h"

namespace cairn::agent {

namespace fs = std::filesystem;

namespace {

// Whose work the job uses. A key of the job's `assets` is the name of an input, `data` for whichever has the asset's bytes, or
// `weights` for all that are not named. That the bytes are the asset's is for the ledger to check.
Result<> name_assets(NodeClient& node, const JobFile& job, const std::vector<runtime::PreparedInput>& inputs, attest::JobSpec& spec) {
  if (job.program_asset) {
    TRY_LET(id, id_of<AssetId>(*job.program_asset, "an asset"));
    spec.program_asset = id;
  }
  for (const auto& [what, text] : job.assets) {
    TRY_LET(id, id_of<AssetId>(text, "an asset"));
    Hash content;
    if (what == "data") {
      TRY_LET(asset, node.asset(id));
      content = asset.content;
    }
    bool used = false;
    for (size_t i = 0; i < inputs.size(); i++) {
      const bool rest = what == "weights" && inputs[i].weight && !job.assets.contains(inputs[i].name);
      if (inputs[i].name != what && inputs[i].id != content && !rest) continue;
      spec.inputs[i].asset = id;
      used = true;
    }
    if (used) continue;
    if (what == "data")
      return Error{Code::usage, "no input of this job has the bytes of asset " + brief(id), "publish the tensor that the job uses: cairn asset publish --tensor"};
    return Error{Code::usage, "`assets` names `" + what + "`, which is no input of this job", "name one of its inputs, `data` or `weights`"};
  }
  return {};
}

Result<std::vector<AccountId>> accounts_of(const std::vector<std::string>& texts, const std::string& key) {
  std::vector<AccountId> out;
  for (const auto& text : texts) {
    const auto id = AccountId::from_hex(text);
    if (!id) return Error{Code::config, "`" + key + "` holds `" + text + "`, which is no account", "an account is 64 hexadecimal digits"};
    out.push_back(*id);
  }
  std::sort(out.begin(), out.end());
  return out;
}

// A private job's inputs and initial state under keyed ids.
Result<> key_ids(const ArtifactStore& store, const runtime::Prepared& prepared, Order& order) {
  ArtifactStore keyed = store.keyed(order.key);
  order.artefacts = {prepared.traced.plan, prepared.traced.program_artefact};
  for (auto& input : order.spec.inputs) {
    TRY_LET(id, keyed.put_file(store.path_of(input.id)));
    input.id = id;
    order.artefacts.push_back(id);
  }
  std::vector<Hash> slots;
  for (const Hash& plain : prepared.initial.state.ids) {
    TRY_LET(id, hash_file(store.path_of(plain), order.key));
    slots.push_back(id);
  }
  order.spec.initial_state = attest::state_root(0, slots);
  return {};
}

}  // namespace

Result<Order> make_order(const JobFile& job, const RequesterConfig& settings, NodeClient& node, ArtifactStore& store,
                         const std::function<void(const std::string&)>& stage) {
  TRY_LET(genesis, node.genesis());
  for (const fs::path& file : {job.program, job.data, job.weights})
    if (!file.empty() && !fs::exists(file))
      return Error{Code::not_found, "there is no file " + file.string(), "mend its path in the job file; it is relative to that"};

  stage("tracing " + job.program.filename().string());
  const SystemClock clock;
  const uint64_t before_ns = clock.steady_ns();
  runtime::ProgramFiles files;
  files.program = fs::absolute(job.program);
  files.data = job.data;
  files.weights = job.weights;
  files.store = fs::absolute(store.folder());
  files.train = job.graph == Graph::train;
  files.batch = job.batch;
  files.steps = job.steps;
  files.seed = job.seed;
  files.optimizer = job.optimizer.optimizer();
  files.numeric = job.numeric;
  files.work = genesis.params.work;
  TRY_LET(worker, runtime::WorkerClient::start(find_program(settings.worker)));
  TRY_LET(prepared, runtime::prepare(*worker, files));
  const runtime::Traced& traced = prepared.traced;
  Order order;
  order.trace_seconds = double(clock.steady_ns() - before_ns) * 1e-9;
  order.removed = traced.removed;

  // The worker has read bytes of strangers: whatever it left in the store is hashed before it is served, and what it says of a
  // plan is computed here again.
  stage("hashing");
  attest::JobSpec& spec = order.spec;
  order.artefacts = {traced.plan, traced.program_artefact};
  for (const runtime::PreparedInput& input : prepared.inputs) {
    order.artefacts.push_back(input.id);
    spec.inputs.push_back({input.name, input.id, {}});
  }
  for (const Hash& id : order.artefacts) TRY(store.verified(id));
  TRY_LET(facts, attest::validate(prepared.plan, files.work));
  TRY(name_assets(node, job, prepared.inputs, spec));

  spec.title = job.title;
  spec.program = traced.program;
  spec.plan = traced.plan;
  spec.plan_root = facts.root;
  spec.calls = static_cast<uint32_t>(prepared.plan.calls.size());
  spec.state_slots = static_cast<uint32_t>(prepared.plan.state.size());
  if (facts.work_ns > UINT64_MAX) return Error{Code::limit, "a step of this job is too long", "use a smaller batch"};
  spec.step_work_ns = static_cast<uint64_t>(facts.work_ns);
  spec.initial_state = prepared.initial.root;
  spec.seed = job.seed;
  spec.steps = traced.steps;
  spec.interval = std::min(job.interval ? job.interval : attest::checkpoint_interval(spec, facts.state_bytes), spec.steps);
  spec.klass = {job.device, job.numeric};
  spec.memory_bytes = facts.peak_bytes;
  spec.policy = job.policy;
  spec.require_audit = job.require_audit;
  spec.harm = job.harm;
  spec.tier = job.tier;
  TRY_LET(judges, accounts_of(job.judges, "judges"));
  spec.judges = judges;
  if (!job.viewers.providers.empty() || !job.viewers.verifiers.empty()) {
    TRY_LET(providers, accounts_of(job.viewers.providers, "viewers"));
    TRY_LET(verifiers, accounts_of(job.viewers.verifiers, "viewers"));
    order.key = random_hash();
    spec.viewers = attest::Viewers{providers, verifiers, attest::private_key_hash(*order.key)};
    TRY(key_ids(store, prepared, order));
  }
  spec.accept_ms = uint64_t{job.accept_seconds} * 1000;
  spec.run_ms = uint64_t{job.run_seconds} * 1000;
  TRY_LET(ceiling, per_reference(job.price_ceiling));
  spec.price_ceiling = ceiling;
  TRY(attest::check_against_plan(spec, prepared.plan, facts));
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
