#include "ledger/state.h"

#include <algorithm>

namespace cairn::ledger {

void State::set(Bytes key, Bytes value) {
  const auto at = map_.find(key);
  if (at == map_.end()) {
    journal_.push_back({key, std::nullopt});
    map_.emplace(std::move(key), std::move(value));
    return;
  }
  if (at->second == value) return;
  journal_.push_back({std::move(key), std::move(at->second)});
  at->second = std::move(value);
}

void State::remove(const Bytes& key) {
  const auto at = map_.find(key);
  if (at == map_.end()) return;
  journal_.push_back({key, std::move(at->second)});
  map_.erase(at);
}

void State::undo(size_t mark) {
  CHECK(mark <= journal_.size());
  while (journal_.size() > mark) {
    Change& change = journal_.back();
    if (change.old) {
      map_.insert_or_assign(std::move(change.key), *std::move(change.old));
    } else {
      map_.erase(change.key);
    }
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

size_t State::count(char table) const {
  const Bytes from = make_key(table);
  const Bytes to = make_key(static_cast<char>(table + 1));
  return static_cast<size_t>(std::distance(map_.lower_bound(from), map_.lower_bound(to)));
}

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
  return state.move(Holder::account(context.sender), Holder::deposit(record), deposit_of(context.params(), bytes));
}

Result<> unbond(State& state, const TxContext& context, const Holder& from, Amount amount) {
  TRY(state.move(from, Holder::unbonding(context.sender), amount));
  Unbonding back{context.sender, amount, after(context.block.now, context.params().unbonding_ms), context.block.next_seq()};
  state.put(back);
  Bytes place = encode(back.seq);
  place.resize(32);
  state.arm(Due::unbonding, *Hash::from(place), back.due, back.seq);
  return {};
}

}  // namespace cairn::ledger
