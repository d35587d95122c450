// What a party of jobs serves to the other parties: which accounts are let in, and what each of them may ask for.
//
// A guest of a job gets the job's artefacts, its checkpoint leaves, its states and its key, and nothing of another job. Thread-safe:
// the daemon's job threads write, the transport's threads ask.
#pragma once

#include <map>
#include <mutex>
#include <set>

#include "agent/exchange.h"

namespace cairn::agent {

struct Served {
  std::vector<AccountId> guests;
  std::vector<Hash> artefacts;                        // plan and inputs
  std::vector<Hash> leaves;                           // of the checkpoint tree; empty before the commitment
  std::vector<StateIds> states;                       // at checkpoints; their buffers are artefacts too
  ContentKey key;                                     // of a private job
  static constexpr auto fields() {
    return std::tuple{field("guests", &Served::guests), field("artefacts", &Served::artefacts),
                      field("leaves", &Served::leaves), field("states", &Served::states),
                      field("key", &Served::key)};
  }
};

class Desk {
 public:
  using OnProgress = std::function<void(const AccountId& from, const TellProgress& told)>;
  explicit Desk(const ArtifactStore& store, OnProgress progress = {}) : store_(store), progress_(std::move(progress)) {}

  // Replaces what is served of a job.
  void serve(const JobId& job, Served served);
  void end(const JobId& job);
  // The keys by which an account is recognised, in place of any known before; asked from the chain by whoever adds a guest.
  void know(const AccountId& account, const std::vector<PublicKey>& keys);
  bool knows(const AccountId& account) const;

  std::optional<AccountId> allow(const CurveKey& key) const;
  Answer answer(const AccountId& client, const Ask& ask) const;

 private:
  struct Shelf {
    std::set<AccountId> guests;
    std::set<Hash> artefacts;
    std::vector<Hash> leaves;
    std::map<uint64_t, std::vector<Hash>> states;
    ContentKey key;
  };
  const Shelf* shelf_for(const AccountId& client, const JobId& job) const;
  const ArtifactStore& store_;
  OnProgress progress_;
  mutable std::mutex mutex_;
  std::map<JobId, Shelf> shelves_;
  std::map<CurveKey, AccountId> keys_;
  std::set<AccountId> known_;
};

}  // namespace cairn::agent
