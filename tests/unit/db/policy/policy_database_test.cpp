// policy.db as people meet it: made by the gateway, edited by the sqlite3 shell, replaced, broken.
#include "db/policy/policy_database.hpp"
#include "db/migrations.hpp"
#include "policy/limits.hpp"
#include "tests/unit/db/many_rows.hpp"
#include "tests/unit/db/scratch.hpp"

#include <gmock/gmock.h>

#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <fstream>

namespace gatehouse::db {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class PolicyFile : public testing::Test {
 protected:
  void SetUp() override { prepare_policy(path); }
  std::string shell(const std::string& sql) const { return run_sqlite_shell(path, sql); }

  ScratchFolder folder;
  std::filesystem::path path = folder.path() / "policy.db";
};

TEST_F(PolicyFile, StartsWithRowsThatOneCanRead) {
  PolicyDatabase database(path);
  const policy::Model model = database.load();
  ASSERT_EQ(model.settings.size(), 3u);
  EXPECT_EQ(model.settings[0].value, "deny");
  EXPECT_EQ(model.settings[1].name + ' ' + model.settings[1].value, "dns_ports 53");
  EXPECT_EQ(model.settings[2].name + ' ' + model.settings[2].value, "judge_answers 1");
  ASSERT_FALSE(model.port_permits.empty());
  const policy::PortPermit& last = model.port_permits.back();
  EXPECT_EQ(last.action, "allow");
  EXPECT_EQ(last.destination, std::nullopt);
  EXPECT_EQ(last.ports, "all");
  for (const policy::PortPermit& permit : model.port_permits)
    EXPECT_TRUE(permit.action == "allow" || permit.priority < last.priority) << permit.id;
  EXPECT_EQ(model.groups.size(), 1u);
  EXPECT_GT(model.revision, 0);
  const auto mode = std::filesystem::status(path).permissions();
  EXPECT_EQ(mode, std::filesystem::perms{0640});
}

TEST_F(PolicyFile, IsLeftAloneBySecondInit) {
  EXPECT_EQ(shell("DELETE FROM port_permits"), "");
  const PolicySchema again = prepare_policy(path);
  EXPECT_FALSE(again.created);
  EXPECT_TRUE(again.backup.empty());
  EXPECT_TRUE(PolicyDatabase(path).load().port_permits.empty());
}

TEST_F(PolicyFile, TakesShortInserts) {
  EXPECT_EQ(shell("INSERT INTO groups(name) VALUES('kids');"
                  "INSERT INTO group_members(group_id, pattern) VALUES(1, 'token:bob');"
                  "INSERT INTO domain_rules(domain) VALUES('ads.example');"
                  "INSERT INTO port_permits(ports) VALUES(53);"
                  "INSERT INTO traffic_rules(rate_up) VALUES(1000);"
                  "INSERT INTO domain_lists(name) VALUES('ads');"
                  "INSERT INTO credentials(kind, value, identity) VALUES('unix', 'bob', 'unix:bob')"),
            "");
  const policy::Model model = PolicyDatabase(path).load();
  EXPECT_EQ(model.group_members.at(0).kind, "identity");
  EXPECT_EQ(model.domain_rules.at(0).match, "suffix");
  EXPECT_EQ(model.domain_rules.at(0).action, "block");
  EXPECT_EQ(model.port_permits.back().ports, "53");
  EXPECT_EQ(model.port_permits.back().transport, "any");
  EXPECT_EQ(model.traffic_rules.back().group_id, 0);
  EXPECT_EQ(model.traffic_rules.back().scope, "session");
  EXPECT_EQ(model.traffic_rules.back().rate_up, 1000);
  EXPECT_EQ(model.traffic_rules.back().rate_down, std::nullopt);
}

TEST_F(PolicyFile, ReadsEveryColumnOfATrafficRule) {
  std::string columns, values;
  std::int64_t value = 1;
  for (const policy::TrafficColumn& column : policy::kTrafficColumns) {
    columns += ", " + std::string(column.name);
    values += ", " + std::to_string(value++);
  }
  EXPECT_EQ(shell("INSERT INTO traffic_rules(quota_period, expires_at" + columns + ") VALUES('day', 99" + values + ")"),
            "");
  const policy::TrafficRule rule = PolicyDatabase(path).load().traffic_rules.back();
  value = 1;
  for (const policy::TrafficColumn& column : policy::kTrafficColumns)
    EXPECT_EQ(rule.*column.row, value++) << column.name;
  EXPECT_EQ(rule.quota_period, "day");
  EXPECT_EQ(rule.life.expires_at, 99);
}

TEST_F(PolicyFile, MovesTheRevisionWithEveryKindOfEdit) {
  PolicyDatabase database(path);
  std::int64_t revision = database.load().revision;
  for (const char* sql : {"INSERT INTO domain_rules(id, domain) VALUES(5, 'a')", "UPDATE domain_rules SET domain = 'b'",
                          "INSERT OR REPLACE INTO domain_rules(id, domain) VALUES(5, 'c')", "DELETE FROM domain_rules",
                          "INSERT INTO groups(id, name) VALUES(3, 'g')", "UPDATE groups SET name = 'h' WHERE id = 3",
                          "INSERT INTO group_members(group_id, pattern) VALUES(3, 'x')", "DELETE FROM group_members",
                          "DELETE FROM groups WHERE id = 3", "INSERT INTO port_permits DEFAULT VALUES",
                          "UPDATE settings SET value = 'allow' WHERE name = 'default_action'",
                          "INSERT INTO traffic_rules DEFAULT VALUES", "INSERT INTO domain_lists(name) VALUES('x')",
                          "INSERT INTO credentials(kind, value, identity) VALUES('unix', 'b', 'unix:b')"}) {
    EXPECT_EQ(shell(sql), "") << sql;
    const std::int64_t now = database.load().revision;
    EXPECT_GT(now, revision) << sql;
    revision = now;
  }
}

TEST_F(PolicyFile, TellsOfCommitsByOthers) {
  PolicyDatabase database(path);
  EXPECT_FALSE(database.changed());
  EXPECT_EQ(shell("INSERT INTO domain_rules(domain) VALUES('a')"), "");
  EXPECT_TRUE(database.changed());
  EXPECT_FALSE(database.changed());
  EXPECT_EQ(shell("BEGIN; INSERT INTO domain_rules(domain) VALUES('b'); ROLLBACK"), "");
  EXPECT_FALSE(database.changed());
  EXPECT_EQ(database.load().domain_rules.size(), 1u);
}

TEST_F(PolicyFile, FollowsAReplacedFileWithoutItsOldLog) {
  PolicyDatabase database(path);
  const auto other = folder.path() / "new.db";
  prepare_policy(other);
  EXPECT_EQ(
      run_sqlite_shell(other, "INSERT INTO domain_rules(domain) VALUES('new.test'); PRAGMA wal_checkpoint(TRUNCATE)")
          .find("Error"),
      std::string::npos);
  EXPECT_EQ(shell("INSERT INTO domain_rules(domain) VALUES('old.test')"), "");  // stands in the log of the old file
  static_cast<void>(database.load());
  std::filesystem::rename(other, path);
  EXPECT_TRUE(database.changed());
  const policy::Model model = database.load();
  ASSERT_EQ(model.domain_rules.size(), 1u);
  EXPECT_EQ(model.domain_rules[0].domain, "new.test");
  EXPECT_FALSE(database.changed());
  EXPECT_EQ(shell("INSERT INTO domain_rules(domain) VALUES('more.test'); PRAGMA integrity_check"), "ok\n");
  EXPECT_TRUE(database.changed());
}

TEST_F(PolicyFile, SaysThatItIsGoneAndComesBack) {
  PolicyDatabase database(path);
  std::filesystem::rename(path, folder.path() / "away.db");
  EXPECT_THROW(static_cast<void>(database.changed()), std::system_error);
  std::ofstream(path) << std::string(4096, 'x');
  EXPECT_THROW(static_cast<void>(database.changed()), std::runtime_error);
  EXPECT_THROW(static_cast<void>(database.load()), std::runtime_error);
  std::filesystem::rename(folder.path() / "away.db", path);
  EXPECT_TRUE(database.changed());
  EXPECT_FALSE(database.load().port_permits.empty());
}

/// What the opening or the reading says, and that it does not take long.
std::string refusal_of(const std::filesystem::path& path, const std::atomic<bool>* stop = nullptr) {
  try {
    static_cast<void>(PolicyDatabase(path, stop).load());
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

TEST_F(PolicyFile, OfAVersionThatNobodyGaveItIsRefused) {
  for (const char* version : {"-1", "-2147483648", "0"}) {
    shell(std::string("PRAGMA user_version = ") + version);
    EXPECT_THAT(refusal_of(path),
                AllOf(HasSubstr(std::string("has schema version ") + version + ", which no Gatehouse"),
                      HasSubstr("restore a copy")));
    EXPECT_THROW(prepare_policy(path), std::runtime_error) << version;
  }
}

TEST_F(PolicyFile, OfAnotherOfGatehousesDatabasesIsRefused) {
  for (const std::int64_t other : {kStateApplicationId, kSecretsApplicationId}) {
    const auto empty = folder.path() / "empty.db";
    run_sqlite_shell(empty, "PRAGMA application_id = " + std::to_string(other) + "; VACUUM");
    EXPECT_THROW(prepare_policy(empty), std::runtime_error);
    shell("PRAGMA application_id = " + std::to_string(other));
    EXPECT_THAT(refusal_of(path), HasSubstr("is not a policy database of Gatehouse"));
  }
}

TEST_F(PolicyFile, WhoseTablesAreViewsIsRefusedWithoutRunningThem) {
  for (const char* table : {"domain_rules", "port_permits", "meta", "settings", "changes", "rows_before"}) {
    const std::string name = table;
    // Not by the shell: that of SQLite 3.46 lets nobody write to the schema.
    Database(path, OpenMode::read_write, std::chrono::seconds(1))
        .run("PRAGMA writable_schema = ON; UPDATE sqlite_schema SET name = 'former_" + name + "', tbl_name = 'former_" +
             name + "', sql = replace(sql, 'TABLE " + name + "', 'TABLE former_" + name +
             "') WHERE type = 'table' AND name = '" + name +
             "'; DELETE FROM sqlite_schema WHERE type <> 'table'; PRAGMA writable_schema = RESET");
    ASSERT_EQ(shell("CREATE VIEW " + name +
                    " AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
                    "SELECT i AS id, NULL AS group_id, 'x' AS domain, 'suffix' AS match, 'block' AS action, 1 AS "
                    "enabled, NULL AS expires_at, i AS revision FROM n"),
              "");
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_THAT(refusal_of(path), AllOf(HasSubstr('`' + name + "` is a view"), HasSubstr("restore a copy")));
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2));
    std::filesystem::remove(path);
    prepare_policy(path);
  }
}

TEST_F(PolicyFile, WhoseTablesBecomeViewsWhileItIsOpenIsRefused) {
  PolicyDatabase database(path);
  EXPECT_FALSE(database.load().port_permits.empty());
  ASSERT_EQ(
      shell("DROP TABLE settings; CREATE VIEW settings AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 "
            "FROM n) SELECT i AS id, 'x' AS name, 'y' AS value FROM n"),
      "");
  EXPECT_TRUE(database.changed());
  EXPECT_THROW(static_cast<void>(database.load()), std::runtime_error);
  EXPECT_EQ(shell("PRAGMA user_version = -3"), "");
  EXPECT_TRUE(database.changed());
  EXPECT_THROW(static_cast<void>(database.load()), std::runtime_error);
}

TEST_F(PolicyFile, WhoseColumnsAreComputedIsRefusedAtOnce) {
  // One step of SQLite's machine would take hours.
  const std::string endless = "('x' LIKE hex(zeroblob(400000)) || '%' || hex(zeroblob(400000)))";
  for (const char* table : {"domain_rules", "changes"}) {
    for (const char* kind : {"VIRTUAL", "STORED"}) {
      const std::string name = table;
      ASSERT_EQ(shell("DROP TABLE " + name + "; CREATE TABLE " + name +
                      " (id INTEGER PRIMARY KEY, group_id, domain, "
                      "match AS " +
                      endless + " " + kind + ", action, enabled, expires_at)"),
                "");
      const auto begin = std::chrono::steady_clock::now();
      EXPECT_THAT(refusal_of(path), HasSubstr("` of `" + name + "` is computed there"));
      EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
      std::filesystem::remove(path);
      prepare_policy(path);
    }
  }
}

TEST_F(PolicyFile, WithAValueOfMegabytesIsRefusedBeforeItIsRead) {
  ASSERT_EQ(shell("INSERT INTO domain_rules(id, domain) VALUES(7, 'a.test')"), "");
  ASSERT_EQ(shell("INSERT INTO domain_rules(id, domain) VALUES(9, printf('%.*c', 200000000, 'x'))"), "");
  EXPECT_THAT(refusal_of(path), AllOf(HasSubstr("a value of the first row after 7 of domain_rules"),
                                      HasSubstr("shorten it, or delete the row")));
}

TEST_F(PolicyFile, WithMoreThanAPolicyIsRefused) {
  ASSERT_EQ(shell(many_rows()), "");
  EXPECT_LT(std::filesystem::file_size(path), 16U << 20U);
  EXPECT_THAT(refusal_of(path), AllOf(HasSubstr("has more than 512 MiB of rows"), HasSubstr("policy import")));
}

TEST_F(PolicyFile, IsGivenUpWhenSomebodyWantsToStop) {
  const std::string rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) ";
  ASSERT_EQ(shell(rows + "INSERT INTO domain_rules(domain) SELECT 'n' || i FROM n"), "");
  std::atomic<bool> stop{false};
  PolicyDatabase database(path, &stop);
  EXPECT_EQ(database.load().domain_rules.size(), 20000u);
  stop = true;
  EXPECT_THROW(static_cast<void>(database.load()), std::runtime_error);
}

