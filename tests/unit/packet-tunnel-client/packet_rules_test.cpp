// Vectors of the reference's client side (protocol file, section 11), and what it has no vector for.
#include "plugins/packet-tunnel/client/packet_rules.hpp"

#include "plugins/packet-tunnel/common/raw_packet.hpp"

#include <gatehouse/testkit/hex.hpp>

#include <gtest/gtest.h>

#include <array>

namespace gatehouse::packet_tunnel {
namespace {

using testkit::hex;
using Verdict = PacketRules::Verdict;

IpAddress address(const char* text) { return *IpAddress::parse(text); }
DeviceAddress device(const char* text) { return *DeviceAddress::parse(text); }

/// As the reference's client is configured for its vectors.
PacketRules vector_rules() {
  return PacketRules({address("172.16.0.2"), address("fd26:b6a6:4454:310a::2")},
                     {device("172.16.0.1/24"), device("fd26:b6a6:4454:310a::1/64")});
}

struct Judged {
  Verdict verdict;
  std::vector<std::byte> packet;
};

Judged judge(const PacketRules& rules, std::vector<std::byte> packet) {
  const auto facts = IpPacket::parse(packet);
  EXPECT_TRUE(facts.has_value());
  return {rules.judge(packet, *facts, false), packet};
}

constexpr char kV3In[] =
    "450000391c4640004011c64aac100001ac1000029c41003500258cc8abcd01000001000000000000076578616d706c65036f7267000001000"
    "1";
constexpr char kV3Out[] =
    "450000391c4640004011685bac1000010a0000029c41003500252ed9abcd01000001000000000000076578616d706c65036f7267000001000"
    "1";
constexpr char kV6In[] =
    "450000491c4640004011684b0a000002ac10000100359c4100358441abcd81800001000100000000076578616d706c65036f72670000010001"
    "c0"
    "0c000100010000003c00045db8d822";
constexpr char kV6Out[] =
    "450000491c4640004011c63aac100002ac10000100359c410035e230abcd81800001000100000000076578616d706c65036f72670000010001"
    "c0"
    "0c000100010000003c00045db8d822";
constexpr char kV9In[] =
    "6000000000251140fd26b6a64454310a0000000000000001fd26b6a64454310a00000000000000029c41003500259291abcd01000001000000"
    "00"
    "0000076578616d706c65036f72670000010001";
constexpr char kV9Out[] =
    "6000000000251140fd26b6a64454310a0000000000000001fd19ca83e6d51c4400000000000000029c4100350025f105abcd01000001000000"
    "00"
    "0000076578616d706c65036f72670000010001";

TEST(PacketRules, SendQueriesToTheGatewaysResolver) {
  for (const auto& [in, out] : {std::pair(kV3In, kV3Out), std::pair(kV9In, kV9Out)}) {
    const Judged got = judge(vector_rules(), hex(in));
    EXPECT_EQ(got.verdict, Verdict::pass);
    EXPECT_EQ(got.packet, hex(out));
  }
}

TEST(PacketRules, LetAnswersComeFromWhereTheQueryWent) {
  auto packet = hex(kV6In);
  vector_rules().rewrite_answer(packet, *IpPacket::parse(packet), false);
  EXPECT_EQ(packet, hex(kV6Out));
}

TEST(PacketRules, LeaveQueriesToTheGatewaysOwnAddressAlone) {
  const PacketRules rules({address("10.0.0.2")}, {device("172.16.0.1/24")});
  EXPECT_EQ(judge(rules, hex(kV3Out)).packet, hex(kV3Out));
  auto answer = hex(kV6In);
  rules.rewrite_answer(answer, *IpPacket::parse(answer), false);
  EXPECT_EQ(answer, hex(kV6In));
}

struct Case {
  const char* name;
  const char* packet;
  Verdict verdict;
};
constexpr Case kCases[] = {
    {"R27_an_icmp_message_that_is_neither_echo_nor_error",
     "450000281c46400040016269ac100001080808080001000201020304000000005002faf0f4c70000", Verdict::drop},
    {"R28_multicast", "4500001c1c4640004011917eac100001e00000fb14e914e9000848ff", Verdict::drop},
    {"R29_a_private_destination", "450000281c4640004006b0cfac100001c0a801010001000201020304000000005002faf0432e0000",
     Verdict::pass},
    {"R30_a_link_local_destination", "450000281c4640004006c779ac100001a9fe01010001000201020304000000005002faf059d80000",
     Verdict::refuse},
    {"R13_broadcast", "4500001c1c4640004011727aac100001ffffffff0044004300085346", Verdict::drop},
};

TEST(PacketRules, JudgeAsTheServerWould) {
  for (const Case& one : kCases) EXPECT_EQ(judge(vector_rules(), hex(one.packet)).verdict, one.verdict) << one.name;
}

TEST(PacketRules, LetAnEchoPass) {
  std::array<std::byte, kEchoRequestSize> packet;
  const std::size_t size = make_echo_request(address("172.16.0.1"), address("192.0.2.1"), 1, 2, packet);
  EXPECT_EQ(judge(vector_rules(), {packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(size)}).verdict,
            Verdict::pass);
}

TEST(PacketRules, DropWhatIsFromAnotherAddress) {
  std::array<std::byte, kEchoRequestSize> packet;
  const std::size_t size = make_echo_request(address("172.16.0.9"), address("192.0.2.1"), 1, 2, packet);
  const std::vector<std::byte> foreign(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(size));
  EXPECT_EQ(judge(vector_rules(), foreign).verdict, Verdict::drop);
  EXPECT_EQ(judge(PacketRules({}, {}), foreign).verdict, Verdict::pass);  // of a device that somebody else has set up
}

TEST(PacketRules, RefuseIpv6WhereTheServerHasNone) {
  PacketRules rules = vector_rules();
  rules.set_ipv6(false);
  EXPECT_EQ(judge(rules, hex(kV9In)).verdict, Verdict::refuse);
  EXPECT_EQ(judge(rules, hex(kV3In)).verdict, Verdict::pass);
}

TEST(PacketRules, RefuseOtherProtocols) {
  auto packet = hex(kV3In);
  packet[9] = std::byte{132};  // SCTP
  EXPECT_EQ(judge(vector_rules(), packet).verdict, Verdict::refuse);
}

}  // namespace
}  // namespace gatehouse::packet_tunnel
