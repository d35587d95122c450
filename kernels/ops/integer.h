// Integers as operators in their own right, and truth values: u8, 0 or 1. Arithmetic is modulo 2^64, 2^32 or 2^8 (two's
// complement; u8 without sign), so every result is defined and no order of a sum or product matters.
#pragma once

#include <type_traits>

#include "kernels/ops/move.h"

namespace cairn::kernels::CAIRN_ISA {

constexpr bool is_integer(DType t) { return t == DType::i64 || t == DType::i32 || t == DType::u8; }

// body(zero) with a zero of the type that stores `dtype`.
template <class Body>
KERNEL_FN auto by_integer(DType dtype, Body body) {
  if (dtype == DType::i64) return body(int64_t{});
  if (dtype == DType::i32) return body(int32_t{});
  return body(uint8_t{});
}
template <class Body>
KERNEL_FN auto by_number(DType dtype, Body body) {
  if (dtype == DType::f32) return body(float{});
  return by_integer(dtype, body);
}

// An element from its bits and back, and from an attribute: f32 bits, or the number itself.
template <class T>
KERNEL_FN T element_of(uint64_t bits) {
  if constexpr (std::is_same_v<T, float>) return as_float(static_cast<uint32_t>(bits));
  else return static_cast<T>(bits);
}
template <class T>
KERNEL_FN uint64_t bits_of(T x) {
  return static_cast<std::make_unsigned_t<T>>(x);
}
inline bool is_number(DType dtype, int64_t attr) {
  if (dtype == DType::f32) return attr >> 32 == 0;
  return by_integer(dtype, [&](auto zero) { return static_cast<int64_t>(static_cast<decltype(zero)>(attr)) == attr; });
}

// What a signed type computes with, so that it wraps.
template <class T>
using Wrapping = std::make_unsigned_t<std::conditional_t<(sizeof(T) < 4), uint32_t, T>>;

// Base of operators on elements of one dtype: y = Op::value(a, b), where b is the second operand, or the attribute where
// there is one operand. Comparisons take f32 too and give u8.
template <class Op, bool kCompares>
struct Pairwise {
  struct Args {
    int64_t n;
    DType dtype;
    bool has_number;
    int64_t number;
  };
  static std::vector<AttrSpec> attrs() { return {{"number..."}}; }
  static std::vector<InPlace> in_place() { return kCompares ? std::vector<InPlace>{} : std::vector<InPlace>{{0, 0}, {0, 1}}; }
  static KnownCall known() { return {Types(2, i64({5, 67})), {}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.that([&] { return in.size() == 1 || in.size() == 2; }, "takes 2 operands, or one and a number");
    expect.attributes(2 - in.size());
    expect.that([&] { return is_integer(in[0].dtype) || (kCompares && in[0].dtype == DType::f32); },
                kCompares ? "operand 0 must be f32, i64, i32 or u8" : "operand 0 must be i64, i32 or u8");
    if (in.size() == 2) expect.same(0, 1);
    else expect.that([&] { return is_number(in[0].dtype, attrs[0]); }, "the number does not fit operand 0");
    if (!expect.ok()) return expect.error();
    return Types{{kCompares ? DType::u8 : in[0].dtype, in[0].shape}};
  }
  static Args args(const CallShape& call) {
    return {elements(call.in[0]), call.in[0].dtype, !call.attrs.empty(), call.attrs.empty() ? 0 : call.attrs[0]};
  }
  static uint64_t multiply_adds(const Args& a) { return static_cast<uint64_t>(a.n) * Op::kOperations; }
  KERNEL_FN static int64_t blocks(const Args&, size_t) { return 1; }

  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t, int64_t e, int64_t, Carry, S& source) {
    return by_number(a.dtype, [&](auto zero) -> Carry {
      using T = decltype(zero);
      if constexpr (kCompares || !std::is_same_v<T, float>) {
        const T y = element_of<T>(a.has_number ? static_cast<uint64_t>(a.number) : source.bits(1, e));
        return {bits_of(Op::value(element_of<T>(source.bits(0, e)), y)), 0};
      } else {
        return {};
      }
    });
  }
  static void host(const Args& a, const HostCall& c) {
    by_number(a.dtype, [&](auto zero) {
      using T = decltype(zero);
      using R = std::conditional_t<kCompares, uint8_t, T>;
      if constexpr (kCompares || !std::is_same_v<T, float>) {
        const T *x = static_cast<const T*>(c.in[0]), *y = a.has_number ? nullptr : static_cast<const T*>(c.in[1]);
        const T number = element_of<T>(static_cast<uint64_t>(a.number));
        R* out = static_cast<R*>(c.out[0]);
        parallel(c.pool, a.n, kGrain, 64, [=](int64_t begin, int64_t end) {
          if (y == nullptr)
            for (int64_t i = begin; i < end; i++) out[i] = static_cast<R>(Op::value(x[i], number));
          else
            for (int64_t i = begin; i < end; i++) out[i] = static_cast<R>(Op::value(x[i], y[i]));
        });
      }
    });
  }
};

#define PAIRWISE(Struct, compares, operations, id, name, formula, order, source) \
  struct Struct : Pairwise<Struct, compares> {                                   \
    static constexpr OperatorText kText{id, name, formula, order, source};       \
    static constexpr uint64_t kOperations = operations;                          \
    template <class T>                                                           \
    KERNEL_FN static auto value(T a, T b) {
#define END_PAIRWISE \
  }                  \
  }                  \
  ;

PAIRWISE(IntegerAdd, false, 1, 120, "integer_add.v1", "y = a + b; b an operand or a number", "modulo 2^bits", "two's complement")
  return static_cast<T>(static_cast<Wrapping<T>>(a) + static_cast<Wrapping<T>>(b));
END_PAIRWISE
PAIRWISE(IntegerSub, false, 1, 121, "integer_sub.v1", "y = a - b; b an operand or a number", "modulo 2^bits", "two's complement")
  return static_cast<T>(static_cast<Wrapping<T>>(a) - static_cast<Wrapping<T>>(b));
END_PAIRWISE
PAIRWISE(IntegerMul, false, 1, 122, "integer_mul.v1", "y = a * b; b an operand or a number", "modulo 2^bits", "two's complement")
  return static_cast<T>(static_cast<Wrapping<T>>(a) * static_cast<Wrapping<T>>(b));
END_PAIRWISE

// a / b toward zero; 0 for b = 0, and the least number for its quotient by -1.
template <class T>
KERNEL_FN T quotient(T a, T b) {
  if (b == 0) return 0;
  if (b == static_cast<T>(-1) && std::is_signed_v<T>) return static_cast<T>(Wrapping<T>{0} - static_cast<Wrapping<T>>(a));
  return static_cast<T>(a / b);
}
// a - b * q
template <class T>
KERNEL_FN T rest(T a, T b, T q) {
  return static_cast<T>(static_cast<Wrapping<T>>(a) - static_cast<Wrapping<T>>(b) * static_cast<Wrapping<T>>(q));
}
template <class T>
KERNEL_FN T floor_quotient(T a, T b) {
  const T q = quotient(a, b), r = rest(a, b, q);
  return b != 0 && r != 0 && (r < 0) != (b < 0) ? static_cast<T>(q - 1) : q;
}
PAIRWISE(TruncDiv, false, 8, 123, "trunc_div.v1", "y = a / b toward zero, 0 for b = 0; b an operand or a number", "modulo 2^bits",
         "C's division")
  return quotient(a, b);
END_PAIRWISE
PAIRWISE(FloorDiv, false, 8, 124, "floor_div.v1", "y = a / b rounded down, 0 for b = 0; b an operand or a number", "modulo 2^bits",
         "Knuth 1972, floored division")
  return floor_quotient(a, b);
END_PAIRWISE
PAIRWISE(TruncRemainder, false, 8, 125, "trunc_remainder.v1", "y = a - b * trunc_div(a, b), so a for b = 0; b an operand or a number",
         "modulo 2^bits", "C's remainder")
  return rest(a, b, quotient(a, b));
END_PAIRWISE
PAIRWISE(FloorRemainder, false, 8, 126, "floor_remainder.v1", "y = a - b * floor_div(a, b), so a for b = 0; b an operand or a number",
         "modulo 2^bits", "Knuth 1972, floored division")
  return rest(a, b, floor_quotient(a, b));
END_PAIRWISE
PAIRWISE(IntegerMin, false, 1, 127, "integer_min.v1", "y = the lesser of a and b; b an operand or a number", "exact", "order of integers")
  return a < b ? a : b;
END_PAIRWISE
PAIRWISE(IntegerMax, false, 1, 128, "integer_max.v1", "y = the greater of a and b; b an operand or a number", "exact", "order of integers")
  return a > b ? a : b;
END_PAIRWISE
PAIRWISE(BitAnd, false, 1, 129, "bit_and.v1", "y = a & b; b an operand or a number", "exact", "Boole 1854")
  return static_cast<T>(a & b);
END_PAIRWISE
PAIRWISE(BitOr, false, 1, 130, "bit_or.v1", "y = a | b; b an operand or a number", "exact", "Boole 1854")
  return static_cast<T>(a | b);
END_PAIRWISE
PAIRWISE(BitXor, false, 1, 131, "bit_xor.v1", "y = a ^ b; b an operand or a number", "exact", "Boole 1854")
  return static_cast<T>(a ^ b);
END_PAIRWISE
PAIRWISE(ShiftLeft, false, 1, 132, "shift_left.v1", "y = a * 2^b for b = 0 .. bits - 1, else 0; b an operand or a number", "modulo 2^bits",
         "two's complement")
  constexpr T kBits = static_cast<T>(8 * sizeof(T));
  return b < 0 || b >= kBits ? T{0} : static_cast<T>(static_cast<Wrapping<T>>(a) << (b & (kBits - 1)));
END_PAIRWISE
PAIRWISE(ShiftRight, false, 1, 133, "shift_right.v1", "y = a / 2^b rounded down; the sign alone where b is not 0 .. bits - 1; b an operand or a number",
         "exact", "two's complement")
  constexpr T kBits = static_cast<T>(8 * sizeof(T));
  if (std::is_unsigned_v<T> && (b < 0 || b >= kBits)) return T{0};
  return static_cast<T>(a >> (b < 0 || b >= kBits ? kBits - 1 : b));
END_PAIRWISE

PAIRWISE(Equal, true, 1, 134, "eq.v1", "y = a == b; b an operand or a number", "exact; a NaN equals nothing", "IEEE 754-2019, 5.11")
  return static_cast<uint8_t>(a == b);
END_PAIRWISE
PAIRWISE(NotEqual, true, 1, 135, "ne.v1", "y = a != b; b an operand or a number", "exact; a NaN differs from everything", "IEEE 754-2019, 5.11")
  return static_cast<uint8_t>(a != b);
END_PAIRWISE
PAIRWISE(Less, true, 1, 136, "lt.v1", "y = a < b; b an operand or a number", "exact; false for a NaN", "IEEE 754-2019, 5.11")
  return static_cast<uint8_t>(a < b);
END_PAIRWISE
PAIRWISE(LessEqual, true, 1, 137, "le.v1", "y = a <= b; b an operand or a number", "exact; false for a NaN", "IEEE 754-2019, 5.11")
  return static_cast<uint8_t>(a <= b);
END_PAIRWISE
PAIRWISE(Greater, true, 1, 138, "gt.v1", "y = a > b; b an operand or a number", "exact; false for a NaN", "IEEE 754-2019, 5.11")
  return static_cast<uint8_t>(a > b);
END_PAIRWISE
PAIRWISE(GreaterEqual, true, 1, 139, "ge.v1", "y = a >= b; b an operand or a number", "exact; false for a NaN", "IEEE 754-2019, 5.11")
  return static_cast<uint8_t>(a >= b);
END_PAIRWISE

#undef PAIRWISE
#undef END_PAIRWISE

// y = mask != 0 ? a : b
//   mask u8, a and b of one dtype, all of one shape
struct Where {
  static constexpr OperatorText kText{140, "where.v1", "y = mask != 0 ? a : b", "moves bits", "selection"};
  struct Args {
    int64_t n, size;
  };
  static std::vector<AttrSpec> attrs() { return {}; }
  static std::vector<InPlace> in_place() { return {{0, 1}, {0, 2}}; }
  static KnownCall known() { return {{{DType::u8, {5, 67}}, f32({5, 67}), f32({5, 67})}, {}, -2, 2, 2}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(3).attributes(0).dtype_is(0, DType::u8).same(1, 2);
    expect.that([&] { return in[0].shape == in[1].shape; }, "mask and operands must have one shape");
    if (!expect.ok()) return expect.error();
    return Types{in[1]};
  }
  static Args args(const CallShape& call) { return {elements(call.in[0]), size_of(call.in[1].dtype)}; }
  static uint64_t multiply_adds(const Args&) { return 0; }
  KERNEL_FN static int64_t blocks(const Args&, size_t) { return 1; }
  template <class S>
  KERNEL_FN static Carry fold(const Args&, const StepContext&, size_t, int64_t e, int64_t, Carry, S& source) {
    return {source.bits(source.bits(0, e) != 0 ? 1 : 2, e), 0};
  }
  static void host(const Args& a, const HostCall& c) {
    by_size(a.size, [&](auto element) {
      using T = decltype(element);
      const auto* mask = static_cast<const uint8_t*>(c.in[0]);
      const T *yes = static_cast<const T*>(c.in[1]), *no = static_cast<const T*>(c.in[2]);
      T* out = static_cast<T*>(c.out[0]);
      parallel(c.pool, a.n, kGrain, 64, [=](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; i++) {
          const T y = yes[i], n = no[i];
          out[i] = mask[i] != 0 ? y : n;
        }
      });
    });
  }
};

