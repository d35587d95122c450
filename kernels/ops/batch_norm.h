// Normalisation by channel: over a batch, by given statistics, and over groups of channels of one sample; and the gradients.
// Operands are (samples, channels, positions); a row of positions is one sample's channel. A statistic is a chain over rows, or
// over 4096 positions of long rows, whose sums are recursive.
//
// Source: Ioffe & Szegedy 2015; Wu & He 2018.
#pragma once

#include "kernels/ops/op.h"

namespace cairn::kernels::CAIRN_ISA {

struct ChannelArgs {
  int64_t n, c, p;     // samples, channels, positions
  int64_t groups;      // of channels
  float eps, momentum;
  int32_t flag;        // batch_norm: running statistics are there; batch_norm_backward: statistics were those of the batch
};

struct ChannelSums {
  static std::vector<InPlace> in_place() { return {}; }
  static bool is_vector(const TensorType& type, int64_t channels) { return type == f32({channels}); }
  KERNEL_FN static float chain_of(Carry carry) { return as_float(static_cast<uint32_t>(carry.lo)); }

  // Of one row: a chain from +0 over blocks of 4096 positions.
  KERNEL_FN static int64_t row_blocks(int64_t length) { return blocks_of(length, kSumBlock); }
  template <class S, class Term>
  KERNEL_FN static float row_step(S& source, int64_t length, int64_t block, float chain, Term term) {
    const int64_t first = block * kSumBlock;
    return chain + sum_block(source, least(kSumBlock, length - first), [&](int64_t i) { return term(first + i); });
  }
  // Of a channel: the same chain goes on from sample to sample. A block of the fold is 4096 positions: of one sample, or of up to
  // 128 whole ones, as a short row may lie across two chunks of each of two operands. term(e) is that of element e.
  KERNEL_FN static int64_t block_samples(const ChannelArgs& a) { return a.p >= kSumBlock ? 1 : least(kFoldBlock / 2, kSumBlock / a.p); }
  KERNEL_FN static int64_t channel_blocks(const ChannelArgs& a) { return blocks_of(a.n, block_samples(a)) * row_blocks(a.p); }
  template <class S, class Term>
  KERNEL_FN static float channel_step(const ChannelArgs& a, S& source, int64_t c, int64_t block, Carry carry, Term term) {
    const int64_t first = block / row_blocks(a.p) * block_samples(a), end = least(a.n, first + block_samples(a));
    float chain = chain_of(carry);
    for (int64_t n = first; n < end; n++)
      chain = row_step(source, a.p, block % row_blocks(a.p), chain, [&](int64_t i) { return term((n * a.c + c) * a.p + i); });
    return chain;
  }
  // Of rows that are an output themselves: column c of (samples, channels) at `operand`, blocks of 256 samples.
  KERNEL_FN static int64_t sample_blocks(const ChannelArgs& a) { return blocks_of(a.n, kFoldBlock); }
  template <class S>
  KERNEL_FN static float sample_step(const ChannelArgs& a, S& source, size_t operand, int64_t c, int64_t block, Carry carry) {
    const int64_t end = least(a.n, (block + 1) * kFoldBlock);
    float chain = chain_of(carry);
    for (int64_t i = block * kFoldBlock; i < end; i++) chain = chain + source.f32(operand, i * a.c + c);
    return chain;
  }
  KERNEL_FN static bool is_last(int64_t block, int64_t blocks) { return block + 1 == blocks; }

