// One node of the simulated network: the real chain, store and mempool on a disk that loses what was not synced. What the
// engines do with threads is done here by events.
#pragma once

#include "ledger/mempool.h"
#include "tests/ledger/faulty_disk.h"
#include "tests/sim/audit.h"

namespace cairn::sim {

// What a proposer says the next block is.
struct Proposal {
  Height height{};
  uint32_t round = 0;
  uint64_t wall_ms = 0;
  attest::BeaconEntry beacon;
  std::vector<Bytes> transactions;
  static constexpr auto fields() {
    return std::tuple{field("height", &Proposal::height), field("round", &Proposal::round), field("wall_ms", &Proposal::wall_ms),
                      field("beacon", &Proposal::beacon), field("transactions", &Proposal::transactions)};
  }
};

// The same as the ledger has it.
inline ledger::Proposal decided(const Proposal& proposal) {
  ledger::Proposal out{proposal.height, proposal.wall_ms, attest::address_of(proposal.beacon.producer), {}, {}, {encode(proposal.beacon)}};
  out.entries.insert(out.entries.end(), proposal.transactions.begin(), proposal.transactions.end());
  return out;
}

struct Keys {
  SecretKey producer;
  SecretKey vrf;
};

class Node {
 public:
  Node(World& world, Place place, const attest::Genesis& genesis, const Keys& keys, Audit& audit, uint64_t clock_skew_ms,
       const MempoolLimits& limits);

  Place place() const { return place_; }
  bool up() const { return chain_ != nullptr; }
  Height height() const { return height_; }  // of what it holds, while it is up
  Chain& chain() { return *chain_; }

  // A transaction from a client or a peer. `answer` tells what became of it, now or with its block: 0 and a height, or a
  // code. A refusal at the door has no height.
  using Answer = std::function<void(const TransactionId&, Height, uint16_t code)>;
  void receive(const Bytes& transaction, const Answer& answer);

  bool wants_block() const { return mempool_->ready() || pending_; }
  Proposal propose(uint32_t round);
  // Whether it would vote for this one.
  Result<> consider(const Proposal& proposal) const;
  // Applies what was decided. False: the power went meanwhile, and it is down.
  bool commit(const Proposal& proposal);
  // Of what `height` was, for a byzantine proposer that wants to look honest.
  attest::BeaconEntry beacon_entry() const;
  uint64_t wall_ms() const { return 1'000'000 + world_.now_ms() + skew_ms_; }

  void fail_at(uint64_t operation) { disk_.cut_at(operation); }
  void crash();
  // Comes up with what the disk has. Whatever it had acknowledged must be there.
  void start();

 private:
  void lost_power();
  void note_gone(const TransactionId& id);
  // Whoever waits with its account's next nonce, and after it in one row, is what a block takes, as far as there is room.
  void check_taken(const std::vector<Bytes>& transactions) const;
  void note_pending() { pending_ = chain_->read([](const App& app) { return app.pending(); }); }
  World& world_;
  const Place place_;
  const attest::Genesis& genesis_;
  const Keys& keys_;
  Audit& audit_;
  const uint64_t skew_ms_;
  const MempoolLimits limits_;
  Rng chance_;
  FaultyDisk disk_{FaultyDisk::Counts::writes_of_logs};
  std::unique_ptr<Chain> chain_;
  std::unique_ptr<Mempool> mempool_;
  Height height_{};
  bool pending_ = false;     // for time alone the chain wants a block
  Height acknowledged_{};  // the last block that commit() returned of
  std::map<TransactionId, Answer> waiting_;
  struct Held {
    TransactionId id;
    size_t bytes;
  };
  std::map<Signer, std::map<uint64_t, Held>> lanes_;  // what the mempool took and has not said to have left it, by nonce
  std::map<TransactionId, std::pair<Signer, uint64_t>> places_;  // the same, by id
};

}  // namespace cairn::sim
