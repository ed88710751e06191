#include "plugins/packet-tunnel/client/route_plan.hpp"

#include <gmock/gmock.h>

namespace gatehouse::packet_tunnel {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::Each;
using testing::Field;
using testing::IsEmpty;
using testing::Not;

constexpr unsigned kLink = 7;
constexpr std::uint32_t kNumber = 99;

Prefix prefix(const char* text) { return *Prefix::parse(text); }

ClientSettings settings() {
  ClientSettings out;
  out.addresses = {*DeviceAddress::parse("172.16.0.1/24"), *DeviceAddress::parse("fd26:b6a6:4454:310a::1/64")};
  out.dns = {*IpAddress::parse("10.0.0.2")};
  return out;
}

auto inside(const char* to) {
  return AllOf(Field(&Route::to, prefix(to)), Field(&Route::link, kLink), Field(&Route::kind, RTN_UNICAST),
               Field(&Route::table, kNumber));
}
auto unreachable(const char* to) {
  return AllOf(Field(&Route::to, prefix(to)), Field(&Route::kind, RTN_UNREACHABLE), Field(&Route::table, kNumber));
}
auto rule_of(Family family) { return Field(&RoutingRule::family, family); }

TEST(RoutePlan, TakesEverythingByDefault) {
  const RoutePlan plan = plan_routes(settings(), kLink, kNumber, true);
  EXPECT_THAT(plan.routes, Contains(inside("0.0.0.0/0")));
  EXPECT_THAT(plan.routes, Contains(inside("::/0")));
}

TEST(RoutePlan, NeverTakesWhatHasOurMark) {
  const RoutePlan plan = plan_routes(settings(), kLink, kNumber, true);
  for (const RoutingRule& rule : plan.rules) {
    const bool leads_inside = rule.table == kNumber && !rule.to;
    EXPECT_TRUE(!leads_inside || (rule.invert && rule.mark == kNumber));
  }
  for (const Family family : {Family::v4, Family::v6})
    EXPECT_THAT(plan.rules, Contains(AllOf(rule_of(family), Field(&RoutingRule::invert, true))));
}

TEST(RoutePlan, KeepsTheHostsOwnNetworksWithinReachWhereItTakesEverything) {
  const RoutePlan all = plan_routes(settings(), kLink, kNumber, true);
  EXPECT_THAT(all.rules, Contains(AllOf(rule_of(Family::v4), Field(&RoutingRule::suppress_length, 0U),
                                        Field(&RoutingRule::table, std::uint32_t{RT_TABLE_MAIN}))));
  ClientSettings split = settings();
  split.only = {prefix("10.1.0.0/16")};  // also where the main table has a route to 10.0.0.0/8
  EXPECT_THAT(plan_routes(split, kLink, kNumber, true).rules,
              Not(Contains(Field(&RoutingRule::suppress_length, testing::Optional(0U)))));
}

TEST(RoutePlan, AsksTheResolverThroughTheTunnelWhateverTheHostsNetworksAre) {
  const RoutePlan plan = plan_routes(settings(), kLink, kNumber, true);
  EXPECT_THAT(plan.routes, Contains(inside("10.0.0.2/32")));
  const auto at =
      std::find_if(plan.rules.begin(), plan.rules.end(), [](const auto& rule) { return rule.to.has_value(); });
  ASSERT_NE(at, plan.rules.end());
  EXPECT_EQ(at->to, prefix("10.0.0.2/32"));
  EXPECT_EQ(at->priority, kFirstRule);
}

TEST(RoutePlan, TakesOnlyWhatItIsToldTo) {
  ClientSettings split = settings();
  split.changes_dns = false;
  split.only = {prefix("192.0.2.0/24")};
  const RoutePlan plan = plan_routes(split, kLink, kNumber, true);
  EXPECT_THAT(plan.routes, testing::ElementsAre(inside("192.0.2.0/24")));
  EXPECT_THAT(plan.rules, Each(rule_of(Family::v4)));
}

TEST(RoutePlan, ThrowsOutWhatIsExcluded) {
  ClientSettings split = settings();
  split.exclude = {prefix("192.0.2.0/24")};
  split.exclude_mark = 5;
  const RoutePlan plan = plan_routes(split, kLink, kNumber, true);
  EXPECT_THAT(plan.routes, Contains(AllOf(Field(&Route::to, prefix("192.0.2.0/24")), Field(&Route::kind, RTN_THROW),
                                          Field(&Route::table, kNumber))));
  EXPECT_EQ(plan.rules.front().mark, 5U);
  EXPECT_EQ(plan.rules.front().table, std::uint32_t{RT_TABLE_MAIN});
}

TEST(RoutePlan, LeavesNoWayForAFamilyThatTheTunnelDoesNotHave) {
  EXPECT_THAT(plan_routes(settings(), kLink, kNumber, false).routes, Contains(unreachable("::/0")));
  ClientSettings v4 = settings();
  v4.addresses.pop_back();
  EXPECT_THAT(plan_routes(v4, kLink, kNumber, true).routes, Contains(unreachable("::/0")));
}

TEST(RoutePlan, HasAsManyRulesOfAFamilyAsItSays) {
  ClientSettings all = settings();
  all.exclude_mark = 5;
  const RoutePlan plan = plan_routes(all, kLink, kNumber, true);
  for (const RoutingRule& rule : plan.rules) EXPECT_LT(rule.priority, kFirstRule + kRules);
}

TEST(RoutePlan, KnowsWhoHasANumber) {
  EXPECT_FALSE(is_in_use(7, {{.table = 8}, {.mark = 9}}, {{.to = prefix("0.0.0.0/0"), .table = 10}}));
  EXPECT_TRUE(is_in_use(7, {{.table = 7}}, {}));
  EXPECT_TRUE(is_in_use(7, {{.mark = 7}}, {}));
  EXPECT_TRUE(is_in_use(7, {}, {{.to = prefix("0.0.0.0/0"), .table = 7}}));
}

}  // namespace
}  // namespace gatehouse::packet_tunnel
