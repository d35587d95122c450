// A whole chain in memory for tests: named actors, blocks on request, time that passes when it is told to.
#pragma once

#include <gtest/gtest.h>

#include <map>

#include "attest/tree.h"
#include "base/vrf.h"
#include "ledger/app.h"
#include "ledger/assets.h"
#include "ledger/market.h"

namespace cairn::ledger {

inline Amount crn(uint64_t n) { return Amount{n * Amount::kPerCrn}; }
inline Hash hash_named(std::string_view text) { return tagged_hash("test", {as_bytes(text)}); }
inline std::array<uint8_t, 32> seed_named(std::string_view text) { return hash_named(text).v; }

inline constexpr uint16_t kOk = 0;
inline std::string code_name(uint16_t code) { return code == 0 ? "ok" : std::string(name(static_cast<Code>(code))); }

// What was decided, of a block that solo has stored.
inline Proposal proposal_of(const Block& block) {
  const attest::Header& header = block.header.header;
  Proposal out{header.height, header.wall_ms, attest::address_of(header.beacon.producer), {}, {}, {encode(header.beacon)}};
  out.entries.insert(out.entries.end(), block.transactions.begin(), block.transactions.end());
  return out;
}

struct Actor {
  std::string name;
  SecretKey key;
  AccountId id;
};

class Scene {
 public:
  // Small windows, so that whole lives pass in few blocks.
  static attest::ChainParams quick_params() {
    attest::ChainParams params;
    params.secret_window_ms = 400;
    params.verdict_ms = 2'000;
    params.reveal_ms = 3'000;
    params.window_ms = 1'000;
    params.move_ms = 2'000;
    params.unbonding_ms = 3'000;
    params.receipt_keep_ms = 60'000;
    params.first_move_factor = 1;
    return params;
  }

  explicit Scene(std::vector<std::string> names = {"A", "B", "C", "P", "Q", "R", "V", "W"}, attest::ChainParams params = quick_params(),
                 Amount each = crn(1'000'000), uint32_t protocol = attest::kProtocol)
      : producer_(SecretKey::from_seed(seed_named("producer"))), vrf_(SecretKey::from_seed(seed_named("vrf"))) {
    attest::Genesis genesis;
    genesis.name = "test";
    genesis.validators = {{account_of(producer_.public_key()), producer_.public_key(), vrf_.public_key(), {}}};
    genesis.params = params;
    genesis.governor = account_of(SecretKey::from_seed(seed_named("A")).public_key());
    genesis.protocol = protocol;
    for (const auto& name : names) {
      const SecretKey key = SecretKey::from_seed(seed_named(name));
      actors_.emplace(name, Actor{name, key, account_of(key.public_key())});
      genesis.accounts.push_back({actors_.at(name).id, each});
    }
    app_ = std::make_unique<App>(genesis);
    must(app_->init());
  }

  App& app() { return *app_; }
  State& state() { return app_->state(); }
  const attest::ChainParams& params() const { return app_->genesis().params; }
  const Actor& actor(const std::string& name) const { return actors_.at(name); }
  AccountId id(const std::string& name) const { return actors_.at(name).id; }
  std::string name_of(const AccountId& id) const {
    for (const auto& [name, actor] : actors_)
      if (actor.id == id) return name;
    return "?";
  }
  ChainTime now() const { return app_->head().header.time; }

