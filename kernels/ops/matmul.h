// Products of matrices, numeric class f32: each output is one chain of fused multiply-adds over k ascending, from +0.
#pragma once

#include "kernels/gemm.h"
#include "kernels/ops/op.h"
#include "kernels/packed_weight.h"

namespace cairn::kernels::CAIRN_ISA {

// c[i, j] = sum_k A[i, k] B[k, j] (+ bias[j])
//   A is a (m, k), or a (k, m) read along the other axis under trans_a; B is b (k, n), or b (n, k) under trans_b
//   a dispute takes 256 of k at a time: the chain's value is the carry
struct Product {
  struct Args {
    int64_t m, n, k;
    int32_t trans_a, trans_b, bias;
  };
  static std::vector<InPlace> in_place() { return {}; }
  static bool is_flag(int64_t attr) { return attr == 0 || attr == 1; }
  static uint64_t multiply_adds(const Args& a) { return static_cast<uint64_t>(a.m) * static_cast<uint64_t>(a.n) * static_cast<uint64_t>(a.k); }
  KERNEL_FN static int64_t blocks(const Args& a, size_t) { return blocks_of(a.k, kFoldBlock); }

  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t, int64_t e, int64_t block, Carry carry, S& source) {
    const int64_t i = e / a.n, j = e % a.n, end = least(a.k, (block + 1) * kFoldBlock);
    float chain = as_float(static_cast<uint32_t>(carry.lo));
    for (int64_t k = block * kFoldBlock; k < end; k++)
      chain = fused(source.f32(0, a.trans_a ? k * a.m + i : i * a.k + k),
                    source.f32(1, a.trans_b ? j * a.k + k : k * a.n + j), chain);
    if (a.bias && end == a.k) chain = chain + source.f32(2, j);
    return result(chain);
  }
  static void host(const Args& a, const HostCall& c) {
    gemm({a.m, a.n, a.k, a.trans_a != 0, a.trans_b != 0, a.trans_b == kByPanels}, in_f32(c, 0), in_f32(c, 1), a.bias ? in_f32(c, 2) : nullptr,
         out_f32(c, 0), c.pool);
  }
};

