// Softmax and its logarithm over the last axis. Rows of up to 65536 columns: a fold of a row's statistic reads the whole
// row in one block, both levels of the recursive sum. The row's greatest element goes first, then everything relative to
// it: nothing is rescaled on the way.
#pragma once

#include "kernels/ops/op.h"

namespace cairn::kernels::CAIRN_ISA {

struct RowArgs {
  int64_t rows, cols;
};
inline Result<Types> infer_rows(std::span<const TensorType> in, std::span<const int64_t> attrs, size_t operands, size_t statistics) {
  Expect expect(in, attrs);
  expect.operands(operands).attributes(0).type(0, DType::f32, 2);
  for (size_t k = 1; k < operands; k++) expect.same(0, k);
  expect.that([&] { return in[0].shape[1] <= kMaxColumns; }, "takes rows of up to 65536 columns");
  if (!expect.ok()) return expect.error();
  Types out(statistics, f32({in[0].shape[0]}));
  out.push_back(in[0]);
  return out;
}

// max[r] = max_c x;  lse[r] = ln sum_c e^(x - max);  y = (x - max) - lse
//   x (rows, cols) f32 -> max (rows), lse (rows), y (rows, cols)
struct LogSoftmax {
  static constexpr OperatorText kText{
      60, "log_softmax.v1", "max[r] = max x; lse[r] = ln sum e^(x - max); y = (x - max) - lse",
      "max exact (NaN wins, -0 as +0); recursive sum, rows of up to 65536 columns; exp.v1 and log.v1", "Bridle 1990"};
  using Args = RowArgs;
  static constexpr size_t kRowOutputs = 2;
  static constexpr bool kWholeRows = true;
  static std::vector<AttrSpec> attrs() { return {}; }
  static std::vector<InPlace> in_place() { return {{2, 0}}; }
  static KnownCall known() { return {{f32({5, 70})}, {}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) { return infer_rows(in, attrs, 1, 2); }
  static Args args(const CallShape& call) { return {call.in[0].shape[0], call.in[0].shape[1]}; }
  static uint64_t multiply_adds(const Args& a) { return static_cast<uint64_t>(16 * a.rows * a.cols); }
  KERNEL_FN static int64_t blocks(const Args&, size_t) { return 1; }

  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t out, int64_t e, int64_t, Carry, S& source) {
    const int64_t n = a.cols;
    if (out == 0) return result(max_of(source, n, [&](int64_t i) { return source.f32(0, e * n + i); }));
    if (out == 1) {
      const float max = source.f32(1, e);
      return result(log_of(canonical(sum_of(source, n, [&](int64_t i) { return exp_of(source.f32(0, e * n + i) - max); }))));
    }
    return result((source.f32(0, e) - source.f32(1, e / n)) - source.f32(2, e / n));
  }
  static void host(const Args& a, const HostCall& c) {
    const float* x = in_f32(c, 0);
    float *maxima = out_f32(c, 0), *lses = out_f32(c, 1), *y = out_f32(c, 2);
    const int64_t n = a.cols;
    parallel(c.pool, a.rows, kGrain / 4 / n + 1, 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; r++) {
        const float* row = x + r * n;
        const float max = lanes_max(n, [&](int64_t i, int m) { return read(row + i, m); });
        const float lse = canonical(
            log_of(canonical(lanes_sum(n, [&](int64_t i, int m) { return exp_of(read(row + i, m) - Vector(max)); }))));
        each(0, n, [&](int64_t i, int m) { write(y + r * n + i, m, (read(row + i, m) - Vector(max)) - Vector(lse)); });
        maxima[r] = max;
        lses[r] = lse;
      }
    });
  }
};

// s[r] = sum_c g;  dx = g - e^y * s
//   g, y (rows, cols) f32, y of log_softmax -> s (rows), dx (rows, cols)
struct LogSoftmaxBackward {
  static constexpr OperatorText kText{61, "log_softmax_backward.v1", "s[r] = sum g; dx = g - e^y * s; operands g, y",
                                      "recursive sum, rows of up to 65536 columns; exp.v1; dx = fused(-e^y, s, g)", "Bridle 1990"};
  using Args = RowArgs;
  static constexpr size_t kRowOutputs = 1;
  static constexpr bool kWholeRows = true;
  static std::vector<AttrSpec> attrs() { return {}; }
  static std::vector<InPlace> in_place() { return {{1, 0}, {1, 1}}; }
  static KnownCall known() { return {{f32({5, 70}), f32({5, 70})}, {}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) { return infer_rows(in, attrs, 2, 1); }
  static Args args(const CallShape& call) { return {call.in[0].shape[0], call.in[0].shape[1]}; }
  static uint64_t multiply_adds(const Args& a) { return static_cast<uint64_t>(16 * a.rows * a.cols); }
  KERNEL_FN static int64_t blocks(const Args&, size_t) { return 1; }

  template <class F>
  KERNEL_FN static F value(F g, F y, F s) {
    return fused(F(0.0f) - exp_of(y), s, g);
  }
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t out, int64_t e, int64_t, Carry, S& source) {
    const int64_t n = a.cols;
    if (out == 0) return result(sum_of(source, n, [&](int64_t i) { return source.f32(0, e * n + i); }));
    return result(value(source.f32(0, e), source.f32(1, e), source.f32(2, e / n)));
  }
  static void host(const Args& a, const HostCall& c) {
    const float *g = in_f32(c, 0), *y = in_f32(c, 1);
    float *sums = out_f32(c, 0), *dx = out_f32(c, 1);
    const int64_t n = a.cols;
    parallel(c.pool, a.rows, kGrain / 4 / n + 1, 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; r++) {
        const float *gr = g + r * n, *yr = y + r * n;
        const float s = canonical(lanes_sum(n, [&](int64_t i, int m) { return read(gr + i, m); }));
        each(0, n, [&](int64_t i, int m) { write(dx + r * n + i, m, value(read(gr + i, m), read(yr + i, m), Vector(s))); });
        sums[r] = s;
      }
    });
  }
};

