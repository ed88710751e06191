#include <gatehouse/net/proxy_header.hpp>
#include <gatehouse/testkit/hex.hpp>

#include "tests/unit/allocations.hpp"

#include <gtest/gtest.h>

#include <string>

namespace gatehouse {
namespace {

using testkit::ByteVector;
using testkit::hex;

ByteVector bytes(std::string_view text) {
  const Bytes view = bytes_of(text);
  return {view.begin(), view.end()};
}

ByteVector operator+(ByteVector left, const ByteVector& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

const ByteVector kSignature = hex("0d0a0d0a000d0a515549540a");

/// A header of version 2 with `length` bytes of 0xff behind what `head` has.
ByteVector v2(std::string_view head, std::size_t length = 0) {
  return kSignature + hex(head) + ByteVector(length, std::byte{0xff});
}

struct Valid {
  const char* name;
  ByteVector wire;
  const char* source;  ///< "" = none
};

const Valid kValid[] = {
    {"ExampleOfTheSpecification", bytes("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"), "192.168.0.1:56324"},
    {"LongestTcp4", bytes("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"), "255.255.255.255:65535"},
    {"LongestTcp6",
     bytes(
         "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
     "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
    {"Tcp6UpperCase", bytes("PROXY TCP6 2001:DB8::1 ::1 1 2\r\n"), "[2001:db8::1]:1"},
    {"Tcp6Mapped", bytes("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:192.0.2.2 1 2\r\n"), "192.0.2.1:1"},
    {"PortZero", bytes("PROXY TCP4 192.0.2.1 192.0.2.2 0 0\r\n"), "192.0.2.1:0"},
    {"Unknown", bytes("PROXY UNKNOWN\r\n"), ""},
    {"UnknownWithSpace", bytes("PROXY UNKNOWN \r\n"), ""},
    {"LongestUnknown",
     bytes("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
           "65535 65535\r\n"),
     ""},
    {"UnknownWithAnything", bytes("PROXY UNKNOWN \n\xff  x\r\r\n"), ""},
    {"V2Tcp4", v2("21|11|000c|c0000201|c6336402|dc04|01bb"), "192.0.2.1:56324"},
    {"V2Tcp6", v2("21|21|0024|20010db8000000000000000000000001|20010db8000000000000000000000002|dc04|01bb"),
     "[2001:db8::1]:56324"},
    {"V2Mapped", v2("21|21|0024|00000000000000000000ffffc0000201|00000000000000000000ffffc6336402|dc04|01bb"),
     "192.0.2.1:56324"},
    {"V2UdpTellsTheSourceToo", v2("21|12|000c|c0000201|c6336402|dc04|01bb"), "192.0.2.1:56324"},
    {"V2WithTlvs", v2("21|11|0013|c0000201|c6336402|dc04|01bb|04|0004|00000000"), "192.0.2.1:56324"},
    {"V2TlvsAreNotLookedAt", v2("21|11|000f|c0000201|c6336402|dc04|01bb|04ffff"), "192.0.2.1:56324"},
    {"V2Local", v2("20|00|0000"), ""},
    {"V2LocalIgnoresTheFamily", v2("20|ff|0003|aabbcc"), ""},
    {"V2LocalWithAddresses", v2("20|11|000c|c0000201|c6336402|dc04|01bb"), ""},
    {"V2Unspecified", v2("21|00|0000"), ""},
    {"V2UnspecifiedWithBytes", v2("21|00|0002|aabb"), ""},
    {"V2UnspecifiedTransport", v2("21|10|000c|c0000201|c6336402|dc04|01bb"), ""},
    {"V2Unix", v2("21|31|00d8", 216), ""},
    {"V2Longest", v2("21|11|03f0|c0000201|c6336402|dc04|01bb", 1024 - 28), "192.0.2.1:56324"},
};

class ValidProxyHeader : public testing::TestWithParam<Valid> {};

TEST_P(ValidProxyHeader, IsRead) {
  const ByteVector wire = GetParam().wire + bytes("GET / HTTP/1.1\r\n\r\n");
  const std::size_t before = allocations();
  const auto header = parse_proxy_header(wire);
  EXPECT_EQ(allocations(), before);
  ASSERT_TRUE(header) << header.error().message();
  EXPECT_EQ(header->size, GetParam().wire.size());
  EXPECT_LE(header->size, kLongestProxyHeader);
  EXPECT_EQ(header->source ? header->source->to_string() : "", GetParam().source);
}

TEST_P(ValidProxyHeader, WantsMoreAtEveryByte) {
  const ByteVector& wire = GetParam().wire;
  for (std::size_t n = 0; n < wire.size(); ++n) {
    const ByteVector cut(wire.data(), wire.data() + n);
    const auto header = parse_proxy_header(cut);
    ASSERT_FALSE(header) << "at byte " << n;
    EXPECT_EQ(header.error(), Errc::would_block) << "at byte " << n;
  }
}

INSTANTIATE_TEST_SUITE_P(Vectors, ValidProxyHeader, testing::ValuesIn(kValid),
                         [](const auto& test) { return test.param.name; });

struct Invalid {
  const char* name;
  ByteVector wire;
};

const Invalid kInvalid[] = {
    {"HttpRequest", bytes("GET / HTTP/1.1\r\n")},
    {"HttpFirstByte", bytes("G")},
    {"TlsHello", hex("160301")},
    {"LowerCase", bytes("proxy")},
    {"PrefixWithoutSpace", bytes("PROXYX")},
    {"TwoSpacesFirst", bytes("PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n")},
    {"TwoSpacesInside", bytes("PROXY TCP4 192.0.2.1  192.0.2.2 1 2\r\n")},
    {"SpaceAtTheEnd", bytes("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n")},
    {"Tab", bytes("PROXY TCP4 192.0.2.1\t192.0.2.2 1 2\r\n")},
    {"AFifthWord", bytes("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n")},
    {"AWordIsMissing", bytes("PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n")},
    {"AllWordsAreMissing", bytes("PROXY TCP4\r\n")},
    {"NothingButThePrefix", bytes("PROXY \r\n")},
    {"OtherProtocol", bytes("PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n")},
    {"LowerCaseProtocol", bytes("PROXY tcp4 192.0.2.1 192.0.2.2 1 2\r\n")},
    {"UnknownWithALetterMore", bytes("PROXY UNKNOWNS\r\n")},
    {"V6InTcp4", bytes("PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n")},
    {"V4InTcp6", bytes("PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n")},
    {"MixedFamilies", bytes("PROXY TCP4 192.0.2.1 2001:db8::2 1 2\r\n")},
    {"LeadingZeroInAddress", bytes("PROXY TCP4 192.0.02.1 192.0.2.2 1 2\r\n")},
    {"NumberTooLarge", bytes("PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n")},
    {"LeadingZeroInPort", bytes("PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n")},
    {"LeadingZeroInSecondPort", bytes("PROXY TCP4 192.0.2.1 192.0.2.2 1 00\r\n")},
    {"PortTooLarge", bytes("PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n")},
    {"PortWithPlus", bytes("PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n")},
    {"PortWithMinus", bytes("PROXY TCP4 192.0.2.1 192.0.2.2 -1 2\r\n")},
    {"PortHexadecimal", bytes("PROXY TCP4 192.0.2.1 192.0.2.2 1a 2\r\n")},
    {"LineFeedAlone", bytes("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\nGET / HTTP/1.1\r\n")},
    {"CarriageReturnInside", bytes("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\r\n")},
    {"ZeroByte", bytes({"PROXY TCP4 192.0.2.1\0 192.0.2.2 1 2\r\n", 37})},
    {"UnendedLine", bytes("PROXY UNKNOWN ") + ByteVector(93, std::byte{'x'})},
    {"LineOf108", bytes("PROXY UNKNOWN ") + ByteVector(92, std::byte{'x'}) + bytes("\r\n")},
    {"WrongSignature", hex("0d0a0d0a000d0a515549540b")},
    {"V2Version1", v2("11")},
    {"V2Version3", v2("31")},
    {"V2UnknownCommand", v2("22")},
    {"V2UnknownFamily", v2("21|41|0000")},
    {"V2UnknownTransport", v2("21|13|000c|c0000201|c6336402|dc04|01bb")},
    {"V2Tcp4TooShort", v2("21|11|000b|c0000201|c6336402|dc04|01")},
    {"V2Tcp6TooShort", v2("21|21|0023", 35)},
    {"V2UnixTooShort", v2("21|31|00d7", 215)},
    {"V2TooLong", v2("21|11|03f1")},
    {"V2LocalTooLong", v2("20|00|ffff")},
};

class InvalidProxyHeader : public testing::TestWithParam<Invalid> {};

TEST_P(InvalidProxyHeader, IsRefused) {
  const auto header = parse_proxy_header(GetParam().wire);
  ASSERT_FALSE(header);
  EXPECT_EQ(header.error(), Errc::malformed) << header.error().message();
}

INSTANTIATE_TEST_SUITE_P(Vectors, InvalidProxyHeader, testing::ValuesIn(kInvalid),
                         [](const auto& test) { return test.param.name; });

TEST(ProxyHeader, IsReadAsItWasWritten) {
  for (const auto version : {ProxyVersion::v1, ProxyVersion::v2}) {
    for (const char* source : {"192.0.2.1:0", "192.0.2.1:65535", "[2001:db8::1]:1"}) {
      for (const char* destination : {"198.51.100.2:443", "[2001:db8::2]:443"}) {
        const Endpoint from = *Endpoint::parse(source);
        const std::string wire = write_proxy_header(version, from, *Endpoint::parse(destination));
        const auto header = parse_proxy_header(bytes_of(wire));
        ASSERT_TRUE(header) << wire;
        EXPECT_EQ(header->size, wire.size());
        EXPECT_EQ(header->source, from);
      }
    }
  }
}

TEST(ProxyHeader, IsWrittenAsTheSpecificationHasIt) {
  const Endpoint v4 = *Endpoint::parse("192.168.0.1:56324"), v6 = *Endpoint::parse("[2001:db8::1]:443");
  EXPECT_EQ(write_proxy_header(ProxyVersion::v1, v4, *Endpoint::parse("192.168.0.11:443")),
            "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n");
  EXPECT_EQ(write_proxy_header(ProxyVersion::v1, v4, v6), "PROXY TCP6 ::ffff:192.168.0.1 2001:db8::1 56324 443\r\n");
  EXPECT_EQ(bytes(write_proxy_header(ProxyVersion::v2, v4, *Endpoint::parse("192.168.0.11:443"))),
            v2("21|11|000c|c0a80001|c0a8000b|dc04|01bb"));
  EXPECT_EQ(bytes(write_proxy_header(ProxyVersion::v2, v6, v6)),
            v2("21|21|0024|20010db8000000000000000000000001|20010db8000000000000000000000001|01bb|01bb"));
}

TEST(ProxyHeader, WithoutAnAddressSaysSo) {
  const Endpoint none, some = *Endpoint::parse("192.0.2.1:1");
  for (const auto& [from, to] : {std::pair(none, some), std::pair(some, none)}) {
    EXPECT_EQ(write_proxy_header(ProxyVersion::v1, from, to), "PROXY UNKNOWN\r\n");
    EXPECT_EQ(bytes(write_proxy_header(ProxyVersion::v2, from, to)), v2("20|00|0000"));
  }
}

}  // namespace
}  // namespace gatehouse
