#include "policy/distinct_window.hpp"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <random>
#include <set>
#include <thread>
#include <vector>

namespace gatehouse::policy {
namespace {

constexpr std::uint64_t kStart = 50 * DistinctWindow::kWindow;

std::uint64_t hash_of(std::uint64_t number) { return number * 0x9e37'79b9'7f4a'7c15; }

/// How many of the things from..to are admitted.
int admitted(DistinctWindow& window, std::uint64_t from, std::uint64_t to, std::uint64_t limit, std::uint64_t now) {
  int out = 0;
  for (std::uint64_t i = from; i < to; ++i) {
    const bool foreseen = window.would_admit(hash_of(i), limit, now);
    const bool is = window.admit(hash_of(i), limit, now);
    EXPECT_EQ(foreseen, is) << i;
    out += is;
  }
  return out;
}

TEST(DistinctWindow, TakesSoManyThingsAWindowAndEachOnce) {
  DistinctWindow window;
  window.reserve(10);
  EXPECT_EQ(admitted(window, 0, 100, 10, kStart), 10);
  for (int again = 0; again < 5; ++again) EXPECT_EQ(admitted(window, 0, 100, 10, kStart + 1), 10);
  EXPECT_EQ(admitted(window, 0, 10, 10, kStart + DistinctWindow::kWindow - 1), 10);
}

TEST(DistinctWindow, TellsHowManyItHasCounted) {
  DistinctWindow window;
  window.reserve(10);
  EXPECT_EQ(window.counted(kStart), 0u);
  EXPECT_EQ(admitted(window, 0, 7, 10, kStart), 7);
  EXPECT_EQ(window.counted(kStart + DistinctWindow::kWindow - 1), 7u);
  EXPECT_EQ(window.counted(kStart + DistinctWindow::kWindow), 0u);
}

TEST(DistinctWindow, BeginsAnewEachMinuteWithoutClearing) {
  DistinctWindow window;
  window.reserve(100);
  for (std::uint64_t minute = 0; minute < 1000; ++minute)
    ASSERT_EQ(admitted(window, minute * 50, minute * 50 + 150, 100, kStart + minute * DistinctWindow::kWindow), 100);
}

TEST(DistinctWindow, StaysInTheForemostWindowForALaneThatIsBehind) {
  DistinctWindow window;
  window.reserve(10);
  EXPECT_EQ(admitted(window, 0, 10, 10, kStart + DistinctWindow::kWindow), 10);
  EXPECT_EQ(admitted(window, 0, 20, 10, kStart + DistinctWindow::kWindow - 1), 10);
  EXPECT_EQ(admitted(window, 0, 20, 10, kStart + DistinctWindow::kWindow), 10);
}

TEST(DistinctWindow, HasNoLimitAtZero) {
  DistinctWindow window;
  window.reserve(0);
  EXPECT_EQ(admitted(window, 0, 1000, 0, kStart), 1000);
}

TEST(DistinctWindow, KeepsWhatItSawWhenTheLimitChanges) {
  DistinctWindow window;
  window.reserve(10);
  EXPECT_EQ(admitted(window, 0, 10, 10, kStart), 10);
  window.reserve(1000);
  EXPECT_EQ(admitted(window, 0, 2000, 1000, kStart), 1000);  // the ten are among them, and free
  window.reserve(5);
  EXPECT_EQ(admitted(window, 0, 2000, 5, kStart), 1000);  // those that were seen stay free
  EXPECT_FALSE(window.admit(hash_of(5000), 5, kStart));
}

TEST(DistinctWindow, CountsEachTimeWhereNothingCouldBeReserved) {
  DistinctWindow window;
  int admitted_times = 0;
  for (int i = 0; i < 100; ++i) admitted_times += window.admit(hash_of(1), 10, kStart);
  EXPECT_EQ(admitted_times, 10);
}

TEST(DistinctWindow, HoldsTheLargestLimit) {
  DistinctWindow window;
  window.reserve(UINT64_MAX);
  int taken = 0;
  for (std::uint64_t i = 0; i < 70000; ++i) taken += window.admit(hash_of(i), DistinctWindow::kMostThings, kStart);
  EXPECT_NEAR(taken, 65536, 2);  // a fingerprint may be taken for another
}

TEST(DistinctWindow, AgreesWithASet) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 200; ++round) {
    DistinctWindow window;
    std::set<std::uint64_t> seen;
    std::uint64_t now = kStart, minute = now / DistinctWindow::kWindow, limit = random() % 40;
    window.reserve(limit);
    for (int step = 0; step < 500; ++step) {
      now += random() % 100 == 0 ? DistinctWindow::kWindow / 2 : 1000;
      if (now / DistinctWindow::kWindow != minute) seen.clear(), minute = now / DistinctWindow::kWindow;
      if (random() % 100 == 0) window.reserve(limit = random() % 60);
      const std::uint64_t thing = random() % 80;
      const bool expected = limit == 0 || seen.contains(thing) || seen.size() < limit;
      if (limit != 0 && expected) seen.insert(thing);
      ASSERT_EQ(window.admit(hash_of(thing), limit, now), expected) << round << ' ' << step;
    }
  }
}

TEST(DistinctWindow, IsSharedByThreadsThatAlsoLetItGrow) {
  constexpr std::uint64_t kLimit = 500;
  DistinctWindow window;
  std::array<std::atomic<int>, 2000> admitted_by{};
  std::vector<std::thread> threads;
  for (unsigned me = 0; me < 4; ++me)
    threads.emplace_back([&, me] {
      std::mt19937_64 random(me);
      window.reserve(kLimit);
      for (int i = 0; i < 20000; ++i) {
        const std::uint64_t thing = random() % admitted_by.size();
        if (window.admit(hash_of(thing), kLimit, kStart)) admitted_by[thing] = 1;
        if (i == 5000 * static_cast<int>(me)) window.reserve(kLimit << me);
      }
    });
  for (std::thread& thread : threads) thread.join();
  int things = 0;
  for (const auto& one : admitted_by) things += one;
  EXPECT_LE(things, static_cast<int>(kLimit));
  EXPECT_GE(things, static_cast<int>(kLimit) - 10);  // some may have been counted again as it grew
}

}  // namespace
}  // namespace gatehouse::policy
