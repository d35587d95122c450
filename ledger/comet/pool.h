// What waits for a block on CometBFT, by the rules that the solo engine has (ledger/mempool.h): a sender's in their order, the higher
// fee first, moves of an open game before all else. CometBFT's own mempool, which orders by arrival and has no bound for a sender,
// carries parcels of it to the other nodes (parcel.h).
//
// What this node is given goes into its pool at once, and then on its way; what comes on the way, CometBFT asks for before it takes
// it, and after a block whether some of it still waits. Checks are on the state of the last block, and do not wait while the next
// one is applied and stored. Any thread.
#pragma once

#include <mutex>
#include <unordered_set>

#include "ledger/chain.h"
#include "ledger/mempool.h"

namespace cairn::ledger::comet {

// Transactions whose signature holds: each is verified once, however often the engine shows it. Bounded; any thread.
class SeenSignatures {
 public:
  bool has(const TransactionId& id) const;
  void add(const TransactionId& id);

 private:
  using Set = std::unordered_set<TransactionId, IdHash>;
  mutable std::mutex mutex_;
  Set young_, old_;
};

class Pool {
 public:
  // `believes_signatures`: measurements alone.
  Pool(const Chain& chain, const MempoolLimits& limits, bool believes_signatures = false);
  // Hears of those that waited and will not stand in a block of ours; under no lock. Before anything is added.
  using Dropped = std::function<void(const TransactionId&, const Error&)>;
  void on_dropped(Dropped dropped) { dropped_ = std::move(dropped); }

  // Errors: those of App::check and of Mempool::add.
  Result<> add(ByteSpan transaction, const TransactionId& id);
  // All that may wait of another node's. Errors: malformed, bad_signature (its node has checked nothing, so what comes after is
  // not looked at); where none of it waits here, what the first was refused for.
  Result<> add_parcel(ByteSpan parcel);
  // Whether some of it waits.
  bool holds_of(ByteSpan parcel) const;
  bool holds(const TransactionId& id) const;
  size_t size() const;
  // For the next block: at most `max_bytes`, in order.
  std::vector<Bytes> take(size_t max_bytes) const;
  // A block of ours could not use it.
  void drop(ByteSpan transaction);
  // A block was stored, and what it changed: of Chain::commit. Gives what waits no more without standing in it, to be reported.
  using Gone = std::vector<std::pair<TransactionId, Error>>;
  Gone settle(const Block& block, std::span<const RecordChange> changes);
  void report(const Gone& gone) const;
  // The chain begins at another state, that of a snapshot.
  void restart();

  // Verifies what has not been seen, under no lock.
  void see(ByteSpan transaction);
  App::Known known() const;

 private:
  void stand_on_last();
  App::Ground ground() const { return {*state_, rules_at(rules_, next_).params, chain_.id(), now_}; }
  Result<std::vector<Waiting>> admit(const App::Ground& ground, const Transaction& transaction, ByteSpan bytes, const TransactionId& id);

  const Chain& chain_;
  const bool believes_signatures_;
  Dropped dropped_;
  SeenSignatures seen_;
  mutable std::mutex mutex_;  // taken under the chain's, never around it
  Mempool waiting_;
  // Of the last block; no state before the first, which is the chain's own then.
  std::shared_ptr<const View> view_;
  std::optional<State> state_;
  std::vector<attest::Rules> rules_;
  Height next_{};
  ChainTime now_{};
};

}  // namespace cairn::ledger::comet
