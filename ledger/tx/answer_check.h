// A provider answers a check.
#pragma once

#include "ledger/checks.h"

namespace cairn::ledger {

// The provider shows what it holds for one drawn and committed check. When all are answered, verifiers reveal.
// Rejects: not_found
//          not_party
//          wrong_state  verifiers are still committing, or this check was not committed
//          already
//          proof        the roots do not stand in the commitment
struct AnswerCheck {
  static constexpr uint16_t kTag = 15;
  static constexpr std::string_view kName = "answer_check";
  static constexpr std::array kScopes{Scope::provide};
  JobId job;
  uint64_t segment = 0;
  Hash call_id;  // of the drawn call
  SegmentRoots roots;
  static constexpr auto fields() {
    return std::tuple{field("job", &AnswerCheck::job),
                      field("segment", &AnswerCheck::segment),
                      field("call_id", &AnswerCheck::call_id),
                      field("roots", &AnswerCheck::roots)};
  }

  Result<> apply(State& state, const TxContext& context) const {
    return ledger::answer_check(state, context, job, segment, call_id, roots);
  }
};

}  // namespace cairn::ledger
