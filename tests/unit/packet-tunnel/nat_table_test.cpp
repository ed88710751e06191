// The rules as the kernel holds them, and real packets of a client through them.
#include "plugins/packet-tunnel/server/nat_table.hpp"

#include "plugins/packet-tunnel/common/host_error.hpp"
#include "plugins/packet-tunnel/common/sysctl.hpp"
#include "tests/unit/packet-tunnel/far_network.hpp"
#include "tests/unit/packet-tunnel/ip_packet.hpp"

#include <gatehouse/net/tun_device.hpp>

#include <gmock/gmock.h>

#include <algorithm>

namespace gatehouse::packet_tunnel {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const TunnelPrefixes kPrefixes(*Prefix::parse("10.0.0.0/8"), *Prefix::parse("fd19::/64"));

/// What Docker makes by iptables-nft, in as far as it is about forwarded packets; for both families.
constexpr const char* kDocker = R"(
table ip filter {
  chain DOCKER-USER { counter return; }
  chain FORWARD {
    type filter hook forward priority filter; policy drop;
    counter jump DOCKER-USER
    iifname "docker0" oifname != "docker0" counter accept
  }
}
table ip6 filter {
  chain FORWARD {
    type filter hook forward priority filter; policy drop;
  }
}
)";

Endpoint endpoint(const char* text) { return *Endpoint::parse(text); }

/// A gateway that forwards, its tunnel, and what is beyond.
struct Gateway {
  Gateway() : device(TunDevice::open({std::string(kDefaultDevice), 1, false})) {
    output_of("ip link set mtu 1400 dev gatehouse0 && ip link set up dev gatehouse0");
    output_of("ip address add 10.0.0.1/8 dev gatehouse0 && ip address add fd19::1/64 nodad dev gatehouse0");
    wait_for_address("fd19::1");
    write_sysctl("net/ipv4/conf/all/forwarding", "1");
    write_sysctl("net/ipv6/conf/all/forwarding", "1");
  }

  void send(const Packet& packet) {
    const Bytes all(packet);
    const auto sent = device.queue(0).write({&all, 1});
    ASSERT_TRUE(sent) << sent.error().message();
  }

  /// The next IP packet for a client of that protocol.
  Packet next(std::uint8_t protocol) {
    while (comes(device.queue(0).fd(), 1000)) {
      Packet out(kLongestTunRead);
      out.resize(device.queue(0).read(out).value());
      const bool v4 = std::to_integer<int>(out[0]) >> 4 == 4;
      if (std::to_integer<std::uint8_t>(out[v4 ? 9 : 6]) == protocol) return out;
    }
    return {};
  }

  /// A question of a client to the far network, and the answer. Both texts are empty where one does not come through.
  std::pair<Arrived, Packet> exchange(const char* client, const char* server) {
    const UniqueFd socket = far.socket(endpoint(server).address.is_v4() ? AF_INET : AF_INET6, SOCK_DGRAM, 0, server);
    send(udp_packet(endpoint(client), endpoint(server), "question"));
    Arrived question = next_datagram(socket, 300);
    if (question.text.empty()) return {};
    sockaddr_storage to{};
    const socklen_t size = question.from.to_sockaddr(to);
    EXPECT_EQ(::sendto(socket.get(), "answer", 6, 0, reinterpret_cast<sockaddr*>(&to), size), 6);
    return {question, next(IPPROTO_UDP)};
  }

  FarNetwork far;
  TunDevice device;
};

template <class Task>
void with_gateway(Task task) {
  in_own_network([&] {
    Gateway gateway;
    task(gateway);
  });
}

std::string ruleset() { return output_of("nft -s -t list ruleset"); }

void expect_both_families_pass(Gateway& gateway, const std::string& when) {
  const auto [question4, answer4] = gateway.exchange("10.1.2.3:4000", "192.0.2.2:7000");
  EXPECT_EQ(question4.text, "question") << when;
  EXPECT_EQ(question4.from.address.to_string(), "192.0.2.1") << when;
  EXPECT_EQ(answer4.size(), 28u + 6u) << when;
  EXPECT_TRUE(answer4.empty() || IpAddress::v4(Bytes(answer4).subspan(16, 4)).to_string() == "10.1.2.3") << when;
  const auto [question6, answer6] = gateway.exchange("[fd19::7]:4000", "[2001:db8::2]:7000");
  EXPECT_EQ(question6.from.address.to_string(), "2001:db8::1") << when;
  EXPECT_EQ(answer6.size(), 48u + 6u) << when;
}

