// CometBFT as the node's engine: transactions go into our pool and, in parcels, into its mempool over RPC; they come back in blocks
// that the Application commits.
//
// Threads of its own check signatures, and others talk to the RPC. While CometBFT is away, what is on its way waits for it, since its
// supervisor starts it again.
#pragma once

#include <condition_variable>
#include <deque>
#include <thread>

#include "base/clock.h"
#include "ledger/chain.h"
#include "ledger/comet/pool.h"
#include "ledger/comet/rpc.h"
#include "ledger/engine.h"

namespace cairn::ledger::comet {

struct CometConfig {
  std::filesystem::path home;
  unsigned verifiers = 0;       // threads that check signatures; 0: one a core
  uint64_t stall_ms = 30'000;   // without a block: halted() says why
  std::vector<attest::SetChange> changes;  // that lead from the genesis's validators on, where this node does not have those blocks
};

class Comet final : public Engine {
 public:
  Comet(Chain& chain, Pool& pool, const Clock& clock, CometConfig config);
  ~Comet() override;
  Comet(const Comet&) = delete;
  Comet& operator=(const Comet&) = delete;

  void on_block(const Block& block);  // after every Commit
  void on_restored();                 // the chain begins at a snapshot

  void submit(Bytes transaction, Until until, Answer answer) override;
  void seal(std::vector<attest::SignedHeader> headers, Sealed sealed) override;
  // Of commit, validators and consensus_params alone. Errors: invalid (another question), limit (too many wait), unreachable.
  void relay(Bytes question, Told told) override;
  size_t waiting() const override;
  std::optional<Error> halted() const override;
  EngineFigures figures() const override;

 private:
  struct Waiter {
    Answer answer;
    uint64_t until_ns = 0;
  };
  struct Arrived {
    Bytes bytes;
    TransactionId id;
    Answer admitted;  // null when the sender waits for the block, or has its answer
  };
  struct Sealing {
    std::vector<attest::SignedHeader> headers;
    Sealed sealed;
    uint64_t until_ns = 0;
  };

  void admit();
  void carry();
  void refuse(const Arrived& arrived, const Error& error);
  void complete_seals();
  void relay_questions();
  Result<attest::CometSeal> seal_of(Rpc& rpc, Height height);
  static Result<attest::CometSeal> voted(Rpc& rpc, Height height, std::span<const attest::CometValidator> known);
  Result<attest::SetChange> change_towards(Rpc& rpc, Height after, Height before, std::span<const attest::CometValidator> known);
  void finish(const TransactionId& id, const Answer& admitted, const Result<TxResult>& result);
  bool pause_ms(uint64_t time_ms);  // false: stopping

  Chain& chain_;
  Pool& pool_;
  const Clock& clock_;
  const CometConfig config_;

  mutable std::mutex mutex_;
  std::condition_variable arrived_wake_, carry_wake_, seal_wake_, relay_wake_;
  std::deque<Arrived> arrived_, outgoing_;  // to be checked; in the pool, and on their way to the others
  size_t queued_ = 0, queued_bytes_ = 0;    // of both
  std::multimap<TransactionId, Waiter> waiters_;
  std::deque<Sealing> sealing_;
  std::deque<std::pair<Bytes, Told>> questions_;
  std::vector<attest::SetChange> changes_;  // from the genesis on, as far as they were needed; the sealing thread alone
  EngineFigures figures_;
  uint64_t last_block_ns_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace cairn::ledger::comet
