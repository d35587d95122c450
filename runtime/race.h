// Ours beside stock eager libtorch, as two things to call in turn: what cairn-bench times. No libtorch in this header.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "kernels/operator.h"

namespace cairn::runtime {

struct Race {
  std::function<void()> ours;
  std::function<void()> theirs;
};

// C (m, n) = A (m, k) B (k, n): matmul.f32.v1 beside at::mm_out, both with `threads`.
Race race_product(int64_t m, int64_t n, int64_t k, int threads);

// An operator beside its native lowering, stock ATen. f32 operands are uniform in (0, 1), integers in 0 .. labels - 1.
Race race_lowering(std::string_view op, const std::vector<kernels::TensorType>& in, std::vector<int64_t> attrs, int threads, int64_t labels = 7);

// A training step with batch, forward, backward and Adam: the executor on the traced plan beside eager autograd with the
// updates of PyTorch's default (single tensor) Adam.
struct Perceptron {
  int64_t inputs = 64;
  std::vector<int64_t> hidden = {128};
  int64_t classes = 10;
  bool layer_norm = false;  // after each hidden layer
  int64_t rows = 1437;
  int64_t batch = 64;
};
Result<Race> race_step(const Perceptron& model, int threads);

}  // namespace cairn::runtime
