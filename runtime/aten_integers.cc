// Integers and truth values: arithmetic, comparison, choice.
#include "runtime/aten.h"

namespace cairn::runtime {
namespace {

void on_exact(torch::Library&) {}

}  // namespace

Family aten_integers() { return {&on_exact, {}}; }

}  // namespace cairn::runtime