struct Matmul : Product {
  static constexpr OperatorText kText{10, "matmul.f32.v1", "c = A B; A = a or its transpose, B = b or its transpose",
                                      "each output one chain of fused multiply-adds over k ascending from +0; blocks of 256 k",
                                      "numeric class f32"};
  static std::vector<AttrSpec> attrs() { return {{"trans_a"}, {"trans_b"}}; }
  static KnownCall known() { return {{f32({7, 300}), f32({300, 9})}, {0, 0}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(2).attributes(2).type(0, DType::f32, 2).type(1, DType::f32, 2);
    expect.that([&] { return is_flag(attrs[0]) && is_flag(attrs[1]); }, "trans_a and trans_b are 0 or 1");
    expect.that([&] { return in[0].shape[attrs[0] ? 0 : 1] == in[1].shape[attrs[1] ? 1 : 0]; }, "inner dimensions differ");
    if (!expect.ok()) return expect.error();
    return Types{f32({in[0].shape[attrs[0] ? 1 : 0], in[1].shape[attrs[1] ? 0 : 1]})};
  }
  static Args args(const CallShape& call) {
    return {call.out[0].shape[0], call.out[0].shape[1], call.in[0].shape[call.attrs[0] ? 0 : 1],
            call.attrs[0] != 0, static_cast<int32_t>(call.attrs[1]), 0};
  }
};

struct Linear : Product {
  static constexpr OperatorText kText{11, "linear.f32.v1", "y = x W + bias; W = w (k, n), or w (n, k) transposed",
                                      "as matmul.f32.v1, then one addition of bias", "numeric class f32"};
  static std::vector<AttrSpec> attrs() { return {{"trans_w"}}; }
  static KnownCall known() { return {{f32({7, 300}), f32({9, 300}), f32({9})}, {1}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(3).attributes(1).type(0, DType::f32, 2).type(1, DType::f32, 2).type(2, DType::f32, 1);
    expect.that([&] { return is_flag(attrs[0]); }, "trans_w is 0 or 1");
    expect.that([&] { return in[0].shape[1] == in[1].shape[attrs[0] ? 1 : 0]; }, "inner dimensions differ");
    expect.that([&] { return in[1].shape[attrs[0] ? 0 : 1] == in[2].shape[0]; }, "bias does not fit");
    if (!expect.ok()) return expect.error();
    return Types{f32({in[0].shape[0], in[2].shape[0]})};
  }
  static Args args(const CallShape& call) {
    return {call.out[0].shape[0], call.out[0].shape[1], call.in[0].shape[1], 0, static_cast<int32_t>(call.attrs[0]), 1};
  }
};

// w (n, k), in place, to panels of kPanel rows (the last of what is left), each with its rows side by side: w[j, l] of the panel from row
// f on, of `width` rows, comes to f k + l width + j - f.
struct PackWeight {
  struct Args {
    int64_t n, k;
  };
  static void host(const Args& a, const HostCall& c) {
    float* const w = out_f32(c, 0);
    parallel(c.pool, a.n, kGrain / a.k + 1, kPanel, [&](int64_t begin, int64_t end) {
      static thread_local Scratch scratch;
      for (int64_t f = begin; f < end; f += kPanel) {
        const int64_t width = least(kPanel, end - f);
        float *const panel = w + f * a.k, *const was = scratch.need(width * a.k);
        std::memcpy(was, panel, static_cast<size_t>(width * a.k) * sizeof(float));
        pack_transposed(panel, width, was, a.k, width, a.k);
      }
    });
  }
};

// c[b, i, j] = sum_k A[b, i, k] B[b, k, j], each as in matmul.f32.v1
//   a (batch, m, k) or (batch, k, m), b (batch, k, n) or (batch, n, k) f32 -> c (batch, m, n)
struct Bmm {
  static constexpr OperatorText kText{12, "bmm.f32.v1", "c[b] = A[b] B[b]; A = a or its transpose, B = b or its transpose, of the last two dimensions",
                                      "as matmul.f32.v1", "numeric class f32"};
  struct Args {
    int64_t batch;
    Product::Args one;
  };
  static std::vector<AttrSpec> attrs() { return Matmul::attrs(); }
  static std::vector<InPlace> in_place() { return {}; }
  static KnownCall known() { return {{f32({3, 7, 300}), f32({3, 9, 300})}, {0, 1}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(2).attributes(2).type(0, DType::f32, 3).type(1, DType::f32, 3);
    expect.that([&] { return Product::is_flag(attrs[0]) && Product::is_flag(attrs[1]); }, "trans_a and trans_b are 0 or 1");
    expect.that([&] { return in[0].shape[0] == in[1].shape[0]; }, "batches differ");
    expect.that([&] { return in[0].shape[attrs[0] ? 1 : 2] == in[1].shape[attrs[1] ? 2 : 1]; }, "inner dimensions differ");
    if (!expect.ok()) return expect.error();
    return Types{f32({in[0].shape[0], in[0].shape[attrs[0] ? 2 : 1], in[1].shape[attrs[1] ? 1 : 2]})};
  }
  static Args args(const CallShape& call) {
    const auto& out = call.out[0].shape;
    return {out[0], {out[1], out[2], call.in[0].shape[call.attrs[0] ? 1 : 2], call.attrs[0] != 0, call.attrs[1] != 0, 0}};
  }
  static uint64_t multiply_adds(const Args& a) { return static_cast<uint64_t>(a.batch) * Product::multiply_adds(a.one); }
  KERNEL_FN static int64_t blocks(const Args& a, size_t out) { return Product::blocks(a.one, out); }

  // Of one matrix of each operand.
  template <class S>
  struct One {
    S& all;
    int64_t first[2];
    KERNEL_FN float f32(size_t operand, int64_t element) { return all.f32(operand, first[operand] + element); }
  };
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext& step, size_t out, int64_t e, int64_t block, Carry carry, S& source) {
    const int64_t size = a.one.m * a.one.n, at = e / size;
    One<S> one{source, {at * a.one.m * a.one.k, at * a.one.k * a.one.n}};
    return Product::fold(a.one, step, out, e % size, block, carry, one);
  }
  static void host(const Args& a, const HostCall& c) {
    const Gemm g{a.one.m, a.one.n, a.one.k, a.one.trans_a != 0, a.one.trans_b != 0};
    const auto each_of = [&](int64_t begin, int64_t end, auto body) {
      for (int64_t i = begin; i < end; i++) body(in_f32(c, 0) + i * g.m * g.k, in_f32(c, 1) + i * g.k * g.n, out_f32(c, 0) + i * g.m * g.n);
    };
    if (c.pool && a.batch < 4 * c.pool->threads()) {
      each_of(0, a.batch, [&](const float* x, const float* y, float* z) { gemm(g, x, y, nullptr, z, c.pool); });
      return;
    }
    parallel(c.pool, a.batch, (int64_t{1} << 20) / (g.m * g.n * g.k) + 1, 1, [&](int64_t begin, int64_t end) {
      each_of(begin, end, [&](const float* x, const float* y, float* z) { gemm(g, x, y, nullptr, z, nullptr); });
    });
  }
};

}  // namespace cairn::kernels::CAIRN_ISA
