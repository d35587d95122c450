// Whole lives of jobs, from escrow to receipt, with made-up roots: who is paid, who loses, what stays.
#include "tests/ledger/chain.h"

namespace cairn::ledger {
namespace {

using attest::Policy;

// A provider P with stake and an offer, verifiers V and W, a requester A.
class Market : public ::testing::Test {
 protected:
  void SetUp() override {
    chain.expect("P", Stake{crn(100)});
    offer = chain.expect("P", chain.offer());
    chain.expect("V", Bond{crn(1), "tcp://v"});
    chain.expect("W", Bond{crn(1), "tcp://w"});
  }

  attest::JobSpec spec(auto change) {
    attest::JobSpec out = chain.spec();
    change(out);
    return out;
  }
  JobId open(const attest::JobSpec& spec) { return chain.expect("A", OpenJob{spec}).as<JobIdTag>(); }
  Job job(const JobId& id) { return chain.state().job(id).value(); }
  JobState state(const JobId& id) { return job(id).state; }
  JobPhase phase(const JobId& id) { return job(id).phase; }
  std::string name_of(const AccountId& id) {
    for (const char* name : {"A", "B", "C", "P", "Q", "R", "V", "W"})
      if (chain.id(name) == id) return name;
    return "?";
  }
  // Accept and Commit by whoever is matched.
  void run(const JobId& id, const Claim& claim) {
    const std::string provider = name_of(job(id).provider);
    chain.expect(provider, Accept{id});
    chain.expect(provider, Commit{claim.commitment(id)});
  }
  void until(const JobId& id, JobPhase wanted) {
    for (int i = 0; i < 200 && phase(id) != wanted; i++) chain.block({}, 200);
    ASSERT_EQ(name(phase(id)), name(wanted));
  }
  // All drawn verifiers commit `theirs`.
  void commit_verdicts(const JobId& id, const Claim& theirs) {
    until(id, JobPhase::verdicts);
    for (const Check& check : job(id).checks) {
      if (check.state != CheckState::drawn) continue;
      const auto& draw = check.record.draw;
      chain.expect(name_of(draw.verifier),
                   CommitVerdict{id, draw.segment, attest::verdict_hash(hash_named("salt"), draw.verifier, id, draw.segment, theirs.knowledge(draw))});
    }
  }
  void answer(const JobId& id, const Claim& claim) {
    ASSERT_EQ(name(phase(id)), "answers");
    for (const Check& check : job(id).checks)
      if (check.state == CheckState::committed)
        chain.expect(name_of(job(id).provider), AnswerCheck{id, check.record.draw.segment, claim.call_id(check.record.draw), claim.segment(check.record.draw.segment)});
  }
  void reveal(const JobId& id, const Claim& theirs) {
    ASSERT_EQ(name(phase(id)), "reveals");
    for (const Check& check : job(id).checks)
      if (check.state == CheckState::answered)
        chain.expect(name_of(check.record.draw.verifier),
                     RevealVerdict{id, check.record.draw.segment, hash_named("salt"), theirs.knowledge(check.record.draw), std::nullopt});
  }
  void check_all(const JobId& id, const Claim& claim) {
    commit_verdicts(id, claim);
    answer(id, claim);
    reveal(id, claim);
  }
  u128 sum() { return chain.state().supply(); }

