// Every sentence that the schema refuses a row with, as the sqlite3 shell prints it.
#include "db/policy/policy_database.hpp"
#include "tests/unit/db/scratch.hpp"

#include <gmock/gmock.h>

#include <sstream>

namespace gatehouse::db {
namespace {

using testing::HasSubstr;

struct Refused {
  const char* sql;
  const char* sentence;
};

constexpr Refused kRefused[] = {
    {"INSERT INTO port_permits(action) VALUES('alow')", "action is allow, deny or monitor"},
    {"INSERT INTO port_permits(transport) VALUES('sctp')", "transport is tcp, udp, icmp or any"},
    {"INSERT INTO admissions(action) VALUES('block')", "action is allow or deny"},
    {"INSERT INTO admissions(plugin) VALUES('')", "plugin must not be empty"},
    {"INSERT INTO admissions(listener) VALUES('')", "listener must not be empty"},
    {"INSERT INTO admissions(enabled) VALUES(2)", "enabled is 0 or 1"},
    {"INSERT INTO admissions(group_id) VALUES(99)", "group_id is not the id of a group"},
    {"UPDATE admissions SET group_id = 99", "group_id is not the id of a group"},
    {"INSERT OR REPLACE INTO settings(id, name, value) VALUES(-1, 'default_action', 'deny')",
     "ids below 0 are reserved"},
    {"UPDATE settings SET id = -1", "ids below 0 are reserved"},
    {"INSERT INTO groups(id, name) VALUES(-1, 'n')", "ids below 0 are reserved"},
    {"UPDATE groups SET id = -1 WHERE id = 8", "ids below 0 are reserved"},
    {"INSERT INTO group_members(id, group_id, pattern) VALUES(-1, 7, 'p')", "ids below 0 are reserved"},
    {"UPDATE group_members SET id = -1", "ids below 0 are reserved"},
    {"INSERT INTO credentials(id, kind, value, identity) VALUES(-1, 'unix', 'v', 'unix:v')",
     "ids below 0 are reserved"},
    {"UPDATE credentials SET id = -1", "ids below 0 are reserved"},
    {"INSERT INTO admissions(id) VALUES(-1)", "ids below 0 are reserved"},
    {"UPDATE admissions SET id = -1", "ids below 0 are reserved"},
    {"INSERT INTO domain_rules(id, domain) VALUES(-1, 'd')", "ids below 0 are reserved"},
    {"UPDATE domain_rules SET id = -1", "ids below 0 are reserved"},
    {"INSERT INTO domain_lists(id, name) VALUES(-1, 'l')", "ids below 0 are reserved"},
    {"UPDATE domain_lists SET id = -1", "ids below 0 are reserved"},
    {"INSERT INTO port_permits(id) VALUES(-1)", "ids below 0 are reserved"},
    {"UPDATE port_permits SET id = -1 WHERE id = (SELECT min(id) FROM port_permits)", "ids below 0 are reserved"},
    {"INSERT INTO traffic_rules(id, group_id) VALUES(-1, 7)", "ids below 0 are reserved"},
    {"UPDATE traffic_rules SET id = -1", "ids below 0 are reserved"},
    {"INSERT INTO port_permits(enabled) VALUES(2)", "enabled is 0 or 1"},
    {"INSERT INTO port_permits(priority) VALUES('high')", "cannot store TEXT value in INTEGER column"},
    {"INSERT INTO port_permits(group_id) VALUES(99)", "group_id is not the id of a group"},
    {"INSERT INTO domain_rules(domain, action) VALUES('a', 'deny')", "action is block, allow or monitor"},
    {"INSERT INTO domain_rules(domain, match) VALUES('a', 'glob')", "match is suffix or exact"},
    {"INSERT INTO domain_rules(domain) VALUES('')", "domain must not be empty"},
    {"INSERT INTO domain_rules(domain, group_id) VALUES('a', 99)", "group_id is not the id of a group"},
    {"UPDATE domain_rules SET group_id = 99", "group_id is not the id of a group"},
    {"INSERT INTO domain_lists(name, group_id) VALUES('a', 99)", "group_id is not the id of a group"},
    {"INSERT INTO group_members(group_id, pattern) VALUES(99, 'x')", "group_id is not the id of a group"},
    {"INSERT INTO group_members(group_id, pattern) VALUES(0, 'x')", "everyone (id 0) takes no members"},
    {"INSERT INTO group_members(group_id, kind, pattern) VALUES(7, 'user', 'x')", "kind is identity, source"},
    {"INSERT INTO traffic_rules(group_id) VALUES(99)", "group_id is not the id of a group"},
    {"INSERT INTO traffic_rules(rate_up) VALUES(-1)", "rate_up is 0 (no limit) or more"},
    {"INSERT INTO traffic_rules(scope) VALUES('flow')", "scope is session or identity"},
    {"INSERT INTO traffic_rules(quota_period) VALUES('week')", "quota_period is day or month"},
    {"INSERT INTO credentials(kind, value, identity) VALUES('token', 'secret', 'token:bob')", "64 lower-case hex"},
    {"INSERT INTO credentials(kind, value, identity) VALUES('unix', 'bob', 'bob')", "identity is typed text"},
    {"INSERT INTO settings(name, value) VALUES('default', 'deny')", "there is no setting of that name"},
    {"UPDATE settings SET value = 'maybe'", "default_action is deny or allow"},
    {"DELETE FROM groups WHERE id = 0", "everyone (id 0) cannot be deleted"},
    {"UPDATE groups SET name = 'all' WHERE id = 0", "everyone (id 0) cannot be renamed"},
    {"UPDATE groups SET enabled = 0 WHERE id = 0", "everyone (id 0) cannot be renamed, renumbered or disabled"},
    {"UPDATE OR REPLACE groups SET name = 'everyone' WHERE id = 7", "everyone (id 0) cannot be renamed"},
    {"UPDATE OR REPLACE groups SET id = 0 WHERE id = 8", "everyone (id 0) cannot be renamed"},
    {"INSERT OR REPLACE INTO groups(id, name) VALUES(0, 'mine')", "everyone (id 0) must stay"},
    {"INSERT OR REPLACE INTO groups(name) VALUES('everyone')", "everyone (id 0) must stay"},
    {"INSERT INTO groups(name) VALUES('kids')", "UNIQUE constraint failed: groups.name"},
    {"INSERT OR REPLACE INTO groups(name) VALUES('kids')", "has members or rules and cannot be replaced"},
    {"DELETE FROM groups WHERE id = 7", "has members or rules: delete those first"},
    {"UPDATE groups SET id = 9 WHERE id = 7", "has members or rules, which know it by its id"},
    {"DELETE FROM meta", "kept by triggers"},
    {"INSERT INTO groups(name, enabled) VALUES('n', 2)", "enabled is 0 or 1"},
    {"INSERT INTO group_members(group_id, pattern, enabled) VALUES(7, 'p', 2)", "enabled is 0 or 1"},
    {"INSERT INTO credentials(kind, value, identity, enabled) VALUES('unix', 'v', 'unix:v', 2)", "enabled is 0 or 1"},
    {"INSERT INTO domain_rules(domain, enabled) VALUES('d', 2)", "enabled is 0 or 1"},
    {"INSERT INTO domain_lists(name, enabled) VALUES('l', 2)", "enabled is 0 or 1"},
    {"INSERT INTO traffic_rules(group_id, enabled) VALUES(7, 2)", "enabled is 0 or 1"},
    {"INSERT INTO groups(name) VALUES('')", "name must not be empty"},
    {"INSERT INTO domain_lists(name) VALUES('')", "name must not be empty"},
    {"INSERT INTO settings(name, value) VALUES('', 'x')",
     "there is no setting of that name: there are default_action, dns_ports and judge_answers"},
    {"UPDATE settings SET name = 'x'",
     "there is no setting of that name: there are default_action, dns_ports and judge_answers"},
    {"UPDATE settings SET name = 'judge_answers', value = 'deny'", "judge_answers is 0 or 1"},
    {"INSERT OR REPLACE INTO settings(name, value) VALUES('judge_answers', '2')", "judge_answers is 0 or 1"},
    {"INSERT INTO group_members(group_id, pattern) VALUES(7, '')", "pattern must not be empty"},
    {"UPDATE group_members SET group_id = 99", "group_id is not the id of a group"},
    {"UPDATE group_members SET group_id = 0", "everyone (id 0) takes no members"},
    {"INSERT INTO credentials(kind, value, identity) VALUES('password', 'v', 'unix:v')",
     "kind is token, cert, unix or relay_key"},
    {"INSERT INTO credentials(kind, value, identity) VALUES('unix', '', 'unix:v')", "value must not be empty"},
    {"INSERT INTO domain_lists(name, action) VALUES('l', 'deny')", "action is block, allow or monitor"},
    {"INSERT INTO domain_lists(name, match) VALUES('l', 'glob')", "match is suffix or exact"},
    {"INSERT INTO domain_lists(name, format) VALUES('l', '')", "format must not be empty"},
    {"INSERT INTO domain_lists(name, entries) VALUES('l', -1)", "entries is 0 or more"},
    {"UPDATE domain_lists SET group_id = 99", "group_id is not the id of a group"},
    {"UPDATE port_permits SET group_id = 99", "group_id is not the id of a group"},
    {"UPDATE traffic_rules SET group_id = 99", "group_id is not the id of a group"},
    {"INSERT INTO traffic_rules(rate_down) VALUES(-1)", "rate_down is 0 (no limit) or more"},
    {"INSERT INTO traffic_rules(concurrent_flows) VALUES(-1)", "concurrent_flows is 0 (no limit) or more"},
    {"INSERT INTO traffic_rules(new_flows_per_second) VALUES(-1)", "new_flows_per_second is 0 (no limit) or more"},
    {"INSERT INTO traffic_rules(destinations_per_minute) VALUES(-1)",
     "destinations_per_minute is 0 (no limit) or more"},
    {"INSERT INTO traffic_rules(token_failures_per_minute) VALUES(-1)",
     "token_failures_per_minute is 0 (no limit) or more"},
    {"INSERT INTO traffic_rules(concurrent_sessions) VALUES(-1)", "concurrent_sessions is 0 (no limit) or more"},
    {"INSERT INTO traffic_rules(quota_bytes) VALUES(-1)", "quota_bytes is 0 (no limit) or more"},
    {"INSERT INTO traffic_rules(burst_up) VALUES(-1)", "burst_up is 0 or more"},
    {"INSERT INTO traffic_rules(burst_down) VALUES(-1)", "burst_down is 0 or more"},
    {"INSERT INTO traffic_rules(unthrottled_up) VALUES(-1)", "unthrottled_up is 0 or more"},
    {"INSERT INTO traffic_rules(unthrottled_down) VALUES(-1)", "unthrottled_down is 0 or more"},
    {"INSERT INTO traffic_rules(udp_idle_seconds) VALUES(-1)", "udp_idle_seconds is 0 (never) or more"},
    {"INSERT INTO traffic_rules(tcp_idle_seconds) VALUES(-1)", "tcp_idle_seconds is 0 (never) or more"},
    {"INSERT INTO traffic_rules(session_idle_seconds) VALUES(-1)", "session_idle_seconds is 0 (never) or more"},
    {"UPDATE groups SET rowid = 9 WHERE id = 7", "has members or rules, which know it by its id"},
    {"INSERT INTO meta(id) VALUES(2)", "meta has one row, with id 1"},
    {"INSERT INTO changes(table_name, row_id, old_row) VALUES('x', 1, '{')", "old_row is JSON"},
    {"INSERT INTO changes(table_name, row_id, new_row) VALUES('x', 1, '{')", "new_row is JSON"},
};

/// Which statement of which table a case is: "INSERT groups".
std::string target(const std::string& sql) {
  std::istringstream words(sql);
  std::string statement, word;
  words >> statement >> word;
  while (word == "OR" || word == "REPLACE" || word == "INTO" || word == "FROM") words >> word;
  return statement + ' ' + word.substr(0, word.find('('));
}

/// What stands between two texts, and moves `from` behind it; empty where there is none.
std::string between(const std::string& text, std::string_view before, std::string_view after, size_t& from) {
  const size_t start = text.find(before, from);
  const size_t end = start == text.npos ? text.npos : text.find(after, start + before.size());
  from = end == text.npos ? text.size() : end + after.size();
  return end == text.npos ? "" : text.substr(start + before.size(), end - start - before.size());
}

/// Is there a case of that table, and for a trigger of that statement, with that sentence?
bool has_case(const std::string& statement, const std::string& table, const std::string& text) {
  for (const Refused& refused : kRefused) {
    const std::string of = target(refused.sql);
    if (of.ends_with(' ' + table) && of.starts_with(statement) && text.find(refused.sentence) != text.npos) return true;
  }
  return false;
}

class RefusedEdit : public testing::Test {
 protected:
  void SetUp() override {
    prepare_policy(path);
    ASSERT_EQ(run_sqlite_shell(path,
                               "DELETE FROM traffic_rules;"
                               "INSERT INTO groups(id, name) VALUES(7, 'kids'), (8, 'late');"
                               "INSERT INTO domain_rules(id, group_id, domain) VALUES(1, 7, 'x.test');"
                               "INSERT INTO group_members(group_id, pattern) VALUES(7, 'token:ann');"
                               "INSERT INTO admissions(plugin) VALUES('echo');"
                               "INSERT INTO credentials(kind, value, identity) VALUES('unix', 'ann', 'unix:ann');"
                               "INSERT INTO domain_lists(name) VALUES('ads'); INSERT INTO traffic_rules(group_id, "
                               "scope) VALUES(7, 'identity')"),
              "");
  }
  ScratchFolder folder;
  std::filesystem::path path = folder.path() / "policy.db";
};

TEST_F(RefusedEdit, IsToldInASentenceAndChangesNothing) {
  const std::string before = run_sqlite_shell(path, ".dump");
  for (const Refused& refused : kRefused)
    EXPECT_THAT(run_sqlite_shell(path, refused.sql), HasSubstr(refused.sentence)) << refused.sql;
  EXPECT_EQ(run_sqlite_shell(path, ".dump"), before);
}

TEST_F(RefusedEdit, HasACaseForEveryCheck) {
  std::istringstream tables(run_sqlite_shell(path,
                                             "SELECT name || char(9) || replace(sql, char(10), ' ') FROM "
                                             "sqlite_schema WHERE type = 'table'"));
  int checks = 0;
  for (std::string line; std::getline(tables, line);) {
    const std::string table = line.substr(0, line.find('\t'));
    for (size_t from = 0; from < line.size();) {
      const std::string text = between(line, "CONSTRAINT \"", "\"", from);
      if (text.empty()) continue;
      if (table == "settings" && text == "name must not be empty") continue;  // the trigger is faster
      EXPECT_TRUE(has_case("", table, text)) << table << ": " << text;
      ++checks;
    }
  }
  EXPECT_GT(checks, 40);
}

TEST_F(RefusedEdit, HasACaseForEveryTriggerThatRefuses) {
  std::istringstream triggers(run_sqlite_shell(path,
                                               "SELECT tbl_name || char(9) || replace(sql, char(10), ' ') FROM "
                                               "sqlite_schema WHERE type = 'trigger' AND sql LIKE "
                                               "'%RAISE(%'"));
  int count = 0;
  for (std::string line; std::getline(triggers, line); ++count) {
    const std::string table = line.substr(0, line.find('\t'));
    const size_t statement = std::min({line.find("INSERT"), line.find("UPDATE"), line.find("DELETE")});
    size_t from = 0;
    const std::string text = between(line, "RAISE(ABORT, '", "'", from);
    ASSERT_NE(text, "") << line;
    EXPECT_TRUE(has_case(line.substr(statement, 6), table, text)) << line;
  }
  EXPECT_GE(count, 20);
}

}  // namespace
}  // namespace gatehouse::db
