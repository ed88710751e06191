#include "gateway/cli/explain.hpp"

#include "db/policy_database.hpp"
#include "tests/unit/db/scratch.hpp"
#include "tests/unit/gateway/cli/import_domains.hpp"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include <sstream>

namespace gatehouse {
namespace {

using testing::HasSubstr;

class Explain : public testing::Test {
 protected:
  void SetUp() override { db::prepare_policy(path); }

  PolicyQuestion question(const std::string& to, const std::string& domain = "") const {
    PolicyQuestion asked;
    asked.database = path;
    asked.plugin = "udpgw";
    asked.source = "192.0.2.7";
    asked.identity = "token:bob";
    asked.transport = "udp";
    asked.destination = to;
    asked.domain = domain;
    return asked;
  }
  int explain(const PolicyQuestion& asked, bool json = false) {
    out.str("");
    return policy_explain(asked, out, json);
  }
  int explain(const std::string& to, const std::string& domain = "", bool json = false) {
    return explain(question(to, domain), json);
  }
  /// The sentence with which it is refused.
  std::string refusal(const PolicyQuestion& asked) {
    try {
      static_cast<void>(explain(asked));
      return "";
    } catch (const std::exception& error) {
      return error.what();
    }
  }
  nlohmann::json body() const { return nlohmann::json::parse(out.str()); }
  ScratchFolder folder;
  std::filesystem::path path = folder.path() / "policy.db";
  std::ostringstream out;
};

TEST_F(Explain, NamesStepsAndTheDecidingRow) {
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
  EXPECT_EQ(body()["action"], "deny");
  EXPECT_EQ(body()["table"], "domain_rules");
  EXPECT_EQ(body()["row"], 31);
  EXPECT_EQ(body()["steps"].back()["outcome"], "deny");
}

TEST_F(Explain, TakesANameInAnyScriptAndSpelling) {
  ASSERT_EQ(run_sqlite_shell(path, "INSERT INTO domain_rules(id, domain) VALUES(31, 'xn--bcher-kva.example')"), "");
  for (const char* name : {"xn--bcher-kva.example", "b\u00fccher.example", "WWW.B\u00dccher.Example."}) {
    EXPECT_EQ(explain("8.8.8.8:53", name), 1) << name;
    EXPECT_THAT(out.str(), HasSubstr("domain_rules 31")) << name;
  }
  EXPECT_THAT(out.str(), HasSubstr("name: www.xn--bcher-kva.example\n"));
  explain("8.8.8.8:53", "b\u00fccher.example", true);
  EXPECT_EQ(body()["domain"], "xn--bcher-kva.example");
}

TEST_F(Explain, NamesTheListAndItsEntry) {
  import_domains(path, "ads", "b\u00fccher.example\nads.test\n");
  EXPECT_EQ(explain("8.8.8.8:53", "x.ads.test"), 1);
  EXPECT_THAT(out.str(), HasSubstr("the list blocks the name: `ads.test` (domain_lists 1)"));
  EXPECT_EQ(explain("8.8.8.8:53", "b\u00fccher.example"), 1);
  EXPECT_THAT(out.str(), HasSubstr("`xn--bcher-kva.example` (domain_lists 1)"));
}

TEST_F(Explain, RefusesWhatItDoesNotUnderstand) {
  EXPECT_THAT(refusal(question("example.com:53")), HasSubstr("is not an address with a port"));
  PolicyQuestion asked = question("8.8.8.8:53");
  asked.transport = "dns";
  EXPECT_THAT(refusal(asked), HasSubstr("write tcp, udp"));
  asked.transport = "17";
  EXPECT_EQ(explain(asked), 0);
  asked.domain = "a..b";
  EXPECT_THAT(refusal(asked), HasSubstr("--domain `a..b` is not a domain name"));
  asked.domain = "";
  asked.at = "tomorrow";
  EXPECT_THAT(refusal(asked), HasSubstr("write it in UTC"));
  asked.source = "bob";
  EXPECT_THAT(refusal(asked), HasSubstr("--source `bob` is not an IP address"));
  asked = question("8.8.8.8:53");
  asked.database = folder.path() / "nowhere.db";
  EXPECT_THAT(refusal(asked), HasSubstr("nowhere.db"));
}

TEST_F(Explain, AnswersForAnotherTimeAndNamesTheLimits) {
  ASSERT_EQ(run_sqlite_shell(path,
                             "INSERT INTO domain_rules(domain, expires_at) VALUES('late.test', 2000);"
                             "INSERT INTO traffic_rules(id, rate_down, concurrent_flows) VALUES(9, 1000, 0);"),
            "");
  PolicyQuestion asked = question("8.8.8.8:53", "late.test");
  asked.surroundings = policy::Surroundings{};
  asked.at = "1970-01-01T00:33:19Z";  // 1999
  EXPECT_EQ(explain(asked), 1);
  EXPECT_THAT(out.str(), HasSubstr("limit: rate_down of a session: 1000 (traffic_rules 9)"));
  EXPECT_THAT(out.str(), HasSubstr("limit: concurrent_flows of a session: no limit (traffic_rules 9)"));
  asked.at = "2000";
  EXPECT_EQ(explain(asked, true), 0);
  EXPECT_EQ(body()["limits"][0]["name"], "rate_down");
  EXPECT_GT(body()["revision"], 0);
}

}  // namespace
}  // namespace gatehouse
