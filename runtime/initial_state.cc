#include <cstring>

#include "kernels/philox.h"
#include "runtime/executor.h"

namespace cairn::runtime {

Result<State> initial_state(const attest::Plan& plan, uint64_t seed, std::span<const ByteSpan> given) {
  State state;
  for (uint32_t s = 0; s < plan.state.size(); s++) {
    const attest::StateSlot& slot = plan.state[s];
    const auto size = static_cast<size_t>(kernels::bytes(slot.type));
    Bytes bytes(size);
    const auto fill = [&](auto value_of) {
      for (int64_t i = 0; i < kernels::elements(slot.type); i++) {
        const float value = value_of(i);
        std::memcpy(&bytes[static_cast<size_t>(i) * 4], &value, 4);
      }
    };
    const float value = std::bit_cast<float>(slot.init.value_bits);
    switch (slot.init.kind) {
      case attest::InitKind::zeros: break;
      case attest::InitKind::fill: fill([&](int64_t) { return value; }); break;
      case attest::InitKind::uniform:
        fill([&](int64_t i) { return value * (2.0f * kernels::philox_uniform(seed, 0x80000000u + s, i) - 1.0f); });
        break;
      case attest::InitKind::given:
        if (s >= given.size() || given[s].size() != size)
          return Error{Code::shape, "state '" + slot.name + "' must be given as " + kernels::to_string(slot.type), "bring it among the inputs"};
        bytes.assign(given[s].begin(), given[s].end());
    }
    state.slots.push_back(std::move(bytes));
  }
  return state;
}

}  // namespace cairn::runtime
