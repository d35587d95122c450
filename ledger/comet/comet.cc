#include "ledger/comet/comet.h"

#include "ledger/comet/diagnosis.h"
#include "ledger/comet/home.h"
#include "ledger/comet/parcel.h"

namespace cairn::ledger::comet {
namespace {

constexpr size_t kQueuedMax = 65'536;
constexpr size_t kQueuedMaxBytes = 64u << 20;
constexpr size_t kVerifyAtOnce = 16;      // taken from the queue by one thread
constexpr size_t kQuestionsMax = 256;
constexpr uint64_t kAgainMs = 100;        // where CometBFT is away, or its mempool full
constexpr uint64_t kWaiterMs = 120'000;   // then nobody listens any more
constexpr uint64_t kSealMs = 20'000;      // for the block after

const Error kStopping{Code::unreachable, "the node is stopping", "ask again when it is back"};

uint64_t ns(uint64_t time_ms) { return time_ms * 1'000'000; }

}  // namespace

Comet::Comet(Chain& chain, Pool& pool, const Clock& clock, CometConfig config)
    : chain_(chain), pool_(pool), clock_(clock), config_(std::move(config)), changes_(config_.changes), last_block_ns_(clock.steady_ns()) {
  pool_.on_dropped([this](const TransactionId& id, const Error& why) { finish(id, {}, why); });
  const unsigned verifiers = config_.verifiers ? config_.verifiers : std::max(1u, std::thread::hardware_concurrency());
  for (unsigned i = 0; i < verifiers; i++) threads_.emplace_back([this] { admit(); });
  threads_.emplace_back([this] { carry(); });
  threads_.emplace_back([this] { complete_seals(); });
  threads_.emplace_back([this] { relay_questions(); });
}

Comet::~Comet() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  arrived_wake_.notify_all();
  carry_wake_.notify_all();
  seal_wake_.notify_all();
  relay_wake_.notify_all();
  for (auto& thread : threads_) thread.join();
  for (auto& one : arrived_)
    if (one.admitted) one.admitted(kStopping);
  for (auto& [id, waiter] : waiters_) waiter.answer(kStopping);
  for (auto& one : sealing_) one.sealed(kStopping);
  for (auto& [question, told] : questions_) told(kStopping);
}

bool Comet::pause_ms(uint64_t time_ms) {
  std::unique_lock lock(mutex_);
  return !seal_wake_.wait_for(lock, std::chrono::milliseconds(time_ms), [&] { return stopping_; });
}

size_t Comet::waiting() const {
  const size_t admitted = pool_.size();
  std::lock_guard lock(mutex_);
  return admitted + arrived_.size();
}

std::optional<Error> Comet::halted() const {
  uint64_t still_ms = 0;
  {
    std::lock_guard lock(mutex_);
    still_ms = (clock_.steady_ns() - last_block_ns_) / 1'000'000;
  }
  if (still_ms < config_.stall_ms) return std::nullopt;
  return diagnose(config_.home, still_ms);
}

EngineFigures Comet::figures() const {
  const size_t waiting = this->waiting();
  std::lock_guard lock(mutex_);
  EngineFigures out = figures_;
  out.waiting = waiting;
  out.due_since_ns = last_block_ns_;  // blocks come always
  return out;
}

// ---- transactions ----

void Comet::submit(Bytes transaction, Until until, Answer answer) {
  const TransactionId id = transaction_id(transaction);
  std::optional<Error> refused;
  {
    std::lock_guard lock(mutex_);
    if (stopping_) {
      refused = kStopping;
    } else if (queued_ >= kQueuedMax || queued_bytes_ + transaction.size() > kQueuedMaxBytes) {
      refused = Error{Code::mempool_full, "too many transactions wait", "try again after a block"};
    } else {
      if (until == Until::committed) waiters_.emplace(id, Waiter{std::move(answer), clock_.steady_ns() + ns(kWaiterMs)});
      queued_++;
      queued_bytes_ += transaction.size();
      arrived_.push_back({std::move(transaction), id, until == Until::admitted ? std::move(answer) : Answer{}});
    }
  }
  if (refused) return answer(*refused);
  arrived_wake_.notify_one();
}

void Comet::finish(const TransactionId& id, const Answer& admitted, const Result<TxResult>& result) {
  std::vector<Answer> answers;
  {
    std::lock_guard lock(mutex_);
    const auto [from, to] = waiters_.equal_range(id);
    for (auto at = from; at != to; ++at) answers.push_back(std::move(at->second.answer));
    waiters_.erase(from, to);
  }
  if (admitted) admitted(result);
  for (const auto& answer : answers) answer(result);
}

