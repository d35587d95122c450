// The definitions of the operators that are swept, one element after the other, with the processor's fused multiply-add.
#include <algorithm>

#include "kernels/family.h"
#include "tests/kernels/sweep.h"

namespace cairn::kernels {
namespace {

struct Definition {
  std::string_view op;
  void (*run)(const CallShape& call, std::span<const void* const> in, void* out);
};

template <class Op>
void run(const CallShape& call, std::span<const void* const> in, void* out) {
  void* const outputs[] = {out};
  Op::host(Op::args(call), {{}, in.data(), outputs, nullptr, Isa::scalar});
}

constexpr Definition kDefinitions[] = {
#define FAMILY_OPERATOR(Op) {CAIRN_ISA::Op::kText.name, run<CAIRN_ISA::Op>},
#include "kernels/operators.def"
};

}  // namespace

void run_definition(std::string_view op, const CallShape& call, std::span<const void* const> in, void* out) {
  static_assert(CAIRN_ISA::kWidth == 1);
  const auto* const found = std::ranges::find(kDefinitions, op, &Definition::op);
  CHECK(found != std::end(kDefinitions));
  found->run(call, in, out);
}

}  // namespace cairn::kernels
