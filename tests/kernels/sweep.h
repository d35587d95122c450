// Every float through the operators of one operand, and of two with the other fixed: the three instruction sets against each
// other, and the greatest error against double precision.
#pragma once

#include <cmath>
#include <optional>
#include <span>
#include <vector>

#include "kernels/operator.h"

namespace cairn::kernels {

struct Swept {
  const char* op;
  double ulp;  // limit, for x above `from`; elsewhere the error is below `absolute`
  double (*exact)(double);
  std::vector<float> attrs = {};
  std::optional<float> before = {}, after = {};  // fixed operands
  float from = -INFINITY;
  double absolute = 0;
};
std::span<const Swept> all_swept();

struct Found {
  uint64_t count = 0, differ = 0, rounded = 0;
  double worst = 0, absolute = 0;
  float worst_at = 0, absolute_at = 0;
  bool good = false;  // no instruction set differs, and every error keeps to its limit
};
// Floats 0, stride, 2 * stride, ... by their bits.
Found sweep(const Swept& function, uint64_t stride, unsigned threads);

}  // namespace cairn::kernels