// y = mask != 0 ? value : x
//   x any dtype, mask u8, of one shape
struct MaskedFill {
  static constexpr OperatorText kText{141, "masked_fill.v1", "y = mask != 0 ? value : x, the bits of one element; operands x, mask", "moves bits",
                                      "selection"};
  struct Args {
    int64_t n, size;
    uint64_t bits;
  };
  static std::vector<AttrSpec> attrs() { return {{"bits"}}; }
  static std::vector<InPlace> in_place() { return {{0, 0}}; }
  static KnownCall known() { return {{f32({5, 67}), {DType::u8, {5, 67}}}, {attr_of(-1.5f)}, -2, 2, 2}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(2).attributes(1).dtype_is(1, DType::u8);
    expect.that([&] { return in[0].shape == in[1].shape; }, "mask and operand must have one shape");
    expect.that([&] { return size_of(in[0].dtype) == 8 || static_cast<uint64_t>(attrs[0]) >> (8 * size_of(in[0].dtype)) == 0; },
                "the bits are wider than the operand's dtype");
    if (!expect.ok()) return expect.error();
    return Types{in[0]};
  }
  static Args args(const CallShape& call) { return {elements(call.in[0]), size_of(call.in[0].dtype), static_cast<uint64_t>(call.attrs[0])}; }
  static uint64_t multiply_adds(const Args&) { return 0; }
  KERNEL_FN static int64_t blocks(const Args&, size_t) { return 1; }
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t, int64_t e, int64_t, Carry, S& source) {
    return {source.bits(1, e) != 0 ? a.bits : source.bits(0, e), 0};
  }
  static void host(const Args& a, const HostCall& c) {
    by_size(a.size, [&](auto element) {
      using T = decltype(element);
      const auto* mask = static_cast<const uint8_t*>(c.in[1]);
      const T* x = static_cast<const T*>(c.in[0]);
      const T value = static_cast<T>(a.bits);
      T* out = static_cast<T*>(c.out[0]);
      parallel(c.pool, a.n, kGrain, 64, [=](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; i++) {
          const T old = x[i];
          out[i] = mask[i] != 0 ? value : old;
        }
      });
    });
  }
};

