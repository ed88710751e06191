#include <gatehouse/table/timer_wheel.hpp>

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <random>
#include <vector>

namespace gatehouse {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr SteadyTime kStart{seconds(1000)};

struct Timer : TimerNode {
  int number = 0;
};
using Wheel = TimerWheel<Timer>;

std::vector<int> advance(Wheel& wheel, SteadyTime now) {
  std::vector<int> out;
  wheel.advance(now, [&](Timer& timer) { out.push_back(timer.number); });
  return out;
}

TEST(TimerWheel, HasNothingToWakeForWhenEmpty) {
  Wheel wheel(kStart);
  EXPECT_EQ(wheel.next(), SteadyTime::max());
  EXPECT_TRUE(advance(wheel, kStart + hours(1)).empty());
}

TEST(TimerWheel, IsNeverEarlyAndLessThanATickLate) {
  for (const Nanoseconds delay : {Nanoseconds(1), Nanoseconds(999'999), Nanoseconds(1'000'000), Nanoseconds(63'500'000),
                                  Nanoseconds(64'000'001), Nanoseconds(4'096'000'000), Nanoseconds(hours(24 * 365))}) {
    Wheel wheel(kStart);
    Timer timer;
    wheel.schedule(timer, kStart + delay);
    EXPECT_TRUE(advance(wheel, kStart + delay - Nanoseconds(1)).empty()) << delay.count();
    EXPECT_EQ(advance(wheel, kStart + delay + milliseconds(1)).size(), 1u) << delay.count();
    EXPECT_FALSE(timer.is_scheduled());
  }
}

TEST(TimerWheel, ExpiresInOrder) {
  Wheel wheel(kStart);
  Timer timers[4];
  const Nanoseconds delays[] = {seconds(100), milliseconds(5), hours(3), seconds(2)};
  for (int i = 0; i < 4; ++i) {
    timers[i].number = i;
    wheel.schedule(timers[i], kStart + delays[i]);
  }
  EXPECT_EQ(advance(wheel, kStart + hours(4)), (std::vector{1, 3, 0, 2}));
}

TEST(TimerWheel, MovesAndCancels) {
  Wheel wheel(kStart);
  Timer a, b;
  wheel.schedule(a, kStart + milliseconds(10));
  wheel.schedule(b, kStart + milliseconds(10));
  wheel.schedule(a, kStart + seconds(10));
  b.cancel();
  b.cancel();
  EXPECT_TRUE(advance(wheel, kStart + seconds(9)).empty());
  EXPECT_EQ(advance(wheel, kStart + seconds(10)).size(), 1u);
}

TEST(TimerWheel, ForgetsCancelledTimersInNext) {
  Wheel wheel(kStart);
  Timer early, late;
  wheel.schedule(early, kStart + milliseconds(10));
  wheel.schedule(late, kStart + milliseconds(20));
  EXPECT_EQ(wheel.next(), kStart + milliseconds(10));
  early.cancel();
  EXPECT_EQ(wheel.next(), kStart + milliseconds(20));
  late.cancel();
  EXPECT_EQ(wheel.next(), SteadyTime::max());
}

TEST(TimerWheel, CancelsWhatIsDestroyed) {
  auto wheel = std::make_unique<Wheel>(kStart);
  auto gone = std::make_unique<Timer>();
  Timer stays;
  wheel->schedule(*gone, kStart + seconds(1));
  wheel->schedule(stays, kStart + seconds(1));
  gone.reset();
  EXPECT_EQ(advance(*wheel, kStart + seconds(1)).size(), 1u);
  wheel->schedule(stays, kStart + seconds(2));
  wheel.reset();
  EXPECT_FALSE(stays.is_scheduled());
}

TEST(TimerWheel, TakesAPastDeadlineAsTheNextTick) {
  Wheel wheel(kStart);
  Timer timer;
  advance(wheel, kStart + seconds(5));
  wheel.schedule(timer, kStart);
  EXPECT_EQ(wheel.next(), kStart + seconds(5) + milliseconds(1));
  EXPECT_EQ(advance(wheel, kStart + seconds(6)).size(), 1u);
}

TEST(TimerWheel, CallsATimerOnceAnAdvanceHoweverLate) {
  Wheel wheel(kStart);
  Timer timer;
  wheel.schedule(timer, kStart + milliseconds(1));
  std::size_t calls = 0;
  wheel.advance(kStart + seconds(100), [&](Timer& t) {
    ++calls;
    wheel.schedule(t, kStart + milliseconds(2));
  });
  EXPECT_EQ(calls, 1u);
  EXPECT_EQ(wheel.next(), kStart + seconds(100) + milliseconds(1));
}

TEST(TimerWheel, LetsACallbackCancelAndDestroyOthers) {
  Wheel wheel(kStart);
  std::vector<std::unique_ptr<Timer>> timers;
  for (int i = 0; i < 10; ++i) {
    timers.push_back(std::make_unique<Timer>());
    timers.back()->number = i;
    wheel.schedule(*timers.back(), kStart + seconds(1));
  }
  std::vector<int> seen;
  wheel.advance(kStart + seconds(2), [&](Timer& timer) {
    seen.push_back(timer.number);
    if (timer.number == 0) {
      timers[5].reset();
      timers[6]->cancel();
      timers[0].reset();
    }
  });
  EXPECT_EQ(seen, (std::vector{0, 1, 2, 3, 4, 7, 8, 9}));
}

TEST(TimerWheel, StopsAtItsBudgetAndGoesOn) {
  Wheel wheel(kStart);
  Timer timers[10];
  for (Timer& timer : timers) wheel.schedule(timer, kStart + seconds(1));
  const auto nothing = [](Timer&) {};
  EXPECT_EQ(wheel.advance(kStart + seconds(2), nothing, 4), 4u);
  EXPECT_LE(wheel.next(), kStart + seconds(2));
  EXPECT_EQ(wheel.advance(kStart + seconds(2), nothing, 4), 4u);
  EXPECT_EQ(wheel.advance(kStart + seconds(2), nothing, 4), 2u);
  EXPECT_EQ(wheel.next(), SteadyTime::max());
}

TEST(TimerWheel, HoldsTheEndOfTime) {
  TimerWheel<Timer> wheel(kStart, Nanoseconds(1));
  Timer timer;
  wheel.schedule(timer, SteadyTime::max());
  EXPECT_TRUE(advance(wheel, kStart + hours(24 * 365 * 100)).empty());
  EXPECT_TRUE(timer.is_scheduled());
  Wheel coarse(kStart, hours(1));
  coarse.schedule(timer, SteadyTime::max());
  EXPECT_GT(coarse.next(), kStart);
}

TEST(TimerWheel, AgreesWithAPlainMap) {
  std::mt19937_64 random(1);
  Wheel wheel(kStart);
  std::vector<Timer> timers(200);
  std::map<int, SteadyTime> model;  // deadline by timer
  for (int i = 0; i < 200; ++i) timers[static_cast<std::size_t>(i)].number = i;
  SteadyTime now = kStart;
  for (int step = 0; step < 20000; ++step) {
    const int number = static_cast<int>(random() % 200);
    Timer& timer = timers[static_cast<std::size_t>(number)];
    if (random() % 4 == 0) {
      timer.cancel();
      model.erase(number);
    } else {
      const SteadyTime deadline = now + milliseconds(1 + random() % (std::uint64_t{1} << (random() % 20)));
      wheel.schedule(timer, deadline);
      model[number] = deadline;
    }
    if (random() % 8 != 0) continue;
    SteadyTime first = SteadyTime::max();
    for (const auto& [n, deadline] : model) first = std::min(first, deadline);
    ASSERT_LE(wheel.next(), first);
    ASSERT_GT(wheel.next(), now);
    now = random() % 2 == 0 && !model.empty() ? wheel.next() : now + milliseconds(random() % 5000);
    for (const int expired : advance(wheel, now)) {
      ASSERT_TRUE(model.contains(expired));
      ASSERT_LE(model[expired], now);
      model.erase(expired);
    }
    for (const auto& [n, deadline] : model) ASSERT_GT(deadline, now);
  }
}

}  // namespace
}  // namespace gatehouse
