#include "plugins/packet-tunnel/server/host_network.hpp"

#include "plugins/packet-tunnel/common/host_error.hpp"
#include "plugins/packet-tunnel/common/sysctl.hpp"
#include "tests/unit/own_network.hpp"

#include <gmock/gmock.h>

#include <sys/mount.h>

namespace gatehouse::packet_tunnel {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::Each;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

TunDevice open_device() { return TunDevice::open({std::string(kDefaultDevice), 1}); }

/// Nothing forwards yet, and wan0 listens to router advertisements.
void prepare_host() {
  for (const char* name : {"net/ipv4/conf/all/forwarding", "net/ipv6/conf/all/forwarding"}) write_sysctl(name, "0");
  output_of("ip tuntap add mode tun name wan0 && ip address add 192.0.2.1/24 dev wan0 && ip link set up dev wan0");
  write_sysctl("net/ipv6/conf/wan0/accept_ra", "1");
  output_of("ip -6 route add default dev wan0 proto ra");
}

std::string refusal_of(const HostNetworkSettings& settings) {
  try {
    const TunDevice device = open_device();
    const HostNetwork network(device, settings, {});
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

TEST(HostNetwork, SetsUpEverythingThatATunnelNeeds) {
  in_own_network([] {
    prepare_host();
    const TunDevice device = open_device();
    HostNetworkSettings settings;
    settings.mtu = 1380;
    const HostNetwork network(device, settings, {});
    EXPECT_EQ(network.prefixes(), TunnelPrefixes(*Prefix::parse("10.0.0.0/8"), *Prefix::parse(kDefaultV6Prefix)));
    EXPECT_THAT(output_of("ip link show dev gatehouse0"),
                AllOf(HasSubstr("mtu 1380"), HasSubstr("qlen 1000"), HasSubstr(",UP")));
    const std::string addresses = output_of("ip address show dev gatehouse0");
    EXPECT_THAT(addresses, AllOf(HasSubstr("inet 10.0.0.1/8"), HasSubstr("inet6 fd19:ca83:e6d5:1c44::1/64")));
    EXPECT_THAT(addresses, Not(HasSubstr("fe80:"))) << "nobody speaks to it by such an address";
    EXPECT_EQ(read_sysctl("net/ipv4/conf/all/forwarding"), "1");
    EXPECT_EQ(read_sysctl("net/ipv6/conf/all/forwarding"), "1");
    EXPECT_EQ(read_sysctl("net/ipv6/conf/wan0/accept_ra"), "2");
    EXPECT_THAT(network.notes(), AllOf(Contains(HasSubstr("net.ipv4.conf.all.forwarding was 0 and is now 1")),
                                       Contains(HasSubstr("net.ipv6.conf.wan0.accept_ra was 1 and is now 2")),
                                       Each(HasSubstr("stays so")), testing::SizeIs(3)));
    EXPECT_THAT(output_of("nft list ruleset"), HasSubstr("table inet gatehouse {"));
  });
}

TEST(HostNetwork, IsUndoneButForForwarding) {
  in_own_network([] {
    prepare_host();
    const std::string routes = output_of("ip route show table all; ip -6 route show table all");
    {
      const TunDevice device = open_device();
      const HostNetwork network(device, {}, {});
    }
    EXPECT_EQ(output_of("nft list ruleset"), "");
    EXPECT_EQ(output_of("ip route show table all; ip -6 route show table all"), routes);
    EXPECT_EQ(read_sysctl("net/ipv4/conf/all/forwarding"), "1");
    const TunDevice device = open_device();
    EXPECT_THAT(HostNetwork(device, {}, {}).notes(), IsEmpty()) << "nothing to change any more";
  });
}

TEST(HostNetwork, GoesOnWithADeviceThatWasLeftAndKeepsItsPrefix) {
  in_own_network([] {
    output_of("ip tuntap add mode tun name wan0 && ip address add 10.1.0.1/16 dev wan0 && ip link set up dev wan0");
    {
      TunDevice device = open_device();
      ASSERT_TRUE(device.persist(true));
      HostNetwork network(device, {}, {});
      EXPECT_EQ(network.prefixes().v4().to_string(), "100.64.0.0/10");
      network.keep();
    }
    EXPECT_THAT(output_of("nft list ruleset"), HasSubstr("100.64.0.0/10"));
    output_of("ip address flush dev wan0");  // 10.0.0.0/8 would be free now
    output_of("ip address add 198.51.100.1/24 dev gatehouse0");
    const TunDevice device = open_device();
    ASSERT_TRUE(device.was_there());
    {
      HostNetwork network(device, {}, {});
      EXPECT_EQ(network.prefixes().v4().to_string(), "100.64.0.0/10");
      EXPECT_THAT(output_of("ip address show dev gatehouse0"), Not(HasSubstr("198.51.100.1"))) << "not one of ours";
    }
    HostNetworkSettings other;
    other.ipv4_prefix = "198.18.0.0/15", other.ipv6_prefix = "fd00:1:2:3::/64";
    const HostNetwork network(device, other, {});
    const std::string addresses = output_of("ip address show dev gatehouse0");
    EXPECT_THAT(addresses, AllOf(HasSubstr("inet 198.18.0.1/15"), HasSubstr("inet6 fd00:1:2:3::1/64")));
    EXPECT_THAT(addresses, AllOf(Not(HasSubstr("100.64")), Not(HasSubstr("fd19"))));
  });
}

TEST(HostNetwork, RefusesAPrefixInUseAndNamesWhoUsesIt) {
  in_own_network([] {
    output_of("ip tuntap add mode tun name wan0 && ip address add 10.1.0.1/16 dev wan0 && ip link set up dev wan0");
    EXPECT_THAT(refusal_of({"10.0.0.0/8"}),
                AllOf(HasSubstr("ipv4_prefix = \"10.0.0.0/8\""), HasSubstr("10.1.0.1/16 of wan0")));
    const TunDevice device = open_device();
    const Endpoint server = *Endpoint::parse("100.100.100.100:53");
    EXPECT_EQ(HostNetwork(device, {}, {&server, 1}).prefixes().v4().to_string(), "172.16.0.0/12");
  });
}

TEST(HostNetwork, HasIpv6AsItIsToldTo) {
  in_own_network([] {
    HostNetworkSettings settings;
    settings.ipv6 = Ipv6Mode::off;
    {
      const TunDevice device = open_device();
      const HostNetwork network(device, settings, {});
      EXPECT_FALSE(network.prefixes().v6());
      EXPECT_THAT(output_of("ip address show dev gatehouse0"), Not(HasSubstr("inet6")));
      EXPECT_THAT(output_of("nft list ruleset"), Not(HasSubstr("ip6 saddr")));
      EXPECT_THAT(network.notes(), Not(Contains(HasSubstr("IPv6"))));
    }
    write_sysctl("net/ipv6/conf/all/disable_ipv6", "1");
    settings.ipv6 = Ipv6Mode::required;
    EXPECT_THAT(refusal_of(settings), AllOf(HasSubstr("disable_ipv6 = 1"), HasSubstr("required")));
    settings.ipv6 = Ipv6Mode::automatic;
    const TunDevice device = open_device();
    const HostNetwork network(device, settings, {});
    EXPECT_FALSE(network.prefixes().v6());
    EXPECT_THAT(network.notes(), Contains(HasSubstr("clients have no IPv6: IPv6 is switched off")));
    EXPECT_THAT(output_of("ip address show dev gatehouse0"), HasSubstr("inet 10.0.0.1/8"));
  });
}

TEST(HostNetwork, TouchesNeitherRulesNorForwardingWithoutNat) {
  in_own_network([] {
    prepare_host();
    HostNetworkSettings settings;
    settings.nat = false;
    const TunDevice device = open_device();
    HostNetwork network(device, settings, {});
    EXPECT_THAT(network.notes(), IsEmpty());
    EXPECT_FALSE(network.restore_rules());
    EXPECT_EQ(output_of("nft list ruleset"), "");
    EXPECT_EQ(read_sysctl("net/ipv4/conf/all/forwarding"), "0");
    EXPECT_EQ(read_sysctl("net/ipv6/conf/wan0/accept_ra"), "1");
    EXPECT_THAT(output_of("ip address show dev gatehouse0"), HasSubstr("inet 10.0.0.1/8"));
  });
}

TEST(HostNetwork, LeavesAnAdoptedDeviceAloneAndNeedsNoPrivilegeThen) {
  in_own_network([] {
    TunDevice given = TunDevice::open({"given0", 1});
    output_of("ip address add 172.16.0.1/12 dev given0 && ip link set mtu 1300 up dev given0");
    const std::string before = output_of("ip -4 address show dev given0");
    std::vector<UniqueFd> fds;
    fds.emplace_back(::dup(given.queue(0).fd()));
    const TunDevice device = TunDevice::adopt(std::move(fds));
    ASSERT_TRUE(drop_capabilities());
    HostNetworkSettings settings;
    settings.nat = false;
    const HostNetwork network(device, settings, {});
    EXPECT_EQ(network.prefixes().v4().to_string(), "172.16.0.0/12") << "what it was given";
    EXPECT_EQ(output_of("ip -4 address show dev given0"), before);
  });
}

TEST(HostNetwork, SaysThatProcIsReadOnly) {
  in_own_network([] {
    prepare_host();
    if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("/proc/sys", "/proc/sys", nullptr, MS_BIND, nullptr) != 0 ||
        ::mount(nullptr, "/proc/sys", nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr) != 0)
      GTEST_SKIP() << "no mount namespace";
    EXPECT_THAT(refusal_of({}), AllOf(HasSubstr("net/ipv4/conf/all/forwarding"), HasSubstr("mounted read-only")));
    EXPECT_EQ(output_of("nft list ruleset"), "");
  });
}

}  // namespace
}  // namespace gatehouse::packet_tunnel
