// Leases by themselves, without the thread that writes them.
#include "gateway/store/lease_table.hpp"
#include "tests/unit/gateway/store/waiter.hpp"

#include <gmock/gmock.h>

namespace gatehouse {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

db::ClockReading at(std::int64_t time) { return {time, time}; }

class Leases : public testing::Test {
 protected:
  gh_status take(std::uint64_t session, std::int64_t now, std::int64_t expires_at = 0, Durability::Ticket ticket = 0) {
    return table.take(name, session, at(now), expires_at, ticket).status;
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
  EXPECT_EQ(table.release(name, 0), nullptr);
  EXPECT_NE(table.release(name, 7), nullptr);
  EXPECT_EQ(table.release(name, 0), nullptr) << "the row waits to be written, with session 0";
  EXPECT_EQ(table.release(name, 7), nullptr);
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

TEST_F(Leases, AreTheirHoldersUntilTheirTime) {
  ASSERT_EQ(take(7, 1000, 1060), GH_OK);
  EXPECT_TRUE(table.is_held_by(name, 7));
  EXPECT_FALSE(table.is_held_by(name, 8));
  EXPECT_EQ(take(8, 1059), GH_E_EXISTS);
  table.expire(at(1059));
  EXPECT_TRUE(table.is_held_by(name, 7));
  EXPECT_EQ(changes().size(), 1u) << "the grant";
  table.expire(at(1060));
  EXPECT_FALSE(table.is_held_by(name, 7));
  const auto freed = changes();
  ASSERT_EQ(freed.size(), 1u);
  EXPECT_EQ(freed[0].record.session, 0u);
  table.expire(at(1061));
  EXPECT_THAT(changes(), IsEmpty()) << "it is gone";
  EXPECT_EQ(take(8, 1061), GH_OK);
}

TEST_F(Leases, WithoutATimeAreKept) {
  ASSERT_EQ(take(7, 1000), GH_OK);
  table.expire(at(INT64_MAX));
  EXPECT_TRUE(table.is_held_by(name, 7));
  EXPECT_EQ(take(8, INT64_MAX), GH_E_EXISTS);
  EXPECT_EQ(table.release(name, 8), nullptr);
  EXPECT_TRUE(table.is_held_by(name, 7));
}

TEST_F(Leases, SayWhetherTheyWereHeldAlready) {
  EXPECT_FALSE(table.take(name, 7, at(1000), 0, 0).renewed);
  EXPECT_TRUE(table.take(name, 7, at(1000), 0, 0).renewed);
  ASSERT_NE(table.release(name, 7), nullptr);
  EXPECT_FALSE(table.take(name, 7, at(1000), 0, 0).renewed) << "though the row waits to be written";
}

TEST_F(Leases, AreListedWhileTheyAreHeld) {
  ASSERT_EQ(take(7, 1000, 1060), GH_OK);
  const LeaseTable::Name other{"relay", "10.0.0.6"};
  ASSERT_EQ(table.take(other, 7, at(1000), 0, 0).status, GH_OK);
  ASSERT_NE(table.release(other, 7), nullptr);
  const auto rows = table.rows();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].key.plugin, "relay");
  EXPECT_EQ(rows[0].key.resource, "10.0.0.5");
  EXPECT_EQ(rows[0].session, 7u);
  EXPECT_EQ(rows[0].expires_at, 1060);
}

TEST_F(Leases, AreAllWrittenForANewFile) {
  table.load({{"relay", "10.0.0.5"}, 7, 1000, 0});
  EXPECT_THAT(changes(), IsEmpty()) << "the file has it";
  table.change_all();
  EXPECT_EQ(changes().size(), 1u);
}

TEST_F(Leases, AreRenewedWhileTheDiskFailsAndNotTaken) {
  ASSERT_EQ(take(7, 1000), GH_OK);
  durability->set_on_failure(OnStoreFailure::no_new);
  durability->set_failing(true);
  EXPECT_EQ(take(7, 1001), GH_OK);
  EXPECT_EQ(table.take({"relay", "10.0.0.6"}, 7, at(1001), 0, 0).status, GH_E_IO);
}

TEST_F(Leases, AreInDoubtUntilItIsOver) {
  table.load({{"relay", "10.0.0.5"}, 7, 1000, 0});
  table.set_unsure_until(1060);
  const LeaseTable::Name unknown{"relay", "10.0.0.6"};
  EXPECT_EQ(table.take(unknown, 8, at(1059), 0, 0).status, GH_E_IN_DOUBT);
  EXPECT_EQ(table.take(unknown, 8, at(1060), 0, 0).status, GH_OK);
  for (int i = 0; i < 3; ++i) {
    ASSERT_NE(table.release(name, 7), nullptr);
    EXPECT_EQ(changes().size(), i == 0 ? 2u : 1u) << "unknown's, too";
    EXPECT_EQ(take(7, 1001), GH_OK) << "known to be free, also when it is written";
    EXPECT_EQ(changes().size(), 1u);
  }
  ASSERT_NE(table.release(name, 7), nullptr);
  EXPECT_EQ(changes().size(), 1u);
  table.expire(at(1059));
  EXPECT_EQ(table.take({"relay", "10.0.0.7"}, 8, at(1001), 0, 0).status, GH_E_IN_DOUBT);
  table.expire(at(1060));
  EXPECT_EQ(table.take({"relay", "10.0.0.7"}, 8, at(1001), 0, 0).status, GH_OK);
  EXPECT_EQ(take(8, 1001), GH_OK);
}

TEST_F(Leases, AreHeldBeyondTheDoubt) {
  table.load({{"relay", "10.0.0.5"}, 7, 1000, 0});
  table.load({{"relay", "10.0.0.6"}, 7, 1000, 0});
  table.set_unsure_until(1060);
  ASSERT_NE(table.release(name, 7), nullptr);
  EXPECT_EQ(changes().size(), 1u);
  ASSERT_EQ(take(8, 1001), GH_OK);
  EXPECT_EQ(changes().size(), 1u);
  table.expire(at(1060));
  EXPECT_TRUE(table.is_held_by(name, 8)) << "released, and taken again";
  EXPECT_TRUE(table.is_held_by({"relay", "10.0.0.6"}, 7));
}

TEST_F(Leases, ThatAreFreeForCertainAreBounded) {
  constexpr int kMany = 70'000;  // of which 65,536 are remembered
  for (int i = 0; i < kMany; ++i) table.load({{"relay", std::to_string(i)}, 7, 1000, 0});
  table.set_unsure_until(1060);
  for (int i = 0; i < kMany; ++i) ASSERT_NE(table.release({"relay", std::to_string(i)}, 7), nullptr);
  EXPECT_EQ(changes().size(), static_cast<std::size_t>(kMany));
  int free = 0;
  for (int i = 0; i < kMany; ++i) free += table.take({"relay", std::to_string(i)}, 8, at(1001), 0, 0).status == GH_OK;
  EXPECT_LE(free, 65'536);
  EXPECT_GT(free, 60'000);
}

TEST_F(Leases, StandInPlacesThatAreAnothersLater) {
  const LeaseTable::Taken first = table.take(name, 7, at(1000), 0, 0);
  EXPECT_TRUE(table.is_held_by(*first.lease, 7));
  EXPECT_EQ(table.resource_of(*first.lease, 7), "10.0.0.5");
  EXPECT_EQ(table.resource_of(*first.lease, 8), "");
  table.release(*first.lease, 8);
  EXPECT_TRUE(table.is_held_by(name, 7)) << "whoever does not hold it releases nothing";
  table.release(*first.lease, 7);
  EXPECT_FALSE(table.is_held_by(*first.lease, 7));
  EXPECT_EQ(changes().size(), 1u);
  EXPECT_EQ(table.take(name, 8, at(1000), 0, 0).lease, first.lease) << "the place that was free";
  EXPECT_FALSE(table.is_held_by(*first.lease, 7));
  EXPECT_TRUE(table.is_held_by(*first.lease, 8));
}

TEST_F(Leases, MayHaveLongNames) {
  for (const std::size_t size : {15u, 16u, 255u, 5000u}) {
    const std::string resource(size, 'r');
    table.load({{"relay", resource}, 7, 1000, 0});
    EXPECT_TRUE(table.is_held_by({"relay", resource}, 7));
    EXPECT_FALSE(table.is_held_by({"relay", resource.substr(1)}, 7));
    EXPECT_EQ(table.rows().at(0).key.resource, resource);
    ASSERT_NE(table.release({"relay", resource}, 7), nullptr);
    EXPECT_EQ(changes().at(0).record.key.resource, resource);
    EXPECT_THAT(table.rows(), IsEmpty());
  }
}

constexpr std::int64_t kAhead = 400 * 86'400;

TEST_F(Leases, OutliveAClockThatIsFarAhead) {
  table.load({{"relay", "10.0.0.5"}, 7, 1000, 1060});
  table.expire({kAhead, 1059});
  EXPECT_EQ(table.take(name, 8, {kAhead, 1059}, 0, 0).status, GH_E_EXISTS);
  EXPECT_EQ(table.take(name, 8, at(1059), 0, 0).status, GH_E_EXISTS) << "also when it is put right";
  EXPECT_EQ(table.take(name, 8, {kAhead, 1060}, 0, 0).status, GH_OK) << "by the time that is believed";
}

TEST_F(Leases, ThatAClockFarAheadHasGrantedEndByIt) {
  ASSERT_EQ(table.take(name, 7, {kAhead, 1000}, kAhead + 60, 0).status, GH_OK);
  EXPECT_EQ(table.take(name, 8, {kAhead + 59, 1059}, 0, 0).status, GH_E_EXISTS);
  EXPECT_EQ(table.take(name, 8, at(kAhead + 59), 0, 0).status, GH_E_EXISTS) << "also when it was right";
  EXPECT_EQ(table.take(name, 8, {kAhead + 60, 1060}, 0, 0).status, GH_OK);
}

TEST_F(Leases, LastNoLongerThanTheyWereToWhenTheClockThatGrantedThemIsPutRight) {
  ASSERT_EQ(table.take(name, 7, {kAhead, 1000}, kAhead + 60, 0).status, GH_OK);
  static_cast<void>(changes());
  table.expire({kAhead + 10, 1010});
  EXPECT_THAT(changes(), IsEmpty()) << "perhaps it is right";
  table.expire(at(1020));
  const auto corrected = changes();
  ASSERT_EQ(corrected.size(), 1u);
  EXPECT_EQ(corrected[0].record.expires_at, 1080);
  EXPECT_EQ(take(8, 1079), GH_E_EXISTS);
  EXPECT_EQ(take(8, 1080), GH_OK);
}

TEST_F(Leases, AreInDoubtUntilTheTimeThatIsBelieved) {
  table.set_unsure_until(1060);
  table.expire({kAhead, 1059});
  EXPECT_EQ(table.take(name, 7, {kAhead, 1059}, 0, 0).status, GH_E_IN_DOUBT);
  EXPECT_EQ(table.take(name, 7, {kAhead, 1060}, 0, 0).status, GH_OK);
}

}  // namespace
}  // namespace gatehouse
