// Products with the patches of an image, as convolution has them: gemm.h's tiles over panels that are gathered on the way.
//
// What the taps of some channels read is first copied into *planes*: padded, and one plane for each phase of a stride, so that a
// tap at consecutive positions reads consecutive floats. A panel of B is then a few loads for each (channel, tap); a matrix of
// patches is never written out. Work goes by *units* of some hundred positions, whose planes and results stay in a cache.
//
// Source: Chellapilla, Puri & Simard 2006; Goto & van de Geijn 2008.
#pragma once

#include "kernels/gemm.h"

namespace cairn::kernels::CAIRN_ISA {

// A relation of x (n, groups * channels, x...), y (n, groups * filters, y...) and w (groups * filters, channels, k...).
struct Stencil {
  int64_t n, groups, channels, filters;
  int64_t x[3], y[3], k[3], stride[3], padding[3], dilation[3];
  int32_t bias;
  KERNEL_FN int64_t taps() const { return k[0] * k[1] * k[2]; }
};

inline constexpr int64_t kUnitPositions = 512;
inline constexpr int64_t kPatchDepth = 512;        // of k, about: whole channels

// One dimension. The q-th position sought, first + every * q, reads the source at (q + shift) * step + phase for every tap.
struct Axis {
  int64_t count, first, every;
  int64_t size, step;   // of the source
  int64_t low, extra;   // the least shift, and how far the greatest is above it
  int64_t taps, planes; // that take part; phases that they use
  int64_t *tap, *shift, *plane, *phase;

  static constexpr int64_t kTables = 4;  // of as many numbers as there are taps
  void begin(int64_t* tables, int64_t most) {
    tap = tables;
    shift = tap + most;
    plane = shift + most;
    phase = plane + most;
    taps = planes = low = extra = 0;
  }
  void add(int64_t number, int64_t at) {  // `at`: where position 0 reads
    int64_t by = at / step;
    if (by * step > at) by--;
    int64_t p = 0;
    while (p < planes && phase[p] != at - by * step) p++;
    if (p == planes) phase[planes++] = at - by * step;
    tap[taps] = number;
    shift[taps] = by;
    plane[taps++] = p;
    const int64_t high = taps == 1 ? by : low + extra > by ? low + extra : by;
    low = taps == 1 ? by : least(low, by);
    extra = high - low;
  }
};

// From x to y: every position of y.
inline void forward_axis(Axis& a, int64_t* tables, const Stencil& s, int d) {
  a.begin(tables, s.k[d]);
  a.count = s.y[d];
  a.first = 0;
  a.every = 1;
  a.size = s.x[d];
  a.step = s.stride[d];
  for (int64_t t = 0; t < s.k[d]; t++) a.add(t, t * s.dilation[d] - s.padding[d]);
}
// From y to x: the positions of x that are `phase` modulo the stride.
inline void transposed_axis(Axis& a, int64_t* tables, const Stencil& s, int d, int64_t phase) {
  a.begin(tables, s.k[d]);
  a.count = (s.x[d] - phase + s.stride[d] - 1) / s.stride[d];
  a.first = phase;
  a.every = s.stride[d];
  a.size = s.y[d];
  a.step = 1;
  for (int64_t t = 0; t < s.k[d]; t++) {
    const int64_t at = phase + s.padding[d] - t * s.dilation[d];
    if (at % s.stride[d] == 0) a.add(t, at / s.stride[d]);
  }
}

// Some positions: of slices (image, depth), rows and columns.
struct Unit {
  int64_t group, s0, s1, r0, r1, x0, x1;
  int64_t rows() const { return r1 - r0; }
  int64_t width() const { return x1 - x0; }
  int64_t positions() const { return (s1 - s0) * rows() * width(); }
};

struct Patches {
  const float* source;
  int64_t images, groups, channels;  // of the source
  Axis axis[3];
  int64_t slices, rows, width;       // of a unit, at most
  int64_t slice_units, row_units, column_units;
  int64_t taps;                      // that take part
  int64_t pitch, plane, channel;     // strides of planes
  int64_t *tap, *offset;             // of each tap that takes part: its number in w, where it reads in a channel's planes

