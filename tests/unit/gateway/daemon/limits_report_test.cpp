#include "gateway/daemon/limits_report.hpp"

#include "gateway/base/utc_time.hpp"
#include "policy/compile.hpp"

#include <gatehouse/base/clock.hpp>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace gatehouse {
namespace {

using testing::HasSubstr;

class LimitsReport : public testing::Test {
 protected:
  LimitsReport() {
    model_.groups = {{0, "everyone", 0, true}, {4, "guests", 50, true}};
    model_.group_members.push_back({1, 4, "plugin", "guestgw", {}});
    policy::TrafficRule rule;
    rule.id = 9;
    rule.scope = "identity";
    rule.rate_up = 1000;
    rule.unthrottled_up = 100;
    rule.quota_bytes = 5000;
    rule.quota_period = "day";
    rule.destinations_per_minute = 8;
    rule.new_flows_per_second = 4;
    model_.traffic_rules.push_back(rule);
    rule = {};
    rule.id = 10;
    rule.scope = "session";
    rule.concurrent_sessions = 3;
    model_.traffic_rules.push_back(rule);
    const auto compiled = policy::compile(model_, {}, 7, 0);
    EXPECT_TRUE(compiled.problems.empty());
    services_.policy = std::make_shared<SnapshotBoard>(compiled.snapshot);
  }
  nlohmann::json ask(const std::string& question) {
    const ControlReply reply = limits_reply(services_, 12, question);
    EXPECT_EQ(reply.status, 200u) << reply.json;
    return nlohmann::json::parse(reply.json);
  }
  static nlohmann::json limit(const nlohmann::json& body, const std::string& name) {
    for (const auto& one : body["limits"])
      if (one["name"] == name) return one;
    return nullptr;
  }

  policy::Model model_;
  HostServices services_;
};

TEST_F(LimitsReport, TellsWhatAnIdentityHasUsed) {
  const auto meters = services_.key_meters->open("token:bob", {});
  const policy::MeterLimits limits(services_.policy->current()->limits(policy::GroupIndex{1}).identity);
  const policy::MeterLink link{meters.get(), &limits};
  const policy::Moment now{to_ns(steady_now()), services_.policy->calendar().periods()};
  meters->destinations.reserve(8);
  ASSERT_EQ(policy::charge_all({&link, 1}, policy::Direction::up, {1, 600, 0}, now).wait, 0u);
  ASSERT_EQ(policy::open_flow({&link, 1}, 77, now).refusal, policy::FlowRefusal::none);
  ASSERT_TRUE(meters->sessions.try_open(0));

  const auto body = ask(R"({"identity":"token:bob","source":"127.0.0.1","plugin":"udpgw"})");
  EXPECT_EQ(body["generation"], 7);
  EXPECT_EQ(body["revision"], 12);
  EXPECT_EQ(body["readable"], true);
  EXPECT_EQ(body["group"], "everyone");
  EXPECT_EQ(body["key"], "token:bob");
  EXPECT_EQ(body["remembered"], true);
  EXPECT_EQ(limit(body, "rate_up")["burst"], 1000);
  EXPECT_GE(limit(body, "rate_up")["left"], 500);
  EXPECT_EQ(limit(body, "rate_up")["row"], 9);
  EXPECT_EQ(limit(body, "unthrottled_up")["left"], 0);
  EXPECT_EQ(limit(body, "rate_down"), nullptr) << "nothing limits it";
  EXPECT_EQ(limit(body, "quota_bytes")["used"], 600);
  EXPECT_EQ(limit(body, "quota_bytes")["left"], 4400);
  const std::int64_t end = parse_time(limit(body, "quota_bytes")["until"]).value();
  EXPECT_TRUE(end % 86400 == 0 && end > unix_now() - 60 && end <= unix_now() + 86400);
  EXPECT_EQ(limit(body, "destinations_per_minute")["most"], 8);
  EXPECT_EQ(limit(body, "new_flows_per_second")["most"], 4);
  EXPECT_EQ(limit(body, "concurrent_flows")["used"], 1);
  EXPECT_EQ(limit(body, "concurrent_flows")["most"], nullptr);
  EXPECT_EQ(limit(body, "concurrent_sessions")["left"], 2);
  EXPECT_EQ(limit(body, "concurrent_sessions")["row"], 10);
}

TEST_F(LimitsReport, TellsWhatPluginsClaim) {
  EXPECT_EQ(ask("{}")["claims"], nlohmann::json::array());
  policy::Surroundings around;
  around.claims = {{Prefix::parse("10.8.0.0/16").value(), "packet-tunnel"}};
  services_.policy = std::make_shared<SnapshotBoard>(policy::compile(model_, around, 8, 0).snapshot);
  EXPECT_EQ(ask("{}")["claims"], nlohmann::json::parse(R"([{"prefix":"10.8.0.0/16","plugin":"packet-tunnel"}])"));
}

TEST_F(LimitsReport, KnowsNetworksAndThoseWhoShareNothing) {
  const auto meters = services_.key_meters->open("", IpAddress::parse("2001:db8::9").value());
  ASSERT_TRUE(meters->flows.try_open(0));
  const auto body = ask(R"({"source":"2001:db8::1"})");
  EXPECT_EQ(body["key"], "2001:db8::/64");
  EXPECT_EQ(limit(body, "concurrent_flows")["used"], 1);
  EXPECT_EQ(ask(R"({"source":"192.0.2.7"})")["key"], "192.0.2.7/32");
  EXPECT_EQ(ask(R"({"source":"192.0.2.7"})")["remembered"], false);
  for (const char* nobody : {"{}", R"({"source":"127.0.0.1"})", R"({"source":"::1","identity":""})"}) {
    EXPECT_EQ(ask(nobody)["key"], nullptr) << nobody;
    EXPECT_EQ(ask(nobody)["limits"], nlohmann::json::array()) << nobody;
  }
  EXPECT_EQ(ask(R"({"plugin":"guestgw"})")["group"], "guests");
}

TEST_F(LimitsReport, MakesAndKeepsNoEntry) {
  services_.key_meters = std::make_shared<KeyMeters>(2);
  const auto meet = [this](const char* who) { return services_.key_meters->open(who, {})->flows.try_open(0); };
  EXPECT_TRUE(meet("a") && meet("b"));
  EXPECT_EQ(ask(R"({"identity":"c"})")["remembered"], false);
  EXPECT_EQ(ask(R"({"identity":"a"})")["remembered"], true);
  EXPECT_TRUE(meet("c"));  // and forgets a, which was only asked about
  EXPECT_EQ(ask(R"({"identity":"a"})")["remembered"], false);
  EXPECT_EQ(ask(R"({"identity":"b"})")["remembered"], true);
}

TEST_F(LimitsReport, RefusesWhatIsNoQuestion) {
  for (const char* wrong : {"[]", R"({"identity":7})", R"({"source":"bob"})"}) {
    const ControlReply reply = limits_reply(services_, 12, wrong);
    EXPECT_EQ(reply.status, 400u) << wrong;
    EXPECT_THAT(reply.json, HasSubstr("\"error\":")) << wrong;
  }
}

}  // namespace
}  // namespace gatehouse
