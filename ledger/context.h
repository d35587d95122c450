// What a transaction's apply may know beside the state: the block it stands in, its sender, its own id.
#pragma once

#include "base/amount.h"
#include "base/bytes.h"
#include "base/result.h"

namespace cairn::attest {
struct ChainParams;
}

namespace cairn::ledger {

class State;     // state.h
struct BlockContext;  // state.h

struct TxContext {
  const BlockContext& block;
  AccountId sender;
  Hash id;       // of the transaction: also the id of the job, offer or asset that it makes
  uint64_t seq;  // orders everything that ever happened on the chain
};

}  // namespace cairn::ledger
