// Products of numeric class f32 on a GPU: C = A B (+ bias), each output one chain of fused multiply-adds over k ascending from
// +0, as the definition has it (kernels/ops/matmul.h). So k is never split, and its last slice is cut, not padded: a product of
// zeros could change the sign of a zero.
//
// A block of threads computes kM x kN of C. Slices of kK of k pass through a ring of kStages places in shared memory, filled by
// asynchronous copies while earlier slices are multiplied; both operands lie there k by k, so a thread takes its rows and
// columns as vectors of four, whichever way the operand lay. Rows and columns beyond the edge are copies of the last one, and
// are not stored.
//
// A warp is 4 threads along m by 8 along n, each with kEachM x kEachN outputs in groups of 4 x 4. Lanes are numbered so that
// of two neighbours one reads the same rows and the other the same columns: then a load of 16 bytes a lane takes two passes
// over the banks, not four.
#pragma once

#include "kernels/device_memory.cuh"
#include "kernels/ops/matmul.h"

namespace cairn::kernels::CAIRN_ISA {

template <int M, int N, int K, int EachM, int EachN, int Stages, int BlocksEach>
struct Tiling {
  static constexpr int kM = M, kN = N, kK = K, kEachM = EachM, kEachN = EachN, kStages = Stages, kBlocksEach = BlocksEach;
  static constexpr int kLanesM = 4, kLanesN = 8;
  static constexpr int kWarpsM = M / (kLanesM * EachM), kWarpsN = N / (kLanesN * EachN), kThreads = kWarpsM * kWarpsN * 32;
  static constexpr int kPad = 4;  // floats after a row of shared memory: a transposing copy then meets no bank twice
  static constexpr int kStageFloats = K * (M + kPad + N + kPad);
  static constexpr int kSharedBytes = Stages * kStageFloats * 4;
  static_assert(EachM % 4 == 0 && EachN % 4 == 0 && K % 8 == 0 && kWarpsM * kLanesM * EachM == M && kWarpsN * kLanesN * EachN == N);
};

// How a block copies slices of one operand: `kAcross` positions of m or n by kK of k, by vectors of kWide floats. Where k runs
// across the operand's rows a slice is copied as it lies. Where k runs along them (`kAlongK`) it is transposed on the way: float
// by float, or by vectors that wait in registers, from one slice to the next, to be stored one float below the other.
template <int kAcross, int kK, int kThreads, bool kAlongK, int kWide>
struct Feed {
  static constexpr int kStride = kAcross + 4;
  static constexpr bool kHolds = kAlongK && kWide > 1;
  static constexpr int kCopies = kAcross * kK / kWide / kThreads;  // of a thread and slice
  // Neighbouring threads take neighbouring addresses: 8 of k and then positions, or positions and then k.
  static constexpr int kSide = (kAlongK ? 8 : kAcross) / kWide;
  static constexpr int kEach = kThreads / kSide;  // how much further the next copy of a thread is
  static_assert(kCopies * kThreads * kWide == kAcross * kK && kThreads % kSide == 0 && (!kAlongK || kAcross % kEach == 0));

  // Where copy c goes, after the thread's first.
  __device__ static constexpr int across(int c) { return kAlongK ? c * kEach % kAcross : 0; }
  __device__ static constexpr int along(int c) { return kAlongK ? c * kEach / kAcross * 8 : c * kEach; }

  const float* from;         // the first copy of the slice to be fetched next
  int64_t step;              // floats from one slice to the next
  uint32_t offset[kCopies];  // of copy c from `from`
  int first_across, first_along;
  float4 held[kHolds ? kCopies : 1];

