// The CUDA bodies of every operator: the definitions themselves, run with one thread an element, or one warp an element
// where an element reduces a row; and a tiled kernel for products. Compiled with the flags of cmake/compiler.cmake: no
// contraction, correct division and square root, denormals kept.
#define CAIRN_ISA isa_cuda
#include <cuda_runtime.h>

#include "kernels/device.h"
#include "kernels/operators.def"

namespace cairn::kernels {
namespace CAIRN_ISA {

constexpr int kMaxOperands = 12;
constexpr int kThreads = 256, kWarp = 32;

// A fold's source over device memory.
struct DeviceSource {
  const void* data[kMaxOperands];
  int size[kMaxOperands];  // bytes an element

  __device__ uint64_t bits(size_t operand, int64_t element) const {
    if (size[operand] == 8) return static_cast<const uint64_t*>(data[operand])[element];
    if (size[operand] == 1) return static_cast<const uint8_t*>(data[operand])[element];
    return static_cast<const uint32_t*>(data[operand])[element];
  }
  __device__ float f32(size_t operand, int64_t element) const { return static_cast<const float*>(data[operand])[element]; }
  __device__ int64_t i64(size_t operand, int64_t element) const { return static_cast<const int64_t*>(data[operand])[element]; }
};

// The same, read by a warp that runs one fold together. A block of the recursive rule is a warp: its 32 strided lanes are
// the 32 threads, and the butterfly is a shuffle.
struct WarpSource : DeviceSource {};

__device__ inline int warp_lane() { return threadIdx.x % kWarp; }
__device__ inline float warp_butterfly_sum(float x) {
  for (int w = kWarp / 2; w > 0; w /= 2) x = x + __shfl_down_sync(0xFFFFFFFFu, x, w);
  return __shfl_sync(0xFFFFFFFFu, x, 0);
}
template <class Term>
__device__ float sum_block(WarpSource&, int64_t n, Term term) {
  float lane = -0.0f;
  for (int64_t i = warp_lane(); i < n; i += kWarp) lane = lane + term(i);
  return warp_butterfly_sum(lane);
}
template <class Term>
__device__ float sum_of(WarpSource& source, int64_t n, Term term) {
  if (n <= kSumBlock) return sum_block(source, n, term);
  float lane = -0.0f;
  const int64_t blocks = blocks_of(n, kSumBlock);
  for (int64_t block = 0; block < blocks; block++) {
    const int64_t first = block * kSumBlock;
    const float sum = sum_block(source, least(kSumBlock, n - first), [&](int64_t i) { return term(first + i); });
    if (block % kWarp == warp_lane()) lane = lane + sum;
  }
  return warp_butterfly_sum(lane);
}
template <class Term>
__device__ float max_of(WarpSource&, int64_t n, Term term) {
  float best = as_float(0xFF800000u);
  for (int64_t i = warp_lane(); i < n; i += kWarp) best = greater(best, term(i));
  for (int w = kWarp / 2; w > 0; w /= 2) best = greater(best, __shfl_xor_sync(0xFFFFFFFFu, best, w));
  return canonical(best + 0.0f);
}
template <class Term>
__device__ int64_t argmax_of(WarpSource&, int64_t n, Term term) {
  int64_t at = n;  // past the end: this thread has none
  float best = as_float(0xFF800000u);
  const auto take = [&](float x, int64_t i) {
    const bool better = at == n || (is_nan(best) ? is_nan(x) && i < at : is_nan(x) || x > best || (x == best && i < at));
    if (i < n && better) {
      best = x;
      at = i;
    }
  };
  for (int64_t i = warp_lane(); i < n; i += kWarp) take(term(i), i);
  for (int w = kWarp / 2; w > 0; w /= 2) {
    const float x = __shfl_xor_sync(0xFFFFFFFFu, best, w);
    const int64_t i = __shfl_xor_sync(0xFFFFFFFFu, at, w);
    take(x, i);
  }
  return at;
}
template <class Condition>
__device__ int64_t count_of(WarpSource&, int64_t n, Condition condition) {
  int64_t count = 0;
  for (int64_t i = warp_lane(); i < n; i += kWarp) count += condition(i);
  for (int w = kWarp / 2; w > 0; w /= 2) count += __shfl_xor_sync(0xFFFFFFFFu, count, w);
  return count;
}

template <class Op, class S>
__device__ void run_fold(const typename Op::Args& args, const StepContext& step, size_t output, int64_t element, int64_t blocks,
                         S& source, void* out, int out_size, bool writes) {
  Carry carry{};
  for (int64_t b = 0; b < blocks; b++) carry = Op::fold(args, step, output, element, b, carry, source);
  if (!writes) return;
  if (out_size == 8) static_cast<uint64_t*>(out)[element] = carry.lo;
  else if (out_size == 1) static_cast<uint8_t*>(out)[element] = static_cast<uint8_t>(carry.lo);
  else static_cast<uint32_t*>(out)[element] = static_cast<uint32_t>(carry.lo);
}

template <class Op>
__global__ void __launch_bounds__(kThreads)
    element_kernel(typename Op::Args args, StepContext step, size_t output, int64_t count, int64_t blocks, DeviceSource source,
                   void* out, int out_size) {
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t e = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; e < count; e += stride)
    run_fold<Op>(args, step, output, e, blocks, source, out, out_size, true);
}

template <class Op>
__global__ void __launch_bounds__(kThreads)
    warp_kernel(typename Op::Args args, StepContext step, size_t output, int64_t count, int64_t blocks, WarpSource source,
                void* out, int out_size) {
  const int64_t stride = int64_t{gridDim.x} * blockDim.x / kWarp;
  for (int64_t e = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) / kWarp; e < count; e += stride)
    run_fold<Op>(args, step, output, e, blocks, source, out, out_size, warp_lane() == 0);
}

