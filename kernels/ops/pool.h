// Pooling over one to three dimensions, and its gradients. Operands are (rows, positions...), a row being one channel of one
// sample. Along a dimension, window o holds the positions o * stride - padding + i * dilation, i < kernel, that lie inside; with
// kernel 0 it is *adaptive* and holds floor(o * in / out) up to ceil((o + 1) * in / out).
//
// Source: Fukushima 1980; He et al. 2015 (adaptive).
#pragma once

#include "kernels/gemm.h"
#include "kernels/ops/op.h"
#include "kernels/ops/opened.h"

namespace cairn::kernels::CAIRN_ISA {

// Fewer than three dimensions are filled up with ones, in front.
struct PoolArgs {
  int64_t rows;
  int64_t in[3], out[3], kernel[3], stride[3], padding[3], dilation[3];
  int64_t divisor;  // of averages: 0 positions inside, -1 also those of the padding, else this

  KERNEL_FN int64_t plane() const { return in[0] * in[1] * in[2]; }
  KERNEL_FN int64_t windows() const { return out[0] * out[1] * out[2]; }
  KERNEL_FN int64_t begin(int d, int64_t o) const {  // may lie outside
    return kernel[d] == 0 ? o * in[d] / out[d] : o * stride[d] - padding[d];
  }
  KERNEL_FN int64_t end(int d, int64_t o) const {
    return kernel[d] == 0 ? ((o + 1) * in[d] + out[d] - 1) / out[d] : o * stride[d] - padding[d] + (kernel[d] - 1) * dilation[d] + 1;
  }
  KERNEL_FN int64_t begin_inside(int d, int64_t o) const {
    const int64_t at = begin(d, o);
    return at >= 0 ? at : at + (dilation[d] - 1 - at) / dilation[d] * dilation[d];
  }
  KERNEL_FN int64_t end_inside(int d, int64_t o) const { return least(in[d], end(d, o)); }
  // Windows that reach over position i: first .. last.
  KERNEL_FN int64_t first_over(int d, int64_t i) const {
    if (kernel[d] == 0) return i * out[d] / in[d];
    const int64_t from = i + padding[d] - (kernel[d] - 1) * dilation[d];
    return from <= 0 ? 0 : (from + stride[d] - 1) / stride[d];
  }
  KERNEL_FN int64_t last_over(int d, int64_t i) const {
    if (kernel[d] == 0) return least(out[d], ((i + 1) * out[d] + in[d] - 1) / in[d]) - 1;
    return least(out[d] - 1, (i + padding[d]) / stride[d]);
  }
  // body(p) for the positions p of a window in a plane, ascending.
  template <class Body>
  KERNEL_FN void each_inside(const int64_t (&o)[3], Body body) const {
    for (int64_t d = begin_inside(0, o[0]); d < end_inside(0, o[0]); d += dilation[0])
      for (int64_t h = begin_inside(1, o[1]); h < end_inside(1, o[1]); h += dilation[1])
        for (int64_t w = begin_inside(2, o[2]); w < end_inside(2, o[2]); w += dilation[2]) body((d * in[1] + h) * in[2] + w);
  }
  // body(o) for the windows that reach over the position, ascending.
  template <class Body>
  KERNEL_FN void each_over(const int64_t (&i)[3], Body body) const {
    for (int64_t d = first_over(0, i[0]); d <= last_over(0, i[0]); d++)
      for (int64_t h = first_over(1, i[1]); h <= last_over(1, i[1]); h++)
        for (int64_t w = first_over(2, i[2]); w <= last_over(2, i[2]); w++) {
          const int64_t o[3] = {d, h, w};
          body(o, (d * out[1] + h) * out[2] + w);
        }
  }
  KERNEL_FN static void split(int64_t e, const int64_t (&size)[3], int64_t (&at)[3]) {
    for (int d = 2; d >= 0; d--) {
      at[d] = e % size[d];
      e /= size[d];
    }
  }
  KERNEL_FN float divisor_of(const int64_t (&o)[3]) const {
    if (divisor > 0) return static_cast<float>(divisor);
    int64_t count = 1;
    for (int d = 0; d < 3; d++) {
      if (divisor == 0 || kernel[d] == 0) count *= end_inside(d, o[d]) - begin_inside(d, o[d]);
      else count *= least(in[d] + padding[d], end(d, o[d])) - begin(d, o[d]);
    }
    return static_cast<float>(count);
  }
};

// What the elements of one side of a plane take from the other, in ascending order, as numbers for lanes: of element e the t-th
// is at[t * pitch + e], or -1. The same for all rows.
struct Takes {
  static constexpr int64_t kMost = int64_t{1} << 18;
  int64_t count = 0, pitch = 0;
  const int32_t* at = nullptr;

