#include "gateway/services/metrics.hpp"

#include "gateway/base/openmetrics.hpp"
#include "tests/unit/gateway/base/openmetrics_parser.hpp"

#include <gatehouse/plugin/border.hpp>

#include <gmock/gmock.h>

#include <array>
#include <set>

namespace gatehouse {
namespace {

using testing::HasSubstr;
using testing::Not;

class Metrics : public testing::Test {
 protected:
  std::uint64_t* cells(std::uint32_t lane, std::uint32_t kind, std::string_view name, std::string_view cause = {},
                       std::vector<std::uint64_t> bounds = {}) {
    const gh_metric_label label{to_border("cause"), to_border(cause)};
    gh_metric metric{};
    metric.struct_size = sizeof metric;
    metric.kind = kind;
    metric.name = to_border(name);
    metric.help = to_border("Help \"me\".");
    metric.labels = &label;
    metric.label_count = cause.empty() ? 0 : 1;
    metric.bounds = bounds.data();
    metric.bound_count = bounds.size();
    gh_lane head{sizeof(gh_lane), lane, 2, -1, 0};
    return metrics_.table()->cells(metrics_.table()->context, &head, &metric);
  }
  std::string text() {
    OpenMetrics out;
    metrics_.write_to(out);
    const std::string text = out.text();
    EXPECT_NO_THROW(OpenMetricsParser{text}) << text;
    return text;
  }

  PluginMetrics metrics_{"my-plugin", 2};
};

TEST_F(Metrics, SumACounterOverTheLanes) {
  *cells(0, GH_METRIC_COUNTER, "drops", "rate") = 3;
  *cells(1, GH_METRIC_COUNTER, "drops", "rate") = 4;
  *cells(1, GH_METRIC_COUNTER, "drops", "quo\"ta") = 1;
  EXPECT_THAT(text(), HasSubstr("# TYPE gatehouse_plugin_my_plugin_drops counter\n"
                                "# HELP gatehouse_plugin_my_plugin_drops Help \\\"me\\\".\n"
                                "gatehouse_plugin_my_plugin_drops_total{cause=\"quo\\\"ta\"} 1\n"
                                "gatehouse_plugin_my_plugin_drops_total{cause=\"rate\"} 7\n"));
}

TEST_F(Metrics, GiveALaneTheSameCellAgain) {
  EXPECT_EQ(cells(0, GH_METRIC_COUNTER, "a"), cells(0, GH_METRIC_COUNTER, "a"));
  EXPECT_NE(cells(0, GH_METRIC_COUNTER, "a"), cells(1, GH_METRIC_COUNTER, "a"));
}

TEST_F(Metrics, KeepLanesOnDifferentCacheLines) {
  const auto line = [](const std::uint64_t* cell) { return reinterpret_cast<std::uintptr_t>(cell) / 64; };
  std::set<std::uintptr_t> first, second;
  for (int i = 0; i < 600; ++i) {
    first.insert(line(cells(0, GH_METRIC_COUNTER, "n" + std::to_string(i))));
    second.insert(line(cells(1, GH_METRIC_COUNTER, "n" + std::to_string(i))));
  }
  for (const auto l : first) EXPECT_FALSE(second.contains(l));
}

TEST_F(Metrics, ShowAGaugeThatOneLaneTookBelowZero) {
  *cells(0, GH_METRIC_GAUGE, "open") = 0 - std::uint64_t{3};
  *cells(1, GH_METRIC_GAUGE, "open") = 1;
  EXPECT_THAT(text(), HasSubstr("\ngatehouse_plugin_my_plugin_open -2\n"));
}

TEST_F(Metrics, MakeHistogramBucketsCumulative) {
  std::uint64_t* const cell = cells(0, GH_METRIC_HISTOGRAM, "wait_us", "", {10, 100});
  cell[0] = 1;
  cell[1] = 2;
  cell[2] = 3;
  cell[3] = 777;  // the sum
  EXPECT_THAT(text(), HasSubstr("gatehouse_plugin_my_plugin_wait_us_bucket{le=\"10.0\"} 1\n"
                                "gatehouse_plugin_my_plugin_wait_us_bucket{le=\"100.0\"} 3\n"
                                "gatehouse_plugin_my_plugin_wait_us_bucket{le=\"+Inf\"} 6\n"
                                "gatehouse_plugin_my_plugin_wait_us_count 6\n"
                                "gatehouse_plugin_my_plugin_wait_us_sum 777\n"));
}

TEST_F(Metrics, GiveASharedCellBeyondTheMostSeries) {
  for (std::size_t i = 0; i < PluginMetrics::kMostSeries; ++i) cells(0, GH_METRIC_COUNTER, std::to_string(i));
  std::uint64_t* const extra = cells(0, GH_METRIC_COUNTER, "extra");
  ASSERT_NE(extra, nullptr);
  *extra = 5;
  EXPECT_EQ(cells(0, GH_METRIC_COUNTER, "another"), extra);
  EXPECT_THAT(text(), HasSubstr("gatehouse_plugin_my_plugin_series_overflow_total 5\n"));
  EXPECT_THAT(text(), Not(HasSubstr("extra")));
}

TEST_F(Metrics, GiveASharedCellToASeriesOfAnotherShape) {
  std::uint64_t* const first = cells(0, GH_METRIC_HISTOGRAM, "h", "", {1, 2});
  std::uint64_t* const other = cells(1, GH_METRIC_HISTOGRAM, "h", "", std::vector<std::uint64_t>(60, 1));
  ASSERT_NE(other, nullptr);
  other[61] = 1;  // as large as it was asked for
  EXPECT_NE(first, other);
}

TEST(OpenMetricsText, EndsWithEof) { EXPECT_EQ(OpenMetrics().text(), "# EOF\n"); }

TEST(OpenMetricsText, KeepsTheSamplesOfAFamilyTogether) {
  OpenMetrics out;
  out.gauge("b", "", {}, 1);
  out.gauge("a", "", {{"x", "1"}}, 1);
  out.gauge("b", "", {{"x", "2"}}, 2);
  out.counter("b", "", {}, 9);  // of another kind: left out
  EXPECT_EQ(out.text(), "# TYPE a gauge\na{x=\"1\"} 1\n# TYPE b gauge\nb 1\nb{x=\"2\"} 2\n# EOF\n");
}

TEST(OpenMetricsText, MakesNamesValid) { EXPECT_EQ(metric_name("9a-b.c"), "_9a_b_c"); }

}  // namespace
}  // namespace gatehouse
