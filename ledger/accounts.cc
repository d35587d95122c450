#include "ledger/accounts.h"

#include <algorithm>

#include "base/blake3.h"
#include "ledger/transaction.h"

namespace cairn::ledger {
namespace {

template <class B>
concept HasScopes = requires { B::kScopes; };

bool covers(const HotKey& key, const Body& body) {
  return std::visit(
      [&]<class B>(const B&) {
        if constexpr (HasScopes<B>) {
          return std::find_first_of(key.scopes.begin(), key.scopes.end(), B::kScopes.begin(), B::kScopes.end()) != key.scopes.end();
        } else {
          return false;
        }
      },
      body);
}

}  // namespace

Amount HotKey::left(ChainTime now) const {
  const bool over = period_ms != 0 && ms(now) >= ms(after(period_start, period_ms));
  return over ? limit : subtract(limit, spent).value_or(Amount{});
}

Standing standing_of(const State& state, const Signer& signer, ChainTime now) {
  Standing out{state.nonce(signer), state.balance(Holder::account(signer.account))};
  if (signer.hot_key.is_zero()) return out;
  const auto hot = state.hot_key(signer);
  out.limit = hot ? hot->left(now) : Amount{};
  return out;
}

Result<> check_signers(const State& state, const Transaction& tx, ChainTime now) {
  const auto short_id = tx.sender.hex().substr(0, 16);
  if (tx.by == SignedBy::hot_key) {
    const auto hot = state.hot_key(signer_of(tx));
    if (!hot || tx.signatures.size() != 1 || tx.founding)
      return Error{Code::bad_signature, "the key is no hot key of account " + short_id, "grant it, or sign with the account's own key"};
    if (ms(hot->expiry) <= ms(now))
      return Error{Code::unauthorised, "the hot key's time ended at chain time " + std::to_string(ms(hot->expiry)),
                   "grant it anew with the account's own keys"};
    if (!covers(*hot, tx.body))
      return Error{Code::unauthorised, "the hot key's scopes do not cover " + std::string(name(tx.body)), "sign with the account's own keys"};
    return {};
  }
  const auto account = state.account(tx.sender);
  const KeySet keys = keys_after(account, tx);
  if (!account && (!check(keys) || account_of(keys) != tx.sender))
    return Error{Code::bad_signature, "the keys do not name account " + short_id, "sign with the account's first keys"};
  for (const auto& [key, signature] : tx.signatures)
    if (!keys.holds(key))
      return Error{Code::bad_signature, "key " + key.hex().substr(0, 16) + " is not account " + short_id + "'s", "sign with its present keys"};
  if (tx.signatures.size() != keys.threshold)
    return Error{Code::bad_signature, std::to_string(tx.signatures.size()) + " keys signed; account " + short_id + " asks for " +
                                          std::to_string(keys.threshold) + " of " + std::to_string(keys.keys.size()),
                 "combine exactly as many signatures"};
  return {};
}

KeySet keys_after(const std::optional<Account>& account, const Transaction& tx) {
  if (account) return account->keys;
  if (tx.founding) return *tx.founding;
  return tx.signatures.size() == 1 ? KeySet::of(tx.signatures.front().key) : KeySet{};
}

u128 purse(const State& state, const AccountId& account) {
  u128 sum = 0;
  for (const Holder& holder : {Holder::account(account), Holder::stake(account), Holder::unbonding(account)})
    sum += state.balance(holder).pebbles;
  return sum;
}

HotKey in_period(HotKey key, ChainTime now) {
  const bool first = key.spent.pebbles == 0 && ms(key.period_start) == 0;
  if (first || (key.period_ms != 0 && ms(now) >= ms(cairn::after(key.period_start, key.period_ms)))) {
    key.spent = {};
    key.period_start = now;
  }
  return key;
}

Amount key_deposit(const attest::ChainParams& params, const KeySet& keys) {
  return deposit_of(params, keys.keys.size() < 2 ? 0 : (keys.keys.size() - 1) * PublicKey::size());
}

Result<> settle_key_deposit(State& state, const attest::ChainParams& params, const AccountId& account, const KeySet& before,
                            const KeySet& after) {
  const Holder purse = Holder::account(account), deposit = Holder::deposit(account.as<HashTag>());
  state.move_up_to(deposit, purse, key_deposit(params, before));
  return state.move(purse, deposit, key_deposit(params, after));
}

Result<> bring_in(State& state, const TxContext& context, const AccountId& account) {
  if (state.account(account) || state.balance(Holder::account(account)).pebbles != 0) return {};
  return lock_deposit(state, context, account.as<HashTag>(), kAccountBytes);
}

Hash deposit_id(const HotKey& key) { return tagged_hash("cairn.hot_key.v1", {key.account.span(), key.key.span()}); }

void drop_hot_key(State& state, const HotKey& key) {
  state.move_all(Holder::deposit(deposit_id(key)), Holder::account(key.account));
  state.erase(key);
}

}  // namespace cairn::ledger
