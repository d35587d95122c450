// A step of a plan on the GPU: its launches are captured in a CUDA graph the first time and replayed after that. What step it is
// stands in the GPU's memory, which the graph's first node fills from the host's.
#include <cuda_runtime.h>

#include <map>

#include "kernels/accelerator.h"
#include "kernels/gpu.h"

namespace cairn::kernels {
namespace {

void require(cudaError_t error, const char* what) {
  if (error != cudaSuccess) throw Fault({Code::internal, std::string("the GPU refused ") + what + ": " + cudaGetErrorString(error), ""});
}

class GpuAccelerator final : public Accelerator {
 public:
  ~GpuAccelerator() override {
    for (const auto& [turn, recorded] : recorded_) cudaGraphExecDestroy(recorded);
  }

  void* allocate(size_t bytes) override {
    void* memory = nullptr;
    const cudaError_t error = cudaMallocManaged(&memory, bytes);
    if (error == cudaErrorMemoryAllocation) return nullptr;
    require(error, "memory");
    return memory;
  }
  void release(void* memory) override { cudaFree(memory); }

  void run(const StepContext& step, std::optional<uint32_t> turn, const std::function<void()>& give) override {
    wait();  // the step before has read which one it is
    *next_.as<StepContext>() = step;
    if (!turn) return record_or_run(give);
    auto& recorded = recorded_[*turn];
    if (recorded == nullptr) recorded = record(give);
    require(cudaGraphLaunch(recorded, stream()), "a recorded step");
  }

  void launch(const Operator& op, const CallShape& call, std::span<const void* const> in, std::span<void* const> out) override {
    op.device(call, now_.as<StepContext>(), in, out, stream());
  }
  void copy(void* to, const void* from, size_t bytes) override { stream_.copy(to, from, bytes); }
  void wait() override { stream_.wait(); }

 private:
  cudaStream_t stream() const { return static_cast<cudaStream_t>(stream_.handle()); }
  void record_or_run(const std::function<void()>& give) {
    stream_.copy(now_.as(), next_.as(), sizeof(StepContext));
    give();
  }
  cudaGraphExec_t record(const std::function<void()>& give) {
    cudaGraph_t graph = nullptr;
    require(cudaStreamBeginCapture(stream(), cudaStreamCaptureModeThreadLocal), "to record");
    try {
      record_or_run(give);
    } catch (...) {
      cudaStreamEndCapture(stream(), &graph);
      if (graph != nullptr) cudaGraphDestroy(graph);
      throw;
    }
    require(cudaStreamEndCapture(stream(), &graph), "what was recorded");
    cudaGraphExec_t recorded = nullptr;
    const cudaError_t error = cudaGraphInstantiate(&recorded, graph, 0);
    cudaGraphDestroy(graph);
    require(error, "what was recorded");
    return recorded;
  }

  GpuStream stream_;
  GpuMemory next_{sizeof(StepContext), Place::pinned}, now_{sizeof(StepContext)};
  std::map<uint32_t, cudaGraphExec_t> recorded_;
};

}  // namespace

}  // namespace cairn::kernels

extern "C" cairn::kernels::Accelerator* cairn_kernels_gpu_accelerator() {
  using namespace cairn::kernels;
  return find_gpu() ? new GpuAccelerator : nullptr;
}
