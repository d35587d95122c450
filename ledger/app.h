// The ledger as one pure state machine: (state, block) -> (state', results, root). Whoever decides the next block drives it:
// an engine makes a proposal of what prepare() gives, lets every other node process() it, and hands what was decided to
// finalize(). The same proposal gives the same bytes on every node and whatever the engine is.
//
// No clock but the header's, no disk, no thread. A block is finalized on a journalled state, and then either committed, after
// the caller has made it durable, or dropped. One thread at a time; readers must be kept out between finalize and either.
// It stands on a View of the last committed block, that of a store or one in memory.
#pragma once

#include <functional>
#include <memory>
#include <span>

#include "ledger/state.h"
#include "ledger/state_tree.h"
#include "ledger/transaction.h"
#include "ledger/validators.h"

namespace cairn::ledger {

// A block as an engine proposes or decides it: all that its outcome depends on beside the state.
struct Proposal {
  Height height{};
  uint64_t wall_ms = 0;                             // lifted to the last header's if it lies before
  attest::ValidatorAddress proposer{};
  std::vector<attest::ValidatorAddress> absent;     // whose votes for the block before are missing
  std::vector<Equivocation> equivocations;
  std::vector<Bytes> entries;                       // the proposer's BeaconEntry, then transactions
};

struct Finalized {
  attest::Header header;  // to be signed by the producer
  std::vector<TxResult> results;
  std::vector<Event> events;  // numbered from the caller's `next_event` on
  std::vector<attest::ReceiptBody> receipts;
  std::vector<attest::CometValidator> votes;  // validators whose votes change, in force two blocks later
};

// A transaction that was tried and left no trace.
struct Effect {
  Holder holder;
  Amount before, after;
  static constexpr auto fields() {
    return std::tuple{field("holder", &Effect::holder), field("before", &Effect::before), field("after", &Effect::after)};
  }
};
struct Simulation {
  uint16_t code = 0;
  std::string text, next;
  Amount fee;                   // what it offers
  Amount least_fee;             // what its size asks for
  uint64_t nonce = 0;           // the account's next
  std::vector<Effect> effects;  // on whoever holds value, the fee among them
  std::vector<Event> events;
  static constexpr auto fields() {
    using S = Simulation;
    return std::tuple{field("code", &S::code),           field("text", &S::text),   field("next", &S::next),
                      field("fee", &S::fee),             field("least_fee", &S::least_fee), field("nonce", &S::nonce),
                      field("effects", &S::effects),     field("events", &S::events)};
  }
};

// The leaf of a stored record in the state's tree.
inline attest::MapEntry map_entry(ByteSpan key, ByteSpan value) { return {blake3(key), blake3(value)}; }

// The tree and the records of a view against the last header, one after the other and whole: the root, every record's place in
// the tree, and that all holdings add up to what the genesis handed out. Any thread; stops with `cancelled` when `go_on` says so.
// Error: internal, io (the store is damaged).
Result<> check_state(const View& view, const attest::Genesis& genesis, const attest::SignedHeader& last,
                     const std::function<bool()>& go_on = [] { return true; });

class App {
 public:
  explicit App(attest::Genesis genesis);
  App(const App&) = delete;

  // The state of height 0; it is stored with block 1. Error: invalid (a genesis that hands out too much).
  Result<> init();
  // Goes on after a stored block whose state is in `view`. Looks at the top of its tree alone: see check_state.
  // Errors: wrong_chain, internal (the roots differ: the store is damaged).
  Result<> resume(const attest::SignedHeader& last, std::shared_ptr<const View> view);

  // The ladder, for a mempool: what would be refused at once. The nonce may lie ahead. `signature_known` skips the one
  // costly step, for bytes that passed it before. Gives the decoded transaction.
  // Errors, in order: limit, malformed, wrong_chain, bad_signature, unauthorised, wrong_nonce, expired, fee_too_low, insufficient,
  // limit (of a hot key).
  Result<Transaction> check(ByteSpan transaction, bool signature_known = false) const;
  // The same for a transaction that has been decoded, and whose signature has been checked. `size` and `id` are its encoding's.
  Result<> check_rest(const Transaction& transaction, size_t size_bytes, const TransactionId& id) const;
  // The same on a state of the caller's, for a mempool that does not wait for the block under way.
  struct Ground {
    const State& state;
    const attest::ChainParams& params;
    const Hash& chain;
    ChainTime now{};
  };
  static Result<> check_rest(const Ground& ground, const Transaction& transaction, size_t size_bytes, const TransactionId& id);

