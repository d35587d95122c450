// The CUDA bodies, a table in the order of operators.def. It lives in cairn_kernels_cuda; a program that does not link that
// has a null reference instead (operators.cc), and its operators have no `device`.
#pragma once

#include "kernels/operator.h"

namespace cairn::kernels {
using DeviceBody = decltype(Operator::device);
namespace isa_cuda {
template <class Op>
void device_body(const CallShape& call, const StepContext* step, std::span<const void* const> in, std::span<void* const> out, void* stream);
}
}  // namespace cairn::kernels
