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
  bool cosine = false;        // and then falls to 0 along half a cosine
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
                      field("cosine", &O::cosine)};
  }
};
// Error: usage, for a name that is not sgd, adam or adamw.
Result<OptimizerKind> parse_optimizer(std::string_view text);

// Row-major f32: (steps, 1) learning rates for sgd; (steps, 3) for adam: learning rate, 1 - beta1^t, sqrt(1 - beta2^t).
Bytes schedule(const Optimizer& optimizer, uint64_t steps);
inline int64_t schedule_columns(const Optimizer& optimizer) { return optimizer.kind == OptimizerKind::sgd ? 1 : 3; }

}  // namespace cairn::runtime
