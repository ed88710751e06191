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

}  // namespace
}  // namespace gatehouse
