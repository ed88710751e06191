// What lanes count and tell: row counts, the ring of notices, the sums over lanes, the lines of monitor rows.
#include "gateway/policy/lane_records.hpp"
#include "gateway/base/openmetrics.hpp"
#include "gateway/policy/monitor_log.hpp"

#include <gmock/gmock.h>

#include <thread>

namespace gatehouse {
namespace {

using namespace std::chrono_literals;
using policy::Action;
using policy::Flow;
using policy::Reason;
using policy::RowRef;
using policy::Table;
using policy::Verdict;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::map<RowRef, std::uint64_t> counts_of(const RowCounts& counts, RowEffect wanted) {
  std::map<RowRef, std::uint64_t> out;
  counts.for_each([&](RowRef row, RowEffect effect, std::uint64_t count) {
    if (effect == wanted) out[row] = count;
  });
  return out;
}

Flow flow_to(const char* address, std::string_view name = {}) {
  return {IpAddress::parse(address).value(), 53, policy::kUdp, 0, name};
}

TEST(RowCounts, KeepTablesRowsAndEffectsApart) {
  RowCounts counts;
  for (int i = 0; i < 3; ++i) counts.add({Table::domain_rules, 7}, RowEffect::monitor);
  counts.add({Table::domain_rules, 7}, RowEffect::deny);
  for (int i = 0; i < 2; ++i) counts.add({Table::domain_rules, 7}, RowEffect::allow);
  counts.add({Table::port_permits, 7}, RowEffect::monitor);
  counts.add({Table::port_permits, -7}, RowEffect::monitor);
  counts.add({Table::settings, INT64_MAX}, RowEffect::deny);
  const std::map<RowRef, std::uint64_t> monitored = {
      {{Table::domain_rules, 7}, 3}, {{Table::port_permits, 7}, 1}, {{Table::port_permits, -7}, 1}};
  const std::map<RowRef, std::uint64_t> denied = {{{Table::domain_rules, 7}, 1}, {{Table::settings, INT64_MAX}, 1}};
  EXPECT_EQ(counts_of(counts, RowEffect::monitor), monitored);
  const std::map<RowRef, std::uint64_t> allowed = {{{Table::domain_rules, 7}, 2}};
  EXPECT_EQ(counts_of(counts, RowEffect::deny), denied);
  EXPECT_EQ(counts_of(counts, RowEffect::allow), allowed);
  EXPECT_EQ(counts.overflow(), 0u);
}

TEST(RowCounts, CountWhatFindsNoPlace) {
  auto counts = std::make_unique<RowCounts>();
  constexpr std::uint64_t kRows = 3 * RowCounts::kSlots;
  for (int round = 0; round < 2; ++round)
    for (std::uint64_t row = 0; row < kRows; ++row)
      counts->add({Table::domain_rules, static_cast<std::int64_t>(row)}, RowEffect::deny);
  std::uint64_t sum = counts->overflow();
  std::size_t rows = 0;
  for (const auto& [row, count] : counts_of(*counts, RowEffect::deny)) {
    EXPECT_EQ(count, 2u) << row.row;
    sum += count;
    ++rows;
  }
  EXPECT_EQ(sum, 2 * kRows);
  EXPECT_GT(rows, RowCounts::kSlots * 9 / 10);
}

TEST(RowCounts, GiveThePlacesOfDroppedRowsAway) {
  auto counts = std::make_unique<RowCounts>();
  const auto add = [&](std::int64_t first) {
    for (std::int64_t row = first; row < first + 1000; ++row) counts->add({Table::domain_rules, row}, RowEffect::deny);
  };
  for (std::int64_t round = 0; round < 50; ++round) {
    add(1000 * round);
    add(1000 * round);
    EXPECT_EQ(counts->overflow(), 0u) << round;
    counts->drop([=](RowRef row) { return row.row >= 1000 * round; });
    const auto left = counts_of(*counts, RowEffect::deny);
    EXPECT_EQ(left.size(), 1000u);
    for (const auto& [row, count] : left) ASSERT_EQ(count, 2u) << row.row;
  }
  counts->drop([](RowRef) { return false; });
  EXPECT_TRUE(counts_of(*counts, RowEffect::deny).empty());
}

TEST(RowCounts, CanBeDroppedAndReadWhileTheyAreWritten) {
  auto counts = std::make_unique<RowCounts>();
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (std::int64_t i = 0; i < 300'000; ++i) counts->add({Table::domain_rules, i / 3}, RowEffect::deny);
    done = true;
  });
  std::thread publisher([&] {
    while (!done) counts->drop([](RowRef row) { return row.row % 7 == 0; });
  });
  while (!done)
    counts->for_each([&](RowRef row, RowEffect effect, std::uint64_t count) {
      ASSERT_EQ(row.table, Table::domain_rules);
      ASSERT_EQ(effect, RowEffect::deny);
      ASSERT_LE(count, 3u) << row.row;
    });
  writer.join();
  publisher.join();
}

TEST(RowCounts, HoldAThousandRowsInARow) {
  auto counts = std::make_unique<RowCounts>();
  for (std::int64_t row = 1; row <= 1000; ++row) counts->add({Table::port_permits, row}, RowEffect::deny);
  EXPECT_EQ(counts->overflow(), 0u);
}

TEST(RowCounts, CanBeReadWhileTheyAreWritten) {
  RowCounts counts;
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (std::int64_t i = 0; i < 200'000; ++i) counts.add({Table::domain_rules, i % 100}, RowEffect::monitor);
    done = true;
  });
  std::uint64_t before = 0;
  do {
    std::uint64_t sum = 0;
    counts.for_each([&](RowRef row, RowEffect effect, std::uint64_t count) {
      ASSERT_EQ(row.table, Table::domain_rules);
      ASSERT_EQ(effect, RowEffect::monitor);
      ASSERT_LT(row.row, 100);
      sum += count;
    });
    ASSERT_GE(sum, before);
    before = sum;
  } while (!done);
  writer.join();
}

