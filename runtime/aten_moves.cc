// Bytes that change place or type.
#include "runtime/aten.h"

namespace cairn::runtime {
namespace {

void on_exact(torch::Library&) {}

// ---- the native tier ----

constexpr Lowering kLowerings[] = {
    {"permute.v1", [](const Lowered& c) -> Outputs { return {c.in[0].permute(c.call.attrs).contiguous()}; }},
    {"broadcast.v1", [](const Lowered& c) -> Outputs { return {c.in[0].expand(c.call.attrs).contiguous()}; }},
    {"cast.v1", [](const Lowered& c) -> Outputs { return {c.in[0].to(torch_type(static_cast<kernels::DType>(c.n(0))))}; }},
};

}  // namespace

Family aten_moves() { return {&on_exact, kLowerings}; }

}  // namespace cairn::runtime
