// The training job of examples/digits, ready to run on a real worker.
#pragma once

#include "base/scratch.h"
#include "runtime/worker_client.h"

namespace cairn::bench {

// Run from the root of the sources. Faults: those of the worker's start and trace.
struct DigitsJob {
  DigitsJob(const std::string& program, uint64_t steps);

  const Scratch store;
  const std::unique_ptr<runtime::WorkerClient> worker;
  runtime::Traced traced;
  runtime::Work work;
};

}  // namespace cairn::bench