  // The positions of windows, or else the windows over positions. False where that would be a large table.
  bool fill(const PoolArgs& a, bool of_windows, Scratch& scratch) {
    const int64_t (&from)[3] = of_windows ? a.out : a.in;
    const int64_t (&to)[3] = of_windows ? a.in : a.out;
    int64_t most[3];
    count = 1;
    for (int d = 0; d < 3; d++) {
      if (a.kernel[d] == 0) most[d] = least(to[d], to[d] / from[d] + 2);
      else most[d] = of_windows ? a.kernel[d] : least(to[d], (a.kernel[d] - 1) * a.dilation[d] / a.stride[d] + 1);
      count = count * most[d] > kMost ? kMost + 1 : count * most[d];
    }
    pitch = (from[0] * from[1] * from[2] + kWidth - 1) / kWidth * kWidth;
    if (count * pitch > kMost || a.plane() > int64_t{1} << 24) return false;  // a place is exact in an f32
    int32_t* table = reinterpret_cast<int32_t*>(scratch.need(count * pitch));
    at = table;
    const auto item = [&](int d, int64_t e, int64_t t) -> int64_t {
      if (!of_windows) return a.first_over(d, e) + t <= a.last_over(d, e) ? a.first_over(d, e) + t : -1;
      const int64_t p = a.begin(d, e) + t * a.dilation[d];
      return p >= 0 && p < a.end_inside(d, e) ? p : -1;
    };
    for (int64_t i = 0; i < most[0]; i++)
      for (int64_t j = 0; j < most[1]; j++)
        for (int64_t l = 0; l < most[2]; l++, table += pitch) {
          int64_t e = 0;
          for (int64_t d = 0; d < from[0]; d++)
            for (int64_t h = 0; h < from[1]; h++)
              for (int64_t w = 0; w < from[2]; w++, e++) {
                const int64_t p = item(0, d, i), q = item(1, h, j), r = item(2, w, l);
                table[e] = p < 0 || q < 0 || r < 0 ? -1 : static_cast<int32_t>((p * to[1] + q) * to[2] + r);
              }
          for (; e < pitch; e++) table[e] = -1;
        }
    return true;
  }
  template <class Step>
  LANES_FN void each_of(int64_t e, Step step) const {
    for (int64_t t = 0; t < count; t++) step(load_ints(at + t * pitch + e));
  }
};

struct Pooling {
  using Args = PoolArgs;
  static constexpr int64_t kMostSize = int64_t{1} << 24;
  static constexpr int64_t kMostStraddling = 1 << 16;  // windows that begin before the first position, looked at one by one where a step passes over all
  static std::vector<InPlace> in_place() { return {}; }
  static uint64_t multiply_adds(const Args& a) {
    uint64_t window = static_cast<uint64_t>(a.rows);
    for (int d = 0; d < 3; d++) window *= static_cast<uint64_t>(a.kernel[d] == 0 ? a.in[d] : a.kernel[d] * a.out[d]);
    return window;
  }
  KERNEL_FN static int64_t blocks(const Args&, size_t) { return 1; }

