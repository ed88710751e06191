// Routes, rules and addresses of the real kernel, in a network of the test's own; read back by the ip command.
#include "plugins/packet-tunnel/common/netlink.hpp"

#include "plugins/packet-tunnel/common/host_error.hpp"
#include "tests/unit/own_network.hpp"

#include <gmock/gmock.h>

namespace gatehouse::packet_tunnel {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;
using testing::UnorderedElementsAre;

IpAddress ip(const char* text) { return *IpAddress::parse(text); }
Prefix prefix(const char* text) { return *Prefix::parse(text); }

/// In a network with the tun device `wan0`, 192.0.2.1/24, up.
template <class Task>
void with_wan(Task task) {
  in_own_network([&] {
    output_of("ip tuntap add mode tun name wan0 && ip address add 192.0.2.1/24 dev wan0 && ip link set up dev wan0");
    Netlink netlink;
    task(netlink, netlink.find_link("wan0")->index);
  });
}

TEST(Netlink, SetsWhatALinkHas) {
  with_wan([](Netlink& netlink, unsigned wan) {
    netlink.set_mtu(wan, 1380);
    netlink.set_queue_length(wan, 2345);
    netlink.set_up(wan, false);
    EXPECT_EQ(netlink.find_link("wan0"), (Link{wan, "wan0", 1380, 2345, false}));
    netlink.set_up(wan, true);
    EXPECT_THAT(output_of("ip link show dev wan0"),
                AllOf(HasSubstr("mtu 1380"), HasSubstr("qlen 2345"), HasSubstr(",UP")));
    EXPECT_FALSE(netlink.find_link("wan1"));
  });
}

TEST(Netlink, GivesAndTakesAddresses) {
  with_wan([](Netlink& netlink, unsigned wan) {
    const LinkAddress v4{wan, ip("10.0.0.1"), 8}, v6{wan, ip("fd19::1"), 64};
    for (int times = 0; times < 2; ++times)
      for (const auto& address : {v4, v6}) netlink.put_address(address);
    EXPECT_THAT(netlink.addresses(wan),
                AllOf(Contains(v4), Contains(v6), Contains(LinkAddress{wan, ip("192.0.2.1"), 24})));
    EXPECT_THAT(netlink.addresses(wan + 1000), testing::IsEmpty());
    const std::string shown = output_of("ip address show dev wan0");
    EXPECT_THAT(shown, AllOf(HasSubstr("inet 10.0.0.1/8"), HasSubstr("inet6 fd19::1/64 scope global nodad")));
    EXPECT_THAT(shown, Not(HasSubstr("tentative")));
    for (int times = 0; times < 2; ++times)
      for (const auto& address : {v4, v6}) netlink.delete_address(address);
    EXPECT_THAT(netlink.addresses(), AllOf(Not(Contains(v4)), Not(Contains(v6))));
  });
}

TEST(Netlink, AddsReplacesAndDeletesRoutesOfAnyTable) {
  with_wan([](Netlink& netlink, unsigned wan) {
    Route via{prefix("198.51.100.0/24")};
    via.via = ip("192.0.2.7"), via.link = wan, via.metric = 50;
    Route on_link{prefix("203.0.113.0/24")};
    on_link.link = wan, on_link.table = 7000, on_link.source = ip("192.0.2.1");
    Route nowhere{prefix("2001:db8::/32")};
    nowhere.kind = RTN_UNREACHABLE, nowhere.metric = 4000;
    Route thrown{prefix("0.0.0.0/0")};
    thrown.kind = RTN_THROW, thrown.table = 7000;
    for (const Route& route : {via, on_link, nowhere, thrown}) netlink.put_route(route);
    EXPECT_THAT(output_of("ip route show table all"),
                AllOf(HasSubstr("198.51.100.0/24 via 192.0.2.7 dev wan0 proto static metric 50"),
                      HasSubstr("203.0.113.0/24 dev wan0 table 7000 proto static scope link src 192.0.2.1"),
                      HasSubstr("throw default table 7000 proto static")));
    EXPECT_THAT(output_of("ip -6 route"), HasSubstr("unreachable 2001:db8::/32 dev lo proto static metric 4000"));

    auto found = netlink.routes();
    EXPECT_THAT(found, AllOf(Contains(via), Contains(on_link), Contains(thrown)));
    via.via = ip("192.0.2.8");
    netlink.put_route(via);
    EXPECT_THAT(output_of("ip route"), AllOf(HasSubstr("via 192.0.2.8"), Not(HasSubstr("via 192.0.2.7"))));
    for (int times = 0; times < 2; ++times)
      for (const Route& route : {via, on_link, nowhere, thrown}) netlink.delete_route(route);
    EXPECT_THAT(output_of("ip route show table all; ip -6 route show table all"),
                AllOf(Not(HasSubstr("198.51.100")), Not(HasSubstr("7000")), Not(HasSubstr("2001:db8"))));
  });
}

TEST(Netlink, ListsLocalRoutesAndRoutesOfSeveralWays) {
  with_wan([](Netlink& netlink, unsigned wan) {
    output_of("ip route add 198.51.100.0/24 nexthop via 192.0.2.7 nexthop via 192.0.2.8");
    output_of("ip route add 203.0.113.0/24 via inet6 fe80::1 dev wan0");
    output_of("ip route add local 10.9.0.0/16 dev lo");
    std::vector<std::string> texts;
    for (const Route& route : netlink.routes()) texts.push_back(to_text(route));
    EXPECT_THAT(texts, AllOf(Contains("198.51.100.0/24"), Contains("203.0.113.0/24 via fe80::1"),
                             Contains("local 10.9.0.0/16"), Contains("local 192.0.2.1/32"), Contains("192.0.2.0/24")));
    (void)wan;
  });
}

TEST(Netlink, SaysWhichWayAPacketOfIpv6Takes) {
  with_wan([](Netlink& netlink, unsigned wan) {
    output_of("ip address add 2001:db8:1::1/64 dev wan0 nodad");
    output_of("ip -6 route add 2001:db8:2::/64 via 2001:db8:1::9");
    output_of("ip -6 route add 2001:db8:2::/64 via 2001:db8:1::8 table 70 && ip -6 rule add fwmark 5 table 70");
    const auto route = netlink.route_to(ip("2001:db8:2::7"));
    ASSERT_TRUE(route);
    EXPECT_EQ(route->link, wan);
    EXPECT_EQ(route->via, ip("2001:db8:1::9"));
    EXPECT_EQ(route->source, ip("2001:db8:1::1"));
    ASSERT_TRUE(netlink.route_to(ip("2001:db8:2::7"), 5));
    EXPECT_EQ(netlink.route_to(ip("2001:db8:2::7"), 5)->via, ip("2001:db8:1::8"));
    EXPECT_EQ(netlink.route_to(ip("2001:db8:2::7"), 5)->table, 70u);
    const auto own = netlink.route_to(ip("::1"));
    ASSERT_TRUE(own);
    EXPECT_EQ(own->kind, RTN_LOCAL);
  });
}

TEST(Netlink, SaysWhichWayAPacketTakes) {
  with_wan([](Netlink& netlink, unsigned wan) {
    output_of("ip route add default via 192.0.2.254");
    output_of("ip route add 198.51.100.0/24 via 192.0.2.9 table 70 && ip rule add fwmark 5 table 70");
    const auto route = netlink.route_to(ip("198.51.100.1"));
    ASSERT_TRUE(route);
    EXPECT_EQ(route->link, wan);
    EXPECT_EQ(route->via, ip("192.0.2.254"));
    EXPECT_EQ(route->source, ip("192.0.2.1"));
    EXPECT_EQ(netlink.route_to(ip("198.51.100.1"), 5)->via, ip("192.0.2.9"));
    EXPECT_EQ(netlink.route_to(ip("198.51.100.1"), 5)->table, 70u);
    EXPECT_EQ(netlink.route_to(ip("192.0.2.7"))->via.family(), Family::none);
    EXPECT_FALSE(netlink.route_to(ip("2001:db8::1")));
    output_of("ip route add unreachable 203.0.113.0/24");
    EXPECT_FALSE(netlink.route_to(ip("203.0.113.1")));
  });
}

TEST(Netlink, AddsAndDeletesRules) {
  in_own_network([] {
    Netlink netlink;
    const RoutingRule marked{Family::v4, 100, 70, 5, 0xff, true, {}, prefix("192.0.2.0/24"), {}};
    const RoutingRule narrow{Family::v6, 101, 7000, {}, 0xffffffff, false, prefix("fd19::/64"), {}, 0};
    for (int times = 0; times < 2; ++times)
      for (const auto& rule : {marked, narrow}) netlink.put_rule(rule);
    EXPECT_THAT(output_of("ip rule"), HasSubstr("100:\tnot from all to 192.0.2.0/24 fwmark 0x5/0xff lookup 70"));
    EXPECT_THAT(output_of("ip -6 rule"), HasSubstr("101:\tfrom fd19::/64 lookup 7000 suppress_prefixlength 0"));
    EXPECT_THAT(netlink.rules(), AllOf(Contains(marked), Contains(narrow)));
    for (int times = 0; times < 2; ++times)
      for (const auto& rule : {marked, narrow}) netlink.delete_rule(rule);
    EXPECT_THAT(netlink.rules(), AllOf(Not(Contains(marked)), Not(Contains(narrow))));
  });
}

std::string refusal_of(const std::function<void()>& task) {
  try {
    task();
  } catch (const HostError& error) {
    return error.what();
  }
  return "";
}

TEST(Netlink, SaysWhatFailedAndWhatIsMissing) {
  with_wan([](Netlink& netlink, unsigned wan) {
    EXPECT_THAT(refusal_of([&] { netlink.set_mtu(wan, 10); }),
                AllOf(HasSubstr("cannot set the MTU of wan0 to 10: "), HasSubstr("less than device minimum")));
    Route route{prefix("198.51.100.0/24")};
    route.via = ip("203.0.113.1");
    EXPECT_THAT(refusal_of([&] { netlink.put_route(route); }),
                AllOf(HasSubstr("cannot add the route 198.51.100.0/24 via 203.0.113.1"), HasSubstr("invalid gateway")));
    drop_capabilities();
    EXPECT_THAT(refusal_of([&] { netlink.set_up(wan, false); }),
                AllOf(HasSubstr("cannot take down wan0"), HasSubstr("CAP_NET_ADMIN is missing")));
    EXPECT_THAT(netlink.addresses(wan), testing::SizeIs(testing::Ge(1)));
  });
}

TEST(Netlink, ReadsThousandsOfRoutes) {
  with_wan([](Netlink& netlink, unsigned) {
    output_of(
        "i=0; while [ $i -lt 20000 ]; do echo route add 172.16.$((i / 250)).$((i % 250)) dev wan0; i=$((i + 1)); done "
        "| ip -batch -");
    std::size_t found = 0;
    for (const Route& route : netlink.routes()) found += prefix("172.16.0.0/16").contains(route.to);
    EXPECT_EQ(found, 20000u);
  });
}

}  // namespace
}  // namespace gatehouse::packet_tunnel
