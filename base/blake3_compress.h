// BLAKE3's compression function, from its paper alone: for a GPU (kernels/), and for a machine without the C library
// (blake3_portable.cc). Everything else takes base/blake3.h, which is faster on a CPU.
//
// Source: O'Connor, Aumasson, Neves & Wilcox-O'Hearn 2020, "BLAKE3: one function, fast everywhere", sections 2.1 to 2.4.
#pragma once

#include <cstdint>

namespace cairn::blake3_words {

inline constexpr uint32_t kChunkStart = 1, kChunkEnd = 2, kParent = 4, kRoot = 8;  // flags

inline constexpr int kBlockBytes = 64;

// A chaining value, and the digest of a root: 8 words, little-endian.
struct Words8 {
  uint32_t w[8];
};
// A block of a message.
struct Words16 {
  uint32_t w[16];
};
// A function, not a variable: a GPU has no variables of the host, and code that binds a reference to one ends there in a trap.
constexpr Words8 initial() {
  return {{0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19}};
}

constexpr uint32_t rotated(uint32_t x, int by) { return x >> by | x << (32 - by); }

constexpr void mix(uint32_t& a, uint32_t& b, uint32_t& c, uint32_t& d, uint32_t x, uint32_t y) {
  a = a + b + x;
  d = rotated(d ^ a, 16);
  c = c + d;
  b = rotated(b ^ c, 12);
  a = a + b + y;
  d = rotated(d ^ a, 8);
  c = c + d;
  b = rotated(b ^ c, 7);
}

constexpr void round(Words16& state, const Words16& m) {
  uint32_t(&v)[16] = state.w;
  mix(v[0], v[4], v[8], v[12], m.w[0], m.w[1]);
  mix(v[1], v[5], v[9], v[13], m.w[2], m.w[3]);
  mix(v[2], v[6], v[10], v[14], m.w[4], m.w[5]);
  mix(v[3], v[7], v[11], v[15], m.w[6], m.w[7]);
  mix(v[0], v[5], v[10], v[15], m.w[8], m.w[9]);
  mix(v[1], v[6], v[11], v[12], m.w[10], m.w[11]);
  mix(v[2], v[7], v[8], v[13], m.w[12], m.w[13]);
  mix(v[3], v[4], v[9], v[14], m.w[14], m.w[15]);
}

constexpr Words16 permuted(const Words16& m) {
  const uint32_t(&w)[16] = m.w;
  return {{w[2], w[6], w[3], w[10], w[7], w[0], w[4], w[13], w[1], w[11], w[12], w[5], w[9], w[14], w[15], w[8]}};
}

// kRounds rounds, the message permuted between them.
template <int kRounds>
constexpr void rounds(Words16& state, const Words16& m) {
  round(state, m);
  if constexpr (kRounds > 1) rounds<kRounds - 1>(state, permuted(m));
}

// `counter`: the index of the chunk, 0 for a parent; `size`: bytes of the block that count.
constexpr Words8 compress(const Words8& cv, const Words16& block, uint64_t counter, uint32_t size, uint32_t flags) {
  const Words8 iv = initial();
  Words16 v = {{cv.w[0], cv.w[1], cv.w[2], cv.w[3], cv.w[4], cv.w[5], cv.w[6], cv.w[7], iv.w[0], iv.w[1], iv.w[2], iv.w[3],
                static_cast<uint32_t>(counter), static_cast<uint32_t>(counter >> 32), size, flags}};
  rounds<7>(v, block);
  Words8 out{};
  for (int i = 0; i < 8; i++) out.w[i] = v.w[i] ^ v.w[i + 8];
  return out;
}

constexpr Words8 compress_parent(const Words8& left, const Words8& right, uint32_t flags) {
  Words16 block{};
  for (int i = 0; i < 8; i++) {
    block.w[i] = left.w[i];
    block.w[i + 8] = right.w[i];
  }
  return compress(initial(), block, 0, kBlockBytes, kParent | flags);
}

}  // namespace cairn::blake3_words
