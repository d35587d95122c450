// A requester buys a computation.
#pragma once

#include "ledger/jobs.h"

namespace cairn::ledger {

// Opens a job under this transaction's id: the quote moves into its escrow, and the book is tried once.
// Rejects: invalid       see attest::check(JobSpec); another tier than exact
//          invalid       accept_ms is below five block intervals or above an hour
//          limit         more checks or work than a job may have, more than a day to run a segment again, an order above 512 KiB, or the quote overflows
//          not_found     an input names an asset that is not there
//          invalid       an input's bytes are not its asset's
//          insufficient  the balance is below the quote
// Keeps:   the quote moves to escrow(job) and deposit(job)
struct OpenJob {
  static constexpr uint16_t kTag = 9;
  static constexpr std::string_view kName = "open_job";
  static constexpr std::array kScopes{Scope::request};
  attest::JobSpec spec;
  static constexpr auto fields() {
    return std::tuple{field("spec", &OpenJob::spec)};
  }

  Result<> apply(State& state, const TxContext& context) const {
    return ledger::open_job(state, context, spec);
  }
};

}  // namespace cairn::ledger
