// A key for a machine.
#pragma once

#include "ledger/accounts.h"

namespace cairn::ledger {

// Lets a hot key act for the sender, or changes what it may do; what it has spent of an earlier limit is forgotten.
// Rejects: invalid       no key of the curve, one of the account's own, no scope, or scopes out of order
//          expired       the key's expiry has passed
//          limit         the account has 16 hot keys already
//          insufficient  the deposit is more than the balance
// Keeps:   the deposit moves to deposit(the hot key's record), and back when it is revoked
struct GrantKey {
  static constexpr uint16_t kTag = 23;
  static constexpr std::string_view kName = "grant_key";
  PublicKey key;
  std::vector<Scope> scopes;  // ascending
  Amount limit;               // that it can lose in a period, see HotKey
  uint64_t period_ms = 0;     // 0: one limit for good
  ChainTime expiry{};
  static constexpr auto fields() {
    using G = GrantKey;
    return std::tuple{field("key", &G::key), field("scopes", &G::scopes), field("limit", &G::limit),
                      field("period_ms", &G::period_ms), field("expiry", &G::expiry)};
  }

  Result<> apply(State& state, const TxContext& context) const {
    TRY(check(KeySet::of(key)));
    if (state.account(context.sender)->keys.holds(key))
      return Error{Code::invalid, "the key is one of the account's own", "make a new key for the machine"};
    if (scopes.empty() || std::adjacent_find(scopes.begin(), scopes.end(), std::greater_equal<>()) != scopes.end())
      return Error{Code::invalid, "a hot key needs scopes, each once, in order", "name what it is for: provide, verify, request"};
    if (ms(expiry) <= ms(context.block.now)) return Error{Code::expired, "the key's expiry has passed", "choose a later one"};
    if (const auto before = state.hot_key({context.sender, key})) {
      drop_hot_key(state, *before);
    } else if (state.all<HotKey>(make_key('k', context.sender)).size() >= kMaxHotKeys) {
      return Error{Code::limit, "an account may have 16 hot keys", "revoke one that is not used"};
    }
    HotKey granted{context.sender, key, scopes, limit, period_ms, expiry, context.seq, {}, {}};
    TRY(lock_deposit(state, context, deposit_id(granted), kHotKeyBytes));
    state.put(granted);
    context.block.emit("account.hot_key", context.sender.as<HashTag>(), {{"key", to_json(key)}, {"scopes", to_json(scopes)}, {"limit", to_json(limit)}});
    return {};
  }
};

}  // namespace cairn::ledger
