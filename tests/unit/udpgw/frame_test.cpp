#include "plugins/udpgw/frame.hpp"

#include <gatehouse/testkit/hex.hpp>

#include <gtest/gtest.h>

namespace gatehouse::udpgw {
namespace {

using testkit::ByteVector;
using testkit::hex;

struct Valid {
  const char* name;
  const char* wire;  // '|' marks field borders
  std::uint16_t conid;
  std::uint8_t flags;
  const char* remote;   // "" = a keepalive
  const char* payload;  // hex
};

void PrintTo(const Valid& vector, std::ostream* out) { *out << vector.name; }

class ValidFrame : public testing::TestWithParam<Valid> {};

TEST_P(ValidFrame, Decodes) {
  const ByteVector wire = hex(GetParam().wire);
  const Decoded got = decode(wire);
  const bool keepalive = GetParam().remote[0] == '\0';
  ASSERT_EQ(got.kind, keepalive ? FrameKind::keepalive : FrameKind::data);
  EXPECT_EQ(got.size, wire.size());
  EXPECT_EQ(got.frame.conid, GetParam().conid);
  EXPECT_EQ(got.frame.flags, GetParam().flags);
  if (keepalive) return;
  EXPECT_EQ(read_address(got.frame.address).to_string(), GetParam().remote);
  EXPECT_EQ(ByteVector(got.frame.payload.begin(), got.frame.payload.end()), hex(GetParam().payload));
}

// A stream may break anywhere: each proper prefix asks for more input, and nothing behind it is read.
TEST_P(ValidFrame, EveryPrefixIsIncomplete) {
  const ByteVector wire = hex(GetParam().wire);
  for (std::size_t n = 0; n < wire.size(); ++n) {
    const ByteVector prefix(wire.data(), wire.data() + n);
    EXPECT_EQ(decode(prefix).kind, FrameKind::incomplete) << "at byte " << n;
    EXPECT_EQ(decode(prefix).size, 0u) << "at byte " << n;
  }
}

TEST_P(ValidFrame, WhatFollowsDoesNotMatter) {
  ByteVector wire = hex(GetParam().wire);
  const std::size_t size = wire.size();
  wire.resize(size + 70000, std::byte{0xff});
  EXPECT_EQ(decode(wire).size, size);
}

// Numbers 1-9 are the vectors 1 to 9 of the protocol's description; the rest are borders of the format.
constexpr Valid kValid[] = {
    {"V1Keepalive", "0300|01|0000", 0, kKeepalive, "", ""},
    {"V2Rebind", "0e00|02|0000|7f000001|1e61|68656c6c6f", 0, kRebind, "127.0.0.1:7777", "68656c6c6f"},
    {"V3Echo", "0e00|00|0000|7f000001|1e61|68656c6c6f", 0, 0, "127.0.0.1:7777", "68656c6c6f"},
    {"V4Empty", "0900|00|3412|0a000001|0035", 0x1234, 0, "10.0.0.1:53", ""},
    {"V5Ipv6Rebind", "1800|0a|0201|20010db8000000000000000000000009|0035|616263", 0x0102, kIpv6 | kRebind,
     "[2001:db8::9]:53", "616263"},
    {"V6Ipv6Reply", "1800|08|0201|20010db8000000000000000000000009|0035|616263", 0x0102, kIpv6, "[2001:db8::9]:53",
     "616263"},
    {"V7DnsQuery", "2100|06|0500|cb007109|0035|123401000001000000000000|0161|0474657374|00|0001|0001", 5,
     kRebind | kDns, "203.0.113.9:53",
     "12340100000100000000000001610474657374000001"
     "0001"},
    {"V8KeepaliveOnAFullFrame", "0b00|01|0500|7f000001|0035|6162", 5, kKeepalive, "", ""},
    {"V9UnknownFlags", "0b00|f0|0500|7f000001|0035|6162", 5, 0xf0, "127.0.0.1:53", "6162"},
    {"MappedIpv4IsIpv4", "1500|08|0100|00000000000000000000ffffc0000201|0035", 1, kIpv6, "192.0.2.1:53", ""},
    {"HighestConid", "0900|00|ffff|ffffffff|ffff", 0xffff, 0, "255.255.255.255:65535", ""},
};
INSTANTIATE_TEST_SUITE_P(Vectors, ValidFrame, testing::ValuesIn(kValid),
                         [](const auto& test) { return std::string(test.param.name); });

struct Malformed {
  const char* name;
  const char* wire;
};

void PrintTo(const Malformed& vector, std::ostream* out) { *out << vector.name; }

class MalformedFrame : public testing::TestWithParam<Malformed> {};

TEST_P(MalformedFrame, IsSkippedExactly) {
  ByteVector wire = hex(GetParam().wire);
  const std::size_t size = wire.size();
  for (std::size_t n = 0; n < size; ++n)
    EXPECT_EQ(decode(Bytes(wire).first(n)).kind, FrameKind::incomplete) << "at byte " << n;
  const ByteVector keepalive = hex("0300010000");
  wire.insert(wire.end(), keepalive.begin(), keepalive.end());
  const Decoded got = decode(wire);
  ASSERT_EQ(got.kind, FrameKind::malformed);
  ASSERT_EQ(got.size, size);
  EXPECT_EQ(decode(Bytes(wire).subspan(got.size)).kind, FrameKind::keepalive);
}

constexpr Malformed kMalformed[] = {
    {"V10TooShortForAHeader", "0200|0000"},
    {"V11AddressOneByteShort", "0800|00|0500|7f000001|00"},
    {"V12Ipv6FlagWithIpv4Body", "0900|08|0500|7f000001|0035"},
    {"V13Empty", "0000"},
    {"OneByte", "0100|00"},
    {"HeaderOnly", "0300|00|0000"},
    {"Ipv6OneByteShort", "1400|08|0500|20010db8000000000000000000000009|00"},
};
INSTANTIATE_TEST_SUITE_P(Vectors, MalformedFrame, testing::ValuesIn(kMalformed),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(Frame, V14LongestFrameIsDecodedWhole) {
  ByteVector wire = hex("ffff|00|0500|7f000001|0035");
  wire.resize(2 + 65535);
  const Decoded got = decode(wire);
  ASSERT_EQ(got.kind, FrameKind::data);
  EXPECT_EQ(got.frame.payload.size(), 65526u);
  wire.pop_back();
  EXPECT_EQ(decode(wire).kind, FrameKind::incomplete);
}

TEST(Frame, HeaderOfAReplyCarriesTheClientsAddress) {
  const ByteVector v4 = hex("0e00|00|0000|7f000001|1e61|68656c6c6f");
  ByteVector out(kOverheadV4);
  EXPECT_EQ(write_header(out, 0, hex("7f0000011e61"), 5), kOverheadV4);
  EXPECT_EQ(out, ByteVector(v4.begin(), v4.begin() + kOverheadV4));

  const ByteVector v6 = hex("1800|08|0201|20010db8000000000000000000000009|0035|616263");
  out.resize(kOverheadV6);
  EXPECT_EQ(write_header(out, 0x0102, hex("20010db80000000000000000000000090035"), 3), kOverheadV6);
  EXPECT_EQ(out, ByteVector(v6.begin(), v6.begin() + kOverheadV6));
}

TEST(Tun2proxy, IsKnownByItsFirstFrame) {
  EXPECT_TRUE(looks_like_tun2proxy(hex("0003|01|0000")));
  EXPECT_TRUE(looks_like_tun2proxy(hex("0003|01|1234|0003|01|1234")));
  EXPECT_TRUE(looks_like_tun2proxy(hex("000c|02|0001|01|7f000001|0035|6162")));
}

TEST(Tun2proxy, IsNotSeenInFramesOfOurClients) {
  for (const Valid& vector : kValid) EXPECT_FALSE(looks_like_tun2proxy(hex(vector.wire))) << vector.name;
  EXPECT_FALSE(looks_like_tun2proxy(hex("0003|01")));
  EXPECT_FALSE(looks_like_tun2proxy(hex("000c|02|0001|02|7f000001|0035|6162")));
}

}  // namespace
}  // namespace gatehouse::udpgw
