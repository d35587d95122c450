// The state as a whole: its tree, its journal, its sums; blocks replayed, dropped and resumed.
#include <random>

#include "tests/ledger/scene.h"

namespace cairn::ledger {
namespace {

std::map<std::string, std::string> records_of(const State& state) {
  std::map<std::string, std::string> out;
  state.each({}, {}, [&](ByteSpan key, ByteSpan value) {
    out.emplace(std::string(key.begin(), key.end()), std::string(value.begin(), value.end()));
    return true;
  });
  return out;
}

// A view in which one byte of one record is another.
class Damaged final : public View {
 public:
  explicit Damaged(const View& whole) : whole_(whole) {}
  std::optional<Bytes> record(ByteSpan key) const override { return whole_.record(key); }
  std::optional<Bytes> page(uint64_t number) const override { return whole_.page(number); }
  void records(ByteSpan from, const Visit& visit) const override {
    bool first = true;
    whole_.records(from, [&](ByteSpan key, ByteSpan value) {
      Bytes copy(value.begin(), value.end());
      if (std::exchange(first, false)) copy.back() ^= 1;
      return visit(key, copy);
    });
  }

 private:
  const View& whole_;
};

TEST(State, UndoBringsBackEveryByte) {
  Scene scene;
  scene.expect("P", Stake{crn(5)});
  const auto before = records_of(scene.state());
  const size_t mark = scene.state().mark();
  must(scene.state().move(Holder::account(scene.id("A")), Holder::account(scene.id("B")), crn(1'000'000)));
  scene.state().arm(Due::job, {}, ChainTime{5}, 7);
  scene.state().erase(Account{scene.id("P"), {}, 0});
  EXPECT_NE(before, records_of(scene.state()));
  scene.state().undo(mark);
  EXPECT_EQ(before, records_of(scene.state()));
}

// A scan of a queue does not begin before the first record that the last one met; what is put there later is met all the same.
TEST(State, AQueueIsReadFromItsFrontWhereverThatMoves) {
  class Counting final : public View {
   public:
    std::optional<Bytes> record(ByteSpan key) const override { return memory.record(key); }
    std::optional<Bytes> page(uint64_t) const override { return std::nullopt; }
    void records(ByteSpan from, const Visit& visit) const override {
      scans++;
      begun_at.assign(from.begin(), from.end());
      memory.records(from, visit);
    }
    MemoryView memory;
    mutable size_t scans = 0;
    mutable Bytes begun_at;
  };
  Counting view;
  State state(view);
  const auto commit = [&] {
    view.memory.apply(state.changes(), {});
    state.committed(view);
  };
  const auto first = [&]() -> uint64_t {
    const auto all = state.all<Deadline>(make_key('d'), 1);
    return all.empty() ? 0 : all.front().timer.seq;
  };
  EXPECT_EQ(first(), 0u);
  EXPECT_EQ(first(), 0u);
  EXPECT_EQ(view.scans, 1u) << "the view is known to have none";
  Timer five = state.arm(Due::job, {}, ChainTime{5}, 5), seven = state.arm(Due::job, {}, ChainTime{7}, 7);
  EXPECT_EQ(first(), 5u);
  commit();
  EXPECT_EQ(first(), 5u);
  state.disarm(five);
  EXPECT_EQ(first(), 7u);
  commit();
  EXPECT_EQ(first(), 7u);
  EXPECT_EQ(first(), 7u);
  EXPECT_EQ(view.begun_at, key_of(Deadline{seven, Due::job, {}}));
  const size_t mark = state.mark();
  state.arm(Due::job, {}, ChainTime{3}, 3);
  EXPECT_EQ(first(), 3u);
  state.undo(mark);
  EXPECT_EQ(first(), 7u);
  state.arm(Due::job, {}, ChainTime{6}, 6);
  commit();
  EXPECT_EQ(first(), 6u);
  EXPECT_EQ(state.count('d'), 2u);
  EXPECT_EQ(state.count('q'), 0u);

  // Another that only follows.
  State follower(view);
  EXPECT_EQ(follower.all<Deadline>(make_key('d'), 1).front().timer.seq, 6u);
  state.arm(Due::job, {}, ChainTime{4}, 4);
  const auto changes = state.changes();
  commit();
  follower.follow(view, changes);
  EXPECT_EQ(follower.all<Deadline>(make_key('d'), 1).front().timer.seq, 4u);
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
        const auto done_again = must(again.finalize(proposal_of(block)));
        ASSERT_EQ(encode(done_again.header), encode(header));
        if (time == 0) again.dropped();
      }
      again.committed(block.header);
    }
    EXPECT_EQ(records_of(again.state()), records_of(scene.state()));

    // And so does an app that wakes up in the middle with what was stored.
    auto stored = std::make_shared<MemoryView>();
    App writer(scene.app().genesis());
    must(writer.init());
    for (const Block& block : scene.blocks()) {
      must(writer.finalize(proposal_of(block)));
      const auto changes = writer.changes();
      stored->apply(changes.records, changes.pages);
      writer.committed(block.header, stored);
    }
    App resumed(scene.app().genesis());
    EXPECT_TRUE(resumed.resume(scene.app().head(), stored));
    EXPECT_EQ(records_of(resumed.state()), records_of(scene.state()));
    EXPECT_TRUE(check_state(*stored, scene.app().genesis(), scene.app().head()));
    EXPECT_EQ(check_state(Damaged(*stored), scene.app().genesis(), scene.app().head()).error().code, Code::internal);
    attest::SignedHeader another = scene.app().head();
    another.header.state_root.v[0] ^= 1;
    EXPECT_EQ(App(scene.app().genesis()).resume(another, stored).error().code, Code::internal);
  }
  EXPECT_GT(settled, 0u);
  EXPECT_GT(slashed, 0u);
  EXPECT_GT(done, 400u);
}

}  // namespace
}  // namespace cairn::ledger
