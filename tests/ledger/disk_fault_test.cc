// What a disk does to a chain: the power goes in the middle of anything, the disk is full, a file may grow no more, a bit flips.
// Afterwards the chain is a prefix of what it was that holds all that was acknowledged, or it is refused aloud: never a wrong state.
//
//   CAIRN_SWEEP=all build/release/tests/disk_fault_test      every operation and many bits; otherwise a sample
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <list>
#include <thread>

#include "devnet.h"
#include "tests/ledger/faulty_disk.h"

namespace cairn::ledger {
namespace {

constexpr uint64_t kBlocks = 12, kBlocksAStart = 4;
const std::filesystem::path kFolder = "/chain";

bool whole_sweep() {
  const char* wish = std::getenv("CAIRN_SWEEP");
  return wish && std::string_view(wish) == "all";
}

// The chain that is written again and again: its blocks are the same each time.
class Plot {
 public:
  Plot() : genesis(devnet_genesis({"A", "B", "C"})) {
    App app(genesis);
    must(app.init());
    for (uint64_t n = 1; n <= kBlocks; n++) {
      Proposal proposal{Height{n}, n * 10, attest::address_of(key_named("producer").public_key()), {}, {}, {}};
      proposal.entries.push_back(encode(app.make_beacon(key_named("producer").public_key(), key_named("vrf"))));
      for (int i = 0; i < 5; i++) proposal.entries.push_back(transfer(genesis, "A", i % 2 ? "B" : "new account " + std::to_string(n * 10 + static_cast<uint64_t>(i)), nonce_++, 100 + n));
      Finalized done = must(app.finalize(proposal));
      proposals.push_back(std::move(proposal));
      app.committed(sign(done.header));
      ids.push_back(attest::header_id(done.header));
    }
  }
  static attest::SignedHeader sign(const attest::Header& header) { return attest::sign_header(key_named("producer"), header); }
  void extend(Chain& chain) const {
    const uint64_t n = number(chain.store().head());
    chain.extend(proposals[n], sign);
  }
  // Writes on from wherever the chain is, with a start every few blocks. Gives the last height that was acknowledged.
  uint64_t write(rocksdb::Env* files, const std::filesystem::path& folder = kFolder) const {
    uint64_t acknowledged = 0;
    try {
      while (acknowledged < kBlocks) {
        const auto chain = Chain::open(folder, genesis, files, {8, false});
        if (!chain) return acknowledged;
        acknowledged = std::max(acknowledged, number((*chain)->store().head()));
        for (uint64_t n = 0; n < kBlocksAStart && acknowledged < kBlocks; n++) {
          extend(**chain);
          acknowledged = number((*chain)->store().head());
        }
      }
    } catch (const Fault&) {
    }
    return acknowledged;
  }
  // Of a chain that opened: its height, if it is a true prefix.
  Result<uint64_t> prefix(const Chain& chain) const {
    const uint64_t head = number(chain.store().head());
    if (head > kBlocks) return Error{Code::internal, "it has more blocks than were made", ""};
    TRY(head == 0 ? Result<>() : chain.check());
    for (uint64_t n = 1; n <= head; n++) {
      const auto block = chain.store().block(Height{n});
      if (!block || attest::header_id(block->header.header) != ids[n - 1] || encode(block->header.header.beacon) != proposals[n - 1].entries[0] ||
          !std::equal(block->transactions.begin(), block->transactions.end(), proposals[n - 1].entries.begin() + 1, proposals[n - 1].entries.end()))
        return Error{Code::internal, "block " + std::to_string(n) + " is another", ""};
    }
    return head;
  }

  const attest::Genesis genesis;
  std::vector<Proposal> proposals;
  std::vector<Hash> ids;

