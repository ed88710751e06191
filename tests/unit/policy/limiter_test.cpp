#include "policy/limiter.hpp"

#include <gatehouse/table/gcra.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>
#include <set>
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

/// One packet. @return 0 = charged, else the ns to wait
std::uint64_t charge(std::span<const MeterLink> chain, Direction direction, std::uint64_t bytes, const Moment& now) {
  return charge_all(chain, direction, {1, bytes, bytes}, now).wait;
}

/// Bytes that pass in packets of `size` over `seconds`, with a sender that always has more.
std::uint64_t passed(Meters& meters, const MeterLimits& limits, std::uint64_t size, std::uint64_t seconds) {
  const MeterLink link{&meters, &limits};
  std::uint64_t total = 0, now = kStart;
  while (now < kStart + seconds * kSecond) {
    const std::uint64_t wait = charge({&link, 1}, Direction::up, size, {now, {}});
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
  EXPECT_EQ(charge({&link, 1}, Direction::up, 1500, {kStart, {}}), 0u);
  const std::uint64_t wait = charge({&link, 1}, Direction::up, 1500, {kStart, {}});
  EXPECT_NEAR(static_cast<double>(wait), 1.5 * kSecond, 10);
  EXPECT_EQ(charge({&link, 1}, Direction::up, 1500, {kStart + wait, {}}), 0u);
}

TEST(RateMeter, DoesNotTouchTheOtherDirection) {
  Meters meters;
  const MeterLimits limits = limits_of(1000, 100);
  const MeterLink link{&meters, &limits};
  EXPECT_EQ(charge({&link, 1}, Direction::up, 100, {kStart, {}}), 0u);
  EXPECT_NE(charge({&link, 1}, Direction::up, 100, {kStart, {}}), 0u);
  EXPECT_EQ(charge({&link, 1}, Direction::down, 1'000'000, {kStart, {}}), 0u);
}

TEST(MeterChain, ChargesAllOrNone) {
  Meters session, identity;
  const MeterLimits wide = limits_of(1'000'000, 1'000'000), narrow = limits_of(1000, 1000);
  const std::array<MeterLink, 2> chain{{{&session, &wide}, {&identity, &narrow}}};
  EXPECT_EQ(charge(chain, Direction::up, 1000, {kStart, {}}), 0u);
  for (int i = 0; i < 1000; ++i) EXPECT_NE(charge(chain, Direction::up, 1000, {kStart, {}}), 0u);
  // The session was charged once only: all the rest of its burst is there.
  EXPECT_EQ(charge(std::span(chain).first(1), Direction::up, 999'000, {kStart, {}}), 0u);
  EXPECT_NE(charge(std::span(chain).first(1), Direction::up, 1000, {kStart, {}}), 0u);
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
        if (charge({&link, 1}, Direction::up, 100, {now, {}}) == 0) mine += 100;
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

constexpr Periods kToday{20'000, 657};

TEST(MeterChain, ChargesQuotasAndRatesAllOrNone) {
  Meters session, identity;
  MeterLimits rated = limits_of(1'000'000, 1'000'000), quota;
  quota.quota = {Limit{5000, 1}, "day"};
  const std::array<MeterLink, 2> chain{{{&session, &rated}, {&identity, &quota}}};
  const Moment now{kStart, kToday};
  EXPECT_EQ(charge(chain, Direction::up, 2000, now), 0u);
  EXPECT_EQ(charge(chain, Direction::down, 2000, now), 0u);  // both directions together
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(charge(chain, Direction::up, 1001, now), kNoMore);
  EXPECT_EQ(charge(chain, Direction::up, 1000, now), 0u);
  // The rate was charged for what passed only; where it refuses, the quota is not charged.
  EXPECT_EQ(charge(std::span(chain).first(1), Direction::up, 997'000, now), 0u);
  const Moment tomorrow{kStart, {kToday.day + 1, kToday.month}};
  EXPECT_LT(charge(chain, Direction::up, 3000, tomorrow), kNoMore);
  EXPECT_NE(charge(chain, Direction::up, 3000, tomorrow), 0u);
  EXPECT_EQ(charge(chain, Direction::down, 5000, tomorrow), 0u);
}

TEST(MeterChain, NeverTakesALongWaitForAQuota) {
  Meters meters;
  const MeterLimits limits = limits_of(1, 1);
  const MeterLink link{&meters, &limits};
  EXPECT_EQ(charge({&link, 1}, Direction::up, UINT64_MAX / 2, {kStart, {}}), 0u);
  EXPECT_LT(charge({&link, 1}, Direction::up, UINT64_MAX / 2, {kStart, {}}), kNoMore);
}

/// The same limits by plain values: a whole chain is copied, tried, and kept only if nobody refuses.
struct PlainLink {
  Gcra up, new_flows;
  std::uint64_t quota_used = 0, flows = 0;
  std::uint32_t quota_day = 0;
  std::set<std::uint64_t> destinations;
  std::uint64_t minute = 0;

  FlowRefusal open(const MeterLimits& limits, std::uint64_t destination, const Moment& now, FlowRefusal asked) {
    if (quota_day != now.periods.day) quota_used = 0, quota_day = now.periods.day;
    if (minute != now.steady_ns / DistinctWindow::kWindow)
      destinations.clear(), minute = now.steady_ns / DistinctWindow::kWindow;
    bool refuses = false;
    if (asked == FlowRefusal::quota) refuses = limits.quota.bytes != 0 && quota_used >= limits.quota.bytes;
    if (asked == FlowRefusal::destinations && limits.destinations_per_minute != 0) {
      const bool is_new = destinations.insert(destination).second;
      refuses = is_new && destinations.size() > limits.destinations_per_minute;
    }
    if (asked == FlowRefusal::new_flow_rate)
      refuses = new_flows.take(now.steady_ns, 1, limits.new_flows_per_second, limits.new_flows_per_second) != 0;
    if (asked == FlowRefusal::concurrent_flows)
      refuses = ++flows > limits.concurrent_flows && limits.concurrent_flows != 0;
    return refuses ? asked : FlowRefusal::none;
  }
  std::uint64_t charge(const MeterLimits& limits, std::uint64_t bytes, const Moment& now) {
    if (quota_day != now.periods.day) quota_used = 0, quota_day = now.periods.day;
    if (limits.quota.bytes != 0 && (quota_used += bytes) > limits.quota.bytes) return kNoMore;
    return up.take(now.steady_ns, bytes, limits.up.rate, limits.up.burst);
  }
};

using PlainChain = std::array<PlainLink, 2>;
using ChainLimits = std::array<MeterLimits, 2>;

FlowOpening open_plainly(PlainChain& chain, const ChainLimits& limits, std::uint64_t destination, const Moment& now) {
  PlainChain next = chain;
  for (const FlowRefusal asked :
       {FlowRefusal::quota, FlowRefusal::destinations, FlowRefusal::new_flow_rate, FlowRefusal::concurrent_flows})
    for (std::size_t i = 0; i < next.size(); ++i)
      if (next[i].open(limits[i], destination, now, asked) != FlowRefusal::none) return {asked, i};
  chain = next;
  return {};
}

std::uint64_t charge_plainly(PlainChain& chain, const ChainLimits& limits, std::uint64_t bytes, const Moment& now) {
  PlainChain next = chain;
  std::uint64_t longest = 0;
  for (std::size_t i = 0; i < next.size(); ++i) longest = std::max(longest, next[i].charge(limits[i], bytes, now));
  if (longest == 0) chain = next;
  return longest;
}

/// Sparse: most columns have no limit, as in real rows.
MeterLimits random_limits(std::mt19937_64& random) {
  const auto some = [&random](std::uint64_t most) { return random() % 3 == 0 ? 1 + random() % most : 0; };
  MeterLimits out = limits_of(some(100'000), some(20'000));
  out.quota = {Limit{some(300'000), 1}, "day"};
  out.concurrent_flows = some(20);
  out.new_flows_per_second = some(10);
  out.destinations_per_minute = some(30);
  return out;
}

TEST(MeterChain, AgreesWithPlainValuesOnRandomTraffic) {
  std::mt19937_64 random(11);
  for (int round = 0; round < 300; ++round) {
    std::array<Meters, 2> meters;
    PlainChain plain;
    ChainLimits limits;
    std::array<MeterLink, 2> chain{{{&meters[0], &limits[0]}, {&meters[1], &limits[1]}}};
    Moment now{kStart, kToday};
    for (int step = 0; step < 600; ++step) {
      if (step % 100 == 0)  // an edit: other limits, the same state
        for (std::size_t i = 0; i < 2; ++i) {
          limits[i] = random_limits(random);
          meters[i].destinations.reserve(limits[i].destinations_per_minute);
        }
      now.steady_ns += random() % (random() % 50 == 0 ? 30 * kSecond : kSecond / 5);
      now.periods.day += random() % 200 == 0;
      const std::uint64_t number = 1 + random() % 50;
      if (random() % 4 == 0 && plain[0].flows > 0) {
        close_flow(chain);
        for (PlainLink& link : plain) --link.flows;
      } else if (random() % 2 == 0) {
        const FlowOpening got = open_flow(chain, number << 24, now), wanted = open_plainly(plain, limits, number, now);
        ASSERT_EQ(got.refusal, wanted.refusal) << round << ' ' << step;
        ASSERT_EQ(got.link, wanted.link) << round << ' ' << step;
      } else {
        ASSERT_EQ(charge(chain, Direction::up, number * 100, now), charge_plainly(plain, limits, number * 100, now))
            << round << ' ' << step;
      }
    }
  }
}

TEST(OpenFlow, AsksLastForWhatEndingAnotherFlowHelpsAgainst) {
  ScopeLimits rows;
  rows.concurrent_flows.value = 1;
  rows.destinations_per_minute.value = 1;
  const MeterLimits limits(rows);
  Meters meters;
  meters.destinations.reserve(1);
  const MeterLink link{&meters, &limits};
  EXPECT_EQ(open_flow({&link, 1}, 1ull << 60, {kStart, {}}).refusal, FlowRefusal::none);
  EXPECT_EQ(open_flow({&link, 1}, 1ull << 60, {kStart, {}}).refusal, FlowRefusal::concurrent_flows);
  EXPECT_EQ(open_flow({&link, 1}, 2ull << 60, {kStart, {}}).refusal, FlowRefusal::destinations);
}

TEST(OpenFlow, HoldsASharedLinkToItsLimitsWithManyThreads) {
  constexpr std::uint64_t kDestinations = 100, kFlows = 150;
  ScopeLimits rows;
  rows.destinations_per_minute.value = kDestinations;
  rows.concurrent_flows.value = kFlows;
  const MeterLimits shared_limits(rows), none;
  Meters shared;
  shared.destinations.reserve(kDestinations);
  std::array<std::set<std::uint64_t>, 4> reached;
  std::array<std::uint64_t, 4> opened{};
  std::vector<std::thread> threads;
  for (std::size_t me = 0; me < 4; ++me)
    threads.emplace_back([&, me] {
      Meters session;
      const std::array<MeterLink, 2> chain{{{&session, &none}, {&shared, &shared_limits}}};
      std::mt19937_64 random(me);
      for (int i = 0; i < 20000; ++i) {
        const std::uint64_t destination = random() % 300;
        if (open_flow(chain, destination << 24, {kStart, {}}).refusal != FlowRefusal::none) continue;
        reached[me].insert(destination);
        if (i % 200 == 0 && opened[me] < 30)
          ++opened[me];
        else
          close_flow(chain);
      }
    });
  for (std::thread& thread : threads) thread.join();
  std::set<std::uint64_t> all;
  for (const auto& mine : reached) all.insert(mine.begin(), mine.end());
  EXPECT_EQ(all.size(), kDestinations);
  EXPECT_EQ(shared.flows.open(), opened[0] + opened[1] + opened[2] + opened[3]);
}

}  // namespace
}  // namespace gatehouse::policy
