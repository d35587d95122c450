// Images to other sizes, and to columns of patches. Operands of resampling are (rows, height, width), a row being one channel of
// one sample; a height of 1 on both sides is no dimension.
#pragma once

#include "kernels/ops/op.h"
#include "kernels/ops/opened.h"
#include "kernels/patches.h"

namespace cairn::kernels::CAIRN_ISA {

struct ResampleArgs {
  int64_t rows;
  int64_t in[2], out[2];
  float scale[2];  // of the source a step of the output
  float offset;    // nearest: added to the output position
  int32_t corners; // linear: whether the corners' centres meet
};

// What is the same for both: attributes, and how many windows read a position.
struct Resampling {
  using Args = ResampleArgs;
  static constexpr int64_t kMostSize = int64_t{1} << 24;  // exact in an f32
  static std::vector<InPlace> in_place() { return {}; }
  KERNEL_FN static int64_t blocks(const Args&, size_t) { return 1; }

  // attrs: height and width of the other side, both scales, then one more. `reach`: positions over which readers of one lie.
  static void expect_scales(Expect& expect, std::span<const TensorType> in, std::span<const int64_t> attrs, double reach, bool forward) {
    expect.operands(1).attributes(5).type(0, DType::f32, 3);
    expect.that([&] {
      for (size_t d = 0; d < 2; d++)
        if (attrs[d] < 1 || attrs[d] > kMostSize || in[0].shape[1 + d] > kMostSize) return false;
      return true;
    }, "sizes must be 1 .. 2^24");
    expect.that([&] {
      const auto& x = in[0].shape;
      const int64_t dim[3] = {1, forward ? attrs[0] : x[1], forward ? attrs[1] : x[2]};  // of the outputs
      Reads readers[3] = {{1, 1}, {1, 1}, {1, 1}};
      for (size_t d = 0; d < 2; d++) {
        const float scale = attr_f32(attrs[2 + d]);
        if (!(scale >= 0.0f) || !(scale <= static_cast<float>(kMostSize))) return false;
        const auto source = static_cast<double>(forward ? x[1 + d] : attrs[d]), size = static_cast<double>(dim[1 + d]);
        const double step = 1 / (static_cast<double>(scale) + 1e-30);
        const double around = reach * step, past = size - (source - 2) * step;  // those past the last position all read it
        const double over = (around > past ? around : past) + 1 + size * 0x1p-21;  // a place has three roundings
        readers[1 + d].count = static_cast<int64_t>(over > size ? size : over);
      }
      return opened_bytes(4, x[0], dim, readers) <= kOpenedBytes;
    }, "scales must be finite, and one position read by no more outputs than a dispute opens");
  }
  static Args resample_args(int64_t rows, const std::vector<int64_t>& x, const std::vector<int64_t>& y, std::span<const int64_t> attrs) {
    return {rows, {x[1], x[2]}, {y[1], y[2]}, {attr_f32(attrs[2]), attr_f32(attrs[3])}, 0.0f, 0};
  }
  static Types other_size(std::span<const TensorType> in, std::span<const int64_t> attrs) { return {f32({in[0].shape[0], attrs[0], attrs[1]})}; }

