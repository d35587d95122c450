// Freivalds' check of the sums of a product of two digits a number, made while int_gemm.h computes them; checked_product.h says what
// it is good for.
//
//   r^T S = (r^T A0) (256 B0 + B1) + (r^T A1) B0     modulo the prime p = 2^40 - 87
//
// A0, A1, B0, B1 are the digits (digits.h), S the sums that a product keeps of theirs, in units of 2^8. The left side is summed from
// the registers of every tile before they are rounded; the right side from the panels as soon as they are packed: first those of A,
// to which r is applied, then those of B.
//
// |S| < 2^39.1 whatever the registers hold, so sums that differ do so modulo p, and then one value at most of a row's r, of 2^31,
// makes both sides equal. Parts of r have 11 bits: six sums times one of them stay exact in a double.
#pragma once

#include "kernels/int_lanes.h"
#include "kernels/packing.h"

namespace cairn::kernels {

// Of whoever calls: plain numbers, since what stands here crosses instruction sets.
struct ProductCheck {
  const uint32_t* r;   // below 2^31, for every row of A
  int64_t block;       // of k
  int64_t batch = -1, column = -1;  // the first column that is wrong
  void (*break_tile)(const void* data, int64_t tile, int32_t* a, int64_t lanes_a, int32_t* b, int64_t lanes_b) = nullptr;
  const void* breaker = nullptr;
};

namespace CAIRN_ISA {

inline constexpr int kResidueDigits = 5;  // signed bytes
inline constexpr int kParts = 3;          // of a number of r
inline constexpr int64_t kAheadGroups = 16;  // of a panel, fetched before they are read
inline constexpr int64_t kFoundPanels = 64;  // of rows: as many sums times r as 64 bits hold

// x modulo p, up to a multiple: |x| < 2^62 becomes -2^30 < x < 2^40 + 2^30.
LANES_FN int64_t near_residue(int64_t x) { return (x & 0xFFFFFFFFFF) + 87 * (x >> 40); }
// From -2^39 to 2^39 or so: what kResidueDigits signed bytes hold.
LANES_FN int64_t signed_residue(int64_t x) {
  x = near_residue(near_residue(x));  // 0 <= x < 2^40
  return x > 0x7F7F7F7F7F ? x - 0xFFFFFFFFA9 : x;
}

// Lanes that hold four digits of a row each become lanes of four rows' digits of one k.
template <int kGroup>
LANES_FN VectorInt by_position(VectorInt lanes) {
#if defined(__AVX512F__)
  if constexpr (kGroup == 4)
    return _mm512_shuffle_epi8(lanes.v, _mm512_broadcast_i32x4(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)));
#endif
  return lanes;
}

// Both sides of one check, and what lies between. Rows and columns are counted to the end of their panels, k in groups.
template <int kGroup>
class IntCheck {
 public:
  IntCheck(const uint32_t* r, int64_t m, int64_t rows, int64_t columns, int64_t groups, bool alone, Scratch& scratch)
      : groups_(groups), columns_(columns), alone_(alone) {
    const int64_t depth = groups * kGroup;
    float* at = scratch.need(4 * rows + 2 * kParts * rows + 4 * depth + 2 * kResidueDigits * groups + 4 * columns + 6 * 16);
    const auto take = [&](int64_t floats) {
      float* here = at;
      at += (floats + 15) / 16 * 16;
      return here;
    };
    weights_ = reinterpret_cast<int32_t*>(take(4 * rows));
    parts_ = reinterpret_cast<double*>(take(2 * kParts * rows));
    sums_ = reinterpret_cast<int64_t*>(take(4 * depth));
    words_ = reinterpret_cast<int32_t*>(take(2 * kResidueDigits * groups));
    expected_ = reinterpret_cast<int64_t*>(take(2 * columns));
    found_ = reinterpret_cast<int64_t*>(take(2 * columns));
    for (int64_t i = 0; i < 2 * depth; i++) sums_[i] = 0;
    for (int64_t j = 0; j < columns; j++) found_[j] = 0;
    for (int64_t i = 0; i < rows; i += kWidth) weigh(r + i, least(kWidth, m - i), i);
  }

  // r^T A0 and r^T A1 of panels first .. end of A, which pack(p) packs and gives. Any threads.
  template <int64_t kPanel, class Pack>
  void add_rows(int64_t first, int64_t end, Pack pack) {
    static thread_local Scratch scratch;
    constexpr int64_t kAtOnce = kGroup == 4 ? 1024 : 10 * kWidth;  // panels whose sums 32 bits hold, those of four lanes too
    constexpr int64_t kTogether = 4;   // panels between two visits to a sum: what is packed stays in the second-level cache
    constexpr int64_t kNear = 32;      // groups whose sums stay in the first-level cache meanwhile
    const int64_t lanes = groups_ * 2 * 4 * kWidth;
    auto* sums = reinterpret_cast<int32_t*>(scratch.need(lanes));
    while (first < end) {
      for (int64_t i = 0; i < lanes; i++) sums[i] = 0;
      for (const int64_t stop = least(end, first + kAtOnce); first < stop;) {
        const int64_t together = least(kTogether, stop - first);
        const int32_t* from[kTogether];
        for (int64_t p = 0; p < together; p++) from[p] = pack(first + p);
        for (int64_t g = 0; g < groups_; g += kNear)
          for (int64_t p = 0; p < together; p++) weigh_rows<kPanel>(from[p], weights_ + (first + p) * kPanel * 4, g, least(groups_, g + kNear), sums);
        first += together;
      }
      for (int64_t g = 0; g < groups_; g++)
        for (int d = 0; d < 2; d++) {
          int64_t all[kGroup];
          total(sums + (2 * g + d) * 4 * kWidth, all);
          for (int u = 0; u < kGroup; u++) add(sums_ + (d * groups_ + g) * kGroup + u, all[u]);
        }
    }
  }

