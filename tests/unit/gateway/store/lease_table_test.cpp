// Leases by themselves, without the thread that writes them.
#include "gateway/store/lease_table.hpp"
#include "tests/unit/gateway/store/waiter.hpp"

#include <gmock/gmock.h>

namespace gatehouse {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class Leases : public testing::Test {
 protected:
  gh_status take(std::uint64_t session, std::int64_t now, std::int64_t expires_at = 0, Durability::Ticket ticket = 0) {
    return table.take(name, session, now, expires_at, ticket).status;
  }
  /// Takes what the writer would.
  std::vector<LeaseTable::Change> changes() {
    std::vector<LeaseTable::Change> out;
    durability->changes().take([&](ChangeLink& link) { out.push_back(table.take_change(link)); });
    return out;
  }

  std::shared_ptr<Durability> durability = std::make_shared<Durability>();
  LeaseTable table{durability};
  const LeaseTable::Name name{"relay", "10.0.0.5"};
};

TEST_F(Leases, AreReleasedByWhoeverHoldsThemAndNotBySessionZero) {
  ASSERT_EQ(take(7, 1000), GH_OK);
  EXPECT_EQ(table.release(name, 0), GH_E_NOT_FOUND);
  EXPECT_EQ(table.release(name, 7), GH_OK);
  EXPECT_EQ(table.release(name, 0), GH_E_NOT_FOUND) << "the row waits to be written, with session 0";
  EXPECT_EQ(table.release(name, 7), GH_E_NOT_FOUND);
}

TEST_F(Leases, KeepTheTimeOfTheirGrantWhenTheyAreRenewed) {
  ASSERT_EQ(take(7, 1000, 1060), GH_OK);
  ASSERT_EQ(take(7, 1030, 1090), GH_OK);
  const auto renewed = changes();
  ASSERT_EQ(renewed.size(), 1u);
  EXPECT_EQ(renewed[0].record.granted_at, 1000);
  EXPECT_EQ(renewed[0].record.expires_at, 1090);
  ASSERT_EQ(take(8, 1090), GH_OK) << "it is over";
  EXPECT_EQ(changes().at(0).record.granted_at, 1090) << "that is another grant";
}

TEST_F(Leases, TellOnceWhoWaitsForThem) {
  ASSERT_EQ(take(7, 1000, 0, 3), GH_OK);
  ASSERT_EQ(take(7, 1000, 0, 4), GH_OK);
  EXPECT_THAT(changes().at(0).waiting, ElementsAre(3u, 4u));
  ASSERT_EQ(take(7, 1000), GH_OK);
  EXPECT_THAT(changes().at(0).waiting, IsEmpty());
}

}  // namespace
}  // namespace gatehouse
