// Following one job on the chain until it ends: tells what happens, reveals the requester's secret when it is due, shows the
// zoom of a dispute while it is played.
#pragma once

#include <atomic>
#include <map>
#include <set>

#include "agent/cli/cli.h"
#include "agent/cli/counter.h"

namespace cairn::agent {

class Watch {
 public:
  // Events from number `from` on.
  Watch(const Output& out, NodeClient& node, const JobId& job, uint64_t from) : out_(out), node_(node), id_(job), next_(from) {}

  // For the requester: reveals `secret` after the commitment. `counter`, when there is one, knows the provider's progress.
  void reveal(Sender& sender, const Hash& secret) {
    sender_ = &sender;
    secret_ = secret;
  }
  void show_progress(const Counter& counter) { counter_ = &counter; }

  // Returns the job as it ended, or once `enough` says so. Errors: cancelled (Ctrl-C), timed_out, not_found.
  using Enough = std::function<bool(const ledger::Job&)>;
  Result<ledger::Job> follow(uint64_t timeout_ms, const Enough& enough = {});

  // Every game that was seen, as it stood last.
  std::vector<ledger::Dispute> games();

 private:
  void tell(const ledger::Event& event, const ledger::Job& job);
  void tell_game(const ledger::GameId& game);
  void reveal_if_due(const ledger::Job& job);

  const Output& out_;
  NodeClient& node_;
  const JobId id_;
  uint64_t next_;
  Sender* sender_ = nullptr;
  std::optional<Hash> secret_;
  const Counter* counter_ = nullptr;
  std::map<ledger::GameId, ledger::Dispute> games_;
  std::set<std::string> told_lines_;
};

// Whether an event is about this job, or about a game of it.
bool concerns(const ledger::Event& event, const JobId& job);

}  // namespace cairn::agent
