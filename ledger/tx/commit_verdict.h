// A verifier binds what it knows.
#pragma once

#include "ledger/checks.h"

namespace cairn::ledger {

// A drawn verifier has run its segment and binds what it knows, before anybody reveals (R5).
// Rejects: not_found
//          not_party    not drawn for this segment
//          already
//          too_late     the phase is over
struct CommitVerdict {
  static constexpr uint16_t kTag = 14;
  static constexpr std::string_view kName = "commit_verdict";
  static constexpr std::array kScopes{Scope::verify};
  JobId job;
  uint64_t segment = 0;
  Hash hash;  // attest::verdict_hash
  static constexpr auto fields() {
    return std::tuple{field("job", &CommitVerdict::job),
                      field("segment", &CommitVerdict::segment),
                      field("hash", &CommitVerdict::hash)};
  }

  Result<> apply(State& state, const TxContext& context) const {
    return ledger::commit_verdict(state, context, job, segment, hash);
  }
};

}  // namespace cairn::ledger
