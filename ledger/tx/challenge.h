// Anybody disputes a commitment.
#pragma once

#include "ledger/disputes.h"

namespace cairn::ledger {

// Anybody who has run a segment and found another end opens a game about it, while the job's window is open.
// Rejects: not_found
//          self          the provider itself
//          wrong_state   nothing is committed
//          already       the sender has a game about this segment
//          proof         the roots do not stand in the commitment
//          invalid       the end roots are equal
//          insufficient  the flat fee of a game
// Keeps:   the sender's fee moves to game(id)
struct Challenge {
  static constexpr uint16_t kTag = 17;
  static constexpr std::string_view kName = "challenge";
  static constexpr std::array kScopes{Scope::verify, Scope::request};
  JobId job;
  uint64_t segment = 0;
  Hash end_root;  // what the challenger holds instead
  SegmentRoots roots;  // what the provider committed to
  static constexpr auto fields() {
    return std::tuple{field("job", &Challenge::job),
                      field("segment", &Challenge::segment),
                      field("end_root", &Challenge::end_root),
                      field("roots", &Challenge::roots)};
  }

  Result<> apply(State& state, const TxContext& context) const {
    return open_challenge(state, context, job, segment, end_root, roots);
  }
};

}  // namespace cairn::ledger