TEST(NoticeRing, DropsTheNoticeWhenFull) {
  auto ring = std::make_unique<NoticeRing>();
  for (std::size_t i = 0; i < NoticeRing::kSize + 5; ++i)
    ring->push({Table::domain_rules, static_cast<std::int64_t>(i)}, true, flow_to("192.0.2.1", "a.test"), {});
  EXPECT_EQ(ring->dropped(), 5u);
  std::int64_t next = 0;
  ring->drain([&](const Notice& notice) { EXPECT_EQ(notice.row.row, next++); });
  EXPECT_EQ(next, static_cast<std::int64_t>(NoticeRing::kSize));
  ring->push({Table::port_permits, 1}, false, flow_to("192.0.2.1"), {});
  std::vector<std::string> names;
  ring->drain([&](const Notice& notice) { names.emplace_back(notice.name()); });
  EXPECT_THAT(names, ElementsAre(""));
}

TEST(NoticeRing, CutsANameThatNoDnsMessageHolds) {
  auto ring = std::make_unique<NoticeRing>();
  const std::string longest(300, 'x');
  ring->push({Table::domain_rules, 1}, true, flow_to("192.0.2.1", longest), {});
  ring->drain([&](const Notice& notice) { EXPECT_EQ(notice.name(), longest.substr(0, 253)); });
}

TEST(NoticeRing, CarriesWholeNoticesBetweenThreads) {
  auto ring = std::make_unique<NoticeRing>();
  constexpr std::int64_t kCount = 100'000;
  std::thread writer([&] {
    for (std::int64_t i = 0; i < kCount; ++i) {
      const std::string name(static_cast<std::size_t>(i % 250), static_cast<char>('a' + i % 26));
      ring->push({Table::domain_rules, i}, true, flow_to("192.0.2.1", name), {});
    }
  });
  std::int64_t taken = 0, last = -1;
  while (taken + static_cast<std::int64_t>(ring->dropped()) < kCount)
    ring->drain([&](const Notice& notice) {
      ++taken;
      ASSERT_GT(notice.row.row, last);
      last = notice.row.row;
      ASSERT_EQ(notice.name(), std::string(static_cast<std::size_t>(last % 250), static_cast<char>('a' + last % 26)));
    });
  writer.join();
}

