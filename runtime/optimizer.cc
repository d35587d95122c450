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

std::string_view name(Curve curve) {
  switch (curve) {
    case Curve::constant: return "constant";
    case Curve::linear: return "linear";
    case Curve::cosine: return "cosine";
    case Curve::step: return "step";
  }
  return "?";
}

Result<Curve> parse_curve(std::string_view text) {
  for (const Curve curve : {Curve::constant, Curve::linear, Curve::cosine, Curve::step})
    if (text == name(curve)) return curve;
  return Error{Code::usage, "there is no schedule '" + std::string(text) + "'", "use constant, linear, cosine or step"};
}

Result<> check(const Optimizer& optimizer) {
  constexpr uint32_t kMostBatches = 1024;
  if (optimizer.accumulate < 1 || optimizer.accumulate > kMostBatches)
    return Error{Code::usage, "a step accumulates 1 to 1024 batches, not " + std::to_string(optimizer.accumulate), "choose another number"};
  if (optimizer.curve == Curve::step && optimizer.decay_every == 0)
    return Error{Code::usage, "the schedule 'step' needs to know after how many steps the rate falls", "say it with --decay-every, or decay_every in a job"};
  if (!(std::bit_cast<float>(optimizer.clip_norm_bits) >= 0))
    return Error{Code::usage, "the limit of the gradients' norm must not be below 0", "use for example 1"};
  return {};
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
    if (step < optimizer.warmup_steps) {
      rate *= t / warmup;
    } else {
      const double gone = t - 1 - warmup, share = gone / (static_cast<double>(steps) - warmup);
      if (optimizer.curve == Curve::linear) rate *= 1 - share;
      if (optimizer.curve == Curve::cosine) rate *= 0.5 * (1 + std::cos(std::numbers::pi * share));
      if (optimizer.curve == Curve::step) rate *= std::pow(wide(optimizer.decay_factor_bits), std::floor(gone / static_cast<double>(optimizer.decay_every)));
    }
    put(rate);
    if (optimizer.kind == OptimizerKind::sgd) continue;
    put(1 - std::pow(beta1, t));
    put(std::sqrt(1 - std::pow(beta2, t)));
  }
  return out;
}

}  // namespace cairn::runtime
