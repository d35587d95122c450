#include "kernels/reference.h"

#include <memory>

#include "base/blake3.h"

namespace cairn::kernels {

MemorySource::MemorySource(const CallShape& call, std::span<const void* const> in, std::span<void* const> out) {
  for (size_t k = 0; k < call.in.size(); k++) operands_.push_back({in[k], call.in[k].dtype});
  for (size_t k = 0; k < call.out.size(); k++) operands_.push_back({out[k], call.out[k].dtype});
}

uint64_t MemorySource::bits(size_t operand, int64_t element) {
  const Operand& o = operands_[operand];
  switch (o.dtype) {
    case DType::i64: return static_cast<const uint64_t*>(o.data)[element];
    case DType::u8: return static_cast<const uint8_t*>(o.data)[element];
    case DType::bf16: return static_cast<const uint16_t*>(o.data)[element];
    case DType::f32:
    case DType::i32: break;
  }
  return static_cast<const uint32_t*>(o.data)[element];
}

void run_reference(const Operator& op, const CallShape& call, const StepContext& step, std::span<const void* const> in,
                   std::span<void* const> out) {
  require_cpu_state();
  MemorySource source(call, in, out);
  for (size_t o = 0; o < call.out.size(); o++) {
    const int64_t count = elements(call.out[o]), blocks = op.blocks(call, o);
    for (int64_t e = 0; e < count; e++) {
      Carry carry;
      for (int64_t b = 0; b < blocks; b++) carry = op.fold(call, step, o, e, b, carry, source);
      switch (call.out[o].dtype) {
        case DType::i64: static_cast<uint64_t*>(out[o])[e] = carry.lo; break;
        case DType::u8: static_cast<uint8_t*>(out[o])[e] = static_cast<uint8_t>(carry.lo); break;
        case DType::bf16: static_cast<uint16_t*>(out[o])[e] = static_cast<uint16_t>(carry.lo); break;
        case DType::f32:
        case DType::i32: static_cast<uint32_t*>(out[o])[e] = static_cast<uint32_t>(carry.lo); break;
      }
    }
  }
}

std::vector<Bytes> known_operands(const KnownCall& call) {
  std::vector<Bytes> all;
  for (size_t k = 0; k < call.in.size(); k++) {
    const int64_t count = elements(call.in[k]);
    Bytes data(static_cast<size_t>(bytes(call.in[k])));
    for (int64_t e = 0; e < count; e++) {
      const float u = philox_uniform(1, static_cast<uint32_t>(k), e);
      const int64_t label = static_cast<int64_t>(u * static_cast<float>(call.labels));
      const float value = call.low + (call.high - call.low) * u;
      uint64_t bits = static_cast<uint64_t>(label);
      if (call.in[k].dtype == DType::f32) bits = std::bit_cast<uint32_t>(value);
      if (call.in[k].dtype == DType::bf16) bits = std::bit_cast<uint32_t>(value) >> 16;
      const size_t size = static_cast<size_t>(size_of(call.in[k].dtype));
      std::memcpy(data.data() + static_cast<size_t>(e) * size, &bits, size);
    }
    all.push_back(std::move(data));
  }
  return all;
}

Hash known_answer(const Operator& op, const Run& run) {
  const KnownCall known = known_call(op);
  const Types out_types = must(op.infer(known.in, known.attrs));
  const CallShape call{known.in, out_types, known.attrs};
  const auto aligned = [](size_t size) {
    const size_t whole = (size + 63) / 64 * 64;
    return std::unique_ptr<void, decltype(&std::free)>(std::aligned_alloc(64, whole), &std::free);
  };
  std::vector<decltype(aligned(0))> buffers;
  std::vector<const void*> in;
  std::vector<void*> out;
  for (const Bytes& data : known_operands(known)) {
    buffers.push_back(aligned(data.size()));
    std::memcpy(buffers.back().get(), data.data(), data.size());
    in.push_back(buffers.back().get());
  }
  for (const TensorType& type : out_types) {
    buffers.push_back(aligned(static_cast<size_t>(bytes(type))));
    out.push_back(buffers.back().get());
  }
  Hasher hasher;
  for (const uint64_t step : {0, 3}) {
    run(call, {2026, step}, in, out);
    for (size_t o = 0; o < out.size(); o++)
      hasher.update({static_cast<const uint8_t*>(out[o]), static_cast<size_t>(bytes(out_types[o]))});
  }
  return hasher.finish();
}

Hash known_answer(const Operator& op, std::optional<Isa> isa, Pool* pool) {
  return known_answer(op, [&](const CallShape& call, const StepContext& step, std::span<const void* const> in, std::span<void* const> out) {
    if (isa) op.host(call, step, in, out, {*isa, pool});
    else run_reference(op, call, step, in, out);
  });
}

bool is_elementwise(const Operator& op) {
  const KnownCall known = known_call(op);
  const std::vector<TensorType> column(known.in.size(), f32({100, 1}));  // in which a reduction has nothing to reduce but would give another shape
  for (const TensorType& type : known.in)
    if (type.dtype != DType::f32 || type.shape != known.in[0].shape) return false;
  const auto out = op.infer(column, known.attrs);
  return !known.in.empty() && out && out->size() == 1 && (*out)[0] == column[0];
}

std::string_view golden_answer(const Operator& op) {
  struct Golden {
    uint16_t id;
    std::string_view digest;
  };
  static constexpr Golden kGolden[] = {
#include "kernels/golden.inc"
      {0, ""},
  };
  for (const Golden& golden : kGolden)
    if (golden.id == op.id) return golden.digest;
  return {};
}

Result<> check_known_answer(const Operator& op, const Exec& exec) {
  const std::string_view want = golden_answer(op);
  const std::string have = known_answer(op, exec.isa, exec.pool).hex();
  if (have == want) return {};
  return Error{Code::known_answer, std::string(op.name) + " gives " + have + " on " + std::string(name(exec.isa)) + ", not " + std::string(want),
               "this machine computes other bits: do not serve; run the tests of kernels/ and report it"};
}

Result<> self_test(Isa isa) {
  for (const Operator* op : operators()) TRY(check_known_answer(*op, {isa, nullptr}));
  return {};
}

}  // namespace cairn::kernels
