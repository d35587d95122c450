// The state as a whole: its tree, its journal, its sums; blocks replayed, dropped and resumed.
#include <random>

#include "tests/ledger/scene.h"

namespace cairn::ledger {
namespace {

TEST(StateTree, SameRootsAndProofsAsTheWholeMap) {
  std::mt19937_64 rng(1);
  StateTree tree;
  std::map<Hash, Hash> entries;
  EXPECT_TRUE(tree.root().is_zero());
  for (int round = 0; round < 400; round++) {
    const Hash key = hash_named("key " + std::to_string(rng() % 150));
    if (rng() % 3 == 0) {
      tree.erase(key);
      entries.erase(key);
    } else {
      const Hash value = hash_named("value " + std::to_string(rng() % 5));
      tree.set(key, value);
      entries[key] = value;
    }
    std::vector<attest::MapEntry> sorted;
    for (const auto& [k, v] : entries) sorted.push_back({k, v});
    ASSERT_EQ(tree.root(), attest::map_root(sorted));
    const Hash probe = hash_named("key " + std::to_string(rng() % 150));
    const auto proof = tree.prove(probe);
    EXPECT_EQ(encode(proof), encode(attest::map_prove(sorted, probe)));
    if (const auto at = entries.find(probe); at != entries.end()) {
      EXPECT_TRUE(attest::check_present(tree.root(), {probe, at->second}, proof));
    } else {
      EXPECT_TRUE(attest::check_absent(tree.root(), probe, proof));
    }
  }
}

TEST(State, UndoBringsBackEveryByte) {
  Scene scene;
  scene.expect("P", Stake{crn(5)});
  const auto before = scene.state().map();
  const size_t mark = scene.state().mark();
  must(scene.state().move(Holder::account(scene.id("A")), Holder::account(scene.id("B")), crn(1'000'000)));
  scene.state().arm(Due::job, {}, ChainTime{5}, 7);
  scene.state().erase(Account{scene.id("P"), {}, 0});
  EXPECT_NE(before, scene.state().map());
  scene.state().undo(mark);
  EXPECT_EQ(before, scene.state().map());
}

TEST(State, MoveRefusesWhatIsNotThereAndKeepsTheSum) {
  Scene scene;
  const Holder a = Holder::account(scene.id("A")), b = Holder::account(scene.id("B"));
  State& state = scene.state();
  const u128 sum = state.supply();
  EXPECT_EQ(state.move(a, b, crn(1'000'001)).error().code, Code::insufficient);
  EXPECT_TRUE(state.move(a, a, crn(1'000'000)));
  EXPECT_TRUE(state.move(a, b, crn(1'000'000)));
  EXPECT_TRUE(state.move(a, b, {0}));
  EXPECT_FALSE(state.find<Holding>(key_of(a, {})));
  EXPECT_EQ(state.move_up_to(b, a, crn(9'000'000)), crn(2'000'000));
  EXPECT_TRUE(state.supply() == sum);
}

// A random village: everybody does anything at any time, most of it refused.
class Village {
 public:
  explicit Village(uint64_t random) : scene({"A", "B", "C", "P", "Q", "R", "V", "W"}, params()), rng_(random) {}
  static attest::ChainParams params() {
    attest::ChainParams params = Scene::quick_params();
    params.interval_ms = 200;
    params.receipt_keep_ms = 20'000;
    return params;
  }

