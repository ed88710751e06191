// What every store does: the same cases for each backend, with an orderly end and without one.
#include "db/store/store.hpp"
#include "db/store/state_reader.hpp"
#include "tests/unit/db/store/cases.hpp"

#include <gmock/gmock.h>

namespace gatehouse::db {
namespace {

struct Backend {
  const char* name;
  std::unique_ptr<Store> (*open)(const std::filesystem::path& state_db);
};

constexpr Backend kLasting[] = {{"Sqlite", [](const auto& path) { return open_sqlite_store(path, {}); }}};

class LastingStore : public testing::TestWithParam<std::tuple<Backend, Case>> {
 protected:
  ScratchFolder folder{memory_folder()};
  Life life{folder.path() / "state.db", std::get<0>(GetParam()).open};
};

TEST_P(LastingStore, KeepsItsPromisesWhenItIsKilled) {
  life.open();
  EXPECT_TRUE(life.store().opening().created);
  EXPECT_TRUE(life.store().opening().clean);
  std::get<1>(GetParam()).run(life);
  life.expect_promises();
  EXPECT_FALSE(life.store().opening().created);
  EXPECT_FALSE(life.store().opening().clean);
  EXPECT_EQ(life.store().opening().unsure_until, 0);
  EXPECT_THAT(life.store().opening().moved, testing::IsEmpty());
  EXPECT_THAT(life.store().opening().remarks, testing::IsEmpty());
  EXPECT_THAT(verify(life.path()), testing::IsEmpty());
  EXPECT_EQ(life.start_overs, 0);
}

TEST_P(LastingStore, KeepsItsPromisesWhenItIsClosed) {
  life.open();
  std::get<1>(GetParam()).run(life);
  life.close();
  life.expect_promises();
  EXPECT_TRUE(life.store().opening().clean);
  EXPECT_EQ(life.store().opening().unsure_until, 0);
  EXPECT_THAT(verify(life.path()), testing::IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(All, LastingStore,
                         testing::Combine(testing::ValuesIn(kLasting),
                                          testing::ValuesIn(conformance_cases().begin(), conformance_cases().end())),
                         [](const auto& test) {
                           return std::string(std::get<0>(test.param).name) + std::get<1>(test.param).name;
                         });

class SqliteStoreFile : public testing::Test {
 protected:
  void SetUp() override { life.open(); }
  std::string shell(const std::string& sql) const { return run_sqlite_shell(life.path(), sql); }
  ScratchFolder folder{memory_folder()};
  Life life{folder.path() / "state.db"};
};

TEST_F(SqliteStoreFile, NeverGivesANumberTwice) {
  EXPECT_EQ(life.store().load(life.now).last_session_id, 0u);
  SessionRecord ended = session(900);
  ended.ended_at = 1;
  life.write({.sessions = {ended, session(500)}});
  static_cast<void>(life.store().upkeep(life.now));  // retention deletes row 900
  life.close();
  life.open();
  EXPECT_EQ(life.store().load(life.now).last_session_id, 900u);
  life.kill();  // numbers may have been used whose rows were not written yet
  life.open();
  EXPECT_GT(life.store().load(life.now).last_session_id, 900u + (1U << 24U) * 1000ULL);
}

TEST_F(SqliteStoreFile, EndsTheOlderOfTwoSessionsWithOneKey) {
  SessionRecord first = session(5), second = session(6), other = session(7);
  second.key = other.key = first.key;
  other.identity = "token:eve";
  life.write({.sessions = {second, first, other}, .leases = {lease("a", 5), lease("b", 6)}});
  life.kill();
  auto store = open_sqlite_store(life.path(), {});
  const StoredState state = store->load(life.now);
  ASSERT_EQ(state.sessions.size(), 2u);
  EXPECT_EQ(state.sessions[0].id, 6u);
  EXPECT_EQ(state.sessions[1].id, 7u);
  ASSERT_EQ(state.leases.size(), 1u);
  EXPECT_EQ(state.leases[0].key.resource, "b");
  EXPECT_EQ(shell("SELECT ended_at FROM sessions WHERE id = 5"), "1700000100\n");
}

TEST_F(SqliteStoreFile, TakesTheLaterOfAPlainAndASecretValue) {
  life.write({.values = {value("k", "old"), value("s", "old", true)}});
  life.kill();  // as in the middle of a change: both files have it
  const std::string secrets = folder.path() / "secrets.db";
  EXPECT_EQ(run_sqlite_shell(secrets, "INSERT INTO plugin_values VALUES ('relay', 'k', x'01', 1000)"), "");
  EXPECT_EQ(shell("INSERT INTO plugin_values VALUES ('relay', 's', x'02', 1000)"), "");
  const StoredState state = open_sqlite_store(life.path(), {})->load(life.now);
  ASSERT_EQ(state.values.size(), 2u);
  for (const ValueRecord& found : state.values) {
    EXPECT_EQ(found.secret, found.key.name == "k");
    EXPECT_EQ(*found.value, ByteString{static_cast<std::uint8_t>(found.secret ? 1 : 2)});
  }
  EXPECT_EQ(shell("SELECT count(*) FROM plugin_values"), "1\n");
  EXPECT_EQ(run_sqlite_shell(secrets, "SELECT count(*) FROM plugin_values"), "1\n");
}

TEST_F(SqliteStoreFile, KeepsSecretsOutOfStateDb) {
  life.write({.values = {value("k", "hush-hush", true), value("p", "loud")}});
  life.close();
  std::ifstream in(life.path(), std::ios::binary);
  const std::string content((std::istreambuf_iterator<char>(in)), {});
  EXPECT_EQ(content.find("hush-hush"), content.npos);
  EXPECT_NE(content.find("loud"), content.npos);
}

TEST_F(SqliteStoreFile, HoldsWhatPeopleCanRead) {
  SessionRecord anonymous = session(2);
  anonymous.key = std::string(32, '\xee');
  SessionRecord holder = session(1);
  holder.resource = "10.0.0.1";
  life.write({.sessions = {holder, anonymous}, .leases = {lease("10.0.0.1", 1)}});
  EXPECT_EQ(shell("SELECT key, source, typeof(key) FROM sessions WHERE id = 1"), "key-1|192.0.2.1:4711|text\n");
  EXPECT_EQ(shell("SELECT hex(key), typeof(key) FROM sessions WHERE id = 2"), std::string(64, 'E') + "|blob\n");
  // printf 'udpgw\0%s' 10.0.0.1 | sha256sum: the first 12 bits
  EXPECT_EQ(shell("SELECT slot, owner FROM sessions JOIN slots USING (slot) WHERE id = 1"), "4072|local\n");
  EXPECT_EQ(shell("SELECT count(*), min(slot), max(slot), count(DISTINCT owner) FROM slots"), "4096|0|4095|1\n");
}

TEST_F(SqliteStoreFile, LeavesOutARowThatTheSchemaRefusesAndNamesIt) {
  SessionRecord nameless = session(1);
  nameless.plugin.clear();
  EXPECT_EQ(life.store().write({.sessions = {nameless, session(9)}, .leases = {lease("a", 9)}}), Store::Written::done);
  const std::vector<RefusedRow> refused = life.store().take_refused();
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_EQ(name_of(refused[0]), "the row of sessions with id 1");
  EXPECT_THAT(refused[0].why, testing::HasSubstr("plugin must not be empty"));
  EXPECT_THAT(life.store().take_refused(), testing::IsEmpty());
  EXPECT_EQ(shell("SELECT count(*) FROM leases"), "1\n");
  life.write({.sessions = {session(3)}});
  EXPECT_THAT(life.store().take_refused(), testing::IsEmpty());
}

TEST_F(SqliteStoreFile, LeavesOutTheLeaseOfASessionThatItCannotTake) {
  for (const char* const how : {"ABORT", "ROLLBACK"}) {
    EXPECT_EQ(shell(std::string("DELETE FROM sessions; DELETE FROM leases; DROP TRIGGER IF EXISTS no; "
                                "CREATE TRIGGER no BEFORE INSERT ON sessions WHEN NEW.id = 2 BEGIN SELECT RAISE(") +
                    how + ", 'not this one'); END"),
              "");
    EXPECT_EQ(life.store().write({.sessions = {session(1), session(2)}, .leases = {lease("a", 2), lease("b", 1)}}),
              Store::Written::done);
    const std::vector<RefusedRow> refused = life.store().take_refused();
    ASSERT_EQ(refused.size(), 2u) << how;
    EXPECT_EQ(name_of(refused[0]), "the row of sessions with id 2");
    EXPECT_EQ(name_of(refused[1]), "the row of leases of udpgw, a");
    EXPECT_EQ(shell("SELECT resource FROM leases"), "b\n") << how;
  }
}

TEST_F(SqliteStoreFile, TakesTheLeaseOfASessionOfWhichItHasAnOlderVersion) {
  life.write({.sessions = {session(1)}});
  EXPECT_EQ(shell("CREATE TRIGGER no BEFORE UPDATE ON sessions BEGIN SELECT RAISE(ABORT, 'not this one'); END"), "");
  EXPECT_EQ(life.store().write({.sessions = {session(1)}, .leases = {lease("a", 1)}}), Store::Written::done);
  EXPECT_EQ(life.store().take_refused().size(), 1u) << "the session's";
  life.kill();
  life.open();
  EXPECT_EQ(life.store().load(life.now).leases.size(), 1u) << "a restart finds it";
}

/// Somebody's own trigger, which may also undo all that the commit has written so far.
TEST_F(SqliteStoreFile, WritesTheRowsBehindOneThatATriggerRefuses) {
  for (const char* const how : {"ABORT", "FAIL", "ROLLBACK"}) {
    EXPECT_EQ(shell(std::string("DROP TRIGGER IF EXISTS no; CREATE TRIGGER no BEFORE INSERT ON usage WHEN "
                                "NEW.identity LIKE 'token:bad%' BEGIN SELECT RAISE(") +
                    how + ", 'not this one'); END"),
              "");
    StoreBatch batch{.sessions = {session(1), session(2)}, .leases = {lease("a", 1)}};
    for (const char* const who : {"token:ann", "token:bad1", "token:bob", "token:bad2", "token:eve"})
      batch.usage.push_back(usage(who, 10, 1));
    batch.values = {value("plain", "1"), value("secret", "2", true)};
    EXPECT_EQ(life.store().write(batch), Store::Written::done) << how;
    const std::vector<RefusedRow> refused = life.store().take_refused();
    ASSERT_EQ(refused.size(), 2u) << how;
    EXPECT_EQ(name_of(refused[0]), "the row of usage of day 1, udpgw, token:bad1");
    EXPECT_EQ(shell("SELECT group_concat(identity) FROM usage"), "token:ann,token:bob,token:eve\n") << how;
    EXPECT_EQ(shell("SELECT count(*) FROM sessions; SELECT count(*) FROM leases"), "2\n1\n") << how;
    EXPECT_EQ(shell("SELECT name FROM plugin_values"), "plain\n") << how;
    EXPECT_EQ(shell("DELETE FROM sessions; DELETE FROM leases; DELETE FROM usage; DELETE FROM plugin_values"), "");
  }
}

TEST_F(SqliteStoreFile, LeavesOutASecretThatItCannotTake) {
  EXPECT_EQ(run_sqlite_shell(folder.path() / "secrets.db",
                             "CREATE TRIGGER no BEFORE INSERT ON plugin_values WHEN NEW.name = 'bad' BEGIN SELECT "
                             "RAISE(ABORT, 'not this one'); END"),
            "");
  EXPECT_EQ(life.store().write({.values = {value("good", "1", true), value("bad", "2", true), value("p", "3")}}),
            Store::Written::done);
  ASSERT_EQ(life.store().take_refused().size(), 1u);
  EXPECT_EQ(run_sqlite_shell(folder.path() / "secrets.db", "SELECT name FROM plugin_values"), "good\n");
  EXPECT_EQ(shell("SELECT name FROM plugin_values"), "p\n");
}

TEST_F(SqliteStoreFile, KeepsASecretWhosePlainRowItCannotTake) {
  for (const char* const how : {"ABORT", "FAIL", "ROLLBACK"}) {
    life.write({.values = {value("v", "secret", true)}});
    EXPECT_EQ(shell(std::string("DROP TRIGGER IF EXISTS no; CREATE TRIGGER no BEFORE INSERT ON plugin_values WHEN "
                                "NEW.name = 'v' BEGIN SELECT RAISE(") +
                    how + ", 'not this one'); END"),
              "");
    EXPECT_EQ(life.store().write({.values = {value("v", "plain"), value("w", "1")}}), Store::Written::done) << how;
    EXPECT_EQ(life.store().take_refused().size(), 1u) << how;
    life.kill();
    life.open();
    const StoredState state = life.store().load(life.now);
    ASSERT_EQ(state.values.size(), 2u) << how;
    EXPECT_EQ(state.values[0].value, value("w", "1").value) << how;
    EXPECT_EQ(state.values[1].value, value("v", "secret").value) << how;
  }
}

TEST_F(SqliteStoreFile, GoesOnWithAFormerSecretThatATriggerKeeps) {
  for (const char* const how : {"ABORT", "FAIL", "ROLLBACK"}) {
    EXPECT_EQ(run_sqlite_shell(folder.path() / "secrets.db", "DROP TRIGGER IF EXISTS no"), "");
    life.write({.values = {value("u", "secret", true), value("v", "secret", true)}});
    EXPECT_EQ(run_sqlite_shell(folder.path() / "secrets.db",
                               std::string("CREATE TRIGGER no BEFORE DELETE ON plugin_values WHEN OLD.name = 'v' BEGIN "
                                           "SELECT RAISE(") +
                                   how + ", 'not this one'); END"),
              "");
    EXPECT_EQ(life.store().write({.values = {value("u", "plain"), value("v", "plain"), value("w", "plain")}}),
              Store::Written::done)
        << how;
    EXPECT_EQ(life.store().take_refused().size(), 1u) << how;
    EXPECT_EQ(run_sqlite_shell(folder.path() / "secrets.db", "SELECT name FROM plugin_values"), "v\n") << how;
    life.kill();
    life.open();
    const StoredState state = life.store().load(life.now);
    ASSERT_EQ(state.values.size(), 3u) << how;
    for (const ValueRecord& one : state.values)
      EXPECT_EQ(one.value, value("", "plain").value) << how << ' ' << one.key.name;
  }
}

TEST_F(SqliteStoreFile, ClampsWhatAnIntegerOfSqliteCannotHold) {
  SessionRecord busy = session(1);
  busy.totals.bytes_down = ~std::uint64_t{0};
  EXPECT_EQ(life.store().write({.sessions = {busy}}), Store::Written::done);
  EXPECT_EQ(life.store().load(life.now).sessions.at(0).totals.bytes_down, ~std::uint64_t{0} >> 1U);
}

TEST(MemoryStore, TakesEverythingAndKeepsNothing) {
  const auto store = open_memory_store();
  EXPECT_TRUE(store->opening().clean);
  EXPECT_EQ(store->opening().unsure_until, 0);
  EXPECT_EQ(store->write({.sessions = {session(1)}, .values = {value("a", "b")}}), Store::Written::done);
  const StoredState state = store->load(unix_now());
  EXPECT_THAT(lines(state), testing::IsEmpty());
  EXPECT_EQ(state.last_session_id, 0u);
  EXPECT_GT(store->upkeep(unix_now()).count(), 0);
  EXPECT_NO_THROW(store->close());
}

}  // namespace
}  // namespace gatehouse::db
