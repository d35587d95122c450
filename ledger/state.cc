#include "ledger/state.h"

#include <algorithm>

namespace cairn::ledger {

namespace {

bool begins_with(ByteSpan key, ByteSpan prefix) {
  return key.size() >= prefix.size() && std::equal(prefix.begin(), prefix.end(), key.begin());
}

}  // namespace

// ---- records ------------------------------------------------------------------------------------------------------

const std::optional<Bytes>& State::remember(const Bytes& key, std::optional<Bytes> value) const {
  constexpr size_t kEntryBytes = 128;  // what a map spends on an entry besides its key and value
  young_bytes_ += kEntryBytes + key.size() + (value ? value->size() : 0);
  if (young_bytes_ > cache_bytes_ / 2) {
    old_ = std::exchange(young_, {});
    young_bytes_ = 0;
  }
  return young_.insert_or_assign(key, std::move(value)).first->second;
}

const std::optional<Bytes>& State::bytes(const Bytes& key) const {
  if (const auto at = block_.find(key); at != block_.end()) return at->second;
  if (const auto at = young_.find(key); at != young_.end()) return at->second;
  if (const auto at = old_.find(key); at != old_.end()) return remember(key, at->second);
  return remember(key, view_->record(key));
}

void State::set(Bytes key, std::optional<Bytes> value) {
  const auto& old = bytes(key);
  if (old == value) return;
  journal_.push_back({key, old});
  if (value) bytes_set_ += value->size();
  block_.insert_or_assign(std::move(key), std::move(value));
}

void State::undo(size_t mark) {
  CHECK(mark <= journal_.size());
  while (journal_.size() > mark) {
    Change& change = journal_.back();
    block_.insert_or_assign(std::move(change.key), std::move(change.old));
    journal_.pop_back();
  }
  if (mark >= kept_until_) return;
  kept_.clear();  // what stands before `mark` may be kept twice, never too little
  kept_until_ = mark;
}

void State::keep(size_t mark) {
  const auto first = journal_.begin() + static_cast<std::ptrdiff_t>(mark);
  journal_.erase(std::remove_if(first, journal_.end(), [&](const Change& change) { return !kept_.insert(change.key).second; }),
                 journal_.end());
  kept_until_ = journal_.size();
}

uint64_t State::nonce(const Signer& signer) const {
  if (signer.hot_key.is_zero()) {
    const auto account = this->account(signer.account);
    return account ? account->nonce : 0;
  }
  const auto hot = hot_key(signer);
  return hot ? hot->nonce : 0;
}

std::vector<RecordChange> State::changes() const {
  std::vector<const Change*> first;
  for (const Change& change : journal_) first.push_back(&change);
  std::stable_sort(first.begin(), first.end(), [](const Change* a, const Change* b) { return KeyOrder{}(a->key, b->key); });
  first.erase(std::unique(first.begin(), first.end(), [](const Change* a, const Change* b) { return a->key == b->key; }), first.end());
  std::vector<RecordChange> out;
  for (const Change* change : first)
    if (const auto& now = block_.at(change->key); now != change->old) out.emplace_back(change->key, now);
  return out;
}

void State::now_stands(const Bytes& key, std::optional<Bytes> value) {
  if (const auto front = fronts_.find(key.front()); value && front != fronts_.end() && KeyOrder{}(key, front->second)) front->second = key;
  remember(key, std::move(value));
}

void State::committed(const View& view) {
  view_ = &view;
  for (auto& [key, value] : block_) now_stands(key, std::move(value));
  block_.clear();
  journal_.clear();
  kept_.clear();
  kept_until_ = 0;
}

void State::follow(const View& view, std::span<const RecordChange> changes) {
  CHECK(journal_.empty());
  view_ = &view;
  for (const auto& [key, value] : changes) now_stands(key, value);
}

void State::each(const Bytes& prefix, const Bytes& from, const View::Visit& visit) const {
  const Bytes& start = KeyOrder{}(prefix, from) ? from : prefix;
  const bool whole_table = prefix.size() == 1 && start.size() == 1;
  const auto front = whole_table ? fronts_.find(prefix.front()) : fronts_.end();
  const Bytes view_start = front != fronts_.end() ? front->second : start;
  auto mine = block_.lower_bound(start);
  bool more = true;
  // Of the block's own records those before `key`, or all.
  const auto up_to = [&](std::optional<ByteSpan> key) {
    for (; more && mine != block_.end() && begins_with(mine->first, prefix) && (!key || KeyOrder{}(mine->first, *key)); ++mine)
      if (mine->second) more = visit(mine->first, *mine->second);
  };
  std::optional<Bytes> first;
  const auto visit_view = [&](ByteSpan key, ByteSpan value) {
    if (!begins_with(key, prefix)) return false;
    if (whole_table && !first) first = Bytes(key.begin(), key.end());
    up_to(key);
    if (!more) return false;
    const bool changed = mine != block_.end() && std::equal(key.begin(), key.end(), mine->first.begin(), mine->first.end());
    if (!changed) more = visit(key, value);
    return more;
  };
  if (begins_with(view_start, prefix)) view_->records(view_start, visit_view);
  if (whole_table) fronts_[prefix.front()] = first ? *std::move(first) : make_key(static_cast<char>(prefix.front() + 1));
  up_to(std::nullopt);
}

bool State::any(char table) const {
  bool found = false;
  each(make_key(table), {}, [&](ByteSpan, ByteSpan) {
    found = true;
    return false;
  });
  return found;
}

size_t State::count(char table) const {
  size_t n = 0;
  each(make_key(table), {}, [&](ByteSpan, ByteSpan) {
    n++;
    return true;
  });
  return n;
}

// ---- value --------------------------------------------------------------------------------------------------------

Amount State::balance(const Holder& holder, const Currency& currency) const {
  const auto holding = find<Holding>(key_of(holder, currency));
  return holding ? holding->amount : Amount{};
}

void State::set_balance(const Holder& holder, const Currency& currency, Amount amount) {
  const Holding holding{holder, currency, amount};
  if (amount.pebbles == 0) {
    erase(holding);
  } else {
    put(holding);
  }
}

Result<> State::move(const Holder& from, const Holder& to, Amount amount, const Currency& currency) {
  if (amount.pebbles == 0) return {};
  const Amount held = balance(from, currency);
  const auto left = subtract(held, amount);
  if (!left)
    return Error{Code::insufficient, std::string(name(from.kind)) + " holds " + pretty(held) + ", needed are " + pretty(amount),
                 "add funds, or ask for less"};
  if (from == to) return {};
  const auto sum = add(balance(to, currency), amount);
  if (!sum) return Error{Code::limit, "the receiver would hold more than can be counted", "send less"};
  set_balance(from, currency, *left);
  set_balance(to, currency, *sum);
  return {};
}

Amount State::move_up_to(const Holder& from, const Holder& to, Amount amount) {
  const Amount moved = std::min(amount, balance(from));
  must(move(from, to, moved));
  return moved;
}

Amount State::move_all(const Holder& from, const Holder& to) { return move_up_to(from, to, Amount{UINT64_MAX}); }

void State::mint(Amount amount, const Currency& currency) {
  const auto sum = add(balance(Holder::mint(), currency), amount);
  CHECK(sum.has_value());
  set_balance(Holder::mint(), currency, *sum);
}

u128 State::supply(const Currency& currency) const {
  u128 sum = 0;
  scan<Holding>(make_key('h'), [&](const Holding& holding) {
    if (holding.currency == currency) sum += holding.amount.pebbles;
    return true;
  });
  return sum;
}

Timer State::arm(Due what, const Hash& id, ChainTime due, uint64_t seq) {
  const Timer timer{due, seq};
  put(Deadline{timer, what, id});
  return timer;
}

void State::disarm(Timer& timer) {
  if (timer.seq != 0) erase(Deadline{timer, Due::job, {}});
  timer = {};
}

void BlockContext::emit(std::string_view kind, const Hash& id,
                        std::initializer_list<std::pair<std::string_view, std::string>> facts) {
  std::string json = "{";
  for (const auto& [key, value] : facts) json += (json.size() > 1 ? "," : "") + json_quote(key) + ":" + value;
  events.push_back({0, height, now, std::string(kind), id, json + "}"});
}

Amount deposit_of(const attest::ChainParams& params, size_t bytes) {
  return scale(Amount{params.deposit_per_byte}, bytes, 1).value_or(Amount{UINT64_MAX});
}

Result<> lock_deposit(State& state, const TxContext& context, const Hash& record, size_t bytes) {
  if (state.balance(Holder::deposit(record)).pebbles != 0)  // two records under one id would give each other's back
    return Error{Code::already, "another record of this id has a deposit", "take another id"};
  return state.move(Holder::account(context.sender), Holder::deposit(record), deposit_of(context.params(), bytes));
}

Result<> unbond(State& state, BlockContext& block, const AccountId& account, const Holder& from, Amount amount) {
  TRY(state.move(from, Holder::unbonding(account), amount));
  Unbonding back{account, amount, after(block.now, block.params().unbonding_ms), block.next_seq(), block.now};
  state.put(back);
  Bytes place = encode(back.seq);
  place.resize(32);
  state.arm(Due::unbonding, *Hash::from(place), back.due, back.seq);
  return {};
}

}  // namespace cairn::ledger

CODEC_HERE(ledger::Account)
CODEC_HERE(ledger::Offer)
CODEC_HERE(ledger::Job)
CODEC_HERE(ledger::Dispute)
CODEC_HERE(ledger::Asset)
CODEC_HERE(ledger::Block)