  static int64_t tables(const Stencil& s) { return Axis::kTables * (s.k[0] + s.k[1] + s.k[2]) + 2 * s.taps(); }

  // Axes stand; what follows from them.
  void finish(int64_t* tables, const Stencil& s) {
    const Axis &d = axis[0], &h = axis[1], &w = axis[2];
    const int64_t all = images * d.count, even_columns = (w.count + kUnitPositions - 1) / kUnitPositions;
    width = (w.count + even_columns - 1) / even_columns;
    const int64_t most_rows = least(h.count, kUnitPositions / width > 0 ? kUnitPositions / width : 1);
    const int64_t even_rows = (h.count + most_rows - 1) / most_rows;
    rows = (h.count + even_rows - 1) / even_rows;
    const int64_t whole = h.count * w.count;
    slices = even_rows == 1 && even_columns == 1 && whole % kPanel != 0 ? kUnitPositions / whole : 1;
    slices = slices < 1 ? 1 : least(slices, all);
    slice_units = (all + slices - 1) / slices;
    row_units = even_rows;
    column_units = even_columns;
    pitch = width + w.extra;
    plane = (rows + h.extra) * pitch;
    channel = d.taps * h.planes * w.planes * plane;
    taps = d.taps * h.taps * w.taps;
    tap = tables;
    offset = tap + s.taps();
    int64_t t = 0;
    for (int64_t i = 0; i < d.taps; i++)
      for (int64_t j = 0; j < h.taps; j++)
        for (int64_t l = 0; l < w.taps; l++, t++) {
          tap[t] = (d.tap[i] * s.k[1] + h.tap[j]) * s.k[2] + w.tap[l];
          offset[t] = ((i * h.planes + h.plane[j]) * w.planes + w.plane[l]) * plane + (h.shift[j] - h.low) * pitch + w.shift[l] - w.low;
        }
  }
  int64_t units_of_group() const { return slice_units * row_units * column_units; }
  Unit unit(int64_t u) const {
    const int64_t x = u % column_units, r = u / column_units % row_units, s = u / (column_units * row_units) % slice_units;
    return {u / units_of_group(), s * slices, least((s + 1) * slices, images * axis[0].count),
            r * rows, least((r + 1) * rows, axis[1].count), x * width, least((x + 1) * width, axis[2].count)};
  }
  int64_t block_channels() const { return least(channels, taps == 0 || taps >= kPatchDepth ? 1 : kPatchDepth / taps); }
  int64_t floats_of_planes(int64_t block) const { return slices * block * channel + 2 * kPanel; }  // a whole register may be read past the end

  // Where position q of a unit lies in the planes of a block of `block` channels.
  int64_t at(const Unit& u, int64_t q, int64_t block) const {
    const int64_t w = u.width(), in_slice = u.rows() * w;
    return q / in_slice * block * channel + q % in_slice / w * pitch + q % w;
  }

