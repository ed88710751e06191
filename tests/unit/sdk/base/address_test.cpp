#include <gatehouse/base/address.hpp>
#include <gatehouse/base/prefix.hpp>

#include <gtest/gtest.h>

#include <sys/socket.h>

namespace gatehouse {
namespace {

TEST(IpAddress, ReadsWhatItWrites) {
  for (const char* text : {"0.0.0.0", "192.0.2.1", "255.255.255.255", "::", "::1", "2001:db8::1", "::ffff:192.0.2.1"}) {
    const auto address = IpAddress::parse(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->to_string(), text);
  }
}

TEST(IpAddress, RefusesWhatIsNoAddress) {
  for (const char* text :
       {"", "1.2.3", "1.2.3.4.5", "256.0.0.1", "01.2.3.4", " 1.2.3.4", "1.2.3.4 ", "::g", "fe80::1%2"})
    EXPECT_FALSE(IpAddress::parse(text)) << text;
}

TEST(IpAddress, UnmapsOnlyMappedAddresses) {
  EXPECT_EQ(IpAddress::parse("::ffff:192.0.2.1")->unmapped(), *IpAddress::parse("192.0.2.1"));
  EXPECT_TRUE(IpAddress::parse("64:ff9b::192.0.2.1")->unmapped().is_v6());
  EXPECT_TRUE(IpAddress::parse("::192.0.2.1")->unmapped().is_v6());
}

TEST(Endpoint, ReadsWhatItWrites) {
  for (const char* text : {"192.0.2.1:53", "[2001:db8::1]:65535", "[fe80::1%3]:1", "0.0.0.0:0"}) {
    const auto endpoint = Endpoint::parse(text);
    ASSERT_TRUE(endpoint) << text;
    EXPECT_EQ(endpoint->to_string(), text);
  }
}

TEST(Endpoint, TakesADefaultPortWithAndWithoutBrackets) {
  EXPECT_EQ(Endpoint::parse("192.0.2.1", 53)->port, 53);
  EXPECT_EQ(Endpoint::parse("2001:db8::1", 53)->to_string(), "[2001:db8::1]:53");
  EXPECT_EQ(Endpoint::parse("[2001:db8::1]:54", 53)->port, 54);
  EXPECT_FALSE(Endpoint::parse("192.0.2.1"));
}

TEST(Endpoint, RefusesWhatIsNoEndpoint) {
  for (const char* text :
       {"", ":53", "1.2.3.4:", "1.2.3.4:65536", "1.2.3.4:x", "[::1]53", "[::1", "[1.2.3.4]:5", "host:53"})
    EXPECT_FALSE(Endpoint::parse(text)) << text;
}

TEST(Endpoint, SurvivesTheSystemsForm) {
  for (const char* text : {"192.0.2.1:53", "[2001:db8::1]:443", "[fe80::1%3]:1"}) {
    sockaddr_storage system{};
    const Endpoint endpoint = *Endpoint::parse(text);
    EXPECT_GT(endpoint.to_sockaddr(system), 0u);
    EXPECT_EQ(Endpoint::from_sockaddr(system), endpoint);
  }
}

TEST(Prefix, ContainsItsRangeAndNoMore) {
  const Prefix prefix = *Prefix::parse("10.64.0.0/10");
  EXPECT_TRUE(prefix.contains(*IpAddress::parse("10.64.0.0")));
  EXPECT_TRUE(prefix.contains(*IpAddress::parse("10.127.255.255")));
  EXPECT_FALSE(prefix.contains(*IpAddress::parse("10.128.0.0")));
  EXPECT_FALSE(prefix.contains(*IpAddress::parse("10.63.255.255")));
  EXPECT_FALSE(prefix.contains(*IpAddress::parse("::10.64.0.0")));
  EXPECT_TRUE(Prefix::parse("::/0")->contains(*IpAddress::parse("2001:db8::1")));
}

TEST(Prefix, KnowsPrefixesInsideIt) {
  EXPECT_TRUE(Prefix::parse("10.0.0.0/8")->contains(*Prefix::parse("10.1.0.0/16")));
  EXPECT_FALSE(Prefix::parse("10.1.0.0/16")->contains(*Prefix::parse("10.0.0.0/8")));
  EXPECT_FALSE(Prefix::parse("0.0.0.0/0")->contains(*Prefix::parse("::/0")));
}

TEST(Prefix, RefusesWhatIsNotClear) {
  for (const char* text : {"10.0.0.1/8", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x", "/8", ""})
    EXPECT_FALSE(Prefix::parse(text)) << text;
}

TEST(Prefix, UnmapsMappedPrefixes) {
  EXPECT_EQ(Prefix::parse("::ffff:10.0.0.0/104")->to_string(), "10.0.0.0/8");
  EXPECT_EQ(Prefix::parse("192.0.2.7")->to_string(), "192.0.2.7/32");
}

TEST(IpAddress, KnowsLoopbackAndTheUnspecified) {
  for (const char* text : {"127.0.0.0", "127.0.0.1", "127.255.255.255", "::1"})
    EXPECT_TRUE(IpAddress::parse(text)->is_loopback()) << text;
  for (const char* text : {"126.255.255.255", "128.0.0.0", "::", "::2", "::127.0.0.1", "2001:db8::1"})
    EXPECT_FALSE(IpAddress::parse(text)->is_loopback()) << text;
  EXPECT_TRUE(IpAddress::parse("0.0.0.0")->is_unspecified());
  EXPECT_TRUE(IpAddress::parse("::")->is_unspecified());
  EXPECT_FALSE(IpAddress::parse("::1")->is_unspecified());
  EXPECT_FALSE(IpAddress().is_unspecified());
  EXPECT_FALSE(IpAddress().is_loopback());
}

}  // namespace
}  // namespace gatehouse
