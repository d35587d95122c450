// Random numbers: the published vectors, and the order of samples is a permutation.
#include "kernels/philox.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

namespace cairn::kernels {
namespace {

TEST(Philox, vectors_of_random123) {
  const struct {
    uint64_t key;
    PhiloxWords counter, want;
  } rows[] = {
      {0, {{0, 0, 0, 0}}, {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}}},
      {0xffffffffffffffff, {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}}, {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}}},
      {0x299f31d0a4093822, {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}},
  };
  for (const auto& row : rows) {
    const PhiloxWords have = philox(row.key, row.counter);
    for (int i = 0; i < 4; i++) EXPECT_EQ(have.word[i], row.want.word[i]);
  }
}

TEST(Philox, uniform_is_a_function_of_the_element_in_0_to_1) {
  double sum = 0, squares = 0;
  constexpr int kCount = 1 << 16;
  for (int i = 0; i < kCount; i++) {
    const float u = philox_uniform(42, 1u << 31, i);
    ASSERT_GE(u, 0.0f);
    ASSERT_LT(u, 1.0f);
    sum += static_cast<double>(u);
    squares += static_cast<double>(u) * static_cast<double>(u);
  }
  EXPECT_NEAR(sum / kCount, 0.5, 0.01);
  EXPECT_NEAR(squares / kCount, 1.0 / 3, 0.01);
  EXPECT_EQ(philox_uniform(42, 1u << 31, 5), philox_to_unit(philox(42, {{0, 1u << 31, 1, 0}}).word[1]));
}

TEST(Shuffle, is_a_permutation_of_every_epoch) {
  for (const int64_t n : {1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 100, 1000, 1797, 4096, 4097, 65537})
    for (const uint64_t epoch : {0, 1, 1000000}) {
      std::vector<bool> seen(static_cast<size_t>(n));
      for (int64_t i = 0; i < n; i++) {
        const int64_t at = Shuffle(99, epoch, n).at(i);
        ASSERT_TRUE(at >= 0 && at < n && !seen[static_cast<size_t>(at)]) << n << " at " << i;
        seen[static_cast<size_t>(at)] = true;
      }
    }
}

TEST(Shuffle, epochs_and_seeds_differ_and_places_are_even) {
  constexpr int64_t kRows = 1000;
  int same_epoch = 0, same_seed = 0;
  for (int64_t i = 0; i < kRows; i++) {
    same_epoch += Shuffle(1, 0, kRows).at(i) == Shuffle(1, 1, kRows).at(i);
    same_seed += Shuffle(1, 0, kRows).at(i) == Shuffle(2, 0, kRows).at(i);
  }
  EXPECT_LT(same_epoch, 10);
  EXPECT_LT(same_seed, 10);
  // Where row 0 lands over 20,000 epochs of 10 rows: chi-squared with 9 degrees of freedom, 99.9 % below 27.9.
  double cells[10] = {}, chi = 0;
  for (uint64_t epoch = 0; epoch < 20000; epoch++) cells[Shuffle(5, epoch, 10).at(0)]++;
  for (const double cell : cells) chi += (cell - 2000) * (cell - 2000) / 2000;
  EXPECT_LT(chi, 27.9);
}

}  // namespace
}  // namespace cairn::kernels
