// What every operator file is written with. An operator is a struct of static members:
//
//   kText            id, name, formula, order, source
//   attrs()          names and kinds of its attributes; a name that ends in "..." may repeat
//   in_place()       outputs that may be written over an input
//   known()          the call of its known answer (golden.inc)
//   infer(in, attrs) output types, or what does not fit
//   Args, args(call) the call's dimensions and attributes as plain numbers, the same on host and device
//   multiply_adds(a) for the cost; moved_bytes(call) too where it is not all operands
//   blocks(a, out)   blocks of an element's fold
//   fold(...)        THE definition, over any source
//   host(...)        the fast body, over Vector
//
// and for a GPU, where the fold runs with one thread an element: `kRowOutputs`, the number of leading outputs that a whole
// warp computes instead, since each reduces a row; `kOperands`, operands and outputs together where they may pass 10.
// Products have their own kernel (device.cu).
#pragma once

#include <string>
#include <vector>

#include "kernels/lanes.h"
#include "kernels/math.h"
#include "kernels/philox.h"

namespace cairn::kernels {

// A call for a known answer: operands are drawn by Philox, floats from [low, high), integers from 0 .. labels - 1.
struct KnownCall {
  std::vector<TensorType> in;
  std::vector<int64_t> attrs;
  float low = -2.0f;
  float high = 2.0f;
  int64_t labels = 7;
};

struct OperatorText {
  uint16_t id;
  const char* name;
  const char* formula;
  const char* order;
  const char* source;
};

// What a host body gets.
struct HostCall {
  StepContext step;
  const void* const* in;
  void* const* out;
  Pool* pool;
  Isa isa;
};

// Checks operands one after the other and keeps the first thing that is wrong.
class Expect {
 public:
  Expect(std::span<const TensorType> in, std::span<const int64_t> attrs) : in_(in), attrs_(attrs) {}

  Expect& operands(size_t n) { return that([&] { return in_.size() == n; }, "takes " + std::to_string(n) + " operands"); }
  Expect& attributes(size_t n) {
    return that([&] { return attrs_.size() == n; }, "takes " + std::to_string(n) + " attributes");
  }
  Expect& type(size_t k, DType dtype, size_t rank) { return dtype_is(k, dtype).rank_is(k, rank); }
  Expect& dtype_is(size_t k, DType dtype) {
    return that([&] { return in_[k].dtype == dtype; }, operand(k) + " must be " + std::string(name(dtype)));
  }
  Expect& rank_is(size_t k, size_t rank) {
    return that([&] { return in_[k].shape.size() == rank; }, operand(k) + " must have " + std::to_string(rank) + " dimensions");
  }
  Expect& same(size_t k, size_t l) {
    return that([&] { return in_[k] == in_[l]; }, "operands " + std::to_string(k) + " and " + std::to_string(l) + " must match");
  }
  template <class Condition>
  Expect& that(Condition condition, const std::string& text) {
    if (ok() && !condition()) wrong_ = text;
    return *this;
  }
  bool ok() const { return wrong_.empty(); }
  Error error() const { return {Code::shape, wrong_, ""}; }  // the operator's name is put before it by operators.cc

 private:
  static std::string operand(size_t k) { return "operand " + std::to_string(k); }
  std::span<const TensorType> in_;
  std::span<const int64_t> attrs_;
  std::string wrong_;
};

using Types = std::vector<TensorType>;
inline TensorType f32(std::vector<int64_t> shape) { return {DType::f32, std::move(shape)}; }
inline TensorType i64(std::vector<int64_t> shape) { return {DType::i64, std::move(shape)}; }

namespace CAIRN_ISA {

LANES_FN const float* in_f32(const HostCall& c, int k) { return static_cast<const float*>(c.in[k]); }
LANES_FN float* out_f32(const HostCall& c, int k) { return static_cast<float*>(c.out[k]); }

// Base of operators that compute output element i from element i of kIn operands of one shape, by
// `Op::value(scalar, x, ...)`, where scalar is attribute 0 as f32 (0 where there is none).
template <class Op, int kIn, int kAttrs = 0>
struct Elementwise {
  struct Args {
    int64_t n;
    float scalar;
  };
  static std::vector<AttrSpec> attrs() {
    return kAttrs ? std::vector<AttrSpec>{{"scalar", AttrKind::f32}} : std::vector<AttrSpec>{};
  }
  static std::vector<InPlace> in_place() {
    std::vector<InPlace> all;
    for (uint32_t k = 0; k < kIn; k++) all.push_back({0, k});
    return all;
  }
  static KnownCall known() {
    return {Types(kIn, f32({5, 67})), kAttrs ? std::vector<int64_t>{attr_of(0.75f)} : std::vector<int64_t>{}};
  }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(kIn).attributes(kAttrs).dtype_is(0, DType::f32);
    for (size_t k = 1; k < kIn; k++) expect.same(0, k);
    if (!expect.ok()) return expect.error();
    return Types{in[0]};
  }
  static Args args(const CallShape& call) {
    return {elements(call.out[0]), kAttrs ? attr_f32(call.attrs[0]) : 0.0f};
  }
  static uint64_t multiply_adds(const Args& a) { return static_cast<uint64_t>(a.n) * Op::kOperations; }
  KERNEL_FN static int64_t blocks(const Args&, size_t) { return 1; }

  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t, int64_t e, int64_t, Carry, S& source) {
    if constexpr (kIn == 1) return result(Op::value(a.scalar, source.f32(0, e)));
    else return result(Op::value(a.scalar, source.f32(0, e), source.f32(1, e)));
  }
  static void host(const Args& a, const HostCall& c) {
    const float *x = in_f32(c, 0), *y = kIn > 1 ? in_f32(c, 1) : nullptr;
    float* out = out_f32(c, 0);
    parallel(c.pool, a.n, kGrain, 16, [=](int64_t begin, int64_t end) {
      each(begin, end, [=](int64_t i, int m) __attribute__((always_inline)) {
        if constexpr (kIn == 1) write(out + i, m, Op::value(a.scalar, read(x + i, m)));
        else write(out + i, m, Op::value(a.scalar, read(x + i, m), read(y + i, m)));
      });
    });
  }
};

}  // namespace CAIRN_ISA
}  // namespace cairn::kernels
