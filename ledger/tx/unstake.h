// Stake on its way back.
#pragma once

#include "ledger/state.h"

namespace cairn::ledger {

// Takes free stake back; it reaches the balance when the unbonding time is over (of a verifier's, see Unbond).
// Rejects: invalid       an amount of 0
//          insufficient  less is free: stake inside a job cannot be taken back
// Keeps:   the sender's sum
struct Unstake {
  static constexpr uint16_t kTag = 6;
  static constexpr std::string_view kName = "unstake";
  static constexpr std::array kScopes{Scope::provide};
  Amount amount;
  static constexpr auto fields() {
    return std::tuple{field("amount", &Unstake::amount)};
  }

  Result<> apply(State& state, const TxContext& context) const {
    if (amount.pebbles == 0) return Error{Code::invalid, "an amount of 0 changes nothing", "name an amount"};
    return unbond(state, context.block, context.sender, Holder::stake(context.sender), amount);
  }
};

}  // namespace cairn::ledger
