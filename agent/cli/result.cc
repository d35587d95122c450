#include "agent/cli/result.h"

#include "agent/segment.h"
#include "base/file.h"
#include "runtime/program_files.h"

namespace cairn::agent {

namespace fs = std::filesystem;

Result<ResultFiles> fetch_result(NodeClient& node, const Wallet& wallet, const ledger::Job& job, ArtifactStore& store,
                                 const fs::path& out, const Output& output) {
  if (!job.commitment)
    return Error{Code::wrong_state, "job " + brief(job.id) + " is " + std::string(name(job.state)) + ": nothing is committed yet",
                 "cairn job watch " + job.id.hex()};
  TRY_LET(parties, JobParties::of(node, job, wallet));
  TRY(parties.fetch_one(job.spec.plan, attest::kMaxPlanBytes, store));
  TRY_LET(plan_bytes, store.read(job.spec.plan, attest::kMaxPlanBytes));
  TRY_LET(plan, decode<attest::Plan>(plan_bytes));
  TRY_LET(leaves, parties.leaves());
  if (leaves.empty() || leaves.back() != job.commitment->outputs_root)
    return Error{Code::proof, "the last checkpoint is not the committed output", "keep the receipt: it is evidence"};
  TRY_LET(state, parties.end_of(job.spec.segments() - 1));
  if (state.ids.size() != plan.state.size())
    return Error{Code::proof, "the committed state is not one of the job's plan", "keep the receipt: it is evidence"};

  const auto wanted = [](const attest::StateSlot& slot) { return runtime::role_of(slot.name) != runtime::SlotRole::optimizer; };
  uint64_t have = 0, all = 0;
  for (const auto& slot : plan.state)
    if (wanted(slot)) all += static_cast<uint64_t>(kernels::bytes(slot.type));
  for (size_t s = 0; s < plan.state.size(); s++) {
    const attest::StateSlot& slot = plan.state[s];
    if (!wanted(slot)) continue;
    const auto size = static_cast<uint64_t>(kernels::bytes(slot.type));
    TRY(parties.fetch_one(state.ids[s], size, store, [&](uint64_t arrived, uint64_t) {
      output.bar("fetch", double(have + arrived) / double(std::max<uint64_t>(1, all)), slot.name);
    }));
    have += size;
  }

  std::error_code fault;
  fs::create_directories(out, fault);
  if (fault) return Error{Code::io, "the folder " + out.string() + " cannot be made: " + fault.message(), "name another by --out"};
  TRY_LET(key, parties.key());
  const runtime::FinalState last{plan, state.ids, store.folder(), key};
  const auto written = [&](const char* file, runtime::SlotRole role) -> Result<std::string> {
    TRY_LET(any, last.write(out / file, role, {{"cairn.job", job.id.hex()}}));
    return any ? (out / file).string() : std::string();
  };
  ResultFiles files;
  TRY_LET(model, written("model.safetensors", runtime::SlotRole::weight));
  TRY_LET(outputs, written("outputs.safetensors", runtime::SlotRole::output));
  TRY_LET(loss, last.losses());
  files.model = model;
  files.outputs = outputs;
  files.loss = std::move(loss);
  if (!files.loss.empty()) {
    files.losses = (out / "losses.json").string();
    const JsonObject json = JsonObject().add("job", job.id).add("steps", job.spec.steps).add("losses", files.loss);
    TRY(write_file(files.losses, as_bytes(json.str() + "\n")));
  }
  return files;
}

}  // namespace cairn::agent
