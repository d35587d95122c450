// Virtual time, a network that misbehaves, and the trace of everything that happened.
//
// One thread. Whatever happens is an event of the queue, in order of time, then of its making: a seed is a whole history.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <queue>
#include <stdexcept>
#include <string>

#include "tests/sim/rng.h"

namespace cairn::sim {

// An invariant does not hold: the seed has found a bug.
class Violation : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};
inline void require(bool holds, const std::string& what) {
  if (!holds) throw Violation(what);
}

using Place = uint32_t;  // a node or a client, as the network knows it

// How bad the network is.
struct Weather {
  uint64_t delay_ms = 40;      // at most; the order of messages is lost with it
  uint64_t lost_permille = 0;
  uint64_t twice_permille = 0;
};

class World {
 public:
  explicit World(uint64_t seed) : rng_(seed), trace_(tagged_hash("sim.trace", {encode(seed)})) {}

  uint64_t now_ms() const { return now_ms_; }
  Rng& rng() { return rng_; }
  void after(uint64_t wait_ms, std::function<void()> happens);
  // Runs events until `until_ms`, or none is left.
  void run(uint64_t until_ms);

  // ---- network ----
  Weather weather;
  // Everybody in `places` is cut off from everybody else until then.
  void cut(std::vector<Place> places, uint64_t until_ms);
  void heal() { cuts_.clear(); }
  bool reaches(Place from, Place to);
  // Delivers later, never, twice or out of order.
  void send(Place from, Place to, const std::function<void()>& arrives);

  // ---- trace ----
  // Becomes part of the trace's hash; the last lines are what a failure shows.
  void note(std::string line);
  const Hash& trace() const { return trace_; }
  const std::deque<std::string>& last_lines() const { return lines_; }
  size_t events() const { return made_; }

 private:
  struct Event {
    uint64_t when;
    uint64_t made;
    std::function<void()> happens;
    bool operator<(const Event& other) const { return when != other.when ? when > other.when : made > other.made; }
  };
  struct Cut {
    std::vector<Place> places;
    uint64_t until_ms;
  };

  Rng rng_;
  uint64_t now_ms_ = 0, made_ = 0;
  std::priority_queue<Event> queue_;
  std::vector<Cut> cuts_;
  Hash trace_;
  std::deque<std::string> lines_;
};

}  // namespace cairn::sim