  // What the transaction would do in a block on this state, at its time: nothing of it stays. Its signature is not looked at, its
  // nonce may lie ahead. A refusal is a code in the answer, as in a block.
  Simulation simulate(const Transaction& transaction);

  // Whether the caller has verified this already, by the id of its bytes: a transaction's signature, or a beacon entry's proof
  // at this height.
  using Known = std::function<bool(const TransactionId&)>;
  // What a proposer puts into the next block: its beacon entry, and of `transactions`, in order, those that process() accepts,
  // at most `max_bytes` of all together. Each costs `overhead(size)` bytes on top of its own.
  using Overhead = std::function<size_t(size_t size)>;
  std::vector<Bytes> prepare(uint64_t wall_ms, const PublicKey& producer, const SecretKey& vrf, std::span<const Bytes> transactions,
                             size_t max_bytes, const Overhead& overhead = {}, const Known& signature_known = {}) const;
  // Whether an honest node votes for it: the beacon is the proposer's, and every transaction passes the ladder on the last
  // block's state, with its sender's nonces in order and its fees together covered. Errors: malformed, proof, limit, and the ladder's.
  Result<> process(const Proposal& proposal, const Known& signature_known = {}) const;
  attest::BeaconEntry make_beacon(const PublicKey& producer, const SecretKey& vrf) const;

  // Applies a block that was decided: all fees, then all bodies, in order. Transactions that the ladder refuses stand in the block,
  // cost nothing and change nothing. Errors: halted (the producer has forked), malformed, proof (height or beacon do not follow); the state is then as
  // before. Throws Fault when value was made or lost: the node must halt.
  Result<Finalized> finalize(const Proposal& proposal, uint64_t next_event = 1, const Known& signature_known = {});
  // What the finalized block leaves behind, to be stored before it is committed.
  struct Changes {
    std::vector<RecordChange> records;  // in the order of their keys
    std::vector<PageChange> pages;
  };
  Changes changes();
  // `view` has the changes; without one the app keeps its state in memory.
  void committed(const attest::SignedHeader& header, std::shared_ptr<const View> view = nullptr);
  void dropped();

  bool pending() const;  // a deadline or a draw is waiting: blocks come at every interval
  const attest::Genesis& genesis() const { return genesis_; }
  const Hash& chain() const { return chain_; }
  const attest::SignedHeader& head() const { return head_; }  // last committed; height 0 before the first
  // Of the next block; and all there are, by number, the last of them perhaps announced only.
  const attest::Rules& rules() const { return rules_at(rules_, next_height()); }
  const std::vector<attest::Rules>& all_rules() const { return rules_; }
  Height next_height() const { return Height{number(head_.header.height) + 1}; }
  Hash beacon() const;  // of the last block, or the first beacon
  const State& state() const { return state_; }
  State& state() { return state_; }
  Hash state_root();  // of the state as it is now
  attest::MapProof prove(const Hash& key) { return tree_.prove(key); }

 private:
  class Admission;
  static Result<> ladder(const Ground& ground, const Transaction& transaction, size_t size_bytes, const TransactionId& id, const Known& known,
                         bool nonce_may_lead);
  Ground ground(ChainTime now) const { return {state_, rules().params, chain_, now}; }
  Result<Transaction> charge(const BlockContext& block, ByteSpan bytes, const TransactionId& id, const Known& known);
  void take_fee(const BlockContext& block, const Transaction& transaction);
  Result<> execute(BlockContext& block, const Transaction& transaction, const TransactionId& id, size_t size_bytes);
  void check_moves() const;
  Result<attest::BeaconEntry> beacon_of(const Proposal& proposal, PublicKey& vrf) const;
  attest::Header successor(uint64_t wall_ms, const attest::BeaconEntry& beacon) const;
  void read_rules();

  attest::Genesis genesis_;
  Hash chain_;
  attest::SignedHeader head_;
  size_t floor_ = 0;  // of the journal: what init did is dropped with no block
  std::shared_ptr<MemoryView> memory_ = std::make_shared<MemoryView>();
  std::shared_ptr<const View> view_ = memory_;
  State state_{*view_};
  StateTree tree_{*view_};
  std::vector<attest::Rules> rules_;  // the state's, as of the last block
};

}  // namespace cairn::ledger
