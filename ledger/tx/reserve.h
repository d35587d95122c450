// First step of publishing.
#pragma once

#include "ledger/state.h"

namespace cairn::ledger {

// Takes a place in time for a content that is named later, so that nobody takes an asset from the mempool.
// Rejects: already       this hash is reserved, or another record has its deposit under it
//          insufficient  the deposit is more than the balance
// Keeps:   the deposit moves to deposit(hash), and back at Publish
struct Reserve {
  static constexpr uint16_t kTag = 19;
  static constexpr std::string_view kName = "reserve";
  static constexpr std::array kScopes{Scope::publish};
  Hash hash;  // reservation_hash(content, owner, salt)
  static constexpr auto fields() {
    return std::tuple{field("hash", &Reserve::hash)};
  }

  Result<> apply(State& state, const TxContext& context) const {
    if (state.reservation(hash)) return Error{Code::already, "this hash is reserved", "publish it, or take another salt"};
    TRY(lock_deposit(state, context, hash, context.size_bytes));
    state.put(Reservation{hash, context.sender, context.block.height, context.seq});
    return {};
  }
};

}  // namespace cairn::ledger