  // The same by lanes.
  template <class Term>
  LANES_FN static float row_sum(int64_t length, float chain, Term term) {
    for (int64_t first = 0; first < length; first += kSumBlock)
      chain = chain + lanes_sum_block(least(kSumBlock, length - first), [&](int64_t i, int m) { return term(first + i, m); });
    return chain;
  }
  template <class Term>
  LANES_FN static float channel_sum(const ChannelArgs& a, int64_t c, Term term) {
    float chain = 0.0f;
    for (int64_t n = 0; n < a.n; n++) chain = row_sum(a.p, chain, [&](int64_t i, int m) { return term((n * a.c + c) * a.p + i, m); });
    return canonical(chain);
  }
  LANES_FN static float sample_sum(const ChannelArgs& a, const float* rows, int64_t c) {
    float chain = 0.0f;
    for (int64_t i = 0; i < a.n; i++) chain = chain + rows[i * a.c + c];
    return canonical(chain);
  }
  // one(c) for every channel; where rows are of one position, some(c, wide, m) for several registers of channels side by side.
  template <class One, class Some>
  static void by_channels(const ChannelArgs& a, Pool* pool, One one, Some some) {
    if (a.p > 1) {
      parallel(pool, a.c, kGrain / (a.n * a.p) + 1, 1, [&](int64_t begin, int64_t end) {
        for (int64_t c = begin; c < end; c++) one(c);
      });
      return;
    }
    parallel(pool, a.c, kGrain / a.n + 1, 4 * kWidth, [&](int64_t begin, int64_t end) {
      int64_t c = begin;
      for (; c + 4 * kWidth <= end; c += 4 * kWidth) some(c, Wide<4>{}, kWidth);
      each(c, end, [&](int64_t i, int m) { some(i, Wide<1>{}, m); });
    });
  }

