// The fast body of the integer classes (ops/matmul_int.h): operands are packed as digits, a tile of C adds their products in
// integer registers, and each block of k (or all of it) is scaled once.
//
// A lane of 32 bits holds the digits of one row of A (column of B) at kGroup neighbouring k: four bytes where VNNI multiplies
// them, two halves elsewhere. VNNI wants one side unsigned: B's bytes carry +128, and 128 times the sum of A's digits is taken
// off again. Integer sums are exact, so neither engine, order nor thread shows in the bits.
#pragma once

#include "kernels/digits.h"
#include "kernels/gemm.h"
#include "kernels/int_check.h"
#include "kernels/ops/op.h"

namespace cairn::kernels::CAIRN_ISA {

struct IntGemm {
  int64_t batch, m, n, k;
  int32_t trans_a, trans_b;
};

inline constexpr int64_t kSlab = 1024;  // of k packed at a time, so that what a panel needs stays in the second-level cache
inline constexpr int64_t kPanelA = 48;  // rows of A packed together
inline constexpr int64_t kPanelB = 32;  // columns of B packed together
inline constexpr int kIntWide = kWidth == 16 ? 2 : 1;                                        // registers of a tile's row
template <int S>
inline constexpr int kIntTall = kWidth == 16 ? (S == 2 ? 6 : 4) : kWidth == 8 ? (S == 2 ? 4 : 3) : 2;  // rows of a tile

// One side as it lies: element (i, k) at data[i * row + k * column], one of the strides 1.
struct IntSide {
  const float* data;
  int64_t rows, row, column;
};

// A side packed for a slab of k, by panels; in a panel by blocks of k, each with
//   digits     [S][groups][width], a lane of 32 bits a row
//   exponents  [width]
//   offsets    [S][width]: what the +128 of B adds to each plane of a tile (A under VNNI; else zeros)
template <int S>
struct PackedBlock {
  int32_t *digits, *exponents, *offsets;
  static int64_t lanes(int64_t groups, int64_t width) { return (S * groups + 1 + S) * width; }
  PackedBlock(int32_t* at, int64_t groups, int64_t width) : digits(at), exponents(at + S * groups * width), offsets(exponents + width) {}
};

// Packs rows i0 .. i0 + count of `side`, k from k0 to k0 + depth, into a block. The exponents are the block's own, or `given`.
template <int S, int kGroup, int kPanel, bool kIsB>
inline void pack_digits(const IntSide& side, int64_t i0, int64_t count, int64_t k0, int64_t depth, int64_t groups, const int32_t* given,
                        PackedBlock<S> to, float* turned) {
  const float* from = side.data + i0 * side.row + k0 * side.column;
  int64_t stride = side.column;
  if (side.row != 1) {
    pack_transposed(turned, kPanel, from, side.row, count, depth);
    from = turned;
    stride = kPanel;
  }
  for (int64_t i = 0; i < kPanel; i += kWidth) {
    const int have = static_cast<int>(count - i < 0 ? 0 : least(kWidth, count - i));
    const auto at = [&](int64_t k) { return have == kWidth ? load<Vector>(from + k * stride + i) : load_some<Vector>(from + k * stride + i, have, 0.0f); };
    float units[kWidth];
    if (given == nullptr) {
      VectorInt most(0u);
      for (int64_t k = 0; k < depth; k++) most = greater_bits(most, as_bits(at(k)) & VectorInt(0x7FFFFFFFu));
      store_int(to.exponents + i, most);
    }
    for (int l = 0; l < kWidth; l++) {
      int32_t& e = to.exponents[i + l];
      e = given == nullptr ? exponent_of<S>(static_cast<uint32_t>(e)) : i + l < count ? given[i + l] : 0;
      units[l] = unit_of(e);
    }
    const Vector unit = load<Vector>(units);
    VectorInt sums[S];
    for (int d = 0; d < S; d++) sums[d] = VectorInt(0u);
    for (int64_t g = 0; g < groups; g++) {
      VectorInt lanes[S];
      for (int d = 0; d < S; d++) lanes[d] = VectorInt(kIsB && kGroup == 4 ? 0x80808080u : 0u);
#pragma GCC unroll 4
      for (int u = 0; u < kGroup; u++) {
        const int64_t k = g * kGroup + u;
        if (k >= depth) break;
        VectorInt q = to_int(at(k) * unit);
#pragma GCC unroll 3
        for (int d = S - 1; d >= 0; d--) {
          const VectorInt digit = d == 0 ? q : ((q + VectorInt(128u)) & VectorInt(255u)) - VectorInt(128u);
          if (d > 0) q = shift_signed(q - digit, 8);
          // As the byte has it: a group without exponent has numbers that no byte holds, and what is packed must agree with itself.
          if (kGroup == 4 && !kIsB) sums[d] = sums[d] + (d == 0 ? shift_signed(digit << 24, 24) : digit);
          lanes[d] = lanes[d] ^ ((digit & VectorInt(kGroup == 4 ? 0xFFu : 0xFFFFu)) << (u * (kGroup == 4 ? 8 : 16)));
        }
      }
      for (int d = 0; d < S; d++) store_int(to.digits + (d * groups + g) * kPanel + i, lanes[d]);
    }
    VectorInt offset(0u);
    for (int d = 0; d < S; d++) {
      offset = offset + (sums[d] << 7);
      store_int(to.offsets + d * kPanel + i, offset);
    }
  }
}

// One tile of C for one block of k: planes[u] = sum of the digit products of weight 2 (S-1) - u, then scaled; added to C, or
// stored. What a tile computes beyond C is not stored. Checked, its sums times `parts`, r of its rows, are added to `found`
// (int_check.h). A function of its own: where it is inlined, registers of the tile are spilled.
template <int S, int kGroup, bool kWhole, bool kChecked = false>
__attribute__((noinline, aligned(64))) void run_int_tile(const PackedBlock<S>& a, const PackedBlock<S>& b, int64_t groups, float* c, int64_t c_stride, int rows, int64_t columns,
                         [[maybe_unused]] const double* parts = nullptr, [[maybe_unused]] int64_t* found = nullptr) {
  constexpr int kTall = kIntTall<S>;
  VectorInt planes[S][kTall][kIntWide];
#pragma GCC unroll 3
  for (int u = 0; u < S; u++)
#pragma GCC unroll 6
    for (int i = 0; i < kTall; i++)
#pragma GCC unroll 2
      for (int v = 0; v < kIntWide; v++) planes[u][i][v] = VectorInt(0u) - VectorInt(static_cast<uint32_t>(a.offsets[u * kPanelA + i]));
  const int32_t *a_at = a.digits, *b_at = b.digits;
  const int64_t a_plane = groups * kPanelA, b_plane = groups * kPanelB;
  for (int64_t g = groups; g > 0; g--) {
    VectorInt right[S][kIntWide];
#pragma GCC unroll 3
    for (int d = 0; d < S; d++)
#pragma GCC unroll 2
      for (int v = 0; v < kIntWide; v++) right[d][v] = load_int(b_at + d * b_plane + v * kWidth);
#pragma GCC unroll 6
    for (int i = 0; i < kTall; i++)
#pragma GCC unroll 3
      for (int j = 0; j < S; j++) {
        const VectorInt left(static_cast<uint32_t>(a_at[j * a_plane + i]));
#pragma GCC unroll 3
        for (int d = 0; d + j < S; d++)
#pragma GCC unroll 2
          for (int v = 0; v < kIntWide; v++) {
            VectorInt& sum = planes[d + j][i][v];
            sum = dot<kGroup>(sum, left, right[d][v]);
          }
      }
    a_at += kPanelA;
    b_at += kPanelB;
  }
  [[maybe_unused]] Doubles weighed[kParts][kIntWide];
  if constexpr (kChecked) {
#pragma GCC unroll 3
    for (int t = 0; t < kParts; t++)
#pragma GCC unroll 2
      for (int v = 0; v < kIntWide; v++) weighed[t][v] = widen(VectorInt(0u));
  }
#pragma GCC unroll 6
  for (int i = 0; i < kTall; i++) {
    if (i >= rows) break;
#pragma GCC unroll 2
    for (int v = 0; v < kIntWide; v++) {
      if constexpr (kChecked) {
#pragma GCC unroll 3
        for (int t = 0; t < kParts; t++) weighed[t][v] = fused(join(planes[0][i][v], planes[1][i][v]), parts[kParts * i + t], weighed[t][v]);
      }
      Vector sum;
      if constexpr (S == 3) sum = rounded(join(planes[0][i][v], planes[1][i][v], planes[S - 1][i][v]));
      else if constexpr (kWhole) sum = rounded(join(planes[0][i][v], planes[1][i][v]));
      else sum = to_float((planes[0][i][v] << 8) + planes[1][i][v]);
      const Vector n = to_float(load_int(b.exponents + v * kWidth) + VectorInt(static_cast<uint32_t>(a.exponents[i] + 8 * (S - 1))));
      Vector x = select(n > Vector(1000.0f), constant<Vector>(kNan), scale(sum, Vector(kMagic) + n));
      const int have = static_cast<int>(columns - v * kWidth < 0 ? 0 : least(kWidth, columns - v * kWidth));
      float* to = c + i * c_stride + v * kWidth;
      if (!kWhole) x = x + (have == kWidth ? load<Vector>(to) : load_some<Vector>(to, have, 0.0f));
      x = canonical(x);
      if (have == kWidth) store(to, x);
      else store_some(to, have, x);
    }
  }
  if constexpr (kChecked) {
#pragma GCC unroll 3
    for (int t = 0; t < kParts; t++)
#pragma GCC unroll 2
      for (int v = 0; v < kIntWide; v++) add_whole(found + t * kPanelB + v * kWidth, weighed[t][v]);
  }
}

// One matrix. `ea`, `eb`: the exponents of whole rows, and then all of k is one block; null: each 128 of k has its own.
// Gives the first column whose sums in the checked block are wrong, or -1.
template <int S, int kGroup, bool kWhole, bool kChecked>
inline int64_t int_gemm_one(const IntGemm& g, const float* a, const float* b, const int32_t* ea, const int32_t* eb, float* c, Pool* pool,
                            [[maybe_unused]] const ProductCheck* check) {
  static thread_local Scratch packed_scratch;
  const IntSide left{a, g.m, g.trans_a ? 1 : g.k, g.trans_a ? g.m : 1}, right{b, g.n, g.trans_b ? g.k : 1, g.trans_b ? 1 : g.n};
  const int64_t slab = kWhole ? g.k : least(kSlab, g.k), block = kWhole ? g.k : kDigitBlock, blocks = blocks_of(slab, block);
  const int64_t groups = blocks_of(least(block, g.k), kGroup);
  const int64_t panels_a = blocks_of(g.m, kPanelA), panels_b = blocks_of(g.n, kPanelB);
  const int64_t block_a = PackedBlock<S>::lanes(groups, kPanelA), block_b = PackedBlock<S>::lanes(groups, kPanelB);
  const int64_t lanes_a = block_a * blocks, lanes_b = block_b * blocks;
  auto* packed_a = reinterpret_cast<int32_t*>(packed_scratch.need(panels_a * lanes_a + panels_b * lanes_b));
  auto* packed_b = packed_a + panels_a * lanes_a;
  const int64_t grain = 1 + (int64_t{1} << 18) / (slab * kPanelA), tiles_grain = 1 + (int64_t{1} << 20) / (kPanelA * kPanelB * slab);
  int64_t wrong = -1;

  for (int64_t k0 = 0; k0 < g.k; k0 += slab) {
    const int64_t here = blocks_of(least(slab, g.k - k0), block);
    const auto pack = [&](int64_t p) {  // panels of A, then those of B
      static thread_local Scratch turned;
      for (int64_t q = 0; q < here; q++) {
        const int64_t k = k0 + q * block, depth = least(block, g.k - k);
        float* space = turned.need(block * kPanelA);
        if (p < panels_a) {
          const int64_t i = p * kPanelA;
          pack_digits<S, kGroup, kPanelA, false>(left, i, least(kPanelA, g.m - i), k, depth, groups, ea ? ea + i : nullptr,
                                                 {packed_a + p * lanes_a + q * block_a, groups, kPanelA}, space);
        } else {
          const int64_t j = (p - panels_a) * kPanelB;
          pack_digits<S, kGroup, kPanelB, true>(right, j, least(kPanelB, g.n - j), k, depth, groups, eb ? eb + j : nullptr,
                                                {packed_b + (p - panels_a) * lanes_b + q * block_b, groups, kPanelB}, space);
        }
      }
    };
    const auto multiply = [&](int64_t p, int64_t q, auto tile) {  // one block of a panel of each, tile by tile
      const int64_t pa = p / panels_b, pb = p % panels_b, i0 = pa * kPanelA, j0 = pb * kPanelB;
      const int64_t rows = least(kPanelA, g.m - i0), columns = least(kPanelB, g.n - j0);
      const PackedBlock<S> pack_b{packed_b + pb * lanes_b + q * block_b, groups, kPanelB};
      for (int64_t i = 0; i < rows; i += kIntTall<S>)
        for (int64_t j = 0; j < columns; j += kIntWide * kWidth) {
          PackedBlock<S> part_a{packed_a + pa * lanes_a + q * block_a, groups, kPanelA}, part_b = pack_b;
          part_a.digits += i;
          part_a.exponents += i;
          part_a.offsets += i;
          part_b.digits += j;
          part_b.exponents += j;
          tile(part_a, part_b, i0 + i, j0 + j, c + (i0 + i) * g.n + j0 + j, static_cast<int>(least(kIntTall<S>, rows - i)), columns - j);
        }
    };
    const auto plain = [&](const auto& part_a, const auto& part_b, int64_t, int64_t, float* to, int rows, int64_t columns) {
      run_int_tile<S, kGroup, kWhole>(part_a, part_b, groups, to, g.n, rows, columns);
    };
    if constexpr (kChecked) {
      const int64_t asked = check->block - k0 / block;
      if (asked >= 0 && asked < here) {
        static thread_local Scratch check_scratch;
        IntCheck<kGroup> sides(check->r, g.m, panels_a * kPanelA, panels_b * kPanelB, groups, pool == nullptr, check_scratch);
        parallel(pool, panels_a, grain, 1, [&](int64_t begin, int64_t end) {
          sides.template add_rows<kPanelA>(begin, end, [&](int64_t p) {
            pack(p);
            return packed_a + p * lanes_a + asked * block_a;
          });
        });
        sides.turn();
        parallel(pool, panels_b, grain, 1, [&](int64_t begin, int64_t end) {
          for (int64_t p = begin; p < end; p++) {
            pack(panels_a + p);
            sides.template expect_columns<kPanelB, kIntWide>(packed_b + p * lanes_b + asked * block_b, p * kPanelB);
          }
        });
        parallel(pool, panels_a * panels_b, tiles_grain, 1, [&](int64_t begin, int64_t end) {
          static thread_local Scratch found_scratch;
          constexpr int64_t kSums = kParts * kPanelB;
          auto* found = reinterpret_cast<int64_t*>(found_scratch.need(2 * kSums * panels_b));
          for (int64_t i = 0; i < kSums * panels_b; i++) found[i] = 0;
          const auto checked = [&](const auto& part_a, const auto& part_b, int64_t i, int64_t j, float* to, int rows, int64_t columns) {
            run_int_tile<S, kGroup, kWhole, true>(part_a, part_b, groups, to, g.n, rows, columns, sides.parts(i), found + j / kPanelB * kSums + j % kPanelB);
          };
          for (int64_t p = begin; p < end; p++) {
            if (check->break_tile) check->break_tile(check->breaker, p, packed_a, panels_a * lanes_a, packed_b, panels_b * lanes_b);
            for (int64_t q = 0; q < here; q++) {
              if (q == asked) multiply(p, q, checked);
              else multiply(p, q, plain);
            }
            if ((p + 1) % (kFoundPanels * panels_b) == 0 || p + 1 == end)
              for (int64_t pb = 0; pb < panels_b; pb++) sides.template find_columns<kPanelB>(found + pb * kSums, pb * kPanelB);
          }
        });
        wrong = sides.first_wrong();
        continue;
      }
    }
    parallel(pool, panels_a + panels_b, grain, 1, [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; p++) pack(p);
    });
    parallel(pool, panels_a * panels_b, tiles_grain, 1, [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; p++)
        for (int64_t q = 0; q < here; q++) multiply(p, q, plain);
    });
  }
  return wrong;
}