  Chain chain;
  TransactionId offer;
};

TEST_F(Market, HonestJobEndsPaid) {
  const auto s = spec([](auto& spec) { spec.secret_hash = tagged_hash("cairn.secret.v1", {hash_named("secret").span()}); });
  const Claim honest(s);
  const Amount requester = chain.balance("A"), provider = chain.balance("P"), v = chain.balance("V"), w = chain.balance("W");
  const JobId id = open(s);
  EXPECT_EQ(name(state(id)), "matched");
  EXPECT_EQ(job(id).reward.pebbles, 100'000u);  // half the ceiling
  chain.expect("Q", Accept{id}, Code::not_party);
  chain.expect("P", Commit{honest.commitment(id)}, Code::wrong_state);
  chain.expect("P", Accept{id});
  chain.expect("P", Accept{id}, Code::wrong_state);
  EXPECT_EQ(chain.state().balance(Holder::job_stake(id)).pebbles, 100'000u);
  chain.expect("A", CancelJob{id}, Code::wrong_state);
  chain.expect("A", RevealSecret{id, hash_named("secret")}, Code::wrong_state);
  auto wrong = honest.commitment(id);
  wrong.steps++;
  chain.expect("P", Commit{wrong}, Code::invalid);
  wrong = honest.commitment(id);
  wrong.plan_root = hash_named("other");
  chain.expect("P", Commit{wrong}, Code::invalid);
  wrong = honest.commitment(id);
  wrong.input_root = hash_named("other");
  chain.expect("P", Commit{wrong}, Code::invalid);
  chain.expect("Q", Commit{honest.commitment(id)}, Code::not_party);
  chain.expect("P", Commit{honest.commitment(id)});
  EXPECT_EQ(name(phase(id)), "secret");
  chain.expect("P", RevealSecret{id, hash_named("secret")}, Code::not_party);
  chain.expect("A", RevealSecret{id, hash_named("guess")}, Code::invalid);
  const Bytes reveal_tx = chain.signed_tx("A", RevealSecret{id, hash_named("secret")});
  EXPECT_EQ(chain.block({reveal_tx}).front().code, kOk);
  EXPECT_EQ(name(phase(id)), "draw");
  chain.block();
  EXPECT_EQ(name(phase(id)), "verdicts");
  chain.expect("A", RevealSecret{id, hash_named("secret")}, Code::too_late);
  ASSERT_EQ(job(id).checks.size(), 1u);
  EXPECT_EQ(job(id).draws.front().secret, hash_named("secret"));
  const auto draw = job(id).checks.front().record.draw;
  const std::string verifier = name_of(draw.verifier);
  EXPECT_TRUE(verifier == "V" || verifier == "W");

  chain.expect("Q", CommitVerdict{id, draw.segment, {}}, Code::not_party);
  chain.expect(verifier, CommitVerdict{id, draw.segment + 1, {}}, Code::not_party);
  chain.expect("P", AnswerCheck{id, draw.segment, {}, {}}, Code::wrong_state);
  chain.expect(verifier, RevealVerdict{id, draw.segment, {}, {}, std::nullopt}, Code::wrong_state);
  commit_verdicts(id, honest);
  chain.expect(verifier, CommitVerdict{id, draw.segment, {}}, Code::already);
  EXPECT_EQ(name(phase(id)), "answers");
  chain.expect("Q", AnswerCheck{id, draw.segment, {}, {}}, Code::not_party);
  auto false_roots = honest.segment(draw.segment);
  false_roots.end_root = hash_named("lie");
  chain.expect("P", AnswerCheck{id, draw.segment, {}, false_roots}, Code::proof);
  chain.expect("P", AnswerCheck{id, draw.segment + 1, {}, honest.segment(draw.segment)}, Code::wrong_state);
  answer(id, honest);
  EXPECT_EQ(name(phase(id)), "reveals");
  chain.expect(verifier, RevealVerdict{id, draw.segment, hash_named("salt"), {hash_named("x"), hash_named("y")}, std::nullopt}, Code::invalid);
  reveal(id, honest);
  chain.expect(verifier, RevealVerdict{id, draw.segment, hash_named("salt"), honest.knowledge(draw), std::nullopt}, Code::already);
  EXPECT_EQ(name(phase(id)), "window");
  EXPECT_EQ(name(state(id)), "committed");
  chain.pass(chain.params().window_ms + 200);
  EXPECT_EQ(name(state(id)), "settled");

  const Job ended = job(id);
  EXPECT_EQ(ended.audit, attest::Audit::as_ordered);
  EXPECT_EQ(ended.paid_provider.pebbles, 100'000u);
  EXPECT_EQ(ended.paid_verifiers.pebbles, 10'000u);
  EXPECT_EQ(chain.stake("P"), crn(100));
  EXPECT_EQ(chain.state().balance(Holder::escrow(id)).pebbles, 0u);
  EXPECT_EQ(chain.state().balance(Holder::job_stake(id)).pebbles, 0u);
  const auto fees = chain.state().balance(Holder::fees()).pebbles;
  EXPECT_GT(fees, 0u);
  EXPECT_GT(chain.balance("P").pebbles, provider.pebbles + 90'000u);
  EXPECT_GT(chain.balance("V").pebbles + chain.balance("W").pebbles, v.pebbles + w.pebbles + 5'000u);
  EXPECT_EQ(chain.state().offer(offer.as<OfferIdTag>())->jobs, 0u);
  EXPECT_EQ(chain.count_events("job.settled"), 1u);

  ASSERT_EQ(chain.receipts().size(), 1u);
  const auto& receipt = chain.receipts().front();
  EXPECT_EQ(receipt.attempt, 0u);
  EXPECT_EQ(receipt.state, attest::Ended::settled);
  uint64_t lines = 0;
  for (const auto& line : receipt.lines) lines += line.amount.pebbles;
  EXPECT_EQ(lines, receipt.held.pebbles);
  EXPECT_EQ(lines, 200'000u + 20'000u + 100'000u);  // escrow and stake
  const Hash key = attest::receipt_key(id, 0);
  EXPECT_TRUE(attest::check_present(chain.app().head().header.state_root, {key, attest::receipt_root(receipt)}, chain.app().prove(key)));
  EXPECT_TRUE(attest::check_absent(chain.app().head().header.state_root, attest::receipt_key(id, 1), chain.app().prove(attest::receipt_key(id, 1))));

  // Pruned later, and the deposit comes back.
  const Amount before = chain.balance("A");
  const Amount deposit = chain.state().balance(Holder::deposit(id.as<HashTag>()));
  EXPECT_GT(deposit.pebbles, 0u);
  chain.pass(chain.params().receipt_keep_ms);
  EXPECT_FALSE(chain.state().job(id));
  EXPECT_EQ(chain.balance("A").pebbles, before.pebbles + deposit.pebbles);
  EXPECT_LT(requester.pebbles - chain.balance("A").pebbles, 100'000u + 10'000u + 5'000u);  // R, one check, fees
  EXPECT_FALSE(chain.app().prove(key).found->value.is_zero());
}

TEST_F(Market, CheapestThenOldestOfferThatFits) {
  chain.expect("Q", Stake{crn(100)});
  const auto cheap = chain.expect("Q", chain.offer(500'000'000'000'000));
  const auto later = chain.expect("Q", chain.offer(500'000'000'000'000));
  EXPECT_EQ(job(open(chain.spec())).offer, cheap.as<OfferIdTag>());
  EXPECT_EQ(job(open(chain.spec())).offer, later.as<OfferIdTag>());
  EXPECT_EQ(job(open(chain.spec())).offer, offer.as<OfferIdTag>());
  const JobId waits = open(chain.spec());
  EXPECT_EQ(name(state(waits)), "open");
  chain.expect("Q", chain.offer(3'000'000'000'000'000));  // above the ceiling
  EXPECT_EQ(name(state(waits)), "open");
  auto small = chain.offer();
  small.memory_bytes = 999;
  chain.expect("Q", small);
  EXPECT_EQ(name(state(waits)), "open");
  auto choosy = chain.offer();
  choosy.policies = {Policy::careful};
  chain.expect("Q", choosy);
  EXPECT_EQ(name(state(waits)), "open");
  auto cuda = chain.offer();
  cuda.klass.device = attest::Device::cuda;
  chain.expect("Q", cuda);
  EXPECT_EQ(name(state(waits)), "open");
  chain.expect("R", chain.offer());  // no stake
  EXPECT_EQ(name(state(waits)), "open");
  chain.expect("R", Stake{crn(1)});
  EXPECT_EQ(name(state(waits)), "matched");
  EXPECT_EQ(job(waits).provider, chain.id("R"));
  chain.expect("B", CancelJob{waits}, Code::not_party);
  const Amount before = chain.balance("A");
  chain.expect("A", CancelJob{waits});
  EXPECT_EQ(name(state(waits)), "cancelled");
  EXPECT_GT(chain.balance("A").pebbles, before.pebbles + 200'000u);
  chain.expect("A", CancelJob{waits}, Code::wrong_state);
}

TEST_F(Market, AMatchThatIsNotAcceptedLapses) {
  const JobId id = open(chain.spec());
  chain.pass(1'200);
  EXPECT_EQ(name(state(id)), "open");
  EXPECT_FALSE(chain.state().offer(offer.as<OfferIdTag>()));
  EXPECT_EQ(chain.stake("P"), crn(100));
  chain.expect("P", chain.offer());
  EXPECT_EQ(name(state(id)), "open") << "a lapsed match never meets that job again";
  chain.expect("P", Accept{id}, Code::wrong_state);
  chain.expect("Q", Stake{crn(100)});
  chain.expect("Q", chain.offer());
  EXPECT_EQ(name(state(id)), "matched");
  EXPECT_EQ(chain.receipts().size(), 1u);
  EXPECT_EQ(chain.receipts()[0].state, attest::Ended::lapsed);
}

TEST_F(Market, LateCostsATenthAndReopens) {
  chain.expect("Q", Stake{crn(100)});
  const JobId id = open(chain.spec());
  chain.expect("P", Accept{id});
  chain.expect("Q", chain.offer());
  const Amount before = chain.balance("A");
  chain.pass(5'200);
  EXPECT_EQ(chain.balance("A").pebbles, before.pebbles + 10'000u);
  EXPECT_EQ(chain.stake("P").pebbles, crn(100).pebbles - 10'000u);
  EXPECT_EQ(job(id).provider, chain.id("Q"));
  chain.expect("P", Commit{Claim(chain.spec()).commitment(id)}, Code::wrong_state);
  const Claim honest(chain.spec());
  run(id, honest);
  check_all(id, honest);
  chain.pass(1'200);
  EXPECT_EQ(name(state(id)), "settled");
  ASSERT_EQ(chain.receipts().size(), 2u);
  EXPECT_EQ(chain.receipts()[1].attempt, 1u);
}

TEST_F(Market, StarterNeedsNoStakeAndHalfVests) {
  chain.expect("R", chain.offer(900'000'000'000'000));
  const auto s = spec([](auto& spec) { spec.policy = Policy::starter; });
  const JobId id = open(s);
  EXPECT_EQ(job(id).provider, chain.id("R"));
  const Claim honest(s);
  run(id, honest);
  check_all(id, honest);
  EXPECT_EQ(job(id).checks.size(), 10u);
  EXPECT_EQ(chain.stake("R").pebbles, 0u);
  chain.pass(1'200);
  EXPECT_EQ(name(state(id)), "settled");
  EXPECT_EQ(chain.stake("R").pebbles, 45'000u);
  EXPECT_EQ(job(id).paid_verifiers.pebbles, 90'000u);
}

TEST_F(Market, NobodyToDrawSettlesUnauditedOrVoid) {
  chain.expect("V", Unbond{crn(1)});
  chain.expect("W", Unbond{crn(1)});
  for (const bool require : {false, true}) {
    const auto s = spec([&](auto& spec) { spec.require_audit = require; });
    const JobId id = open(s);
    run(id, Claim(s));
    until(id, JobPhase::window);
    EXPECT_EQ(job(id).draws.size(), 2u);
    const Amount before = chain.balance("A");
    chain.pass(1'200);
    EXPECT_EQ(name(state(id)), require ? "void" : "settled");
    EXPECT_EQ(job(id).audit, attest::Audit::unaudited);
    EXPECT_EQ(chain.balance("A").pebbles - before.pebbles, require ? 220'000u : 120'000u);
    EXPECT_EQ(chain.stake("P"), crn(100));
  }
}

TEST_F(Market, SilentVerifiersLoseBondAndAreDrawnNoMore) {
  const JobId id = open(chain.spec());
  run(id, Claim(chain.spec()));
  until(id, JobPhase::verdicts);
  const std::string first = name_of(job(id).checks[0].record.draw.verifier);
  chain.pass(2'200);
  EXPECT_EQ(chain.bond(first).pebbles, crn(1).pebbles - chain.params().verifier_silence);
  EXPECT_EQ(chain.state().balance(Holder::burned()).pebbles, chain.params().verifier_silence);
  until(id, JobPhase::verdicts);
  ASSERT_EQ(job(id).checks.size(), 2u);
  EXPECT_NE(name_of(job(id).checks[1].record.draw.verifier), first);
  EXPECT_EQ(job(id).checks[1].record.round, 1u);
  check_all(id, Claim(chain.spec()));
  chain.pass(1'200);
  EXPECT_EQ(name(state(id)), "settled");
  EXPECT_EQ(job(id).audit, attest::Audit::as_ordered);
}

TEST_F(Market, ASilentRevealCountsForNothing) {
  const JobId id = open(chain.spec());
  const Claim honest(chain.spec());
  run(id, honest);
  commit_verdicts(id, honest);
  answer(id, honest);
  chain.pass(3'200);
  EXPECT_EQ(name(phase(id)), "window");
  chain.pass(1'200);
  EXPECT_EQ(name(state(id)), "settled");
  EXPECT_EQ(job(id).audit, attest::Audit::unaudited);
  EXPECT_EQ(job(id).paid_verifiers.pebbles, 0u);
}

TEST_F(Market, AProviderThatDoesNotAnswerIsSlashed) {
  const JobId id = open(chain.spec());
  run(id, Claim(chain.spec()));
  commit_verdicts(id, Claim(chain.spec()));
  const std::string verifier = name_of(job(id).checks[0].record.draw.verifier);
  const Amount requester = chain.balance("A"), winner = chain.balance(verifier);
  chain.pass(3'200);
  EXPECT_EQ(name(state(id)), "open");
  EXPECT_EQ(chain.stake("P").pebbles, crn(100).pebbles - 100'000u);
  EXPECT_EQ(chain.state().balance(Holder::burned()).pebbles, 50'000u);
  EXPECT_EQ(chain.balance("A").pebbles - requester.pebbles, 30'000u);
  EXPECT_EQ(chain.balance(verifier).pebbles - winner.pebbles, 20'000u);
  EXPECT_EQ(chain.state().balance(Holder::escrow(id)).pebbles, 220'000u) << "the job is open again with its escrow";
  EXPECT_FALSE(chain.state().offer(offer.as<OfferIdTag>()));
  ASSERT_EQ(chain.receipts().size(), 1u);
  EXPECT_EQ(chain.receipts()[0].state, attest::Ended::slashed);
}

TEST_F(Market, TwoDrawsOfUndeliveredVoidTheJob) {
  const JobId id = open(chain.spec());
  run(id, Claim(chain.spec()));
  for (int round = 0; round < 2; round++) {
    until(id, JobPhase::verdicts);
    const auto draw = job(id).checks.back().record.draw;
    chain.expect("P", ReportUndelivered{id, draw.segment}, Code::not_party);
    chain.expect(name_of(draw.verifier), ReportUndelivered{id, draw.segment});
  }
  EXPECT_EQ(name(state(id)), "void");
  EXPECT_EQ(job(id).code, Code::undelivered);
  const uint64_t each = chain.params().verifier_silence;
  EXPECT_EQ(chain.state().balance(Holder::burned()).pebbles, 3 * each);
  EXPECT_EQ(chain.stake("P").pebbles, crn(100).pebbles - each);
  EXPECT_EQ(chain.bond("V").pebbles, crn(1).pebbles - each);
  EXPECT_EQ(chain.bond("W").pebbles, crn(1).pebbles - each);
}

TEST_F(Market, ADifferingVerdictOpensAGameThatTheClockDecides) {
  const Claim lie(chain.spec(), "lie"), honest(chain.spec());
  const JobId id = open(chain.spec());
  run(id, lie);
  commit_verdicts(id, honest);
  answer(id, lie);
  const std::string verifier = name_of(job(id).checks[0].record.draw.verifier);
  const Amount before = chain.balance(verifier);
  reveal(id, honest);
  EXPECT_EQ(name(state(id)), "disputed");
  ASSERT_EQ(job(id).games.size(), 1u);
  const GameId game = job(id).games[0];
  EXPECT_EQ(chain.state().balance(Holder::game(game)).pebbles, 2 * chain.params().game_fee);
  chain.expect("Q", PlayMove{game, attest::Pick{}}, Code::not_party);
  chain.expect(verifier, PlayMove{game, attest::Pick{}}, Code::wrong_turn);
  chain.expect("P", PlayMove{game, attest::Pick{}}, Code::malformed);
  chain.pass(1'200);
  EXPECT_EQ(name(state(id)), "disputed") << "the window is over, the game is not";
  chain.pass(2'000);
  EXPECT_EQ(name(state(id)), "open");
  EXPECT_TRUE(chain.state().dispute(game)->game.over());
  EXPECT_EQ(chain.state().balance(Holder::game(game)).pebbles, 0u);
  // Its own fee, the loser's fee, a fifth of the stake; less what its transactions cost.
  EXPECT_GT(chain.balance(verifier).pebbles + 2'000u, before.pebbles + chain.params().game_fee + 20'000u);
  ASSERT_EQ(chain.receipts().size(), 1u);
  ASSERT_EQ(chain.receipts()[0].games.size(), 1u);
  EXPECT_TRUE(chain.receipts()[0].games[0].by_clock);
  chain.expect("P", PlayMove{game, attest::Pick{}}, Code::not_found);
}

TEST_F(Market, ChallengeTable) {
  const Claim honest(chain.spec());
  const JobId id = open(chain.spec());
  const Hash other = hash_named("other end");
  chain.expect("B", Challenge{id, 3, other, honest.segment(3)}, Code::wrong_state);
  run(id, honest);
  chain.expect("P", Challenge{id, 3, other, honest.segment(3)}, Code::self);
  chain.expect("B", Challenge{id, 10, other, honest.segment(3)}, Code::invalid);
  chain.expect("B", Challenge{id, 4, other, honest.segment(3)}, Code::proof);
  chain.expect("B", Challenge{id, 3, honest.roots[3], honest.segment(3)}, Code::invalid);
  chain.expect("B", Challenge{id, 3, other, honest.segment(3)});
  chain.expect("B", Challenge{id, 3, other, honest.segment(3)}, Code::already);
  chain.expect("C", Challenge{id, 0, other, honest.segment(0)});
  ASSERT_EQ(job(id).games.size(), 2u);
  // The provider shows one tree in each; the challengers are silent and pay. The job goes on.
  for (const GameId& game : job(id).games) {
    const auto terms = chain.state().dispute(game)->game.terms;
    std::vector<Hash> roots;
    for (uint64_t step = terms.start_step + 1; step < terms.end_step; step++) roots.push_back(hash_named("step " + std::to_string(step)));
    roots.push_back(terms.end_root);
    chain.expect("P", PlayMove{game, attest::ShowSteps{attest::tree_root(roots), attest::tree_path(roots, roots.size() - 1)}});
  }
  const Amount provider = chain.balance("P");
  check_all(id, honest);
  for (int i = 0; i < 60 && state(id) != JobState::settled; i++) chain.block({}, 200);
  EXPECT_EQ(name(state(id)), "settled");
  EXPECT_GT(chain.balance("P").pebbles + 2'000u, provider.pebbles + 100'000u + 4 * chain.params().game_fee);
}

TEST_F(Market, RoyaltiesGoDownTheLineage) {
  const auto publish = [&](const std::string& who, std::string_view content, uint64_t price, std::vector<Share> holders, std::vector<Parent> parents) {
    Publish body;
    body.kind = AssetKind::dataset;
    body.title = std::string(content);
    body.content = hash_named(content);
    body.price = Amount{price};
    body.holders = std::move(holders);
    body.parents = std::move(parents);
    chain.expect(who, Reserve{reservation_hash(body.content, chain.id(who), {})});
    return chain.expect(who, body).as<AssetIdTag>();
  };
  const AssetId base = publish("B", "base", 0, {}, {});
  const AssetId derived = publish("C", "x", 1'001, {{chain.id("C"), 2}, {chain.id("R"), 1}}, {{base, 3'000}});
  const auto s = spec([&](auto& spec) { spec.inputs[0].asset = derived; });
  EXPECT_EQ(must(quote(chain.state(), chain.params(), s)).assets.pebbles, 1'001u);
  auto wrong = s;
  wrong.inputs[0].id = hash_named("y");
  chain.expect("A", OpenJob{wrong}, Code::invalid);

  const Claim honest(s);
  const JobId id = open(s);
  run(id, honest);
  check_all(id, honest);
  const Amount b = chain.balance("B"), c = chain.balance("C"), r = chain.balance("R");
  chain.pass(1'200);
  EXPECT_EQ(name(state(id)), "settled");
  EXPECT_EQ(job(id).paid_royalties.pebbles, 1'001u);
  EXPECT_EQ(chain.balance("B").pebbles - b.pebbles, 300u);  // 30 % of 1001 = 300.3
  EXPECT_EQ(chain.balance("C").pebbles - c.pebbles, 467u);  // 2/3 of the rest
  EXPECT_EQ(chain.balance("R").pebbles - r.pebbles, 234u);  // largest remainder first

  // What the job made has the job's assets as parents, whatever anybody says.
  Publish result;
  result.kind = AssetKind::model;
  result.title = "made here";
  result.content = honest.roots.back();
  result.origin = id;
  result.price = crn(1);
  chain.expect("Q", Reserve{reservation_hash(result.content, chain.id("Q"), {})});
  chain.expect("A", Reserve{reservation_hash(result.content, chain.id("A"), {})});
  chain.expect("Q", result, Code::not_party);
  const auto made = chain.expect("A", result);
  const Asset asset = chain.state().asset(made.as<AssetIdTag>()).value();
  ASSERT_EQ(asset.parents.size(), 1u);
  EXPECT_EQ(asset.parents[0].asset, derived);
  EXPECT_EQ(asset.depth, 2);
  EXPECT_EQ(asset.split.size(), 4u);
  auto other = result;
  other.content = hash_named("something else");
  chain.expect("A", Reserve{reservation_hash(other.content, chain.id("A"), {})});
  chain.expect("A", other, Code::proof);
}

TEST(Split, AddsUpAndFollowsRemainders) {
  EXPECT_EQ(split(10, {1, 1, 1}), (std::vector<uint64_t>{4, 3, 3}));
  EXPECT_EQ(split(10, {1, 2, 4}), (std::vector<uint64_t>{1, 3, 6}));
  EXPECT_EQ(split(0, {}), (std::vector<uint64_t>{}));
  EXPECT_EQ(split(5, {0, 7, 0}), (std::vector<uint64_t>{0, 5, 0}));
  EXPECT_EQ(split(UINT64_MAX, {1, UINT64_MAX - 1}), (std::vector<uint64_t>{1, UINT64_MAX - 1}));
  uint64_t random = 7;
  for (int i = 0; i < 2000; i++) {
    const auto roll = [&] { return random = random * 6364136223846793005u + 1442695040888963407u, random >> 20; };
    std::vector<uint64_t> weights(1 + roll() % 20);
    for (auto& weight : weights) weight = 1 + roll() % 1'000'000;
    const uint64_t total = roll();
    uint64_t sum = 0;
    for (uint64_t part : split(total, weights)) sum += part;
    EXPECT_EQ(sum, total);
  }
}

TEST(Lineage, DeepAndGreedyFamiliesStayInBounds) {
  Chain chain;
  Asset parent;
  std::vector<AssetId> line;
  for (int depth = 0; depth <= 9; depth++) {
    Asset asset;
    asset.id = hash_named("asset " + std::to_string(depth)).as<AssetIdTag>();
    asset.owner = chain.id("A");
    asset.holders = {{hash_named("holder " + std::to_string(depth)).as<AccountIdTag>(), 1}};
    for (const AssetId& id : line) asset.parents.push_back({id, 10'000});  // greedy: all of them, all of it
    const auto settled = settle_lineage(chain.state(), asset);
    EXPECT_EQ(static_cast<bool>(settled), depth <= 8);
    if (!settled) break;
    EXPECT_EQ(asset.depth, depth);
    uint64_t sum = 0, own = 0;
    for (const Share& share : asset.split) {
      sum += share.parts;
      if (share.account == asset.holders[0].account) own = share.parts;
    }
    EXPECT_EQ(sum, kSplitParts);
    EXPECT_EQ(own, depth == 0 ? kSplitParts : kSplitParts / 2);
    chain.state().put(asset);
    line.push_back(asset.id);
  }
}

}  // namespace
}  // namespace cairn::ledger
