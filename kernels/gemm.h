// C = A B (+ bias): each output one chain of fused multiply-adds over k ascending, starting at +0, then one addition.
//
// A tile of C (up to kTallest rows by one to eight registers) stays in registers while k runs; k is cut into blocks and C
// itself carries a chain from block to block, so blocking changes no bit. B goes by panels of registers, packed where that
// pays (transposed: always); A is packed, or read where it lies. What pads a panel never meets a real output: it is a lane
// of its own, and is not stored.
//
// Source: Goto & van de Geijn 2008, "Anatomy of high-performance matrix multiplication", for the order of the loops.
#pragma once

#include "kernels/packing.h"

namespace cairn::kernels::CAIRN_ISA {

struct Gemm {
  int64_t m, n, k;
  bool trans_a, trans_b;
  bool panels_b = false;  // B lies as PackWeight leaves it
};

inline constexpr int kTallest = kWidth == 16 ? 14 : kWidth == 8 ? 6 : 4;  // rows of a tile of two registers
inline constexpr int64_t kPanel = 2 * kWidth;                             // columns of a packed panel of B
inline constexpr int64_t kBlockK = 1024, kBlockM = 8 * kTallest;
inline constexpr int64_t kBlockOfB = 1024 * 1024;                         // floats of B packed at a time, for all threads
inline constexpr int64_t kFewRows = 192;                                  // of a thread: they pay for a panel of B in the first-level cache alone,
inline constexpr int64_t kFewRowsBlockK = 256, kFewRowsBlockOfB = 32768;  // and for what a thread packs for itself in the second
inline constexpr int64_t kRowsToPart = 256;                               // of a thread: fewer, and threads part the columns, each with its own B
inline constexpr int64_t kManyColumns = 768;                              // they pay for a packed copy of A
inline constexpr int64_t kShallow = 256;                                  // of k: there C decides, and is written along its rows
inline constexpr int64_t kGrainMultiplyAdds = int64_t{1} << 19;           // work that pays for waking a thread
inline constexpr int kAhead = 8;                                          // steps of k that B is fetched ahead

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
  const float* next_b = nullptr;  // fetched into the second-level cache, so many floats a step of k; null: nothing
  int64_t next_b_step = 0;
  int last_lanes;     // of the last register of a row; a masked load, or B is padded
  bool first, last;   // block of k
  const float* bias;  // of the first column, or null
};

