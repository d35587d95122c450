// Root mean square normalisation over the last axis, and its two gradients. Rows of up to 65536 columns: a fold of a row's
// statistic reads the whole row in one block, both levels of the recursive sum.
//
// Source: Zhang & Sennrich 2019.
#pragma once

#include "kernels/ops/layer_norm.h"

namespace cairn::kernels::CAIRN_ISA {

// rstd[r] = 1 / sqrt(sum_c x^2 / cols + eps);  y = x * rstd * w
//   x (rows, cols), w (cols) f32 -> rstd (rows), y (rows, cols)
struct RmsNorm {
  static constexpr OperatorText kText{242, "rms_norm.v1", "rstd[r] = 1 / sqrt(sum x^2 / cols + eps); y = x * rstd * w",
                                      "recursive sum of rounded squares, rows of up to 65536 columns; y = (x * rstd) * w", "Zhang & Sennrich 2019, eq. 4"};
  using Args = NormArgs;
  static constexpr size_t kRowOutputs = 1;
  static constexpr bool kWholeRows = true;
  static std::vector<AttrSpec> attrs() { return {{"eps", AttrKind::f32}}; }
  static std::vector<InPlace> in_place() { return {{1, 0}}; }
  static KnownCall known() { return {{f32({5, 70}), f32({70})}, {attr_of(1e-5f)}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(2).attributes(1).type(0, DType::f32, 2).type(1, DType::f32, 1);
    expect.that([&] { return in[0].shape[1] == in[1].shape[0]; }, "weight does not fit");
    expect.that([&] { return in[0].shape[1] <= kMaxColumns; }, "takes rows of up to 65536 columns");
    if (!expect.ok()) return expect.error();
    return Types{f32({in[0].shape[0]}), in[0]};
  }
  static Args args(const CallShape& call) { return {call.in[0].shape[0], call.in[0].shape[1], attr_f32(call.attrs[0])}; }
  static uint64_t multiply_adds(const Args& a) { return static_cast<uint64_t>(4 * a.rows * a.cols); }
  KERNEL_FN static int64_t blocks(const Args&, size_t) { return 1; }

  template <class F>
  KERNEL_FN static F value(F x, F rstd, F w) {
    return (x * rstd) * w;
  }
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t out, int64_t e, int64_t, Carry, S& source) {
    const int64_t n = a.cols;
    if (out == 0)
      return result(LayerNorm::rstd_of(sum_of(source, n, [&](int64_t i) { return LayerNorm::square(source.f32(0, e * n + i), 0.0f); }), n, a.eps));
    return result(value(source.f32(0, e), source.f32(2, e / n), source.f32(1, e % n)));
  }
  static void host(const Args& a, const HostCall& c) {
    const float *x = in_f32(c, 0), *w = in_f32(c, 1);
    float *rstds = out_f32(c, 0), *y = out_f32(c, 1);
    const int64_t n = a.cols;
    parallel(c.pool, a.rows, kGrain / n + 1, 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; r++) {
        const float* row = x + r * n;
        const float rstd = LayerNorm::rstd_of(lanes_sum(n, [&](int64_t i, int m) { return LayerNorm::square(read(row + i, m), Vector(0.0f)); }), n, a.eps);
        each(0, n, [&](int64_t i, int m) { write(y + r * n + i, m, value(read(row + i, m), Vector(rstd), read(w + i, m))); });
        rstds[r] = rstd;
      }
    });
  }
};

