// What kernels of a GPU share: copies to shared memory that run beside them, and how wide the GPU is.
#pragma once

#include <cuda_runtime.h>

#include "kernels/operator.h"

namespace cairn::kernels::CAIRN_ISA {

template <int kBytes>
__device__ inline void copy_async(float* to_shared, const float* from) {
  const auto to = static_cast<uint32_t>(__cvta_generic_to_shared(to_shared));
  if constexpr (kBytes == 16) asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(from) : "memory");
  else asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(to), "l"(from) : "memory");
}
__device__ inline void end_copy_group() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int kPending>
__device__ inline void wait_for_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

inline int multiprocessors() {
  static const int count = [] {
    int device = 0, value = 0;
    if (cudaGetDevice(&device) != cudaSuccess) return 1;
    if (cudaDeviceGetAttribute(&value, cudaDevAttrMultiProcessorCount, device) != cudaSuccess) return 1;
    return value;
  }();
  return count;
}

}  // namespace cairn::kernels::CAIRN_ISA
