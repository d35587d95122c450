#include "ledger/mempool.h"

#include <algorithm>
#include <queue>

namespace cairn::ledger {

size_t IdHash::operator()(const TransactionId& id) const {
  static const Hash salt = random_hash();
  size_t words[2];
  std::memcpy(&words[0], id.data() + salt.v[0] % 16, sizeof words[0]);
  std::memcpy(&words[1], salt.data() + 8, sizeof words[1]);
  const size_t mixed = (words[0] ^ words[1]) * 0x9e3779b97f4a7c15u;
  return mixed ^ (mixed >> 32);
}

Waiting Waiting::of(const Transaction& transaction, const TransactionId& id, Bytes bytes) {
  Waiting out;
  out.id = id;
  out.bytes = std::move(bytes);
  out.signer = signer_of(transaction);
  out.nonce = transaction.nonce;
  out.fee = transaction.fee;
  out.expiry = transaction.expiry;
  out.is_move = std::holds_alternative<PlayMove>(transaction.body);
  if (std::holds_alternative<RotateKey>(transaction.body)) out.rekeys = Signer{transaction.sender, {}};
  if (const auto* grant = std::get_if<GrantKey>(&transaction.body)) out.rekeys = Signer{transaction.sender, grant->key};
  if (const auto* revoke = std::get_if<RevokeKey>(&transaction.body)) out.rekeys = Signer{transaction.sender, revoke->key};
  return out;
}

const Waiting* Mempool::find(const TransactionId& id) const {
  const auto at = ids_.find(id);
  return at == ids_.end() ? nullptr : &lanes_.at(at->second.first).waiting.at(at->second.second);
}

Waiting Mempool::remove(Lanes::iterator lane, std::map<uint64_t, Waiting>::iterator at) {
  Waiting out = std::move(at->second);
  lane->second.waiting.erase(at);
  lane->second.fees -= out.fee.pebbles;
  const auto fees = fees_.find(out.signer.account);
  if ((fees->second -= out.fee.pebbles) == 0) fees_.erase(fees);
  if (out.is_move) {
    lane->second.moves--;
    moves_--;
    moves_bytes_ -= out.bytes.size();
  } else {
    ranks_.erase(rank_of(out));
    bytes_ -= out.bytes.size();
  }
  ids_.erase(out.id);
  expiries_.erase({out.expiry, out.arrival});
  note_head(lane);
  return out;
}

void Mempool::note_head(Lanes::iterator lane) {
  const auto& waiting = lane->second.waiting;
  if (!waiting.empty() && waiting.begin()->first == lane->second.next) {
    heads_.insert(lane->first);
  } else {
    heads_.erase(lane->first);
  }
  if (waiting.empty()) lanes_.erase(lane);
}

size_t Mempool::escorted(const Lane& lane) const {
  size_t seen = 0, with_move = 0, others = 0, bytes = 0;
  if (lane.moves == 0) return 0;
  for (const auto& [nonce, waiting] : lane.waiting) {
    if (nonce != lane.next + seen) break;  // what is missing may never come
    seen++;
    if (waiting.is_move) with_move = seen;
    else if (++others > limits_.escort || (bytes += waiting.bytes.size()) > limits_.escort_bytes) break;
  }
  return with_move;
}

Result<std::vector<Waiting>> Mempool::add(Waiting transaction, const Standing& sender, ChainTime now) {
  if (holds(transaction.id)) return Error{Code::already, "this transaction waits for a block already", "wait for it"};
  if (transaction.expiry <= now)
    return Error{Code::expired, "it expired at chain time " + std::to_string(ms(transaction.expiry)) + " ms, now is " + std::to_string(ms(now)),
                 "sign it again with a later expiry"};
  if (transaction.nonce < sender.nonce || transaction.nonce - sender.nonce >= limits_.lane)
    return Error{Code::wrong_nonce, "nonce " + std::to_string(transaction.nonce) + ", the account's next is " + std::to_string(sender.nonce),
                 "sign it again with that nonce"};

  std::vector<Waiting> left;
  const auto found = lanes_.find(transaction.signer);
  const Waiting* rival = nullptr;
  u128 fees = transaction.fee.pebbles, lane_fees = fees;
  if (const auto others = fees_.find(transaction.signer.account); others != fees_.end()) fees += others->second;
  if (found != lanes_.end()) {
    lane_fees += found->second.fees;
    if (const auto at = found->second.waiting.find(transaction.nonce); at != found->second.waiting.end()) rival = &at->second;
    if (found->second.moves - (rival && rival->is_move ? 1 : 0) >= limits_.lane_moves) transaction.is_move = false;
  }
  if (rival) {
    fees -= rival->fee.pebbles;
    lane_fees -= rival->fee.pebbles;
    const u128 needed = static_cast<u128>(rival->fee.pebbles) * 11 * transaction.bytes.size();
    if (static_cast<u128>(transaction.fee.pebbles) * 10 * rival->bytes.size() < needed)
      return Error{Code::fee_too_low, "another transaction with nonce " + std::to_string(transaction.nonce) + " waits already",
                   "offer a tenth more per byte than it does"};
  }
  if (fees > sender.balance.pebbles)
    return Error{Code::insufficient, "the fees of this account's waiting transactions come to more than it holds, " + pretty(sender.balance),
                 "add funds, or wait for a block"};
  if (lane_fees > sender.limit.pebbles)
    return Error{Code::insufficient, "the fees of this hot key's waiting transactions come to more than it may lose, " + pretty(sender.limit),
                 "wait for its next period, or raise its limit"};

  const Error full{Code::mempool_full, "too many transactions wait", "offer a higher fee, or try again after a block"};
  transaction.arrival = ++arrivals_;
  if (transaction.is_move) {
    if (!(rival && rival->is_move) && (moves_ >= limits_.moves_count || moves_bytes_ + transaction.bytes.size() > limits_.moves_bytes))
      return full;
  } else {
    const auto lacks_room = [&](size_t count, size_t bytes) {
      return count + 1 > limits_.count || bytes + transaction.bytes.size() > limits_.bytes;
    };
    const size_t freed = rival && !rival->is_move ? 1 : 0;
    size_t count = ranks_.size() - freed, bytes = bytes_ - (freed ? rival->bytes.size() : 0);
    std::vector<TransactionId> evicted;
    auto lanes_end = std::map<Signer, size_t>();  // how far each lane's end has been looked through
    for (auto worst = ranks_.begin(); lacks_room(count, bytes); ++worst) {
      if (worst == ranks_.end() || !(worst->first < rank_of(transaction)) || worst->second == transaction.signer) return full;
      // Whoever pays least gives way from the end of its lane, so that what stays can still be used.
      const Lane& lane = lanes_.at(worst->second);
      const auto& waiting = lane.waiting;
      const size_t behind = waiting.size() - escorted(lane);
      size_t& passed = lanes_end[worst->second];
      while (passed < behind) {
        const Waiting& last = std::prev(waiting.end(), static_cast<ptrdiff_t>(++passed))->second;
        if (last.is_move) continue;  // it has its own room
        evicted.push_back(last.id);
        count--;
        bytes -= last.bytes.size();
        break;
      }
    }
    for (const auto& id : evicted) {
      const auto [owner, nonce] = ids_.at(id);
      const auto lane = lanes_.find(owner);
      left.push_back(remove(lane, lane->second.waiting.find(nonce)));
    }
  }
  if (rival) {
    const auto lane = lanes_.find(transaction.signer);
    left.push_back(remove(lane, lane->second.waiting.find(transaction.nonce)));
  }

  const auto lane = lanes_.try_emplace(transaction.signer).first;
  lane->second.next = sender.nonce;
  lane->second.fees += transaction.fee.pebbles;
  fees_[transaction.signer.account] += transaction.fee.pebbles;
  ids_.emplace(transaction.id, std::pair(transaction.signer, transaction.nonce));
  expiries_.emplace(std::pair(transaction.expiry, transaction.arrival), std::pair(transaction.signer, transaction.nonce));
  if (transaction.is_move) {
    lane->second.moves++;
    moves_++;
    moves_bytes_ += transaction.bytes.size();
  } else {
    ranks_.emplace(rank_of(transaction), transaction.signer);
    bytes_ += transaction.bytes.size();
  }
  const uint64_t nonce = transaction.nonce;
  lane->second.waiting.emplace(nonce, std::move(transaction));
  note_head(lane);
  return left;
}

std::vector<const Waiting*> Mempool::take(size_t max_bytes) const {
  struct Turn {
    size_t escorted;  // of this lane, from here on: they go first
    Rank rank;
    const Lane* lane;
    std::map<uint64_t, Waiting>::const_iterator at;
    bool operator<(const Turn& other) const {
      const bool first = escorted > 0, other_first = other.escorted > 0;
      return first != other_first ? first < other_first : rank < other.rank;
    }
  };
  std::priority_queue<Turn> turns;
  for (const auto& sender : heads_) {
    const Lane& lane = lanes_.at(sender);
    const auto head = lane.waiting.begin();
    turns.push({escorted(lane), rank_of(head->second), &lane, head});
  }
  std::vector<const Waiting*> out;
  size_t bytes = 0;
  while (!turns.empty()) {
    const Turn turn = turns.top();
    turns.pop();
    const Waiting& next = turn.at->second;
    if (turn.escorted > 0 && bytes > 0 && bytes + next.bytes.size() > max_bytes / 2) {  // the other half goes by fees
      turns.push({0, turn.rank, turn.lane, turn.at});
      continue;
    }
    if (bytes + next.bytes.size() > max_bytes) continue;  // its lane waits; a smaller one may still fit
    bytes += next.bytes.size();
    out.push_back(&next);
    const auto after = std::next(turn.at);
    if (after != turn.lane->waiting.end() && after->first == turn.at->first + 1)
      turns.push({turn.escorted - (turn.escorted > 0 ? 1 : 0), rank_of(after->second), turn.lane, after});
  }
  return out;
}

std::vector<std::pair<Waiting, Error>> Mempool::settle(const std::map<Signer, Standing>& senders, const std::set<Signer>& rekeyed,
                                                      ChainTime now) {
  std::vector<std::pair<Waiting, Error>> left;
  const Error passed{Code::wrong_nonce, "another transaction with its nonce was in a block first", "sign it again"};
  const Error unpaid{Code::insufficient, "its account no longer covers the fees of what waits", "add funds, and sign it again"};
  const Error strange{Code::bad_signature, "the keys of its account have changed", "sign it with those that it has now"};
  const Error expired{Code::expired, "it expired before a block could take it", "sign it again"};
  const auto take_out = [&](Lanes::iterator lane, std::map<uint64_t, Waiting>::iterator at, const Error& why) { left.emplace_back(remove(lane, at), why); };
  const auto lane_of = [&](const Signer& signer) { return lanes_.find(signer); };
  const auto any_lane_of = [&](const AccountId& account) {
    const auto lane = lanes_.lower_bound(Signer{account, {}});
    return lane != lanes_.end() && lane->first.account == account ? lane : lanes_.end();
  };
  for (const auto& [signer, standing] : senders) {
    for (auto lane = lane_of(signer); lane != lanes_.end(); lane = lane_of(signer)) {
      lane->second.next = standing.nonce;
      if (lane->second.waiting.begin()->first < standing.nonce) take_out(lane, lane->second.waiting.begin(), passed);
      else if (lane->second.fees > standing.limit.pebbles) take_out(lane, std::prev(lane->second.waiting.end()), unpaid);
      else break;
    }
    if (const auto lane = lane_of(signer); lane != lanes_.end()) note_head(lane);
    for (auto fees = fees_.find(signer.account); fees != fees_.end() && fees->second > standing.balance.pebbles; fees = fees_.find(signer.account)) {
      const auto lane = any_lane_of(signer.account);
      take_out(lane, std::prev(lane->second.waiting.end()), unpaid);
    }
  }
  for (const Signer& signer : rekeyed) {
    const auto next = [&] { return signer.hot_key.is_zero() ? any_lane_of(signer.account) : lane_of(signer); };
    for (auto lane = next(); lane != lanes_.end(); lane = next()) take_out(lane, lane->second.waiting.begin(), strange);
  }
  while (!expiries_.empty() && expiries_.begin()->first.first <= now) {
    const auto [sender, nonce] = expiries_.begin()->second;
    const auto lane = lanes_.find(sender);
    take_out(lane, lane->second.waiting.find(nonce), expired);
  }
  return left;
}

uint64_t Mempool::fee_of_full_block(size_t max_bytes) const {
  if (bytes_ < max_bytes) return 0;
  size_t bytes = 0;
  for (auto best = ranks_.rbegin(); best != ranks_.rend(); ++best)
    if ((bytes += best->first.size) >= max_bytes) return best->first.fee / best->first.size;
  return 0;
}

void Mempool::drop(const TransactionId& id) {
  const auto at = ids_.find(id);
  if (at == ids_.end()) return;
  const auto lane = lanes_.find(at->second.first);
  remove(lane, lane->second.waiting.find(at->second.second));
}

}  // namespace cairn::ledger
