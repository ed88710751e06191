// What sessions tell the thread that writes them, without that thread.
#include "gateway/store/session_table.hpp"
#include "tests/unit/allocations.hpp"

#include <gmock/gmock.h>

namespace gatehouse {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class SessionChanges : public testing::Test {
 protected:
  SessionTable::Opened open(std::string_view key, Durability::Ticket ticket = 0) {
    return table.open({.plugin = "relay", .key = key, .identity = "unix:bob", .owner = this, .lane = 0, .now = 1000},
                      ticket);
  }
  /// Takes what the writer would.
  std::vector<SessionTable::Change> changes() {
    std::vector<SessionTable::Change> out;
    durability->changes().take([&](ChangeLink& link) {
      if (link.kind == ChangeLink::Kind::session)
        out.push_back(table.take_change(link));
      else
        static_cast<void>(table.leases().take_change(link));
    });
    return out;
  }

  std::uint64_t* counts(std::uint64_t id) {
    std::uint64_t* out = nullptr;
    EXPECT_EQ(table.counts_of("relay", id, &out), GH_OK);
    return out;
  }

  std::shared_ptr<Durability> durability = std::make_shared<Durability>();
  SessionTable table{durability};
};

TEST_F(SessionChanges, TellOnceWhoWaitsForThem) {
  const auto session = open("home", 3);
  EXPECT_EQ(open("home", 4).id, session.id);
  EXPECT_THAT(changes().at(0).waiting, ElementsAre(3u, 4u));
  ASSERT_EQ(table.touch("relay", session.id, {.source = {}, .now = 1001, .blob = {}}, 5), GH_OK);
  EXPECT_THAT(changes().at(0).waiting, ElementsAre(5u));
  table.change_all();
  EXPECT_THAT(changes().at(0).waiting, IsEmpty());
}

TEST_F(SessionChanges, TellWhatWasCarriedSinceTheLast) {
  const auto session = open("home");
  const auto carry = [&](std::uint64_t n) {
    session.cells->bytes_up += n;
    session.cells->bytes_down += 2 * n;
    session.cells->packets_up += 3 * n;
    session.cells->packets_down += 4 * n;
  };
  carry(10);
  auto change = changes().at(0);
  EXPECT_TRUE(change.is_first);
  EXPECT_EQ(change.since, (db::TrafficTotals{10, 20, 30, 40}));
  carry(5);
  table.list_moved(1100);
  change = changes().at(0);
  EXPECT_FALSE(change.is_first);
  EXPECT_EQ(change.since, (db::TrafficTotals{5, 10, 15, 20}));
  EXPECT_EQ(change.record.totals, (db::TrafficTotals{15, 30, 45, 60}));
  EXPECT_EQ(change.record.last_seen_at, 1100);
  table.list_moved(1200);
  EXPECT_THAT(changes(), IsEmpty()) << "nothing moved";
}

TEST_F(SessionChanges, AreListedAtOnceOnlyWhereSomebodyMayComeBackOrWaits) {
  open("");
  EXPECT_THAT(changes(), IsEmpty());
  table.list_moved(1001);
  const auto moved = changes();
  ASSERT_EQ(moved.size(), 1u);
  EXPECT_EQ(moved[0].record.last_seen_at, 1000) << "nothing was carried";
  open("", 3);
  EXPECT_EQ(changes().size(), 1u);
  open("home");
  EXPECT_EQ(changes().size(), 1u);
  open("home");
  EXPECT_THAT(changes(), IsEmpty()) << "it was there, and nobody waits";
  open("home", 4);
  EXPECT_EQ(changes().size(), 1u);
}

TEST_F(SessionChanges, AreThoseOfATouch) {
  const auto session = open("home");
  static_cast<void>(changes());
  const auto blob = std::make_shared<const db::ByteString>(3, 'b');
  ASSERT_EQ(table.touch("relay", session.id, {.source = *Endpoint::parse("192.0.2.1:5"), .now = 1001, .blob = {}}, 0),
            GH_OK);
  EXPECT_THAT(changes(), IsEmpty()) << "it waits for the round";
  ASSERT_EQ(table.touch("relay", session.id, {.source = {}, .now = 1002, .blob = blob, .blob_version = 4}, 0), GH_OK);
  const auto change = changes().at(0);
  EXPECT_EQ(*change.record.blob, *blob);
  EXPECT_EQ(change.record.blob_version, 4u);
  EXPECT_EQ(change.record.last_seen_at, 1002);
  EXPECT_EQ(table.touch("other", session.id, {}, 0), GH_E_NOT_FOUND);
  EXPECT_EQ(table.touch("relay", session.id + 1, {}, 0), GH_E_NOT_FOUND);
  EXPECT_EQ(table.touch("relay", 0, {}, 0), GH_E_NOT_FOUND);
}

TEST_F(SessionChanges, NameWhoPaysAndALeaseThatIsHeld) {
  const auto session = open("");
  table.account(session.id, "kids", "token:bob");
  table.account(session.id + (1U << 24U), "none", "nobody");  // another session in that slot
  table.account(0, "none", "nobody");
  ASSERT_EQ(table.lease("relay", "10.0.0.5", session.id, 1000, 1060, 0).status, GH_OK);
  auto change = changes().at(0);
  EXPECT_EQ(change.record.group_name, "kids");
  EXPECT_EQ(change.payer, "token:bob");
  EXPECT_EQ(change.record.resource, "10.0.0.5");
  ASSERT_EQ(table.lease("relay", "10.0.0.6", session.id, 1000, 0, 0).status, GH_OK);
  table.leases().expire({1060, 1060});
  table.change_all();
  EXPECT_EQ(changes().at(0).record.resource, "10.0.0.6") << "the first is over";
}

/// As after a restart, when a hundred thousand come again at once.
TEST_F(SessionChanges, AreNoneWhereThePayerIsWhoItWas) {
  const auto session = open("some");
  table.account(session.id, "kids", "token:bob");
  table.list_moved(1001);
  ASSERT_EQ(changes().size(), 1u);
  table.account(session.id, "kids", "token:bob");
  table.list_moved(1002);
  EXPECT_THAT(changes(), IsEmpty());
  table.account(session.id, "others", "token:bob");
  table.list_moved(1003);
  EXPECT_EQ(changes().size(), 1u);
}

TEST_F(SessionChanges, EndWithTheSessionWhoseSlotRestsBeforeItIsUsedAgain) {
  const auto first = open("");
  first.cells->bytes_up = 7;
  first.cells->state[0] = 9;
  ASSERT_EQ(counts(first.id)[1], 0u);
  counts(first.id)[1] = 9;
  EXPECT_EQ(counts(first.id)[1], 9u);
  ASSERT_EQ(table.end("relay", first.id, 1500), GH_OK);
  const auto ended = changes().at(0);
  EXPECT_EQ(ended.record.ended_at, 1500);
  EXPECT_EQ(ended.record.last_seen_at, 1500);
  EXPECT_EQ(ended.since.bytes_up, 7u);
  EXPECT_EQ(table.end("relay", first.id, 1501), GH_E_NOT_FOUND);
  std::vector<SessionTable::Opened> others;
  for (int i = 0; i < 255; ++i) others.push_back(open(""));
  for (const auto& other : others) {
    EXPECT_NE(other.cells, first.cells) << "it may still be written to for a moment";
    ASSERT_EQ(table.end("relay", other.id, 1500), GH_OK);
  }
  static_cast<void>(changes());
  const auto again = open("");
  EXPECT_EQ(again.cells, first.cells) << "the one that is free for longest";
  EXPECT_NE(again.id, first.id);
  EXPECT_EQ(again.cells->bytes_up, 0u);
  EXPECT_EQ(again.cells->state[0], 0u);
  EXPECT_EQ(counts(again.id)[1], 0u);
  table.change_all();
  const auto change = changes().at(0);
  EXPECT_TRUE(change.is_first);
  EXPECT_EQ(change.since, db::TrafficTotals{});
  EXPECT_EQ(change.payer, "unix:bob");
}

TEST_F(SessionChanges, EndASessionWhoseTimeHasCome) {
  const auto until = [&](std::string_view key, std::uint64_t expires_at) {
    return table.open({.plugin = "relay", .key = key, .now = 1000, .expires_at = expires_at}, 0);
  };
  const auto session = until("home", 1060);
  const auto never = until("ever", GH_EXPIRY_NEVER);
  EXPECT_EQ(session.expires_at, 1060);
  EXPECT_EQ(never.expires_at, 0);
  const auto find = [&](std::int64_t now) { return table.find({.plugin = "relay", .key = "home", .now = now}).status; };
  EXPECT_EQ(find(1059), GH_OK);
  EXPECT_EQ(find(1060), GH_E_NOT_FOUND);
  EXPECT_EQ(table.adopt("relay", session.id, &never, 0, 1060).opened.status, GH_E_NOT_FOUND);
  static_cast<void>(changes());
  table.expire(1059);
  EXPECT_THAT(changes(), IsEmpty());
  table.expire(1060);
  const auto ended = changes();
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0].record.id, session.id);
  EXPECT_EQ(ended[0].record.ended_at, 1060);
  EXPECT_EQ(table.count("relay"), 1u);
  EXPECT_EQ(table.count("other"), 0u);
  const auto late = until("ever", 1100);
  EXPECT_EQ(late.id, never.id);
  EXPECT_EQ(late.expires_at, 1100);
  const auto next = table.open({.plugin = "relay", .key = "ever", .now = 1100}, 0);
  EXPECT_NE(next.id, never.id) << "it was over";
  EXPECT_FALSE(next.resumed);
}

