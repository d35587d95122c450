// Every float through the operators of one operand, and of two with the other fixed: the instruction sets against each other, and
// the greatest error against double precision.
//
// All 2^32 of them want speed: the definition is compiled anew with instructions for fused multiply-add, where the library calls a
// function (a sample of the inputs holds both against each other), and what is exact comes of libm's vector functions (within 4
// ulp of a double: 2^-27 of a float's).
#pragma once

#include <cmath>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/operator.h"

namespace cairn::kernels {

inline constexpr size_t kSweepChunk = 1 << 13;  // inputs that are swept together: what stays in a cache

struct Swept {
  const char* op;
  double ulp;  // limit, for x above `from`; elsewhere the error is below `absolute`
  void (*exact)(const float* x, double* y);  // of a chunk
  std::vector<float> attrs = {};
  std::optional<float> before = {}, after = {};  // fixed operands
  float from = -INFINITY;
  double absolute = 0;

  std::string name() const;  // with what is fixed: "pow.v1(x, 0.3)"
};
std::span<const Swept> all_swept();

struct Found {
  uint64_t count = 0, differ = 0, rounded = 0;
  double worst = 0, absolute = 0;
  float worst_at = 0, absolute_at = 0;
  bool good = false;  // no instruction set differs, and every error keeps to its limit
};
// Floats 0, stride, 2 * stride, ... by their bits; of a sample, the round ones besides. Needs AVX2.
Found sweep(const Swept& function, uint64_t stride, unsigned threads);

// The parts of it that are compiled apart. Of a chunk:
void run_definition(std::string_view op, const CallShape& call, std::span<const void* const> in, void* out);  // with FMA
void add_errors(const Swept& function, const float* x, const float* y, Found& found);

}  // namespace cairn::kernels
