// `cairn-bench attest`: what proofs cost: commitments, checks, disputes, receipts.
#pragma once

#include <string>
#include <vector>

#include "bench/pairs.h"

namespace cairn::bench {

// `worker`: the worker program. Run from the root of the sources. Cost: about five minutes, or one when `quick`.
std::vector<Row> measure_attest(const std::string& worker, bool quick);

}  // namespace cairn::bench