// max[r] = max_c x;  sum[r] = sum_c e^(x - max);  y = e^(x - max) / sum
//   x (rows, cols) f32 -> max (rows), sum (rows), y (rows, cols)
struct Softmax {
  static constexpr OperatorText kText{
      64, "softmax.v1", "max[r] = max x; sum[r] = sum e^(x - max); y = e^(x - max) / sum",
      "max exact (NaN wins, -0 as +0); recursive sum, rows of up to 65536 columns; exp.v1; one division", "Bridle 1990"};
  using Args = RowArgs;
  static constexpr size_t kRowOutputs = 2;
  static constexpr bool kWholeRows = true;
  static std::vector<AttrSpec> attrs() { return {}; }
  static std::vector<InPlace> in_place() { return {{2, 0}}; }
  static KnownCall known() { return {{f32({5, 70})}, {}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) { return infer_rows(in, attrs, 1, 2); }
  static Args args(const CallShape& call) { return {call.in[0].shape[0], call.in[0].shape[1]}; }
  static uint64_t multiply_adds(const Args& a) { return static_cast<uint64_t>(16 * a.rows * a.cols); }
  KERNEL_FN static int64_t blocks(const Args&, size_t) { return 1; }

  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t out, int64_t e, int64_t, Carry, S& source) {
    const int64_t n = a.cols;
    if (out == 0) return result(max_of(source, n, [&](int64_t i) { return source.f32(0, e * n + i); }));
    if (out == 1) {
      const float max = source.f32(1, e);
      return result(sum_of(source, n, [&](int64_t i) { return exp_of(source.f32(0, e * n + i) - max); }));
    }
    return result(exp_of(source.f32(0, e) - source.f32(1, e / n)) / source.f32(2, e / n));
  }
  static void host(const Args& a, const HostCall& c) {
    const float* x = in_f32(c, 0);
    float *maxima = out_f32(c, 0), *sums = out_f32(c, 1), *y = out_f32(c, 2);
    const int64_t n = a.cols;
    parallel(c.pool, a.rows, kGrain / 4 / n + 1, 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; r++) {
        const float* row = x + r * n;
        float* to = y + r * n;
        const float max = lanes_max(n, [&](int64_t i, int m) { return read(row + i, m); });
        const float sum = canonical(lanes_sum(n, [&](int64_t i, int m) {
          const Vector power = exp_of(read(row + i, m) - Vector(max));
          write(to + i, m, power);
          return power;
        }));
        each(0, n, [&](int64_t i, int m) { write(to + i, m, read(to + i, m) / Vector(sum)); });
        maxima[r] = max;
        sums[r] = sum;
      }
    });
  }
};

// s[r] = sum_c g y;  dx = y (g - s)
//   g, y (rows, cols) f32, y of softmax -> s (rows), dx (rows, cols)
struct SoftmaxBackward {
  static constexpr OperatorText kText{65, "softmax_backward.v1", "s[r] = sum g y; dx = y (g - s); operands g, y",
                                      "each g y rounded, recursive sum, rows of up to 65536 columns; a difference, a product", "Bridle 1990"};
  using Args = RowArgs;
  static constexpr size_t kRowOutputs = 1;
  static std::vector<AttrSpec> attrs() { return {}; }
  static std::vector<InPlace> in_place() { return {{1, 0}, {1, 1}}; }
  static KnownCall known() { return {{f32({5, 70}), f32({5, 70})}, {}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) { return infer_rows(in, attrs, 2, 1); }
  static Args args(const CallShape& call) { return {call.in[0].shape[0], call.in[0].shape[1]}; }
  static uint64_t multiply_adds(const Args& a) { return static_cast<uint64_t>(3 * a.rows * a.cols); }
  KERNEL_FN static int64_t blocks(const Args&, size_t) { return 1; }

  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t out, int64_t e, int64_t, Carry, S& source) {
    const int64_t n = a.cols;
    if (out == 0) return result(sum_of(source, n, [&](int64_t i) { return source.f32(0, e * n + i) * source.f32(1, e * n + i); }));
    return result(source.f32(1, e) * (source.f32(0, e) - source.f32(2, e / n)));
  }
  static void host(const Args& a, const HostCall& c) {
    const float *g = in_f32(c, 0), *y = in_f32(c, 1);
    float *sums = out_f32(c, 0), *dx = out_f32(c, 1);
    const int64_t n = a.cols;
    parallel(c.pool, a.rows, kGrain / n + 1, 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; r++) {
        const float *gr = g + r * n, *yr = y + r * n;
        const float s = canonical(lanes_sum(n, [&](int64_t i, int m) { return read(gr + i, m) * read(yr + i, m); }));
        each(0, n, [&](int64_t i, int m) { write(dx + r * n + i, m, read(yr + i, m) * (read(gr + i, m) - Vector(s))); });
        sums[r] = s;
      }
    });
  }
};

}  // namespace cairn::kernels::CAIRN_ISA
