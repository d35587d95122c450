// Products of matrices in the integer classes: operands as digits (digits.h), sums of digit products exact.
#pragma once

#include "kernels/int_gemm.h"
#include "kernels/ops/matmul.h"

namespace cairn::kernels::CAIRN_ISA {

// c[i, j] = sum_k A[i, k] B[k, j], for every matrix of a batch
//   a (m, k) or (batch, m, k), transposed in the last two under trans_a; b likewise (k, n), trans_b -> c (m, n) or (batch, m, n)
template <class Op>
struct IntProduct {
  using Args = IntGemm;
  static std::vector<AttrSpec> attrs() { return {{"trans_a"}, {"trans_b"}}; }
  static std::vector<InPlace> in_place() { return {}; }
  static KnownCall known() { return {{f32({2, 7, 300}), f32({2, 300, 9})}, {0, 0}}; }
  static Result<TensorType> infer_product(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(2).attributes(2).dtype_is(0, DType::f32).dtype_is(1, DType::f32);
    expect.that([&] { return in[0].shape.size() == 2 || in[0].shape.size() == 3; }, "takes 2 or 3 dimensions").rank_is(1, in.size() == 2 ? in[0].shape.size() : 0);
    expect.that([&] { return Product::is_flag(attrs[0]) && Product::is_flag(attrs[1]); }, "trans_a and trans_b are 0 or 1");
    expect.that([&] { return in[0].shape.size() == 2 || in[0].shape[0] == in[1].shape[0]; }, "batches differ");
    expect.that([&] { return from_last(in[0], attrs[0] ? 1 : 0) == from_last(in[1], attrs[1] ? 0 : 1); }, "inner dimensions differ");
    if (!expect.ok()) return expect.error();
    TensorType out = in[0];
    out.shape[out.shape.size() - 2] = from_last(in[0], attrs[0] ? 0 : 1);
    out.shape.back() = from_last(in[1], attrs[1] ? 1 : 0);
    return out;
  }
  static int64_t from_last(const TensorType& type, size_t back) { return type.shape[type.shape.size() - 1 - back]; }
  static Args args(const CallShape& call) {
    const TensorType& c = call.out.back();
    return {c.shape.size() == 3 ? c.shape[0] : 1, from_last(c, 1), from_last(c, 0), from_last(call.in[0], call.attrs[0] ? 1 : 0),
            call.attrs[0] != 0, call.attrs[1] != 0};
  }
  static uint64_t multiply_adds(const Args& a) { return static_cast<uint64_t>(a.batch * a.m) * static_cast<uint64_t>(a.n * a.k); }

  template <class S>
  KERNEL_FN static float read_a(const Args& a, int64_t batch, int64_t i, int64_t k, S& source) {
    return source.f32(0, batch * a.m * a.k + (a.trans_a ? k * a.m + i : i * a.k + k));
  }
  template <class S>
  KERNEL_FN static float read_b(const Args& a, int64_t batch, int64_t j, int64_t k, S& source) {
    return source.f32(1, batch * a.n * a.k + (a.trans_b ? j * a.k + k : k * a.n + j));
  }
};

// One scale for every 128 of k. A block's sum is exact; blocks are added in order from +0.
template <class Op, int kDigits>
struct BlockedIntProduct : IntProduct<Op> {
  using Base = IntProduct<Op>;
  using typename Base::Args;
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    TRY_LET(out, Base::infer_product(in, attrs));
    return Types{out};
  }
  KERNEL_FN static int64_t blocks(const Args& a, size_t) { return blocks_of(a.k, kDigitBlock); }

  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t, int64_t e, int64_t block, Carry carry, S& source) {
    const int64_t batch = e / (a.m * a.n), i = e / a.n % a.m, j = e % a.n, begin = block * kDigitBlock, end = least(a.k, begin + kDigitBlock);
    uint32_t most_a = 0, most_b = 0;
    for (int64_t k = begin; k < end; k++) {
      const uint32_t x = as_bits(Base::read_a(a, batch, i, k, source)) & 0x7FFFFFFFu, y = as_bits(Base::read_b(a, batch, j, k, source)) & 0x7FFFFFFFu;
      most_a = x > most_a ? x : most_a;
      most_b = y > most_b ? y : most_b;
    }
    const int32_t ea = exponent_of<kDigits>(most_a), eb = exponent_of<kDigits>(most_b);
    int64_t sum = 0;
    if (ea != kNoExponent && eb != kNoExponent)
      for (int64_t k = begin; k < end; k++)
        sum += product_of<kDigits>(digits_of<kDigits>(Base::read_a(a, batch, i, k, source), unit_of(ea)),
                                   digits_of<kDigits>(Base::read_b(a, batch, j, k, source), unit_of(eb)));
    return result(as_float(static_cast<uint32_t>(carry.lo)) + value_of<kDigits>(sum, ea, eb));
  }
  static void host(const Args& a, const HostCall& c, ProductCheck* check = nullptr) {
    int_gemm<kDigits, false>(a, in_f32(c, 0), in_f32(c, 1), nullptr, nullptr, out_f32(c, 0), c, check);
  }
};

