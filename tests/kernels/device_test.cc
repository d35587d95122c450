// The CUDA bodies against the definitions, bit for bit, where there is a GPU; elsewhere only that they are linked.
#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include "tests/kernels/cases.h"

namespace cairn::kernels {
namespace {

TEST(Device, every_operator_has_a_body) {
  for (const Operator* op : operators()) EXPECT_NE(op->device, nullptr) << op->name;
}

void require(cudaError_t error) {
  if (error != cudaSuccess) throw Fault({Code::internal, cudaGetErrorString(error), ""});
}

struct DeviceBuffer {
  explicit DeviceBuffer(const Buffer& from) : bytes(from.size) {
    require(cudaMalloc(&data, bytes + 1));
    require(cudaMemcpy(data, from.data.get(), bytes, cudaMemcpyHostToDevice));
  }
  DeviceBuffer(DeviceBuffer&& other) noexcept : bytes(other.bytes), data(std::exchange(other.data, nullptr)) {}
  ~DeviceBuffer() { cudaFree(data); }
  size_t bytes;
  void* data = nullptr;
};

TEST(Device, bodies_equal_the_definition) {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) GTEST_SKIP() << "no GPU: not run";
  for (const Case& c : cases())
    for (const Values values : {Values::tame, Values::wild})
      for (const uint64_t step : {0, 3}) {
        const Trial run(c, values);
        const StepContext context{0x1234567890ABCDEF, step};
        const std::vector<Buffer> want = run.reference(context);
        std::vector<Buffer> have = run.outputs();
        std::vector<DeviceBuffer> in, out;
        std::vector<const void*> in_data;
        std::vector<void*> out_data;
        for (const Buffer& buffer : run.in) in_data.push_back(in.emplace_back(buffer).data);
        for (const Buffer& buffer : have) out_data.push_back(out.emplace_back(buffer).data);
        StepContext* step_on_device = nullptr;
        require(cudaMalloc(&step_on_device, sizeof context));
        require(cudaMemcpy(step_on_device, &context, sizeof context, cudaMemcpyHostToDevice));
        run.op.device(run.call(), step_on_device, in_data, out_data, nullptr);
        require(cudaDeviceSynchronize());
        require(cudaFree(step_on_device));
        for (size_t o = 0; o < want.size(); o++) {
          require(cudaMemcpy(have[o].data.get(), out[o].data, want[o].size, cudaMemcpyDeviceToHost));
          EXPECT_TRUE(have[o] == want[o]) << describe(c) << ": output " << o << ", step " << step << (values == Values::wild ? ", wild" : ", tame");
        }
      }
}

}  // namespace
}  // namespace cairn::kernels
