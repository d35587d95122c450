// Products of the integer classes on a GPU: int2, int2.row, int3 (kernels/ops/matmul_int.h). Both operands are first cut into
// planes of digits, k along their rows and filled up with zeros to whole blocks of 128, beside the exponents of their groups;
// then integer matrix instructions multiply pairs of planes. Sums of digit products are exact, so their order is free.
#pragma once

#include "kernels/device_gemm.cuh"
#include "kernels/ops/matmul_int.h"

namespace cairn::kernels::CAIRN_ISA {

// Memory of a stream, given back in its order.
class StreamMemory {
 public:
  StreamMemory(size_t bytes, cudaStream_t stream) : stream_(stream) {
    static const cudaError_t kept = keep_freed();
    cudaError_t error = kept;
    if (error == cudaSuccess) error = cudaMallocAsync(&data_, bytes, stream);
    if (error != cudaSuccess) throw Fault({Code::memory_limit, std::string("the GPU refused memory: ") + cudaGetErrorString(error), ""});
  }
  ~StreamMemory() { cudaFreeAsync(data_, stream_); }
  StreamMemory(const StreamMemory&) = delete;
  StreamMemory& operator=(const StreamMemory&) = delete;
  template <class T>
  T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  static cudaError_t keep_freed() {  // for the next call, rather than for other programs
    int device = 0;
    cudaMemPool_t pool = nullptr;
    uint64_t most = UINT64_MAX;
    if (const cudaError_t error = cudaGetDevice(&device); error != cudaSuccess) return error;
    if (const cudaError_t error = cudaDeviceGetDefaultMemPool(&pool, device); error != cudaSuccess) return error;
    return cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &most);
  }
  cudaStream_t stream_;
  void* data_ = nullptr;
};

// One operand: `count` rows of A or columns of B, `depth` of k; k runs across its rows if `across`.
struct Operand {
  const float* data;
  int64_t batch, count, depth;
  bool across;

  int64_t blocks() const { return blocks_of(depth, kDigitBlock); }
  int64_t padded() const { return blocks() * kDigitBlock; }
};

constexpr int kCutRows = 32, kCutThreads = 256;

// A block of threads takes 32 rows by 128 of k; each warp then has a row at a time, lane l its k = l, l + 32, l + 64, l + 96.
template <bool kAcross, class Row>
__device__ void each_row(const float* data, int64_t count, int64_t depth, Row row) {
  __shared__ float tile[kAcross ? kDigitBlock : 1][kCutRows + 1];
  const int64_t first = int64_t{blockIdx.x} * kCutRows, k0 = int64_t{blockIdx.y} * kDigitBlock;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  data += blockIdx.z * count * depth;
  if constexpr (kAcross) {
    for (int k = warp; k < kDigitBlock; k += kCutThreads / 32)
      tile[k][lane] = first + lane < count && k0 + k < depth ? data[(k0 + k) * count + first + lane] : 0.0f;
    __syncthreads();
  }
  for (int r = warp; r < kCutRows && first + r < count; r += kCutThreads / 32) {
    float x[4];
#pragma unroll
    for (int v = 0; v < 4; v++) {
      const int k = lane + 32 * v;
      if constexpr (kAcross) x[v] = tile[k][r];
      else x[v] = k0 + k < depth ? data[(first + r) * depth + k0 + k] : 0.0f;
    }
    uint32_t most = 0;
#pragma unroll
    for (int v = 0; v < 4; v++) most = max(most, as_bits(x[v]) & 0x7FFFFFFFu);
    row(first + r, __reduce_max_sync(0xFFFFFFFFu, most), x);
  }
}

// The greatest |x| of each row, as bits; `greatest` starts as zeros.
template <bool kAcross>
__global__ void __launch_bounds__(kCutThreads) greatest_kernel(const float* data, int64_t count, int64_t depth, uint32_t* greatest) {
  each_row<kAcross>(data, count, depth, [&](int64_t row, uint32_t most, const float (&)[4]) {
    if (threadIdx.x % 32 == 0) atomicMax(greatest + blockIdx.z * count + row, most);
  });
}
// In place, to exponents.
__global__ void exponents_kernel(int32_t* exponents, int64_t count) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i < count) exponents[i] = exponent_of<2>(static_cast<uint32_t>(exponents[i]));
}

