// Elementwise operators at the edges of f32, beside what the native tier runs in their place.
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/reference.h"
#include "runtime/aten.h"
#include "runtime/torch.h"

namespace cairn::runtime {
namespace {

constexpr float kEdges[] = {0.0f, -0.0f, 1.0f, -1.0f, 0.5f, -0.5f, 2.0f, 3.0f, -3.0f, 6.0f, 100.0f, -20.0f, 1e-42f, -1e-42f, INFINITY, -INFINITY, NAN};

// Where libtorch computes infinity times zero on the way to a limit, ours may be the limit.
bool alike(float ours, float theirs) {
  if (std::isnan(theirs) || std::isnan(ours)) return std::isnan(theirs);
  if (std::isinf(ours) || std::isinf(theirs)) return ours == theirs;
  return std::fabs(ours - theirs) <= 2e-5f * std::fabs(theirs) + 1e-6f;
}

TEST(Lowering, OperatorsAgreeWithLibtorchAtTheEdges) {
  int seen = 0;
  for (const Family& family : aten_families())
    for (const Lowering& lowering : family.lowerings) {
      const kernels::Operator& op = *kernels::find_operator(lowering.op);
      const kernels::KnownCall known = kernels::known_call(op);
      std::vector<float> edges;
      for (const float edge : kEdges)
        if (known.low < 0 || (edge >= known.low && edge <= known.high)) edges.push_back(edge);
      if (std::isnan(edges.back()) && known.in.size() > 1) edges.pop_back();  // it goes into functions of one operand alone
      int64_t count = 1;
      for (size_t k = 0; k < known.in.size(); k++) count *= std::ssize(edges);
      const std::vector<kernels::TensorType> in(known.in.size(), kernels::f32({count, 1}));
      if (known.in.size() > 3 || !kernels::is_elementwise(op)) continue;
      seen++;
      std::vector<at::Tensor> operands;
      std::vector<const void*> pointers;
      int64_t every = 1;
      for (size_t k = 0; k < in.size(); k++, every *= std::ssize(edges)) {
        operands.push_back(at::empty({count, 1}));
        for (int64_t i = 0; i < count; i++) operands[k].data_ptr<float>()[i] = edges[static_cast<size_t>(i / every) % edges.size()];
        pointers.push_back(operands[k].const_data_ptr());
      }
      attest::Call call;
      call.attrs = known.attrs;
      call.input_types = in;
      call.output_types = {in[0]};
      const at::Tensor theirs = lowering.run({call, {}, operands})[0].contiguous();
      const at::Tensor ours = at::empty({count, 1});
      void* const to = ours.mutable_data_ptr();
      kernels::run_reference(op, {in, call.output_types, known.attrs}, {}, pointers, {&to, 1});
      for (int64_t i = 0; i < count; i++) {
        const float x = ours.const_data_ptr<float>()[i], y = theirs.const_data_ptr<float>()[i];
        if (alike(x, y)) continue;
        std::string at;
        for (const at::Tensor& operand : operands) at += " " + std::to_string(operand.const_data_ptr<float>()[i]);
        ADD_FAILURE() << op.name << " of" << at << ": " << x << ", and " << y << " by libtorch";
      }
    }
  EXPECT_GT(seen, 60);
}

}  // namespace
}  // namespace cairn::runtime
