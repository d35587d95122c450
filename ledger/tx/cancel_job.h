// A requester thinks again.
#pragma once

#include "ledger/jobs.h"

namespace cairn::ledger {

// Ends a job that no provider has accepted.
// Rejects: not_found
//          not_party    the sender did not open it
//          wrong_state  a provider has accepted it
// Keeps:   the escrow goes back to the requester
struct CancelJob {
  static constexpr uint16_t kTag = 10;
  static constexpr std::string_view kName = "cancel_job";
  static constexpr std::array kScopes{Scope::request};
  JobId job;
  static constexpr auto fields() {
    return std::tuple{field("job", &CancelJob::job)};
  }

  Result<> apply(State& state, const TxContext& context) const {
    return ledger::cancel_job(state, context, job);
  }
};

}  // namespace cairn::ledger
