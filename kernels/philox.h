// Philox4x32-10: the one source of random numbers. A function of (key, counter), so element i of step s has its value
// without those before it.
//
//   dropout masks      counter (step, site, low, high of element / 4), key = job seed; site = ordinal of the operator < 2^31
//   initial state      counter (0, 2^31 + ordinal of the slot, low, high of element / 4)
//   order of samples   counter (0 or 1, 2^32 - 1, low, high of epoch), six words of which are keys
//
// Source: Salmon, Moraes, Dror & Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3".
#pragma once

#include <cstdint>

#ifdef __CUDACC__
#define PHILOX_FN __host__ __device__ inline
#else
#define PHILOX_FN inline __attribute__((always_inline))
#endif

namespace cairn::kernels {

struct PhiloxWords {
  uint32_t word[4];
};

PHILOX_FN PhiloxWords philox(uint64_t key, PhiloxWords counter) {
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; round++) {
    const uint64_t a = uint64_t{0xD2511F53} * counter.word[0];
    const uint64_t b = uint64_t{0xCD9E8D57} * counter.word[2];
    counter = {{static_cast<uint32_t>(b >> 32) ^ counter.word[1] ^ k0, static_cast<uint32_t>(b),
                static_cast<uint32_t>(a >> 32) ^ counter.word[3] ^ k1, static_cast<uint32_t>(a)}};
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  return counter;
}

// The four words for elements 4 * quad .. 4 * quad + 3.
PHILOX_FN PhiloxWords philox_quad(uint64_t seed, uint64_t step, uint32_t site, int64_t quad) {
  return philox(seed, {{static_cast<uint32_t>(step), site, static_cast<uint32_t>(quad),
                        static_cast<uint32_t>(static_cast<uint64_t>(quad) >> 32)}});
}

// A multiple of 2^-24 in [0, 1).
PHILOX_FN float philox_to_unit(uint32_t word) { return static_cast<float>(word >> 8) * 0x1p-24f; }

// For initial state: element of slot `site`, in [0, 1).
PHILOX_FN float philox_uniform(uint64_t seed, uint32_t site, int64_t element) {
  return philox_to_unit(philox_quad(seed, 0, site, element / 4).word[element % 4]);
}

// The order of the rows of a data set in one epoch: at(index) is a bijection of 0 .. n-1, n >= 1. A Feistel network of 6
// rounds over the smallest power of two >= n, walked along its cycle until it is below n (at most 2 walks expected). The
// keys of the rounds come from Philox; a round mixes half of the index with its key by multiplications.
// Source: Black & Rogaway 2002, "Ciphers with arbitrary finite domains"; Appleby's MurmurHash3 for the mixing.
struct Shuffle {
  uint64_t n;
  uint32_t low_mask, high_mask;
  int low_bits;
  uint32_t key[6];

  PHILOX_FN Shuffle(uint64_t seed, uint64_t epoch, int64_t rows) : n(static_cast<uint64_t>(rows)) {
    int bits = 0;
    while (bits < 62 && (uint64_t{1} << bits) < n) bits++;
    low_bits = (bits + 1) / 2;
    low_mask = static_cast<uint32_t>((uint64_t{1} << low_bits) - 1);
    high_mask = static_cast<uint32_t>((uint64_t{1} << (bits - low_bits)) - 1);
    for (uint32_t half = 0; half < 2; half++) {
      const PhiloxWords words = philox(seed, {{half, 0xFFFFFFFF, static_cast<uint32_t>(epoch), static_cast<uint32_t>(epoch >> 32)}});
      for (uint32_t i = 0; i < 3; i++) key[3 * half + i] = words.word[i];
    }
  }
  PHILOX_FN static uint32_t mix(uint32_t half, uint32_t key) {
    half ^= key;
    half = (half ^ half >> 16) * 0x85EBCA6B;
    half = (half ^ half >> 13) * 0xC2B2AE35;
    return half ^ half >> 16;
  }
  PHILOX_FN int64_t at(int64_t index) const {
    uint64_t place = static_cast<uint64_t>(index);
    do {
      uint32_t low = static_cast<uint32_t>(place) & low_mask, high = static_cast<uint32_t>(place >> low_bits);
      for (int round = 0; round < 6; round += 2) {
        low ^= mix(high, key[round]) & low_mask;
        high ^= mix(low, key[round + 1]) & high_mask;
      }
      place = uint64_t{high} << low_bits | low;
    } while (place >= n);
    return static_cast<int64_t>(place);
  }
};

}  // namespace cairn::kernels