TEST_F(PolicyFile, NoticesThatItIsWrittenOverWithinOneTickOfTheClock) {
  PolicyDatabase database(path);
  static_cast<void>(shell("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)"));
  static_cast<void>(database.changed());
  const auto other = folder.path() / "new.db";
  prepare_policy(other);
  ASSERT_EQ(run_sqlite_shell(other, "INSERT INTO domain_rules(domain) VALUES('new.test'); VACUUM; VACUUM"), "");
  ASSERT_EQ(std::filesystem::file_size(other), std::filesystem::file_size(path));
  const auto time = std::filesystem::last_write_time(path);
  EXPECT_FALSE(database.changed());
  std::fstream(path, std::ios::in | std::ios::out | std::ios::binary) << std::ifstream(other, std::ios::binary).rdbuf();
  std::filesystem::last_write_time(path, time);
  EXPECT_TRUE(database.changed());
  EXPECT_EQ(database.load().domain_rules.at(0).domain, "new.test");
}

TEST_F(PolicyFile, NeverWritesRows) {
  PolicyDatabase database(path);
  Database direct(path, OpenMode::read_write, std::chrono::milliseconds(0));
  direct.run("PRAGMA query_only = ON");
  EXPECT_THROW(direct.run("DELETE FROM port_permits"), SqliteError);
  const std::string before = shell(".dump");
  static_cast<void>(database.load());
  static_cast<void>(database.read_table("port_permits"));
  EXPECT_EQ(shell(".dump"), before);
}

