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
// warp computes instead, since each reduces a row; `kWholeRows = true` where one output follows them, row by row, whose elements
// read no other row, so that the warp may go on to them; `kColumnOperands`, the number of leading operands, of floats, of which a
// fold down a column reads one element a position, whatever the values are; `kOperands`, operands and outputs together where they
// may pass 16.
// Products have their own kernels (device_gemm.cuh, device_int_gemm.cuh).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kernels/activations.h"
#include "kernels/lanes.h"
#include "kernels/trigonometry.h"
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

// Operands and outputs that a call may have, together: a fold on a GPU finds them in a table of this size.
inline constexpr int kUsualOperands = 16;
template <class Op>
constexpr int most_operands() {
  if constexpr (requires { Op::kOperands; }) return Op::kOperands;
  else return kUsualOperands;
}

LANES_FN const float* in_f32(const HostCall& c, int k) { return static_cast<const float*>(c.in[k]); }
LANES_FN float* out_f32(const HostCall& c, int k) { return static_cast<float*>(c.out[k]); }

// Where an operand of another shape than the output is read: element e of the output reads (e / inner) % count of it.
struct Spread {
  int64_t inner;  // 0: the operand has the output's shape
  int64_t count;

  KERNEL_FN int64_t at(int64_t e) const { return inner == 0 ? e : e / inner % count; }
};
// Of operands of one rank whose dimensions are the output's or 1; those that are the output's lie side by side (a number, a row,
// a column, a channel). Nothing for other shapes, which broadcast.v1 must spread before.
inline std::optional<Spread> spread_of(const TensorType& in, const TensorType& out) {
  if (in == out) return Spread{0, 0};
  if (in.shape.size() != out.shape.size()) return std::nullopt;
  Spread spread{1, 1};
  enum { below, within, above } place = below;
  for (size_t d = out.shape.size(); d-- > 0;) {
    if (out.shape[d] == 1 && in.shape[d] == 1) continue;
    if (in.shape[d] == 1) {
      if (place == below) spread.inner *= out.shape[d];
      else place = above;
    } else {
      if (in.shape[d] != out.shape[d] || place == above) return std::nullopt;
      place = within;
      spread.count *= in.shape[d];
    }
  }
  return spread;
}
// What operands spread to; with nothing said of whether each can.
inline TensorType spread_together(std::span<const TensorType> in) {
  TensorType out = in[0];
  for (const TensorType& type : in)
    for (size_t d = 0; d < out.shape.size() && d < type.shape.size(); d++)
      if (out.shape[d] == 1) out.shape[d] = type.shape[d];
  return out;
}

// Base of operators that compute an output element from one element of each of kIn operands, by `Op::value(s, x, ...)`, where
// s are the attributes, all f32, named by Op::names(). Operands may be spread, see spread_of.
template <class Op, int kIn>
struct Elementwise {
  static constexpr int kMostAttributes = 4;
  static constexpr float kLow = -2.0f, kHigh = 2.0f;  // of the known answer
  struct Args {
    int64_t n;
    float s[kMostAttributes];
    Spread in[kIn];
    bool whole;  // no operand is spread
  };
  static std::vector<AttrSpec> attrs() {
    std::vector<AttrSpec> all;
    for (const char* name : Op::names()) all.push_back({name, AttrKind::f32});
    return all;
  }
  static std::vector<InPlace> in_place() {
    std::vector<InPlace> all;
    for (uint32_t k = 0; k < kIn; k++) all.push_back({0, k});
    return all;
  }
  static KnownCall known() {
    std::vector<int64_t> attributes;
    for (size_t i = 0; i < Op::names().size(); i++) attributes.push_back(attr_of(0.75f * static_cast<float>(i + 1)));
    return {Types(kIn, f32({5, 67})), attributes, Op::kLow, Op::kHigh};
  }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(kIn).attributes(Op::names().size());
    for (size_t k = 0; k < kIn; k++) expect.dtype_is(k, DType::f32);
    if (!expect.ok()) return expect.error();
    const TensorType out = spread_together(in);
    for (size_t k = 0; k < kIn; k++)
      expect.that([&] { return spread_of(in[k], out).has_value(); }, "operands 0 and " + std::to_string(k == 0 ? 1 : k) + " must match, or one be a row, a column or a number of the other's rank");
    if (!expect.ok()) return expect.error();
    return Types{out};
  }
  static Args args(const CallShape& call) {
    Args a{};
    a.n = elements(call.out[0]);
    for (size_t i = 0; i < call.attrs.size(); i++) a.s[i] = attr_f32(call.attrs[i]);
    a.whole = true;
    for (size_t k = 0; k < kIn; k++) {
      a.in[k] = *spread_of(call.in[k], call.out[0]);
      a.whole = a.whole && a.in[k].inner == 0;
    }
    return a;
  }
  static uint64_t multiply_adds(const Args& a) { return static_cast<uint64_t>(a.n) * Op::kOperations; }
  KERNEL_FN static int64_t blocks(const Args&, size_t) { return 1; }

  template <class Read>  // read(k): operand k's element, or lanes of it
  KERNEL_FN static auto value_of(const Args& a, Read read) {
    if constexpr (kIn == 1) return Op::value(a.s, read(0));
    else if constexpr (kIn == 2) return Op::value(a.s, read(0), read(1));
    else return Op::value(a.s, read(0), read(1), read(2));
  }
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t, int64_t e, int64_t, Carry, S& source) {
    return result(value_of(a, [&](int k) { return source.f32(static_cast<size_t>(k), a.in[k].at(e)); }));
  }
  static void host(const Args& args, const HostCall& c) {
    const float* x[kIn];
    for (int k = 0; k < kIn; k++) x[k] = in_f32(c, k);
    float* out = out_f32(c, 0);
    const int64_t grain = kGrain / static_cast<int64_t>(Op::kOperations > 8 ? 4 : 1);
    if (args.whole) {
      parallel(c.pool, args.n, grain, 16, [=](int64_t begin, int64_t end) {
        each(begin, end, [=](int64_t i, int m) __attribute__((always_inline)) {
          for (int k = 0; k < kIn; k++) fetch_ahead(x[k] + i);
          fetch_ahead(out + i);
          write(out + i, m, value_of(args, [=](int k) __attribute__((always_inline)) { return read(x[k] + i, m); }));
        });
      });
      return;
    }
    // Runs in which every operand stands still or goes along.
    parallel(c.pool, args.n, grain, 16, [=](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end;) {
        int64_t run = end - i;
        const float* from[kIn];
        bool still[kIn];
        for (int k = 0; k < kIn; k++) {
          const Spread& spread = args.in[k];
          from[k] = x[k] + spread.at(i);
          still[k] = spread.inner > 1 || spread.count == 1;
          if (spread.inner == 0) still[k] = false;
          else if (spread.inner > 1) run = least(run, spread.inner - i % spread.inner);
          else if (spread.count > 1) run = least(run, spread.count - i % spread.count);
        }
        each(0, run, [=](int64_t j, int m) __attribute__((always_inline)) {
          write(out + i + j, m, value_of(args, [=](int k) __attribute__((always_inline)) { return still[k] ? Vector(*from[k]) : read(from[k] + j, m); }));
        });
        i += run;
      }
    });
  }
};

}  // namespace CAIRN_ISA
}  // namespace cairn::kernels
