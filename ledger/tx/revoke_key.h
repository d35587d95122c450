// The end of a machine's key.
#pragma once

#include "ledger/accounts.h"

namespace cairn::ledger {

// Takes a hot key back: no block after this one holds a transaction of it.
// Rejects: not_found  the sender has no such hot key
// Keeps:   the deposit goes back
struct RevokeKey {
  static constexpr uint16_t kTag = 24;
  static constexpr std::string_view kName = "revoke_key";
  PublicKey key;
  static constexpr auto fields() { return std::tuple{field("key", &RevokeKey::key)}; }

  Result<> apply(State& state, const TxContext& context) const {
    const auto hot = state.hot_key({context.sender, key});
    if (!hot) return gone("hot key", key.as<HashTag>());
    drop_hot_key(state, *hot);
    context.block.emit("account.revoked", context.sender.as<HashTag>(), {{"key", to_json(key)}});
    return {};
  }
};

}  // namespace cairn::ledger
