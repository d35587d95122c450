// What a daemon shows to Prometheus: families of samples, put together when somebody asks, and their text.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace cairn {

// Times that went by, sorted into fixed buckets. One thread, or under its owner's lock.
struct HistogramCounts {
  static constexpr std::array<double, 10> kBounds{0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.2, 1, 5};  // seconds
  std::array<uint64_t, kBounds.size()> counts{};  // at most the bound, and more than the one before
  uint64_t count = 0;
  double sum = 0;

  void observe(double seconds) {
    count++;
    sum += seconds;
    for (size_t i = 0; i < kBounds.size(); i++)
      if (seconds <= kBounds[i]) {
        counts[i]++;
        return;
      }
  }
};

// Counters' names end in `_total`, times in `_seconds`, sizes in `_bytes`, and all begin with `cairn_`.
struct MetricFamily {
  enum class Kind { counter, gauge, histogram };
  using Labels = std::vector<std::pair<std::string, std::string>>;
  struct Sample {
    Labels labels;
    double value = 0;
    HistogramCounts histogram;
  };
  std::string name;
  std::string help;
  Kind kind = Kind::gauge;
  std::vector<Sample> samples;

  static MetricFamily counter(std::string name, std::string help, uint64_t value);
  static MetricFamily gauge(std::string name, std::string help, double value);
  static MetricFamily histogram(std::string name, std::string help, const HistogramCounts& times);
};

inline constexpr const char* kMetricsType = "text/plain; version=0.0.4; charset=utf-8";
std::string metrics_text(const std::vector<MetricFamily>& families);

}  // namespace cairn
