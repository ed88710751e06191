// Metrics as OpenMetrics 1.0 text, which Prometheus and others read.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gatehouse {

using MetricLabels = std::vector<std::pair<std::string, std::string>>;

/// Collects samples in any order and writes them family by family. One per scrape; not thread-safe.
///
/// Names are made valid ('-' and the like become '_'); a family's kind and help are those of its first sample, and a
/// sample of another kind is left out. A counter's name is given without `_total`.
class OpenMetrics {
 public:
  void counter(std::string_view name, std::string_view help, const MetricLabels& labels, std::uint64_t value);
  void counter_seconds(std::string_view name, std::string_view help, const MetricLabels& labels, double value);
  void gauge(std::string_view name, std::string_view help, const MetricLabels& labels, std::int64_t value);
  /// `buckets` are not cumulative: one for each upper bound, and one for what is above the last.
  void histogram(std::string_view name, std::string_view help, const MetricLabels& labels,
                 std::span<const std::uint64_t> bounds, std::span<const std::uint64_t> buckets, std::uint64_t sum);

  /// All of it, with `# EOF` at its end.
  [[nodiscard]] std::string text() const;

 private:
  struct Family {
    std::string kind, help, samples;
  };
  /// The samples of the family to append to, or null when it is of another kind.
  std::string* samples_of(const std::string& name, std::string_view kind, std::string_view help);

  std::map<std::string, Family> families_;
};

/// `name` with every character that a metric's name must not have replaced by '_'.
[[nodiscard]] std::string metric_name(std::string_view name);

}  // namespace gatehouse
