// `cairn-bench attest`: what proofs cost: commitments, checks, disputes, receipts.
#pragma once

#include <string>
#include <vector>

#include "bench/pairs.h"

namespace cairn::bench {

// `worker`: the worker program. Run from the root of the sources. Cost: about five minutes, or one when `quick`.
std::vector<Row> measure_attest(const std::string& worker, bool quick);
// A table of what a dispute's last move costs for every operator at its largest call: bytes of the opening, time of the ledger.
void print_leaves();

}  // namespace cairn::bench
