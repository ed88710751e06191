#include <gatehouse/table/memory_budget.hpp>

#include "tests/unit/allocations.hpp"

#include <gtest/gtest.h>

#include <deque>

namespace gatehouse {
namespace {

struct Client : MemoryHolder {
  explicit Client(MemoryBudget& of) : budget(of) {}
  ~Client() { budget.hold(*this, 0); }
  void give_back() override {
    ++asked;
    if (!stubborn) budget.hold(*this, held() / 2);
  }
  MemoryBudget& budget;
  int asked = 0;
  bool stubborn = false;
};

TEST(MemoryBudget, LetsEverybodyHoldWhatThereIs) {
  MemoryBudget budget(1000);
  Client a(budget), b(budget);
  budget.hold(a, 600);
  budget.hold(b, 400);
  EXPECT_EQ(budget.free(), 0u);
  EXPECT_EQ(a.asked + b.asked, 0);
}

TEST(MemoryBudget, TakesFromTheLargestAndNotFromWhoeverAsks) {
  MemoryBudget budget(1000);
  Client large(budget), small(budget);
  budget.hold(large, 900);
  budget.hold(small, 200);
  EXPECT_EQ(large.held(), 450u);
  EXPECT_EQ(small.held(), 200u);
  EXPECT_EQ(small.asked, 0);
  EXPECT_EQ(budget.held(), 650u);
}

TEST(MemoryBudget, TakesFromWhoeverAsksWhenThatIsTheLargest) {
  MemoryBudget budget(1000);
  Client a(budget);
  budget.hold(a, 1500);
  EXPECT_EQ(a.held(), 750u);
  EXPECT_EQ(a.asked, 1);
}

TEST(MemoryBudget, LeavesAnEvenShareToWhoeverComesLate) {
  MemoryBudget budget(100'000);
  std::deque<Client> many;
  for (int i = 0; i < 1000; ++i) budget.hold(many.emplace_back(budget), 50'000);
  EXPECT_LE(budget.held(), budget.size());
  Client late(budget);
  budget.hold(late, 90);
  EXPECT_EQ(late.held(), 90u) << "a thousand that hold what they can leave it less than its share";
  EXPECT_EQ(late.asked, 0);
}

TEST(MemoryBudget, AsksNobodyForeverWhoGivesNothing) {
  MemoryBudget budget(1000);
  Client a(budget);
  a.stubborn = true;
  budget.hold(a, 2000);
  EXPECT_EQ(a.asked, 1);
  EXPECT_EQ(budget.held(), 2000u);
  EXPECT_EQ(budget.free(), 0u);
  budget.hold(a, 1900);
  EXPECT_EQ(a.asked, 1) << "who holds less than before is not asked";
  a.stubborn = false;
  budget.hold(a, 2001);
  EXPECT_EQ(a.held(), 1000u);
}

TEST(MemoryBudget, FollowsANewSize) {
  MemoryBudget budget(1000);
  Client a(budget), b(budget);
  budget.hold(a, 800);
  budget.resize(500);
  EXPECT_EQ(a.asked, 0);
  budget.hold(b, 1);
  EXPECT_EQ(a.held(), 400u);
  EXPECT_EQ(b.held(), 1u);
}

TEST(MemoryBudget, AllocatesNothingForWhomPlaceWasReserved) {
  MemoryBudget budget(1000);
  std::deque<Client> many;
  for (int i = 0; i < 1000; ++i) {
    many.emplace_back(budget);
    budget.reserve(many.size());
  }
  const std::size_t before = allocations();
  for (Client& one : many) budget.hold(one, 1);
  EXPECT_EQ(allocations(), before);
}

TEST(MemoryBudget, ForgetsWhoeverHoldsNothing) {
  MemoryBudget budget(1000);
  Client stays(budget);
  {
    Client goes(budget);
    budget.hold(goes, 900);
  }
  EXPECT_EQ(budget.held(), 0u);
  budget.hold(stays, 1000);
  EXPECT_EQ(stays.asked, 0);
}

}  // namespace
}  // namespace gatehouse
