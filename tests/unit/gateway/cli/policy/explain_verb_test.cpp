#include "gateway/cli/policy/explain_verb.hpp"

#include "db/policy/policy_database.hpp"
#include "gateway/control/control_server.hpp"
#include "tests/unit/gateway/cli/policy/import_domains.hpp"
#include "tests/unit/gateway/cli/verb_test.hpp"
#include "tests/unit/gateway/control/server_thread.hpp"

#include <gmock/gmock.h>

namespace gatehouse {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class Explain : public VerbTest {
 protected:
  void SetUp() override {
    std::filesystem::create_directory(path.parent_path());
    db::prepare_policy(path);
  }

  /// About a database that no gateway serves.
  ExplainArguments question(const std::string& to, const std::string& domain = "") const {
    ExplainArguments asked;
    asked.database = path;
    asked.plugin = "udpgw";
    asked.source = "192.0.2.7";
    asked.identity = "token:bob";
    asked.transport = "udp";
    asked.destination = to;
    asked.domain = domain;
    return asked;
  }
  /// About the gateway's own database: the gateway is asked too.
  ExplainArguments gateway_question(const std::string& to, const std::string& domain = "") const {
    ExplainArguments asked = question(to, domain);
    asked.database.clear();
    return asked;
  }
  int explain(const ExplainArguments& asked, bool json = false) { return call(policy_explain_verb, asked, json); }
  int explain(const std::string& to, const std::string& domain = "", bool json = false) {
    return explain(question(to, domain), json);
  }
  std::string refusal(const ExplainArguments& asked) { return text_of(policy_explain_verb, asked); }
};

TEST_F(Explain, NamesStepsAndTheDecidingRow) {
  ASSERT_EQ(shell("INSERT INTO domain_rules(id, domain) VALUES(31, 'a.example')"), "");
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
  EXPECT_FALSE(body().contains("gateway")) << "nobody is to be asked";
}

TEST_F(Explain, TakesANameInAnyScriptAndSpelling) {
  ASSERT_EQ(shell("INSERT INTO domain_rules(id, domain) VALUES(31, 'xn--bcher-kva.example')"), "");
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
  EXPECT_THAT(out.str(), HasSubstr("the list blocks the name: `ads.test` (domain_lists 1, ads)"));
  EXPECT_EQ(explain("8.8.8.8:53", "b\u00fccher.example"), 1);
  EXPECT_THAT(out.str(), HasSubstr("`xn--bcher-kva.example` (domain_lists 1, ads)"));
  EXPECT_EQ(explain("8.8.8.8:53", "ads.test", true), 1);
  EXPECT_EQ(body()["list"], "ads");
}

TEST_F(Explain, TakesTheGatewaysListsForACopyThatHasNone) {
  import_domains(path, "ads", "ads.test\n");
  const auto copy = folder.path() / "copy" / "p.db";
  std::filesystem::create_directory(copy.parent_path());
  ASSERT_EQ(shell("VACUUM INTO '" + copy.string() + "'"), "");
  ExplainArguments asked = question("8.8.8.8:53", "x.ads.test");
  asked.database = copy;
  EXPECT_EQ(explain(asked), 1);
  EXPECT_THAT(out.str(), Not(HasSubstr("not in force")));
  std::filesystem::remove_all(path.parent_path() / "lists");
  EXPECT_EQ(explain(asked), 0);
  EXPECT_THAT(out.str(), HasSubstr("not in force: domain_lists 1: "));
}

TEST_F(Explain, NamesRowsThatAreNotInForce) {
  ASSERT_EQ(shell("INSERT INTO domain_rules(id, domain) VALUES(7, 'a..b');"
                  "INSERT INTO port_permits(id, ports, action, priority) VALUES(77, 'dns', 'deny', 1);"),
            "");
  EXPECT_EQ(explain("8.8.8.8:53", "a.test"), 0);
  EXPECT_THAT(out.str(), HasSubstr("not in force: domain_rules 7: "));
  EXPECT_THAT(out.str(), HasSubstr("not in force: port_permits 77: "));
  EXPECT_EQ(explain("8.8.8.8:53"), 0);
  EXPECT_THAT(out.str(), Not(HasSubstr("domain_rules"))) << "no name is judged";
  EXPECT_EQ(explain("8.8.8.8:53", "a.test", true), 0);
  EXPECT_EQ(body()["not_in_force"].size(), 2u);
  EXPECT_EQ(body()["not_in_force"][1]["row"], 77);
}

TEST_F(Explain, JudgesByTheLastGoodPolicyWhenTheFileIsBroken) {
  ASSERT_EQ(shell("INSERT INTO domain_rules(id, domain) VALUES(7, 'a.test')"), "");
  const auto copy = path.parent_path() / "policy.last-good.db";
  ASSERT_EQ(shell("VACUUM INTO '" + copy.string() + "'"), "");
  std::ofstream(path) << std::string(9000, 'x');
  EXPECT_THAT(refusal(question("8.8.8.8:53", "a.test")),
              AllOf(HasSubstr("not a database"), Not(HasSubstr("last good"))));
  const ExplainArguments asked = gateway_question("8.8.8.8:53", "a.test");
  EXPECT_EQ(explain(asked), 1);
  EXPECT_THAT(out.str(), HasSubstr("not a database; judged by the last good policy"));
  EXPECT_THAT(out.str(), HasSubstr(" of " + copy.string()));
  EXPECT_EQ(explain(asked, true), 1);
  EXPECT_THAT(body()["failure"], HasSubstr("not a database"));
}

TEST_F(Explain, RefusesWhatItDoesNotUnderstand) {
  EXPECT_THAT(refusal(question("example.com:53")), HasSubstr("is not an address with a port"));
  ExplainArguments asked = question("8.8.8.8:53");
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
  ASSERT_EQ(shell("INSERT INTO domain_rules(domain, expires_at) VALUES('late.test', 2000);"
                  "INSERT INTO traffic_rules(id, rate_down, concurrent_flows) VALUES(9, 1000, 0);"),
            "");
  ExplainArguments asked = question("8.8.8.8:53", "late.test");
  asked.at = "1970-01-01T00:33:19Z";  // 1999
  EXPECT_EQ(explain(asked), 1);
  EXPECT_THAT(out.str(), HasSubstr("limit: rate_down of a session: 1000 (traffic_rules 9)"));
  EXPECT_THAT(out.str(), HasSubstr("limit: concurrent_flows of a session: no limit (traffic_rules 9)"));
  asked.at = "2000";
  EXPECT_EQ(explain(asked, true), 0);
  EXPECT_EQ(body()["limits"][0]["name"], "rate_down");
  EXPECT_EQ(body()["limits"][0]["row"], 9);
  EXPECT_GT(body()["revision"], 0);
}

TEST_F(Explain, CountsTokensThatAreNobodysForASourceByARowOrTheDefault) {
  ASSERT_EQ(shell("DELETE FROM traffic_rules"), "");
  EXPECT_EQ(explain(question("8.8.8.8:53")), 0);
  EXPECT_THAT(out.str(), HasSubstr("limit: token_failures_per_minute of a source: 20 (the default)\n"));
  EXPECT_EQ(explain(question("8.8.8.8:53"), true), 0);
  EXPECT_EQ(body()["limits"], nlohmann::json::parse(R"([{"scope": "source", "name": "token_failures_per_minute",
                                                         "value": 20, "row": null}])"));
  ASSERT_EQ(shell("INSERT INTO traffic_rules(id, token_failures_per_minute) VALUES(9, 0)"), "");
  EXPECT_EQ(explain(question("8.8.8.8:53")), 0);
  EXPECT_THAT(out.str(), HasSubstr("limit: token_failures_per_minute of a source: no limit (traffic_rules 9)\n"));
  EXPECT_THAT(out.str(), Not(HasSubstr("of a session")));
}

