#include <gatehouse/packet/packet_reply.hpp>

#include "tests/unit/sdk/packet/made_packets.hpp"

#include <gtest/gtest.h>

namespace gatehouse {
namespace {

using test::ByteVector;
using test::Made;
using test::make_packet;

const IpAddress kRouter4 = IpAddress::parse("10.0.0.1").value();
const IpAddress kRouter6 = IpAddress::parse("fd19:ca83:e6d5:1c44::1").value();

ByteVector reset_of(const ByteVector& packet) {
  ByteVector out(60);
  out.resize(make_tcp_reset(packet, IpPacket::parse(packet).value(), out));
  return out;
}

ByteVector error_of(const ByteVector& packet, Unreachable why = Unreachable::prohibited, std::uint16_t mtu = 0) {
  const IpPacket facts = IpPacket::parse(packet).value();
  ByteVector out(kLargestReply);
  out.resize(make_unreachable(why, packet, facts, facts.version == 4 ? kRouter4 : kRouter6, mtu, out));
  return out;
}

std::uint32_t word(const ByteVector& packet, std::size_t at) {
  return load_big<std::uint32_t>(Bytes(packet).subspan(at));
}

TEST(TcpReset, GoesBackWhereThePacketCameFrom) {
  for (const unsigned version : {4U, 6U}) {
    const ByteVector packet = make_packet({.version = version, .flags = kTcpSyn, .options = "020405b4"});
    const ByteVector reset = reset_of(packet);
    const IpPacket facts = IpPacket::parse(packet).value(), back = IpPacket::parse(reset).value();
    EXPECT_TRUE(test::has_right_checksums(reset));
    EXPECT_EQ(back.source_address(reset), facts.destination_address(packet));
    EXPECT_EQ(back.destination_address(reset), facts.source_address(packet));
    EXPECT_EQ(back.source_port, facts.destination_port);
    EXPECT_EQ(back.destination_port, facts.source_port);
    EXPECT_EQ(back.payload_size(), 0U);
  }
}

// RFC 9293, section 3.5.2: sequence numbers such that the other end believes it.
TEST(TcpReset, AcknowledgesWhatHasNoAcknowledgement) {
  const struct {
    std::uint8_t flags;
    std::size_t payload;
    std::uint32_t acknowledged;
  } cases[] = {{kTcpSyn, 0, 1001}, {kTcpSyn, 10, 1011}, {kTcpFin, 5, 1006}, {kTcpSyn | kTcpFin, 0, 1002}, {0, 7, 1007}};
  for (const auto& [flags, payload, acknowledged] : cases) {
    const ByteVector reset = reset_of(make_packet({.payload = payload, .flags = flags}));
    EXPECT_EQ(std::to_integer<unsigned>(reset[33]), unsigned{kTcpRst} | kTcpAck);
    EXPECT_EQ(word(reset, 24), 0U);
    EXPECT_EQ(word(reset, 28), acknowledged);
  }
}

TEST(TcpReset, TakesItsSequenceNumberFromAnAcknowledgement) {
  const ByteVector reset = reset_of(make_packet({.flags = kTcpAck | kTcpPsh}));
  EXPECT_EQ(std::to_integer<unsigned>(reset[33]), unsigned{kTcpRst});
  EXPECT_EQ(word(reset, 24), 5000U);
  EXPECT_EQ(word(reset, 28), 0U);
}

TEST(TcpReset, NeedsTheHeadersOnly) {
  const ByteVector packet = make_packet({.flags = kTcpSyn}), front(packet.begin(), packet.begin() + 40);
  ByteVector out(60);
  out.resize(make_tcp_reset(front, IpPacket::parse(front, packet.size()).value(), out));
  EXPECT_EQ(out, reset_of(packet));
}

TEST(TcpReset, IsNotMadeWhereNoneMayBe) {
  EXPECT_TRUE(reset_of(make_packet({.flags = kTcpRst})).empty());
  EXPECT_TRUE(reset_of(make_packet({.flags = kTcpRst | kTcpAck})).empty());
  EXPECT_TRUE(reset_of(make_packet({.protocol = 17})).empty());
  EXPECT_TRUE(reset_of(make_packet({.fragment = 0x0010})).empty());
  ByteVector multicast = make_packet({});
  test::put<std::uint32_t>(multicast, 16, 0xe0000001);
  EXPECT_TRUE(reset_of(multicast).empty());
}

TEST(UnreachableError, SaysWhyInEitherFamily) {
  const struct {
    Unreachable why;
    unsigned version;
    std::uint32_t type_and_code, rest;
  } cases[] = {{Unreachable::no_route, 4, 0x0300, 0},   {Unreachable::no_route, 6, 0x0100, 0},
               {Unreachable::port, 4, 0x0303, 0},       {Unreachable::port, 6, 0x0104, 0},
               {Unreachable::prohibited, 4, 0x030d, 0}, {Unreachable::prohibited, 6, 0x0101, 0},
               {Unreachable::too_big, 4, 0x0304, 1400}, {Unreachable::too_big, 6, 0x0200, 1400}};
  for (const auto& [why, version, type_and_code, rest] : cases) {
    const ByteVector packet = make_packet({.version = version, .protocol = 17, .payload = 30});
    const ByteVector error = error_of(packet, why, 1400);
    const std::size_t at = version == 4 ? 20 : 40;
    const IpPacket facts = IpPacket::parse(error).value();
    EXPECT_TRUE(facts.is_icmp_error());
    EXPECT_TRUE(test::has_right_checksums(error));
    EXPECT_EQ(word(error, at) >> 16, type_and_code);
    EXPECT_EQ(word(error, at + 4), rest);
    EXPECT_EQ(facts.source_address(error), version == 4 ? kRouter4 : kRouter6);
    EXPECT_EQ(facts.destination_address(error), IpPacket::parse(packet).value().source_address(packet));
    EXPECT_EQ(ByteVector(error.begin() + facts.payload, error.end()), packet);
  }
}

TEST(UnreachableError, QuotesNoMoreThanMayBeSent) {
  for (const auto& [version, most] : {std::pair{4U, 576U}, std::pair{6U, 1280U}})
    for (const std::size_t payload : {std::size_t{most - 200}, std::size_t{9000}}) {
      const ByteVector packet = make_packet({.version = version, .payload = payload});
      const ByteVector error = error_of(packet);
      EXPECT_EQ(error.size(), std::min<std::size_t>(most, packet.size() + (version == 4 ? 28 : 48)));
      EXPECT_TRUE(test::has_right_checksums(error));
    }
}

TEST(UnreachableError, QuotesWhatThereIs) {
  const ByteVector packet = make_packet({.payload = 901}), front(packet.begin(), packet.begin() + 41);
  ByteVector out(kLargestReply);
  out.resize(
      make_unreachable(Unreachable::port, front, IpPacket::parse(front, packet.size()).value(), kRouter4, 0, out));
  EXPECT_EQ(out.size(), 28U + 41);
  EXPECT_TRUE(test::has_right_checksums(out));
}

TEST(UnreachableError, IsNotMadeWhereNoneMayBe) {
  EXPECT_TRUE(error_of(make_packet({.flags = kTcpRst | kTcpAck})).empty());
  EXPECT_TRUE(error_of(make_packet({.protocol = 17, .fragment = 0x0010})).empty());
  EXPECT_TRUE(
      error_of(make_packet({.version = 6, .protocol = 17, .extensions = "1100008000000007", .first_extension = 44}))
          .empty());
  for (const unsigned version : {4U, 6U}) {
    const ByteVector error = error_of(make_packet({.version = version}));
    ASSERT_FALSE(error.empty());
    EXPECT_TRUE(error_of(error).empty());
  }
}

TEST(UnreachableError, IsMadeAboutAnEchoAndAFirstFragment) {
  ByteVector echo = make_packet({.protocol = 1, .payload = 30});
  echo[20] = std::byte{8};
  EXPECT_FALSE(error_of(echo).empty());
  EXPECT_FALSE(error_of(make_packet({.protocol = 17, .fragment = 0x2000})).empty());
}

TEST(UnreachableError, IsNotMadeAboutAddressesThatAreNoHosts) {
  for (const std::uint32_t bad : {0U, 0x00000001U, 0xe00000fbU, 0xf0000001U, 0xffffffffU})
    for (const std::size_t at : {12U, 16U}) {
      ByteVector packet = make_packet({.protocol = 17});
      test::put<std::uint32_t>(packet, at, bad);
      EXPECT_TRUE(error_of(packet).empty()) << bad << " at " << at;
    }
  for (const std::size_t at : {8U, 24U}) {
    ByteVector packet = make_packet({.version = 6, .protocol = 17});
    packet[at] = std::byte{0xff};
    EXPECT_TRUE(error_of(packet).empty());
    packet = make_packet({.version = 6, .protocol = 17});
    std::fill_n(packet.begin() + static_cast<std::ptrdiff_t>(at), 16, std::byte{0});
    EXPECT_TRUE(error_of(packet).empty());
  }
}

TEST(UnreachableError, OfSizeIsNotMadeWhereThePacketMayBeFragmented) {
  EXPECT_TRUE(error_of(make_packet({.fragment = 0}), Unreachable::too_big, 1400).empty());
  EXPECT_FALSE(error_of(make_packet({.fragment = 0}), Unreachable::prohibited).empty());
}

}  // namespace
}  // namespace gatehouse
