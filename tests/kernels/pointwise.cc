// Element by element.
#include <algorithm>
#include <cmath>

#include "tests/kernels/family.h"

namespace cairn::kernels {
namespace {

// A line an operator: its operands, attributes, the tolerance of its second implementation and that itself, of attributes s and
// operands x.
struct Line {
  const char* op;
  size_t operands;
  std::vector<float> attrs;
  double tolerance;
  double (*value)(const double* s, const double* x);
};
double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double softplus(double x) { return std::log1p(std::exp(x)); }
double normal_below(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }
double normal_density(double x) { return std::exp(-x * x / 2) / std::sqrt(2 * M_PI); }
double gelu_tanh(double x) { return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); }
double mish(double x) { return x * std::tanh(softplus(x)); }
double elu(const double* s, double x) { return x > 0 ? x * s[1] : std::expm1(x * s[2]) * s[0] * s[1]; }
// The derivative of a smooth function, by differences.
template <class F>
double slope(F f, double x) {
  return (f(x + 1e-6) - f(x - 1e-6)) / 2e-6;
}
double elu_backward(const double* s, double grad, double x) {  // s[3]: of the result
  if (s[3] == 0) return grad * slope([&](double v) { return elu(s, v); }, x);
  return x > 0 ? grad * s[1] : grad * s[2] * (x + s[0] * s[1]);
}
#define IS [](const double* s, const double* x) -> double { static_cast<void>(s), static_cast<void>(x); return
#define END ; }

const Line kLines[] = {
    {"add.v1", 2, {}, 1e-7, IS x[0] + x[1] END},
    {"sub.v1", 2, {}, 1e-7, IS x[0] - x[1] END},
    {"mul.v1", 2, {}, 1e-7, IS x[0] * x[1] END},
    {"div.v1", 2, {}, 1e-7, IS x[0] / x[1] END},
    {"add_scalar.v1", 1, {0.1f}, 1e-7, IS x[0] + s[0] END},
    {"mul_scalar.v1", 1, {-3.7f}, 1e-7, IS x[0] * s[0] END},
    {"div_scalar.v1", 1, {3.0f}, 1e-7, IS x[0] / s[0] END},
    {"neg.v1", 1, {}, 0, IS -x[0] END},
    {"abs.v1", 1, {}, 0, IS std::fabs(x[0]) END},
    {"sign.v1", 1, {}, 0, IS (x[0] > 0) - (x[0] < 0) END},
    {"add_mul.v1", 3, {0.3f}, 2e-7, IS x[0] + s[0] * x[1] * x[2] END},
    {"add_div.v1", 3, {0.3f}, 3e-7, IS x[0] + s[0] * x[1] / x[2] END},
    {"lerp.v1", 3, {}, 1e-6, IS x[0] + x[2] * (x[1] - x[0]) END},
    {"minimum.v1", 2, {}, 0, IS std::min(x[0], x[1]) END},
    {"maximum.v1", 2, {}, 0, IS std::max(x[0], x[1]) END},
    {"fmin.v1", 2, {}, 0, IS std::fmin(x[0], x[1]) END},
    {"fmax.v1", 2, {}, 0, IS std::fmax(x[0], x[1]) END},
    {"clamp.v1", 1, {-0.5f, 0.7f}, 0, IS std::min(std::max(x[0], s[0]), s[1]) END},
    {"copysign.v1", 2, {}, 0, IS std::copysign(x[0], x[1]) END},
    {"nan_to_num.v1", 1, {1, 2, 3}, 0, IS x[0] END},
    {"floor.v1", 1, {}, 0, IS std::floor(x[0]) END},
    {"ceil.v1", 1, {}, 0, IS std::ceil(x[0]) END},
    {"round.v1", 1, {}, 0, IS std::nearbyint(x[0]) END},
    {"trunc.v1", 1, {}, 0, IS std::trunc(x[0]) END},
    {"fmod.v1", 2, {}, 0, IS std::fmod(x[0], x[1]) END},
    {"remainder.v1", 2, {}, 1e-7, IS x[0] - std::floor(x[0] / x[1]) * x[1] END},
    {"sqrt.v1", 1, {}, 1e-7, IS std::sqrt(x[0]) END},
    {"rsqrt.v1", 1, {}, 2e-7, IS 1 / std::sqrt(x[0]) END},
    {"reciprocal.v1", 1, {}, 1e-7, IS 1 / x[0] END},
    {"pow.v1", 2, {}, 3e-7, IS std::pow(x[0], x[1]) END},
    {"exp.v1", 1, {}, 1e-7, IS std::exp(x[0]) END},
    {"exp2.v1", 1, {}, 1e-7, IS std::exp2(x[0]) END},
    {"expm1.v1", 1, {}, 2e-7, IS std::expm1(x[0]) END},
    {"log.v1", 1, {}, 1e-7, IS std::log(x[0]) END},
    {"log1p.v1", 1, {}, 2e-7, IS std::log1p(x[0]) END},
    {"log2.v1", 1, {}, 2e-7, IS std::log2(x[0]) END},
    {"log10.v1", 1, {}, 2e-7, IS std::log10(x[0]) END},
    {"logaddexp.v1", 2, {}, 3e-7, IS std::log(std::exp(x[0]) + std::exp(x[1])) END},
    {"xlogy.v1", 2, {}, 2e-7, IS x[0] * std::log(x[1]) END},
    {"sin.v1", 1, {}, 2e-7, IS std::sin(x[0]) END},
    {"cos.v1", 1, {}, 2e-7, IS std::cos(x[0]) END},
    {"tan.v1", 1, {}, 4e-7, IS std::tan(x[0]) END},
    {"asin.v1", 1, {}, 3e-7, IS std::asin(x[0]) END},
    {"acos.v1", 1, {}, 3e-7, IS std::acos(x[0]) END},
    {"atan.v1", 1, {}, 3e-7, IS std::atan(x[0]) END},
    {"atan2.v1", 2, {}, 4e-7, IS std::atan2(x[0], x[1]) END},
    {"sinh.v1", 1, {}, 3e-7, IS std::sinh(x[0]) END},
    {"cosh.v1", 1, {}, 3e-7, IS std::cosh(x[0]) END},
    {"tanh.v1", 1, {}, 1e-7, IS std::tanh(x[0]) END},
    {"erf.v1", 1, {}, 1e-7, IS std::erf(x[0]) END},
    {"erfc.v1", 1, {}, 3e-7, IS std::erfc(x[0]) END},
    {"relu.v1", 1, {}, 0, IS std::max(x[0], 0.0) END},
    {"relu_backward.v1", 2, {0.0f}, 0, IS x[1] > s[0] ? x[0] : 0 END},
    {"threshold.v1", 1, {0.25f, -1.5f}, 0, IS x[0] > s[0] ? x[0] : s[1] END},
    {"clamp_backward.v1", 2, {-0.5f, 0.7f}, 0, IS x[1] > s[0] && x[1] < s[1] ? x[0] : 0 END},
    {"leaky_relu.v1", 1, {0.01f}, 1e-7, IS x[0] > 0 ? x[0] : x[0] * s[0] END},
    {"leaky_relu_backward.v1", 2, {0.01f}, 1e-7, IS x[1] > 0 ? x[0] : x[0] * s[0] END},
    {"prelu.v1", 2, {}, 1e-7, IS x[0] > 0 ? x[0] : x[1] * x[0] END},
    {"prelu_backward.v1", 3, {}, 1e-7, IS x[1] > 0 ? x[0] : x[2] * x[0] END},
    {"prelu_backward_weight.v1", 2, {}, 1e-7, IS x[1] > 0 ? 0 : x[1] * x[0] END},
    {"hardsigmoid.v1", 1, {}, 2e-7, IS std::clamp(x[0] / 6 + 0.5, 0.0, 1.0) END},
    {"hardsigmoid_backward.v1", 2, {}, 1e-7, IS std::fabs(x[1]) < 3 ? x[0] / 6 : 0 END},
    {"hardswish.v1", 1, {}, 2e-7, IS x[0] * std::clamp(x[0] / 6 + 0.5, 0.0, 1.0) END},
    {"hardswish_backward.v1", 2, {}, 3e-7, IS x[1] < -3 ? 0 : x[1] > 3 ? x[0] : x[0] * (x[1] / 3 + 0.5) END},
    {"softshrink.v1", 1, {0.5f}, 1e-7, IS x[0] > s[0] ? x[0] - s[0] : x[0] < -s[0] ? x[0] + s[0] : 0 END},
    {"hardshrink.v1", 1, {0.5f}, 0, IS std::fabs(x[0]) > s[0] ? x[0] : 0 END},
    {"shrink_backward.v1", 2, {0.5f}, 0, IS std::fabs(x[1]) > s[0] ? x[0] : 0 END},
    {"sigmoid.v1", 1, {}, 1e-7, IS sigmoid(x[0]) END},
    {"sigmoid_backward.v1", 2, {}, 3e-7, IS x[0] * x[1] * (1 - x[1]) END},
    {"tanh_backward.v1", 2, {}, 3e-7, IS x[0] * (1 - x[1] * x[1]) END},
    {"silu.v1", 1, {}, 1e-7, IS x[0] * sigmoid(x[0]) END},
    {"silu_backward.v1", 2, {}, 5e-7, IS x[0] * sigmoid(x[1]) * (1 + x[1] * (1 - sigmoid(x[1]))) END},
    {"gelu.v1", 1, {}, 1e-7, IS x[0] * normal_below(x[0]) END},
    {"gelu_backward.v1", 2, {}, 5e-7, IS x[0] * (normal_below(x[1]) + x[1] * normal_density(x[1])) END},
    {"gelu_tanh.v1", 1, {}, 1e-7, IS gelu_tanh(x[0]) END},
    {"gelu_tanh_backward.v1", 2, {}, 1e-6, IS x[0] * slope(gelu_tanh, x[1]) END},
    {"softplus.v1", 1, {1.5f, 2.0f}, 3e-7, IS x[0] * s[0] > s[1] ? x[0] : softplus(x[0] * s[0]) / s[0] END},
    {"softplus_backward.v1", 2, {1.5f, 2.0f}, 3e-7, IS x[1] * s[0] > s[1] ? x[0] : x[0] * sigmoid(x[1] * s[0]) END},
    {"log_sigmoid.v1", 1, {}, 3e-7, IS std::log(sigmoid(x[0])) END},
    {"log_sigmoid_backward.v1", 2, {}, 3e-7, IS x[0] * (1 - sigmoid(x[1])) END},
    {"elu.v1", 1, {1.3f, 1.1f, 0.9f}, 3e-7, IS elu(s, x[0]) END},
    {"elu_backward.v1", 2, {1.3f, 1.1f, 0.9f, 0}, 1e-6, IS elu_backward(s, x[0], x[1]) END},
    {"elu_backward.v1", 2, {1.3f, 1.1f, 0.9f, 1}, 1e-6, IS elu_backward(s, x[0], x[1]) END},
    {"mish.v1", 1, {}, 4e-7, IS mish(x[0]) END},
    {"mish_backward.v1", 2, {}, 1e-6, IS x[0] * slope(mish, x[1]) END},
};
#undef IS
#undef END

}  // namespace

