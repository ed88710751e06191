// DNS where policy says that it is: of a client's super-packets each message by itself, and answers over TCP.
#include "tests/unit/packet-tunnel/ip_packet.hpp"
#include "tests/unit/packet-tunnel/server/tunnel_rig.hpp"

#include <gatehouse/packet/ip_packet.hpp>

#include <gtest/gtest.h>

namespace gatehouse::packet_tunnel {
namespace {

constexpr std::uint16_t kPort = 5300;
const Endpoint kClient{IpAddress::v4(0xac100001), 40000}, kRemote{IpAddress::v4(0xc6336407), kPort},
    kAssigned{IpAddress::v4(0x0a123456), 40000};

std::string_view text_of(const ByteVector& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// For an address of LABEL.example.org, a label of seven letters.
ByteVector query(std::string_view label) {
  ByteVector out = hex("1234 0100 0001 0000 0000 0000 07");
  append(out, bytes_of(label));
  append(out, hex("07 6578616d706c65 03 6f7267 00 0001 0001"));
  return out;
}

Packet tcp_packet(const Endpoint& from, const Endpoint& to, unsigned flags, const ByteVector& payload) {
  Packet segment;
  append_number(segment, std::uint32_t{from.port} << 16 | to.port, 4);
  append_number(segment, 1000, 4);
  append_number(segment, 0, 4);
  append_number(segment, 0x50000000 | flags << 16 | 0xffff, 4);
  append_number(segment, 0, 4);
  append(segment, payload);
  return ip_packet(from.address, to.address, IPPROTO_TCP, std::move(segment), 16);
}

/// Behind its length, as over TCP.
ByteVector framed(const ByteVector& message) {
  ByteVector out;
  append_number(out, static_cast<std::uint32_t>(message.size()), 2);
  append(out, message);
  return out;
}

/// A first fragment of it.
Packet with_more_fragments(Packet packet) {
  store_big<std::uint16_t>(MutableBytes(packet).subspan(6), 0x2000);
  store_big<std::uint16_t>(MutableBytes(packet).subspan(10), 0);
  store_big(MutableBytes(packet).subspan(10), checksum(Bytes(packet).first(20)));
  return packet;
}

TEST(JudgedNames, AreThoseOfEachMessageOfASuperPacket) {
  in_own_network([] {
    TunnelRig rig;
    rig.judge_names(kPort);
    TunnelStream client = rig.open("Tunnel-Features: large-frames\r\n");
    ASSERT_NE(client.answer.find("large-frames"), std::string::npos) << client.answer;
    ByteVector messages;
    for (const char* const label : {"allowed", "blocked", "another"}) append(messages, query(label));
    const Packet packet = udp_packet(kClient, kRemote, text_of(messages));
    ByteVector frame;
    append_number(frame, 0, 2);
    append_number(frame, static_cast<std::uint32_t>(messages.size() / 3), 2);
    append_number(frame, static_cast<std::uint32_t>(packet.size()), 2);
    append(frame, packet);
    client.write(frame);
    for (const char* const label : {"allowed", "another"}) {
      const ByteVector got = rig.device.next();
      const auto facts = IpPacket::parse(got);
      ASSERT_TRUE(facts) << label;
      EXPECT_TRUE(has_right_header_checksum(*facts, got) && has_right_checksum(*facts, got));
      EXPECT_EQ(to_hex(Bytes(got).subspan(facts->payload)), to_hex(query(label)));
    }
    const ByteVector answer = client.receive();
    const auto facts = IpPacket::parse(answer);
    ASSERT_TRUE(facts) << "the blocked one is answered";
    EXPECT_EQ(answer[facts->payload + 3] & std::byte{15}, std::byte{3});
    EXPECT_EQ(rig.rejected(Reject::disallowed_domain), 1u);
    EXPECT_EQ(rig.rejected(), 1u);
    EXPECT_EQ(rig.host.metric(R"(packets{direction="up",protocol="udp",ip="4"})"), 2u);
  });
}

TEST(JudgedNames, AreThoseOfAnswersOverTcpAndWhatCannotBeReadIsRefused) {
  in_own_network([] {
    TunnelRig rig;
    rig.judge_names(kPort);
    TunnelStream client = rig.open();
    client.send(syn_packet(kClient, kRemote, 1460));
    ASSERT_FALSE(rig.device.next().empty());
    const auto answer = [&](const ByteVector& payload) {
      return tcp_packet(kRemote, kAssigned, kTcpAck | kTcpPsh, payload);
    };
    ByteVector good = query("allowed");
    good[2] = std::byte{0x81};
    ByteVector bad = good;
    store_big<std::uint16_t>(MutableBytes(bad).subspan(6), 1);  // a record that is not there

    rig.device.send(answer(framed(bad)));
    EXPECT_TRUE(eventually([&] { return rig.rejected(Reject::invalid_dns_message) == 1; }));
    rig.device.send(with_more_fragments(answer(framed(good))));
    EXPECT_TRUE(eventually([&] { return rig.rejected(Reject::invalid_dns_message) == 2; })) << "a fragment";
    ByteVector middle = framed(query("allowed"));  // no response: of a longer message, as it happens
    ByteVector more = framed(bad);
    more.push_back(std::byte{0});  // something is behind it: nor is that one
    for (const ByteVector& one : {framed(good), middle, more}) {
      rig.device.send(answer(one));
      const ByteVector got = client.receive();
      const auto facts = IpPacket::parse(got);
      ASSERT_TRUE(facts);
      EXPECT_EQ(to_hex(Bytes(got).subspan(facts->payload)), to_hex(one));
    }
    EXPECT_EQ(rig.rejected(), 2u);
  });
}

}  // namespace
}  // namespace gatehouse::packet_tunnel
