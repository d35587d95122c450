// The mask of dropout; dropping is mul.v1 with it, so every tier shares the mask.
#pragma once

#include "kernels/ops/op.h"

namespace cairn::kernels::CAIRN_ISA {

// y[i] = u_i >= p ? 1 / (1 - p) : +0, u_i = word i mod 4 of Philox at counter (step, site, i / 4), top 24 bits as [0, 1)
//   -> y (dims) f32
struct PhiloxMask {
  static constexpr OperatorText kText{
      70, "philox_mask.v1", "y[i] = u_i >= p ? 1 / (1 - p) : +0; u_i = (word i mod 4 of Philox4x32-10(seed; step, site, i / 4)) >> 8, times 2^-24",
      "one subtraction and one division for the scale", "Srivastava et al. 2014; Salmon et al. 2011"};
  struct Args {
    int64_t n;
    uint32_t site;
    float p;
  };
  static std::vector<AttrSpec> attrs() { return {{"site"}, {"p", AttrKind::f32}, {"dims..."}}; }
  static std::vector<InPlace> in_place() { return {}; }
  static KnownCall known() { return {{}, {3, attr_of(0.25f), 5, 67}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(0).that([&] { return attrs.size() >= 2; }, "takes the attributes site, p and the dimensions");
    expect.that([&] { return attrs[0] >= 0 && attrs[0] < int64_t{1} << 31; }, "site is below 2^31");
    expect.that([&] { return attrs[1] >= 0 && attr_f32(attrs[1]) >= 0.0f && attr_f32(attrs[1]) <= 1.0f; }, "p is a probability");
    expect.that([&] {
      for (const int64_t d : attrs.subspan(2))
        if (d < 1) return false;
      return true;
    }, "dimensions are at least 1");
    if (!expect.ok()) return expect.error();
    return Types{f32({attrs.begin() + 2, attrs.end()})};
  }
  static Args args(const CallShape& call) {
    return {elements(call.out[0]), static_cast<uint32_t>(call.attrs[0]), attr_f32(call.attrs[1])};
  }
  static uint64_t multiply_adds(const Args& a) { return static_cast<uint64_t>(a.n) * 16; }
  KERNEL_FN static int64_t blocks(const Args&, size_t) { return 1; }

  KERNEL_FN static float value(float p, uint32_t word) {
    return philox_to_unit(word) >= p ? 1.0f / (1.0f - p) : 0.0f;
  }
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext& step, size_t, int64_t e, int64_t, Carry, S&) {
    return result(value(a.p, philox_quad(step.seed, step.step, a.site, e / 4).word[e % 4]));
  }
  static void host(const Args& a, const HostCall& c) {
    float* y = out_f32(c, 0);
    const float kept = 1.0f / (1.0f - a.p);
    parallel(c.pool, a.n, kGrain / 4, 64, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i += 4) {
        const PhiloxWords words = philox_quad(c.step.seed, c.step.step, a.site, i / 4);
        for (int64_t l = 0; l < least(4, end - i); l++) y[i + l] = philox_to_unit(words.word[l]) >= a.p ? kept : 0.0f;
      }
    });
  }
};

}  // namespace cairn::kernels::CAIRN_ISA