  Body anything() {
    const auto names = {"A", "B", "C", "P", "Q", "R", "V", "W"};
    const auto someone = [&] { return scene.id(*(names.begin() + roll(8))); };
    const auto amount = [&] { return Amount{roll(4) == 0 ? rng_() : roll(3'000'000)}; };
    std::vector<JobId> jobs;
    scene.state().scan<Job>(make_key('j'), [&](const Job& job) { jobs.push_back(job.id); return true; });
    const JobId job = jobs.empty() ? JobId{} : jobs[roll(jobs.size())];
    const auto record = scene.state().job(job);
    attest::JobSpec spec = record ? record->spec : scene.spec();
    const Claim claim(spec, roll(8) == 0 ? "lie" : "honest");
    const uint64_t segment = record && !record->checks.empty() && roll(10) != 0
                                 ? record->checks[roll(record->checks.size())].record.draw.segment
                                 : roll(spec.segments());
    attest::DrawnCheck draw;
    if (record)
      for (const Check& check : record->checks)
        if (check.record.draw.segment == segment) draw = check.record.draw;
    switch (roll(24)) {
      case 0: return Transfer{someone(), amount()};
      case 1: return Stake{amount()};
      case 2: return Unstake{amount()};
      case 3: return Bond{amount(), "tcp://x"};
      case 4: return Unbond{amount()};
      case 5: case 6: {
        auto offer = scene.offer((1 + roll(4)) * 500'000'000'000'000);
        offer.jobs_max = 1 + static_cast<uint32_t>(roll(3));
        offer.expiry = after(scene.now(), 500 + roll(20'000));
        if (roll(2) == 0) offer.payee = someone();
        return offer;
      }
      case 7: case 8: {
        attest::JobSpec fresh = scene.spec();
        fresh.policy = static_cast<attest::Policy>(1 + roll(4));
        fresh.require_audit = roll(4) == 0;
        std::vector<AssetId> assets;
        scene.state().scan<Asset>(make_key('s'), [&](const Asset& a) { assets.push_back(a.id); return true; });
        if (!assets.empty() && roll(2) == 0) {
          const Asset asset = scene.state().asset(assets[roll(assets.size())]).value();
          fresh.inputs.push_back({"asset", asset.content, asset.id});
        }
        if (roll(2) == 0) fresh.secret_hash = tagged_hash("cairn.secret.v1", {hash_named("secret").span()});
        return OpenJob{fresh};
      }
      case 9: return CancelJob{job};
      case 10: case 11: return Accept{job};
      case 12: case 13: return Commit{claim.commitment(job)};
      case 14: return RevealSecret{job, hash_named("secret")};
      case 15: case 16:
        return CommitVerdict{job, segment, attest::verdict_hash(hash_named("salt"), draw.verifier, job, segment, claim.knowledge(draw))};
      case 17: case 18: return AnswerCheck{job, segment, claim.call_id(draw), claim.segment(segment)};
      case 19: return RevealVerdict{job, segment, hash_named("salt"), claim.knowledge(draw), std::nullopt};
      case 20: return Challenge{job, segment, hash_named("mine"), claim.segment(segment)};
      case 21: return Reserve{reservation_hash(hash_named("content " + std::to_string(roll(6))), someone(), {})};
      case 22: {
        Publish publish;
        publish.kind = AssetKind::model;
        publish.title = "t";
        publish.content = hash_named("content " + std::to_string(roll(6)));
        publish.price = Amount{roll(100'000)};
        for (uint64_t i = roll(4); i > 0; i--) publish.holders.push_back({someone(), 1 + roll(9)});
        scene.state().scan<Asset>(make_key('s'), [&](const Asset& a) {
          if (roll(3) == 0) publish.parents.push_back({a.id, 1 + static_cast<uint32_t>(roll(9'000))});
          return true;
        });
        return publish;
      }
      default: return ReportUndelivered{job, segment};
    }
  }
  std::string whoever(const Body& body) {
    // Mostly whose turn it is, else anybody.
    if (roll(6) != 0) {
      const auto party = [&](const JobId& id, bool provider) -> std::string {
        const auto job = scene.state().job(id);
        return job ? scene.name_of(provider ? job->provider : job->requester) : "?";
      };
      std::string name = "?";
      if (const auto* b = std::get_if<Accept>(&body)) name = party(b->job, true);
      if (const auto* b = std::get_if<Commit>(&body)) name = party(b->commitment.job, true);
      if (const auto* b = std::get_if<AnswerCheck>(&body)) name = party(b->job, true);
      if (const auto* b = std::get_if<RevealSecret>(&body)) name = party(b->job, false);
      const auto drawn = [&](const JobId& id, uint64_t segment) {
        if (const auto job = scene.state().job(id))
          for (const Check& check : job->checks)
            if (check.record.draw.segment == segment) name = scene.name_of(check.record.draw.verifier);
      };
      if (const auto* b = std::get_if<CommitVerdict>(&body)) drawn(b->job, b->segment);
      if (const auto* b = std::get_if<RevealVerdict>(&body)) drawn(b->job, b->segment);
      if (const auto* b = std::get_if<ReportUndelivered>(&body); b && roll(4) == 0) drawn(b->job, b->segment);
      if (name != "?") return name;
    }
    const auto names = {"A", "B", "C", "P", "Q", "R", "V", "W"};
    return *(names.begin() + roll(8));
  }
  uint64_t roll(uint64_t n) { return rng_() % n; }

  Scene scene;

 private:
  std::mt19937_64 rng_;
};

TEST(State, RandomVillagesLoseNothingAndReplayToTheSameRoots) {
  size_t settled = 0, slashed = 0, done = 0;
  for (uint64_t random = 1; random <= 3; random++) {
    Village village(random);
    Scene& scene = village.scene;
    const u128 supply = scene.state().supply();
    scene.expect("P", Stake{crn(10)});
    scene.expect("V", Bond{crn(1), "tcp://v"});
    scene.expect("W", Bond{crn(1), "tcp://w"});
    for (int i = 0; i < 500; i++) {
      const Body body = village.anything();
      done += scene.send(village.whoever(body), body).code == kOk;
      if (i % 40 == 39) scene.pass(village.roll(3'000));
    }
    ASSERT_TRUE(scene.state().supply() == supply);
    settled += scene.count_events("job.settled");
    slashed += scene.count_events("job.slashed");

    // Everything that waits comes to an end by itself, and leaves nothing locked.
    scene.pass(60'000);
    EXPECT_FALSE(scene.state().any('d') || scene.state().any('q'));
    scene.state().scan<Holding>(make_key('h'), [&](const Holding& holding) {
      EXPECT_NE(holding.holder.kind, HolderKind::game);
      EXPECT_NE(holding.holder.kind, HolderKind::job_stake);
      EXPECT_NE(holding.holder.kind, HolderKind::unbonding);
      if (holding.holder.kind == HolderKind::escrow) {
        EXPECT_EQ(name(scene.state().job(holding.holder.id.as<JobIdTag>())->state), "open");
      }
      return true;
    });
    ASSERT_TRUE(scene.state().supply() == supply);

    const auto checked = scene.check_receipts();
    EXPECT_TRUE(checked) << checked.error().text;

    // The same blocks on a fresh app, each finalized twice, give the same bytes at every height.
    App again(scene.app().genesis());
    must(again.init());
    for (const Block& block : scene.blocks()) {
      const auto& header = block.header.header;
      for (int time = 0; time < 2; time++) {
        const auto done_again = must(again.finalize(header.height, header.wall_ms, header.beacon, block.transactions));
        ASSERT_EQ(encode(done_again.header), encode(header));
        if (time == 0) again.dropped();
      }
      again.committed(block.header);
    }
    EXPECT_EQ(again.state().map(), scene.state().map());

    // And so does an app that wakes up in the middle with what was stored.
    App resumed(scene.app().genesis());
    for (const auto& [key, value] : scene.state().map()) resumed.state().load(key, value);
    EXPECT_TRUE(resumed.resume(scene.app().head()));
    App damaged(scene.app().genesis());
    bool first = true;
    for (auto [key, value] : scene.state().map()) {
      if (std::exchange(first, false)) value.back() ^= 1;
      damaged.state().load(key, value);
    }
    EXPECT_EQ(damaged.resume(scene.app().head()).error().code, Code::internal);
  }
  EXPECT_GT(settled, 0u);
  EXPECT_GT(slashed, 0u);
  EXPECT_GT(done, 400u);
}

}  // namespace
}  // namespace cairn::ledger