TEST(PolicyMigration, KeepsACopyOfWhatItChanges) {
  const ScratchFolder folder;
  const auto path = folder.path() / "policy.db";
  prepare_policy(path);
  EXPECT_EQ(run_sqlite_shell(path, "INSERT INTO domain_rules(domain) VALUES('mine.test')"), "");
  std::vector<std::string_view> migrations(policy_migrations().begin(), policy_migrations().end());
  migrations.push_back("ALTER TABLE groups ADD COLUMN colour TEXT NOT NULL DEFAULT 'blue'");
  const PolicySchema done = prepare_policy(path, migrations);
  EXPECT_EQ(done.from + 1, done.to);
  EXPECT_FALSE(done.created);
  EXPECT_EQ(run_sqlite_shell(path, "SELECT colour FROM groups; SELECT domain FROM domain_rules"), "blue\nmine.test\n");
  EXPECT_EQ(run_sqlite_shell(done.backup, "SELECT domain FROM domain_rules"), "mine.test\n");
  EXPECT_THAT(run_sqlite_shell(done.backup, "SELECT colour FROM groups"), HasSubstr("no such column"));
  try {
    prepare_policy(path);  // an older Gatehouse
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("knows"), HasSubstr("update Gatehouse")));
  }
}

TEST(PolicyMigration, KeepsTokensFromOthersWhateverTheUmask) {
  const ScratchFolder folder;
  const auto path = folder.path() / "policy.db";
  const mode_t before = ::umask(0);
  prepare_policy(path);
  std::vector<std::string_view> migrations(policy_migrations().begin(), policy_migrations().end());
  migrations.push_back("ALTER TABLE groups ADD COLUMN colour TEXT");
  const PolicySchema done = prepare_policy(path, migrations);
  ::umask(before);
  EXPECT_EQ(std::filesystem::status(path).permissions(), std::filesystem::perms{0640});
  EXPECT_EQ(std::filesystem::status(done.backup).permissions(), std::filesystem::perms{0640});
}

