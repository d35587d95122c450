// Places by index: gather, scatter, embedding, order.
#include "runtime/aten.h"

namespace cairn::runtime {
namespace {

void on_exact(torch::Library&) {}

}  // namespace

Family aten_indexing() { return {&on_exact, {}}; }

}  // namespace cairn::runtime