  // Of a dimension's outputs 0 .. n the first at which an ascending condition holds; n if at none.
  template <class Condition>
  KERNEL_FN static int64_t first_where(int64_t n, Condition condition) {
    int64_t low = 0, high = n;
    while (low < high) {
      const int64_t middle = (low + high) / 2;
      if (condition(middle)) high = middle;
      else low = middle + 1;
    }
    return low;
  }
};

// y[r, o] = x[r, min(floor((o + offset) * scale), in - 1)] in each dimension
struct NearestBase : Resampling {
  static std::vector<AttrSpec> attrs() { return {{"height"}, {"width"}, {"scale_h", AttrKind::f32}, {"scale_w", AttrKind::f32}, {"offset", AttrKind::f32}}; }
  static uint64_t multiply_adds(const Args& a) { return static_cast<uint64_t>(a.rows * a.out[0] * a.out[1]); }
  KERNEL_FN static int64_t from(const Args& a, int d, int64_t o) {
    return least(a.in[d] - 1, static_cast<int64_t>((static_cast<float>(o) + a.offset) * a.scale[d]));
  }
  static void expect_nearest(Expect& expect, std::span<const TensorType> in, std::span<const int64_t> attrs, bool forward) {
    expect_scales(expect, in, attrs, 1, forward);
    expect.that([&] { return attr_f32(attrs[4]) == 0.0f || attr_f32(attrs[4]) == 0.5f; }, "offset is 0 or 0.5");
  }
};

struct UpsampleNearest : NearestBase {
  static constexpr OperatorText kText{272, "upsample_nearest.v1", "y[r, o] = x[r, min(floor((o + offset) * scale), in - 1)] in each dimension", "moves; the index by one f32 addition and one multiplication",
                                      "nearest neighbour"};
  static KnownCall known() { return {{f32({3, 5, 4})}, {11, 6, attr_of(5.0f / 11), attr_of(4.0f / 6), 0}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect_nearest(expect, in, attrs, true);
    if (!expect.ok()) return expect.error();
    return other_size(in, attrs);
  }
  static Args args(const CallShape& call) {
    Args a = resample_args(call.in[0].shape[0], call.in[0].shape, call.out[0].shape, call.attrs);
    a.offset = attr_f32(call.attrs[4]);
    return a;
  }
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t, int64_t e, int64_t, Carry, S& source) {
    const int64_t w = e % a.out[1], h = e / a.out[1] % a.out[0], r = e / (a.out[0] * a.out[1]);
    return result(source.f32(0, (r * a.in[0] + from(a, 0, h)) * a.in[1] + from(a, 1, w)));
  }
  static void host(const Args& a, const HostCall& c) {
    static thread_local Scratch scratch;
    const float* x = in_f32(c, 0);
    float* y = out_f32(c, 0);
    int64_t* column = reinterpret_cast<int64_t*>(scratch.need(2 * a.out[1]));
    for (int64_t w = 0; w < a.out[1]; w++) column[w] = from(a, 1, w);
    parallel(c.pool, a.rows * a.out[0], kGrain / a.out[1] + 1, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) {
        const float* row = x + (i / a.out[0] * a.in[0] + from(a, 0, i % a.out[0])) * a.in[1];
        float* to = y + i * a.out[1];
        for (int64_t w = 0; w < a.out[1]; w++) to[w] = canonical(row[column[w]]);
      }
    });
  }
};

// dx[r, p] = sum of dy[r, o] over the outputs o that read p
struct UpsampleNearestBackward : NearestBase {
  static constexpr OperatorText kText{273, "upsample_nearest_backward.v1", "dx[r, p] = sum of dy[r, o] over the o that upsample_nearest.v1 reads p for", "a chain over o ascending from +0",
                                      "derivative of upsample_nearest.v1"};
  static KnownCall known() { return {{f32({3, 11, 6})}, {5, 4, attr_of(5.0f / 11), attr_of(4.0f / 6), 0}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect_nearest(expect, in, attrs, false);
    if (!expect.ok()) return expect.error();
    return other_size(in, attrs);
  }
  static Args args(const CallShape& call) {
    Args a = resample_args(call.in[0].shape[0], call.out[0].shape, call.in[0].shape, call.attrs);
    a.offset = attr_f32(call.attrs[4]);
    return a;
  }
  KERNEL_FN static int64_t first_reader(const Args& a, int d, int64_t i) {
    return first_where(a.out[d], [&](int64_t o) { return from(a, d, o) >= i; });
  }
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t, int64_t e, int64_t, Carry, S& source) {
    const int64_t w = e % a.in[1], h = e / a.in[1] % a.in[0], r = e / (a.in[0] * a.in[1]);
    const int64_t w0 = first_reader(a, 1, w), w1 = first_reader(a, 1, w + 1), h1 = first_reader(a, 0, h + 1);
    float chain = 0.0f;
    for (int64_t i = first_reader(a, 0, h); i < h1; i++)
      for (int64_t j = w0; j < w1; j++) chain = chain + source.f32(0, (r * a.out[0] + i) * a.out[1] + j);
    return result(chain);
  }
  static void host(const Args& a, const HostCall& c) {
    static thread_local Scratch scratch;
    const float* dy = in_f32(c, 0);
    float* dx = out_f32(c, 0);
    int64_t* column = reinterpret_cast<int64_t*>(scratch.need(2 * a.out[1]));
    for (int64_t w = 0; w < a.out[1]; w++) column[w] = from(a, 1, w);
    parallel(c.pool, a.rows, kGrain / (a.out[0] * a.out[1]) + 1, 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; r++) {
        float* plane = dx + r * a.in[0] * a.in[1];
        __builtin_memset(plane, 0, static_cast<size_t>(a.in[0] * a.in[1]) * sizeof(float));
        for (int64_t h = 0; h < a.out[0]; h++) {
          float* row = plane + from(a, 0, h) * a.in[1];
          const float* g = dy + (r * a.out[0] + h) * a.out[1];
          for (int64_t w = 0; w < a.out[1]; w++) row[column[w]] = row[column[w]] + g[w];
        }
        each(0, a.in[0] * a.in[1], [&](int64_t i, int m) { write(plane + i, m, read(plane + i, m)); });
      }
    });
  }
};

