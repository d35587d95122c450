// The state map: golden roots, presence and absence over random maps, and every way to forge them.
#include "attest/state_map.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace cairn::attest {
namespace {

Hash random_hash_of(std::mt19937_64& rng) {
  Hash hash;
  for (uint8_t& b : hash.v) b = static_cast<uint8_t>(rng());
  return hash;
}

// Keys that share long prefixes as often as not.
std::vector<MapEntry> random_map(size_t size, std::mt19937_64& rng) {
  std::map<Hash, Hash> entries;
  while (entries.size() < size) {
    Hash key = random_hash_of(rng);
    if (!entries.empty() && rng() % 2) {
      auto near = entries.begin();
      std::advance(near, static_cast<long>(rng() % entries.size()));
      key = near->first;
      key.v[rng() % 32] ^= static_cast<uint8_t>(1 << rng() % 8);
    }
    entries[key] = random_hash_of(rng);
  }
  std::vector<MapEntry> sorted;
  for (const auto& [key, value] : entries) sorted.push_back({key, value});
  return sorted;
}

TEST(StateMap, Golden) {
  std::vector<MapEntry> entries;
  for (uint32_t i = 0; i < 100; i++) entries.push_back({blake3(encode(i)), blake3(encode(i + 1000))});
  std::sort(entries.begin(), entries.end());
  EXPECT_TRUE(map_root({}).is_zero());
  EXPECT_EQ(map_root(std::span(entries).first(1)), map_leaf(entries[0]));
  EXPECT_EQ(map_root(entries).hex().substr(0, 16), "ae99f60dd0df04df");
}

TEST(StateMap, PresenceAndAbsence) {
  std::mt19937_64 rng(3);
  for (size_t size : {0u, 1u, 2u, 3u, 10u, 100u, 1000u}) {
    const auto entries = random_map(size, rng);
    const Hash root = map_root(entries);
    for (int i = 0; i < 100; i++) {
      if (size > 0) {
        const MapEntry& entry = entries[rng() % size];
        const MapProof proof = map_prove(entries, entry.key);
        ASSERT_TRUE(check_present(root, entry, proof));
        EXPECT_FALSE(check_absent(root, entry.key, proof));
        EXPECT_FALSE(check_present(root, {entry.key, random_hash_of(rng)}, proof));
        EXPECT_FALSE(check_present(random_hash_of(rng), entry, proof));
        // A present key is never shown absent by another key's path.
        const MapProof other = map_prove(entries, entries[rng() % size].key);
        EXPECT_FALSE(check_absent(root, entry.key, other));
      }
      Hash absent = random_hash_of(rng);
      if (size > 0 && rng() % 2) {
        absent = entries[rng() % size].key;
        absent.v[rng() % 32] ^= static_cast<uint8_t>(1 << rng() % 8);
        if (std::any_of(entries.begin(), entries.end(), [&](const auto& e) { return e.key == absent; })) continue;
      }
      const MapProof proof = map_prove(entries, absent);
      ASSERT_TRUE(check_absent(root, absent, proof));
      EXPECT_FALSE(check_present(root, {absent, random_hash_of(rng)}, proof));
    }
  }
}

TEST(StateMap, ForgedAbsence) {
  std::mt19937_64 rng(4);
  const auto entries = random_map(60, rng);
  const Hash root = map_root(entries);
  int tried = 0;
  for (const MapEntry& victim : entries) {
    for (const MapEntry& other : entries) {
      // Another leaf's true way, with bits, siblings or order changed at random.
      MapProof proof = map_prove(entries, other.key);
      for (int i = 0; i < 4; i++) {
        MapProof bad = proof;
        if (bad.steps.empty()) continue;
        MapStep& step = bad.steps[rng() % bad.steps.size()];
        switch (rng() % 4) {
          case 0: step.bit = static_cast<uint8_t>(rng()); break;
          case 1: step.sibling.v[rng() % 32] ^= 1; break;
          case 2: bad.steps.erase(bad.steps.begin()); break;
          case 3: std::swap(bad.steps.front(), bad.steps.back()); break;
        }
        ASSERT_FALSE(check_absent(root, victim.key, bad));
        tried++;
      }
    }
  }
  EXPECT_GT(tried, 10'000);
}

// Cuts a map at random nodes into branches.
std::vector<std::span<const MapEntry>> cut(std::span<const MapEntry> sorted, size_t at_most, std::mt19937_64& rng) {
  if (sorted.size() <= at_most || sorted.size() == 1) return {sorted};
  const uint8_t bit = first_difference(sorted.front().key, sorted.back().key);
  const auto right = std::partition_point(sorted.begin(), sorted.end(), [&](const MapEntry& e) { return !bit_of(e.key, bit); });
  auto out = cut({sorted.begin(), right}, 1 + rng() % at_most, rng);
  for (const auto& part : cut({right, sorted.end()}, 1 + rng() % at_most, rng)) out.push_back(part);
  return out;
}

TEST(StateMap, BranchesAreProvenAndFollowEachOther) {
  std::mt19937_64 rng(5);
  for (size_t size : {1u, 2u, 3u, 20u, 300u}) {
    const auto entries = random_map(size, rng);
    const Hash root = map_root(entries);
    const auto parts = cut(entries, 20, rng);
    std::vector<MapBranch> branches;
    for (const auto& part : parts) branches.push_back(branch_of(part, map_prove(entries, part.front().key)));
    for (size_t i = 0; i < parts.size(); i++) {
      ASSERT_TRUE(check_branch(root, parts[i], branches[i]));
      EXPECT_EQ(is_first(branches[i]), i == 0);
      EXPECT_EQ(is_last(branches[i]), i + 1 == parts.size());
      for (size_t k = 0; k < parts.size(); k++) EXPECT_EQ(follows(branches[i], branches[k]), k == i + 1);
    }
  }
}

TEST(StateMap, BranchesThatLie) {
  std::mt19937_64 rng(6);
  const auto entries = random_map(200, rng);
  const Hash root = map_root(entries);
  int tried = 0;
  for (int round = 0; round < 100; round++)
    for (const auto& part : cut(entries, 30, rng)) {
      const MapBranch branch = branch_of(part, map_prove(entries, part.front().key));
      std::vector<MapEntry> bad(part.begin(), part.end());
      MapBranch way = branch;
      switch (rng() % 7) {
        case 0: bad.erase(bad.begin() + static_cast<long>(rng() % bad.size())); break;         // one is left out
        case 1: bad[rng() % bad.size()].value.v[rng() % 32] ^= 1; break;
        case 2: bad[rng() % bad.size()].key.v[rng() % 32] ^= 1; break;
        case 3: bad.push_back({random_hash_of(rng), random_hash_of(rng)}); break;
        case 4: if (bad.size() > 1) std::swap(bad.front(), bad.back()); else bad.clear(); break;
        case 5: if (way.steps.empty()) continue; way.steps.pop_back(); break;
        case 6: if (way.steps.empty()) continue; way.steps[rng() % way.steps.size()].bit = static_cast<uint8_t>(rng()); break;
      }
      if (!bad.empty() && rng() % 2) way.key = bad.front().key;
      const bool same = bad == std::vector<MapEntry>(part.begin(), part.end()) && encode(way.steps) == encode(branch.steps) && way.key == branch.key;
      if (same) continue;
      ASSERT_FALSE(check_branch(root, bad, way));
      tried++;
    }
  EXPECT_GT(tried, 1'000);
}

}  // namespace
}  // namespace cairn::attest
