// The sparse Merkle map over the ledger's state: a binary radix tree over 32-byte key hashes, compact and path-compressed.
//
//   empty  := zero
//   leaf   := tagged_hash("cairn.leaf.v1", key, value)
//   inner  := tagged_hash("cairn.inner.v1", bit:u8, left, right)   bit 0 is the highest bit of the key's first byte
//
// An inner node stands at the first bit where the keys below it differ: 0 goes left, 1 goes right. The bit is hashed with
// the node, so nobody can lead a search astray: whoever follows a key's bits from the root ends at the one leaf that could
// hold this key. If it holds another key, or the map is empty, the key is absent. Presence needs only the leaf, since a leaf
// holds its whole key. Bits ascend on every way down.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "base/blake3.h"

namespace cairn::attest {

struct MapEntry {
  Hash key;    // hash of the state key
  Hash value;  // hash of the state value
  friend auto operator<=>(const MapEntry&, const MapEntry&) = default;
  static constexpr auto fields() { return std::tuple{field("key", &MapEntry::key), field("value", &MapEntry::value)}; }
};
struct MapStep {
  uint8_t bit = 0;
  Hash sibling;
  static constexpr auto fields() { return std::tuple{field("bit", &MapStep::bit), field("sibling", &MapStep::sibling)}; }
};
struct MapProof {
  std::vector<MapStep> steps;      // from the root down
  std::optional<MapEntry> found;   // the leaf where the search for the key ends; none in an empty map
  static constexpr auto fields() { return std::tuple{field("steps", &MapProof::steps), field("found", &MapProof::found)}; }
};

Hash map_leaf(const MapEntry& entry);
Hash map_inner(uint8_t bit, const Hash& left, const Hash& right);
bool bit_of(const Hash& key, uint8_t bit);
// The first bit where two different keys differ.
uint8_t first_difference(const Hash& a, const Hash& b);

// Over entries sorted by key, keys distinct. Cost: two hashes an entry.
Hash map_root(std::span<const MapEntry> sorted);
// Proves a key present or absent.
MapProof map_prove(std::span<const MapEntry> sorted, const Hash& key);

// Error: proof.
Result<> check_present(const Hash& root, const MapEntry& entry, const MapProof& proof);
Result<> check_absent(const Hash& root, const Hash& key, const MapProof& proof);

// All that the map holds below one of its nodes: the way to the node, and the key of any entry there. Cut into branches, a map can
// be carried in parts that are proven one by one, and seen to be whole.
struct MapBranch {
  Hash key;
  std::vector<MapStep> steps;  // from the root down to the node, turning as `key` turns
};
// Of entries, sorted by key, that are all below one node, given the proof of the first of them.
MapBranch branch_of(std::span<const MapEntry> sorted, const MapProof& first);
// That the entries, sorted by key, are all that the map holds there. Error: proof.
Result<> check_branch(const Hash& root, std::span<const MapEntry> sorted, const MapBranch& branch);
// Of branches of one map that have been checked: that the map holds nothing before the branch, behind it, or between the two.
bool is_first(const MapBranch& branch);
bool is_last(const MapBranch& branch);
bool follows(const MapBranch& before, const MapBranch& branch);

}  // namespace cairn::attest
