#include "base/content.h"

#include <algorithm>

extern "C" {
#include <blake3.h>
// The compression function that the chunk tree needs is not in the public header.
#include <blake3_impl.h>
}

namespace cairn {
namespace {

static_assert(sizeof(blake3_hasher) <= 1920);

using CvWords = std::array<uint32_t, 8>;

// Where every compression of a tree begins, and the flag that they all carry.
struct Mode {
  CvWords start;
  uint8_t flag = 0;

  Mode() {
    for (size_t i = 0; i < 8; i++) start[i] = IV[i];
  }
  explicit Mode(const ContentKey& key) : Mode() {
    if (!key) return;
    flag = KEYED_HASH;
    for (size_t i = 0; i < 8; i++) {
      start[i] = 0;
      for (size_t b = 0; b < 4; b++) start[i] |= uint32_t{key->v[i * 4 + b]} << (8 * b);
    }
  }
};

Hash to_hash(const CvWords& words) {
  Hash out;
  for (size_t i = 0; i < 8; i++)
    for (size_t b = 0; b < 4; b++) out.v[i * 4 + b] = static_cast<uint8_t>(words[i] >> (8 * b));
  return out;
}

// One chunk, block by block; `extra` is ROOT for a message of a single chunk.
CvWords compress_chunk(const Mode& mode, ByteSpan chunk, uint64_t index, uint8_t extra) {
  CHECK(chunk.size() <= kChunkBytes);
  CvWords cv = mode.start;
  size_t at = 0;
  do {
    uint8_t block[BLAKE3_BLOCK_LEN] = {};
    const size_t size = std::min<size_t>(BLAKE3_BLOCK_LEN, chunk.size() - at);
    if (size) std::memcpy(block, chunk.data() + at, size);
    uint8_t flags = static_cast<uint8_t>(mode.flag | (at == 0 ? CHUNK_START : 0));
    if (at + size == chunk.size()) flags = static_cast<uint8_t>(flags | CHUNK_END | extra);
    blake3_compress_in_place(cv.data(), block, static_cast<uint8_t>(size), index, flags);
    at += size;
  } while (at < chunk.size());
  return cv;
}

Hash compress_parent(const Mode& mode, const ChainingValue& left, const ChainingValue& right, uint8_t flags) {
  uint8_t block[BLAKE3_BLOCK_LEN];
  std::memcpy(block, left.data(), 32);
  std::memcpy(block + 32, right.data(), 32);
  CvWords cv = mode.start;
  blake3_compress_in_place(cv.data(), block, BLAKE3_BLOCK_LEN, 0, static_cast<uint8_t>(PARENT | flags | mode.flag));
  return to_hash(cv);
}

}  // namespace

Hasher::Hasher() { blake3_hasher_init(reinterpret_cast<blake3_hasher*>(state_.data())); }

Hasher::Hasher(const Hash& key) { blake3_hasher_init_keyed(reinterpret_cast<blake3_hasher*>(state_.data()), key.data()); }

Hasher& Hasher::update(ByteSpan bytes) {
  blake3_hasher_update(reinterpret_cast<blake3_hasher*>(state_.data()), bytes.data(), bytes.size());
  return *this;
}

Hash Hasher::finish() const {
  Hash out;
  blake3_hasher_finalize(reinterpret_cast<const blake3_hasher*>(state_.data()), out.data(), 32);
  return out;
}

Hash blake3(ByteSpan bytes) { return Hasher().update(bytes).finish(); }

Hasher content_hasher(const ContentKey& key) { return key ? Hasher(*key) : Hasher(); }
Hash blake3(ByteSpan bytes, const ContentKey& key) { return content_hasher(key).update(bytes).finish(); }

ChainingValue chunk_cv(ByteSpan chunk, uint64_t index, const ContentKey& key) { return to_hash(compress_chunk(Mode(key), chunk, index, 0)); }
ChainingValue chunk_cv(ByteSpan chunk, uint64_t index) { return to_hash(compress_chunk(Mode(), chunk, index, 0)); }

// Level by level: pairs of neighbours, and a node without one goes up as it is, which is the tree that BLAKE3 defines.
ChainingValue subtree_cv(ByteSpan bytes, uint64_t first, const ContentKey& key) {
  CHECK(!bytes.empty());
  const Mode mode(key);
  constexpr size_t kTogether = MAX_SIMD_DEGREE;
  const size_t whole = bytes.size() / kChunkBytes, count = (bytes.size() - 1) / kChunkBytes + 1;
  Bytes level(count * BLAKE3_OUT_LEN);
  const uint8_t* inputs[kTogether];
  for (size_t c = 0; c < whole; c += kTogether) {
    const size_t n = std::min(kTogether, whole - c);
    for (size_t i = 0; i < n; i++) inputs[i] = bytes.data() + (c + i) * kChunkBytes;
    blake3_hash_many(inputs, n, kChunkBytes / BLAKE3_BLOCK_LEN, mode.start.data(), first + c, true, mode.flag, CHUNK_START, CHUNK_END, level.data() + c * BLAKE3_OUT_LEN);
  }
  if (whole < count) {
    const Hash last = chunk_cv(bytes.subspan(whole * kChunkBytes), first + whole, key);
    std::memcpy(level.data() + whole * BLAKE3_OUT_LEN, last.data(), BLAKE3_OUT_LEN);
  }
  for (size_t nodes = count; nodes > 1; nodes = (nodes + 1) / 2) {
    const size_t pairs = nodes / 2;
    for (size_t p = 0; p < pairs; p += kTogether) {
      const size_t n = std::min(kTogether, pairs - p);
      for (size_t i = 0; i < n; i++) inputs[i] = level.data() + (p + i) * BLAKE3_BLOCK_LEN;
      uint8_t parents[kTogether * BLAKE3_OUT_LEN];  // hash_many reads all inputs while it writes
      blake3_hash_many(inputs, n, 1, mode.start.data(), 0, false, static_cast<uint8_t>(PARENT | mode.flag), 0, 0, parents);
      std::memcpy(level.data() + p * BLAKE3_OUT_LEN, parents, n * BLAKE3_OUT_LEN);
    }
    if (nodes % 2) std::memmove(level.data() + pairs * BLAKE3_OUT_LEN, level.data() + (nodes - 1) * BLAKE3_OUT_LEN, BLAKE3_OUT_LEN);
  }
  return *Hash::from(ByteSpan(level).first(BLAKE3_OUT_LEN));
}

Hash root_of_chunk(ByteSpan chunk, const ContentKey& key) { return to_hash(compress_chunk(Mode(key), chunk, 0, ROOT)); }
ChainingValue parent_cv(const ChainingValue& left, const ChainingValue& right, const ContentKey& key) {
  return compress_parent(Mode(key), left, right, 0);
}
Hash root_of_parent(const ChainingValue& left, const ChainingValue& right, const ContentKey& key) {
  return compress_parent(Mode(key), left, right, ROOT);
}
Hash root_of_chunk(ByteSpan chunk) { return root_of_chunk(chunk, {}); }
ChainingValue parent_cv(const ChainingValue& left, const ChainingValue& right) { return parent_cv(left, right, {}); }
Hash root_of_parent(const ChainingValue& left, const ChainingValue& right) { return root_of_parent(left, right, {}); }

}  // namespace cairn
