#include "attest/economics.h"

#include <algorithm>
#include <cmath>

namespace cairn::attest {

Wager wager_of(const ChainParams& params, const JobSpec& spec, Amount reward, Amount stake) {
  Wager wager;
  wager.segments = spec.segments();
  wager.drawn = drawn_segments(params, spec);
  wager.reward = static_cast<double>(reward.pebbles);
  wager.stake = static_cast<double>(stake.pebbles);
  return wager;
}

double catch_probability(const Wager& wager, uint64_t false_segments) {
  const uint64_t n = wager.segments, k = std::min(wager.drawn, n), m = std::min(false_segments, n);
  if (m == 0 || k == 0) return 0;
  // The probability of j false ones among the drawn, from the least possible j on, by the ratio of neighbours.
  const auto log_choose = [](uint64_t of, uint64_t take) {
    return std::lgamma(double(of) + 1) - std::lgamma(double(take) + 1) - std::lgamma(double(of - take) + 1);
  };
  const uint64_t least = k > n - m ? k - (n - m) : 0, most = std::min(k, m);
  double probability = std::exp(log_choose(m, least) + log_choose(n - m, k - least) - log_choose(n, k));
  double missed = 0, silence = std::pow(wager.bought, double(least));
  for (uint64_t j = least; j <= most; j++) {
    missed += probability * silence;
    silence *= wager.bought;
    if (j < most) probability *= double(m - j) * double(k - j) / (double(j + 1) * double(n - m + j + 1 - k));
  }
  return std::clamp(1 - missed, 0.0, 1.0);
}

double value_of_cheating(const Wager& wager, uint64_t false_segments) {
  const double caught = catch_probability(wager, false_segments);
  const double saved = double(false_segments) / double(wager.segments) * wager.cost * wager.reward;
  return saved + (1 - caught) * wager.outside - caught * (wager.reward + wager.stake * (1 - wager.returned));
}

uint64_t checkpoint_interval(const JobSpec& spec, uint64_t state_bytes) {
  constexpr uint64_t kHashBytesPerNs = 2;
  constexpr uint64_t kFileNs = 10'000;
  constexpr uint64_t kTenMinutesNs = 600'000'000'000;
  constexpr uint64_t kLongestNs = 1'700'000'000'000;  // the ledger refuses a day to run it again, and gives fifty times as long
  const uint64_t step_ns = std::max<uint64_t>(1, spec.step_work_ns);
  const uint64_t for_hashing = (state_bytes / kHashBytesPerNs + spec.state_slots * kFileNs) * 1000 / 3 / step_ns + 1;
  const uint64_t short_enough = std::min((spec.steps + 99) / 100, kTenMinutesNs / step_ns);
  const uint64_t most = std::min((spec.steps + 3) / 4, kLongestNs / step_ns);
  return std::clamp<uint64_t>(std::max(short_enough, for_hashing), 1, std::max<uint64_t>(1, most));
}

uint64_t best_cheat(const Wager& wager) {
  uint64_t best = 1;
  for (uint64_t m = 2; m <= wager.segments; m++)
    if (value_of_cheating(wager, m) > value_of_cheating(wager, best)) best = m;
  return best;
}

}  // namespace cairn::attest
