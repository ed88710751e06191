// Who is told what while the disk fails.
#include "gateway/store/durability.hpp"
#include "tests/unit/gateway/store/waiter.hpp"

#include <gtest/gtest.h>

namespace gatehouse {
namespace {

TEST(Durability, RefusesOnlyWhatIsNewUnderNoNew) {
  Durability durability;
  durability.set_on_failure(OnStoreFailure::no_new);
  const auto who = std::make_shared<Requester>();
  Waiter waiters[4];
  durability.arm(durability.await(who, &waiters[0].completion), true);
  durability.arm(durability.await(who, &waiters[1].completion), false);
  EXPECT_EQ(waiters[0].calls + waiters[1].calls, 0);
  durability.set_failing(true);
  durability.arm(durability.await(who, &waiters[2].completion), true);
  durability.arm(durability.await(who, &waiters[3].completion), false);
  for (const Waiter& waiter : waiters) EXPECT_EQ(waiter.calls, 1);
  EXPECT_EQ(waiters[0].status, GH_E_IO);
  EXPECT_EQ(waiters[1].status, GH_OK);
  EXPECT_EQ(waiters[2].status, GH_E_IO);
  EXPECT_EQ(waiters[3].status, GH_OK);
  EXPECT_EQ(durability.served_undurable(), 2u);
}

/// One who waits, and the disk that they wait for.
class Awaiting : public testing::Test {
 protected:
  Durability::Ticket await() { return durability.await(who, &waiter.completion); }

  Durability durability;
  std::shared_ptr<Requester> who = std::make_shared<Requester>();
  Waiter waiter;
};

TEST_F(Awaiting, IsToldOnceWhatBecameOfIt) {
  const auto ticket = await();
  durability.arm(ticket, true);
  durability.complete({ticket}, GH_E_IO);
  durability.complete({ticket}, GH_OK);
  EXPECT_EQ(waiter.calls, 1);
  EXPECT_EQ(waiter.status, GH_E_IO);
}

TEST_F(Awaiting, IsToldWhenItIsArmedWhereTheDiskWasSooner) {
  const auto ticket = await();
  durability.complete({ticket}, GH_E_IO);
  EXPECT_EQ(waiter.calls, 0) << "the call has not returned yet";
  durability.arm(ticket, true);
  EXPECT_EQ(waiter.calls, 1);
  EXPECT_EQ(waiter.status, GH_E_IO);
  EXPECT_EQ(durability.served_undurable(), 0u);
}

TEST_F(Awaiting, IsNotToldWhereTheCallWasRefused) {
  const auto ticket = await();
  durability.cancel(ticket);
  durability.arm(ticket, true);
  durability.complete({ticket}, GH_OK);
  EXPECT_EQ(waiter.calls, 0);
}

TEST_F(Awaiting, IsNotToldWhereTheDiskFailsBeforeTheCallHasReturned) {
  const auto ticket = await();
  durability.set_failing(true);
  EXPECT_EQ(waiter.calls, 0);
  durability.arm(ticket, true);
  EXPECT_EQ(waiter.calls, 1);
  EXPECT_EQ(waiter.status, GH_OK) << "under serve";
  EXPECT_EQ(durability.served_undurable(), 1u);
}

TEST_F(Awaiting, WaitsOnWhenTheDiskIsSaidToBeWell) {
  const auto ticket = await();
  durability.arm(ticket, true);
  durability.set_failing(false);
  EXPECT_EQ(waiter.calls, 0);
  durability.complete({ticket}, GH_OK);
  EXPECT_EQ(waiter.calls, 1);
}

TEST_F(Awaiting, NeedsAFunctionToCall) {
  EXPECT_EQ(durability.await(who, nullptr), 0u);
  const gh_completion nobody{nullptr, nullptr, 0};
  EXPECT_EQ(durability.await(who, &nobody), 0u);
  durability.arm(0, true);
  durability.cancel(0);
  durability.complete({0, 7}, GH_OK);
  EXPECT_NE(await(), 0u);
}

TEST_F(Awaiting, IsNotToldWhenItIsClosed) {
  const auto ticket = await();
  durability.arm(ticket, true);
  who->close();
  durability.complete({ticket}, GH_OK);
  EXPECT_EQ(waiter.calls, 0);
}

TEST(Durability, CountsWhatItRefuses) {
  Durability durability;
  EXPECT_FALSE(durability.refuses_new());
  durability.set_failing(true);
  EXPECT_TRUE(durability.is_failing());
  EXPECT_FALSE(durability.refuses_new()) << "under serve";
  EXPECT_EQ(durability.refused(), 0u);
  for (const OnStoreFailure what : {OnStoreFailure::no_new, OnStoreFailure::stop}) {
    durability.set_on_failure(what);
    EXPECT_TRUE(durability.refuses_new());
  }
  EXPECT_EQ(durability.refused(), 2u);
  durability.set_failing(false);
  EXPECT_FALSE(durability.refuses_new());
}

}  // namespace
}  // namespace gatehouse
