#include "ledger/chain.h"

#include <chrono>

#include "base/log.h"

namespace cairn::ledger {

Chain::Chain(const attest::Genesis& genesis, std::unique_ptr<Store> store)
    : genesis_(genesis), id_(attest::genesis_hash(genesis)), store_(std::move(store)) {
  app_.emplace(genesis_);
}

Chain::~Chain() {
  stopping_ = true;
  if (checker_.joinable()) checker_.join();
}

Result<std::unique_ptr<Chain>> Chain::open(const std::filesystem::path& folder, const attest::Genesis& genesis,
                                           rocksdb::Env* files, const ChainSettings& settings) {
  TRY_LET(store, Store::open(folder, attest::genesis_hash(genesis), files, settings.window));
  std::unique_ptr<Chain> chain(new Chain(genesis, std::move(store)));
  const Height head = chain->store_->head();
  if (number(head) == 0) {
    TRY(chain->app_->init());
    return chain;
  }
  const auto last = chain->store_->header(head);
  if (!last) return Error{Code::io, "the store lacks its last block", "restore it from a copy"};
  TRY(chain->app_->resume(*last, chain->store_->view(head)));
  if (settings.check_beside) chain->check_beside();
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

void Chain::check_beside() {
  checker_ = std::thread([this, committed = must(last())] {
    const auto began = std::chrono::steady_clock::now();
    const auto checked = [&]() -> Result<> {
      try {
        return check_state(*committed.view, genesis_, committed.header, [this] { return !stopping_; });
      } catch (const Fault& fault) {
        return fault.error();
      }
    }();
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began).count();
    const uint64_t height = number(committed.header.header.height);
    if (checked) {
      log_info("chain.checked", {{"height", height}, {"elapsed_ms", ms}});
    } else if (!stopping_) {
      log_error("chain.damaged", {{"height", height}, {"code", name(checked.error().code)}, {"text", checked.error().text}});
      const std::lock_guard lock(mutex_);
      damaged_ = checked.error();
    }
  });
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

void Chain::store(const Block& block, const Finalized& done, const std::function<void()>& before_shown) {
  const App::Changes changes = app_->changes();
  store_->commit({block, changes.records, changes.pages, done.events, done.receipts}, before_shown);
  app_->committed(block.header, store_->view(store_->head()));
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

Block Chain::commit() {
  const auto lock = turn();
  CHECK(staged_.has_value());
  const Staged staged = *std::exchange(staged_, std::nullopt);
  try {
    const Block block{{staged.done.header, attest::CometSeal{}}, staged.transactions, staged.done.results};
    store(block, staged.done);
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
