// The `native` tier: the same plan, each operator by its lowering to stock ATen on the CPU. Fast and ordinary; bits differ
// from machine to machine, so it is checked within a tolerance and never called proof. Sampling, masks and moves of bytes are
// those of `exact`, so both tiers see the same batches and drop the same units.
#pragma once

#include "runtime/executor.h"

namespace cairn::runtime {

class NativeRun {
 public:
  // `tamper` as in ExecutorOptions; a judge disturbs by it. Errors: undefined_operator, when a lowering is missing; shape.
  static Result<std::unique_ptr<NativeRun>> make(const attest::Plan& plan, std::span<const ByteSpan> inputs, uint64_t seed,
                                                 State start, int threads, Tamper tamper = {});
  ~NativeRun();
  void run_step();
  const State& state() const;  // as bytes, between steps

 private:
  struct Values;
  explicit NativeRun(std::unique_ptr<Values> values);
  std::unique_ptr<Values> values_;
};

// One call as this tier runs it; an output that nobody may read is empty. Errors: undefined_operator, when its lowering is missing;
// shape. Throws what ATen throws of operands that it refuses.
Result<std::vector<Bytes>> run_native_call(const attest::Call& call, const kernels::StepContext& step, std::span<const ByteSpan> inputs);

}  // namespace cairn::runtime