// y[o, i] = the sum, greatest, least, or first place of the greatest or least, of x[o, 0, i] .. x[o, n - 1, i]
//   x (outer, n, inner) of an integer dtype -> y (outer, inner): sums and places i64, modulo 2^64; else as x
//   a dispute takes 256 of n at a time: carry {sum}, {best} or {place, best}
template <class Op, class Result_>
struct IntegerReduction {
  struct Args {
    int64_t outer, n, inner;
    DType dtype;
  };
  static std::vector<AttrSpec> attrs() { return {}; }
  static std::vector<InPlace> in_place() { return {}; }
  static KnownCall known() { return {{i64({3, 300, 5})}, {}, -2, 2, 1000}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(1).attributes(0).rank_is(0, 3).that([&] { return is_integer(in[0].dtype); }, "operand 0 must be i64, i32 or u8");
    if (!expect.ok()) return expect.error();
    return Types{{std::is_void_v<Result_> ? in[0].dtype : DType::i64, {in[0].shape[0], in[0].shape[2]}}};
  }
  static Args args(const CallShape& call) {
    const auto& shape = call.in[0].shape;
    return {shape[0], shape[1], shape[2], call.in[0].dtype};
  }
  static uint64_t multiply_adds(const Args& a) { return static_cast<uint64_t>(a.outer) * static_cast<uint64_t>(a.n) * static_cast<uint64_t>(a.inner); }
  KERNEL_FN static int64_t blocks(const Args& a, size_t) { return blocks_of(a.n, kFoldBlock); }

  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t, int64_t e, int64_t block, Carry carry, S& source) {
    return by_integer(a.dtype, [&](auto zero) -> Carry {
      using T = decltype(zero);
      const int64_t first = e / a.inner * a.n * a.inner + e % a.inner, end = least(a.n, (block + 1) * kFoldBlock);
      for (int64_t k = block * kFoldBlock; k < end; k++) carry = Op::step(carry, element_of<T>(source.bits(0, first + k * a.inner)), k);
      return carry;
    });
  }
  static void host(const Args& a, const HostCall& c) {
    by_integer(a.dtype, [&](auto zero) {
      using T = decltype(zero);
      using R = std::conditional_t<std::is_void_v<Result_>, T, int64_t>;
      const T* x = static_cast<const T*>(c.in[0]);
      R* y = static_cast<R*>(c.out[0]);
      // A row of results at a time, so that memory is read in order.
      constexpr int64_t kStrip = 64;
      const int64_t strips = blocks_of(a.inner, kStrip);
      parallel(c.pool, a.outer * strips, kGrain / (a.n * least(kStrip, a.inner)) + 1, 1, [=](int64_t begin, int64_t end) {
        for (int64_t s = begin; s < end; s++) {
          const int64_t o = s / strips, i0 = s % strips * kStrip, width = least(kStrip, a.inner - i0);
          const T* from = x + o * a.n * a.inner + i0;
          if (width == 1) {
            Carry carry;
            for (int64_t k = 0; k < a.n; k++) carry = Op::step(carry, from[k * a.inner], k);
            y[o * a.inner + i0] = static_cast<R>(carry.lo);
          } else {
            Carry carry[kStrip];
            for (int64_t k = 0; k < a.n; k++)
              for (int64_t i = 0; i < width; i++) carry[i] = Op::step(carry[i], from[k * a.inner + i], k);
            for (int64_t i = 0; i < width; i++) y[o * a.inner + i0 + i] = static_cast<R>(carry[i].lo);
          }
        }
      });
    });
  }
};