struct MatmulInt2 : BlockedIntProduct<MatmulInt2, 2> {
  static constexpr OperatorText kText{13, "matmul.int2.v1", "c = A B; A and B as 2 digits of 8 bits with a power-of-two scale for each 128 of k",
                                      "a block of 128 k exact, rounded once; blocks added in order from +0", "numeric class int2"};
};
struct MatmulInt3 : BlockedIntProduct<MatmulInt3, 3> {
  static constexpr OperatorText kText{15, "matmul.int3.v1", "c = A B; A and B as 3 digits of 8 bits with a power-of-two scale for each 128 of k",
                                      "a block of 128 k exact, rounded once; blocks added in order from +0", "numeric class int3"};
};

// One scale for a whole row of A and a whole column of B; their exponents are outputs before c. ONE exact sum over k.
struct MatmulInt2Row : IntProduct<MatmulInt2Row> {
  static constexpr OperatorText kText{
      14, "matmul.int2.row.v1",
      "ea[i], eb[j] = exponents of the rows of A and the columns of B; c = A B, A and B as 2 digits of 8 bits in units of 2^ea[i], 2^eb[j]",
      "the sum over k exact, rounded once; k up to 65536", "numeric class int2.row"};
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    TRY_LET(out, infer_product(in, attrs));
    if (from_last(in[0], attrs[0] ? 1 : 0) > kMaxColumns) return Error{Code::shape, "takes k up to 65536", ""};  // sums of 32 bits
    TensorType rows{DType::i32, {out.shape.begin(), out.shape.end() - 1}}, columns = rows;
    columns.shape.back() = out.shape.back();
    return Types{rows, columns, out};
  }
  KERNEL_FN static int64_t blocks(const Args& a, size_t out) { return blocks_of(a.k, out < 2 ? kFoldBlock : kDigitBlock); }

  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t out, int64_t e, int64_t block, Carry carry, S& source) {
    if (out < 2) {
      const int64_t width = out == 0 ? a.m : a.n, end = least(a.k, (block + 1) * kFoldBlock);
      for (int64_t k = block * kFoldBlock; k < end; k++) {
        const uint32_t x = 0x7FFFFFFFu & as_bits(out == 0 ? read_a(a, e / width, e % width, k, source) : read_b(a, e / width, e % width, k, source));
        carry.lo = x > carry.lo ? x : carry.lo;
      }
      if (end == a.k) carry.lo = static_cast<uint32_t>(exponent_of<2>(static_cast<uint32_t>(carry.lo)));
      return carry;
    }
    const int64_t batch = e / (a.m * a.n), i = e / a.n % a.m, j = e % a.n, end = least(a.k, (block + 1) * kDigitBlock);
    const auto ea = static_cast<int32_t>(static_cast<uint32_t>(source.bits(2, batch * a.m + i)));
    const auto eb = static_cast<int32_t>(static_cast<uint32_t>(source.bits(3, batch * a.n + j)));
    if (!is_exponent(ea) || !is_exponent(eb)) return {kNan, 0};
    uint64_t sum = carry.lo;
    for (int64_t k = block * kDigitBlock; k < end; k++)
      sum += static_cast<uint64_t>(product_of<2>(digits_of<2>(read_a(a, batch, i, k, source), unit_of(ea)), digits_of<2>(read_b(a, batch, j, k, source), unit_of(eb))));
    return end == a.k ? result(value_of<2>(static_cast<int64_t>(sum), ea, eb)) : Carry{sum, 0};
  }
  // Exponents of a call that ran; any bits may come as opened slices, and only these have a unit.
  KERNEL_FN static bool is_exponent(int32_t e) { return e >= -126 && e <= 127; }
  static void host(const Args& a, const HostCall& c, ProductCheck* check = nullptr) {
    int_gemm_by_row(a, in_f32(c, 0), in_f32(c, 1), static_cast<int32_t*>(c.out[0]), static_cast<int32_t*>(c.out[1]), out_f32(c, 2), c, check);
  }
};

// The host bodies that check themselves (checked_product.h); no operators of their own.
template <class Op>
struct Checked {
  struct Args {
    typename Op::Args product;
    ProductCheck* check;
  };
  static void host(const Args& a, const HostCall& c) { Op::host(a.product, c, a.check); }
};

}  // namespace cairn::kernels::CAIRN_ISA
