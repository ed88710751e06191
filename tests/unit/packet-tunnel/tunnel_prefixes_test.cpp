#include "plugins/packet-tunnel/server/tunnel_prefixes.hpp"

#include "tests/unit/own_network.hpp"

#include <gmock/gmock.h>

namespace gatehouse::packet_tunnel {
namespace {

using testing::AllOf;
using testing::HasSubstr;

Prefix prefix(const char* text) { return *Prefix::parse(text); }
TakenPrefix taken(const char* text, bool is_nowhere = false) {
  return {prefix(text), std::string("the route ") + text, is_nowhere};
}
std::string chosen(std::vector<TakenPrefix> places, std::optional<Prefix> present = {}) {
  return choose_v4_prefix("auto", places, present).to_string();
}
std::string refusal(const std::string& v4, std::vector<TakenPrefix> places) {
  try {
    (void)choose_v4_prefix(v4, places, {});
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}
std::string refusal_v6(const std::string& v6, std::vector<TakenPrefix> places) {
  try {
    (void)choose_v6_prefix(v6, places);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

TEST(TunnelPrefixes, AreTheFirstThatTheHostDoesNotUse) {
  EXPECT_EQ(chosen({}), "10.0.0.0/8");
  EXPECT_EQ(chosen({taken("192.168.0.0/16"), taken("9.0.0.0/8"), taken("11.0.0.0/8")}), "10.0.0.0/8");
  EXPECT_EQ(chosen({taken("10.0.0.2/32")}), "100.64.0.0/10");
  EXPECT_EQ(chosen({taken("10.0.0.0/8")}), "100.64.0.0/10");
  EXPECT_EQ(chosen({taken("8.0.0.0/6")}), "100.64.0.0/10") << "a wider one takes it as well";
  EXPECT_EQ(chosen({taken("10.255.0.0/16"), taken("100.100.100.200/32")}), "172.16.0.0/12");
  EXPECT_THAT(refusal("auto", {taken("10.1.0.0/16"), taken("100.64.0.1/32"), taken("172.17.0.0/16")}),
              AllOf(HasSubstr("10.0.0.0/8 (the route 10.1.0.0/16)"),
                    HasSubstr("172.16.0.0/12 (the route 172.17.0.0/16)"), HasSubstr("set ipv4_prefix")));
}

TEST(TunnelPrefixes, GoRoundWhatIsSaidToBeNowhereInsideThemButNotAroundThem) {
  EXPECT_EQ(chosen({taken("8.0.0.0/6", true)}), "10.0.0.0/8");
  EXPECT_EQ(chosen({taken("10.0.0.0/8", true)}), "100.64.0.0/10");
  EXPECT_EQ(chosen({taken("10.3.0.0/16", true)}), "100.64.0.0/10");
}

TEST(TunnelPrefixes, StayOverARestart) {
  EXPECT_EQ(chosen({}, prefix("172.16.0.0/12")), "172.16.0.0/12");
  EXPECT_EQ(chosen({taken("172.17.0.0/16")}, prefix("172.16.0.0/12")), "10.0.0.0/8");
  EXPECT_EQ(chosen({}, prefix("192.168.0.0/24")), "10.0.0.0/8") << "one that was configured then";
}

TEST(TunnelPrefixes, AreRefusedWhereTheConfiguredOneOverlaps) {
  const std::vector<TakenPrefix> places{taken("192.168.7.0/24"), taken("fd19:ca83::/32")};
  EXPECT_THAT(refusal("192.168.0.0/16", places),
              AllOf(HasSubstr("192.168.0.0/16"), HasSubstr("the route 192.168.7.0/24")));
  EXPECT_EQ(refusal("192.168.8.0/24", places), "");
  EXPECT_THAT(refusal_v6(std::string(kDefaultV6Prefix), places), HasSubstr("the route fd19:ca83::/32"));
  EXPECT_EQ(refusal_v6("fd00:1:2:3::/64", places), "");
  for (const char* wrong : {"", "10.0.0.1/8", "10.0.0.0/7", "10.0.0.0/29", "fd19::/64", "127.0.0.0/8", "224.0.0.0/8",
                            "0.0.0.0/8", "240.0.0.0/8", "169.254.0.0/16"})
    EXPECT_THAT(refusal(wrong, {}), HasSubstr("neither \"auto\" nor an IPv4 prefix of /8 to /28")) << wrong;
  for (const char* wrong : {"", "10.0.0.0/8", "fd19::/63", "fd19::/65", "ff00::/64", "fe80::/64"})
    EXPECT_THAT(refusal_v6(wrong, {}), HasSubstr("no IPv6 prefix of /64")) << wrong;
}

TEST(TunnelPrefixes, GiveEachIndexItsAddressesInBothFamilies) {
  const TunnelPrefixes wide(prefix("10.0.0.0/8"), prefix("fd19:ca83:e6d5:1c44::/64"));
  EXPECT_EQ(wide.first_index(), 3u);
  EXPECT_EQ(wide.last_index(), 0xfffffeu);
  EXPECT_EQ(wide.v4_address(0x123456).to_string(), "10.18.52.86");
  EXPECT_EQ(wide.v6_address(0x123456).to_string(), "fd19:ca83:e6d5:1c44:8c57:4434:ee12:3456");
  EXPECT_EQ(wide.device_v4().to_string(), "10.0.0.1");
  EXPECT_EQ(wide.device_v6().to_string(), "fd19:ca83:e6d5:1c44::1");

  for (const char* text : {"10.0.0.0/8", "172.16.0.0/12", "100.64.0.0/10", "192.168.5.16/28", "198.18.0.0/24"}) {
    const TunnelPrefixes one(prefix(text), prefix("fd19::/64"));
    for (const std::uint32_t index : {one.first_index(), one.last_index()}) {
      EXPECT_TRUE(one.v4().contains(one.v4_address(index))) << text;
      EXPECT_TRUE(one.v6()->contains(one.v6_address(index))) << text;
      EXPECT_EQ(index_of(one.v4_address(index)), index) << text;
      EXPECT_EQ(index_of(one.v6_address(index)), index) << text;
    }
    EXPECT_EQ(one.v4_address(one.first_index() - 2), one.device_v4()) << text;
    EXPECT_FALSE(one.v4().contains(IpAddress::v4(one.v4_address(one.last_index()).to_v4() + 2))) << text;
  }
}

TEST(TakenPrefixes, AreWhatTheHostHasButTheTunnelsOwn) {
  in_own_network([] {
    output_of("ip tuntap add mode tun name wan0 && ip address add 192.0.2.1/24 dev wan0 && ip link set up dev wan0");
    output_of("ip tuntap add mode tun name own0 && ip address add 10.0.0.1/8 dev own0 && ip link set up dev own0");
    output_of(
        "ip route add default via 192.0.2.254 && ip route add 0.0.0.0/1 dev wan0 && ip route add 128.0.0.0/1 dev wan0");
    Netlink netlink;
    const unsigned own = netlink.find_link("own0")->index;
    const auto found = [&](const char* text, std::vector<Endpoint> servers = {}) {
      const auto places = taken_prefixes(netlink, own, servers);
      const TakenPrefix* const overlap = find_overlap(prefix(text), places);
      return overlap != nullptr ? overlap->what : "";
    };
    EXPECT_EQ(found("10.0.0.0/8"), "");
    EXPECT_EQ(found("172.16.0.0/12"), "") << "default routes take nothing";
    EXPECT_EQ(found("192.0.2.0/28"), "the address 192.0.2.1/24 of wan0");
    EXPECT_EQ(found("10.0.0.0/8", {*Endpoint::parse("10.0.0.2:53")}), "the name server 10.0.0.2");
    output_of("ip route add 203.0.113.1 dev wan0");
    EXPECT_EQ(found("203.0.113.0/24"), "the route 203.0.113.1/32 dev wan0");
    output_of("ip route add 198.51.100.0/24 via 203.0.113.1 table 77");
    EXPECT_EQ(found("198.51.100.128/25"), "the route 198.51.100.0/24 via 203.0.113.1 in table 77 dev wan0");
    output_of("ip route add 10.200.0.0/16 dev wan0 table 77");
    EXPECT_EQ(found("10.0.0.0/8"), "the route 10.200.0.0/16 in table 77 dev wan0");
    output_of("ip route delete 10.200.0.0/16 table 77 && ip route add default via 10.50.0.1 dev wan0 onlink metric 7");
    EXPECT_THAT(found("10.0.0.0/8"), HasSubstr("the gateway of the route 0.0.0.0/0 via 10.50.0.1 metric 7"));
    EXPECT_EQ(choose_v4_prefix("auto", taken_prefixes(netlink, own, {}), prefix("10.0.0.0/8")),
              prefix("100.64.0.0/10"));
    EXPECT_THAT(taken_prefixes(netlink, 0, {}),
                testing::Contains(testing::Field(&TakenPrefix::prefix, prefix("10.0.0.0/8"))));
  });
}

}  // namespace
}  // namespace gatehouse::packet_tunnel