  // `lists` of numbers, one for each dimension: kernel, stride, padding, then dilation if `dilated`, then the sizes of the other side.
  static Args pool_args(const TensorType& rows_and, const std::vector<int64_t>& in, const std::vector<int64_t>& out, std::span<const int64_t> lists, bool dilated) {
    Args a{};
    const size_t rank = in.size();
    a.rows = rows_and.shape[0];
    for (size_t d = 0; d < 3; d++) {
      const bool there = d + rank >= 3;
      const size_t at = d + rank - 3;
      a.in[d] = there ? in[at] : 1;
      a.out[d] = there ? out[at] : 1;
      a.kernel[d] = there ? lists[at] : 1;
      a.stride[d] = there ? lists[rank + at] : 1;
      a.padding[d] = there ? lists[2 * rank + at] : 0;
      a.dilation[d] = there && dilated ? lists[3 * rank + at] : 1;
    }
    return a;
  }
  static std::vector<int64_t> tail(std::span<const int64_t> list, size_t rank) { return {list.end() - static_cast<std::ptrdiff_t>(rank), list.end()}; }

  // Checks operand `k` as (rows, one to three dimensions), the lists, and what windows read.
  static void expect_windows(Expect& expect, std::span<const TensorType> in, size_t k, std::span<const int64_t> lists, bool dilated, bool forward) {
    const size_t rank = in.size() > k && !in[k].shape.empty() ? in[k].shape.size() - 1 : 0;
    expect.dtype_is(k, DType::f32).that([&] { return rank >= 1 && rank <= 3; }, "takes rows of one to three dimensions");
    expect.that([&] { return lists.size() == (dilated ? 5 : 4) * rank; }, "needs its numbers for each dimension");
    expect.that([&] {
      for (size_t i = 0; i < lists.size(); i++)
        if (lists[i] < (i < rank || i / rank == 2 ? 0 : 1) || lists[i] > kMostSize) return false;
      for (size_t d = 1; d <= rank; d++)
        if (in[k].shape[d] < 1 || in[k].shape[d] > kMostSize) return false;
      return true;
    }, "kernel, stride, padding, dilation or sizes are out of range");
    expect.that([&] {
      const std::vector<int64_t> here(in[k].shape.begin() + 1, in[k].shape.end()), there = tail(lists, rank);
      const Args a = pool_args(in[k], forward ? here : there, forward ? there : here, lists, dilated);
      for (int d = 0; d < 3; d++) {
        if (a.kernel[d] == 0) continue;
        const int64_t last = a.out[d] - 1;
        if (a.padding[d] > (a.kernel[d] - 1) * a.dilation[d] || a.begin(d, last) >= a.in[d]) return false;
        if (a.dilation[d] <= a.in[d]) continue;  // no window steps over all of it
        if (a.padding[d] / a.stride[d] > kMostStraddling) return false;
        for (int64_t o = 0; o < a.out[d] && a.begin(d, o) < 0; o++)
          if (a.begin_inside(d, o) >= a.end_inside(d, o)) return false;
      }
      return true;
    }, "a window would hold no position");
    expect.that([&] {
      const std::vector<int64_t> here(in[k].shape.begin() + 1, in[k].shape.end()), there = tail(lists, rank);
      return opens(pool_args(in[k], forward ? here : there, forward ? there : here, lists, dilated)) <= kOpenedBytes;
    }, "its windows are larger than a dispute opens");
  }