struct IntegerSum : IntegerReduction<IntegerSum, int64_t> {
  static constexpr OperatorText kText{142, "integer_sum.v1", "y[o, i] = sum over k of x[o, k, i]", "modulo 2^64; blocks of 256 k", "two's complement"};
  template <class T>
  KERNEL_FN static Carry step(Carry carry, T x, int64_t) {
    return {carry.lo + static_cast<uint64_t>(static_cast<int64_t>(x)), 0};
  }
};
struct IntegerLeast : IntegerReduction<IntegerLeast, void> {
  static constexpr OperatorText kText{143, "integer_least.v1", "y[o, i] = the least of x[o, k, i] over k", "exact; blocks of 256 k", "order of integers"};
  template <class T>
  KERNEL_FN static Carry step(Carry carry, T x, int64_t k) {
    return k == 0 || x < element_of<T>(carry.lo) ? Carry{bits_of(x), 0} : carry;
  }
};
struct IntegerGreatest : IntegerReduction<IntegerGreatest, void> {
  static constexpr OperatorText kText{144, "integer_greatest.v1", "y[o, i] = the greatest of x[o, k, i] over k", "exact; blocks of 256 k",
                                      "order of integers"};
  template <class T>
  KERNEL_FN static Carry step(Carry carry, T x, int64_t k) {
    return k == 0 || x > element_of<T>(carry.lo) ? Carry{bits_of(x), 0} : carry;
  }
};
struct IntegerArgmin : IntegerReduction<IntegerArgmin, int64_t> {
  static constexpr OperatorText kText{145, "integer_argmin.v1", "y[o, i] = the first k of the least x[o, k, i]", "exact; blocks of 256 k", "order of integers"};
  template <class T>
  KERNEL_FN static Carry step(Carry carry, T x, int64_t k) {
    return k == 0 || x < element_of<T>(carry.hi) ? Carry{static_cast<uint64_t>(k), bits_of(x)} : carry;
  }
};
struct IntegerArgmax : IntegerReduction<IntegerArgmax, int64_t> {
  static constexpr OperatorText kText{146, "integer_argmax.v1", "y[o, i] = the first k of the greatest x[o, k, i]", "exact; blocks of 256 k",
                                      "order of integers"};
  template <class T>
  KERNEL_FN static Carry step(Carry carry, T x, int64_t k) {
    return k == 0 || x > element_of<T>(carry.hi) ? Carry{static_cast<uint64_t>(k), bits_of(x)} : carry;
  }
};

