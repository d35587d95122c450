// What a judge of a native job does: it runs a segment again, natively, and says whether what the provider committed to can be an
// honest run's.
//
// Two honest runs differ, for sums are added in other orders and functions come from other libraries, and a program may carry a
// difference far or not at all. So the program itself says how far: beside the plain run some more are made, in which every output
// of an operator is disturbed, number by number, by as much as that operator was seen to differ (native_bounds.inc). How far these
// end from the plain run, the largest times kSlack, is what is tolerated of the provider's state, slot by slot, in the mean and in
// the largest number. A slot that no disturbance reaches must be equal.
//
// A bound is an observation and nothing more: the largest difference between an operator's definition and its lowering to stock ATen
// over some thousand outputs, on the machine that the table names. Honest runs of another machine may differ more, and a lie that
// moves the state less than rounding does is not seen. Therefore judges decide about pay alone, and no receipt calls this proof.
#pragma once

#include "runtime/job_run.h"

namespace cairn::runtime {

// Of one output of an operator: |difference| <= element |x| + scale * (root mean square of the output).
struct NativeBound {
  std::string_view op;
  uint8_t output;
  kernels::DType dtype;
  float element;
  float scale;
};
std::span<const NativeBound> native_bounds();  // by name and output; only outputs that were seen to differ

inline constexpr int kDisturbedRuns = 3;
inline constexpr double kSlack = 4;

// Runs from `from` to the step of `claimed`, 1 + kDisturbedRuns times. Errors: those of JobRun::enter, NativeRun::make.
Result<Judged> judge_segment(JobRun& job, const StatePoint& from, const StatePoint& claimed);

}  // namespace cairn::runtime
