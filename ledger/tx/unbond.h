// A verifier steps back.
#pragma once

#include "base/amount.h"
#include "ledger/context.h"

namespace cairn::ledger {

// Takes bond back; it reaches the balance when the unbonding time is over. What is left must cover a game and a silence,
// or be nothing: then the sender is a verifier no more.
// Rejects: invalid       an amount of 0
//          insufficient  less is bonded, or too little would be left
//          wrong_state   drawn for a check that is not over
// Keeps:   the sender's sum
struct Unbond {
  static constexpr uint16_t kTag = 8;
  static constexpr std::string_view kName = "unbond";
  Amount amount;
  static constexpr auto fields() {
    return std::tuple{field("amount", &Unbond::amount)};
  }
  Result<> apply(State& state, const TxContext& context) const;
};

}  // namespace cairn::ledger
