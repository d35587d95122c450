// One segment of somebody else's job, run again: what a drawn verifier does, and whoever audits.
//
// Everything it starts from comes from the parties of the job and is checked on arrival: plan and inputs against the ids in the
// job, the opening state against the commitment.
#pragma once

#include "agent/computer.h"
#include "agent/exchange.h"
#include "agent/node_client.h"

namespace cairn::agent {

class JobParties {
 public:
  // Callers of the provider, the requester, and the verifiers that said they hold what they checked. They connect when asked.
  // Error: unreachable, when neither provider nor requester has a key on the chain.
  static Result<JobParties> of(NodeClient& node, const ledger::Job& job, const StoredKey& own);

  // Plan and inputs, into the store. Errors: those of fetch, from the first party.
  Result<> fetch_inputs(ArtifactStore& store);
  // The leaves of the checkpoint tree, checked against the commitment. Errors: wrong_state, those of fetch_leaves.
  Result<std::vector<Hash>> leaves();
  // The state that a segment starts from, into the store; empty for segment 0, whose state follows from the job. Errors: those of
  // leaves, fetch_state and fetch.
  Result<StateIds> fetch_opening(uint64_t segment, ArtifactStore& store);

 private:
  JobParties(const ledger::Job& job, std::vector<Caller> peers) : job_(job), peers_(std::move(peers)) {}
  template <class Ask>
  auto from_any(Ask&& ask);
  ledger::Job job_;
  std::vector<Caller> peers_;
  std::vector<Hash> leaves_;
};

}  // namespace cairn::agent
