// The ledger's state: one ordered map of encoded records, and the holdings table with its one writer.
//
//   key   := table:u8 place...        integers of a key are big-endian, so that a table is in the order of its numbers
//   value := the record, by its fields()
//
// It is what the block under way changed, over a View of the last committed block, with a bounded cache between. Every change is
// journalled: `mark` and `undo` make a transaction's apply a throwaway overlay, and let a finalized block be dropped. Nothing here
// knows a disk, a clock or a thread.
#pragma once

#include <map>
#include <set>
#include <span>
#include <unordered_map>

#include "attest/header.h"
#include "base/json.h"
#include "ledger/records.h"
#include "ledger/view.h"

namespace cairn::ledger {

// ---- tables: a letter and a key for each kind of record ----

inline void append_key(Bytes& out, uint64_t number) {
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<uint8_t>(number >> shift));
}
inline void append_key(Bytes& out, uint8_t number) { out.push_back(number); }
template <class Tag>
void append_key(Bytes& out, const Bytes32<Tag>& id) {
  out.insert(out.end(), id.v.begin(), id.v.end());
}

// Places of an offer on the book and of a job that waits for one; a draw that waits for its block.
struct BookEntry {
  attest::OfferClass klass;
  Amount price;
  uint64_t seq = 0;
  OfferId offer;
  static constexpr auto fields() {
    return std::tuple{field("class", &BookEntry::klass), field("price", &BookEntry::price), field("seq", &BookEntry::seq),
                      field("offer", &BookEntry::offer)};
  }
};
struct WaitingJob {
  attest::OfferClass klass;
  uint64_t seq = 0;
  JobId job;
  static constexpr auto fields() {
    return std::tuple{field("class", &WaitingJob::klass), field("seq", &WaitingJob::seq), field("job", &WaitingJob::job)};
  }
};
// A search of the matcher that is not over, with the place where it goes on: see market.h.
enum class Sought : uint8_t { offer = 1, jobs = 2, jobs_of_all = 3 };
constexpr bool is_valid(Sought s) { return s >= Sought::offer && s <= Sought::jobs_of_all; }
struct Seeking {
  uint64_t seq = 0;  // older first
  Sought what = Sought::offer;
  Hash id;           // of the job that seeks an offer, the offer that seeks jobs, the account whose offers all seek jobs
  Bytes from;        // key of the next entry to look at; empty: the first
  static constexpr auto fields() {
    return std::tuple{field("seq", &Seeking::seq), field("what", &Seeking::what), field("id", &Seeking::id), field("from", &Seeking::from)};
  }
};
// The place in the queue of what seeks already.
struct PlaceInQueue {
  Sought what = Sought::offer;
  Hash id;
  uint64_t seq = 0;
  static constexpr auto fields() {
    return std::tuple{field("what", &PlaceInQueue::what), field("id", &PlaceInQueue::id), field("seq", &PlaceInQueue::seq)};
  }
};
struct OwnedOffer {
  AccountId owner;
  uint64_t seq = 0;
  OfferId offer;
  static constexpr auto fields() {
    return std::tuple{field("owner", &OwnedOffer::owner), field("seq", &OwnedOffer::seq), field("offer", &OwnedOffer::offer)};
  }
};
struct DueDraw {
  Height height{};
  JobId job;
  static constexpr auto fields() { return std::tuple{field("height", &DueDraw::height), field("job", &DueDraw::job)}; }
};
// The 32 bytes that an ended attempt at a job leaves for good.
struct ReceiptRoot {
  Hash key;   // attest::receipt_key
  Hash root;  // attest::receipt_root
  static constexpr auto fields() { return std::tuple{field("key", &ReceiptRoot::key), field("root", &ReceiptRoot::root)}; }
};
// Which asset has a content.
struct ContentAsset {
  Hash content;
  AssetId asset;
  static constexpr auto fields() {
    return std::tuple{field("content", &ContentAsset::content), field("asset", &ContentAsset::asset)};
  }
};

