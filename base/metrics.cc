#include "base/metrics.h"

#include <prometheus/text_serializer.h>

#include <sstream>

namespace cairn {

MetricFamily MetricFamily::counter(std::string name, std::string help, uint64_t value) {
  return {std::move(name), std::move(help), Kind::counter, {{{}, static_cast<double>(value), {}}}};
}
MetricFamily MetricFamily::gauge(std::string name, std::string help, double value) {
  return {std::move(name), std::move(help), Kind::gauge, {{{}, value, {}}}};
}
MetricFamily MetricFamily::histogram(std::string name, std::string help, const HistogramCounts& times) {
  return {std::move(name), std::move(help), Kind::histogram, {{{}, 0, times}}};
}

std::string metrics_text(const std::vector<MetricFamily>& families) {
  std::vector<prometheus::MetricFamily> out;
  for (const auto& family : families) {
    prometheus::MetricFamily to{family.name, family.help, prometheus::MetricType::Gauge, {}};
    for (const auto& sample : family.samples) {
      prometheus::ClientMetric metric;
      for (const auto& [name, value] : sample.labels) metric.label.push_back({name, value});
      switch (family.kind) {
        case MetricFamily::Kind::counter:
          to.type = prometheus::MetricType::Counter;
          metric.counter.value = sample.value;
          break;
        case MetricFamily::Kind::gauge: metric.gauge.value = sample.value; break;
        case MetricFamily::Kind::histogram: {
          to.type = prometheus::MetricType::Histogram;
          metric.histogram.sample_count = sample.histogram.count;
          metric.histogram.sample_sum = sample.histogram.sum;
          uint64_t cumulative = 0;
          for (size_t i = 0; i < HistogramCounts::kBounds.size(); i++)
            metric.histogram.bucket.push_back({cumulative += sample.histogram.counts[i], HistogramCounts::kBounds[i]});
          break;
        }
      }
      to.metric.push_back(std::move(metric));
    }
    out.push_back(std::move(to));
  }
  std::ostringstream text;
  prometheus::TextSerializer().Serialize(text, out);
  return text.str();
}

}  // namespace cairn
