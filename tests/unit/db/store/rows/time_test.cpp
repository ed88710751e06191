// Times in state.db that somebody else has written there, which may be any number.
#include "db/sqlite.hpp"
#include "tests/unit/db/store/life.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace gatehouse::db {
namespace {

constexpr std::int64_t kDay = 86'400;
constexpr std::int64_t kFirst = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kLast = std::numeric_limits<std::int64_t>::max();

class StoredTime : public testing::TestWithParam<std::int64_t> {
 protected:
  void write(const StoreBatch& batch) const {
    Life life(folder.state_db());
    life.open();
    life.write(batch);
    life.close();
  }
  /// @param sql  with ?1 for the time
  void put_time(const std::string& sql) const {
    Database file(folder.state_db(), OpenMode::read_write, std::chrono::milliseconds(0));
    Statement statement = file.prepare(sql);
    statement.bind(1, GetParam());
    statement.run();
  }

  const ReadyFolder folder;
  const std::int64_t now = unix_now();
};

TEST_P(StoredTime, CanBeReckonedWithWhenItIsLoaded) {
  write({.sessions = {session(1)}, .leases = {lease("10.9.0.1", 1, now + 60)}, .usage = {usage("token:bob", 1, 1)}});
  put_time("UPDATE sessions SET created_at = ?1, last_seen_at = ?1, expires_at = ?1");
  put_time("UPDATE leases SET granted_at = ?1, expires_at = ?1");
  put_time("UPDATE usage SET day = ?1");
  const StoredState state = open_sqlite_store(folder.state_db(), {})->load(now);
  ASSERT_EQ(state.sessions.size(), 1U);
  std::vector<std::int64_t> times = {state.sessions[0].created_at, state.sessions[0].last_seen_at,
                                     state.sessions[0].expires_at};
  for (const LeaseRecord& one : state.leases) times.insert(times.end(), {one.granted_at, one.expires_at});
  for (const UsageRecord& one : state.usage) times.push_back(one.key.day);
  for (const std::int64_t time : times) EXPECT_TRUE(time > kFirst / 2 - 2 && time < kLast / 2 + 2) << time;
}

TEST_P(StoredTime, ThatIsFarFromTheClockDeletesNothing) {
  SessionRecord ended = session(1);
  ended.ended_at = now - kDay;
  write({.sessions = {ended}});
  put_time("UPDATE epoch SET seen_at = ?1");
  const auto store = open_sqlite_store(folder.state_db(), {});
  static_cast<void>(store->load(now));
  while (store->upkeep(now) == std::chrono::milliseconds(0)) {
  }
  Database file(folder.state_db(), OpenMode::read_only, std::chrono::milliseconds(0));
  EXPECT_EQ(file.number("SELECT count(*) FROM sessions"), 1);
}

INSTANTIATE_TEST_SUITE_P(Any, StoredTime, testing::Values(kFirst, kFirst / 2, -1, kLast / 2, kLast));

}  // namespace
}  // namespace gatehouse::db