TEST(LaneRecords, SumLanesAndKeepWhatEndedLanesCounted) {
  LaneRecords records;
  const Verdict denied{Action::deny, Reason::port_permit, Table::port_permits, 12, 1};
  const Verdict allowed{Action::allow, Reason::port_permit, Table::port_permits, 13, 1};
  const auto one = records.open("udpgw");
  {
    const auto two = records.open("udpgw");
    for (int i = 0; i < 3; ++i) two->count(denied);
    two->count(allowed);
    two->end();
  }
  one->count(denied);
  records.open("echo")->count(allowed);
  for (int round = 0; round < 2; ++round) {
    OpenMetrics out;
    records.write_to(out);
    const std::string text = out.text();
    EXPECT_THAT(
        text, HasSubstr("gatehouse_policy_verdicts_total{plugin=\"udpgw\",action=\"deny\",reason=\"port_permit\"} 4"));
    EXPECT_THAT(
        text, HasSubstr("gatehouse_policy_verdicts_total{plugin=\"echo\",action=\"allow\",reason=\"port_permit\"} 1"));
    EXPECT_THAT(text,
                HasSubstr("gatehouse_policy_row_hits_total{table=\"port_permits\",row=\"12\",action=\"deny\"} 4"));
    EXPECT_THAT(text,
                HasSubstr("gatehouse_policy_row_hits_total{table=\"port_permits\",row=\"13\",action=\"allow\"} 2"));
    records.drain([](const Notice&) {});
  }
}

TEST(LaneRecords, TellOfMonitorRowsAndOfListsThatBlock) {
  LaneRecords records;
  const auto lane = records.open("udpgw");
  policy::SideHits hits;
  hits.add({Table::domain_rules, 5});
  hits.add({Table::domain_lists, 6});
  const Verdict listed{Action::deny, Reason::domain, Table::domain_lists, 7, 1};
  lane->tell(listed, hits, flow_to("192.0.2.1", "ads.test"), IpAddress::parse("10.0.0.7").value());
  std::vector<std::string> told;
  records.drain([&](const Notice& notice) {
    told.push_back(std::string(policy::to_text(notice.row.table)) + std::to_string(notice.row.row) +
                   (notice.monitor ? " watched " : " blocked ") + std::string(notice.name()));
  });
  EXPECT_THAT(told, ElementsAre("domain_rules5 watched ads.test", "domain_lists6 watched ads.test",
                                "domain_lists7 blocked ads.test"));
  EXPECT_THAT(records.monitor_counts(), ElementsAre(std::pair{RowRef{Table::domain_rules, 5}, 1u},
                                                    std::pair{RowRef{Table::domain_lists, 6}, 1u}));
}

TEST(LaneRecords, CountTheRowThatAllowsAName) {
  LaneRecords records;
  const auto lane = records.open("udpgw");
  const Verdict allowed{Action::allow, Reason::port_permit, Table::port_permits, 9, 1};
  std::vector<std::int64_t> told;
  for (const RowRef& row : {RowRef{Table::domain_rules, 5}, RowRef{Table::domain_lists, 6}}) {
    policy::SideHits hits;
    hits.allowed_name = row;
    lane->tell(allowed, hits, flow_to("192.0.2.1", "good.test"), IpAddress::parse("10.0.0.7").value());
  }
  records.drain([&](const Notice& notice) {
    EXPECT_FALSE(notice.monitor);
    told.push_back(notice.row.row);
  });
  EXPECT_THAT(told, ElementsAre(6)) << "only a list can be mistaken";
  OpenMetrics out;
  records.write_to(out);
  for (const char* row : {"table=\"domain_rules\",row=\"5\"", "table=\"domain_lists\",row=\"6\""})
    EXPECT_THAT(out.text(), HasSubstr("gatehouse_policy_row_hits_total{" + std::string(row) + ",action=\"allow\"} 1"));
}

