#include <gatehouse/async/turn_budget.hpp>

#include <gtest/gtest.h>

#include <string>

namespace gatehouse {
namespace {

constexpr TurnWork kWork{.turn = 80, .client = 20, .little = 1};

class TurnBudgetTest : public testing::Test {
 protected:
  /// Does its part of a turn while it has something to do.
  struct Worker {
    TurnBudgetTest& test;
    char name;
    std::size_t todo;
    bool gone = false;

    void resume() {
      test.order += name;
      const std::size_t now = std::min(todo, test.budget.part());
      todo -= now;
      test.budget.did(now);
      if (todo > 0) test.budget.go_on(*this);
    }
    [[nodiscard]] bool ended() const { return gone; }
  };

  /// Who was at work in a turn, in order.
  std::string turn() {
    order.clear();
    budget.begin_turn();
    return order;
  }

  LaneLoop loop;
  TurnBudget<Worker> budget{loop, kWork};
  std::string order;
  Worker a{*this, 'a', 100}, b{*this, 'b', 100}, c{*this, 'c', 100}, d{*this, 'd', 5};
};

TEST_F(TurnBudgetTest, GivesThoseThatWaitHalfOfTheTurnInTheOrderInWhichTheyCame) {
  for (Worker* worker : {&a, &b, &c}) budget.go_on(*worker);
  EXPECT_EQ(turn(), "ab");
  EXPECT_EQ(turn(), "ca") << "who had no part comes before those that go on";
  EXPECT_EQ(turn(), "bc");
  EXPECT_EQ(a.todo, 60u);
}

TEST_F(TurnBudgetTest, GivesALittleToWhoeverComesWhenTheWorkIsDone) {
  budget.begin_turn();
  EXPECT_FALSE(budget.is_spent());
  EXPECT_EQ(budget.part(), 20u);
  budget.did(79);
  EXPECT_FALSE(budget.is_spent());
  EXPECT_EQ(budget.part(), 20u);
  budget.did(20);
  EXPECT_TRUE(budget.is_spent());
  EXPECT_EQ(budget.part(), 1u);
  budget.begin_turn();
  EXPECT_EQ(budget.part(), 20u) << "of the next turn";
}

TEST_F(TurnBudgetTest, ForgetsThoseThatAreDoneAndThoseThatHaveEnded) {
  for (Worker* worker : {&d, &a, &b}) budget.go_on(*worker);
  EXPECT_EQ(turn(), "dab") << "the first had little to do";
  b.gone = true;
  budget.end_turn();
  EXPECT_EQ(turn(), "a");
}

TEST_F(TurnBudgetTest, AsksForAnotherTurnWhileSomebodyWaits) {
  int turns = 0;
  loop.on_turn([] {},
               [&] {
                 if (++turns == 50) a.gone = true;
                 budget.end_turn();
               });
  budget.go_on(a);
  LaneTimer timer([&] { loop.stop(); });
  loop.post([] {});
  loop.schedule(timer, std::chrono::milliseconds(200));
  loop.run();
  EXPECT_GE(turns, 50);
  EXPECT_LT(turns, 60) << "and none when nobody does, but for what else there is";
}

}  // namespace
}  // namespace gatehouse