// Along a dimension output o lies at s = max(0, (o + 0.5) * scale - 0.5), or o * scale with corners, between i0 = floor(s) and
// i1 = min(i0 + 1, in - 1), and takes w1 = s - i0 of the latter, w0 = 1 - w1 of the former.
struct LinearBase : Resampling {
  static std::vector<AttrSpec> attrs() { return {{"height"}, {"width"}, {"scale_h", AttrKind::f32}, {"scale_w", AttrKind::f32}, {"corners"}}; }
  static uint64_t multiply_adds(const Args& a) { return static_cast<uint64_t>(6 * a.rows * a.out[0] * a.out[1]); }
  struct Between {
    int64_t i0, i1;
    float w0, w1;
  };
  KERNEL_FN static Between between(const Args& a, int d, int64_t o) {
    float s = a.corners ? static_cast<float>(o) * a.scale[d] : (static_cast<float>(o) + 0.5f) * a.scale[d] - 0.5f;
    if (s < 0.0f) s = 0.0f;
    Between b;
    b.i0 = least(a.in[d] - 1, static_cast<int64_t>(s));
    b.i1 = least(a.in[d] - 1, b.i0 + 1);
    b.w1 = limited(s - static_cast<float>(b.i0), 0.0f, 1.0f);
    b.w0 = 1.0f - b.w1;
    return b;
  }
  // How much of output o position i gives.
  KERNEL_FN static float weight(const Between& b, int64_t i) { return b.i0 == b.i1 ? b.w0 + b.w1 : i == b.i0 ? b.w0 : b.w1; }
  static void expect_linear(Expect& expect, std::span<const TensorType> in, std::span<const int64_t> attrs, bool forward) {
    expect_scales(expect, in, attrs, 2.5, forward);  // of position 1 also those that lie before 0, by half a step
    expect.that([&] { return attrs[4] == 0 || attrs[4] == 1; }, "corners is 0 or 1");
  }
  static Between* table(const Args& a) {
    static thread_local Scratch scratch;
    Between* all = reinterpret_cast<Between*>(scratch.need(a.out[1] * static_cast<int64_t>(sizeof(Between) / sizeof(float))));
    for (int64_t w = 0; w < a.out[1]; w++) all[w] = between(a, 1, w);
    return all;
  }
};

struct UpsampleBilinear : LinearBase {
  static constexpr OperatorText kText{
      274, "upsample_bilinear.v1",
      "y[r, o] = sum over the four x around o's place s; s = max(0, (o + 0.5) * scale - 0.5), or o * scale with corners; weights 1 - (s - floor s) and s - floor s in each dimension",
      "columns first: t = fused(w1, right, w0 * left), then rows: y = fused(w1, lower t, w0 * upper t); the place by single f32 operations", "bilinear interpolation"};
  static KnownCall known() { return {{f32({3, 5, 4})}, {11, 6, attr_of(5.0f / 11), attr_of(4.0f / 6), 0}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect_linear(expect, in, attrs, true);
    if (!expect.ok()) return expect.error();
    return other_size(in, attrs);
  }
  static Args args(const CallShape& call) {
    Args a = resample_args(call.in[0].shape[0], call.in[0].shape, call.out[0].shape, call.attrs);
    a.corners = call.attrs[4] == 1;
    return a;
  }
  template <class Read>
  KERNEL_FN static float value(const Between& h, const Between& w, Read read_at) {
    const float upper = fused(w.w1, read_at(h.i0, w.i1), w.w0 * read_at(h.i0, w.i0));
    const float lower = fused(w.w1, read_at(h.i1, w.i1), w.w0 * read_at(h.i1, w.i0));
    return fused(h.w1, lower, h.w0 * upper);
  }
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t, int64_t e, int64_t, Carry, S& source) {
    const int64_t w = e % a.out[1], h = e / a.out[1] % a.out[0], r = e / (a.out[0] * a.out[1]);
    return result(value(between(a, 0, h), between(a, 1, w), [&](int64_t i, int64_t j) { return source.f32(0, (r * a.in[0] + i) * a.in[1] + j); }));
  }
  static void host(const Args& a, const HostCall& c) {
    const float* x = in_f32(c, 0);
    float* y = out_f32(c, 0);
    const Between* column = table(a);
    parallel(c.pool, a.rows * a.out[0], kGrain / 4 / a.out[1] + 1, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) {
        const float* plane = x + i / a.out[0] * a.in[0] * a.in[1];
        const Between h = between(a, 0, i % a.out[0]);
        for (int64_t w = 0; w < a.out[1]; w++)
          y[i * a.out[1] + w] = canonical(value(h, column[w], [&](int64_t p, int64_t q) { return plane[p * a.in[1] + q]; }));
      }
    });
  }
};

