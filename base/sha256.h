// SHA-256, for what others hash by it; everything of ours is BLAKE3.
#pragma once

#include "base/bytes.h"

namespace cairn {

Hash sha256(ByteSpan bytes);

}  // namespace cairn
