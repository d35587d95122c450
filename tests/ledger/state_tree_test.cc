// The tree in pages: the same roots and proofs as the whole map, whatever is in memory and wherever pages are cut.
#include "ledger/state_tree.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "base/blake3.h"

namespace cairn::ledger {
namespace {

Hash hash_numbered(uint64_t n) { return hash_of("test", n); }

// Keys that share their first `shared` bits: deep ways, long compressed edges.
Hash key_numbered(uint64_t n, unsigned shared) {
  Hash key = hash_numbered(n);
  for (unsigned bit = 0; bit < shared; bit++) key.v[bit / 8] = static_cast<uint8_t>(key.v[bit / 8] & ~(0x80u >> bit % 8));
  return key;
}

struct Shape {
  const char* name;
  uint64_t keys;      // that come and go
  unsigned shared;    // bits at the start of every second key
  int erase_one_in;
  size_t max_nodes;   // in memory
  int block;          // changes between two saves
};

// Against map_root and map_prove over a std::map of the same entries, with saves, dropped blocks and new starts between.
void run(const Shape& shape, uint64_t random, int rounds) {
  std::mt19937_64 rng(random);
  MemoryView disk;
  auto tree = std::make_unique<StateTree>(disk, shape.max_nodes);
  std::map<Hash, Hash> entries, committed;
  const auto any_key = [&] {
    const uint64_t n = rng() % shape.keys;
    return key_numbered(n, n % 2 ? shape.shared : 0);
  };
  for (int round = 1; round <= rounds; round++) {
    for (int i = 0; i < shape.block; i++) {
      const Hash key = any_key();
      if (rng() % static_cast<uint64_t>(shape.erase_one_in) == 0) {
        tree->erase(key);
        entries.erase(key);
      } else {
        const Hash value = hash_numbered(rng() % 5);
        tree->set(key, value);
        entries[key] = value;
      }
    }
    std::vector<attest::MapEntry> sorted;
    for (const auto& [k, v] : entries) sorted.push_back({k, v});
    const Hash root = attest::map_root(sorted);
    ASSERT_EQ(tree->root(), root) << shape.name << " round " << round;
    if (rng() % 8 == 0) {
      tree->reset(disk);
      entries = committed;
      continue;
    }
    disk.apply({}, tree->changes());
    tree->saved(disk);
    committed = entries;
    if (rng() % 8 == 0) tree = std::make_unique<StateTree>(disk, shape.max_nodes);
    for (int probe = 0; probe < 3; probe++) {
      const Hash key = any_key();
      const auto proof = tree->prove(key);
      ASSERT_EQ(encode(proof), encode(attest::map_prove(sorted, key)));
      ASSERT_EQ(encode(StateTree(disk).prove(key)), encode(proof));
      if (const auto at = entries.find(key); at != entries.end()) {
        EXPECT_TRUE(attest::check_present(root, {key, at->second}, proof));
      } else {
        EXPECT_TRUE(attest::check_absent(root, key, proof));
      }
    }
    std::vector<attest::MapEntry> seen;
    ASSERT_TRUE(StateTree::check(disk, root, [&](const attest::MapEntry& entry) {
      seen.push_back(entry);
      return true;
    }));
    ASSERT_EQ(seen, sorted);
  }
}

TEST(StateTree, SameRootsAndProofsAsTheWholeMap) {
  for (const Shape& shape : {Shape{"small", 12, 0, 2, 100, 1}, Shape{"one page and a little", 90, 0, 4, 10, 3},
                             Shape{"many pages", 3'000, 0, 6, 200, 60}, Shape{"growing at once", 4'000, 0, 50, 100'000, 900},
                             Shape{"shrinking", 2'000, 0, 2, 0, 200}, Shape{"deep", 600, 250, 4, 50, 20},
                             Shape{"one long edge", 600, 100, 4, 50, 20}})
    run(shape, 7, 40);
}

TEST(StateTree, PagesAreNeitherLargeNorLost) {
  MemoryView disk;
  StateTree tree(disk);
  std::mt19937_64 rng(3);
  std::map<uint64_t, size_t> pages;
  const auto save = [&] {
    const auto changes = tree.changes();
    for (const auto& [page, bytes] : changes) {
      if (bytes) {
        pages[page] = bytes->size();
      } else {
        ASSERT_EQ(pages.erase(page), 1u);
      }
    }
    disk.apply({}, changes);
    tree.saved(disk);
  };
  for (int block = 0; block < 100; block++) {
    for (int i = 0; i < 200; i++) tree.set(hash_numbered(rng()), hash_numbered(1));
    save();
  }
  size_t bytes = 0;
  for (const auto& [page, size] : pages) {
    EXPECT_LE(size, 32u * 65 + 31 * 2 + 8) << page;
    bytes += size;
  }
  EXPECT_LT(bytes / 20'000, 75u) << "bytes a leaf";
  EXPECT_LT(20'000 / pages.size(), 32u);
  EXPECT_GT(20'000 / pages.size(), 12u) << "leaves a page";

  std::vector<Hash> keys;
  ASSERT_TRUE(StateTree::check(disk, tree.root(), [&](const attest::MapEntry& entry) {
    keys.push_back(entry.key);
    return true;
  }));
  for (const Hash& key : keys) tree.erase(key);
  save();
  EXPECT_EQ(pages.size(), 1u) << "an empty tree has page 0 alone";
  EXPECT_TRUE(tree.root().is_zero());
}

// Whatever bytes stand in a page: the tree of the header, or a Fault.
TEST(StateTree, DamagedPagesAreRefused) {
  MemoryView disk;
  StateTree tree(disk);
  for (uint64_t n = 0; n < 400; n++) tree.set(hash_numbered(n), hash_numbered(1));
  const auto pages = tree.changes();
  disk.apply({}, pages);
  const Hash root = tree.root();
  std::mt19937_64 rng(5);
  const auto check = [&](const std::vector<PageChange>& damage) {
    MemoryView damaged;
    damaged.apply({}, pages);
    damaged.apply({}, damage);
    try {
      const auto checked = StateTree::check(damaged, root, [](const attest::MapEntry&) { return true; });
      return checked ? Code{} : checked.error().code;
    } catch (const Fault& fault) {
      return fault.error().code;
    }
  };
  ASSERT_EQ(check({}), Code{});
  for (int i = 0; i < 3'000; i++) {
    auto [page, bytes] = pages[rng() % pages.size()];
    const size_t from = page == 0 ? 8 : 0;  // the number of the next page is no part of the tree
    switch (rng() % 4) {
      case 0: (*bytes)[from + rng() % (bytes->size() - from)] ^= static_cast<uint8_t>(1u << rng() % 8); break;
      case 1: bytes->resize(rng() % bytes->size()); break;
      case 2: bytes->push_back(0); break;
      case 3: bytes = std::nullopt; break;
    }
    ASSERT_NE(check({{page, bytes}}), Code{}) << "page " << page;
  }
}

}  // namespace
}  // namespace cairn::ledger
