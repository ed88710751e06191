// Every verdict that gh.policy/1 gives is in the lane's record, by reason and by the row that decided.
#include "gateway/base/openmetrics.hpp"
#include "tests/unit/gateway/services/policy_table.hpp"

#include <gmock/gmock.h>

namespace gatehouse {
namespace {

using testing::HasSubstr;
using testing::Not;

class VerdictCounts : public PolicyTable {
 protected:
  VerdictCounts() { lane.policy = counted.make_lane(); }
  std::string metrics() const {
    OpenMetrics out;
    records->write_to(out);
    return out.text();
  }
  static std::string row(const char* table, std::int64_t id, const char* action, int count) {
    return "gatehouse_policy_row_hits_total{table=\"" + std::string(table) + "\",row=\"" + std::to_string(id) +
           "\",action=\"" + action + "\"} " + std::to_string(count) + "\n";
  }
  static std::string verdicts(const char* action, const char* reason, int count) {
    return "gatehouse_policy_verdicts_total{plugin=\"udpgw\",action=\"" + std::string(action) + "\",reason=\"" +
           reason + "\"} " + std::to_string(count) + "\n";
  }
  void ask(gh_client* client, const char* name, std::uint32_t flags = 0) {
    gh_flow flow = make_flow(GH_TRANSPORT_UDP, {IpAddress::v4(0x08080808), 53, 0}, flags);
    flow.domain = to_border(std::string_view(name));
    gh_verdict verdict = no_verdict();
    table->check(table->context, &lane.head, client, &flow, &verdict);
  }