  template <class F>
  KERNEL_FN static F normal(F x, F mean, F rstd) {
    return (x - mean) * rstd;
  }
};

// mean[c] = sum x / count;  var[c] = sum (x - mean)^2 / count;  rstd[c] = 1 / sqrt(var + eps);  y = (x - mean) * rstd * w + b
// and with running statistics:  running_mean' = (1 - momentum) * running_mean + momentum * mean, running_var' with var * count / (count - 1)
//   x (n, c, p), w (c), b (c), perhaps running_mean (c), running_var (c) f32 -> mean (c), var (c), rstd (c), y (n, c, p), perhaps the
//   new running statistics;  count = samples * positions
struct BatchNorm : ChannelSums {
  static constexpr OperatorText kText{
      263, "batch_norm.v1",
      "mean[c] = sum x / count; var[c] = sum (x - mean)^2 / count; rstd = 1 / sqrt(var + eps); y = (x - mean) * rstd * w + b; running = (1 - momentum) * running + momentum * (mean, var * count / (count - 1))",
      "a chain from +0 over samples and, within, blocks of 4096 positions, each recursive; y = fused((x - mean) * rstd, w, b); running = fused(momentum, new, (1 - momentum) * old)",
      "Ioffe & Szegedy 2015, algorithm 1"};
  using Args = ChannelArgs;
  static constexpr size_t kRowOutputs = 2;
  static std::vector<AttrSpec> attrs() { return {{"eps", AttrKind::f32}, {"momentum", AttrKind::f32}}; }
  static std::vector<InPlace> in_place() { return {{3, 0}, {4, 3}, {5, 4}}; }
  static KnownCall known() { return {{f32({5, 3, 70}), f32({3}), f32({3}), f32({3}), f32({3})}, {attr_of(1e-5f), attr_of(0.1f)}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.that([&] { return in.size() == 3 || in.size() == 5; }, "takes 3 or 5 operands").attributes(2).type(0, DType::f32, 3);
    for (size_t k = 1; k < in.size(); k++)
      expect.that([&] { return is_vector(in[k], in[0].shape[1]); }, "operand " + std::to_string(k) + " must have one number a channel");
    if (!expect.ok()) return expect.error();
    const TensorType vector = f32({in[0].shape[1]});
    Types out{vector, vector, vector, in[0]};
    if (in.size() == 5) out.insert(out.end(), 2, vector);
    return out;
  }
  static Args args(const CallShape& call) {
    const auto& x = call.in[0].shape;
    return {x[0], x[1], x[2], 0, attr_f32(call.attrs[0]), attr_f32(call.attrs[1]), call.in.size() == 5};
  }
  static uint64_t multiply_adds(const Args& a) { return static_cast<uint64_t>(6 * a.n * a.c * a.p); }
  KERNEL_FN static int64_t blocks(const Args& a, size_t out) { return out < 2 ? channel_blocks(a) : 1; }

  KERNEL_FN static float count(const Args& a) { return static_cast<float>(a.n * a.p); }
  template <class F>
  KERNEL_FN static F square(F x, F mean) {
    const F d = x - mean;
    return d * d;
  }
  template <class F>
  KERNEL_FN static F rstd_of(const Args& a, F var) {
    return canonical(F(1.0f) / root(var + F(a.eps)));
  }
  KERNEL_FN static float running_of(const Args& a, float now, float before) { return canonical(fused(a.momentum, now, (1.0f - a.momentum) * before)); }
  KERNEL_FN static float unbiased(const Args& a, float var) { return var * (count(a) / static_cast<float>(a.n * a.p - 1)); }

  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t out, int64_t e, int64_t block, Carry carry, S& source) {
    const size_t own = a.flag ? 5 : 3;  // operand of output 0
    if (out < 2) {
      const float mean = out == 1 ? source.f32(own, e) : 0.0f;
      const float chain = channel_step(a, source, e, block, carry, [&](int64_t i) {
        const float x = source.f32(0, i);
        return out == 1 ? square(x, mean) : x;
      });
      return result(is_last(block, channel_blocks(a)) ? chain / count(a) : chain);
    }
    if (out == 2) return result(rstd_of(a, source.f32(own + 1, e)));
    if (out == 4) return result(running_of(a, source.f32(own, e), source.f32(3, e)));
    if (out == 5) return result(running_of(a, unbiased(a, source.f32(own + 1, e)), source.f32(4, e)));
    const int64_t c = e / a.p % a.c;
    return result(fused(normal(source.f32(0, e), source.f32(own, c), source.f32(own + 2, c)), source.f32(1, c), source.f32(2, c)));
  }
  static void host(const Args& a, const HostCall& h) {
    const float *x = in_f32(h, 0), *w = in_f32(h, 1), *b = in_f32(h, 2);
    float *means = out_f32(h, 0), *vars = out_f32(h, 1), *rstds = out_f32(h, 2), *y = out_f32(h, 3);
    by_channels(a, h.pool, [&](int64_t c) {
      const float mean = canonical(channel_sum(a, c, [&](int64_t i, int m) { return read(x + i, m); }) / count(a));
      const float var = canonical(channel_sum(a, c, [&](int64_t i, int m) { return square(read(x + i, m), Vector(mean)); }) / count(a));
      const Vector mu(mean), rstd(rstd_of(a, var)), weight(w[c]), bias(b[c]);
      means[c] = mean;
      vars[c] = var;
      rstds[c] = rstd_of(a, var);
      for (int64_t n = 0; n < a.n; n++) {
        const int64_t row = (n * a.c + c) * a.p;
        each(row, row + a.p, [&](int64_t i, int m) { write(y + i, m, fused(normal(read(x + i, m), mu, rstd), weight, bias)); });
      }
    }, [&](int64_t c, auto wide, int m) {
      constexpr int kWide = decltype(wide)::kCount;
      Vector mean[kWide], var[kWide];
      for (int u = 0; u < kWide; u++) mean[u] = var[u] = Vector(0.0f);
      for (int64_t n = 0; n < a.n; n++)
#pragma GCC unroll 4
        for (int u = 0; u < kWide; u++) mean[u] = mean[u] + read(x + n * a.c + c + u * kWidth, m);
      for (int u = 0; u < kWide; u++) mean[u] = canonical(mean[u] / Vector(count(a)));
      for (int64_t n = 0; n < a.n; n++)
#pragma GCC unroll 4
        for (int u = 0; u < kWide; u++) var[u] = var[u] + square(read(x + n * a.c + c + u * kWidth, m), mean[u]);
      Vector rstd[kWide], weight[kWide], bias[kWide];
      for (int u = 0; u < kWide; u++) {
        const int64_t at = c + u * kWidth;
        var[u] = canonical(var[u] / Vector(count(a)));
        rstd[u] = rstd_of(a, var[u]);
        weight[u] = read(w + at, m);
        bias[u] = read(b + at, m);
        write(means + at, m, mean[u]);
        write(vars + at, m, var[u]);
        write(rstds + at, m, rstd[u]);
      }
      for (int64_t n = 0; n < a.n; n++)
#pragma GCC unroll 4
        for (int u = 0; u < kWide; u++) {
          const int64_t at = n * a.c + c + u * kWidth;
          write(y + at, m, fused(normal(read(x + at, m), mean[u], rstd[u]), weight[u], bias[u]));
        }
    });
    if (!a.flag) return;
    const float *running_mean = in_f32(h, 3), *running_var = in_f32(h, 4);
    for (int64_t c = 0; c < a.c; c++) {
      out_f32(h, 4)[c] = running_of(a, means[c], running_mean[c]);
      out_f32(h, 5)[c] = running_of(a, unbiased(a, vars[c]), running_var[c]);
    }
  }
};

// db[c] = sum dy;  dw[c] = sum dy * xhat;  xhat = (x - mean) * rstd
// dx = w * rstd * (dy - db / count - xhat * dw / count) where the statistics were those of the batch, else w * rstd * dy
//   dy, x (n, c, p), mean, rstd, w (c) f32 -> db (c), dw (c), dx (n, c, p)
struct BatchNormBackward : ChannelSums {
  static constexpr OperatorText kText{
      264, "batch_norm_backward.v1",
      "db[c] = sum dy; dw[c] = sum dy * xhat; dx = w * rstd * (dy - db / count - xhat * dw / count) if of_batch, else w * rstd * dy; xhat = (x - mean) * rstd; operands dy, x, mean, rstd, w",
      "sums as in batch_norm.v1; dx = (w * rstd) * fused(-xhat, dw / count, dy - db / count)", "Ioffe & Szegedy 2015"};
  using Args = ChannelArgs;
  static constexpr size_t kRowOutputs = 2;
  static std::vector<AttrSpec> attrs() { return {{"of_batch"}}; }
  static std::vector<InPlace> in_place() { return {{2, 0}, {2, 1}}; }
  static KnownCall known() { return {{f32({5, 3, 70}), f32({5, 3, 70}), f32({3}), f32({3}), f32({3})}, {1}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(5).attributes(1).type(0, DType::f32, 3).same(0, 1);
    for (size_t k = 2; k < 5; k++) expect.that([&] { return is_vector(in[k], in[0].shape[1]); }, "operand " + std::to_string(k) + " must have one number a channel");
    expect.that([&] { return attrs[0] == 0 || attrs[0] == 1; }, "of_batch is 0 or 1");
    if (!expect.ok()) return expect.error();
    return Types{in[2], in[2], in[0]};
  }
  static Args args(const CallShape& call) {
    const auto& x = call.in[0].shape;
    return {x[0], x[1], x[2], 0, 0.0f, 0.0f, call.attrs[0] == 1};
  }
  static uint64_t multiply_adds(const Args& a) { return static_cast<uint64_t>(8 * a.n * a.c * a.p); }
  KERNEL_FN static int64_t blocks(const Args& a, size_t out) { return out < 2 ? channel_blocks(a) : 1; }

  template <class F>
  KERNEL_FN static F value(const Args& a, F dy, F x, F mean, F rstd, F w, F db, F dw) {
    const F scale = w * rstd;
    if (!a.flag) return scale * dy;
    return scale * fused(F(0.0f) - normal(x, mean, rstd), dw, dy - db);
  }
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t out, int64_t e, int64_t block, Carry carry, S& source) {
    if (out < 2) {
      const float mean = out == 1 ? source.f32(2, e) : 0.0f, rstd = out == 1 ? source.f32(3, e) : 0.0f;
      return result(channel_step(a, source, e, block, carry, [&](int64_t i) {
        const float dy = source.f32(0, i);
        return out == 1 ? dy * normal(source.f32(1, i), mean, rstd) : dy;
      }));
    }
    const int64_t c = e / a.p % a.c;
    const float count = BatchNorm::count(a);
    return result(value(a, source.f32(0, e), source.f32(1, e), source.f32(2, c), source.f32(3, c), source.f32(4, c),
                        source.f32(5, c) / count, source.f32(6, c) / count));
  }
  static void host(const Args& a, const HostCall& h) {
    const float *dy = in_f32(h, 0), *x = in_f32(h, 1), *means = in_f32(h, 2), *rstds = in_f32(h, 3), *w = in_f32(h, 4);
    float *db = out_f32(h, 0), *dw = out_f32(h, 1), *dx = out_f32(h, 2);
    const float count = BatchNorm::count(a);
    by_channels(a, h.pool, [&](int64_t c) {
      const Vector mean(means[c]), rstd(rstds[c]), weight(w[c]);
      db[c] = channel_sum(a, c, [&](int64_t i, int m) { return read(dy + i, m); });
      dw[c] = channel_sum(a, c, [&](int64_t i, int m) { return read(dy + i, m) * normal(read(x + i, m), mean, rstd); });
      const Vector of_b(db[c] / count), of_w(dw[c] / count);
      for (int64_t n = 0; n < a.n; n++) {
        const int64_t row = (n * a.c + c) * a.p;
        each(row, row + a.p, [&](int64_t i, int m) { write(dx + i, m, value(a, read(dy + i, m), read(x + i, m), mean, rstd, weight, of_b, of_w)); });
      }
    }, [&](int64_t c, auto wide, int m) {
      constexpr int kWide = decltype(wide)::kCount;
      Vector mean[kWide], rstd[kWide], weight[kWide], sum_b[kWide], sum_w[kWide];
      for (int u = 0; u < kWide; u++) {
        mean[u] = read(means + c + u * kWidth, m);
        rstd[u] = read(rstds + c + u * kWidth, m);
        weight[u] = read(w + c + u * kWidth, m);
        sum_b[u] = sum_w[u] = Vector(0.0f);
      }
      for (int64_t n = 0; n < a.n; n++)
#pragma GCC unroll 4
        for (int u = 0; u < kWide; u++) {
          const Vector g = read(dy + n * a.c + c + u * kWidth, m);
          sum_b[u] = sum_b[u] + g;
          sum_w[u] = sum_w[u] + g * normal(read(x + n * a.c + c + u * kWidth, m), mean[u], rstd[u]);
        }
      for (int u = 0; u < kWide; u++) {
        write(db + c + u * kWidth, m, sum_b[u]);
        write(dw + c + u * kWidth, m, sum_w[u]);
        sum_b[u] = canonical(sum_b[u]) / Vector(count);
        sum_w[u] = canonical(sum_w[u]) / Vector(count);
      }
      for (int64_t n = 0; n < a.n; n++)
#pragma GCC unroll 4
        for (int u = 0; u < kWide; u++) {
          const int64_t at = n * a.c + c + u * kWidth;
          write(dx + at, m, value(a, read(dy + at, m), read(x + at, m), mean[u], rstd[u], weight[u], sum_b[u], sum_w[u]));
        }
    });
  }
};

// rstd[c] = 1 / sqrt(var + eps);  y = (x - mean) * rstd * w + b
//   x (n, c, p), mean, var, w, b (c) f32 -> rstd (c), y (n, c, p)
struct BatchNormInference : ChannelSums {
  static constexpr OperatorText kText{265, "batch_norm_inference.v1", "rstd[c] = 1 / sqrt(var + eps); y = (x - mean) * rstd * w + b; operands x, mean, var, w, b",
                                      "y = fused((x - mean) * rstd, w, b)", "Ioffe & Szegedy 2015, algorithm 2"};
  using Args = ChannelArgs;
  static std::vector<AttrSpec> attrs() { return {{"eps", AttrKind::f32}}; }
  static std::vector<InPlace> in_place() { return {{1, 0}}; }
  static KnownCall known() { return {{f32({5, 3, 70}), f32({3}), f32({3}), f32({3}), f32({3})}, {attr_of(1e-5f)}, 0.25f, 2.0f}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(5).attributes(1).type(0, DType::f32, 3);
    for (size_t k = 1; k < 5; k++) expect.that([&] { return is_vector(in[k], in[0].shape[1]); }, "operand " + std::to_string(k) + " must have one number a channel");
    if (!expect.ok()) return expect.error();
    return Types{in[1], in[0]};
  }
  static Args args(const CallShape& call) {
    const auto& x = call.in[0].shape;
    return {x[0], x[1], x[2], 0, attr_f32(call.attrs[0]), 0.0f, 0};
  }
  static uint64_t multiply_adds(const Args& a) { return static_cast<uint64_t>(3 * a.n * a.c * a.p); }
  KERNEL_FN static int64_t blocks(const Args&, size_t) { return 1; }

  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t out, int64_t e, int64_t, Carry, S& source) {
    if (out == 0) return result(BatchNorm::rstd_of(a, source.f32(2, e)));
    const int64_t c = e / a.p % a.c;
    return result(fused(normal(source.f32(0, e), source.f32(1, c), source.f32(5, c)), source.f32(3, c), source.f32(4, c)));
  }
  static void host(const Args& a, const HostCall& h) {
    const float *x = in_f32(h, 0), *mean = in_f32(h, 1), *var = in_f32(h, 2), *w = in_f32(h, 3), *b = in_f32(h, 4);
    float *rstd = out_f32(h, 0), *y = out_f32(h, 1);
    require_cpu_state();
    for (int64_t c = 0; c < a.c; c++) rstd[c] = BatchNorm::rstd_of(a, var[c]);
    if (a.p == 1) {
      parallel(h.pool, a.n, kGrain / a.c + 1, 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; i++)
          each(0, a.c, [&](int64_t c, int m) {
            write(y + i * a.c + c, m, fused(normal(read(x + i * a.c + c, m), read(mean + c, m), read(rstd + c, m)), read(w + c, m), read(b + c, m)));
          });
      });
      return;
    }
    parallel(h.pool, a.n * a.c, kGrain / a.p + 1, 1, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; row++) {
        const int64_t c = row % a.c;
        const Vector mu(mean[c]), rs(rstd[c]), weight(w[c]), bias(b[c]);
        each(row * a.p, (row + 1) * a.p, [&](int64_t j, int m) { write(y + j, m, fused(normal(read(x + j, m), mu, rs), weight, bias)); });
      }
    });
  }
};

