#include "base/sha256.h"

#include <sodium.h>

namespace cairn {

Hash sha256(ByteSpan bytes) {
  Hash out;
  static_assert(sizeof out.v == crypto_hash_sha256_BYTES);
  crypto_hash_sha256(out.v.data(), bytes.data(), bytes.size());
  return out;
}

}  // namespace cairn
