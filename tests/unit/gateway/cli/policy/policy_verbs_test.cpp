#include "gateway/cli/policy/policy_verbs.hpp"
#include "tests/unit/db/scratch.hpp"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include <sstream>

namespace gatehouse {
namespace {

using testing::HasSubstr;

class PolicyVerbs : public testing::Test {
 protected:
  ScratchFolder folder;
  std::filesystem::path path = folder.path() / "state" / "policy.db";
  std::ostringstream out;
};

TEST_F(PolicyVerbs, InitMakesFolderAndFileOnce) {
  EXPECT_EQ(policy_init(path, out, false), 0);
  EXPECT_THAT(out.str(), HasSubstr("starter policy"));
  out.str("");
  EXPECT_EQ(policy_init(path, out, true), 0);
  const auto body = nlohmann::json::parse(out.str());
  EXPECT_EQ(body["created"], false);
  EXPECT_EQ(body["from"], body["to"]);
}

TEST_F(PolicyVerbs, InitPutsTheStarterPolicyInNobodysPlace) {
  ASSERT_EQ(policy_init(path, out, false), 0);
  const auto copy = path.parent_path() / "policy.last-good.db";
  std::filesystem::rename(path, copy);
  try {
    static_cast<void>(policy_init(path, out, false));
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr(copy.string() + " has the last good policy"));
  }
  std::filesystem::remove(copy);
  std::ofstream(path).flush();
  try {
    static_cast<void>(policy_init(path, out, false));
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("is empty: put a copy of it in its place, or delete it"));
  }
  std::filesystem::remove(path);
  EXPECT_EQ(policy_init(path, out, false), 0);
}

TEST_F(PolicyVerbs, ProblemsAreNamedAndCounted) {
  ASSERT_EQ(policy_init(path, out, false), 0);
  EXPECT_EQ(policy_problems(path, out, false), 0);
  ASSERT_EQ(run_sqlite_shell(path, "INSERT INTO port_permits(id, ports, action) VALUES(77, 'fifty-three', 'deny')"),
            "");
  out.str("");
  EXPECT_EQ(policy_problems(path, out, false), 1);
  EXPECT_THAT(out.str(), HasSubstr("port_permits 77: `fifty-three`"));
  out.str("");
  EXPECT_EQ(policy_problems(path, out, true), 1);
  EXPECT_EQ(nlohmann::json::parse(out.str())["degraded"], true);
}

TEST_F(PolicyVerbs, ShowPrintsRowsAndNeverControlCharacters) {
  ASSERT_EQ(policy_init(path, out, false), 0);
  ASSERT_EQ(run_sqlite_shell(path, "INSERT INTO domain_rules(domain, comment) VALUES('a.test', char(27) || '[31m')"),
            "");
  out.str("");
  EXPECT_EQ(policy_show(path, "", out, false), 0);
  EXPECT_THAT(out.str(), HasSubstr("port_permits"));
  EXPECT_THAT(out.str(), HasSubstr("\\x1b[31m"));
  EXPECT_EQ(out.str().find('\x1b'), std::string::npos);
  out.str("");
  EXPECT_EQ(policy_show(path, "settings", out, true), 0);
  EXPECT_EQ(nlohmann::json::parse(out.str())["settings"][0]["value"], "deny");
  EXPECT_TRUE(nlohmann::json::parse(out.str())["settings"][0]["id"].is_number());
  EXPECT_THROW(static_cast<void>(policy_show(path, "meta", out, false)), std::runtime_error);
}

TEST_F(PolicyVerbs, OrderIsPrinted) {
  EXPECT_EQ(policy_order(out, false), 0);
  EXPECT_THAT(out.str(), HasSubstr("1. hard denies"));
  out.str("");
  EXPECT_EQ(policy_order(out, true), 0);
  EXPECT_TRUE(nlohmann::json::parse(out.str())["order"].is_string());
}

}  // namespace
}  // namespace gatehouse