void Comet::refuse(const Arrived& arrived, const Error& error) {
  const auto& [bytes, id, admitted] = arrived;
  const bool seen = error.code == Code::already || error.code == Code::wrong_nonce;
  if (const auto before = seen ? chain_.store().result(id) : std::nullopt) {
    if (admitted)
      admitted(TxResult{id, before->height, static_cast<uint16_t>(Code::already), "it stands in block " + std::to_string(number(before->height)) + " already"});
    finish(id, {}, *before);
  } else if (error.code == Code::already) {
    if (admitted) admitted(TxResult{id, Height{}, static_cast<uint16_t>(Code::already), error.text});
  } else {
    finish(id, admitted, error);
  }
}

// Into the pool.
void Comet::admit() {
  for (;;) {
    std::vector<Arrived> mine, passed;
    {
      std::unique_lock lock(mutex_);
      arrived_wake_.wait(lock, [&] { return stopping_ || !arrived_.empty(); });
      if (stopping_) return;
      while (!arrived_.empty() && mine.size() < kVerifyAtOnce) {
        mine.push_back(std::move(arrived_.front()));
        arrived_.pop_front();
      }
    }
    size_t refused = 0, refused_bytes = 0;
    for (Arrived& one : mine) {
      const auto added = pool_.add(one.bytes, one.id);
      if (added) {
        if (one.admitted) std::exchange(one.admitted, {})(TxResult{one.id, Height{}, 0, "it waits for a block"});
        passed.push_back(std::move(one));
      } else {
        refused++;
        refused_bytes += one.bytes.size();
        refuse(one, added.error());
      }
    }
    {
      std::lock_guard lock(mutex_);
      queued_ -= refused;
      queued_bytes_ -= refused_bytes;
      figures_.refused += refused;
      std::move(passed.begin(), passed.end(), std::back_inserter(outgoing_));
    }
    carry_wake_.notify_one();
  }
}

// To the other nodes.
void Comet::carry() {
  Rpc rpc(rpc_socket(config_.home));
  for (;;) {
    Parcel parcel;
    {
      std::unique_lock lock(mutex_);
      carry_wake_.wait(lock, [&] { return stopping_ || !outgoing_.empty(); });
      if (stopping_) return;
      for (size_t bytes = 0; !outgoing_.empty(); outgoing_.pop_front()) {
        Arrived& next = outgoing_.front();
        if (bytes > 0 && bytes + next.bytes.size() > kParcelBytes) break;
        bytes += next.bytes.size();
        queued_--;
        queued_bytes_ -= next.bytes.size();
        if (pool_.holds(next.id)) parcel.transactions.push_back(std::move(next.bytes));
      }
    }
    if (parcel.transactions.empty()) continue;
    const Bytes bytes = encode(parcel);
    const auto passes = [](const Error& error) { return error.code == Code::unreachable || error.code == Code::mempool_full; };
    for (auto sent = rpc.broadcast(bytes); !sent && passes(sent.error()) && pause_ms(kAgainMs);) sent = rpc.broadcast(bytes);
  }
}

void Comet::on_restored() {
  std::lock_guard lock(mutex_);
  last_block_ns_ = clock_.steady_ns();
}

void Comet::on_block(const Block& block) {
  const uint64_t now = clock_.steady_ns();
  std::vector<std::pair<Answer, Result<TxResult>>> answers;
  {
    std::lock_guard lock(mutex_);
    last_block_ns_ = now;
    figures_.blocks++;
    figures_.transactions += block.results.size();
    for (const auto& result : block.results) figures_.failed += result.code != 0;
    if (!waiters_.empty())
      for (const auto& result : block.results) {
        const auto [from, to] = waiters_.equal_range(result.id);
        for (auto at = from; at != to; ++at) answers.emplace_back(std::move(at->second.answer), result);
        waiters_.erase(from, to);
      }
    std::erase_if(waiters_, [&](auto& entry) {
      if (entry.second.until_ns > now) return false;
      answers.emplace_back(std::move(entry.second.answer), Error{Code::timed_out, "no block has taken it", "check its nonce and expiry, and sign it again"});
      return true;
    });
  }
  seal_wake_.notify_all();
  for (const auto& [answer, result] : answers) answer(result);
}

// ---- questions of joining nodes ----

void Comet::relay(Bytes question, Told told) {
  std::optional<Error> refused;
  {
    std::lock_guard lock(mutex_);
    if (stopping_) {
      refused = kStopping;
    } else if (questions_.size() >= kQuestionsMax) {
      refused = Error{Code::limit, "too many questions wait", "ask again in a moment, or another node"};
    } else {
      questions_.emplace_back(std::move(question), std::move(told));
    }
  }
  if (refused) return told(*refused);
  relay_wake_.notify_one();
}

void Comet::relay_questions() {
  Rpc rpc(rpc_socket(config_.home));
  for (;;) {
    std::pair<Bytes, Told> one;
    {
      std::unique_lock lock(mutex_);
      relay_wake_.wait(lock, [&] { return stopping_ || !questions_.empty(); });
      if (stopping_) return;
      one = std::move(questions_.front());
      questions_.pop_front();
    }
    one.second(rpc.relay(one.first));
  }
}

