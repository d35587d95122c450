#include "agent/journal.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/file.h"
#include "tests/agent/scratch.h"

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
