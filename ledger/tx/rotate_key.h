// Accounts are named, keys are not (R9).
#pragma once

#include "ledger/state.h"

namespace cairn::ledger {

// Replaces the sender's key. The account keeps its id, and with it all that it owns.
// Rejects: invalid  the key is zero
struct RotateKey {
  static constexpr uint16_t kTag = 2;
  static constexpr std::string_view kName = "rotate_key";
  PublicKey key;  // signs from the next transaction on
  static constexpr auto fields() {
    return std::tuple{field("key", &RotateKey::key)};
  }

  Result<> apply(State& state, const TxContext& context) const {
    if (key.is_zero()) return Error{Code::invalid, "a key of zero signs nothing", "name the new public key"};
    auto account = state.account(context.sender);
    CHECK(account.has_value());
    account->key = key;
    state.put(*account);
    context.block.emit("account.key", context.sender.as<HashTag>(), {{"key", to_json(key)}});
    return {};
  }
};

}  // namespace cairn::ledger
