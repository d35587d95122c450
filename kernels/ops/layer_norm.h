// Layer normalisation over the last axis, and its two gradients. Rows of up to 65536 columns: a fold of a row's statistic
// reads the whole row in one block, both levels of the recursive sum.
//
// Source: Ba, Kiros & Hinton 2016.
#pragma once

#include "kernels/ops/op.h"

namespace cairn::kernels::CAIRN_ISA {

struct NormArgs {
  int64_t rows, cols;
  float eps;
};

// mean[r] = sum_c x / cols;  rstd[r] = 1 / sqrt(sum_c (x - mean)^2 / cols + eps);  y = (x - mean) * rstd * w + b
//   x (rows, cols), w (cols), b (cols) f32 -> mean (rows), rstd (rows), y (rows, cols)
struct LayerNorm {
  static constexpr OperatorText kText{
      50, "layer_norm.v1", "mean[r] = sum x / cols; rstd[r] = 1 / sqrt(sum (x - mean)^2 / cols + eps); y = (x - mean) * rstd * w + b",
      "recursive sums, rows of up to 65536 columns; the square is rounded before it is added; y = fused((x - mean) * rstd, w, b)",
      "Ba, Kiros & Hinton 2016, eq. 4"};
  using Args = NormArgs;
  static constexpr size_t kRowOutputs = 2;
  static constexpr bool kWholeRows = true;
  static std::vector<AttrSpec> attrs() { return {{"eps", AttrKind::f32}}; }
  static std::vector<InPlace> in_place() { return {{2, 0}}; }
  static KnownCall known() { return {{f32({5, 70}), f32({70}), f32({70})}, {attr_of(1e-5f)}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(3).attributes(1).type(0, DType::f32, 2).type(1, DType::f32, 1).same(1, 2);
    expect.that([&] { return in[0].shape[1] == in[1].shape[0]; }, "weight does not fit");
    expect.that([&] { return in[0].shape[1] <= kMaxColumns; }, "takes rows of up to 65536 columns");
    if (!expect.ok()) return expect.error();
    return Types{f32({in[0].shape[0]}), f32({in[0].shape[0]}), in[0]};
  }
  static Args args(const CallShape& call) { return {call.in[0].shape[0], call.in[0].shape[1], attr_f32(call.attrs[0])}; }
  static uint64_t multiply_adds(const Args& a) { return static_cast<uint64_t>(6 * a.rows * a.cols); }
  KERNEL_FN static int64_t blocks(const Args&, size_t) { return 1; }

  KERNEL_FN static float mean_of(float sum, int64_t cols) { return canonical(sum / static_cast<float>(cols)); }
  KERNEL_FN static float rstd_of(float squares, int64_t cols, float eps) {
    return canonical(1.0f / root(squares / static_cast<float>(cols) + eps));
  }
  template <class F>
  KERNEL_FN static F square(F x, F mean) {
    const F d = x - mean;
    return d * d;
  }
  template <class F>
  KERNEL_FN static F value(F x, F mean, F rstd, F w, F b) {
    return fused((x - mean) * rstd, w, b);
  }
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t out, int64_t e, int64_t, Carry, S& source) {
    const int64_t n = a.cols;
    if (out == 0) return result(mean_of(sum_of(source, n, [&](int64_t i) { return source.f32(0, e * n + i); }), n));
    if (out == 1) {
      const float mean = source.f32(3, e);
      return result(rstd_of(sum_of(source, n, [&](int64_t i) { return square(source.f32(0, e * n + i), mean); }), n, a.eps));
    }
    const int64_t r = e / n, i = e % n;
    return result(value(source.f32(0, e), source.f32(3, r), source.f32(4, r), source.f32(1, i), source.f32(2, i)));
  }
  static void host(const Args& a, const HostCall& c) {
    const float *x = in_f32(c, 0), *w = in_f32(c, 1), *b = in_f32(c, 2);
    float *means = out_f32(c, 0), *rstds = out_f32(c, 1), *y = out_f32(c, 2);
    const int64_t n = a.cols;
    parallel(c.pool, a.rows, kGrain / n + 1, 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; r++) {
        const float* row = x + r * n;
        const float mean = mean_of(lanes_sum(n, [&](int64_t i, int m) { return read(row + i, m); }), n);
        const float rstd = rstd_of(lanes_sum(n, [&](int64_t i, int m) { return square(read(row + i, m), Vector(mean)); }), n, a.eps);
        each(0, n, [&](int64_t i, int m) {
          write(y + r * n + i, m, value(read(row + i, m), Vector(mean), Vector(rstd), read(w + i, m), read(b + i, m)));
        });
        means[r] = mean;
        rstds[r] = rstd;
      }
    });
  }
};

