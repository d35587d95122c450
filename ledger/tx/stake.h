// What a provider may put into jobs.
#pragma once

#include "base/amount.h"
#include "ledger/context.h"

namespace cairn::ledger {

// Moves CRN from the sender's balance to its free stake, and tries the oldest open jobs against its offers.
// Rejects: invalid       an amount of 0
//          insufficient
// Keeps:   the sender's sum
struct Stake {
  static constexpr uint16_t kTag = 5;
  static constexpr std::string_view kName = "stake";
  Amount amount;
  static constexpr auto fields() {
    return std::tuple{field("amount", &Stake::amount)};
  }
  Result<> apply(State& state, const TxContext& context) const;
};

}  // namespace cairn::ledger
