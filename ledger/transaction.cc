#include "ledger/transaction.h"

#include <algorithm>

#include "base/blake3.h"

namespace cairn::ledger {
std::string_view name(const Body& body) {
  return std::visit([](const auto& b) { return std::remove_cvref_t<decltype(b)>::kName; }, body);
}

TransactionId transaction_id(ByteSpan encoded) { return tagged_hash("cairn.transaction.v1", {encoded}); }
TransactionId transaction_id(const Transaction& transaction) { return transaction_id(encode(transaction)); }

Signer signer_of(const Transaction& transaction) {
  if (transaction.by == SignedBy::account || transaction.signatures.empty()) return {transaction.sender, {}};
  return {transaction.sender, transaction.signatures.front().key};
}

Bytes signed_bytes(const Transaction& transaction) {
  Bytes bytes = encode(transaction);
  bytes.resize(bytes.size() - encode(transaction.signatures).size());
  return bytes;
}

void set_fee(Transaction& transaction, uint64_t fee_per_byte, size_t signatures) {
  if (transaction.fee.pebbles != 0) return;
  transaction.signatures.resize(signatures);
  transaction.fee = Amount{encode(transaction).size() * fee_per_byte};
  transaction.signatures.clear();
}

void sign(Transaction& transaction, const SecretKey& key, uint64_t fee_per_byte) {
  set_fee(transaction, fee_per_byte, 1);
  transaction.signatures.clear();
  co_sign(transaction, key);
}

void co_sign(Transaction& transaction, const SecretKey& key) {
  const KeySignature ours{key.public_key(), sign(key, transaction.genesis, SignKind::transaction, transaction.sender, signed_bytes(transaction))};
  auto& all = transaction.signatures;
  const auto at = std::lower_bound(all.begin(), all.end(), ours, [](const auto& a, const auto& b) { return a.key < b.key; });
  if (at != all.end() && at->key == ours.key) {
    *at = ours;
  } else {
    all.insert(at, ours);
  }
}

Result<> check_signature(const Transaction& transaction, const Hash& genesis) {
  if (transaction.genesis != genesis)
    return Error{Code::wrong_chain, "signed for chain " + transaction.genesis.hex().substr(0, 16),
                 "use a genesis file of the chain that this node runs"};
  const auto& all = transaction.signatures;
  const auto follows = [](const KeySignature& a, const KeySignature& b) { return !(a.key < b.key); };
  if (all.empty() || all.size() > KeySet::kMax || std::adjacent_find(all.begin(), all.end(), follows) != all.end())
    return Error{Code::bad_signature, "a transaction has 1 to 16 signatures, in the order of their keys", "sign again with the account's keys"};
  const Bytes text = signed_bytes(transaction);
  for (const auto& [key, signature] : all)
    if (!verify(key, genesis, SignKind::transaction, transaction.sender, text, signature))
      return Error{Code::bad_signature, "the signature of key " + key.hex().substr(0, 16) + " does not cover these bytes",
                   "sign again with the account's key"};
  return {};
}

}  // namespace cairn::ledger

CODEC_HERE(ledger::Transaction)