  // After all of A, before any of B.
  void turn() {
    constexpr int kBits = 32 / kGroup;
    for (int d = 0; d < kResidueDigits; d++) bias_[d] = 0;
    for (int64_t g = 0; g < groups_; g++) {
      constexpr int64_t kSigns = 0x8080808080;  // added and turned, a signed digit stands in every byte
      int64_t bytes[2][kGroup];
      for (int u = 0; u < kGroup; u++) {
        const int64_t high = signed_residue(sums_[g * kGroup + u]), both = signed_residue(256 * high + sums_[(groups_ + g) * kGroup + u]);
        bytes[0][u] = (both + kSigns) ^ kSigns;
        bytes[1][u] = (high + kSigns) ^ kSigns;
      }
      int32_t* to = words_ + 2 * kResidueDigits * g;
      for (int side = 0; side < 2; side++)
        for (int d = 0; d < kResidueDigits; d++) {
          uint32_t word = 0;
          for (int u = 0; u < kGroup; u++) {
            const auto digit = static_cast<int8_t>(bytes[side][u] >> 8 * d);
            word |= (static_cast<uint32_t>(digit) & (0xFFFFFFFFu >> (32 - kBits))) << kBits * u;
            if (kGroup == 4) bias_[d] += 128 * digit;  // B's bytes carry +128
          }
          to[side * kResidueDigits + d] = static_cast<int32_t>(word);
        }
    }
  }

  // The right side of a panel of B, whose first column is j0. Any threads.
  template <int64_t kPanel, int kWide>
  void expect_columns(const int32_t* packed, int64_t j0) {
    for (int64_t j = 0; j < kPanel; j += kWide * kWidth) {
      VectorInt sum[2 * kResidueDigits][kWide];
#pragma GCC unroll 10
      for (int w = 0; w < 2 * kResidueDigits; w++)
#pragma GCC unroll 2
        for (int v = 0; v < kWide; v++) sum[w][v] = VectorInt(0u);
      for (int64_t g = 0; g < groups_; g++) {
        const int32_t* words = words_ + 2 * kResidueDigits * g;
        for (int v = 0; v < kWide; v++) {
          __builtin_prefetch(packed + (g + kAheadGroups) * kPanel + j + v * kWidth);
          __builtin_prefetch(packed + (groups_ + g + kAheadGroups) * kPanel + j + v * kWidth);
        }
        VectorInt digits[2][kWide];
#pragma GCC unroll 2
        for (int v = 0; v < kWide; v++) {
          digits[0][v] = load_int(packed + g * kPanel + j + v * kWidth);
          digits[1][v] = load_int(packed + (groups_ + g) * kPanel + j + v * kWidth);
        }
#pragma GCC unroll 10
        for (int w = 0; w < 2 * kResidueDigits; w++) {
          const VectorInt word(static_cast<uint32_t>(words[w]));
#pragma GCC unroll 2
          for (int v = 0; v < kWide; v++) sum[w][v] = dot<kGroup>(sum[w][v], word, digits[w / kResidueDigits][v]);
        }
      }
      int32_t sums[2 * kResidueDigits][kWide * kWidth];
#pragma GCC unroll 10
      for (int w = 0; w < 2 * kResidueDigits; w++)
#pragma GCC unroll 2
        for (int v = 0; v < kWide; v++) store_int(sums[w] + v * kWidth, sum[w][v]);
      for (int l = 0; l < kWide * kWidth; l++) {
        int64_t side = 0;
        for (int d = kResidueDigits - 1; d >= 0; d--)
          side = near_residue(256 * side + sums[d][l] + sums[kResidueDigits + d][l] - bias_[d]);
        expected_[j0 + j + l] = side;
      }
    }
  }

  // r of a row, as tiles multiply by it, and what they add to: kParts sums a column.
  const double* parts(int64_t row) const { return parts_ + kParts * row; }
  // The left side of a panel of columns: the sums so far, which are then 0. Any threads, each its own sums.
  template <int64_t kPanel>
  void find_columns(int64_t* sums, int64_t j0) {
    for (int64_t l = 0; l < kPanel; l++) {
      int64_t side = 0;
      for (int t = kParts - 1; t >= 0; t--) {
        side = near_residue(2048 * side + near_residue(sums[t * kPanel + l]));
        sums[t * kPanel + l] = 0;
      }
      add(found_ + j0 + l, side);
    }
  }
  // The first column whose sides differ, or -1.
  int64_t first_wrong() const {
    for (int64_t j = 0; j < columns_; j++)
      if (signed_residue(near_residue(found_[j]) - expected_[j]) != 0) return j;
    return -1;
  }

