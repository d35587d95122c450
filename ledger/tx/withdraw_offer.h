// A provider takes its offer back.
#pragma once

#include "ledger/market.h"

namespace cairn::ledger {

// Takes an offer off the book; jobs that it has already been matched with go on.
// Rejects: not_found
//          not_party  the offer is somebody else's
// Keeps:   the deposit goes back
struct WithdrawOffer {
  static constexpr uint16_t kTag = 4;
  static constexpr std::string_view kName = "withdraw_offer";
  static constexpr std::array kScopes{Scope::provide};
  OfferId offer;
  static constexpr auto fields() {
    return std::tuple{field("offer", &WithdrawOffer::offer)};
  }

  Result<> apply(State& state, const TxContext& context) const {
    auto found = state.offer(offer);
    if (!found) return gone("offer", offer.as<HashTag>());
    if (found->owner != context.sender) return Error{Code::not_party, "the offer is somebody else's", "sign with its owner's key"};
    remove_offer(state, context.block, *std::move(found), "withdrawn");
    return {};
  }
};

}  // namespace cairn::ledger
