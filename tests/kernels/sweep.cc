// What is swept, and its limits.
#include "tests/kernels/sweep.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <memory>
#include <mutex>
#include <thread>

namespace cairn::kernels {
namespace {

constexpr double kPi = 3.14159265358979323846;

double sigmoid(double x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); }
double normal_below(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }
double softplus(double x) { return std::fmax(x, 0) + std::log1p(std::exp(-std::fabs(x))); }
double gelu_tanh_argument(double x) { return 2 * std::sqrt(2 / kPi) * (x + 0.044715 * x * x * x); }
double up_to_2_20(double x, double (*f)(double)) { return std::fabs(x) <= 0x1p20 ? f(x) : NAN; }
double times(double x, double step) { return step == 0 ? std::copysign(0.0, x) : x * step; }  // also at infinity
double mish_step(double x) {
  const double n = std::exp(x) * (std::exp(x) + 2);
  return x > 40 ? 1 : n / (n + 2);
}

const Swept kSwept[] = {
    {"neg.v1", 0, [](double x) { return -x; }},
    {"abs.v1", 0, [](double x) { return std::fabs(x); }},
    {"sign.v1", 0, [](double x) { return x > 0 ? 1.0 : x < 0 ? -1.0 : 0.0; }},
    {"floor.v1", 0, [](double x) { return std::floor(x); }},
    {"ceil.v1", 0, [](double x) { return std::ceil(x); }},
    {"round.v1", 0, [](double x) { return std::nearbyint(x); }},
    {"trunc.v1", 0, [](double x) { return std::trunc(x); }},
    {"relu.v1", 0, [](double x) { return x <= 0 ? 0.0 : x; }},
    {"clamp.v1", 0, [](double x) { return x < -1 ? -1.0 : x > 2.5 ? 2.5 : x; }, {-1, 2.5}},
    {"threshold.v1", 0, [](double x) { return x <= 0.5 ? -2.0 : x; }, {0.5, -2}},
    {"hardshrink.v1", 0, [](double x) { return std::fabs(x) <= 0.5 ? 0.0 : x; }, {0.5}},
    {"fmod.v1", 0, [](double x) { return std::fabs(x) / 0.7f < 0x1p127 ? std::fmod(x, static_cast<double>(0.7f)) : NAN; }, {}, {}, 0.7f},
    {"sqrt.v1", 0.5, [](double x) { return std::sqrt(x); }},
    {"rsqrt.v1", 2, [](double x) { return 1 / std::sqrt(x); }},
    {"reciprocal.v1", 0.5, [](double x) { return 1 / x; }},
    {"exp.v1", 1, [](double x) { return std::exp(x); }},
    {"exp2.v1", 1, [](double x) { return std::exp2(x); }},
    {"expm1.v1", 2, [](double x) { return std::expm1(x); }},
    {"log.v1", 1, [](double x) { return std::log(x); }},
    {"log1p.v1", 2, [](double x) { return std::log1p(x); }},
    {"log2.v1", 2, [](double x) { return std::log2(x); }},
    {"log10.v1", 2, [](double x) { return std::log10(x); }},
    {"pow.v1", 4, [](double x) { return std::pow(x, 0.3f); }, {}, {}, 0.3f},
    {"pow.v1", 4, [](double x) { return std::pow(x, -2.7f); }, {}, {}, -2.7f, -INFINITY, 0x1p-148},
    {"pow.v1", 4, [](double x) { return std::pow(x, 3.0); }, {}, {}, 3.0f, -INFINITY, 0x1p-148},
    {"pow.v1", 4, [](double x) { return std::pow(1.0001f, x); }, {}, 1.0001f, {}, -INFINITY, 0x1p-148},
    {"sin.v1", 2, [](double x) { return up_to_2_20(x, std::sin); }},
    {"cos.v1", 2, [](double x) { return up_to_2_20(x, std::cos); }},
    {"tan.v1", 4, [](double x) { return up_to_2_20(x, std::tan); }},
    {"asin.v1", 3, [](double x) { return std::asin(x); }},
    {"acos.v1", 3, [](double x) { return std::acos(x); }},
    {"atan.v1", 3, [](double x) { return std::atan(x); }},
    {"atan2.v1", 4, [](double x) { return std::atan2(x, -0.3f); }, {}, {}, -0.3f},
    {"sinh.v1", 3, [](double x) { return std::sinh(x); }},
    {"cosh.v1", 3, [](double x) { return std::cosh(x); }},
    {"tanh.v1", 1, [](double x) { return std::tanh(x); }},
    {"erf.v1", 1, [](double x) { return std::erf(x); }},
    {"erfc.v1", 4, [](double x) { return std::erfc(x); }},
    {"sigmoid.v1", 1, sigmoid},
    {"silu.v1", 2, [](double x) { return times(x, sigmoid(x)); }},
    {"silu_backward.v1", 0, [](double x) { return sigmoid(x) * (1 + times(x, 1 - sigmoid(x))); }, {}, 1.0f, {}, INFINITY, 0x1p-22},
    {"gelu.v1", 4, [](double x) { return times(x, normal_below(x)); }, {}, {}, {}, -4, 0x1p-25},
    {"gelu_backward.v1", 0, [](double x) { return normal_below(x) + times(x, std::exp(-x * x / 2) / std::sqrt(2 * kPi)); }, {}, 1.0f, {}, INFINITY, 0x1p-22},
    {"gelu_tanh.v1", 4, [](double x) { return times(x, sigmoid(gelu_tanh_argument(x))); }, {}, {}, {}, -4, 0x1p-25},
    {"gelu_tanh_backward.v1", 0, [](double x) {
       const double s = sigmoid(gelu_tanh_argument(x)), inner = 2 * std::sqrt(2 / kPi) * (1 + 3 * 0.044715 * x * x);
       return s + (s == 0 || s == 1 ? 0 : x * s * (1 - s) * inner); }, {}, 1.0f, {}, INFINITY, 0x1p-20},
    {"softplus.v1", 3, [](double x) { return x > 20 ? x : softplus(x); }, {1, 20}},
    {"log_sigmoid.v1", 3, [](double x) { return 0 - softplus(-x); }},
    {"elu.v1", 3, [](double x) { return x > 0 ? x : std::expm1(x); }, {1, 1, 1}},
    {"mish.v1", 4, [](double x) { return times(x, mish_step(x)); }, {}, {}, {}, -80, 0x1p-100},
    {"hardsigmoid.v1", 2, [](double x) { return std::fmin(std::fmax(x + 3, 0), 6) / 6; }, {}, {}, {}, INFINITY, 0x1p-23},
};

// Distance in units of the last place of the exact value, as a float has it (denormals: 2^-149).
double ulps(float have, double exact) {
  if (std::isnan(exact)) return std::bit_cast<uint32_t>(have) == 0x7FC00000 ? 0 : INFINITY;
  if (std::isinf(exact) || std::fabs(exact) >= 0x1.ffffffp127) return have == static_cast<float>(exact) ? 0 : INFINITY;
  if (exact == 0) return have == 0 && std::signbit(have) == std::signbit(exact) ? 0 : INFINITY;
  int exponent = 0;
  std::frexp(exact, &exponent);
  return std::fabs(static_cast<double>(have) - exact) / std::ldexp(1.0, std::max(exponent - 24, -149));
}

constexpr size_t kChunk = 1 << 14;
struct Room {
  alignas(64) float x[kChunk], y[2][kChunk], before, after;
};

void sweep_chunk(const Swept& function, uint64_t first, uint64_t stride, Room& room, Found& found) {
  const Operator& op = *find_operator(std::string_view(function.op));
  const TensorType many{DType::f32, {static_cast<int64_t>(kChunk)}}, single{DType::f32, {1}};
  std::vector<TensorType> types;
  std::vector<const void*> in;
  const auto bring = [&](const TensorType& type, const float* from) {
    types.push_back(type);
    in.push_back(from);
  };
  if (function.before) bring(single, &(room.before = *function.before));
  bring(many, room.x);
  if (function.after) bring(single, &(room.after = *function.after));
  std::vector<int64_t> attrs;
  for (const float attribute : function.attrs) attrs.push_back(attr_of(attribute));
  const std::vector<TensorType> out_types{many};
  for (size_t i = 0; i < kChunk; i++) room.x[i] = std::bit_cast<float>(static_cast<uint32_t>(first + i * stride));
  for (const Isa isa : isas()) {
    if (isa == Isa::vnni) continue;  // has products of its own, and nothing else
    float* y = room.y[isa == Isa::scalar ? 0 : 1];
    const std::vector<void*> out{y};
    op.host({types, out_types, attrs}, {}, in, out, {isa, nullptr});
    for (size_t i = 0; i < kChunk; i++) found.differ += std::memcmp(&room.y[0][i], &y[i], 4) != 0;
  }
  for (size_t i = 0; i < kChunk; i++) {
    const double exact = function.exact(static_cast<double>(room.x[i])), error = ulps(room.y[0][i], exact);
    const double absolute = error == 0 ? 0 : std::fabs(static_cast<double>(room.y[0][i]) - exact);
    found.count++;
    found.rounded += error <= 0.5;
    const bool by_ulp = std::isnan(room.x[i]) || !(room.x[i] <= function.from);
    if (by_ulp && absolute >= function.absolute && error > found.worst) {
      found.worst = error;
      found.worst_at = room.x[i];
    }
    if (!by_ulp && !(absolute <= found.absolute)) {
      found.absolute = std::isnan(absolute) ? INFINITY : absolute;
      found.absolute_at = room.x[i];
    }
  }
}

}  // namespace

std::span<const Swept> all_swept() { return kSwept; }

Found sweep(const Swept& function, uint64_t stride, unsigned threads) {
  Found all;
  std::mutex mutex;
  std::vector<std::thread> workers;
  for (unsigned t = 0; t < threads; t++)
    workers.emplace_back([&, t] {
      const auto room = std::make_unique<Room>();
      Found found;
      for (uint64_t first = t * kChunk * stride; first < uint64_t{1} << 32; first += threads * kChunk * stride)
        sweep_chunk(function, first, stride, *room, found);
      const std::lock_guard lock(mutex);
      all.count += found.count;
      all.differ += found.differ;
      all.rounded += found.rounded;
      if (found.worst > all.worst) all.worst = found.worst, all.worst_at = found.worst_at;
      if (found.absolute > all.absolute) all.absolute = found.absolute, all.absolute_at = found.absolute_at;
    });
  for (std::thread& worker : workers) worker.join();
  all.good = all.differ == 0 && all.worst <= function.ulp && all.absolute <= function.absolute;
  return all;
}

}  // namespace cairn::kernels
