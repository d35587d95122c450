// What is swept, its limits, and the errors: loops that the compiler makes of libm's vector functions, so straight lines alone.
#include <algorithm>
#include <bit>

#include "tests/kernels/sweep.h"

namespace cairn::kernels {
namespace {

constexpr double kPi = 3.14159265358979323846;

double within_2_20(double x, double value) { return std::fabs(x) <= 0x1p20 ? value : NAN; }
double positive(double x) { return x > 0 ? x : 0; }
double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double normal_below(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }
double softplus(double x) { return positive(x) + std::log1p(std::exp(-std::fabs(x))); }
double gelu_tanh_argument(double x) { return 2 * std::sqrt(2 / kPi) * (x + 0.044715 * x * x * x); }
double times(double x, double step) { return step == 0 ? std::copysign(0.0, x) : x * step; }  // also at infinity
double mish_step(double x) {
  const double n = std::exp(x) * (std::exp(x) + 2), step = n / (n + 2);
  return x > 40 ? 1 : step;
}
double hard_step(double x) { return x < -3 ? 0 : x > 3 ? 6 : x + 3; }
double gelu_tanh_slope(double x) {
  const double s = sigmoid(gelu_tanh_argument(x)), inner = 2 * std::sqrt(2 / kPi) * (1 + 3 * 0.044715 * x * x), rest = x * s * (1 - s) * inner;
  return s + ((s == 0) | (s == 1) ? 0 : rest);
}

template <class Formula>
constexpr auto each(Formula) {
  return [](const float* x, double* y) {
    for (size_t i = 0; i < kSweepChunk; i++) y[i] = Formula{}(static_cast<double>(x[i]));
  };
}

const Swept kSwept[] = {
    {"neg.v1", 0, each([](double x) { return -x; })},
    {"abs.v1", 0, each([](double x) { return std::fabs(x); })},
    {"sign.v1", 0, each([](double x) { return x > 0 ? 1.0 : x < 0 ? -1.0 : 0.0; })},
    {"floor.v1", 0, each([](double x) { return std::floor(x); })},
    {"ceil.v1", 0, each([](double x) { return std::ceil(x); })},
    {"round.v1", 0, each([](double x) { return std::nearbyint(x); })},
    {"trunc.v1", 0, each([](double x) { return std::trunc(x); })},
    {"relu.v1", 0, each([](double x) { return x <= 0 ? 0.0 : x; })},
    {"clamp.v1", 0, each([](double x) { return x < -1 ? -1.0 : x > 2.5 ? 2.5 : x; }), {-1, 2.5}},
    {"threshold.v1", 0, each([](double x) { return x <= 0.5 ? -2.0 : x; }), {0.5, -2}},
    {"hardshrink.v1", 0, each([](double x) { return std::fabs(x) <= 0.5 ? 0.0 : x; }), {0.5}},
    {"softshrink.v1", 0.5, each([](double x) { return x > 0.5 ? x - 0.5 : x < -0.5 ? x + 0.5 : x * 0; }), {0.5}},
    {"nan_to_num.v1", 0, each([](double x) { return x != x ? 3.0 : std::fabs(x) > 0x1.fffffep127 ? (x > 0 ? 4.0 : -5.0) : x; }), {3, 4, -5}},
    {"add_scalar.v1", 0.5, each([](double x) { return x + static_cast<double>(0.3f); }), {0.3f}},
    {"mul_scalar.v1", 0.5, each([](double x) { return x * static_cast<double>(0.3f); }), {0.3f}},
    {"div_scalar.v1", 0.5, each([](double x) { return x / static_cast<double>(0.3f); }), {0.3f}},
    {"leaky_relu.v1", 0.5, each([](double x) { return x > 0 ? x : x * static_cast<double>(0.01f); }), {0.01f}},
    {"sqrt.v1", 0.5, each([](double x) { return std::sqrt(x); })},
    {"rsqrt.v1", 2, each([](double x) { return 1 / std::sqrt(x); })},
    {"reciprocal.v1", 0.5, each([](double x) { return 1 / x; })},
    {"exp.v1", 1, each([](double x) { return std::exp(x); })},
    {"exp2.v1", 1, each([](double x) { return std::exp2(x); })},
    {"expm1.v1", 2, each([](double x) { return std::expm1(x); })},
    {"log.v1", 1, each([](double x) { return std::log(x); })},
    {"log1p.v1", 2, each([](double x) { return std::log1p(x); })},
    {"log2.v1", 2, each([](double x) { return std::log2(x); })},
    {"log10.v1", 3, each([](double x) { return std::log10(x); })},
    {"pow.v1", 4, each([](double x) { return std::pow(x, static_cast<double>(0.3f)); }), {}, {}, 0.3f},
    {"pow.v1", 4, each([](double x) { return std::pow(x, static_cast<double>(-2.7f)); }), {}, {}, -2.7f, -INFINITY, 0x1p-148},
    {"pow.v1", 4, each([](double x) { return std::pow(x, 3.0); }), {}, {}, 3.0f, -INFINITY, 0x1p-148},
    {"pow.v1", 4, each([](double x) { return std::pow(static_cast<double>(1.0001f), x); }), {}, 1.0001f, {}, -INFINITY, 0x1p-148},
    {"sin.v1", 2, each([](double x) { return within_2_20(x, std::sin(x)); })},
    {"cos.v1", 2, each([](double x) { return within_2_20(x, std::cos(x)); })},
    {"tan.v1", 4, each([](double x) { return within_2_20(x, std::tan(x)); })},
    {"asin.v1", 3, each([](double x) { return std::asin(x); })},
    {"acos.v1", 3, each([](double x) { return std::acos(x); })},
    {"atan.v1", 3, each([](double x) { return std::atan(x); })},
    {"atan2.v1", 4, each([](double x) { return std::atan2(x, static_cast<double>(-0.3f)); }), {}, {}, -0.3f},
    {"sinh.v1", 3, each([](double x) { return std::sinh(x); })},
    {"cosh.v1", 3, each([](double x) { return std::cosh(x); })},
    {"tanh.v1", 1, each([](double x) { return std::tanh(x); })},
    {"erf.v1", 1, each([](double x) { return std::erf(x); })},
    {"erfc.v1", 4, each([](double x) { return std::erfc(x); })},
    {"sigmoid.v1", 1, each([](double x) { return sigmoid(x); })},
    {"silu.v1", 2, each([](double x) { return times(x, sigmoid(x)); })},
    {"silu_backward.v1", 0, each([](double x) { return times(1 + times(x, 1 - sigmoid(x)), sigmoid(x)); }), {}, 1.0f, {}, INFINITY, 0x1p-22},
    {"gelu.v1", 4, each([](double x) { return times(x, normal_below(x)); }), {}, {}, {}, -4, 0x1p-25},
    {"gelu_backward.v1", 0, each([](double x) { return normal_below(x) + times(x, std::exp(-x * x / 2) / std::sqrt(2 * kPi)); }), {}, 1.0f, {}, INFINITY, 0x1p-22},
    {"gelu_tanh.v1", 4, each([](double x) { return times(x, sigmoid(gelu_tanh_argument(x))); }), {}, {}, {}, -4, 0x1p-25},
    {"gelu_tanh_backward.v1", 0, each([](double x) { return gelu_tanh_slope(x); }), {}, 1.0f, {}, INFINITY, 0x1p-20},
    {"softplus.v1", 3, each([](double x) { return x > 20 ? x : softplus(x); }), {1, 20}},
    {"log_sigmoid.v1", 3, each([](double x) { return 0 - softplus(-x); })},
    {"elu.v1", 3, each([](double x) { const double below = std::expm1(x); return x > 0 ? x : below; }), {1, 1, 1}},
    {"mish.v1", 5, each([](double x) { return x * mish_step(x); }), {}, {}, {}, -80, 0x1p-100},
    {"hardsigmoid.v1", 2, each([](double x) { return hard_step(x) / 6; }), {}, {}, {}, INFINITY, 0x1p-23},
    {"hardswish.v1", 2, each([](double x) { return x * hard_step(x) >= 0x1p128 ? INFINITY : x * hard_step(x) / 6; })},
    {"fmod.v1", 0, [](const float* x, double* y) {
       for (size_t i = 0; i < kSweepChunk; i++) y[i] = std::fabs(static_cast<double>(x[i])) / 0.7f < 0x1.ffffffp127 ? static_cast<double>(std::fmod(x[i], 0.7f)) : NAN;
     }, {}, {}, 0.7f},
};

// Distance in units of the last place of the exact value, as a float has it (denormals: 2^-149). A NaN must be the one NaN.
double ulps(double have, double exact) {
  const uint64_t exponent = std::bit_cast<uint64_t>(exact) >> 52 & 2047, place = (exponent > 897 ? exponent : 897) - 23;
  const double distance = std::fabs(have - exact) / std::bit_cast<double>(place << 52);
  const double beyond = have == std::copysign(INFINITY, exact) ? 0 : INFINITY;
  const double same = std::bit_cast<uint64_t>(have) == std::bit_cast<uint64_t>(exact) ? 0 : INFINITY;
  const double one_nan = std::bit_cast<uint64_t>(have) == 0x7FF8000000000000 ? 0 : INFINITY;
  return exact != exact ? one_nan : exact == 0 ? same : std::fabs(exact) >= 0x1.ffffffp127 ? beyond : distance;
}

}  // namespace

std::span<const Swept> all_swept() { return kSwept; }

void add_errors(const Swept& function, const float* x, const float* y, Found& found) {
  alignas(64) static thread_local double room[3][kSweepChunk];
  double *const exact = room[0], *const relative = room[1], *const absolute = room[2];
  const double from = function.from == -INFINITY ? NAN : function.from, most = function.absolute;
  function.exact(x, exact);
  for (size_t i = 0; i < kSweepChunk; i++) {
    const double at = static_cast<double>(x[i]), have = static_cast<double>(y[i]), error = ulps(have, exact[i]), size = std::fabs(have - exact[i]);
    const double distance = error == 0 ? 0 : size != size ? INFINITY : size, of_number = distance >= most ? error : 0;
    relative[i] = at <= from ? 0 : of_number;
    absolute[i] = at <= from ? distance : 0;
    exact[i] = error <= 0.5 ? 1 : 0;
  }
  constexpr size_t kLanes = 8;  // side by side, as no compiler may reorder a sum
  double rounded[kLanes] = {}, most_ulp[kLanes] = {}, farthest[kLanes] = {};
  for (size_t i = 0; i < kSweepChunk; i += kLanes)
    for (size_t l = 0; l < kLanes; l++) {
      rounded[l] += exact[i + l];
      most_ulp[l] = relative[i + l] > most_ulp[l] ? relative[i + l] : most_ulp[l];
      farthest[l] = absolute[i + l] > farthest[l] ? absolute[i + l] : farthest[l];
    }
  found.count += kSweepChunk;
  for (const double of_lane : rounded) found.rounded += static_cast<uint64_t>(of_lane);
  const double worst = *std::ranges::max_element(most_ulp), away = *std::ranges::max_element(farthest);
  if (worst > found.worst) {
    found.worst = worst;
    found.worst_at = x[std::find(relative, relative + kSweepChunk, worst) - relative];
  }
  if (away > found.absolute) {
    found.absolute = away;
    found.absolute_at = x[std::find(absolute, absolute + kSweepChunk, away) - absolute];
  }
}

}  // namespace cairn::kernels
