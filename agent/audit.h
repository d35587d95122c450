// cairn-verify audit and economics: what a party of a job can find out about it, step by step.
#pragma once

#include "agent/node_client.h"
#include "agent/output.h"
#include "agent/settings.h"

namespace cairn::agent {

struct AuditWish {
  RequesterConfig party;            // node, key, artefacts and worker of a party of the job
  JobId job;
  std::vector<uint64_t> segments;   // none: all
  bool challenge = false;           // a segment that is false becomes a game, which is played to its end
};

// Runs segments of a committed job again from the provider's own checkpoints, and compares their ends with the commitment.
// Only a party of the job is served what it needs: requester, drawn verifier, challenger.
// Errors: not_found, wrong_state (nothing is committed), those of the parties and of the worker; proof, when a segment is false.
Result<> audit_job(const Output& out, const AuditWish& wish);

// What the job's terms make of cheating: stake, audits, the chance to be caught, the value of a lie of each size.
// Errors: those of the node; invalid, when cheating would pay.
Result<> job_economics(const Output& out, NodeClient& node, const JobId& job);

}  // namespace cairn::agent
