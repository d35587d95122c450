// A provider takes its offer back.
#pragma once

#include "base/amount.h"
#include "ledger/context.h"

namespace cairn::ledger {

// Takes an offer off the book; jobs that it has already been matched with go on.
// Rejects: not_found
//          not_party  the offer is somebody else's
// Keeps:   the deposit goes back
struct WithdrawOffer {
  static constexpr uint16_t kTag = 4;
  static constexpr std::string_view kName = "withdraw_offer";
  OfferId offer;
  static constexpr auto fields() {
    return std::tuple{field("offer", &WithdrawOffer::offer)};
  }
  Result<> apply(State& state, const TxContext& context) const;
};

}  // namespace cairn::ledger