// Evidence that the producer signed two headers of one height; the chain ends with the block that holds it.
struct Fork {
  attest::SignedHeader one;
  attest::SignedHeader other;
  AccountId reporter;
  static constexpr auto fields() {
    return std::tuple{field("one", &Fork::one), field("other", &Fork::other), field("reporter", &Fork::reporter)};
  }
};

// A block that changed validators' votes: where a light client must look.
struct VotesChange {
  Height height{};
  static constexpr auto fields() { return std::tuple{field("height", &VotesChange::height)}; }
};

template <class... Parts>
Bytes make_key(char table, const Parts&... parts) {
  Bytes out;
  out.reserve(80);  // the longest key
  out.push_back(static_cast<uint8_t>(table));
  (append_key(out, parts), ...);
  return out;
}
inline constexpr char kReceiptTable = 'R';
inline constexpr char kRulesTable = 'P';

inline Bytes key_of(const Account& r) { return make_key('a', r.id); }
inline Bytes key_of(const Signer& r) { return make_key('k', r.account, r.hot_key); }
inline Bytes key_of(const HotKey& r) { return make_key('k', r.account, r.key); }
inline Bytes key_of(const Holder& h, const Currency& c) { return make_key('h', static_cast<uint8_t>(h.kind), h.id, c); }
inline Bytes key_of(const Holding& r) { return key_of(r.holder, r.currency); }
inline Bytes key_of(const Unbonding& r) { return make_key('u', r.seq); }
inline Bytes key_of(const Verifier& r) { return make_key('v', r.account); }
inline Bytes key_of(const Duty& r) { return make_key('D', r.verifier, number(r.since), r.job); }
inline Bytes key_of(const Validator& r) { return make_key('V', r.account); }
inline Bytes key_of(const Deadline& r) { return make_key('d', ms(r.timer.due), r.timer.seq); }
inline Bytes key_of(const Offer& r) { return make_key('o', r.id); }
inline Bytes key_of(const BookEntry& r) {
  return make_key('b', static_cast<uint8_t>(r.klass.device), static_cast<uint8_t>(r.klass.numeric), r.price.pebbles, r.seq);
}
inline Bytes key_of(const WaitingJob& r) {
  return make_key('w', static_cast<uint8_t>(r.klass.device), static_cast<uint8_t>(r.klass.numeric), r.seq);
}
inline Bytes key_of(const OwnedOffer& r) { return make_key('p', r.owner, r.seq); }
inline Bytes key_of(const Seeking& r) { return make_key('m', r.seq); }
inline Bytes key_of(const PlaceInQueue& r) { return make_key('M', static_cast<uint8_t>(r.what), r.id); }
inline Bytes key_of(const DueDraw& r) { return make_key('q', number(r.height), r.job); }
inline Bytes key_of(const Job& r) { return make_key('j', r.id); }
inline Bytes key_of(const Dispute& r) { return make_key('g', r.id); }
inline Bytes key_of(const Asset& r) { return make_key('s', r.id); }
inline Bytes key_of(const ContentAsset& r) { return make_key('c', r.content); }
inline Bytes key_of(const Reservation& r) { return make_key('r', r.hash); }
inline Bytes key_of(const Fork& r) { return make_key('f', number(r.one.header.height)); }
inline Bytes key_of(const VotesChange& r) { return make_key('X', number(r.height)); }
inline Bytes key_of(const attest::Rules& r) { return attest::rules_key(r.number); }
inline Bytes key_of(const ReceiptRoot& r) { return make_key(kReceiptTable, r.key); }

// ---- the map ----

class State {
 public:
  // Stands on `view`, which must outlive it or be replaced by committed().
  explicit State(const View& view, size_t cache_bytes = 16u << 20) : view_(&view), cache_bytes_(cache_bytes) {}