template <int S, bool kWhole>
inline void int_gemm(const IntGemm& g, const float* a, const float* b, const int32_t* ea, const int32_t* eb, float* c, const HostCall& call,
                     [[maybe_unused]] ProductCheck* check = nullptr) {
  const auto one = [&](int64_t batch, Pool* pool) {
    const float *left = a + batch * g.m * g.k, *right = b + batch * g.k * g.n;
    const int32_t *rows = ea ? ea + batch * g.m : nullptr, *columns = eb ? eb + batch * g.n : nullptr;
    float* out = c + batch * g.m * g.n;
    if (!kWhole)
      for (int64_t i = 0; i < g.m * g.n; i++) out[i] = 0.0f;
    const auto run = [&](auto group) {
      constexpr int kGroup = decltype(group)::value;
      if constexpr (S == 2)
        if (check != nullptr) {
          const int64_t wrong = int_gemm_one<S, kGroup, kWhole, true>(g, left, right, rows, columns, out, pool, check);
          if (wrong >= 0 && check->column < 0) check->batch = batch, check->column = wrong;
          return;
        }
      int_gemm_one<S, kGroup, kWhole, false>(g, left, right, rows, columns, out, pool, nullptr);
    };
#if defined(__AVX512F__)
    if (call.isa == Isa::vnni) return run(std::integral_constant<int, 4>{});
#endif
    run(std::integral_constant<int, 2>{});
  };
  if (call.pool != nullptr && check == nullptr && g.batch >= 2 * call.pool->threads()) {
    parallel(call.pool, g.batch, 1, 1, [&](int64_t begin, int64_t end) {
      for (int64_t batch = begin; batch < end; batch++) one(batch, nullptr);
    });
  } else {
    for (int64_t batch = 0; batch < g.batch; batch++) one(batch, call.pool);
  }
}