 private:
  static int64_t opens(const Args& a) {
    Reads window[3], over[3];
    for (int d = 0; d < 3; d++) {
      const bool adaptive = a.kernel[d] == 0;
      window[d] = adaptive ? Reads{least(a.in[d], a.in[d] / a.out[d] + 2), 1} : Reads{least(a.kernel[d], (a.in[d] - 1) / a.dilation[d] + 1), a.dilation[d]};
      over[d] = {least(a.out[d], adaptive ? a.out[d] / a.in[d] + 2 : (a.kernel[d] - 1) * a.dilation[d] / a.stride[d] + 1), 1};
    }
    const int64_t gradients = opened_bytes(4, a.rows, a.out, over), indices = opened_bytes(8, a.rows, a.out, over);
    return std::max(opened_bytes(4, a.rows, a.in, window), gradients + indices);
  }
};

// y[r, o] = the greatest x of window o; index[r, o] = its lowest position in the plane; a NaN is greater than everything
//   x (rows, in...) f32 -> y (rows, out...) f32, index (rows, out...) i64
struct MaxPool : Pooling {
  static constexpr OperatorText kText{268, "max_pool.v1", "y[r, o] = the greatest x[r, p], p in window o; index[r, o] = the lowest such p, counted in the plane; a NaN is greater than everything",
                                      "exact", "Fukushima 1980"};
  static std::vector<AttrSpec> attrs() { return {{"kernel_stride_padding_dilation_out..."}}; }
  static KnownCall known() { return {{f32({3, 9, 7})}, {3, 2, 2, 1, 1, 1, 1, 2, 5, 7}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(1);
    expect_windows(expect, in, 0, attrs, true, true);
    if (!expect.ok()) return expect.error();
    std::vector<int64_t> shape = tail(attrs, in[0].shape.size() - 1);
    shape.insert(shape.begin(), in[0].shape[0]);
    return Types{f32(shape), i64(shape)};
  }
  static Args args(const CallShape& call) {
    const auto &x = call.in[0].shape, &y = call.out[0].shape;
    return pool_args(call.in[0], {x.begin() + 1, x.end()}, {y.begin() + 1, y.end()}, call.attrs, true);
  }
  struct Best {
    float value;
    int64_t at;
  };
  template <class Read>
  KERNEL_FN static Best best_of(const Args& a, const int64_t (&o)[3], Read read_at) {
    Best best{0.0f, -1};
    a.each_inside(o, [&](int64_t p) {
      const float x = read_at(p);
      if (best.at < 0 || x > best.value || (is_nan(x) && !is_nan(best.value))) best = {x, p};
    });
    return best;
  }
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t out, int64_t e, int64_t, Carry, S& source) {
    int64_t o[3];
    Args::split(e % a.windows(), a.out, o);
    const int64_t row = e / a.windows() * a.plane();
    const Best best = best_of(a, o, [&](int64_t p) { return source.f32(0, row + p); });
    return out == 0 ? result(best.value) : Carry{static_cast<uint64_t>(best.at), 0};
  }
  static void host(const Args& a, const HostCall& c) {
    static thread_local Scratch scratch_takes;
    const float* x = in_f32(c, 0);
    float* y = out_f32(c, 0);
    int64_t* index = static_cast<int64_t*>(c.out[1]);
    Takes takes;
    const bool by_lanes = takes.fill(a, true, scratch_takes);
    parallel(c.pool, a.rows, kGrain / 4 / a.plane() + 1, 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; r++) {
        const float* plane = x + r * a.plane();
        int64_t e = r * a.windows();
        if (by_lanes) {
          each(0, a.windows(), [&](int64_t o, int m) { lanes_best(takes, plane, o, m, y + e + o, index + e + o); });
          continue;
        }
        for (int64_t d = 0; d < a.out[0]; d++)
          for (int64_t h = 0; h < a.out[1]; h++)
            for (int64_t w = 0; w < a.out[2]; w++, e++) {
              const int64_t o[3] = {d, h, w};
              const Best best = best_of(a, o, [&](int64_t p) { return plane[p]; });
              y[e] = canonical(best.value);
              index[e] = best.at;
            }
      }
    });
  }
  static LANES_FN void lanes_best(const Takes& takes, const float* plane, int64_t o, int m, float* y, int64_t* index) {
    // Begins below everything with no place, so that the first position is taken even when it is -infinity.
    using Int = Lane<Vector>::Int;
    Vector best(as_float(0xFF800000u));
    Int at(0xFFFFFFFFu);
    takes.each_of(o, [&](Int p) {
      const Vector v = gather_over(best, plane, p);
      const Int none = shift_signed(at, 31);  // all ones before the first
      at = (none & p) | (at & (none ^ Int(0xFFFFFFFFu)));
      const auto more = v > best;
      at = select(more, p, at);
      best = select(more, v, best);
      const auto nan = is_nan(v);
      if (any(nan)) {
        at = select(nan, select(is_nan(best), at, p), at);
        best = select(nan, select(is_nan(best), best, v), best);
      }
    });
    alignas(64) int32_t places[kWidth];
    store(places, at);
    write(y, m, best);
    for (int l = 0; l < m; l++) index[l] = places[l];
  }
};

