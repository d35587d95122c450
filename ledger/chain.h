// The chain on this machine: the App and its Store as one, under one lock. Between blocks, memory and disk are of one height.
#pragma once

#include <functional>
#include <map>
#include <mutex>

#include "ledger/app.h"
#include "ledger/store.h"

namespace cairn::ledger {

class Chain {
 public:
  // Opens the folder and goes on where its last block ended. Errors: those of Store::open, and what App::resume refuses (the
  // records do not add up to the last header's root). `files` as there.
  static Result<std::unique_ptr<Chain>> open(const std::filesystem::path& folder, const attest::Genesis& genesis,
                                             rocksdb::Env* files = nullptr);

  // Runs `ask(const App&)` on the state of the last block; be brief, blocks wait meanwhile. Any thread.
  template <class Ask>
  auto read(Ask&& ask) const {
    const auto lock = turn();
    return ask(static_cast<const App&>(app_));
  }
  // The path of one key of the state map, and the head whose root it leads to.
  std::pair<attest::SignedHeader, attest::MapProof> prove(const Hash& key);

  // Applies the next block, has its header signed, stores everything in one synced batch: when this returns, the block has
  // happened. The transactions' signatures have been verified. Throws Fault when an invariant or the disk fails; the state is
  // then that of the block before.
  Block extend(uint64_t wall_ms, const attest::BeaconEntry& beacon, std::vector<Bytes> transactions,
               const std::function<attest::SignedHeader(const attest::Header&)>& sign);

  const Store& store() const { return *store_; }
  const attest::Genesis& genesis() const { return genesis_; }
  const Hash& id() const { return id_; }

 private:
  Chain(const attest::Genesis& genesis, std::unique_ptr<Store> store);

  // Whoever waits holds the door, so that an engine that makes block after block does not overtake a reader.
  std::unique_lock<std::mutex> turn() const {
    std::lock_guard door(door_);
    return std::unique_lock(mutex_);
  }

  const attest::Genesis genesis_;
  const Hash id_;  // the genesis hash
  mutable std::mutex door_, mutex_;
  App app_;
  std::unique_ptr<Store> store_;
};

}  // namespace cairn::ledger
