// The one source of chance in a simulation: same seed, same numbers, whatever compiler and library.
//
// Two draws in one expression have no order in C++: each draw stands in a statement of its own.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/blake3.h"

namespace cairn::sim {

class Rng {
 public:
  explicit Rng(uint64_t seed) : state_(seed) {}

  uint64_t next() {  // splitmix64
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  uint64_t below(uint64_t n) { return n == 0 ? 0 : next() % n; }
  uint64_t between(uint64_t low, uint64_t high) { return low + below(high - low + 1); }
  bool chance(uint64_t permille) { return below(1000) < permille; }
  template <class T>
  const T& of(const std::vector<T>& choices) {
    return choices[below(choices.size())];
  }
  Hash hash() { return tagged_hash("sim", {encode(next())}); }
  // A stream of its own, so that what one part draws does not move the others.
  Rng fork(std::string_view name) {
    const Hash mixed = tagged_hash("sim.fork", {encode(next()), as_bytes(name)});
    uint64_t seed = 0;
    for (int i = 0; i < 8; i++) seed = seed << 8 | mixed.v[static_cast<size_t>(i)];
    return Rng(seed);
  }

 private:
  uint64_t state_;
};

}  // namespace cairn::sim
