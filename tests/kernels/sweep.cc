// kernels_sweep [NAME] [STRIDE]: every float through the operators of one operand: the three instruction sets against each
// other, and the greatest error in ulp against double precision. With stride 1 (the default) all 2^32 inputs of each: some
// minutes an operator. Not a test of ctest.
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "kernels/operator.h"

namespace cairn::kernels {
namespace {

struct Function {
  const char* op;
  double (*exact)(double);
};
const Function kFunctions[] = {
    {"exp.v1", [](double x) { return std::exp(x); }},
    {"log.v1", [](double x) { return std::log(x); }},
    {"tanh.v1", [](double x) { return std::tanh(x); }},
    {"sigmoid.v1", [](double x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); }},
    {"relu.v1", [](double x) { return x <= 0 ? 0.0 : x; }},
    {"neg.v1", [](double x) { return -x; }},
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

bool sweep(const Function& function, uint64_t stride) {
  const Operator& op = *find_operator(std::string_view(function.op));
  constexpr size_t kChunk = 1 << 16;
  const std::vector<TensorType> type{{DType::f32, {static_cast<int64_t>(kChunk)}}};
  const CallShape call{type, type, {}};
  alignas(64) static float x[kChunk], y[3][kChunk];
  double worst = 0;
  float worst_at = 0;
  uint64_t differ = 0, rounded = 0, count = 0;
  for (uint64_t first = 0; first < uint64_t{1} << 32; first += kChunk * stride) {
    for (size_t i = 0; i < kChunk; i++) x[i] = std::bit_cast<float>(static_cast<uint32_t>(first + i * stride));
    const std::vector<const void*> in{x};
    for (const Isa isa : {Isa::scalar, Isa::avx2, Isa::avx512}) {
      const std::vector<void*> out{y[static_cast<size_t>(std::min(isa, best_isa()))]};
      op.host(call, {}, in, out, {std::min(isa, best_isa()), nullptr});
    }
    for (int isa = 1; isa <= static_cast<int>(best_isa()); isa++)
      for (size_t i = 0; i < kChunk; i++) differ += std::memcmp(&y[0][i], &y[isa][i], 4) != 0;
    for (size_t i = 0; i < kChunk; i++) {
      const double exact = function.exact(static_cast<double>(x[i])), error = ulps(y[0][i], exact);
      count++;
      rounded += error <= 0.5;
      if (error > worst) {
        worst = error;
        worst_at = x[i];
      }
    }
  }
  std::printf("%-11s %llu inputs: %llu differ between instruction sets, worst %.4f ulp at %a, nearest %.2f %%\n", function.op,
              static_cast<unsigned long long>(count), static_cast<unsigned long long>(differ), worst,
              static_cast<double>(worst_at), 100.0 * static_cast<double>(rounded) / static_cast<double>(count));
  std::fflush(stdout);
  return differ == 0 && worst <= 1.0;
}

}  // namespace
}  // namespace cairn::kernels

int main(int argc, char** argv) {
  const std::string wanted = argc > 1 ? argv[1] : "all";
  const uint64_t stride = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  bool good = true;
  for (const auto& function : cairn::kernels::kFunctions)
    if (wanted == "all" || wanted == function.op) good = cairn::kernels::sweep(function, stride) && good;
  return good ? 0 : 1;
}
