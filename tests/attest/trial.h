// A plan run step by step by the operators' own definitions, honest or with one lie; what it kept is a party's replay.
#pragma once

#include <functional>
#include <random>

#include "attest/prover.h"
#include "kernels/reference.h"

namespace cairn::attest {

// Random straight-line plans over every operator's known call, with its operands' bytes.
struct Example {
  Plan plan;
  std::vector<Bytes> inputs;
  std::vector<Bytes> start;  // state before step 0
  ContentKey key;            // of a private job
};
Example random_example(std::mt19937_64& rng, size_t calls);
// One call of `op`, its operands from inputs, constants and state in turn; every output is state.
Example example_of(const kernels::Operator& op);

// What a party does wrong in one run.
struct Lie {
  enum Kind { none, value, id_only, state, skip, seed, end_root } kind = none;
  uint64_t step = 0;   // where
  uint32_t call = 0;   // value, id_only: this call's output `output`, element number `at` modulo its size
  uint32_t output = 0;
  uint32_t slot = 0;   // state: this slot after the step
  uint64_t at = 0;
  uint64_t flip = 1;   // bits of the element that are turned
  friend auto operator<=>(const Lie&, const Lie&) = default;
};

// What else may be changed, by code: an output as it is written, the state as a step leaves it.
struct Meddling {
  std::function<void(uint64_t step, uint32_t call, uint8_t output, std::span<uint8_t> bytes)> output;
  std::function<void(uint64_t step, std::vector<Bytes>& state)> state;  // `step` steps have run
};

class Trial final : public Replay {
 public:
  Trial(const Example& example, uint64_t seed, uint64_t start_step, uint64_t end_step, const std::vector<Bytes>& start, Lie lie = {},
        Meddling meddling = {});

  std::vector<Hash> input_ids() override;
  std::vector<Hash> step_roots() override;
  std::vector<Hash> call_ids(uint64_t step) override;
  std::vector<Hash> output_ids(uint64_t step, uint32_t call) override;
  std::vector<Hash> state_ids(uint64_t step) override;
  Bytes value(uint64_t step, const ValueRef& ref) override;

  Hash start_root() { return state_root(start_, state_ids(start_)); }
  const std::vector<Bytes>& state(uint64_t step) const { return steps_[step - start_].state; }

 private:
  struct Step {
    std::vector<Bytes> state;                 // before it
    std::vector<std::vector<Bytes>> outputs;  // of each call
    std::vector<std::vector<Hash>> ids;
    std::vector<Hash> state_ids;              // once they were asked for
  };
  Step& at(uint64_t step) { return steps_.at(step - start_); }
  const Bytes& find(const Step& step, const ValueRef& ref) const;
  void run_step(uint64_t step, uint64_t seed);

  const Example& example_;
  uint64_t start_;
  Lie lie_;
  Meddling meddling_;
  std::vector<Step> steps_;  // one more than were run: the end state
};

GameTerms terms_of(const Example& example, uint64_t seed, uint64_t start_step, uint64_t end_step, Trial& provider, Trial& challenger);

struct Played {
  Game game;
  bool by_clock = false;
  bool no_case = false;           // the challenger found nothing to pick
  uint64_t largest_move = 0;
  double referee_ms = 0;          // of the last move
};
// Plays a game to its end. `meddle` may change a move before it is made; a move that is refused is silence.
Played play_out(const GameTerms& terms, const Plan& plan, Replay& provider, Replay& challenger,
                const std::function<void(Game&, Party, Move&)>& meddle = {});

}  // namespace cairn::attest
