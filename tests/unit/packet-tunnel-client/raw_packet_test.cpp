#include "plugins/packet-tunnel/common/raw_packet.hpp"

#include <gatehouse/packet/checksum.hpp>
#include <gatehouse/packet/ip_packet.hpp>

#include <gtest/gtest.h>

#include <array>

namespace gatehouse::packet_tunnel {
namespace {

constexpr std::array<std::array<const char*, 2>, 2> kPairs = {
    {{"172.16.0.1", "192.0.2.9"}, {"fd26:b6a6:4454:310a::1", "2001:db8::9"}}};

/// What every one of them has.
IpPacket check(Bytes packet, const char* from, const char* to) {
  const auto facts = IpPacket::parse(packet);
  EXPECT_TRUE(facts.has_value()) << to;
  if (!facts) return {};
  EXPECT_EQ(facts->source_address(packet), *IpAddress::parse(from));
  EXPECT_EQ(facts->destination_address(packet), *IpAddress::parse(to));
  EXPECT_TRUE(has_right_checksum(*facts, packet)) << to;
  if (facts->version == 4) {
    EXPECT_EQ(fold_sum(sum_words(packet.first(20))), 0xffff);
  }
  return *facts;
}

TEST(RawPacket, EchoRequestsAreWhole) {
  for (const auto& [from, to] : kPairs) {
    std::array<std::byte, kEchoRequestSize> room;
    const Bytes packet =
        Bytes(room).first(make_echo_request(*IpAddress::parse(from), *IpAddress::parse(to), 77, 3, room));
    const IpPacket facts = check(packet, from, to);
    EXPECT_TRUE(facts.is_icmp_echo());
    EXPECT_EQ(facts.icmp_id, 77);
  }
}

TEST(RawPacket, DatagramsAreWhole) {
  for (const auto& [from, to] : kPairs) {
    std::array<std::byte, kUdpOverhead + 5> room;
    const Endpoint source{*IpAddress::parse(from), 4000, 0}, target{*IpAddress::parse(to), 53, 0};
    const Bytes packet = Bytes(room).first(make_udp_packet(source, target, bytes_of("hello"), room));
    const IpPacket facts = check(packet, from, to);
    EXPECT_EQ(facts.source_port, 4000);
    EXPECT_EQ(facts.destination_port, 53);
    EXPECT_EQ(text_of(packet.subspan(facts.payload)), "hello");
  }
}

TEST(RawPacket, AskForConnections) {
  for (const auto& [from, to] : kPairs) {
    std::array<std::byte, kSynSize> room;
    const Endpoint source{*IpAddress::parse(from), 4000, 0}, target{*IpAddress::parse(to), 443, 0};
    const IpPacket facts = check(Bytes(room).first(make_tcp_packet(source, target, 9, kTcpSyn, room)), from, to);
    EXPECT_EQ(facts.tcp_flags, kTcpSyn);
    EXPECT_EQ(facts.destination_port, 443);
  }
}

}  // namespace
}  // namespace gatehouse::packet_tunnel
