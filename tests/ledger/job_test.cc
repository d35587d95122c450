// Whole lives of jobs, from escrow to receipt, with made-up roots: who is paid, who loses, what stays.
#include "tests/ledger/market_scene.h"

namespace cairn::ledger {
namespace {

using attest::Policy;

TEST_F(Market, HonestJobEndsPaid) {
  const auto s = spec([](auto& spec) { spec.secret_hash = tagged_hash("cairn.secret.v1", {hash_named("secret").span()}); });
  const Claim honest(s);
  const Amount requester = scene.balance("A"), provider = scene.balance("P"), v = scene.balance("V"), w = scene.balance("W");
  const JobId id = open(s);
  EXPECT_EQ(name(state(id)), "matched");
  EXPECT_EQ(job(id).reward.pebbles, 100'000u);  // half the ceiling
  scene.expect("Q", Accept{id}, Code::not_party);
  scene.expect("P", Commit{honest.commitment(id)}, Code::wrong_state);
  scene.expect("P", Accept{id});
  scene.expect("P", Accept{id}, Code::wrong_state);
  EXPECT_EQ(scene.state().balance(Holder::job_stake(id)).pebbles, 100'000u);
  scene.expect("A", CancelJob{id}, Code::wrong_state);
  scene.expect("A", RevealSecret{id, hash_named("secret")}, Code::wrong_state);
  auto wrong = honest.commitment(id);
  wrong.steps++;
  scene.expect("P", Commit{wrong}, Code::invalid);
  wrong = honest.commitment(id);
  wrong.plan_root = hash_named("other");
  scene.expect("P", Commit{wrong}, Code::invalid);
  wrong = honest.commitment(id);
  wrong.input_root = hash_named("other");
  scene.expect("P", Commit{wrong}, Code::invalid);
  scene.expect("Q", Commit{honest.commitment(id)}, Code::not_party);
  scene.expect("P", Commit{honest.commitment(id)});
  EXPECT_EQ(name(phase(id)), "secret");
  scene.expect("P", RevealSecret{id, hash_named("secret")}, Code::not_party);
  scene.expect("A", RevealSecret{id, hash_named("guess")}, Code::invalid);
  const Bytes reveal_tx = scene.signed_tx("A", RevealSecret{id, hash_named("secret")});
  EXPECT_EQ(scene.block({reveal_tx}).front().code, kOk);
  EXPECT_EQ(name(phase(id)), "draw");
  scene.block();
  EXPECT_EQ(name(phase(id)), "verdicts");
  scene.expect("A", RevealSecret{id, hash_named("secret")}, Code::too_late);
  ASSERT_EQ(job(id).checks.size(), 1u);
  EXPECT_EQ(job(id).draws.front().secret, hash_named("secret"));
  const auto draw = job(id).checks.front().record.draw;
  const std::string verifier = scene.name_of(draw.verifier);
  EXPECT_TRUE(verifier == "V" || verifier == "W");

  scene.expect("Q", CommitVerdict{id, draw.segment, {}}, Code::not_party);
  scene.expect(verifier, CommitVerdict{id, draw.segment + 1, {}}, Code::not_party);
  scene.expect("P", AnswerCheck{id, draw.segment, {}, {}}, Code::wrong_state);
  scene.expect(verifier, RevealVerdict{id, draw.segment, {}, {}, std::nullopt}, Code::wrong_state);
  commit_verdicts(id, honest);
  scene.expect(verifier, CommitVerdict{id, draw.segment, {}}, Code::already);
  EXPECT_EQ(name(phase(id)), "answers");
  scene.expect("Q", AnswerCheck{id, draw.segment, {}, {}}, Code::not_party);
  auto false_roots = honest.segment(draw.segment);
  false_roots.end_root = hash_named("lie");
  scene.expect("P", AnswerCheck{id, draw.segment, {}, false_roots}, Code::proof);
  scene.expect("P", AnswerCheck{id, draw.segment + 1, {}, honest.segment(draw.segment)}, Code::wrong_state);
  answer(id, honest);
  EXPECT_EQ(name(phase(id)), "reveals");
  scene.expect(verifier, RevealVerdict{id, draw.segment, hash_named("salt"), {hash_named("x"), hash_named("y")}, std::nullopt}, Code::invalid);
  reveal(id, honest);
  scene.expect(verifier, RevealVerdict{id, draw.segment, hash_named("salt"), honest.knowledge(draw), std::nullopt}, Code::already);
  EXPECT_EQ(name(phase(id)), "window");
  EXPECT_EQ(name(state(id)), "committed");
  scene.pass(scene.params().window_ms + 200);
  EXPECT_EQ(name(state(id)), "settled");

  const Job ended = job(id);
  EXPECT_EQ(ended.audit, attest::Audit::as_ordered);
  EXPECT_EQ(ended.paid_provider.pebbles, 100'000u);
  EXPECT_EQ(ended.paid_verifiers.pebbles, 10'000u);
  EXPECT_EQ(scene.stake("P"), crn(100));
  EXPECT_EQ(scene.state().balance(Holder::escrow(id)).pebbles, 0u);
  EXPECT_EQ(scene.state().balance(Holder::job_stake(id)).pebbles, 0u);
  const auto fees = scene.state().balance(Holder::fees()).pebbles;
  EXPECT_GT(fees, 0u);
  EXPECT_GT(scene.balance("P").pebbles, provider.pebbles + 90'000u);
  EXPECT_GT(scene.balance("V").pebbles + scene.balance("W").pebbles, v.pebbles + w.pebbles + 5'000u);
  EXPECT_EQ(scene.state().offer(offer.as<OfferIdTag>())->jobs, 0u);
  EXPECT_EQ(scene.count_events("job.settled"), 1u);

  ASSERT_EQ(scene.receipts().size(), 1u);
  const auto& receipt = scene.receipts().front();
  EXPECT_EQ(receipt.attempt, 0u);
  EXPECT_EQ(receipt.state, attest::Ended::settled);
  uint64_t lines = 0;
  for (const auto& line : receipt.lines) lines += line.amount.pebbles;
  EXPECT_EQ(lines, receipt.held.pebbles);
  EXPECT_EQ(lines, 200'000u + 20'000u + 100'000u);  // escrow and stake
  const auto entry = attest::receipt_entry(receipt);
  const Hash absent = attest::receipt_place(id, 1);
  EXPECT_TRUE(attest::check_present(scene.app().head().header.state_root, entry, scene.app().prove(entry.key)));
  EXPECT_TRUE(attest::check_absent(scene.app().head().header.state_root, absent, scene.app().prove(absent)));

  // Pruned later, and the deposit comes back.
  const Amount before = scene.balance("A");
  const Amount deposit = scene.state().balance(Holder::deposit(id.as<HashTag>()));
  EXPECT_GT(deposit.pebbles, 0u);
  scene.pass(scene.params().receipt_keep_ms);
  EXPECT_FALSE(scene.state().job(id));
  EXPECT_EQ(scene.balance("A").pebbles, before.pebbles + deposit.pebbles);
  EXPECT_LT(requester.pebbles - scene.balance("A").pebbles, 100'000u + 10'000u + 5'000u);  // R, one check, fees
  EXPECT_FALSE(scene.app().prove(entry.key).found->value.is_zero());
}

TEST_F(Market, CheapestThenOldestOfferThatFits) {
  scene.expect("Q", Stake{crn(100)});
  const auto cheap = scene.expect("Q", scene.offer(500'000'000'000'000));
  const auto later = scene.expect("Q", scene.offer(500'000'000'000'000));
  EXPECT_EQ(job(open(scene.spec())).offer, cheap.as<OfferIdTag>());
  EXPECT_EQ(job(open(scene.spec())).offer, later.as<OfferIdTag>());
  EXPECT_EQ(job(open(scene.spec())).offer, offer.as<OfferIdTag>());
  const JobId waits = open(scene.spec());
  EXPECT_EQ(name(state(waits)), "open");
  scene.expect("Q", scene.offer(3'000'000'000'000'000));  // above the ceiling
  EXPECT_EQ(name(state(waits)), "open");
  auto small = scene.offer();
  small.memory_bytes = 999;
  scene.expect("Q", small);
  EXPECT_EQ(name(state(waits)), "open");
  auto choosy = scene.offer();
  choosy.policies = {Policy::careful};
  scene.expect("Q", choosy);
  EXPECT_EQ(name(state(waits)), "open");
  auto cuda = scene.offer();
  cuda.klass.device = attest::Device::cuda;
  scene.expect("Q", cuda);
  EXPECT_EQ(name(state(waits)), "open");
  scene.expect("R", scene.offer());  // no stake
  EXPECT_EQ(name(state(waits)), "open");
  scene.expect("R", Stake{crn(1)});
  EXPECT_EQ(name(state(waits)), "matched");
  EXPECT_EQ(job(waits).provider, scene.id("R"));
  scene.expect("B", CancelJob{waits}, Code::not_party);
  const Amount before = scene.balance("A");
  scene.expect("A", CancelJob{waits});
  EXPECT_EQ(name(state(waits)), "cancelled");
  EXPECT_GT(scene.balance("A").pebbles, before.pebbles + 200'000u);
  scene.expect("A", CancelJob{waits}, Code::wrong_state);
}

TEST_F(Market, AMatchThatIsNotAcceptedLapses) {
  const JobId id = open(scene.spec());
  scene.pass(1'200);
  EXPECT_EQ(name(state(id)), "open");
  EXPECT_FALSE(scene.state().offer(offer.as<OfferIdTag>()));
  EXPECT_EQ(scene.stake("P"), crn(100));
  scene.expect("P", scene.offer());
  EXPECT_EQ(name(state(id)), "open") << "a lapsed match never meets that job again";
  scene.expect("P", Accept{id}, Code::wrong_state);
  scene.expect("Q", Stake{crn(100)});
  scene.expect("Q", scene.offer());
  EXPECT_EQ(name(state(id)), "matched");
  EXPECT_EQ(scene.receipts().size(), 0u) << "nothing was run, and nothing paid";
}

TEST_F(Market, LateCostsATenthAndReopens) {
  scene.expect("Q", Stake{crn(100)});
  const JobId id = open(scene.spec());
  scene.expect("P", Accept{id});
  scene.expect("Q", scene.offer());
  const Amount before = scene.balance("A");
  scene.pass(5'200);
  EXPECT_EQ(scene.balance("A").pebbles, before.pebbles + 10'000u);
  EXPECT_EQ(scene.stake("P").pebbles, crn(100).pebbles - 10'000u);
  EXPECT_EQ(job(id).provider, scene.id("Q"));
  scene.expect("P", Commit{Claim(scene.spec()).commitment(id)}, Code::wrong_state);
  const Claim honest(scene.spec());
  run(id, honest);
  check_all(id, honest);
  scene.pass(1'200);
  EXPECT_EQ(name(state(id)), "settled");
  ASSERT_EQ(scene.receipts().size(), 2u);
  EXPECT_EQ(scene.receipts()[1].attempt, 1u);
}

TEST_F(Market, StarterNeedsNoStakeAndHalfVests) {
  scene.expect("R", scene.offer(900'000'000'000'000));
  const auto s = spec([](auto& spec) { spec.policy = Policy::starter; });
  const JobId id = open(s);
  EXPECT_EQ(job(id).provider, scene.id("R"));
  const Claim honest(s);
  run(id, honest);
  check_all(id, honest);
  EXPECT_EQ(job(id).checks.size(), 10u);
  EXPECT_EQ(scene.stake("R").pebbles, 0u);
  scene.pass(1'200);
  EXPECT_EQ(name(state(id)), "settled");
  EXPECT_EQ(scene.stake("R").pebbles, 45'000u);
  EXPECT_EQ(job(id).paid_verifiers.pebbles, 90'000u);
}

TEST_F(Market, NobodyToDrawSettlesUnauditedOrVoid) {
  scene.expect("V", Unbond{crn(1)});
  scene.expect("W", Unbond{crn(1)});
  for (const bool require : {false, true}) {
    const auto s = spec([&](auto& spec) { spec.require_audit = require; });
    const JobId id = open(s);
    run(id, Claim(s));
    until(id, JobPhase::window);
    EXPECT_EQ(job(id).draws.size(), 2u);
    const Amount before = scene.balance("A");
    scene.pass(1'200);
    EXPECT_EQ(name(state(id)), require ? "void" : "settled");
    EXPECT_EQ(job(id).audit, attest::Audit::unaudited);
    EXPECT_EQ(scene.balance("A").pebbles - before.pebbles, require ? 220'000u : 120'000u);
    EXPECT_EQ(scene.stake("P"), crn(100));
  }
}

TEST_F(Market, SilentVerifiersLoseBondAndAreDrawnNoMore) {
  const JobId id = open(scene.spec());
  run(id, Claim(scene.spec()));
  until(id, JobPhase::verdicts);
  const std::string first = scene.name_of(job(id).checks[0].record.draw.verifier);
  scene.pass(2'200);
  EXPECT_EQ(scene.bond(first).pebbles, crn(1).pebbles - scene.params().verifier_silence);
  EXPECT_EQ(scene.state().balance(Holder::burned()).pebbles, scene.params().verifier_silence);
  until(id, JobPhase::verdicts);
  ASSERT_EQ(job(id).checks.size(), 2u);
  EXPECT_NE(scene.name_of(job(id).checks[1].record.draw.verifier), first);
  EXPECT_EQ(job(id).checks[1].record.round, 1u);
  check_all(id, Claim(scene.spec()));
  scene.pass(1'200);
  EXPECT_EQ(name(state(id)), "settled");
  EXPECT_EQ(job(id).audit, attest::Audit::as_ordered);
}

TEST_F(Market, BondTakenBackWaitsForTheEndOfWhatItWasDrawnFor) {
  const JobId id = open(scene.spec());
  const Claim honest(scene.spec());
  for (const char* who : {"V", "W"}) scene.expect(who, Unbond{{5}});  // before the draw: waits for nothing
  run(id, honest);
  until(id, JobPhase::verdicts);
  const std::string drawn = scene.name_of(job(id).checks[0].record.draw.verifier);
  const Amount bond = scene.bond(drawn);
  scene.expect(drawn, Unbond{bond});
  scene.pass(1'500);
  commit_verdicts(id, honest);
  scene.pass(2'500);
  EXPECT_EQ(name(phase(id)), "answers");
  const Holder unbonding = Holder::unbonding(scene.id(drawn));
  const Amount owed = std::max(job(id).stake, least_bond(scene.params()));
  EXPECT_LT(owed, bond);
  EXPECT_EQ(scene.state().balance(unbonding), owed) << "4 s after it was taken back, of an unbonding time of 3 s";
  answer(id, honest);
  scene.pass(3'200);
  EXPECT_EQ(scene.state().balance(unbonding).pebbles, owed.pebbles - scene.params().verifier_silence);
  scene.pass(1'200);
  EXPECT_EQ(name(state(id)), "settled");
  scene.pass(3'200);
  EXPECT_EQ(scene.state().balance(unbonding).pebbles, 0u);
  EXPECT_FALSE(scene.state().any('D'));
}

TEST_F(Market, ASilentRevealCountsForNothing) {
  const JobId id = open(scene.spec());
  const Claim honest(scene.spec());
  run(id, honest);
  commit_verdicts(id, honest);
  answer(id, honest);
  scene.pass(3'200);
  EXPECT_EQ(name(phase(id)), "window");
  scene.pass(1'200);
  EXPECT_EQ(name(state(id)), "settled");
  EXPECT_EQ(job(id).audit, attest::Audit::unaudited);
  EXPECT_EQ(job(id).paid_verifiers.pebbles, 0u);
}

TEST_F(Market, AProviderThatDoesNotAnswerIsSlashed) {
  const JobId id = open(scene.spec());
  run(id, Claim(scene.spec()));
  commit_verdicts(id, Claim(scene.spec()));
  const std::string verifier = scene.name_of(job(id).checks[0].record.draw.verifier);
  const Amount requester = scene.balance("A"), winner = scene.balance(verifier);
  scene.pass(3'200);
  EXPECT_EQ(name(state(id)), "open");
  EXPECT_EQ(scene.stake("P").pebbles, crn(100).pebbles - 100'000u);
  EXPECT_EQ(scene.state().balance(Holder::burned()).pebbles, 50'000u);
  EXPECT_EQ(scene.balance("A").pebbles - requester.pebbles, 30'000u);
  EXPECT_EQ(scene.balance(verifier).pebbles - winner.pebbles, 20'000u);
  EXPECT_EQ(scene.state().balance(Holder::escrow(id)).pebbles, 220'000u) << "the job is open again with its escrow";
  EXPECT_FALSE(scene.state().offer(offer.as<OfferIdTag>()));
  ASSERT_EQ(scene.receipts().size(), 1u);
  EXPECT_EQ(scene.receipts()[0].state, attest::Ended::slashed);
}

// What three verifiers in turn say of one segment: two reports end the job for a fine each, three cost the provider its stake in it.
TEST_F(Market, AWithheldSegmentCostsItsProviderTheStake) {
  enum Said { u, v, n };  // undelivered, a verdict, nothing
  const struct {
    std::vector<Said> said;  // fewer than three: there is nobody else
    const char* ends;
    bool all_of_stake;
    uint64_t fines;  // of verifiers
  } rows[] = {
      {{u, u, u}, "void", true, 3},
      {{u, u, n}, "void", false, 3},
      {{u, u}, "void", false, 2},
      {{u, u, v}, "settled", false, 2},
      {{u, v}, "settled", false, 1},
      {{u, n}, "settled", false, 1},
  };
  const Claim honest(scene.spec());
  const u128 supply = sum();
  for (const auto& row : rows) {
    SCOPED_TRACE(&row - rows);
    const bool third = row.said.size() > 2 || row.said[1] == v;
    if (third && scene.bond("Q").pebbles == 0) scene.expect("Q", Bond{crn(1), "tcp://q"});
    if (!third && scene.bond("Q").pebbles > 0) scene.expect("Q", Unbond{scene.bond("Q")});
    const auto bonds = [&] {
      u128 all = 0;
      for (const char* who : {"V", "W", "Q"}) all += scene.bond(who).pebbles;
      return all;
    };
    const u128 before = bonds();
    const Amount burned = scene.state().balance(Holder::burned()), stake = scene.stake("P");
    const JobId id = open(scene.spec());
    run(id, honest);
    for (const Said said : row.said) {
      until(id, JobPhase::verdicts);
      const auto draw = job(id).checks.back().record.draw;
      scene.expect("P", ReportUndelivered{id, draw.segment}, Code::not_party);
      const std::string verifier = scene.name_of(draw.verifier);
      if (said == u) scene.expect(verifier, ReportUndelivered{id, draw.segment});
      if (said == v) scene.expect(verifier, CommitVerdict{id, draw.segment, attest::verdict_hash(hash_named("salt"), draw.verifier, id, draw.segment, honest.knowledge(draw))});
      if (said == n) scene.pass(2'500);
    }
    if (row.said.back() == v) {
      answer(id, honest);
      reveal(id, honest);
    }
    scene.pass(1'500);
    EXPECT_EQ(name(state(id)), row.ends);
    const bool is_void = std::string(row.ends) == "void";
    EXPECT_EQ(job(id).code == Code::undelivered, is_void);
    EXPECT_EQ(job(id).paid_provider.pebbles > 0, !is_void);
    const uint64_t fine = scene.params().verifier_silence;
    const uint64_t lost = row.all_of_stake ? job(id).stake.pebbles : is_void ? fine : 0;
    EXPECT_EQ(scene.stake("P").pebbles, stake.pebbles - lost);
    EXPECT_TRUE(before - bonds() == row.fines * fine);
    EXPECT_EQ(scene.state().balance(Holder::burned()).pebbles - burned.pebbles, lost + row.fines * fine);
    if (!scene.state().offer(offer.as<OfferIdTag>())) offer = scene.expect("P", scene.offer());
    EXPECT_TRUE(sum() == supply);
  }
}

// Under `all`, two of ten segments get no verdict in the first draw: others are drawn for these and no other.
TEST_F(Market, AVerdictElsewhereDoesNotPayForAWithheldSegment) {
  enum class Said { verdict, undelivered, nothing };
  struct Row {
    Said first[2], second[2];
    const char* ends;
    attest::Audit audit;
  };
  const auto u = Said::undelivered, v = Said::verdict, n = Said::nothing;
  const Row rows[] = {
      {{u, u}, {v, v}, "settled", attest::Audit::as_ordered},
      {{n, u}, {v, v}, "settled", attest::Audit::as_ordered},
      {{n, u}, {n, v}, "settled", attest::Audit::partly},
      {{n, u}, {u, n}, "settled", attest::Audit::partly},
      {{u, u}, {v, u}, "void", attest::Audit::unaudited},
      {{u, n}, {u, v}, "void", attest::Audit::unaudited},
  };
  const auto s = spec([](auto& spec) { spec.policy = Policy::all; });
  const Claim honest(s);
  const u128 supply = sum();
  for (const Row& row : rows) {
    SCOPED_TRACE(&row - rows);
    const Amount stake = scene.stake("P"), bonds{scene.bond("V").pebbles + scene.bond("W").pebbles};
    const JobId id = open(s);
    run(id, honest);
    uint64_t silent = 0, contradicted = 0;
    for (int i = 0; i < 2; i++) contradicted += row.first[i] == u && row.second[i] == v && std::string(row.ends) == "settled";
    for (const Said* said : {row.first, row.second}) {
      const uint64_t silent_before = silent;
      until(id, JobPhase::verdicts);
      const auto checks = job(id).checks;
      EXPECT_EQ(checks.size(), said == row.first ? 10u : 12u);
      for (const Check& check : checks) {
        if (check.state != CheckState::drawn) continue;
        const auto& draw = check.record.draw;
        const bool ours = draw.segment == 3 || draw.segment == 4;
        EXPECT_TRUE(ours || check.record.round == 0);
        const Said now = ours ? said[draw.segment - 3] : Said::verdict;
        silent += now == Said::nothing;
        const std::string verifier = scene.name_of(draw.verifier);
        if (now == Said::undelivered) scene.expect(verifier, ReportUndelivered{id, draw.segment});
        if (now == Said::verdict)
          scene.expect(verifier, CommitVerdict{id, draw.segment, attest::verdict_hash(hash_named("salt"), draw.verifier, id, draw.segment, honest.knowledge(draw))});
      }
      if (silent > silent_before) scene.pass(2'500);
    }
    const uint64_t fine = scene.params().verifier_silence;
    if (std::string(row.ends) == "void") {
      scene.pass(400);  // nobody is left who could be drawn a third time
      EXPECT_EQ(job(id).code, Code::undelivered);
      EXPECT_EQ(job(id).paid_provider.pebbles, 0u);
      EXPECT_EQ(scene.stake("P").pebbles, stake.pebbles - fine);
    } else {
      answer(id, honest);
      reveal(id, honest);
      scene.pass(1'200);
      EXPECT_EQ(job(id).audit, row.audit);
      EXPECT_EQ(scene.stake("P"), stake);
    }
    EXPECT_EQ(name(state(id)), row.ends);
    const uint64_t signers = std::string(row.ends) == "void" ? signers_of(id) : 0;
    EXPECT_EQ(scene.bond("V").pebbles + scene.bond("W").pebbles, bonds.pebbles - fine * (silent + signers + contradicted));
    if (!scene.state().offer(offer.as<OfferIdTag>())) offer = scene.expect("P", scene.offer());
    EXPECT_TRUE(sum() == supply);
  }
}

TEST_F(Market, ADifferingVerdictOpensAGameThatTheClockDecides) {
  const Claim lie(scene.spec(), "lie"), honest(scene.spec());
  const JobId id = open(scene.spec());
  run(id, lie);
  commit_verdicts(id, honest);
  answer(id, lie);
  const std::string verifier = scene.name_of(job(id).checks[0].record.draw.verifier);
  const Amount before = scene.balance(verifier);
  reveal(id, honest);
  EXPECT_EQ(name(state(id)), "disputed");
  ASSERT_EQ(job(id).games.size(), 1u);
  const GameId game = job(id).games[0];
  EXPECT_EQ(scene.state().balance(Holder::game(game)).pebbles, scene.params().game_fee);
  scene.expect("Q", PlayMove{game, attest::Pick{}}, Code::not_party);
  scene.expect(verifier, PlayMove{game, attest::Pick{}}, Code::wrong_turn);
  scene.expect("P", PlayMove{game, attest::Pick{}}, Code::malformed);
  scene.pass(1'200);
  EXPECT_EQ(name(state(id)), "disputed") << "the window is over, the game is not";
  scene.pass(2'000);
  EXPECT_EQ(name(state(id)), "open");
  EXPECT_TRUE(scene.state().dispute(game)->game.over());
  EXPECT_EQ(scene.state().balance(Holder::game(game)).pebbles, 0u);
  // Its own fee, a fifth of the stake; less what its transactions cost.
  EXPECT_GT(scene.balance(verifier).pebbles + 2'000u, before.pebbles + 20'000u);
  ASSERT_EQ(scene.receipts().size(), 1u);
  ASSERT_EQ(scene.receipts()[0].games.size(), 1u);
  EXPECT_TRUE(scene.receipts()[0].games[0].by_clock);
  scene.expect("P", PlayMove{game, attest::Pick{}}, Code::not_found);
}

TEST_F(Market, ChallengeTable) {
  const Claim honest(scene.spec());
  const JobId id = open(scene.spec());
  const Hash other = hash_named("other end");
  scene.expect("B", Challenge{id, 3, other, honest.segment(3)}, Code::wrong_state);
  run(id, honest);
  scene.expect("P", Challenge{id, 3, other, honest.segment(3)}, Code::self);
  scene.expect("B", Challenge{id, 10, other, honest.segment(3)}, Code::invalid);
  scene.expect("B", Challenge{id, 4, other, honest.segment(3)}, Code::proof);
  scene.expect("B", Challenge{id, 3, honest.roots[3], honest.segment(3)}, Code::invalid);
  scene.expect("B", Challenge{id, 3, other, honest.segment(3)});
  scene.expect("B", Challenge{id, 3, other, honest.segment(3)}, Code::already);
  scene.expect("C", Challenge{id, 0, other, honest.segment(0)});
  ASSERT_EQ(job(id).games.size(), 2u);
  // The provider shows one tree in each; the challengers are silent and pay. The job goes on.
  for (const GameId& game : job(id).games) {
    const auto terms = scene.state().dispute(game)->game.terms;
    std::vector<Hash> roots;
    for (uint64_t step = terms.start_step + 1; step < terms.end_step; step++) roots.push_back(hash_named("step " + std::to_string(step)));
    roots.push_back(terms.end_root);
    scene.expect("P", PlayMove{game, attest::ShowSteps{attest::tree_root(roots), attest::tree_path(roots, roots.size() - 1)}});
  }
  const Amount provider = scene.balance("P");
  check_all(id, honest);
  for (int i = 0; i < 60 && state(id) != JobState::settled; i++) scene.block({}, 200);
  EXPECT_EQ(name(state(id)), "settled");
  EXPECT_GT(scene.balance("P").pebbles + 2'000u, provider.pebbles + 100'000u + 2 * scene.params().game_fee);
}

TEST_F(Market, RejectionsThatNoStoryMeets) {
  const Claim honest(scene.spec());
  const JobId none = hash_named("no job").as<JobIdTag>();
  scene.expect("A", CancelJob{none}, Code::not_found);
  scene.expect("P", Accept{none}, Code::not_found);
  scene.expect("P", Commit{honest.commitment(none)}, Code::not_found);
  scene.expect("A", RevealSecret{none, {}}, Code::not_found);
  scene.expect("V", CommitVerdict{none, 0, {}}, Code::not_found);
  scene.expect("P", AnswerCheck{none, 0, {}, honest.segment(0)}, Code::not_found);
  scene.expect("V", RevealVerdict{none, 0, {}, {}, std::nullopt}, Code::not_found);
  scene.expect("V", ReportUndelivered{none, 0}, Code::not_found);
  scene.expect("B", Challenge{none, 0, {}, honest.segment(0)}, Code::not_found);
  scene.expect("B", PlayMove{{}, attest::Pick{}}, Code::not_found);

  // Stake that was taken back between match and Accept.
  const JobId id = open(scene.spec());
  scene.expect("P", Unstake{crn(100)});
  scene.expect("P", Accept{id}, Code::insufficient);
  scene.expect("P", Stake{crn(50)});
  run(id, honest);

  // Whoever has nothing but its fees cannot post, reserve, bond or challenge.
  scene.expect("C", Transfer{scene.id("B"), Amount{scene.balance("C").pebbles - 9'000}});
  scene.expect("C", Bond{{12'000}, "tcp://c"}, Code::insufficient);
  scene.expect("C", Challenge{id, 3, hash_named("other"), honest.segment(3)}, Code::insufficient);
  scene.expect("C", Transfer{scene.id("B"), Amount{scene.balance("C").pebbles - 2'000}});
  scene.expect("C", scene.offer(), Code::insufficient);
  scene.expect("C", Reserve{hash_named("x")}, Code::insufficient);
  scene.expect("A", Reserve{offer}, Code::already);  // the offer's deposit is held under that id

  until(id, JobPhase::verdicts);
  const auto draw = job(id).checks[0].record.draw;
  const std::string verifier = scene.name_of(draw.verifier);
  const attest::Knowledge other{hash_named("another call id"), honest.roots[draw.segment]};
  scene.expect(verifier, CommitVerdict{id, draw.segment, attest::verdict_hash({}, draw.verifier, id, draw.segment, other)});
  scene.expect(verifier, ReportUndelivered{id, draw.segment}, Code::already);
  answer(id, honest);
  scene.expect("P", AnswerCheck{id, draw.segment, {}, honest.segment(draw.segment)}, Code::wrong_state);
  scene.expect(verifier, RevealVerdict{id, draw.segment, {}, other, DrawnCall{}}, Code::proof);
  scene.expect(verifier, RevealVerdict{id, draw.segment, {}, other, std::nullopt});
  EXPECT_EQ(name(phase(id)), "window");
  scene.expect(verifier, CommitVerdict{id, draw.segment, {}}, Code::already);
  scene.pass(1'200);
  EXPECT_EQ(name(state(id)), "settled");
  scene.expect("B", Challenge{id, 3, hash_named("other"), honest.segment(3)}, Code::wrong_state);
  scene.expect("P", Accept{id}, Code::wrong_state);
}

TEST_F(Market, VerdictsAndReportsComeInTime) {
  scene.expect("W", Unbond{crn(1)});
  const auto s = spec([](auto& spec) { spec.policy = Policy::careful; });
  const Claim honest(s);
  const JobId id = open(s);
  run(id, honest);
  until(id, JobPhase::verdicts);
  const auto checks = job(id).checks;
  ASSERT_EQ(checks.size(), 5u) << "one verifier may hold several segments";
  const auto verdict = [&](size_t i) {
    const auto& draw = checks[i].record.draw;
    return CommitVerdict{id, draw.segment, attest::verdict_hash(hash_named("salt"), draw.verifier, id, draw.segment, honest.knowledge(draw))};
  };
  for (size_t i = 0; i < 3; i++) scene.expect("V", verdict(i));
  scene.pass(2'200);
  until(id, JobPhase::answers);  // nobody else to draw
  scene.expect("V", verdict(3), Code::too_late);
  scene.expect("V", ReportUndelivered{id, checks[4].record.draw.segment}, Code::too_late);
  scene.expect("P", AnswerCheck{id, checks[4].record.draw.segment, {}, honest.segment(checks[4].record.draw.segment)}, Code::wrong_state);
  answer(id, honest);
  reveal(id, honest);
  scene.pass(1'200);
  EXPECT_EQ(name(state(id)), "settled");
  EXPECT_EQ(job(id).audit, attest::Audit::partly);
  EXPECT_EQ(job(id).paid_verifiers.pebbles, 30'000u);
  EXPECT_EQ(scene.bond("V").pebbles, crn(1).pebbles - 2 * scene.params().verifier_silence);
}

TEST_F(Market, AFalseVerdictCostsBondWhenTheRefereeHasSpoken) {
  // Nobody may say "I checked" of what a game proves false: see punish_false_verdicts.
  const JobId id = open(scene.spec());
  const Claim lie(scene.spec(), "lie");
  run(id, lie);
  check_all(id, lie);  // an accomplice agrees
  Job agreed = job(id);
  const auto draw = agreed.checks[0].record.draw;
  const Amount bond = scene.bond(scene.name_of(draw.verifier));
  scene.expect("B", Challenge{id, draw.segment, hash_named("truth"), lie.segment(draw.segment)});
  scene.pass(3'500);  // the provider is silent: it loses, the verifier is not proven wrong
  EXPECT_EQ(name(state(id)), "open");
  EXPECT_EQ(scene.bond(scene.name_of(draw.verifier)), bond);
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
    scene.expect(who, Reserve{reservation_hash(body.content, scene.id(who), {})});
    return scene.expect(who, body).as<AssetIdTag>();
  };
  const AssetId base = publish("B", "base", 0, {}, {});
  const AssetId derived = publish("C", "x", 1'001, {{scene.id("C"), 2}, {scene.id("R"), 1}}, {{base, 3'000}});
  const auto s = spec([&](auto& spec) { spec.inputs[0].asset = derived; });
  EXPECT_EQ(must(quote(scene.state(), scene.params(), s)).assets.pebbles, 1'001u);
  auto wrong = s;
  wrong.inputs[0].id = hash_named("y");
  scene.expect("A", OpenJob{wrong}, Code::invalid);

  const Claim honest(s);
  const JobId id = open(s);
  run(id, honest);
  check_all(id, honest);
  const Amount b = scene.balance("B"), c = scene.balance("C"), r = scene.balance("R");
  scene.pass(1'200);
  EXPECT_EQ(name(state(id)), "settled");
  EXPECT_EQ(job(id).paid_royalties.pebbles, 1'001u);
  EXPECT_EQ(scene.balance("B").pebbles - b.pebbles, 300u);  // 30 % of 1001 = 300.3
  EXPECT_EQ(scene.balance("C").pebbles - c.pebbles, 467u);  // 2/3 of the rest
  EXPECT_EQ(scene.balance("R").pebbles - r.pebbles, 234u);  // largest remainder first

  // What the job made has the job's assets as parents, whatever anybody says.
  Publish result;
  result.kind = AssetKind::model;
  result.title = "made here";
  result.content = honest.roots.back();
  result.origin = id;
  result.price = crn(1);
  scene.expect("Q", Reserve{reservation_hash(result.content, scene.id("Q"), {})});
  scene.expect("A", Reserve{reservation_hash(result.content, scene.id("A"), {})});
  scene.expect("Q", result, Code::not_party);
  const auto made = scene.expect("A", result);
  const Asset asset = scene.state().asset(made.as<AssetIdTag>()).value();
  ASSERT_EQ(asset.parents.size(), 1u);
  EXPECT_EQ(asset.parents[0].asset, derived);
  EXPECT_EQ(asset.depth, 2);
  EXPECT_EQ(asset.split.size(), 4u);
  auto other = result;
  other.content = hash_named("something else");
  scene.expect("A", Reserve{reservation_hash(other.content, scene.id("A"), {})});
  scene.expect("A", other, Code::proof);
}

TEST_F(Market, AnEndedJobLeavesItsReceiptRootAlone) {
  const Claim honest(scene.spec());
  const JobId id = open(scene.spec());
  const Holder deposit = Holder::deposit(id.as<HashTag>());
  run(id, honest);
  check_all(id, honest);
  scene.pass(1'200);
  EXPECT_EQ(name(state(id)), "settled");
  const Amount kept = scene.state().balance(deposit), before = scene.balance("A");
  EXPECT_GT(kept.pebbles, 0u);  // it stands in state for a while yet
  scene.pass(scene.params().receipt_keep_ms);
  EXPECT_FALSE(scene.state().job(id));
  EXPECT_EQ(scene.state().balance(deposit).pebbles, 0u);
  EXPECT_EQ(scene.balance("A").pebbles - before.pebbles, kept.pebbles);
  for (const char table : {'j', 'g', 'w', 'q', 'm'}) EXPECT_EQ(scene.state().count(table), 0u) << table;
  EXPECT_EQ(scene.state().count(kReceiptTable), 1u);  // whose path TearDown checks
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
  Scene scene;
  Asset parent;
  std::vector<AssetId> line;
  for (int depth = 0; depth <= 9; depth++) {
    Asset asset;
    asset.id = hash_named("asset " + std::to_string(depth)).as<AssetIdTag>();
    asset.owner = scene.id("A");
    asset.holders = {{hash_named("holder " + std::to_string(depth)).as<AccountIdTag>(), 1}};
    for (const AssetId& id : line) asset.parents.push_back({id, 10'000});  // greedy: all of them, all of it
    const auto settled = settle_lineage(scene.state(), asset);
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
    scene.state().put(asset);
    line.push_back(asset.id);
  }
}

}  // namespace
}  // namespace cairn::ledger