// dx[r, p] = sum of dy[r, o] over the windows o that reach over p and whose index is p
//   dy (rows, out...) f32, index (rows, out...) i64 -> dx (rows, in...)
struct MaxPoolBackward : Pooling {
  static constexpr OperatorText kText{269, "max_pool_backward.v1", "dx[r, p] = sum of dy[r, o] over windows o that reach over p with index[r, o] = p; operands dy, index",
                                      "a chain over o ascending from +0", "derivative of max_pool.v1"};
  static std::vector<AttrSpec> attrs() { return {{"kernel_stride_padding_dilation_in..."}}; }
  static KnownCall known() { return {{f32({3, 5, 7}), i64({3, 5, 7})}, {3, 2, 2, 1, 1, 1, 1, 2, 9, 7}, -2.0f, 2.0f, 63}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(2);
    expect_windows(expect, in, 0, attrs, true, false);
    expect.that([&] { return in[1] == i64(in[0].shape); }, "operand 1 must be the i64 index of operand 0");
    if (!expect.ok()) return expect.error();
    std::vector<int64_t> shape = tail(attrs, in[0].shape.size() - 1);
    shape.insert(shape.begin(), in[0].shape[0]);
    return Types{f32(shape)};
  }
  static Args args(const CallShape& call) {
    const auto &y = call.in[0].shape, &x = call.out[0].shape;
    return pool_args(call.in[0], {x.begin() + 1, x.end()}, {y.begin() + 1, y.end()}, call.attrs, true);
  }
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t, int64_t e, int64_t, Carry, S& source) {
    int64_t at[3];
    Args::split(e % a.plane(), a.in, at);
    const int64_t row = e / a.plane() * a.windows();
    float chain = 0.0f;
    a.each_over(at, [&](const int64_t (&)[3], int64_t o) {
      if (source.i64(1, row + o) == e % a.plane()) chain = chain + source.f32(0, row + o);
    });
    return result(chain);
  }
  static void host(const Args& a, const HostCall& c) {
    static thread_local Scratch scratch_takes, scratch_positions;
    const float* dy = in_f32(c, 0);
    const int64_t* index = static_cast<const int64_t*>(c.in[1]);
    float* dx = out_f32(c, 0);
    Takes takes;
    const bool by_lanes = takes.fill(a, false, scratch_takes);
    float* positions = scratch_positions.need(a.plane());
    for (int64_t p = 0; p < a.plane(); p++) positions[p] = static_cast<float>(p);
    parallel(c.pool, a.rows, kGrain / a.plane() + 1, 1, [&](int64_t begin, int64_t end) {
      static thread_local Scratch scratch_places;
      float* places = scratch_places.need(a.windows());
      for (int64_t r = begin; r < end; r++) {
        const float* g = dy + r * a.windows();
        const int64_t* named = index + r * a.windows();
        float* plane = dx + r * a.plane();
        if (by_lanes) {
          for (int64_t o = 0; o < a.windows(); o++) places[o] = named[o] < 0 || named[o] >= a.plane() ? -1.0f : static_cast<float>(named[o]);
          each(0, a.plane(), [&](int64_t p, int m) {
            const Vector here = read(positions + p, m);
            Vector chain(0.0f);
            takes.each_of(p, [&](Lane<Vector>::Int o) {
              chain = select(gather_over(Vector(-1.0f), places, o) == here, chain + gather_over(Vector(-0.0f), g, o), chain);
            });
            write(plane + p, m, chain);
          });
          continue;
        }
        for (int64_t p = 0; p < a.plane(); p++) {
          int64_t at[3];
          Args::split(p, a.in, at);
          float chain = 0.0f;
          a.each_over(at, [&](const int64_t (&)[3], int64_t o) {
            if (named[o] == p) chain = chain + g[o];
          });
          plane[p] = canonical(chain);
        }
      }
    });
  }
};

