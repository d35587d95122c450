#include "agent/journal.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/file.h"
#include "base/scratch.h"

namespace cairn::agent {
namespace {

TEST(Journal, TheLastEntryOfAKeyCountsAfterAnyCut) {
  Scratch scratch;
  const auto path = scratch.path / "journal";
  {
    Journal journal(path);
    journal.put("job/a", Bytes{1});
    journal.put("job/b", Bytes{2});
    journal.put("job/a", Bytes{3});
    journal.remove("job/b");
    journal.put("other", Bytes{4});
  }
  const Bytes whole = *read_file(path, 1 << 20);
  {
    Journal journal(path);
    EXPECT_EQ(*journal.find("job/a"), Bytes{3});
    EXPECT_EQ(journal.find("job/b"), nullptr);
    EXPECT_EQ(journal.under("job/").size(), 1u);
  }
  // A power cut can leave any prefix: what is whole counts, what is torn does not.
  for (size_t size = 0; size <= whole.size(); size++) {
    ASSERT_TRUE(write_file(path, ByteSpan(whole).first(size)));
    Journal journal(path);
    const Bytes* a = journal.find("job/a");
    EXPECT_TRUE(!a || *a == Bytes{1} || *a == Bytes{3});
    journal.put("after", Bytes{9});
  }
}

TEST(Journal, HistoryIsForgottenAtOpen) {
  Scratch scratch;
  const auto path = scratch.path / "journal";
  {
    Journal journal(path);
    for (uint8_t i = 1; i <= 20; i++) journal.put("a", Bytes(100'000, i));
    journal.put("b", Bytes{1});
  }
  EXPECT_GT(std::filesystem::file_size(path), 2'000'000u);
  for (int i = 0; i < 2; i++) {
    Journal journal(path);
    EXPECT_EQ(*journal.find("a"), Bytes(100'000, 20));
    EXPECT_EQ(*journal.find("b"), Bytes{1});
    EXPECT_THROW(Journal second(path), Fault);
  }
  EXPECT_LT(std::filesystem::file_size(path), 110'000u);
}

TEST(Journal, OneProcessAtATimeAndNoDamageInside) {
  Scratch scratch;
  const auto path = scratch.path / "journal";
  {
    Journal journal(path);
    journal.put("a", Bytes(100, 1));
    journal.put("b", Bytes(100, 2));
    EXPECT_THROW(Journal second(path), Fault);
  }
  Bytes bytes = *read_file(path, 1 << 20);
  bytes[50] ^= 1;
  ASSERT_TRUE(write_file(path, bytes));
  EXPECT_THROW(Journal damaged(path), Fault);
}

}  // namespace
}  // namespace cairn::agent