// dx[r, p] = sum over the outputs o around p of weight(o, p) * dy[r, o]
struct UpsampleBilinearBackward : LinearBase {
  static constexpr OperatorText kText{275, "upsample_bilinear_backward.v1", "dx[r, p] = sum of weight(o, p) * dy[r, o] over the outputs o that upsample_bilinear.v1 reads p for",
                                      "weight = row's * column's, rounded; a chain of fused multiply-adds over o ascending from +0", "derivative of upsample_bilinear.v1"};
  static KnownCall known() { return {{f32({3, 11, 6})}, {5, 4, attr_of(5.0f / 11), attr_of(4.0f / 6), 0}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect_linear(expect, in, attrs, false);
    if (!expect.ok()) return expect.error();
    return other_size(in, attrs);
  }
  static Args args(const CallShape& call) {
    Args a = resample_args(call.in[0].shape[0], call.out[0].shape, call.in[0].shape, call.attrs);
    a.corners = call.attrs[4] == 1;
    return a;
  }
  KERNEL_FN static int64_t first_reader(const Args& a, int d, int64_t i) {
    return first_where(a.out[d], [&](int64_t o) { return between(a, d, o).i1 >= i; });
  }
  KERNEL_FN static int64_t end_reader(const Args& a, int d, int64_t i) {
    return first_where(a.out[d], [&](int64_t o) { return between(a, d, o).i0 > i; });
  }
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t, int64_t e, int64_t, Carry, S& source) {
    const int64_t w = e % a.in[1], h = e / a.in[1] % a.in[0], r = e / (a.in[0] * a.in[1]);
    const int64_t w0 = first_reader(a, 1, w), w1 = end_reader(a, 1, w), h1 = end_reader(a, 0, h);
    float chain = 0.0f;
    for (int64_t i = first_reader(a, 0, h); i < h1; i++) {
      const float of_row = weight(between(a, 0, i), h);
      for (int64_t j = w0; j < w1; j++)
        chain = fused(of_row * weight(between(a, 1, j), w), source.f32(0, (r * a.out[0] + i) * a.out[1] + j), chain);
    }
    return result(chain);
  }
  static void host(const Args& a, const HostCall& c) {
    const float* dy = in_f32(c, 0);
    float* dx = out_f32(c, 0);
    const Between* column = table(a);
    parallel(c.pool, a.rows, kGrain / 4 / (a.out[0] * a.out[1]) + 1, 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; r++) {
        float* plane = dx + r * a.in[0] * a.in[1];
        __builtin_memset(plane, 0, static_cast<size_t>(a.in[0] * a.in[1]) * sizeof(float));
        for (int64_t i = 0; i < a.out[0]; i++) {
          const Between h = between(a, 0, i);
          const float* g = dy + (r * a.out[0] + i) * a.out[1];
          for (int64_t p = h.i0; p <= h.i1; p++) {
            const float of_row = weight(h, p);
            float* row = plane + p * a.in[1];
            for (int64_t j = 0; j < a.out[1]; j++)
              for (int64_t q = column[j].i0; q <= column[j].i1; q++) row[q] = fused(of_row * weight(column[j], q), g[j], row[q]);
          }
        }
        each(0, a.in[0] * a.in[1], [&](int64_t i, int m) { write(plane + i, m, read(plane + i, m)); });
      }
    });
  }
};