// y[r, o] = sum of x[r, p] over window o / divisor: the positions inside (0), also those of the padding (-1), or the number given
//   x (rows, in...) f32 -> y (rows, out...)
struct AvgPool : Pooling {
  static constexpr OperatorText kText{270, "avg_pool.v1", "y[r, o] = sum of x[r, p], p in window o, / count; count = positions inside for divisor 0, also those of the padding for -1, else divisor",
                                      "a chain over p ascending from +0, one division", "Fukushima 1980"};
  static std::vector<AttrSpec> attrs() { return {{"divisor"}, {"kernel_stride_padding_out..."}}; }
  static KnownCall known() { return {{f32({3, 9, 7})}, {-1, 3, 2, 2, 1, 1, 1, 5, 8}}; }
  static void expect_divisor(Expect& expect, std::span<const int64_t> attrs) {
    expect.that([&] { return !attrs.empty() && attrs[0] >= -1 && attrs[0] <= kMostSize; }, "divisor is -1, 0 or a count");
  }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(1);
    expect_divisor(expect, attrs);
    expect_windows(expect, in, 0, attrs.empty() ? attrs : attrs.subspan(1), false, true);
    if (!expect.ok()) return expect.error();
    std::vector<int64_t> shape = tail(attrs, in[0].shape.size() - 1);
    shape.insert(shape.begin(), in[0].shape[0]);
    return Types{f32(shape)};
  }
  static Args args(const CallShape& call) {
    const auto &x = call.in[0].shape, &y = call.out[0].shape;
    Args a = pool_args(call.in[0], {x.begin() + 1, x.end()}, {y.begin() + 1, y.end()}, call.attrs.subspan(1), false);
    a.divisor = call.attrs[0];
    return a;
  }
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t, int64_t e, int64_t, Carry, S& source) {
    int64_t o[3];
    Args::split(e % a.windows(), a.out, o);
    const int64_t row = e / a.windows() * a.plane();
    float chain = 0.0f;
    a.each_inside(o, [&](int64_t p) { chain = chain + source.f32(0, row + p); });
    return result(chain / a.divisor_of(o));
  }
  static void host(const Args& a, const HostCall& c) {
    static thread_local Scratch scratch_takes, scratch_counts;
    const float* x = in_f32(c, 0);
    float* y = out_f32(c, 0);
    Takes takes;
    const bool by_lanes = takes.fill(a, true, scratch_takes);
    const float* counts = counts_of(a, scratch_counts);
    parallel(c.pool, a.rows, kGrain / 4 / a.plane() + 1, 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; r++) {
        const float* plane = x + r * a.plane();
        float* to = y + r * a.windows();
        if (by_lanes) {
          each(0, a.windows(), [&](int64_t o, int m) {
            Vector chain(0.0f);
            takes.each_of(o, [&](Lane<Vector>::Int p) { chain = chain + gather_over(Vector(-0.0f), plane, p); });
            write(to + o, m, chain / read(counts + o, m));
          });
          continue;
        }
        int64_t e = 0;
        for (int64_t d = 0; d < a.out[0]; d++)
          for (int64_t h = 0; h < a.out[1]; h++)
            for (int64_t w = 0; w < a.out[2]; w++, e++) {
              const int64_t o[3] = {d, h, w};
              float chain = 0.0f;
              a.each_inside(o, [&](int64_t p) { chain = chain + plane[p]; });
              to[e] = canonical(chain / counts[e]);
            }
      }
    });
  }
  // Of every window.
  static const float* counts_of(const Args& a, Scratch& scratch) {
    float* counts = scratch.need(a.windows());
    int64_t e = 0;
    for (int64_t d = 0; d < a.out[0]; d++)
      for (int64_t h = 0; h < a.out[1]; h++)
        for (int64_t w = 0; w < a.out[2]; w++, e++) counts[e] = a.divisor_of({d, h, w});
    return counts;
  }
};

