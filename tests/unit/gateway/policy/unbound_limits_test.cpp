// Limits of scope identity that clients from loopback without an identity do not share.
#include "gateway/policy/unbound_limits.hpp"
#include "policy/compile.hpp"

#include <gmock/gmock.h>

namespace gatehouse {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class UnboundLimits : public testing::Test {
 protected:
  UnboundLimits() {
    model_.groups = {{0, "everyone", 1000, true}, {1, "kids", 10, true}};
    plugin_.name = "udpgw";
    listener_.text = "127.0.0.1:7300";
    listener_.endpoint = {IpAddress::parse("127.0.0.1").value(), 7300, 0};
  }
  policy::TrafficRule& rule(std::int64_t id, const char* scope, std::int64_t group = 0) {
    policy::TrafficRule& out = model_.traffic_rules.emplace_back();
    out.id = id;
    out.group_id = group;
    out.scope = scope;
    return out;
  }
  std::vector<std::string> told() {
    plugin_.listeners = {{"listen", {listener_}}};
    return unbound_limits(*policy::compile(model_, {}, 1, 0).snapshot, plugin_);
  }

  policy::Model model_;
  PluginConfig plugin_;
  ListenAddress listener_;
};

TEST_F(UnboundLimits, AreToldOfOnceARow) {
  rule(5, "identity").rate_up = 1000;
  model_.traffic_rules.back().quota_bytes = 5000;
  EXPECT_THAT(told(),
              ElementsAre("traffic_rules 5: rate_up is shared by an identity's or an address's clients, and those "
                          "of udpgw at 127.0.0.1:7300 have neither: give that listener an identity or auth, or "
                          "limit each session"));
}

TEST_F(UnboundLimits, AreSessionsPerSourceToo) {
  rule(6, "session").concurrent_sessions = 4;
  EXPECT_THAT(told(), ElementsAre(HasSubstr("traffic_rules 6: concurrent_sessions is shared")));
}

TEST_F(UnboundLimits, AreNoLimitsThatHoldForEachSession) {
  rule(7, "session").rate_up = 1000;
  rule(8, "identity").udp_idle_seconds = 30;
  model_.traffic_rules.back().token_failures_per_minute = 5;
  model_.traffic_rules.back().rate_down = 0;
  EXPECT_THAT(told(), IsEmpty());
}

TEST_F(UnboundLimits, AreNoneWhereClientsHaveAnIdentityOrAnAddress) {
  rule(5, "identity").rate_up = 1000;
  listener_.identity = "vpn";
  EXPECT_THAT(told(), IsEmpty());
  listener_.identity.clear();
  listener_.auth.token = true;
  EXPECT_THAT(told(), IsEmpty());
  listener_.auth = {};
  EXPECT_EQ(told().size(), 1u);
  listener_.trusted_proxies = {Prefix::parse("127.0.0.1").value()};
  EXPECT_THAT(told(), IsEmpty());
  listener_.trusted_proxies.clear();
  listener_.endpoint.address = IpAddress::parse("::1").value();
  EXPECT_EQ(told().size(), 1u);
  listener_.endpoint.address = IpAddress::parse("192.0.2.1").value();
  EXPECT_THAT(told(), IsEmpty());
  listener_.kind = ListenAddress::Kind::unix_stream;
  EXPECT_THAT(told(), IsEmpty());
}

TEST_F(UnboundLimits, AreNoneOfAGroupThatSuchClientsAreNotIn) {
  rule(9, "identity", 1).rate_up = 1000;
  model_.group_members = {{1, 1, "identity", "token:bob", {}}};
  EXPECT_THAT(told(), IsEmpty());
  model_.group_members[0] = {1, 1, "listener", "127.0.0.1:*", {}};
  EXPECT_THAT(told(), ElementsAre(HasSubstr("traffic_rules 9: ")));
}

}  // namespace
}  // namespace gatehouse
