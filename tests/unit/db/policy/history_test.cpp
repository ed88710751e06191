// The audit trail: written by whoever edits, read, and taken back.
#include "db/policy/history.hpp"
#include "db/migrations.hpp"
#include "tests/unit/db/scratch.hpp"

#include <gmock/gmock.h>

#include <chrono>

namespace gatehouse::db {
namespace {

using testing::HasSubstr;

class PolicyHistory : public testing::Test {
 protected:
  void SetUp() override { prepare_policy(path); }
  std::string shell(const std::string& sql) const { return run_sqlite_shell(path, sql); }
  /// A line a change: row id, how old and new row stand, oldest first.
  std::string trail(std::int64_t after = 0) const {
    return shell(
        "SELECT table_name || ' ' || row_id || CASE WHEN old_row IS NULL THEN ' inserted' WHEN new_row IS NULL "
        "THEN ' deleted' ELSE ' updated' END FROM changes WHERE id > " +
        std::to_string(after) + " ORDER BY id");
  }
  std::int64_t last() const { return History(path).last_number().value_or(0); }
  RowChange take_back(std::int64_t number, bool force = false) const {
    PolicyEditor editor(path, "tester");
    RowChange done = undo(editor, number, force);
    editor.commit();
    return done;
  }
  std::string refusal(std::int64_t number, bool force = false) const {
    try {
      take_back(number, force);
      return "none";
    } catch (const std::exception& error) {
      return error.what();
    }
  }

