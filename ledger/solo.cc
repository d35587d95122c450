#include "ledger/solo.h"

#include "base/log.h"

namespace cairn::ledger {
namespace {

constexpr size_t kArrivedMax = 65'536;         // transactions whose signature nobody has checked yet
constexpr size_t kArrivedMaxBytes = 64u << 20;
constexpr size_t kVerifyAtOnce = 16;           // taken from the queue by one thread
constexpr size_t kLoadBytes = 256u << 10;      // waiting: enough that a block is worth its sync now

const Error kStopping{Code::unreachable, "the node is stopping", "ask again when it is back"};

Error halted_because(const Error& why) { return {Code::halted, "this node makes no more blocks: " + why.text, why.next}; }

}  // namespace

Result<std::unique_ptr<Solo>> Solo::start(Chain& chain, const SecretKey& producer, const SecretKey& vrf, const Clock& clock,
                                          SoloConfig config) {
  const auto differs = [&](const char* what) {
    return Error{Code::unauthorised, std::string("the ") + what + " key is not the one that genesis " + chain.genesis().name + " names",
                 "use the key file that the genesis was made with"};
  };
  CHECK(chain.genesis().engine == attest::Engine::solo);
  if (producer.public_key() != chain.genesis().validators.front().key) return differs("producer's");
  if (vrf.public_key() != chain.genesis().validators.front().vrf) return differs("producer's VRF");
  std::unique_ptr<SigningMark> mark;
  if (!config.mark.empty()) {
    TRY_LET(opened, SigningMark::open(config.mark));
    mark = std::move(opened);
    const Height head = chain.store().head();
    if (mark->height() > number(head) + 1)
      return Error{Code::already, "the producer's key has signed block " + std::to_string(mark->height()) + ", the chain here ends with " + std::to_string(number(head)),
                   "the folder is an older copy: bring it up to date from whoever has the later blocks"};
    if (mark->height() <= number(head) && number(head) > 0) {  // a power cut may have come between the syncs of a block and of its mark
      TRY(mark->advance(number(head), attest::header_id(chain.store().header(head)->header)));
      mark->release();
    }
  }
  std::unique_ptr<Solo> solo(new Solo(chain, producer, vrf, clock, config, std::move(mark)));
  const unsigned verifiers = config.verifiers ? config.verifiers : std::max(1u, std::thread::hardware_concurrency());
  for (unsigned i = 0; i < verifiers; i++) solo->threads_.emplace_back([s = solo.get()] { s->verify_signatures(); });
  solo->threads_.emplace_back([s = solo.get()] { s->run(); });
  return solo;
}

Solo::Solo(Chain& chain, const SecretKey& producer, const SecretKey& vrf, const Clock& clock, const SoloConfig& config,
           std::unique_ptr<SigningMark> mark)
    : chain_(chain), producer_(producer), vrf_(vrf), clock_(clock), mark_(std::move(mark)), mempool_(config.mempool), on_block_(config.on_block) {}

Solo::~Solo() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  arrived_wake_.notify_all();
  engine_wake_.notify_all();
  for (auto& thread : threads_) thread.join();
  for (auto& arrived : arrived_)
    if (arrived.admitted) arrived.admitted(kStopping);
  for (auto& checked : checked_)
    if (checked.arrived.admitted) checked.arrived.admitted(kStopping);
  for (const auto& [id, answers] : known_)
    for (const auto& answer : answers) answer(kStopping);
}

std::optional<Error> Solo::halted() const {
  std::lock_guard lock(mutex_);
  return halted_;
}

EngineFigures Solo::figures() const {
  std::lock_guard lock(mutex_);
  return figures_;
}

void Solo::note_waiting() {
  waiting_ = mempool_.size();
  std::lock_guard lock(mutex_);
  figures_.waiting = mempool_.size();
  figures_.waiting_bytes = mempool_.bytes();
  if (!mempool_.ready()) figures_.due_since_ns = 0;
  else if (figures_.due_since_ns == 0) figures_.due_since_ns = clock_.steady_ns();
}

void Solo::submit(Bytes transaction, Until until, Answer answer) {
  const TransactionId id = transaction_id(transaction);
  std::optional<Result<TxResult>> at_once;
  std::vector<Arrived> alone;
  {
    std::lock_guard lock(mutex_);
    const auto known = known_.find(id);
    if (halted_) {
      at_once = halted_because(*halted_);
    } else if (stopping_) {
      at_once = kStopping;
    } else if (known != known_.end()) {
      if (until == Until::committed) {
        known->second.push_back(std::move(answer));
      } else {
        at_once = TxResult{id, Height{}, static_cast<uint16_t>(Code::already), "it waits for a block already"};
      }
    } else if (arrived_.size() >= kArrivedMax || arrived_bytes_ + transaction.size() > kArrivedMaxBytes) {
      at_once = Error{Code::mempool_full, "too many transactions wait", "try again after a block"};
    } else {
      auto& waiters = known_[id];
      if (until == Until::committed) waiters.push_back(std::move(answer));
      Arrived arrived{std::move(transaction), id, until == Until::admitted ? std::move(answer) : Answer{}};
      if (on_the_way_++ == 0) {
        alone.push_back(std::move(arrived));
      } else {
        arrived_bytes_ += arrived.bytes.size();
        arrived_.push_back(std::move(arrived));
      }
    }
  }
  if (at_once) {
    answer(*std::move(at_once));
  } else if (!alone.empty()) {
    verify(std::move(alone));
  } else {
    arrived_wake_.notify_one();
  }
}

