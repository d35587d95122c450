#include "ledger/app.h"

#include <algorithm>
#include <set>

#include "ledger/accounts.h"
#include "ledger/checks.h"
#include "ledger/disputes.h"
#include "ledger/endings.h"
#include "ledger/jobs.h"
#include "ledger/market.h"

namespace cairn::ledger {
namespace {

template <class Record>
std::optional<Record> first_of(const State& state, char table, const Bytes& from = {}) {
  std::optional<Record> first;
  state.scan<Record>(
      make_key(table),
      [&](Record record) {
        first = std::move(record);
        return false;
      },
      from);
  return first;
}

Holder holder_of(const Bytes& key) {
  return {static_cast<HolderKind>(key.at(1)), *Hash::from(ByteSpan(key).subspan(2, 32))};
}

// Whether a verifier may lose `limit` or more by the draws before `height`, or how much less; `limit` too when they are too many to look at.
Amount owed(const State& state, const AccountId& verifier, Height height, Amount limit) {
  constexpr size_t kDutiesMax = 4'096;
  Amount sum;
  size_t looked_at = 0;
  state.scan<Duty>(make_key('D', verifier), [&](const Duty& duty) {  // by height
    if (duty.since > height) return false;
    sum = ++looked_at < kDutiesMax ? std::min(limit, add(sum, duty.at_stake).value_or(limit)) : limit;
    return sum < limit;
  });
  return sum;
}

// As much as its account's bond and unbonding money do not owe.
void give_back(State& state, BlockContext& block, const Deadline& deadline, Unbonding back) {
  const Holder unbonding = Holder::unbonding(back.account);
  const Amount holds = add(state.balance(Holder::bond(back.account)), state.balance(unbonding)).value_or(Amount{UINT64_MAX});
  const Amount owes = owed(state, back.account, height_of(back.seq), holds);
  const Amount there = std::min(back.amount, state.balance(unbonding));  // fines may have taken some of it
  const Amount free = std::min(there, subtract(holds, owes).value_or(Amount{}));
  must(state.move(unbonding, Holder::account(back.account), free));
  if (free == there) return state.erase(back);
  back.amount = *subtract(there, free);
  back.due = after(block.now, (ms(block.now) - ms(back.since)) / 4);
  state.arm(Due::unbonding, deadline.id, back.due, back.seq);
  state.put(back);
}

// A deadline has come; it is out of the queue already.
void fire(State& state, BlockContext& block, const Deadline& deadline) {
  switch (deadline.what) {
    case Due::job: return job_due(state, block, *state.job(deadline.id.as<JobIdTag>()));
    case Due::game: return game_due(state, block, *state.dispute(deadline.id.as<GameIdTag>()));
    case Due::offer: {
      auto offer = *state.offer(deadline.id.as<OfferIdTag>());
      offer.expiry = {};
      return remove_offer(state, block, offer, "expired");
    }
    case Due::prune: return prune_job(state, block, *state.job(deadline.id.as<JobIdTag>()));
    case Due::unbonding: return give_back(state, block, deadline, *state.find<Unbonding>(make_key('u', deadline.timer.seq)));
    case Due::validator: return forget_validator(state, deadline.id.as<AccountIdTag>());
  }
}

// Everything that time does, before any transaction: draws first, then deadlines, both in order, a bounded number with a bounded
// weight: what would come to more waits for the next block. What has come goes, and what is put into a queue meanwhile comes later
// than it, so each search begins where the last one ended.
void let_time_pass(State& state, BlockContext& block) {
  constexpr size_t kChangesMax = 65'536;           // of records
  constexpr size_t kBytesMax = 16u << 20;          // of what they become
  constexpr size_t kCandidateBytesMax = 8u << 20;  // in the records of draws
  constexpr size_t kCandidateBytes = 40;
  uint32_t left = block.params().max_deadlines_per_block;
  const size_t begin = state.mark(), drawn = kCandidateBytes * (state.any('q') ? state.count('v') : 0);
  size_t candidates = 0;
  Bytes from;
  for (; left > 0 && candidates < kCandidateBytesMax; left--, candidates += drawn) {
    const auto draw = first_of<DueDraw>(state, 'q', from);
    if (!draw || number(draw->height) > number(block.height)) break;
    from = key_of(*draw);
    state.erase(*draw);
    draw_checks(state, block, *state.job(draw->job));
  }
  from.clear();
  size_t changes = state.mark() - begin;
  state.keep(begin);
  for (const size_t bytes = state.bytes_set(); left > 0 && changes < kChangesMax && state.bytes_set() - bytes < kBytesMax; left--) {
    const auto deadline = first_of<Deadline>(state, 'd', from);
    if (!deadline || ms(deadline->timer.due) > ms(block.now)) break;
    from = key_of(*deadline);
    const size_t before = state.mark();
    state.erase(*deadline);
    fire(state, block, *deadline);
    changes += state.mark() - before;
    state.keep(before);  // what many of them write is journalled once
  }
}

}  // namespace

App::App(attest::Genesis genesis) : genesis_(std::move(genesis)), chain_(attest::genesis_hash(genesis_)) {}

Result<> App::init() {
  if (genesis_supply(genesis_) > UINT64_MAX)
    return Error{Code::invalid, "the genesis hands out more than can be counted", "lower its balances"};
  state_.mint(Amount{static_cast<uint64_t>(genesis_supply(genesis_))});
  for (const auto& entry : genesis_.accounts)
    TRY(state_.move(Holder::mint(), Holder::account(entry.account), entry.balance));
  state_.put(attest::first_rules(genesis_));
  TRY(found_validators(state_, genesis_));
  read_rules();
  floor_ = state_.mark();
  return {};
}

namespace {
constexpr const char* kRestore = "restore the data folder from a copy, or start from an empty one";
}  // namespace

Result<> App::resume(const attest::SignedHeader& last, std::shared_ptr<const View> view) {
  if (last.header.genesis != chain_)
    return Error{Code::wrong_chain, "the data are of chain " + last.header.genesis.hex().substr(0, 16),
                 "start with that chain's genesis file, or with another data folder"};
  view_ = std::move(view);
  state_.committed(*view_);
  tree_.reset(*view_);
  head_ = last;
  read_rules();
  if (tree_.root() != last.header.state_root)
    return Error{Code::internal, "the stored state is not that of header " + std::to_string(number(last.header.height)), kRestore};
  return {};
}

namespace {

// A sum over leaves that does not depend on their order: two sets of 2^64 leaves or fewer that differ by accident have other sums.
class LeafSum {
 public:
  void add(const attest::MapEntry& entry) {
    const Hash leaf = attest::map_leaf(entry);
    for (size_t i = 0; i < 4; i++) {
      uint64_t word = 0;
      std::memcpy(&word, leaf.data() + 8 * i, 8);
      words_[i] += word;
    }
    count_++;
  }
  friend bool operator==(const LeafSum&, const LeafSum&) = default;

