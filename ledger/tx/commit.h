// A provider claims a result.
#pragma once

#include "ledger/jobs.h"

namespace cairn::ledger {

// The provider's claim of what it computed. There is no way back from here; the draw follows.
// Rejects: not_found
//          wrong_state  the job is not running
//          not_party    the sender is not its provider
//          invalid      other roots or steps than the job's
struct Commit {
  static constexpr uint16_t kTag = 12;
  static constexpr std::string_view kName = "commit";
  static constexpr std::array kScopes{Scope::provide};
  attest::Commitment commitment;
  static constexpr auto fields() {
    return std::tuple{field("commitment", &Commit::commitment)};
  }

  Result<> apply(State& state, const TxContext& context) const {
    return commit_job(state, context, commitment);
  }
};

}  // namespace cairn::ledger