void Solo::verify_signatures() {
  for (;;) {
    std::vector<Arrived> mine;
    {
      std::unique_lock lock(mutex_);
      arrived_wake_.wait(lock, [&] { return stopping_ || !arrived_.empty(); });
      if (stopping_) return;
      while (!arrived_.empty() && mine.size() < kVerifyAtOnce) {
        arrived_bytes_ -= arrived_.front().bytes.size();
        mine.push_back(std::move(arrived_.front()));
        arrived_.pop_front();
      }
    }
    verify(std::move(mine));
  }
}

void Solo::verify(std::vector<Arrived> arrived) {
  std::vector<Checked> passed;
  std::vector<Ended> ended;
  for (auto& one : arrived) {
    auto decoded = [&]() -> Result<Transaction> {
      if (one.bytes.size() > kMaxTransactionBytes)
        return Error{Code::limit, "a transaction may have " + std::to_string(kMaxTransactionBytes) + " bytes", "make it smaller"};
      TRY_LET(transaction, decode<Transaction>(one.bytes));
      TRY(check_signature(transaction, chain_.id()));
      return transaction;
    }();
    if (decoded) {
      passed.push_back({std::move(one), std::make_unique<const Transaction>(*std::move(decoded))});
    } else {
      ended.push_back({one.id, std::move(one.admitted), decoded.error()});
    }
  }
  {
    std::lock_guard lock(mutex_);
    if (!halted_) {
      std::move(passed.begin(), passed.end(), std::back_inserter(checked_));
    } else {
      for (auto& [one, transaction] : passed) ended.push_back({one.id, std::move(one.admitted), halted_because(*halted_)});
    }
    on_the_way_ -= ended.size();
  }
  engine_wake_.notify_one();
  finish(std::move(ended));
}

void Solo::finish(std::vector<Ended> ended) {
  std::vector<std::vector<Answer>> waiters(ended.size());
  {
    std::lock_guard lock(mutex_);
    for (const auto& one : ended) figures_.refused += !one.result;
    for (size_t i = 0; i < ended.size(); i++)
      if (const auto known = known_.extract(ended[i].id)) waiters[i] = std::move(known.mapped());
  }
  for (size_t i = 0; i < ended.size(); i++) {
    if (ended[i].admitted) ended[i].admitted(ended[i].result);
    for (const auto& answer : waiters[i]) answer(ended[i].result);
  }
}

void Solo::run() {
  try {
    bool pending = chain_.read([](const App& app) { return app.pending(); });
    for (;;) {
      std::vector<Checked> checked;
      bool more_to_come = false;
      {
        std::unique_lock lock(mutex_);
        const bool loaded = mempool_.bytes() >= kLoadBytes;
        const auto called = [&] { return stopping_ || !checked_.empty() || (mempool_.ready() && (loaded || on_the_way_ == 0)); };
        if (!mempool_.ready() && !pending) {
          engine_wake_.wait(lock, called);
        } else if (const uint64_t now = clock_.steady_ns(); now < next_block_ns_) {
          engine_wake_.wait_for(lock, std::chrono::nanoseconds(next_block_ns_ - now), called);
        }
        if (stopping_) return;
        checked.swap(checked_);
        more_to_come = on_the_way_ > checked.size();
      }
      admit(std::move(checked));
      note_waiting();
      const bool worth_it = mempool_.ready() && (!more_to_come || mempool_.bytes() >= kLoadBytes);
      const uint64_t now = clock_.steady_ns();
      if (!worth_it && (now < next_block_ns_ || (!mempool_.ready() && !pending))) continue;
      next_block_ns_ = now + chain_.read([](const App& app) { return app.rules().params.interval_ms; }) * 1'000'000;
      make_block();
      note_waiting();
      pending = chain_.read([](const App& app) { return app.pending(); });
    }
  } catch (const Fault& fault) {
    halt(fault.error());
  } catch (const std::exception& error) {
    halt({Code::internal, error.what(), "report this with the node's log"});
  }
}

