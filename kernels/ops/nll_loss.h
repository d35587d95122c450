// The negative log likelihood of labels and its gradient.
#pragma once

#include "kernels/ops/op.h"

namespace cairn::kernels::CAIRN_ISA {

struct NllArgs {
  int64_t rows, cols;
  int64_t mean;  // 1 mean, 0 sum
  int64_t ignore;
};

// count = rows whose label is not ignore_index;  loss = -sum_r logp[r, target[r]] over those, divided by count under mean
//   logp (rows, cols) f32, target (rows) i64 -> count () f32, loss () f32
//   a label that is neither in 0 .. cols - 1 nor ignore_index makes the loss NaN
struct NllLoss {
  static constexpr OperatorText kText{
      62, "nll_loss.v1", "count = labels that are not ignore_index; loss = -sum logp[r, target[r]] over them, / count when reduction is 1 (mean), not when 2 (sum); a label out of range makes it NaN",
      "a chain from +0 over blocks of 256 rows, each block's sum recursive with ignored rows skipped; one division", "Bridle 1990"};
  using Args = NllArgs;
  static constexpr size_t kRowOutputs = 2;
  static std::vector<AttrSpec> attrs() { return {{"reduction"}, {"ignore_index"}}; }
  static std::vector<InPlace> in_place() { return {}; }
  static KnownCall known() { return {{f32({300, 7}), i64({300})}, {1, 3}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(2).attributes(2).type(0, DType::f32, 2).type(1, DType::i64, 1);
    expect.that([&] { return in[0].shape[0] == in[1].shape[0]; }, "needs one label a row");
    expect.that([&] { return in[0].shape[0] <= 1 << 24; }, "takes up to 2^24 rows: the count is an f32");
    expect.that([&] { return attrs[0] == 1 || attrs[0] == 2; }, "reduction is 1 (mean) or 2 (sum)");
    if (!expect.ok()) return expect.error();
    return Types{f32({}), f32({})};
  }
  static Args args(const CallShape& call) {
    return {call.in[0].shape[0], call.in[0].shape[1], call.attrs[0] == 1, call.attrs[1]};
  }
  static uint64_t multiply_adds(const Args& a) { return static_cast<uint64_t>(2 * a.rows); }
  static uint64_t moved_bytes(const CallShape& call) { return 12 * static_cast<uint64_t>(call.in[0].shape[0]) + 8; }
  KERNEL_FN static int64_t blocks(const Args& a, size_t) { return blocks_of(a.rows, kFoldBlock); }

  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t out, int64_t, int64_t block, Carry carry, S& source) {
    const int64_t first = block * kFoldBlock, end = least(a.rows, first + kFoldBlock);
    if (out == 0) {  // the carry counts; its last value is turned into an f32, exactly
      carry.lo += static_cast<uint64_t>(count_of(source, end - first, [&](int64_t i) { return source.i64(1, first + i) != a.ignore; }));
      return end == a.rows ? result(static_cast<float>(static_cast<int64_t>(carry.lo))) : carry;
    }
    const float sum = sum_block(source, end - first, [&](int64_t i) {
      const int64_t label = source.i64(1, first + i);
      if (label == a.ignore) return -0.0f;
      if (label < 0 || label >= a.cols) return as_float(kNan);
      return source.f32(0, (first + i) * a.cols + label);
    });
    const float chain = as_float(static_cast<uint32_t>(carry.lo)) + sum;
    if (end < a.rows) return result(chain);
    const float loss = 0.0f - chain;
    return result(a.mean ? loss / source.f32(2, 0) : loss);
  }
  static void host(const Args& a, const HostCall& c) {
    require_cpu_state();
    const float* logp = in_f32(c, 0);
    const int64_t* target = static_cast<const int64_t*>(c.in[1]);
    int64_t count = 0;
    float chain = 0.0f;
    for (int64_t first = 0; first < a.rows; first += kFoldBlock) {
      chain = chain + sum_block(least(kFoldBlock, a.rows - first), [&](int64_t i) {
        const int64_t label = target[first + i];
        if (label == a.ignore) return -0.0f;
        count++;
        if (label < 0 || label >= a.cols) return as_float(kNan);
        return logp[(first + i) * a.cols + label];
      });
    }
    const float loss = 0.0f - chain;
    *out_f32(c, 0) = static_cast<float>(count);
    *out_f32(c, 1) = canonical(a.mean ? loss / static_cast<float>(count) : loss);
  }
};

// dx[r, c] = c is the label of r and that is not ignore_index ? -grad (/ count under mean) : +0
//   grad () f32, target (rows) i64, count () f32 -> dx (rows, classes)
struct NllLossBackward {
  static constexpr OperatorText kText{
      63, "nll_loss_backward.v1", "dx[r, c] = -grad at c = target[r] unless ignored, / count when reduction is 1; +0 elsewhere",
      "a sign change and one division", "derivative of nll_loss.v1"};
  using Args = NllArgs;
  static std::vector<AttrSpec> attrs() { return {{"classes"}, {"reduction"}, {"ignore_index"}}; }
  static std::vector<InPlace> in_place() { return {}; }
  static KnownCall known() { return {{f32({}), i64({9}), f32({})}, {7, 1, 3}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(3).attributes(3).type(0, DType::f32, 0).type(1, DType::i64, 1).type(2, DType::f32, 0);
    expect.that([&] { return attrs[0] >= 1; }, "classes must be at least 1");
    expect.that([&] { return attrs[1] == 1 || attrs[1] == 2; }, "reduction is 1 (mean) or 2 (sum)");
    if (!expect.ok()) return expect.error();
    return Types{f32({in[1].shape[0], attrs[0]})};
  }
  static Args args(const CallShape& call) {
    return {call.out[0].shape[0], call.out[0].shape[1], call.attrs[1] == 1, call.attrs[2]};
  }
  static uint64_t multiply_adds(const Args& a) { return static_cast<uint64_t>(a.rows); }
  KERNEL_FN static int64_t blocks(const Args&, size_t) { return 1; }

  KERNEL_FN static float value(const Args& a, float grad, float count) {
    const float minus = 0.0f - grad;
    return a.mean ? minus / count : minus;
  }
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t, int64_t e, int64_t, Carry, S& source) {
    const int64_t label = source.i64(1, e / a.cols);
    if (label != e % a.cols || label == a.ignore) return result(0.0f);
    return result(value(a, source.f32(0, 0), source.f32(2, 0)));
  }
  static void host(const Args& a, const HostCall& c) {
    const int64_t* target = static_cast<const int64_t*>(c.in[1]);
    float* dx = out_f32(c, 0);
    const float at_label = canonical(value(a, *in_f32(c, 0), *in_f32(c, 2)));
    parallel(c.pool, a.rows, kGrain / a.cols + 1, 1, [&](int64_t begin, int64_t end) {
      __builtin_memset(dx + begin * a.cols, 0, static_cast<size_t>((end - begin) * a.cols) * sizeof(float));
      for (int64_t r = begin; r < end; r++)
        if (target[r] != a.ignore && target[r] >= 0 && target[r] < a.cols) dx[r * a.cols + target[r]] = at_label;
    });
  }
};

struct NllRowsArgs {
  int64_t classes, inner;
  int64_t n;  // elements of the last output
  int64_t ignore;
};

// weights[o, i] = w[t], loss[o, i] = -logp[o, t, i] w[t], t = target[o, i]; +0 both where t is ignore_index
//   logp (outer, classes, inner) f32, target (outer, inner) i64, w (classes) f32 -> weights, loss (outer, inner)
//   a label that is neither in 0 .. classes - 1 nor ignore_index makes both NaN
struct NllRows {
  static constexpr OperatorText kText{
      66, "nll_rows.v1", "weights[o, i] = w[t]; loss[o, i] = -logp[o, t, i] w[t]; t = target[o, i]; +0 where t is ignore_index; NaN where it is no class",
      "one product", "Bridle 1990"};
  using Args = NllRowsArgs;
  static std::vector<AttrSpec> attrs() { return {{"ignore_index"}}; }
  static std::vector<InPlace> in_place() { return {}; }
  static KnownCall known() { return {{f32({9, 7, 5}), i64({9, 5}), f32({7})}, {3}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(3).attributes(1).type(0, DType::f32, 3).type(1, DType::i64, 2).type(2, DType::f32, 1);
    expect.that([&] { return in[0].shape[0] == in[1].shape[0] && in[0].shape[2] == in[1].shape[1]; }, "needs a label for each row and place");
    expect.that([&] { return in[0].shape[1] == in[2].shape[0]; }, "needs a weight a class");
    if (!expect.ok()) return expect.error();
    return Types(2, f32(in[1].shape));
  }
  static Args args(const CallShape& call) {
    return {call.in[0].shape[1], call.in[0].shape[2], elements(call.out[0]), call.attrs[0]};
  }
  static uint64_t multiply_adds(const Args& a) { return static_cast<uint64_t>(2 * a.n); }
  static uint64_t moved_bytes(const CallShape& call) { return 24 * static_cast<uint64_t>(elements(call.out[0])); }
  KERNEL_FN static int64_t blocks(const Args&, size_t) { return 1; }

  template <class Weight, class Logp>
  KERNEL_FN static float value(const Args& a, size_t out, int64_t e, int64_t label, Weight weight, Logp logp) {
    if (label == a.ignore) return 0.0f;
    if (label < 0 || label >= a.classes) return as_float(kNan);
    const float w = weight(label);
    return out == 0 ? w : negated(logp((e / a.inner * a.classes + label) * a.inner + e % a.inner)) * w;
  }
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t out, int64_t e, int64_t, Carry, S& source) {
    return result(value(a, out, e, source.i64(1, e), [&](int64_t i) { return source.f32(2, i); }, [&](int64_t i) { return source.f32(0, i); }));
  }
  static void host(const Args& a, const HostCall& c) {
    const float *logp = in_f32(c, 0), *w = in_f32(c, 2);
    const int64_t* target = static_cast<const int64_t*>(c.in[1]);
    parallel(c.pool, a.n, kGrain / 4, 16, [&](int64_t begin, int64_t end) {
      for (size_t out = 0; out < 2; out++)
        for (int64_t e = begin; e < end; e++)
          static_cast<float*>(c.out[out])[e] =
              canonical(value(a, out, e, target[e], [&](int64_t i) { return w[i]; }, [&](int64_t i) { return logp[i]; }));
    });
  }
};

// dx[o, c, i] = -grad[o, i] w[c] where c is target[o, i] and that is not ignore_index; +0 elsewhere
//   grad (outer, inner) f32, target (outer, inner) i64, w (classes) f32 -> dx (outer, classes, inner)
struct NllRowsBackward {
  static constexpr OperatorText kText{67, "nll_rows_backward.v1", "dx[o, c, i] = -grad[o, i] w[c] at c = target[o, i] unless ignored; +0 elsewhere",
                                      "one product", "derivative of nll_rows.v1"};
  using Args = NllRowsArgs;
  static std::vector<AttrSpec> attrs() { return {{"ignore_index"}}; }
  static std::vector<InPlace> in_place() { return {}; }
  static KnownCall known() { return {{f32({9, 5}), i64({9, 5}), f32({7})}, {3}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(3).attributes(1).type(0, DType::f32, 2).type(1, DType::i64, 2).type(2, DType::f32, 1);
    expect.that([&] { return in[0].shape == in[1].shape; }, "needs a label for each row and place");
    if (!expect.ok()) return expect.error();
    return Types{f32({in[0].shape[0], in[2].shape[0], in[0].shape[1]})};
  }
  static Args args(const CallShape& call) {
    return {call.out[0].shape[1], call.out[0].shape[2], elements(call.out[0]), call.attrs[0]};
  }
  static uint64_t multiply_adds(const Args& a) { return static_cast<uint64_t>(a.n / a.classes); }
  KERNEL_FN static int64_t blocks(const Args&, size_t) { return 1; }

  KERNEL_FN static float value(float grad, float w) { return negated(grad) * w; }
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t, int64_t e, int64_t, Carry, S& source) {
    const int64_t at = e / a.inner / a.classes * a.inner + e % a.inner, label = source.i64(1, at);
    if (label != e / a.inner % a.classes || label == a.ignore) return result(0.0f);
    return result(value(source.f32(0, at), source.f32(2, label)));
  }
  static void host(const Args& a, const HostCall& c) {
    const float *grad = in_f32(c, 0), *w = in_f32(c, 2);
    const int64_t* target = static_cast<const int64_t*>(c.in[1]);
    float* dx = out_f32(c, 0);
    const int64_t step = a.classes * a.inner;
    parallel(c.pool, a.n / step, kGrain / step + 1, 1, [&](int64_t begin, int64_t end) {
      __builtin_memset(dx + begin * step, 0, static_cast<size_t>((end - begin) * step) * sizeof(float));
      for (int64_t o = begin; o < end; o++)
        for (int64_t i = 0; i < a.inner; i++) {
          const int64_t at = o * a.inner + i, label = target[at];
          if (label != a.ignore && label >= 0 && label < a.classes) dx[o * step + label * a.inner + i] = canonical(value(grad[at], w[label]));
        }
    });
  }
};

}  // namespace cairn::kernels::CAIRN_ISA
