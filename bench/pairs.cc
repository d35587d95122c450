#include "bench/pairs.h"

#include <algorithm>
#include <chrono>
#include <thread>

namespace cairn::bench {
namespace {

using Work = std::function<void()>;

constexpr double kSide = 0.005;  // s of work on one side of a pair
// Threads poll for some ms after their last work, those of libgomp for 15, and would take the other side's cores meanwhile.
constexpr std::chrono::milliseconds kUntilIdle{20};

double seconds(const Work& work, int inner) {
  std::this_thread::sleep_for(kUntilIdle);
  work();  // wakes the threads
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < inner; i++) work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / inner;
}

Row measure(const Work& ours, const Work& theirs, int pairs, int inner) {
  std::vector<double> a, b, ratios;
  for (int i = 0; i < pairs; i++) {
    double mine = 0, peers = 0;
    if (i % 2 == 0) {
      mine = seconds(ours, inner);
      peers = seconds(theirs, inner);
    } else {
      peers = seconds(theirs, inner);
      mine = seconds(ours, inner);
    }
    a.push_back(mine * 1e3);
    b.push_back(peers * 1e3);
    ratios.push_back(peers / mine);
  }
  Row row;
  row.ours = median(a);
  row.theirs = median(b);
  row.unit = "ms";
  row.ratio = median(ratios);
  row.q1 = quantile(ratios, 0.25);
  row.q3 = quantile(ratios, 0.75);
  return row;
}

double spread(const Row& row) { return row.q3 / row.q1 - 1; }

}  // namespace

double quantile(std::vector<double> values, double q) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const double at = q * static_cast<double>(values.size() - 1);
  const size_t low = static_cast<size_t>(at);
  const size_t high = std::min(low + 1, values.size() - 1);
  return values[low] + (at - static_cast<double>(low)) * (values[high] - values[low]);
}

double median(std::vector<double> values) { return quantile(std::move(values), 0.5); }

Row compare(std::string name, std::string peer, const Work& ours, const Work& theirs, bool quick) {
  const double once = std::max(seconds(ours, 1), seconds(theirs, 1));
  const int pairs = quick ? 5 : 21, inner = static_cast<int>(std::clamp(kSide / once, 1.0, 1e6));
  Row row = measure(ours, theirs, pairs, inner);
  for (int again = 0; again < 2 && !quick && spread(row) > 0.05; again++) {
    Row next = measure(ours, theirs, pairs, inner);
    if (spread(next) < spread(row)) row = std::move(next);
  }
  row.name = std::move(name);
  row.peer = std::move(peer);
  return row;
}

}  // namespace cairn::bench
