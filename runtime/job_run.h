// A job inside a worker, without libtorch: its plan and inputs from the artefact folder, segments run and checkpointed.
#pragma once

#include <functional>
#include <memory>

#include "runtime/executor.h"
#include "runtime/worker_protocol.h"

namespace cairn::runtime {

class JobRun {
 public:
  // Reads, hashes and validates. Errors: not_found, proof, malformed, those of validate, shape, memory_limit.
  static Result<std::unique_ptr<JobRun>> load(const Work& work, Tamper tamper = {}, kernels::BreakTile break_tile = {});

  const attest::Plan& plan() const { return plan_; }
  const std::vector<Bytes>& inputs() const { return inputs_; }
  std::vector<Hash> input_ids() const;  // of the job, as attest::input_root orders them
  Executor& executor() { return *executor_; }
  uint64_t seed() const { return work_.seed; }
  const ContentKey& key() const { return work_.key; }
  int threads() const;

  // The state before step 0, its slots written to the store.
  Result<StatePoint> initial();
  // Puts the executor where `from` is. Errors: not_found, proof, shape.
  Result<> enter(const StatePoint& from);
  // Writes the present state's slots to the store.
  Result<StatePoint> save();

  struct Watch {
    std::function<void(const Progress&)> progress;  // about twenty times a second
    std::function<void(const CheckpointMade&)> checkpoint;
  };
  // A checkpoint is told of only when a known answer was right, the last only when that of every operator was.
  // Errors: not_finite, known_answer, at the checkpoint that found it.
  Result<StateReached> run(const AskRun& ask, const Watch& watch);
  Result<attest::Knowledge> check(const AskCheck& ask);

  // f32 bits of the loss of the last step that ran, when the plan has losses.
  std::optional<uint32_t> last_loss() const;

 private:
  JobRun(const Work& work, attest::Plan plan) : work_(work), plan_(std::move(plan)) {}
  Work work_;
  attest::Plan plan_;
  std::vector<Bytes> inputs_;
  std::unique_ptr<Executor> executor_;
  std::optional<size_t> losses_;  // slot
};

Hash root_of(const StatePoint& state);
int threads_of(const Work& work);
// The artefact ids of a plan's inputs and given slots, against their types: what a provider checks before it accepts.
// Errors: shape (as many as the plan has), not_found, proof, limit.
Result<std::vector<Bytes>> read_inputs(const Work& work, const attest::Plan& plan);

}  // namespace cairn::runtime
