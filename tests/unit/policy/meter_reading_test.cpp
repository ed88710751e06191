#include "policy/meter_reading.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace gatehouse::policy {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr Moment kNow{50 * kSecond, {20'000, 657}};

ScopeLimits rows() {
  ScopeLimits out;
  out.rate_up.value = 1000;
  out.unthrottled_up.value = 300;
  out.rate_down.value = 2000;
  out.burst_down.value = 500;
  out.quota_bytes.value = 10'000;
  out.concurrent_flows.value = 9;
  out.new_flows_per_second.value = 4;
  out.destinations_per_minute.value = 8;
  return out;
}

TEST(MeterReading, OfFreshMetersIsAllThatTheLimitsGive) {
  const Meters meters;
  const MeterReading read = read_meters(meters, MeterLimits(rows()), kNow);
  EXPECT_EQ(read.up.left, 1000u);
  EXPECT_EQ(read.up.unthrottled_left, 300u);
  EXPECT_EQ(read.down.left, 500u);
  EXPECT_EQ(read.quota_used, 0u);
  EXPECT_EQ(read.new_flows_left, 4u);
  EXPECT_EQ(read.destinations + read.flows + read.sessions, 0u);
}

TEST(MeterReading, TellsWhatWasTakenAndTakesNothing) {
  Meters meters;
  const MeterLimits limits{rows()};
  const MeterLink link{&meters, &limits};
  meters.destinations.reserve(limits.destinations_per_minute);
  ASSERT_EQ(charge_all({&link, 1}, Direction::up, {1, 700, 0}, kNow).wait, 0u);
  ASSERT_EQ(charge_all({&link, 1}, Direction::down, {1, 200, 0}, kNow).wait, 0u);
  for (std::uint64_t i = 1; i <= 3; ++i) ASSERT_EQ(open_flow({&link, 1}, i << 40, kNow).refusal, FlowRefusal::none);
  close_flow({&link, 1});
  ASSERT_TRUE(meters.sessions.try_open(0));
  for (int again = 0; again < 3; ++again) {
    const MeterReading read = read_meters(meters, limits, kNow);
    EXPECT_EQ(read.up.left, 600u) << "300 of the 700 were free";
    EXPECT_EQ(read.up.unthrottled_left, 0u);
    EXPECT_EQ(read.down.left, 300u);
    EXPECT_EQ(read.quota_used, 900u);
    EXPECT_EQ(read.new_flows_left, 1u);
    EXPECT_EQ(read.destinations, 3u);
    EXPECT_EQ(read.flows, 2u);
    EXPECT_EQ(read.sessions, 1u);
  }
  const MeterReading later = read_meters(meters, limits, {kNow.steady_ns + 60 * kSecond, {20'000, 658}});
  EXPECT_EQ(later.up.left, 1000u);
  EXPECT_EQ(later.quota_used, 0u);
  EXPECT_EQ(later.destinations, 0u);
  EXPECT_EQ(later.flows, 2u);
}

TEST(MeterReading, IsMadeWhileOthersCharge) {
  Meters meters;
  const MeterLimits limits{rows()};
  std::atomic<bool> done{false};
  std::thread lane([&] {
    const MeterLink link{&meters, &limits};
    for (std::uint64_t now = kNow.steady_ns; now < kNow.steady_ns + kSecond; now += 10'000)
      static_cast<void>(charge_all({&link, 1}, Direction::up, {1, 5, 0}, {now, kNow.periods}));
    done = true;
  });
  while (!done) {
    const MeterReading read = read_meters(meters, limits, kNow);
    EXPECT_LE(read.up.left, limits.up.burst);
    EXPECT_LE(read.quota_used, limits.quota.bytes);
  }
  lane.join();
  EXPECT_GT(read_meters(meters, limits, kNow).quota_used, 0u);
}

}  // namespace
}  // namespace gatehouse::policy
