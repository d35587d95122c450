// The lies that a provider could tell about its work, one row each: what it changes in an honest run, so that the same row makes
// a cheating worker process and a liar in memory.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "attest/dispute.h"
#include "attest/plan.h"
#include "base/bytes.h"

namespace cairn::cheats {

// A small training job: rows are drawn from data, y = tanh(x W), W by SGD with momentum, predictions are kept.
//   data (64, 8), schedule (steps, 1); state W, momentum (8, 8), predictions (steps, 8)
struct Training {
  attest::Plan plan;
  std::vector<Bytes> inputs;
};
inline constexpr uint32_t kSample = 0, kProduct = 1, kTanh = 2, kGradient = 3, kSgd = 4, kPut = 5;  // its calls
Training training(uint64_t steps, std::string_view product = "matmul.f32.v1");

// State buffers, in plan order.
using Slots = std::vector<Bytes>;

struct Cheat {
  std::string_view name;
  std::string_view what;
  // Changes an output of a call; empty: none.
  std::function<void(uint64_t step, uint32_t call, uint8_t output, std::span<uint8_t> bytes)> output;
  // Changes the state that checkpoint `segment` is of. `past` holds the checkpoints before it, the initial state first.
  std::function<void(uint64_t segment, const std::vector<Slots>& past, Slots& state)> checkpoint;
  uint64_t seed_shift = 0;          // runs with another seed
  std::function<void(attest::Plan&)> plan;  // runs another plan
  bool call_id = false;             // answers checks with an id that no output has
  std::function<void(attest::Move&)> move;  // changes what it shows in a game
  uint32_t late_ms = 0;             // answers a check so much later
};

// Over a job of `segments` segments of `interval` steps.
std::vector<Cheat> corpus(uint64_t segments, uint64_t interval);
// By name; null when there is none.
const Cheat* find(const std::vector<Cheat>& corpus, std::string_view name);

}  // namespace cairn::cheats
