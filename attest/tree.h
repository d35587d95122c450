// The trees: 16-ary Merkle trees for everything a dispute walks, a sum tree for plans, BLAKE3's own tree for bytes.
//
//   node     := tagged_hash("cairn.node.v1", children...)    1..16 children, only the last node of a level has fewer
//   tree     := tagged_hash("cairn.tree.v1", count:u64, top node); an empty tree has count 0 and a zero top
#pragma once

#include <span>
#include <vector>

#include "attest/plan.h"
#include "base/blake3.h"

namespace cairn::attest {

inline constexpr size_t kArity = 16;

Hash tree_root(std::span<const Hash> leaves);

// Siblings from the leaf up: per level the whole group of children (self included), so a walk and a path are the same data.
struct TreePath {
  std::vector<std::vector<Hash>> groups;
  static constexpr auto fields() { return std::tuple{field("groups", &TreePath::groups)}; }
};
TreePath tree_path(std::span<const Hash> leaves, uint64_t index);
// Error: proof.
Result<> check_path(const Hash& root, uint64_t count, uint64_t index, const Hash& leaf, const TreePath& path);

// State root: over the step number (how many steps have run) and the ids of all state buffers in plan order.
Hash state_root(uint64_t step, std::span<const Hash> ids);
// Id of everything one call gave: over the ids of its outputs in order.
Hash call_id(std::span<const Hash> output_ids);

// Plan sum tree: a leaf is tagged_hash("cairn.call.v1", encode(call)) with call.work_ns; a node hashes its children's hashes
// and works; root = tagged_hash("cairn.plan.v1", count, total, top).
struct SumLeaf {
  Hash hash;
  uint64_t work_ns = 0;
  static constexpr auto fields() { return std::tuple{field("hash", &SumLeaf::hash), field("work_ns", &SumLeaf::work_ns)}; }
};
struct SumPath {
  std::vector<std::vector<SumLeaf>> groups;
  static constexpr auto fields() { return std::tuple{field("groups", &SumPath::groups)}; }
};
// The root also covers the constants' ids and the state slots' `next` references (plan tail), which a dispute may open.
Hash plan_root(const Plan& plan);
SumPath plan_path(const Plan& plan, uint32_t call);

// A slice of bytes against their content id: the chunks that hold it, with the chaining values beside the way.
// Chunks may be scattered; the proof is in depth-first order, so a sequence of neighbours shares its way.
struct SliceProof {
  uint64_t size_bytes = 0;                // of the whole content; bound by the tree's shape together with the id
  std::vector<uint64_t> chunks;           // ascending chunk indices
  std::vector<Bytes> data;                // their bytes, same order
  std::vector<ChainingValue> siblings;    // depth-first, left to right
  static constexpr auto fields() {
    return std::tuple{field("size_bytes", &SliceProof::size_bytes), field("chunks", &SliceProof::chunks),
                      field("data", &SliceProof::data), field("siblings", &SliceProof::siblings)};
  }
};
SliceProof prove_slices(ByteSpan content, std::span<const uint64_t> chunks);
Result<> check_slices(const Hash& id, const SliceProof& proof);

}  // namespace cairn::attest
