// The owner of private data lets disagreements about it be opened.
#pragma once

#include "ledger/checks.h"

namespace cairn::ledger {

// The requester of a private job tells the key of its ids: from now on verdicts that differ become games, and the requester may
// challenge; what these games open is public, and so is the key.
// Rejects: not_found
//          not_party
//          wrong_state  not private, native, nothing committed, or over
//          already
//          invalid      it is not the key whose hash the job names
// Keeps:   a challenger's fee moves to game(id), as in any dispute
struct Consent {
  static constexpr uint16_t kTag = 27;
  static constexpr std::string_view kName = "consent";
  static constexpr std::array kScopes{Scope::request};
  JobId job;
  Hash key;
  static constexpr auto fields() { return std::tuple{field("job", &Consent::job), field("key", &Consent::key)}; }

  Result<> apply(State& state, const TxContext& context) const { return consent_job(state, context, job, key); }
};

}  // namespace cairn::ledger