TEST_F(SessionChanges, KnowWhoseSessionItIs) {
  const int one = 0, other = 0;
  const auto by = [&](std::string_view key, const void* owner, std::uint32_t lane) {
    return table.open({.plugin = "relay", .key = key, .owner = owner, .lane = lane, .now = 1000}, 0);
  };
  const auto kept = by("home", &one, 3), passing = by("", &one, 3), others = by("", &other, 4);
  const auto found = [&](const void* owner) {
    return table.find({.plugin = "relay", .key = "home", .owner = owner, .now = 1000}).lane;
  };
  EXPECT_EQ(found(&one), 3u);
  EXPECT_EQ(found(&other), SessionTable::kNoLane);
  EXPECT_EQ(table.adopt("relay", kept.id, &one, 5, 1000).opened.status, GH_E_STATE);
  table.free_lanes_of(&other);
  EXPECT_EQ(found(&one), 3u);
  table.free_lanes_of(&one);
  EXPECT_EQ(found(&one), SessionTable::kNoLane);
  EXPECT_EQ(table.adopt("relay", kept.id, &one, 5, 1000).opened.status, GH_OK);
  EXPECT_EQ(found(&one), 5u);
  table.end_all_of(&one, 1001);
  EXPECT_EQ(table.end("relay", passing.id, 1002), GH_E_NOT_FOUND) << "it has no key";
  EXPECT_EQ(table.end("relay", others.id, 1002), GH_OK);
  EXPECT_EQ(found(&one), SessionTable::kNoLane);
  EXPECT_EQ(by("home", &other, 4).id, kept.id);
}

