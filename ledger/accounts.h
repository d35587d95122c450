// Who signs for an account, what its hot keys may lose, and what its place in the state costs.
//
// Whoever sends money to an account that the state does not know pays the deposit for its record (R8): receiving needs
// nothing, and an account that was in the genesis, or is paid by the ledger, costs nobody anything. An account's record stays
// for good, since a nonce that began anew would let old transactions in; so its deposit stays too.
#pragma once

#include <array>

#include "ledger/state.h"

namespace cairn::ledger {

struct Transaction;  // transaction.h

// What the state says of a signer: to wait for a block, and to stand in one.
struct Standing {
  uint64_t nonce = 0;                // of its next transaction
  Amount balance;                    // of its account, whoever signs
  Amount limit{UINT64_MAX};          // that a hot key may lose
};
Standing standing_of(const State& state, const Signer& signer, ChainTime now);

inline constexpr size_t kMaxHotKeys = 16;     // of one account
inline constexpr size_t kAccountBytes = 256;  // of state that an account takes: its record, its balance, their places in the tree
inline constexpr size_t kHotKeyBytes = 256;

// That the signatures, which cover the transaction, are those that the account's present keys, or the hot key, ask for:
// exactly as many as the threshold, so that nobody can send the same thing with others. Errors, in order: bad_signature,
// unauthorised (a hot key whose time is over, or whose scopes do not cover this).
Result<> check_signers(const State& state, const Transaction& transaction, ChainTime now);
// The keys that an account has once it has signed this.
KeySet keys_after(const std::optional<Account>& account, const Transaction& transaction);

// All that an account can spend at once or within the unbonding time: what a hot key can lose of.
u128 purse(const State& state, const AccountId& account);
// The key at the first use in a period.
HotKey in_period(HotKey key, ChainTime now);

// Deposit for the keys beyond the first. Error: insufficient.
Amount key_deposit(const attest::ChainParams& params, const KeySet& keys);
Result<> settle_key_deposit(State& state, const attest::ChainParams& params, const AccountId& account, const KeySet& before,
                            const KeySet& after);
// Pays for an account that is about to receive its first money. Error: insufficient.
Result<> bring_in(State& state, const TxContext& context, const AccountId& account);

Hash deposit_id(const HotKey& key);
// Takes the record out; its deposit goes back to the account.
void drop_hot_key(State& state, const HotKey& key);

}  // namespace cairn::ledger
