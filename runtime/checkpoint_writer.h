// Checkpoints hashed and written beside the steps: a copy of the state is taken, and the run goes on while a thread gives its buffers
// their ids and files. A state of more than 64 MiB is not copied: it is written before the run goes on.
//
// One thread calls. A checkpoint is told when all of its files are there, in order, so a run that is killed goes on from the last
// one told.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "runtime/executor.h"
#include "runtime/worker_protocol.h"

namespace cairn::runtime {

class CheckpointWriter {
 public:
  CheckpointWriter(std::string store, const ContentKey& key);
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  // The state between two steps: `slots` in plan order. Waits until the checkpoint before is written.
  void take(uint64_t step, std::span<const ByteSpan> slots);
  // Those whose files are there, since the last call. Error: io.
  Result<std::vector<CheckpointMade>> made();
  // The same, when all are there.
  Result<std::vector<CheckpointMade>> rest();

 private:
  void run();
  void write(uint64_t step, std::span<const ByteSpan> slots);
  const std::string store_;
  const ContentKey key_;
  std::mutex mutex_;  // all below
  std::condition_variable changed_;
  std::optional<State> taken_;  // until it is written
  std::vector<CheckpointMade> made_;
  std::optional<Error> failed_;
  bool closing_ = false;
  std::thread thread_;
};

}  // namespace cairn::runtime
