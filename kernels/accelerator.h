// A device that runs calls of operators beside the host: where an executor's values lie and its calls go when it has one. The
// host reads and writes these values too, between a wait() and the next run.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "kernels/operator.h"

namespace cairn::kernels {

class Accelerator {
 public:
  virtual ~Accelerator() = default;

  // Memory that both sides see, aligned to 256 bytes; null where there is none left.
  virtual void* allocate(size_t bytes) = 0;
  virtual void release(void* memory) = 0;

  // Gives the device the work that `give` asks for by launch() and copy(), as of `step`. With a `turn`, `give` asks for the same
  // whenever it comes with that turn, so that the work is recorded once and run again.
  virtual void run(const StepContext& step, std::optional<uint32_t> turn, const std::function<void()>& give) = 0;
  virtual void launch(const Operator& op, const CallShape& call, std::span<const void* const> in, std::span<void* const> out) = 0;
  virtual void copy(void* to, const void* from, size_t bytes) = 0;

  // Until all work is done. Throws Fault `internal` when the device has failed.
  virtual void wait() = 0;
};

// The GPU; null where there is none, or no CUDA in this program (device.h). Values are in memory that both sides see, recorded work
// is a CUDA graph.
std::unique_ptr<Accelerator> make_accelerator();

}  // namespace cairn::kernels
