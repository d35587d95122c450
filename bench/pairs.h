// Timing of two things beside each other: alternating call by call (A B B A), the median of the pair ratios and its
// quartiles, so that a busy machine slows both alike.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace cairn::bench {

struct Row {
  std::string name;
  std::string peer;      // what the ratio is against; empty: the row is a value in `unit`
  double ours = 0;       // median, in `unit`
  double theirs = 0;
  std::string unit;
  double ratio = 0;      // how many times as fast as the peer (or the share that the row's name states)
  double q1 = 0, q3 = 0; // quartiles of the pair ratios
  double target = 0;     // what must hold; 0: nothing
  double aim = 0;        // what should; 0: no more than that
  bool at_most = false;  // the target is an upper bound
  bool met() const { return target == 0 || (at_most ? ratio <= target : ratio >= target); }
};

// Pairs of some ms a side, 21 of them, or 5 for a quick look; taken anew, twice at most, while the quartiles are more than 5 %
// apart, and the closest quartiles are kept (a quick look takes what comes). ratio = time of `theirs` / time of `ours`.
Row compare(std::string name, std::string peer, const std::function<void()>& ours, const std::function<void()>& theirs,
            bool quick);

double median(std::vector<double> values);
double quantile(std::vector<double> values, double q);

}  // namespace cairn::bench
