// First step of publishing.
#pragma once

#include "base/amount.h"
#include "ledger/context.h"

namespace cairn::ledger {

// Takes a place in time for a content that is named later, so that nobody takes an asset from the mempool.
// Rejects: already       this hash is reserved
//          insufficient  the deposit is more than the balance
// Keeps:   the deposit moves to deposit(hash), and back at Publish
struct Reserve {
  static constexpr uint16_t kTag = 19;
  static constexpr std::string_view kName = "reserve";
  Hash hash;  // reservation_hash(content, owner, salt)
  static constexpr auto fields() {
    return std::tuple{field("hash", &Reserve::hash)};
  }
  Result<> apply(State& state, const TxContext& context) const;
};

}  // namespace cairn::ledger
