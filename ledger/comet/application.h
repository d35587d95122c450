// The ledger as CometBFT's application: ABCI calls in, the App's answers out.
//
//   entries of a block   := our beacon entry, then transactions
//   app hash after H     := header_id of our header H; before block 1: the genesis hash
//   a validator's votes  := whole CRN of its stake
//
//   a snapshot           := format 1; its metadata a SnapshotHead, its chunks StateChunks
//
// FinalizeBlock computes and writes nothing; Commit is one synced batch. The consensus calls come from one connection; CheckTx
// and Query from others, and see the last committed block. A call out of order is a Fault, which ends the engine. A chunk that lies is
// asked for again, from others than its sender.
#pragma once

#include <functional>
#include <mutex>
#include <unordered_set>

#include "ledger/comet/abci_server.h"
#include "ledger/comet/grammar.h"
#include "ledger/snapshot.h"

namespace tendermint::abci {
class RequestOfferSnapshot;
}  // namespace tendermint::abci

namespace cairn::ledger::comet {

// Transactions whose signature holds: each is verified once, however often the engine shows it. Bounded; any thread.
class SeenSignatures {
 public:
  bool has(const TransactionId& id) const;
  void add(const TransactionId& id);

 private:
  struct Spread {
    size_t operator()(const TransactionId& id) const;
  };
  using Set = std::unordered_set<TransactionId, Spread>;
  mutable std::mutex mutex_;
  Set young_, old_;
};

// What Query "prove" answers, data being a key of the state map: the path to the root of the last header.
struct Proven {
  attest::Header header;
  attest::MapProof proof;
  static constexpr auto fields() { return std::tuple{field("header", &Proven::header), field("proof", &Proven::proof)}; }
};

struct ApplicationConfig {
  PublicKey producer;              // this node's, as registered
  SecretKey vrf;
  bool stub_signatures = false;    // measurements alone: whatever is signed is believed
  std::function<void(const Block&)> on_block;  // after every Commit, from the engine's thread: quick
  std::function<void()> on_restored;           // the chain has been filled from a snapshot
  Snapshots* snapshots = nullptr;              // what others may take; null: nothing
};

class Application {
 public:
  Application(Chain& chain, ApplicationConfig config);
  // Of AbciServer: any thread.
  void handle(const tendermint::abci::Request& request, tendermint::abci::Response& response);

 private:
  App::Known known() const;
  Result<> check_new(ByteSpan transaction);
  template <class Entries>
  void see_signatures(const Entries& entries);
  template <class Request, class Commit>
  Proposal proposal_of(const Request& request, const Commit& last_commit);
  Result<> offer(const tendermint::abci::RequestOfferSnapshot& offered);

  Chain& chain_;
  const ApplicationConfig config_;
  SeenSignatures seen_;
  std::mutex consensus_;  // its calls are one at a time already; Info comes from another connection
  Grammar grammar_;
  Proposal prepared_;  // the last one of our own
  std::unique_ptr<Restore> restore_;
};

}  // namespace cairn::ledger::comet
