// One seed: a network, its people, its weather, and a life from genesis until nothing is left to do.
#pragma once

#include <string>

#include "tests/sim/world.h"

namespace cairn::sim {

struct Outcome {
  uint64_t seed = 0;
  std::optional<std::string> violation;
  std::deque<std::string> last_lines;  // what happened before it
  Hash trace;
  uint64_t blocks = 0, transactions = 0, virtual_ms = 0;
  std::map<std::string, uint64_t> counts;  // of events by kind
};

Outcome simulate(uint64_t seed);

}  // namespace cairn::sim
