// A disputed segment, run again: what attest/prover.h asks of it is derived anew from the segment's first state.
#pragma once

#include "attest/prover.h"
#include "runtime/job_run.h"

namespace cairn::runtime {

class SegmentReplay final : public attest::Replay {
 public:
  // `job` must outlive it. Throws Fault when the segment's first state cannot be read.
  SegmentReplay(JobRun& job, const StatePoint& from, uint64_t until_step);

  std::vector<Hash> input_ids() override;
  std::vector<Hash> step_roots() override;
  std::vector<Hash> call_ids(uint64_t step) override;
  std::vector<Hash> output_ids(uint64_t step, uint32_t call) override;
  std::vector<Hash> state_ids(uint64_t step) override;
  Bytes value(uint64_t step, const attest::ValueRef& ref) override;

 private:
  void go_to(uint64_t step);                                       // so that `step` is the next to run
  const std::vector<std::vector<Hash>>& outputs_of(uint64_t step);  // ids, by call and output
  JobRun& job_;
  const uint64_t from_;
  const uint64_t until_;
  State first_;
  std::optional<uint64_t> outputs_step_;
  std::vector<std::vector<Hash>> outputs_;
};

}  // namespace cairn::runtime
