// A judge of a native job says what it thinks.
#pragma once

#include "ledger/checks.h"

namespace cairn::ledger {

// One of the judges that a native job names has run the drawn segments on its own machine, and says whether what the provider
// committed to lies within the tolerances. More than half of them against it: the provider is not paid, and nothing else.
// Rejects: not_found
//          not_party
//          already      it has said so
//          too_late
// Keeps:   nothing moves before the job ends; every judge that spoke is paid then, whatever it said
struct Judge {
  static constexpr uint16_t kTag = 26;
  static constexpr std::string_view kName = "judge";
  static constexpr std::array kScopes{Scope::verify};
  JobId job;
  bool pays = false;
  static constexpr auto fields() { return std::tuple{field("job", &Judge::job), field("pays", &Judge::pays)}; }

  Result<> apply(State& state, const TxContext& context) const { return judge_job(state, context, job, pays); }
};

}  // namespace cairn::ledger