  ScratchFolder folder;
  std::filesystem::path path = folder.path() / "policy.db";
};

TEST_F(PolicyHistory, BeginsEmptyAfterTheStarterPolicy) { EXPECT_EQ(trail(), ""); }

/// One table, with a way to make, change and replace row 1 of it.
struct Edits {
  const char* table;
  const char* insert;   // row 50
  const char* update;   // of row 50
  const char* replace;  // row 50 again
  const char* other;    // another row with an unique name, replaced by `take`; "" = no such column
  const char* take;     // an insert whose name takes the other's place
};

constexpr Edits kEdits[] = {
    {"settings", "DELETE FROM settings; INSERT INTO settings(id, name, value) VALUES(50, 'default_action', 'deny')",
     "UPDATE settings SET value = 'allow'",
     "REPLACE INTO settings(id, name, value) VALUES(50, 'default_action', 'deny')", "",
     "REPLACE INTO settings(id, name, value) VALUES(52, 'default_action', 'deny')"},
    {"groups", "INSERT INTO groups(id, name) VALUES(50, 'a')", "UPDATE groups SET comment = 'x' WHERE id = 50",
     "REPLACE INTO groups(id, name) VALUES(50, 'b')", "INSERT INTO groups(id, name) VALUES(51, 'other')",
     "REPLACE INTO groups(id, name) VALUES(52, 'other')"},
    {"group_members", "INSERT INTO group_members(id, group_id, pattern) VALUES(50, 7, 'a')",
     "UPDATE group_members SET pattern = 'b'", "REPLACE INTO group_members(id, group_id, pattern) VALUES(50, 7, 'c')",
     "", ""},
    {"credentials", "INSERT INTO credentials(id, kind, value, identity) VALUES(50, 'unix', 'a', 'unix:a')",
     "UPDATE credentials SET plugin = 'udpgw'",
     "REPLACE INTO credentials(id, kind, value, identity) VALUES(50, 'unix', 'b', 'unix:b')", "", ""},
    {"admissions", "INSERT INTO admissions(id) VALUES(50)", "UPDATE admissions SET action = 'deny'",
     "REPLACE INTO admissions(id, plugin) VALUES(50, 'udpgw')", "", ""},
    {"domain_rules", "INSERT INTO domain_rules(id, domain) VALUES(50, 'a')", "UPDATE domain_rules SET domain = 'b'",
     "REPLACE INTO domain_rules(id, domain) VALUES(50, 'c')", "", ""},
    {"domain_lists", "INSERT INTO domain_lists(id, name) VALUES(50, 'a')", "UPDATE domain_lists SET entries = 5",
     "REPLACE INTO domain_lists(id, name) VALUES(50, 'b')", "INSERT INTO domain_lists(id, name) VALUES(51, 'other')",
     "REPLACE INTO domain_lists(id, name) VALUES(52, 'other')"},
    {"port_permits", "INSERT INTO port_permits(id) VALUES(50)", "UPDATE port_permits SET ports = NULL WHERE id = 50",
     "REPLACE INTO port_permits(id, ports) VALUES(50, '53')", "", ""},
    {"traffic_rules", "INSERT INTO traffic_rules(id, rate_up) VALUES(50, 9007199254740993)",
     "UPDATE traffic_rules SET rate_up = 9223372036854775807", "REPLACE INTO traffic_rules(id, rate_up) VALUES(50, 1)",
     "INSERT INTO traffic_rules(id, scope) VALUES(51, 'identity')",
     "REPLACE INTO traffic_rules(id, scope) VALUES(52, 'identity')"},
};

class EachTable : public PolicyHistory, public testing::WithParamInterface<Edits> {
 protected:
  void SetUp() override {
    PolicyHistory::SetUp();
    ASSERT_EQ(shell("DELETE FROM traffic_rules; INSERT INTO groups(id, name) VALUES(7, 'kids')"), "");
  }
  std::string named(const std::string& text) const {
    std::string out = text;
    for (std::size_t at; (at = out.find('#')) != out.npos;) out.replace(at, 1, GetParam().table);
    return out;
  }
};

TEST_P(EachTable, WritesDownEveryKindOfEditOnce) {
  for (const std::string pragma : {"PRAGMA recursive_triggers = OFF; ", "PRAGMA recursive_triggers = ON; "}) {
    const Edits& edits = GetParam();
    ASSERT_EQ(shell(edits.insert), "");
    std::int64_t before = last();
    ASSERT_EQ(shell(pragma + edits.update), "");
    EXPECT_EQ(trail(before), named("# 50 updated\n"));
    ASSERT_EQ(shell(pragma + named("UPDATE # SET comment = comment")), "");
    EXPECT_EQ(trail(before), named("# 50 updated\n")) << "nothing changed";
    before = last();
    ASSERT_EQ(shell(pragma + edits.replace), "");
    EXPECT_EQ(trail(before), named("# 50 deleted\n# 50 inserted\n"));
    if (*edits.take != '\0') {
      const char* const taken = *edits.other != '\0' ? "51" : "50";
      if (*edits.other != '\0') {
        ASSERT_EQ(shell(edits.other), "");
      }
      before = last();
      ASSERT_EQ(shell(pragma + edits.take), "");
      EXPECT_EQ(trail(before), named("# ") + taken + named(" deleted\n# 52 inserted\n"));
    }
    before = last();
    const std::string id = *edits.take != '\0' && *edits.other == '\0' ? "52" : "50";
    ASSERT_EQ(shell(pragma + named("UPDATE # SET rowid = 60 WHERE id = ") + id), "");
    EXPECT_EQ(trail(before), named("# 60 updated\n")) << "a row that is given another id";
    before = last();
    ASSERT_EQ(shell(pragma + named("DELETE FROM # WHERE id IN (50, 51, 52, 60) AND id <> 52")), "");
    EXPECT_EQ(trail(before), named("# 60 deleted\n"));
    ASSERT_EQ(shell(named("DELETE FROM # WHERE id = 52")), "");
  }
}

TEST_P(EachTable, IsRestoredByUndo) {
  const Edits& edits = GetParam();
  const auto rows = [&] { return shell(named("SELECT * FROM # ORDER BY id")); };
  ASSERT_EQ(shell(edits.insert), "");
  const std::string inserted = rows();
  ASSERT_EQ(shell(edits.update), "");
  const std::string updated = rows();
  EXPECT_NE(updated, inserted);
  const std::int64_t update = last();
  take_back(update);
  EXPECT_EQ(rows(), inserted);
  EXPECT_EQ(shell("SELECT who FROM changes ORDER BY id DESC LIMIT 1"), "tester\n");
  take_back(last());  // the undoing itself
  EXPECT_EQ(rows(), updated);
  take_back(last());
  ASSERT_EQ(shell(named("DELETE FROM # WHERE id = 50")), "");
  take_back(last());
  EXPECT_EQ(rows(), inserted);
  ASSERT_EQ(shell(edits.replace), "");
  take_back(last());      // the insertion
  take_back(last() - 2);  // the deletion before it
  EXPECT_EQ(rows(), inserted);
  EXPECT_EQ(shell("SELECT editor FROM meta"), "sql\n");
}

INSTANTIATE_TEST_SUITE_P(Tables, EachTable, testing::ValuesIn(kEdits),
                         [](const auto& test) { return std::string(test.param.table); });

TEST_F(PolicyHistory, HasACaseForEveryTable) {
  ASSERT_EQ(std::size(kEdits), policy_tables().size());
  for (const Edits& edits : kEdits)
    EXPECT_NE(std::find(policy_tables().begin(), policy_tables().end(), edits.table), policy_tables().end());
}

TEST_F(PolicyHistory, HasEveryColumnOfEveryTable) {
  for (const std::string_view table : policy_tables()) {
    const std::string name(table);
    const std::string sql = shell("SELECT sql FROM sqlite_schema WHERE name = '" + name + "_rows'");
    std::istringstream columns(shell("SELECT name FROM pragma_table_info('" + name + "')"));
    for (std::string column; std::getline(columns, column);) EXPECT_THAT(sql, HasSubstr('\'' + column + "', ")) << name;
  }
}

TEST_F(PolicyHistory, SaysNothingOfWhatDidNotHappen) {
  ASSERT_EQ(shell("INSERT INTO groups(id, name) VALUES(7, 'kids'), (8, 'late')"), "");
  const std::int64_t before = last();
  for (const char* sql :
       {"INSERT OR IGNORE INTO groups(id, name) VALUES(7, 'x')", "INSERT OR IGNORE INTO groups(name) VALUES('kids')",
        "INSERT INTO groups(id, name) VALUES(7, 'x') ON CONFLICT DO NOTHING",
        "UPDATE OR IGNORE groups SET name = 'late' WHERE id = 7", "BEGIN; DELETE FROM groups WHERE id = 7; ROLLBACK"})
    EXPECT_EQ(shell(sql), "") << sql;
  EXPECT_THAT(shell("INSERT INTO groups(name) VALUES('late')"), HasSubstr("UNIQUE"));
  EXPECT_EQ(trail(before), "");
  EXPECT_EQ(shell("INSERT INTO groups(id, name) VALUES(7, 'x') ON CONFLICT(id) DO UPDATE SET comment = 'upsert'"), "");
  EXPECT_EQ(trail(before), "groups 7 updated\n");
  EXPECT_EQ(shell("INSERT INTO groups(name) VALUES('next')"), "");
  EXPECT_EQ(trail(before), "groups 7 updated\ngroups 9 inserted\n");
}

TEST_F(PolicyHistory, HasWhatUpdateOrReplaceRemoves) {
  ASSERT_EQ(shell("INSERT INTO groups(id, name) VALUES(7, 'a'), (8, 'b'), (9, 'c')"), "");
  const std::int64_t before = last();
  EXPECT_EQ(shell("UPDATE OR REPLACE groups SET id = 8, name = 'c' WHERE id = 7"), "");
  EXPECT_EQ(trail(before), "groups 8 deleted\ngroups 9 deleted\ngroups 8 updated\n");
  take_back(before + 3);
  take_back(before + 2);
  take_back(before + 1);
  EXPECT_EQ(shell("SELECT id, name FROM groups WHERE id > 0"), "7|a\n8|b\n9|c\n");
}

TEST_F(PolicyHistory, SaysWhoByTheEditorsTransaction) {
  {
    PolicyEditor editor(path, "alice");
    editor.database().run("INSERT INTO domain_rules(domain) VALUES('a')");
    editor.commit();
  }
  {
    PolicyEditor lost(path, "bob");
    lost.database().run("INSERT INTO domain_rules(domain) VALUES('b')");
  }
  ASSERT_EQ(shell("INSERT INTO domain_rules(domain) VALUES('c')"), "");
  EXPECT_EQ(shell("SELECT who FROM changes ORDER BY id"), "alice\nsql\n");
  const std::vector<Change> newest = History(path).newest(1);
  ASSERT_EQ(newest.size(), 1u);
  EXPECT_EQ(newest[0].who, "sql");
  EXPECT_EQ(newest[0].old_row, std::nullopt);
  EXPECT_EQ(column(*newest[0].new_row, "domain"), Cell("c"));
  EXPECT_GT(newest[0].changed_at, 1'600'000'000);
}

TEST_F(PolicyHistory, SumsUpWhatManyChangesComeTo) {
  ASSERT_EQ(shell("INSERT INTO domain_rules(id, domain) VALUES(1, 'a'), (2, 'b'), (3, 'c')"), "");
  const std::int64_t since = last() + 1;
  ASSERT_EQ(
      shell("UPDATE domain_rules SET domain = 'a2' WHERE id = 1; UPDATE domain_rules SET domain = 'a3' WHERE id = 1;"
            "UPDATE domain_rules SET domain = 'x' WHERE id = 2; UPDATE domain_rules SET domain = 'b' WHERE id = 2;"
            "INSERT INTO domain_rules(id, domain) VALUES(4, 'd'); DELETE FROM domain_rules WHERE id = 4;"
            "REPLACE INTO domain_rules(id, domain) VALUES(3, 'c2'); UPDATE domain_rules SET id = 9 WHERE id = 3"),
      "");
  const std::vector<RowChange> rows = History(path).net_since(since);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].row, 1);
  EXPECT_EQ(column(*rows[0].old_row, "domain"), Cell("a"));
  EXPECT_EQ(column(*rows[0].new_row, "domain"), Cell("a3"));
  EXPECT_EQ(rows[1].row, 9);
  EXPECT_EQ(column(*rows[1].old_row, "id"), Cell(std::int64_t{3}));
  EXPECT_EQ(column(*rows[1].new_row, "domain"), Cell("c2"));
}

TEST_F(PolicyHistory, RefusesToUndoWhatHasChangedSinceUnlessForced) {
  ASSERT_EQ(shell("INSERT INTO domain_rules(id, domain) VALUES(1, 'a');"
                  "UPDATE domain_rules SET domain = 'b'; UPDATE domain_rules SET comment = 'kept'"),
            "");
  EXPECT_THAT(refusal(2), HasSubstr("domain_rules 1 has been changed since change 2"));
  EXPECT_THAT(refusal(1), HasSubstr("--force"));
  EXPECT_THAT(refusal(99), HasSubstr("there is no change 99"));
  take_back(2, true);
  EXPECT_EQ(shell("SELECT domain, comment FROM domain_rules"), "a|kept\n");
  take_back(1, true);
  EXPECT_EQ(shell("SELECT count(*) FROM domain_rules"), "0\n");
  EXPECT_THAT(refusal(1), HasSubstr("there is nothing to undo"));
  EXPECT_THAT(refusal(2), HasSubstr("domain_rules 1 has been deleted since change 2"));
  take_back(2, true);
  EXPECT_EQ(shell("SELECT id, domain FROM domain_rules"), "1|a\n");
}

TEST_F(PolicyHistory, RefusesToUndoWhatATriggerRefuses) {
  ASSERT_EQ(shell("INSERT INTO groups(id, name) VALUES(7, 'kids');"
                  "INSERT INTO domain_rules(group_id, domain) VALUES(7, 'x.test')"),
            "");
  const std::string before = shell(".dump");
  EXPECT_THAT(refusal(1, true), HasSubstr("that group has members or rules: delete those first"));
  EXPECT_EQ(shell(".dump"), before);
}

TEST_F(PolicyHistory, KeepsTheNewestHundredThousandAndIsQuick) {
  const auto start = std::chrono::steady_clock::now();
  ASSERT_EQ(
      shell("INSERT INTO domain_rules(domain) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE "
            "i < 100010) SELECT 'n' || i || '.test' FROM n"),
      "");
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  RecordProperty("seconds", std::to_string(seconds));
  EXPECT_LT(seconds, 20);  // 1.1 on an idle machine
  EXPECT_EQ(shell("SELECT count(*), min(id) FROM changes"), "100000|11\n");
}

/// A row of each table as others will read it: their format. Columns are only ever appended.
TEST_F(PolicyHistory, HasRowsInAFormatThatOnlyGrows) {
  ASSERT_EQ(shell("DELETE FROM port_permits; DELETE FROM settings; DELETE FROM traffic_rules;"
                  "INSERT INTO settings(id, name, value) VALUES(1, 'default_action', 'deny');"
                  "INSERT INTO groups(id, name) VALUES(7, 'kids');"
                  "INSERT INTO group_members(id, group_id, pattern) VALUES(1, 7, 'token:kid');"
                  "INSERT INTO credentials(id, kind, value, identity) VALUES(1, 'unix', 'bob', 'unix:bob');"
                  "INSERT INTO admissions(id) VALUES(1);"
                  "INSERT INTO domain_rules(id, domain) VALUES(1, 'ads.example');"
                  "INSERT INTO domain_lists(id, name) VALUES(1, 'ads');"
                  "INSERT INTO port_permits(id, ports) VALUES(1, '53');"
                  "INSERT INTO traffic_rules(id, rate_up) VALUES(1, 1000)"),
            "");
  const std::pair<const char*, const char*> rows[] = {
      {"settings", R"({"id":1,"name":"default_action","value":"deny","comment":""})"},
      {"groups", R"({"id":7,"name":"kids","priority":100,"enabled":1,"comment":""})"},
      {"group_members",
       R"({"id":1,"group_id":7,"kind":"identity","pattern":"token:kid","enabled":1,"expires_at":null,"comment":""})"},
      {"credentials",
       R"({"id":1,"kind":"unix","value":"bob","identity":"unix:bob","plugin":null,"enabled":1,"expires_at":null,)"
       R"("comment":""})"},
      {"admissions",
       R"({"id":1,"group_id":null,"plugin":"*","listener":"*","action":"allow","priority":100,"enabled":1,)"
       R"("expires_at":null,"comment":""})"},
      {"domain_rules",
       R"({"id":1,"group_id":null,"domain":"ads.example","match":"suffix","action":"block","enabled":1,)"
       R"("expires_at":null,"comment":""})"},
      {"domain_lists",
       R"({"id":1,"name":"ads","group_id":null,"action":"block","match":"suffix","format":"domains","file":"",)"
       R"("entries":0,"enabled":1,"expires_at":null,"comment":""})"},
      {"port_permits",
       R"({"id":1,"group_id":null,"transport":"any","ports":"53","destination":null,"action":"allow","priority":100,)"
       R"("enabled":1,"expires_at":null,"comment":""})"},
      {"traffic_rules",
       R"({"id":1,"group_id":0,"scope":"session","rate_up":1000,"rate_down":null,"burst_up":null,"burst_down":null,)"
       R"("unthrottled_up":null,"unthrottled_down":null,"quota_bytes":null,"quota_period":null,)"
       R"("concurrent_flows":null,"new_flows_per_second":null,"destinations_per_minute":null,)"
       R"("concurrent_sessions":null,"udp_idle_seconds":null,"tcp_idle_seconds":null,"session_idle_seconds":null,)"
       R"("enabled":1,"expires_at":null,"comment":"","token_failures_per_minute":null})"},
  };
  ASSERT_EQ(std::size(rows), policy_tables().size());
  for (const auto& [table, row] : rows)
    EXPECT_EQ(shell("SELECT row FROM " + std::string(table) + "_rows WHERE id <> 0"), std::string(row) + '\n') << table;
}

TEST(PolicyMigration, KeepsPermitsWithTheirIdsAndSaysNothingOfThem) {
  const ScratchFolder folder;
  const auto path = folder.path() / "policy.db";
  ASSERT_EQ(
      run_sqlite_shell(path, std::string(policy_migrations()[0]) + std::string(policy_migrations()[1]) +
                                 "\nPRAGMA application_id = " + std::to_string(kPolicyApplicationId) +
                                 "; PRAGMA user_version = 2; INSERT INTO port_permits(id, transport, ports, comment) "
                                 "VALUES(40, 'udp', NULL, 'mine'), (7, 'tcp', '80', '')"),
      "");
  const std::string rows = run_sqlite_shell(path, "SELECT * FROM port_permits ORDER BY id");
  const std::string trail = run_sqlite_shell(path, "SELECT * FROM changes; SELECT revision FROM meta");
  prepare_policy(path);
  EXPECT_EQ(run_sqlite_shell(path, "SELECT * FROM port_permits ORDER BY id"), rows);
  EXPECT_EQ(run_sqlite_shell(path, "SELECT * FROM changes; SELECT revision FROM meta"), trail);
  EXPECT_EQ(
      run_sqlite_shell(path, "INSERT INTO port_permits(transport) VALUES('icmp'); SELECT max(id) FROM port_permits"),
      "41\n");
}

TEST(PolicyMigration, KeepsTrafficRulesAndWhatTheTrailSaysOfThem) {
  const ScratchFolder folder;
  const auto path = folder.path() / "policy.db";
  std::string before;
  for (std::size_t i = 0; i < 3; ++i) before += std::string(policy_migrations()[i]) + '\n';
  ASSERT_EQ(run_sqlite_shell(path, before + "PRAGMA application_id = " + std::to_string(kPolicyApplicationId) +
                                       "; PRAGMA user_version = 3; INSERT INTO traffic_rules(rate_up) VALUES(1000); "
                                       "UPDATE traffic_rules SET rate_up = 2000"),
            "");
  const std::string trail = run_sqlite_shell(path, "SELECT * FROM changes; SELECT revision FROM meta");
  prepare_policy(path);
  EXPECT_EQ(run_sqlite_shell(path, "SELECT * FROM changes; SELECT revision FROM meta"), trail);
  EXPECT_EQ(run_sqlite_shell(path, "SELECT rate_up, token_failures_per_minute IS NULL FROM traffic_rules"), "2000|1\n");
  PolicyEditor editor(path, "tester");
  static_cast<void>(undo(editor, 2, false));
  editor.commit();
  EXPECT_EQ(run_sqlite_shell(path, "SELECT rate_up FROM traffic_rules"), "1000\n");
  EXPECT_EQ(run_sqlite_shell(path,
                             "UPDATE traffic_rules SET token_failures_per_minute = 9; SELECT new_row ->> "
                             "'token_failures_per_minute' FROM changes ORDER BY id DESC LIMIT 1"),
            "9\n");
}

TEST(PolicyMigration, BringsTheFirstVersionUpToDate) {
  const ScratchFolder folder;
  const auto path = folder.path() / "policy.db";
  ASSERT_EQ(
      run_sqlite_shell(path, std::string(policy_migrations()[0]) +
                                 "\nPRAGMA application_id = " + std::to_string(kPolicyApplicationId) +
                                 "; PRAGMA user_version = 1; INSERT INTO domain_rules(domain) VALUES('mine.test')"),
      "");
  const PolicySchema done = prepare_policy(path);
  EXPECT_FALSE(done.created);
  EXPECT_EQ(done.from, 1);
  EXPECT_EQ(done.backup, folder.path() / "policy.db.v1");
  EXPECT_EQ(run_sqlite_shell(done.backup, "SELECT domain FROM domain_rules; PRAGMA user_version"), "mine.test\n1\n");
  EXPECT_EQ(PolicyDatabase(path).load().domain_rules.at(0).domain, "mine.test");
  EXPECT_EQ(run_sqlite_shell(path, "UPDATE domain_rules SET domain = 'other.test'; SELECT who, row_id FROM changes"),
            "sql|1\n");
  EXPECT_EQ(run_sqlite_shell(path, "SELECT value FROM settings"), "") << "the starter policy is for new files";
  EXPECT_EQ(run_sqlite_shell(path, "INSERT INTO settings(name, value) VALUES('dns_ports', '53,5353')"), "");
  EXPECT_EQ(PolicyDatabase(path).load().settings.at(0).value, "53,5353");
}

TEST_F(PolicyHistory, OfAFileThatNeverEndsIsGivenUp) {
  ASSERT_EQ(shell("DROP TABLE changes; CREATE VIEW changes AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 "
                  "FROM n) SELECT i AS id, 0 AS changed_at, '' AS who, '' AS table_name, 0 AS row_id, NULL AS old_row, "
                  "NULL AS new_row FROM n"),
            "");
  for (const bool edits : {false, true}) {
    try {
      edits ? static_cast<void>(PolicyEditor(path, "tester")) : static_cast<void>(History(path));
      FAIL();
    } catch (const std::runtime_error& error) {
      EXPECT_THAT(error.what(), HasSubstr("`changes` is a view"));
    }
  }
}

TEST_F(PolicyHistory, AnEditThatTakesLongerThanItsTimeIsRolledBack) {
  ASSERT_EQ(
      shell("CREATE TRIGGER never AFTER INSERT ON domain_rules BEGIN SELECT count(*) FROM (WITH RECURSIVE n(i) AS "
            "(SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n); END"),
      "");
  const auto begin = std::chrono::steady_clock::now();
  {
    PolicyEditor editor(path, "tester", std::chrono::milliseconds(200));
    EXPECT_THROW(editor.database().run("INSERT INTO domain_rules(domain) VALUES('a.test')"), SqliteError);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
  EXPECT_EQ(shell("DROP TRIGGER never; SELECT count(*) FROM domain_rules"), "0\n");
}

TEST_F(PolicyHistory, AnEditReadsNoValueOfMegabytes) {
  ASSERT_EQ(shell("UPDATE groups SET comment = printf('%.*c', 5000000, 'x')"), "");
  EXPECT_THROW(static_cast<void>(History(path).newest(1)), SqliteError);
  PolicyEditor editor(path, "tester");
  EXPECT_THROW(static_cast<void>(undo(editor, last(), false)), SqliteError);
  EXPECT_THROW(editor.database().run("UPDATE groups SET comment = comment || '.'"), SqliteError);
}

}  // namespace
}  // namespace gatehouse::db