 private:
  std::array<uint64_t, 4> words_{};
  uint64_t count_ = 0;
};

}  // namespace

Result<> check_state(const View& view, const attest::Genesis& genesis, const attest::SignedHeader& last, const std::function<bool()>& go_on) {
  constexpr uint64_t kAskEvery = 1'024;
  uint64_t seen = 0;
  const auto goes_on = [&] { return ++seen % kAskEvery != 0 || go_on(); };
  const Error stopped{Code::cancelled, "the check of the state was stopped", "start it again"};
  LeafSum tree, records;
  TRY(StateTree::check(view, last.header.state_root, [&](const attest::MapEntry& entry) {
    tree.add(entry);
    return goes_on();
  }));
  u128 held = 0;
  std::optional<Error> wrong;
  view.records({}, [&](ByteSpan key, ByteSpan value) {
    records.add(map_entry(key, value));
    if (key.front() == 'h') {
      const auto holding = decode<Holding>(value);
      if (!holding) wrong = Error{Code::internal, "a stored holding is no holding: " + holding.error().text, kRestore};
      if (holding && holding->currency == Currency{}) held += holding->amount.pebbles;
    }
    if (!wrong && !goes_on()) wrong = stopped;
    return !wrong;
  });
  if (wrong) return *wrong;
  if (!(tree == records))
    return Error{Code::internal, "the stored records are not those of header " + std::to_string(number(last.header.height)), kRestore};
  if (held != genesis_supply(genesis)) return Error{Code::internal, "the stored holdings do not add up to what the genesis handed out", kRestore};
  return {};
}

Hash App::beacon() const {
  return number(head_.header.height) == 0 ? attest::first_beacon(chain_) : head_.header.beacon.beacon;
}

bool App::pending() const { return state_.any('d') || state_.any('q') || state_.any('m'); }

void App::read_rules() { rules_ = state_.all<attest::Rules>(make_key(kRulesTable)); }

// ---- transactions ----

Result<> App::ladder(const Ground& ground, const Transaction& tx, size_t size_bytes, const TransactionId& id, const Known& known,
                     bool nonce_may_lead) {
  const auto& [state, params, chain, now] = ground;
  if (tx.genesis != chain)
    return Error{Code::wrong_chain, "signed for chain " + tx.genesis.hex().substr(0, 16),
                 "use the genesis file of the chain that this node runs"};
  TRY(check_signers(state, tx, now));
  if (!known || !known(id)) TRY(check_signature(tx, chain));
  const uint64_t nonce = state.nonce(signer_of(tx));
  if (tx.nonce != nonce && !(nonce_may_lead && tx.nonce > nonce))
    return Error{Code::wrong_nonce, "its next nonce is " + std::to_string(nonce) + ", not " + std::to_string(tx.nonce),
                 "ask for the account and sign again"};
  if (ms(tx.expiry) <= ms(now))
    return Error{Code::expired, "it expired at chain time " + std::to_string(ms(tx.expiry)) + ", now is " + std::to_string(ms(now)),
                 "sign again with a later expiry"};
  const auto least = scale(Amount{params.fee_per_byte}, size_bytes, 1);
  if (!least || tx.fee < *least)
    return Error{Code::fee_too_low, "the fee of " + pretty(tx.fee) + " is below " + pretty(least.value_or(Amount{UINT64_MAX})),
                 "pay at least fee_per_byte for each byte"};
  const Amount held = state.balance(Holder::account(tx.sender));
  if (held < tx.fee)
    return Error{Code::insufficient, "the balance of " + pretty(held) + " does not cover the fee of " + pretty(tx.fee), "add funds"};
  if (tx.founding && !state.account(tx.sender)) {
    const Amount deposit = key_deposit(params, *tx.founding);
    if (*subtract(held, tx.fee) < deposit)
      return Error{Code::insufficient, "the balance of " + pretty(held) + " does not cover the deposit of " + pretty(deposit) + " for the account's keys",
                   "add funds"};
  }
  if (tx.by == SignedBy::hot_key) {
    const Amount left = state.hot_key(signer_of(tx))->left(now);
    if (left < tx.fee)
      return Error{Code::limit, "the hot key may lose " + pretty(left) + " more in its period, the fee is " + pretty(tx.fee),
                   "wait for its next period, or raise its limit with the account's own keys"};
  }
  return {};
}

Result<Transaction> App::check(ByteSpan bytes, bool signature_known) const {
  if (bytes.size() > kMaxTransactionBytes)
    return Error{Code::limit, "a transaction may have " + std::to_string(kMaxTransactionBytes) + " bytes", "make it smaller"};
  TRY_LET(transaction, decode<Transaction>(bytes));
  TRY(ladder(ground(head_.header.time), transaction, bytes.size(), transaction_id(bytes), [&](const TransactionId&) { return signature_known; }, true));
  return transaction;
}

Result<> App::check_rest(const Transaction& transaction, size_t size_bytes, const TransactionId& id) const {
  return check_rest(ground(head_.header.time), transaction, size_bytes, id);
}

Result<> App::check_rest(const Ground& ground, const Transaction& transaction, size_t size_bytes, const TransactionId& id) {
  return ladder(ground, transaction, size_bytes, id, [](const TransactionId&) { return true; }, true);
}

// The ladder, and the fee. What is refused stands in the block, costs nothing and does nothing.
Result<Transaction> App::charge(const BlockContext& block, ByteSpan bytes, const TransactionId& id, const Known& known) {
  if (bytes.size() > kMaxTransactionBytes)
    return Error{Code::limit, "the transaction is too large", "say it in fewer bytes, or in several transactions"};
  TRY_LET(transaction, decode<Transaction>(bytes));
  TRY(ladder(ground(block.now), transaction, bytes.size(), id, known, false));
  take_fee(block, transaction);
  return transaction;
}

// Of what the ladder has passed.
void App::take_fee(const BlockContext& block, const Transaction& transaction) {
  const AccountId& sender = transaction.sender;
  if (transaction.by == SignedBy::hot_key) {
    HotKey hot = in_period(*state_.hot_key(signer_of(transaction)), block.now);
    hot.nonce++;
    hot.spent = *add(hot.spent, transaction.fee);
    state_.put(hot);
  } else {
    const auto before = state_.account(sender);
    const Account account{sender, keys_after(before, transaction), before ? before->nonce + 1 : 1};
    state_.put(account);
    if (!before) must(settle_key_deposit(state_, block.params(), sender, {}, account.keys));
  }
  must(state_.move(Holder::account(sender), Holder::fees(), transaction.fee));
}

// Does what the body says, or nothing of it.
Result<> App::execute(BlockContext& block, const Transaction& transaction, const TransactionId& id, size_t size_bytes) {
  const AccountId& sender = transaction.sender;
  if (!check_signers(state_, transaction, block.now))
    return Error{Code::wrong_state, "another transaction of its block took its keys away", "sign it again with those that the account has now"};
  std::optional<HotKey> hot;
  if (transaction.by == SignedBy::hot_key) hot = state_.hot_key(signer_of(transaction));
  const u128 held = hot ? purse(state_, sender) : 0;

  const size_t mark = state_.mark();
  const size_t events = block.events.size();
  const size_t receipts = block.receipts.size();
  const TxContext context{block, sender, id, block.next_seq(), size_bytes, hot.has_value()};
  auto applied = std::visit([&](const auto& body) { return body.apply(state_, context); }, transaction.body);
  if (applied && hot) {
    const u128 left = purse(state_, sender), sum = held > left ? held - left : 0;
    if (sum <= hot->left(block.now).pebbles) {
      hot->spent = *add(hot->spent, Amount{static_cast<uint64_t>(sum)});
      state_.put(*hot);
    } else {
      applied = Error{Code::limit, "the hot key may lose " + pretty(hot->left(block.now)) + " more in its period",
                      "wait for its next period, or raise its limit with the account's own keys"};
    }
  }
  if (!applied) {
    state_.undo(mark);
    block.events.resize(events);
    block.receipts.resize(receipts);
  }
  return applied;
}

Simulation App::simulate(const Transaction& transaction) {
  const Bytes bytes = encode(transaction);
  const TransactionId id = transaction_id(bytes);
  Simulation out;
  out.nonce = state_.nonce(signer_of(transaction));
  out.fee = transaction.fee;
  out.least_fee = scale(Amount{rules().params.fee_per_byte}, bytes.size(), 1).value_or(Amount{UINT64_MAX});
  const auto ended = [&](const Result<>& result) {
    if (result) return;
    out.code = static_cast<uint16_t>(result.error().code);
    out.text = result.error().text;
    out.next = result.error().next;
  };
  if (auto passed = check_rest(transaction, bytes.size(), id); !passed) {
    ended(passed);
    return out;
  }
  std::vector<attest::ReceiptBody> receipts;
  BlockContext block{genesis_, rules_, chain_, next_height(), head_.header.time, beacon(), out.events, receipts};
  const size_t before = state_.mark();
  take_fee(block, transaction);
  ended(execute(block, transaction, id, bytes.size()));
  std::map<Holder, Amount> holders;  // before
  for (size_t i = before; i < state_.journal().size(); i++) {
    const auto& change = state_.journal()[i];
    if (change.key.front() != 'h') continue;
    const Holder holder = holder_of(change.key);
    const Amount old = change.old ? must(decode<Holding>(*change.old)).amount : Amount{};
    holders.emplace(holder, old);
  }
  for (const auto& [holder, old] : holders) out.effects.push_back({holder, old, state_.balance(holder)});
  state_.undo(before);
  return out;
}

// ---- blocks ----

attest::BeaconEntry App::make_beacon(const PublicKey& producer, const SecretKey& vrf) const {
  return attest::make_beacon(beacon(), next_height(), producer, vrf);
}

// The first entry, and the VRF key that its producer has registered.
Result<attest::BeaconEntry> App::beacon_of(const Proposal& proposal, PublicKey& vrf) const {
  if (proposal.entries.empty()) return Error{Code::malformed, "a block without a beacon entry", "report its proposer"};
  TRY_LET(entry, decode<attest::BeaconEntry>(proposal.entries.front()));
  const auto validator = validator_by_key(state_, entry.producer);
  if (!validator || attest::address_of(entry.producer) != proposal.proposer)
    return Error{Code::proof, "the beacon entry is not its proposer's", "report its proposer"};
  vrf = validator->vrf;
  return entry;
}

attest::Header App::successor(uint64_t wall_ms, const attest::BeaconEntry& beacon) const {
  attest::Header header;
  header.genesis = chain_;
  header.height = next_height();
  header.wall_ms = wall_ms;
  header.beacon = beacon;
  if (number(head_.header.height) > 0) {
    const attest::Header& previous = head_.header;
    header.wall_ms = std::max(wall_ms, previous.wall_ms);
    header.time = after(previous.time, std::min(header.wall_ms - previous.wall_ms, 2 * rules().params.interval_ms));
    header.previous = attest::header_id(previous);
  }
  return header;
}

// Says of one transaction after the other whether it may stand in the next block.
class App::Admission {
 public:
  Admission(const App& app, ChainTime now, const Known& known) : app_(app), now_(now), known_(known) {}

