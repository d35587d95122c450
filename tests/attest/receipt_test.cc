// A receipt of every ending is accepted; every damaged byte and every false statement is refused.
#include "attest/receipt.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "base/vrf.h"

#include <functional>

namespace cairn::attest {
namespace {

SecretKey key_of(uint8_t n) {
  std::array<uint8_t, 32> seed{};
  seed[0] = n;
  return SecretKey::from_seed(seed);
}
AccountId account(uint8_t n) { return account_of(key_of(n).public_key()); }
Hash hash(std::string_view text) { return blake3(as_bytes(text)); }

// A chain of a few blocks, whose last state holds the receipt among other things.
struct Chain {
  Genesis genesis;
  std::vector<SignedHeader> headers;

  Chain() {
    genesis.name = "test";
    genesis.validators = {{account_of(key_of(1).public_key()), key_of(1).public_key(), key_of(2).public_key(), {}}};
  }
  const SignedHeader& block(const Hash& state_root) {
    Header header;
    header.genesis = genesis_hash(genesis);
    header.height = Height{headers.size() + 1};
    const Header* previous = headers.empty() ? nullptr : &headers.back().header;
    header.wall_ms = 1'000'000 + 130 * headers.size();
    header.time = ChainTime{130 * headers.size()};
    if (previous) header.previous = header_id(*previous);
    header.state_root = state_root;
    header.beacon = make_beacon(previous ? previous->beacon.beacon : first_beacon(header.genesis), header.height, genesis.validators[0].key, key_of(2));
    EXPECT_TRUE(check_successor(genesis, genesis.params, previous, header, genesis.validators[0].vrf));
    headers.push_back(sign_header(key_of(1), header));
    return headers.back();
  }
};

JobSpec spec_of_test() {
  JobSpec spec;
  spec.title = "digits";
  spec.plan = hash("plan");
  spec.plan_root = hash("plan root");
  spec.calls = 40;
  spec.state_slots = 9;
  spec.step_work_ns = 123'456'789;
  spec.inputs = {{"data", hash("data"), {}}, {"labels", hash("labels"), {}}};
  spec.initial_state = hash("initial");
  spec.seed = 7;
  spec.steps = 1000;
  spec.interval = 10;
  spec.policy = Policy::careful;
  spec.price_ceiling = Amount::of_pebbles(900'000'000'000);
  spec.accept_ms = spec.run_ms = 1000;
  spec.secret_hash = tagged_hash("cairn.secret.v1", {hash("secret").span()});
  return spec;
}

// A settled job whose checks all agreed, anchored in a chain of its own.
struct Settled {
  Chain chain;
  Receipt receipt;

  Settled() {
    ReceiptBody& body = receipt.body;
    body.genesis = genesis_hash(chain.genesis);
    body.job = hash("job").as<JobIdTag>();
    body.spec = spec_of_test();
    body.requester = account(10);
    body.provider = account(11);
    body.payee = account(12);
    body.price = Amount::of_pebbles(800'000'000'000);
    body.reward = *pay_for(body.spec, body.price);
    body.commitment = Commitment{body.job, body.spec.plan_root, input_root(body.spec), hash("checkpoints"), hash("outputs"), 1000};
    body.opened = ChainTime{10};
    body.matched = ChainTime{20};
    body.committed = ChainTime{125};
    body.ended = ChainTime{250};
    for (int i = 0; i < 3; i++) chain.block(hash("state"));
    DrawRecord drawn;
    drawn.height = Height{2};
    drawn.beacon = chain.headers[1].header.beacon.beacon;
    drawn.secret = hash("secret");
    drawn.segments = 5;
    for (uint8_t n = 20; n < 26; n++) drawn.candidates.push_back({account(n), Amount::of_pebbles(n)});
    std::sort(drawn.candidates.begin(), drawn.candidates.end(), [](const auto& a, const auto& b) { return a.account < b.account; });
    body.draws = {drawn};
    draw_again();
    body.lines = {{body.payee, body.reward, Purpose::pay, {}}, {body.requester, Amount::of_pebbles(77), Purpose::change, {}}};
    body.held = *add(body.reward, Amount::of_pebbles(77));
    body.audit = Audit::as_ordered;
    body.sentence = "Computed, checked as ordered, and paid.";
    receipt.draw_headers = {chain.headers[1]};
    anchor();
  }
  void draw_again() {
    ReceiptBody& body = receipt.body;
    std::vector<Candidate> candidates;
    for (const auto& c : body.draws[0].candidates) candidates.push_back({c.account, c.bond});
    const Hash randomness = draw_randomness(body.draws[0].beacon, body.draws[0].secret, body.job, commitment_hash(*body.commitment));
    body.checks.clear();
    for (const DrawnCheck& check : draw(randomness, body.spec, body.draws[0].segments, candidates)) {
      CheckRecord record;
      record.draw = check;
      record.did = Checked::agreed;
      record.salt = hash("salt");
      record.knowledge = record.provider = Knowledge{hash("call"), hash("end")};
      record.verdict = verdict_hash(record.salt, check.verifier, body.job, check.segment, *record.knowledge);
      body.checks.push_back(record);
    }
  }
  // Puts the body's root into the state of a new block: what a dishonest producer could still do.
  void anchor() {
    std::vector<MapEntry> state;
    for (int i = 0; i < 50; i++) state.push_back({hash("key" + std::to_string(i)), hash("value" + std::to_string(i))});
    state.push_back(receipt_entry(receipt.body));
    std::sort(state.begin(), state.end());
    receipt.header = chain.block(map_root(state));
    receipt.path = map_prove(state, receipt_place(receipt.body.job, receipt.body.attempt));
  }
  std::string verdict() const {
    const auto result = check_receipt(encode(receipt), chain.genesis);
    return result ? "ok" : std::string(name(result.error().code)) + " " + result.error().text;
  }
};

TEST(Receipt, SettledIsAccepted) {
  const Settled settled;
  EXPECT_EQ(settled.verdict(), "ok");
  const auto findings = examine(settled.receipt, settled.chain.genesis);
  EXPECT_GE(findings.size(), 20u);
  for (const Finding& finding : findings) EXPECT_FALSE(finding.what.empty() || finding.found.empty() || finding.proof.empty()) << finding.what;
  std::printf("receipt: %zu bytes, path of %zu hashes, %zu findings\n", encode(settled.receipt).size(), settled.receipt.path.steps.size(), findings.size());
  EXPECT_NE(to_json(settled.receipt).find("\"audit\":\"as_ordered\""), std::string::npos);
}

TEST(Receipt, EveryFlippedByteIsRefused) {
  const Settled settled;
  const Bytes good = encode(settled.receipt);
  for (size_t i = 0; i < good.size(); i++) {
    Bytes bad = good;
    bad[i] ^= static_cast<uint8_t>(1 << (i % 8));
    const auto result = check_receipt(bad, settled.chain.genesis);
    ASSERT_FALSE(result) << "byte " << i;
    const Code code = result.error().code;
    ASSERT_TRUE(code == Code::malformed || code == Code::proof || code == Code::wrong_chain) << i << " " << result.error().message();
  }
  for (size_t size = 0; size < good.size(); size += 13) EXPECT_EQ(check_receipt(ByteSpan(good).first(size), settled.chain.genesis).error().code, Code::malformed);
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_EQ(check_receipt(longer, settled.chain.genesis).error().code, Code::malformed);
  Genesis other = settled.chain.genesis;
  other.name = "another";
  EXPECT_EQ(check_receipt(good, other).error().code, Code::wrong_chain);
}

// Each row is a statement that the chain's own producer signed, and that yet does not hold.
TEST(Receipt, FalseStatements) {
  using Change = std::function<void(Settled&)>;
  const std::pair<const char*, Change> rows[] = {
      {"ok", [](Settled&) {}},
      {"receipt version", [](Settled& s) { s.receipt.body.version = 2; }},
      {"job", [](Settled& s) { s.receipt.body.spec.interval = 0; }},
      {"times", [](Settled& s) { s.receipt.body.ended = ChainTime{5}; }},
      {"times", [](Settled& s) { s.receipt.body.ended = ChainTime{1'000'000}; }},
      {"pay at the matched price", [](Settled& s) { s.receipt.body.reward.pebbles++; }},
      {"price", [](Settled& s) { s.receipt.body.spec.price_ceiling = Amount::of_pebbles(1); }},
      {"commitment: job", [](Settled& s) { s.receipt.body.commitment->job = {}; }},
      {"commitment: plan", [](Settled& s) { s.receipt.body.commitment->plan_root = {}; }},
      {"commitment: inputs", [](Settled& s) { s.receipt.body.commitment->input_root = {}; }},
      {"commitment: steps", [](Settled& s) { s.receipt.body.commitment->steps--; }},
      {"draws", [](Settled& s) { s.receipt.draw_headers.clear(); }},
      {"draw: block", [](Settled& s) { s.receipt.draw_headers[0] = s.chain.headers[2]; }},
      {"draw: beacon", [](Settled& s) { s.receipt.body.draws[0].beacon = hash("chosen"); }},
      {"draw: later than the commitment", [](Settled& s) { s.receipt.body.committed = ChainTime{131}; }},
      {"draw: the requester's secret", [](Settled& s) { s.receipt.body.draws[0].secret = hash("another"); }},
      {"draw: segments ordered", [](Settled& s) { s.receipt.body.draws[0].segments = 1; }},
      {"draw: candidates", [](Settled& s) { s.receipt.body.draws[0].candidates[0].account = s.receipt.body.provider; }},
      {"draw: candidates", [](Settled& s) { std::swap(s.receipt.body.draws[0].candidates[0], s.receipt.body.draws[0].candidates[1]); }},
      {"draw: made again", [](Settled& s) { s.receipt.body.checks.pop_back(); }},
      {"draw: made again", [](Settled& s) { s.receipt.body.checks[1].draw.segment ^= 1; }},
      {"check: verdict", [](Settled& s) { s.receipt.body.checks[0].salt = {}; }},
      {"check", [](Settled& s) { s.receipt.body.checks[0].provider->end_root = {}; }},
      {"check", [](Settled& s) { s.receipt.body.checks[0].did = Checked::silent; }},
      {"audit", [](Settled& s) { s.receipt.body.audit = Audit::partly; }},
      {"game", [](Settled& s) { s.receipt.body.games.resize(1); }},
      {"settlement", [](Settled& s) { s.receipt.body.lines[1].amount.pebbles++; }},
      {"settlement: the provider's pay", [](Settled& s) { std::swap(s.receipt.body.lines[0].purpose, s.receipt.body.lines[1].purpose); }},
      {"outcome", [](Settled& s) { s.receipt.body.fault = Blame::network; }},
      {"outcome", [](Settled& s) { s.receipt.body.state = Ended::slashed; }},
  };
  for (const auto& [expected, change] : rows) {
    Settled settled;
    change(settled);
    settled.anchor();
    const auto findings = examine(settled.receipt, settled.chain.genesis);
    std::string failed = "ok";
    if (!findings.back().ok) failed = findings.back().what;
    // "check: verdict" names a finding "check of segment 3 by ...: verdict".
    const std::string_view row = expected, begin = row.substr(0, row.find(':')), end = row.substr(row.find(':') + 1);
    EXPECT_TRUE(failed.starts_with(begin) && (end == row || failed.ends_with(end))) << expected << " / " << failed;
  }
}

TEST(Receipt, OtherEndings) {
  {
    Settled slashed;  // by a game
    ReceiptBody& body = slashed.receipt.body;
    GameTerms terms;
    terms.job = body.job;
    terms.plan_root = body.spec.plan_root;
    terms.calls = body.spec.calls;
    terms.state_slots = body.spec.state_slots;
    terms.inputs = static_cast<uint32_t>(body.spec.inputs.size());
    terms.input_root = input_root(body.spec);
    terms.seed = body.spec.seed;
    terms.segment = 3;
    terms.start_step = 30;
    terms.end_step = 40;
    terms.end_root = hash("theirs");
    terms.challenger_end_root = hash("ours");
    Game game = open_game(terms);
    forfeit(game);
    body.games = {record_of(game, account(20), true)};
    EXPECT_EQ(body.games[0].winner, Party::challenger);
    slashed.anchor();
    EXPECT_EQ(slashed.verdict().substr(0, 14), "proof outcome:");  // settled in spite of a lost game
    body.state = Ended::slashed;
    body.fault = Blame::provider;
    body.code = Code::slashed;
    slashed.anchor();
    EXPECT_EQ(slashed.verdict(), "ok");
    body.games[0].terms.end_step = 41;
    slashed.anchor();
    EXPECT_EQ(slashed.verdict().substr(0, 10), "proof game");
  }
  {
    Settled unaudited;
    ReceiptBody& body = unaudited.receipt.body;
    body.draws[0].candidates.clear();
    body.checks.clear();
    body.audit = Audit::unaudited;
    unaudited.anchor();
    EXPECT_EQ(unaudited.verdict(), "ok");
  }
  {
    Settled cancelled;  // never matched
    ReceiptBody& body = cancelled.receipt.body;
    body.provider = body.payee = {};
    body.matched = body.committed = ChainTime{};
    body.price = body.reward = {};
    body.commitment.reset();
    body.draws.clear();
    body.checks.clear();
    cancelled.receipt.draw_headers.clear();
    body.audit = Audit::unaudited;
    body.state = Ended::cancelled;
    body.fault = Blame::requester;
    body.lines = {{body.requester, Amount::of_pebbles(5), Purpose::refund, {}}};
    body.held = Amount::of_pebbles(5);
    cancelled.anchor();
    EXPECT_EQ(cancelled.verdict(), "ok");
  }
}

TEST(Receipt, Pay) {
  JobSpec spec;
  const auto pay = [&](uint64_t work, uint64_t steps, uint64_t price) -> std::optional<uint64_t> {
    spec.step_work_ns = work;
    spec.steps = steps;
    const auto amount = pay_for(spec, Amount::of_pebbles(price));
    return amount ? std::optional(amount->pebbles) : std::nullopt;
  };
  EXPECT_EQ(pay(1'000'000'000, 1'000'000'000, 5), 5u);              // 10^9 reference seconds
  EXPECT_EQ(pay(999'999'999, 1'000'000'000, 5), 4u);                // floor
  EXPECT_EQ(pay(1, 1, UINT64_MAX), 18u);
  EXPECT_EQ(pay(UINT64_MAX, UINT64_MAX, 0), 0u);
  EXPECT_EQ(pay(UINT64_MAX, UINT64_MAX, 1), std::nullopt);
  EXPECT_EQ(pay(UINT64_MAX, uint64_t{1} << 40, UINT64_MAX), std::nullopt);
  EXPECT_EQ(pay(1'000'000'000'000'000'000, 1, UINT64_MAX), UINT64_MAX);
}

}  // namespace
}  // namespace cairn::attest