  // Channels c0 .. c1 of the unit's planes.
  void gather(const Unit& u, int64_t c0, int64_t c1, float* to) const {
    const Axis &d = axis[0], &h = axis[1], &w = axis[2];
    const int64_t length = u.width() + w.extra, high = u.rows() + h.extra;
    for (int64_t s = u.s0; s < u.s1; s++)
      for (int64_t c = c0; c < c1; c++)
        for (int64_t i = 0; i < d.taps; i++) {
          const int64_t z = (s % d.count + d.shift[i]) * d.step + d.phase[d.plane[i]];
          const float* from = source + ((((s / d.count) * groups + u.group) * channels + c) * d.size + z) * h.size * w.size;
          for (int64_t j = 0; j < h.planes; j++)
            for (int64_t l = 0; l < w.planes; l++) {
              float* out = to + ((s - u.s0) * (c1 - c0) + c - c0) * channel + ((i * h.planes + j) * w.planes + l) * plane;
              const int64_t x = (u.x0 + w.low) * w.step + w.phase[l];  // of the row's first element
              const int64_t begin = least(length, x >= 0 ? 0 : (w.step - 1 - x) / w.step);
              const int64_t end = x >= w.size ? begin : least(length, (w.size - 1 - x) / w.step + 1);
              for (int64_t r = 0; r < high; r++, out += pitch) {
                const int64_t y = (u.r0 + r + h.low) * h.step + h.phase[j];
                const bool inside = z >= 0 && z < d.size && y >= 0 && y < h.size && begin < end;
                put_row(out, from + y * w.size + x, w.step, inside ? begin : length, inside ? end : length, length);
              }
            }
        }
  }
  // to[i] = from[i * step] for begin <= i < end, 0 elsewhere below `length`. Rows are put one after the other: a register may
  // write past the end of one.
  static LANES_FN void put_row(float* to, const float* from, int64_t step, int64_t begin, int64_t end, int64_t length) {
    for (int64_t i = 0; i < length; i += kWidth) {
      const int low = static_cast<int>(least(kWidth, begin > i ? begin - i : 0)), high = static_cast<int>(least(kWidth, end > i ? end - i : 0));
      if (step == 1 && low == 0 && high == kWidth) {
        store(to + i, load<Vector>(from + i));
        continue;
      }
      store(to + i, step == 1 && low < high ? load_over(Vector(0.0f), from + i, lanes_between(low, high)) : Vector(0.0f));
    }
    if (step != 1)
      for (int64_t i = begin; i < end; i++) to[i] = from[i * step];
  }
};

// A register of a panel: consecutive positions are runs of consecutive floats in the planes.
struct Runs {
  int count = 0;
  Mask lanes[kWidth] = {};
  int64_t from[kWidth] = {};  // less the first lane
  void take(const Patches& p, const Unit& u, int64_t q, int64_t n, int64_t block) {  // positions q .. q + n, n <= kWidth
    count = 0;
    for (int64_t i = 0; i < n; count++) {
      const int64_t length = least(n - i, u.width() - (q + i) % u.width());
      lanes[count] = lanes_between(static_cast<int>(i), static_cast<int>(i + length));
      from[count] = p.at(u, q + i, block) - i;
      i += length;
    }
  }
};

// Positions q .. q + n, n <= kPanel, of a unit as a panel of channels * taps rows; at most kRuns runs a register.
template <int kRuns>
inline void pack_runs(const Patches& p, const Runs& left, const Runs& right, const float* planes, int64_t block, float* panel) {
  for (int64_t c = 0; c < block; c++)
    for (int64_t t = 0; t < p.taps; t++, panel += kPanel) {
      const float* from = planes + c * p.channel + p.offset[t];
      Vector x(0.0f), y(0.0f);
#pragma GCC unroll 4
      for (int i = 0; i < kRuns; i++) {
        x = load_over(x, from + left.from[i], left.lanes[i]);
        y = load_over(y, from + right.from[i], right.lanes[i]);
      }
      store(panel, x);
      store(panel + kWidth, y);
    }
}
inline void pack_patches(const Patches& p, const Unit& u, const float* planes, int64_t block, int64_t q, int64_t n, float* panel) {
  Runs left, right;
  left.take(p, u, q, least(n, kWidth), block);
  right.take(p, u, q + kWidth, n - least(n, kWidth), block);
  const int runs = left.count > right.count ? left.count : right.count;
  if (kWidth == 1 || runs == 1) pack_runs<1>(p, left, right, planes, block, panel);
  else if (runs == 2) pack_runs<kWidth == 1 ? 1 : 2>(p, left, right, planes, block, panel);
  else if (runs <= 4) pack_runs<kWidth == 1 ? 1 : 4>(p, left, right, planes, block, panel);
  else pack_runs<kWidth>(p, left, right, planes, block, panel);
}

// out[image, group, i, position] = sum over (channel, tap) of a[group, i, channel, tap] * patch (+ bias[group, i]), i < m.
// A is packed for each group by tiles of `tall` rows: [tile][channel, tap][row].
struct PatchProduct {
  const Patches& p;
  int64_t m, tall;
  const float* a;
  const float* bias;
  float* out;
  int64_t size[3];  // of out

  int64_t depth() const { return p.channels * p.taps; }
  // Few rows of A leave a panel without use: each position's chain is run where the planes lie.
  bool is_thin() const { return m <= 2 && p.channels == p.block_channels(); }

