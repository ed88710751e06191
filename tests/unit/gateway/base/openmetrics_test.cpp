#include "gateway/base/openmetrics.hpp"

#include "tests/unit/gateway/base/openmetrics_parser.hpp"

#include <gtest/gtest.h>

#include <array>

namespace gatehouse {
namespace {

/// The bounds of a histogram with these, as text.
std::vector<std::string> bounds_of(const std::vector<std::uint64_t>& bounds) {
  OpenMetrics metrics;
  metrics.histogram("wait", "", {}, bounds, std::vector<std::uint64_t>(bounds.size() + 1, 2), 9);
  const std::string text = metrics.text();
  const OpenMetricsParser read(text);
  std::vector<std::string> out;
  for (const auto& sample : read.families.at("wait").samples)
    if (const auto le = sample.labels.find("le"); le != sample.labels.end()) out.push_back(le->second);
  return out;
}

TEST(OpenMetricsText, HasBoundsInCanonicalForm) {
  EXPECT_EQ(
      bounds_of({0, 1, 10, 250, 1000, 25'000, 100'000, 999'999, 1'000'000, 1'234'567, 2'500'000, 10'000'000,
                 1'000'000'000, 123'456'789'012}),
      (std::vector<std::string>{"0.0", "1.0", "10.0", "250.0", "1000.0", "25000.0", "100000.0", "999999.0", "1e+06",
                                "1.234567e+06", "2.5e+06", "1e+07", "1e+09", "1.23456789012e+11", "+Inf"}));
}

TEST(OpenMetricsText, IsReadAsItWasWritten) {
  OpenMetrics metrics;
  const MetricLabels labels{{"cause", "a \"b\" \\ c\nd"}, {"9-odd name", "\x1b[2J\xc2\x9b"}};
  metrics.counter("drops", "Help \"me\" \\\nplease.", labels, 7);
  metrics.counter("drops", "", {}, 8);
  metrics.counter_seconds("busy-seconds", "", {}, 1.25);
  metrics.gauge("open", "", {}, -3);
  constexpr std::array<std::uint64_t, 2> kBounds{10, 1'000'000};
  metrics.histogram("wait", "", {{"lane", "0"}}, kBounds, std::array<std::uint64_t, 3>{1, 2, 3}, 99);
  metrics.histogram("wait", "", {{"lane", "1"}}, kBounds, std::array<std::uint64_t, 3>{0, 0, 0}, 0);
  const std::string text = metrics.text();
  const OpenMetricsParser read(text);
  const auto& drops = read.families.at("drops");
  EXPECT_EQ(drops.help, "Help \"me\" \\\nplease.");
  ASSERT_EQ(drops.samples.size(), 2U);
  EXPECT_EQ(drops.samples[0].labels.at("cause"), "a \"b\" \\ c\nd");
  EXPECT_EQ(drops.samples[0].labels.at("_9_odd_name"), "\\x1b[2J\\u009b");
  EXPECT_EQ(read.families.at("busy_seconds").samples[0].value, 1.25);
  EXPECT_EQ(read.families.at("open").samples[0].value, -3);
  EXPECT_EQ(read.families.at("wait").samples.size(), 10U);
}

TEST(OpenMetricsText, IsHeldToTheFormat) {
  for (const char* const wrong :
       {"", "# EOF", "a 1\n# EOF\n", "# TYPE a counter\na 1\n# EOF\n", "# TYPE a gauge\na 1\na 1\n# EOF\n",
        "# TYPE a histogram\na_bucket{le=\"250\"} 1\na_bucket{le=\"+Inf\"} 1\na_count 1\na_sum 1\n# EOF\n",
        "# TYPE a histogram\na_bucket{le=\"1000000.0\"} 1\na_bucket{le=\"+Inf\"} 1\na_count 1\na_sum 1\n# EOF\n",
        "# TYPE a histogram\na_bucket{le=\"1.0\"} 2\na_bucket{le=\"+Inf\"} 1\na_count 1\na_sum 1\n# EOF\n",
        "# TYPE a gauge\na{b=\"\\x\"} 1\n# EOF\n", "# TYPE a gauge\na 1\n# EOF\n\n"})
    EXPECT_THROW(OpenMetricsParser{wrong}, std::runtime_error) << wrong;
}

}  // namespace
}  // namespace gatehouse
