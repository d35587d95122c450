// A devnet of one node for tests: keys, funded actors, transactions, and HTTP to talk to it.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/blake3.h"
#include "base/scratch.h"
#include "ledger/genesis_file.h"
#include "ledger/node.h"
#include "ledger/solo.h"

namespace cairn::ledger {

inline SecretKey key_named(std::string_view name) { return SecretKey::from_seed(tagged_hash("test", {as_bytes(name)}).v); }
inline AccountId account_named(std::string_view name) { return account_of(key_named(name).public_key()); }

inline attest::Genesis devnet_genesis(const std::vector<std::string>& names, uint64_t interval_ms = 20, std::string name = "devnet-test") {
  std::vector<attest::GenesisAccount> accounts;
  for (const auto& actor : names) accounts.push_back({account_named(actor), Amount::of_pebbles(1'000'000'000)});
  auto genesis = must(make_devnet_genesis(name, key_named("producer").public_key(), key_named("vrf").public_key(), account_named("faucet"),
                                          Amount::of_pebbles(1'000'000'000'000), 0, accounts));
  genesis.params.interval_ms = interval_ms;
  return genesis;
}

// The next block of a devnet's chain, made by hand.
inline Block extend(Chain& chain, uint64_t wall_ms, std::vector<Bytes> transactions = {}) {
  const SecretKey producer = key_named("producer");
  Proposal proposal;
  proposal.wall_ms = wall_ms;
  proposal.proposer = attest::address_of(producer.public_key());
  chain.read([&](const App& app) {
    proposal.height = app.next_height();
    proposal.entries.push_back(encode(app.make_beacon(producer.public_key(), key_named("vrf"))));
  });
  for (auto& bytes : transactions) proposal.entries.push_back(std::move(bytes));
  return chain.extend(proposal, [&](const attest::Header& header) { return attest::sign_header(producer, header); });
}

inline Bytes transfer(const attest::Genesis& genesis, std::string_view from, std::string_view to, uint64_t nonce, uint64_t amount = 1,
                      uint64_t fee = 0) {
  Transaction tx;
  tx.genesis = attest::genesis_hash(genesis);
  tx.sender = account_named(from);
  tx.nonce = nonce;
  tx.fee = Amount{fee};
  tx.expiry = ChainTime{1'000'000'000};
  tx.body = Transfer{account_named(to), Amount{amount}};
  sign(tx, key_named(from), genesis.params.fee_per_byte);
  return encode(tx);
}

// ---- HTTP ---------------------------------------------------------------------------------------------------------

struct Answer {
  int status = 0;  // 0: nobody answered
  std::string body;
  // The text of a member that is a string or number; good enough for our own JSON.
  std::string at(const std::string& key) const {
    const size_t found = body.find("\"" + key + "\":");
    if (found == std::string::npos) return "";
    size_t from = found + key.size() + 3;
    if (body[from] == '"') return body.substr(from + 1, body.find('"', from + 1) - from - 1);
    return body.substr(from, body.find_first_of(",}]", from) - from);
  }
};

inline int dial(uint16_t port, int timeout_s = 10) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  timeval timeout{timeout_s, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    ::close(fd);
    return -1;
  }
  return fd;
}

inline bool put_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t put = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (put <= 0) return false;
    text.remove_prefix(static_cast<size_t>(put));
  }
  return true;
}

inline Answer http(uint16_t port, const std::string& method, const std::string& path, std::string_view body = "", const std::string& headers = "") {
  const int fd = dial(port);
  if (fd < 0) return {};
  put_all(fd, method + " " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
                  headers + "\r\n" + std::string(body));
  std::string text;
  char buffer[16384];
  for (ssize_t got = 0; (got = ::recv(fd, buffer, sizeof buffer, 0)) > 0;) text.append(buffer, static_cast<size_t>(got));
  ::close(fd);
  const size_t end = text.find("\r\n\r\n");
  if (end == std::string::npos || text.size() < 12) return {};
  return {std::atoi(text.c_str() + 9), text.substr(end + 4)};
}
inline Answer get(uint16_t port, const std::string& path) { return http(port, "GET", path); }
inline Answer post(uint16_t port, const std::string& path, const Bytes& body) {
  return http(port, "POST", path, {reinterpret_cast<const char*>(body.data()), body.size()});
}
template <class Record>
Record record(uint16_t port, const std::string& path) {
  return must(decode<Record>(as_bytes(get(port, path + (path.find('?') == std::string::npos ? "?raw=1" : "&raw=1")).body)));
}

// ---- the node in this process -------------------------------------------------------------------------------------

class RunningNode {
 public:
  RunningNode(const std::filesystem::path& folder, const attest::Genesis& genesis, const SoloConfig& solo_config = {})
      : chain_(must(Chain::open(folder, genesis))), feed_(chain_->store()), search_(folder / "search", chain_->store()) {
    SoloConfig config = solo_config;
    config.on_block = [this](const Block&) {
      feed_.announce();
      search_.announce();
    };
    solo_ = must(Solo::start(*chain_, key_named("producer"), key_named("vrf"), clock_, config));
    node_ = must(Node::start({}, *chain_, *solo_, feed_, search_));
  }
  uint16_t port() const { return node_->port(); }
  Chain& chain() { return *chain_; }
  Solo& solo() { return *solo_; }

 private:
  SystemClock clock_;
  std::unique_ptr<Chain> chain_;
  Feed feed_;
  Search search_;
  std::unique_ptr<Solo> solo_;
  std::unique_ptr<Node> node_;
};

}  // namespace cairn::ledger
