// base/blake3.h without the C library: for programs that are built where Debian's packages are not (scripts/gpu-check).
// Slow; the same digests.
#include <bit>

#include "base/blake3.h"
#include "base/blake3_compress.h"

namespace cairn {
namespace {

using namespace blake3_words;
static_assert(std::endian::native == std::endian::little);

Words8 words_of(const ChainingValue& cv) { return std::bit_cast<Words8>(cv.v); }
Hash hash_of_words(const Words8& words) { return {std::bit_cast<std::array<uint8_t, 32>>(words)}; }

Words8 compress_chunk(ByteSpan chunk, uint64_t index, uint32_t extra) {
  CHECK(chunk.size() <= kChunkBytes);
  Words8 cv = initial();
  size_t at = 0;
  do {
    Words16 block{};
    const size_t size = std::min<size_t>(kBlockBytes, chunk.size() - at);
    if (size) std::memcpy(block.w, chunk.data() + at, size);
    const uint32_t start = at == 0 ? kChunkStart : 0, end = at + size == chunk.size() ? kChunkEnd | extra : 0;
    cv = compress(cv, block, index, static_cast<uint32_t>(size), start | end);
    at += size;
  } while (at < chunk.size());
  return cv;
}

// Whole chunks that more bytes follow are merged at once: bit b of `chunks` says that stack holds a subtree of 2^b chunks.
struct Stream {
  uint64_t chunks;
  uint32_t used;  // bytes of the chunk that is being filled
  uint8_t chunk[kChunkBytes];
  // Subtrees, the largest first; as a hasher's state has room for 24, 2^24 chunks are 16 GiB.
  Words8 stack[24];
};

}  // namespace

static_assert(sizeof(Stream) <= 1920);

Hasher::Hasher() { reinterpret_cast<Stream*>(state_.data())->chunks = reinterpret_cast<Stream*>(state_.data())->used = 0; }

Hasher& Hasher::update(ByteSpan bytes) {
  Stream& s = *reinterpret_cast<Stream*>(state_.data());
  while (!bytes.empty()) {
    if (s.used == kChunkBytes) {
      Words8 cv = compress_chunk({s.chunk, kChunkBytes}, s.chunks, 0);
      int depth = std::popcount(s.chunks);
      for (uint64_t left = s.chunks; left & 1; left >>= 1) cv = compress_parent(s.stack[--depth], cv, 0);
      CHECK(depth < 24);
      s.stack[depth] = cv;
      s.chunks++;
      s.used = 0;
    }
    const size_t size = std::min(bytes.size(), kChunkBytes - s.used);
    std::memcpy(s.chunk + s.used, bytes.data(), size);
    s.used += static_cast<uint32_t>(size);
    bytes = bytes.subspan(size);
  }
  return *this;
}

Hash Hasher::finish() const {
  const Stream& s = *reinterpret_cast<const Stream*>(state_.data());
  int depth = std::popcount(s.chunks);
  Words8 cv = compress_chunk({s.chunk, s.used}, s.chunks, depth == 0 ? kRoot : 0);
  while (depth > 0) {
    depth--;
    cv = compress_parent(s.stack[depth], cv, depth == 0 ? kRoot : 0);
  }
  return hash_of_words(cv);
}

Hash blake3(ByteSpan bytes) { return Hasher().update(bytes).finish(); }

ChainingValue chunk_cv(ByteSpan chunk, uint64_t index) { return hash_of_words(compress_chunk(chunk, index, 0)); }
Hash root_of_chunk(ByteSpan chunk) { return hash_of_words(compress_chunk(chunk, 0, kRoot)); }
ChainingValue parent_cv(const ChainingValue& left, const ChainingValue& right) {
  return hash_of_words(compress_parent(words_of(left), words_of(right), 0));
}
Hash root_of_parent(const ChainingValue& left, const ChainingValue& right) {
  return hash_of_words(compress_parent(words_of(left), words_of(right), kRoot));
}

}  // namespace cairn
