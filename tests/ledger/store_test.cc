// The store: what was committed is there after a reopening, in order and whole; what is not ours is refused.
#include "ledger/store.h"

#include <rocksdb/env.h>

#include <cstring>
#include <random>

#include "devnet.h"

namespace cairn::ledger {
namespace {

using Changes = std::vector<RecordChange>;

const Hash kChain = blake3(as_bytes("chain"));

Bytes bytes_of(std::string_view text) { return Bytes(text.begin(), text.end()); }

Block block_at(uint64_t height) {
  Block block;
  block.header.header.height = Height{height};
  block.transactions = {bytes_of("transaction " + std::to_string(height))};
  block.results = {{transaction_id(block.transactions[0]), Height{height}, 0, ""}};
  return block;
}

void commit(Store& store, uint64_t height, const Changes& changes) {
  std::vector<Event> events;
  for (int i = 0; i < 2; i++) events.push_back({store.last_event() + 1 + static_cast<uint64_t>(i), Height{height}, {}, "test.event", {}, "{}"});
  attest::ReceiptBody receipt;
  receipt.attempt = static_cast<uint32_t>(height);
  store.commit({block_at(height), changes, {}, events, std::vector{receipt}});
}

std::string state_of(const View& view) {
  std::string out;
  view.records({}, [&](ByteSpan key, ByteSpan value) {
    out += std::string(key.begin(), key.end()) + "=" + std::string(value.begin(), value.end()) + " ";
    return true;
  });
  return out;
}
std::string state_of(const Store& store) { return state_of(*store.view(store.head())); }

TEST(Store, ReopensAtItsLastBlock) {
  const Scratch scratch;
  {
    const auto store = must(Store::open(scratch.path, kChain));
    EXPECT_EQ(number(store->head()), 0u);
    EXPECT_EQ(store->last_event(), 0u);
    commit(*store, 1, {{bytes_of("a"), bytes_of("1")}, {bytes_of("b"), bytes_of("1")}});
    commit(*store, 2, {{bytes_of("a"), std::nullopt}, {bytes_of("c"), bytes_of("2")}});
  }
  const auto store = must(Store::open(scratch.path, kChain));
  EXPECT_EQ(number(store->head()), 2u);
  EXPECT_EQ(state_of(*store), "b=1 c=2 ");
  EXPECT_EQ(encode(*store->block(Height{2})), encode(block_at(2)));
  EXPECT_EQ(number(store->header(Height{1})->header.height), 1u);
  EXPECT_FALSE(store->block(Height{3}));
  EXPECT_EQ(number(store->result(transaction_id(bytes_of("transaction 1")))->height), 1u);
  EXPECT_FALSE(store->result(Hash{}));
  EXPECT_EQ(store->receipts({}).size(), 2u);
  EXPECT_EQ(store->receipt({}, 2)->attempt, 2u);
  EXPECT_FALSE(store->receipt({}, 3));
  EXPECT_EQ(store->last_receipt({})->attempt, 2u);
  EXPECT_FALSE(store->last_receipt(blake3(bytes_of("another job")).as<JobIdTag>()));
  EXPECT_EQ(store->last_event(), 4u);
  ASSERT_EQ(store->events(2, 2).size(), 2u);
  EXPECT_EQ(store->events(2, 2)[0].seq, 2u);
  EXPECT_TRUE(store->events(5, 10).empty());
  commit(*store, 3, {});
  EXPECT_EQ(store->last_event(), 6u);
}

TEST(Store, KeepsTheStatesOfItsWindow) {
  const Scratch scratch;
  auto store = must(Store::open(scratch.path, kChain, nullptr, 3));
  for (uint64_t height = 1; height <= 9; height++) commit(*store, height, {{bytes_of("a"), bytes_of(std::to_string(height))}});
  EXPECT_FALSE(store->view(Height{6}));
  for (uint64_t height = 7; height <= 9; height++) {
    const auto view = store->view(Height{height});
    ASSERT_TRUE(view);
    EXPECT_EQ(state_of(*view), "a=" + std::to_string(height) + " ");
    EXPECT_EQ(view->record(bytes_of("a")), bytes_of(std::to_string(height)));
    EXPECT_FALSE(view->record(bytes_of("b")));
  }
  EXPECT_FALSE(store->view(Height{10}));
  store.reset();
  store = must(Store::open(scratch.path, kChain, nullptr, 3));
  EXPECT_FALSE(store->view(Height{8})) << "after a start the window begins with the last block";
  EXPECT_TRUE(store->view(Height{9}));
}

// A hundred versions of a state: all of them within the window of who wrote them, and out of it after a start.
TEST(Store, GivesTheRoomOfOldVersionsBack) {
  const Scratch scratch;
  constexpr uint64_t kBlocks = 100;  // 30 MB of versions, most of them in tables when the store is opened anew
  constexpr int kRecords = 300;
  std::mt19937_64 random(1);
  Changes changes;
  const auto size = [&] {
    uint64_t sum = 0;
    for (const auto& file : std::filesystem::directory_iterator(scratch.path)) sum += file.file_size();
    return sum;
  };
  std::atomic<bool> stop{false};
  {
    const auto store = must(Store::open(scratch.path, kChain));
    for (uint64_t height = 1; height <= kBlocks; height++) {
      changes.clear();
      for (int n = 0; n < kRecords; n++) {
        Bytes value(1'000);
        for (uint8_t& byte : value) byte = static_cast<uint8_t>(random());
        changes.emplace_back(bytes_of("record " + std::to_string(1'000 + n)), std::move(value));
      }
      commit(*store, height, changes);
    }
    EXPECT_EQ(store->reclaim(stop), 0u) << "its views show every version";
  }
  const auto store = must(Store::open(scratch.path, kChain));
  const uint64_t before = size();
  const auto state = state_of(*store);
  stop = true;
  EXPECT_EQ(store->reclaim(stop), 0u);
  stop = false;
  EXPECT_GT(store->reclaim(stop), before / 2);
  EXPECT_LT(size(), before / 2);
  EXPECT_EQ(state_of(*store), state);
  EXPECT_EQ(store->reclaim(stop), 0u) << "there is nothing left to do";
  commit(*store, kBlocks + 1, {});
}

// Versions that each stand in a table of their own.
TEST(Store, GivesTheRoomOfOldTablesBack) {
  const Scratch scratch;
  constexpr uint64_t kVersions = 3;  // 8 MiB each; RocksDB rewrites its newest tables when there are four
  std::mt19937_64 random(1);
  Changes changes;
  for (uint64_t height = 1; height <= kVersions; height++) {
    changes.clear();
    for (int n = 0; n < 900; n++) {
      Bytes value(10'000);
      for (size_t at = 0; at < value.size(); at += 8) {
        const uint64_t drawn = random();
        std::memcpy(&value[at], &drawn, 8);
      }
      changes.emplace_back(bytes_of("record " + std::to_string(1'000 + n)), std::move(value));
    }
    commit(*must(Store::open(scratch.path, kChain)), height, changes);
  }
  const auto store = must(Store::open(scratch.path, kChain));
  const auto state = state_of(*store);
  std::atomic<bool> stop{false};
  EXPECT_GT(store->reclaim(stop), (kVersions - 2) * 9'000'000);
  EXPECT_EQ(store->reclaim(stop), 0u) << "there is nothing left to do";
  EXPECT_EQ(state_of(*store), state);
}

// A cut anywhere in the log leaves the state of some block, never a part of one.
TEST(Store, ACutLogIsAPrefixOfTheBlocks) {
  const Scratch scratch;
  const auto whole = scratch.path / "whole";
  constexpr uint64_t kBlocks = 20;
  std::vector<std::string> states{""};
  {
    const auto store = must(Store::open(whole, kChain));
    for (uint64_t height = 1; height <= kBlocks; height++) {
      const std::string n = std::to_string(height);
      commit(*store, height, {{bytes_of("first"), bytes_of(n)}, {bytes_of("last"), bytes_of(n)}});
      states.push_back(state_of(*store));
    }
    std::filesystem::copy(whole, scratch.path / "live", std::filesystem::copy_options::recursive);  // as a crash leaves it
  }
  std::filesystem::path log;
  for (const auto& entry : std::filesystem::directory_iterator(scratch.path / "live"))
    if (entry.path().extension() == ".log" && (log.empty() || entry.file_size() > std::filesystem::file_size(log))) log = entry.path();
  const uint64_t size = std::filesystem::file_size(log);
  ASSERT_GT(size, 1000u);
  uint64_t last = 0;
  for (int cut = 0; cut <= 8; cut++) {
    const auto copy = scratch.path / ("cut" + std::to_string(cut));
    std::filesystem::copy(scratch.path / "live", copy, std::filesystem::copy_options::recursive);
    std::filesystem::resize_file(copy / log.filename(), 200 + (size - 200) * static_cast<uint64_t>(cut) / 8);
    if (const auto acknowledged = Store::open(copy, kChain); acknowledged) {
      EXPECT_EQ(number((*acknowledged)->head()), kBlocks);
    } else {
      EXPECT_EQ(acknowledged.error().code, Code::io);
    }
    std::filesystem::remove(copy / "last");  // as if nothing of this had been acknowledged
    const auto store = must(Store::open(copy, kChain));
    const uint64_t head = number(store->head());
    EXPECT_EQ(state_of(*store), states[head]) << "cut " << cut;
    EXPECT_EQ(store->last_event(), 2 * head);
    EXPECT_EQ(store->block(Height{head}).has_value(), head > 0);
    EXPECT_FALSE(store->block(Height{head + 1}));
    EXPECT_GE(head, last);
    last = head;
  }
  EXPECT_EQ(last, kBlocks);
}

// A simulator's disk: nothing is written beside it.
TEST(Store, WritesOnlyThroughTheFilesItIsGiven) {
  const std::unique_ptr<rocksdb::Env> memory(rocksdb::NewMemEnv(rocksdb::Env::Default()));
  const std::filesystem::path nowhere = "/no/such/folder";
  { commit(*must(Store::open(nowhere, kChain, memory.get())), 1, {{bytes_of("a"), bytes_of("1")}}); }
  EXPECT_FALSE(std::filesystem::exists("/no"));
  EXPECT_EQ(state_of(*must(Store::open(nowhere, kChain, memory.get()))), "a=1 ");
}

TEST(Store, RefusesWhatIsNotItsOwn) {
  const Scratch scratch;
  const auto held = must(Store::open(scratch.path / "chain", kChain));
  EXPECT_EQ(Store::open(scratch.path / "chain", kChain).error().code, Code::io);  // one process at a time
  { must(Store::open(scratch.path / "other", kChain)); }
  EXPECT_EQ(Store::open(scratch.path / "other", blake3(as_bytes("another"))).error().code, Code::wrong_chain);
  EXPECT_TRUE(Store::open(scratch.path / "other", kChain));  // nothing was changed
  std::ofstream(scratch.path / "file") << "in the way";
  EXPECT_EQ(Store::open(scratch.path / "file", kChain).error().code, Code::io);
}

}  // namespace
}  // namespace cairn::ledger
