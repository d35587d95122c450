// Becoming a verifier.
#pragma once

#include "ledger/state.h"

namespace cairn::ledger {

// Makes the sender a verifier, or adds to its bond. It may be drawn, in proportion to the bond.
// Rejects: invalid       a text too long
//          insufficient  the balance, or the bond altogether would not cover one game and one silence
// Keeps:   the sender's sum
struct Bond {
  static constexpr uint16_t kTag = 7;
  static constexpr std::string_view kName = "bond";
  static constexpr std::array kScopes{Scope::verify};
  Amount amount;
  std::string endpoint;  // where the verifier is reached
  static constexpr auto fields() {
    return std::tuple{field("amount", &Bond::amount), field("endpoint", &Bond::endpoint)};
  }

  Result<> apply(State& state, const TxContext& context) const {
    if (endpoint.size() > 256) return Error{Code::invalid, "the endpoint is too long", "use at most 256 bytes"};
    TRY(state.move(Holder::account(context.sender), Holder::bond(context.sender), amount));
    if (state.balance(Holder::bond(context.sender)) < least_bond(context.params()))
      return Error{Code::insufficient, "a bond must be at least " + pretty(least_bond(context.params())), "bond more"};
    state.put(Verifier{context.sender, endpoint});
    context.block.emit("verifier.bonded", context.sender.as<HashTag>(),
                       {{"bond", to_json(state.balance(Holder::bond(context.sender)))}, {"endpoint", json_quote(endpoint)}});
    return {};
  }
};

}  // namespace cairn::ledger
