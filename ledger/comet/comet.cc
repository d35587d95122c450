#include "ledger/comet/comet.h"

#include "ledger/comet/diagnosis.h"
#include "ledger/comet/home.h"

namespace cairn::ledger::comet {
namespace {

constexpr size_t kOutgoingMax = 65'536;
constexpr uint64_t kAwayMs = 15'000;      // as long as a restart may take
constexpr uint64_t kWaiterMs = 120'000;   // then nobody listens any more
constexpr uint64_t kSealMs = 20'000;      // for the block after

const Error kStopping{Code::unreachable, "the node is stopping", "ask again when it is back"};

uint64_t ns(uint64_t time_ms) { return time_ms * 1'000'000; }

}  // namespace

Comet::Comet(Chain& chain, const Clock& clock, CometConfig config)
    : chain_(chain), clock_(clock), config_(std::move(config)), last_block_ns_(clock.steady_ns()) {
  for (unsigned i = 0; i < config_.senders; i++) threads_.emplace_back([this] { send(); });
  threads_.emplace_back([this] { complete_seals(); });
}

Comet::~Comet() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  send_wake_.notify_all();
  seal_wake_.notify_all();
  for (auto& thread : threads_) thread.join();
  for (auto& one : outgoing_)
    if (one.admitted) one.admitted(kStopping);
  for (auto& [id, waiter] : waiters_) waiter.answer(kStopping);
  for (auto& one : sealing_) one.sealed(kStopping);
}

bool Comet::pause_ms(uint64_t time_ms) {
  std::unique_lock lock(mutex_);
  return !seal_wake_.wait_for(lock, std::chrono::milliseconds(time_ms), [&] { return stopping_; });
}

size_t Comet::waiting() const {
  std::lock_guard lock(mutex_);
  return outgoing_.size() + waiters_.size();
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
  std::lock_guard lock(mutex_);
  EngineFigures out = figures_;
  out.waiting = outgoing_.size() + waiters_.size();
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
    } else if (outgoing_.size() >= kOutgoingMax) {
      refused = Error{Code::mempool_full, "too many transactions wait", "try again after a block"};
    } else {
      if (until == Until::committed) waiters_.emplace(id, Waiter{std::move(answer), clock_.steady_ns() + ns(kWaiterMs)});
      outgoing_.push_back({std::move(transaction), id, until == Until::admitted ? std::move(answer) : Answer{}});
    }
  }
  if (refused) return answer(*refused);
  send_wake_.notify_one();
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

void Comet::send() {
  Rpc rpc(rpc_socket(config_.home));
  for (;;) {
    Outgoing one;
    {
      std::unique_lock lock(mutex_);
      send_wake_.wait(lock, [&] { return stopping_ || !outgoing_.empty(); });
      if (stopping_) return;
      one = std::move(outgoing_.front());
      outgoing_.pop_front();
    }
    Result<> sent = rpc.broadcast(one.bytes);
    for (const uint64_t until_ns = clock_.steady_ns() + ns(kAwayMs);
         !sent && sent.error().code == Code::unreachable && clock_.steady_ns() < until_ns && pause_ms(100);)
      sent = rpc.broadcast(one.bytes);
    if (sent) {
      if (one.admitted) one.admitted(TxResult{one.id, Height{}, 0, "it waits for a block"});
      continue;
    }
    const Error& error = sent.error();
    const bool seen = error.code == Code::already || error.code == Code::wrong_nonce;
    if (const auto before = seen ? chain_.store().result(one.id) : std::nullopt) {
      if (one.admitted)
        one.admitted(TxResult{one.id, before->height, static_cast<uint16_t>(Code::already),
                              "it stands in block " + std::to_string(number(before->height)) + " already"});
      finish(one.id, {}, *before);
    } else if (error.code == Code::already) {
      if (one.admitted) one.admitted(TxResult{one.id, Height{}, static_cast<uint16_t>(Code::already), "it waits for a block already"});
    } else {
      finish(one.id, one.admitted, error);
    }
  }
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

// ---- seals ----

void Comet::seal(std::vector<attest::SignedHeader> headers, Sealed sealed) {
  {
    std::lock_guard lock(mutex_);
    sealing_.push_back({std::move(headers), std::move(sealed), clock_.steady_ns() + ns(kSealMs)});
  }
  seal_wake_.notify_all();
}

Result<attest::CometSeal> Comet::seal_of(Rpc& rpc, Height height) {
  attest::CometSeal seal;
  const auto changes = chain_.read([](const App& app) { return app.state().all<VotesChange>(make_key('X')); });
  for (const auto& change : changes) {
    // Votes that block h changes stand in header h + 1 as the next set, and are in force in block h + 2.
    const Height at{number(change.height) + 1}, next{number(change.height) + 2};
    if (at > height) break;
    if (!set_changes_.contains(at)) {
      TRY_LET(voted, rpc.commit(at));
      TRY_LET(set, rpc.validators(next));
      set_changes_[at] = {std::move(voted.first), std::move(voted.second), std::move(set)};
    }
    seal.changes.push_back(set_changes_[at]);
  }
  TRY_LET(voted, rpc.commit(Height{number(height) + 1}));
  std::tie(seal.header, seal.commit) = std::move(voted);
  return seal;
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
