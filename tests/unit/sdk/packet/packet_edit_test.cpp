#include <gatehouse/packet/checksum.hpp>
#include <gatehouse/packet/packet_edit.hpp>
#include <gatehouse/packet/packet_reply.hpp>

#include "tests/unit/sdk/packet/made_packets.hpp"

#include <gtest/gtest.h>

#include <random>

namespace gatehouse {
namespace {

using test::ByteVector;
using test::Made;
using test::make_packet;
using testkit::hex;

IpAddress address(std::string_view text) { return IpAddress::parse(text).value(); }

ByteVector with_source(ByteVector packet, std::string_view to) {
  rewrite_source(packet, IpPacket::parse(packet).value(), address(to), false);
  return packet;
}

ByteVector with_destination(ByteVector packet, std::string_view to) {
  rewrite_destination(packet, IpPacket::parse(packet).value(), address(to), false);
  return packet;
}

/// In hex, so that a failure can be read.
std::string text_of(const ByteVector& bytes) {
  std::string out;
  for (const std::byte one : bytes) {
    out += "0123456789abcdef"[std::to_integer<unsigned>(one) >> 4];
    out += "0123456789abcdef"[std::to_integer<unsigned>(one) & 15];
  }
  return out;
}

constexpr const char* kAssigned4 = "10.18.52.86";
constexpr const char* kAssigned6 = "fd19:ca83:e6d5:1c44:8c57:4434:ee12:3456";
constexpr const char* kClient4 = "172.16.0.1";
constexpr const char* kClient6 = "fd26:b6a6:4454:310a::1";

struct Vector {
  const char* name;
  std::string_view in, out;
  const char* source;       ///< or none
  const char* destination;  ///< or none
};

// Packets that the reference has rewritten. V11 and V12 are not as it does it, but right: no checksum stays no
// checksum, and a later fragment's payload is not touched.
constexpr Vector kVectors[] = {
    {"V1 TCP4 up", "450000281c4640004006483eac100001c63364079c4001bb01020304000000005002faf03ca40000",
     "450000281c4640004006b5e70a123456c63364079c4001bb01020304000000005002faf0aa4d0000", kAssigned4, nullptr},
    {"V2 TCP4 down", "4500002b1c4640004006b5e4c63364070a12345601bb9c4001020304000000005002faf020e10000686921",
     "4500002b1c4640004006483bc6336407ac10000101bb9c4001020304000000005002faf0b3370000686921", nullptr, kClient4},
    {"V3 DNS4, client up",
     "450000391c4640004011c64aac100001ac1000029c41003500258cc8abcd01000001000000000000076578616d706c65036f726700000100"
     "01",
     "450000391c4640004011685bac1000010a0000029c41003500252ed9abcd01000001000000000000076578616d706c65036f726700000100"
     "01",
     nullptr, "10.0.0.2"},
    {"V4 DNS4 up",
     "450000391c4640004011685bac1000010a0000029c41003500252ed9abcd01000001000000000000076578616d706c65036f726700000100"
     "01",
     "450000391c4640004011cff60a123456080808089c41003500259674abcd01000001000000000000076578616d706c65036f726700000100"
     "01",
     kAssigned4, "8.8.8.8"},
    {"V5 DNS4 answer down",
     "450000491c4640004011cfe6080808080a12345600359c410035ebdcabcd81800001000100000000076578616d706c65036f726700000100"
     "01c00c000100010000003c00045db8d822",
     "450000491c4640004011684b0a000002ac10000100359c4100358441abcd81800001000100000000076578616d706c65036f726700000100"
     "01c00c000100010000003c00045db8d822",
     "10.0.0.2", kClient4},
    {"V6 DNS4 answer, client down",
     "450000491c4640004011684b0a000002ac10000100359c4100358441abcd81800001000100000000076578616d706c65036f726700000100"
     "01c00c000100010000003c00045db8d822",
     "450000491c4640004011c63aac100002ac10000100359c410035e230abcd81800001000100000000076578616d706c65036f726700000100"
     "01c00c000100010000003c00045db8d822",
     "172.16.0.2", nullptr},
    {"V7 TCP6 up",
     "6000000000140640fd26b6a64454310a000000000000000120010db80000000000000000000000079c4001bb01020304000000005002faf0"
     "bc030000",
     "6000000000140640fd19ca83e6d51c448c574434ee12345620010db80000000000000000000000079c4001bb01020304000000005002faf0"
     "27840000",
     kAssigned6, nullptr},
    {"V8 UDP6 down",
     "60000000000c114020010db8000000000000000000000007fd19ca83e6d51c448c574434ee12345611519c40000c8801706f6e67",
     "60000000000c114020010db8000000000000000000000007fd26b6a64454310a000000000000000111519c40000c1c81706f6e67",
     nullptr, kClient6},
    {"V9 DNS6, client up",
     "6000000000251140fd26b6a64454310a0000000000000001fd26b6a64454310a00000000000000029c41003500259291abcd010000010000"
     "00000000076578616d706c65036f72670000010001",
     "6000000000251140fd26b6a64454310a0000000000000001fd19ca83e6d51c4400000000000000029c4100350025f105abcd010000010000"
     "00000000076578616d706c65036f72670000010001",
     nullptr, "fd19:ca83:e6d5:1c44::2"},
    {"V10 DNS6 up",
     "6000000000251140fd26b6a64454310a0000000000000001fd19ca83e6d51c4400000000000000029c4100350025f105abcd010000010000"
     "00000000076578616d706c65036f72670000010001",
     "6000000000251140fd19ca83e6d51c448c574434ee123456200148604860000000000000000088889c4100350025edf5abcd010000010000"
     "00000000076578616d706c65036f72670000010001",
     kAssigned6, "2001:4860:4860::8888"},
    {"V11 UDP4 without a checksum", "450000201c4640004011483bac100001c63364079c401388000c00007a65726f",
     "450000201c4640004011b5e40a123456c63364079c401388000c00007a65726f", kAssigned4, nullptr},
    {"V12 later fragment", "4500002c1c4600104011881fac100001c63364079c40138800184a7230313233343536373839616263646566",
     "4500002c1c4600104011f5c80a123456c63364079c40138800184a7230313233343536373839616263646566", kAssigned4, nullptr},
};

TEST(PacketEdit, DoesWhatTheReferenceDoesButForItsFaults) {
  for (const Vector& vector : kVectors) {
    ByteVector packet = hex(vector.in);
    const IpPacket facts = IpPacket::parse(packet).value();
    if (vector.source != nullptr) rewrite_source(packet, facts, address(vector.source), false);
    if (vector.destination != nullptr) rewrite_destination(packet, facts, address(vector.destination), false);
    EXPECT_EQ(text_of(packet), vector.out) << vector.name;
    EXPECT_EQ(IpPacket::parse(packet).value(), facts) << vector.name;
  }
}

TEST(PacketEdit, KeepsChecksumsRightWhateverTheAddresses) {
  std::mt19937 random(1);
  for (int i = 0; i < 4000; ++i) {
    for (const unsigned version : {4U, 6U}) {
      ByteVector packet = make_packet({.version = version,
                                       .protocol = i % 2 == 0 ? 6U : 17U,
                                       .payload = random() % 50,
                                       .fill = static_cast<std::uint8_t>(random())});
      const IpPacket facts = IpPacket::parse(packet).value();
      ByteVector bytes(16);
      for (std::byte& one : bytes) one = static_cast<std::byte>(i % 3 == 0 ? (random() % 2) * 255 : random());
      const IpAddress to = version == 4 ? IpAddress::v4(Bytes(bytes).first(4)) : IpAddress::v6(bytes);
      rewrite_source(packet, facts, to, false);
      ASSERT_TRUE(test::has_right_checksums(packet));
      ASSERT_EQ(facts.source_address(packet), to);
      rewrite_destination(packet, facts, to, false);
      ASSERT_TRUE(test::has_right_checksums(packet));
      if (facts.is_udp()) {
        ASSERT_NE(load_checksum(Bytes(packet).subspan(facts.transport + 6U).first<2>()), 0);
      }
    }
  }
}

TEST(PacketEdit, TurnsAUdpChecksumThatComesOutAsNoneIntoTheOtherZero) {
  // The last source byte runs over all its values; with the right payload word the checksum passes through 0.
  bool seen = false;
  for (unsigned fill = 0; fill < 65536 && !seen; ++fill) {
    ByteVector packet = make_packet({.protocol = 17, .payload = 2});
    test::put<std::uint16_t>(packet, 28, static_cast<std::uint16_t>(fill));
    test::put<std::uint16_t>(packet, 26, 0);
    const std::uint32_t sum = test::transport_sum(packet, 20, 17);
    if (sum != 0xfffe) continue;  // the checksum is 1: one more in an address makes it 0
    test::put<std::uint16_t>(packet, 26, 1);
    const ByteVector out = with_source(packet, "172.16.0.2");
    EXPECT_EQ(load_big<std::uint16_t>(Bytes(out).subspan(26)), 0xffff);
    EXPECT_TRUE(test::has_right_checksums(out));
    seen = true;
  }
  EXPECT_TRUE(seen);
}

TEST(PacketEdit, DoesNotRepairAPacketThatIsBroken) {
  ByteVector packet = make_packet({});
  packet.back() ^= std::byte{1};
  EXPECT_FALSE(test::has_right_checksums(with_source(packet, kAssigned4)));
}

TEST(PacketEdit, KeepsAPartialChecksumTheSumOfThePseudoHeader) {
  for (const unsigned version : {4U, 6U})
    for (const unsigned protocol : {6U, 17U}) {
      ByteVector packet = make_packet({.version = version, .protocol = protocol});
      const IpPacket facts = IpPacket::parse(packet).value();
      const auto field = MutableBytes(packet).subspan(facts.transport + (protocol == 6 ? 16U : 6U)).first<2>();
      const auto pseudo = [&] {
        return fold_sum(pseudo_header_sum(facts.source(packet), facts.destination(packet), facts.protocol,
                                          static_cast<std::uint32_t>(facts.transport_size())));
      };
      store_checksum(field, pseudo());
      rewrite_source(packet, facts, address(version == 4 ? kAssigned4 : kAssigned6), true);
      EXPECT_EQ(load_checksum(field), pseudo());
      rewrite_destination(packet, facts, address(version == 4 ? "8.8.8.8" : "2001:4860:4860::8888"), true);
      EXPECT_EQ(load_checksum(field), pseudo());
      if (version == 4) {
        EXPECT_EQ(test::ip4_header_sum(packet), 0xffffU);
      }
    }
}

TEST(PacketEdit, CoversIcmpOfVersion6Only) {
  for (const unsigned version : {4U, 6U}) {
    ByteVector packet = make_packet({.version = version, .protocol = version == 4 ? 1U : 58U, .payload = 24});
    const std::size_t at = version == 4 ? 20 : 40;
    packet[at] = std::byte{static_cast<unsigned char>(version == 4 ? 8 : 128)};
    test::put<std::uint16_t>(packet, at + 2, 0);
    test::put<std::uint16_t>(packet, at + 2,
                             static_cast<std::uint16_t>(~test::transport_sum(packet, at, 58, version == 6)));
    ASSERT_TRUE(test::has_right_checksums(packet));
    EXPECT_TRUE(test::has_right_checksums(with_source(packet, version == 4 ? kAssigned4 : kAssigned6)));
    EXPECT_TRUE(test::has_right_checksums(with_destination(packet, version == 4 ? kAssigned4 : kAssigned6)));
  }
}

TEST(PacketEdit, ReachesTheTransportBehindOptionsAndExtensions) {
  for (const Made& made :
       {Made{.ip_options = "94040000"}, Made{.version = 6, .extensions = "0600000000000000", .first_extension = 0},
        Made{.version = 6, .extensions = "0600000100000007", .first_extension = 44}}) {
    ByteVector packet = make_packet(made);
    const std::size_t transport = test::made_transport(made);
    ASSERT_EQ(test::transport_sum(packet, transport, 6), 0xffffU);
    packet = with_source(packet, made.version == 4 ? kAssigned4 : kAssigned6);
    EXPECT_EQ(test::transport_sum(packet, transport, 6), 0xffffU);
  }
}

TEST(PacketEdit, LeavesALaterFragmentsPayloadAlone) {
  const Made made{.version = 6, .protocol = 17, .extensions = "1100008000000007", .first_extension = 44};
  const ByteVector packet = make_packet(made), out = with_source(packet, kAssigned6);
  EXPECT_TRUE(std::equal(packet.begin() + 24, packet.end(), out.begin() + 24));
}

/// An error about `packet`, as a router would send it.
ByteVector error_about(const ByteVector& packet, const char* router) {
  ByteVector out(kLargestReply);
  out.resize(
      make_unreachable(Unreachable::prohibited, packet, IpPacket::parse(packet).value(), address(router), 0, out));
  return out;
}

TEST(PacketEdit, OfAQuoteKeepsAllItsChecksums) {
  for (const unsigned version : {4U, 6U})
    for (const unsigned protocol : {6U, 17U})
      for (const bool is_source : {true, false}) {
        const ByteVector inner = make_packet({.version = version, .protocol = protocol, .payload = 40});
        ByteVector packet = error_about(inner, version == 4 ? "203.0.113.9" : "2001:db8::99");
        ASSERT_FALSE(packet.empty());
        const IpPacket facts = IpPacket::parse(packet).value();
        const IpPacket quoted = IpPacket::parse_quoted(Bytes(packet).subspan(facts.payload)).value();
        const IpAddress to = address(version == 4 ? kAssigned4 : kAssigned6);
        (is_source ? rewrite_quoted_source : rewrite_quoted_destination)(packet, facts, quoted, to);
        EXPECT_TRUE(test::has_right_checksums(packet));
        const Bytes quote = Bytes(packet).subspan(facts.payload);
        EXPECT_TRUE(test::has_right_checksums(quote));
        EXPECT_EQ(is_source ? quoted.source_address(quote) : quoted.destination_address(quote), to);
      }
}

TEST(PacketEdit, OfAQuoteThatIsCutIsTheFrontOfThePacketRewritten) {
  const ByteVector inner = make_packet({.payload = 40}), rewritten = with_source(inner, kAssigned4);
  constexpr std::size_t kChecksum = 20 + 16;
  for (std::size_t size = 28; size <= inner.size(); ++size) {
    ByteVector packet(kLargestReply);
    packet.resize(make_unreachable(Unreachable::prohibited, Bytes(inner).first(size), IpPacket::parse(inner).value(),
                                   address("203.0.113.9"), 0, packet));
    ASSERT_EQ(packet.size(), 20U + 8 + size);
    const IpPacket facts = IpPacket::parse(packet).value();
    const IpPacket quoted = IpPacket::parse_quoted(Bytes(packet).subspan(facts.payload)).value();
    rewrite_quoted_source(packet, facts, quoted, address(kAssigned4));
    EXPECT_TRUE(test::has_right_checksums(packet)) << size;
    ByteVector expected(rewritten.begin(), rewritten.begin() + static_cast<std::ptrdiff_t>(size));
    if (size == kChecksum + 1) expected.back() = inner[kChecksum];  // half of it cannot be adjusted
    EXPECT_EQ(ByteVector(packet.begin() + facts.payload, packet.end()), expected) << size;
  }
}

TEST(Congestion, IsMarkedWhereEcnIsSpoken) {
  for (const unsigned version : {4U, 6U})
    for (const std::uint8_t ecn : std::initializer_list<std::uint8_t>{0, 1, 2, 3}) {
      ByteVector packet = make_packet(
          {.version = version, .traffic_class = static_cast<std::uint8_t>(0xb8 | ecn), .flow_label = 0x54321});
      const ByteVector before = packet;
      IpPacket facts = IpPacket::parse(packet).value();
      EXPECT_EQ(mark_congestion(packet, facts), ecn != 0);
      EXPECT_EQ(IpPacket::parse(packet).value(), facts);
      EXPECT_EQ(facts.traffic_class, 0xb8 | (ecn == 0 ? 0 : 3));
      EXPECT_TRUE(test::has_right_checksums(packet));
      if (ecn == 0 || ecn == 3) {
        EXPECT_EQ(packet, before);
      }
      if (version == 6) {
        EXPECT_EQ(load_big<std::uint32_t>(packet) & 0xfffff, 0x54321U);
      }
    }
}

}  // namespace
}  // namespace gatehouse
