// One seed: a network, its people, its weather, and a life from genesis until nothing is left to do.
#pragma once

#include <optional>
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
// Prints what an outcome says, its last events, and how to see it again.
void show(const Outcome& outcome);
// `seeds` of them from `from` on, in `jobs` processes; each ends with the first that finds something, and shows it. True: none
// has. The hash of all traces is printed: it depends on `jobs`, and on nothing else.
bool sweep(uint64_t from, uint64_t seeds, uint64_t jobs);

}  // namespace cairn::sim
