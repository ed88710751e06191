// Entries of the kernel's own table, made by packets that it really tracked.
#include "plugins/packet-tunnel/server/conntrack.hpp"

#include "plugins/packet-tunnel/common/nft.hpp"
#include "tests/unit/own_network.hpp"
#include "tests/unit/packet-tunnel/ip_packet.hpp"

#include <gatehouse/base/clock.hpp>
#include <gatehouse/net/tun_device.hpp>

#include <gmock/gmock.h>

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <sys/socket.h>

#include <array>
#include <map>

namespace gatehouse::packet_tunnel {
namespace {

using testing::ElementsAre;
using testing::Pair;

Endpoint endpoint(const std::string& text) { return *Endpoint::parse(text); }

/// How many entries each original source has, as a whole dump shows them.
std::map<std::string, int> entries() {
  NetlinkSocket socket(NETLINK_NETFILTER);
  NetlinkMessage request(NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET, NLM_F_DUMP);
  request.put_header(nfgenmsg{});
  std::map<std::string, int> out;
  const auto done = socket.ask(request, [&](std::uint16_t, Bytes body) {
    (void)take_header<nfgenmsg>(body);
    const auto addresses = NetlinkAttributes(body).nested(CTA_TUPLE_ORIG).nested(CTA_TUPLE_IP);
    const IpAddress v4 = addresses.address(CTA_IP_V4_SRC), v6 = addresses.address(CTA_IP_V6_SRC);
    ++out[(v4.is_v4() ? v4 : v6).to_string()];
  });
  EXPECT_TRUE(done) << done.error().message();
  return out;
}

/// In a network whose tun device has tracked UDP packets of some clients to several others.
template <class Task>
void with_tracked_clients(unsigned flows, Task task) {
  in_own_network([&] {
    TunDevice device = TunDevice::open({"gatehouse0", 1, false});
    output_of("ip link set up dev gatehouse0");
    output_of("ip address add 10.0.0.1/8 dev gatehouse0 && ip address add fd19::1/64 nodad dev gatehouse0");
    wait_for_address("fd19::1");
    Nft().run(
        "add table inet t\nadd chain inet t c { type filter hook input priority filter; }\n"
        "add rule inet t c ct state new accept");
    for (unsigned n = 0; n < flows; ++n) {
      const std::string port = ":" + std::to_string(1000 + n % 50000);
      for (const auto& [from, to] : std::map<std::string, std::string>{{"10.0.0.7", "10.0.0.1"},
                                                                       {"10.0.0.8", "10.0.0.1"},
                                                                       {"[fd19::7]", "[fd19::1]"},
                                                                       {"[fd19::8]", "[fd19::1]"}}) {
        const Packet packet = udp_packet(endpoint(from + port), endpoint(to + ":4444"), "x");
        const Bytes all(packet);
        ASSERT_TRUE(device.queue(0).write({&all, 1}));
      }
    }
    task();
  });
}

TEST(Conntrack, ForgetsWhatOneAddressHasSentAndNothingElse) {
  with_tracked_clients(40, [] {
    auto expected = entries();
    EXPECT_THAT(expected,
                ElementsAre(Pair("10.0.0.7", 40), Pair("10.0.0.8", 40), Pair("fd19::7", 40), Pair("fd19::8", 40)));
    const auto forget = [&](Conntrack& conntrack, const std::string& client) {
      const auto done = conntrack.forget(*IpAddress::parse(client));
      ASSERT_TRUE(done) << done.error().message();
      expected.erase(client);
      EXPECT_EQ(entries(), expected) << client;
    };
    Conntrack filtered(true), one_by_one(false);
    for (Conntrack* const conntrack : {&filtered, &one_by_one})
      for (const char* nobody : {"10.0.0.99", "fd19::99"}) forget(*conntrack, nobody);
    forget(filtered, "10.0.0.7");
    forget(one_by_one, "fd19::7");
    forget(filtered, "fd19::8");
    forget(one_by_one, "10.0.0.8");
    EXPECT_NE(filtered.way(Family::v6), Conntrack::Way::unknown);
    EXPECT_NE(one_by_one.way(Family::v4), Conntrack::Way::one_request);
  });
}

/// Some kernels take an IPv6 source to mean all the others.
TEST(Conntrack, ForgetsTheOnlyIpv6ClientByTheFirstRequest) {
  with_tracked_clients(3, [] {
    ASSERT_TRUE(Conntrack(false).forget(*IpAddress::parse("fd19::8")));
    EXPECT_EQ(entries()["fd19::7"], 3);
    Conntrack conntrack;
    EXPECT_TRUE(conntrack.forget(*IpAddress::parse("fd19::7")));
    EXPECT_THAT(entries(), ElementsAre(Pair("10.0.0.7", 3), Pair("10.0.0.8", 3)));
    EXPECT_NE(conntrack.way(Family::v6), Conntrack::Way::unknown);
  });
}

TEST(Conntrack, ForgetsAllThatHaveGoneAtOnce) {
  with_tracked_clients(30, [] {
    const auto forgotten = Conntrack().forget_if([](const IpAddress& source) {
      return source == *IpAddress::parse("10.0.0.8") || source == *IpAddress::parse("fd19::7");
    });
    ASSERT_TRUE(forgotten) << forgotten.error().message();
    EXPECT_EQ(*forgotten, 60u);
    EXPECT_THAT(entries(), ElementsAre(Pair("10.0.0.7", 30), Pair("fd19::8", 30)));
  });
}

TEST(Conntrack, KeepsWhatOthersHaveSentToThatAddress) {
  with_tracked_clients(5, [] {
    ASSERT_TRUE(Conntrack().forget(*IpAddress::parse("10.0.0.1")));
    EXPECT_EQ(entries()["10.0.0.7"], 5);
  });
}

TEST(Conntrack, SaysThatItMayNot) {
  with_tracked_clients(1, [] {
    Conntrack conntrack;
    ASSERT_TRUE(drop_capabilities());
    EXPECT_EQ(conntrack.forget(*IpAddress::parse("10.0.0.7")).error().value(), EPERM);
    EXPECT_EQ(conntrack.way(Family::v4), Conntrack::Way::one_request)
        << "want of a capability says nothing of the kernel";
    EXPECT_EQ(conntrack.forget(*IpAddress::parse("fd19::7")).error().value(), EPERM);
  });
}

}  // namespace
}  // namespace gatehouse::packet_tunnel
