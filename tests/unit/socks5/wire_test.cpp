// The messages of RFC 1928 and RFC 1929 as bytes: each whole, cut anywhere, and broken.
#include "plugins/socks5/wire/greeting.hpp"
#include "plugins/socks5/wire/login.hpp"
#include "plugins/socks5/wire/request.hpp"
#include "plugins/socks5/wire/udp_header.hpp"

#include <gatehouse/testkit/hex.hpp>

#include <gtest/gtest.h>

namespace gatehouse::socks5 {
namespace {

using testkit::ByteVector;
using testkit::hex;

/// Each proper prefix asks for more input.
template <class Read>
void expect_truncated_everywhere(const ByteVector& wire, Read read) {
  for (std::size_t n = 0; n < wire.size(); ++n) {
    const ByteVector prefix(wire.data(), wire.data() + n);
    EXPECT_EQ(read(prefix).error(), Errc::truncated) << "at byte " << n;
  }
}

TEST(Socks5Wire, ReadsAGreeting) {
  const ByteVector wire = hex("05 02 00 02 ff");
  const auto greeting = read_greeting(wire);
  ASSERT_TRUE(greeting);
  EXPECT_EQ(greeting->size, 4u);
  EXPECT_TRUE(greeting->offers(Method::none));
  EXPECT_TRUE(greeting->offers(Method::password));
  EXPECT_FALSE(greeting->offers(Method::refused));
  expect_truncated_everywhere(hex("05 02 00 02"), read_greeting);
  EXPECT_TRUE(read_greeting(hex("0500")));
}

TEST(Socks5Wire, KnowsOtherProtocolsByTheirFirstByte) {
  EXPECT_EQ(read_greeting(hex("04")).error(), Errc::malformed);      // SOCKS4
  EXPECT_EQ(read_greeting(hex("474554")).error(), Errc::malformed);  // HTTP
  EXPECT_EQ(read_request(hex("04")).error(), Errc::malformed);
  EXPECT_EQ(read_login(hex("05")).error(), Errc::malformed);
}

TEST(Socks5Wire, ReadsALogin) {
  const ByteVector wire = hex("01 03 626f62 02 6874 ff");
  const auto login = read_login(wire);
  ASSERT_TRUE(login);
  EXPECT_EQ(login->user, "bob");
  EXPECT_EQ(login->password, "ht");
  EXPECT_EQ(login->size, 8u);
  expect_truncated_everywhere(hex("01 03 626f62 02 6874"), read_login);
  EXPECT_TRUE(read_login(hex("010000")));
}

struct Valid {
  const char* name;
  const char* wire;
  const char* endpoint;
  const char* domain;
};

class ValidRequest : public testing::TestWithParam<Valid> {};

TEST_P(ValidRequest, IsRead) {
  const ByteVector wire = hex(GetParam().wire);
  const auto request = read_request(wire);
  ASSERT_TRUE(request) << request.error();
  EXPECT_EQ(request->size, wire.size());
  EXPECT_EQ(request->command, Command::connect);
  EXPECT_EQ(request->destination.name, GetParam().domain);
  if (request->destination.name.empty()) {
    EXPECT_EQ(request->destination.endpoint.to_string(), GetParam().endpoint);
  }
  EXPECT_EQ(request->destination.endpoint.port, 443);
}
TEST_P(ValidRequest, EveryPrefixIsTruncated) { expect_truncated_everywhere(hex(GetParam().wire), read_request); }

constexpr Valid kValid[] = {
    {"Ipv4", "05 01 00 01 c0000201 01bb", "192.0.2.1:443", ""},
    {"Ipv6", "05 01 00 04 20010db8000000000000000000000001 01bb", "[2001:db8::1]:443", ""},
    {"Name", "05 01 00 03 06 612e74657374 01bb", "", "a.test"},
    {"AddressAsName", "05 01 00 03 09 3132372e302e302e31 01bb", "127.0.0.1:443", ""},
    {"Ipv6AsName", "05 01 00 03 03 3a3a31 01bb", "[::1]:443", ""},
    {"NameOfAnyBytes", "05 01 00 03 02 00ff 01bb", "", nullptr},
};
INSTANTIATE_TEST_SUITE_P(Vectors, ValidRequest, testing::ValuesIn(std::begin(kValid), std::end(kValid) - 1),
                         [](const auto& test) { return test.param.name; });

TEST(Socks5Wire, RefusesRequestsWithoutSense) {
  EXPECT_EQ(read_request(hex("05 01 00 02 00000000 0000")).error(), Errc::unsupported);
  EXPECT_EQ(read_request(hex("05 01 00 03 00 0000")).error(), Errc::malformed);
}

TEST(Socks5Wire, WritesReplies) {
  const auto bytes_of = [](const ReplyMessage& message) {
    return ByteVector(message.bytes().begin(), message.bytes().end());
  };
  EXPECT_EQ(bytes_of({Reply::succeeded, *Endpoint::parse("192.0.2.1:80")}), hex("050000 01 c0000201 0050"));
  EXPECT_EQ(bytes_of({Reply::not_allowed, {}}), hex("050200 01 00000000 0000"));
  EXPECT_EQ(bytes_of({Reply::succeeded, *Endpoint::parse("[2001:db8::1]:80")}),
            hex("050000 04 20010db8000000000000000000000001 0050"));
}

TEST(Socks5Wire, ReadsAndWritesUdpHeaders) {
  const ByteVector wire = hex("0000 00 01 c0000201 0035 aabb");
  const auto message = read_udp_message(wire);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->fragment, 0);
  EXPECT_EQ(message->destination.endpoint.to_string(), "192.0.2.1:53");
  EXPECT_EQ(ByteVector(message->payload.begin(), message->payload.end()), hex("aabb"));
  for (const char* endpoint : {"192.0.2.1:53", "[2001:db8::1]:53"}) {
    const auto from = *Endpoint::parse(endpoint);
    ByteVector out(udp_header_size(from.address.family()));
    write_udp_header(out, from);
    const auto again = read_udp_message(out);
    ASSERT_TRUE(again);
    EXPECT_EQ(again->destination.endpoint, from);
    EXPECT_TRUE(again->payload.empty());
    expect_truncated_everywhere(out, read_udp_message);
  }
}

}  // namespace
}  // namespace gatehouse::socks5
