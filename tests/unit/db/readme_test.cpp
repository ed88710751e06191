// The worked examples of db/README.md, run as they stand there.
#include "db/policy/policy_database.hpp"
#include "db/store/store.hpp"
#include "policy/compile.hpp"
#include "tests/unit/db/scratch.hpp"
#include "tests/unit/folders.hpp"

#include <gtest/gtest.h>

#include <sstream>

namespace gatehouse::db {
namespace {

std::string readme() {
  std::ifstream in(source_folder() / "db/README.md");
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

/// The statements behind `words`, four spaces before each line.
std::string indented_behind(std::string_view words) {
  const std::string text = readme();
  std::istringstream lines(text.substr(text.find(words)));
  std::string out;
  for (std::string line; std::getline(lines, line) && (out.empty() || line.starts_with("    "));)
    if (line.starts_with("    ")) out += line + '\n';
  return out;
}

std::string examples() {
  const std::string text = readme();
  const auto from = text.find("```sql\n") + 7;
  return text.substr(from, text.find("```", from) - from);
}

class Readme : public testing::Test {
 protected:
  void SetUp() override { prepare_policy(path); }

  std::string verdict(const std::string& to, std::uint16_t port, const std::string& domain,
                      const std::string& identity = "token:eve") {
    policy::Flow flow;
    flow.destination = IpAddress::parse(to).value();
    flow.port = port;
    flow.domain = domain;
    flow.flags = domain.empty() ? 0 : policy::kFlowNamed;
    const auto group = compiled.snapshot->group_of({"udpgw", "", identity, IpAddress::parse("198.51.100.1").value()});
    return std::string(to_text(compiled.snapshot->judge({group, false}, flow).action));
  }

  ScratchFolder folder;
  std::filesystem::path path = folder.path() / "policy.db";
  policy::Compiled compiled;
};

TEST_F(Readme, ExamplesDoWhatTheySay) {
  const std::string sql = examples();
  for (int i = 1; i <= 13; ++i) EXPECT_NE(sql.find("-- " + std::to_string(i) + ". "), sql.npos) << i;
  const std::string printed = run_sqlite_shell(path, sql);
  EXPECT_EQ(printed.find("rror"), printed.npos) << printed;
  EXPECT_NE(printed.find("|sql|credentials|1"), printed.npos) << "the last one prints the trail";

  const policy::Model model = PolicyDatabase(path).load();
  compiled = policy::compile(model, {}, 1, 1'000'000'000);
  EXPECT_TRUE(compiled.problems.empty());
  EXPECT_EQ(verdict("9.9.9.9", 443, "x.ads.example"), "deny");
  EXPECT_EQ(verdict("9.9.9.9", 443, "good.ads.example"), "allow");
  EXPECT_EQ(verdict("9.9.9.9", 443, "busy.example"), "deny");
  EXPECT_EQ(verdict("9.9.9.9", 443, "metrics.example"), "allow");
  EXPECT_EQ(verdict("9.9.9.9", 443, "games.example", "token:ann"), "allow") << "switched off by the last edit";
  EXPECT_EQ(verdict("10.1.2.3", 53, ""), "allow");
  EXPECT_EQ(verdict("10.1.2.3", 54, ""), "deny");
  EXPECT_EQ(verdict("9.9.9.9", 6885, ""), "deny");
  EXPECT_EQ(verdict("9.9.9.9", 6890, ""), "allow");
  const auto& groups = compiled.snapshot->parts().groups;
  ASSERT_EQ(groups.size(), 2u);
  EXPECT_EQ(groups[0].name, "kids");
  EXPECT_EQ(groups[0].limits.session.rate_down.value, 0u);
  EXPECT_EQ(groups[1].limits.session.rate_down.value, 1000000u);
  EXPECT_EQ(groups[0].limits.session.concurrent_flows.value, 64u);
  const auto owner = compiled.snapshot->parts().credentials.find(policy::CredentialKind::unix_user, "backup", "udpgw");
  EXPECT_EQ(owner.identity, "unix:nightly");
}

TEST_F(Readme, ClosesOtherWaysToDns) {
  const std::string enables = indented_behind("Firefox leave DNS to the system:"),
                    copies = indented_behind("made before these");
  ASSERT_NE(enables.find("UPDATE port_permits"), enables.npos);
  const std::string_view example = "/tmp/fresh/policy.db";
  ASSERT_NE(copies.find(example), copies.npos);
  const auto compile = [this] { compiled = policy::compile(PolicyDatabase(path).load(), {}, 1, 1'000'000'000); };
  const auto expect_ways = [&](const char* action, const char* why) {
    for (const char* const resolver : {"1.1.1.1", "8.8.4.4", "9.9.9.9", "2606:4700:4700::1111", "2001:4860:4860::8844"})
      EXPECT_EQ(verdict(resolver, 443, ""), action) << why << ": DNS over HTTPS to " << resolver;
    for (const char* const host : {"1.1.1.1", "93.184.216.34", "2a00:1450::1"})
      EXPECT_EQ(verdict(host, 853, ""), action) << why << ": DNS over TLS to " << host;
    EXPECT_EQ(verdict("1.1.1.1", 53, ""), "allow");
    EXPECT_EQ(verdict("93.184.216.34", 443, ""), "allow");
  };
  compile();
  expect_ways("allow", "as it begins");
  EXPECT_EQ(run_sqlite_shell(path, enables), "");
  compile();
  expect_ways("deny", "enabled");
  EXPECT_EQ(verdict("1.1.1.1", 53, "use-application-dns.net"), "deny");

  EXPECT_EQ(run_sqlite_shell(path, "DELETE FROM port_permits WHERE comment LIKE 'DNS over%'"), "");
  const auto fresh = folder.path() / "fresh.db";
  prepare_policy(fresh);
  std::string there = copies;
  there.replace(there.find(example), example.size(), fresh.string());
  EXPECT_EQ(run_sqlite_shell(path, there), "");
  compile();
  expect_ways("allow", "copied, as they are in a fresh file");
  EXPECT_EQ(run_sqlite_shell(path, enables.substr(0, enables.find('\n'))), "");
  compile();
  expect_ways("deny", "copied and enabled");
}

TEST_F(Readme, NamesEveryTableAndColumn) {
  const std::string text = readme();
  std::istringstream columns(run_sqlite_shell(
      path,
      "SELECT DISTINCT name FROM (SELECT name FROM sqlite_schema WHERE type = 'table' UNION SELECT c.name FROM "
      "sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = 'table' AND t.name <> 'rows_before')"));
  int count = 0;
  for (std::string name; std::getline(columns, name); ++count)
    EXPECT_NE(text.find('`' + name + '`'), text.npos) << name;
  EXPECT_GT(count, 40);
}

TEST_F(Readme, NamesEveryTableAndColumnOfTheStoreAndShowsHowToReadIt) {
  const auto state = folder.path() / "state.db";
  open_sqlite_store(state, {})->close();
  const std::string text = readme();
  const std::string part = text.substr(text.find("## state.db"));
  int count = 0;
  for (const auto& file : {state, folder.path() / "secrets.db"}) {
    std::istringstream names(
        run_sqlite_shell(file,
                         "SELECT name FROM sqlite_schema WHERE type = 'table' UNION SELECT c.name "
                         "FROM sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = 'table' "
                         "AND c.name <> 'id'"));
    for (std::string name; std::getline(names, name); ++count)
      EXPECT_NE(part.find('`' + name + '`'), part.npos) << name;
  }
  EXPECT_GT(count, 40);
  const auto from = part.find("```sql\n") + 7;
  EXPECT_EQ(run_sqlite_shell(state, part.substr(from, part.find("```", from) - from)), "") << "empty, and no error";
}

}  // namespace
}  // namespace gatehouse::db
