// Paying somebody.
#pragma once

#include "ledger/accounts.h"

namespace cairn::ledger {

// Moves CRN from the sender to `to`, and pays for the record of an account that the state does not know (R8).
// Rejects: insufficient  the sender holds less than `amount` and that deposit
//          limit         the receiver's balance would overflow
// Keeps:   the sum of all balances; the deposit stands in deposit(to)
struct Transfer {
  static constexpr uint16_t kTag = 1;
  static constexpr std::string_view kName = "transfer";
  static constexpr std::array kScopes{Scope::pay};
  AccountId to;
  Amount amount;
  static constexpr auto fields() {
    return std::tuple{field("to", &Transfer::to), field("amount", &Transfer::amount)};
  }

  Result<> apply(State& state, const TxContext& context) const {
    if (amount.pebbles != 0) TRY(bring_in(state, context, to));
    return state.move(Holder::account(context.sender), Holder::account(to), amount);
  }
};

}  // namespace cairn::ledger
