#include "runtime/optimizer.h"

#include <cmath>
#include <cstring>
#include <numbers>

namespace cairn::runtime {

std::string_view name(OptimizerKind kind) {
  switch (kind) {
    case OptimizerKind::sgd: return "sgd";
    case OptimizerKind::adam: return "adam";
    case OptimizerKind::adamw: return "adamw";
  }
  return "?";
}

Result<OptimizerKind> parse_optimizer(std::string_view text) {
  for (const OptimizerKind kind : {OptimizerKind::sgd, OptimizerKind::adam, OptimizerKind::adamw})
    if (text == name(kind)) return kind;
  return Error{Code::usage, "there is no optimizer '" + std::string(text) + "'", "use sgd, adam or adamw"};
}

Bytes schedule(const Optimizer& optimizer, uint64_t steps) {
  const auto wide = [](uint32_t bits) { return static_cast<double>(std::bit_cast<float>(bits)); };
  const double lr = wide(optimizer.lr_bits), beta1 = wide(optimizer.beta1_bits), beta2 = wide(optimizer.beta2_bits);
  Bytes out;
  const auto put = [&](double value) {
    const auto narrow = static_cast<float>(value);
    uint8_t bytes[4];
    std::memcpy(bytes, &narrow, 4);
    out.insert(out.end(), bytes, bytes + 4);
  };
  for (uint64_t step = 0; step < steps; step++) {
    const auto t = static_cast<double>(step + 1), warmup = static_cast<double>(optimizer.warmup_steps);
    double rate = lr;
    if (step < optimizer.warmup_steps) rate *= t / warmup;
    else if (optimizer.cosine)
      rate *= 0.5 * (1 + std::cos(std::numbers::pi * (t - 1 - warmup) / (static_cast<double>(steps) - warmup)));
    put(rate);
    if (optimizer.kind == OptimizerKind::sgd) continue;
    put(1 - std::pow(beta1, t));
    put(std::sqrt(1 - std::pow(beta2, t)));
  }
  return out;
}

}  // namespace cairn::runtime
