// Paying somebody.
#pragma once

#include "ledger/state.h"

namespace cairn::ledger {

// Moves CRN from the sender to `to`.
// Rejects: insufficient  the sender holds less than `amount`
//          limit         the receiver's balance would overflow
// Keeps:   the sum of all balances
struct Transfer {
  static constexpr uint16_t kTag = 1;
  static constexpr std::string_view kName = "transfer";
  AccountId to;
  Amount amount;
  static constexpr auto fields() {
    return std::tuple{field("to", &Transfer::to), field("amount", &Transfer::amount)};
  }

  Result<> apply(State& state, const TxContext& context) const {
    return state.move(Holder::account(context.sender), Holder::account(to), amount);
  }
};

}  // namespace cairn::ledger
