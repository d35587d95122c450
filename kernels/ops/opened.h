// How much the fold of one element may read, so that a dispute opens it in one move (attest/dispute.h, kMaxMoveBytes: 1088 KiB).
#pragma once

namespace cairn::kernels {

inline constexpr double kOpenedChunks = 1060;  // of 1 KiB
inline constexpr double kPathChunks = 0.8;     // what shows the place of one run of chunks: 25 hashes of its operand's tree

}  // namespace cairn::kernels
