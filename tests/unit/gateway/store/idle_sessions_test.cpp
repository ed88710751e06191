// A session that can be resumed has an end: after a time without traffic, or when the table is full.
#include "gateway/store/longest_idle.hpp"
#include "gateway/store/session_table.hpp"
#include "policy/compile.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <string>
#include <vector>

namespace gatehouse {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class IdleSessions : public testing::Test {
 protected:
  explicit IdleSessions(std::size_t most = SessionTable::kMostSessions)
      : table(durability, most, [this] { return SessionTable::Steady::time_point(std::chrono::seconds(time)); }) {}

  // Each at the time `at`; the clock that people set is off by `clock_error`.
  std::int64_t clock(std::int64_t at) {
    time = at;
    return at + clock_error;
  }
  SessionTable::Opened open(std::int64_t at, const std::string& key, const std::string& identity = "unix:bob",
                            const std::string& source = "192.0.2.1:1") {
    SessionTable::Opening what{.plugin = "relay", .key = key, .identity = identity, .now = clock(at)};
    what.source = Endpoint::parse(source).value();
    return table.open(what, 0);
  }
  gh_status touch(std::uint64_t id, std::int64_t at) {
    SessionTable::Touch what;
    what.now = clock(at);
    return table.touch("relay", id, what, 0);
  }
  void list_moved(std::int64_t at) { table.list_moved(clock(at)); }
  void end_idle(std::int64_t at) { table.end_idle(clock(at)); }
  std::size_t make_room(std::int64_t at) { return table.make_room(clock(at)); }
  void load(std::int64_t at, std::int64_t last_seen_at, const std::string& key = "old") {
    clock(at);
    db::SessionRecord record;
    record.id = 1U << 24U;
    record.plugin = "relay";
    record.key = key;
    record.identity = "unix:bob";
    record.last_seen_at = last_seen_at;
    ASSERT_TRUE(table.load(record));
    table.end_loading(record.id, false);
  }
  [[nodiscard]] std::int64_t last_seen_at() const { return table.rows().at(0).record.last_seen_at; }
  static IdleEnds after(std::int64_t seconds) { return {seconds, {}}; }
  /// As the writer does it. @return the keys of the sessions that have ended since the last call
  std::set<std::string> take_ended() {
    std::set<std::string> out;
    durability->changes().take([&](ChangeLink& link) {
      const SessionTable::Change change = table.take_change(link);
      if (change.record.ended_at) out.insert(change.record.key);
    });
    return out;
  }