  // The record at `key`, an id or a whole record of which only the key's members are filled.
  template <class Record>
  std::optional<Record> find(const Bytes& key) const {
    const auto& value = bytes(key);
    if (!value) return std::nullopt;
    return must(decode<Record>(*value));
  }
  const std::optional<Bytes>& bytes(const Bytes& key) const;  // lives until the next call
  std::optional<Account> account(const AccountId& id) const { return find<Account>(make_key('a', id)); }
  std::optional<HotKey> hot_key(const Signer& signer) const { return find<HotKey>(key_of(signer)); }
  uint64_t nonce(const Signer& signer) const;  // of the next transaction
  std::optional<Verifier> verifier(const AccountId& id) const { return find<Verifier>(make_key('v', id)); }
  std::optional<Validator> validator(const AccountId& id) const { return find<Validator>(make_key('V', id)); }
  std::optional<Offer> offer(const OfferId& id) const { return find<Offer>(make_key('o', id)); }
  std::optional<Job> job(const JobId& id) const { return find<Job>(make_key('j', id)); }
  std::optional<Dispute> dispute(const GameId& id) const { return find<Dispute>(make_key('g', id)); }
  std::optional<Asset> asset(const AssetId& id) const { return find<Asset>(make_key('s', id)); }
  std::optional<Reservation> reservation(const Hash& hash) const { return find<Reservation>(make_key('r', hash)); }

  template <class Record>
  void put(const Record& record) {
    set(key_of(record), encode(record));
  }
  template <class Record>
  void erase(const Record& record) {
    set(key_of(record), std::nullopt);
  }

  // Records whose keys begin with `prefix`, in order, until visit() says false; from the key `from` on, if there is one. The state
  // must not change meanwhile.
  template <class Record, class Visit>
  void scan(const Bytes& prefix, Visit&& visit, const Bytes& from = {}) const {
    each(prefix, from, [&](ByteSpan, ByteSpan value) { return visit(must(decode<Record>(value))); });
  }
  template <class Record>
  std::vector<Record> all(const Bytes& prefix, size_t limit = SIZE_MAX) const {
    std::vector<Record> out;
    scan<Record>(prefix, [&](Record record) {
      out.push_back(std::move(record));
      return out.size() < limit;
    });
    return out;
  }
  // The same, undecoded. An empty prefix: the whole state.
  void each(const Bytes& prefix, const Bytes& from, const View::Visit& visit) const;
  bool any(char table) const;
  size_t count(char table) const;

  // ---- value ----

  Amount balance(const Holder& holder, const Currency& currency = {}) const;
  // The only writer of value. Errors: insufficient, limit (the receiver would overflow). 0 and moves to oneself change nothing.
  Result<> move(const Holder& from, const Holder& to, Amount amount, const Currency& currency = {});
  // Moves at most `amount`: as much as `from` has. Gives what was moved. For penalties.
  Amount move_up_to(const Holder& from, const Holder& to, Amount amount);
  Amount move_all(const Holder& from, const Holder& to);
  // Genesis only: gives the mint what it hands out.
  void mint(Amount amount, const Currency& currency = {});
  // Sum of everything that is held.
  u128 supply(const Currency& currency = {}) const;

  // ---- deadlines ----

  Timer arm(Due what, const Hash& id, ChainTime due, uint64_t seq);
  void disarm(Timer& timer);  // and clears it

  // ---- journal ----

  struct Change {
    Bytes key;
    std::optional<Bytes> old;
  };
  size_t bytes_set() const { return bytes_set_; }  // of all records that were ever put
  size_t mark() const { return journal_.size(); }
  void undo(size_t mark);
  // What changed since `mark` will not be undone alone: of a key's changes the first is enough. Bounds the journal by what a
  // block touches, not by how often.
  void keep(size_t mark);
  const std::vector<Change>& journal() const { return journal_; }
  // What the journal's keys are now, in their order, without those that are as they were.
  std::vector<RecordChange> changes() const;
  // The changes stand in `view` from here on, and cannot be undone.
  void committed(const View& view);
  // Of a state that changes nothing itself: stands on `view` from here on, which differs by what another has changed.
  void follow(const View& view, std::span<const RecordChange> changes);

 private:
  struct KeyHash {
    size_t operator()(const Bytes& key) const {  // most of a key's bytes are a hash's; the process is the cache's only user
      return std::hash<std::string_view>()({reinterpret_cast<const char*>(key.data()), key.size()});
    }
  };
  using Cache = std::unordered_map<Bytes, std::optional<Bytes>, KeyHash>;

