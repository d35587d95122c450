// The CUDA bodies of a family: the definitions themselves, run with a thread an element, or a warp where an element
// reduces a row; products have kernels of their own (device_gemm.cuh, device_int_gemm.cuh). Compiled with the flags of
// cmake/compiler.cmake: no contraction, correct division and square root, denormals kept.
#define CAIRN_ISA isa_cuda
#include "kernels/device.h"
#include "kernels/device_memory.cuh"
#include "kernels/family.h"
#ifdef CAIRN_FAMILY_products
#include "kernels/device_int_gemm.cuh"
#endif

namespace cairn::kernels {
namespace CAIRN_ISA {

inline constexpr int kThreads = 256, kWarp = 32;

// A fold's source over device memory.
template <int kMost>
struct DeviceSource {
  const void* data[kMost];
  int size[kMost];  // bytes an element

  __device__ uint64_t bits(size_t operand, int64_t element) const {
    if (size[operand] == 8) return static_cast<const uint64_t*>(data[operand])[element];
    if (size[operand] == 1) return static_cast<const uint8_t*>(data[operand])[element];
    if (size[operand] == 2) return static_cast<const uint16_t*>(data[operand])[element];
    return static_cast<const uint32_t*>(data[operand])[element];
  }
  __device__ float f32(size_t operand, int64_t element) const { return static_cast<const float*>(data[operand])[element]; }
  __device__ int64_t i64(size_t operand, int64_t element) const { return static_cast<const int64_t*>(data[operand])[element]; }
};

// The same, read by a warp that runs one fold together. A block of the recursive rule is a warp: its 32 strided lanes are
// the 32 threads, and the butterfly is a shuffle.
struct WarpSource : DeviceSource<kUsualOperands> {};

__device__ inline int warp_lane() { return threadIdx.x % kWarp; }
__device__ inline float warp_butterfly_sum(float x) {
  for (int w = kWarp / 2; w > 0; w /= 2) x = x + __shfl_down_sync(0xFFFFFFFFu, x, w);
  return __shfl_sync(0xFFFFFFFFu, x, 0);
}
template <class Term>
__device__ float sum_block(const WarpSource&, int64_t n, Term term) {
  float lane = -0.0f;
  for (int64_t i = warp_lane(); i < n; i += kWarp) lane = lane + term(i);
  return warp_butterfly_sum(lane);
}
template <class Term>
__device__ float sum_of(const WarpSource& source, int64_t n, Term term) {
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
__device__ float max_of(const WarpSource&, int64_t n, Term term) {
  float best = as_float(0xFF800000u);
  for (int64_t i = warp_lane(); i < n; i += kWarp) best = greater(best, term(i));
  for (int w = kWarp / 2; w > 0; w /= 2) best = greater(best, __shfl_xor_sync(0xFFFFFFFFu, best, w));
  return canonical(best + 0.0f);
}
template <class Term>
__device__ int64_t argmax_of(const WarpSource&, int64_t n, Term term) {
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
__device__ int64_t count_of(const WarpSource&, int64_t n, Condition condition) {
  int64_t count = 0;
  for (int64_t i = warp_lane(); i < n; i += kWarp) count += condition(i);
  for (int w = kWarp / 2; w > 0; w /= 2) count += __shfl_xor_sync(0xFFFFFFFFu, count, w);
  return count;
}

template <class Op, class S>
__device__ uint64_t folded(const typename Op::Args& args, const StepContext& step, size_t output, int64_t element, int64_t blocks, const S& source) {
  Carry carry{};
  for (int64_t b = 0; b < blocks; b++) carry = Op::fold(args, step, output, element, b, carry, source);
  return carry.lo;
}
__device__ inline void write_bits(void* out, int size, int64_t element, uint64_t bits) {
  if (size == 8) static_cast<uint64_t*>(out)[element] = bits;
  else if (size == 1) static_cast<uint8_t*>(out)[element] = static_cast<uint8_t>(bits);
  else if (size == 2) static_cast<uint16_t*>(out)[element] = static_cast<uint16_t>(bits);
  else static_cast<uint32_t*>(out)[element] = static_cast<uint32_t>(bits);
}

template <class Op>
using SourceOf = DeviceSource<most_operands<Op>()>;

// Elements first, first + stride, ... below end, of one block each: kEach at a time, so that their loads are in flight at once.
inline constexpr int kEach = 4;
template <class Op>
__device__ void run_elements(const typename Op::Args& args, const StepContext& step, size_t output, int64_t first, int64_t end, int64_t stride,
                             const SourceOf<Op>& source, void* out, int out_size) {
  int64_t e = first;
  for (; e + (kEach - 1) * stride < end; e += kEach * stride) {
    uint64_t bits[kEach];
#pragma unroll
    for (int i = 0; i < kEach; i++) bits[i] = Op::fold(args, step, output, e + i * stride, 0, {}, source).lo;
#pragma unroll
    for (int i = 0; i < kEach; i++) write_bits(out, out_size, e + i * stride, bits[i]);
  }
  for (; e < end; e += stride) write_bits(out, out_size, e, Op::fold(args, step, output, e, 0, {}, source).lo);
}

// A thread an element, or kEach where an element takes one block.
template <class Op>
__global__ void __launch_bounds__(kThreads)
    element_kernel(const __grid_constant__ typename Op::Args args, const StepContext* step_at, size_t output, int64_t count,
                   int64_t blocks, const __grid_constant__ SourceOf<Op> source, void* out, int out_size) {
  const StepContext step = *step_at;
  if (blocks == 1) {
    const int64_t begin = int64_t{blockIdx.x} * kThreads * kEach;
    run_elements<Op>(args, step, output, begin + threadIdx.x, least(count, begin + kThreads * kEach), kThreads, source, out, out_size);
  } else if (const int64_t e = int64_t{blockIdx.x} * kThreads + threadIdx.x; e < count) {
    write_bits(out, out_size, e, folded<Op>(args, step, output, e, blocks, source));
  }
}

// A warp an element.
template <class Op>
__global__ void __launch_bounds__(kThreads)
    warp_kernel(const __grid_constant__ typename Op::Args args, const StepContext* step_at, size_t output, int64_t count,
                int64_t blocks, const __grid_constant__ WarpSource source, void* out, int out_size) {
  const StepContext step = *step_at;
  const int64_t e = (int64_t{blockIdx.x} * kThreads + threadIdx.x) / kWarp;
  if (e >= count) return;
  const uint64_t bits = folded<Op>(args, step, output, e, blocks, source);
  if (warp_lane() == 0) write_bits(out, out_size, e, bits);
}

inline void require_launched(const char* name) {
  const cudaError_t error = cudaGetLastError();
  if (error != cudaSuccess)
    throw Fault({Code::internal, std::string(name) + ": the GPU refused a launch: " + cudaGetErrorString(error), ""});
}

// Blocks of threads, as many as one launch takes: 2^31 - 1.
inline unsigned grid_of(int64_t blocks) {
  if (blocks > INT32_MAX) throw Fault({Code::internal, "a call has more elements than one launch takes", ""});
  return static_cast<unsigned>(blocks);
}

// Columns: neighbouring elements whose folds are long, and few. What the folds read of their kColumnOperands is found by the folds
// themselves, run ahead over a source that copies what they ask for to a tape in shared memory, one a thread; run again over the
// tape they wait for no memory, so that the chain of additions sets the pace. The first warp folds a block, one of the others
// records the block after next, another waits for the next.
inline constexpr int kTapes = 3, kTapeColumns = 16, kTapeThreads = (1 + kTapes) * kWarp;
template <class Op>
struct TapeSource {
  const SourceOf<Op>& memory;
  float* at[Op::kColumnOperands];  // next element, operand by operand

  __device__ TapeSource(const SourceOf<Op>& m, float* tape) : memory(m) {
#pragma unroll
    for (int k = 0; k < Op::kColumnOperands; k++) at[k] = tape + k * kFoldBlock * kTapeColumns;
  }
  __device__ float* next(size_t operand) {
    float* const here = at[operand];
    at[operand] += kTapeColumns;
    return here;
  }
};
template <class Op>
struct TapeWriter : TapeSource<Op> {
  using TapeSource<Op>::TapeSource;
  __device__ float f32(size_t operand, int64_t element) {
    const float* const from = static_cast<const float*>(this->memory.data[operand]) + element;
    float touched = 0.0f;
    if (operand < Op::kColumnOperands) copy_async<4>(this->next(operand), from);
    else asm volatile("ld.global.f32 %0, [%1];" : "=f"(touched) : "l"(from));  // the fold will find it in the cache
    return touched;
  }
};
template <class Op>
struct TapeReader : TapeSource<Op> {
  using TapeSource<Op>::TapeSource;
  __device__ float f32(size_t operand, int64_t element) {
    return operand < Op::kColumnOperands ? *this->next(operand) : this->memory.f32(operand, element);
  }
};
template <class Op>
inline constexpr int tape_floats() {
  return Op::kColumnOperands * static_cast<int>(kFoldBlock) * kTapeColumns;
}
template <class Op>
__global__ void __launch_bounds__(kTapeThreads)
    column_kernel(const __grid_constant__ typename Op::Args args, const StepContext* step_at, size_t output, int64_t count,
                  int64_t blocks, const __grid_constant__ SourceOf<Op> source, void* out, int out_size) {
  extern __shared__ float tapes[];
  const StepContext step = *step_at;
  const int warp = threadIdx.x / kWarp;
  const int64_t e = int64_t{blockIdx.x} * kTapeColumns + warp_lane();
  const bool folds = warp_lane() < kTapeColumns && e < count;
  const auto tape = [&](int64_t block) { return tapes + block % kTapes * tape_floats<Op>() + warp_lane(); };
  const auto records = [&](int64_t block) { return block >= 0 && block < blocks && warp == 1 + block % kTapes; };
  Carry carry{};
  for (int64_t b = -2; b < blocks; b++) {
    if (records(b + 2) && folds) {
      TapeWriter<Op> writer(source, tape(b + 2));
      Op::fold(args, step, output, e, b + 2, {}, writer);
    }
    if (records(b + 1)) {
      end_copy_group();
      wait_for_copies<0>();
    }
    if (b >= 0 && warp == 0 && folds) {
      TapeReader<Op> reader(source, tape(b));
      carry = Op::fold(args, step, output, e, b, carry, reader);
    }
    __syncthreads();
  }
  if (warp == 0 && folds) write_bits(out, out_size, e, carry.lo);
}
template <class Op>
void launch_columns(const typename Op::Args& args, const StepContext* step, size_t output, int64_t count, int64_t blocks,
                    const SourceOf<Op>& source, void* out, int out_size, cudaStream_t stream) {
  constexpr int kBytes = kTapes * tape_floats<Op>() * 4;
  static const cudaError_t allowed = cudaFuncSetAttribute(column_kernel<Op>, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
  CHECK(allowed == cudaSuccess);
  column_kernel<Op><<<grid_of(blocks_of(count, kTapeColumns)), kTapeThreads, kBytes, stream>>>(args, step, output, count, blocks, source, out, out_size);
}

struct DeviceOutput {
  void* data;
  int size;  // bytes an element
};
template <class Op>
struct RowOutputs {
  DeviceOutput of[Op::kRowOutputs + 1];
};
// A warp a row: what reduces it, then its elements, while the row is in the caches.
template <class Op>
__global__ void __launch_bounds__(kThreads)
    row_kernel(const __grid_constant__ typename Op::Args args, const StepContext* step_at, int64_t rows, int64_t columns,
               const __grid_constant__ WarpSource source, const __grid_constant__ RowOutputs<Op> out) {
  const StepContext step = *step_at;
  const int64_t row = (int64_t{blockIdx.x} * kThreads + threadIdx.x) / kWarp;
  if (row >= rows) return;
  constexpr size_t kLast = Op::kRowOutputs;
#pragma unroll
  for (size_t o = 0; o < kLast; o++) {
    const uint64_t bits = folded<Op>(args, step, o, row, 1, source);
    if (warp_lane() == 0) write_bits(out.of[o].data, out.of[o].size, row, bits);
    __syncwarp();
  }
  run_elements<Op>(args, step, kLast, row * columns + warp_lane(), (row + 1) * columns, kWarp, source, out.of[kLast].data, out.of[kLast].size);
}

template <class Op>
inline constexpr int row_outputs() {
  if constexpr (requires { Op::kRowOutputs; }) return static_cast<int>(Op::kRowOutputs);
  else return 0;
}

// Products have kernels of their own; false if this is none, or one that they do not take.
template <class Op>
bool run_product([[maybe_unused]] const typename Op::Args& args, [[maybe_unused]] std::span<const void* const> in,
                 [[maybe_unused]] std::span<void* const> out, [[maybe_unused]] cudaStream_t stream) {
#ifdef CAIRN_FAMILY_products
  const auto operand = [&](int k) { return static_cast<const float*>(in[k]); };
  const auto result = [&](int k) { return static_cast<float*>(out[k]); };
  const auto exponents = [&](int k) { return static_cast<int32_t*>(out[k]); };
  if constexpr (std::is_base_of_v<Product, Op>) return product(args, 1, operand(0), operand(1), args.bias ? operand(2) : nullptr, result(0), stream);
  if constexpr (std::is_same_v<Bmm, Op>) return product(args.one, args.batch, operand(0), operand(1), nullptr, result(0), stream);
  if constexpr (std::is_base_of_v<BlockedIntProduct<Op, 2>, Op>)
    return int_product<2, false>(args, operand(0), operand(1), nullptr, nullptr, result(0), stream);
  if constexpr (std::is_base_of_v<BlockedIntProduct<Op, 3>, Op>)
    return int_product<3, false>(args, operand(0), operand(1), nullptr, nullptr, result(0), stream);
  if constexpr (std::is_same_v<MatmulInt2Row, Op>)
    return int_product<2, true>(args, operand(0), operand(1), exponents(0), exponents(1), result(2), stream);
#endif
  return false;
}

template <class Op>
void device_body(const CallShape& call, const StepContext* step, std::span<const void* const> in, std::span<void* const> out,
                 void* stream_pointer) {
  const typename Op::Args args = Op::args(call);
  const auto stream = static_cast<cudaStream_t>(stream_pointer);
  if (run_product<Op>(args, in, out, stream)) return require_launched(Op::kText.name);
  using Source = std::conditional_t<row_outputs<Op>() == 0, SourceOf<Op>, WarpSource>;
  Source source{};
  for (size_t k = 0; k < call.in.size(); k++) {
    source.data[k] = in[k];
    source.size[k] = static_cast<int>(size_of(call.in[k].dtype));
  }
  for (size_t o = 0; o < call.out.size(); o++) {
    source.data[call.in.size() + o] = out[o];
    source.size[call.in.size() + o] = static_cast<int>(size_of(call.out[o].dtype));
  }
  constexpr bool kWholeRows = requires { requires Op::kWholeRows; };
  if constexpr (kWholeRows) {
    const int64_t rows = elements(call.out[0]), columns = elements(call.out.back()) / rows;
    if (const int64_t grid = blocks_of(rows * kWarp, kThreads); grid >= multiprocessors()) {
      RowOutputs<Op> outputs;
      for (size_t o = 0; o < call.out.size(); o++) outputs.of[o] = {out[o], static_cast<int>(size_of(call.out[o].dtype))};
      row_kernel<Op><<<grid_of(grid), kThreads, 0, stream>>>(args, step, rows, columns, source, outputs);
      return require_launched(Op::kText.name);
    }
  }
  for (size_t o = 0; o < call.out.size(); o++) {
    const int64_t count = elements(call.out[o]), blocks = Op::blocks(args, o);
    const int size = static_cast<int>(size_of(call.out[o].dtype));
    if (static_cast<int>(o) < row_outputs<Op>()) {
      if constexpr (row_outputs<Op>() > 0)
        warp_kernel<Op><<<grid_of(blocks_of(count * kWarp, kThreads)), kThreads, 0, stream>>>(args, step, o, count, blocks, source, out[o], size);
    } else {
      if constexpr (requires { Op::kColumnOperands; }) {
        if (blocks > 1) {
          launch_columns<Op>(args, step, o, count, blocks, source, out[o], size, stream);
          require_launched(Op::kText.name);
          continue;
        }
      }
      const int64_t grid = blocks_of(count, blocks == 1 ? kThreads * kEach : kThreads);
      element_kernel<Op><<<grid_of(grid), kThreads, 0, stream>>>(args, step, o, count, blocks, source, out[o], size);
    }
    require_launched(Op::kText.name);
  }
}

#define FAMILY_OPERATOR(Op) \
  template void device_body<Op>(const CallShape& call, const StepContext* step, std::span<const void* const> in, std::span<void* const> out, void* stream);
#include "kernels/operators.def"

}  // namespace CAIRN_ISA
}  // namespace cairn::kernels
