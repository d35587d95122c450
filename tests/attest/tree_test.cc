// The trees: 16-ary paths and walks, BLAKE3's own tree against blake3(), slices, and every way to damage them.
#include "attest/tree.h"

#include <gtest/gtest.h>

#include <random>

namespace cairn::attest {
namespace {

Bytes random_bytes(size_t size, std::mt19937_64& rng) {
  Bytes bytes(size);
  for (uint8_t& b : bytes) b = static_cast<uint8_t>(rng());
  return bytes;
}

std::vector<Hash> random_leaves(size_t count, std::mt19937_64& rng) {
  std::vector<Hash> leaves(count);
  for (Hash& leaf : leaves) leaf = *Hash::from(random_bytes(32, rng));
  return leaves;
}

TEST(Tree, Golden) {  // the format: a change here is a new version of the chain
  std::vector<Hash> leaves(300);
  for (size_t i = 0; i < leaves.size(); i++) leaves[i] = blake3(encode(static_cast<uint32_t>(i)));
  EXPECT_EQ(tree_root({}).hex().substr(0, 16), "0e7c27ef74197e53");
  EXPECT_EQ(tree_root(std::span(leaves).first(1)).hex().substr(0, 16), "89727a61c2c19ed2");
  EXPECT_EQ(tree_root(leaves).hex().substr(0, 16), "e6496e64babcf4bc");
  EXPECT_EQ(state_root(7, leaves).hex().substr(0, 16), "1cb7f2231d33fe0b");
  EXPECT_EQ(call_id(leaves).hex().substr(0, 16), "8e5726e43bdd3bd8");
}

TEST(Tree, Levels) {
  const std::pair<uint64_t, uint32_t> rows[] = {{0, 0}, {1, 1}, {16, 1}, {17, 2}, {256, 2}, {257, 3}, {100'000, 5}, {UINT64_MAX, 16}};
  for (auto [count, levels] : rows) EXPECT_EQ(tree_levels(count), levels) << count;
  EXPECT_EQ(node_children(17, 1, 0), 16u);
  EXPECT_EQ(node_children(17, 1, 1), 1u);
  EXPECT_EQ(node_children(17, 1, 2), 0u);
  EXPECT_EQ(node_children(17, 2, 0), 2u);
}

TEST(Tree, PathsAndWalks) {
  std::mt19937_64 rng(1);
  for (size_t count : {1u, 2u, 15u, 16u, 17u, 255u, 256u, 257u, 1000u, 5000u}) {
    const auto leaves = random_leaves(count, rng);
    const Hash root = tree_root(leaves);
    for (int i = 0; i < 20; i++) {
      const uint64_t at = rng() % count;
      const TreePath path = tree_path(leaves, at);
      ASSERT_TRUE(check_path(root, count, at, leaves[at], path));
      // A walk from the top sees the same groups.
      for (uint32_t level = tree_levels(count); level >= 1; level--) {
        uint64_t index = at;
        for (uint32_t l = 0; l < level; l++) index /= kArity;
        ASSERT_EQ(tree_group(leaves, level, index), path.groups[level - 1]);
      }
      EXPECT_FALSE(check_path(root, count, at, leaves[(at + 1) % count], path) && count > 1);
      EXPECT_FALSE(check_path(root, count + 1, at, leaves[at], path));
      EXPECT_FALSE(check_path(root, count, count, leaves[at], path));
      TreePath bad = path;
      auto& group = bad.groups[rng() % bad.groups.size()];
      group[rng() % group.size()].v[rng() % 32] ^= 1;
      EXPECT_FALSE(check_path(root, count, at, leaves[at], bad));
      bad = path;
      bad.groups.pop_back();
      EXPECT_FALSE(check_path(root, count, at, leaves[at], bad));
    }
  }
}

TEST(Slices, ChunkTreeIsBlake3) {
  std::mt19937_64 rng(2);
  const Bytes content = random_bytes(70'000, rng);
  for (size_t size = 0; size <= 70'000; size += size < 5000 ? 1 : 97) {
    const ByteSpan bytes = ByteSpan(content).first(size);
    const ContentKey key = size % 2 ? ContentKey(blake3(as_bytes("key"))) : ContentKey();
    ASSERT_EQ(range_cv(bytes, {0, chunk_count(size)}, true, key), blake3(bytes, key)) << size;
  }
}

TEST(Slices, Random) {
  std::mt19937_64 rng(3);
  for (int round = 0; round < 2000; round++) {
    const Bytes content = random_bytes(rng() % (round % 2 ? 70'001 : 4000), rng);
    const ContentKey key = rng() % 2 ? ContentKey(blake3(as_bytes("key"))) : ContentKey();
    const Hash id = blake3(content, key);
    const uint64_t count = chunk_count(content.size());
    std::vector<uint64_t> chunks;
    for (uint64_t c = 0; c < count; c++)
      if (rng() % (1 + rng() % 8) == 0) chunks.push_back(c);
    if (chunks.empty()) chunks.push_back(rng() % count);
    const SliceProof proof = prove_slices(content, chunks, key);
    ASSERT_TRUE(check_slices(id, proof, key));
    ASSERT_FALSE(check_slices(id, proof, blake3(as_bytes("another key"))));
    for (size_t i = 0; i < chunks.size(); i++) {
      const size_t begin = chunks[i] * kChunkBytes, end = std::min(content.size(), begin + kChunkBytes);
      ASSERT_EQ(proof.data[i], Bytes(content.begin() + static_cast<long>(begin), content.begin() + static_cast<long>(end)));
    }
    SliceProof bad = proof;
    switch (rng() % 6) {
      case 0:
        if (bad.data.back().empty()) continue;
        bad.data.back()[rng() % bad.data.back().size()] ^= 4;
        break;
      case 1: bad.siblings.push_back({}); break;
      case 2:
        if (bad.siblings.empty()) continue;
        bad.siblings[rng() % bad.siblings.size()].v[5] ^= 1;
        break;
      case 3: bad.chunks.back() += 1; break;
      case 4: bad.data.pop_back(); break;
      case 5: bad.data.back().push_back(0); break;
    }
    ASSERT_FALSE(check_slices(id, bad, key));
  }
}

TEST(Slices, FuzzedProofs) {  // a damaged encoding is refused, or shows the same bytes; never a crash
  std::mt19937_64 rng(4);
  const Bytes content = random_bytes(9000, rng);
  const Hash id = blake3(content);
  const SliceProof proof = prove_slices(content, std::vector<uint64_t>{2, 3, 7});
  const Bytes good = encode(proof);
  for (int i = 0; i < 20'000; i++) {
    Bytes bad = good;
    for (uint64_t n = 1 + rng() % 3; n > 0; n--) bad[rng() % bad.size()] = static_cast<uint8_t>(rng());
    auto damaged = decode<SliceProof>(bad);
    if (!damaged || !check_slices(id, *damaged)) continue;
    EXPECT_EQ(damaged->data, proof.data);  // only the size may be claimed otherwise, where no opened chunk shows it
    EXPECT_EQ(damaged->chunks, proof.chunks);
  }
}

TEST(Slices, FourLevelsAtATime) {
  std::mt19937_64 rng(5);
  for (size_t size : {1u, 1024u, 1025u, 3000u, 17'000u, 33'000u, 70'000u}) {
    const Bytes content = random_bytes(size, rng);
    ChunkRange node{0, chunk_count(size)};
    Hash value = blake3(content);
    bool root = true;
    while (node.count > 1) {
      const auto ranges = descendants(node);
      ASSERT_LE(ranges.size(), 16u);
      std::vector<ChainingValue> values;
      uint64_t next = node.first;
      for (const ChunkRange& range : ranges) {
        ASSERT_EQ(range.first, next);
        next += range.count;
        const size_t begin = range.first * kChunkBytes, end = std::min<size_t>(size, next * kChunkBytes);
        values.push_back(range_cv(ByteSpan(content).subspan(begin, end - begin), range, false));
      }
      ASSERT_EQ(next, node.first + node.count);
      ASSERT_EQ(fold_descendants(node, values, root), value);
      const size_t pick = rng() % ranges.size();
      node = ranges[pick];
      value = values[pick];
      root = false;
    }
  }
}

}  // namespace
}  // namespace cairn::attest
