#include <gatehouse/async/lane_loop.hpp>

#include <gtest/gtest.h>

#include <sys/socket.h>

#include <thread>

namespace gatehouse {
namespace {

using namespace std::chrono_literals;

struct SocketPair {
  SocketPair() {
    int fds[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    ours.reset(fds[0]);
    theirs.reset(fds[1]);
  }
  void make_readable() { EXPECT_EQ(write(theirs.get(), "x", 1), 1); }
  UniqueFd ours, theirs;
};

struct Watcher final : Readiness {
  void on_ready(std::uint32_t events) override {
    ++calls;
    last_events = events;
    if (then) then();
  }
  int calls = 0;
  std::uint32_t last_events = 0;
  std::function<void()> then;
};

TEST(Poller, ReportsAReadableDescriptorUntilItIsRead) {
  Poller poller;
  SocketPair pair;
  Watcher watcher;
  ASSERT_TRUE(poller.add(pair.ours.get(), EPOLLIN, watcher));
  EXPECT_EQ(poller.turn(), 0u);
  pair.make_readable();
  EXPECT_EQ(poller.turn(), 1u);
  EXPECT_EQ(poller.turn(), 1u);
  char byte;
  ASSERT_EQ(read(pair.ours.get(), &byte, 1), 1);
  EXPECT_EQ(poller.turn(), 0u);
  EXPECT_EQ(watcher.calls, 2);
  poller.remove(pair.ours.get(), watcher);
}

TEST(Poller, ForgetsWhatIsRemovedWithinTheTurn) {
  Poller poller;
  SocketPair a, b;
  auto first = std::make_unique<Watcher>(), second = std::make_unique<Watcher>();
  ASSERT_TRUE(poller.add(a.ours.get(), EPOLLIN, *first));
  ASSERT_TRUE(poller.add(b.ours.get(), EPOLLIN, *second));
  a.make_readable();
  b.make_readable();
  // Whichever comes first closes and destroys the other; ASan would see a late event.
  first->then = [&] {
    poller.remove(b.ours.get(), *second);
    second.reset();
  };
  second->then = [&] {
    poller.remove(a.ours.get(), *first);
    first.reset();
  };
  poller.turn();
  EXPECT_EQ((first ? first->calls : 0) + (second ? second->calls : 0), 1);
}

TEST(LaneLoop, RunsTimersInOrderAndPostsFromOtherThreads) {
  LaneLoop loop;
  std::vector<int> order;
  bool posted = false;
  const auto stop_after_all = [&] {
    if (posted && order.size() == 2) loop.stop();
  };
  LaneTimer late([&] {
    order.push_back(2);
    stop_after_all();
  });
  LaneTimer early([&] { order.push_back(1); });
  loop.schedule(late, 40ms);
  loop.schedule(early, 10ms);
  std::thread other([&] {
    loop.post([&] {
      posted = true;
      stop_after_all();
    });
  });
  loop.run();
  other.join();
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
}

TEST(LaneLoop, ATimerThatIsSetEarlierWinsOverALaterOne) {
  LaneLoop loop;
  const SteadyTime begin = steady_now();
  LaneTimer later([&] { loop.stop(); }), sooner([&] { loop.stop(); });
  loop.schedule(later, 10s);
  loop.post([&] { loop.schedule(sooner, 5ms); });
  loop.run();
  EXPECT_LT(steady_now() - begin, 5s);
}

TEST(LaneLoop, ACancelledTimerDoesNotFire) {
  LaneLoop loop;
  bool fired = false;
  LaneTimer cancelled([&] { fired = true; }), end([&] { loop.stop(); });
  loop.schedule(cancelled, 5ms);
  loop.schedule(end, 30ms);
  loop.cancel(cancelled);
  loop.run();
  EXPECT_FALSE(fired);
}

TEST(LaneLoop, StopBeforeRunIsKept) {
  LaneLoop loop;
  loop.stop();
  loop.run();
}

TEST(LaneLoop, ABusyTurnReadsAgainOnceBeforeItEnds) {
  LaneLoop loop;
  SocketPair pair;
  Watcher watcher;
  std::vector<SteadyTime> calls;  // of this turn
  int paused = 0;
  loop.on_turn([&] { calls.clear(); },
               [&] {
                 ASSERT_LE(calls.size(), 2u);
                 if (calls.size() < 2) return;  // not busy yet, or no more where this thread had to wait
                 EXPECT_GE(calls[1] - calls[0], BusyBucket::kPause);
                 if (++paused == 5) loop.poller().remove(pair.ours.get(), watcher), loop.stop();
               });
  watcher.then = [&] {
    calls.push_back(steady_now());
    loop.busy().add(BusyBucket::kEnough - 1);
  };
  ASSERT_TRUE(loop.poller().add(pair.ours.get(), EPOLLIN, watcher));
  pair.make_readable();  // and it stays so
  loop.run();
  EXPECT_EQ(paused, 5);
}

TEST(LaneLoop, AnotherTurnThatIsAskedForComesAtOnceAndHoldsUpNobody) {
  LaneLoop loop;
  SocketPair pair;
  Watcher watcher;
  bool timed = false, called = false;
  LaneTimer timer([&] { timed = true; });
  loop.on_turn([] {},
               [&] {
                 if (timed && called && watcher.calls > 10) return loop.stop();
                 loop.again();
               });
  ASSERT_TRUE(loop.poller().add(pair.ours.get(), EPOLLIN, watcher));
  loop.schedule(timer, 5ms);
  loop.post([&] {  // the last one that comes from outside
    pair.make_readable();
    loop.post([&] { called = true; });
  });
  loop.run();
  int turns = 0;
  loop.on_turn([&] { ++turns; }, [&] { turns < 100 ? loop.again() : loop.stop(); });
  loop.poller().remove(pair.ours.get(), watcher);
  loop.context().restart();
  loop.post([] {});
  loop.run();
  EXPECT_EQ(turns, 100);
}

TEST(LaneLoop, CallsThatComeMeanwhileDoNotMultiplyTheTurnsThatAreAskedFor) {
  constexpr int kAsked = 500;
  LaneLoop loop;
  int turns = 0, calls = 0;
  loop.on_turn([&] { ++turns; },
               [&] {
                 if (turns % 10 == 0 && turns < kAsked) loop.post([&] { ++calls; });
                 if (turns < kAsked) return loop.again();
                 loop.post([&] { loop.post([&] { loop.stop(); }); });  // behind all that is on its way by now
               });
  loop.post([] {});
  loop.run();
  EXPECT_GT(calls, 10);
  EXPECT_LE(turns, kAsked + 5);
}

TEST(LaneLoop, ServesReadinessBetweenTurnHooks) {
  LaneLoop loop;
  SocketPair pair;
  Watcher watcher;
  int before = 0, after = 0;
  loop.on_turn([&] { ++before; }, [&] { ++after; });
  watcher.then = [&] {
    EXPECT_EQ(before, after + 1);
    char byte;
    if (read(pair.ours.get(), &byte, 1) == 1 && watcher.calls == 3) return loop.stop();
    pair.make_readable();
  };
  ASSERT_TRUE(loop.poller().add(pair.ours.get(), EPOLLIN, watcher));
  pair.make_readable();
  loop.run();
  EXPECT_EQ(watcher.calls, 3);
  EXPECT_EQ(before, after);
  loop.poller().remove(pair.ours.get(), watcher);
}

}  // namespace
}  // namespace gatehouse