// s1[r] = sum_c dy * w;  s2[r] = sum_c dy * w * xhat;  dx = rstd * (dy * w - s1 / cols - xhat * (s2 / cols)),
// xhat = (x - mean) * rstd
//   dy, x (rows, cols), mean, rstd (rows), w (cols) f32 -> s1 (rows), s2 (rows), dx (rows, cols)
struct LayerNormBackwardInput {
  static constexpr OperatorText kText{
      51, "layer_norm_backward_input.v1",
      "s1[r] = sum dy * w; s2[r] = sum dy * w * xhat; dx = rstd * (dy * w - s1 / cols - xhat * (s2 / cols)); xhat = (x - mean) * rstd",
      "recursive sums of rounded products, rows of up to 65536 columns; dx = rstd * fused(-xhat, s2 / cols, dy * w - s1 / cols)",
      "Ba, Kiros & Hinton 2016"};
  using Args = NormArgs;
  static constexpr size_t kRowOutputs = 2;
  static constexpr bool kWholeRows = true;
  static std::vector<AttrSpec> attrs() { return {}; }
  static std::vector<InPlace> in_place() { return {{2, 0}, {2, 1}}; }
  static KnownCall known() { return {{f32({5, 70}), f32({5, 70}), f32({5}), f32({5}), f32({70})}, {}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(5).attributes(0).type(0, DType::f32, 2).same(0, 1).type(2, DType::f32, 1).same(2, 3).type(4, DType::f32, 1);
    expect.that([&] { return in[0].shape[0] == in[2].shape[0] && in[0].shape[1] == in[4].shape[0]; }, "statistics or weight do not fit");
    expect.that([&] { return in[0].shape[1] <= kMaxColumns; }, "takes rows of up to 65536 columns");
    if (!expect.ok()) return expect.error();
    return Types{in[2], in[2], in[0]};
  }
  static Args args(const CallShape& call) { return {call.in[0].shape[0], call.in[0].shape[1], 0.0f}; }
  static uint64_t multiply_adds(const Args& a) { return static_cast<uint64_t>(8 * a.rows * a.cols); }
  KERNEL_FN static int64_t blocks(const Args&, size_t) { return 1; }

  template <class F>
  KERNEL_FN static F term(F dy, F w, F x, F mean, F rstd) {
    return (dy * w) * ((x - mean) * rstd);
  }
  template <class F>
  KERNEL_FN static F value(F dy, F w, F x, F mean, F rstd, F mean1, F mean2) {
    return rstd * fused(F(0.0f) - (x - mean) * rstd, mean2, dy * w - mean1);
  }
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t out, int64_t e, int64_t, Carry, S& source) {
    const int64_t n = a.cols;
    if (out == 0)
      return result(sum_of(source, n, [&](int64_t i) { return source.f32(0, e * n + i) * source.f32(4, i); }));
    if (out == 1) {
      const float mean = source.f32(2, e), rstd = source.f32(3, e);
      return result(sum_of(source, n, [&](int64_t i) {
        return term(source.f32(0, e * n + i), source.f32(4, i), source.f32(1, e * n + i), mean, rstd);
      }));
    }
    const int64_t r = e / n;
    const float count = static_cast<float>(n);
    return result(value(source.f32(0, e), source.f32(4, e % n), source.f32(1, e), source.f32(2, r), source.f32(3, r),
                        source.f32(5, r) / count, source.f32(6, r) / count));
  }
  static void host(const Args& a, const HostCall& c) {
    const float *dy = in_f32(c, 0), *x = in_f32(c, 1), *means = in_f32(c, 2), *rstds = in_f32(c, 3), *w = in_f32(c, 4);
    float *s1 = out_f32(c, 0), *s2 = out_f32(c, 1), *dx = out_f32(c, 2);
    const int64_t n = a.cols;
    parallel(c.pool, a.rows, kGrain / n + 1, 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; r++) {
        const float *g = dy + r * n, *v = x + r * n, mean = means[r], rstd = rstds[r];
        s1[r] = canonical(lanes_sum(n, [&](int64_t i, int m) { return read(g + i, m) * read(w + i, m); }));
        s2[r] = canonical(lanes_sum(n, [&](int64_t i, int m) {
          return term(read(g + i, m), read(w + i, m), read(v + i, m), Vector(mean), Vector(rstd));
        }));
        const Vector mean1(s1[r] / static_cast<float>(n)), mean2(s2[r] / static_cast<float>(n));
        each(0, n, [&](int64_t i, int m) {
          write(dx + r * n + i, m,
                value(read(g + i, m), read(w + i, m), read(v + i, m), Vector(mean), Vector(rstd), mean1, mean2));
        });
      }
    });
  }
};

