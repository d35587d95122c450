// A chain's state as a file: with a game open, the same chain goes on from it, block for block.
#include "ledger/export.h"

#include <algorithm>

#include "base/file.h"
#include "devnet.h"

namespace cairn::ledger {
namespace {

const std::vector<std::string> kActors = {"A", "B", "P", "V", "W"};

class Export : public testing::Test {
 protected:
  Export() : genesis_(devnet_genesis(kActors, 100)) {}

  Bytes signed_by(const Chain& chain, const std::string& who, Body body) {
    Transaction tx;
    tx.genesis = chain.id();
    tx.sender = account_named(who);
    tx.nonce = chain.read([&](const App& app) { return app.state().nonce({tx.sender, {}}); });
    tx.expiry = ChainTime{1'000'000'000};
    tx.body = std::move(body);
    sign(tx, key_named(who), 1);
    return encode(tx);
  }
  TransactionId act(Chain& chain, const std::string& who, Body body) {
    const Block block = extend(chain, wall_ms_ += 100, {signed_by(chain, who, std::move(body))});
    EXPECT_EQ(block.results[0].code, 0) << block.results[0].text;
    return block.results[0].id;
  }

  Scratch scratch_;
  attest::Genesis genesis_;
  uint64_t wall_ms_ = 1'000'000;
};

TEST_F(Export, TheSameChainGoesOnWithItsOpenGame) {
  auto a = must(Chain::open(scratch_.path / "a", genesis_));
  EXPECT_EQ(export_state(*a, scratch_.path / "state").error().code, Code::wrong_state);
  act(*a, "P", Stake{Amount{100'000'000}});
  PostOffer offer;
  offer.price = Amount{1'000'000'000'000'000};
  offer.memory_bytes = 1'000'000;
  offer.jobs_max = 1;
  offer.policies = {attest::Policy::standard};
  offer.expiry = ChainTime{1'000'000'000};
  act(*a, "P", offer);
  act(*a, "V", Bond{Amount{1'000'000}, "tcp://v"});
  attest::JobSpec spec;
  spec.title = "test";
  spec.program = blake3(as_bytes("program"));
  spec.plan = blake3(as_bytes("plan"));
  spec.plan_root = blake3(as_bytes("plan root"));
  spec.inputs = {{"x", blake3(as_bytes("x")), {}}};
  spec.initial_state = blake3(as_bytes("start"));
  spec.calls = 3;
  spec.state_slots = 1;
  spec.step_work_ns = 1'000'000;
  spec.steps = 100;
  spec.interval = 10;
  spec.memory_bytes = 1000;
  spec.price_ceiling = offer.price;
  spec.accept_ms = 1'000;
  spec.run_ms = 50'000;
  const JobId job = act(*a, "A", OpenJob{spec}).as<JobIdTag>();
  act(*a, "P", Accept{job});
  std::vector<Hash> roots;
  for (uint64_t i = 0; i < spec.segments(); i++) roots.push_back(blake3(as_bytes(std::to_string(i))));
  act(*a, "P", Commit{{job, spec.plan_root, attest::input_root(spec), attest::tree_root(roots), roots.back(), spec.steps}});
  extend(*a, wall_ms_ += 100, {});  // draws
  SegmentRoots ends{roots[2], attest::tree_path(roots, 2), roots[3], attest::tree_path(roots, 3)};
  act(*a, "B", Challenge{job, 3, blake3(as_bytes("truth")), ends});
  ASSERT_EQ(a->read([&](const App& app) { return app.state().job(job)->games.size(); }), 1u);

  ASSERT_TRUE(export_state(*a, scratch_.path / "state"));
  ASSERT_TRUE(import_state(scratch_.path / "state", genesis_, scratch_.path / "b"));
  EXPECT_EQ(import_state(scratch_.path / "state", genesis_, scratch_.path / "b").error().code, Code::exists);
  auto b = must(Chain::open(scratch_.path / "b", genesis_));
  EXPECT_EQ(b->store().head(), a->store().head());
  EXPECT_EQ(b->store().last_event(), a->store().last_event());

  // The same blocks give the same roots, results and events on both, until the game and the job are over and pruned.
  size_t seen = 0;
  for (int i = 0; i < 5'000 && seen < 3; i++) {
    wall_ms_ += 200;
    std::vector<Bytes> transactions;
    if (i == 0) transactions.push_back(signed_by(*a, "B", Transfer{account_named("new"), Amount{5}}));
    const Block one = extend(*a, wall_ms_, transactions), other = extend(*b, wall_ms_, transactions);
    ASSERT_EQ(encode(one), encode(other)) << i;
    const auto job_now = a->read([&](const App& app) { return app.state().job(job); });
    if (seen == 0 && job_now && job_now->games.empty()) seen = 1;                 // by the provider's clock
    if (seen == 1 && a->store().receipts(job).size() == 1) seen = 2;
    if (seen == 2 && job_now && job_now->state == JobState::open) seen = 3;
  }
  EXPECT_EQ(seen, 3u);
  EXPECT_EQ(encode(a->store().receipts(job)), encode(b->store().receipts(job)));
  EXPECT_EQ(encode(a->store().events(a->store().last_event() - 3, 10)), encode(b->store().events(b->store().last_event() - 3, 10)));
  // And it is a chain like any other: closed and opened again.
  b.reset();
  b = must(Chain::open(scratch_.path / "b", genesis_));
  EXPECT_EQ(b->read([](const App& app) { return app.head().header.state_root; }), a->read([](const App& app) { return app.head().header.state_root; }));
}

TEST_F(Export, NothingButTheGenesisIsBelieved) {
  auto chain = must(Chain::open(scratch_.path / "a", genesis_));
  act(*chain, "A", Transfer{account_named("B"), Amount{5}});
  const auto file = scratch_.path / "state", bad_file = scratch_.path / "bad", folder = scratch_.path / "b";
  ASSERT_TRUE(export_state(*chain, file));
  const Bytes good = must(read_file(file, 1 << 20));
  EXPECT_EQ(import_state(file, devnet_genesis({"A"}, 100), folder).error().code, Code::wrong_chain);
  EXPECT_EQ(import_state(scratch_.path / "none", genesis_, folder).error().code, Code::not_found);
  uint64_t random = 1;
  for (int i = 0; i < 400; i++) {
    Bytes bad = good;
    random = random * 6364136223846793005u + 1442695040888963407u;
    if (i % 4 == 0) {
      bad.resize((random >> 33) % bad.size());
    } else {
      bad[(random >> 33) % bad.size()] ^= static_cast<uint8_t>(1 << (random >> 61));
    }
    // The last event is shown, never believed: its bytes are not bound.
    const auto decoded = decode<ExportedState>(ByteSpan(bad).subspan(std::min<size_t>(bad.size(), 14)));
    auto same = must(decode<ExportedState>(ByteSpan(good).subspan(14)));
    if (decoded) same.last_event = decoded->last_event;
    if (decoded && encode(*decoded) == encode(same)) continue;
    ASSERT_TRUE(write_file(bad_file, bad));
    EXPECT_FALSE(import_state(bad_file, genesis_, folder)) << i;
    EXPECT_FALSE(std::filesystem::exists(folder));
  }
  // A receipt's root that poses as another record: the leaf of one is never the other's.
  auto posing = must(decode<ExportedState>(ByteSpan(good).subspan(14)));
  const auto victim = std::find_if(posing.records.begin(), posing.records.end(), [](const ExportedRecord& r) { return r.key[0] == 'a'; });
  ASSERT_NE(victim, posing.records.end());
  const auto leaf = map_entry(victim->key, victim->value);
  *victim = {make_key(kReceiptTable, leaf.key), encode(ReceiptRoot{leaf.key, leaf.value})};
  std::sort(posing.records.begin(), posing.records.end(), [](const auto& a, const auto& b) { return KeyOrder{}(a.key, b.key); });
  Bytes bad(good.begin(), good.begin() + 14);
  const Bytes rest = encode(posing);
  bad.insert(bad.end(), rest.begin(), rest.end());
  ASSERT_TRUE(write_file(bad_file, bad));
  EXPECT_EQ(import_state(bad_file, genesis_, folder).error().code, Code::proof);
  ASSERT_TRUE(import_state(file, genesis_, folder));
}

}  // namespace
}  // namespace cairn::ledger
