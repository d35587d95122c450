#include "ledger/chain.h"

#include <chrono>

#include "base/log.h"

namespace cairn::ledger {

Chain::Chain(const attest::Genesis& genesis, std::unique_ptr<Store> store, uint32_t window)
    : genesis_(genesis), id_(attest::genesis_hash(genesis)), store_(std::move(store)), window_(window) {
  app_.emplace(genesis_);
}

Chain::~Chain() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  window_passed_.notify_all();
  if (beside_.joinable()) beside_.join();
}

Result<std::unique_ptr<Chain>> Chain::open(const std::filesystem::path& folder, const attest::Genesis& genesis,
                                           rocksdb::Env* files, const ChainSettings& settings) {
  TRY_LET(store, Store::open(folder, attest::genesis_hash(genesis), files, settings.window));
  std::unique_ptr<Chain> chain(new Chain(genesis, std::move(store), settings.window));
  const Height head = chain->store_->head();
  if (number(head) == 0) {
    TRY(chain->app_->init());
  } else {
    const auto last = chain->store_->header(head);
    if (!last) return Error{Code::io, "the store lacks its last block", "restore it from a copy"};
    TRY(chain->app_->resume(*last, chain->store_->view(head)));
  }
  if (settings.beside) chain->begin_beside();
  return chain;
}

Result<Chain::Committed> Chain::at(Height height) const {
  const auto header = store_->header(height);
  if (!header && number(store_->head()) == 0) return Error{Code::not_found, "the chain has no block yet", "send a first transaction"};
  if (!header)
    return Error{Code::not_found, "there is no block " + std::to_string(number(height)), "the last one is " + std::to_string(number(store_->head()))};
  auto view = store_->view(height);
  if (!view)
    return Error{Code::too_old, "the state of height " + std::to_string(number(height)) + " is not kept any more", "ask for a proof at the last height"};
  return Committed{*header, std::move(view)};
}

Result<> Chain::check(const std::function<bool()>& go_on) const {
  TRY_LET(committed, last());
  return check_state(*committed.view, genesis_, committed.header, go_on);
}

void Chain::begin_beside() {
  std::optional<Committed> start;
  if (number(store_->head()) > 0) start = must(last());
  beside_ = std::thread([this, start = std::move(start)]() mutable {
    const auto done = [&]() -> Result<> {
      try {
        return check_and_reclaim(std::move(start));
      } catch (const Fault& fault) {
        return fault.error();
      }
    }();
    if (done || stopping_) return;
    log_error("chain.damaged", {{"code", name(done.error().code)}, {"text", done.error().text}});
    const std::lock_guard lock(mutex_);
    damaged_ = done.error();
  });
}

Result<> Chain::check_and_reclaim(std::optional<Committed> start) {
  using Steady = std::chrono::steady_clock;
  const auto ms_since = [](Steady::time_point began) { return std::chrono::duration_cast<std::chrono::milliseconds>(Steady::now() - began).count(); };
  if (start) {
    const auto began = Steady::now();
    TRY(check_state(*start->view, genesis_, start->header, [this] { return !stopping_; }));
    log_info("chain.checked", {{"height", number(start->header.header.height)}, {"elapsed_ms", ms_since(began)}});
    start.reset();
  }
  while (!stopping_) {
    const auto began = Steady::now();
    if (const uint64_t bytes = store_->reclaim(stopping_); bytes > 0)
      log_info("chain.reclaimed", {{"bytes", bytes}, {"elapsed_ms", ms_since(began)}});
    std::unique_lock lock(mutex_);
    const uint64_t next = number(store_->head()) + window_;
    window_passed_.wait(lock, [&] { return stopping_ || number(store_->head()) >= next; });
  }
  return {};
}

namespace {
std::vector<Bytes> transactions_of(const Proposal& proposal) { return {proposal.entries.begin() + 1, proposal.entries.end()}; }
}  // namespace

Block Chain::extend(const Proposal& proposal, const Sign& sign, const std::function<void()>& before_shown) {
  const auto lock = turn();
  const auto ours = [](const TransactionId&) { return true; };
  try {
    Finalized done = must(app_->finalize(proposal, store_->last_event() + 1, ours));
    const Block block{sign(done.header), transactions_of(proposal), std::move(done.results)};
    store(block, done, before_shown);
    return block;
  } catch (...) {
    app_->dropped();
    throw;
  }
}

void Chain::store(const Block& block, const Finalized& done, const std::function<void()>& before_shown, const Stored& stored) {
  const App::Changes changes = app_->changes();
  store_->commit({block, changes.records, changes.pages, done.events, done.receipts}, before_shown);
  app_->committed(block.header, store_->view(store_->head()));
  if (number(store_->head()) % window_ == 0) window_passed_.notify_all();
  if (stored) stored(block, changes.records);
}

Result<Finalized> Chain::finalize(const Proposal& proposal, const App::Known& signature_known) {
  const auto lock = turn();
  if (staged_) app_->dropped();
  staged_.reset();
  try {
    TRY_LET(done, app_->finalize(proposal, store_->last_event() + 1, signature_known));
    staged_ = Staged{done, transactions_of(proposal)};
    return done;
  } catch (...) {
    app_->dropped();
    throw;
  }
}

Block Chain::commit(const Stored& stored) {
  const auto lock = turn();
  CHECK(staged_.has_value());
  const Staged staged = *std::exchange(staged_, std::nullopt);
  try {
    const Block block{{staged.done.header, attest::CometSeal{}}, staged.transactions, staged.done.results};
    store(block, staged.done, {}, stored);
    return block;
  } catch (...) {
    app_->dropped();
    throw;
  }
}

void Chain::add(std::span<const RecordChange> records, std::span<const PageChange> pages) { store_->add(records, pages); }
void Chain::forget() { store_->clear(); }

Result<> Chain::begin(const attest::SignedHeader& header, const std::optional<Event>& last_event) {
  const auto lock = turn();
  store_->begin(header, {}, {}, last_event, {}, {});
  app_.emplace(genesis_);
  return app_->resume(header, store_->view(store_->head()));
}

}  // namespace cairn::ledger
