// Wall and steady time behind an interface, so that a simulator can supply both. The ledger never asks: it has chain time.
#pragma once

#include <chrono>
#include <cstdint>

namespace cairn {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual uint64_t wall_ms() const = 0;    // Unix time
  virtual uint64_t steady_ns() const = 0;  // for durations only
};

class SystemClock final : public Clock {
 public:
  uint64_t wall_ms() const override {
    return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                     std::chrono::system_clock::now().time_since_epoch())
                                     .count());
  }
  uint64_t steady_ns() const override {
    return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                     std::chrono::steady_clock::now().time_since_epoch())
                                     .count());
  }
};

}  // namespace cairn
