#include "ledger/comet/pool.h"

#include "ledger/comet/parcel.h"
#include "ledger/disputes.h"

namespace cairn::ledger::comet {
namespace {
constexpr size_t kSeenMax = 200'000;  // of each of two generations: more than any mempool and the blocks under way
}

bool SeenSignatures::has(const TransactionId& id) const {
  std::lock_guard lock(mutex_);
  return young_.contains(id) || old_.contains(id);
}

void SeenSignatures::add(const TransactionId& id) {
  std::lock_guard lock(mutex_);
  if (young_.size() >= kSeenMax) {
    old_ = std::move(young_);
    young_.clear();
  }
  young_.insert(id);
}

Pool::Pool(const Chain& chain, const MempoolLimits& limits, bool believes_signatures)
    : chain_(chain), believes_signatures_(believes_signatures), waiting_(limits) {
  restart();
}

void Pool::restart() {
  std::lock_guard lock(mutex_);
  if (number(chain_.store().head()) > 0) stand_on_last();
}

void Pool::stand_on_last() {
  const auto last = must(chain_.last());
  view_ = last.view;
  state_.emplace(*view_);
  rules_ = state_->all<attest::Rules>(make_key(kRulesTable));
  next_ = Height{number(last.header.header.height) + 1};
  now_ = last.header.header.time;
}

App::Known Pool::known() const {
  if (believes_signatures_) return [](const TransactionId&) { return true; };
  return [this](const TransactionId& id) { return seen_.has(id); };
}

void Pool::see(ByteSpan bytes) {
  const TransactionId id = transaction_id(bytes);
  if (believes_signatures_ || seen_.has(id)) return;
  const auto transaction = decode<Transaction>(bytes);
  if (transaction && check_signature(*transaction, chain_.id())) seen_.add(id);
}

Result<> Pool::add(ByteSpan bytes, const TransactionId& id) {
  if (holds(id)) return Error{Code::already, "it waits for a block already", "wait for it"};
  if (bytes.size() > kMaxTransactionBytes)
    return Error{Code::limit, "a transaction may have " + std::to_string(kMaxTransactionBytes) + " bytes", "make it smaller"};
  TRY_LET(transaction, decode<Transaction>(bytes));
  if (!believes_signatures_ && !seen_.has(id)) {
    TRY(check_signature(transaction, chain_.id()));
    seen_.add(id);
  }
  std::unique_lock lock(mutex_);
  const bool begun = state_.has_value();
  if (!begun) lock.unlock();
  auto made_room = begun ? admit(ground(), transaction, bytes, id) : chain_.read([&](const App& app) {
    std::lock_guard again(mutex_);
    return admit({app.state(), app.rules().params, app.chain(), app.head().header.time}, transaction, bytes, id);
  });
  if (begun) lock.unlock();
  if (!made_room) return made_room.error();
  if (dropped_)
    for (const Waiting& gone : *made_room)
      dropped_(gone.id, {Code::mempool_full, "it made room for one that pays a higher fee", "sign it again with a higher fee"});
  return {};
}

Result<std::vector<Waiting>> Pool::admit(const App::Ground& ground, const Transaction& transaction, ByteSpan bytes, const TransactionId& id) {
  TRY(App::check_rest(ground, transaction, bytes.size(), id));
  Waiting waiting = Waiting::of(transaction, id, {bytes.begin(), bytes.end()});
  if (const auto* move = std::get_if<PlayMove>(&transaction.body)) waiting.is_move = awaits_move(ground.state, move->game, transaction.sender);
  const Standing standing = standing_of(ground.state, waiting.signer, ground.now);
  return waiting_.add(std::move(waiting), standing, ground.now);
}

Result<> Pool::add_parcel(ByteSpan bytes) {
  TRY_LET(parcel, decode<Parcel>(bytes));
  std::optional<Error> refused;
  bool waits = false;
  for (const Bytes& transaction : parcel.transactions) {
    const auto added = add(transaction, transaction_id(transaction));
    const Code code = added ? Code::already : added.error().code;
    if (code == Code::malformed || code == Code::bad_signature) return added.error();
    if (code == Code::already) waits = true;
    else if (!refused) refused = added.error();
  }
  if (waits) return {};
  return refused ? *refused : Error{Code::malformed, "a parcel with nothing in it", "use one release on all nodes"};
}

bool Pool::holds_of(ByteSpan bytes) const {
  const auto parcel = decode<Parcel>(bytes);
  return parcel && std::ranges::any_of(parcel->transactions, [&](const Bytes& transaction) { return holds(transaction_id(transaction)); });
}

bool Pool::holds(const TransactionId& id) const {
  std::lock_guard lock(mutex_);
  return waiting_.holds(id);
}

size_t Pool::size() const {
  std::lock_guard lock(mutex_);
  return waiting_.size();
}

std::vector<Bytes> Pool::take(size_t max_bytes) const {
  std::lock_guard lock(mutex_);
  std::vector<Bytes> out;
  for (const Waiting* one : waiting_.take(max_bytes)) out.push_back(one->bytes);
  return out;
}

void Pool::drop(ByteSpan bytes) {
  const TransactionId id = transaction_id(bytes);
  {
    std::lock_guard lock(mutex_);
    waiting_.drop(id);
  }
  if (dropped_) dropped_(id, {Code::wrong_state, "what its account is now no longer allows it", "look at the account, and sign it again"});
}

void Pool::report(const Gone& gone) const {
  if (dropped_)
    for (const auto& [id, error] : gone) dropped_(id, error);
}

Pool::Gone Pool::settle(const Block& block, std::span<const RecordChange> changes) {
  std::lock_guard lock(mutex_);
  if (state_) {
    const auto view = chain_.store().view(block.header.header.height);
    state_->follow(*view, changes);
    view_ = view;
    if (std::ranges::any_of(changes, [](const RecordChange& change) { return change.first.front() == kRulesTable; }))
      rules_ = state_->all<attest::Rules>(make_key(kRulesTable));
    next_ = Height{number(block.header.header.height) + 1};
    now_ = block.header.header.time;
  } else {
    stand_on_last();
  }
  std::map<Signer, Standing> senders;
  std::set<Signer> rekeyed;
  const auto note = [&](const Waiting& transaction, size_t i) {
    senders[transaction.signer] = {};
    if (transaction.rekeys && block.results[i].code == 0) rekeyed.insert(*transaction.rekeys);
  };
  for (size_t i = 0; i < block.results.size(); i++) {
    const TransactionId& id = block.results[i].id;
    if (const Waiting* here = waiting_.find(id)) {
      note(*here, i);
      waiting_.drop(id);
    } else if (const auto transaction = decode<Transaction>(block.transactions[i])) {
      note(Waiting::of(*transaction, id, {}), i);
    }
  }
  for (auto& [signer, standing] : senders) standing = standing_of(*state_, signer, now_);
  Gone out;
  for (const auto& [gone, why] : waiting_.settle(senders, rekeyed, now_)) out.emplace_back(gone.id, why);
  return out;
}

}  // namespace cairn::ledger::comet
