#include "gateway/cli/policy/policy_verbs.hpp"

#include "tests/unit/gateway/cli/cli_test.hpp"
#include "tests/unit/gateway/cli/verb_test.hpp"

#include <gmock/gmock.h>

namespace gatehouse {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

using PolicyVerbs = VerbTest;

TEST_F(PolicyVerbs, InitMakesFolderAndFileOnce) {
  EXPECT_EQ(call(policy_init_verb), 0);
  EXPECT_THAT(out.str(), HasSubstr("starter policy"));
  EXPECT_EQ(call(policy_init_verb, {}, true), 0);
  EXPECT_EQ(body()["created"], false);
  EXPECT_EQ(body()["from"], body()["to"]);
}

TEST_F(PolicyVerbs, InitPutsTheStarterPolicyInNobodysPlace) {
  ASSERT_EQ(call(policy_init_verb), 0);
  const auto copy = path.parent_path() / "policy.last-good.db";
  std::filesystem::rename(path, copy);
  try {
    static_cast<void>(call(policy_init_verb));
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr(copy.string() + " has the last good policy"));
  }
  std::filesystem::remove(copy);
  std::ofstream(path).flush();
  try {
    static_cast<void>(call(policy_init_verb));
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("is empty: put a copy of it in its place, or delete it"));
  }
  std::filesystem::remove(path);
  EXPECT_EQ(call(policy_init_verb), 0);
}

TEST_F(PolicyVerbs, ProblemsAreNamedAndCounted) {
  ASSERT_EQ(call(policy_init_verb), 0);
  EXPECT_EQ(call(policy_problems_verb), 0);
  ASSERT_EQ(shell("INSERT INTO port_permits(id, ports, action) VALUES(77, 'fifty-three', 'deny')"), "");
  EXPECT_EQ(call(policy_problems_verb), 1);
  EXPECT_THAT(out.str(), HasSubstr("port_permits 77: `fifty-three`"));
  EXPECT_EQ(call(policy_problems_verb, {}, true), 1);
  EXPECT_EQ(body()["degraded"], true);
}

TEST_F(PolicyVerbs, ShowPrintsRowsAndNeverControlCharacters) {
  ASSERT_EQ(call(policy_init_verb), 0);
  ASSERT_EQ(shell("INSERT INTO domain_rules(domain, comment) VALUES('a.test', char(27) || '[31m')"), "");
  EXPECT_EQ(call(policy_show_verb), 0);
  EXPECT_THAT(out.str(), HasSubstr("port_permits"));
  EXPECT_THAT(out.str(), HasSubstr("\\x1b[31m"));
  EXPECT_EQ(out.str().find('\x1b'), std::string::npos);
  EXPECT_EQ(call(policy_show_verb, {"settings"}, true), 0);
  EXPECT_EQ(body()["settings"][0]["value"], "deny");
  EXPECT_TRUE(body()["settings"][0]["id"].is_number());
  EXPECT_THROW(static_cast<void>(call(policy_show_verb, {"meta"})), std::runtime_error);
}

TEST_F(PolicyVerbs, OrderIsPrinted) {
  EXPECT_EQ(call(policy_order_verb), 0);
  EXPECT_THAT(out.str(), HasSubstr("1. hard denies"));
  EXPECT_EQ(call(policy_order_verb, {}, true), 0);
  EXPECT_TRUE(body()["order"].is_string());
}

using PolicyVerbsOnTheCommandLine = CliTest;

TEST_F(PolicyVerbsOnTheCommandLine, MakeAndExplainAPolicy) {
  const std::string file = config("[plugin.good]\n");
  const Outcome missing = call({"policy", "problems", "--config", file});
  EXPECT_NE(missing.code, 0);
  EXPECT_THAT(missing.err, StartsWith("gatehouse: "));
  ASSERT_EQ(call({"policy", "init", "--config", file}).code, 0);
  EXPECT_TRUE(std::filesystem::exists(folder_.path() / "state/policy.db"));
  EXPECT_EQ(call({"policy", "problems", "--config", file}).code, 0);
  EXPECT_EQ(call({"policy", "order"}).code, 0);
  EXPECT_THAT(call({"policy", "show", "port_permits", "--config", file}).out, HasSubstr("port_permits"));
  const auto explain = [&](const char* transport, const char* destination) {
    return call({"policy", "explain", "--plugin", "good", "--source", "192.0.2.7", transport, destination, "--domain",
                 "a.example", "--config", file});
  };
  EXPECT_EQ(explain("udp", "8.8.8.8:53").code, 0);
  EXPECT_EQ(explain("tcp", "8.8.8.8:25").code, 1);
  EXPECT_EQ(explain("udp", "nowhere").code, 2);
}

}  // namespace
}  // namespace gatehouse
