// Sums down columns and along rows, and the index of the greatest.
#pragma once

#include "kernels/ops/op.h"

namespace cairn::kernels::CAIRN_ISA {

// y[c] = sum_r x[r, c]
//   x (rows, cols) f32 -> y (cols) f32
struct SumRows {
  static constexpr OperatorText kText{40, "sum_rows.v1", "y[c] = sum_r x[r, c]", "a chain over r ascending from +0; blocks of 256 rows",
                                      "gradient of a broadcast bias"};
  struct Args {
    int64_t rows, cols;
  };
  static std::vector<AttrSpec> attrs() { return {}; }
  static std::vector<InPlace> in_place() { return {}; }
  static KnownCall known() { return {{f32({300, 9})}, {}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(1).attributes(0).type(0, DType::f32, 2);
    if (!expect.ok()) return expect.error();
    return Types{f32({in[0].shape[1]})};
  }
  static Args args(const CallShape& call) { return {call.in[0].shape[0], call.in[0].shape[1]}; }
  static uint64_t multiply_adds(const Args& a) { return static_cast<uint64_t>(a.rows * a.cols); }
  KERNEL_FN static int64_t blocks(const Args& a, size_t) { return blocks_of(a.rows, kFoldBlock); }

  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t, int64_t e, int64_t block, Carry carry, S& source) {
    const int64_t end = least(a.rows, (block + 1) * kFoldBlock);
    float chain = as_float(static_cast<uint32_t>(carry.lo));
    for (int64_t r = block * kFoldBlock; r < end; r++) chain = chain + source.f32(0, r * a.cols + e);
    return result(chain);
  }
  static void host(const Args& a, const HostCall& c) {
    const float* x = in_f32(c, 0);
    float* y = out_f32(c, 0);
    parallel(c.pool, a.cols, kGrain / a.rows + 1, 64, [&](int64_t begin, int64_t end) {
      int64_t j = begin;
      constexpr int kWide = 4;
      for (; j + kWide * kWidth <= end; j += kWide * kWidth) {
        Vector chain[kWide] = {Vector(0.0f), Vector(0.0f), Vector(0.0f), Vector(0.0f)};
        for (int64_t r = 0; r < a.rows; r++)
#pragma GCC unroll 4
          for (int u = 0; u < kWide; u++) chain[u] = chain[u] + load<Vector>(x + r * a.cols + j + u * kWidth);
        for (int u = 0; u < kWide; u++) write(y + j + u * kWidth, kWidth, chain[u]);
      }
      each(j, end, [&](int64_t i, int m) {
        Vector chain = Vector(0.0f);
        for (int64_t r = 0; r < a.rows; r++) chain = chain + read(x + r * a.cols + i, m);
        write(y + i, m, chain);
      });
    });
  }
};

// y[r] = sum_c x[r, c] by the recursive rule; its levels are outputs, so that a dispute walks them
//   x (rows, cols) f32 -> with cols <= 4096: y (rows); else first (rows, ceil(cols / 4096)), ... down to y (rows)
struct SumLast {
  static constexpr OperatorText kText{
      41, "sum_last.v1", "y[r] = sum_c x[r, c]; beyond 4096 columns the sums of each 4096 are an output before it, and so on",
      "recursive: blocks of 4096 consecutive, 32 strided lanes each a chain, butterfly 16 8 4 2 1, block results by the same rule",
      "Blanchard, Higham & Mary 2020, blocked summation"};
  struct Args {
    int64_t rows;
    int32_t levels;
    int64_t cols[6];  // of the operand and of each output
  };
  static constexpr size_t kRowOutputs = 9;
  static std::vector<AttrSpec> attrs() { return {}; }
  static std::vector<InPlace> in_place() { return {}; }
  static KnownCall known() { return {{f32({3, 5001})}, {}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(1).attributes(0).type(0, DType::f32, 2);
    if (!expect.ok()) return expect.error();
    Types out;
    for (int64_t cols = in[0].shape[1]; cols > kSumBlock;) {
      cols = blocks_of(cols, kSumBlock);
      out.push_back(f32({in[0].shape[0], cols}));
    }
    out.push_back(f32({in[0].shape[0]}));
    return out;
  }
  static Args args(const CallShape& call) {
    Args a{};
    a.rows = call.in[0].shape[0];
    a.levels = static_cast<int32_t>(call.out.size());
    a.cols[0] = call.in[0].shape[1];
    for (int o = 0; o < a.levels; o++) a.cols[o + 1] = blocks_of(a.cols[o], kSumBlock);
    return a;
  }
  static uint64_t multiply_adds(const Args& a) { return static_cast<uint64_t>(a.rows * a.cols[0]); }
  KERNEL_FN static int64_t blocks(const Args&, size_t) { return 1; }

  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t out, int64_t e, int64_t, Carry, S& source) {
    const int64_t cols = a.cols[out], row = e / a.cols[out + 1], first = e % a.cols[out + 1] * kSumBlock;
    return result(sum_block(source, least(kSumBlock, cols - first), [&](int64_t i) { return source.f32(out, row * cols + first + i); }));
  }
  static void host(const Args& a, const HostCall& c) {
    for (int o = 0; o < a.levels; o++) {
      const float* x = o == 0 ? in_f32(c, 0) : out_f32(c, o - 1);
      float* y = out_f32(c, o);
      const int64_t cols = a.cols[o], blocks = a.cols[o + 1];
      parallel(c.pool, a.rows * blocks, kGrain / least(cols, kSumBlock) + 1, 1, [&](int64_t begin, int64_t end) {
        for (int64_t e = begin; e < end; e++) {
          const int64_t first = e % blocks * kSumBlock;
          const float* p = x + e / blocks * cols + first;
          y[e] = canonical(lanes_sum_block(least(kSumBlock, cols - first), [&](int64_t i, int m) { return read(p + i, m); }));
        }
      });
    }
  }
};

// y[r] = the lowest c with the greatest x[r, c]; a NaN is greater than everything
//   x (rows, cols) f32, cols <= 65536 -> y (rows) i64
struct ArgmaxLast {
  static constexpr OperatorText kText{90, "argmax_last.v1", "y[r] = the lowest c with the greatest x[r, c]; a NaN is greater than everything",
                                      "exact", "classification"};
  struct Args {
    int64_t rows, cols;
  };
  static constexpr size_t kRowOutputs = 1;
  static std::vector<AttrSpec> attrs() { return {}; }
  static std::vector<InPlace> in_place() { return {}; }
  static KnownCall known() { return {{f32({9, 10})}, {}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(1).attributes(0).type(0, DType::f32, 2);
    expect.that([&] { return in[0].shape[1] <= kMaxColumns; }, "takes rows of up to 65536 columns");
    if (!expect.ok()) return expect.error();
    return Types{i64({in[0].shape[0]})};
  }
  static Args args(const CallShape& call) { return {call.in[0].shape[0], call.in[0].shape[1]}; }
  static uint64_t multiply_adds(const Args& a) { return static_cast<uint64_t>(a.rows * a.cols); }
  KERNEL_FN static int64_t blocks(const Args&, size_t) { return 1; }

  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t, int64_t e, int64_t, Carry, S& source) {
    return {static_cast<uint64_t>(argmax_of(source, a.cols, [&](int64_t i) { return source.f32(0, e * a.cols + i); })), 0};
  }
  static void host(const Args& a, const HostCall& c) {
    const float* x = in_f32(c, 0);
    int64_t* y = static_cast<int64_t*>(c.out[0]);
    parallel(c.pool, a.rows, kGrain / a.cols + 1, 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; r++) y[r] = argmax_of(a.cols, [&](int64_t i) { return x[r * a.cols + i]; });
    });
  }
};

}  // namespace cairn::kernels::CAIRN_ISA