/// The records of a store that is opened.
db::SessionRecord stored(std::uint64_t serial, std::uint64_t slot, std::string key) {
  db::SessionRecord out{};
  out.id = serial << 24U | slot;
  out.plugin = "relay";
  out.identity = "unix:bob";
  out.key = std::move(key);
  out.totals = {70, 0, 1, 0};
  return out;
}

TEST_F(SessionChanges, BeginWithWhatWasStored) {
  EXPECT_TRUE(table.load(stored(5, 2, "home")));
  EXPECT_FALSE(table.load(stored(5, 3, "home"))) << "that key has one";
  EXPECT_FALSE(table.load(stored(std::uint64_t{1} << 39U, 4, "last"))) << "no number is left behind it";
  EXPECT_FALSE(table.load(stored(6, 2, "other"))) << "that slot has one";
  EXPECT_FALSE(table.load(stored(0, 4, "zero")));
  EXPECT_FALSE(table.load(stored(7, SessionTable::kMostSessions, "far")));
  EXPECT_FALSE(table.load(stored(7, 5, "")));
  table.leases().load({{"relay", "10.0.0.5"}, stored(5, 2, "").id, 900, 0});
  table.leases().load({{"other", "10.0.0.5"}, stored(5, 2, "").id, 900, 0});
  table.leases().load({{"relay", "10.0.0.6"}, stored(4, 1, "").id, 900, 0});
  table.end_loading(std::uint64_t{9} << 24U | 1, true);
  EXPECT_EQ(table.leases().rows().size(), 1u) << "those of no session are free";
  static_cast<void>(changes());
  const auto home = open("home");
  EXPECT_EQ(home.id, stored(5, 2, "").id);
  EXPECT_TRUE(home.resumed);
  EXPECT_EQ(home.cells->bytes_up, 70u);
  table.change_all();
  const auto change = changes().at(0);
  EXPECT_FALSE(change.is_first);
  EXPECT_EQ(change.since, db::TrafficTotals{});
  EXPECT_EQ(change.payer, "unix:bob");
  EXPECT_EQ(change.record.resource, "10.0.0.5");
  EXPECT_EQ(open("new").id >> 24U, 11u) << "9 may have been given out; 10 was home's opening";
  const auto rows = table.rows();
  ASSERT_EQ(rows.size(), 2u);
  for (const LiveSession& row : rows) {
    EXPECT_EQ(row.record.key, "");
    EXPECT_EQ(row.record.blob, nullptr);
  }
  EXPECT_THAT(rows[rows[0].record.id == home.id ? 0 : 1].leases, ElementsAre("10.0.0.5"));
}

