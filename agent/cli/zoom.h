// A game about one segment, as a zoom: one level for every thing that was narrowed, with what each side claims.
#pragma once

#include "agent/output.h"
#include "ledger/records.h"

namespace cairn::agent {

// {"game","segment","provider","challenger","winner","reason","provider_value","challenger_value","found","levels","lines"}. A
// level is {"phase","index","count","of","provider","challenger"}, from the segment down to one number; the values are that
// number as each side holds it, `found` is what the ledger found when it recomputed.
JsonObject zoom_of(const ledger::Dispute& dispute, uint64_t segments);

}  // namespace cairn::agent
