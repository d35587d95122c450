// Files in, files out: a program, its data and its weights made ready to run, and what its last state gives to take home.
// What a requester's tool does around a job, and what `cairn program` does without one. No libtorch here.
#pragma once

#include <filesystem>

#include "runtime/worker_client.h"

namespace cairn::runtime {

struct ProgramFiles {
  std::filesystem::path program;  // .pt2
  std::filesystem::path data;     // safetensors with the program's inputs by name
  std::filesystem::path weights;  // safetensors with parameters by name; may be empty. The .pt2's own come after it
  std::filesystem::path store;    // folder of artefacts; exists
  bool train = true;
  uint64_t batch = 0;
  uint64_t steps = 0;
  uint64_t seed = 0;
  Optimizer optimizer;
  attest::NumericClass numeric = attest::NumericClass::f32;
  attest::WorkTable work;
};

struct PreparedInput {
  std::string name;
  Hash id;              // of its row-major bytes, in the store
  bool weight = false;  // a parameter; else data or the schedule
};

struct Prepared {
  Traced traced;
  Program program;
  attest::Plan plan;
  std::vector<PreparedInput> inputs;  // plan inputs in order, then given slots in slot order
  StateReached initial;               // the state before step 0
  Work work;                          // what a worker runs
};

// Traced by a worker, every tensor an artefact of the store. Errors: those of the files, of the tracer; shape, for a weight of
// another type.
Result<Prepared> prepare(WorkerClient& worker, const ProgramFiles& files);

// What a state slot is, by the names that the tracer gives.
enum class SlotRole : uint8_t { weight, optimizer, losses, output };
SlotRole role_of(std::string_view slot);

// The last state of a plan, its slots in `store` under `ids`.
struct FinalState {
  const attest::Plan& plan;
  std::span<const Hash> ids;
  std::filesystem::path store;
  ContentKey key = {};  // of a private job

  // The slots of that role as safetensors; a slot stands there again under each of its `aliases`. False, and no file, when the
  // plan has none. Errors: not_found, proof (damaged, or not of the slot's size), io.
  Result<bool> write(const std::filesystem::path& file, SlotRole role, std::map<std::string, std::string> metadata,
                     const std::map<std::string, std::vector<std::string>>& aliases = {}) const;
  // One a step; empty when the plan keeps none. Errors: not_found, proof.
  Result<std::vector<float>> losses() const;
};

}  // namespace cairn::runtime