Family pointwise_family() {
  constexpr int64_t t = kMostTokens, f = kMostFeatures;
  const TensorType i = i64({3});
  Family family;
  family.title = "Element by element";
  for (const Line& line : kLines) {
    std::vector<int64_t> attrs;
    for (const float attribute : line.attrs) attrs.push_back(attr_of(attribute));
    family.cases.push_back({line.op, Types(line.operands, f32({5, 67})), attrs});
    family.largest.push_back({line.op, Types(line.operands, f32({t, f})), attrs});
    family.formulas[line.op] = {line.tolerance, [line](const Naive& n) {
      Numbers s, y;
      for (size_t k = 0; k < n.run.attrs.size(); k++) s.push_back(n.real(k));
      s.resize(4);
      const std::vector<int64_t>& shape = n.run.out_types[0].shape;
      for (int64_t e = 0; e < elements(n.run.out_types[0]); e++) {
        double x[3] = {};
        for (size_t k = 0; k < n.in.size(); k++) {
          int64_t at = 0, rest = e, step = 1;  // where the operand is 1, it is read at 0
          for (size_t d = shape.size(); d-- > 0; rest /= shape[d]) {
            const int64_t size = n.run.in_types[k].shape[d];
            at += (size == 1 ? 0 : rest % shape[d]) * step;
            step *= size;
          }
          x[k] = n.in[k][static_cast<size_t>(at)];
        }
        y.push_back(line.value(s.data(), x));
      }
      return std::vector<Numbers>{y};
    }};
  }
  const auto bits = [](float x) { return attr_of(x); };
  family.cases.insert(family.cases.end(), {
      {"add.v1", {f32({70001}), f32({70001})}, {}},
      {"mul.v1", {f32({}), f32({})}, {}},
      {"exp.v1", {f32({70001})}, {}},
      {"add.v1", {f32({301, 67}), f32({1, 67})}, {}},  // a row, a column, a channel, a number; on either side
      {"sub.v1", {f32({1, 67}), f32({301, 67})}, {}},
      {"mul.v1", {f32({301, 67}), f32({301, 1})}, {}},
      {"mul.v1", {f32({7, 5, 3, 11}), f32({1, 5, 1, 1})}, {}},
      {"div.v1", {f32({7, 5, 3, 11}), f32({7, 1, 1, 1})}, {}},
      {"add.v1", {f32({7, 5, 3, 11}), f32({1, 5, 3, 1})}, {}},
      {"mul.v1", {f32({9, 401, 5}), f32({1, 1, 1})}, {}},
      {"sub.v1", {f32({31, 1}), f32({1, 17})}, {}},
      {"add_mul.v1", {f32({31, 17}), f32({1, 1}), f32({31, 1})}, {bits(0.5f)}},
      {"lerp.v1", {f32({31, 17}), f32({31, 17}), f32({1, 1})}, {}},
  });
  family.largest.push_back({"add.v1", {f32({t, f}), f32({1, f})}, {}});
  family.refused = {
      {{"add.v1", {f32({3})}, {}}, "takes 2 operands"},
      {{"add.v1", {f32({3}), f32({4})}, {}}, "must match"},
      {{"add.v1", {f32({4, 3}), f32({3})}, {}}, "must match"},
      {{"add.v1", {f32({4, 3, 5}), f32({4, 1, 5})}, {}}, "must match"},
      {{"add_mul.v1", {f32({4, 3}), f32({4, 3}), f32({4, 2})}, {0}}, "must match"},
      {{"add.v1", {i, i}, {}}, "must be f32"},
      {{"add.v1", {f32({0}), f32({0})}, {}}, "empty"},
      {{"add.v1", {f32({-1}), f32({-1})}, {}}, "negative"},
      {{"add.v1", {f32({1 << 30, 1 << 30}), f32({1 << 30, 1 << 30})}, {}}, "larger than 2^46"},
      {{"add.v1", {f32({3}), f32({3})}, {1}}, "attributes"},
  };
  return family;
}

}  // namespace cairn::kernels