  std::shared_ptr<LaneRecords> records = std::make_shared<LaneRecords>();
  PluginPolicy counted{board, keys, {.plugin = "udpgw", .records = records}};
};

TEST_F(VerdictCounts, HoldEachRowThatDecidesOrWatches) {
  policy::Model rows = model();
  rows.domain_rules = {{3, {}, "ads.test", "suffix", "monitor", {}}, {4, {}, "bad.test", "suffix", "block", {}}};
  rows.settings = {{6, "default_action", "deny"}};
  publish(rows);
  table->refresh(table->context, &lane.head);
  gh_client* const client = open("");
  for (const char* const name : {"x.ads.test", "bad.test", "good.test"}) ask(client, name);
  std::string told;
  records->drain([&](const Notice& notice) { told += notice.name(); });
  EXPECT_EQ(told, "x.ads.test");
  EXPECT_THAT(metrics(), HasSubstr(row("domain_rules", 3, "monitor", 1)));
  EXPECT_THAT(metrics(), HasSubstr(row("domain_rules", 4, "deny", 1)));
  EXPECT_THAT(metrics(), HasSubstr(row("port_permits", 5, "allow", 2)));
  EXPECT_THAT(metrics(), HasSubstr(verdicts("allow", "port_permit", 2)));
  EXPECT_THAT(metrics(), HasSubstr(verdicts("deny", "domain", 1)));
  rows.port_permits.clear();
  publish(rows);
  table->refresh(table->context, &lane.head);
  ask(client, "good.test");
  EXPECT_THAT(metrics(), HasSubstr(row("settings", 6, "deny", 1)));
}

TEST_F(VerdictCounts, HoldOfAnswersWhatIsRefusedOrWatched) {
  policy::Model rows = model();
  rows.domain_rules = {{3, {}, "ads.test", "suffix", "monitor", {}}, {4, {}, "bad.test", "suffix", "block", {}}};
  publish(rows);
  table->refresh(table->context, &lane.head);
  gh_client* const client = open("");
  for (const char* const name : {"x.ads.test", "bad.test", "good.test"})
    ask(client, name, GH_FLOW_NAMED | GH_FLOW_ANSWER);
  std::string told;
  records->drain([&](const Notice& notice) { told += notice.name(); });
  EXPECT_EQ(told, "x.ads.test");
  EXPECT_THAT(metrics(), HasSubstr(row("domain_rules", 3, "monitor", 1)));
  EXPECT_THAT(metrics(), HasSubstr(row("domain_rules", 4, "deny", 1)));
  EXPECT_THAT(metrics(), HasSubstr(verdicts("deny", "domain", 1)));
  EXPECT_THAT(metrics(), Not(HasSubstr("action=\"allow\""))) << "their question was";
}

TEST_F(VerdictCounts, TellOfMonitorRowsBeyondTheMostThatAreNamed) {
  policy::Model rows = model();
  constexpr int kMost = std::tuple_size_v<decltype(policy::SideHits::rows)>;
  std::string name = "test";
  for (int i = 1; i <= kMost + 3; ++i) {
    rows.domain_rules.push_back({i, {}, name, "suffix", "monitor", {}});
    name = "x." + name;
  }
  publish(rows);
  table->refresh(table->context, &lane.head);
  ask(open(""), name.c_str());
  std::uint64_t named = 0;
  for (const auto& [of, count] : records->monitor_counts()) named += count;
  EXPECT_EQ(named, static_cast<std::uint64_t>(kMost));
  EXPECT_THAT(metrics(), HasSubstr("gatehouse_policy_row_hits_overflow_total 3\n"));
}

/// Each column that refuses a flow, and the refusal after two flows to two addresses.
struct Column {
  const char* reason;
  policy::Amount policy::TrafficRule::*column;
};
class RefusedFlow : public VerdictCounts, public testing::WithParamInterface<std::tuple<Column, const char*>> {};

TEST_P(RefusedFlow, IsCountedByItsRow) {
  const auto& [column, scope] = GetParam();
  policy::TrafficRule limit;
  limit.*column.column = 1;
  rule(scope, limit);  // row 21
  gh_client* const client = open("token:eve");
  gh_verdict why = no_verdict();
  ASSERT_EQ(open_flow(client, why, "8.8.8.8"), GH_OK);
  static_cast<void>(consume(client, 1));  // a quota is used up now
  for (int i = 0; i < 2; ++i) ASSERT_EQ(open_flow(client, why, "8.8.4.4"), GH_E_LIMIT);
  ASSERT_EQ(why.row, 21);
  EXPECT_THAT(metrics(), HasSubstr(row("traffic_rules", 21, "deny", 2)));
  EXPECT_THAT(metrics(), HasSubstr(verdicts("deny", column.reason, 2)));
}

INSTANTIATE_TEST_SUITE_P(
    EachColumn, RefusedFlow,
    testing::Combine(testing::Values(Column{"concurrent_flows", &policy::TrafficRule::concurrent_flows},
                                     Column{"new_flow_rate", &policy::TrafficRule::new_flows_per_second},
                                     Column{"destinations", &policy::TrafficRule::destinations_per_minute},
                                     Column{"quota", &policy::TrafficRule::quota_bytes}),
                     testing::Values("session", "identity")),
    [](const auto& test) { return std::string(std::get<0>(test.param).reason) + "_" + std::get<1>(test.param); });

TEST_F(VerdictCounts, HoldNoFlowThatIsTriedAgain) {
  policy::TrafficRule one;
  one.concurrent_flows = 1;
  rule("session", one);
  gh_client* const client = open("token:eve");
  gh_verdict why = no_verdict();
  ASSERT_EQ(open_flow(client, why), GH_OK);
  ASSERT_EQ(open_flow(client, why, "8.8.4.4", kNow, GH_FLOW_FIRST_TRY), GH_E_LIMIT);
  EXPECT_EQ(why.row, 21);
  EXPECT_THAT(metrics(), Not(HasSubstr("concurrent_flows")));
  ASSERT_EQ(open_flow(client, why, "8.8.4.4"), GH_E_LIMIT);
  EXPECT_THAT(metrics(), HasSubstr(verdicts("deny", "concurrent_flows", 1)));
}

TEST_F(VerdictCounts, HoldRefusedClients) {
  policy::TrafficRule one;
  one.concurrent_sessions = 1;
  rule("identity", one);
  gh_verdict why = no_verdict();
  ASSERT_NE(open_from("192.0.2.7"), nullptr);
  for (int i = 0; i < 3; ++i) ASSERT_EQ(open_from("192.0.2.7", why), nullptr);
  ASSERT_EQ(why.row, 21);
  EXPECT_THAT(metrics(), HasSubstr(row("traffic_rules", 21, "deny", 3)));
  EXPECT_THAT(metrics(), HasSubstr(verdicts("deny", "concurrent_sessions", 3)));
}

}  // namespace
}  // namespace gatehouse
