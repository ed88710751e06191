#include <gatehouse/packet/ip_packet.hpp>

#include "tests/unit/sdk/packet/made_packets.hpp"

#include <gtest/gtest.h>

#include <ostream>

namespace gatehouse {

void PrintTo(PacketFault fault, std::ostream* out) { *out << reason_of(fault); }

namespace {

using test::ByteVector;
using test::Made;
using test::make_packet;
using testkit::hex;

constexpr auto kNone = PacketFault::none;

/// The fault; the bytes are held in a buffer of their own size, so that AddressSanitizer sees a byte too many.
PacketFault fault_of(Bytes packet, IpOptions options = IpOptions::accepted) {
  const ByteVector exact(packet.begin(), packet.end());
  const auto parsed = IpPacket::parse(exact, options);
  return parsed ? kNone : parsed.error();
}

PacketFault fault_of(std::string_view text, IpOptions options = IpOptions::accepted) {
  return fault_of(hex(text), options);
}

TEST(IpPacket, OfTcpOverIp4HasItsNumbers) {
  const ByteVector packet = make_packet({.payload = 33,
                                         .traffic_class = 0xb9,
                                         .ttl = 61,
                                         .flags = 0x18,
                                         .options = "0101080a"
                                                    "00000001"
                                                    "00000002"});
  const IpPacket facts = IpPacket::parse(packet).value();
  EXPECT_EQ(facts.version, 4);
  EXPECT_EQ(facts.protocol, kTcp);
  EXPECT_EQ(facts.dscp(), 46);
  EXPECT_EQ(facts.ecn(), 1);
  EXPECT_EQ(facts.ttl, 61);
  EXPECT_EQ(facts.transport, 20);
  EXPECT_EQ(facts.payload, 52);
  EXPECT_EQ(facts.size, 85U);
  EXPECT_EQ(facts.payload_size(), 33U);
  EXPECT_EQ(facts.transport_size(), 65U);
  EXPECT_EQ(facts.source_port, 40001);
  EXPECT_EQ(facts.destination_port, 443);
  EXPECT_EQ(facts.tcp_flags, kTcpAck | kTcpPsh);
  EXPECT_EQ(facts.fragment_id, 0x1c46U);
  EXPECT_FALSE(facts.is_fragment || facts.has_options || facts.has_extensions);
  EXPECT_EQ(facts.source_address(packet).to_string(), "172.16.0.1");
  EXPECT_EQ(facts.destination_address(packet).to_string(), "198.51.100.7");
  EXPECT_EQ(facts.source(packet).data(), packet.data() + 12);
}

TEST(IpPacket, OfUdpOverIp6HasItsNumbers) {
  const ByteVector packet = make_packet({.version = 6, .protocol = 17, .payload = 5, .traffic_class = 0xb9});
  const IpPacket facts = IpPacket::parse(packet).value();
  EXPECT_EQ(facts.version, 6);
  EXPECT_TRUE(facts.is_udp());
  EXPECT_EQ(facts.traffic_class, 0xb9);
  EXPECT_EQ(facts.transport, 40);
  EXPECT_EQ(facts.payload, 48);
  EXPECT_EQ(facts.size, 53U);
  EXPECT_EQ(facts.destination_port, 443);
  EXPECT_EQ(facts.source_address(packet).to_string(), "fd26:b6a6:4454:310a::1");
  EXPECT_EQ(facts.destination_address(packet).to_string(), "2001:db8::7");
}

// The reference's vectors of structure (R1..R31). Where it says otherwise: it has no length to compare (R31), calls a
// short UDP header a TCP one (R8), takes a data offset of 0 (R7b) and refuses extension headers and ICMP by structure.
TEST(IpPacket, IsRefusedForTheReasonOfTheReference) {
  const struct {
    const char* name;
    std::string_view packet;
    PacketFault fault;
  } vectors[] = {
      {"R1 empty", "", PacketFault::ip_packet_length},
      {"R2 version 5", "55000000", PacketFault::ip_header_version},
      {"R3 options", "460000281c4640004006483eac100001c63364070001000201020304000000005002faf0da9c0000",
       PacketFault::ip_header_options},
      {"R4 19 bytes", "450000281c4640004006483eac100001c63364", PacketFault::ip_packet_length},
      {"R5 ICMP is fine by structure",
       "450000281c4640004001483eac100001c63364070001000201020304000000005002faf0da9c0000", kNone},
      {"R6 TCP of 37 bytes", "450000281c4640004006483eac100001c63364070001000201020304000000005002faf0da",
       PacketFault::tcp_packet_length},
      {"R6b TCP of 38 bytes", "450000281c4640004006483eac100001c63364070001000201020304000000005002faf0da9c",
       PacketFault::tcp_packet_length},
      {"R7 data offset 15 in 40 bytes",
       "450000281c4640004006483eac100001c6336407000100020102030400000000f002faf0da9c0000",
       PacketFault::tcp_packet_length},
      {"R7b data offset 0", "450000281c4640004006483eac100001c63364070001000201020304000000000002faf0da9c0000",
       PacketFault::tcp_packet_length},
      {"R8 UDP of 27 bytes", "4500001c1c4640004011483fac100001c633640700010002000829", PacketFault::udp_packet_length},
      {"R24 39 bytes", "6000000000140640fd26b6a64454310a000000000000000120010db80000000000000000000000",
       PacketFault::ip_packet_length},
      {"R25 hop-by-hop, longer than the packet",
       "6000000000140040fd26b6a64454310a000000000000000120010db80000000000000000000000070001000201020304000000005002"
       "faf059fc0000",
       PacketFault::ip_extension_headers},
      {"R31 trailing bytes", "450000281c4640004006483eac100001c63364079c4001bb01020304000000005002faf03ca40000dead",
       PacketFault::ip_packet_length},
  };
  for (const auto& [name, packet, fault] : vectors) EXPECT_EQ(fault_of(packet, IpOptions::refused), fault) << name;
}

TEST(IpPacket, ThatIsCutAnywhereIsRefused) {
  const Made whole[] = {{.options = "01010101"},
                        {.ip_options = "01010101"},
                        {.protocol = 17},
                        {.protocol = 1},
                        {.version = 6},
                        {.version = 6, .protocol = 17},
                        {.version = 6, .protocol = 58},
                        {.version = 6, .extensions = "2b000000000000000600000000000000"},
                        {.version = 6, .extensions = "0600000000000000", .first_extension = 0}};
  for (const Made& made : whole) {
    const ByteVector packet = make_packet(made);
    ASSERT_EQ(fault_of(packet), kNone);
    const IpPacket facts = IpPacket::parse(packet).value();
    for (std::size_t size = 0; size < packet.size(); ++size) EXPECT_NE(fault_of(Bytes(packet).first(size)), kNone);
    // All headers do, if the size is told.
    for (std::size_t size = 0; size < packet.size(); ++size) {
      const ByteVector front(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(size));
      const auto parsed = IpPacket::parse(front, packet.size());
      ASSERT_EQ(parsed.has_value(), size >= facts.payload) << size;
      if (parsed) {
        EXPECT_EQ(*parsed, facts);
      }
    }
    ByteVector longer = packet;
    longer.push_back(std::byte{0});
    EXPECT_EQ(fault_of(longer), PacketFault::ip_packet_length);
  }
}

TEST(IpPacket, WithALengthThatIsNotItsOwnIsRefused) {
  for (const unsigned version : {4U, 6U})
    for (const int off : {-1, 1, 1000}) {
      ByteVector packet = make_packet({.version = version});
      const std::size_t at = version == 4 ? 2 : 4;
      test::put<std::uint16_t>(packet, at,
                               static_cast<std::uint16_t>(load_big<std::uint16_t>(Bytes(packet).subspan(at)) + off));
      EXPECT_EQ(fault_of(packet), PacketFault::ip_packet_length);
    }
}

TEST(IpPacket, ThatIsAJumbogramIsRefused) {
  // Hop-by-hop with the jumbo option (RFC 2675), payload length 0.
  ByteVector packet = make_packet({.version = 6, .extensions = "0600c20400000074", .first_extension = 0});
  test::put<std::uint16_t>(packet, 4, 0);
  EXPECT_EQ(fault_of(packet), PacketFault::ip_packet_length);
}

TEST(IpPacket, WithOptionsIsReadBehindThemUnlessRefused) {
  const ByteVector packet = make_packet({.protocol = 17, .ip_options = "94040000"});
  const IpPacket facts = IpPacket::parse(packet).value();
  EXPECT_TRUE(facts.has_options);
  EXPECT_EQ(facts.transport, 24);
  EXPECT_EQ(facts.destination_port, 443);
  EXPECT_EQ(fault_of(packet, IpOptions::refused), PacketFault::ip_header_options);
}

TEST(IpPacket, ThatEndsWithinItsOptionsIsRefusedForThem) {
  const ByteVector packet = make_packet({.ip_options = "0101010101010101"});
  for (std::size_t size = 20; size < 28; ++size)
    EXPECT_EQ(fault_of(Bytes(packet).first(size)), PacketFault::ip_header_options) << size;
}

TEST(IpPacket, WithAHeaderShorterThanAHeaderIsRefused) {
  for (unsigned words = 0; words < 5; ++words) {
    ByteVector packet = make_packet({});
    packet[0] = static_cast<std::byte>(0x40 | words);
    EXPECT_EQ(fault_of(packet), PacketFault::ip_header_options) << words;
  }
}

TEST(IpPacket, WithADataOffsetBelowFiveIsRefused) {
  for (unsigned words = 0; words < 16; ++words) {
    ByteVector packet = make_packet({.payload = 40});
    packet[32] = static_cast<std::byte>(words << 4);
    EXPECT_EQ(fault_of(packet), words < 5 ? PacketFault::tcp_packet_length : kNone) << words;
  }
}

TEST(IpPacket, OfUdpHasALengthThatFits) {
  const std::size_t payload = 10;
  for (unsigned length = 0; length < 40; ++length) {
    ByteVector packet = make_packet({.protocol = 17, .payload = payload});
    test::put<std::uint16_t>(packet, 24, static_cast<std::uint16_t>(length));
    EXPECT_EQ(fault_of(packet), length < 8 || length > 8 + payload ? PacketFault::udp_packet_length : kNone) << length;
  }
}

TEST(IpPacket, WalksExtensionHeadersInAnyOrder) {
  // Hop-by-hop (8), destination options (16), routing without segments left (8), authentication (12 + 4), TCP.
  const ByteVector packet = make_packet({.version = 6,
                                         .extensions = "3c00000000000000"
                                                       "2b010000000000000000000000000000"
                                                       "3300000000000000"
                                                       "060200000000000100000002aabbccdd",
                                         .first_extension = 0});
  const IpPacket facts = IpPacket::parse(packet).value();
  EXPECT_EQ(facts.protocol, kTcp);
  EXPECT_EQ(facts.transport, 40 + 48);
  EXPECT_EQ(facts.destination_port, 443);
  EXPECT_TRUE(facts.has_extensions);
  EXPECT_FALSE(facts.is_fragment || facts.has_source_route);
}

TEST(IpPacket, TakesNoOtherExtensionForAFragmentHeader) {
  const IpPacket facts =  // padding that would be an offset
      IpPacket::parse(make_packet({.version = 6, .extensions = "0600010400ff00ff"})).value();
  EXPECT_FALSE(facts.is_fragment);
  EXPECT_EQ(facts.fragment_id, 0U);
  EXPECT_EQ(facts.destination_port, 443);
}

TEST(IpPacket, WalksOnBehindTheHeaderOfAFirstFragment) {
  const IpPacket facts =
      IpPacket::parse(
          make_packet({.version = 6, .extensions = "3c000001000000070600010400000000", .first_extension = 44}))
          .value();
  EXPECT_TRUE(facts.is_first_fragment());
  EXPECT_TRUE(facts.is_tcp());
  EXPECT_EQ(facts.transport, 56);
  EXPECT_EQ(facts.destination_port, 443);
}

TEST(IpPacket, IsAFragmentOnceAtMost) {
  EXPECT_EQ(
      fault_of(make_packet({.version = 6, .extensions = "2c000001000000070600000100000007", .first_extension = 44})),
      PacketFault::ip_extension_headers);
}

TEST(IpPacket, WithARouteLeftSaysSo) {
  const ByteVector packet = make_packet(
      {.version = 6, .extensions = "060200010000000020010db8000000000000000000000099", .first_extension = 43});
  EXPECT_TRUE(IpPacket::parse(packet).value().has_source_route);
}

TEST(IpPacket, EndsTheWalkAtWhatCannotBeRead) {
  for (const unsigned protocol : {50U, 59U, 132U}) {  // ESP, no next header, SCTP
    const IpPacket facts = IpPacket::parse(make_packet({.version = 6, .protocol = protocol, .payload = 3})).value();
    EXPECT_EQ(facts.protocol, protocol);
    EXPECT_EQ(facts.transport, 40);
    EXPECT_EQ(facts.payload, 40);
    EXPECT_EQ(facts.source_port, 0);
  }
  EXPECT_EQ(IpPacket::parse(make_packet({.version = 6, .protocol = 59, .payload = 0})).value().payload, 40);
}

TEST(IpPacket, HasABoundedNumberOfExtensionHeaders) {
  std::string extensions;
  for (unsigned i = 0; i < IpPacket::kMostExtensions; ++i) {
    EXPECT_EQ(fault_of(make_packet({.version = 6, .extensions = extensions + "0600000000000000"})), kNone) << i;
    extensions += "3c00000000000000";
  }
  EXPECT_EQ(fault_of(make_packet({.version = 6, .extensions = extensions + "0600000000000000"})),
            PacketFault::ip_extension_headers);
}

TEST(IpPacket, HasBoundedBytesOfExtensionHeaders) {
  for (const auto& [length, fault] : {std::pair{"063f", kNone}, {"0640", PacketFault::ip_extension_headers}}) {
    std::string extension = length;
    extension.resize(1200, '0');
    ByteVector packet = make_packet({.version = 6, .payload = 200, .extensions = extension});
    // What the header calls its own ends before or behind the TCP header that was made; there are only zeros.
    std::fill(packet.begin() + 48, packet.end(), std::byte{0x50});
    EXPECT_EQ(fault_of(packet), fault) << length;
  }
}

TEST(IpPacket, WithHopByHopOptionsAnywhereButFirstIsRefused) {
  EXPECT_EQ(fault_of(make_packet({.version = 6,
                                  .extensions = "0000000000000000"
                                                "0600000000000000"})),
            PacketFault::ip_extension_headers);
}

TEST(IpPacket, ThatIsALaterFragmentHasNoPorts) {
  ByteVector v4 = make_packet({.protocol = 17, .fragment = 0x2010});
  const IpPacket facts = IpPacket::parse(v4).value();
  EXPECT_TRUE(facts.is_fragment && facts.is_later_fragment() && facts.more_fragments);
  EXPECT_FALSE(facts.has_transport_header());
  EXPECT_EQ(facts.fragment_offset, 128);
  EXPECT_EQ(facts.fragment_id, 0x1c46U);
  EXPECT_EQ(facts.source_port, 0);
  EXPECT_EQ(facts.payload, facts.transport);
  EXPECT_TRUE(facts.is_udp());
  const IpPacket v6 =
      IpPacket::parse(
          make_packet({.version = 6, .protocol = 17, .extensions = "1100008000000007", .first_extension = 44}))
          .value();
  EXPECT_TRUE(v6.is_later_fragment());
  EXPECT_FALSE(v6.more_fragments);
  EXPECT_EQ(v6.fragment_offset, 128);
  EXPECT_EQ(v6.fragment_id, 7U);
  EXPECT_EQ(v6.transport, 48);
  EXPECT_EQ(v6.destination_port, 0);
}

TEST(IpPacket, ThatIsAFirstFragmentHasPortsAndItsDatagramsLength) {
  ByteVector v4 = make_packet({.protocol = 17, .fragment = 0x2000});
  test::put<std::uint16_t>(v4, 24, 3008);
  const IpPacket facts = IpPacket::parse(v4).value();
  EXPECT_TRUE(facts.is_first_fragment() && facts.has_transport_header());
  EXPECT_EQ(facts.destination_port, 443);
  const IpPacket v6 =
      IpPacket::parse(make_packet({.version = 6, .extensions = "0600000100000007", .first_extension = 44})).value();
  EXPECT_TRUE(v6.is_first_fragment() && v6.more_fragments);
  EXPECT_EQ(v6.destination_port, 443);
}

TEST(IpPacket, ThatIsAFragmentOfTheWholeIsNone) {
  const IpPacket facts =
      IpPacket::parse(make_packet({.version = 6, .extensions = "0600000000000007", .first_extension = 44})).value();
  EXPECT_FALSE(facts.is_fragment);
  EXPECT_TRUE(facts.has_extensions);
}

TEST(IpPacket, ThatIsALaterFragmentMayBeSmallerThanAnyHeader) {
  EXPECT_EQ(fault_of(make_packet({.protocol = 50, .payload = 1, .fragment = 0x0001})), kNone);
  ByteVector tiny = make_packet({.protocol = 50, .payload = 1, .fragment = 0x0001});
  tiny[9] = std::byte{6};
  EXPECT_EQ(fault_of(tiny), kNone);
}

TEST(IpPacket, OfIcmpKnowsEchoesAndErrors) {
  const struct {
    unsigned version;
    std::uint8_t type;
    bool echo, error;
  } types[] = {{4, 0, true, false},   {4, 8, true, false},   {4, 3, false, true}, {4, 11, false, true},
               {4, 12, false, true},  {4, 4, false, true},   {4, 5, false, true}, {4, 13, false, false},
               {6, 128, true, false}, {6, 129, true, false}, {6, 1, false, true}, {6, 2, false, true},
               {6, 3, false, true},   {6, 135, false, false}};
  for (const auto& [version, type, echo, error] : types) {
    ByteVector packet = make_packet({.version = version, .protocol = version == 4 ? 1U : 58U, .payload = 20});
    const std::size_t at = version == 4 ? 20 : 40;
    packet[at] = std::byte{type};
    packet[at + 1] = std::byte{0};
    const IpPacket facts = IpPacket::parse(packet).value();
    EXPECT_EQ(facts.is_icmp_echo(), echo) << version << ' ' << +type;
    EXPECT_EQ(facts.is_icmp_error(), error) << version << ' ' << +type;
    EXPECT_EQ(facts.icmp_id, echo ? load_big<std::uint16_t>(Bytes(packet).subspan(at + 4)) : 0);
    EXPECT_EQ(facts.payload, at + 8);
  }
}

TEST(IpPacket, OfOneFamilyIsNoIcmpOfTheOther) {
  EXPECT_FALSE(IpPacket::parse(make_packet({.protocol = 58})).value().is_icmp());
  EXPECT_FALSE(IpPacket::parse(make_packet({.version = 6, .protocol = 1})).value().is_icmp());
}

TEST(QuotedPacket, MayEndBehindEightBytesOfTransport) {
  for (const Made& made : {Made{}, Made{.protocol = 17}, Made{.version = 6}, Made{.version = 6, .protocol = 17}}) {
    const ByteVector packet = make_packet(made);
    const std::size_t least = test::made_transport(made) + 8;
    for (std::size_t size = 0; size <= packet.size(); ++size) {
      const ByteVector quote(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(size));
      const auto parsed = IpPacket::parse_quoted(quote);
      ASSERT_EQ(parsed.has_value(), size >= least) << size;
      if (!parsed) continue;
      EXPECT_EQ(parsed->size, packet.size());
      EXPECT_EQ(parsed->source_port, 40001);
      EXPECT_EQ(parsed->destination_port, 443);
    }
  }
}

TEST(PacketChecksum, IsFoundRightAndEverySingleBitWrong) {
  for (const Made& made : {Made{.payload = 31}, Made{.protocol = 17, .payload = 30}, Made{.version = 6, .payload = 31},
                           Made{.version = 6, .protocol = 17, .payload = 7}}) {
    ByteVector packet = make_packet(made);
    const IpPacket facts = IpPacket::parse(packet).value();
    EXPECT_TRUE(has_right_checksum(facts, packet));
    EXPECT_TRUE(has_right_header_checksum(facts, packet));
    for (std::size_t bit = facts.transport * 8U; bit < packet.size() * 8; ++bit) {
      if (facts.is_udp() && bit / 8 - facts.transport >= 4 && bit / 8 - facts.transport < 6) continue;  // its length
      packet[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
      ASSERT_FALSE(has_right_checksum(facts, packet)) << bit;
      packet[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
    }
    if (made.version == 6) continue;
    packet[8] ^= std::byte{1};
    EXPECT_FALSE(has_right_header_checksum(facts, packet));
    EXPECT_TRUE(has_right_checksum(facts, packet));
  }
}

TEST(PacketChecksum, OfUdpMayBeNoneOverIp4Only) {
  for (const unsigned version : {4U, 6U}) {
    ByteVector packet = make_packet({.version = version, .protocol = 17});
    test::put<std::uint16_t>(packet, version == 4 ? 26 : 46, 0);
    EXPECT_EQ(has_right_checksum(IpPacket::parse(packet).value(), packet), version == 4);
  }
}

TEST(PacketFault, HasANameThatCountersKeep) {
  EXPECT_EQ(reason_of(PacketFault::ip_packet_length), "invalid_ip_packet_length");
  EXPECT_EQ(reason_of(PacketFault::ip_header_version), "invalid_ip_header_version");
  EXPECT_EQ(reason_of(PacketFault::ip_header_options), "invalid_ip_header_options");
  EXPECT_EQ(reason_of(PacketFault::ip_extension_headers), "invalid_ip_extension_headers");
  EXPECT_EQ(reason_of(PacketFault::tcp_packet_length), "invalid_tcp_packet_length");
  EXPECT_EQ(reason_of(PacketFault::udp_packet_length), "invalid_udp_packet_length");
  EXPECT_EQ(reason_of(PacketFault::icmp_packet_length), "invalid_icmp_packet_length");
}

}  // namespace
}  // namespace gatehouse