TEST(NatTable, LetsClientsOutUnderTheHostsAddressAndAnswersBack) {
  with_gateway([](Gateway& gateway) {
    const NatTable nat({"gatehouse0"}, kPrefixes);
    EXPECT_THAT(nat.notes(), IsEmpty());
    expect_both_families_pass(gateway, "with the table");
  });
}

TEST(NatTable, IsTheSameAfterASecondStartAndGoneAfterAStop) {
  in_own_network([] {
    output_of("nft add table inet mine");
    const std::string before = ruleset();
    std::string first;
    {
      NatTable nat({"gatehouse0"}, kPrefixes);
      first = ruleset();
      EXPECT_THAT(
          first, AllOf(HasSubstr("table inet gatehouse {"), HasSubstr("ip saddr 10.0.0.0/8"), HasSubstr("masquerade")));
      nat.keep();
    }
    EXPECT_EQ(ruleset(), first) << "as after kill -9";
    {
      const NatTable again({"gatehouse0"}, kPrefixes);
      EXPECT_EQ(ruleset(), first);
    }
    EXPECT_EQ(ruleset(), before);
  });
}

TEST(NatTable, OfTwoGatewaysAreTwo) {
  in_own_network([] {
    EXPECT_EQ(nat_table_name("gatehouse0"), "gatehouse");
    EXPECT_EQ(nat_table_name("tun-a.1"), "gatehouse_tun_a_1");
    const NatTable one({"gatehouse0"}, kPrefixes);
    const std::string with_one = ruleset();
    {
      const NatTable other({"tun5"}, TunnelPrefixes(*Prefix::parse("172.16.0.0/12"), {}));
      EXPECT_THAT(ruleset(), AllOf(HasSubstr("table inet gatehouse {"), HasSubstr("table inet gatehouse_tun5 {")));
    }
    EXPECT_EQ(ruleset(), with_one);
  });
}

TEST(NatTable, OpensAForwardChainThatDropsAsDockersDoes) {
  with_gateway([](Gateway& gateway) {
    Nft().run(kDocker);
    const std::string before = ruleset();
    EXPECT_THAT(gateway.exchange("10.1.2.3:4000", "192.0.2.2:7000").first.text, IsEmpty()) << "Docker drops it";
    {
      NatTable nat({"gatehouse0"}, kPrefixes);
      EXPECT_THAT(nat.notes(), IsEmpty());
      expect_both_families_pass(gateway, "first start");
      nat.keep();
    }
    const std::string first = ruleset();
    {
      const NatTable again({"gatehouse0"}, kPrefixes);
      EXPECT_EQ(ruleset(), first) << "no rule twice";
      expect_both_families_pass(gateway, "second start");
    }
    EXPECT_EQ(ruleset(), before);
  });
}

TEST(NatTable, LeavesIptablesReadableWhereItMadeTheChain) {
  in_own_network([] {
    if (std::system("command -v iptables-nft >/dev/null") != 0) GTEST_SKIP() << "iptables is not installed";
    output_of("iptables-nft -P FORWARD DROP && iptables-nft -N DOCKER-USER && iptables-nft -A DOCKER-USER -j RETURN");
    output_of(
        "iptables-nft -I FORWARD -j DOCKER-USER && iptables-nft -A FORWARD -m conntrack --ctstate RELATED -j ACCEPT");
    const std::string before = output_of("iptables-nft -S");
    {
      const NatTable nat({"gatehouse0"}, kPrefixes);
      const std::string shown = output_of("iptables-nft -S");
      for (const char* chain : {"FORWARD", "DOCKER-USER"})
        for (const char* way : {"-i", "-o"})
          EXPECT_THAT(shown, HasSubstr(std::string("-A ") + chain + " " + way + " gatehouse0"));
      EXPECT_THAT(shown, HasSubstr("-j ACCEPT"));
      output_of("iptables-nft -A FORWARD -i other0 -j ACCEPT && iptables-nft -D FORWARD -i other0 -j ACCEPT");
    }
    EXPECT_EQ(output_of("iptables-nft -S"), before);
  });
}

TEST(NatTable, DoesNotOpenAFirewallOfTheOperatorsButSaysSo) {
  in_own_network([] {
    Nft().run("table inet mine {\n chain out {\n type filter hook forward priority 0; policy drop;\n }\n}");
    const NatTable nat({"gatehouse0"}, kPrefixes);
    EXPECT_THAT(nat.notes(),
                ElementsAre(AllOf(HasSubstr("inet mine out"), HasSubstr("iifname \"gatehouse0\" accept"))));
    EXPECT_THAT(output_of("nft list table inet mine"), Not(HasSubstr("gatehouse0")));
  });
}