 private:
  // Adds to the sums of groups g .. end what the digits of a panel's rows are under their weights.
  template <int64_t kPanel>
  void weigh_rows(const int32_t* from, const int32_t* weights_of, int64_t g, int64_t end, int32_t* sums) const {
    VectorInt weights[kPanel / kWidth][4];
#pragma GCC unroll 3
    for (int64_t i = 0; i < kPanel / kWidth; i++)
#pragma GCC unroll 4
      for (int b = 0; b < 4; b++) weights[i][b] = load_int(weights_of + i * kWidth * 4 + b * kWidth);
    for (; g < end; g++)
#pragma GCC unroll 2
      for (int d = 0; d < 2; d++) {
        int32_t* to = sums + (2 * g + d) * 4 * kWidth;
        const int32_t* at = from + (d * groups_ + g) * kPanel;
        VectorInt sum[4];
#pragma GCC unroll 4
        for (int b = 0; b < 4; b++) sum[b] = load_int(to + b * kWidth);
#pragma GCC unroll 3
        for (int64_t i = 0; i < kPanel / kWidth; i++) {
          const VectorInt digits = by_position<kGroup>(load_int(at + i * kWidth));
          __builtin_prefetch(at + kAheadGroups * kPanel + i * kWidth);
#pragma GCC unroll 4
          for (int b = 0; b < 4; b++) sum[b] = dot<kGroup>(sum[b], digits, weights[i][b]);
        }
#pragma GCC unroll 4
        for (int b = 0; b < 4; b++) store_int(to + b * kWidth, sum[b]);
      }
  }
  // r[0] .. r[count - 1] are those of rows first, first + 1, ...; the rows of a register that are not there count nothing.
  void weigh(const uint32_t* r, int64_t count, int64_t first) {
    uint32_t number[kWidth];
    for (int l = 0; l < kWidth; l++) {
      number[l] = l < count ? r[l] : 0;
      for (int t = 0; t < kParts; t++) parts_[kParts * (first + l) + t] = static_cast<double>(number[l] >> 11 * t & 2047u);
    }
    int32_t* to = weights_ + 4 * first;
    for (int l = 0; l < kWidth; l++) {
      uint32_t weight[4];
      if constexpr (kGroup == 4) {  // one byte of the numbers of four rows
        for (int b = 0; b < 4; b++) {
          weight[b] = 0;
          for (int i = 0; i < 4; i++) weight[b] |= (number[l / 4 * 4 + i] >> 8 * b & 255u) << 8 * i;
        }
      } else {  // the signed low half of a number for the first k of a lane, for the second; what is left of it, negative, likewise
        weight[0] = number[l] & 0xFFFFu;
        weight[2] = (0u - ((number[l] + 0x8000u) >> 16)) & 0xFFFFu;
        weight[1] = weight[0] << 16;
        weight[3] = weight[2] << 16;
      }
      for (int b = 0; b < 4; b++) to[b * kWidth + l] = static_cast<int32_t>(weight[b]);
    }
  }
  // Of the sums of a group under the four weights: those of its k.
  static void total(const int32_t* sums, int64_t (&all)[kGroup]) {
    if constexpr (kGroup == 4) {
      int32_t bytes[4][4] = {};
      for (int b = 0; b < 4; b++)
        for (int l = 0; l < kWidth; l += 4)
          for (int u = 0; u < 4; u++) bytes[b][u] += sums[b * kWidth + l + u];
      for (int u = 0; u < 4; u++) all[u] = ((int64_t{bytes[3][u]} * 256 + bytes[2][u]) * 256 + bytes[1][u]) * 256 + bytes[0][u];
    } else {
      for (int u = 0; u < kGroup; u++) {
        all[u] = 0;
        for (int l = 0; l < kWidth; l++) all[u] += sums[u * kWidth + l] - 65536 * int64_t{sums[(2 + u) * kWidth + l]};
      }
    }
  }
  void add(int64_t* to, int64_t x) const {  // in any order
    if (alone_) *to += x;
    else __atomic_fetch_add(to, x, __ATOMIC_RELAXED);
  }

  const int64_t groups_, columns_;
  const bool alone_;   // one thread
  int32_t* weights_;   // [rows / kWidth][4][kWidth]
  double* parts_;      // [rows][kParts]
  int64_t* sums_;      // [2][groups * kGroup]: r^T A0, r^T A1
  int32_t* words_;     // [groups][2][kResidueDigits]: the digits of r^T (256 A0 + A1) and r^T A0, kGroup of them each
  int64_t bias_[kResidueDigits];
  int64_t *expected_, *found_;  // [columns]
};

}  // namespace CAIRN_ISA
}  // namespace cairn::kernels
