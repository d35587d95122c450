// `cairn-bench ledger`: the chain beside what bounds it on this machine, one row each, with what each must reach.
#pragma once

#include <vector>

#include "bench/pairs.h"

namespace cairn::bench {

struct LedgerOptions {
  bool quick = false;  // fewer repetitions: a look, not a result
  bool full = false;   // growth tables too
};

// Every room's rows in order. The table of rooms is in ledger.cc.
std::vector<Row> measure_ledger(const LedgerOptions& options);

// The solo engine and the node's HTTP interface. Cost: about two minutes, or twenty seconds.
std::vector<Row> measure_node(const LedgerOptions& options);

// A state of a million accounts: proofs, disk, a start, memory. Cost: about a minute; `full`, from 10^4 to 10^7, about ten, with a
// picture in bench/results/.
std::vector<Row> measure_state(const LedgerOptions& options);

}  // namespace cairn::bench