TEST(NatTable, IsMadeAgainWhereSomebodyHasTakenItAwayOrDockerCameLater) {
  with_gateway([](Gateway& gateway) {
    NatTable nat({"gatehouse0"}, kPrefixes);
    EXPECT_FALSE(nat.restore());
    Nft().run(kDocker);
    EXPECT_THAT(gateway.exchange("10.1.2.3:4000", "192.0.2.2:7000").first.text, IsEmpty());
    EXPECT_TRUE(nat.restore());
    EXPECT_FALSE(nat.restore());
    expect_both_families_pass(gateway, "after Docker");
    Nft().run("flush ruleset");
    EXPECT_TRUE(nat.restore());
    EXPECT_FALSE(nat.restore());
    expect_both_families_pass(gateway, "after a flush");
  });
}

TEST(NatTable, LetsNobodyBeginToTalkToAClient) {
  with_gateway([](Gateway& gateway) {
    const NatTable nat({"gatehouse0"}, kPrefixes);
    gateway.far.run("ip route add 10.0.0.0/8 via 192.0.2.1");
    const UniqueFd stranger = gateway.far.socket(AF_INET, SOCK_DGRAM, 0, "192.0.2.2:7000");
    sockaddr_storage to{};
    const socklen_t size = endpoint("10.1.2.3:4000").to_sockaddr(to);
    EXPECT_EQ(::sendto(stranger.get(), "hi", 2, 0, reinterpret_cast<sockaddr*>(&to), size), 2);
    EXPECT_THAT(gateway.next(IPPROTO_UDP), IsEmpty());
  });
}

TEST(NatTable, KeepsClientsToTheirEgressInterface) {
  with_gateway([](Gateway& gateway) {
    {
      const NatTable nat({"gatehouse0", "to_far"}, kPrefixes);
      expect_both_families_pass(gateway, "by the right one");
    }
    const NatTable nat({"gatehouse0", "eth9"}, kPrefixes);
    EXPECT_THAT(gateway.exchange("10.1.2.3:4001", "192.0.2.2:7000").first.text, IsEmpty());
    const Packet refusal = gateway.next(IPPROTO_ICMP);
    ASSERT_GE(refusal.size(), 28u);
    EXPECT_EQ(std::to_integer<int>(refusal[20]), 3);  // RFC 792: unreachable; RFC 1812: administratively prohibited
    EXPECT_EQ(std::to_integer<int>(refusal[21]), 13);
  });
}

/// The MSS that a SYN of a client offers when it comes to the far network.
unsigned clamped_mss(Gateway& gateway, std::uint16_t offered) {
  const UniqueFd raw = gateway.far.socket(AF_INET, SOCK_RAW, IPPROTO_TCP, "");
  gateway.send(syn_packet(endpoint("10.1.2.3:4000"), endpoint("192.0.2.2:80"), offered));
  for (int tries = 0; tries < 10; ++tries) {
    const std::string packet = next_datagram(raw).text;
    if (packet.size() == 44 && packet[33] == 2)
      return static_cast<std::uint8_t>(packet[42]) * 256u + static_cast<std::uint8_t>(packet[43]);
  }
  return 0;
}

TEST(NatTable, LowersTheSegmentSizeToWhatTheTunnelCarries) {
  with_gateway([](Gateway& gateway) {
    const NatTable nat({"gatehouse0"}, kPrefixes);
    EXPECT_EQ(clamped_mss(gateway, 8960), 1360u) << "1400 of the tunnel less 40 of headers";
    EXPECT_EQ(clamped_mss(gateway, 536), 536u) << "and never raises it";
  });
}

TEST(NatTable, LowersTheSegmentSizeOfAnswersToo) {
  with_gateway([](Gateway& gateway) {
    const UniqueFd listener = gateway.far.socket(AF_INET, SOCK_STREAM, 0, "192.0.2.2:80");
    ASSERT_EQ(::listen(listener.get(), 5), 0);
    const NatTable nat({"gatehouse0"}, kPrefixes);
    gateway.send(syn_packet(endpoint("10.1.2.3:4000"), endpoint("192.0.2.2:80"), 1360));
    const Packet answer = gateway.next(IPPROTO_TCP);
    ASSERT_GE(answer.size(), 44u);
    EXPECT_EQ(std::to_integer<int>(answer[33]), 0x12) << "SYN and ACK";
    ASSERT_EQ(std::to_integer<int>(answer[40]), 2) << "RFC 9293: maximum segment size";
    EXPECT_EQ(std::to_integer<unsigned>(answer[42]) << 8 | std::to_integer<unsigned>(answer[43]), 1360u);
  });
}