// ---- seals ----

void Comet::seal(std::vector<attest::SignedHeader> headers, Sealed sealed) {
  {
    std::lock_guard lock(mutex_);
    sealing_.push_back({std::move(headers), std::move(sealed), clock_.steady_ns() + ns(kSealMs)});
  }
  seal_wake_.notify_all();
}

// The header of a height, and those that follow to the first whose own set's votes are enough where a client counts them; with these
// votes, and the set unless that is the known one. Leads from `known`, or not.
Result<attest::CometSeal> Comet::voted(Rpc& rpc, Height height, std::span<const attest::CometValidator> known) {
  attest::CometSeal out;
  for (Height at = height;; at = Height{number(at) + 1}) {
    TRY_LET(told, rpc.commit(at));
    (at == height ? out.header : out.then.emplace_back()) = std::move(told.first);
    out.commit = std::move(told.second);
    out.set.clear();
    if (attest::set_hash(known) != out.voted().validators) {
      TRY_LET(set, rpc.validators(at));
      attest::sort_set(set);
      out.set = std::move(set);
    }
    const auto& own = out.set.empty() ? known : out.set;
    attest::drop_unsigned(out.voted(), out.commit, own);
    if (out.then.size() == attest::kMaxThen || attest::check_led(own, out.voted(), out.commit, out.set)) return out;
  }
}

// The last change of the set between `after` and `before` that leads from `known`; each look halves the way back to the first one. Where
// more than a third changed hands in that and too few of its votes count, it leads nowhere: clients from there on can go on nevertheless.
Result<attest::SetChange> Comet::change_towards(Rpc& rpc, Height after, Height before, std::span<const attest::CometValidator> known) {
  std::vector<Height> heights;  // votes that block h changes stand in header h + 1 as the next set
  for (const auto& change : chain_.read([](const App& app) { return app.state().all<VotesChange>(make_key('X')); }))
    if (const Height at{number(change.height) + 1}; at > after && at < before) heights.push_back(at);
  if (heights.empty()) return Error{Code::not_found, "no change of the validators leads to block " + std::to_string(number(before)), "ask a node that has been there longer"};
  for (size_t at = heights.size() - 1;; at /= 2) {
    TRY_LET(found, voted(rpc, heights[at], known));
    const auto& header = found.voted();
    const auto led = attest::check_led(known, header, found.commit, found.set);
    if ((!led || header.height >= before) && at > 0) continue;
    TRY_LET(next, rpc.validators(Height{number(header.height) + 1}));
    return attest::SetChange{header, std::move(found.commit), std::move(found.set), std::move(next)};
  }
}

Result<attest::CometSeal> Comet::seal_of(Rpc& rpc, Height height) {
  const Height at{number(height) + 1};
  std::vector<attest::CometValidator> known;
  for (const auto& validator : chain_.genesis().validators) known.push_back({validator.key, attest::votes_of(validator.stake)});
  attest::sort_set(known);
  std::vector<attest::SetChange> changes;
  for (;;) {
    TRY_LET(seal, voted(rpc, at, known));
    if (attest::check_led(known, seal.voted(), seal.commit, seal.set)) {
      seal.changes = std::move(changes);
      return seal;
    }
    const size_t n = changes.size();
    if (n < changes_.size() && changes_[n].header.height < at) {
      changes.push_back(changes_[n]);
    } else {
      TRY_LET(change, change_towards(rpc, n == 0 ? Height{} : changes.back().header.height, at, known));
      changes.push_back(std::move(change));
      if (n == changes_.size()) changes_.push_back(changes.back());
    }
    auto next = attest::check_change(known, changes.back());
    known = next ? *std::move(next) : changes.back().next;
    attest::sort_set(known);
  }
}

void Comet::complete_seals() {
  Rpc rpc(rpc_socket(config_.home));
  for (;;) {
    Sealing one;
    {
      std::unique_lock lock(mutex_);
      seal_wake_.wait(lock, [&] { return stopping_ || !sealing_.empty(); });
      if (stopping_) return;
      one = std::move(sealing_.front());
      sealing_.pop_front();
    }
    std::optional<Error> failed;
    for (auto& signed_header : one.headers) {
      auto seal = seal_of(rpc, signed_header.header.height);
      if (seal) {
        signed_header.seal = *std::move(seal);
        continue;
      }
      failed = seal.error();
      break;
    }
    if (!failed) {
      one.sealed(std::move(one.headers));
    } else if (clock_.steady_ns() > one.until_ns) {
      one.sealed(*failed);
    } else {
      std::unique_lock lock(mutex_);
      sealing_.push_back(std::move(one));
      if (!stopping_) seal_wake_.wait_for(lock, std::chrono::milliseconds(50));
    }
  }
}

}  // namespace cairn::ledger::comet
