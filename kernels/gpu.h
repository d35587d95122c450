// A GPU behind plain C++: what it is, memory, a stream of work, and recorded work. Bodies of operators take the pointers of
// GpuMemory and the handle of a GpuStream. Part of cairn_kernels_cuda: only a program that links that may use it.
//
// Calls that the driver refuses throw Fault `internal`, out of memory Fault `memory_limit`. One GPU: the current device.
#pragma once

#include <functional>
#include <optional>

#include "base/bytes.h"
#include "base/result.h"

namespace cairn::kernels {

struct GpuInfo {
  std::string name;
  int compute = 0;  // 90: compute capability 9.0
  int multiprocessors = 0;
  int driver = 0, runtime = 0;  // 13000: CUDA 13.0
  uint64_t memory_bytes = 0;
};
std::optional<GpuInfo> find_gpu();  // nullopt where there is none, or no driver for it

enum class Place : uint8_t { gpu, pinned };  // pinned: of the host, which the GPU reads and writes at full speed

class GpuMemory {
 public:
  explicit GpuMemory(size_t bytes, Place place = Place::gpu);  // aligned to 256 bytes
  GpuMemory(GpuMemory&& other) noexcept;
  GpuMemory& operator=(GpuMemory&& other) noexcept;
  ~GpuMemory();
  template <class T = void>
  T* as() const {
    return static_cast<T*>(data_);
  }
  size_t size() const { return size_; }

 private:
  void* data_ = nullptr;
  size_t size_ = 0;
  Place place_ = Place::gpu;
};

// Work in the order in which it was given.
class GpuStream {
 public:
  GpuStream();
  ~GpuStream();
  GpuStream(const GpuStream&) = delete;
  GpuStream& operator=(const GpuStream&) = delete;

  void* handle() const { return stream_; }
  void copy(void* to, const void* from, size_t bytes);  // between any two places
  void fill(void* to, uint8_t byte, size_t bytes);
  void wait();  // until all is done
  // Milliseconds on the GPU that the work given by `give` takes.
  float timed(const std::function<void()>& give);

 private:
  void *stream_ = nullptr, *begin_ = nullptr, *end_ = nullptr;
};

// BLAKE3 of `size` bytes at `data`: its 32 bytes at `digest`. All on the GPU; data aligned to 16 bytes, digest and scratch to 4.
void blake3_on_gpu(GpuStream& stream, const void* data, size_t size, void* scratch, void* digest);
size_t blake3_scratch_bytes(size_t size);

}  // namespace cairn::kernels
