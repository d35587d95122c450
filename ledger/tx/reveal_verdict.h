// A verifier reveals what it knows.
#pragma once

#include "ledger/checks.h"

namespace cairn::ledger {

// A verifier opens its verdict (*Attest*). One that agrees is paid at settlement. One that differs opens a game in which
// the verifier is the challenger; its side of the fee comes from the balance, and what lacks burns of its bond if it loses.
// Rejects: not_found
//          not_party
//          wrong_state  the provider has not answered yet
//          already
//          invalid      it does not hash to the verdict
//          proof        `call` is not the drawn call of the plan
struct RevealVerdict {
  static constexpr uint16_t kTag = 16;
  static constexpr std::string_view kName = "reveal_verdict";
  static constexpr std::array kScopes{Scope::verify};
  JobId job;
  uint64_t segment = 0;
  Hash salt;
  attest::Knowledge knowledge;
  std::optional<DrawnCall> call;  // which call was drawn; needed when the end roots are equal and the ids differ
  static constexpr auto fields() {
    return std::tuple{field("job", &RevealVerdict::job),
                      field("segment", &RevealVerdict::segment),
                      field("salt", &RevealVerdict::salt),
                      field("knowledge", &RevealVerdict::knowledge), field("call", &RevealVerdict::call)};
  }

  Result<> apply(State& state, const TxContext& context) const {
    return ledger::reveal_verdict(state, context, job, segment, salt, knowledge, call);
  }
};

}  // namespace cairn::ledger
