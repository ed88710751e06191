// Runs of packets: what part of one may go, and that meters charge it as if its packets came one by one.
#include "policy/limiter.hpp"

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <thread>
#include <vector>

namespace gatehouse::policy {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kStart = 50 * kSecond;
constexpr Periods kToday{20'000, 657};
constexpr Moment kNow{kStart, kToday};

MeterLimits limits_of(std::uint64_t rate, std::uint64_t burst, std::uint64_t unthrottled = 0, std::uint64_t quota = 0) {
  ScopeLimits rows;
  rows.rate_up.value = rate;
  rows.burst_up.value = burst;
  rows.unthrottled_up.value = unthrottled;
  rows.quota_bytes.value = quota;
  return MeterLimits(rows);
}

/// Charges one session that has used nothing.
Grant charged(const MeterLimits& limits, const PacketRun& run) {
  Meters meters;
  const MeterLink link{&meters, &limits};
  return charge_all({&link, 1}, Direction::up, run, kNow);
}

TEST(PacketRun, IsTakenFromItsFrontInWholePackets) {
  constexpr PacketRun kRun{4, 3500, 1000};
  EXPECT_EQ(kRun.fitting(0), 0u);
  EXPECT_EQ(kRun.fitting(999), 0u);
  EXPECT_EQ(kRun.fitting(1000), 1000u);
  EXPECT_EQ(kRun.fitting(3499), 3000u);
  EXPECT_EQ(kRun.fitting(3500), 3500u);
  EXPECT_EQ(kRun.fitting(UINT64_MAX), 3500u);
  EXPECT_EQ(kRun.next(0), 1000u);
  EXPECT_EQ(kRun.next(2000), 1000u);
  EXPECT_EQ(kRun.next(3000), 500u);
  EXPECT_EQ(kRun.first(2000).packets, 2u);
  EXPECT_EQ(kRun.first(2000).fitting(1999), 1000u);
}

TEST(PacketRun, IsOnePacketWhereNothingElseIsSaid) {
  for (const PacketRun& run : {PacketRun{1, 3500, 1000}, PacketRun{0, 3500, 1000}, PacketRun{4, 3500, 0}}) {
    EXPECT_EQ(run.fitting(3499), 0u);
    EXPECT_EQ(run.fitting(3500), 3500u);
    EXPECT_EQ(run.next(0), 3500u);
  }
}

TEST(PacketRun, NeverHasMorePacketsThanItsBytesAllow) {
  constexpr PacketRun kRun{1000, 2000, 1000};
  EXPECT_EQ(kRun.fitting(1999), 1000u);
  EXPECT_EQ(kRun.next(1000), 1000u);
  EXPECT_EQ((PacketRun{4, 0, 1000}).fitting(0), 0u);
}

TEST(PacketRun, MayHaveALargerLastPacket) {
  constexpr PacketRun kRun{3, 2700, 100};  // 100, 100, 2500
  EXPECT_EQ(kRun.fitting(2699), 200u);
  EXPECT_EQ(kRun.next(200), 2500u);
}

TEST(ChargedRun, GoesInPartAndTellsWhenTheNextPacketMay) {
  const Grant grant = charged(limits_of(1000, 2500), {4, 3500, 1000});
  EXPECT_EQ(grant.bytes, 2000u);
  EXPECT_EQ(grant.wait, kSecond / 2);
  const Grant last = charged(limits_of(1000, 3000), {4, 3500, 1000});
  EXPECT_EQ(last.bytes, 3000u);
  EXPECT_EQ(last.wait, kSecond / 2);  // the last packet is a small one
  EXPECT_EQ(charged(limits_of(1000, 3500), {4, 3500, 1000}).bytes, 3500u);
}

TEST(ChargedRun, AboveTheBurstGoesPacketByPacketWhenFull) {
  Meters meters;
  const MeterLimits limits = limits_of(1000, 100);
  const MeterLink link{&meters, &limits};
  const Grant first = charge_all({&link, 1}, Direction::up, {3, 3000, 1000}, kNow);
  EXPECT_EQ(first.bytes, 1000u);
  EXPECT_EQ(first.wait, kSecond);
  // A small packet waits for the difference alone.
  const Grant small = charge_all({&link, 1}, Direction::up, {1, 10, 10}, kNow);
  EXPECT_EQ(small.bytes, 0u);
  EXPECT_EQ(small.wait, kSecond - kSecond / 10 + kSecond / 100);
  EXPECT_EQ(charge_all({&link, 1}, Direction::up, {2, 2000, 1000}, {kStart + kSecond, kToday}).bytes, 1000u);
}

TEST(ChargedRun, SpendsWhatIsUnthrottledInWholePacketsToo) {
  Meters meters;
  const MeterLimits limits = limits_of(1000, 100, 2500);
  const MeterLink link{&meters, &limits};
  const Grant grant = charge_all({&link, 1}, Direction::up, {4, 4000, 1000}, kNow);
  EXPECT_EQ(grant.bytes, 3000u);  // the third one is half free, and the rest of it above the burst
  EXPECT_EQ(meters.up.unthrottled_left(limits.up), 0u);
  EXPECT_EQ(meters.up.left(limits.up, kStart), 0u);
}

TEST(ChargedRun, EndsWhereAQuotaDoes) {
  Meters meters;
  const MeterLimits limits = limits_of(1'000'000, 1'000'000, 0, 2500);
  const MeterLink link{&meters, &limits};
  const Grant grant = charge_all({&link, 1}, Direction::up, {4, 4000, 1000}, kNow);
  EXPECT_EQ(grant.bytes, 2000u);
  EXPECT_EQ(grant.wait, kNoMore);
  EXPECT_EQ(meters.quota.used(limits.quota, kToday), 2000u);
  EXPECT_EQ(meters.up.left(limits.up, kStart), 998'000u);
  EXPECT_EQ(charge_all({&link, 1}, Direction::up, {2, 500, 400}, kNow).bytes, 500u);
}

TEST(ChargedRun, OfNothingIsGrantedAtOnce) {
  for (const PacketRun& run : {PacketRun{0, 0, 0}, PacketRun{3, 0, 1000}}) {
    const Grant grant = charged(limits_of(1, 1, 0, 1), run);
    EXPECT_EQ(grant.bytes, 0u);
    EXPECT_EQ(grant.wait, 0u);
  }
}

TEST(ChargedRun, HoldsForTheLargestNumbers) {
  for (const std::uint64_t bytes : {UINT64_MAX, UINT64_MAX / 2})
    for (const std::uint64_t packets : {std::uint64_t{1}, std::uint64_t{7}, UINT64_MAX}) {
      const Grant grant = charged(limits_of(UINT64_MAX / 4, 1000, UINT64_MAX / 8), {packets, bytes, UINT64_MAX / 16});
      EXPECT_TRUE(grant.bytes == bytes || grant.wait > 0);
    }
}

/// At these rates a byte lasts a whole number of ns, so that it is one whether a run is charged at once or in packets.
MeterLimits random_limits(std::mt19937_64& random) {
  const auto some = [&random](std::uint64_t most) { return random() % 3 == 0 ? 1 + random() % most : 0; };
  constexpr std::array<std::uint64_t, 4> kRates{0, 1000, 20'000, 1'000'000};
  return limits_of(kRates[random() % 4], some(20'000), some(30'000), some(100'000));
}

TEST(ChargedRun, CostsWhatItsPacketsCostOneByOne) {
  std::mt19937_64 random(5);
  std::size_t parts = 0;
  for (int round = 0; round < 500; ++round) {
    std::array<Meters, 2> meters, plain;
    std::array<MeterLimits, 2> limits;
    const std::array<MeterLink, 2> chain{{{&meters[0], &limits[0]}, {&meters[1], &limits[1]}}};
    const std::array<MeterLink, 2> singles{{{&plain[0], &limits[0]}, {&plain[1], &limits[1]}}};
    Moment now = kNow;
    for (int step = 0; step < 200; ++step) {
      if (step % 50 == 0)
        for (MeterLimits& link : limits) link = random_limits(random);
      now.steady_ns += random() % (random() % 20 == 0 ? 10 * kSecond : kSecond / 10);
      now.periods.day += random() % 60 == 0;
      const std::uint64_t packets = 1 + random() % 20, least = 1 + random() % 1500, last = 1 + random() % least;
      const PacketRun run{packets, (packets - 1) * least + last, least};
      Grant wanted;
      for (std::uint64_t i = 0; i < packets && wanted.wait == 0; ++i) {
        const std::uint64_t size = i + 1 < packets ? least : last;
        const Grant one = charge_all(singles, Direction::up, {1, size, size}, now);
        wanted = {wanted.bytes + one.bytes, one.wait};
      }
      const Grant got = charge_all(chain, Direction::up, run, now);
      ASSERT_EQ(got.bytes, wanted.bytes) << round << ' ' << step;
      ASSERT_EQ(got.wait, wanted.wait) << round << ' ' << step;
      parts += got.bytes != 0 && got.wait != 0;
    }
  }
  EXPECT_GT(parts, 1000u);
}

TEST(ChargedRun, KeepsRateAndQuotaWithManyThreads) {
  constexpr std::uint64_t kQuota = 3'000'000;
  const MeterLimits narrow = limits_of(1'000'000, 20'000), wide = limits_of(1'300'000, 15'000, 100'000, kQuota);
  Meters session, shared;
  std::array<std::uint64_t, 4> passed{};
  std::vector<std::thread> threads;
  for (std::uint64_t& mine : passed)
    threads.emplace_back([&] {
      const std::array<MeterLink, 2> chain{{{&session, &narrow}, {&shared, &wide}}};
      for (std::uint64_t now = kStart; now < kStart + 2 * kSecond; now += 200'000)
        mine += charge_all(chain, Direction::up, {9, 4100, 500}, {now, kToday}).bytes;
    });
  for (std::thread& thread : threads) thread.join();
  const std::uint64_t total = passed[0] + passed[1] + passed[2] + passed[3];
  EXPECT_LE(total, 2'000'000u + 20'000 + 4100);
  EXPECT_GE(total, 1'700'000u);
  EXPECT_EQ(shared.quota.used(wide.quota, kToday), total);
}

}  // namespace
}  // namespace gatehouse::policy
