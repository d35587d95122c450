// Runs a plan over the operators, without autograd and without allocating: every buffer has its place before the first step.
//
// Intermediates share one arena, laid out by lifetime; an operator that may write in place does so when its operand dies
// there, so parameters and moments are updated where they lie. A state slot whose next value cannot be written in place has
// two buffers, which change roles after a step. An input that only products of few rows read, as their weight, lies packed for them.
//
// Same bits as the operators' definitions, at every instruction set and thread count.
#pragma once

#include <functional>
#include <memory>

#include "attest/plan.h"
#include "base/content.h"
#include "kernels/accelerator.h"
#include "kernels/checked_product.h"
#include "kernels/operator.h"
#include "kernels/pool.h"

namespace cairn::runtime {

// All state of a job between two steps.
struct State {
  uint64_t step = 0;          // how many steps have run
  std::vector<Bytes> slots;   // in plan order
};
Hash root_of(const State& state, const ContentKey& key = {});

// Called after a call's outputs are written, once an output, and may change them. Empty in every honest program: it lets
// tests and demonstrations build a dishonest one.
using Tamper = std::function<void(uint64_t step, uint32_t call, uint8_t output, std::span<uint8_t> bytes)>;
// The same moment, looking only.
using Observe = std::function<void(uint32_t call, uint8_t output, ByteSpan bytes)>;

struct ExecutorOptions {
  kernels::Isa isa = kernels::best_isa();
  int threads = 1;
  Tamper tamper;
  kernels::BreakTile break_tile = {};  // breaks the machine under the products that check themselves
  std::function<std::unique_ptr<kernels::Accelerator>()> accelerator = {};  // makes one, which runs the calls in place of threads
};

class Executor {
 public:
  // `plan` must have been validated and outlive the executor. `inputs` are the bytes of its input slots in order; they are
  // copied. Errors: shape (an input of the wrong size), memory_limit.
  static Result<std::unique_ptr<Executor>> make(const attest::Plan& plan, std::span<const ByteSpan> inputs, uint64_t seed,
                                                ExecutorOptions options);

  // Error: shape, when a slot has another size than in the plan.
  Result<> load(const State& state);
  State save() const;
  ByteSpan slot(size_t index) const;
  uint64_t step() const { return step_; }
  size_t memory_bytes() const { return memory_bytes_; }

  // One step. Integer products are checked while they are computed (kernels/checked_product.h): all of them, or one in so many that it
  // adds about 1/80 to their time. Throws Fault `cpu_state` as the operators do, and `known_answer`, naming step and call, when this
  // machine has computed wrong; the state is then void. An accelerator's products are not checked.
  void run_step(const Observe& observe = {});
  // The known answer of one of the plan's operators, the next one each time, or of all. Error: known_answer.
  Result<> canary(bool all);

  // State root after the steps run so far.
  Hash root(const ContentKey& key = {}) const;
  // Error: not_finite, naming the slot, when a NaN or infinity stands in it.
  Result<> check_finite() const;

 private:
  Executor(const attest::Plan& plan, uint64_t seed, ExecutorOptions options);
  struct Memory {
    kernels::Accelerator* accelerator;
    void operator()(uint8_t* bytes) const;
  };
  using Block = std::unique_ptr<uint8_t[], Memory>;
  Result<uint8_t*> allocate(uint64_t size_bytes);
  Result<> lay_out(std::span<const ByteSpan> inputs);
  uint32_t buffer_of(const attest::ValueRef& ref) const;
  void run_calls(const Observe& observe);
  struct Step {  // one call, ready to run
    const kernels::Operator* op;
    uint32_t call;
    std::vector<uint32_t> in, out;  // buffers
    uint64_t check_every = 0;       // steps; 0: never
    std::optional<std::vector<int64_t>> packed_attrs;  // in place of the call's, where its weight lies packed
  };
  void pack_weights();
  void run_checked(const Step& step, const kernels::CallShape& shape, std::span<const void* const> in, std::span<void* const> out);
  struct Move {  // after a step
    uint32_t to, from;
    uint64_t size_bytes;
  };

  const attest::Plan& plan_;
  const uint64_t seed_;
  const ExecutorOptions options_;
  std::unique_ptr<kernels::Pool> pool_;
  std::unique_ptr<kernels::Accelerator> accelerator_;
  uint64_t step_ = 0;
  uint32_t turn_ = 0;                      // which of a slot's two buffers is read
  std::vector<const kernels::Operator*> operators_;  // of the plan, each once
  size_t canary_ = 0;                      // the next of them to be asked
  size_t memory_bytes_ = 0;
  std::vector<Block> blocks_;
  std::vector<uint8_t*> buffers_;          // state slots, inputs, constants, then call outputs
  std::vector<uint32_t> first_output_;     // of a call, among the buffers
  std::vector<Step> steps_;
  std::vector<Move> copies_, swaps_;
  std::vector<const void*> in_;            // operands of the call that runs
  std::vector<void*> out_;
};

// One slot before step 0, by the rules of plan.h; `ordinal` is part of a uniform one's values. Error: shape, when it must be
// given and `given` has another size.
Result<Bytes> initial_slot(const attest::StateSlot& slot, uint32_t ordinal, uint64_t seed, ByteSpan given = {});
// State before step 0: `given` slots from `given` (by slot, empty spans elsewhere), the others by the rules of plan.h.
// Error: shape, when a given slot is missing or has another size.
Result<State> initial_state(const attest::Plan& plan, uint64_t seed, std::span<const ByteSpan> given);

}  // namespace cairn::runtime