  void set(Bytes key, std::optional<Bytes> value);
  void set_balance(const Holder& holder, const Currency& currency, Amount amount);
  const std::optional<Bytes>& remember(const Bytes& key, std::optional<Bytes> value) const;
  void now_stands(const Bytes& key, std::optional<Bytes> value);  // in the view that is next looked at

  const View* view_;
  std::map<Bytes, std::optional<Bytes>, KeyOrder> block_;  // over the view: nullopt is a record that went
  std::vector<Change> journal_;
  size_t bytes_set_ = 0;
  std::set<Bytes, KeyOrder> kept_;  // keys of the journal's kept part
  size_t kept_until_ = 0;           // its size
  // Of the view's records those that were used of late, absent ones too; never iterated. When the young ones are half of what
  // may be kept, they become the old ones.
  mutable Cache young_, old_;
  mutable size_t young_bytes_ = 0;
  const size_t cache_bytes_;
  // By table: before this key the view has no record of it. What a queue's front leaves behind when it goes stays in a database for
  // a while, and is walked over by whoever begins at the table's first key.
  mutable std::unordered_map<uint8_t, Bytes> fronts_;
};

// ---- the block that is being applied ----

// Those in force at a height; `all` by number, the first from block 1 on.
inline const attest::Rules& rules_at(const std::vector<attest::Rules>& all, Height height) {
  auto at = all.rbegin();
  while (number(at->from) > number(height) && at->number > 1) ++at;
  return *at;
}

constexpr int kStepBits = 24;  // of a seq: its place in its block
inline Height height_of(uint64_t seq) { return Height{seq >> kStepBits}; }

struct BlockContext {
  const attest::Genesis& genesis;
  const std::vector<attest::Rules>& all_rules;  // by number; the last may be announced only
  Hash genesis_hash;
  Height height{};
  ChainTime now{};
  Hash beacon;
  std::vector<Event>& events;                   // their seq is filled in at the block's end
  std::vector<attest::ReceiptBody>& receipts;   // kept beside the state
  uint64_t steps = 0;                           // counts what happened in this block

  const attest::Rules& rules() const { return rules_at(all_rules, height); }
  const attest::ChainParams& params() const { return rules().params; }
  // What a job's match, and all that follows from it, is under.
  const attest::Rules& rules_of(const Job& job) const { return job.rules == 0 ? rules() : all_rules.at(job.rules - 1); }
  const attest::ChainParams& params_of(const Job& job) const { return rules_of(job).params; }
  // Orders everything that ever happened on the chain.
  uint64_t next_seq() { return (number(height) << kStepBits) + ++steps; }
  // `facts` are names and JSON values.
  void emit(std::string_view kind, const Hash& id, std::initializer_list<std::pair<std::string_view, std::string>> facts = {});
};

struct TxContext {
  BlockContext& block;
  AccountId sender;
  Hash id;       // of the transaction: also the id of the job, offer or asset that it makes
  uint64_t seq;  // of the transaction
  size_t size_bytes = 0;
  bool by_hot_key = false;

  const attest::ChainParams& params() const { return block.params(); }
};

// Deposits by the byte (R8), held under the record's id. Errors: already (another record has one under it), insufficient.
Amount deposit_of(const attest::ChainParams& params, size_t bytes);
Result<> lock_deposit(State& state, const TxContext& context, const Hash& record, size_t bytes);

// Moves stake or bond on its way back to its account. Errors: insufficient.
Result<> unbond(State& state, BlockContext& block, const AccountId& account, const Holder& from, Amount amount);
// What a verifier's bond must cover: its side of one game, and one silence.
inline Amount least_bond(const attest::ChainParams& params) { return Amount{params.game_fee + params.verifier_silence}; }

inline Error gone(std::string_view what, const Hash& id) {
  return {Code::not_found, "no " + std::string(what) + " " + id.hex().substr(0, 16), "check its id, or look at an earlier block"};
}

}  // namespace cairn::ledger
