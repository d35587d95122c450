// Accounts are named, keys are not (R9).
#pragma once

#include "ledger/accounts.h"

namespace cairn::ledger {

// Replaces the sender's keys: by another one, by several of which some must sign together, or back. The account keeps its
// id, and with it all that it owns and plays; what the old keys signed is good in this block's earlier transactions alone.
// Rejects: invalid       no key, too many, out of order, or one that is no key
//          insufficient  the deposit for more keys than before is more than the balance
// Keeps:   the deposit for keys beyond the first stands in deposit(account)
struct RotateKey {
  static constexpr uint16_t kTag = 2;
  static constexpr std::string_view kName = "rotate_key";
  KeySet keys;                    // sign from the next transaction on
  bool revoke_hot_keys = false;   // all of them, at once: for an account whose keys were stolen
  static constexpr auto fields() {
    return std::tuple{field("keys", &RotateKey::keys), field("revoke_hot_keys", &RotateKey::revoke_hot_keys)};
  }

  Result<> apply(State& state, const TxContext& context) const {
    TRY(check(keys));
    auto account = *state.account(context.sender);
    if (revoke_hot_keys)
      for (const HotKey& hot : state.all<HotKey>(make_key('k', context.sender))) drop_hot_key(state, hot);
    TRY(settle_key_deposit(state, context.params(), account.id, account.keys, keys));
    account.keys = keys;
    state.put(account);
    context.block.emit("account.keys", context.sender.as<HashTag>(), {{"keys", to_json(keys)}});
    return {};
  }
};

}  // namespace cairn::ledger
