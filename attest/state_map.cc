#include "attest/state_map.h"

#include <algorithm>
#include <bit>

namespace cairn::attest {
namespace {

Error no_proof(std::string text) { return {Code::proof, std::move(text), "ask another node"}; }

// Where entries sorted by key part: the first bit in which the first and the last differ, and the first entry with a 1 there.
struct Fork {
  uint8_t bit;
  size_t right;
};
Fork fork_of(std::span<const MapEntry> sorted) {
  const uint8_t bit = first_difference(sorted.front().key, sorted.back().key);
  const auto right = std::partition_point(sorted.begin(), sorted.end(), [&](const MapEntry& e) { return !bit_of(e.key, bit); });
  return {bit, static_cast<size_t>(right - sorted.begin())};
}

// The root that a proof's steps lead to from its leaf, turning as `key` turns.
Result<Hash> climb(const Hash& key, const MapProof& proof) {
  Hash node = map_leaf(*proof.found);
  for (size_t i = proof.steps.size(); i-- > 0;) {
    const MapStep& step = proof.steps[i];
    if (i > 0 && proof.steps[i - 1].bit >= step.bit) return no_proof("the bits of a state path do not ascend");
    node = bit_of(key, step.bit) ? map_inner(step.bit, step.sibling, node) : map_inner(step.bit, node, step.sibling);
  }
  return node;
}

}  // namespace

// Both are what tagged_hash would give, from one buffer: two calls of the compression function each, and these are the calls
// that a block's root is made of.
Hash map_leaf(const MapEntry& entry) {
  constexpr std::string_view kTag = "cairn.leaf.v1";
  uint8_t text[1 + kTag.size() + 64] = {kTag.size()};
  std::memcpy(text + 1, kTag.data(), kTag.size());
  std::memcpy(text + 1 + kTag.size(), entry.key.data(), 32);
  std::memcpy(text + 33 + kTag.size(), entry.value.data(), 32);
  return root_of_chunk(text);
}
Hash map_inner(uint8_t bit, const Hash& left, const Hash& right) {
  constexpr std::string_view kTag = "cairn.inner.v1";
  uint8_t text[2 + kTag.size() + 64] = {kTag.size()};
  std::memcpy(text + 1, kTag.data(), kTag.size());
  text[1 + kTag.size()] = bit;
  std::memcpy(text + 2 + kTag.size(), left.data(), 32);
  std::memcpy(text + 34 + kTag.size(), right.data(), 32);
  return root_of_chunk(text);
}
bool bit_of(const Hash& key, uint8_t bit) { return (key.v[bit / 8] >> (7 - bit % 8)) & 1; }

uint8_t first_difference(const Hash& a, const Hash& b) {
  CHECK(a != b);
  size_t i = 0;
  while (a.v[i] == b.v[i]) i++;
  return static_cast<uint8_t>(i * 8 + static_cast<size_t>(std::countl_zero(static_cast<uint8_t>(a.v[i] ^ b.v[i]))));
}

Hash map_root(std::span<const MapEntry> sorted) {
  if (sorted.empty()) return Hash{};
  if (sorted.size() == 1) return map_leaf(sorted.front());
  const Fork fork = fork_of(sorted);
  return map_inner(fork.bit, map_root(sorted.first(fork.right)), map_root(sorted.subspan(fork.right)));
}

MapProof map_prove(std::span<const MapEntry> sorted, const Hash& key) {
  MapProof proof;
  if (sorted.empty()) return proof;
  while (sorted.size() > 1) {
    const Fork fork = fork_of(sorted);
    const auto left = sorted.first(fork.right), right = sorted.subspan(fork.right);
    const bool go_right = bit_of(key, fork.bit);
    proof.steps.push_back({fork.bit, map_root(go_right ? left : right)});
    sorted = go_right ? right : left;
  }
  proof.found = sorted.front();
  return proof;
}

Result<> check_present(const Hash& root, const MapEntry& entry, const MapProof& proof) {
  if (!proof.found || *proof.found != entry) return no_proof("a state path leads to another entry");
  TRY_LET(reached, climb(entry.key, proof));
  if (reached != root) return no_proof("a state path does not lead to the state root");
  return {};
}

Result<> check_absent(const Hash& root, const Hash& key, const MapProof& proof) {
  if (!proof.found) {
    if (!proof.steps.empty() || !root.is_zero()) return no_proof("a path of an empty state does not lead to the state root");
    return {};
  }
  if (proof.found->key == key) return no_proof("a path shows the key that it should show absent");
  TRY_LET(reached, climb(key, proof));
  if (reached != root) return no_proof("a state path does not lead to the state root");
  return {};
}

}  // namespace cairn::attest
