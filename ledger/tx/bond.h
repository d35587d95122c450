// Becoming a verifier.
#pragma once

#include "base/amount.h"
#include "ledger/context.h"

namespace cairn::ledger {

// Makes the sender a verifier, or adds to its bond. It may be drawn, in proportion to the bond.
// Rejects: invalid       a text too long
//          insufficient  the balance, or the bond altogether would not cover one game and one silence
// Keeps:   the sender's sum
struct Bond {
  static constexpr uint16_t kTag = 7;
  static constexpr std::string_view kName = "bond";
  Amount amount;
  std::string endpoint;  // where the verifier is reached
  static constexpr auto fields() {
    return std::tuple{field("amount", &Bond::amount), field("endpoint", &Bond::endpoint)};
  }
  Result<> apply(State& state, const TxContext& context) const;
};

}  // namespace cairn::ledger