// kRows: element (i, k) of A is a[i * a_stride + k], else a[k * a_stride + i].
template <int kTall, int kWide, bool kRows>
void run_tile(const Tile& tile) {
  const Tile t = tile;  // our own: no store to C changes it
  const auto lanes_of_last = lanes_below(t.last_lanes);
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
  const float* b = t.b;
  const float* next_b = t.next_b ? t.next_b : b;
#pragma GCC unroll 16
  for (int i = 0; i < kTall; i++)  // of the tile after this one: its chains wait for these lines
#pragma GCC unroll 8
    for (int v = 0; v < kWide; v++) __builtin_prefetch(t.next_c + i * t.c_stride + v * kWidth, 1, 3);

  for (int64_t k = t.depth; k > 0; k--) {
    Vector row[kWide];
#pragma GCC unroll 8
    for (int v = 0; v < kWide; v++) __builtin_prefetch(b + kAhead * t.b_stride + v * kWidth);
#pragma GCC unroll 8
    for (int v = 0; v < kWide; v++)
      row[v] = v + 1 == kWide ? load_masked(b + v * kWidth, lanes_of_last) : load<Vector>(b + v * kWidth);
#pragma GCC unroll 16
    for (int i = 0; i < kTall; i++) {
      const Vector x(kRows ? base[i / 3][i % 3 * t.a_stride] : base[0][i]);
#pragma GCC unroll 8
      for (int v = 0; v < kWide; v++) acc[i][v] = fused(x, row[v], acc[i][v]);
    }
    b += t.b_stride;
    __builtin_prefetch(next_b, 0, 2);
    next_b += t.next_b_step;
#pragma GCC unroll 8
    for (int g = 0; g < kBases; g++) {
      base[g] += kRows ? 1 : t.a_stride;
      asm("" : "+r"(base[g]));  // keeps the compiler from one pointer a row
    }
  }

  if (t.last) {
#pragma GCC unroll 8
    for (int v = 0; v < kWide; v++) {
      const Vector bias = t.bias ? load_some<Vector>(t.bias + v * kWidth, v + 1 == kWide ? t.last_lanes : kWidth, 0.0f) : Vector(0.0f);
#pragma GCC unroll 16
      for (int i = 0; i < kTall; i++) acc[i][v] = canonical(t.bias ? acc[i][v] + bias : acc[i][v]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < kTall; i++)
#pragma GCC unroll 8
    for (int v = 0; v < kWide; v++) {
      float* to = t.c + i * t.c_stride + v * kWidth;
      if (v + 1 < kWide || t.last_lanes == kWidth) store(to, acc[i][v]);
      else store_some(to, t.last_lanes, acc[i][v]);
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

// A block of k by a block of columns: what is multiplied by all rows before the next. `packed` holds that part of B by panels;
// null: B is read where it lies.
struct Block {
  int64_t k, depth;
  int64_t n, cols;
  const float* packed;
};

// Rows m0 .. m1 by the block, on this thread.
inline void multiply(const Gemm& g, const Block& block, const float* a, const float* b, const float* bias, float* c, int64_t m0,
                     int64_t m1) {
  static thread_local Scratch scratch;
  const int64_t a_ld = g.trans_a ? g.m : g.k, k = block.k, depth = block.depth, n = block.n, cols = block.cols;
  const bool pack_a = cols >= kManyColumns && m1 - m0 >= 2;
  // The last panel of a packed weight ends with the weight: where loads are not masked, its last register would read on.
  const int64_t ragged_j = cols / kPanel * kPanel, ragged = cols - ragged_j;
  const float* padded = nullptr;
  if (!kMasksLoads && g.panels_b && cols % kWidth != 0) {
    static thread_local Scratch ragged_scratch;
    float* to = ragged_scratch.need(kPanel * depth);
    pack_plain(to, kPanel, b + (n + ragged_j) * g.k + k * ragged, ragged, ragged, depth);
    padded = to;
  }
  for (int64_t im = m0; im < m1; im += kBlockM) {
    const int64_t rows = least(kBlockM, m1 - im), bands = (rows + kTallest - 1) / kTallest;
    const int64_t tall = (rows + bands - 1) / bands;  // as even as can be
    float* packed_a = nullptr;
    if (pack_a) {
      packed_a = scratch.need(kBlockM * kBlockK + 64);
      for (int64_t i = 0; i < rows; i += tall) {
        const int64_t high = least(tall, rows - i);
        if (g.trans_a) pack_plain(packed_a + i * depth, high, a + k * a_ld + im + i, a_ld, high, depth);
        else pack_transposed(packed_a + i * depth, high, a + (im + i) * a_ld + k, a_ld, high, depth);
      }
    }
    // The tile at (i, j), and what is fetched for that at (next_i, next_j).
    const auto tile = [&](int64_t i, int64_t j, int64_t next_i, int64_t next_j) {
      const int64_t width = least(kPanel, cols - j);
      const int wide = width > kWidth ? 2 : 1, high = static_cast<int>(least(tall, rows - i));
      Tile t;
      t.a = pack_a ? packed_a + i * depth : g.trans_a ? a + k * a_ld + im + i : a + (im + i) * a_ld + k;
      t.a_stride = pack_a ? high : a_ld;
      const bool is_padded = padded && j == ragged_j;
      t.b = block.packed ? block.packed + j * depth : is_padded ? padded : g.panels_b ? b + (n + j) * g.k + k * width : b + k * g.n + n + j;
      t.b_stride = block.packed || is_padded ? kPanel : g.panels_b ? width : g.n;
      t.depth = depth;
      t.c = c + (im + i) * g.n + n + j;
      t.next_c = c + (im + next_i) * g.n + n + next_j;
      t.c_stride = g.n;
      t.last_lanes = static_cast<int>(width - (wide - 1) * kWidth);
      t.first = k == 0;
      t.last = k + depth == g.k;
      t.bias = bias ? bias + n + j : nullptr;
      if (block.packed && depth > kShallow) {  // the tiles of a panel bring the panel after it, each its part
        t.next_b_step = kPanel / bands;
        t.next_b = block.packed + ((j + kPanel < cols ? j + kPanel : 0) + i / tall * t.next_b_step) * depth;
      }
      (pack_a || g.trans_a ? tile_of<false>(high, wide) : tile_of<true>(high, wide))(t);
    };
    if (depth <= kShallow) {
      for (int64_t i = 0; i < rows; i += tall)
        for (int64_t j = 0; j < cols; j += kPanel) tile(i, j, i, j + kPanel < cols ? j + kPanel : j);
    } else {
      for (int64_t j = 0; j < cols; j += kPanel)
        for (int64_t i = 0; i < rows; i += tall) tile(i, j, i + tall < rows ? i + tall : 0, i + tall < rows || j + kPanel >= cols ? j : j + kPanel);
    }
  }
}

// Panels of B from column `begin` to `end` of the block.
inline void pack(const Gemm& g, const Block& block, const float* b, float* packed, int64_t begin, int64_t end) {
  if (g.trans_b) {
    for (int64_t j = begin; j < end; j += kPanel)
      pack_transposed(packed + j * block.depth, kPanel, b + (block.n + j) * g.k + block.k, g.k, least(kPanel, end - j), block.depth);
    return;
  }
  constexpr int64_t kRows = 8;  // over all panels: long reads, and writes of which few fall into one set of a cache
  for (int64_t l = 0; l < block.depth; l += kRows)
    for (int64_t j = begin; j < end; j += kPanel)
      pack_plain(packed + j * block.depth + l * kPanel, kPanel, b + (block.k + l) * g.n + block.n + j, g.n, least(kPanel, end - j),
                 least(kRows, block.depth - l));
}

// Columns n0 .. n1 of C: the pool's threads pack B together, and part the rows.
inline void gemm_columns(const Gemm& g, const float* a, const float* b, const float* bias, float* c, int64_t n0, int64_t n1, Pool* pool) {
  static thread_local Scratch scratch;
  const bool few_rows = g.m <= kFewRows * (pool ? pool->threads() : 1) && n1 - n0 >= 256;
  const bool pack_b = !g.panels_b && (g.trans_b || (g.m >= 96 && g.k * g.n >= 32768) || (!kMasksLoads && g.n % kWidth != 0));

  // Columns by blocks of even size, of which a slice of k stays in a cache.
  const int64_t n = n1 - n0, deep = least(few_rows ? kFewRowsBlockK : kBlockK, g.k);
  const int64_t most = (few_rows && !pool ? kFewRowsBlockOfB : kBlockOfB) / deep / kPanel * kPanel, parts = (n + most - 1) / most;
  const int64_t block_n = ((n + parts - 1) / parts + kPanel - 1) / kPanel * kPanel;
  const auto each_block = [&](auto body) {
    for (int64_t jn = n0; jn < n1; jn += block_n)
      for (int64_t k = 0; k < g.k; k += deep) body(Block{k, least(deep, g.k - k), jn, least(block_n, n1 - jn), nullptr});
  };
  if (!pack_b) {
    parallel(pool, g.m, kGrainMultiplyAdds / (n * g.k) + 1, 1, [&](int64_t begin, int64_t end) {
      each_block([&](const Block& block) { multiply(g, block, a, b, bias, c, begin, end); });
    });
    return;
  }
  each_block([&](Block block) {
    float* packed = scratch.need(block_n * deep);
    parallel(pool, block.cols, kGrain / block.depth + 1, kPanel, [&](int64_t begin, int64_t end) { pack(g, block, b, packed, begin, end); });
    block.packed = packed;
    parallel(pool, g.m, kGrainMultiplyAdds / (block.cols * block.depth) + 1, 1,
             [&](int64_t begin, int64_t end) { multiply(g, block, a, b, bias, c, begin, end); });
  });
}

// Threads part the rows, or the columns where each would have too few rows.
inline void gemm(const Gemm& g, const float* a, const float* b, const float* bias, float* c, Pool* pool) {
  if (g.m > g.n || g.m > kRowsToPart * (pool ? pool->threads() : 1)) gemm_columns(g, a, b, bias, c, 0, g.n, pool);
  else
    parallel(pool, g.n, kGrainMultiplyAdds / (g.m * g.k) + 1, kPanel,
             [&](int64_t begin, int64_t end) { gemm_columns(g, a, b, bias, c, begin, end, nullptr); });
}

}  // namespace cairn::kernels::CAIRN_ISA
