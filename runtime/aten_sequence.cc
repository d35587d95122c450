// Attention, recurrence, norms of language models.
#include "runtime/aten.h"

namespace cairn::runtime {
namespace {

void on_exact(torch::Library&) {}

}  // namespace

Family aten_sequence() { return {&on_exact, {}}; }

}  // namespace cairn::runtime
