#include "attest/tree.h"

#include <algorithm>
#include <functional>


namespace cairn::attest {
namespace {

Error no_proof(std::string text) { return {Code::proof, std::move(text), "ask somebody else for it, or report who sent it"}; }

Hash hash_numbers(std::string_view tag, uint64_t number, const Hash& hash) {
  const Bytes encoded = encode(number);
  return tagged_hash(tag, {encoded, hash.span()});
}

Hash hash_list(std::string_view tag, std::span<const Hash> hashes) {
  Bytes flat;
  flat.reserve(hashes.size() * Hash::size());
  for (const Hash& hash : hashes) flat.insert(flat.end(), hash.v.begin(), hash.v.end());
  return tagged_hash(tag, {flat});
}

SumLeaf sum_node(std::span<const SumLeaf> children) {
  Writer writer;
  SumLeaf node;
  for (const SumLeaf& child : children) {
    writer.put(child);
    node.work_ns += child.work_ns;
  }
  node.hash = tagged_hash("cairn.sum.v1", {writer.take()});
  return node;
}

// One rule for both trees: a level of nodes becomes the next in groups of 16.
template <class Node, class Combine>
std::vector<Node> next_level(std::span<const Node> level, Combine combine) {
  std::vector<Node> out;
  for (size_t i = 0; i < level.size(); i += kArity)
    out.push_back(combine(level.subspan(i, std::min(kArity, level.size() - i))));
  return out;
}

template <class Node, class Combine>
std::vector<std::vector<Node>> path_groups(std::vector<Node> level, uint64_t index, Combine combine) {
  CHECK(index < level.size());
  std::vector<std::vector<Node>> groups;
  do {
    const size_t begin = static_cast<size_t>(index / kArity * kArity);
    const size_t end = std::min(level.size(), begin + kArity);
    groups.emplace_back(level.begin() + static_cast<std::ptrdiff_t>(begin), level.begin() + static_cast<std::ptrdiff_t>(end));
    level = next_level<Node>(level, combine);
    index /= kArity;
  } while (level.size() > 1);
  return groups;
}

// The top node that the groups lead to from `leaf`.
template <class Node, class Combine>
Result<Node> climb(uint64_t count, uint64_t index, const Node& leaf, const std::vector<std::vector<Node>>& groups,
                   Combine combine) {
  if (index >= count) return no_proof("leaf " + std::to_string(index) + " of a tree of " + std::to_string(count));
  if (groups.size() != tree_levels(count)) return no_proof("a path has the wrong length for its tree");
  Node node = leaf;
  for (uint32_t level = 1; level <= groups.size(); level++, index /= kArity) {
    const std::vector<Node>& group = groups[level - 1];
    if (group.size() != node_children(count, level, index / kArity)) return no_proof("a path has a group of the wrong size");
    if (!(group[index % kArity] == node)) return no_proof("a path does not hold the leaf it is for");
    node = combine(std::span<const Node>(group));
  }
  return node;
}

std::vector<SumLeaf> sum_leaves(const Plan& plan) {
  std::vector<SumLeaf> leaves;
  leaves.reserve(plan.calls.size());
  for (const Call& call : plan.calls) leaves.push_back({call_leaf(call), call.work_ns});
  return leaves;
}

std::vector<Hash> input_leaves(const Plan& plan) {
  std::vector<Hash> leaves;
  for (const InputSlot& slot : plan.inputs) leaves.push_back(hash_of("cairn.input.v1", slot));
  return leaves;
}
std::vector<Hash> constant_leaves(const Plan& plan) {
  std::vector<Hash> leaves;
  for (const Constant& constant : plan.constants)
    leaves.push_back(hash_of("cairn.constant.v1", ConstantLeaf{constant.type, blake3(constant.bytes)}));
  return leaves;
}
std::vector<Hash> slot_leaves(const Plan& plan) {
  std::vector<Hash> leaves;
  for (const StateSlot& slot : plan.state) leaves.push_back(hash_of("cairn.slot.v1", slot));
  return leaves;
}

Result<> check_head(const Hash& root, const PlanHead& head) {
  if (plan_root(head) != root) return no_proof("the head of a plan is not the one that the plan root names");
  return {};
}

ByteSpan chunk_of(ByteSpan content, uint64_t index) {
  const size_t begin = static_cast<size_t>(index) * kChunkBytes;
  return content.subspan(begin, std::min(kChunkBytes, content.size() - begin));
}

void split(const ChunkRange& node, ChunkRange& left, ChunkRange& right) {
  left = {node.first, left_chunks(node.count)};
  right = {node.first + left.count, node.count - left.count};
}

ChainingValue fold_values(const ChunkRange& node, int levels, std::span<const ChainingValue>& values, bool root, const ContentKey& key) {
  if (levels == 0 || node.count == 1) {
    const ChainingValue value = values.front();
    values = values.subspan(1);
    return value;
  }
  ChunkRange left, right;
  split(node, left, right);
  const ChainingValue a = fold_values(left, levels - 1, values, false, key);
  const ChainingValue b = fold_values(right, levels - 1, values, false, key);
  return root ? root_of_parent(a, b, key) : parent_cv(a, b, key);
}

// The chunks of a sorted list that lie in a range.
std::span<const uint64_t> within(std::span<const uint64_t> chunks, const ChunkRange& range) {
  const auto begin = std::lower_bound(chunks.begin(), chunks.end(), range.first);
  const auto end = std::lower_bound(begin, chunks.end(), range.first + range.count);
  return {begin, end};
}

void prove_range(ByteSpan content, const ChunkRange& range, std::span<const uint64_t> chunks, const ContentKey& key, SliceProof& proof) {
  const ByteSpan bytes = content.subspan(static_cast<size_t>(range.first) * kChunkBytes);
  if (chunks.empty()) {
    const size_t size = std::min(bytes.size(), static_cast<size_t>(range.count) * kChunkBytes);
    proof.siblings.push_back(subtree_cv(bytes.first(size), range.first, key));
  } else if (range.count == 1) {
    const ByteSpan chunk = chunk_of(content, range.first);
    proof.data.emplace_back(chunk.begin(), chunk.end());
  } else {
    ChunkRange left, right;
    split(range, left, right);
    prove_range(content, left, within(chunks, left), key, proof);
    prove_range(content, right, within(chunks, right), key, proof);
  }
}

// The chaining value of a range from a proof, in the order in which prove_range wrote it. Depth is at most 64.
struct SliceReader {
  const SliceProof& proof;
  const ContentKey& key;
  size_t next_data = 0;
  size_t next_sibling = 0;

