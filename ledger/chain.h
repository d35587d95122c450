// The chain on this machine: the App and its Store as one, under one lock. Between blocks, memory and disk are of one height.
//
// Nothing is loaded at start-up but the top of the state's tree. That the whole state is what the last header says is checked
// beside: when it is not, the chain halts (every call throws the Fault). The same thread then has the store give back what left the
// window of proofs, each time that the window has passed.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include "ledger/app.h"
#include "ledger/store.h"

namespace cairn::ledger {

struct ChainSettings {
  uint32_t window = 128;     // heights of which proofs are given
  bool beside = true;  // a thread checks the whole state once, and reclaims room; a simulator, which wants none, calls check()
};

class Chain {
 public:
  // Opens the folder and goes on where its last block ended. Errors: those of Store::open, and what App::resume refuses (the
  // tree is not the last header's). `files` and the window of proofs as there.
  static Result<std::unique_ptr<Chain>> open(const std::filesystem::path& folder, const attest::Genesis& genesis,
                                             rocksdb::Env* files = nullptr, const ChainSettings& settings = {});
  ~Chain();

  // Runs `ask(const App&)` on the state of the last block; be brief, blocks wait meanwhile. Any thread.
  template <class Ask>
  auto read(Ask&& ask) const {
    const auto lock = turn();
    return ask(static_cast<const App&>(*app_));
  }
  // One height's header and state, for proofs and long reads: blocks do not wait for it. Error: not_found (the height is not
  // there yet), too_old (it has left the window).
  struct Committed {
    attest::SignedHeader header;
    std::shared_ptr<const View> view;
    attest::MapProof prove(const Hash& key) const { return StateTree(*view).prove(key); }
    template <class Record>
    std::optional<Record> record(const Bytes& key) const {
      return State(*view).find<Record>(key);
    }
  };
  Result<Committed> at(Height height) const;
  Result<Committed> last() const { return at(store_->head()); }

  // The whole state against the last header, now and by this thread. Errors: those of check_state.
  Result<> check(const std::function<bool()>& go_on = [] { return true; }) const;

  // Applies the next block, has its header signed, stores everything in one synced batch: when this returns, the block has
  // happened. The proof of its beacon and the transactions' signatures have been verified. `before_shown` is called between, when
  // the block is on disk and nobody can read it yet. Throws Fault when an invariant or the disk fails; the state is then that of
  // the block before.
  using Sign = std::function<attest::SignedHeader(const attest::Header&)>;
  Block extend(const Proposal& proposal, const Sign& sign, const std::function<void()>& before_shown = {});

  // The same in two steps, for an engine that decides in one and asks for the other: finalize() writes nothing, and may be
  // repeated; commit() is the last one's, in one synced batch. In between the block is decided: read() may show its state, while
  // last() is the block before. Errors of finalize: those of App::finalize. Both throw Fault as extend() does.
  Result<Finalized> finalize(const Proposal& proposal, const App::Known& signature_known);
  // `stored` hears what it changed, in the order of keys, when last() is this block; blocks and readers wait for it.
  using Stored = std::function<void(const Block&, std::span<const RecordChange>)>;
  Block commit(const Stored& stored = {});

  // Into a chain without a block: a state in parts, as records and pages of their tree; then the header that it is the state of.
  // Until then nothing of it counts, and forget() or the next start drops it. Errors of begin: those of App::resume.
  void add(std::span<const RecordChange> records, std::span<const PageChange> pages);
  void forget();
  Result<> begin(const attest::SignedHeader& header, const std::optional<Event>& last_event);

  const Store& store() const { return *store_; }
  const attest::Genesis& genesis() const { return genesis_; }
  const Hash& id() const { return id_; }

 private:
  Chain(const attest::Genesis& genesis, std::unique_ptr<Store> store, uint32_t window);
  void begin_beside();
  Result<> check_and_reclaim(std::optional<Committed> start);
  void store(const Block& block, const Finalized& done, const std::function<void()>& before_shown, const Stored& stored = {});

  // Whoever waits holds the door, so that an engine that makes block after block does not overtake a reader.
  std::unique_lock<std::mutex> turn() const {
    std::lock_guard door(door_);
    std::unique_lock lock(mutex_);
    if (damaged_) throw Fault(*damaged_);
    return lock;
  }

  struct Staged {
    Finalized done;
    std::vector<Bytes> transactions;
  };

  const attest::Genesis genesis_;
  const Hash id_;  // the genesis hash
  mutable std::mutex door_, mutex_;
  std::unique_ptr<Store> store_;
  std::optional<App> app_;  // always there; another one after begin()
  std::optional<Error> damaged_;  // found beside
  const uint32_t window_;
  std::atomic<bool> stopping_{false};
  std::condition_variable window_passed_;
  std::thread beside_;
  std::optional<Staged> staged_;  // finalized, not committed
};

}  // namespace cairn::ledger
