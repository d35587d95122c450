// Matching: event-driven, complete, and bounded in each block however many offers there are.
#include "ledger/market.h"

#include <random>

#include "tests/ledger/scene.h"

namespace cairn::ledger {
namespace {

// Stands `count` offers of an account on the book, as if they had been posted long ago and all searches were over.
void load_offers(Scene& scene, const std::string& owner, uint64_t count, uint64_t price) {
  for (uint64_t i = 0; i < count; i++) {
    Offer offer;
    offer.id = hash_named(owner + std::to_string(i)).as<OfferIdTag>();
    offer.owner = offer.payee = scene.id(owner);
    offer.price = Amount{price + i};
    offer.memory_bytes = 1'000'000;
    offer.policies = {attest::Policy::standard};
    offer.seq = 1'000 + i;
    offer.expiry.due = ChainTime{UINT64_MAX};
    scene.state().put(offer);
    scene.state().put(BookEntry{offer.klass, offer.price, offer.seq, offer.id});
    scene.state().put(OwnedOffer{offer.owner, offer.seq, offer.id});
  }
  scene.app().committed(scene.app().head());
}

uint64_t blocks_until_quiet(Scene& scene) {
  uint64_t blocks = 0;
  for (; scene.state().any('m'); blocks++) scene.block();
  return blocks;
}

TEST(Matching, WorkPerBlockIsBoundedAmongAHundredThousandOffers) {
  constexpr uint64_t kOffers = 100'000;
  Scene scene;
  scene.expect("P", Stake{crn(100)});
  scene.expect("P", scene.offer());  // dearer than the others, and the only one with stake
  load_offers(scene, "Q", kOffers, 500'000'000'000'000);
  const uint64_t looks = scene.params().max_looks_per_block;

  const JobId job = scene.expect("A", OpenJob{scene.spec()}).as<JobIdTag>();
  EXPECT_EQ(name(scene.job(job.as<HashTag>()).state), "open");
  EXPECT_TRUE(scene.app().pending());       // blocks come while a search is on
  const uint64_t blocks = 1 + blocks_until_quiet(scene);
  EXPECT_EQ(name(scene.job(job.as<HashTag>()).state), "matched");
  EXPECT_EQ(scene.name_of(scene.job(job.as<HashTag>()).provider), "P");
  EXPECT_GE(blocks, kOffers / looks);
  EXPECT_LE(blocks, kOffers / looks + 2);

  // Stake that grows lets all offers of its account seek jobs: a hundred thousand searches, not in one block.
  scene.expect("Q", Stake{{1}});
  EXPECT_LE(scene.state().count('m'), looks + 1);
  EXPECT_GE(1 + blocks_until_quiet(scene), 2 * kOffers / looks);

  // A flood of events in one block takes no more looks than one: they wait their turn.
  std::vector<Bytes> flood;
  for (uint64_t i = 0; i < 200; i++) {
    Transaction tx = scene.draft("B", OpenJob{scene.spec()});
    tx.nonce += i;
    sign(tx, scene.actor("B").key, 1);
    flood.push_back(encode(tx));
  }
  for (const auto& result : scene.block(flood)) EXPECT_EQ(code_name(result.code), "ok");
  EXPECT_EQ(scene.state().count('m'), 200u);  // not even the first is over: it has looked at a few thousand offers
}

// Who asks again begins anew at the end, and a search has its turn like any other.
TEST(Matching, NobodyHasTwoPlacesAndALongSearchLetsOthersPass) {
  constexpr uint64_t kOffers = 20'000;
  Scene scene;
  auto offer = scene.offer();
  offer.klass.numeric = attest::NumericClass::int3;
  scene.expect("P", Stake{crn(100)});
  scene.expect("P", offer);
  load_offers(scene, "Q", kOffers, 500'000'000'000'000);
  const JobId longest = scene.expect("A", OpenJob{scene.spec()}).as<JobIdTag>();  // nobody who offers has stake
  EXPECT_EQ(scene.state().count('m'), 1u);
  auto spec = scene.spec();
  spec.klass = offer.klass;
  const JobId other = scene.expect("B", OpenJob{spec}).as<JobIdTag>();
  EXPECT_EQ(name(scene.job(other.as<HashTag>()).state), "matched") << "it waited for the whole of a search before it";
  EXPECT_EQ(name(scene.job(longest.as<HashTag>()).state), "open");
  EXPECT_EQ(scene.state().count('m'), 1u);
  std::vector<int> often(50);
  scene.all_at_once(often, [&](int) { return std::pair<std::string, Body>("C", Stake{{1}}); });  // no offers: nothing to look at
  scene.all_at_once(often, [&](int) { return std::pair<std::string, Body>("P", Stake{{1}}); });
  EXPECT_LE(scene.state().count('m'), 3u);
  EXPECT_EQ(scene.state().count('m'), scene.state().count('M'));
  blocks_until_quiet(scene);
  EXPECT_EQ(scene.state().count('M'), 0u);
}

// What a settlement pays to is bounded by how many own what a job uses.
TEST(Matching, AJobPaysToSoManyShares) {
  Scene scene;
  auto spec = scene.spec();
  const auto publish = [&](const Hash& content, uint64_t owners) {
    Asset asset;
    asset.id = content.as<AssetIdTag>();
    asset.content = content;
    for (uint64_t i = 0; i < owners; i++) asset.split.push_back({hash_of("owner", i).as<AccountIdTag>(), 1});
    scene.state().put(asset);
    return asset.id;
  };
  spec.program_asset = publish(spec.program, 256);
  spec.inputs.at(0).asset = publish(spec.inputs[0].id, 256);
  EXPECT_TRUE(quote(scene.state(), scene.params(), spec));
  publish(spec.inputs[0].id, 257);
  EXPECT_EQ(quote(scene.state(), scene.params(), spec).error().code, Code::limit);
}

// Every transaction about a job reads its record.
TEST(Matching, AnOrderHasABound) {
  Scene scene;
  auto spec = scene.spec();
  const auto with = [&](size_t inputs, size_t name_bytes) {
    for (size_t i = spec.inputs.size(); i < inputs; i++) spec.inputs.push_back({"i" + std::to_string(i) + std::string(name_bytes, '.'), hash_of("input", i), {}});
    return quote(scene.state(), scene.params(), spec);
  };
  EXPECT_TRUE(with(4'096, 40));
  spec.inputs.clear();
  EXPECT_EQ(with(2'000, 240).error().code, Code::limit);
}

TEST(Matching, FullOffersAreNoLongerLookedAt) {
  Scene scene;
  scene.expect("P", Stake{crn(100)});
  auto offer = scene.offer();
  offer.jobs_max = 2;
  scene.expect("P", offer);
  EXPECT_EQ(scene.state().count('b'), 1u);
  const JobId one = scene.expect("A", OpenJob{scene.spec()}).as<JobIdTag>();
  EXPECT_EQ(scene.state().count('b'), 1u);
  const JobId two = scene.expect("A", OpenJob{scene.spec()}).as<JobIdTag>();
  EXPECT_EQ(scene.state().count('b'), 0u);
  const JobId three = scene.expect("A", OpenJob{scene.spec()}).as<JobIdTag>();
  EXPECT_EQ(name(scene.job(three.as<HashTag>()).state), "open");
  scene.expect("A", CancelJob{one});  // a slot: the waiting job has it at once
  EXPECT_EQ(name(scene.job(three.as<HashTag>()).state), "matched");
  scene.expect("A", CancelJob{two});
  EXPECT_EQ(scene.state().count('b'), 1u);
}

TEST(Matching, StakeMatchesEveryNumericClass) {
  Scene scene;
  auto offer = scene.offer();
  offer.klass.numeric = attest::NumericClass::int3;
  scene.expect("P", offer);
  auto spec = scene.spec();
  spec.klass = offer.klass;
  const JobId job = scene.expect("A", OpenJob{spec}).as<JobIdTag>();
  EXPECT_EQ(name(scene.job(job.as<HashTag>()).state), "open");
  scene.expect("P", Stake{crn(1)});
  EXPECT_EQ(name(scene.job(job.as<HashTag>()).state), "matched");
}

// When no search is left, no waiting job has an offer that fits: with few looks a block, and everybody coming and going.
TEST(Matching, NothingThatFitsIsMissed) {
  for (uint64_t random = 1; random <= 2; random++) {
    auto params = Scene::quick_params();
    params.max_looks_per_block = 3;
    Scene scene({"A", "B", "P", "Q", "R", "V"}, params);
    std::mt19937_64 rng(random);
    const auto roll = [&](uint64_t n) { return rng() % n; };
    size_t quiet = 0, open = 0;
    for (int i = 0; i < 400; i++) {
      const std::vector<std::string> owners = {"P", "Q", "R"};
      const std::string& owner = owners[roll(3)];
      std::vector<JobId> jobs;
      scene.state().scan<Job>(make_key('j'), [&](const Job& job) { return jobs.push_back(job.id), true; });
      const auto job = jobs.empty() ? std::nullopt : scene.state().job(jobs[roll(jobs.size())]);
      switch (roll(8)) {
        case 0: scene.send(owner, Stake{{1 + roll(400'000)}}); break;
        case 1: scene.send(owner, Unstake{{1 + roll(400'000)}}); break;
        case 2: {
          auto offer = scene.offer((1 + roll(5)) * 500'000'000'000'000);
          offer.jobs_max = 1 + static_cast<uint32_t>(roll(3));
          offer.memory_bytes = 500 + roll(1'000);
          offer.expiry = after(scene.now(), 1'000 + roll(30'000));
          scene.send(owner, offer);
          break;
        }
        case 3: case 4: {
          auto spec = scene.spec();
          spec.policy = static_cast<attest::Policy>(1 + roll(4));
          spec.memory_bytes = 500 + roll(1'000);
          spec.price_ceiling = Amount{(1 + roll(5)) * 500'000'000'000'000};
          scene.send(roll(2) ? "A" : "B", OpenJob{spec});
          break;
        }
        case 5:
          if (job) scene.send(scene.name_of(job->requester), CancelJob{job->id});
          break;
        case 6:
          if (job && job->state == JobState::matched) scene.send(scene.name_of(job->provider), Accept{job->id});
          break;
        default: scene.pass(roll(2'000));
      }
      if (roll(3) == 0) blocks_until_quiet(scene);
      if (scene.state().any('m')) continue;
      quiet++;
      const auto offers = scene.state().all<Offer>(make_key('o'));
      scene.state().scan<Job>(make_key('j'), [&](const Job& waiting) {
        if (waiting.state != JobState::open) return true;
        open++;
        for (const Offer& offer : offers)
          EXPECT_FALSE(fits(scene.state(), scene.params(), scene.now(), waiting, offer)) << random << " " << i;
        return true;
      });
    }
    EXPECT_GT(quiet, 50u);
    EXPECT_GT(open, 20u);
    EXPECT_GT(scene.count_events("job.matched"), 20u);
  }
}

}  // namespace
}  // namespace cairn::ledger
