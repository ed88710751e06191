#include "plugins/geneve-relay/wire/geneve_header.hpp"

#include <gatehouse/testkit/hex.hpp>

#include <gtest/gtest.h>

namespace gatehouse::geneve_relay {
namespace {

using testkit::hex;

struct Kind {
  const char* name;
  const char* wire;
  DatagramKind kind;
};

class DatagramKinds : public testing::TestWithParam<Kind> {};

TEST_P(DatagramKinds, AreToldApart) { EXPECT_EQ(kind_of(hex(GetParam().wire)), GetParam().kind); }

constexpr Kind kKinds[] = {
    {"Nothing", "", DatagramKind::runt},
    {"SevenBytes", "00007a1200abcd", DatagramKind::runt},
    {"HeaderAlone", "00007a1200abcd00", DatagramKind::geneve},
    {"CriticalAndReservedBits", "00ff7a1200abcdff", DatagramKind::geneve},
    {"OtherVersion", "c0807a1100000700", DatagramKind::geneve},
    {"Stun", "00010000|2112a442|a00102030405060708090a0b", DatagramKind::stun},
    {"StunTooShort", "00010000|2112a442|a00102030405060708090a", DatagramKind::geneve},
    {"StunOfOtherCookie", "00010000|2112a443|a00102030405060708090a0b", DatagramKind::geneve},
    {"VniLikeTheCookie", "00007a12|2112a442|a00102030405060708090a0b", DatagramKind::geneve},
    {"CookieBehindTopBits", "40010000|2112a442|a00102030405060708090a0b", DatagramKind::geneve},
    {"CookieBehindTheOtherTopBit", "80010000|2112a442|a00102030405060708090a0b", DatagramKind::geneve},
    {"Disco", "5453f09f92ac0000", DatagramKind::disco},
    {"NearlyDisco", "5453f09f92ad0000", DatagramKind::geneve},
    {"WireguardInitiation", "0100000000000000", DatagramKind::wireguard},
    {"WireguardData", "0400000078563412", DatagramKind::wireguard},
    {"NoWireguardType", "0500000078563412", DatagramKind::geneve},
    {"Zeros", "0000000000000000", DatagramKind::geneve},
};
INSTANTIATE_TEST_SUITE_P(All, DatagramKinds, testing::ValuesIn(kKinds),
                         [](const auto& test) { return test.param.name; });

TEST(GeneveHeader, EveryFieldSurvives) {
  const GeneveHeader header{.version = 2, .option_length = 63, .control = true, .protocol = 0xfffe, .vni = kLargestVni};
  std::array<std::byte, kGeneveHeaderSize> wire;
  write_geneve_header(wire, header);
  EXPECT_EQ(read_geneve_header(wire), header);
  write_geneve_header(wire, {});
  EXPECT_EQ(read_geneve_header(wire), GeneveHeader());
}

}  // namespace
}  // namespace gatehouse::geneve_relay
