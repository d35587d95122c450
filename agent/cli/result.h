// What a settled job gave, from the provider that was paid for it: every byte under an id that the chain's commitment binds.
#pragma once

#include "agent/artifacts.h"
#include "agent/cli/cli.h"

namespace cairn::agent {

struct ResultFiles {
  std::string model;       // safetensors: parameters and buffers by name, nothing of the optimizer
  std::string losses;      // JSON
  std::string outputs;     // safetensors: output_0, output_1, ...
  std::vector<float> loss;  // a value a step
};

// Fetches into `store`, resuming what arrived before, and writes the files that the job's plan has state for into `out`.
// Errors: wrong_state (nothing is committed), unreachable (the provider is away), proof (it serves something else than it
// committed to), io.
Result<ResultFiles> fetch_result(NodeClient& node, const Wallet& wallet, const ledger::Job& job, ArtifactStore& store,
                                 const std::filesystem::path& out, const Output& output);

}  // namespace cairn::agent
