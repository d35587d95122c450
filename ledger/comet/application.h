// The ledger as CometBFT's application: ABCI calls in, the App's answers out.
//
//   entries of a block   := our beacon entry, then transactions
//   app hash after H     := header_id of our header H; before block 1: the genesis hash
//   a validator's votes  := whole CRN of its stake
//
//   a snapshot           := format 1; its metadata a SnapshotHead, its chunks StateChunks
//
// FinalizeBlock computes and writes nothing; Commit is one synced batch. The consensus calls come from one connection; CheckTx
// and Query from others, and see the last committed block. What CheckTx asks about is a parcel of another node's (parcel.h), and
// what a proposal of ours holds is what waits in our pool, whatever CometBFT's own mempool offers. A call out of order is a Fault,
// which ends the engine. A chunk that lies is asked for again, from others than its sender.
#pragma once

#include <functional>
#include <mutex>

#include "ledger/comet/abci_server.h"
#include "ledger/comet/grammar.h"
#include "ledger/comet/pool.h"
#include "ledger/snapshot.h"

namespace tendermint::abci {
class RequestCheckTx;
class RequestOfferSnapshot;
class RequestPrepareProposal;
}  // namespace tendermint::abci

namespace cairn::ledger::comet {

// What Query "prove" answers, data being a key of the state map: the path to the root of the last header.
struct Proven {
  attest::Header header;
  attest::MapProof proof;
  static constexpr auto fields() { return std::tuple{field("header", &Proven::header), field("proof", &Proven::proof)}; }
};

struct ApplicationConfig {
  PublicKey producer;              // this node's, as registered
  SecretKey vrf;
  std::function<void(const Block&)> on_block;  // after every Commit, from the engine's thread: quick
  std::function<void()> on_restored;           // the chain has been filled from a snapshot
  Snapshots* snapshots = nullptr;              // what others may take; null: nothing
};

class Application {
 public:
  Application(Chain& chain, Pool& pool, ApplicationConfig config);
  // Of AbciServer: any thread.
  void handle(const tendermint::abci::Request& request, tendermint::abci::Response& response);

 private:
  Result<> check(const tendermint::abci::RequestCheckTx& request);
  std::vector<Bytes> prepare(const tendermint::abci::RequestPrepareProposal& request);
  template <class Entries>
  void see(const Entries& entries);
  Block commit();
  template <class Request, class Commit>
  Proposal proposal_of(const Request& request, const Commit& last_commit);
  Result<> offer(const tendermint::abci::RequestOfferSnapshot& offered);

  Chain& chain_;
  const ApplicationConfig config_;
  Pool& pool_;
  std::mutex consensus_;  // its calls are one at a time already; Info comes from another connection
  Grammar grammar_;
  Proposal prepared_;  // the last one of our own
  std::unique_ptr<Restore> restore_;
};

}  // namespace cairn::ledger::comet
