// What a requester says of an optimizer, and the schedule table that follows from it: an input of the job with a content id,
// so that no transcendental function stands in a plan.
#pragma once

#include <bit>
#include <string>

#include "base/codec.h"

namespace cairn::runtime {

enum class OptimizerKind : uint8_t { sgd = 1, adam = 2, adamw = 3 };
constexpr bool is_valid(OptimizerKind k) { return k >= OptimizerKind::sgd && k <= OptimizerKind::adamw; }
std::string_view name(OptimizerKind kind);

// How the learning rate goes on after the warm-up.
enum class Curve : uint8_t { constant = 1, linear = 2, cosine = 3, step = 4 };
constexpr bool is_valid(Curve c) { return c >= Curve::constant && c <= Curve::step; }
std::string_view name(Curve curve);

// Numbers as the bits of an f32. Defaults are PyTorch's, but adamw's weight decay must be said.
struct Optimizer {
  OptimizerKind kind = OptimizerKind::adam;
  uint32_t lr_bits = std::bit_cast<uint32_t>(1e-3f);
  uint32_t beta1_bits = std::bit_cast<uint32_t>(0.9f);
  uint32_t beta2_bits = std::bit_cast<uint32_t>(0.999f);
  uint32_t eps_bits = std::bit_cast<uint32_t>(1e-8f);
  uint32_t weight_decay_bits = 0;
  uint32_t momentum_bits = 0;
  bool nesterov = false;
  uint64_t warmup_steps = 0;  // the learning rate rises linearly over these
  Curve curve = Curve::constant;  // linear, cosine: to 0 at the last step, in a line or along half a cosine
  uint64_t decay_every = 0;       // step: times decay_factor every so many steps
  uint32_t decay_factor_bits = std::bit_cast<uint32_t>(0.1f);
  uint32_t clip_norm_bits = 0;    // limit of the norm of all gradients together; 0: none
  uint32_t accumulate = 1;        // batches a step, whose gradients are averaged
  static constexpr auto fields() {
    using O = Optimizer;
    return std::tuple{field("kind", &O::kind),
                      field("lr_bits", &O::lr_bits),
                      field("beta1_bits", &O::beta1_bits),
                      field("beta2_bits", &O::beta2_bits),
                      field("eps_bits", &O::eps_bits),
                      field("weight_decay_bits", &O::weight_decay_bits),
                      field("momentum_bits", &O::momentum_bits),
                      field("nesterov", &O::nesterov),
                      field("warmup_steps", &O::warmup_steps),
                      field("curve", &O::curve),
                      field("decay_every", &O::decay_every),
                      field("decay_factor_bits", &O::decay_factor_bits),
                      field("clip_norm_bits", &O::clip_norm_bits),
                      field("accumulate", &O::accumulate)};
  }
};
// Error: usage, for a name that is not sgd, adam or adamw; that is no curve.
Result<OptimizerKind> parse_optimizer(std::string_view text);
Result<Curve> parse_curve(std::string_view text);
// Error: usage, for numbers that make no schedule.
Result<> check(const Optimizer& optimizer);

// Row-major f32: (steps, 1) learning rates for sgd; (steps, 3) for adam: learning rate, 1 - beta1^t, sqrt(1 - beta2^t).
Bytes schedule(const Optimizer& optimizer, uint64_t steps);
inline int64_t schedule_columns(const Optimizer& optimizer) { return optimizer.kind == OptimizerKind::sgd ? 1 : 3; }

}  // namespace cairn::runtime
