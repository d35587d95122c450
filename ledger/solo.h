// The embedded engine: one producer that decides every block.
//
// A thread of its own makes a block at once when transactions wait and no other is on its way to it; while more keep coming, when
// enough of them wait to be worth a sync, and every `interval_ms` at the latest. For a deadline or a draw alone it makes one every
// interval, and rests otherwise. So one sender waits for one sync, and many share one.
//
// A pool of threads decodes and verifies signatures beside it, each once, while the block before is applied and synced; a transaction
// that comes alone is checked by the thread that brings it. Nothing else of one runs outside the engine's thread.
//
// While a block is synced so is the mark of its signature; it is answered for, and can be read, only after both syncs. The next
// beacon is made after the answers: what computes beside a sync keeps the kernel's threads of the disk waiting.
//
// A failed invariant or disk halts it for good: what waits, and whatever comes later, is answered `halted`.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <thread>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/signing_mark.h"
#include "ledger/chain.h"
#include "ledger/engine.h"
#include "ledger/mempool.h"

namespace cairn::ledger {

struct SoloConfig {
  unsigned verifiers = 0;  // threads that check signatures; 0: one a core
  MempoolLimits mempool;
  std::filesystem::path mark;  // where what the producer's key signed last is kept, beside the key; empty: nowhere, for tests
  std::function<void(const Block&)> on_block;  // called after every block from the engine's thread: quick
};

class Solo final : public Engine {
 public:
  // Errors: unauthorised (the keys are not those that the genesis names); already (the key has signed later blocks than the chain's
  // last), and those of SigningMark::open.
  static Result<std::unique_ptr<Solo>> start(Chain& chain, const SecretKey& producer, const SecretKey& vrf, const Clock& clock,
                                             SoloConfig config = {});
  // Finishes the block under way, answers what waits with `unreachable`.
  ~Solo() override;
  Solo(const Solo&) = delete;
  Solo& operator=(const Solo&) = delete;

  void submit(Bytes transaction, Until until, Answer answer) override;
  void seal(std::vector<attest::SignedHeader> headers, Sealed sealed) override { sealed(std::move(headers)); }  // they are
  size_t waiting() const override { return waiting_; }
  std::optional<Error> halted() const override;
  EngineFigures figures() const override;

 private:
  struct Arrived {
    Bytes bytes;
    TransactionId id;
    Answer admitted;  // null when the sender waits for the block
  };
  struct Checked {
    Arrived arrived;
    std::unique_ptr<const Transaction> transaction;
  };
  struct Ended {  // what to answer, once `mutex_` is free
    TransactionId id;
    Answer admitted;  // null when the sender waits for the block
    Result<TxResult> result;
  };

  Solo(Chain& chain, const SecretKey& producer, const SecretKey& vrf, const Clock& clock, const SoloConfig& config,
       std::unique_ptr<SigningMark> mark);
  void verify_signatures();
  void verify(std::vector<Arrived> arrived);
  void run();
  void admit(std::vector<Checked> checked);
  void make_block();
  void note_waiting();
  void halt(const Error& why);
  // Answers who asked for admission (if anybody), and everybody who waits for the same transactions' block.
  void finish(std::vector<Ended> ended);

  Chain& chain_;
  const SecretKey producer_, vrf_;
  const Clock& clock_;
  const std::unique_ptr<SigningMark> mark_;  // may be null
  Mempool mempool_;  // the engine's thread alone
  uint64_t next_block_ns_ = 0;
  std::optional<attest::BeaconEntry> next_beacon_;  // none before the first block
  const std::function<void(const Block&)> on_block_;

  mutable std::mutex mutex_;
  std::condition_variable arrived_wake_, engine_wake_;
  std::deque<Arrived> arrived_;
  size_t arrived_bytes_ = 0;
  std::vector<Checked> checked_;
  size_t on_the_way_ = 0;  // submitted, and not yet refused or in the mempool
  std::unordered_map<TransactionId, std::vector<Answer>, IdHash> known_;  // from submit to block: who waits for it
  std::optional<Error> halted_;
  bool stopping_ = false;
  std::atomic<size_t> waiting_{0};
  EngineFigures figures_;

  std::vector<std::thread> threads_;
};

}  // namespace cairn::ledger