void Solo::admit(std::vector<Checked> checked) {
  if (checked.empty()) return;
  std::vector<Result<TxResult>> results;
  std::vector<Ended> ended;
  chain_.read([&](const App& app) {
    const ChainTime now = app.head().header.time;
    for (auto& [arrived, transaction] : checked) {
      const auto admitted = [&, &arrived = arrived, &transaction = *transaction]() -> Result<> {
        TRY(app.check_rest(transaction, arrived.bytes.size(), arrived.id));
        const Standing standing = standing_of(app.state(), signer_of(transaction), now);
        Waiting waiting = Waiting::of(transaction, arrived.id, std::move(arrived.bytes));
        if (const auto* move = std::get_if<PlayMove>(&transaction.body)) waiting.is_move = awaits_move(app.state(), move->game, transaction.sender);
        TRY_LET(gone, mempool_.add(std::move(waiting), standing, now));
        for (const auto& one : gone)
          ended.push_back({one.id, {}, Error{Code::mempool_full, "it made room for one that pays a higher fee", "sign it again with a higher fee"}});
        return {};
      }();
      if (admitted) {
        results.push_back(TxResult{arrived.id, Height{}, 0, "it waits for a block"});
      } else {
        results.push_back(admitted.error());
      }
    }
  });
  {
    std::lock_guard lock(mutex_);
    on_the_way_ -= checked.size();
  }
  for (size_t i = 0; i < checked.size(); i++) {
    Arrived& arrived = checked[i].arrived;
    if (results[i]) {
      if (arrived.admitted) arrived.admitted(results[i]);
      continue;
    }
    const auto before = results[i].error().code == Code::wrong_nonce ? chain_.store().result(arrived.id) : std::nullopt;
    if (!before) {
      ended.push_back({arrived.id, std::move(arrived.admitted), results[i]});
      continue;
    }
    if (arrived.admitted)
      arrived.admitted(TxResult{arrived.id, before->height, static_cast<uint16_t>(Code::already),
                                "it stands in block " + std::to_string(number(before->height)) + " already"});
    ended.push_back({arrived.id, {}, *before});
  }
  finish(std::move(ended));
}

void Solo::make_block() {
  const PublicKey key = producer_.public_key();
  Proposal proposal;
  proposal.wall_ms = clock_.wall_ms();
  proposal.proposer = attest::address_of(key);
  proposal.height = Height{number(chain_.store().head()) + 1};
  const auto beacon = next_beacon_ ? *next_beacon_ : chain_.read([&](const App& app) { return app.make_beacon(key, vrf_); });
  proposal.entries.push_back(encode(beacon));

  const size_t room = chain_.read([](const App& app) { return app.rules().params.max_block_bytes; });
  const auto taken = mempool_.take(room);
  std::map<Signer, Standing> senders;
  for (const Waiting* waiting : taken) {
    senders[waiting->signer] = {};
    proposal.entries.push_back(waiting->bytes);
  }
  const uint64_t begun_ns = clock_.steady_ns();
  const auto sign = [&](const attest::Header& header) {
    if (mark_) must(mark_->advance(number(header.height), attest::header_id(header)));
    return attest::sign_header(producer_, header);
  };
  const Block block = chain_.extend(proposal, sign, [&] {
    if (mark_) mark_->release();
  });

  std::vector<Ended> ended;
  for (const auto& result : block.results) ended.push_back({result.id, {}, result});
  {
    std::lock_guard lock(mutex_);
    figures_.blocks++;
    figures_.transactions += block.results.size();
    for (const auto& result : block.results) figures_.failed += result.code != 0;
    figures_.block_s.observe(static_cast<double>(clock_.steady_ns() - begun_ns) * 1e-9);
    figures_.due_since_ns = 0;
  }
  finish(std::move(ended));  // at once: what follows is for the next block
  if (on_block_) on_block_(block);

  std::set<Signer> rekeyed;
  for (const auto& result : block.results) {
    if (const Waiting* done = mempool_.find(result.id); done && done->rekeys && result.code == 0) rekeyed.insert(*done->rekeys);
    mempool_.drop(result.id);
  }
  const ChainTime now = block.header.header.time;
  chain_.read([&](const App& app) {
    for (auto& [signer, standing] : senders) standing = standing_of(app.state(), signer, now);
  });
  std::vector<Ended> passed_over;
  for (const auto& [gone, why] : mempool_.settle(senders, rekeyed, now)) passed_over.push_back({gone.id, {}, why});
  {
    std::lock_guard lock(mutex_);
    figures_.full_block_fee = mempool_.fee_of_full_block(room);
  }
  finish(std::move(passed_over));
  next_beacon_ = attest::make_beacon(beacon.beacon, Height{number(proposal.height) + 1}, key, vrf_);
}

void Solo::halt(const Error& why) {
  log_error("solo.halted", {{"code", name(why.code)}, {"text", why.text}});
  decltype(known_) known;
  std::deque<Arrived> arrived;
  std::vector<Checked> checked;
  {
    std::lock_guard lock(mutex_);
    halted_ = why;
    known.swap(known_);
    arrived.swap(arrived_);
    checked.swap(checked_);
    on_the_way_ -= arrived.size() + checked.size();
    arrived_bytes_ = 0;
  }
  const Error error = halted_because(why);
  for (const auto& one : arrived)
    if (one.admitted) one.admitted(error);
  for (const auto& one : checked)
    if (one.arrived.admitted) one.arrived.admitted(error);
  for (const auto& [id, answers] : known)
    for (const auto& answer : answers) answer(error);
}

}  // namespace cairn::ledger