TEST_F(SessionChanges, KeepLeasesOfNoSessionThatMayBeLive) {
  EXPECT_TRUE(table.load(stored(5, 2, "home")));
  table.leases().load({{"relay", "10.0.0.6"}, stored(4, 1, "").id, 900, 0});
  table.end_loading(0, false);
  EXPECT_EQ(table.leases().rows().size(), 1u);
  EXPECT_EQ(open("new").id >> 24U, 6u);
}

TEST_F(SessionChanges, AreNotToldForEachLeaseOfASessionWithoutAKey) {
  const auto session = open("");
  ASSERT_EQ(table.lease("relay", "10.0.0.5", session.id, 1000, 0, 0).status, GH_OK);
  EXPECT_EQ(changes().size(), 1u) << "its row comes before its lease's";
  ASSERT_EQ(table.lease("relay", "10.0.0.6", session.id, 1000, 0, 0).status, GH_OK);
  EXPECT_THAT(changes(), IsEmpty());
}

TEST_F(SessionChanges, LeaveRoomForLeasesWhereOthersAreOver) {
  const auto session = open("home");
  for (std::size_t i = 0; i < SessionTable::kMostLeases; ++i)
    ASSERT_EQ(table.lease("relay", std::to_string(i), session.id, 1000, 1060, 0).status, GH_OK);
  EXPECT_EQ(table.lease("relay", "more", session.id, 1000, 0, 0).status, GH_E_LIMIT);
  EXPECT_EQ(table.lease("relay", "7", session.id, 1000, 0, 0).status, GH_OK) << "renewed, for good";
  table.leases().expire({1060, 1060});
  EXPECT_EQ(table.lease("relay", "more", session.id, 1060, 0, 0).status, GH_OK);
  ASSERT_EQ(table.release("relay", "more", session.id), GH_OK);
  EXPECT_EQ(table.release("relay", "more", session.id), GH_E_NOT_FOUND);
  EXPECT_TRUE(table.leases().is_held_by({"relay", "7"}, session.id));
}

TEST_F(SessionChanges, TakeNoMemoryForALeaseThatIsRenewed) {
  const auto session = open("home");
  ASSERT_EQ(table.lease("relay", "10.0.0.5", session.id, 1000, 1060, 0).status, GH_OK);
  const std::size_t before = allocations();
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(table.lease("relay", "10.0.0.5", session.id, 1000, 1060, 0).renewed);
  }
  EXPECT_EQ(allocations(), before);
  table.leases().expire({1060, 1060});
  EXPECT_FALSE(table.lease("relay", "10.0.0.5", session.id, 1060, 0, 0).renewed);
  ASSERT_EQ(table.end("relay", session.id, 1061), GH_OK);
  EXPECT_THAT(table.leases().rows(), IsEmpty()) << "it goes with its session";
}

}  // namespace
}  // namespace gatehouse