// The exponents of whole rows of a side.
inline void int_exponents(const IntSide& side, int64_t k, int32_t* out, Pool* pool) {
  parallel(pool, side.rows, kGrain / k + 1, 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += side.row == 1 ? kWidth : 1) {
      const float* from = side.data + i * side.row;
      VectorInt most(0u);
      int32_t lanes[kWidth];
      const int wide = static_cast<int>(least(kWidth, end - i));
      if (side.row == 1) {
        for (int64_t l = 0; l < k; l++) most = greater_bits(most, as_bits(read(from + l * side.column, wide)) & VectorInt(0x7FFFFFFFu));
        store_int(lanes, most);
        for (int l = 0; l < wide; l++) out[i + l] = exponent_of<2>(static_cast<uint32_t>(lanes[l]));
      } else {
        each(0, k, [&](int64_t l, int m) { most = greater_bits(most, as_bits(read(from + l, m)) & VectorInt(0x7FFFFFFFu)); });
        store_int(lanes, most);
        for (int l = 1; l < kWidth; l++) lanes[0] = lanes[l] > lanes[0] ? lanes[l] : lanes[0];
        out[i] = exponent_of<2>(static_cast<uint32_t>(lanes[0]));
      }
    }
  });
}
inline void int_gemm_by_row(const IntGemm& g, const float* a, const float* b, int32_t* ea, int32_t* eb, float* c, const HostCall& call,
                            ProductCheck* check = nullptr) {
  for (int64_t batch = 0; batch < g.batch; batch++) {
    const IntSide left{a + batch * g.m * g.k, g.m, g.trans_a ? 1 : g.k, g.trans_a ? g.m : 1};
    const IntSide right{b + batch * g.n * g.k, g.n, g.trans_b ? g.k : 1, g.trans_b ? 1 : g.n};
    int_exponents(left, g.k, ea + batch * g.m, call.pool);
    int_exponents(right, g.k, eb + batch * g.n, call.pool);
  }
  int_gemm<2, true>(g, a, b, ea, eb, c, call, check);
}

}  // namespace cairn::kernels::CAIRN_ISA
