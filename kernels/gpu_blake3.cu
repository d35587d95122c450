// BLAKE3 of memory on the GPU: a thread a chunk, then pairs of nodes. The tree of BLAKE3 is what pairing neighbours level by
// level gives, where a node without a neighbour goes up as it is; so a block may take any aligned run of nodes to the top of
// its subtree by itself.
#include <cuda_runtime.h>

#include "base/blake3.h"
#include "base/blake3_compress.h"
#include "kernels/gpu.h"

namespace cairn::kernels {
namespace {

using namespace blake3_words;

constexpr int kLeaves = 128;  // of a block; a thread each

// The chaining value of a chunk; of the whole message if `only`.
__device__ Words8 hash_chunk(const uint8_t* chunk, int size, uint64_t index, bool only) {
  Words8 cv = initial();
  for (int at = 0; at == 0 || at < size; at += kBlockBytes) {
    const int here = size - at < kBlockBytes ? size - at : kBlockBytes;
    Words16 block{};
    if (here == kBlockBytes) {
      const auto* from = reinterpret_cast<const uint4*>(chunk + at);
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const uint4 four = from[i];
        block.w[4 * i] = four.x;
        block.w[4 * i + 1] = four.y;
        block.w[4 * i + 2] = four.z;
        block.w[4 * i + 3] = four.w;
      }
    } else {
#pragma unroll
      for (int i = 0; i < kBlockBytes; i++)
        if (i < here) block.w[i / 4] |= uint32_t{chunk[at + i]} << (i % 4 * 8);
    }
    const uint32_t flags = (at == 0 ? kChunkStart : 0) | (at + here == size ? kChunkEnd | (only ? kRoot : 0) : 0);
    cv = compress(cv, block, index, static_cast<uint32_t>(here), flags);
  }
  return cv;
}

// Leaf i is a chunk of `data` (kOfChunks) or node i of `nodes`; block b writes the top of its leaves to out[b].
template <bool kOfChunks>
__global__ void __launch_bounds__(kLeaves) subtree_kernel(const uint8_t* data, size_t size, const Words8* nodes, int64_t leaves, Words8* out) {
  __shared__ Words8 level[kLeaves];
  const int64_t first = int64_t{blockIdx.x} * kLeaves, leaf = first + threadIdx.x;
  int count = leaves - first < kLeaves ? static_cast<int>(leaves - first) : kLeaves;
  if (leaf < leaves) {
    if constexpr (kOfChunks) {
      const size_t begin = static_cast<size_t>(leaf) * kChunkBytes;
      level[threadIdx.x] = hash_chunk(data + begin, static_cast<int>(size - begin < kChunkBytes ? size - begin : kChunkBytes),
                                      static_cast<uint64_t>(leaf), leaves == 1);
    } else {
      level[threadIdx.x] = nodes[leaf];
    }
  }
  while (count > 1) {
    __syncthreads();
    const int at = static_cast<int>(threadIdx.x) * 2;
    const uint32_t root = gridDim.x == 1 && count == 2 ? kRoot : 0;
    Words8 node{};
    if (at + 1 < count) node = compress_parent(level[at], level[at + 1], root);
    else if (at < count) node = level[at];
    __syncthreads();
    if (at < count) level[threadIdx.x] = node;
    count = (count + 1) / 2;
  }
  if (threadIdx.x == 0) out[blockIdx.x] = level[0];
}

int64_t chunks_of(size_t size) { return size == 0 ? 1 : static_cast<int64_t>((size + kChunkBytes - 1) / kChunkBytes); }
int64_t tops_of(int64_t leaves) { return (leaves + kLeaves - 1) / kLeaves; }

}  // namespace

size_t blake3_scratch_bytes(size_t size) { return 2 * sizeof(Words8) * static_cast<size_t>(tops_of(chunks_of(size))); }

void blake3_on_gpu(GpuStream& stream, const void* data, size_t size, void* scratch, void* digest) {
  const auto on = static_cast<cudaStream_t>(stream.handle());
  CHECK(reinterpret_cast<uintptr_t>(data) % 16 == 0);
  int64_t leaves = chunks_of(size), tops = tops_of(leaves);
  Words8 *from = nullptr, *to = static_cast<Words8*>(scratch), *other = to + tops;
  const auto target = [&] { return tops == 1 ? static_cast<Words8*>(digest) : to; };
  subtree_kernel<true><<<static_cast<unsigned>(tops), kLeaves, 0, on>>>(static_cast<const uint8_t*>(data), size, nullptr, leaves, target());
  while (tops > 1) {
    from = to;
    std::swap(to, other);
    leaves = tops;
    tops = tops_of(leaves);
    subtree_kernel<false><<<static_cast<unsigned>(tops), kLeaves, 0, on>>>(nullptr, 0, from, leaves, target());
  }
  if (const cudaError_t error = cudaGetLastError(); error != cudaSuccess)
    throw Fault({Code::internal, std::string("the GPU refused to hash: ") + cudaGetErrorString(error), ""});
}

}  // namespace cairn::kernels