  // `ahead`: how many of the sender's own transactions stand before it in the same block.
  Transaction draft(const std::string& who, Body body, uint64_t ahead = 0) {
    Transaction tx;
    tx.genesis = app_->chain();
    tx.sender = id(who);
    const auto account = state().account(tx.sender);
    tx.nonce = (account ? account->nonce : 0) + ahead;
    tx.expiry = after(now(), 60'000);
    tx.body = std::move(body);
    return tx;
  }
  Bytes signed_tx(const std::string& who, Body body, uint64_t ahead = 0) {
    Transaction tx = draft(who, std::move(body), ahead);
    sign(tx, actors_.at(who).key, params().fee_per_byte);
    return encode(tx);
  }

  // One block, `passed_ms` of wall time after the last.
  std::vector<TxResult> block(const std::vector<Bytes>& transactions = {}, uint64_t passed_ms = 100) {
    wall_ms_ += passed_ms;
    Proposal proposal{app_->next_height(), wall_ms_, attest::address_of(producer_.public_key()), {}, {}, {}};
    proposal.entries.push_back(encode(app_->make_beacon(producer_.public_key(), vrf_)));
    proposal.entries.insert(proposal.entries.end(), transactions.begin(), transactions.end());
    Finalized done = must(app_->finalize(proposal, next_event_));
    app_->committed(attest::sign_header(producer_, done.header));
    next_event_ += done.events.size();
    blocks_.push_back({app_->head(), transactions, done.results});
    for (auto& event : done.events) events_.push_back(std::move(event));
    for (auto& receipt : done.receipts) receipts_.push_back(std::move(receipt));
    return done.results;
  }
  TxResult send(const std::string& who, Body body) { return block({signed_tx(who, std::move(body))}).front(); }
  // Sends, and expects this code.
  TransactionId expect(const std::string& who, Body body, uint16_t code = kOk) {
    const TxResult result = send(who, std::move(body));
    EXPECT_EQ(code_name(result.code), code_name(code)) << result.text;
    return result.id;
  }
  TransactionId expect(const std::string& who, Body body, Code code) { return expect(who, std::move(body), static_cast<uint16_t>(code)); }
  // One block with what `say` gives, (sender, body), for each of `list`; all must be taken.
  template <class List, class Say>
  void all_at_once(const List& list, Say&& say) {
    std::map<std::string, uint64_t> ahead;
    std::vector<Bytes> transactions;
    for (const auto& element : list) {
      auto [who, body] = say(element);
      transactions.push_back(signed_tx(who, std::move(body), ahead[who]++));
    }
    for (const auto& result : block(transactions)) EXPECT_EQ(code_name(result.code), "ok") << result.text;
  }
  // Blocks without transactions until so much chain time has passed.
  void pass(uint64_t wait_ms) {
    const uint64_t until = ms(now()) + wait_ms;
    while (ms(now()) < until) block({}, 2 * params().interval_ms);
  }

  // From the next transaction on `who` signs with another key.
  void rotate(const std::string& who, const std::string& key) {
    const SecretKey fresh = SecretKey::from_seed(seed_named(key));
    expect(who, RotateKey{KeySet::of(fresh.public_key()), false});
    actors_.at(who).key = fresh;
  }

  Amount balance(const std::string& who) { return state().balance(Holder::account(id(who))); }
  Amount stake(const std::string& who) { return state().balance(Holder::stake(id(who))); }
  Amount bond(const std::string& who) { return state().balance(Holder::bond(id(who))); }
  Job job(const TransactionId& id) { return state().job(id.as<JobIdTag>()).value(); }

  const std::vector<Block>& blocks() const { return blocks_; }
  const std::vector<Event>& events() const { return events_; }
  const std::vector<attest::ReceiptBody>& receipts() const { return receipts_; }
  size_t count_offers() { return state().all<Offer>(make_key('o')).size(); }
  size_t count_events(std::string_view kind) const {
    return static_cast<size_t>(std::count_if(events_.begin(), events_.end(), [&](const Event& e) { return e.kind == kind; }));
  }
  attest::SignedHeader signed_header(const attest::Header& header) const { return attest::sign_header(producer_, header); }
  // What a node would hand out, checked as anybody would.
  Result<> check_receipts() {
    for (const auto& body : receipts_) {
      attest::Receipt receipt;
      receipt.body = body;
      receipt.header = app_->head();
      receipt.path = app_->prove(attest::receipt_place(body.job, body.attempt));
      if (body.rules > 1) receipt.rules = {app_->all_rules().at(body.rules - 1), app_->prove(blake3(attest::rules_key(body.rules)))};
      for (const auto& draw : body.draws) receipt.draw_headers.push_back(blocks_.at(number(draw.height) - 1).header);
      TRY(attest::check_receipt(receipt, app_->genesis()));
    }
    return {};
  }

  // A job of 10 segments whose plan nobody looks into.
  attest::JobSpec spec() const {
    attest::JobSpec spec;
    spec.title = "test";
    spec.program = hash_named("program");
    spec.plan = hash_named("plan");
    spec.plan_root = hash_named("plan root");
    spec.calls = 3;
    spec.state_slots = 1;
    spec.step_work_ns = 1'000'000;
    spec.inputs = {{"x", hash_named("x"), {}}};
    spec.initial_state = hash_named("start");
    spec.steps = 100;
    spec.interval = 10;
    spec.memory_bytes = 1000;
    spec.price_ceiling = Amount{2'000'000'000'000'000};  // R = 0.2 CRN at the ceiling
    spec.accept_ms = 1'000;
    spec.run_ms = 5'000;
    return spec;
  }
  PostOffer offer(uint64_t price = 1'000'000'000'000'000) const {
    PostOffer offer;
    offer.klass = {};
    offer.price = Amount{price};
    offer.endpoint = "tcp://127.0.0.1:1";
    offer.memory_bytes = 1'000'000;
    offer.jobs_max = 1;
    offer.policies = {attest::Policy::starter, attest::Policy::standard, attest::Policy::careful, attest::Policy::all};
    offer.expiry = ChainTime{1'000'000'000};
    return offer;
  }

 private:
  SecretKey producer_;
  SecretKey vrf_;
  std::map<std::string, Actor> actors_;
  std::unique_ptr<App> app_;
  uint64_t wall_ms_ = 1'000'000;
  uint64_t next_event_ = 1;
  std::vector<Block> blocks_;
  std::vector<Event> events_;
  std::vector<attest::ReceiptBody> receipts_;
};

// A run of `spec` in which every root is made up: what an honest provider and its verifiers would all hold.
struct Claim {
  explicit Claim(attest::JobSpec s, std::string_view flavour = "honest") : spec(std::move(s)) {
    for (uint64_t i = 0; i < spec.segments(); i++)
      roots.push_back(hash_named(std::string(flavour) + " root " + std::to_string(i)));
  }
  attest::Commitment commitment(const JobId& job) const {
    return {job, spec.plan_root, attest::input_root(spec), attest::tree_root(roots), roots.back(), spec.steps};
  }
  SegmentRoots segment(uint64_t s) const {
    SegmentRoots out;
    out.start_root = s == 0 ? spec.initial_state : roots[s - 1];
    if (s > 0) out.start_path = attest::tree_path(roots, s - 1);
    out.end_root = roots[s];
    out.end_path = attest::tree_path(roots, s);
    return out;
  }
  Hash call_id(const attest::DrawnCheck& check) const { return hash_named("call at " + std::to_string(check.step)); }
  attest::Knowledge knowledge(const attest::DrawnCheck& check) const { return {call_id(check), roots[check.segment]}; }

  attest::JobSpec spec;
  std::vector<Hash> roots;
};

}  // namespace cairn::ledger