  float* row(const Unit& u, int64_t i, int64_t s, int64_t r) const {
    const Axis &d = p.axis[0], &h = p.axis[1];
    return out + ((((s / d.count) * p.groups + u.group) * m + i) * size[0] + d.first + d.every * (s % d.count)) * size[1] * size[2] +
           (h.first + h.every * r) * size[2];
  }
  // `n` results from column x on; the chain's end.
  LANES_FN void put(float* to, int64_t x, int n, Vector value, int64_t channel) const {
    if (bias) value = value + Vector(bias[channel]);
    const Axis& w = p.axis[2];
    if (w.every == 1) {
      write(to + x, n, value);
    } else {
      alignas(64) float lane[kWidth];
      store(lane, canonical(value));
      for (int l = 0; l < n; l++) to[w.first + w.every * (x + l)] = lane[l];
    }
  }

  void run(int64_t u0, int64_t u1, int64_t m0, int64_t m1) const {
    static thread_local Scratch scratch_planes, scratch_panel, scratch_c;
    const int64_t most = p.block_channels();
    float* planes = scratch_planes.need(p.floats_of_planes(most));
    float* panel = scratch_panel.need((most * p.taps + kAhead + 1) * kPanel);
    for (int64_t number = u0; number < u1; number++) {
      const Unit u = p.unit(number);
      if (is_thin() && p.taps > 0) {
        p.gather(u, 0, p.channels, planes);
        for (int64_t i = m0; i < m1; i++) thin(u, planes, i);
        continue;
      }
      const int64_t positions = u.positions(), padded = (positions + kPanel - 1) / kPanel * kPanel;
      const Axis &h = p.axis[1], &w = p.axis[2];
      const bool direct = u.s1 - u.s0 == 1 && h.every == 1 && w.every == 1 && (u.width() == size[2] || u.rows() == 1) && p.taps > 0;
      float* c = direct ? row(u, 0, u.s0, u.r0) + u.x0 : scratch_c.need(m * padded);
      const int64_t c_stride = direct ? size[0] * size[1] * size[2] : padded;
      if (p.taps == 0)
        for (int64_t i = 0; i < m * padded; i++) c[i] = 0.0f;
      for (int64_t c0 = 0; p.taps > 0 && c0 < p.channels; c0 += most) {
        const int64_t block = least(most, p.channels - c0);
        p.gather(u, c0, c0 + block, planes);
        for (int64_t q = 0; q < positions; q += kPanel) {
          const int64_t n = least(kPanel, positions - q);
          pack_patches(p, u, planes, block, q, n, panel);
          const int wide = n > kWidth ? 2 : 1;
          Tile t;
          t.a = nullptr;
          t.b = panel;
          t.b_stride = kPanel;
          t.depth = block * p.taps;
          t.c_stride = c_stride;
          t.last_lanes = static_cast<int>(n - (wide - 1) * kWidth);
          t.first = c0 == 0;
          t.last = c0 + block == p.channels;
          t.bias = nullptr;
          for (int64_t i = m0; i < m1; i += tall) {
            const int64_t high = least(tall, m - i);
            t.a = a + (u.group * m + i) * depth() + c0 * p.taps * high;
            t.a_stride = high;
            t.c = c + i * c_stride + q;
            t.next_c = i + tall < m1 ? t.c + tall * c_stride : c + m0 * c_stride + q + (q + kPanel < positions ? kPanel : 0);
            tile_of<false>(static_cast<int>(high), wide)(t);
            if (direct && t.last && bias)
              for (int64_t r = i; r < i + high; r++)
                each(q, q + n, [&](int64_t at, int l) {
                  float* to = c + r * c_stride + at;
                  write(to, l, read(to, l) + Vector(bias[u.group * m + r]));
                });
          }
        }
      }
      if (direct) continue;
      for (int64_t i = m0; i < m1; i++) {
        const float* from = c + i * c_stride;
        for (int64_t s = u.s0; s < u.s1; s++)
          for (int64_t r = u.r0; r < u.r1; r++, from += u.width())
            each(0, u.width(), [&](int64_t x, int l) { put(row(u, i, s, r), u.x0 + x, l, read(from + x, l), u.group * m + i); });
      }
    }
  }

