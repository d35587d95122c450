// The list of operators, and what is the same for each: texts and rules wrapped for the table, dispatch by instruction set.
#include <algorithm>
#include <cstdlib>

#include "kernels/device.h"
#include "kernels/host.h"
#include "kernels/operators.def"

extern "C" __attribute__((weak)) const cairn::kernels::DeviceBody* cairn_kernels_device_bodies();

namespace cairn::kernels {
namespace {

using namespace isa_scalar;

// Position in operators.def.
enum Index : size_t {
#define OPERATOR(Op) k##Op,
#include "kernels/operators.def"
#undef OPERATOR
};

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
  CHECK(in.size() + out->size() <= size_t{most_operands<Op>()});
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

template <class Op, size_t kIndex>
void host_of(const CallShape& call, const StepContext& step, std::span<const void* const> in, std::span<void* const> out,
             const Exec& exec) {
  const typename Op::Args args = Op::args(call);
  const HostBody* table = exec.isa >= Isa::avx512 ? kHostAvx512 : exec.isa == Isa::avx2 ? kHostAvx2 : kHostScalar;
  table[kIndex](&args, {step, in.data(), out.data(), exec.pool, exec.isa});
}

template <class Op, size_t kIndex>
void device_of(const CallShape& call, const StepContext& step, std::span<const void* const> in, std::span<void* const> out,
               void* stream) {
  const typename Op::Args args = Op::args(call);
  cairn_kernels_device_bodies()[kIndex](&args, call, step, in.data(), out.data(), stream);
}

template <class Op, size_t kIndex>
Operator make() {
  return {
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
      .host = host_of<Op, kIndex>,
      .device = &cairn_kernels_device_bodies != nullptr ? device_of<Op, kIndex> : nullptr,
  };
}

}  // namespace

std::span<const Operator* const> operators() {
  static const Operator all[] = {
#define OPERATOR(Op) make<Op, k##Op>(),
#include "kernels/operators.def"
#undef OPERATOR
  };
  static const std::vector<const Operator*> list = [] {
    std::vector<const Operator*> pointers;
    for (const Operator& op : all) pointers.push_back(&op);
    CHECK(std::is_sorted(pointers.begin(), pointers.end(), [](auto* a, auto* b) { return a->id < b->id; }));
    return pointers;
  }();
  return list;
}

const Operator* find_operator(uint16_t id) {
  for (const Operator* op : operators())
    if (op->id == id) return op;
  return nullptr;
}

const Operator* find_operator(std::string_view name) {
  for (const Operator* op : operators())
    if (op->name == name) return op;
  return nullptr;
}

KnownCall known_call(const Operator& op) {
  switch (op.id) {
#define OPERATOR(Op)        \
  case Op::kText.id:        \
    return Op::known();
#include "kernels/operators.def"
#undef OPERATOR
  }
  CHECK(false);
  return {};
}

// ---- types and instruction sets -------------------------------------------------------------------------------------------

std::string_view name(DType t) {
  switch (t) {
    case DType::f32: return "f32";
    case DType::i64: return "i64";
    case DType::i32: return "i32";
    case DType::u8: return "u8";
    case DType::bf16: return "bf16";
  }
  return "?";
}

Result<int64_t> elements_checked(const TensorType& type) {
  constexpr int64_t kMaxBytes = int64_t{1} << 46;
  if (!is_valid(type.dtype)) return Error{Code::shape, "unknown dtype", ""};
  int64_t count = 1;
  for (const int64_t dim : type.shape) {
    if (dim < 0) return Error{Code::shape, "a dimension of " + to_string(type) + " is negative", ""};
    if (dim == 0) count = 0;
  }
  if (count == 0) return 0;
  for (const int64_t dim : type.shape)
    if (__builtin_mul_overflow(count, dim, &count) || count > kMaxBytes / size_of(type.dtype))
      return Error{Code::shape, to_string(type) + " is larger than 2^46 bytes", ""};
  return count;
}

int64_t elements(const TensorType& type) {
  int64_t count = 1;
  for (const int64_t dim : type.shape) count *= dim;
  return count;
}

std::string to_string(const TensorType& type) {
  std::string out = std::string(name(type.dtype)) + "[";
  for (size_t d = 0; d < type.shape.size(); d++) out += (d ? ", " : "") + std::to_string(type.shape[d]);
  return out + "]";
}

std::string_view name(Isa isa) {
  constexpr std::string_view kNames[] = {"scalar", "avx2", "avx512", "vnni"};
  return kNames[static_cast<size_t>(isa)];
}

Isa best_isa() {
  static const Isa best = [] {
    Isa isa = Isa::scalar;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
      isa = Isa::avx2;
      if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
          __builtin_cpu_supports("avx512vl"))
        isa = __builtin_cpu_supports("avx512vnni") ? Isa::vnni : Isa::avx512;
    }
    const char* wanted = std::getenv("CAIRN_ISA");
    for (const Isa lower : {Isa::scalar, Isa::avx2, Isa::avx512})
      if (wanted && name(lower) == wanted) isa = std::min(isa, lower);
    return isa;
  }();
  return best;
}

}  // namespace cairn::kernels
