// C = A B (+ bias): each output one chain of fused multiply-adds over k ascending, starting at +0, then one addition.
//
// A tile of C (up to kTallest rows by one to eight registers) stays in registers while k runs; k is cut into blocks and C
// itself carries a chain from block to block, so blocking changes no bit. B goes by panels of registers, packed where that
// pays (transposed: always); A is packed, or read where it lies. What pads a panel never meets a real output: it is a lane
// of its own, and is not stored.
//
// Source: Goto & van de Geijn 2008, "Anatomy of high-performance matrix multiplication", for the order of the loops.
#pragma once

#include <cstdlib>

#include "kernels/lanes.h"

namespace cairn::kernels::CAIRN_ISA {

struct Gemm {
  int64_t m, n, k;
  bool trans_a, trans_b;
};

inline constexpr int kTallest = kWidth == 16 ? 14 : kWidth == 8 ? 6 : 4;  // rows of a tile of two registers
inline constexpr int64_t kPanel = 2 * kWidth;                             // columns of a packed panel of B
inline constexpr int64_t kBlockK = 512, kBlockM = 8 * kTallest;
inline constexpr int64_t kBlockOfB = 512 * 1024;                          // floats of B packed at a time, about a second-level cache
inline constexpr int kAhead = 8;                                          // steps of k that B is fetched ahead

// Memory of this thread, kept between calls.
struct Scratch {
  float* data = nullptr;
  int64_t size = 0;
  Scratch() = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { free(data); }
  float* need(int64_t floats) {
    if (floats > size) {
      free(data);
      size = (floats + 1023) / 1024 * 1024;
      data = static_cast<float*>(aligned_alloc(64, static_cast<size_t>(size) * sizeof(float)));
      if (data == nullptr) __builtin_trap();
    }
    return data;
  }
};

// One square of kWidth x kWidth, turned: to[l * width + i] = from[i * stride + l] for i < wide, l < deep; of `from` only
// `rows` rows are there.
template <bool kWhole>
LANES_FN void pack_square(float* to, int64_t width, const float* from, int64_t stride, int rows, int wide, int deep) {
  Vector row[kWidth];
#pragma GCC unroll 16
  for (int l = 0; l < kWidth; l++) {
    if constexpr (kWhole) row[l] = load<Vector>(from + l * stride);
    else row[l] = l < rows ? read(from + l * stride, deep) : Vector(0.0f);
  }
  transpose(row);
#pragma GCC unroll 16
  for (int l = 0; l < kWidth; l++) {
    if constexpr (kWhole) store(to + l * width, row[l]);
    else if (l < deep) store_some(to + l * width, wide, row[l]);
  }
}
// out[k * width + i] = in[i * stride + k] for i < n, k < depth; i from n up to a multiple of kWidth, below width, is filled
// with zeros.
inline void pack_transposed(float* out, int64_t width, const float* in, int64_t stride, int64_t n, int64_t depth) {
  for (int64_t i = 0; i < n; i += kWidth) {
    const int wide = static_cast<int>(least(kWidth, width - i)), rows = static_cast<int>(least(kWidth, n - i));
    for (int64_t k = 0; k < depth; k += kWidth) {
      const int deep = static_cast<int>(least(kWidth, depth - k));
      float* to = out + k * width + i;
      const float* from = in + i * stride + k;
      if (rows == kWidth && deep == kWidth) pack_square<true>(to, width, from, stride, rows, wide, deep);
      else pack_square<false>(to, width, from, stride, rows, wide, deep);
    }
  }
}
// out[k * width + i] = in[k * stride + i] for i < n; zeros up to width.
inline void pack_plain(float* out, int64_t width, const float* in, int64_t stride, int64_t n, int64_t depth) {
  if (width == kPanel && n == kPanel) {
    for (int64_t k = 0; k < depth; k++) {
      store(out + k * kPanel, load<Vector>(in + k * stride));
      store(out + k * kPanel + kWidth, load<Vector>(in + k * stride + kWidth));
    }
    return;
  }
  for (int64_t i = 0; i < width; i += kWidth) {
    const int wide = static_cast<int>(least(kWidth, width - i)), have = static_cast<int>(n - i < 0 ? 0 : least(kWidth, n - i));
    for (int64_t k = 0; k < depth; k++)
      store_some(out + k * width + i, wide, load_some<Vector>(in + k * stride + i, have, 0.0f));
  }
}

// One tile: what to multiply, and where it goes.
struct Tile {
  const float* a;
  int64_t a_stride;  // columns: from k to k + 1; rows: from row to row
  const float* b;
  int64_t b_stride;  // from k to k + 1
  int64_t depth;
  float* c;
  const float* next_c;  // only fetched ahead
  int64_t c_stride;
  int last_lanes;     // of the last register of a row; a masked load, or B is padded
  bool first, last;   // block of k
  const float* bias;  // of the first column, or null
};

// kRows: element (i, k) of A is a[i * a_stride + k], else a[k * a_stride + i].
template <int kTall, int kWide, bool kRows>
void run_tile(const Tile& t) {
  Vector acc[kTall][kWide];
#pragma GCC unroll 16
  for (int i = 0; i < kTall; i++)
#pragma GCC unroll 8
    for (int v = 0; v < kWide; v++) {
      if (t.first) acc[i][v] = Vector(0.0f);
      else acc[i][v] = v + 1 == kWide ? load_some<Vector>(t.c + i * t.c_stride + v * kWidth, t.last_lanes, 0.0f)
                                      : load<Vector>(t.c + i * t.c_stride + v * kWidth);
    }

  // Rows of A go by threes, base + 0, 1, 2 strides: an address of one instruction, and few registers for the bases.
  constexpr int kBases = kRows ? (kTall + 2) / 3 : 1;
  const float* base[kBases];
#pragma GCC unroll 8
  for (int g = 0; g < kBases; g++) base[g] = t.a + (kRows ? 3 * g * t.a_stride : 0);
  const int64_t a_stride = t.a_stride, b_stride = t.b_stride;
  const float* b = t.b;
#pragma GCC unroll 16
  for (int i = 0; i < kTall; i++)  // of the tile after this one: its chains wait for these lines
#pragma GCC unroll 8
    for (int v = 0; v < kWide; v++) __builtin_prefetch(t.next_c + i * t.c_stride + v * kWidth, 1, 3);

  const auto lanes_of_last = lanes_below(t.last_lanes);
  for (int64_t k = t.depth; k > 0; k--) {
    Vector row[kWide];
#pragma GCC unroll 8
    for (int v = 0; v < kWide; v++) __builtin_prefetch(b + kAhead * b_stride + v * kWidth);
#pragma GCC unroll 8
    for (int v = 0; v < kWide; v++)
      row[v] = v + 1 == kWide ? load_masked(b + v * kWidth, lanes_of_last) : load<Vector>(b + v * kWidth);
#pragma GCC unroll 16
    for (int i = 0; i < kTall; i++) {
      const Vector x(kRows ? base[i / 3][i % 3 * a_stride] : base[0][i]);
#pragma GCC unroll 8
      for (int v = 0; v < kWide; v++) acc[i][v] = fused(x, row[v], acc[i][v]);
    }
    b += b_stride;
#pragma GCC unroll 8
    for (int g = 0; g < kBases; g++) {
      base[g] += kRows ? 1 : a_stride;
      asm("" : "+r"(base[g]));  // keeps the compiler from one pointer a row
    }
  }

#pragma GCC unroll 16
  for (int i = 0; i < kTall; i++)
#pragma GCC unroll 8
    for (int v = 0; v < kWide; v++) {
      Vector x = acc[i][v];
      float* to = t.c + i * t.c_stride + v * kWidth;
      const int lanes = v + 1 == kWide ? t.last_lanes : kWidth;
      if (t.last) {
        if (t.bias) x = x + load_some<Vector>(t.bias + v * kWidth, lanes, 0.0f);
        x = canonical(x);
      }
      if (lanes == kWidth) store(to, x);
      else store_some(to, lanes, x);
    }
}

using RunTile = void (*)(const Tile&);
template <int kWide, bool kRows, int... kTall>
LANES_FN RunTile tile_of(int tall) {
  static constexpr RunTile kTable[] = {run_tile<kTall, kWide, kRows>...};
  return kTable[tall - 1];
}
template <bool kRows>
LANES_FN RunTile tile_of(int tall, int wide) {
  if constexpr (kTallest == 14)
    return wide == 1 ? tile_of<1, kRows, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14>(tall)
                     : tile_of<2, kRows, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14>(tall);
  else if constexpr (kTallest == 6)
    return wide == 1 ? tile_of<1, kRows, 1, 2, 3, 4, 5, 6>(tall) : tile_of<2, kRows, 1, 2, 3, 4, 5, 6>(tall);
  else
    return wide == 1 ? tile_of<1, kRows, 1, 2, 3, 4>(tall) : tile_of<2, kRows, 1, 2, 3, 4>(tall);
}

// Rows m0 .. m1 and columns n0 .. n1 of C, on this thread.
inline void gemm_part(const Gemm& g, const float* a, const float* b, const float* bias, float* c, int64_t m0, int64_t m1,
                      int64_t n0, int64_t n1) {
  static thread_local Scratch scratch_a, scratch_b;
  const int64_t m = m1 - m0, n = n1 - n0;
  const int64_t a_ld = g.trans_a ? g.m : g.k, b_ld = g.trans_b ? g.k : g.n;
  const bool pack_a = n >= 256 && m >= 2;
  const bool pack_b = g.trans_b || (m >= 96 && g.k * g.n >= 32768) || (kWidth == 8 && g.n % kWidth != 0);

  // Columns by blocks of even size, of which a slice of k fits the cache.
  const int64_t most = kBlockOfB / least(kBlockK, g.k) / kPanel * kPanel, parts = (n + most - 1) / most;
  const int64_t block_n = ((n + parts - 1) / parts + kPanel - 1) / kPanel * kPanel;
  for (int64_t jn = n0; jn < n1; jn += block_n) {
    const int64_t cols = least(block_n, n1 - jn), panels = (cols + kPanel - 1) / kPanel;
    for (int64_t k = 0; k < g.k; k += kBlockK) {
      const int64_t depth = least(kBlockK, g.k - k);
      float* packed_b = pack_b ? scratch_b.need(panels * kPanel * kBlockK) : nullptr;
      if (pack_b && !g.trans_b)  // row by row over all panels: long reads
        for (int64_t l = 0; l < depth; l++)
          for (int64_t j = 0; j < cols; j += kPanel)
            pack_plain(packed_b + j * depth + l * kPanel, kPanel, b + (k + l) * b_ld + jn + j, b_ld, least(kPanel, cols - j), 1);
      for (int64_t im = m0; im < m1; im += kBlockM) {
        const int64_t rows = least(kBlockM, m1 - im), bands = (rows + kTallest - 1) / kTallest;
        const int64_t tall = (rows + bands - 1) / bands;  // as even as can be
        float* packed_a = nullptr;
        if (pack_a) {
          packed_a = scratch_a.need(kBlockM * kBlockK + 64);
          for (int64_t i = 0; i < rows; i += tall) {
            const int64_t high = least(tall, rows - i);
            if (g.trans_a) pack_plain(packed_a + i * depth, high, a + k * a_ld + im + i, a_ld, high, depth);
            else pack_transposed(packed_a + i * depth, high, a + (im + i) * a_ld + k, a_ld, high, depth);
          }
        }
        for (int64_t j = 0; j < cols; j += kPanel) {
          const int64_t width = least(kPanel, cols - j);
          const int wide = width > kWidth ? 2 : 1;
          Tile t;
          t.depth = depth;
          t.c_stride = g.n;
          t.last_lanes = static_cast<int>(width - (wide - 1) * kWidth);
          t.first = k == 0;
          t.last = k + depth == g.k;
          t.bias = bias ? bias + jn + j : nullptr;
          if (pack_b) {
            float* panel = packed_b + j * depth;
            if (g.trans_b && im == m0)  // just before its first use
              pack_transposed(panel, kPanel, b + (jn + j) * b_ld + k, b_ld, width, depth);
            t.b = panel;
            t.b_stride = kPanel;
          } else {
            t.b = b + k * b_ld + jn + j;
            t.b_stride = b_ld;
          }
          for (int64_t i = 0; i < rows; i += tall) {
            const int high = static_cast<int>(least(tall, rows - i));
            t.c = c + (im + i) * g.n + jn + j;
            t.next_c = i + tall < rows ? t.c + tall * g.n : c + im * g.n + jn + j + (j + kPanel < cols ? kPanel : 0);
            if (pack_a) {
              t.a = packed_a + i * depth;
              t.a_stride = high;
            } else if (g.trans_a) {
              t.a = a + k * a_ld + im + i;
              t.a_stride = a_ld;
            } else {
              t.a = a + (im + i) * a_ld + k;
              t.a_stride = a_ld;
            }
            (pack_a || g.trans_a ? tile_of<false>(high, wide) : tile_of<true>(high, wide))(t);
          }
        }
      }
    }
  }
}

inline void gemm(const Gemm& g, const float* a, const float* b, const float* bias, float* c, Pool* pool) {
  constexpr int64_t kGrainMultiplyAdds = int64_t{1} << 20;
  if (g.m >= g.n) {
    parallel(pool, g.m, kGrainMultiplyAdds / (g.n * g.k) + 1, kTallest,
             [&](int64_t begin, int64_t end) { gemm_part(g, a, b, bias, c, begin, end, 0, g.n); });
  } else {
    parallel(pool, g.n, kGrainMultiplyAdds / (g.m * g.k) + 1, kPanel,
             [&](int64_t begin, int64_t end) { gemm_part(g, a, b, bias, c, 0, g.m, begin, end); });
  }
}

}  // namespace cairn::kernels::CAIRN_ISA