// mean[n, g] = sum x / count;  rstd[n, g] = 1 / sqrt(sum (x - mean)^2 / count + eps), over the channels and positions of a group
// y = (x - mean) * rstd * w + b
//   x (n, c, p), w, b (c) f32 -> mean (n, groups), rstd (n, groups), y (n, c, p)
struct GroupNorm : ChannelSums {
  static constexpr OperatorText kText{
      266, "group_norm.v1", "mean[n, g] = sum x / count; rstd[n, g] = 1 / sqrt(sum (x - mean)^2 / count + eps); y = (x - mean) * rstd * w[c] + b[c]; count = channels of a group * positions",
      "a chain from +0 over blocks of 4096 elements, each recursive; y = fused((x - mean) * rstd, w, b)", "Wu & He 2018"};
  using Args = ChannelArgs;
  static constexpr size_t kRowOutputs = 2;
  static std::vector<AttrSpec> attrs() { return {{"groups"}, {"eps", AttrKind::f32}}; }
  static std::vector<InPlace> in_place() { return {{2, 0}}; }
  static KnownCall known() { return {{f32({3, 6, 70}), f32({6}), f32({6})}, {2, attr_of(1e-5f)}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(3).attributes(2).type(0, DType::f32, 3);
    for (size_t k = 1; k < 3; k++) expect.that([&] { return is_vector(in[k], in[0].shape[1]); }, "operand " + std::to_string(k) + " must have one number a channel");
    expect.that([&] { return attrs[0] >= 1 && in[0].shape[1] % attrs[0] == 0; }, "groups must divide the channels");
    if (!expect.ok()) return expect.error();
    return Types{f32({in[0].shape[0], attrs[0]}), f32({in[0].shape[0], attrs[0]}), in[0]};
  }
  static Args args(const CallShape& call) {
    const auto& x = call.in[0].shape;
    return {x[0], x[1], x[2], call.attrs[0], attr_f32(call.attrs[1]), 0.0f, 0};
  }
  static uint64_t multiply_adds(const Args& a) { return static_cast<uint64_t>(6 * a.n * a.c * a.p); }
  KERNEL_FN static int64_t length(const Args& a) { return a.c / a.groups * a.p; }
  KERNEL_FN static int64_t blocks(const Args& a, size_t out) { return out == 2 ? 1 : row_blocks(length(a)); }

  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t out, int64_t e, int64_t block, Carry carry, S& source) {
    const int64_t n = length(a);
    const float count = static_cast<float>(n);
    if (out == 2) {
      const int64_t g = e / n, c = e / a.p % a.c;
      return result(fused(normal(source.f32(0, e), source.f32(3, g), source.f32(4, g)), source.f32(1, c), source.f32(2, c)));
    }
    const float mean = out == 1 ? source.f32(3, e) : 0.0f;
    const float chain = row_step(source, n, block, chain_of(carry), [&](int64_t i) {
      const float x = source.f32(0, e * n + i);
      return out == 1 ? BatchNorm::square(x, mean) : x;
    });
    if (!is_last(block, row_blocks(n))) return result(chain);
    return result(out == 0 ? chain / count : BatchNorm::rstd_of(a, canonical(chain) / count));
  }
  static void host(const Args& a, const HostCall& h) {
    const float *x = in_f32(h, 0), *w = in_f32(h, 1), *b = in_f32(h, 2);
    float *means = out_f32(h, 0), *rstds = out_f32(h, 1), *y = out_f32(h, 2);
    const int64_t n = length(a), channels = a.c / a.groups;
    const float count = static_cast<float>(n);
    parallel(h.pool, a.n * a.groups, kGrain / n + 1, 1, [&](int64_t begin, int64_t end) {
      for (int64_t g = begin; g < end; g++) {
        const float* from = x + g * n;
        const float mean = canonical(row_sum(n, 0.0f, [&](int64_t i, int m) { return read(from + i, m); }) / count);
        const float squares = row_sum(n, 0.0f, [&](int64_t i, int m) { return BatchNorm::square(read(from + i, m), Vector(mean)); });
        const float rstd = BatchNorm::rstd_of(a, squares / count);
        means[g] = mean;
        rstds[g] = rstd;
        for (int64_t i = 0; i < channels; i++) {
          const int64_t c = g % a.groups * channels + i, row = g * n + i * a.p;
          const Vector weight(w[c]), bias(b[c]);
          each(row, row + a.p, [&](int64_t j, int m) { write(y + j, m, fused(normal(read(x + j, m), Vector(mean), Vector(rstd)), weight, bias)); });
        }
      }
    });
  }
};