// A block of threads computes 128 x 128 of C, each thread 8 x 8 in registers: rows ty + 16 i, columns tx + 16 j. Slices of 16
// of k lie in shared memory, and each accumulator takes them in ascending order. The last slice is cut, not padded: a product
// of zeros could change the sign of a zero.
constexpr int kTile = 128, kSlice = 16, kEach = 8, kSide = kTile / kEach;

__global__ void __launch_bounds__(kSide * kSide)
    product_kernel(Product::Args g, const float* __restrict__ a, const float* __restrict__ b, const float* __restrict__ bias,
                   float* __restrict__ c) {
  __shared__ float tile_a[kSlice][kTile + 1], tile_b[kSlice][kTile + 1];
  const int64_t m0 = int64_t{blockIdx.y} * kTile, n0 = int64_t{blockIdx.x} * kTile;
  const int tx = threadIdx.x % kSide, ty = threadIdx.x / kSide;
  float chain[kEach][kEach];
#pragma unroll
  for (int i = 0; i < kEach; i++)
#pragma unroll
    for (int j = 0; j < kEach; j++) chain[i][j] = 0.0f;

  for (int64_t k0 = 0; k0 < g.k; k0 += kSlice) {
    const int depth = static_cast<int>(least(kSlice, g.k - k0));
    for (int at = threadIdx.x; at < kTile * kSlice; at += kSide * kSide) {
      // Neighbouring threads read neighbouring addresses, whichever way the operand lies.
      const int ia = g.trans_a ? at % kTile : at / kSlice, ka = g.trans_a ? at / kTile : at % kSlice;
      tile_a[ka][ia] = m0 + ia < g.m && ka < depth ? a[g.trans_a ? (k0 + ka) * g.m + m0 + ia : (m0 + ia) * g.k + k0 + ka] : 0.0f;
      const int jb = g.trans_b ? at / kSlice : at % kTile, kb = g.trans_b ? at % kSlice : at / kTile;
      tile_b[kb][jb] = n0 + jb < g.n && kb < depth ? b[g.trans_b ? (n0 + jb) * g.k + k0 + kb : (k0 + kb) * g.n + n0 + jb] : 0.0f;
    }
    __syncthreads();
    const auto step = [&](int k) {
      float row[kEach], column[kEach];
#pragma unroll
      for (int i = 0; i < kEach; i++) {
        row[i] = tile_a[k][ty + kSide * i];
        column[i] = tile_b[k][tx + kSide * i];
      }
#pragma unroll
      for (int i = 0; i < kEach; i++)
#pragma unroll
        for (int j = 0; j < kEach; j++) chain[i][j] = fused(row[i], column[j], chain[i][j]);
    };
    if (depth == kSlice) {
#pragma unroll
      for (int k = 0; k < kSlice; k++) step(k);
    } else {
      for (int k = 0; k < depth; k++) step(k);
    }
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < kEach; i++)
#pragma unroll
    for (int j = 0; j < kEach; j++) {
      const int64_t row = m0 + ty + kSide * i, column = n0 + tx + kSide * j;
      if (row < g.m && column < g.n)
        c[row * g.n + column] = canonical(g.bias ? chain[i][j] + bias[column] : chain[i][j]);
    }
}

