// A state in chunks that prove themselves: another chain goes on from them, and whatever lies is refused and leaves nothing.
#include "ledger/snapshot.h"

#include <random>

#include "base/file.h"
#include "devnet.h"

namespace cairn::ledger {
namespace {

class SnapshotTest : public testing::Test {
 protected:
  // A chain of three blocks and so many accounts, and its snapshot.
  void make(size_t accounts) {
    genesis_ = devnet_genesis({"A", "B"}, 100);
    for (size_t i = 0; i < accounts; i++)
      genesis_.accounts.push_back({hash_of("snapshot test", i).as<AccountIdTag>(), Amount::of_pebbles(1 + i)});
    chain_ = must(Chain::open(scratch_.path / "chain", genesis_));
    for (uint64_t i = 0; i < 3; i++) extend(*chain_, 1'000 + i, {transfer(genesis_, "A", "B", i)});
    const auto events = chain_->store().events(chain_->store().last_event(), 1);
    head_ = must(write_snapshot(must(chain_->last()), events.empty() ? std::nullopt : std::optional(events[0]), scratch_.path / "snapshot"));
    for (uint32_t i = 0; i < head_.chunks; i++) chunks_.push_back(must(read_file(scratch_.path / "snapshot" / std::to_string(i), 64u << 20)));
  }
  std::unique_ptr<Chain> empty_chain(const char* name) { return must(Chain::open(scratch_.path / name, genesis_)); }

  Scratch scratch_;
  attest::Genesis genesis_;
  std::unique_ptr<Chain> chain_;
  SnapshotHead head_;
  std::vector<Bytes> chunks_;
};

TEST_F(SnapshotTest, TheSameChainGoesOn) {
  make(20'000);
  EXPECT_GE(head_.chunks, 4u);
  EXPECT_EQ(encode(must(decode<SnapshotHead>(must(read_file(scratch_.path / "snapshot" / "head", 1 << 20))))), encode(head_));
  auto other = empty_chain("other");
  {
    Restore restore(*other, head_);
    for (const Bytes& chunk : chunks_) {
      EXPECT_FALSE(restore.whole());
      EXPECT_EQ(number(other->store().head()), 0u);
      ASSERT_TRUE(restore.add(chunk));
    }
    ASSERT_TRUE(restore.finish());
  }
  ASSERT_TRUE(other->check());
  for (uint64_t i = 3; i < 6; i++) {
    const std::vector<Bytes> transactions{transfer(genesis_, "A", "B", i, 5)};
    ASSERT_EQ(encode(extend(*other, 2'000 + i, transactions)), encode(extend(*chain_, 2'000 + i, transactions)));
    if (i != 4) continue;
    other.reset();
    other = empty_chain("other");
  }
  EXPECT_EQ(other->store().last_event(), chain_->store().last_event());
}

TEST_F(SnapshotTest, TheSameStateIsCutAlike) {
  make(20'000);
  ASSERT_TRUE(write_snapshot(must(chain_->last()), head_.last_event, scratch_.path / "again"));
  for (uint32_t i = 0; i < head_.chunks; i++) EXPECT_EQ(must(read_file(scratch_.path / "again" / std::to_string(i), 64u << 20)), chunks_[i]);
}

TEST_F(SnapshotTest, LiesTable) {
  make(20'000);
  const struct {
    const char* what;
    void (*lie)(StateChunk&);
  } rows[] = {
      {"another value", [](StateChunk& c) { c.records[5].value.back() ^= 1; }},
      {"another key", [](StateChunk& c) { c.records[5].key.back() ^= 1; }},
      {"a record left out", [](StateChunk& c) { c.records.erase(c.records.begin() + 7); }},
      {"the first left out", [](StateChunk& c) { c.records.erase(c.records.begin()); }},
      {"a record twice", [](StateChunk& c) { c.records.insert(c.records.begin() + 7, c.records[7]); }},
      {"another order", [](StateChunk& c) { std::swap(c.records[1], c.records[2]); }},
      {"no record", [](StateChunk& c) { c.records.clear(); }},
      {"half of them", [](StateChunk& c) { c.records.resize(c.records.size() / 2); }},
      {"another way", [](StateChunk& c) { c.steps.back().sibling.v[3] ^= 1; }},
      {"a shorter way", [](StateChunk& c) { c.steps.pop_back(); }},
      {"a turn elsewhere", [](StateChunk& c) { c.steps.back().bit++; }},
      {"a receipt's root that poses as a record", [](StateChunk& c) {
         const auto entry = map_entry(c.records[5].key, c.records[5].value);
         c.records[5] = {make_key(kReceiptTable, entry.key), encode(ReceiptRoot{entry.key, entry.value})};
       }},
  };
  auto other = empty_chain("other");
  Restore restore(*other, head_);
  for (size_t i = 0; i < chunks_.size(); i++) {
    for (const auto& row : rows) {
      auto lie = must(decode<StateChunk>(chunks_[i]));
      row.lie(lie);
      EXPECT_EQ(restore.add(encode(lie)).error().code, Code::proof) << row.what;
    }
    Bytes cut = chunks_[i];
    cut.pop_back();
    EXPECT_EQ(restore.add(cut).error().code, Code::malformed);
    EXPECT_EQ(restore.add({}).error().code, Code::malformed);
    for (size_t k = 0; k < chunks_.size(); k++) {  // true ones in another order
      if (k == i) continue;
      EXPECT_EQ(restore.add(chunks_[k]).error().code, Code::proof) << k << " for " << i;
    }
    EXPECT_FALSE(restore.whole());
    ASSERT_TRUE(restore.add(chunks_[i]));
  }
  EXPECT_EQ(restore.add(chunks_.back()).error().code, Code::proof);
  ASSERT_TRUE(restore.finish());
  EXPECT_TRUE(other->check());
}

TEST_F(SnapshotTest, AnInterruptedOneLeavesNothing) {
  make(20'000);
  const auto first_block = encode(extend(*empty_chain("fresh"), 5'000));
  {
    auto other = empty_chain("other");
    Restore restore(*other, head_);
    ASSERT_TRUE(restore.add(chunks_[0]));
    EXPECT_EQ(restore.finish().error().code, Code::proof);
    Restore again(*other, head_);  // another offer
    ASSERT_TRUE(again.add(chunks_[0]));
    ASSERT_TRUE(again.add(chunks_[1]));
  }
  EXPECT_EQ(encode(extend(*empty_chain("other"), 5'000)), first_block);
}

// Whatever is done to the bytes of a chunk, it is refused.
TEST_F(SnapshotTest, MutationsNeverPass) {
  make(40);
  ASSERT_EQ(head_.chunks, 1u);
  auto other = empty_chain("other");
  Restore restore(*other, head_);
  std::mt19937 random(1);
  for (int round = 0; round < 3'000; round++) {
    Bytes bad = chunks_[0];
    for (unsigned k = 0; k <= random() % 3; k++) bad[random() % bad.size()] ^= static_cast<uint8_t>(1 + random() % 255);
    if (random() % 4 == 0) bad.resize(random() % bad.size());
    if (bad == chunks_[0]) continue;
    ASSERT_FALSE(restore.add(bad));
    Bytes head = encode(head_);
    head[random() % head.size()] ^= static_cast<uint8_t>(1 + random() % 255);
    static_cast<void>(decode<SnapshotHead>(head));
  }
  ASSERT_TRUE(restore.add(chunks_[0]));
  EXPECT_TRUE(restore.finish());
}

TEST_F(SnapshotTest, ANodeOffersTheLastTwoAndThoseOfTheLastMinutes) {
  make(40);
  uint64_t extended = 0;
  const auto offer_seven_blocks = [&](Snapshots& snapshots) {
    for (const uint64_t end = extended + 7; extended < end; extended++) {
      extend(*chain_, 3'000 + extended);
      snapshots.announce();
      const uint64_t height = number(chain_->store().head());
      for (int waited = 0; height % 2 == 0 && waited < 3'000; waited++) {
        const auto list = snapshots.list();
        if (!list.empty() && number(list.back().header.height) == height) break;
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
      }
    }
  };
  Snapshots snapshots(scratch_.path / "snapshots", *chain_, 2, std::chrono::milliseconds(0));
  offer_seven_blocks(snapshots);
  auto list = snapshots.list();
  for (int waited = 0; list.size() > 2 && waited < 3'000; waited++, list = snapshots.list()) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(number(list[0].header.height), 8u);
  EXPECT_EQ(number(list[1].header.height), 10u);
  EXPECT_TRUE(snapshots.chunk(Height{10}, 0));
  EXPECT_FALSE(snapshots.chunk(Height{10}, list[1].chunks));
  EXPECT_FALSE(snapshots.chunk(Height{9}, 0));

  Snapshots lasting(scratch_.path / "lasting", *chain_, 2);
  offer_seven_blocks(lasting);
  list = lasting.list();
  ASSERT_EQ(list.size(), 3u);
  EXPECT_EQ(number(list[0].header.height), 12u);
  EXPECT_TRUE(lasting.chunk(list[0].header.height, 0));
}

}  // namespace
}  // namespace cairn::ledger
