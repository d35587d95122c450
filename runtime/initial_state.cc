#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/arith.h"
#include "kernels/philox.h"
#include "runtime/executor.h"
#include "runtime/trace.h"

namespace cairn::runtime {

attest::Init default_init(const Parameter& parameter) {
  const std::vector<int64_t>& shape = parameter.type.shape;
  if (parameter.type.dtype != kernels::DType::f32 && parameter.type.dtype != kernels::DType::bf16) return {};
  if (shape.size() >= 2) {
    double fan_in = 1;
    for (size_t d = 1; d < shape.size(); d++) fan_in *= static_cast<double>(shape[d]);
    return {attest::InitKind::uniform, std::bit_cast<uint32_t>(static_cast<float>(1 / std::sqrt(std::max(fan_in, 1.0))))};
  }
  const std::string last = parameter.name.substr(parameter.name.rfind('.') + 1);
  if (shape.size() == 1 && (last == "weight" || last == "running_var"))
    return {attest::InitKind::fill, std::bit_cast<uint32_t>(1.0f)};
  return {};
}

Result<Bytes> initial_slot(const attest::StateSlot& slot, uint32_t ordinal, uint64_t seed, ByteSpan given) {
  const auto size = static_cast<size_t>(kernels::bytes(slot.type));
  Bytes bytes(size);
  const auto fill = [&](auto value_of) {
    for (int64_t i = 0; i < kernels::elements(slot.type); i++) {
      const float value = value_of(i);
      const uint16_t half = kernels::isa_scalar::to_bf16(value);
      if (slot.type.dtype == kernels::DType::bf16) std::memcpy(&bytes[static_cast<size_t>(i) * 2], &half, 2);
      else std::memcpy(&bytes[static_cast<size_t>(i) * 4], &value, 4);
    }
  };
  const float value = std::bit_cast<float>(slot.init.value_bits);
  switch (slot.init.kind) {
    case attest::InitKind::zeros: break;
    case attest::InitKind::fill: fill([&](int64_t) { return value; }); break;
    case attest::InitKind::uniform:
      fill([&](int64_t i) { return value * (2.0f * kernels::philox_uniform(seed, 0x80000000u + ordinal, i) - 1.0f); });
      break;
    case attest::InitKind::given:
      if (given.size() != size)
        return Error{Code::shape, "state '" + slot.name + "' must be given as " + kernels::to_string(slot.type), "bring it among the inputs"};
      bytes.assign(given.begin(), given.end());
  }
  return bytes;
}

Result<State> initial_state(const attest::Plan& plan, uint64_t seed, std::span<const ByteSpan> given) {
  State state;
  for (uint32_t s = 0; s < plan.state.size(); s++) {
    TRY_LET(bytes, initial_slot(plan.state[s], s, seed, s < given.size() ? given[s] : ByteSpan{}));
    state.slots.push_back(std::move(bytes));
  }
  return state;
}

}  // namespace cairn::runtime
