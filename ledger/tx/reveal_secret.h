// A requester makes the draw its own.
#pragma once

#include "ledger/jobs.h"

namespace cairn::ledger {

// The requester's secret, whose hash stands in the job: mixed into the draw (R4).
// Rejects: not_found
//          not_party
//          wrong_state  there is no commitment yet
//          too_late     the window is over
//          invalid      it does not hash to the job's
struct RevealSecret {
  static constexpr uint16_t kTag = 13;
  static constexpr std::string_view kName = "reveal_secret";
  static constexpr std::array kScopes{Scope::request};
  JobId job;
  Hash secret;
  static constexpr auto fields() {
    return std::tuple{field("job", &RevealSecret::job), field("secret", &RevealSecret::secret)};
  }

  Result<> apply(State& state, const TxContext& context) const {
    return ledger::reveal_secret(state, context, job, secret);
  }
};

}  // namespace cairn::ledger
