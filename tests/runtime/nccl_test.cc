// NCCL is linked and is the version that the lock file names. Collectives need GPUs, and come later.
#include <gtest/gtest.h>
#include <nccl.h>

TEST(Nccl, IsThePinnedVersion) {
  int version = 0;
  ASSERT_EQ(ncclGetVersion(&version), ncclSuccess);
  EXPECT_EQ(version, 22809);
  EXPECT_EQ(version, NCCL_VERSION_CODE);
}
