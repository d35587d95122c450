#include "kernels/gpu.h"

#include <cuda_runtime.h>

#include <utility>

namespace cairn::kernels {
namespace {

void require(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  const Code code = error == cudaErrorMemoryAllocation ? Code::memory_limit : Code::internal;
  throw Fault({code, std::string("the GPU refused ") + what + ": " + cudaGetErrorString(error), ""});
}

cudaStream_t stream_of(void* handle) { return static_cast<cudaStream_t>(handle); }
cudaEvent_t event_of(void* handle) { return static_cast<cudaEvent_t>(handle); }

}  // namespace

std::optional<GpuInfo> find_gpu() {
  int count = 0, device = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess || count == 0) return std::nullopt;
  require(cudaGetDevice(&device), "its number");
  cudaDeviceProp properties{};
  require(cudaGetDeviceProperties(&properties, device), "its properties");
  GpuInfo info;
  info.name = properties.name;
  info.compute = properties.major * 10 + properties.minor;
  info.multiprocessors = properties.multiProcessorCount;
  info.memory_bytes = properties.totalGlobalMem;
  require(cudaDriverGetVersion(&info.driver), "its driver's version");
  require(cudaRuntimeGetVersion(&info.runtime), "the runtime's version");
  return info;
}

GpuMemory::GpuMemory(size_t bytes, Place place) : size_(bytes), place_(place) {
  const size_t some = bytes == 0 ? 1 : bytes;
  if (place == Place::gpu) require(cudaMalloc(&data_, some), "memory");
  else require(cudaMallocHost(&data_, some), "pinned memory");
}

GpuMemory::GpuMemory(GpuMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(other.size_), place_(other.place_) {}

GpuMemory& GpuMemory::operator=(GpuMemory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(place_, other.place_);
  return *this;
}

GpuMemory::~GpuMemory() {
  if (place_ == Place::gpu) cudaFree(data_);
  else cudaFreeHost(data_);
}

GpuStream::GpuStream() {
  cudaStream_t stream = nullptr;
  cudaEvent_t begin = nullptr, end = nullptr;
  require(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "a stream");
  stream_ = stream;
  require(cudaEventCreate(&begin), "an event");
  begin_ = begin;
  require(cudaEventCreate(&end), "an event");
  end_ = end;
}

GpuStream::~GpuStream() {
  if (begin_) cudaEventDestroy(event_of(begin_));
  if (end_) cudaEventDestroy(event_of(end_));
  if (stream_) cudaStreamDestroy(stream_of(stream_));
}

void GpuStream::copy(void* to, const void* from, size_t bytes) {
  require(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream_of(stream_)), "a copy");
}

void GpuStream::fill(void* to, uint8_t byte, size_t bytes) {
  require(cudaMemsetAsync(to, byte, bytes, stream_of(stream_)), "a fill");
}

void GpuStream::wait() { require(cudaStreamSynchronize(stream_of(stream_)), "the work given to it"); }

float GpuStream::timed(const std::function<void()>& give) {
  require(cudaEventRecord(event_of(begin_), stream_of(stream_)), "an event");
  give();
  require(cudaEventRecord(event_of(end_), stream_of(stream_)), "an event");
  require(cudaEventSynchronize(event_of(end_)), "the work given to it");
  float ms = 0;
  require(cudaEventElapsedTime(&ms, event_of(begin_), event_of(end_)), "a time");
  return ms;
}

}  // namespace cairn::kernels