// s[r] = sum_c dy * w * xhat;  dx = rstd * (dy * w - xhat * (s / cols)),  xhat = x * rstd
//   dy, x (rows, cols), rstd (rows), w (cols) f32 -> s (rows), dx (rows, cols)
struct RmsNormBackwardInput {
  static constexpr OperatorText kText{243, "rms_norm_backward_input.v1",
                                      "s[r] = sum dy * w * xhat; dx = rstd * (dy * w - xhat * (s / cols)); xhat = x * rstd; operands dy, x, rstd, w",
                                      "recursive sum of rounded products, rows of up to 65536 columns; dx = rstd * fused(-xhat, s / cols, dy * w)",
                                      "Zhang & Sennrich 2019"};
  using Args = NormArgs;
  static constexpr size_t kRowOutputs = 1;
  static constexpr bool kWholeRows = true;
  static std::vector<AttrSpec> attrs() { return {}; }
  static std::vector<InPlace> in_place() { return {{1, 0}, {1, 1}}; }
  static KnownCall known() { return {{f32({5, 70}), f32({5, 70}), f32({5}), f32({70})}, {}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(4).attributes(0).type(0, DType::f32, 2).same(0, 1).type(2, DType::f32, 1).type(3, DType::f32, 1);
    expect.that([&] { return in[0].shape[0] == in[2].shape[0] && in[0].shape[1] == in[3].shape[0]; }, "statistics or weight do not fit");
    expect.that([&] { return in[0].shape[1] <= kMaxColumns; }, "takes rows of up to 65536 columns");
    if (!expect.ok()) return expect.error();
    return Types{in[2], in[0]};
  }
  static Args args(const CallShape& call) { return {call.in[0].shape[0], call.in[0].shape[1], 0.0f}; }
  static uint64_t multiply_adds(const Args& a) { return static_cast<uint64_t>(6 * a.rows * a.cols); }
  KERNEL_FN static int64_t blocks(const Args&, size_t) { return 1; }

  template <class F>
  KERNEL_FN static F term(F dy, F w, F x, F rstd) {
    return (dy * w) * (x * rstd);
  }
  template <class F>
  KERNEL_FN static F value(F dy, F w, F x, F rstd, F mean) {
    return rstd * fused(F(0.0f) - x * rstd, mean, dy * w);
  }
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t out, int64_t e, int64_t, Carry, S& source) {
    const int64_t n = a.cols;
    if (out == 0) {
      const float rstd = source.f32(2, e);
      return result(sum_of(source, n, [&](int64_t i) { return term(source.f32(0, e * n + i), source.f32(3, i), source.f32(1, e * n + i), rstd); }));
    }
    return result(value(source.f32(0, e), source.f32(3, e % n), source.f32(1, e), source.f32(2, e / n), source.f32(4, e / n) / static_cast<float>(n)));
  }
  static void host(const Args& a, const HostCall& c) {
    const float *dy = in_f32(c, 0), *x = in_f32(c, 1), *rstds = in_f32(c, 2), *w = in_f32(c, 3);
    float *sums = out_f32(c, 0), *dx = out_f32(c, 1);
    const int64_t n = a.cols;
    parallel(c.pool, a.rows, kGrain / n + 1, 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; r++) {
        const float *g = dy + r * n, *v = x + r * n;
        const Vector rstd(rstds[r]);
        sums[r] = canonical(lanes_sum(n, [&](int64_t i, int m) { return term(read(g + i, m), read(w + i, m), read(v + i, m), rstd); }));
        const Vector mean(sums[r] / static_cast<float>(n));
        each(0, n, [&](int64_t i, int m) { write(dx + r * n + i, m, value(read(g + i, m), read(w + i, m), read(v + i, m), rstd, mean)); });
      }
    });
  }
};

// dw[c] = sum_r dy * xhat,  xhat = x * rstd
//   dy, x (rows, cols), rstd (rows) f32 -> dw (cols)
struct RmsNormBackwardWeight {
  static constexpr OperatorText kText{244, "rms_norm_backward_weight.v1", "dw[c] = sum_r dy * xhat; xhat = x * rstd",
                                      "a chain dw = fused(dy, xhat, dw) over r ascending from +0, blocks of 256 rows", "Zhang & Sennrich 2019"};
  using Args = NormArgs;
  static constexpr int kColumnOperands = 2;
  static std::vector<AttrSpec> attrs() { return {}; }
  static std::vector<InPlace> in_place() { return {}; }
  static KnownCall known() { return {{f32({300, 9}), f32({300, 9}), f32({300})}, {}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(3).attributes(0).type(0, DType::f32, 2).same(0, 1).type(2, DType::f32, 1);
    expect.that([&] { return in[0].shape[0] == in[2].shape[0]; }, "statistics do not fit");
    if (!expect.ok()) return expect.error();
    return Types{f32({in[0].shape[1]})};
  }
  static Args args(const CallShape& call) { return {call.in[0].shape[0], call.in[0].shape[1], 0.0f}; }
  static uint64_t multiply_adds(const Args& a) { return static_cast<uint64_t>(2 * a.rows * a.cols); }
  KERNEL_FN static int64_t blocks(const Args& a, size_t) { return blocks_of(a.rows, kFoldBlock); }

  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t, int64_t e, int64_t block, Carry carry, S& source) {
    const int64_t end = least(a.rows, (block + 1) * kFoldBlock);
    float chain = as_float(static_cast<uint32_t>(carry.lo));
    KERNEL_AHEAD
    for (int64_t r = block * kFoldBlock; r < end; r++)
      chain = fused(source.f32(0, r * a.cols + e), source.f32(1, r * a.cols + e) * source.f32(2, r), chain);
    return result(chain);
  }
  static void host(const Args& a, const HostCall& c) {
    const float *dy = in_f32(c, 0), *x = in_f32(c, 1), *rstd = in_f32(c, 2);
    float* dw = out_f32(c, 0);
    parallel(c.pool, a.cols, kGrain / a.rows + 1, 64, [&](int64_t begin, int64_t end) {
      const auto columns = [&](int64_t i, auto wide, int m) {
        constexpr int kWide = decltype(wide)::kCount;
        Vector chain[kWide];
        for (int u = 0; u < kWide; u++) chain[u] = Vector(0.0f);
        for (int64_t r = 0; r < a.rows; r++) {
          const Vector rs(rstd[r]);
#pragma GCC unroll 4
          for (int u = 0; u < kWide; u++) {
            const int64_t at = r * a.cols + i + u * kWidth;
            chain[u] = fused(read(dy + at, m), read(x + at, m) * rs, chain[u]);
          }
        }
        for (int u = 0; u < kWide; u++) write(dw + i + u * kWidth, m, chain[u]);
      };
      int64_t i = begin;
      for (; i + 4 * kWidth <= end; i += 4 * kWidth) columns(i, Wide<4>{}, kWidth);
      each(i, end, [&](int64_t j, int m) { columns(j, Wide<1>{}, m); });
    });
  }
};

}  // namespace cairn::kernels::CAIRN_ISA
