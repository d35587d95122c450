// What the two daemons share: one account's way of following the chain and acting on it.
//
// An event thread long-polls the node and wakes whoever waits; `send` signs for the account, one transaction at a time. A
// node that does not answer is waited for: nothing is torn down because the chain is away.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include "agent/desk.h"
#include "agent/journal.h"
#include "agent/node_client.h"

namespace cairn::agent {

// What keeps a thread from reading the chain: told in the log when it begins or changes, and when it is over.
class Outage {
 public:
  explicit Outage(const NodeClient& node) : node_(node) {}
  template <class T>
  bool over(const Result<T>& answer) {
    tell(answer ? nullptr : &answer.error());
    return static_cast<bool>(answer);
  }

 private:
  void tell(const Error* error);
  const NodeClient& node_;
  std::optional<Code> told_;
};

class Follower {
 public:
  // Waits for the node; returns when it answers, or throws Fault (cancelled) when `stop` becomes true. `folder` remembers the chain.
  Follower(const std::string& node, const std::filesystem::path& folder, const StoredKey& key, const std::atomic<bool>& stop);
  ~Follower();

  const AccountId& account() const { return sender_->account(); }
  const SecretKey& key() const { return sender_->key(); }
  const StoredKey& stored() const { return sender_->stored(); }
  const attest::ChainParams& params() const { return sender_->genesis().params; }

  // Errors: those of Sender::send.
  Result<ledger::TxResult> send(const ledger::Body& body);
  // Sends unless the chain has moved on meanwhile; logs what was refused. True when it stands on the chain.
  bool try_send(const ledger::Body& body, const JobId& job);
  // Several at once: a hundred answers must not take a hundred blocks.
  bool try_send_all(const std::vector<ledger::Body>& bodies, const JobId& job);

  // Sleeps until something happens on the chain, `timeout_ms` at most; at once when something did since `seen`, which is
  // brought up to date.
  void wait(uint64_t& seen, uint32_t timeout_ms);
  void wake();

  // Asks the chain anew for the keys of those whom the desk knows and whose keys have changed since the last call.
  void refresh(NodeClient& node, Desk& desk);

  bool stopping() const { return stop_; }

 private:
  void listen();
  const std::string node_address_;
  const std::atomic<bool>& stop_;
  NodeClient send_node_;
  std::mutex send_mutex_;
  std::optional<Sender> sender_;
  std::mutex seen_mutex_;
  std::condition_variable changed_;
  uint64_t happened_ = 0;
  std::set<AccountId> other_keys_;  // who has changed its keys
  std::thread listener_;
};

// Asks the chain for all keys of an account, own and hot. False: the node did not answer, or it has never held anything.
bool learn(NodeClient& node, Desk& desk, const AccountId& account);
// The same of accounts that the desk does not know yet; those that never signed are left out.
void introduce(NodeClient& node, Desk& desk, const std::vector<AccountId>& accounts);

// The key that an account's program in this role answers with: a hot key that is granted the role's scope, else its own. Errors:
// not_found (it never signed), and the node's.
Result<PublicKey> key_of(NodeClient& node, const AccountId& account, ledger::Scope role);

// Tells systemd, when it started us, that the daemon is ready, or alive, and what it does.
void notify_ready(const std::string& status);
void notify_alive();

// SIGTERM and SIGINT set the flag that this returns.
const std::atomic<bool>& stop_on_signals();
// SIGHUP sets the flag that this returns; whoever acts on it clears it.
std::atomic<bool>& reload_on_hangup();

}  // namespace cairn::agent
