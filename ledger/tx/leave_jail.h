// A validator comes back from jail.
#pragma once

#include "ledger/validators.h"

namespace cairn::ledger {

// Rejects: not_found    the sender is no validator
//          invalid      it is not in jail
//          wrong_state  its time is not over
struct LeaveJail {
  static constexpr uint16_t kTag = 32;
  static constexpr std::string_view kName = "leave_jail";
  static constexpr auto fields() { return std::tuple{}; }

  Result<> apply(State& state, const TxContext& context) const {
    auto validator = state.validator(context.sender);
    if (!validator) return gone("validator", context.sender.as<HashTag>());
    if (!validator->jailed_until) return Error{Code::invalid, "this validator is not in jail", "nothing is to be done"};
    if (ms(context.block.now) < ms(*validator->jailed_until))
      return Error{Code::wrong_state, "it is in jail until chain time " + std::to_string(ms(*validator->jailed_until)), "ask again then"};
    validator->jailed_until.reset();
    validator->absent = 0;
    state.put(*validator);
    return {};
  }
};

}  // namespace cairn::ledger
