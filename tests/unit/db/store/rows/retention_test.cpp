// How state.db stays of bounded size: rows that nobody wants any more go, a few at a time, and their room with them.
#include "db/store/rows/retention.hpp"
#include "db/file/clock_trust.hpp"
#include "db/sqlite.hpp"
#include "db/store/state_reader.hpp"
#include "tests/unit/db/store/life.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <thread>

namespace gatehouse::db {
namespace {

using testing::Contains;
using testing::HasSubstr;

constexpr std::int64_t kDay = 86'400;
constexpr std::int64_t kNow = 1'790'000'000;  // 2026-09-21

class Aging : public testing::Test {
 protected:
  void open(const Retention& retention) {
    store = open_sqlite_store(path, retention);
    static_cast<void>(store->load(kNow));
  }
  /// The kernel does not vouch for the clock.
  void open_unsynchronised() {
    store = open_sqlite_store(path, {.days = 30}, {}, []() noexcept { return false; });
  }
  void write_ended(std::uint64_t first, std::uint64_t last, std::int64_t ended_at, std::size_t blob = 0) {
    StoreBatch batch;
    for (std::uint64_t id = first; id <= last; ++id) {
      SessionRecord record = session(id);
      record.ended_at = ended_at + static_cast<std::int64_t>(id);
      if (blob > 0) record.blob = std::make_shared<const ByteString>(blob, std::uint8_t{1});
      batch.sessions.push_back(record);
    }
    EXPECT_EQ(store->write(batch), Store::Written::done);
  }
  /// Until there is nothing more to do. @return the longest call
  std::chrono::milliseconds work() {
    std::chrono::steady_clock::duration longest{};
    for (;;) {
      const auto begin = std::chrono::steady_clock::now();
      const auto again = store->upkeep(kNow);
      longest = std::max(longest, std::chrono::steady_clock::now() - begin);
      ++calls;
      if (again.count() > 0) return std::chrono::duration_cast<std::chrono::milliseconds>(longest);
    }
  }
  std::string shell(const std::string& sql) const { return run_sqlite_shell(path, sql); }

