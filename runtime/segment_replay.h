// One party's own run of a disputed segment, derived again on demand from its opening state.
#pragma once

#include <map>

#include "attest/prover.h"
#include "runtime/executor.h"

namespace cairn::runtime {

// Keeps states along the way and the values of the step last asked about, each up to `cache_bytes`; what is not kept is run
// again. A tampering executor replays its lies.
class SegmentReplay final : public attest::Replay {
 public:
  // `plan` must outlive the replay. `start` is the state when `start.step` steps have run. Errors: those of Executor::make.
  static Result<std::unique_ptr<SegmentReplay>> make(const attest::Plan& plan, std::span<const ByteSpan> inputs, uint64_t seed,
                                                     State start, uint64_t end_step, ExecutorOptions options,
                                                     size_t cache_bytes = size_t{512} << 20);

  std::vector<Hash> step_roots() override;
  std::vector<Hash> call_ids(uint64_t step) override;
  std::vector<Hash> output_ids(uint64_t step, uint32_t call) override;
  std::vector<Hash> state_ids(uint64_t step) override;
  Bytes value(uint64_t step, const attest::ValueRef& ref) override;

 private:
  SegmentReplay(const attest::Plan& plan, std::span<const ByteSpan> inputs, uint64_t start, uint64_t end, size_t cache_bytes);
  void go_to(uint64_t step);      // `step` steps have run
  void look_at(uint64_t step);    // ids, and values when they fit, of one step

  const attest::Plan& plan_;
  std::vector<Bytes> inputs_;
  const uint64_t start_, end_;
  const size_t cache_bytes_;
  std::unique_ptr<Executor> executor_;
  std::map<uint64_t, State> kept_;  // by step; the start always
  uint64_t keep_every_ = 1;
  std::vector<Hash> step_roots_;
  std::optional<uint64_t> looked_at_;
  std::vector<std::vector<Hash>> ids_;      // of the step looked at
  std::vector<std::vector<Bytes>> values_;  // empty when they do not fit
};

}  // namespace cairn::runtime