// dx[r, p] = sum of dy[r, o] / count[o] over the windows o that reach over p
//   dy (rows, out...) f32 -> dx (rows, in...)
struct AvgPoolBackward : Pooling {
  static constexpr OperatorText kText{271, "avg_pool_backward.v1", "dx[r, p] = sum of dy[r, o] / count[o] over windows o that reach over p; count as in avg_pool.v1",
                                      "each divided, a chain over o ascending from +0", "derivative of avg_pool.v1"};
  static std::vector<AttrSpec> attrs() { return {{"divisor"}, {"kernel_stride_padding_in..."}}; }
  static KnownCall known() { return {{f32({3, 5, 8})}, {-1, 3, 2, 2, 1, 1, 1, 9, 7}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(1);
    AvgPool::expect_divisor(expect, attrs);
    expect_windows(expect, in, 0, attrs.empty() ? attrs : attrs.subspan(1), false, false);
    if (!expect.ok()) return expect.error();
    std::vector<int64_t> shape = tail(attrs, in[0].shape.size() - 1);
    shape.insert(shape.begin(), in[0].shape[0]);
    return Types{f32(shape)};
  }
  static Args args(const CallShape& call) {
    const auto &y = call.in[0].shape, &x = call.out[0].shape;
    Args a = pool_args(call.in[0], {x.begin() + 1, x.end()}, {y.begin() + 1, y.end()}, call.attrs.subspan(1), false);
    a.divisor = call.attrs[0];
    return a;
  }
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t, int64_t e, int64_t, Carry, S& source) {
    int64_t at[3];
    Args::split(e % a.plane(), a.in, at);
    const int64_t row = e / a.plane() * a.windows();
    float chain = 0.0f;
    a.each_over(at, [&](const int64_t (&o)[3], int64_t window) { chain = chain + source.f32(0, row + window) / a.divisor_of(o); });
    return result(chain);
  }
  static void host(const Args& a, const HostCall& c) {
    static thread_local Scratch scratch_takes, scratch_counts;
    const float* dy = in_f32(c, 0);
    float* dx = out_f32(c, 0);
    Takes takes;
    const bool by_lanes = takes.fill(a, false, scratch_takes);
    const float* counts = AvgPool::counts_of(a, scratch_counts);
    parallel(c.pool, a.rows, kGrain / a.plane() + 1, 1, [&](int64_t begin, int64_t end) {
      static thread_local Scratch scratch_parts;
      float* parts = scratch_parts.need(a.windows());
      for (int64_t r = begin; r < end; r++) {
        float* plane = dx + r * a.plane();
        each(0, a.windows(), [&](int64_t o, int m) {
          const Vector part = read(dy + r * a.windows() + o, m) / read(counts + o, m);
          if (m == kWidth) store(parts + o, part);
          else store_some(parts + o, m, part);
        });
        if (by_lanes) {
          each(0, a.plane(), [&](int64_t p, int m) {
            Vector chain(0.0f);
            takes.each_of(p, [&](Lane<Vector>::Int o) { chain = chain + gather_over(Vector(-0.0f), parts, o); });
            write(plane + p, m, chain);
          });
          continue;
        }
        __builtin_memset(plane, 0, static_cast<size_t>(a.plane()) * sizeof(float));
        int64_t e = 0;
        for (int64_t d = 0; d < a.out[0]; d++)
          for (int64_t h = 0; h < a.out[1]; h++)
            for (int64_t w = 0; w < a.out[2]; w++, e++)
              a.each_inside({d, h, w}, [&](int64_t p) { plane[p] = plane[p] + parts[e]; });
        each(0, a.plane(), [&](int64_t i, int m) { write(plane + i, m, read(plane + i, m)); });
      }
    });
  }
};

}  // namespace cairn::kernels::CAIRN_ISA