// Digits to `planes` (S, batch, count, padded k), highest first. Exponents, (batch, blocks of k, count), are written; those of
// whole rows, (batch, count), are read.
template <int S, bool kByRow, bool kAcross>
__global__ void __launch_bounds__(kCutThreads)
    cut_kernel(const float* data, int64_t count, int64_t depth, int8_t* planes, int64_t plane, int32_t* exponents) {
  const int64_t padded = int64_t{gridDim.y} * kDigitBlock;
  each_row<kAcross>(data, count, depth, [&](int64_t row, uint32_t most, const float (&x)[4]) {
    int32_t e;
    if constexpr (kByRow) {
      e = exponents[blockIdx.z * count + row];
    } else {
      e = exponent_of<S>(most);
      if (threadIdx.x % 32 == 0) exponents[(int64_t{blockIdx.z} * gridDim.y + blockIdx.y) * count + row] = e;
    }
    int8_t* const to = planes + (blockIdx.z * count + row) * padded + int64_t{blockIdx.y} * kDigitBlock + threadIdx.x % 32;
#pragma unroll
    for (int v = 0; v < 4; v++) {
      const Digits<S> digits = digits_of<S>(x[v], unit_of(e));
#pragma unroll
      for (int s = 0; s < S; s++) to[s * plane + 32 * v] = static_cast<int8_t>(digits.d[s]);
    }
  });
}

// A block of threads computes 128 x kN of C, 2 x 4 warps of 64 x kN / 4; slices of 128 of k pass through a ring of places in
// shared memory. A row of a plane is there 128 bytes, its vectors of 16 permuted so that the matrix loads meet no bank twice.
template <int S>
struct IntTiling {
  static constexpr int kM = 128, kN = S == 2 ? 128 : 64, kThreads = 256, kStages = 3;
  static constexpr int kStageBytes = S * (kM + kN) * static_cast<int>(kDigitBlock), kSharedBytes = kStages * kStageBytes;
  static constexpr int kTilesM = 4, kTilesN = kN / 32;  // of a warp, 16 x 8 each
};