  __device__ Feed(const float* operand, int64_t first, int64_t count, int64_t depth) {
    first_across = static_cast<int>(kAlongK ? threadIdx.x / kSide : threadIdx.x % kSide * kWide);
    first_along = static_cast<int>(kAlongK ? threadIdx.x % kSide * kWide : threadIdx.x / kSide);
    const auto position = [&](int c) { return least(first + first_across + across(c), count - (kAlongK ? 1 : kWide)); };
    const int64_t start = kAlongK ? first * depth + first_along : first_along * count + position(0);
    from = operand + start;
    step = kAlongK ? kK : kK * count;
#pragma unroll
    for (int c = 0; c < kCopies; c++) {
      offset[c] = static_cast<uint32_t>(kAlongK ? (position(c) - first) * depth + along(c) : along(c) * count);
      asm("" : "+r"(offset[c]));  // or the compiler keeps 64 bits, and narrows them in every slice
    }
  }
  // Before each slice is copied, and long before where it can be: the slice, or if it is cut, what is below `depth`.
  template <bool kCut>
  __device__ void fetch(int depth) {
    if constexpr (kHolds) {
#pragma unroll
      for (int c = 0; c < kCopies; c++)
        if (!kCut || first_along + along(c) < depth) held[c] = *reinterpret_cast<const float4*>(from + offset[c]);
      from += step;
    }
  }
  // The slice that was fetched last.
  template <bool kCut>
  __device__ void copy(float* stage, int depth) {
    float* const to = stage + first_along * kStride + first_across;
#pragma unroll
    for (int c = 0; c < kCopies; c++) {
      if (kCut && first_along + along(c) >= depth) continue;
      float* const at = to + along(c) * kStride + across(c);
      if constexpr (kHolds) {
#pragma unroll
        for (int v = 0; v < kWide; v++) at[v * kStride] = (&held[c].x)[v];
      } else {
        copy_async<4 * kWide>(at, from + offset[c]);
      }
    }
    if constexpr (!kHolds) from += step;
  }
};
// Offsets within a slice must fit.
template <class T>
bool fits_feeds(const Product::Args& g) {
  constexpr int64_t kMost = int64_t{1} << 31;
  return (g.trans_a ? g.m * T::kK : g.k * T::kM) < kMost && (g.trans_b ? g.k * T::kN : g.n * T::kK) < kMost;
}

template <class T, bool kTransA, bool kTransB, int kWide>
__global__ void __launch_bounds__(T::kThreads, T::kBlocksEach)
    product_kernel(Product::Args g, const float* __restrict__ a, const float* __restrict__ b, const float* __restrict__ bias,
                   float* __restrict__ c) {
  constexpr int kK = T::kK, kStages = T::kStages;
  a += blockIdx.z * g.m * g.k;
  b += blockIdx.z * g.k * g.n;
  c += blockIdx.z * g.m * g.n;
  extern __shared__ float4 shared_memory[];
  float* const shared = reinterpret_cast<float*>(shared_memory);
  const int64_t m0 = int64_t{blockIdx.y} * T::kM, n0 = int64_t{blockIdx.x} * T::kN;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int row = warp / T::kWarpsN * T::kLanesM * T::kEachM + 4 * (lane % 2 + lane / 16 * 2);
  const int column = warp % T::kWarpsN * T::kLanesN * T::kEachN + 4 * (lane / 2 % 8);

  Feed<T::kM, kK, T::kThreads, !kTransA, kWide> feed_a(a, m0, g.m, g.k);
  Feed<T::kN, kK, T::kThreads, kTransB, kWide> feed_b(b, n0, g.n, g.k);
  constexpr int kStrideA = feed_a.kStride, kStrideB = feed_b.kStride, kOfB = kK * kStrideA;
  const int64_t whole = g.k / kK;  // slices
  int64_t next = 0;                // slice to be copied
  const auto fetch_next = [&] {
    if (next < whole) {
      feed_a.template fetch<false>(kK);
      feed_b.template fetch<false>(kK);
    }
  };
  const auto copy_next = [&](int place) {
    float* const stage = shared + place * T::kStageFloats;
    if (next < whole) {
      feed_a.template copy<false>(stage, kK);
      feed_b.template copy<false>(stage + kOfB, kK);
    }
    next++;
    end_copy_group();
    fetch_next();
  };

  float chain[T::kEachM][T::kEachN] = {};
  float4 rows[2][T::kEachM / 4], columns[2][T::kEachN / 4];
  const auto take = [&](int side, const float* stage, int k) {
#pragma unroll
    for (int i = 0; i < T::kEachM / 4; i++)
      rows[side][i] = *reinterpret_cast<const float4*>(stage + k * kStrideA + row + i * 4 * T::kLanesM);
#pragma unroll
    for (int j = 0; j < T::kEachN / 4; j++)
      columns[side][j] = *reinterpret_cast<const float4*>(stage + kOfB + k * kStrideB + column + j * 4 * T::kLanesN);
  };
  const auto multiply = [&](int side) {
#pragma unroll
    for (int i = 0; i < T::kEachM; i++)
#pragma unroll
      for (int j = 0; j < T::kEachN; j++)
        chain[i][j] = fused((&rows[side][i / 4].x)[i % 4], (&columns[side][j / 4].x)[j % 4], chain[i][j]);
  };

  fetch_next();
#pragma unroll
  for (int place = 0; place < kStages - 1; place++) copy_next(place);
  wait_for_copies<kStages - 2>();
  __syncthreads();
  const float* stage = shared;
  take(0, stage, 0);
  int read = 0, write = kStages - 1;
  for (int64_t slice = 0; slice < whole; slice++) {
#pragma unroll
    for (int k = 0; k < kK; k++) {
      if (k == kK - 1) {  // all threads have read this slice, and the next has come
        wait_for_copies<kStages - 2>();
        __syncthreads();
        read = read + 1 == kStages ? 0 : read + 1;
        stage = shared + read * T::kStageFloats;
      }
      take((k + 1) % 2, stage, (k + 1) % kK);
      if (k == 0) {
        copy_next(write);
        write = write + 1 == kStages ? 0 : write + 1;
      }
      multiply(k % 2);
    }
  }
  if (const int rest = static_cast<int>(g.k - whole * kK); rest > 0) {
    __syncthreads();
    feed_a.template fetch<true>(rest);
    feed_b.template fetch<true>(rest);
    feed_a.template copy<true>(shared, rest);
    feed_b.template copy<true>(shared + kOfB, rest);
    end_copy_group();
    wait_for_copies<0>();
    __syncthreads();
    for (int k = 0; k < rest; k++) {
      take(0, shared, k);
      multiply(0);
    }
  }

#pragma unroll
  for (int i = 0; i < T::kEachM; i++) {
    const int64_t to_row = m0 + row + i / 4 * 4 * T::kLanesM + i % 4;
    if (to_row >= g.m) continue;
#pragma unroll
    for (int j = 0; j < T::kEachN; j += 4) {
      const int64_t to = n0 + column + j * T::kLanesN;
      float out[4];
#pragma unroll
      for (int v = 0; v < 4; v++)
        out[v] = canonical(bias && to + v < g.n ? chain[i][j + v] + bias[to + v] : chain[i][j + v]);
      float* const at = c + to_row * g.n + to;
      if (kWide == 4 && to < g.n) {
        *reinterpret_cast<float4*>(at) = make_float4(out[0], out[1], out[2], out[3]);
      } else {
#pragma unroll
        for (int v = 0; v < 4; v++)
          if (to + v < g.n) at[v] = out[v];
      }
    }
  }
}

// The tilings: the largest for big products; smaller ones, so that small products reach every multiprocessor.
using LargestTiling = Tiling<128, 256, 8, 8, 16, 4, 1>;
using LargeTiling = Tiling<128, 128, 8, 8, 16, 4, 2>;
using MiddleTiling = Tiling<64, 64, 8, 4, 8, 4, 2>;
using SmallTiling = Tiling<32, 32, 16, 4, 4, 4, 4>;

template <class T, bool kTransA, bool kTransB, int kWide>
void launch_product(const Product::Args& g, int64_t batch, const float* a, const float* b, const float* bias, float* c, cudaStream_t stream) {
  const auto kernel = product_kernel<T, kTransA, kTransB, kWide>;
  if constexpr (T::kSharedBytes > 48 * 1024) {
    static const cudaError_t allowed = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, T::kSharedBytes);
    CHECK(allowed == cudaSuccess);
  }
  const dim3 grid(static_cast<unsigned>(blocks_of(g.n, T::kN)), static_cast<unsigned>(blocks_of(g.m, T::kM)), static_cast<unsigned>(batch));
  kernel<<<grid, T::kThreads, T::kSharedBytes, stream>>>(g, a, b, bias, c);
}