TEST(LaneRecords, ForgetRowsThatHaveLeftThePolicy) {
  LaneRecords records;
  const auto lane = records.open("udpgw"), ended = records.open("udpgw");
  for (const auto& record : {lane, ended})
    for (std::int64_t row = 1; row <= 3; ++row)
      record->count({Action::deny, Reason::domain, Table::domain_rules, row, 1});
  ended->end();
  records.drain([](const Notice&) {});
  policy::Model model;
  model.domain_rules = {{2, {}, "a.test", "suffix", "block", {}}};
  records.keep_only(rows_of(model));
  OpenMetrics out;
  records.write_to(out);
  EXPECT_THAT(out.text(),
              HasSubstr("gatehouse_policy_row_hits_total{table=\"domain_rules\",row=\"2\",action=\"deny\"} 2"));
  EXPECT_THAT(out.text(), Not(HasSubstr("row=\"1\"")));
  EXPECT_THAT(out.text(), HasSubstr("reason=\"domain\"} 6"));
}

class MonitorLines : public testing::Test {
 protected:
  void meet(std::int64_t row, const char* name, int times) {
    policy::SideHits hits;
    hits.add({Table::domain_rules, row});
    for (int i = 0; i < times; ++i)
      lane->tell({}, hits, flow_to("192.0.2.1", name), IpAddress::parse("10.0.0.7").value());
  }
  std::vector<std::string> lines_at(MonitorLog::Clock::time_point now) {
    std::vector<std::string> out;
    records.drain([&](const Notice& notice) { log.add(notice); });
    if (log.due(now))
      log.write_lines(now, records.monitor_counts(), [&](std::string line, std::string example) {
        out.push_back(std::move(line));
        examples.push_back(std::move(example));
      });
    return out;
  }
  const MonitorLog::Clock::time_point start{1h};
  LaneRecords records;
  std::shared_ptr<LaneRecord> lane = records.open("udpgw");
  MonitorLog log;
  std::vector<std::string> examples;
};

TEST_F(MonitorLines, ComeAtOnceAndThenEveryTenSecondsWithTheCount) {
  meet(12, "ads.test", 1);
  EXPECT_THAT(lines_at(start), ElementsAre("monitor domain_rules 12: once"));
  meet(12, "www.ads.test", 400);  // more than the ring holds
  EXPECT_THAT(lines_at(start + 9s), ElementsAre());
  meet(12, "z.ads.test", 1);
  EXPECT_THAT(lines_at(start + 10s), ElementsAre("monitor domain_rules 12: 401 times"));
  EXPECT_THAT(lines_at(start + 30s), ElementsAre());
}

TEST_F(MonitorLines, KeepRowsApartAndTheTerminalClean) {
  meet(1, "a.test", 2);
  meet(2, "b\x1b[2J.test", 1);
  EXPECT_THAT(lines_at(start), ElementsAre("monitor domain_rules 1: 2 times", "monitor domain_rules 2: once"));
  EXPECT_THAT(examples, ElementsAre("monitor domain_rules 1, such as a.test to 192.0.2.1:53 from 10.0.0.7",
                                    HasSubstr("monitor domain_rules 2, such as b?[2J.test to")));
}

TEST_F(MonitorLines, ClaimNoCountThatTheyDoNotKnow) {
  for (std::int64_t other = 100; other < 100 + 3 * std::int64_t{RowCounts::kSlots}; ++other)
    lane->count({Action::deny, Reason::domain, Table::domain_rules, other, 1});
  std::int64_t row = 1;
  const auto is_counted = [&] { return records.monitor_counts().contains({Table::domain_rules, row}); };
  for (meet(row, "a.test", 5); is_counted(); meet(row, "a.test", 5)) {
    static_cast<void>(lines_at(start));
    ++row;
  }
  EXPECT_THAT(lines_at(start + 1h), Contains("monitor domain_rules " + std::to_string(row) +
                                             ": at least once; too many rows are hit for each to be counted"));
}

}  // namespace
}  // namespace gatehouse