TEST_F(Explain, SaysInALineThatNoGatewayAnswersAndGoesOn) {
  const ExplainArguments asked = gateway_question("8.8.8.8:53");
  EXPECT_EQ(explain(asked), 0);
  EXPECT_THAT(out.str(), HasSubstr("running: what is left of limits is not known: the gateway is not running (nobody "
                                   "listens on " +
                                   (folder.path() / "control.sock").string() + ")\n"));
  EXPECT_EQ(explain(asked, true), 0);
  EXPECT_EQ(body()["gateway"]["running"], false);
  EXPECT_THAT(body()["gateway"]["why"], HasSubstr("not running"));
}

class ExplainWithGateway : public Explain {
 protected:
  void SetUp() override {
    Explain::SetUp();
    server_.emplace(thread_.io());
    server_->on("policy/limits", Access::read, [this](const std::string& text) {
      asked_ = nlohmann::json::parse(text);
      return answer_;
    });
    server_->listen(folder.path() / "control.sock", 0600);
    thread_.start();
  }
  void TearDown() override {
    thread_.run([this] { server_.reset(); });
  }
  /// The lines about the running gateway.
  std::string running() {
    ExplainArguments asked = gateway_question("8.8.8.8:53");
    asked.listener = "127.0.0.1:7300";
    EXPECT_EQ(explain(asked), 0);
    const std::string text = out.str();
    return text.substr(text.find("running: "));
  }