TEST(NatTable, LeavesAForwardChainAloneThatDoesNotDrop) {
  in_own_network([] {
    std::string accepting = kDocker;
    for (auto at = accepting.find("drop"); at != accepting.npos; at = accepting.find("drop"))
      accepting.replace(at, 4, "accept");
    Nft().run(accepting);
    const std::string before = output_of("nft -s list table ip filter");
    const NatTable nat({"gatehouse0"}, kPrefixes);
    EXPECT_EQ(output_of("nft -s list table ip filter"), before);
    EXPECT_THAT(nat.notes(), IsEmpty());
  });
}

TEST(NatTable, MarksWhatClientsSendBeforeItIsRouted) {
  with_gateway([](Gateway& gateway) {
    gateway.far.run("ip route add 10.0.0.0/8 via 192.0.2.1");
    output_of("ip rule add fwmark 77 table 700 && ip route add unreachable default table 700");
    EXPECT_EQ(gateway.exchange("10.1.2.3:4000", "192.0.2.2:7000").first.text, "question");
    const NatTable nat({"gatehouse0", "", 77}, kPrefixes);
    EXPECT_THAT(gateway.exchange("10.1.2.3:4001", "192.0.2.2:7000").first.text, IsEmpty());
  });
}

/// How many of `count` questions of a client, each a connection of its own, are answered.
int answered(Gateway& gateway, const std::string& client, const char* server, std::uint16_t first, int count) {
  int out = 0;
  for (int i = 0; i < count; ++i)
    if (!gateway.exchange((client + ":" + std::to_string(first + i)).c_str(), server).second.empty()) ++out;
  return out;
}

TEST(NatTable, BoundsTheConnectionsOfOneClientInEachFamily) {
  with_gateway([](Gateway& gateway) {
    const NatTable nat({.device = "gatehouse0", .connections_per_client = 3}, kPrefixes);
    EXPECT_EQ(answered(gateway, "10.1.2.3", "192.0.2.2:7000", 4000, 5), 3);
    EXPECT_EQ(answered(gateway, "[fd19::7]", "[2001:db8::2]:7000", 4000, 5), 3);
    EXPECT_THAT(output_of("nft list chain inet gatehouse forward"), HasSubstr("counter packets 2 "));
    EXPECT_EQ(answered(gateway, "10.1.2.3", "192.0.2.2:7000", 4000, 3), 3) << "those that it has go on";
    EXPECT_EQ(answered(gateway, "10.1.2.4", "192.0.2.2:7000", 4000, 3), 3) << "another client has its own";
  });
}

TEST(NatTable, SaysWhatIsMissing) {
  in_own_network([] {
    EXPECT_THROW(NatTable({"a b"}, kPrefixes), HostError);
    EXPECT_THROW(NatTable({"gatehouse0", "eth*"}, kPrefixes), HostError) << "no pattern";
    drop_capabilities();
    try {
      const NatTable nat({"gatehouse0"}, kPrefixes);
      FAIL() << "made without a capability";
    } catch (const HostError& error) {
      EXPECT_THAT(error.what(), AllOf(HasSubstr("CAP_NET_ADMIN is missing"), HasSubstr("nat = \"none\"")));
    }
  });
}

TEST(ForwardChains, AreReadFromTheListing) {
  EXPECT_THAT(parse_forward_chains(""), IsEmpty());
  EXPECT_THAT(parse_forward_chains(
                  "table ip filter {\n\tchain FORWARD { # handle 2\n\t\ttype filter hook forward priority filter; "
                  "policy drop;\n\t}\n\tchain DOCKER-USER {\n\t}\n\tchain INPUT {\n\t\ttype filter hook input "
                  "priority filter; policy drop;\n\t}\n}\ntable inet f {\n\tchain DOCKER-USER {\n\t}\n\tchain x "
                  "{\n\t\ttype filter hook forward priority 5; policy accept;\n\t}\n}\n"),
              ElementsAre(ForwardChain{"ip", "filter", "FORWARD", true},
                          ForwardChain{"ip", "filter", "DOCKER-USER", false}, ForwardChain{"inet", "f", "x", false}));
}

}  // namespace
}  // namespace gatehouse::packet_tunnel
