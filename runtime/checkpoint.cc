#include "runtime/checkpoint.h"

#include <algorithm>
#include <charconv>

#include "base/file.h"
#include "base/log.h"
#include "runtime/safetensors.h"

namespace cairn::runtime {
namespace {

constexpr std::string_view kFormat = "cairn.checkpoint.v1";
constexpr std::string_view kPrefix = "checkpoint-", kSuffix = ".safetensors";

Error damaged(const std::filesystem::path& path, const std::string& what) {
  return {Code::malformed, path.filename().string() + " is no whole checkpoint: " + what, "fetch it again, or go on from an earlier one"};
}

std::optional<uint64_t> parse_number(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::filesystem::path checkpoint_path(const std::filesystem::path& folder, uint64_t step) {
  const std::string digits = std::to_string(step);
  return folder / (std::string(kPrefix) + std::string(digits.size() < 12 ? 12 - digits.size() : 0, '0') + digits + std::string(kSuffix));
}

Result<> write_checkpoint(const std::filesystem::path& path, const attest::Plan& plan, const Hash& plan_id, const State& state,
                          const Hash& root) {
  CHECK(state.slots.size() == plan.state.size());
  TensorFile file;
  file.metadata = {{"format", std::string(kFormat)}, {"plan", plan_id.hex()}, {"root", root.hex()}, {"step", std::to_string(state.step)}};
  for (size_t s = 0; s < plan.state.size(); s++) file.tensors.push_back({plan.state[s].name, plan.state[s].type, state.slots[s]});
  return write_file(path, write_tensors(file));
}

Result<Checkpoint> read_checkpoint(const std::filesystem::path& path, const attest::Plan& plan, const Hash& plan_id) {
  uint64_t size_max = 16u << 20;  // header
  for (const attest::StateSlot& slot : plan.state) size_max += static_cast<uint64_t>(kernels::bytes(slot.type));
  TRY_LET(bytes, read_file(path, size_max));
  TRY_LET(file, parse_tensors(bytes));
  const auto text = [&](const char* key) {
    const auto found = file.metadata.find(key);
    return found == file.metadata.end() ? std::string() : found->second;
  };
  if (text("format") != kFormat) return damaged(path, "it names another format");
  const auto plan_of_it = Hash::from_hex(text("plan")), root = Hash::from_hex(text("root"));
  const auto step = parse_number(text("step"));
  if (!plan_of_it || !root || !step) return damaged(path, "its metadata lacks plan, root or step");
  if (*plan_of_it != plan_id) return Error{Code::shape, path.filename().string() + " belongs to another plan", "bring the checkpoint of this job"};
  Checkpoint out{{*step, {}}, *root};
  for (const attest::StateSlot& slot : plan.state) {
    const NamedTensor* tensor = file.find(slot.name);
    if (tensor == nullptr || tensor->type != slot.type) return damaged(path, "state '" + slot.name + "' is missing or of another type");
    out.state.slots.emplace_back(tensor->bytes.begin(), tensor->bytes.end());
  }
  if (root_of(out.state) != *root) return damaged(path, "its bytes do not hash to its root");
  return out;
}

std::optional<Checkpoint> newest_checkpoint(const std::filesystem::path& folder, const attest::Plan& plan, const Hash& plan_id,
                                            uint64_t step_max) {
  std::vector<uint64_t> steps;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) continue;
    const auto step = parse_number(std::string_view(name).substr(kPrefix.size(), name.size() - kPrefix.size() - kSuffix.size()));
    if (step && *step <= step_max) steps.push_back(*step);
  }
  std::sort(steps.rbegin(), steps.rend());
  for (const uint64_t step : steps) {
    auto read = read_checkpoint(checkpoint_path(folder, step), plan, plan_id);
    if (read && read->state.step == step) return *std::move(read);
    log_warning("checkpoint.passed_over", {{"step", step}, {"why", read ? "another step inside" : read.error().text}});
  }
  return std::nullopt;
}

}  // namespace cairn::runtime