// Patches of a two-dimensional image as columns.
struct ColumnsBase {
  using Args = Stencil;
  static constexpr int64_t kMost = int64_t{1} << 20;
  static std::vector<InPlace> in_place() { return {}; }
  static uint64_t multiply_adds(const Args& a) { return static_cast<uint64_t>(a.n * a.channels * a.taps() * a.y[1] * a.y[2]); }
  // attrs: kernel, stride, padding, dilation, then perhaps the image's size: a number each for height and width.
  static Args stencil(int64_t n, int64_t channels, int64_t height, int64_t width, std::span<const int64_t> attrs) {
    Args a{};
    a.n = n;
    a.groups = a.filters = 1;
    a.channels = channels;
    a.x[0] = a.y[0] = a.k[0] = a.stride[0] = a.dilation[0] = 1;
    for (size_t d = 1; d < 3; d++) {
      a.x[d] = d == 1 ? height : width;
      a.k[d] = attrs[d - 1];
      a.stride[d] = attrs[1 + d];
      a.padding[d] = attrs[3 + d];
      a.dilation[d] = attrs[5 + d];
      const int64_t room = a.x[d] + 2 * a.padding[d] - a.dilation[d] * (a.k[d] - 1) - 1;
      a.y[d] = room < 0 ? 0 : room / a.stride[d] + 1;
    }
    return a;
  }
  static void expect_numbers(Expect& expect, std::span<const int64_t> attrs, size_t count) {
    expect.operands(1).attributes(count).dtype_is(0, DType::f32);
    expect.that([&] {
      for (size_t i = 0; i < count; i++)
        if (attrs[i] < (i / 2 == 2 ? 0 : 1) || attrs[i] > kMost) return false;
      return true;
    }, "kernel, stride, dilation and sizes must be at least 1, padding at least 0, each up to 2^20");
  }
};

// y[n, c * taps + k, o] = x[n, c, o * stride - padding + k * dilation], +0 outside
//   x (n, c, h, w) f32 -> y (n, c * taps, places)
struct Im2col : ColumnsBase {
  static constexpr OperatorText kText{276, "im2col.v1", "y[n, (c, k), o] = x[n, c, o * stride - padding + k * dilation], +0 outside", "moves", "Chellapilla, Puri & Simard 2006"};
  static std::vector<AttrSpec> attrs() { return {{"kernel_stride_padding_dilation..."}}; }
  static KnownCall known() { return {{f32({2, 3, 7, 5})}, {3, 2, 2, 1, 1, 0, 1, 2}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect_numbers(expect, attrs, 8);
    expect.rank_is(0, 4);
    if (!expect.ok()) return expect.error();
    const auto& x = in[0].shape;
    const Args a = stencil(x[0], x[1], x[2], x[3], attrs);
    expect.that([&] { return a.y[1] >= 1 && a.y[2] >= 1; }, "the kernel is larger than the padded operand");
    if (!expect.ok()) return expect.error();
    return Types{f32({x[0], x[1] * a.taps(), a.y[1] * a.y[2]})};
  }
  static Args args(const CallShape& call) {
    const auto& x = call.in[0].shape;
    return stencil(x[0], x[1], x[2], x[3], call.attrs);
  }
  KERNEL_FN static int64_t blocks(const Args&, size_t) { return 1; }
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t, int64_t e, int64_t, Carry, S& source) {
    const int64_t ow = e % a.y[2], oh = e / a.y[2] % a.y[1], row = e / (a.y[1] * a.y[2]), kw = row % a.k[2], kh = row / a.k[2] % a.k[1];
    const int64_t h = oh * a.stride[1] - a.padding[1] + kh * a.dilation[1], w = ow * a.stride[2] - a.padding[2] + kw * a.dilation[2];
    if (h < 0 || h >= a.x[1] || w < 0 || w >= a.x[2]) return result(0.0f);
    return result(source.f32(0, (row / a.taps() * a.x[1] + h) * a.x[2] + w));
  }
  static void host(const Args& a, const HostCall& c) {
    const float* x = in_f32(c, 0);
    float* y = out_f32(c, 0);
    const int64_t places = a.y[1] * a.y[2];
    parallel(c.pool, a.n * a.channels * a.taps(), kGrain / places + 1, 1, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; row++) {
        const int64_t kw = row % a.k[2], kh = row / a.k[2] % a.k[1];
        const float* plane = x + row / a.taps() * a.x[1] * a.x[2];
        float* to = y + row * places;
        for (int64_t oh = 0; oh < a.y[1]; oh++) {
          const int64_t h = oh * a.stride[1] - a.padding[1] + kh * a.dilation[1];
          for (int64_t ow = 0; ow < a.y[2]; ow++, to++) {
            const int64_t w = ow * a.stride[2] - a.padding[2] + kw * a.dilation[2];
            *to = h < 0 || h >= a.x[1] || w < 0 || w >= a.x[2] ? 0.0f : canonical(plane[h * a.x[2] + w]);
          }
        }
      }
    });
  }
};

