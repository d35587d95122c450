// Operators run by their definition, for tests and start-up.
#pragma once

#include <functional>

#include "kernels/ops/op.h"

namespace cairn::kernels {

// The operands of a call and outputs of an operator in memory, as a fold sees them.
class MemorySource final : public Source {
 public:
  MemorySource(const CallShape& call, std::span<const void* const> in, std::span<void* const> out);
  uint64_t bits(size_t operand, int64_t element) override;

 private:
  struct Operand {
    const void* data;
    DType dtype;
  };
  std::vector<Operand> operands_;
};

KnownCall known_call(const Operator& op);
// Whether its one output has an element for one element of each operand, all of them f32: it then takes operands of any one shape.
bool is_elementwise(const Operator& op);
// The operands of a known call: bytes by Philox.
std::vector<Bytes> known_operands(const KnownCall& call);
// BLAKE3 over all outputs of the known call at steps 0 and 3, seed 2026, as `run` computes them.
using Run = std::function<void(const CallShape& call, const StepContext& step, std::span<const void* const> in, std::span<void* const> out)>;
Hash known_answer(const Operator& op, const Run& run);
// The same, run by `fold` (isa empty) or by a host body.
Hash known_answer(const Operator& op, std::optional<Isa> isa, Pool* pool = nullptr);
// Whether a host body gives it. Error: known_answer.
Result<> check_known_answer(const Operator& op, const Exec& exec);
// What it must be, in hexadecimal: golden.inc. Empty for an operator that has no line there.
std::string_view golden_answer(const Operator& op);

}  // namespace cairn::kernels