  ControlReply answer_;
  nlohmann::json asked_;
  ServerThread thread_;
  std::optional<ControlServer> server_;
};

TEST_F(ExplainWithGateway, ShowsWhatIsUsedAndLeft) {
  const std::string revision = shell("SELECT revision FROM meta");
  answer_.json = R"({"generation":5,"revision":)" + revision.substr(0, revision.find('\n')) +
                 R"(,"group":"everyone","key":"token:bob","remembered":true,"limits":[
      {"name":"rate_up","row":9,"burst":1000,"left":700},
      {"name":"quota_bytes","row":9,"used":300,"most":5000,"left":4700,"until":"2026-12-01T00:00:00Z"},
      {"name":"concurrent_flows","row":9,"used":2,"most":10,"left":8},
      {"name":"concurrent_sessions","row":null,"used":1,"most":null,"left":null}]})";
  EXPECT_EQ(running(), "running: generation 5 of revision " + revision +
                           "now: token:bob, rate_up: 700 of 1000 bytes may pass at once\n"
                           "now: token:bob, quota_bytes: 300 of 5000 used, 4700 left until 2026-12-01T00:00:00Z\n"
                           "now: token:bob, concurrent_flows: 2 of 10 used, 8 left\n"
                           "now: token:bob, concurrent_sessions: 1 used, no limit\n");
  EXPECT_EQ(asked_,
            nlohmann::json::parse(
                R"({"plugin":"udpgw","listener":"127.0.0.1:7300","identity":"token:bob","source":"192.0.2.7"})"));
  EXPECT_EQ(explain(gateway_question("8.8.8.8:53"), true), 0);
  EXPECT_EQ(body()["gateway"]["running"], true);
  EXPECT_EQ(body()["gateway"]["limits"][1]["left"], 4700);
}

TEST_F(ExplainWithGateway, KnowsWhatThePluginsOfTheGatewayClaim) {
  answer_.json = R"({"generation":5,"revision":1,"key":"","remembered":false,"limits":[],"claims":[
      {"prefix":"8.8.0.0/16","plugin":"packet-tunnel"},{"prefix":"nonsense","plugin":"x"},7]})";
  EXPECT_EQ(explain(gateway_question("8.8.8.8:53")), 1);
  EXPECT_THAT(out.str(), HasSubstr("another plugin claims the destination as its own: `packet-tunnel`"));
  EXPECT_EQ(explain(gateway_question("9.9.9.9:53")), 0);
}

TEST_F(ExplainWithGateway, ShowsWhenNothingIsCountedOrInForce) {
  answer_.json = R"({"generation":5,"revision":0,"key":"token:bob","remembered":false,"limits":[]})";
  EXPECT_THAT(running(), HasSubstr("generation 5 of revision 0: revision "));
  EXPECT_THAT(running(),
              HasSubstr(" is not in force yet\nnow: nothing is remembered of token:bob: all of its limits are "
                        "left\n"));
  ASSERT_EQ(shell("DELETE FROM traffic_rules"), "");
  answer_.json = R"({"generation":5,"revision":0,"key":null,"remembered":false,"limits":[]})";
  EXPECT_THAT(running(), Not(HasSubstr("now:"))) << "there are no limits";
  ASSERT_EQ(shell("INSERT INTO traffic_rules(rate_up) VALUES(1000)"), "");
  EXPECT_THAT(running(),
              HasSubstr("now: without an identity or an address of its own, each session is counted for itself"));
}

TEST_F(ExplainWithGateway, ShowsThatNoPolicyIsInForce) {
  answer_.json = R"({"generation":1,"revision":0,"readable":false,"key":"token:bob","remembered":false,"limits":[]})";
  EXPECT_EQ(running(), "running: generation 1: no policy is in force, everything is denied: see `gatehouse status`\n");
}

TEST_F(ExplainWithGateway, TrustsNoAnswer) {
  answer_ = control_error(404, "there is no verb `policy/limits`");
  EXPECT_EQ(running(),
            "running: what is left of limits is not known: the gateway answered there is no verb `policy/limits`\n");
  for (const char* odd :
       {"[]", "{", "{}", R"({"limits":[1,{"name":7}],"key":"\u001b[31m","remembered":true})",
        R"({"generation":[],"revision":"\u001b","readable":3,"key":7,"remembered":true,"limits":"x"})"}) {
    answer_ = {200, odd};
    EXPECT_THAT(running(), Not(HasSubstr("\x1b"))) << odd;
  }
}

}  // namespace
}  // namespace gatehouse