// x[n, c, p] = sum over k of y[n, c * taps + k, (p + padding - k * dilation) / stride], where that is whole and a place
//   y (n, c * taps, places) f32 -> x (n, c, h, w)
struct Col2im : ColumnsBase {
  static constexpr OperatorText kText{277, "col2im.v1", "x[n, c, p] = sum over k of y[n, (c, k), (p + padding - k * dilation) / stride] where stride divides and it is a place; size of x given",
                                      "a chain over k ascending from +0; blocks of 256 k", "derivative of im2col.v1"};
  static std::vector<AttrSpec> attrs() { return {{"kernel_stride_padding_dilation_size..."}}; }
  static KnownCall known() { return {{f32({2, 18, 12})}, {3, 2, 2, 1, 1, 0, 1, 2, 7, 5}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect_numbers(expect, attrs, 10);
    expect.rank_is(0, 3).that([&] { return in[0].shape[1] % (attrs[0] * attrs[1]) == 0; }, "operand 0 needs a row for each channel and tap");
    if (!expect.ok()) return expect.error();
    const auto& y = in[0].shape;
    const Args a = stencil(y[0], y[1] / (attrs[0] * attrs[1]), attrs[8], attrs[9], attrs);
    expect.that([&] { return a.y[1] >= 1 && a.y[2] >= 1 && y[2] == a.y[1] * a.y[2]; }, "places do not fit the size, kernel and stride");
    if (!expect.ok()) return expect.error();
    return Types{f32({y[0], a.channels, attrs[8], attrs[9]})};
  }
  static Args args(const CallShape& call) {
    const auto& x = call.out[0].shape;
    return stencil(x[0], x[1], x[2], x[3], call.attrs);
  }
  KERNEL_FN static int64_t blocks(const Args& a, size_t) { return blocks_of(a.taps(), kFoldBlock); }
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t, int64_t e, int64_t block, Carry carry, S& source) {
    const int64_t w = e % a.x[2], h = e / a.x[2] % a.x[1], row = e / (a.x[1] * a.x[2]), end = least(a.taps(), (block + 1) * kFoldBlock);
    float chain = as_float(static_cast<uint32_t>(carry.lo));
    for (int64_t k = block * kFoldBlock; k < end; k++) {
      const int64_t i = h + a.padding[1] - k / a.k[2] * a.dilation[1], j = w + a.padding[2] - k % a.k[2] * a.dilation[2];
      if (i < 0 || j < 0 || i % a.stride[1] != 0 || j % a.stride[2] != 0 || i / a.stride[1] >= a.y[1] || j / a.stride[2] >= a.y[2]) continue;
      chain = chain + source.f32(0, ((row * a.taps() + k) * a.y[1] + i / a.stride[1]) * a.y[2] + j / a.stride[2]);
    }
    return result(chain);
  }
  static void host(const Args& a, const HostCall& c) {
    const float* y = in_f32(c, 0);
    float* x = out_f32(c, 0);
    const int64_t size = a.x[1] * a.x[2];
    parallel(c.pool, a.n * a.channels, kGrain / (a.taps() * a.y[1] * a.y[2]) + 1, 1, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; row++) {
        float* plane = x + row * size;
        __builtin_memset(plane, 0, static_cast<size_t>(size) * sizeof(float));
        const float* from = y + row * a.taps() * a.y[1] * a.y[2];
        for (int64_t k = 0; k < a.taps(); k++)
          for (int64_t oh = 0; oh < a.y[1]; oh++) {
            const int64_t h = oh * a.stride[1] - a.padding[1] + k / a.k[2] * a.dilation[1];
            for (int64_t ow = 0; ow < a.y[2]; ow++, from++) {
              const int64_t w = ow * a.stride[2] - a.padding[2] + k % a.k[2] * a.dilation[2];
              if (h >= 0 && h < a.x[1] && w >= 0 && w < a.x[2]) plane[h * a.x[2] + w] = plane[h * a.x[2] + w] + *from;
            }
          }
        each(0, size, [&](int64_t i, int m) { write(plane + i, m, read(plane + i, m)); });
      }
    });
  }
};

}  // namespace cairn::kernels::CAIRN_ISA