// db_row[n, c] = sum_p dy;  dw_row[n, c] = sum_p dy * xhat;  db[c] = sum_n db_row;  dw[c] = sum_n dw_row;  xhat = (x - mean) * rstd
// s1[n, g] = sum_c w * db_row;  s2[n, g] = sum_c w * dw_row, over a group's channels
// dx = rstd * (dy * w - s1 / count - xhat * s2 / count)
//   dy, x (n, c, p), mean, rstd (n, groups), w (c) f32 -> db_row, dw_row (n, c), db, dw (c), s1, s2 (n, groups), dx (n, c, p)
struct GroupNormBackward : ChannelSums {
  static constexpr OperatorText kText{
      267, "group_norm_backward.v1",
      "db[c] = sum dy; dw[c] = sum dy * xhat; s1[n, g] = sum w * dy; s2[n, g] = sum w * dy * xhat; dx = rstd * (dy * w - s1 / count - xhat * s2 / count); operands dy, x, mean, rstd, w",
      "a row's sum a chain from +0 over blocks of 4096 positions, each recursive; then a chain over samples, blocks of 256; s1 and s2 chains of fused multiply-adds over channels, blocks of 256; dx = rstd * fused(-xhat, s2 / count, dy * w - s1 / count)",
      "Wu & He 2018"};
  using Args = ChannelArgs;
  static constexpr size_t kRowOutputs = 2;
  static std::vector<AttrSpec> attrs() { return {}; }
  static std::vector<InPlace> in_place() { return {{6, 0}, {6, 1}}; }
  static KnownCall known() { return {{f32({3, 6, 70}), f32({3, 6, 70}), f32({3, 2}), f32({3, 2}), f32({6})}, {}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(5).attributes(0).type(0, DType::f32, 3).same(0, 1).type(2, DType::f32, 2).same(2, 3);
    expect.that([&] { return is_vector(in[4], in[0].shape[1]); }, "operand 4 must have one number a channel");
    expect.that([&] { return in[2].shape[0] == in[0].shape[0] && in[0].shape[1] % in[2].shape[1] == 0; }, "groups must divide the channels");
    if (!expect.ok()) return expect.error();
    const int64_t n = in[0].shape[0], c = in[0].shape[1];
    return Types{f32({n, c}), f32({n, c}), f32({c}), f32({c}), in[2], in[2], in[0]};
  }
  static Args args(const CallShape& call) {
    const auto& x = call.in[0].shape;
    return {x[0], x[1], x[2], call.in[2].shape[1], 0.0f, 0.0f, 0};
  }
  static uint64_t multiply_adds(const Args& a) { return static_cast<uint64_t>(8 * a.n * a.c * a.p); }
  KERNEL_FN static int64_t blocks(const Args& a, size_t out) {
    return out < 2 ? row_blocks(a.p) : out < 4 ? sample_blocks(a) : out < 6 ? blocks_of(a.c / a.groups, kFoldBlock) : 1;
  }
  template <class F>
  KERNEL_FN static F value(F dy, F x, F mean, F rstd, F w, F mean1, F mean2) {
    return rstd * fused(F(0.0f) - normal(x, mean, rstd), mean2, dy * w - mean1);
  }
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t out, int64_t e, int64_t block, Carry carry, S& source) {
    const int64_t channels = a.c / a.groups;
    if (out < 2) {
      const int64_t g = e / channels;
      const float mean = out == 1 ? source.f32(2, g) : 0.0f, rstd = out == 1 ? source.f32(3, g) : 0.0f;
      return result(row_step(source, a.p, block, chain_of(carry), [&](int64_t i) {
        const float dy = source.f32(0, e * a.p + i);
        return out == 1 ? dy * normal(source.f32(1, e * a.p + i), mean, rstd) : dy;
      }));
    }
    if (out < 4) return result(sample_step(a, source, 5 + out - 2, e, block, carry));
    if (out < 6) {
      float chain = chain_of(carry);
      for (int64_t i = block * kFoldBlock; i < least(channels, (block + 1) * kFoldBlock); i++)
        chain = fused(source.f32(4, e % a.groups * channels + i), source.f32(5 + out - 4, e * channels + i), chain);
      return result(chain);
    }
    const int64_t g = e / (channels * a.p);
    const float count = static_cast<float>(channels * a.p);
    return result(value(source.f32(0, e), source.f32(1, e), source.f32(2, g), source.f32(3, g), source.f32(4, e / a.p % a.c),
                        source.f32(9, g) / count, source.f32(10, g) / count));
  }
  static void host(const Args& a, const HostCall& h) {
    const float *dy = in_f32(h, 0), *x = in_f32(h, 1), *means = in_f32(h, 2), *rstds = in_f32(h, 3), *w = in_f32(h, 4);
    float *db_rows = out_f32(h, 0), *dw_rows = out_f32(h, 1), *db = out_f32(h, 2), *dw = out_f32(h, 3);
    float *s1 = out_f32(h, 4), *s2 = out_f32(h, 5), *dx = out_f32(h, 6);
    const int64_t channels = a.c / a.groups;
    const float count = static_cast<float>(channels * a.p);
    parallel(h.pool, a.n * a.groups, kGrain / (channels * a.p) + 1, 1, [&](int64_t begin, int64_t end) {
      for (int64_t g = begin; g < end; g++) {
        const Vector mean(means[g]), rstd(rstds[g]);
        const float* weight = w + g % a.groups * channels;
        float chain1 = 0.0f, chain2 = 0.0f;
        for (int64_t i = 0; i < channels; i++) {
          const int64_t row = g * channels + i;
          const float *from = dy + row * a.p, *v = x + row * a.p;
          db_rows[row] = canonical(row_sum(a.p, 0.0f, [&](int64_t j, int m) { return read(from + j, m); }));
          dw_rows[row] = canonical(row_sum(a.p, 0.0f, [&](int64_t j, int m) { return read(from + j, m) * normal(read(v + j, m), mean, rstd); }));
          chain1 = fused(weight[i], db_rows[row], chain1);
          chain2 = fused(weight[i], dw_rows[row], chain2);
        }
        s1[g] = canonical(chain1);
        s2[g] = canonical(chain2);
        const Vector mean1(s1[g] / count), mean2(s2[g] / count);
        for (int64_t i = 0; i < channels; i++) {
          const int64_t row = (g * channels + i) * a.p;
          each(row, row + a.p, [&](int64_t j, int m) { write(dx + j, m, value(read(dy + j, m), read(x + j, m), mean, rstd, Vector(weight[i]), mean1, mean2)); });
        }
      }
    });
    for (int64_t c = 0; c < a.c; c++) {
      db[c] = sample_sum(a, db_rows, c);
      dw[c] = sample_sum(a, dw_rows, c);
    }
  }
};

}  // namespace cairn::kernels::CAIRN_ISA
