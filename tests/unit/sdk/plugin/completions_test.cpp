#include <gatehouse/async/lane_loop.hpp>
#include <gatehouse/plugin/completions.hpp>

#include <gmock/gmock.h>

#include <memory>
#include <optional>
#include <thread>
#include <vector>

namespace gatehouse {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using namespace std::chrono_literals;

/// A host that completes when it is told to.
class Completions : public testing::Test {
 protected:
  auto later() {
    return [this](const gh_completion* completion) -> gh_status {
      asked.push_back(*completion);
      return GH_OK;
    };
  }
  static void complete(const gh_completion& completion, gh_status status = GH_OK) {
    completion.done(completion.context, completion.token, status);
  }
  Completion note(int number) {
    return [this, number](Error failure) { seen.emplace_back(number, failure); };
  }

  std::vector<gh_completion> asked;
  std::vector<std::pair<int, Error>> seen;
  CompletionQueue queue;
  std::optional<CompletionScope> scope{queue};
};

TEST_F(Completions, RunWhenTheyAreDeliveredInTheOrderInWhichTheyWereDone) {
  for (int i = 0; i < 3; ++i) EXPECT_EQ(scope->ask(note(i), later()), GH_OK);
  complete(asked[2]);
  complete(asked[0], GH_E_IO);
  EXPECT_THAT(seen, IsEmpty());
  EXPECT_EQ(queue.deliver(), 2u);
  complete(asked[1]);
  EXPECT_EQ(queue.deliver(), 1u);
  EXPECT_EQ(queue.deliver(), 0u);
  EXPECT_THAT(seen, ElementsAre(std::pair(2, Error()), std::pair(0, make_error_code(Errc::io)), std::pair(1, Error())));
  EXPECT_TRUE(scope->empty());
}

TEST_F(Completions, NeverRunWithinTheCall) {
  const auto at_once = [](const gh_completion* completion) -> gh_status {
    complete(*completion);
    return GH_OK;
  };
  EXPECT_EQ(scope->ask(note(1), at_once), GH_OK);
  EXPECT_THAT(seen, IsEmpty());
  queue.deliver();
  EXPECT_THAT(seen, ElementsAre(std::pair(1, Error())));
}

TEST_F(Completions, DoNotRunWhenTheCallFails) {
  const auto refused = [this](const gh_completion* completion) -> gh_status {
    EXPECT_NE(completion, nullptr);
    return GH_E_EXISTS;
  };
  const auto alive = std::make_shared<int>(0);
  EXPECT_EQ(scope->ask([alive](Error) { ADD_FAILURE(); }, refused), GH_E_EXISTS);
  EXPECT_TRUE(scope->empty());
  EXPECT_EQ(alive.use_count(), 1) << "the function is not kept";
  EXPECT_EQ(queue.deliver(), 0u);
}

TEST_F(Completions, AreNotAskedForWhenNobodyWants) {
  EXPECT_EQ(scope->ask({}, [](const gh_completion* completion) -> gh_status { return completion == nullptr ? 7 : -1; }),
            7);
}

TEST_F(Completions, GoUnrunWithTheirScope) {
  const auto alive = std::make_shared<int>(0);
  CompletionScope other(queue);
  EXPECT_EQ(scope->ask([alive](Error) { ADD_FAILURE(); }, later()), GH_OK);
  EXPECT_EQ(scope->ask([alive](Error) { ADD_FAILURE(); }, later()), GH_OK);
  EXPECT_EQ(other.ask(note(1), later()), GH_OK);
  complete(asked[1]);  // done, and not delivered yet
  scope.reset();
  EXPECT_EQ(alive.use_count(), 1) << "the functions are gone at once";
  complete(asked[0]);
  complete(asked[2]);
  queue.deliver();
  EXPECT_THAT(seen, ElementsAre(std::pair(1, Error())));
}

TEST_F(Completions, FollowAScopeThatMoves) {
  EXPECT_EQ(scope->ask(note(1), later()), GH_OK);
  EXPECT_EQ(scope->ask(note(2), later()), GH_OK);
  std::optional<CompletionScope> moved(std::move(*scope));
  scope.reset();
  complete(asked[0]);
  queue.deliver();
  EXPECT_THAT(seen, ElementsAre(std::pair(1, Error())));
  moved.reset();
  complete(asked[1]);
  queue.deliver();
  EXPECT_EQ(seen.size(), 1u);
}

TEST_F(Completions, MayEndWhatOthersWaitFor) {
  CompletionScope second(queue);
  EXPECT_EQ(scope->ask([&](Error) { second.drop(); }, later()), GH_OK);
  EXPECT_EQ(second.ask(note(1), later()), GH_OK);
  EXPECT_EQ(scope->ask([&](Error) { scope.reset(); }, later()), GH_OK);
  EXPECT_EQ(scope->ask(note(2), later()), GH_OK);
  for (const gh_completion& one : asked) complete(one);
  queue.deliver();
  EXPECT_THAT(seen, IsEmpty());
}

TEST_F(Completions, MayAskForMore) {
  int rounds = 0;
  const auto at_once = [](const gh_completion* completion) -> gh_status {
    complete(*completion);
    return GH_OK;
  };
  Completion again = [&](Error) {
    if (++rounds == 100) return;
    EXPECT_EQ(scope->ask(again, at_once), GH_OK);
  };
  EXPECT_EQ(scope->ask(again, at_once), GH_OK);
  EXPECT_EQ(queue.deliver(), 1u) << "one that is done meanwhile waits for the next turn";
  while (queue.wait(0ms)) {
  }
  EXPECT_EQ(rounds, 100);
}

TEST_F(Completions, LoseNothingToAnException) {
  EXPECT_EQ(scope->ask([](Error) { throw std::runtime_error("no"); }, later()), GH_OK);
  EXPECT_EQ(scope->ask(note(1), later()), GH_OK);
  for (const gh_completion& one : asked) complete(one);
  EXPECT_THROW(queue.deliver(), std::runtime_error);
  EXPECT_TRUE(queue.wait(1s));
  EXPECT_THAT(seen, ElementsAre(std::pair(1, Error())));
}

TEST_F(Completions, WaitIsOverInTime) {
  EXPECT_FALSE(queue.wait(1ms));
  EXPECT_EQ(scope->ask(note(1), later()), GH_OK);
  std::thread writer([this] { complete(asked[0]); });
  EXPECT_TRUE(queue.wait(10s));
  writer.join();
  EXPECT_EQ(seen.size(), 1u);
}

TEST_F(Completions, RunInTheTurnsOfALoop) {
  LaneLoop loop;
  queue.watch(loop.poller());
  std::thread::id ran_on;
  EXPECT_EQ(scope->ask(
                [&](Error) {
                  ran_on = std::this_thread::get_id();
                  loop.stop();
                },
                later()),
            GH_OK);
  std::thread lane([&] { loop.run(); });
  const auto on_lane = lane.get_id();
  complete(asked[0]);
  lane.join();
  EXPECT_EQ(ran_on, on_lane);
  queue.unwatch(loop.poller());
}

// Two writers complete while the lane asks, takes and drops: each call runs once or, with its scope, not at all.
TEST_F(Completions, ComeFromSeveralThreads) {
  constexpr int kCalls = 20'000;
  std::mutex mutex;
  std::vector<gh_completion> to_do;
  std::atomic<bool> over{false};
  std::vector<std::thread> writers;
  for (int i = 0; i < 2; ++i)
    writers.emplace_back([&] {
      while (!over) {
        std::vector<gh_completion> mine;
        {
          const std::scoped_lock lock(mutex);
          mine.swap(to_do);
        }
        for (const gh_completion& one : mine) complete(one);
        if (mine.empty()) std::this_thread::yield();
      }
    });
  const auto ask = [&](const gh_completion* completion) -> gh_status {
    const std::scoped_lock lock(mutex);
    to_do.push_back(*completion);
    return GH_OK;
  };
  int ran = 0;
  for (int i = 0; i < kCalls; ++i) {
    EXPECT_EQ(scope->ask([&ran](Error) { ++ran; }, ask), GH_OK);
    EXPECT_EQ(CompletionScope(queue).ask([](Error) { ADD_FAILURE(); }, ask), GH_OK);
    if (i % 16 == 0) queue.deliver();
  }
  while (ran < kCalls && queue.wait(10s)) {
  }
  over = true;
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(ran, kCalls);
}

}  // namespace
}  // namespace gatehouse
