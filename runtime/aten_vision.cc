// Convolution, pooling, batch and group norm, resampling.
#include "runtime/aten.h"

namespace cairn::runtime {
namespace {

void on_exact(torch::Library&) {}

}  // namespace

Family aten_vision() { return {&on_exact, {}}; }

}  // namespace cairn::runtime
