// A node of the chain, over HTTP: typed queries, transactions, events.
//
// The node is not trusted with the state: every record comes with its proof and is checked against a header signed by the chain's
// producer (attest/light_client.h). The chain is the one whose genesis stands in the memory file, or, without one, that of the
// first answer. A list may lack records; those that are in it are proven. Lists are asked for part by part; what comes or goes meanwhile may
// be missed. Status, supply, quotes and events are the node's word.
//
// Errors of every call: unreachable (nobody answers at that address; nothing about the chain is known then), malformed (what
// answers is no node of this version), and the code that the node itself refused with.
// One thread at a time; a daemon's threads have a client each.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "attest/light_client.h"
#include "attest/receipt.h"
#include "base/http_client.h"
#include "base/key_file.h"
#include "ledger/state.h"
#include "ledger/transaction.h"

namespace cairn::agent {

class NodeClient {
 public:
  // "http://127.0.0.1:7700". `folder` remembers the chain and its highest header from one run to the next, for all clients that name it;
  // empty: this object does. Whoever signs, or lets somebody in, names it.
  explicit NodeClient(std::string address, const std::filesystem::path& folder = {});
  ~NodeClient();
  NodeClient(const NodeClient&) = delete;
  NodeClient& operator=(const NodeClient&) = delete;

  const std::string& address() const { return address_; }
  std::filesystem::path folder() const { return memory_.parent_path(); }

  Result<ledger::Status> status() { return record<ledger::Status>("/v1/status"); }
  // Errors of this and of what follows, too: wrong_chain (the node is of another chain), and those of LightClient::read.
  Result<attest::Genesis> genesis();
  // Error: unknown_account.
  Result<ledger::AccountView> account(const AccountId& id);
  // Error: not_found.
  Result<ledger::Job> job(const JobId& id) { return proven<ledger::Job>(ledger::make_key('j', id), "job", id.hex()); }
  Result<ledger::Dispute> dispute(const ledger::GameId& id) { return proven<ledger::Dispute>(ledger::make_key('g', id), "game", id.hex()); }
  Result<ledger::Asset> asset(const AssetId& id) { return proven<ledger::Asset>(ledger::make_key('s', id), "asset", id.hex()); }
  Result<std::vector<ledger::Job>> jobs(const std::string& query = "") { return proven_list<ledger::Job>("/v1/jobs" + query); }
  Result<std::vector<ledger::Offer>> offers() { return proven_list<ledger::Offer>("/v1/offers"); }
  Result<std::vector<ledger::Asset>> assets() { return proven_list<ledger::Asset>("/v1/assets"); }
  Result<std::vector<ledger::VerifierView>> verifiers();
  // All there have been, by number, the last of them perhaps announced only.
  Result<std::vector<attest::Rules>> rules();
  // Those of the block after the last one that was proven.
  Result<attest::Rules> rules_in_force();
  // Chain time of the last block, proven. A status's is the node's word: nothing that is signed may expire by it.
  Result<ChainTime> time();
  Result<ledger::Quote> quote(const attest::JobSpec& spec);

  // The sealed header of a late block, or of the last one (0), as the node tells it. Errors: not_found, too_old.
  Result<attest::SignedHeader> header(Height height);
  // Begins anew from a header that somebody trusted has named: what was seen before is forgotten. Errors: those of LightClient::begin.
  Result<> trust(const attest::SignedHeader& header, const Hash& name);

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
  static constexpr size_t kPagesMost = 1'000;

  Result<std::string> request(const std::string& path, const ByteSpan* body, uint32_t timeout_ms);
  Result<attest::LightClient*> light();
  // Leaves in the memory file what was seen, unless a higher header of the chain lies there; `anew`: even then.
  Result<> remember(bool anew);
  Result<std::vector<std::optional<Bytes>>> state(const std::vector<Bytes>& keys);

  // The last header, proven; of a chain that is said to have no block yet, and of which none was seen, an empty one: time begins there.
  Result<attest::Header> head();

  template <class T>
  Result<T> proven(const Bytes& key, const char* what, const std::string& id) {
    TRY_LET(values, state({key}));
    if (!values[0]) return Error{Code::not_found, std::string("no ") + what + " " + id.substr(0, 16), "check its id; what has ended goes after a while"};
    return decode<T>(*values[0]);
  }
  // All parts of a list, as the node tells them. Error: limit (there is no end to them).
  template <class T>
  Result<std::vector<T>> told(const std::string& path) {
    std::vector<T> out;
    std::string after;
    for (size_t pages = 0; pages < kPagesMost; pages++) {
      TRY_LET(page, record<ledger::Page<T>>(path + after));
      std::move(page.items.begin(), page.items.end(), std::back_inserter(out));
      if (!page.next) return out;
      after = (path.find('?') == std::string::npos ? "?after=" : "&after=") + page.next->hex();
    }
    return Error{Code::limit, "the node's list " + path + " has no end", "ask another node"};
  }
  // What the node lists, as it is proven to be now; what has gone meanwhile is left out.
  template <class T>
  Result<std::vector<T>> proven_list(const std::string& path) {
    TRY_LET(list, told<T>(path));
    std::vector<Bytes> keys;
    for (const T& item : list) keys.push_back(ledger::key_of(item));
    TRY_LET(values, state(keys));
    std::vector<T> out;
    for (const auto& value : values) {
      if (!value) continue;
      TRY_LET(item, decode<T>(*value));
      out.push_back(std::move(item));
    }
    return out;
  }

  std::string address_;
  std::filesystem::path memory_;
  std::optional<attest::LightClient> light_;
  uint64_t remembered_wall_ms_ = 0;  // of the header that is known to lie in the memory file
  HttpClient http_;
};

// Signs and sends for one account. A wrong nonce (another program used the key meanwhile) is mended by asking again.
class Sender {
 public:
  // The account's own key, or a hot key of it, whichever the chain knows it as. Errors: those of the node; unauthorised (the account
  // has other keys, or asks for several signatures).
  static Result<Sender> make(NodeClient& node, const StoredKey& key);

  // Waits for the block. Errors: those of submit, and the code that the transaction failed with.
  Result<ledger::TxResult> send(const ledger::Body& body);
  // The same unsigned, for several to sign: all but body, fee and signatures.
  Result<ledger::Transaction> prepared() const;

  // Sends several at once, with consecutive nonces, and waits for the block of the last. Error: that of the first that failed;
  // the others may stand.
  Result<> send_all(const std::vector<ledger::Body>& bodies);

  const AccountId& account() const { return stored_.account; }
  const SecretKey& key() const { return stored_.key; }
  const StoredKey& stored() const { return stored_; }
  const attest::Genesis& genesis() const { return genesis_; }
  const Hash& chain() const { return chain_; }
  NodeClient& node() const { return *node_; }

 private:
  Sender(NodeClient& node, const StoredKey& key, attest::Genesis genesis);
  // Whether a transaction was refused because the rules ask for more since an upgrade: what is signed next pays it.
  Result<bool> fee_has_risen(Code refused);
  NodeClient* node_;
  StoredKey stored_;
  attest::Genesis genesis_;
  Hash chain_;
  ledger::SignedBy by_ = ledger::SignedBy::account;
  uint64_t fee_per_byte_ = 0;
};

}  // namespace cairn::agent
