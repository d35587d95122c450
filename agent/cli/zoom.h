// A game about one segment, as a zoom: one level for every thing that was narrowed, with what each side claims.
#pragma once

#include "agent/output.h"
#include "ledger/records.h"

namespace cairn::agent {

// {"game","segment","challenger","winner","reason","found","moves","levels":[...],"lines":[...]}; a level is
// {"phase","index","count","what","provider","challenger"}, from the segment down to one number, which is shown as a number.
JsonObject zoom_of(const ledger::Dispute& dispute, uint64_t segments);

}  // namespace cairn::agent
