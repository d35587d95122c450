// Timing of two things beside each other: alternating call by call (A B B A), the median of the pair ratios and its
// quartiles, so that a busy machine slows both alike.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace cairn::bench {

struct Row {
  std::string name;
  std::string peer;      // what the ratio is against
  double ours = 0;       // median, in `unit`
  double theirs = 0;
  std::string unit;
  double ratio = 0;      // how many times as fast as the peer (or the share that the row's name states)
  double q1 = 0, q3 = 0; // quartiles of the pair ratios
  double target = 0;     // 0: no target
  bool at_most = false;  // the target is an upper bound
  bool met() const { return target == 0 || (at_most ? ratio <= target : ratio >= target); }
};

// Runs both once to warm up, then `pairs` pairs of `inner` calls each. ratio = time of `theirs` / time of `ours`.
Row compare(std::string name, std::string peer, const std::function<void()>& ours, const std::function<void()>& theirs,
            int pairs, int inner);

double median(std::vector<double> values);
double quantile(std::vector<double> values, double q);

}  // namespace cairn::bench