  // Row i of A, by columns of registers over four rows of positions, so that chains do not wait for one another.
  void thin(const Unit& u, const float* planes, int64_t i) const {
    constexpr int kRows = 4;
    const float* weights = a + u.group * m * depth();
    for (int64_t s = u.s0; s < u.s1; s++)
      for (int64_t r = u.r0; r < u.r1; r += kRows)
        each(0, u.width(), [&](int64_t x, int l) {
          const float* from = planes + (s - u.s0) * p.channels * p.channel + (r - u.r0) * p.pitch + x;
          const int64_t rows = least(kRows, u.r1 - r);
          Vector chain[kRows] = {Vector(0.0f), Vector(0.0f), Vector(0.0f), Vector(0.0f)};
          const float* weight = weights + i;
          for (int64_t c = 0; c < p.channels; c++)
            for (int64_t t = 0; t < p.taps; t++, weight += m) {
              const float* at = from + c * p.channel + p.offset[t];
              const Vector w(*weight);
              if (rows == kRows) {
#pragma GCC unroll 4
                for (int v = 0; v < kRows; v++) chain[v] = fused(w, load<Vector>(at + v * p.pitch), chain[v]);
              } else {
                for (int64_t v = 0; v < rows; v++) chain[v] = fused(w, load<Vector>(at + v * p.pitch), chain[v]);
              }
            }
          for (int64_t v = 0; v < rows; v++) put(row(u, i, s, r + v), u.x0 + x, l, chain[v], u.group * m + i);
        });
  }

  void run(Pool* pool) const {
    const int64_t units = p.groups * p.units_of_group(), threads = pool ? pool->threads() : 1;
    const int64_t per_unit = m * depth() * p.slices * p.rows * p.width + 1;
    const bool even = units % threads == 0 || units >= 8 * threads;
    if (even || (m + tall - 1) / tall < threads) {
      parallel(pool, units, kGrainMultiplyAdds / per_unit + 1, 1, [&](int64_t begin, int64_t end) { run(begin, end, 0, m); });
    } else {
      parallel(pool, m, kGrainMultiplyAdds / (per_unit * units / m + 1) + 1, tall, [&](int64_t begin, int64_t end) { run(0, units, begin, end); });
    }
  }
};

LANES_FN int64_t even_tall(int64_t m) {
  const int64_t bands = (m + kTallest - 1) / kTallest;
  return (m + bands - 1) / bands;
}

inline void convolve(const Stencil& s, const float* x, const float* w, const float* bias, float* y, Pool* pool) {
  static thread_local Scratch scratch_tables, scratch_a;
  int64_t* tables = reinterpret_cast<int64_t*>(scratch_tables.need(2 * Patches::tables(s)));
  Patches p{};
  p.source = x;
  p.images = s.n;
  p.groups = s.groups;
  p.channels = s.channels;
  for (int d = 0; d < 3; d++) {
    forward_axis(p.axis[d], tables, s, d);
    tables += Axis::kTables * s.k[d];
  }
  p.finish(tables, s);
  const int64_t m = s.filters, tall = even_tall(m), tiles = (m + tall - 1) / tall, depth = s.channels * s.taps();
  float* a = scratch_a.need(s.groups * m * depth + kTallest);
  parallel(pool, s.groups * tiles, kGrain / (tall * depth) + 1, 1, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; t++) {
      const int64_t first = t / tiles * m + t % tiles * tall;
      const int64_t high = least(tall, m - t % tiles * tall);
      pack_transposed(a + first * depth, high, w + first * depth, depth, high, depth);
    }
  });
  PatchProduct{p, m, tall, a, bias, y, {s.y[0], s.y[1], s.y[2]}}.run(pool);
}

