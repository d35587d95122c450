// Checkpoints: the whole state between two steps in a file that any reader of safetensors opens.
//
//   file     := safetensors of all state slots, by name
//   metadata := format "cairn.checkpoint.v1", plan (id, hexadecimal), step, root (state root, hexadecimal)
//
// Written whole or not at all. Read with suspicion: types must be the plan's, and the bytes must hash to the root.
#pragma once

#include <filesystem>

#include "runtime/executor.h"

namespace cairn::runtime {

Result<> write_checkpoint(const std::filesystem::path& path, const attest::Plan& plan, const Hash& plan_id, const State& state,
                          const Hash& root);

struct Checkpoint {
  State state;
  Hash root;
};
// Errors: not_found, io, malformed, shape (another plan's).
Result<Checkpoint> read_checkpoint(const std::filesystem::path& path, const attest::Plan& plan, const Hash& plan_id);

// "checkpoint-000000000600.safetensors"
std::filesystem::path checkpoint_path(const std::filesystem::path& folder, uint64_t step);
// The newest checkpoint in `folder` that reads whole, at most at `step_max`; others are passed over.
std::optional<Checkpoint> newest_checkpoint(const std::filesystem::path& folder, const attest::Plan& plan, const Hash& plan_id,
                                            uint64_t step_max);

}  // namespace cairn::runtime