 private:
  uint64_t nonce_ = 0;
};

const Plot& plot() {
  static const Plot plot;
  return plot;
}

// The real files of this machine, in processes that may write no file beyond a size. The first of these tests: a fork leaves behind the
// threads that RocksDB has begun, and whatever they hold.
TEST(DiskFault, AFileThatMayNotGrowHaltsAndLosesNothing) {
  struct Limited {
    rlim_t limit;
    pid_t child = 0;
    Scratch scratch{};
  };
  std::list<Limited> all;
  plot();
  for (const rlim_t limit : {2'000, 6'000, 10'000, 20'000}) {
    Limited& one = all.emplace_back(limit);
    one.child = ::fork();
    if (one.child != 0) continue;
    const rlimit bound{limit, limit};
    ::setrlimit(RLIMIT_FSIZE, &bound);
    ::signal(SIGXFSZ, SIG_IGN);  // as cairnd does
    ::_exit(static_cast<int>(plot().write(nullptr, one.scratch.path)));
  }
  for (const auto& [limit, child, scratch] : all) {
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    const auto acknowledged = static_cast<uint64_t>(WEXITSTATUS(status));
    EXPECT_LT(acknowledged, kBlocks) << limit;
    const auto chain = Chain::open(scratch.path, plot().genesis, nullptr, {8, false});
    ASSERT_TRUE(chain) << limit << ": " << chain.error().text;
    ASSERT_GE(must(plot().prefix(**chain)), acknowledged) << limit;
    while (number((*chain)->store().head()) < kBlocks) plot().extend(**chain);
  }
}

TEST(DiskFault, PowerCutsLoseNothingThatWasAcknowledged) {
  uint64_t operations = 0;
  {
    FaultyDisk disk;
    ASSERT_EQ(plot().write(&disk), kBlocks);
    operations = disk.operations();
  }
  ASSERT_GT(operations, 100u);
  using Loss = FaultyDisk::Loss;
  uint64_t cuts = 0, cut_while_acknowledged = 0;
  for (uint64_t at = 1; at <= operations; at += whole_sweep() ? 1 : 17) {
    for (const Loss loss : {Loss::whole, Loss::prefix, Loss::torn}) {
      FaultyDisk disk;
      disk.cut_at(at);
      const uint64_t acknowledged = plot().write(&disk);
      disk.restore(loss, at);
      const auto chain = Chain::open(kFolder, plot().genesis, &disk, {8, false});
      ASSERT_TRUE(chain) << "operation " << at << ", loss " << static_cast<int>(loss) << ": " << chain.error().text;
      const auto height = plot().prefix(**chain);
      ASSERT_TRUE(height) << "operation " << at << ": " << height.error().text;
      ASSERT_GE(*height, acknowledged) << "operation " << at << ", loss " << static_cast<int>(loss);
      ASSERT_LE(*height, acknowledged + 1);
      while (number((*chain)->store().head()) < kBlocks) plot().extend(**chain);
      ASSERT_EQ(must(plot().prefix(**chain)), kBlocks);
      cuts++;
      cut_while_acknowledged += acknowledged > 0;
    }
  }
  EXPECT_GT(cut_while_acknowledged, cuts / 4);
  std::printf("%llu operations, %llu power cuts\n", static_cast<unsigned long long>(operations), static_cast<unsigned long long>(cuts));
}

// A state whose records all change with each block, and whose old versions no view shows after a start: what the store rewrites its
// tables for, while blocks go on.
namespace reclaiming {

const Hash kChain = blake3(as_bytes("chain"));
constexpr uint64_t kRecords = 400, kRecordBytes = 1'000, kOld = 50, kMeanwhile = 6;

std::vector<RecordChange> state_at(uint64_t height) {
  std::mt19937_64 random(height);
  std::vector<RecordChange> out;
  for (uint64_t n = 0; n < kRecords; n++) {
    Bytes value(kRecordBytes);
    for (size_t at = 0; at < value.size(); at += 8) {
      const uint64_t drawn = random();
      std::memcpy(&value[at], &drawn, 8);
    }
    out.emplace_back(Bytes{static_cast<uint8_t>(n >> 8), static_cast<uint8_t>(n)}, std::move(value));
  }
  return out;
}
void commit(Store& store) {
  Block block;
  block.header.header.height = Height{number(store.head()) + 1};
  store.commit({block, state_at(number(block.header.header.height)), {}, {}, {}});
}
bool is_whole(const Store& store) {
  std::vector<RecordChange> found;
  store.view(store.head())->records({}, [&](ByteSpan key, ByteSpan value) {
    found.emplace_back(Bytes(key.begin(), key.end()), Bytes(value.begin(), value.end()));
    return true;
  });
  return found == state_at(number(store.head()));
}
// Gives the last block that was acknowledged.
uint64_t reclaim_and_commit(FaultyDisk& disk) {
  uint64_t acknowledged = 0;
  try {
    const auto store = must(Store::open(kFolder, kChain, &disk, kOld));
    acknowledged = number(store->head());
    std::atomic<bool> stop{false};
    std::thread beside([&] {
      try {
        store->reclaim(stop);
      } catch (const Fault&) {
      }
    });
    try {
      for (uint64_t n = 0; n < kMeanwhile; n++) {
        commit(*store);
        acknowledged = number(store->head());
      }
    } catch (const Fault&) {
    }
    beside.join();
  } catch (const Fault&) {
  }
  return acknowledged;
}

}  // namespace reclaiming

TEST(DiskFault, PowerCutsWhileRoomIsReclaimedLoseNothing) {
  using namespace reclaiming;
  FaultyDisk old;
  for (int n = 0; n < 10 && old.bytes() < kOld * kRecords * kRecordBytes / 2; n++) {  // RocksDB may tidy up by itself, given the time
    FaultyDisk fresh;
    {
      const auto store = must(Store::open(kFolder, kChain, &fresh, kOld));
      while (number(store->head()) < kOld) commit(*store);
    }
    must(Store::open(kFolder, kChain, &fresh, kOld));  // what the log held is in a table now
    fresh.copy_to(old);
  }
  uint64_t operations = 0;
  {
    FaultyDisk disk;
    old.copy_to(disk);
    reclaim_and_commit(disk);
    ASSERT_LT(disk.bytes(), old.bytes() / 2);
    operations = disk.operations();
  }
  uint64_t cuts = 0, reclaimed_later = 0;
  for (uint64_t at = 1; at <= operations; at += whole_sweep() ? 1 : 13) {
    for (const auto loss : {FaultyDisk::Loss::whole, FaultyDisk::Loss::prefix, FaultyDisk::Loss::torn}) {
      FaultyDisk disk;
      old.copy_to(disk);
      disk.cut_at(at);
      const uint64_t acknowledged = std::max(kOld, reclaim_and_commit(disk));
      disk.restore(loss, at);
      const auto store = Store::open(kFolder, kChain, &disk, kOld);
      ASSERT_TRUE(store) << "operation " << at << ", loss " << static_cast<int>(loss) << ": " << store.error().text;
      ASSERT_GE(number((*store)->head()), acknowledged) << "operation " << at << ", loss " << static_cast<int>(loss);
      ASSERT_LE(number((*store)->head()), acknowledged + 1);
      ASSERT_TRUE(is_whole(**store)) << "operation " << at << ", loss " << static_cast<int>(loss);
      std::atomic<bool> stop{false};
      reclaimed_later += (*store)->reclaim(stop) > 0;
      commit(**store);
      ASSERT_TRUE(is_whole(**store));
      cuts++;
    }
  }
  EXPECT_GT(reclaimed_later, 0u);
  std::printf("%llu operations, %llu power cuts, %llu times reclaimed after one\n", static_cast<unsigned long long>(operations),
              static_cast<unsigned long long>(cuts), static_cast<unsigned long long>(reclaimed_later));
}

TEST(DiskFault, AFullDiskHaltsAndLosesNothing) {
  uint64_t size = 0;
  {
    FaultyDisk disk;
    plot().write(&disk);
    size = disk.bytes();
  }
  uint64_t halted = 0;
  for (uint64_t capacity = 1'000; capacity < size; capacity += whole_sweep() ? 97 : 4'999) {
    FaultyDisk disk;
    disk.set_capacity(capacity);
    const uint64_t acknowledged = plot().write(&disk);
    halted += acknowledged < kBlocks;
    disk.set_capacity(0);
    const auto chain = Chain::open(kFolder, plot().genesis, &disk, {8, false});
    ASSERT_TRUE(chain) << capacity << ": " << chain.error().text;
    ASSERT_GE(must(plot().prefix(**chain)), acknowledged) << capacity;
    while (number((*chain)->store().head()) < kBlocks) plot().extend(**chain);
    ASSERT_EQ(must(plot().prefix(**chain)), kBlocks);
  }
  EXPECT_GT(halted, 2u);
}

TEST(DiskFault, AFlippedBitIsHarmlessOrRefused) {
  FaultyDisk whole;
  {  // as kill -9 leaves it: the last blocks stand in the log alone
    FaultyDisk disk;
    ASSERT_EQ(plot().write(&disk), kBlocks);
    const auto chain = must(Chain::open(kFolder, plot().genesis, &disk, {8, false}));
    disk.copy_to(whole);
  }
  std::mt19937_64 rng(9);
  uint64_t harmless = 0, refused = 0;
  std::map<std::string, int> codes;
  for (const auto& [name, size] : whole.files()) {
    const uint64_t bits = 8 * size;
    for (uint64_t bit = 0; bit < bits; bit += 1 + rng() % (whole_sweep() ? std::max<uint64_t>(1, bits / 2'000) : std::max<uint64_t>(1, bits / 12))) {
      FaultyDisk disk;
      whole.copy_to(disk);
      ASSERT_TRUE(disk.flip(name, bit));
      const auto outcome = [&]() -> Result<uint64_t> {
        try {
          TRY_LET(chain, Chain::open(kFolder, plot().genesis, &disk, {8, false}));
          return plot().prefix(*chain);
        } catch (const Fault& fault) {
          return fault.error();
        }
      }();
      if (outcome) {
        ASSERT_EQ(*outcome, kBlocks) << name << " bit " << bit << ": acknowledged blocks are gone and nobody says so";
        harmless++;
      } else {
        refused++;
        codes[std::string(cairn::name(outcome.error().code))]++;
        ASSERT_TRUE(outcome.error().code == Code::io || outcome.error().code == Code::malformed || outcome.error().code == Code::wrong_chain)
            << name << " bit " << bit << ": " << outcome.error().text;
      }
    }
  }
  EXPECT_GT(refused, 10u);
  std::printf("%llu flips harmless, %llu refused:", static_cast<unsigned long long>(harmless), static_cast<unsigned long long>(refused));
  for (const auto& [code, count] : codes) std::printf(" %s %d", code.c_str(), count);
  std::printf("\n");
}

}  // namespace
}  // namespace cairn::ledger