  Result<ChainingValue> read(const ChunkRange& range, std::span<const uint64_t> chunks, bool root) {
    if (chunks.empty()) {
      if (next_sibling == proof.siblings.size()) return no_proof("a slice lacks a chaining value");
      return proof.siblings[next_sibling++];
    }
    if (range.count == 1) {
      const Bytes& chunk = proof.data[next_data++];
      const uint64_t left = proof.size_bytes - range.first * kChunkBytes;
      if (chunk.size() != std::min<uint64_t>(kChunkBytes, left)) return no_proof("a chunk of a slice has the wrong size");
      return root ? root_of_chunk(chunk, key) : chunk_cv(chunk, range.first, key);
    }
    ChunkRange left, right;
    split(range, left, right);
    TRY_LET(a, read(left, within(chunks, left), false));
    TRY_LET(b, read(right, within(chunks, right), false));
    return root ? root_of_parent(a, b, key) : parent_cv(a, b, key);
  }
};

}  // namespace

// ---- the 16-ary tree ----

uint32_t tree_levels(uint64_t count) {
  if (count == 0) return 0;
  uint32_t levels = 1;
  for (uint64_t nodes = (count - 1) / kArity; nodes > 0; nodes /= kArity) levels++;
  return levels;
}

size_t node_children(uint64_t count, uint32_t level, uint64_t index) {
  CHECK(level >= 1 && level <= tree_levels(count));
  uint64_t below = count;  // nodes of the level of the children
  for (uint32_t l = 1; l < level; l++) below = (below - 1) / kArity + 1;
  if (index > (below - 1) / kArity) return 0;
  return static_cast<size_t>(std::min<uint64_t>(kArity, below - index * kArity));
}

Hash tree_node(std::span<const Hash> children) { return hash_list("cairn.node.v1", children); }
Hash tree_top(uint64_t count, const Hash& top_node) { return hash_numbers("cairn.tree.v1", count, top_node); }

Hash tree_root(std::span<const Hash> leaves) {
  if (leaves.empty()) return tree_top(0, Hash{});
  std::vector<Hash> level = next_level<Hash>(leaves, tree_node);
  while (level.size() > 1) level = next_level<Hash>(level, tree_node);
  return tree_top(leaves.size(), level.front());
}

std::vector<Hash> tree_group(std::span<const Hash> leaves, uint32_t level, uint64_t index) {
  CHECK(node_children(leaves.size(), level, index) > 0);
  uint64_t width = 1;  // leaves below one node of the group
  for (uint32_t l = 1; l < level; l++) width *= kArity;
  const size_t begin = static_cast<size_t>(index * width * kArity);
  leaves = leaves.subspan(begin, static_cast<size_t>(std::min<uint64_t>(width * kArity, leaves.size() - begin)));
  std::vector<Hash> group(leaves.begin(), leaves.end());
  for (uint32_t l = 1; l < level; l++) group = next_level<Hash>(group, tree_node);
  return group;
}

TreePath tree_path(std::span<const Hash> leaves, uint64_t index) {
  return {path_groups<Hash>({leaves.begin(), leaves.end()}, index, tree_node)};
}

Result<> check_path(const Hash& root, uint64_t count, uint64_t index, const Hash& leaf, const TreePath& path) {
  TRY_LET(top, climb(count, index, leaf, path.groups, tree_node));
  if (tree_top(count, top) != root) return no_proof("a path does not lead to its root");
  return {};
}

Hash state_top(uint64_t step, const Hash& ids_tree_root) { return hash_numbers("cairn.state.v1", step, ids_tree_root); }
Hash state_root(uint64_t step, std::span<const Hash> ids) { return state_top(step, tree_root(ids)); }
Result<> check_state_path(const Hash& root, uint64_t step, uint64_t count, uint64_t index, const Hash& id, const TreePath& path) {
  TRY_LET(top, climb(count, index, id, path.groups, tree_node));
  if (state_top(step, tree_top(count, top)) != root) return no_proof("a path does not lead to the state root");
  return {};
}
Hash call_id(std::span<const Hash> output_ids) { return hash_list("cairn.outputs.v1", output_ids); }

// ---- the plan's tree ----

Hash call_leaf(const Call& call) { return hash_of("cairn.call.v1", call); }

PlanHead plan_head(const Plan& plan) {
  PlanHead head;
  head.version = plan.version;
  head.calls = static_cast<uint32_t>(plan.calls.size());
  head.inputs = static_cast<uint32_t>(plan.inputs.size());
  head.constants = static_cast<uint32_t>(plan.constants.size());
  head.state = static_cast<uint32_t>(plan.state.size());
  std::vector<SumLeaf> level = sum_leaves(plan);
  do {
    level = next_level<SumLeaf>(level, sum_node);
  } while (level.size() > 1);
  if (!level.empty()) head.calls_top = level.front();
  head.inputs_root = tree_root(input_leaves(plan));
  head.constants_root = tree_root(constant_leaves(plan));
  head.state_root = tree_root(slot_leaves(plan));
  return head;
}

Hash plan_root(const PlanHead& head) { return hash_of("cairn.plan.v1", head); }
Hash plan_root(const Plan& plan) { return plan_root(plan_head(plan)); }

SumPath plan_path(const Plan& plan, uint32_t call) { return {path_groups<SumLeaf>(sum_leaves(plan), call, sum_node)}; }
TreePath constant_path(const Plan& plan, uint32_t constant) { return tree_path(constant_leaves(plan), constant); }
TreePath slot_path(const Plan& plan, uint32_t slot) { return tree_path(slot_leaves(plan), slot); }

Result<> check_call(const Hash& root, const PlanHead& head, uint32_t index, const Call& call, const SumPath& path) {
  TRY(check_head(root, head));
  TRY_LET(top, climb(head.calls, index, SumLeaf{call_leaf(call), call.work_ns}, path.groups, sum_node));
  if (!(top == head.calls_top)) return no_proof("a call's path does not lead to its plan");
  return {};
}

Result<> check_constant(const Hash& root, const PlanHead& head, uint32_t index, const ConstantLeaf& leaf, const TreePath& path) {
  TRY(check_head(root, head));
  return check_path(head.constants_root, head.constants, index, hash_of("cairn.constant.v1", leaf), path);
}

Result<> check_slot(const Hash& root, const PlanHead& head, uint32_t index, const StateSlot& slot, const TreePath& path) {
  TRY(check_head(root, head));
  return check_path(head.state_root, head.state, index, hash_of("cairn.slot.v1", slot), path);
}

// ---- bytes ----

uint64_t chunk_count(uint64_t size_bytes) { return size_bytes == 0 ? 1 : (size_bytes - 1) / kChunkBytes + 1; }

SliceProof prove_slices(ByteSpan content, std::span<const uint64_t> chunks, const ContentKey& key) {
  CHECK(!chunks.empty() && chunks.back() < chunk_count(content.size()));
  CHECK(std::adjacent_find(chunks.begin(), chunks.end(), std::greater_equal<>{}) == chunks.end());  // ascending, distinct
  SliceProof proof;
  proof.size_bytes = content.size();
  proof.chunks.assign(chunks.begin(), chunks.end());
  prove_range(content, {0, chunk_count(content.size())}, chunks, key, proof);
  return proof;
}

Result<> check_slices(const Hash& id, const SliceProof& proof, const ContentKey& key) {
  const uint64_t count = chunk_count(proof.size_bytes);
  if (proof.chunks.empty() || proof.chunks.size() != proof.data.size()) return no_proof("a slice without its chunks");
  for (size_t i = 0; i < proof.chunks.size(); i++)
    if (proof.chunks[i] >= count || (i > 0 && proof.chunks[i] <= proof.chunks[i - 1]))
      return no_proof("the chunks of a slice are not in order");
  SliceReader reader{proof, key};
  TRY_LET(root, reader.read({0, count}, proof.chunks, true));
  if (reader.next_sibling != proof.siblings.size()) return no_proof("a slice has chaining values left over");
  if (root != id) return no_proof("a slice does not belong to the content it is for");
  return {};
}

std::vector<ChunkRange> descendants(const ChunkRange& node) {
  std::vector<ChunkRange> level{node};
  for (int i = 0; i < 4; i++) {
    std::vector<ChunkRange> next;
    for (const ChunkRange& range : level) {
      if (range.count == 1) {
        next.push_back(range);
      } else {
        ChunkRange left, right;
        split(range, left, right);
        next.push_back(left);
        next.push_back(right);
      }
    }
    level = std::move(next);
  }
  return level;
}

ChainingValue range_cv(ByteSpan range_bytes, const ChunkRange& range, bool root, const ContentKey& key) {
  if (range.count == 1) return root ? root_of_chunk(range_bytes, key) : chunk_cv(range_bytes, range.first, key);
  ChunkRange left, right;
  split(range, left, right);
  const size_t cut = static_cast<size_t>(left.count) * kChunkBytes;
  CHECK(range_bytes.size() > cut);
  if (!root) return subtree_cv(range_bytes, range.first, key);
  return root_of_parent(subtree_cv(range_bytes.first(cut), left.first, key), subtree_cv(range_bytes.subspan(cut), right.first, key), key);
}

ChainingValue fold_descendants(const ChunkRange& node, std::span<const ChainingValue> values, bool root, const ContentKey& key) {
  CHECK(values.size() == descendants(node).size());
  return fold_values(node, 4, values, root, key);
}

}  // namespace cairn::attest
