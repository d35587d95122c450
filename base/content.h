// Content ids as they are opened: the chunk tree of base/blake3.h, plain or keyed.
//
// A private job's buffers have keyed ids (BLAKE3's keyed mode): who has not the key cannot tell whether two jobs, or a job and
// something public, are about the same bytes. The tree is the same one, so slices open alike.
#pragma once

#include <optional>

#include "base/blake3.h"

namespace cairn {

using ContentKey = std::optional<Hash>;  // none: plain ids

Hash blake3(ByteSpan bytes, const ContentKey& key);
Hasher content_hasher(const ContentKey& key);
ChainingValue chunk_cv(ByteSpan chunk, uint64_t index, const ContentKey& key);
ChainingValue parent_cv(const ChainingValue& left, const ChainingValue& right, const ContentKey& key);
Hash root_of_chunk(ByteSpan chunk, const ContentKey& key);
Hash root_of_parent(const ChainingValue& left, const ChainingValue& right, const ContentKey& key);
// The chaining value of the node over all of `bytes`, at least one chunk, whose first chunk has this number. Not a root. Many
// chunks side by side: as fast as hashing the bytes.
ChainingValue subtree_cv(ByteSpan bytes, uint64_t first, const ContentKey& key = {});

}  // namespace cairn