void require_launched(const char* name) {
  const cudaError_t error = cudaGetLastError();
  if (error != cudaSuccess)
    throw Fault({Code::internal, std::string(name) + ": the GPU refused a launch: " + cudaGetErrorString(error), ""});
}

template <class Op>
constexpr int row_outputs() {
  if constexpr (requires { Op::kRowOutputs; }) return static_cast<int>(Op::kRowOutputs);
  else return 0;
}

template <class Op>
void device_body(const void* args_pointer, const CallShape& call, const StepContext& step, const void* const* in, void* const* out,
                 void* stream_pointer) {
  const auto& args = *static_cast<const typename Op::Args*>(args_pointer);
  const auto stream = static_cast<cudaStream_t>(stream_pointer);
  if constexpr (std::is_base_of_v<Product, Op>) {
    // Rows lie along y, of which a grid has fewer.
    constexpr int64_t kMostRows = int64_t{65535} * kTile;
    CHECK(args.m <= kMostRows);
    const dim3 grid(static_cast<unsigned>(blocks_of(args.n, kTile)), static_cast<unsigned>(blocks_of(args.m, kTile)));
    product_kernel<<<grid, kSide * kSide, 0, stream>>>(args, static_cast<const float*>(in[0]), static_cast<const float*>(in[1]),
                                                       args.bias ? static_cast<const float*>(in[2]) : nullptr,
                                                       static_cast<float*>(out[0]));
    require_launched(Op::kText.name);
  } else {
    WarpSource source{};
    CHECK(call.in.size() + call.out.size() <= kMaxOperands);
    for (size_t k = 0; k < call.in.size(); k++) {
      source.data[k] = in[k];
      source.size[k] = static_cast<int>(size_of(call.in[k].dtype));
    }
    for (size_t o = 0; o < call.out.size(); o++) {
      source.data[call.in.size() + o] = out[o];
      source.size[call.in.size() + o] = static_cast<int>(size_of(call.out[o].dtype));
    }
    for (size_t o = 0; o < call.out.size(); o++) {
      constexpr int64_t kMostBlocks = int64_t{1} << 30;
      const int64_t count = elements(call.out[o]), blocks = Op::blocks(args, o);
      const bool by_warp = static_cast<int>(o) < row_outputs<Op>();
      const auto grid = static_cast<unsigned>(least(kMostBlocks, blocks_of(by_warp ? count * kWarp : count, kThreads)));
      const int size = static_cast<int>(size_of(call.out[o].dtype));
      if constexpr (row_outputs<Op>() > 0) {
        if (by_warp) warp_kernel<Op><<<grid, kThreads, 0, stream>>>(args, step, o, count, blocks, source, out[o], size);
      }
      if (!by_warp) element_kernel<Op><<<grid, kThreads, 0, stream>>>(args, step, o, count, blocks, source, out[o], size);
      require_launched(Op::kText.name);
    }
  }
}

}  // namespace CAIRN_ISA
}  // namespace cairn::kernels

extern "C" const cairn::kernels::DeviceBody* cairn_kernels_device_bodies() {
  using namespace cairn::kernels;
  static const DeviceBody kBodies[] = {
#define OPERATOR(Op) CAIRN_ISA::device_body<CAIRN_ISA::Op>,
#include "kernels/operators.def"
#undef OPERATOR
  };
  return kBodies;
}
