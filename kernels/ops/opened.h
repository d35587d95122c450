// What a dispute's last move opens for the fold of one element, so that a call that needs more is refused (attest/dispute.h,
// kMaxMoveBytes). What folds read that take 256 positions of two operands at a time always fits; here is what windows read.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

namespace cairn::kernels {

inline constexpr int64_t kOpenedBytes = (1088 - 12) * 1024;  // 12 KiB are for where two operands come from
inline constexpr int64_t kOpenedChunk = 1024, kChunkSent = kOpenedChunk + 12, kHashSent = 32;  // with its index and length

// Positions along a dimension: so many, `step` apart.
struct Reads {
  int64_t count, step;
};

// The most bytes that are sent of an operand (rows, dim...) with elements of `size` bytes, where one row is read at `reads`. A
// hash stands beside the way to an end of a run of chunks: at each level of the tree no more than there are ends, nodes over the
// row, or pairs of nodes.
inline int64_t opened_bytes(int64_t size, int64_t rows, const int64_t (&dim)[3], const Reads (&reads)[3]) {
  constexpr int64_t kMost = int64_t{1} << 46;  // bytes of an operand
  const auto times = [](int64_t a, int64_t b) { return b > 0 && a > kMost / b ? kMost : a * b; };
  const int64_t row = times(times(times(size, dim[0]), dim[1]), dim[2]), chunks_of_row = row / kOpenedChunk + 2;
  const auto levels = static_cast<int64_t>(std::bit_width(static_cast<uint64_t>((times(row, rows) - 1) / kOpenedChunk)));
  const int64_t of_chunk = kOpenedChunk / size, runs = std::min(reads[0].count * reads[1].count, kOpenedBytes);
  const auto [count, step] = reads[2];
  const bool apart = step > of_chunk;
  const int64_t of_run = apart ? count : std::min(count, ((count - 1) * step - 1) / of_chunk + 2);
  const int64_t chunks = std::min(runs * of_run, chunks_of_row), ends = std::min(runs * (apart ? count : std::min<int64_t>(of_run, 2)), chunks);
  int64_t hashes = 0;
  for (int64_t level = 0; level < levels; level++)
    hashes += std::min({ends, (chunks_of_row >> level) + 2, int64_t{1} << (levels - 1 - level)});
  return chunks * kChunkSent + hashes * kHashSent;
}

}  // namespace cairn::kernels
