// A program, its data and its weights as files, made ready to run: traced by a worker, every tensor an artefact of the store.
// What a requester's tool does before a job, and what `cairn program` does without one. No libtorch here.
#pragma once

#include "runtime/worker_client.h"

namespace cairn::runtime {

struct ProgramFiles {
  std::string path;     // .pt2
  std::string data;     // safetensors with the program's inputs by name
  std::string weights;  // safetensors with parameters by name; may be empty. The .pt2's own come after it
  std::string store;    // folder of artefacts; exists
  bool train = true;
  uint64_t batch = 0;
  uint64_t steps = 0;
  uint64_t seed = 0;
  Optimizer optimizer;
  attest::WorkTable work;
};

struct PreparedInput {
  std::string name;
  Hash id;
  std::string path;  // its row-major bytes, in the store
  uint64_t size = 0;
  bool weight = false;  // a parameter; else data or the schedule
};

struct Prepared {
  Traced traced;
  Program program;
  std::vector<PreparedInput> inputs;  // plan inputs in order, then given slots in slot order
  StateReached initial;               // the state before step 0
  Work work;                          // what a worker runs
};

// A weight that nobody brings starts by the stated rule (default_init) from the seed; in a prediction the parameter's ordinal
// stands for the slot's. Errors: those of the files, of the tracer; shape, for a weight of another type.
Result<Prepared> prepare(WorkerClient& worker, const ProgramFiles& files);

}  // namespace cairn::runtime
