// What decides the blocks of the chain on this machine, as the node's HTTP interface sees it.
#pragma once

#include <functional>
#include <optional>

#include "base/metrics.h"
#include "ledger/records.h"

namespace cairn::ledger {

// What an engine has done since its start, and what waits.
struct EngineFigures {
  uint64_t blocks = 0;
  uint64_t transactions = 0;  // in blocks, whatever became of them
  uint64_t failed = 0;        // of these, with another code than success
  uint64_t refused = 0;       // never in a block: by their signature, the ladder or the mempool's bounds
  HistogramCounts block_s;    // from the choice of a block's transactions to its sync
  uint64_t waiting = 0, waiting_bytes = 0;
  uint64_t full_block_fee = 0;     // Mempool::fee_of_full_block, as of the last block
  uint64_t due_since_ns = 0;       // on the steady clock: since then a block should come; 0: none should
};

class Engine {
 public:
  virtual ~Engine() = default;

  enum class Until { admitted, committed };
  // Called once, from one of the engine's threads: must be quick and may not call the engine.
  using Answer = std::function<void(Result<TxResult>)>;
  // Hands over an encoded transaction. Any thread; never blocks. Admitted: answered with height 0. Committed: with the height
  // and code of its block. One that is known already: `already` (with the height of its block, if it is in one), or, until
  // committed, the same answer that its first sender gets.
  virtual void submit(Bytes transaction, Until until, Answer answer) = 0;

  // Completes headers that were stored without a seal, as comet's are: the votes are in a later block. Any thread; never blocks.
  using Sealed = std::function<void(Result<std::vector<attest::SignedHeader>>)>;
  virtual void seal(std::vector<attest::SignedHeader> headers, Sealed sealed) = 0;

  // A question about the engine's own blocks, in its words, of a node that joins; the answer in its words. Any thread; never blocks.
  using Told = std::function<void(Result<std::string>)>;
  virtual void relay(Bytes, Told told) {
    told(Error{Code::not_found, "the engine of this chain has no blocks of its own", "/v1/blocks has all there is"});
  }

  virtual size_t waiting() const = 0;  // in the mempool
  virtual std::optional<Error> halted() const = 0;
  virtual EngineFigures figures() const = 0;
};

}  // namespace cairn::ledger