// By phases of the strides: those positions of x have the same taps.
inline void convolve_transposed(const Stencil& s, const float* y, const float* w, const float* bias, float* x, Pool* pool) {
  static thread_local Scratch scratch_tables, scratch_a;
  int64_t* const all_tables = reinterpret_cast<int64_t*>(scratch_tables.need(2 * Patches::tables(s)));
  const int64_t m = s.channels, tall = even_tall(m), tiles = (m + tall - 1) / tall;
  float* a = scratch_a.need(s.groups * s.filters * m * s.taps() + kTallest);
  for (int64_t i = 0; i < least(s.stride[0], s.x[0]); i++)
    for (int64_t j = 0; j < least(s.stride[1], s.x[1]); j++)
      for (int64_t l = 0; l < least(s.stride[2], s.x[2]); l++) {
        const int64_t phase[3] = {i, j, l};
        int64_t* tables = all_tables;
        Patches p{};
        p.source = y;
        p.images = s.n;
        p.groups = s.groups;
        p.channels = s.filters;
        for (int d = 0; d < 3; d++) {
          transposed_axis(p.axis[d], tables, s, d, phase[d]);
          tables += Axis::kTables * s.k[d];
        }
        p.finish(tables, s);
        const int64_t depth = s.filters * p.taps;
        parallel(pool, s.groups * tiles, kGrain / (tall * depth + 1) + 1, 1, [&](int64_t begin, int64_t end) {
          for (int64_t t = begin; t < end; t++) {
            const int64_t group = t / tiles, first = t % tiles * tall, high = least(tall, m - first);
            float* to = a + (group * m + first) * depth;
            for (int64_t o = 0; o < s.filters; o++, to += p.taps * high) {
              const float* from = w + ((group * s.filters + o) * m + first) * s.taps();
              if (p.taps == s.taps()) {
                pack_transposed(to, high, from, s.taps(), high, s.taps());
              } else {
                for (int64_t k = 0; k < p.taps; k++)
                  for (int64_t r = 0; r < high; r++) to[k * high + r] = from[r * s.taps() + p.tap[k]];
              }
            }
          }
        });
        PatchProduct{p, m, tall, a, bias, x, {s.x[0], s.x[1], s.x[2]}}.run(pool);
      }
}

