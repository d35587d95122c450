#include "agent/artifacts.h"
#include "base/scratch.h"

#include <gtest/gtest.h>

#include <fstream>


namespace cairn::agent {
namespace {

void flip_a_bit(const std::filesystem::path& file) {
  std::fstream f(file, std::ios::in | std::ios::out | std::ios::binary);
  char c = 0;
  f.get(c);
  f.seekp(0);
  f.put(static_cast<char>(c ^ 1));
}

TEST(Artifacts, WhatIsPutComesOutUnderItsId) {
  Scratch scratch;
  ArtifactStore store(scratch.path / "a");
  const Bytes bytes(3000, 7);
  const Hash id = *store.put(bytes);
  EXPECT_EQ(id, blake3(bytes));
  EXPECT_TRUE(store.has(id));
  EXPECT_EQ(*store.read(id, 3000), bytes);
  EXPECT_EQ(store.read(id, 2999).error().code, Code::limit);
  EXPECT_EQ(*store.read_part(id, 2990, 100), Bytes(10, 7));
  EXPECT_EQ(*store.put_file(store.path_of(id)), id);
  EXPECT_EQ(store.verified(Hash{}).error().code, Code::not_found);
}

TEST(Artifacts, AFlippedBitNeverLeavesTheStore) {
  Scratch scratch;
  ArtifactStore store(scratch.path / "a");
  const Bytes bytes(3000, 7);
  for (const bool whole : {true, false}) {
    const Hash id = *store.put(bytes);
    ASSERT_TRUE(store.verified(id));
    flip_a_bit(store.path_of(id));
    EXPECT_EQ(whole ? store.read(id, 3000).error().code : store.verified(id).error().code, Code::proof);
    EXPECT_FALSE(store.has(id)) << "the damaged file is gone, so that it can be fetched anew";
  }
}

TEST(Artifacts, ATransferResumesAndIsCheckedAtItsEnd) {
  Scratch scratch;
  const Bytes bytes(5000, 9);
  const Hash id = blake3(bytes);
  {
    ArtifactStore store(scratch.path / "a");
    ASSERT_TRUE(store.append(id, 0, ByteSpan(bytes).first(3000)));
  }
  ArtifactStore store(scratch.path / "a");
  EXPECT_EQ(store.arrived_bytes(id), 3000u);
  EXPECT_FALSE(store.has(id));
  ASSERT_TRUE(store.append(id, 3000, ByteSpan(bytes).subspan(3000)));
  ASSERT_TRUE(store.finish(id));
  EXPECT_TRUE(store.verified(id));

  const Hash other = blake3(as_bytes("something else"));
  ASSERT_TRUE(store.append(other, 0, bytes));
  EXPECT_EQ(store.finish(other).error().code, Code::proof);
  EXPECT_EQ(store.arrived_bytes(other), 0u);
  EXPECT_FALSE(store.has(other));
}

}  // namespace
}  // namespace cairn::agent
