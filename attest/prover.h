// How a party plays: the next move of either side, from its own replay of the disputed segment.
#pragma once

#include "attest/dispute.h"

namespace cairn::attest {

// One party's own run of the segment, derived again on demand; the runtime's executor is one. Throws Fault when it cannot
// run (disk, memory, device). Steps are absolute, in [start_step, end_step) of the game.
class Replay {
 public:
  virtual ~Replay() = default;
  virtual std::vector<Hash> input_ids() = 0;                                    // of the job: the plan's, then its `given` slots
  virtual std::vector<Hash> step_roots() = 0;                                   // state root after each step, in order
  virtual std::vector<Hash> call_ids(uint64_t step) = 0;                        // of every call of one step
  virtual std::vector<Hash> output_ids(uint64_t step, uint32_t call) = 0;
  virtual std::vector<Hash> state_ids(uint64_t step) = 0;                       // when `step` steps have run; end_step too
  virtual Bytes value(uint64_t step, const ValueRef& ref) = 0;                  // row-major; state as it was before the step
};

// The move that `me`, who is to move, should make. Both sides call it: a provider shows what its replay gave, a challenger
// picks the first thing that differs from its own.
// Errors: wrong_turn; not_found when nothing that is shown differs from the challenger's own (it has no case).
Result<Move> next_move(const Game& game, Party me, const Plan& plan, Replay& replay);

}  // namespace cairn::attest