template <class T, int kWide>
void launch_product(const Product::Args& g, int64_t batch, const float* a, const float* b, const float* bias, float* c, cudaStream_t stream) {
  const auto launch = g.trans_a ? g.trans_b ? launch_product<T, true, true, kWide> : launch_product<T, true, false, kWide>
                                : g.trans_b ? launch_product<T, false, true, kWide> : launch_product<T, false, false, kWide>;
  launch(g, batch, a, b, bias, c, stream);
}

// A product, or the same of every matrix of a batch; `bias` may be null. False if it is larger than a grid or has offsets that no
// tiling has room for.
inline bool product(const Product::Args& g, int64_t batch, const float* a, const float* b, const float* bias, float* c, cudaStream_t stream) {
  constexpr int64_t kMostBlocks = 65535;  // of a grid but along n
  if (!fits_feeds<LargestTiling>(g) || batch > kMostBlocks || blocks_of(g.m, SmallTiling::kM) > kMostBlocks) return false;
  const auto fills = [&](int64_t m, int64_t n) { return batch * blocks_of(g.m, m) * blocks_of(g.n, n) >= multiprocessors(); };
  const auto aligned = [](const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; };
  // Vectors are taken along the rows of a, b and c.
  const bool wide = g.n % 4 == 0 && (g.trans_a ? g.m : g.k) % 4 == 0 && (!g.trans_b || g.k % 4 == 0) && aligned(a) && aligned(b) && aligned(c);
  const auto launch = !fills(64, 64)             ? launch_product<SmallTiling, 1>
                      : !fills(128, 128)         ? launch_product<MiddleTiling, 1>
                      : !wide                    ? launch_product<LargeTiling, 1>
                      : !fills(128, 256)         ? launch_product<LargeTiling, 4>
                                                 : launch_product<LargestTiling, 4>;
  launch(g, batch, a, b, bias, c, stream);
  return true;
}

}  // namespace cairn::kernels::CAIRN_ISA
