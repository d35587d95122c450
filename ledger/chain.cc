#include "ledger/chain.h"

namespace cairn::ledger {

Chain::Chain(const attest::Genesis& genesis, std::unique_ptr<Store> store)
    : genesis_(genesis), id_(attest::genesis_hash(genesis)), app_(genesis), store_(std::move(store)) {}

Result<std::unique_ptr<Chain>> Chain::open(const std::filesystem::path& folder, const attest::Genesis& genesis,
                                             rocksdb::Env* files) {
  TRY_LET(store, Store::open(folder, attest::genesis_hash(genesis), files));
  std::unique_ptr<Chain> chain(new Chain(genesis, std::move(store)));
  const Height head = chain->store_->head();
  if (number(head) == 0) {
    TRY(chain->app_.init());
    return chain;
  }
  chain->store_->each_state([&](ByteSpan key, ByteSpan value) {
    chain->app_.state().load(Bytes(key.begin(), key.end()), Bytes(value.begin(), value.end()));
  });
  const auto last = chain->store_->header(head);
  if (!last) return Error{Code::io, "the store lacks its last block", "restore it from a copy"};
  TRY(chain->app_.resume(*last));
  return chain;
}

std::pair<attest::SignedHeader, attest::MapProof> Chain::prove(const Hash& key) {
  const auto lock = turn();
  return {app_.head(), app_.prove(key)};
}

Block Chain::extend(uint64_t wall_ms, const attest::BeaconEntry& beacon, std::vector<Bytes> transactions,
                    const std::function<attest::SignedHeader(const attest::Header&)>& sign) {
  const auto lock = turn();
  const auto ours = [](const TransactionId&) { return true; };
  try {
    Finalized done = must(app_.finalize(app_.next_height(), wall_ms, beacon, transactions, store_->last_event() + 1, ours));
    const Block block{sign(done.header), std::move(transactions), std::move(done.results)};
    const auto changes = app_.changes();
    store_->commit({block, changes, done.events, done.receipts});
    app_.committed(block.header);
    return block;
  } catch (...) {
    app_.dropped();
    throw;
  }
}

}  // namespace cairn::ledger
