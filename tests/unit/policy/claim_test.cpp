// Addresses that plugins claim as their own.
#include "policy/compile.hpp"
#include "policy/explain.hpp"

#include <gtest/gtest.h>

namespace gatehouse::policy {
namespace {

class Claims : public testing::Test {
 protected:
  Claims() {
    model_.groups = {{0, "everyone", 1000, true}};
    PortPermit inside;
    inside.id = 1;
    inside.destination = "10.0.0.0/8";
    PortPermit all;
    all.id = 2;
    model_.port_permits = {inside, all};
  }
  void claim(const char* prefix, const char* plugin) {
    around_.claims.push_back({Prefix::parse(prefix).value(), plugin});
  }
  static ClientFacts client(std::string_view plugin) {
    ClientFacts out;
    out.plugin = plugin;
    return out;
  }
  Explanation explained(std::string_view plugin, const char* to, std::uint32_t flags = 0) {
    const Compiled compiled = compile(model_, around_, 1, 0);
    Flow flow;
    flow.destination = IpAddress::parse(to).value();
    flow.port = 53;
    flow.flags = flags;
    const Explanation out = explain(*compiled.snapshot, client(plugin), false, flow);
    EXPECT_EQ(compiled.snapshot->judge(compiled.snapshot->standing_of(client(plugin), false), flow), out.verdict);
    return out;
  }
  Reason reason(std::string_view plugin, const char* to, std::uint32_t flags = 0) {
    return explained(plugin, to, flags).verdict.reason;
  }

  Model model_;
  Surroundings around_;
};

TEST_F(Claims, KeepOthersOutWhateverPermitCoversThem) {
  claim("10.8.0.0/16", "tunnel");
  claim("2a00:1::/64", "tunnel");
  for (const char* to : {"10.8.0.1", "10.8.255.255", "2a00:1::7", "::ffff:10.8.0.1", "64:ff9b::10.8.0.1"}) {
    EXPECT_EQ(reason("udpgw", to), Reason::hard_deny) << to;
    EXPECT_EQ(reason("", to), Reason::hard_deny) << to;
    EXPECT_EQ(reason("tunnel", to), Reason::port_permit) << to;
  }
  for (const char* to : {"10.9.0.1", "2a00:1:0:1::7", "8.8.8.8"})
    EXPECT_EQ(reason("udpgw", to), Reason::port_permit) << to;
}

TEST_F(Claims, OpenNothingForTheirOwnPlugin) {
  claim("192.168.7.0/24", "tunnel");
  EXPECT_EQ(reason("tunnel", "192.168.7.1"), Reason::bogon);
}

TEST_F(Claims, OfTwoPluginsKeepBothOut) {
  claim("10.8.0.0/16", "tunnel");
  claim("10.8.1.0/24", "udpgw");
  EXPECT_EQ(reason("udpgw", "10.8.1.1"), Reason::hard_deny);
  EXPECT_EQ(reason("tunnel", "10.8.1.1"), Reason::hard_deny);
  EXPECT_EQ(reason("tunnel", "10.8.2.1"), Reason::port_permit);
}

TEST_F(Claims, HoldForRelayLegsAndNotForTheGatewaysOwnResolver) {
  claim("10.8.0.0/16", "tunnel");
  EXPECT_EQ(reason("relay", "10.8.0.1", kFlowPeer), Reason::hard_deny);
  EXPECT_EQ(reason("relay", "10.9.0.1", kFlowPeer), Reason::peer);
  EXPECT_EQ(reason("udpgw", "10.8.0.1", kFlowResolver), Reason::resolver);
}

TEST_F(Claims, AreExplainedWithTheirPlugin) {
  claim("10.8.0.0/16", "tunnel");
  claim("10.8.1.0/24", "echo");
  EXPECT_EQ(explained("udpgw", "10.8.0.1").steps.back().sentence,
            "another plugin claims the destination as its own: `tunnel`");
  EXPECT_EQ(explained("udpgw", "10.8.1.1").steps.back().sentence,
            "another plugin claims the destination as its own: `several plugins`");
}

}  // namespace
}  // namespace gatehouse::policy
