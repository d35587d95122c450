// Seeds of the simulator: no invariant falls, and a seed is one history. `--seeds=N` for another number of them.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "tests/sim/sim.h"

namespace cairn::sim {
namespace {

uint64_t seeds = SIM_SEEDS;

TEST(Sim, EverySeedHolds) { EXPECT_TRUE(sweep(1, seeds, 2)); }

TEST(Sim, ASeedIsOneHistory) {
  const Outcome once = simulate(7), again = simulate(7), other = simulate(8);
  EXPECT_EQ(once.trace, again.trace);
  EXPECT_NE(once.trace, other.trace);
  EXPECT_GT(once.blocks, 20u);
}

}  // namespace
}  // namespace cairn::sim

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; i++)
    if (const std::string flag = argv[i]; flag.rfind("--seeds=", 0) == 0) cairn::sim::seeds = std::strtoull(argv[i] + 8, nullptr, 10);
  return RUN_ALL_TESTS();
}