  Result<> admit(ByteSpan bytes) {
    bytes_ += bytes.size();
    if (bytes.size() > kMaxTransactionBytes || bytes_ > app_.rules().params.max_block_bytes)
      return Error{Code::limit, "a transaction or a block above its bound", "report the proposer"};
    TRY_LET(tx, decode<Transaction>(bytes));
    TRY(ladder(app_.ground(now_), tx, bytes.size(), transaction_id(bytes), known_, true));
    const Signer signer = signer_of(tx);
    const auto [at, first] = signers_.try_emplace(signer, standing_of(app_.state_, signer, now_));
    Standing& standing = at->second;
    if (tx.nonce != standing.nonce) return Error{Code::wrong_nonce, "a sender's transactions are out of order", "report the proposer"};
    const auto account = balances_.try_emplace(tx.sender, standing.balance).first;
    Amount cost = tx.fee;
    if (tx.founding && !app_.state_.account(tx.sender)) cost = add(cost, key_deposit(app_.rules().params, *tx.founding)).value_or(Amount{UINT64_MAX});
    const auto balance = subtract(account->second, cost), limit = subtract(standing.limit, tx.fee);
    if (!balance || !limit) return Error{Code::insufficient, "a sender's transactions cost more than it has", "report the proposer"};
    account->second = *balance;
    standing.limit = *limit;
    standing.nonce++;
    return {};
  }
  void leave_out(ByteSpan bytes) { bytes_ -= bytes.size(); }

