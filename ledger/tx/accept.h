// A provider takes a match.
#pragma once

#include "ledger/jobs.h"

namespace cairn::ledger {

// The matched provider holds and has checked every input (R3): its stake moves into the job, and its time to run begins.
// Rejects: not_found
//          wrong_state   the job is not matched
//          not_party     with somebody else
//          insufficient  the free stake is below the policy's
// Keeps:   the stake moves to job_stake(job)
struct Accept {
  static constexpr uint16_t kTag = 11;
  static constexpr std::string_view kName = "accept";
  static constexpr std::array kScopes{Scope::provide};
  JobId job;
  static constexpr auto fields() {
    return std::tuple{field("job", &Accept::job)};
  }
  Result<> apply(State& state, const TxContext& context) const { return accept_job(state, context, job); }
};

}  // namespace cairn::ledger