  ScratchFolder folder{memory_folder()};
  const std::filesystem::path path = folder.path() / "state.db";
  std::unique_ptr<Store> store;
  int calls = 0;
};

TEST_F(Aging, DeletesSessionsThatEndedLongAgoAFewAtATime) {
  open({.days = 30});
  write_ended(1, 1000, kNow - 31 * kDay);
  write_ended(2001, 2010, kNow - 29 * kDay);
  StoreBatch live;
  live.sessions = {session(3000)};
  live.sessions[0].last_seen_at = 1;
  EXPECT_EQ(store->write(live), Store::Written::done);
  work();
  EXPECT_GT(calls, 4);
  EXPECT_EQ(shell("SELECT count(*), min(id) FROM sessions"), "11|2001\n");
}

class Flood : public Aging {
 protected:
  /// Sessions from addresses with a number between the two, and others' history.
  void expect_history_survives(const std::string& before, const std::string& after) {
    open({.most_bytes = 1U << 20U});
    StoreBatch history;
    for (std::uint64_t id = 1; id <= 100; ++id) {
      SessionRecord one = session(id);
      one.identity = id % 2 == 0 ? "token:ann" : "";
      one.source = Endpoint::parse(id % 2 == 0 ? "198.51.100.9:1" : "192.0.2.1:1").value();
      one.ended_at = kNow - kDay;
      history.sessions.push_back(one);
    }
    EXPECT_EQ(store->write(history), Store::Written::done);
    for (std::uint64_t first = 1000; first < 21'000; first += 2000) {
      StoreBatch flood;
      for (std::uint64_t id = first; id < first + 2000; ++id) {
        SessionRecord one = session(id);
        one.identity.clear();
        one.source = Endpoint::parse("[2001:db8:0:" + before + std::to_string(id % 9999) + after + "]:1").value();
        one.ended_at = kNow;
        flood.sessions.push_back(one);
      }
      EXPECT_EQ(store->write(flood), Store::Written::done);
      EXPECT_LT(work(), std::chrono::seconds(1));
    }
    EXPECT_EQ(shell("SELECT count(*) FROM sessions WHERE ended_at < " + std::to_string(kNow)), "100\n");
    EXPECT_LT(std::stoi(shell("SELECT count(*) FROM sessions")), 10'000);
    EXPECT_EQ(shell("SELECT share, ended FROM shares WHERE ended < 51 ORDER BY 1"), "192.0.2.1/32|50\ntoken:ann|50\n");
    EXPECT_EQ(shell("SELECT sum(ended) - (SELECT count(*) FROM sessions) FROM shares"), "0\n");
  }
};

TEST_F(Flood, OfOneSourceLeavesTheHistoryOfOthers) { expect_history_survives("1::", ""); }

TEST_F(Flood, OfEachSourceOfOneNetworkLeavesTheHistoryOfOthers) { expect_history_survives("", "::1"); }

TEST_F(Aging, DeletesTheOldestWhereNobodyHasMany) {
  open({.most_bytes = 1U << 20U});
  for (std::uint64_t first = 1; first < 4000; first += 1000) {
    StoreBatch batch;
    for (std::uint64_t id = first; id < first + 1000; ++id) {
      SessionRecord one = session(id);
      one.identity = "token:u" + std::to_string(id % 200);
      one.ended_at = kNow + static_cast<std::int64_t>(id);
      one.blob = std::make_shared<const ByteString>(300, std::uint8_t{1});
      batch.sessions.push_back(one);
    }
    EXPECT_EQ(store->write(batch), Store::Written::done);
  }
  work();
  EXPECT_EQ(shell("SELECT max(id) - min(id) + 1 - count(*), max(id) FROM sessions"), "0|4000\n");
}

TEST_F(Aging, CountsSharesAsSessionsEndAndGo) {
  open({});
  SessionRecord one = session(1);
  one.identity.clear();
  one.source = Endpoint::parse("[2001:db8:0:1::7]:9").value();
  EXPECT_EQ(store->write({.sessions = {one}}), Store::Written::done);
  EXPECT_EQ(shell("SELECT * FROM shares"), "");
  one.source = Endpoint::parse("[::ffff:192.0.2.7]:9").value();  // it has roamed
  one.ended_at = kNow;
  for (int again = 0; again < 2; ++again) EXPECT_EQ(store->write({.sessions = {one}}), Store::Written::done);
  EXPECT_EQ(shell("SELECT * FROM shares"), "192.0.2.7/32|1\n");
  EXPECT_EQ(shell("DELETE FROM sessions"), "");
  EXPECT_EQ(shell("SELECT * FROM shares"), "");
}

TEST_F(Aging, FindsAWayWhereSomebodyHasChangedTheShares) {
  open({.most_bytes = 1U << 20U});
  write_ended(1, 500, kNow, 4096);
  EXPECT_EQ(shell("DELETE FROM shares; INSERT INTO shares VALUES ('nobody', 1000000)"), "");
  write_ended(501, 600, kNow, 4096);
  work();
  EXPECT_LT(std::stoi(shell("SELECT count(*) FROM sessions")), 300);
}

TEST_F(Aging, SaysThatLiveRowsAloneAreTooMany) {
  open({.most_bytes = 1U << 20U});
  StoreBatch batch;
  for (std::uint64_t id = 1; id <= 500; ++id) {
    batch.sessions.push_back(session(id));
    batch.sessions.back().blob = std::make_shared<const ByteString>(4096, std::uint8_t{1});
  }
  EXPECT_EQ(store->write(batch), Store::Written::done);
  write_ended(1001, 1100, kNow);
  work();
  EXPECT_EQ(shell("SELECT count(*), count(ended_at) FROM sessions"), "500|0\n");
  EXPECT_THAT(store->excess(), HasSubstr("more than `max_bytes` of [store] (1048576)"));
  for (SessionRecord& one : batch.sessions) one.ended_at = kNow;
  EXPECT_EQ(store->write(batch), Store::Written::done);
  work();
  EXPECT_EQ(store->excess(), "");
}

TEST_F(Aging, GoesOnBesideRowsThatATriggerKeepsAndSaysSoOnce) {
  for (const std::string how : {"ABORT, 'kept'", "FAIL, 'kept'", "ROLLBACK, 'kept'", "IGNORE"}) {
    store.reset();
    open({.days = 30, .most_bytes = 1});
    write_ended(1, 10, kNow - 31 * kDay);
    EXPECT_EQ(shell("CREATE TRIGGER no BEFORE DELETE ON sessions BEGIN SELECT RAISE(" + how + "); END"), "");
    work();
    work();
    EXPECT_FALSE(store->needs_write()) << how << ": the files stay open";
    EXPECT_EQ(shell("SELECT count(*) FROM sessions"), "10\n") << how;
    EXPECT_NE(store->excess(), "") << how;
    const auto& remarks = store->opening().remarks;
    EXPECT_EQ(std::count_if(
                  remarks.begin(), remarks.end(),
                  [](const std::string& one) { return one.find("old rows cannot be deleted") != std::string::npos; }),
              1)
        << how;
    EXPECT_EQ(shell("DROP TRIGGER no"), "");
    work();
    EXPECT_EQ(shell("SELECT count(*) FROM sessions"), "0\n") << how;
  }
}

TEST_F(Aging, LeavesFreeRoomInAFileThatCannotGiveItBack) {
  open({.days = 30, .most_bytes = 1});
  store->close();
  ASSERT_EQ(shell("PRAGMA journal_mode = DELETE; PRAGMA auto_vacuum = NONE; VACUUM"), "delete\n");
  write_ended(1, 2000, kNow - 31 * kDay);
  work();
  EXPECT_EQ(shell("SELECT count(*) FROM sessions"), "0\n");
  EXPECT_NE(shell("PRAGMA freelist_count"), "0\n");
  EXPECT_LT(calls, 100);
}

TEST_F(Aging, DeletesNothingForAClockThatIsFarAhead) {
  const std::int64_t now = unix_now(), ahead = now + 400 * kDay;
  open_unsynchronised();
  static_cast<void>(store->load(now));
  write_ended(1, 50, now - kDay);
  EXPECT_EQ(store->write({.usage = {usage("token:bob", 7, now / kDay)}}), Store::Written::done);
  store->close();
  store.reset();
  for (int start = 1; start <= 3; ++start) {  // each with the clock ahead
    open_unsynchronised();
    EXPECT_EQ(store->load(ahead).usage.size(), 1u) << "the day that it was used in is remembered";
    for (int i = 0; i < 20; ++i) static_cast<void>(store->upkeep(ahead));
    EXPECT_THAT(store->opening().remarks, Contains(HasSubstr("nothing is deleted until")));
    store->close();
    store.reset();
    EXPECT_EQ(shell("SELECT count(*) FROM sessions; SELECT count(*) FROM usage"), "50\n1\n") << start;
  }
}

TEST_F(Aging, KeepsLeasesForAClockThatIsFarAhead) {
  const std::int64_t now = unix_now(), ahead = now + 400 * kDay;
  open_unsynchronised();
  static_cast<void>(store->load(now));
  EXPECT_EQ(store->write({.sessions = {session(1)}, .leases = {{{"relay", "10.0.0.5"}, 1, now, now + 3600}}}),
            Store::Written::done);
  const auto leases_at = [&](std::int64_t time) {
    store->close();
    store.reset();
    open_unsynchronised();
    return store->load(time).leases.size();
  };
  EXPECT_EQ(leases_at(ahead), 1u);
  EXPECT_EQ(leases_at(ahead), 1u) << "also at the next start";
  EXPECT_EQ(leases_at(now), 1u) << "and when it is put right";
  EXPECT_EQ(leases_at(now + 3600), 0u) << "in time";
  EXPECT_EQ(store->write({.leases = {{{"relay", "10.0.0.5"}, 1, now, now + 3600}}}), Store::Written::done);
  store.reset();
  store = open_sqlite_store(path, {}, {}, []() noexcept { return true; });
  EXPECT_TRUE(store->load(ahead).leases.empty()) << "the kernel vouches for it";
}

TEST_F(Aging, DoubtsForgottenLeasesByTheTimeThatIsBelieved) {
  const std::int64_t now = unix_now();
  open_unsynchronised();
  static_cast<void>(store->load(now));
  store->close();
  store.reset();
  // As if commits were lost while the clock was put 400 days ahead.
  EXPECT_EQ(shell("UPDATE epoch SET n = n - 1, seen_at = seen_at - 400 * 86400"), "");
  open_unsynchronised();
  EXPECT_GT(store->opening().unsure_until, now - 400 * kDay);
  EXPECT_LT(store->opening().unsure_until, now - 399 * kDay);
}

TEST_F(Aging, KeepsTheUsageThatQuotasNeed) {
  open({.days = 3});
  StoreBatch batch;
  for (std::int64_t day = kNow / kDay - 60; day <= kNow / kDay; ++day) batch.usage.push_back(usage("x", 1, day));
  EXPECT_EQ(store->write(batch), Store::Written::done);
  work();
  EXPECT_EQ(shell("SELECT count(*), date(min(day) * 86400, 'unixepoch') FROM usage"), "21|2026-09-01\n");
  store.reset();
  open({.days = 3});
  EXPECT_EQ(store->load(kNow).usage.size(), 21u);
}

TEST_F(Aging, DeletesTheOldestWhenTheFileIsTooLarge) {
  constexpr std::uint64_t kMost = 2U << 20U;
  open({.days = 30, .most_bytes = kMost});
  for (std::uint64_t first = 1; first < 2000; first += 200) write_ended(first, first + 199, kNow - kDay, 4000);
  StoreBatch live;
  live.sessions = {session(9000)};
  EXPECT_EQ(store->write(live), Store::Written::done);
  work();
  store->close();
  EXPECT_LE(std::filesystem::file_size(path), kMost);
  EXPECT_GT(std::filesystem::file_size(path), kMost / 4) << "no more than it has to";
  EXPECT_EQ(shell("SELECT count(*) FROM sessions WHERE id = 9000"), "1\n");
  EXPECT_EQ(shell("SELECT max(id) FROM sessions WHERE ended_at IS NOT NULL"), "2000\n") << "the oldest go first";
  EXPECT_THAT(verify(path), testing::IsEmpty());
}

TEST_F(Aging, GivesRoomBack) {
  open({.days = 1});
  for (std::uint64_t first = 1; first < 3000; first += 200) write_ended(first, first + 199, kNow - 2 * kDay, 4000);
  store->close();
  store.reset();
  const auto before = std::filesystem::file_size(path);
  open({.days = 1});
  work();
  store->close();
  EXPECT_LT(std::filesystem::file_size(path), before / 2);
}

TEST_F(Aging, MovesTheLogIntoTheFileInIdleTime) {
  open({});
  write_ended(1, 500, kNow);
  EXPECT_GT(work().count(), -1);
  const auto log = path.string() + "-wal";
  EXPECT_GT(std::filesystem::file_size(log), 4096u);
  std::this_thread::sleep_for(std::chrono::milliseconds(1050));  // nobody writes for a second
  work();
  store.reset();
  std::filesystem::remove(log);  // would be a loss if there was anything in it
  open({});
  EXPECT_EQ(store->opening().unsure_until, 0);
  EXPECT_EQ(shell("SELECT count(*) FROM sessions"), "500\n");
}

TEST_F(Aging, MovesALargeLogIntoTheFileWithoutWaiting) {
  open({});
  for (std::uint64_t first = 1; first <= 2000; first += 200) write_ended(first, first + 199, kNow, 4000);
  const auto log = path.string() + "-wal";
  ASSERT_GT(std::filesystem::file_size(log), 8U << 20U);
  work();
  const auto size = std::filesystem::file_size(log);
  for (std::uint64_t first = 1; first <= 2000; first += 200) write_ended(first, first + 199, kNow, 4000);
  EXPECT_EQ(std::filesystem::file_size(log), size) << "it is written to from its beginning";
}

TEST(FirstOfMonth, IsADay) {
  EXPECT_EQ(first_of_month(0), 0);
  EXPECT_EQ(first_of_month(kNow) * kDay, 1'788'220'800);
  EXPECT_EQ(first_of_month(1'709'251'199) * kDay, 1'706'745'600) << "29 February 2024";
}

}  // namespace
}  // namespace gatehouse::db
