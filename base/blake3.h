// BLAKE3: content ids, tagged hashes, and the chunk tree behind every slice proof. blake3.cc has it from the C library;
// blake3_portable.cc without, for programs that are built where that is not.
#pragma once

#include <array>
#include <bit>
#include <string_view>

#include "base/bytes.h"
#include "base/codec.h"

namespace cairn {

inline constexpr size_t kChunkBytes = 1024;  // a leaf of BLAKE3's own tree

class Hasher {
 public:
  Hasher();
  explicit Hasher(const Hash& key);  // BLAKE3's keyed mode; only where base/content.h is
  Hasher& update(ByteSpan bytes);
  Hash finish() const;

 private:
  alignas(8) std::array<uint8_t, 1920> state_;  // blake3_hasher, kept out of the header
};

// Content id of any bytes.
Hash blake3(ByteSpan bytes);

// Hash of a value under a domain name: BLAKE3(len(tag):u8, tag, parts...). Two tags never give the same input.
inline Hash tagged_hash(std::string_view tag, std::initializer_list<ByteSpan> parts) {
  CHECK(tag.size() < 256);
  const uint8_t size = static_cast<uint8_t>(tag.size());
  Hasher hasher;
  hasher.update({&size, 1}).update(as_bytes(tag));
  for (ByteSpan part : parts) hasher.update(part);
  return hasher.finish();
}
template <class T>
Hash hash_of(std::string_view tag, const T& value) {
  const Bytes bytes = encode(value);
  return tagged_hash(tag, {bytes});
}

// The chunk tree of BLAKE3 (section 2.1 of its paper): a chunk's chaining value depends on its bytes and index, a parent's
// on its two children; the root of a tree of one chunk or one parent is hashed with the root flag and is the content id.
using ChainingValue = Hash;
ChainingValue chunk_cv(ByteSpan chunk, uint64_t index);                         // chunk: 1..1024 bytes, not a root
ChainingValue parent_cv(const ChainingValue& left, const ChainingValue& right);  // not a root
Hash root_of_chunk(ByteSpan chunk);                                             // 0..1024 bytes: the whole message
Hash root_of_parent(const ChainingValue& left, const ChainingValue& right);
// Number of chunks in the left subtree of a tree of `chunks` >= 2 chunks: the largest power of two below it.
inline uint64_t left_chunks(uint64_t chunks) {
  CHECK(chunks >= 2);
  return std::bit_floor(chunks - 1);
}

}  // namespace cairn
