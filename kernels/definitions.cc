// The entries of a family: what is the same for every operator, texts and rules wrapped for the table, dispatch by instruction
// set.
#include "kernels/family.h"
#include "kernels/host.h"

namespace cairn::kernels {
namespace {

template <class Op>
Result<Types> infer_checked(std::span<const TensorType> in, std::span<const int64_t> attrs) {
  const auto refuse = [](Error error) {
    error.text = std::string(Op::kText.name) + ": " + error.text;
    return error;
  };
  for (const TensorType& type : in) {
    const auto count = elements_checked(type);
    if (!count) return refuse(count.error());
    if (*count == 0) return refuse({Code::shape, "an operand is empty", ""});
  }
  auto out = Op::infer(in, attrs);
  if (!out) return refuse(out.error());
  CHECK(in.size() + out->size() <= size_t{isa_scalar::most_operands<Op>()});
  for (const TensorType& type : *out)
    if (const auto count = elements_checked(type); !count) return refuse(count.error());
  return out;
}

template <class Op>
Cost cost_of(const CallShape& call) {
  uint64_t moved = 0;
  if constexpr (requires { Op::moved_bytes(call); }) {
    moved = Op::moved_bytes(call);
  } else {
    for (const TensorType& type : call.in) moved += static_cast<uint64_t>(bytes(type));
    for (const TensorType& type : call.out) moved += static_cast<uint64_t>(bytes(type));
  }
  return {Op::multiply_adds(Op::args(call)), moved};
}

template <class Op>
void scalar_body(const void* args, const HostCall& call) {
  Op::host(*static_cast<const typename Op::Args*>(args), call);
}
template <class Op, HostBody... kFast>
void host_of(const CallShape& call, const StepContext& step, std::span<const void* const> in, std::span<void* const> out,
             const Exec& exec) {
  const typename Op::Args args = Op::args(call);
  constexpr HostBody kBodies[] = {scalar_body<Op>, kFast...};
  const size_t body = exec.isa == Isa::scalar ? 0 : exec.isa == Isa::avx2 || exec.isa == Isa::neon ? 1 : 2;
  kBodies[body](&args, {step, in.data(), out.data(), exec.pool, exec.isa});
}

}  // namespace

template <class Op, HostBody... kFast>
Entry entry() {
  return {{
              .id = Op::kText.id,
              .name = Op::kText.name,
              .formula = Op::kText.formula,
              .order = Op::kText.order,
              .source = Op::kText.source,
              .attrs = Op::attrs(),
              .in_place = Op::in_place(),
              .infer = infer_checked<Op>,
              .cost = cost_of<Op>,
              .blocks = [](const CallShape& call, size_t output) { return Op::blocks(Op::args(call), output); },
              .fold = [](const CallShape& call, const StepContext& step, size_t output, int64_t element, int64_t block, Carry carry,
                         Source& source) { return Op::fold(Op::args(call), step, output, element, block, carry, source); },
              .host = host_of<Op, kFast...>,
              .device = nullptr,
          },
          &Op::known};
}

#define FAMILY_OPERATOR(Op) DECLARE_OPERATOR(Op) template Entry ENTRY(Op)();
#include "kernels/operators.def"

}  // namespace cairn::kernels
