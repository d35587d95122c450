// Sums down columns; sums, products and extremes along rows; the index of the greatest.
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
  static constexpr int kColumnOperands = 1;
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
    KERNEL_AHEAD
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

// Base of operators that reduce the last axis by levels of 4096, which are outputs, so that a dispute walks them:
//   x (rows, cols) f32 -> with cols <= 4096: y (rows); else first (rows, ceil(cols / 4096)), ... down to y (rows)
// by Op::block(source, n, term) and, over Vector, Op::lanes(n, term); Op::first(x) is what the first level takes of an element.
template <class Op>
struct ReduceLast {
  struct Args {
    int64_t rows;
    int32_t levels;
    int64_t cols[6];  // of the operand and of each output
  };
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

  template <class F>
  KERNEL_FN static F first(F x) {
    return x;
  }
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t out, int64_t e, int64_t, Carry, S& source) {
    const int64_t cols = a.cols[out], row = e / a.cols[out + 1], from = e % a.cols[out + 1] * kSumBlock;
    return result(Op::block(source, least(kSumBlock, cols - from), [&](int64_t i) {
      const float x = source.f32(out, row * cols + from + i);
      return out == 0 ? Op::first(x) : x;
    }));
  }
  static void host(const Args& a, const HostCall& c) {
    for (int o = 0; o < a.levels; o++) {
      const float* x = o == 0 ? in_f32(c, 0) : out_f32(c, o - 1);
      float* y = out_f32(c, o);
      const int64_t cols = a.cols[o], blocks = a.cols[o + 1];
      parallel(c.pool, a.rows * blocks, kGrain / least(cols, kSumBlock) + 1, 1, [&](int64_t begin, int64_t end) {
        for (int64_t e = begin; e < end; e++) {
          const int64_t from = e % blocks * kSumBlock, n = least(kSumBlock, cols - from);
          const float* p = x + e / blocks * cols + from;
          y[e] = canonical(o == 0 ? Op::lanes(n, [&](int64_t i, int m) { return Op::first(read(p + i, m)); })
                                  : Op::lanes(n, [&](int64_t i, int m) { return read(p + i, m); }));
        }
      });
    }
  }
};

#define RECURSIVE_ORDER "recursive: blocks of 4096 consecutive, 32 strided lanes each a chain, butterfly 16 8 4 2 1, block results by the same rule"

struct SumLast : ReduceLast<SumLast> {
  static constexpr OperatorText kText{
      41, "sum_last.v1", "y[r] = sum_c x[r, c]; beyond 4096 columns the sums of each 4096 are an output before it, and so on",
      RECURSIVE_ORDER, "Blanchard, Higham & Mary 2020, blocked summation"};
  static constexpr size_t kRowOutputs = 9;
  template <class S, class Term>
  KERNEL_FN static float block(S& source, int64_t n, Term term) {
    return sum_block(source, n, term);
  }
  template <class Term>
  LANES_FN static float lanes(int64_t n, Term term) {
    return lanes_sum_block(n, term);
  }
};
struct SumSquaresLast : ReduceLast<SumSquaresLast> {
  static constexpr OperatorText kText{
      45, "sum_squares_last.v1", "y[r] = sum_c x[r, c]^2; levels as in sum_last.v1", "each square rounded; " RECURSIVE_ORDER,
      "Blanchard, Higham & Mary 2020, blocked summation"};
  static constexpr size_t kRowOutputs = 9;
  template <class F>
  KERNEL_FN static F first(F x) {
    return x * x;
  }
  template <class S, class Term>
  KERNEL_FN static float block(S& source, int64_t n, Term term) {
    return sum_block(source, n, term);
  }
  template <class Term>
  LANES_FN static float lanes(int64_t n, Term term) {
    return lanes_sum_block(n, term);
  }
};
struct ProdLast : ReduceLast<ProdLast> {
  static constexpr OperatorText kText{44, "prod_last.v1", "y[r] = product of x[r, c] over c; levels as in sum_last.v1", RECURSIVE_ORDER,
                                      "the rule of sums, with products"};
  template <class S, class Term>
  KERNEL_FN static float block(S&, int64_t n, Term term) {
    return reduce_block(n, term, 1.0f, [](float a, float b) { return a * b; });
  }
  template <class Term>
  LANES_FN static float lanes(int64_t n, Term term) {
    return lanes_reduce_block(n, term, 1.0f, [](Vector a, Vector b) __attribute__((always_inline)) { return a * b; });
  }
};
struct MaxLast : ReduceLast<MaxLast> {
  static constexpr OperatorText kText{42, "max_last.v1", "y[r] = the greatest x[r, c]; levels as in sum_last.v1", "exact; NaN wins, -0 as +0",
                                      "order statistics"};
  static constexpr size_t kRowOutputs = 9;
  template <class S, class Term>
  KERNEL_FN static float block(S& source, int64_t n, Term term) {
    return max_of(source, n, term);
  }
  template <class Term>
  LANES_FN static float lanes(int64_t n, Term term) {
    return lanes_max(n, term);
  }
};
struct MinLast : ReduceLast<MinLast> {
  static constexpr OperatorText kText{43, "min_last.v1", "y[r] = the least x[r, c]; levels as in sum_last.v1", "exact; NaN wins, -0 as +0",
                                      "order statistics"};
  static constexpr size_t kRowOutputs = 9;
  template <class S, class Term>
  KERNEL_FN static float block(S& source, int64_t n, Term term) {
    return negated(max_of(source, n, [&](int64_t i) { return negated(term(i)); })) + 0.0f;
  }
  template <class Term>
  LANES_FN static float lanes(int64_t n, Term term) {
    return negated(lanes_max(n, [&](int64_t i, int m) { return negated(term(i, m)); })) + 0.0f;
  }
};
#undef RECURSIVE_ORDER

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
