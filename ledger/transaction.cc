#include "ledger/transaction.h"

#include "base/blake3.h"

namespace cairn::ledger {
namespace {
constexpr size_t kSignatureBytes = sizeof(Signature::v);
}

std::string_view name(const Body& body) {
  return std::visit([](const auto& b) { return std::remove_cvref_t<decltype(b)>::kName; }, body);
}

TransactionId transaction_id(ByteSpan encoded) { return tagged_hash("cairn.transaction.v1", {encoded}); }
TransactionId transaction_id(const Transaction& transaction) { return transaction_id(encode(transaction)); }

Bytes signed_bytes(const Transaction& transaction) {
  Bytes bytes = encode(transaction);
  bytes.resize(bytes.size() - kSignatureBytes);
  return bytes;
}

void sign(Transaction& transaction, const SecretKey& key, uint64_t fee_per_byte) {
  transaction.key = key.public_key();
  if (transaction.fee.pebbles == 0) transaction.fee = Amount{encode(transaction).size() * fee_per_byte};
  transaction.signature =
      sign(key, transaction.genesis, SignKind::transaction, transaction.sender, signed_bytes(transaction));
}

Result<> check_signature(const Transaction& transaction, const Hash& genesis) {
  if (transaction.genesis != genesis)
    return Error{Code::wrong_chain, "signed for chain " + transaction.genesis.hex().substr(0, 16),
                 "use a genesis file of the chain that this node runs"};
  if (!verify(transaction.key, genesis, SignKind::transaction, transaction.sender, signed_bytes(transaction),
              transaction.signature))
    return Error{Code::bad_signature, "the signature does not cover these bytes", "sign again with the account's key"};
  return {};
}

}  // namespace cairn::ledger