// Of channels c0 .. c1, counted over all groups, and filters f0 .. f1 of each group: patches as rows, y turned as columns, and
// the chains pass from unit to unit.
inline void convolve_weight_part(const Stencil& s, const Patches& p, const float* y, float* w, int64_t c0, int64_t c1, int64_t f0, int64_t f1) {
  static thread_local Scratch scratch_planes, scratch_rows, scratch_panels, scratch_c;
  const int64_t taps = p.taps, filters = f1 - f0, panels = (filters + kPanel - 1) / kPanel, c_stride = panels * kPanel;
  const int64_t most = p.slices * p.rows * p.width, pitch = most + kWidth, plane = s.y[0] * s.y[1] * s.y[2];
  int64_t block = 65536 / (pitch * taps);
  block = block < 1 ? 1 : least(block, p.channels);
  float* planes = scratch_planes.need(p.floats_of_planes(block));
  float* rows = scratch_rows.need(block * taps * pitch);
  float* columns = scratch_panels.need((most * panels + kAhead + 1) * kPanel);
  for (int64_t first = c0; first < c1;) {
    const int64_t group = first / p.channels, end = least(c1, (group + 1) * p.channels);
    const int64_t from = first - group * p.channels, to = end - group * p.channels;
    float* c = scratch_c.need((to - from) * taps * c_stride);
    const int64_t units = p.units_of_group();
    for (int64_t number = 0; number < units; number++) {
      const Unit u = p.unit(group * units + number);
      const int64_t depth = u.positions(), in_slice = u.rows() * u.width();
      for (int64_t f = 0; f < filters; f += kPanel)
        for (int64_t i = u.s0; i < u.s1; i++) {
          const int64_t image = i / s.y[0], at = (i % s.y[0] * s.y[1] + u.r0) * s.y[2] + u.x0;
          pack_transposed(columns + (f / kPanel * most + (i - u.s0) * in_slice) * kPanel, kPanel,
                          y + ((image * s.groups + group) * s.filters + f0 + f) * plane + at, plane, least(kPanel, filters - f), in_slice);
        }
      for (int64_t b = from; b < to; b += block) {
        const int64_t here = least(block, to - b), high = here * taps, tall = even_tall(high);
        p.gather(u, b, b + here, planes);
        float* row = rows;
        for (int64_t k = 0; k < here; k++)
          for (int64_t t = 0; t < taps; t++, row += pitch) {
            float* out = row;
            for (int64_t i = 0; i < u.s1 - u.s0; i++)
              for (int64_t r = 0; r < u.rows(); r++, out += u.width()) {  // whole registers: what lies past a row is written over
                const float* in = planes + (i * here + k) * p.channel + p.offset[t] + r * p.pitch;
                for (int64_t x = 0; x < u.width(); x += kWidth) store(out + x, load<Vector>(in + x));
              }
          }
        for (int64_t f = 0; f < filters; f += kPanel) {
          const int64_t n = least(kPanel, filters - f);
          const int wide = n > kWidth ? 2 : 1;
          Tile t;
          t.b = columns + f * most;
          t.b_stride = kPanel;
          t.depth = depth;
          t.c_stride = c_stride;
          t.last_lanes = static_cast<int>(n - (wide - 1) * kWidth);
          t.first = number == 0;
          t.last = number + 1 == units;
          t.bias = nullptr;
          for (int64_t i = 0; i < high; i += tall) {
            t.a = rows + i * pitch;
            t.a_stride = pitch;
            t.c = c + ((b - from) * taps + i) * c_stride + f;
            t.next_c = t.c + (i + tall < high ? tall * c_stride : 0);
            tile_of<true>(static_cast<int>(least(tall, high - i)), wide)(t);
          }
        }
      }
    }
    const int64_t high = (to - from) * taps, w_stride = p.channels * taps;
    for (int64_t f = 0; f < filters; f += kWidth)
      for (int64_t i = 0; i < high; i += kWidth) {
        const int there = static_cast<int>(least(kWidth, high - i)), deep = static_cast<int>(least(kWidth, filters - f));
        pack_square<false>(w + (group * s.filters + f0 + f) * w_stride + from * taps + i, w_stride, c + i * c_stride + f, c_stride, there, there, deep);
      }
    first = end;
  }
}

// Chains of a tile of taps, one lane a group: from the turned planes, at the positions of a unit in order.
//   chain[t][lane] = fused(y[position][lane], planes[position + offset[t]][lane], chain[t][lane])
template <int kTaps>
inline void run_taps(const Patches& p, const Unit& u, const int64_t* offset, const float* planes, const float* y, float* chains) {
  Vector chain[kTaps];
  const float* from[kTaps];
#pragma GCC unroll 9
  for (int t = 0; t < kTaps; t++) {
    chain[t] = load<Vector>(chains + t * kWidth);
    from[t] = planes + offset[t] * kWidth;
  }
  for (int64_t s = 0; s < u.s1 - u.s0; s++)
    for (int64_t r = 0; r < u.rows(); r++) {
      int64_t at = (s * p.channel + r * p.pitch) * kWidth;
      for (int64_t x = 0; x < u.width(); x++, at += kWidth, y += kWidth) {
        const Vector gain = load<Vector>(y);
#pragma GCC unroll 9
        for (int t = 0; t < kTaps; t++) chain[t] = fused(gain, load<Vector>(from[t] + at), chain[t]);
      }
    }
#pragma GCC unroll 9
  for (int t = 0; t < kTaps; t++) store(chains + t * kWidth, chain[t]);
}
using RunTaps = void (*)(const Patches&, const Unit&, const int64_t*, const float*, const float*, float*);
inline constexpr int64_t kMostTaps = 9;
template <int... kTaps>
LANES_FN RunTaps taps_of(int64_t taps) {
  static constexpr RunTaps kTable[] = {run_taps<kTaps>...};
  return kTable[taps - 1];
}