  std::int64_t time = 0, clock_error = 0;
  std::shared_ptr<Durability> durability = std::make_shared<Durability>();
  SessionTable table;
};

TEST_F(IdleSessions, EndAfterTheTimeOfTheirGroup) {
  const auto kid = open(1000, "kid");
  open(1000, "other");
  open(1000, "eternal");
  table.account(kid.id, "kids", "unix:bob");
  table.account(open(1000, "eternal").id, "servers", "unix:bob");
  table.set_idle_ends({.of_others = 100, .of_group = {{"kids", 10}, {"servers", 0}}});
  end_idle(1009);
  EXPECT_THAT(take_ended(), IsEmpty());
  end_idle(1010);
  EXPECT_THAT(take_ended(), ElementsAre("kid"));
  EXPECT_EQ(touch(kid.id, 1011), GH_E_NOT_FOUND);
  end_idle(1'000'000'000);
  EXPECT_THAT(take_ended(), ElementsAre("other"));
}

TEST_F(IdleSessions, TellTheirPluginByTheOpening) {
  const auto session = open(1000, "a");
  table.set_idle_ends(after(10));
  end_idle(2000);
  EXPECT_NE(session.cells->opening, session.opening);
}

TEST_F(IdleSessions, GoOnWhileTheyHaveTrafficOrAreTouched) {
  const auto busy = open(1000, "busy"), touched = open(1000, "touched");
  open(1000, "idle");
  static_cast<void>(take_ended());
  table.set_idle_ends(after(100));
  busy.cells->bytes_down += 1;
  list_moved(1090);
  EXPECT_EQ(touch(touched.id, 1090), GH_OK);
  end_idle(1110);
  EXPECT_THAT(take_ended(), ElementsAre("idle"));
}

TEST_F(IdleSessions, AreLeftAloneUntilThePolicyIsKnownAndWithoutAKey) {
  open(1000, "a");
  open(1000, "");
  end_idle(2'000'000'000);
  EXPECT_THAT(take_ended(), IsEmpty());
  table.set_idle_ends({});
  end_idle(1000 + 30 * 86'400 - 1);
  EXPECT_THAT(take_ended(), IsEmpty());
  end_idle(1000 + 30 * 86'400);
  EXPECT_THAT(take_ended(), ElementsAre("a")) << "30 days where no row says";
}

constexpr std::int64_t kDay = 86'400;

TEST_F(IdleSessions, AreNotEndedByAClockThatWasBehind) {
  clock_error = -40 * kDay;
  constexpr std::int64_t kStart = 100 * kDay;
  load(kStart, 99 * kDay);
  table.set_idle_ends(after(30 * kDay));
  EXPECT_TRUE(open(kStart + 10, "old").resumed);
  open(kStart + 10, "new");
  end_idle(kStart + 10);
  clock_error = 0;
  end_idle(kStart + 600);
  EXPECT_THAT(take_ended(), IsEmpty());
  EXPECT_EQ(last_seen_at(), kStart + 10) << "the row is right too, for the next start";
  end_idle(130 * kDay + 10);
  EXPECT_THAT(take_ended(), ElementsAre("new", "old"));
}

TEST_F(IdleSessions, EndInTimeThoughTheClockWasAhead) {
  clock_error = 400 * kDay;
  open(1000, "a");
  clock_error = 0;
  table.set_idle_ends(after(30 * kDay));
  end_idle(1010);
  EXPECT_EQ(last_seen_at(), 1000);
  end_idle(1000 + 30 * kDay);
  EXPECT_THAT(take_ended(), ElementsAre("a"));
}

TEST_F(IdleSessions, EndInTimeThoughTheirRowsLieAheadSinceAnEarlierStart) {
  load(100 * kDay, 500 * kDay);
  table.set_idle_ends(after(30 * kDay));
  end_idle(100 * kDay + 600);
  EXPECT_EQ(last_seen_at(), 500 * kDay) << "the clock may be behind";
  end_idle(101 * kDay);
  EXPECT_EQ(last_seen_at(), 100 * kDay);
  end_idle(130 * kDay - 1);
  EXPECT_THAT(take_ended(), IsEmpty());
  end_idle(130 * kDay);
  EXPECT_THAT(take_ended(), ElementsAre("old"));
}

TEST_F(IdleSessions, CanBeResumedForSomeMinutesAfterALongOutage) {
  load(10'000, 2800);
  table.set_idle_ends(after(3600));
  end_idle(10'010);
  end_idle(10'299);
  EXPECT_THAT(take_ended(), IsEmpty());
  EXPECT_TRUE(open(10'299, "old").resumed);
  end_idle(10'299 + 3599);
  EXPECT_THAT(take_ended(), IsEmpty());
  end_idle(10'299 + 3600);
  EXPECT_THAT(take_ended(), ElementsAre("old"));
}

TEST_F(IdleSessions, EndAfterThoseMinutesIfNobodyHasResumedThem) {
  load(10'000, 2800);
  table.set_idle_ends(after(3600));
  end_idle(10'300);
  EXPECT_THAT(take_ended(), ElementsAre("old"));
}

TEST(IdleEnds, FollowTheTrafficRules) {
  policy::Model model;
  model.groups = {{0, "everyone", 1000, true}, {1, "kids", 1, true}, {2, "servers", 2, true}, {3, "same", 3, true}};
  policy::TrafficRule rule;
  rule.group_id = 1;
  rule.scope = "session";
  rule.session_idle_seconds = 600;
  model.traffic_rules.push_back(rule);
  EXPECT_EQ(idle_ends_of(*policy::compile(model, {}, 1, 0).snapshot).of("everyone"), IdleEnds::kDefault);
  rule.group_id = 0;
  rule.session_idle_seconds = 3600;
  model.traffic_rules.push_back(rule);
  rule.group_id = 2;
  rule.scope = "identity";
  rule.session_idle_seconds = 0;
  model.traffic_rules.push_back(rule);
  const IdleEnds ends = idle_ends_of(*policy::compile(model, {}, 1, 0).snapshot);
  EXPECT_EQ(ends.of("kids"), 600);
  EXPECT_EQ(ends.of("servers"), 3600) << "everyone has a row of scope session, which counts first";
  EXPECT_EQ(ends.of("same"), 3600);
  EXPECT_EQ(ends.of(""), 3600);
}

TEST(IdleEnds, AreTheLongestOfAllForAGroupThatIsNotThere) {
  policy::Model model;
  model.groups = {{0, "everyone", 1000, true}, {1, "kids", 1, true}};
  policy::TrafficRule rule;
  rule.group_id = 0;
  rule.scope = "session";
  rule.session_idle_seconds = 600;
  model.traffic_rules.push_back(rule);
  EXPECT_EQ(idle_ends_of(*policy::compile(model, {}, 1, 0).snapshot).of("gone"), IdleEnds::kDefault);
  rule.group_id = 1;
  rule.session_idle_seconds = 90 * 86'400;
  model.traffic_rules.push_back(rule);
  EXPECT_EQ(idle_ends_of(*policy::compile(model, {}, 1, 0).snapshot).of("gone"), 90 * 86'400);
  model.traffic_rules.back().session_idle_seconds = 0;
  EXPECT_EQ(idle_ends_of(*policy::compile(model, {}, 1, 0).snapshot).of("gone"), 0) << "never";
}

class FullTable : public IdleSessions {
 protected:
  static constexpr std::size_t kMost = 1024;
  FullTable() : IdleSessions(kMost) {}
};

TEST_F(FullTable, EndsThoseThatAreIdleLongest) {
  for (std::size_t i = 0; i < kMost; ++i)
    open(static_cast<std::int64_t>(1000 + i), "k" + std::to_string(i), "unix:u" + std::to_string(i));
  EXPECT_EQ(open(5000, "late").status, GH_E_LIMIT);
  EXPECT_TRUE(table.is_nearly_full());
  EXPECT_EQ(make_room(5000), 16u) << "no more than are missing";
  const std::set<std::string> ended = take_ended();
  EXPECT_EQ(ended.size(), 16u);
  for (int i = 0; i < 16; ++i) EXPECT_TRUE(ended.contains("k" + std::to_string(i))) << i;
  EXPECT_FALSE(table.is_nearly_full());
  EXPECT_EQ(open(5000, "late").status, GH_OK);
}

TEST_F(FullTable, KeepsThoseThatAreInUseAndThoseWithoutAKey) {
  for (std::size_t i = 0; i < kMost; ++i)
    open(i % 2 == 0 ? 1000 : 4950, i % 2 == 0 ? "" : "k" + std::to_string(i), "unix:u" + std::to_string(i));
  EXPECT_EQ(make_room(5000), 0u);
  EXPECT_EQ(open(5000, "late").status, GH_E_LIMIT);
}

TEST_F(FullTable, IsClearedOfWhoeverFilledItHoweverBusyTheyAre) {
  for (std::size_t i = 0; i < 900; ++i) open(1000, "old" + std::to_string(i), "unix:u" + std::to_string(i));
  for (std::size_t i = 900; i < kMost; ++i)
    open(5000, "flood" + std::to_string(i), "", "[2001:db8:0:1::" + std::to_string(i) + "]:1");  // of one /64
  EXPECT_EQ(make_room(5000), 16u);
  for (const std::string& key : take_ended()) EXPECT_EQ(key.substr(0, 5), "flood");
}

TEST_F(FullTable, IsClearedOfWhoeverFilledItFromManyNetworksOfTheirOwn) {
  for (std::size_t i = 0; i < 900; ++i) open(1000, "old" + std::to_string(i), "unix:u" + std::to_string(i));
  for (std::size_t i = 900; i < kMost; ++i)
    open(5000, "flood" + std::to_string(i), "", "[2001:db8:7:" + std::to_string(i) + "::1]:1");  // of one /48
  EXPECT_EQ(make_room(5000), 16u);
  for (const std::string& key : take_ended()) EXPECT_EQ(key.substr(0, 5), "flood");
}

std::vector<IdleSession> share(std::uint64_t share, std::uint64_t network, std::size_t count, std::int64_t idle) {
  std::vector<IdleSession> out;
  for (std::size_t i = 0; i < count; ++i)
    out.push_back({network << 32U | share << 16U | i, idle + static_cast<std::int64_t>(i), share, network});
  return out;
}
std::size_t ended_of(const std::vector<IdleSession>& sessions, std::size_t count, std::uint64_t share) {
  const auto end = sessions.begin() + static_cast<std::ptrdiff_t>(count);
  return static_cast<std::size_t>(
      std::count_if(sessions.begin(), end, [&](const IdleSession& one) { return one.share == share; }));
}

TEST(LongestIdle, EndTheLargestSharesDownToTheNext) {
  std::vector<IdleSession> all = share(1, 1, 300, 0);
  for (const auto& more : {share(2, 2, 200, 5000), share(3, 3, 100, 9000)})
    all.insert(all.end(), more.begin(), more.end());
  EXPECT_EQ(bring_forward(all, 140, 60), 140u);
  EXPECT_EQ(ended_of(all, 140, 1), 120u);
  EXPECT_EQ(ended_of(all, 140, 2), 20u);
  EXPECT_TRUE(std::all_of(all.begin(), all.begin() + 140, [](const IdleSession& one) {
    return one.idle_seconds >= (one.share == 1 ? 180 : 5180);
  })) << "and of each the longest idle";
}

TEST(LongestIdle, SpareTheNeighboursOfALargeShareInItsNetwork) {
  std::vector<IdleSession> all = share(1, 9, 300, 0);
  for (std::uint64_t neighbour = 2; neighbour < 12; ++neighbour) {
    const auto more = share(neighbour, 9, 5, 9000);
    all.insert(all.end(), more.begin(), more.end());
  }
  EXPECT_EQ(bring_forward(all, 200, 60), 200u);
  EXPECT_EQ(ended_of(all, 200, 1), 200u);
}

}  // namespace
}  // namespace gatehouse
