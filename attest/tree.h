// The trees: 16-ary Merkle trees for everything a dispute walks, a sum tree for plans, BLAKE3's own tree for bytes.
//
//   node     := tagged_hash("cairn.node.v1", children...)    1..16 children, only the last node of a level has fewer
//   tree     := tagged_hash("cairn.tree.v1", count:u64, top node); an empty tree has count 0 and a zero top
#pragma once

#include <span>
#include <vector>

#include "attest/plan.h"
#include "base/content.h"

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

// State root: over the step number (how many steps have run) and the ids of all state buffers in plan order:
// tagged_hash("cairn.state.v1", step:u64, tree_root(ids)), so that one buffer opens by a path.
Hash state_root(uint64_t step, std::span<const Hash> ids);
// That buffer `index` of `count` had this id when `step` steps had run. Error: proof.
Result<> check_state_path(const Hash& root, uint64_t step, uint64_t count, uint64_t index, const Hash& id, const TreePath& path);
// Id of everything one call gave: tagged_hash("cairn.outputs.v1", ids of its outputs in order).
Hash call_id(std::span<const Hash> output_ids);

// ---- a tree walked from the top: the same data as a path, one group at a time ----

// Levels of nodes above the leaves: 0 for an empty tree, else at least 1.
uint32_t tree_levels(uint64_t count);
// Number of children of node `index` that stands `level` levels above the leaves (level >= 1).
size_t node_children(uint64_t count, uint32_t level, uint64_t index);
Hash tree_node(std::span<const Hash> children);
Hash tree_top(uint64_t count, const Hash& top_node);          // tree_root, from its top node
Hash state_top(uint64_t step, const Hash& ids_tree_root);     // state_root, from its tree
// The children of one node of the tree over `leaves`.
std::vector<Hash> tree_group(std::span<const Hash> leaves, uint32_t level, uint64_t index);

// ---- the plan's tree ----

// What a plan root is the hash of: tagged_hash("cairn.plan.v1", encode(head)). Opens in parts:
//   calls      sum tree: a leaf is (tagged_hash("cairn.call.v1", encode(call)), call.work_ns); a node is
//              (tagged_hash("cairn.sum.v1", encode(child)...), sum of the works); `calls_top` is its top node
//   inputs     tree over hash_of("cairn.input.v1", InputSlot)
//   constants  tree over hash_of("cairn.constant.v1", ConstantLeaf)
//   state      tree over hash_of("cairn.slot.v1", StateSlot)
struct SumLeaf {
  Hash hash;
  uint64_t work_ns = 0;  // of everything below; a plan whose step passes 64 bits is refused by validate()
  friend bool operator==(const SumLeaf&, const SumLeaf&) = default;
  static constexpr auto fields() { return std::tuple{field("hash", &SumLeaf::hash), field("work_ns", &SumLeaf::work_ns)}; }
};
struct PlanHead {
  uint16_t version = Plan::kVersion;
  uint32_t calls = 0;
  uint32_t inputs = 0;
  uint32_t constants = 0;
  uint32_t state = 0;
  SumLeaf calls_top;  // its work is the plan's work of one step
  Hash inputs_root;
  Hash constants_root;
  Hash state_root;
  static constexpr auto fields() {
    return std::tuple{field("version", &PlanHead::version),
                      field("calls", &PlanHead::calls),
                      field("inputs", &PlanHead::inputs),
                      field("constants", &PlanHead::constants),
                      field("state", &PlanHead::state),
                      field("calls_top", &PlanHead::calls_top),
                      field("inputs_root", &PlanHead::inputs_root),
                      field("constants_root", &PlanHead::constants_root),
                      field("state_root", &PlanHead::state_root)};
  }
};
struct ConstantLeaf {
  TensorType type;
  Hash id;  // BLAKE3 of the constant's bytes
  static constexpr auto fields() { return std::tuple{field("type", &ConstantLeaf::type), field("id", &ConstantLeaf::id)}; }
};
struct SumPath {
  std::vector<std::vector<SumLeaf>> groups;  // from the leaf up, self included
  static constexpr auto fields() { return std::tuple{field("groups", &SumPath::groups)}; }
};
PlanHead plan_head(const Plan& plan);
Hash plan_root(const PlanHead& head);
Hash plan_root(const Plan& plan);
Hash call_leaf(const Call& call);
SumPath plan_path(const Plan& plan, uint32_t call);
TreePath constant_path(const Plan& plan, uint32_t constant);
TreePath slot_path(const Plan& plan, uint32_t slot);
// Each checks that `root` is the hash of `head` and that the leaf stands at its place. Error: proof.
Result<> check_call(const Hash& root, const PlanHead& head, uint32_t index, const Call& call, const SumPath& path);
Result<> check_constant(const Hash& root, const PlanHead& head, uint32_t index, const ConstantLeaf& leaf, const TreePath& path);
Result<> check_slot(const Hash& root, const PlanHead& head, uint32_t index, const StateSlot& slot, const TreePath& path);

// ---- bytes ----

// A slice of bytes against their content id: the chunks that hold it, with the chaining values beside the way.
// Chunks may be scattered; the proof is in depth-first order, so a sequence of neighbours shares its way.
struct SliceProof {
  uint64_t size_bytes = 0;                // of the whole content, as claimed: compare it with the tensor's type
  std::vector<uint64_t> chunks;           // ascending chunk indices
  std::vector<Bytes> data;                // their bytes, same order
  std::vector<ChainingValue> siblings;    // depth-first, left to right
  static constexpr auto fields() {
    return std::tuple{field("size_bytes", &SliceProof::size_bytes), field("chunks", &SliceProof::chunks),
                      field("data", &SliceProof::data), field("siblings", &SliceProof::siblings)};
  }
};
// `chunks` ascending, each below the content's chunk count.
SliceProof prove_slices(ByteSpan content, std::span<const uint64_t> chunks, const ContentKey& key = {});
// Error: proof, for anything but exactly the bytes of those chunks of the content with this id and size.
Result<> check_slices(const Hash& id, const SliceProof& proof, const ContentKey& key = {});

// A node of BLAKE3's tree over `size_bytes` bytes: the subtree over chunks [first, first + count).
struct ChunkRange {
  uint64_t first = 0;
  uint64_t count = 0;
  friend bool operator==(const ChunkRange&, const ChunkRange&) = default;
  static constexpr auto fields() { return std::tuple{field("first", &ChunkRange::first), field("count", &ChunkRange::count)}; }
};
uint64_t chunk_count(uint64_t size_bytes);  // at least 1
// The descendants of a node 4 levels down, left to right: 2..16 of them when it has more than one chunk.
std::vector<ChunkRange> descendants(const ChunkRange& node);
// Chaining value of a node from its bytes, or from its descendants' values. `root` makes the content id of it.
ChainingValue range_cv(ByteSpan range_bytes, const ChunkRange& range, bool root, const ContentKey& key = {});
ChainingValue fold_descendants(const ChunkRange& node, std::span<const ChainingValue> values, bool root, const ContentKey& key = {});

}  // namespace cairn::attest
