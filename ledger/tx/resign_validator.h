// Leaving the validator set.
#pragma once

#include "ledger/validators.h"

namespace cairn::ledger {

// Takes the sender out of the set, in force two blocks later. Its stake reaches the balance when the unbonding time is over,
// and can be slashed until then.
// Rejects: not_found  the sender is no validator
//          already    it has resigned
//          invalid    nobody else would remain
// Keeps:   the sender's sum
struct ResignValidator {
  static constexpr uint16_t kTag = 31;
  static constexpr std::string_view kName = "resign_validator";
  static constexpr auto fields() { return std::tuple{}; }

  Result<> apply(State& state, const TxContext& context) const {
    auto validator = state.validator(context.sender);
    if (!validator) return gone("validator", context.sender.as<HashTag>());
    if (validator->resigned) return Error{Code::already, "this validator has resigned", "wait until its stake is free"};
    bool others = false;
    state.scan<Validator>(make_key('V'), [&](const Validator& other) {
      others |= other.account != context.sender && !other.resigned && !other.equivocated && !other.jailed_until;
      return !others;
    });
    if (!others) return Error{Code::invalid, "the chain would have no validator", "let another one join first"};
    retire(state, context.block, *std::move(validator));
    return {};
  }
};

}  // namespace cairn::ledger
