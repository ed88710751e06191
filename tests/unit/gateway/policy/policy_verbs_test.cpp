#include "gateway/cli/policy_verbs.hpp"
#include "tests/unit/db/scratch.hpp"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include <sstream>

namespace gatehouse {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;

class PolicyVerbs : public testing::Test {
 protected:
  int explain(const std::string& to, const std::string& domain = "", bool json = false) {
    PolicyQuestion question;
    question.database = path;
    question.plugin = "udpgw";
    question.source = "192.0.2.7";
    question.identity = "token:bob";
    question.transport = "udp";
    question.destination = to;
    question.domain = domain;
    out.str("");
    return policy_explain(question, out, err, json);
  }

  ScratchFolder folder;
  std::filesystem::path path = folder.path() / "state" / "policy.db";
  std::ostringstream out, err;
};

TEST_F(PolicyVerbs, InitMakesFolderAndFileOnce) {
  EXPECT_EQ(policy_init(path, out, err, false), 0);
  EXPECT_THAT(out.str(), HasSubstr("starter policy"));
  out.str("");
  EXPECT_EQ(policy_init(path, out, err, true), 0);
  const auto body = nlohmann::json::parse(out.str());
  EXPECT_EQ(body["created"], false);
  EXPECT_EQ(body["from"], body["to"]);
}

TEST_F(PolicyVerbs, ExplainNamesStepsAndTheDecidingRow) {
  ASSERT_EQ(policy_init(path, out, err, false), 0);
  ASSERT_EQ(run_sqlite_shell(path, "INSERT INTO domain_rules(id, domain) VALUES(31, 'a.example')"), "");
  EXPECT_EQ(explain("8.8.8.8:53", "a.example"), 1);
  EXPECT_THAT(out.str(), HasSubstr("domain_rules 31"));
  EXPECT_THAT(out.str(), HasSubstr("hard denies"));
  EXPECT_EQ(explain("8.8.8.8:53", "b.example"), 0);
  EXPECT_EQ(explain("127.0.0.1:53"), 1);
  EXPECT_THAT(out.str(), HasSubstr("127.0.0.0/8, loopback"));
  EXPECT_EQ(explain("198.51.100.4:53", "a.example"), 1);
  EXPECT_THAT(out.str(), HasSubstr("198.51.100.0/24, documentation"));

  EXPECT_EQ(explain("8.8.8.8:53", "a.example", true), 1);
  const auto body = nlohmann::json::parse(out.str());
  EXPECT_EQ(body["action"], "deny");
  EXPECT_EQ(body["table"], "domain_rules");
  EXPECT_EQ(body["row"], 31);
  EXPECT_EQ(body["steps"].back()["outcome"], "deny");
}

TEST_F(PolicyVerbs, ExplainRefusesWhatItDoesNotUnderstand) {
  ASSERT_EQ(policy_init(path, out, err, false), 0);
  EXPECT_EQ(explain("example.com:53"), 2);
  EXPECT_THAT(err.str(), HasSubstr("is not an address with a port"));
  PolicyQuestion question;
  question.database = path;
  question.destination = "8.8.8.8:53";
  question.transport = "dns";
  EXPECT_EQ(policy_explain(question, out, err, false), 2);
  EXPECT_THAT(err.str(), HasSubstr("write tcp, udp"));
  question.transport = "udp";
  question.source = "bob";
  EXPECT_EQ(policy_explain(question, out, err, false), 2);
  question.source = "";
  question.database = folder.path() / "nowhere.db";
  EXPECT_EQ(policy_explain(question, out, err, false), 2);
  EXPECT_THAT(err.str(), HasSubstr("nowhere.db"));
}

TEST_F(PolicyVerbs, ExplainAnswersForAnotherTimeAndNamesTheLimits) {
  ASSERT_EQ(policy_init(path, out, err, false), 0);
  ASSERT_EQ(run_sqlite_shell(path,
                             "INSERT INTO domain_rules(domain, expires_at) VALUES('late.test', 2000);"
                             "INSERT INTO traffic_rules(id, rate_down, concurrent_flows) VALUES(9, 1000, 0);"),
            "");
  PolicyQuestion question;
  question.database = path;
  question.transport = "udp";
  question.destination = "8.8.8.8:53";
  question.domain = "late.test";
  question.surroundings = policy::Surroundings{};
  question.at = "1970-01-01T00:33:19Z";  // 1999
  out.str("");
  EXPECT_EQ(policy_explain(question, out, err, false), 1);
  EXPECT_THAT(out.str(), HasSubstr("limit: rate_down of a session: 1000 (traffic_rules 9)"));
  EXPECT_THAT(out.str(), HasSubstr("limit: concurrent_flows of a session: no limit (traffic_rules 9)"));
  question.at = "2000";
  out.str("");
  EXPECT_EQ(policy_explain(question, out, err, true), 0);
  const auto body = nlohmann::json::parse(out.str());
  EXPECT_EQ(body["limits"][0]["name"], "rate_down");
  EXPECT_GT(body["revision"], 0);
  question.at = "tomorrow";
  EXPECT_EQ(policy_explain(question, out, err, false), 2);
  EXPECT_THAT(err.str(), HasSubstr("write it in UTC"));
}

TEST_F(PolicyVerbs, ReadsTimes) {
  EXPECT_EQ(parse_time("1970-01-02"), 86400);
  EXPECT_EQ(parse_time("1970-01-01T00:01:05Z"), 65);
  EXPECT_EQ(parse_time("1970-01-01 01:00"), 3600);
  EXPECT_EQ(parse_time("77"), 77);
  for (const char* bad : {"", "noon", "1970-01-01T", "1970-01-01Tx", "12:00"})
    EXPECT_EQ(parse_time(bad), std::nullopt) << bad;
}

TEST_F(PolicyVerbs, ProblemsAreNamedAndCounted) {
  ASSERT_EQ(policy_init(path, out, err, false), 0);
  EXPECT_EQ(policy_problems(path, out, err, false), 0);
  ASSERT_EQ(run_sqlite_shell(path, "INSERT INTO port_permits(id, ports, action) VALUES(77, 'fifty-three', 'deny')"),
            "");
  out.str("");
  EXPECT_EQ(policy_problems(path, out, err, false), 1);
  EXPECT_THAT(out.str(), HasSubstr("port_permits 77: `fifty-three`"));
  out.str("");
  EXPECT_EQ(policy_problems(path, out, err, true), 1);
  EXPECT_EQ(nlohmann::json::parse(out.str())["degraded"], true);
}

TEST_F(PolicyVerbs, ShowPrintsRowsAndNeverControlCharacters) {
  ASSERT_EQ(policy_init(path, out, err, false), 0);
  ASSERT_EQ(run_sqlite_shell(path, "INSERT INTO domain_rules(domain, comment) VALUES('a.test', char(27) || '[31m')"),
            "");
  out.str("");
  EXPECT_EQ(policy_show(path, "", out, err, false), 0);
  EXPECT_THAT(out.str(), HasSubstr("port_permits"));
  EXPECT_THAT(out.str(), HasSubstr("\\x1b[31m"));
  EXPECT_EQ(out.str().find('\x1b'), std::string::npos);
  out.str("");
  EXPECT_EQ(policy_show(path, "settings", out, err, true), 0);
  EXPECT_EQ(nlohmann::json::parse(out.str())["settings"][0]["value"], "deny");
  EXPECT_TRUE(nlohmann::json::parse(out.str())["settings"][0]["id"].is_number());
  EXPECT_EQ(policy_show(path, "meta", out, err, false), 2);
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