// c[b, i, j] = sum over k of a[b, i, k] * b[b, k, j]
//   a (batch, m, k) i64, b (batch, k, n) i64 -> c (batch, m, n) i64; a dispute takes 256 of k at a time
struct IntegerMatmul {
  static constexpr OperatorText kText{147, "matmul.i64.v1", "c[b] = a[b] b[b]", "modulo 2^64; blocks of 256 k", "two's complement"};
  struct Args {
    int64_t batch, m, n, k;
  };
  static std::vector<AttrSpec> attrs() { return {}; }
  static std::vector<InPlace> in_place() { return {}; }
  static KnownCall known() { return {{i64({2, 7, 300}), i64({2, 300, 9})}, {}, -2, 2, 1000}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(2).attributes(0).type(0, DType::i64, 3).type(1, DType::i64, 3);
    expect.that([&] { return in[0].shape[0] == in[1].shape[0] && in[0].shape[2] == in[1].shape[1]; }, "batches or inner dimensions differ");
    if (!expect.ok()) return expect.error();
    return Types{i64({in[0].shape[0], in[0].shape[1], in[1].shape[2]})};
  }
  static Args args(const CallShape& call) { return {call.in[0].shape[0], call.in[0].shape[1], call.in[1].shape[2], call.in[0].shape[2]}; }
  static uint64_t multiply_adds(const Args& a) {
    return static_cast<uint64_t>(a.batch) * static_cast<uint64_t>(a.m) * static_cast<uint64_t>(a.n) * static_cast<uint64_t>(a.k);
  }
  KERNEL_FN static int64_t blocks(const Args& a, size_t) { return blocks_of(a.k, kFoldBlock); }
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t, int64_t e, int64_t block, Carry carry, S& source) {
    const int64_t row = e / a.n, j = e % a.n, b = row / a.m, end = least(a.k, (block + 1) * kFoldBlock);
    for (int64_t k = block * kFoldBlock; k < end; k++) carry.lo += source.bits(0, row * a.k + k) * source.bits(1, (b * a.k + k) * a.n + j);
    return carry;
  }
  static void host(const Args& a, const HostCall& c) {
    const auto *x = static_cast<const uint64_t*>(c.in[0]), *y = static_cast<const uint64_t*>(c.in[1]);
    auto* out = static_cast<uint64_t*>(c.out[0]);
    constexpr int64_t kStrip = 64;  // of a row of results, in registers and the first cache
    const int64_t strips = blocks_of(a.n, kStrip);
    parallel(c.pool, a.batch * a.m * strips, kGrain / (a.k * least(kStrip, a.n)) + 1, 1, [=](int64_t begin, int64_t end) {
      for (int64_t s = begin; s < end; s++) {
        const int64_t row = s / strips, j0 = s % strips * kStrip, width = least(kStrip, a.n - j0);
        const uint64_t* from = y + row / a.m * a.k * a.n + j0;
        uint64_t sum[kStrip] = {};
        for (int64_t k = 0; k < a.k; k++) {
          const uint64_t by = x[row * a.k + k];
          for (int64_t j = 0; j < width; j++) sum[j] += by * from[k * a.n + j];
        }
        for (int64_t j = 0; j < width; j++) out[row * a.n + j0 + j] = sum[j];
      }
    });
  }
};

}  // namespace cairn::kernels::CAIRN_ISA
