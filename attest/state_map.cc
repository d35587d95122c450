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

// The root that steps lead to from a node, turning as `key` turns.
Result<Hash> climb(const Hash& key, Hash node, std::span<const MapStep> steps) {
  for (size_t i = steps.size(); i-- > 0;) {
    const MapStep& step = steps[i];
    if (i > 0 && steps[i - 1].bit >= step.bit) return no_proof("the bits of a state path do not ascend");
    node = bit_of(key, step.bit) ? map_inner(step.bit, step.sibling, node) : map_inner(step.bit, node, step.sibling);
  }
  return node;
}
// From the leaf of a proof.
Result<Hash> climb(const Hash& key, const MapProof& proof) { return climb(key, map_leaf(*proof.found), proof.steps); }

bool turns(const MapBranch& branch, std::span<const MapStep> steps, bool right) {
  return std::all_of(steps.begin(), steps.end(), [&](const MapStep& step) { return bit_of(branch.key, step.bit) == right; });
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

MapBranch branch_of(std::span<const MapEntry> sorted, const MapProof& first) {
  const int part_at = sorted.size() == 1 ? 256 : first_difference(sorted.front().key, sorted.back().key);
  MapBranch out{sorted.front().key, first.steps};
  std::erase_if(out.steps, [&](const MapStep& step) { return step.bit >= part_at; });
  return out;
}

Result<> check_branch(const Hash& root, std::span<const MapEntry> sorted, const MapBranch& branch) {
  if (sorted.empty()) return no_proof("a branch of the state without entries");
  for (size_t i = 1; i < sorted.size(); i++)
    if (!(sorted[i - 1].key < sorted[i].key)) return no_proof("the entries of a branch of the state are out of order");
  if (branch.key != sorted.front().key) return no_proof("the way to a branch of the state is another's");
  if (!branch.steps.empty() && sorted.size() > 1 && first_difference(sorted.front().key, sorted.back().key) <= branch.steps.back().bit)
    return no_proof("the entries of a branch of the state part above it");
  TRY_LET(reached, climb(branch.key, map_root(sorted), branch.steps));
  if (reached != root) return no_proof("a branch of the state does not lead to the state root");
  return {};
}

bool is_first(const MapBranch& branch) { return turns(branch, branch.steps, false); }
bool is_last(const MapBranch& branch) { return turns(branch, branch.steps, true); }

// The ways part at the last node where the first turned left: from there the second turns right, and then left alone. Above, nodes of
// one map are the same when their bits are.
bool follows(const MapBranch& before, const MapBranch& branch) {
  const auto parts = std::find_if(before.steps.rbegin(), before.steps.rend(), [&](const MapStep& step) { return !bit_of(before.key, step.bit); });
  if (parts == before.steps.rend()) return false;
  const size_t shared = static_cast<size_t>(before.steps.rend() - parts) - 1;
  if (branch.steps.size() <= shared || branch.steps[shared].bit != before.steps[shared].bit || !bit_of(branch.key, branch.steps[shared].bit)) return false;
  for (size_t i = 0; i < shared; i++)
    if (branch.steps[i].bit != before.steps[i].bit || bit_of(branch.key, branch.steps[i].bit) != bit_of(before.key, before.steps[i].bit)) return false;
  return turns(branch, std::span(branch.steps).subspan(shared + 1), false);
}

}  // namespace cairn::attest
