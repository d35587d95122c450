// A whole subtree of BLAKE3's chunk tree (blake3.h) at once, many chunks side by side: as fast as hashing its bytes.
#pragma once

#include "base/blake3.h"

namespace cairn {

// The chaining value of the node over all of `bytes`, at least one chunk, whose first chunk has this number. Not a root.
ChainingValue subtree_cv(ByteSpan bytes, uint64_t first);

}  // namespace cairn
