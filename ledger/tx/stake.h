// What a provider may put into jobs.
#pragma once

#include "ledger/market.h"

namespace cairn::ledger {

// Moves CRN from the sender's balance to its free stake, and lets its offers seek jobs.
// Rejects: invalid       an amount of 0
//          insufficient
// Keeps:   the sender's sum
struct Stake {
  static constexpr uint16_t kTag = 5;
  static constexpr std::string_view kName = "stake";
  static constexpr std::array kScopes{Scope::provide};
  Amount amount;
  static constexpr auto fields() {
    return std::tuple{field("amount", &Stake::amount)};
  }

  Result<> apply(State& state, const TxContext& context) const {
    if (amount.pebbles == 0) return Error{Code::invalid, "an amount of 0 changes nothing", "name an amount"};
    TRY(state.move(Holder::account(context.sender), Holder::stake(context.sender), amount));
    look_for_jobs(state, context.block, context.sender);
    return {};
  }
};

}  // namespace cairn::ledger