 private:
  const App& app_;
  const ChainTime now_;
  const Known& known_;
  size_t bytes_ = 0;
  std::map<Signer, Standing> signers_;      // after those that were admitted
  std::map<AccountId, Amount> balances_;
};

std::vector<Bytes> App::prepare(uint64_t wall_ms, const PublicKey& producer, const SecretKey& vrf, std::span<const Bytes> transactions,
                                size_t max_bytes, const Overhead& overhead, const Known& known) const {
  const attest::BeaconEntry entry = make_beacon(producer, vrf);
  std::vector<Bytes> out{encode(entry)};
  const auto cost = [&](const Bytes& bytes) { return bytes.size() + (overhead ? overhead(bytes.size()) : 0); };
  size_t used = cost(out.front());
  Admission admission(*this, successor(wall_ms, entry).time, known);
  for (const Bytes& bytes : transactions) {
    if (used + cost(bytes) > max_bytes) break;
    if (!admission.admit(bytes)) {
      admission.leave_out(bytes);
      continue;
    }
    used += cost(bytes);
    out.push_back(bytes);
  }
  return out;
}

Result<> App::process(const Proposal& proposal, const Known& known) const {
  PublicKey vrf;
  TRY_LET(entry, beacon_of(proposal, vrf));
  if (proposal.height != next_height()) return Error{Code::proof, "not the next height", "report its proposer"};
  TRY(attest::check_beacon(beacon(), proposal.height, entry, vrf));
  Admission admission(*this, successor(proposal.wall_ms, entry).time, known);
  for (const Bytes& bytes : std::span(proposal.entries).subspan(1)) TRY(admission.admit(bytes));
  return {};
}

Result<Finalized> App::finalize(const Proposal& proposal, uint64_t next_event, const Known& signature_known) {
  CHECK(state_.mark() == floor_);  // the block before is committed or dropped
  if (const auto fork = first_of<Fork>(state_, 'f'))
    return Error{Code::halted, "the producer signed two headers of height " + std::to_string(number(fork->one.header.height)),
                 "agree on a new chain with whoever holds the last blocks"};
  const attest::Rules& rules = rules_at(rules_, proposal.height);
  if (rules.protocol > attest::kProtocol)
    return Error{Code::halted, "from block " + std::to_string(number(rules.from)) + " on the chain is under protocol " +
                                     std::to_string(rules.protocol) + "; this program knows up to " + std::to_string(attest::kProtocol),
                 "install a newer release and start it with the same folder"};
  PublicKey vrf;
  TRY_LET(entry, beacon_of(proposal, vrf));
  Finalized out;
  attest::Header& header = out.header;
  if (proposal.height != next_height())
    return Error{Code::proof, "block " + std::to_string(number(proposal.height)) + " does not follow " + std::to_string(number(head_.header.height)),
                 "report its proposer"};
  if (!signature_known || !signature_known(transaction_id(proposal.entries.front())))
    TRY(attest::check_beacon(beacon(), proposal.height, entry, vrf));
  header = successor(proposal.wall_ms, entry);

  BlockContext block{genesis_, rules_, chain_, header.height, header.time, entry.beacon, out.events, out.receipts};
  note_absences(state_, block, proposal.absent);
  for (const auto& equivocation : proposal.equivocations) punish(state_, block, equivocation);
  state_.keep(floor_);
  let_time_pass(state_, block);
  // All fees before any body, so that none can take away what the ones after it pay from.
  const auto entries = std::span(proposal.entries).subspan(1);
  std::vector<Hash> ids;
  std::vector<Result<Transaction>> charged;
  const size_t uncharged = state_.mark();
  for (const Bytes& bytes : entries) {
    ids.push_back(transaction_id(bytes));
    charged.push_back(charge(block, bytes, ids.back(), signature_known));
  }
  state_.keep(uncharged);
  for (size_t i = 0; i < entries.size(); i++) {
    const size_t mark = state_.mark();
    const Result<> applied = charged[i] ? execute(block, *charged[i], ids[i], entries[i].size()) : Result<>(charged[i].error());
    state_.keep(mark);
    const uint16_t code = applied ? uint16_t{0} : static_cast<uint16_t>(applied.error().code);
    out.results.push_back({ids[i], block.height, code, applied ? "" : applied.error().text});
  }
  run_searches(state_, block);
  out.votes = update_votes(state_, block);
  check_moves();
  header.transactions_root = attest::tree_root(ids);
  header.state_root = state_root();
  for (Event& event : out.events) event.seq = next_event++;
  return out;
}

App::Changes App::changes() { return {state_.changes(), tree_.changes()}; }

Hash App::state_root() {
  for (const auto& [key, value] : state_.changes()) {
    if (value) {
      const auto entry = map_entry(key, *value);
      tree_.set(entry.key, entry.value);
    } else {
      tree_.erase(blake3(key));
    }
  }
  return tree_.root();
}

// That the block's moves sum to zero per currency (R7), from the journal and not from what the moves say.
void App::check_moves() const {
  std::map<Currency, u128> before, after;
  if (number(head_.header.height) == 0) before[{}] = genesis_supply(genesis_);
  std::set<Bytes, KeyOrder> seen;
  for (const auto& change : state_.journal()) {
    if (change.key.front() != 'h' || !seen.insert(change.key).second) continue;
    const auto add_to = [&](std::map<Currency, u128>& sums, const Bytes& bytes) {
      const auto holding = must(decode<Holding>(bytes));
      sums[holding.currency] += holding.amount.pebbles;
    };
    if (change.old) add_to(before, *change.old);
    if (const auto& now = state_.bytes(change.key)) add_to(after, *now);
  }
  std::erase_if(before, [](const auto& entry) { return entry.second == 0; });
  std::erase_if(after, [](const auto& entry) { return entry.second == 0; });
  if (before != after)
    throw Fault({Code::internal, "a block made or lost value", "stop, keep the data folder, and report this with its last block"});
}

void App::committed(const attest::SignedHeader& header, std::shared_ptr<const View> view) {
  if (view) {
    std::swap(view_, view);  // the old one goes when nobody stands on it any more
  } else {
    CHECK(view_ == memory_);
    const Changes done = changes();
    memory_->apply(done.records, done.pages);
  }
  head_ = header;
  const auto is_of_rules = [](const State::Change& change) { return change.key.front() == kRulesTable; };
  const bool rules_changed = std::ranges::any_of(state_.journal(), is_of_rules);
  state_.committed(*view_);
  tree_.saved(*view_);
  floor_ = 0;
  if (rules_changed) read_rules();
}

void App::dropped() {
  state_.undo(floor_);
  tree_.reset(*view_);
}

}  // namespace cairn::ledger
