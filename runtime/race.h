// Ours beside stock eager libtorch, as two things to call in turn: what cairn-bench times. No libtorch in this header.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "kernels/operator.h"
#include "runtime/program.h"

namespace cairn::runtime {

struct Race {
  std::function<void()> ours;
  std::function<void()> theirs;
};

// C (m, n) = A (m, k) B (k, n): `op`, a product of one of the numeric classes, beside at::mm_out (sgemm), both with `threads`.
Race race_product(std::string_view op, int64_t m, int64_t n, int64_t k, int threads);

// attention.f32.v1, or its gradient, beside libtorch's fused attention for CPUs.
Race race_attention(int64_t heads, int64_t length, int64_t depth, bool causal, bool backward, int threads);

// A convolution by 3 x 3 with bias, padded so that images keep their size; or all its gradients.
struct ImageShape {
  int64_t n, channels, height, width, filters, groups = 1;
};
Race race_convolution(const ImageShape& shape, bool backward, int threads);

// An operator beside its native lowering, stock ATen. f32 operands are uniform in (0, 1), integers in 0 .. labels - 1.
Race race_lowering(std::string_view op, const std::vector<kernels::TensorType>& in, std::vector<int64_t> attrs, int threads, int64_t labels = 7);

// A program with its data: `rows` of them, drawn as above, of which a step takes `batch`.
struct ProgramRace {
  Program program;
  int64_t rows = 0;
  int64_t batch = 0;
  int64_t labels = 10;  // integers of the data are 0 .. labels - 1
  bool train = true;    // with batch, forward, backward, Adam and its zero_grad; else forward alone
};
// The executor on the traced plan beside the same program over stock eager ATen, its graph called operator by operator, with
// autograd's backward and the updates of PyTorch's default (single tensor) Adam. Both start from the same weights.
// Errors: those of the tracer.
Result<Race> race_program(const ProgramRace& race, int threads);

// The executor beside the dispatcher: a step by libtorch on the `exact` device, as the tracer rehearses it, which records its calls
// and hashes their outputs.
Result<Race> race_dispatcher(const ProgramRace& race, int threads);

// Bytes that tensors hold at once in a step, data, weights and all, counted at each side's allocator.
struct PeakBytes {
  uint64_t ours = 0;
  uint64_t theirs = 0;
};
Result<PeakBytes> peak_bytes(const ProgramRace& race);

// A perceptron as torch.export would write it: x, y in, the loss out.
Program perceptron(int64_t batch, int64_t inputs, const std::vector<int64_t>& hidden, int64_t classes, bool layer_norm);

}  // namespace cairn::runtime
