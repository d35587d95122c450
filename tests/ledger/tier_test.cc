// Jobs that are not the usual kind: native, private, with a named harm; and what a settled job says of a machine.
#include <functional>

#include "tests/ledger/market_scene.h"

namespace cairn::ledger {
namespace {

using attest::Policy;

std::vector<AccountId> sorted(std::vector<AccountId> who) {
  std::sort(who.begin(), who.end());
  return who;
}

// ---- harm ----

TEST_F(Market, AHarmIsCoveredByStakeOrNotMatched) {
  struct Row {
    uint64_t harm;
    Policy policy;
    uint64_t stake;  // what is asked, at R = 0.1 CRN; 10 segments
  };
  const Row rows[] = {
      {0, Policy::standard, 100'000},
      {10'000, Policy::standard, 100'000},           // 10,000 x 9 = 90,000: the policy asks for more
      {1'000'000, Policy::standard, 9'000'000},      // d = 1/10
      {1'000'001, Policy::careful, 1'000'001},       // d = 5/10
      {1, Policy::careful, 500'000},
      {1'000'000'000, Policy::all, 100'000},         // everything is checked: no lie passes
      {UINT64_MAX, Policy::all, 100'000},
  };
  for (const Row& row : rows) {
    const auto s = spec([&](auto& spec) {
      spec.harm = Amount{row.harm};
      spec.policy = row.policy;
    });
    const JobId id = open(s);
    ASSERT_EQ(name(state(id)), "matched") << row.harm;
    EXPECT_EQ(job(id).stake.pebbles, row.stake) << row.harm;
    scene.expect("A", CancelJob{id});
  }
  // More than the provider has: nobody fits; and what no amount can cover is refused.
  const JobId waits = open(spec([](auto& spec) { spec.harm = crn(1000); }));
  EXPECT_EQ(name(state(waits)), "open");
  scene.expect("P", Stake{crn(9000)});
  EXPECT_EQ(name(state(waits)), "matched");
  scene.expect("A", OpenJob{spec([](auto& spec) { spec.harm = Amount{UINT64_MAX}; })}, Code::limit);
}

// ---- speed ----

TEST_F(Market, JobsAreBenchmarksOfTheirMachine) {
  const auto speed = [&] { return scene.state().offer(offer.as<OfferIdTag>()).value().speed; };
  const auto s = spec([&](auto& spec) { spec.run_ms = 60'000; });
  const Claim honest(s);
  const uint64_t work = 100u * 1'000'000u;
  const auto settled_after = [&](uint64_t took_ms) {
    const JobId id = open(s);
    scene.expect("P", Accept{id});
    scene.pass(took_ms);
    scene.expect("P", Commit{honest.commitment(id)});
    check_all(id, honest);
    scene.pass(1'200);
    EXPECT_EQ(name(state(id)), "settled");
    return ms(job(id).committed) - ms(job(id).accepted);
  };
  settled_after(0);
  EXPECT_EQ(speed(), 0u) << "that was mostly waiting for blocks";
  const uint64_t took_ms = settled_after(20 * scene.params().interval_ms);
  EXPECT_EQ(speed(), work / took_ms);

  // A job that this machine could not do in its time is not matched with it; a little more time, and it is.
  auto slow = spec([&](auto& spec) {
    spec.steps = 1000;
    spec.interval = 100;
    spec.run_ms = 10 * work / speed() / 2;
  });
  EXPECT_EQ(name(state(open(slow))), "open");
  slow.run_ms = 10 * work / speed() + 1;
  const JobId late = open(slow);
  ASSERT_EQ(name(state(late)), "matched");

  // It misses the deadline: that costs the lateness bond, and says that it is slower than it was asked to be.
  const uint64_t before = speed();
  const Amount requester = scene.balance("A"), reward = job(late).reward;
  scene.expect("P", Accept{late});
  scene.pass(slow.run_ms + 200);
  EXPECT_EQ(scene.balance("A").pebbles, requester.pebbles + reward.pebbles / 10);
  EXPECT_LE(speed(), (10 * work - 1) / slow.run_ms);
  EXPECT_LE(speed(), before);
  const JobId again = open(slow);
  EXPECT_EQ(name(state(again)), "open") << "not for the same again";
}

// ---- native ----

class Native : public Market {
 protected:
  void SetUp() override {
    Market::SetUp();
    auto fast = scene.offer();
    fast.native = true;
    scene.expect("Q", Stake{crn(100)});
    scene.expect("Q", fast);
    native = spec([&](auto& spec) {
      spec.tier = attest::Tier::native;
      spec.judges = sorted({scene.id("B"), scene.id("C"), scene.id("R")});
    });
  }
  attest::JobSpec native;
};

// A private one has no games: consent opens nothing, whatever its judges have said.
TEST_F(Native, NothingIsOpenedByConsent) {
  const Hash key = hash_named("key");
  native.viewers = attest::Viewers{{scene.id("Q")}, {}, attest::private_key_hash(key)};
  const JobId id = open(native);
  run(id, Claim(native));
  until(id, JobPhase::verdicts);
  scene.expect("A", Consent{id, key}, Code::wrong_state);
  scene.expect("B", Judge{id, false});
  scene.expect("A", Consent{id, key}, Code::wrong_state);
  scene.expect("C", Judge{id, true});
  scene.expect("R", Judge{id, true});
  EXPECT_EQ(name(state(id)), "settled");
}

TEST_F(Native, MajorityOfJudgesDecidesPayAndNeverStake) {
  struct Row {
    const char* says;  // of B, C, R: + pays, - does not, . nothing
    bool require_audit;
    const char* ends;
    attest::Audit audit;
  };
  const Row rows[] = {
      {"+++", false, "settled", attest::Audit::judged},   {"++-", false, "settled", attest::Audit::judged},
      {"+..", false, "settled", attest::Audit::judged},   {"-..", false, "settled", attest::Audit::judged},
      {"+-.", true, "settled", attest::Audit::judged},    {"...", false, "settled", attest::Audit::unaudited},
      {"...", true, "void", attest::Audit::unaudited},    {"--+", false, "void", attest::Audit::judged},
      {"--.", false, "void", attest::Audit::judged},      {"---", false, "void", attest::Audit::judged},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.says);
    native.require_audit = row.require_audit;
    const Amount stake = scene.stake("Q");
    const u128 supply = sum();
    const JobId id = open(native);
    ASSERT_EQ(job(id).provider, scene.id("Q")) << "P takes exact jobs only";
    EXPECT_EQ(job(id).stake.pebbles, 10'000u) << "what a missed deadline costs";
    run(id, Claim(native));
    until(id, JobPhase::verdicts);
    ASSERT_EQ(job(id).checks.size(), 3u) << "one drawn segment, every judge";
    scene.expect("V", Judge{id, true}, Code::not_party);
    const auto draw = job(id).checks[0].record.draw;
    scene.expect(scene.name_of(draw.verifier), CommitVerdict{id, draw.segment, {}}, Code::not_party);
    scene.expect(scene.name_of(draw.verifier), ReportUndelivered{id, draw.segment}, Code::not_party);
    scene.expect("A", Challenge{id, 3, hash_named("other"), Claim(native).segment(3)}, Code::wrong_state);
    uint64_t spoke = 0;
    const Amount before{scene.balance("B").pebbles + scene.balance("C").pebbles + scene.balance("R").pebbles};
    const std::string who[] = {"B", "C", "R"};
    for (int i = 0; i < 3; i++) {
      if (row.says[i] == '.') continue;
      scene.expect(who[i], Judge{id, row.says[i] == '+'});
      spoke++;
      if (!is_terminal(state(id))) scene.expect(who[i], Judge{id, true}, Code::already);
    }
    for (int i = 0; i < 60 && !is_terminal(state(id)); i++) scene.block({}, 200);
    EXPECT_EQ(name(state(id)), row.ends);
    EXPECT_EQ(scene.receipts().back().audit, row.audit);
    EXPECT_EQ(scene.stake("Q"), stake);
    EXPECT_EQ(job(id).paid_provider.pebbles, std::string(row.ends) == "settled" ? 100'000u : 0u);
    if (row.require_audit == false || spoke > 0) {
      EXPECT_EQ(job(id).paid_verifiers.pebbles, 10'000u * spoke);
      EXPECT_LT(before.pebbles, scene.balance("B").pebbles + scene.balance("C").pebbles + scene.balance("R").pebbles + 10'000u);
    }
    EXPECT_TRUE(sum() == supply);
  }
}

// Eighty deadlines of one block, each of which pays to 512 owners: some wait for the next.
TEST_F(Native, WhatTimeChangesInABlockIsBounded) {
  const auto publish = [&](const Hash& content) {
    Asset asset;
    asset.id = content.as<AssetIdTag>();
    asset.content = content;
    asset.price = Amount{256'000};
    for (uint64_t i = 0; i < 256; i++) asset.split.push_back({hash_of(content.hex(), i).as<AccountIdTag>(), 1});
    scene.state().put(asset);
    return asset.id;
  };
  native.program_asset = publish(native.program);
  native.inputs.at(0).asset = publish(native.inputs[0].id);
  scene.app().committed(scene.app().head());
  auto wide = scene.offer(1);
  wide.native = true;
  wide.jobs_max = 80;
  scene.expect("R", Stake{crn(100)});
  scene.expect("R", wide);

  std::vector<JobId> jobs(80);
  const auto all = [&](const std::string& who, auto body) {
    scene.all_at_once(jobs, [&](const JobId& id) { return std::pair(who, Body(body(id))); });
  };
  all("A", [&](const JobId&) { return OpenJob{native}; });
  for (size_t i = 0; i < jobs.size(); i++) jobs[i] = scene.blocks().back().results.at(i).id.as<JobIdTag>();
  all("R", [](const JobId& id) { return Accept{id}; });
  all("R", [&](const JobId& id) { return Commit{Claim(native).commitment(id)}; });
  const auto settled = [&] { return std::ranges::count_if(jobs, [&](const JobId& id) { return state(id) == JobState::settled; }); };
  for (int i = 0; i < 60 && settled() == 0; i++) scene.block({}, 200);
  EXPECT_GE(settled(), 40);
  EXPECT_LT(settled(), 80);
  scene.block({}, 200);
  EXPECT_EQ(settled(), 80);
}

TEST_F(Native, WhatIsRefusedAtSubmit) {
  const auto refused = [&](auto change) {
    auto s = native;
    change(s);
    scene.expect("A", OpenJob{s}, Code::invalid);
  };
  refused([](auto& s) { s.judges.clear(); });
  refused([](auto& s) { s.judges.pop_back(); });
  refused([](auto& s) { std::swap(s.judges[0], s.judges[1]); });
  refused([](auto& s) { s.harm = crn(1); });
  refused([](auto& s) { s.tier = attest::Tier::exact; });
  auto late = native;
  const JobId id = open(late);
  scene.expect("Q", Accept{id});
  const Amount before = scene.balance("A");
  scene.pass(5'200);
  EXPECT_EQ(scene.balance("A").pebbles, before.pebbles + 10'000u) << "a native job's stake is its lateness bond";
}

// ---- private ----

class Private : public Market {
 protected:
  void SetUp() override {
    Market::SetUp();
    scene.expect("B", Bond{crn(1), "tcp://b"});
    secret = spec([&](auto& spec) { spec.viewers = attest::Viewers{{scene.id("P")}, sorted({scene.id("V"), scene.id("W")}), attest::private_key_hash(key)}; });
    honest = std::make_unique<Claim>(secret);
  }
  // Verdicts by name; reveals of those that committed.
  void say(const JobId& id, const std::map<std::string, const Claim*>& verdicts, const Claim& committed, const std::function<void()>& after_each_reveal = {}) {
    until(id, JobPhase::verdicts);
    ASSERT_EQ(job(id).checks.size(), 2u) << "two of the jury for the one segment";
    const auto checks = job(id).checks;
    EXPECT_EQ(checks[0].record.draw.step, checks[1].record.draw.step) << "they look at the same call";
    EXPECT_EQ(checks[0].record.draw.work_offset, checks[1].record.draw.work_offset);
    const auto salt = hash_named("salt");
    for (const Check& check : checks) {
      const auto& draw = check.record.draw;
      if (const Claim* theirs = verdicts.at(scene.name_of(draw.verifier)))
        scene.expect(scene.name_of(draw.verifier),
                     CommitVerdict{id, draw.segment, attest::verdict_hash(salt, draw.verifier, id, draw.segment, theirs->knowledge(draw))});
    }
    until(id, JobPhase::answers);  // at once when both have spoken
    const auto& draw = checks[0].record.draw;
    scene.expect("P", AnswerCheck{id, draw.segment, committed.call_id(draw), committed.segment(draw.segment)});
    scene.expect("P", AnswerCheck{id, draw.segment, committed.call_id(draw), committed.segment(draw.segment)},
                 Code::wrong_state);  // one answer serves both, and the reveals have begun
    for (const Check& check : checks) {
      if (const Claim* theirs = verdicts.at(scene.name_of(check.record.draw.verifier)))
        scene.expect(scene.name_of(check.record.draw.verifier),
                     RevealVerdict{id, draw.segment, salt, theirs->knowledge(check.record.draw), std::nullopt});
      if (after_each_reveal) after_each_reveal();
    }
  }
  const Hash key = hash_named("key");
  attest::JobSpec secret;
  std::unique_ptr<Claim> honest;
};

TEST_F(Private, OnlyNamedProvidersAndVerifiers) {
  scene.expect("Q", Stake{crn(100)});
  scene.expect("Q", scene.offer(1));  // cheapest, but not named
  const JobId id = open(secret);
  EXPECT_EQ(job(id).provider, scene.id("P"));
  run(id, *honest);
  scene.expect("C", Challenge{id, 3, hash_named("other"), honest->segment(3)}, Code::not_party);
  say(id, {{"V", honest.get()}, {"W", honest.get()}}, *honest);
  scene.pass(1'200);
  EXPECT_EQ(name(state(id)), "settled");
  EXPECT_EQ(job(id).audit, attest::Audit::as_ordered);
  EXPECT_EQ(job(id).paid_verifiers.pebbles, 20'000u);
  attest::Receipt receipt;
  receipt.body = scene.receipts().back();
  receipt.header = scene.app().head();
  receipt.path = scene.app().prove(attest::receipt_place(id, 0));
  for (const auto& draw : receipt.body.draws) receipt.draw_headers.push_back(scene.blocks().at(number(draw.height) - 1).header);
  const auto findings = attest::examine(receipt, scene.app().genesis());
  EXPECT_TRUE(std::any_of(findings.begin(), findings.end(), [](const auto& f) { return f.what == "private"; }));
}

TEST_F(Private, AJuryThatAgreesSlashesWithoutAnOpening) {
  const Claim lie(secret, "lie");
  const JobId id = open(secret);
  run(id, lie);
  say(id, {{"V", honest.get()}, {"W", honest.get()}}, lie);
  EXPECT_EQ(name(state(id)), "open");
  EXPECT_EQ(scene.stake("P").pebbles, crn(100).pebbles - 100'000u);
  EXPECT_EQ(scene.receipts().back().state, attest::Ended::slashed);
  EXPECT_TRUE(scene.receipts().back().games.empty());
  EXPECT_EQ(scene.count_events("game.opened"), 0u);
}

TEST_F(Private, AJuryThatDisagreesIsVoidUnlessTheOwnerConsents) {
  const Claim lie(secret, "lie"), other(secret, "other");
  struct Row {
    const Claim *v, *w;
  };
  for (const bool consent : {false, true})
    for (const Row row : {Row{honest.get(), &lie}, Row{&other, &lie}, Row{honest.get(), nullptr}}) {
      const JobId id = open(secret);
      ASSERT_EQ(name(state(id)), "matched");
      const Amount stake = scene.stake("P");
      scene.expect("A", Consent{id, key}, Code::wrong_state);
      run(id, lie);
      say(id, {{"V", row.v}, {"W", row.w}}, lie);
      for (int i = 0; i < 100 && phase(id) != JobPhase::consent && !is_terminal(state(id)); i++) scene.block({}, 200);
      ASSERT_EQ(name(phase(id)), "consent");
      EXPECT_TRUE(job(id).games.empty());
      scene.expect("B", Consent{id, key}, Code::not_party);
      scene.expect("A", Consent{id, hash_named("another")}, Code::invalid);
      scene.expect("A", Challenge{id, 3, hash_named("other"), lie.segment(3)}, Code::wrong_state);
      if (!consent) {
        scene.pass(3'200);
        EXPECT_EQ(name(state(id)), "void");
        EXPECT_EQ(job(id).fault, attest::Blame::none);
        EXPECT_EQ(scene.stake("P"), stake);
        continue;
      }
      scene.expect("A", Consent{id, key});
      scene.expect("A", Consent{id, key}, Code::already);
      EXPECT_GE(job(id).games.size(), 1u);
      EXPECT_EQ(scene.state().dispute(job(id).games[0])->game.terms.key, key);
      scene.pass(3'200);  // the provider has nothing to show
      EXPECT_EQ(scene.receipts().back().state, attest::Ended::slashed);
      scene.expect("A", CancelJob{id});
      offer = scene.expect("P", scene.offer());
    }
}

TEST_F(Private, ConsentGivenBeforehandMakesAGameOfWhatDiffers) {
  const Claim lie(secret, "lie");
  const JobId id = open(secret);
  run(id, lie);
  scene.expect("A", Consent{id, key});
  scene.expect("A", Challenge{id, 3, hash_named("other"), lie.segment(3)});
  EXPECT_EQ(job(id).games.size(), 1u);
  say(id, {{"V", honest.get()}, {"W", &lie}}, lie);
  EXPECT_EQ(job(id).games.size(), 2u);
}

// What was revealed before the owner consents counts as much as what is revealed after.
TEST_F(Private, ConsentBetweenTwoRevealsOpensWhatDiffersAlready) {
  const Claim lie(secret, "lie");
  const JobId id = open(secret);
  run(id, lie);
  size_t reveals = 0;
  say(id, {{"V", honest.get()}, {"W", honest.get()}}, lie, [&] {
    if (reveals++ == 0) scene.expect("A", Consent{id, key});
    EXPECT_EQ(job(id).games.size(), reveals);
  });
  scene.pass(3'200);  // the provider has nothing to show
  EXPECT_EQ(scene.receipts().back().state, attest::Ended::slashed);
}

TEST_F(Private, WhatIsRefusedAtSubmit) {
  for (const bool no_key : {false, true}) {
    auto bad = secret;
    if (no_key) bad.viewers->key_hash = {};
    else bad.inputs[0].asset = hash_named("asset").as<AssetIdTag>();
    scene.expect("A", OpenJob{bad}, Code::invalid);
  }
}

}  // namespace
}  // namespace cairn::ledger