__device__ inline void load_matrices(uint32_t (&to)[4], const uint8_t* from) {
  const auto at = static_cast<uint32_t>(__cvta_generic_to_shared(from));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];" : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3]) : "r"(at));
}
__device__ inline void multiply_matrices(int32_t (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
               : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// sum * 2^a * 2^b, as value_of() has it: the smaller power first, which is exact, as |sum| is 0 or at least 1.
__device__ inline float scaled(float sum, float a, float b) {
  const bool less = a < b;  // a NaN stays
  return sum * (less ? a : b) * (less ? b : a);
}

template <int S, bool kByRow>
__global__ void __launch_bounds__(IntTiling<S>::kThreads, 1)
    int_product_kernel(int64_t m, int64_t n, int64_t blocks, const int8_t* a, const int8_t* b, int64_t plane_a, int64_t plane_b, const int32_t* ea,
                       const int32_t* eb, float* c) {
  using T = IntTiling<S>;
  constexpr int kRow = static_cast<int>(kDigitBlock), kVectors = kRow / 16;
  extern __shared__ float4 shared_memory[];
  auto* const shared = reinterpret_cast<uint8_t*>(shared_memory);
  const int64_t m0 = int64_t{blockIdx.y} * T::kM, n0 = int64_t{blockIdx.x} * T::kN, padded = blocks * kRow;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, warp_row = warp / 4 * 64, warp_column = warp % 4 * (T::kN / 4);
  a += blockIdx.z * m * padded;
  b += blockIdx.z * n * padded;
  ea += blockIdx.z * m * (kByRow ? 1 : blocks);
  eb += blockIdx.z * n * (kByRow ? 1 : blocks);
  c += blockIdx.z * m * n;

  // Rows beyond the edge are copies of the last one, and are not stored.
  const auto copy_slice = [&](int64_t block, int place) {
    if (block < blocks) {
      const auto copy_rows = [&](uint8_t* to, const int8_t* from, int64_t first, int64_t count, int rows) {
        for (int i = threadIdx.x; i < rows * kVectors; i += T::kThreads) {
          const int row = i / kVectors, vector = i % kVectors;
          copy_async<16>(reinterpret_cast<float*>(to + row * kRow + (vector ^ row % 8) * 16),
                         reinterpret_cast<const float*>(from + least(first + row, count - 1) * padded + block * kRow + vector * 16));
        }
      };
      uint8_t* const stage = shared + place * T::kStageBytes;
#pragma unroll
      for (int s = 0; s < S; s++) {
        copy_rows(stage + s * T::kM * kRow, a + s * plane_a, m0, m, T::kM);
        copy_rows(stage + (S * T::kM + s * T::kN) * kRow, b + s * plane_b, n0, n, T::kN);
      }
    }
    end_copy_group();
  };

  int32_t sums[S][T::kTilesM][T::kTilesN][4] = {};  // by weight, the highest first
  float chain[kByRow ? 1 : T::kTilesM][T::kTilesN][4] = {};
  const auto multiply = [&](const uint8_t* stage) {
#pragma unroll
    for (int k = 0; k < kVectors; k += 2) {
      uint32_t columns[S][T::kTilesN / 2][4];
#pragma unroll
      for (int s = 0; s < S; s++)
#pragma unroll
        for (int j = 0; j < T::kTilesN / 2; j++) {
          const int row = warp_column + j * 16 + lane / 16 * 8 + lane % 8, vector = k + lane / 8 % 2;
          load_matrices(columns[s][j], stage + (S * T::kM + s * T::kN + row) * kRow + (vector ^ row % 8) * 16);
        }
#pragma unroll
      for (int i = 0; i < T::kTilesM; i++) {
        uint32_t rows[S][4];
#pragma unroll
        for (int s = 0; s < S; s++) {
          const int row = warp_row + i * 16 + lane % 16, vector = k + lane / 16;
          load_matrices(rows[s], stage + (s * T::kM + row) * kRow + (vector ^ row % 8) * 16);
        }
#pragma unroll
        for (int s = 0; s < S; s++)
#pragma unroll
          for (int t = 0; s + t < S; t++)
#pragma unroll
            for (int j = 0; j < T::kTilesN; j++) multiply_matrices(sums[s + t][i][j], rows[s], columns[t][j / 2][j % 2 * 2], columns[t][j / 2][j % 2 * 2 + 1]);
      }
    }
  };

  // Element v of tile (i, j) of this thread.
  const auto row_of = [&](int i, int v) { return m0 + warp_row + i * 16 + v / 2 * 8 + lane / 4; };
  const auto column_of = [&](int j, int v) { return n0 + warp_column + j * 8 + lane % 4 * 2 + v % 2; };
  const auto power = [](int32_t e, int more) { return e == kNoExponent ? as_float(kNan) : as_float(static_cast<uint32_t>(127 + e + more) << 23); };
  // The values of all sums, under the exponents of rows and columns.
  const auto values = [&](const int32_t* row_exponents, const int32_t* column_exponents, auto use) {
    float by_row[T::kTilesM][2], by_column[T::kTilesN][2];
#pragma unroll
    for (int h = 0; h < 2; h++) {
#pragma unroll
      for (int i = 0; i < T::kTilesM; i++) by_row[i][h] = power(row_exponents[least(row_of(i, 2 * h), m - 1)], 0);
#pragma unroll
      for (int j = 0; j < T::kTilesN; j++) by_column[j][h] = power(column_exponents[least(column_of(j, h), n - 1)], 8 * (S - 1));
    }
#pragma unroll
    for (int i = 0; i < T::kTilesM; i++)
#pragma unroll
      for (int j = 0; j < T::kTilesN; j++)
#pragma unroll
        for (int v = 0; v < 4; v++) {
          float sum;
          if constexpr (S == 3) {
            sum = static_cast<float>(fma(static_cast<double>(sums[0][i][j][v]), 65536.0, static_cast<double>(sums[1][i][j][v] * 256 + sums[2][i][j][v])));
          } else if constexpr (kByRow) {
            sum = static_cast<float>(fma(static_cast<double>(sums[0][i][j][v]), 256.0, static_cast<double>(sums[1][i][j][v])));
          } else {
            sum = static_cast<float>(sums[0][i][j][v] * 256 + sums[1][i][j][v]);
          }
          use(i, j, v, scaled(sum, by_row[i][v / 2], by_column[j][v % 2]));
        }
  };
  const auto put = [&](int i, int j, int v, float value) {
    if (row_of(i, v) < m && column_of(j, v) < n) c[row_of(i, v) * n + column_of(j, v)] = canonical(value);
  };

#pragma unroll
  for (int place = 0; place < T::kStages - 1; place++) copy_slice(place, place);
  for (int64_t block = 0; block < blocks; block++) {
    wait_for_copies<T::kStages - 2>();
    __syncthreads();
    copy_slice(block + T::kStages - 1, static_cast<int>((block + T::kStages - 1) % T::kStages));
    multiply(shared + block % T::kStages * T::kStageBytes);
    if constexpr (!kByRow) {
      values(ea + block * m, eb + block * n, [&](int i, int j, int v, float value) { chain[i][j][v] = chain[i][j][v] + value; });
#pragma unroll
      for (int s = 0; s < S; s++)
#pragma unroll
        for (int i = 0; i < T::kTilesM; i++)
#pragma unroll
          for (int j = 0; j < T::kTilesN; j++)
#pragma unroll
            for (int v = 0; v < 4; v++) sums[s][i][j][v] = 0;
    }
  }
  if constexpr (kByRow) {
    values(ea, eb, put);
  } else {
#pragma unroll
    for (int i = 0; i < T::kTilesM; i++)
#pragma unroll
      for (int j = 0; j < T::kTilesN; j++)
#pragma unroll
        for (int v = 0; v < 4; v++) put(i, j, v, chain[i][j][v]);
  }
}

inline dim3 cut_grid(const Operand& x) {
  return dim3(static_cast<unsigned>(blocks_of(x.count, kCutRows)), static_cast<unsigned>(x.blocks()), static_cast<unsigned>(x.batch));
}
// Exponents of whole rows.
inline void find_exponents(const Operand& x, int32_t* exponents, cudaStream_t stream) {
  const int64_t count = x.batch * x.count;
  CHECK(cudaMemsetAsync(exponents, 0, static_cast<size_t>(count) * 4, stream) == cudaSuccess);
  (x.across ? greatest_kernel<true> : greatest_kernel<false>)<<<cut_grid(x), kCutThreads, 0, stream>>>(x.data, x.count, x.depth, reinterpret_cast<uint32_t*>(exponents));
  exponents_kernel<<<static_cast<unsigned>(blocks_of(count, 256)), 256, 0, stream>>>(exponents, count);
}

// False if the product has more rows, columns, blocks or batches than a grid.
template <int S, bool kByRow>
bool int_product(const IntGemm& g, const float* a, const float* b, int32_t* row_exponents, int32_t* column_exponents, float* c, cudaStream_t stream) {
  using T = IntTiling<S>;
  const Operand rows{a, g.batch, g.m, g.k, g.trans_a != 0}, columns{b, g.batch, g.n, g.k, g.trans_b == 0};
  constexpr int64_t kMost = 65535;
  if (g.batch > kMost || blocks_of(g.m, T::kM) > kMost || rows.blocks() > kMost) return false;
  const int64_t plane_a = rows.batch * rows.count * rows.padded(), plane_b = columns.batch * columns.count * columns.padded();
  const StreamMemory planes(static_cast<size_t>(S * (plane_a + plane_b)), stream);
  const StreamMemory exponents(static_cast<size_t>(kByRow ? 4 : 4 * g.batch * rows.blocks() * (g.m + g.n)), stream);
  if constexpr (kByRow) {
    find_exponents(rows, row_exponents, stream);
    find_exponents(columns, column_exponents, stream);
  } else {
    row_exponents = exponents.as<int32_t>();
    column_exponents = row_exponents + g.batch * rows.blocks() * g.m;
  }
  const auto cut = [&](const Operand& x, int8_t* to, int64_t plane, int32_t* e) {
    (x.across ? cut_kernel<S, kByRow, true> : cut_kernel<S, kByRow, false>)<<<cut_grid(x), kCutThreads, 0, stream>>>(x.data, x.count, x.depth, to, plane, e);
  };
  int8_t *const planes_a = planes.as<int8_t>(), *const planes_b = planes_a + S * plane_a;
  cut(rows, planes_a, plane_a, row_exponents);
  cut(columns, planes_b, plane_b, column_exponents);
  const auto kernel = int_product_kernel<S, kByRow>;
  static const cudaError_t allowed = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, T::kSharedBytes);
  CHECK(allowed == cudaSuccess);
  const dim3 grid(static_cast<unsigned>(blocks_of(g.n, T::kN)), static_cast<unsigned>(blocks_of(g.m, T::kM)), static_cast<unsigned>(g.batch));
  kernel<<<grid, T::kThreads, T::kSharedBytes, stream>>>(g.m, g.n, rows.blocks(), planes_a, planes_b, plane_a, plane_b, row_exponents, column_exponents, c);
  return true;
}

}  // namespace cairn::kernels::CAIRN_ISA
