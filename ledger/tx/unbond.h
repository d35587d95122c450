// A verifier steps back.
#pragma once

#include "ledger/state.h"

namespace cairn::ledger {

// Takes bond back; it reaches the balance when the unbonding time is over, or later as far as an attempt may cost it that the
// sender had been drawn for and that goes on. What is left must cover a game and a silence, or be nothing: then the sender is a
// verifier no more.
// Rejects: invalid       an amount of 0
//          insufficient  less is bonded, or too little would be left
// Keeps:   the sender's sum
struct Unbond {
  static constexpr uint16_t kTag = 8;
  static constexpr std::string_view kName = "unbond";
  static constexpr std::array kScopes{Scope::verify};
  Amount amount;
  static constexpr auto fields() {
    return std::tuple{field("amount", &Unbond::amount)};
  }

  Result<> apply(State& state, const TxContext& context) const {
    if (amount.pebbles == 0) return Error{Code::invalid, "an amount of 0 changes nothing", "name an amount"};
    TRY(unbond(state, context.block, context.sender, Holder::bond(context.sender), amount));
    const Amount left = state.balance(Holder::bond(context.sender));
    if (left.pebbles != 0 && left < least_bond(context.params()))
      return Error{Code::insufficient, "a bond must be at least " + pretty(least_bond(context.params())) + ", or nothing",
                   "take less, or all of it"};
    if (left.pebbles == 0) state.erase(Verifier{context.sender, {}});
    return {};
  }
};

}  // namespace cairn::ledger
