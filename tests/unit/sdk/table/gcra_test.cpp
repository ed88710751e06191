#include <gatehouse/table/gcra.hpp>

#include <gtest/gtest.h>

#include <random>

namespace gatehouse {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;

TEST(Gcra, LetsABurstThroughAndThenTheRate) {
  Gcra limiter;
  for (int i = 0; i < 10; ++i) EXPECT_EQ(limiter.take(0, 1, 5, 10), 0u) << i;
  EXPECT_EQ(limiter.take(0, 1, 5, 10), kSecond / 5);
  EXPECT_EQ(limiter.take(kSecond / 5, 1, 5, 10), 0u);
  EXPECT_EQ(limiter.take(kSecond / 5, 1, 5, 10), kSecond / 5);
}

TEST(Gcra, RefillsAtMostTheBurst) {
  Gcra limiter;
  EXPECT_EQ(limiter.take(0, 10, 5, 10), 0u);
  const std::uint64_t later = 1000 * kSecond;
  EXPECT_TRUE(limiter.is_full(later));
  EXPECT_EQ(limiter.take(later, 10, 5, 10), 0u);
  EXPECT_FALSE(limiter.is_full(later));
  EXPECT_GT(limiter.take(later, 1, 5, 10), 0u);
}

TEST(Gcra, TakesNothingWhenItSaysWait) {
  Gcra limiter;
  ASSERT_EQ(limiter.take(0, 10, 10, 10), 0u);
  const std::uint64_t wait = limiter.wait(0, 5, 10, 10);
  EXPECT_EQ(wait, kSecond / 2);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(limiter.take(0, 5, 10, 10), wait);
  EXPECT_GT(limiter.take(wait - 1, 5, 10, 10), 0u);
  EXPECT_EQ(limiter.take(wait, 5, 10, 10), 0u);
}

TEST(Gcra, LetsACostAboveTheBurstThroughWhenFull) {
  Gcra limiter;
  EXPECT_EQ(limiter.take(0, 1500, 1000, 100), 0u);
  EXPECT_EQ(limiter.take(0, 1500, 1000, 100), 1500 * kSecond / 1000);
  EXPECT_EQ(limiter.take(0, 1, 1000, 100), 1401 * kSecond / 1000);
}

TEST(Gcra, HasNoLimitAtRateZero) {
  Gcra limiter;
  EXPECT_EQ(limiter.take(0, UINT64_MAX, 0, 0), 0u);
  EXPECT_EQ(limiter.take(0, UINT64_MAX, 0, 0), 0u);
  EXPECT_TRUE(limiter.is_full(0));
}

TEST(Gcra, TellsExactlyWhatIsLeft) {
  std::mt19937_64 random(2);
  const auto below = [&random](std::uint64_t bits) { return random() >> (64 - 1 - random() % bits); };
  int asked = 0;
  for (int i = 0; i < 200'000; ++i) {
    const std::uint64_t rate = 1 + below(40), burst = 1 + below(40), now = kSecond + below(60);
    const std::uint64_t full_at =
        random() % 4 == 0 ? now + below(40) : gcra_step(0, now, below(40), rate, burst).full_at;
    const std::uint64_t left = gcra_left(full_at, now, rate, burst);
    ASSERT_LE(left, burst);
    ASSERT_TRUE(left == 0 || gcra_step(full_at, now, left, rate, burst).wait == 0) << rate << ' ' << burst;
    ASSERT_TRUE(left == burst || gcra_step(full_at, now, left + 1, rate, burst).wait != 0) << rate << ' ' << burst;
    asked += left > 0 && left < burst;
  }
  EXPECT_GT(asked, 10'000);
  EXPECT_EQ(gcra_left(7, 5, 0, 10), 10u);
  EXPECT_EQ(gcra_left(UINT64_MAX, 0, UINT64_MAX, UINT64_MAX), 0u);
  EXPECT_EQ(gcra_left(0, 0, 1, UINT64_MAX), UINT64_MAX);
}

TEST(Gcra, KeepsTheRateOverTime) {
  std::mt19937_64 random(1);
  for (const std::uint64_t rate : {1000ull, 1'250'000ull, 1'250'000'000ull, 12'500'000'000ull}) {
    const std::uint64_t burst = 64 * 1024;
    Gcra limiter;
    std::uint64_t taken = 0;
    std::uint64_t now = 0;
    for (int i = 0; i < 20000; ++i) {
      const std::uint64_t cost = 40 + random() % 1460;
      if (const std::uint64_t wait = limiter.take(now, cost, rate, burst)) {
        now += wait;
        ASSERT_EQ(limiter.take(now, cost, rate, burst), 0u);
      }
      taken += cost;
    }
    const double most = static_cast<double>(burst) + static_cast<double>(now) * static_cast<double>(rate) / 1e9;
    EXPECT_LE(static_cast<double>(taken), most + 1) << rate;
    // Each take may cost the flow up to 1 ns.
    EXPECT_GE(static_cast<double>(taken), most - 20000 * static_cast<double>(rate) / 1e9 - 2000) << rate;
  }
}

TEST(Gcra, IsRightForEveryInput) {
  constexpr std::uint64_t kOdd[] = {
      0, 1, 2, 1000, UINT32_MAX, 1ull << 33, 18'446'744'073, UINT64_MAX / 2, UINT64_MAX - 1, UINT64_MAX};
  for (const std::uint64_t full_at : kOdd)
    for (const std::uint64_t now : kOdd)
      for (const std::uint64_t cost : kOdd)
        for (const std::uint64_t rate : kOdd)
          for (const std::uint64_t burst : kOdd) {
            const GcraStep step = gcra_step(full_at, now, cost, rate, burst);
            if (step.wait != 0) {
              ASSERT_EQ(step.full_at, full_at);
              ASSERT_GT(full_at, now) << "a full limiter lets anything through";
              if (step.wait <= UINT64_MAX - now) {
                ASSERT_EQ(gcra_step(full_at, now + step.wait, cost, rate, burst).wait, 0u) << "the wait was too short";
              }
              if (step.wait != UINT64_MAX) {
                ASSERT_NE(gcra_step(full_at, now + step.wait - 1, cost, rate, burst).wait, 0u)
                    << "the wait was too long";
              }
            } else {
              ASSERT_GE(step.full_at, full_at);
            }
          }
}

}  // namespace
}  // namespace gatehouse
