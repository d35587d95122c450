// One segment of somebody else's job, run again: what a drawn verifier does, and whoever audits.
//
// Everything it starts from comes from the parties of the job and is checked on arrival: plan and inputs against the ids in the
// job, the opening state against the commitment.
#pragma once

#include "agent/exchange.h"
#include "agent/node_client.h"

namespace cairn::agent {

class JobParties {
 public:
  // Callers of the provider, the requester, and the verifiers that said they hold what they checked. They connect when asked.
  // Error: unreachable, when neither provider nor requester has a key on the chain.
  static Result<JobParties> of(NodeClient& node, const ledger::Job& job, const StoredKey& own);

  // A private job's key; none of a public one. It is asked for once, by whatever needs it. Errors: those of fetch_key.
  Result<ContentKey> key();
  // Plan and inputs, into the store. Errors: those of fetch, from the first party.
  Result<> fetch_inputs(ArtifactStore& store);
  // The leaves of the checkpoint tree, checked against the commitment. Errors: wrong_state, those of fetch_leaves.
  Result<std::vector<Hash>> leaves();
  // The state that a segment starts from, into the store; empty for segment 0, whose state follows from the job. Errors: those of
  // leaves, fetch_state and fetch.
  Result<StateIds> fetch_opening(uint64_t segment, ArtifactStore& store);
  // The state that it ends in, as committed. Errors: the same.
  Result<StateIds> fetch_end(uint64_t segment, ArtifactStore& store);
  // Its ids alone, and then one of its buffers.
  Result<StateIds> end_of(uint64_t segment);
  Result<> fetch_one(const Hash& id, uint64_t max_bytes, ArtifactStore& store, const OnBytes& done = {});

 private:
  JobParties(const ledger::Job& job, std::vector<Caller> peers) : job_(job), peers_(std::move(peers)) {}
  template <class Ask>
  auto from_any(Ask&& ask);
  ledger::Job job_;
  std::vector<Caller> peers_;
  size_t answered_ = 0;  // who gave the last good answer
  std::vector<Hash> leaves_;
  ContentKey key_;
};

}  // namespace cairn::agent
