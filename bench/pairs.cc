#include "bench/pairs.h"

#include <algorithm>
#include <chrono>

namespace cairn::bench {
namespace {

double seconds(const std::function<void()>& work, int inner) {
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < inner; i++) work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / inner;
}

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

Row compare(std::string name, std::string peer, const std::function<void()>& ours, const std::function<void()>& theirs,
            int pairs, int inner) {
  seconds(ours, 1);
  seconds(theirs, 1);
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
  row.name = std::move(name);
  row.peer = std::move(peer);
  row.ours = median(a);
  row.theirs = median(b);
  row.unit = "ms";
  row.ratio = median(ratios);
  row.q1 = quantile(ratios, 0.25);
  row.q3 = quantile(ratios, 0.75);
  return row;
}

}  // namespace cairn::bench