TEST(PolicyMigration, ThatFailsLeavesNoFileThatIsNotReady) {
  const ScratchFolder folder;
  const auto path = folder.path() / "policy.db";
  EXPECT_THROW(
      prepare_policy(path, std::vector<std::string_view>{"CREATE TABLE meta(revision); SELECT no_such_column"}),
      SqliteError);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(PolicyMigration, ThatFailsChangesNothing) {
  const ScratchFolder folder;
  const auto path = folder.path() / "policy.db";
  prepare_policy(path);
  const std::string before = run_sqlite_shell(path, ".dump");
  std::vector<std::string_view> migrations(policy_migrations().begin(), policy_migrations().end());
  migrations.push_back("DROP TABLE changes; SELECT no_such_column");
  EXPECT_THROW(prepare_policy(path, migrations), SqliteError);
  EXPECT_EQ(run_sqlite_shell(path, ".dump"), before);
  EXPECT_NO_THROW(PolicyDatabase{path});
}

TEST(PolicyMigration, RefusesAFileThatIsNotOurs) {
  const ScratchFolder folder;
  const auto path = folder.path() / "other.db";
  EXPECT_EQ(run_sqlite_shell(path, "CREATE TABLE songs(name)"), "");
  EXPECT_THROW(prepare_policy(path), std::runtime_error);
  EXPECT_EQ(run_sqlite_shell(path, ".tables"), "songs\n");
  std::ofstream(folder.path() / "text.db") << std::string(4096, 'x');
  try {
    prepare_policy(folder.path() / "text.db");
    FAIL();
  } catch (const SqliteError& error) {
    EXPECT_THAT(error.what(), HasSubstr("file is not a database"));
  }
}

}  // namespace
}  // namespace gatehouse::db
