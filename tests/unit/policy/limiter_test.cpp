#include "policy/limiter.hpp"

#include <gtest/gtest.h>

#include <array>
#include <thread>
#include <vector>

namespace gatehouse::policy {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kStart = 50 * kSecond;

MeterLimits limits_of(std::uint64_t rate, std::uint64_t burst = 0, std::uint64_t unthrottled = 0) {
  ScopeLimits limits;
  limits.rate_up.value = rate;
  if (burst) limits.burst_up.value = burst;
  if (unthrottled) limits.unthrottled_up.value = unthrottled;
  return MeterLimits(limits);
}

/// Bytes that pass in packets of `size` over `seconds`, with a sender that always has more.
std::uint64_t passed(Meters& meters, const MeterLimits& limits, std::uint64_t size, std::uint64_t seconds) {
  const MeterLink link{&meters, &limits};
  std::uint64_t total = 0, now = kStart;
  while (now < kStart + seconds * kSecond) {
    const std::uint64_t wait = charge_all({&link, 1}, Direction::up, size, {now, {}});
    if (wait == 0) total += size;
    now += wait;
  }
  return total;
}

TEST(RateMeter, PassesTheBurstAndThenTheRate) {
  Meters meters;
  const std::uint64_t got = passed(meters, limits_of(100'000, 20'000), 1000, 10);
  EXPECT_NEAR(static_cast<double>(got), 20'000 + 10 * 100'000, 2000);
}

TEST(RateMeter, HasABurstOfOneSecondUnlessGiven) {
  Meters meters;
  EXPECT_NEAR(static_cast<double>(passed(meters, limits_of(100'000), 1000, 10)), 11 * 100'000, 2000);
}

TEST(RateMeter, SpendsUnthrottledBytesFirstAndOnlyOnce) {
  Meters meters;
  const MeterLimits limits = limits_of(1000, 1000, 500'000);
  EXPECT_NEAR(static_cast<double>(passed(meters, limits, 500, 1)), 500'000 + 2000, 1000);
  const MeterLimits changed = limits_of(2000, 2000, 500'000);  // a new generation brings no second allowance
  EXPECT_LT(passed(meters, changed, 500, 1), 6000u);
}

TEST(RateMeter, LetsAPacketBeyondTheBurstPassWhenFull) {
  Meters meters;
  const MeterLimits limits = limits_of(1000, 100);
  const MeterLink link{&meters, &limits};
  EXPECT_EQ(charge_all({&link, 1}, Direction::up, 1500, {kStart, {}}), 0u);
  const std::uint64_t wait = charge_all({&link, 1}, Direction::up, 1500, {kStart, {}});
  EXPECT_NEAR(static_cast<double>(wait), 1.5 * kSecond, 10);
  EXPECT_EQ(charge_all({&link, 1}, Direction::up, 1500, {kStart + wait, {}}), 0u);
}

TEST(RateMeter, DoesNotTouchTheOtherDirection) {
  Meters meters;
  const MeterLimits limits = limits_of(1000, 100);
  const MeterLink link{&meters, &limits};
  EXPECT_EQ(charge_all({&link, 1}, Direction::up, 100, {kStart, {}}), 0u);
  EXPECT_NE(charge_all({&link, 1}, Direction::up, 100, {kStart, {}}), 0u);
  EXPECT_EQ(charge_all({&link, 1}, Direction::down, 1'000'000, {kStart, {}}), 0u);
}

TEST(MeterChain, ChargesAllOrNone) {
  Meters session, identity;
  const MeterLimits wide = limits_of(1'000'000, 1'000'000), narrow = limits_of(1000, 1000);
  const std::array<MeterLink, 2> chain{{{&session, &wide}, {&identity, &narrow}}};
  EXPECT_EQ(charge_all(chain, Direction::up, 1000, {kStart, {}}), 0u);
  for (int i = 0; i < 1000; ++i) EXPECT_NE(charge_all(chain, Direction::up, 1000, {kStart, {}}), 0u);
  // The session was charged once only: all the rest of its burst is there.
  EXPECT_EQ(charge_all(std::span(chain).first(1), Direction::up, 999'000, {kStart, {}}), 0u);
  EXPECT_NE(charge_all(std::span(chain).first(1), Direction::up, 1000, {kStart, {}}), 0u);
}

TEST(MeterChain, KeepsTheRateWithManyThreads) {
  Meters meters;
  const MeterLimits limits = limits_of(1'000'000, 10'000);
  std::array<std::uint64_t, 4> passed_by{};
  std::vector<std::thread> threads;
  for (std::uint64_t& mine : passed_by)
    threads.emplace_back([&mine, &meters, &limits] {
      const MeterLink link{&meters, &limits};
      for (std::uint64_t now = kStart; now < kStart + kSecond; now += 100'000)
        if (charge_all({&link, 1}, Direction::up, 100, {now, {}}) == 0) mine += 100;
    });
  for (std::thread& thread : threads) thread.join();
  std::uint64_t total = 0;
  for (const std::uint64_t mine : passed_by) total += mine;
  EXPECT_LE(total, 1'000'000u + 10'000 + 400);
  EXPECT_GE(total, 900'000u);
}

TEST(OpenCount, StopsAtTheLimitAndFreesOnClose) {
  ScopeLimits rows;
  rows.concurrent_flows.value = 2;
  const MeterLimits limits(rows), none;
  Meters session, identity;
  const std::array<MeterLink, 2> chain{{{&identity, &none}, {&session, &limits}}};
  EXPECT_EQ(open_flow(chain, 1, {kStart, {}}).refusal, FlowRefusal::none);
  EXPECT_EQ(open_flow(chain, 1, {kStart, {}}).refusal, FlowRefusal::none);
  const FlowOpening refused = open_flow(chain, 1, {kStart, {}});
  EXPECT_EQ(refused.refusal, FlowRefusal::concurrent_flows);
  EXPECT_EQ(refused.link, 1u);
  EXPECT_EQ(identity.flows.open(), 2u);
  close_flow(chain);
  EXPECT_EQ(open_flow(chain, 1, {kStart, {}}).refusal, FlowRefusal::none);
}

TEST(OpenCount, HoldsNewFlowsToTheirRate) {
  ScopeLimits rows;
  rows.new_flows_per_second.value = 10;
  const MeterLimits limits(rows);
  Meters meters;
  const MeterLink link{&meters, &limits};
  int opened = 0;
  for (std::uint64_t now = kStart; now < kStart + 5 * kSecond; now += kSecond / 1000)
    if (open_flow({&link, 1}, 1, {now, {}}).refusal == FlowRefusal::none) ++opened;
  EXPECT_NEAR(opened, 10 + 50, 1);
  EXPECT_EQ(meters.flows.open(), static_cast<std::uint64_t>(opened));  // refused ones are not counted
}

}  // namespace
}  // namespace gatehouse::policy