// dw[c] = sum_r dy * xhat;  db[c] = sum_r dy;  xhat = (x - mean) * rstd
//   dy, x (rows, cols), mean, rstd (rows) f32 -> dw (cols), db (cols)
struct LayerNormBackwardAffine {
  static constexpr OperatorText kText{
      52, "layer_norm_backward_affine.v1", "dw[c] = sum_r dy * xhat; db[c] = sum_r dy; xhat = (x - mean) * rstd",
      "chains over r ascending from +0, blocks of 256 rows; dw = fused(dy, xhat, dw)", "Ba, Kiros & Hinton 2016"};
  using Args = NormArgs;
  static constexpr int kColumnOperands = 2;
  static std::vector<AttrSpec> attrs() { return {}; }
  static std::vector<InPlace> in_place() { return {}; }
  static KnownCall known() { return {{f32({300, 9}), f32({300, 9}), f32({300}), f32({300})}, {}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(4).attributes(0).type(0, DType::f32, 2).same(0, 1).type(2, DType::f32, 1).same(2, 3);
    expect.that([&] { return in[0].shape[0] == in[2].shape[0]; }, "statistics do not fit");
    if (!expect.ok()) return expect.error();
    return Types{f32({in[0].shape[1]}), f32({in[0].shape[1]})};
  }
  static Args args(const CallShape& call) { return {call.in[0].shape[0], call.in[0].shape[1], 0.0f}; }
  static uint64_t multiply_adds(const Args& a) { return static_cast<uint64_t>(4 * a.rows * a.cols); }
  KERNEL_FN static int64_t blocks(const Args& a, size_t) { return blocks_of(a.rows, kFoldBlock); }

  template <class F>
  KERNEL_FN static F step_dw(F chain, F dy, F x, F mean, F rstd) {
    return fused(dy, (x - mean) * rstd, chain);
  }
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t out, int64_t e, int64_t block, Carry carry, S& source) {
    const int64_t end = least(a.rows, (block + 1) * kFoldBlock);
    float chain = as_float(static_cast<uint32_t>(carry.lo));
    KERNEL_AHEAD
    for (int64_t r = block * kFoldBlock; r < end; r++) {
      const float dy = source.f32(0, r * a.cols + e);
      chain = out == 1 ? chain + dy : step_dw(chain, dy, source.f32(1, r * a.cols + e), source.f32(2, r), source.f32(3, r));
    }
    return result(chain);
  }
  static void host(const Args& a, const HostCall& c) {
    const float *dy = in_f32(c, 0), *x = in_f32(c, 1), *mean = in_f32(c, 2), *rstd = in_f32(c, 3);
    float *dw = out_f32(c, 0), *db = out_f32(c, 1);
    parallel(c.pool, a.cols, kGrain / a.rows + 1, 64, [&](int64_t begin, int64_t end) {
      const auto columns = [&](int64_t i, auto wide, int m) {
        constexpr int kWide = decltype(wide)::kCount;
        Vector w[kWide], b[kWide];
        for (int u = 0; u < kWide; u++) w[u] = b[u] = Vector(0.0f);
        for (int64_t r = 0; r < a.rows; r++) {
          const Vector mu(mean[r]), rs(rstd[r]);
#pragma GCC unroll 4
          for (int u = 0; u < kWide; u++) {
            const int64_t at = r * a.cols + i + u * kWidth;
            const Vector g = read(dy + at, m);
            w[u] = step_dw(w[u], g, read(x + at, m), mu, rs);
            b[u] = b[u] + g;
          }
        }
        for (int u = 0; u < kWide; u++) {
          write(dw + i + u * kWidth, m, w[u]);
          write(db + i + u * kWidth, m, b[u]);
        }
      };
      int64_t i = begin;
      for (; i + 4 * kWidth <= end; i += 4 * kWidth) columns(i, Wide<4>{}, kWidth);
      each(i, end, [&](int64_t j, int m) { columns(j, Wide<1>{}, m); });
    });
  }
};

}  // namespace cairn::kernels::CAIRN_ISA
