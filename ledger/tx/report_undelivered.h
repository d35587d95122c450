// A verifier was not served.
#pragma once

#include "ledger/checks.h"

namespace cairn::ledger {

// A drawn verifier says that it was not served what it needs. Another is drawn for the segment, and when that one says so too, a
// third. At three reports and no verdict the job is void and its provider's stake in it burns; at two, when the third is silent or
// there is none, it is void and the provider loses verifier_silence. Each signer loses verifier_silence; also where another
// verifier was served.
// Rejects: not_found
//          not_party
//          already      its verdict is committed
//          too_late
struct ReportUndelivered {
  static constexpr uint16_t kTag = 21;
  static constexpr std::string_view kName = "report_undelivered";
  static constexpr std::array kScopes{Scope::verify};
  JobId job;
  uint64_t segment = 0;
  static constexpr auto fields() {
    return std::tuple{field("job", &ReportUndelivered::job), field("segment", &ReportUndelivered::segment)};
  }

  Result<> apply(State& state, const TxContext& context) const {
    return ledger::report_undelivered(state, context, job, segment);
  }
};

}  // namespace cairn::ledger
