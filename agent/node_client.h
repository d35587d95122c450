// A node of the chain, over HTTP: typed queries, transactions, events.
//
// Errors of every call: unreachable (nobody answers at that address; nothing about the chain is known then), malformed (what
// answers is no node of this version), and the code that the node itself refused with.
// One thread at a time; a daemon's threads have a client each.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "attest/header.h"
#include "attest/receipt.h"
#include "ledger/records.h"
#include "ledger/transaction.h"

namespace cairn::agent {

class NodeClient {
 public:
  explicit NodeClient(std::string address);  // "http://127.0.0.1:7700"
  ~NodeClient();
  NodeClient(const NodeClient&) = delete;
  NodeClient& operator=(const NodeClient&) = delete;

  const std::string& address() const { return address_; }

  Result<ledger::Status> status() { return record<ledger::Status>("/v1/status"); }
  Result<attest::Genesis> genesis() { return record<attest::Genesis>("/v1/genesis"); }
  Result<ledger::AccountView> account(const AccountId& id) { return record<ledger::AccountView>("/v1/accounts/" + id.hex()); }
  Result<std::vector<ledger::Job>> jobs() { return record<std::vector<ledger::Job>>("/v1/jobs"); }
  Result<ledger::Job> job(const JobId& id) { return record<ledger::Job>("/v1/jobs/" + id.hex()); }
  Result<std::vector<ledger::Offer>> offers() { return record<std::vector<ledger::Offer>>("/v1/offers"); }
  Result<std::vector<ledger::VerifierView>> verifiers() { return record<std::vector<ledger::VerifierView>>("/v1/verifiers"); }
  Result<std::vector<ledger::Asset>> assets() { return record<std::vector<ledger::Asset>>("/v1/assets"); }
  Result<ledger::Asset> asset(const AssetId& id) { return record<ledger::Asset>("/v1/assets/" + id.hex()); }
  Result<ledger::Quote> quote(const attest::JobSpec& spec);

  // Events from number `from` on; waits up to `wait_ms` for the first. An empty list means that nothing happened.
  Result<std::vector<ledger::Event>> events(uint64_t from, uint32_t wait_ms);

  // Hands over an encoded transaction; with `wait` it returns when a block holds it. A transaction that failed in its block
  // is no error here: its code stands in the result.
  Result<ledger::TxResult> submit(ByteSpan transaction, bool wait);

  // The JSON, or the canonical bytes, of any address of the node.
  Result<std::string> json(const std::string& path);
  Result<Bytes> raw(const std::string& path);

  template <class T>
  Result<T> record(const std::string& path) {
    TRY_LET(bytes, raw(path));
    auto value = decode<T>(bytes);
    if (!value)
      return Error{Code::malformed, "the answer of " + address_ + path + " is not understood: " + value.error().text,
                   "use tools and node of one version"};
    return value;
  }

 private:
  struct Connection;
  Result<std::string> request(const std::string& path, const ByteSpan* body, uint32_t timeout_ms);
  std::string address_;
  std::unique_ptr<Connection> connection_;
};

// Signs and sends for one account. A wrong nonce (another program used the key meanwhile) is mended by asking again.
class Sender {
 public:
  // Errors: those of the node.
  static Result<Sender> make(NodeClient& node, const SecretKey& key);

  // Waits for the block. Errors: those of submit, and the code that the transaction failed with.
  Result<ledger::TxResult> send(const ledger::Body& body);

  // Sends several at once, with consecutive nonces, and waits for the block of the last. Error: that of the first that failed;
  // the others may stand.
  Result<> send_all(const std::vector<ledger::Body>& bodies);

  const AccountId& account() const { return account_; }
  const SecretKey& key() const { return key_; }
  const attest::Genesis& genesis() const { return genesis_; }
  const Hash& chain() const { return chain_; }
  NodeClient& node() const { return *node_; }

 private:
  Sender(NodeClient& node, const SecretKey& key, attest::Genesis genesis);
  Result<ledger::Transaction> prepared() const;  // all but body and signature
  NodeClient* node_;
  SecretKey key_;
  attest::Genesis genesis_;
  Hash chain_;
  AccountId account_;
};

}  // namespace cairn::agent
