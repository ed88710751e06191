#include "policy/compile.hpp"
#include "policy/limiter.hpp"

#include <gmock/gmock.h>

namespace gatehouse::policy {
namespace {

using testing::HasSubstr;

Model empty_model() {
  Model model;
  model.groups = {{0, "everyone", 100, true}};
  return model;
}

PortPermit permit(std::int64_t id, const char* action, const char* destination, const char* ports = "all") {
  PortPermit out;
  out.id = id;
  out.action = action;
  if (destination) out.destination = destination;
  out.ports = ports;
  return out;
}

struct Unreadable {
  const char* destination;
  const char* ports;
  const char* sentence;  // part of it
};

class UnreadablePermit : public testing::TestWithParam<Unreadable> {};

TEST_P(UnreadablePermit, IsSkippedWithASentence) {
  Model model = empty_model();
  model.port_permits = {permit(1, "allow", GetParam().destination, GetParam().ports), permit(2, "allow", nullptr)};
  const Compiled compiled = compile(model, {}, 1, 0);
  ASSERT_EQ(compiled.problems.size(), 1u);
  EXPECT_EQ(compiled.problems[0].table, "port_permits");
  EXPECT_EQ(compiled.problems[0].row, 1);
  EXPECT_THAT(compiled.problems[0].sentence, HasSubstr(GetParam().sentence));
  EXPECT_FALSE(compiled.degraded);
  const Flow flow{IpAddress::parse("8.8.8.8").value(), 80, kTcp, 0, {}};
  EXPECT_EQ(compiled.snapshot->judge({GroupIndex{0}, false}, flow).row, 2);  // the rest stays in force

  model.port_permits[0].action = "deny";
  EXPECT_TRUE(compile(model, {}, 1, 0).degraded);
}

constexpr Unreadable kUnreadable[] = {
    {"10.0.0.0/99", "all", "is not an address or a CIDR"},
    {"10.0.0.1/8", "all", "write 10.0.0.0/8"},
    {"2001:db8::1/32", "all", "write 2001:db8::/32"},
    {"localhost", "all", "is not an address or a CIDR"},
    {"", "all", "is not an address or a CIDR"},
    {"64:ff9b::a00:0/104", "all", "write the IPv4 CIDR"},
    {"2002:a00::/24", "all", "write the IPv4 CIDR"},
    {"::10.0.0.0/104", "all", "write the IPv4 CIDR"},
    {nullptr, "0", "numbers from 1 to 65535"},
    {nullptr, "65536", "numbers from 1 to 65535"},
    {nullptr, "", "numbers from 1 to 65535"},
    {nullptr, "53,", "numbers from 1 to 65535"},
    {nullptr, "20-10", "numbers from 1 to 65535"},
    {nullptr, "dns", "numbers from 1 to 65535"},
    {nullptr, "1-2-3", "numbers from 1 to 65535"},
};
INSTANTIATE_TEST_SUITE_P(Rows, UnreadablePermit, testing::ValuesIn(kUnreadable));

TEST(Compile, TakesLettersBeyondAsciiAsALabels) {
  Model model = empty_model();
  model.domain_rules = {{2,
                         {},
                         "B\xc3\xbc"
                         "cher.example",
                         "suffix",
                         "block",
                         {}}};
  const Compiled compiled = compile(model, {}, 1, 0);
  EXPECT_TRUE(compiled.problems.empty());
  const Flow flow{IpAddress::parse("8.8.8.8").value(), 53, kUdp, kFlowNamed, "www.xn--bcher-kva.example"};
  EXPECT_EQ(compiled.snapshot->judge({GroupIndex{0}, false}, flow).row, 2);
}

TEST(Compile, LeavesExpiredAndDisabledRowsOut) {
  Model model = empty_model();
  model.port_permits = {permit(1, "allow", nullptr), permit(2, "allow", nullptr), permit(3, "allow", nullptr)};
  model.port_permits[0].life.enabled = false;
  model.port_permits[1].life.expires_at = 100;
  model.port_permits[2].life.expires_at = 300;
  const Flow flow{IpAddress::parse("8.8.8.8").value(), 80, kTcp, 0, {}};
  const auto row_at = [&](std::int64_t now) {
    return compile(model, {}, 1, now).snapshot->judge({GroupIndex{0}, false}, flow).row;
  };
  EXPECT_EQ(row_at(99), 2);
  EXPECT_EQ(row_at(100), 3);
  EXPECT_EQ(row_at(300), 0);
  EXPECT_EQ(compile(model, {}, 1, 99).next_expiry, 100);
  EXPECT_EQ(compile(model, {}, 1, 100).next_expiry, 300);
  EXPECT_FALSE(compile(model, {}, 1, 300).next_expiry.has_value());
}

TEST(Compile, ResolvesLimitsColumnByColumn) {
  Model model = empty_model();
  model.groups.push_back({5, "kids", 10, true});
  TrafficRule everyone;
  everyone.id = 1;
  everyone.scope = "session";
  everyone.rate_up = 1000;
  everyone.concurrent_flows = 256;
  TrafficRule kids;
  kids.id = 2;
  kids.group_id = 5;
  kids.scope = "session";
  kids.rate_up = 0;
  kids.udp_idle_seconds = 20;
  model.traffic_rules = {kids, everyone};  // not in order of inheritance
  const Compiled compiled = compile(model, {}, 1, 0);
  const ScopeLimits& limits = compiled.snapshot->limits(GroupIndex{0}).session;
  EXPECT_EQ(limits.rate_up, (Limit{0, 2}));             // its own: no limit
  EXPECT_EQ(limits.concurrent_flows, (Limit{256, 1}));  // inherited
  EXPECT_EQ(limits.udp_idle_seconds, (Limit{20, 2}));
  EXPECT_EQ(limits.tcp_idle_seconds, (Limit{}));  // nobody says
  EXPECT_EQ(compiled.snapshot->limits(GroupIndex{1}).session.rate_up, (Limit{1000, 1}));
  EXPECT_EQ(compiled.snapshot->limits(GroupIndex{0}).identity.rate_up, (Limit{}));
}

TEST(Compile, SaysWhichLimitIsMoreThanMetersHold) {
  Model model = empty_model();
  TrafficRule rule;
  rule.id = 3;
  rule.scope = "session";
  rule.destinations_per_minute = 65536;
  rule.quota_bytes = 5;
  rule.concurrent_sessions = 100'000;
  model.traffic_rules = {rule};
  EXPECT_TRUE(compile(model, {}, 1, 0).problems.empty());
  model.traffic_rules[0].destinations_per_minute = 65537;
  model.traffic_rules[0].quota_bytes = INT64_MAX;
  const Compiled compiled = compile(model, {}, 1, 0);
  ASSERT_EQ(compiled.problems.size(), 2u);
  EXPECT_THAT(compiled.problems[0].sentence, HasSubstr("destinations_per_minute can be 65536 at most"));
  EXPECT_THAT(compiled.problems[1].sentence, HasSubstr("quota_bytes can be 4503599627370495 at most"));
  EXPECT_FALSE(compiled.degraded);
  const MeterLimits limits(compiled.snapshot->limits(GroupIndex{0}).session);
  EXPECT_EQ(limits.destinations_per_minute, 65536u);
  EXPECT_EQ(limits.quota.bytes, 4503599627370495u);
}

TEST(Compile, CountsTokenFailuresWhicheverScopeTheRowHas) {
  Model model = empty_model();
  TrafficRule rule;
  rule.id = 3;
  rule.scope = "session";
  rule.token_failures_per_minute = 20;
  model.traffic_rules = {rule};
  const auto limit = [&] { return compile(model, {}, 1, 0).snapshot->limits(GroupIndex{0}).token_failures(); };
  EXPECT_EQ(limit(), (Limit{20, 3}));
  model.traffic_rules[0].scope = "identity";
  EXPECT_EQ(limit(), (Limit{20, 3}));
  rule.id = 4;
  rule.token_failures_per_minute = 5;
  model.traffic_rules.push_back(rule);
  EXPECT_EQ(limit(), (Limit{20, 3})) << "as for sessions, the row of identities comes first";
  model.traffic_rules[0].token_failures_per_minute = 0;
  EXPECT_EQ(limit(), (Limit{0, 3})) << "no limit";
  for (TrafficRule& row : model.traffic_rules) row.token_failures_per_minute.reset();
  EXPECT_EQ(limit(), (Limit{20, 0})) << "a policy of before that column";
  model.traffic_rules.clear();
  EXPECT_EQ(limit(), (Limit{20, 0}));
}

TEST(Compile, TakesTheFirstGroupByPriority) {
  Model model = empty_model();
  model.groups.push_back({1, "late", 200, true});
  model.groups.push_back({2, "early", 10, true});
  model.groups.push_back({3, "off", 1, false});
  model.group_members = {{1, 1, "identity", "token:bob", {}},  {2, 2, "identity", "token:b*", {}},
                         {3, 3, "identity", "token:bob", {}},  {4, 1, "source", "192.0.2.0/24", {}},
                         {5, 2, "source", "192.0.2.0/33", {}}, {6, 2, "identity", "*", {false, {}}}};
  const Compiled compiled = compile(model, {}, 1, 0);
  const auto name = [&](std::string_view identity, const char* source) {
    const IpAddress from = source ? IpAddress::parse(source).value() : IpAddress();
    return compiled.snapshot->group(compiled.snapshot->group_of({"udpgw", "l", identity, from})).name;
  };
  EXPECT_EQ(name("token:bob", nullptr), "early");
  EXPECT_EQ(name("token:eve", nullptr), "everyone");
  EXPECT_EQ(name("", "192.0.2.1"), "late");
  EXPECT_EQ(name("", "::ffff:192.0.2.1"), "late");
  EXPECT_EQ(name("", nullptr), "everyone");
  ASSERT_EQ(compiled.problems.size(), 1u);
  EXPECT_EQ(compiled.problems[0].row, 5);
}

TEST(Compile, KeepsAMemberWithoutAKindInForce) {
  Model model;
  model.groups = {{0, "everyone", 100, true}, {1, "guests", 10, true}};
  model.group_members = {{1, 1, "identity", "guest", {}}};
  const Compiled compiled = compile(model, {}, 1, 0);
  EXPECT_EQ(compiled.problems.size(), 1u);
  EXPECT_FALSE(compiled.degraded);
  EXPECT_EQ(compiled.snapshot->group_of({"udpgw", "", "guest", {}}), GroupIndex{0})
      << "a listener may be configured with that one";
}

}  // namespace
}  // namespace gatehouse::policy
