#include "policy/quota_meter.hpp"

#include <gtest/gtest.h>

#include <array>
#include <thread>
#include <vector>

namespace gatehouse::policy {
namespace {

constexpr Periods kToday{20'000, 657}, kTomorrow{20'001, 657}, kNextMonth{20'010, 658};

QuotaLimit quota(std::uint64_t bytes, std::string_view period) { return {Limit{bytes, 1}, period}; }

/// One packet.
bool takes(QuotaMeter& meter, const QuotaLimit& limit, std::uint64_t bytes, Periods now) {
  return meter.charge(limit, {1, bytes, 0}, now) == bytes;
}

TEST(QuotaMeter, TakesExactlyTheQuota) {
  QuotaMeter meter;
  const QuotaLimit limit = quota(1000, "day");
  EXPECT_TRUE(takes(meter, limit, 999, kToday));
  EXPECT_FALSE(takes(meter, limit, 2, kToday));
  EXPECT_FALSE(meter.is_used_up(limit, kToday));
  EXPECT_TRUE(takes(meter, limit, 1, kToday));
  EXPECT_TRUE(meter.is_used_up(limit, kToday));
  EXPECT_FALSE(takes(meter, limit, 1, kToday));
  EXPECT_FALSE(takes(meter, limit, UINT64_MAX, kToday));
  EXPECT_EQ(meter.used(limit, kToday), 1000u);
}

TEST(QuotaMeter, BeginsAnewWithItsPeriod) {
  QuotaMeter daily, monthly;
  const QuotaLimit day = quota(1000, "day"), month = quota(1000, "month");
  EXPECT_TRUE(takes(daily, day, 1000, kToday));
  EXPECT_TRUE(takes(monthly, month, 1000, kToday));
  EXPECT_TRUE(takes(daily, day, 1000, kTomorrow));
  EXPECT_FALSE(takes(monthly, month, 1, kTomorrow));
  EXPECT_TRUE(takes(monthly, month, 1000, kNextMonth));
  EXPECT_FALSE(takes(daily, day, 1, kTomorrow));
}

TEST(QuotaMeter, IsMonthlyUnlessItSaysDay) {
  EXPECT_EQ(quota(1, "").period, QuotaPeriod::month);
  EXPECT_EQ(quota(1, "month").period, QuotaPeriod::month);
  EXPECT_EQ(quota(1, "day").period, QuotaPeriod::day);
}

TEST(QuotaMeter, GoesOnWithWhatIsUsedUnderAnotherAmount) {
  QuotaMeter meter;
  EXPECT_TRUE(takes(meter, quota(1000, "day"), 900, kToday));
  EXPECT_FALSE(takes(meter, quota(500, "day"), 1, kToday));
  EXPECT_TRUE(takes(meter, quota(2000, "day"), 1100, kToday));
  EXPECT_FALSE(takes(meter, quota(2000, "day"), 1, kToday));
}

TEST(QuotaMeter, GoesOnWithWhatWasUsedBeforeTheProcess) {
  const QuotaLimit day = quota(1000, "day"), month = quota(1000, "month");
  QuotaMeter daily, monthly, later;
  for (QuotaMeter* meter : {&daily, &monthly, &later}) meter->resume({{kToday, 300, 900}});
  EXPECT_EQ(daily.used(day, kToday), 300u);
  EXPECT_FALSE(takes(daily, day, 701, kToday));
  EXPECT_TRUE(takes(daily, day, 700, kToday));
  EXPECT_TRUE(daily.is_used_up(day, kToday));
  EXPECT_TRUE(takes(daily, day, 1000, kTomorrow));
  EXPECT_FALSE(takes(monthly, month, 101, kTomorrow));
  EXPECT_TRUE(takes(monthly, month, 100, kTomorrow));
  EXPECT_TRUE(takes(later, month, 1000, kNextMonth));
}

TEST(QuotaMeter, GivesBackOnlyInItsPeriod) {
  QuotaMeter meter;
  const QuotaLimit limit = quota(1000, "day");
  EXPECT_TRUE(takes(meter, limit, 1000, kToday));
  meter.give_back(limit, 400, kToday);
  EXPECT_EQ(meter.used(limit, kToday), 600u);
  EXPECT_TRUE(takes(meter, limit, 100, kTomorrow));
  meter.give_back(limit, 400, kToday);  // of the day before
  EXPECT_EQ(meter.used(limit, kTomorrow), 100u);
}

TEST(QuotaMeter, GivesBackNoMoreThanIsUsed) {
  QuotaMeter meter;
  const QuotaLimit limit = quota(1000, "day");
  meter.resume({{kToday, 300, 300}, 0});
  EXPECT_TRUE(takes(meter, limit, 100, kToday));
  meter.give_back(limit, 500, kToday);
  EXPECT_EQ(meter.used(limit, kToday), 0u) << "and does not go back to what was used before the process";
  EXPECT_FALSE(takes(meter, limit, 1001, kToday));
  EXPECT_TRUE(takes(meter, limit, 1000, kToday));
}

TEST(QuotaMeter, CountsNothingWithoutAQuota) {
  QuotaMeter meter;
  EXPECT_TRUE(takes(meter, {}, UINT64_MAX, kToday));
  EXPECT_FALSE(meter.is_used_up({}, kToday));
  EXPECT_TRUE(takes(meter, quota(1000, "month"), 1000, kToday));
}

TEST(QuotaMeter, IsExactWithManyThreads) {
  QuotaMeter meter;
  const QuotaLimit limit = quota(100'000, "day");
  std::array<std::uint64_t, 4> passed{};
  std::vector<std::thread> threads;
  for (std::uint64_t& mine : passed)
    threads.emplace_back([&] {
      for (int i = 0; i < 10000; ++i) {
        if (!takes(meter, limit, 10, kToday)) continue;
        if (i % 3 == 0)
          meter.give_back(limit, 10, kToday);
        else
          mine += 10;
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(passed[0] + passed[1] + passed[2] + passed[3], 100'000u);
}

}  // namespace
}  // namespace gatehouse::policy
