#include "agent/cli/result.h"

#include <cmath>
#include <cstdio>
#include <cstring>

#include "agent/exchange.h"
#include "agent/follower.h"
#include "base/file.h"
#include "runtime/safetensors.h"

namespace cairn::agent {

namespace fs = std::filesystem;

namespace {

constexpr size_t kPlanMaxBytes = size_t{1} << 30;
constexpr std::string_view kLosses = "losses";

bool of_optimizer(const std::string& slot) {
  return slot.starts_with("adam_m:") || slot.starts_with("adam_v:") || slot.starts_with("momentum:");
}

// Tensors of one file, with their bytes.
struct Bundle {
  std::vector<std::pair<const attest::StateSlot*, Bytes>> parts;

  Result<std::string> write(const fs::path& path, const JobId& job) const {
    if (parts.empty()) return std::string();
    runtime::TensorFile file;
    for (const auto& [slot, bytes] : parts) file.tensors.push_back({slot->name, slot->type, bytes});
    file.metadata["cairn.job"] = job.hex();
    TRY(write_file(path, runtime::write_tensors(file)));
    return path.string();
  }
};

}  // namespace

Result<ResultFiles> fetch_result(NodeClient& node, const Wallet& wallet, const ledger::Job& job, ArtifactStore& store,
                                 const fs::path& out, const Output& output) {
  if (!job.commitment)
    return Error{Code::wrong_state, "job " + brief(job.id) + " is " + std::string(name(job.state)) + ": nothing is committed yet",
                 "cairn job watch " + job.id.hex()};
  TRY_LET(peer_key, key_of(node, job.provider));
  Caller peer(job.provider_endpoint, peer_key, transport_keys(wallet.key));
  TRY(fetch(peer, job.spec.plan, kPlanMaxBytes, store));
  TRY_LET(plan_bytes, store.read(job.spec.plan, kPlanMaxBytes));
  TRY_LET(plan, decode<attest::Plan>(plan_bytes));
  TRY_LET(leaves, fetch_leaves(peer, job.id, job.commitment->checkpoint_root, job.spec.segments()));
  if (leaves.empty() || leaves.back() != job.commitment->outputs_root)
    return Error{Code::proof, "the last checkpoint is not the committed output", "keep the receipt: it is evidence"};
  TRY_LET(state, fetch_state(peer, job.id, job.spec.steps, leaves.back()));
  if (state.ids.size() != plan.state.size())
    return Error{Code::proof, "the committed state is not one of the job's plan", "keep the receipt: it is evidence"};

  std::error_code fault;
  fs::create_directories(out, fault);
  if (fault) return Error{Code::io, "the folder " + out.string() + " cannot be made: " + fault.message(), "name another by --out"};
  uint64_t have = 0, all = 0;
  for (const auto& slot : plan.state)
    if (!of_optimizer(slot.name)) all += static_cast<uint64_t>(kernels::bytes(slot.type));
  ResultFiles files;
  Bundle model, outputs;
  for (size_t s = 0; s < plan.state.size(); s++) {
    const attest::StateSlot& slot = plan.state[s];
    if (of_optimizer(slot.name)) continue;
    const auto size = static_cast<size_t>(kernels::bytes(slot.type));
    TRY(fetch(peer, state.ids[s], size, store, [&](uint64_t arrived, uint64_t) {
      output.bar("fetch", double(have + arrived) / double(std::max<uint64_t>(1, all)), slot.name);
    }));
    have += size;
    TRY_LET(bytes, store.read(state.ids[s], size));
    if (bytes.size() != size)
      return Error{Code::proof, "`" + slot.name + "` has another size than in the plan", "keep the receipt: it is evidence"};
    if (slot.name == kLosses && slot.type.dtype == kernels::DType::f32) {
      files.loss.resize(size / sizeof(float));
      std::memcpy(files.loss.data(), bytes.data(), size);
    } else {
      (slot.name.starts_with("output_") ? outputs : model).parts.push_back({&slot, std::move(bytes)});
    }
  }
  TRY_LET(model_path, model.write(out / "model.safetensors", job.id));
  TRY_LET(outputs_path, outputs.write(out / "outputs.safetensors", job.id));
  files.model = model_path;
  files.outputs = outputs_path;
  if (!files.loss.empty()) {
    std::string list;
    for (const float loss : files.loss) {
      char text[32];
      std::snprintf(text, sizeof text, "%.9g", static_cast<double>(loss));
      list += (list.empty() ? "" : ",") + std::string(std::isfinite(loss) ? text : "null");
    }
    files.loss_list = "[" + list + "]";
    JsonObject json;
    json.add("job", job.id).add("steps", job.spec.steps).raw("losses", files.loss_list);
    files.losses = (out / "losses.json").string();
    TRY(write_file(files.losses, as_bytes(json.str() + "\n")));
  }
  return files;
}

}  // namespace cairn::agent
