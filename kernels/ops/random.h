// Random numbers by Philox: element i is made of word i mod 4 at counter (step, site, i / 4), the same on every tier. `site` is the
// ordinal of the random operator in its program.
#pragma once

#include "kernels/ops/op.h"

namespace cairn::kernels::CAIRN_ISA {

// Base of operators without operands, with the attributes site, those of Op::names() as f32, and the dimensions; an element is
// Op::value(s, words, e mod 4). Op::wrong(s) says what does not do, or nothing.
template <class Op>
struct PhiloxFill {
  struct Args {
    int64_t n;
    uint32_t site;
    float s[2];
  };
  static std::vector<AttrSpec> attrs() {
    std::vector<AttrSpec> all{{"site"}};
    for (const char* name : Op::names()) all.push_back({name, AttrKind::f32});
    all.push_back({"dims..."});
    return all;
  }
  static std::vector<InPlace> in_place() { return {}; }
  static KnownCall known() {
    std::vector<int64_t> attributes{3};
    for (size_t i = 0; i < Op::names().size(); i++) attributes.push_back(attr_of(0.25f * static_cast<float>(i + 1)));
    attributes.insert(attributes.end(), {5, 67});
    return {{}, attributes};
  }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    const size_t numbers = Op::names().size();
    Expect expect(in, attrs);
    expect.operands(0).that([&] { return attrs.size() > numbers; }, Op::kTakes);
    expect.that([&] { return attrs[0] >= 0 && attrs[0] < int64_t{1} << 31; }, "site is below 2^31");
    if (expect.ok()) expect.that([&] { return Op::sound(attr_f32(attrs[1]), attr_f32(attrs[numbers])); }, Op::kUnsound);
    expect.that([&] {
      for (const int64_t d : attrs.subspan(numbers + 1))
        if (d < 1) return false;
      return true;
    }, "dimensions are at least 1");
    if (!expect.ok()) return expect.error();
    return Types{f32({attrs.begin() + static_cast<std::ptrdiff_t>(numbers) + 1, attrs.end()})};
  }
  static Args args(const CallShape& call) {
    return {elements(call.out[0]), static_cast<uint32_t>(call.attrs[0]), {attr_f32(call.attrs[1]), attr_f32(call.attrs[Op::names().size()])}};
  }
  static uint64_t multiply_adds(const Args& a) { return static_cast<uint64_t>(a.n) * Op::kOperations; }
  KERNEL_FN static int64_t blocks(const Args&, size_t) { return 1; }

  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext& step, size_t, int64_t e, int64_t, Carry, S&) {
    return result(Op::value(a.s, philox_quad(step.seed, step.step, a.site, e / 4), static_cast<int>(e % 4)));
  }
  static void host(const Args& a, const HostCall& c) {
    float* y = out_f32(c, 0);
    parallel(c.pool, a.n, kGrain / 4, 64, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i += 4) {
        const PhiloxWords words = philox_quad(c.step.seed, c.step.step, a.site, i / 4);
        for (int64_t l = 0; l < least(4, end - i); l++) y[i + l] = canonical(Op::value(a.s, words, static_cast<int>(l)));
      }
    });
  }
};

// The mask of dropout; dropping is mul.v1 with it, so every tier shares the mask.
struct PhiloxMask : PhiloxFill<PhiloxMask> {
  static constexpr OperatorText kText{
      70, "philox_mask.v1", "y[i] = u_i >= p ? 1 / (1 - p) : +0; u_i = (word i mod 4 of Philox4x32-10(seed; step, site, i / 4)) >> 8, times 2^-24",
      "one subtraction and one division for the scale", "Srivastava et al. 2014; Salmon et al. 2011"};
  static constexpr uint64_t kOperations = 16;
  static constexpr const char *kTakes = "takes the attributes site, p and the dimensions", *kUnsound = "p is a probability";
  static std::vector<const char*> names() { return {"p"}; }
  static bool sound(float p, float) { return p >= 0.0f && p <= 1.0f; }
  KERNEL_FN static float value(const float* s, const PhiloxWords& words, int l) {
    return philox_to_unit(words.word[l]) >= s[0] ? 1.0f / (1.0f - s[0]) : 0.0f;
  }
};
struct PhiloxUniform : PhiloxFill<PhiloxUniform> {
  static constexpr OperatorText kText{71, "philox_uniform.v1", "y[i] = low + u_i (high - low), u_i as in philox_mask.v1", "a difference, a product, a sum",
                                      "Salmon et al. 2011"};
  static constexpr uint64_t kOperations = 16;
  static constexpr const char *kTakes = "takes the attributes site, low, high and the dimensions", *kUnsound = "low and high are finite and in order";
  static std::vector<const char*> names() { return {"low", "high"}; }
  static bool sound(float low, float high) { return low <= high && high - low < as_float(0x7F800000u); }
  KERNEL_FN static float value(const float* s, const PhiloxWords& words, int l) {
    return s[0] + philox_to_unit(words.word[l]) * (s[1] - s[0]);
  }
};
struct PhiloxNormal : PhiloxFill<PhiloxNormal> {
  static constexpr OperatorText kText{
      72, "philox_normal.v1",
      "y[i] = mean + std z_i; z of a pair i = 2j, 2j + 1 is sqrt(-2 ln(1 - u_2j)) times the cosine and the sine of 2 pi u_2j+1, u as in philox_mask.v1",
      "log.v1, sqrt.v1, cos.v1, sin.v1; from left to right", "Box & Muller 1958; Salmon et al. 2011"};
  static constexpr uint64_t kOperations = 64;
  static constexpr const char *kTakes = "takes the attributes site, mean, std and the dimensions", *kUnsound = "mean is finite, std is finite and not negative";
  static std::vector<const char*> names() { return {"mean", "std"}; }
  static bool sound(float mean, float std) { return mean - mean == 0.0f && std - std == 0.0f && std >= 0.0f; }
  KERNEL_FN static float value(const float* s, const PhiloxWords& words, int l) {
    const float radius = root(-2.0f * log_of(1.0f - philox_to_unit(words.word[l & 2])));
    const float angle = 0x1.921fb6p+2f * philox_to_unit(words.word[l | 1]);
    return s[0] + s[1] * (radius * ((l & 1) == 0 ? cos_of(angle) : sin_of(angle)));
  }
};
struct PhiloxBernoulli : PhiloxFill<PhiloxBernoulli> {
  static constexpr OperatorText kText{73, "philox_bernoulli.v1", "y[i] = u_i < p ? 1 : +0, u_i as in philox_mask.v1", "exact", "Salmon et al. 2011"};
  static constexpr uint64_t kOperations = 16;
  static constexpr const char *kTakes = "takes the attributes site, p and the dimensions", *kUnsound = "p is a probability";
  static std::vector<const char*> names() { return {"p"}; }
  static bool sound(float p, float) { return p >= 0.0f && p <= 1.0f; }
  KERNEL_FN static float value(const float* s, const PhiloxWords& words, int l) {
    return philox_to_unit(words.word[l]) < s[0] ? 1.0f : 0.0f;
  }
};

}  // namespace cairn::kernels::CAIRN_ISA