// Where a group has few filters, a tile of them would leave most lanes without use: lanes are groups g0 .. g0 + n, n <= kWidth.
inline void convolve_weight_across(const Stencil& s, const Patches& p, const float* y, float* w, int64_t g0, int64_t n) {
  static thread_local Scratch scratch_planes, scratch_turned, scratch_y, scratch_chains;
  const int64_t most = p.slices * p.rows * p.width, room = (p.floats_of_planes(1) + kWidth - 1) / kWidth * kWidth, plane = s.y[0] * s.y[1] * s.y[2];
  float* planes = scratch_planes.need(room * kWidth);
  float* turned = scratch_turned.need(room * kWidth);
  float* gains = scratch_y.need(most * kWidth);
  float* chains = scratch_chains.need(s.filters * s.channels * p.taps * kWidth);
  for (int64_t i = 0; i < s.filters * s.channels * p.taps * kWidth; i += kWidth) store(chains + i, Vector(0.0f));
  const int64_t units = p.units_of_group();
  for (int64_t number = 0; number < units; number++) {
    const Unit u = p.unit(number);
    const int64_t in_slice = u.rows() * u.width();
    for (int64_t c = 0; c < s.channels; c++) {
      for (int64_t l = 0; l < n; l++) p.gather(p.unit((g0 + l) * units + number), c, c + 1, planes + l * room);
      pack_transposed(turned, kWidth, planes, room, n, (u.s1 - u.s0) * p.channel);
      for (int64_t f = 0; f < s.filters; f++) {
        for (int64_t i = u.s0; i < u.s1; i++) {
          const int64_t image = i / s.y[0], at = (i % s.y[0] * s.y[1] + u.r0) * s.y[2] + u.x0;
          pack_transposed(gains + (i - u.s0) * in_slice * kWidth, kWidth, y + ((image * s.groups + g0) * s.filters + f) * plane + at,
                          s.filters * plane, n, in_slice);
        }
        float* chain = chains + (f * s.channels + c) * p.taps * kWidth;
        for (int64_t t = 0; t < p.taps; t += kMostTaps) {
          const int64_t taps = least(kMostTaps, p.taps - t);
          taps_of<1, 2, 3, 4, 5, 6, 7, 8, 9>(taps)(p, u, p.offset + t, turned, gains, chain + t * kWidth);
        }
      }
    }
  }
  const int64_t of_group = s.filters * s.channels * p.taps;
  for (int64_t l = 0; l < n; l++)
    for (int64_t i = 0; i < of_group; i++) w[(g0 + l) * of_group + i] = canonical(chains[i * kWidth + l]);
}

inline void convolve_weight(const Stencil& s, const float* y, const float* x, float* w, Pool* pool) {
  static thread_local Scratch scratch_tables;
  int64_t* tables = reinterpret_cast<int64_t*>(scratch_tables.need(2 * Patches::tables(s)));
  Patches p{};
  p.source = x;
  p.images = s.n;
  p.groups = s.groups;
  p.channels = s.channels;
  for (int d = 0; d < 3; d++) {
    forward_axis(p.axis[d], tables, s, d);
    tables += Axis::kTables * s.k[d];
  }
  p.finish(tables, s);
  const int64_t channels = s.groups * s.channels, threads = pool ? pool->threads() : 1;
  const int64_t per_channel = s.filters * s.taps() * s.n * s.y[0] * s.y[1] * s.y[2] + 1;
  if (4 * s.filters <= least(s.groups, kWidth)) {
    parallel(pool, s.groups, kGrainMultiplyAdds / (per_channel * s.channels) + 1, kWidth, [&](int64_t begin, int64_t end) {
      for (int64_t g = begin; g < end; g += kWidth) convolve_weight_across(s, p, y, w, g, least(kWidth, end - g));
    });
  } else if (channels % threads == 0 || channels >= 8 * threads || s.filters <= kPanel) {
    parallel(pool, channels, kGrainMultiplyAdds / per_channel + 1, 1,
             [&](int64_t begin, int64_t end) { convolve_weight_part(s, p, y, w, begin, end, 0, s.filters); });
  } else {
    parallel(pool, s.filters, kGrainMultiplyAdds / (per_channel * channels / s.filters + 1) + 1, kPanel,
             [&](int64_t begin, int64_t end) { convolve_weight_part(s, p, y, w, 0, channels, begin, end); });
  }
}

}  // namespace cairn::kernels::CAIRN_ISA
