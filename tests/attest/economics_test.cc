// The inequality of attest/economics.h against rational cheaters who are drawn by the ledger's own draw.
//
//   economics_test --write=docs/economics.md     writes the page with its table and picture; the test holds the page to it
#include "attest/economics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <random>

#include "base/file.h"

namespace cairn::attest {
namespace {

constexpr double kReward = 1e6;  // pebbles

// One cheater over `trials` jobs: the mean of what it gains over being honest, and its standard error.
struct Outcome {
  double mean = 0, error = 0;
};
Outcome cheat(const Wager& wager, uint64_t false_segments, int trials, std::mt19937_64& rng) {
  constexpr size_t kVerifiers = 20;
  std::vector<Candidate> candidates;
  for (size_t i = 0; i < kVerifiers; i++) {
    AccountId account;
    account.v[0] = static_cast<uint8_t>(i + 1);
    candidates.push_back({account, Amount::of_pebbles(1000)});
  }
  const auto bought = static_cast<uint8_t>(std::lround(wager.bought * kVerifiers));  // these say what the cheater wants
  JobSpec spec;
  spec.steps = wager.segments;
  spec.interval = 1;
  spec.step_work_ns = 1000;
  double sum = 0, squares = 0;
  for (int t = 0; t < trials; t++) {
    bool caught = false;
    // Which segments it falsifies does not matter: they are drawn after it has committed.
    for (const DrawnCheck& check : draw(blake3(encode(rng())), spec, wager.drawn, candidates))
      caught |= check.segment < false_segments && check.verifier.v[0] > bought;
    const double saved = double(false_segments) / double(wager.segments) * wager.cost * wager.reward;
    const double gain = caught ? saved - wager.reward - wager.stake * (1 - wager.returned) : saved + wager.outside;
    sum += gain;
    squares += gain * gain;
  }
  const double mean = sum / trials;
  return {mean, std::sqrt(std::max(0.0, squares / trials - mean * mean) / trials)};
}

TEST(Economics, ChanceToBeCaught) {
  const auto p = [](uint64_t n, uint64_t k, uint64_t m, double bought = 0) {
    Wager wager;
    wager.segments = n;
    wager.drawn = k;
    wager.bought = bought;
    return catch_probability(wager, m);
  };
  EXPECT_EQ(p(100, 1, 0), 0);
  EXPECT_NEAR(p(100, 1, 1), 0.01, 1e-12);
  EXPECT_NEAR(p(100, 1, 37), 0.37, 1e-12);
  EXPECT_NEAR(p(100, 100, 1), 1, 1e-12);
  EXPECT_NEAR(p(100, 5, 1), 0.05, 1e-12);
  EXPECT_NEAR(p(10, 2, 3), 1 - 7.0 / 10 * 6 / 9, 1e-12);
  EXPECT_NEAR(p(100, 1, 100, 0.25), 0.75, 1e-12);
  EXPECT_NEAR(p(100, 2, 100, 0.5), 0.75, 1e-12);
  EXPECT_NEAR(p(2, 2, 2, 0.5), 0.75, 1e-12);
  for (const uint64_t k : {1, 5, 20})  // k >= 1 catches at least the share that is false; and 1 - (1-f)^k
    for (uint64_t m = 1; m <= 100; m++) {
      EXPECT_GE(p(100, k, m), double(m) / 100 - 1e-12);
      EXPECT_GE(p(100, k, m), 1 - std::pow(1 - double(m) / 100, double(k)) - 1e-12);
    }
}

TEST(Economics, StakeForHarm) {
  EXPECT_EQ(stake_for_harm(Amount{1000}, 100, 1)->pebbles, 99'000u);
  EXPECT_EQ(stake_for_harm(Amount{1000}, 100, 7)->pebbles, 13'286u);  // rounded up
  EXPECT_EQ(stake_for_harm(Amount{1000}, 100, 100)->pebbles, 0u);
  EXPECT_EQ(stake_for_harm(Amount{0}, 100, 1)->pebbles, 0u);
  EXPECT_EQ(stake_for_harm(Amount{UINT64_MAX}, 100, 1), std::nullopt);
  for (const uint64_t k : {1, 3, 10}) {  // it is what the inequality asks of one poisoned segment
    Wager wager;
    wager.segments = 100;
    wager.drawn = k;
    wager.outside = 12'345;
    wager.stake = double(stake_for_harm(Amount{12'345}, 100, k)->pebbles);
    EXPECT_LE(value_of_cheating(wager, 1), 1e-6);
    wager.stake *= 0.99;
    EXPECT_GT(value_of_cheating(wager, 1), 0);
  }
}

TEST(Economics, HonestyPaysWhereverTheInequalitySaysSo) {
  std::mt19937_64 rng(2026);
  int cells = 0, negative = 0, worst = 0;
  for (const double stake : {0.0, 0.5, 1.0, 5.0})
    for (const auto& [n, k] : {std::pair{100, 1}, {100, 5}, {10, 1}, {100, 100}})
      for (const double share : {0.01, 0.1, 0.5, 1.0})
        for (const double bought : {0.0, 0.1, 0.5})
          for (const double harm : {0.0, 0.05, 1.0}) {
            Wager wager;
            wager.segments = static_cast<uint64_t>(n);
            wager.drawn = static_cast<uint64_t>(k);
            wager.reward = kReward;
            wager.stake = stake * kReward;
            wager.bought = bought;
            wager.returned = bought > 0 ? 0.2 : 0;  // whoever buys verifiers may also take the challenger's part
            wager.outside = harm * kReward;
            const auto m = std::max<uint64_t>(1, static_cast<uint64_t>(share * n));
            const double expected = value_of_cheating(wager, m);
            const Outcome found = cheat(wager, m, 200, rng);
            cells++;
            negative += expected < 0;
            // 576 cells: four and a half standard errors leave one failure in 250 runs, and the seed is fixed. A cell where all
            // ended alike has no spread of its own: then one more or less in the trials is allowed.
            const double slack = 4.5 * found.error + (kReward + wager.stake + wager.outside) / 200 * 6;
            EXPECT_NEAR(found.mean, expected, slack) << "s " << stake << " k " << k << " of " << n << " m " << m << " b " << bought << " G " << harm;
            if (expected < -slack) {
              EXPECT_LT(found.mean, 0);
            }
            worst += std::abs(found.mean - expected) > 3 * found.error + 1;
          }
  std::printf("%d wagers, %d of them a loss by the inequality; %d means beyond three standard errors\n", cells, negative, worst);
  EXPECT_GT(negative, cells / 3);
}

// At the chain's own policies, without bought verifiers, no share of false segments pays; with all checked and no stake it is even.
TEST(Economics, ThePoliciesOfTheChain) {
  const ChainParams params;
  for (const Policy policy : {Policy::starter, Policy::standard, Policy::careful, Policy::all}) {
    JobSpec spec;
    spec.steps = 200;
    spec.interval = 1;
    spec.policy = policy;
    const Amount reward{1'000'000}, stake{1000 * uint64_t{params.rule(policy).stake_permille}};
    const Wager wager = wager_of(params, spec, reward, stake);
    for (uint64_t m = 1; m <= 200; m++) EXPECT_LE(value_of_cheating(wager, m), 1e-6) << name(policy) << " " << m;
  }
}

// ---- the page ----

std::string format(const char* pattern, auto... values) {
  std::array<char, 200> text{};
  std::snprintf(text.data(), text.size(), pattern, values...);
  return text.data();
}

// The share of verifiers that a cheater would have to buy before some lie pays: by bisection over b.
double breaking_point(Wager wager) {
  double low = 0, high = 1;
  for (int i = 0; i < 40; i++) {
    wager.bought = (low + high) / 2;
    (value_of_cheating(wager, best_cheat(wager)) < 0 ? low : high) = wager.bought;
  }
  return low;
}

std::string page() {
  const ChainParams params;
  std::string out = R"(# What cheating pays

*Made by `build/release/tests/economics_test --write=docs/economics.md`; the test refuses a page that differs. The formula and its terms
are in `attest/economics.h`; the same test plays it with cheaters who are drawn by the ledger's own draw.*

A provider falsifies m of n segments. k of n are drawn after it has committed; each drawn verifier is bought with probability b. What it
gains over being honest, in rewards R:

    V(m) = m/n c + (1 - P) G - P (1 + S)        P = 1 - sum_j h(j; n, m, k) b^j  >=  1 - (1 - m/n)^k  at b = 0

c is the share of R that computing costs (here 1, the worst case), S the stake in rewards, G what somebody outside pays for a poisoned
result. Honesty pays where V < 0 for every m.

## The chain's policies (n = 200, G = 0)

| policy | k | S | caught at 1 % false | at 10 % | at 50 % | V of the best lie | verifiers to buy before a lie pays | where it withholds |
|---|---|---|---|---|---|---|---|---|
)";
  for (const Policy policy : {Policy::standard, Policy::careful, Policy::all}) {
    JobSpec spec;
    spec.steps = 200;
    spec.interval = 1;
    spec.policy = policy;
    const Wager wager = wager_of(params, spec, Amount{1'000'000}, Amount{1000 * uint64_t{params.rule(policy).stake_permille}});
    out += format("| `%s` | %llu | %.0f R | %.1f %% | %.1f %% | %.1f %% | %.4f R | %.0f %% | %.0f %% |\n", std::string(name(policy)).c_str(),
                  static_cast<unsigned long long>(wager.drawn), wager.stake / wager.reward, 100 * catch_probability(wager, 2),
                  100 * catch_probability(wager, 20), 100 * catch_probability(wager, 100), value_of_cheating(wager, best_cheat(wager)) / wager.reward,
                  100 * breaking_point(wager), 100 * (1 - std::cbrt(1 - breaking_point(wager))));
  }
  out += R"(
`starter` draws everything and holds the pay, at no stake: a lie is always found, and gains nothing (V = m/n - 1 <= 0).

A liar may serve nothing where it was drawn on a lie. Then a second verifier is drawn for that segment, and a third; three reports cost it
the stake, as a lost dispute would, so it escapes only if one of the three is bought: b becomes 1 - (1 - b)^3, the last column. Who lies,
the provider or its verifiers, is not known: an honest provider loses its stake where three bought verifiers in turn are drawn for a
segment of its job, b^3 for each that is drawn; they lose a fine each, and nobody has the stake. Two reports, the third silent, end the
job without pay, for a fine.

## A named harm

Somebody may gain more from one poisoned segment than a job pays. A requester names that harm H; only offers whose free stake covers it
are matched: stake >= H (1 - d) / d, d = k/n.

| H | `standard`, n = 100 | n = 200 | `careful`, n = 100 | `all` |
|---|---|---|---|---|
)";
  for (const uint64_t harm : {1, 10, 100})
    out += format("| %llu R | %.1f R | %.1f R | %.1f R | 0 R |\n", static_cast<unsigned long long>(harm), double(stake_for_harm(Amount{harm * 10}, 100, 1)->pebbles) / 10,
                  double(stake_for_harm(Amount{harm * 10}, 200, 1)->pebbles) / 10, double(stake_for_harm(Amount{harm * 10}, 100, 5)->pebbles) / 10);
  out += R"(
## The picture

V in rewards (down) over the share of false segments (across), at k = 1, n = 100, for stakes of 0, 1 and 5 rewards: every line begins at 0
and falls.

```
)";
  constexpr int kWidth = 61, kHeight = 16;
  std::vector<std::string> canvas(kHeight, std::string(kWidth, ' '));
  const std::pair<double, char> lines[] = {{0.0, '0'}, {1.0, '1'}, {5.0, '5'}};
  for (const auto& [stake, mark] : lines)
    for (int x = 1; x < kWidth; x++) {
      Wager wager;
      wager.segments = 600;
      wager.drawn = 1;
      wager.reward = 1;
      wager.stake = stake;
      const double value = value_of_cheating(wager, static_cast<uint64_t>(10 * x));
      const int y = static_cast<int>(std::lround(-value / 5 * (kHeight - 1)));
      canvas[static_cast<size_t>(std::clamp(y, 0, kHeight - 1))][static_cast<size_t>(x)] = mark;
    }
  for (int y = 0; y < kHeight; y++) {
    std::string row = canvas[static_cast<size_t>(y)];
    row.erase(row.find_last_not_of(' ') + 1);
    out += format("%5.1f |", y == 0 ? 0.0 : -5.0 * y / (kHeight - 1)) + row + "\n";
  }
  out += "      +" + std::string(kWidth, '-') + "\n       0 %                          50 %                       100 %\n```\n";
  return out;
}

TEST(Economics, ThePageIsMadeByThisProgram) {
  const auto written = read_file("docs/economics.md", 1 << 20);
  ASSERT_TRUE(written);
  EXPECT_EQ(std::string(written->begin(), written->end()), page()) << "economics_test --write=docs/economics.md";
}

}  // namespace
}  // namespace cairn::attest

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; i++)
    if (const std::string word = argv[i]; word.starts_with("--write=")) {
      const auto done = cairn::write_file(word.substr(8), cairn::as_bytes(cairn::attest::page()));
      return done ? 0 : 1;
    }
  return RUN_ALL_TESTS();
}
