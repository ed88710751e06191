#include <gatehouse/net/dns_client.hpp>

#include <gatehouse/net/dns_message.hpp>
#include <gatehouse/testkit/hex.hpp>

#include <gmock/gmock.h>

namespace gatehouse {
namespace {

using testkit::hex;

TEST(DnsClient, AsksWhatServersUnderstand) {
  for (const std::string name : {"example.org", "a", ""}) {
    const auto message = make_dns_query(0xabcd, name, kDnsTypeAaaa);
    const auto query = read_dns_query(message);
    ASSERT_TRUE(query.has_value()) << name;
    EXPECT_EQ(query->id, 0xabcd);
    EXPECT_EQ(query->flags, 0x0100);  // recursion desired
    unsigned questions = 0;
    for_each_question(*query, [&](std::string_view asked, std::uint16_t type, std::uint16_t dns_class) {
      EXPECT_EQ(asked, name);
      EXPECT_EQ(type, kDnsTypeAaaa);
      EXPECT_EQ(dns_class, 1);
      ++questions;
    });
    EXPECT_EQ(questions, 1U);
  }
}

constexpr char kAnswer[] =
    "abcd 8180 0001 0003 0000 0000 | 07 6578616d706c65 03 6f7267 00 0001 0001 |"
    "c00c 0005 0001 0000003c 0002 c00c |"
    "c00c 0001 0001 0000003c 0004 5db8d822 |"
    "c00c 001c 0001 0000003c 0010 20010db8000000000000000000000001";

TEST(DnsClient, ReadsAddressesOfBothFamilies) {
  const DnsAnswer got = read_dns_answer(hex(kAnswer));
  EXPECT_EQ(got.rcode, "NOERROR");
  EXPECT_THAT(got.addresses,
              testing::ElementsAre(*IpAddress::parse("93.184.216.34"), *IpAddress::parse("2001:db8::1")));
}

TEST(DnsClient, SaysLessOfACutAnswerAndReadsNothingBehindIt) {
  const auto whole = hex(kAnswer);
  for (std::size_t size = 12; size < whole.size(); ++size) {
    const std::vector<std::byte> cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_LE(read_dns_answer(cut).addresses.size(), 1U) << size;
  }
}

TEST(DnsClient, NamesRcodes) {
  EXPECT_EQ(read_dns_answer(hex("0000 8183 0000 0000 0000 0000")).rcode, "NXDOMAIN");
  EXPECT_EQ(read_dns_answer(hex("0000 818b 0000 0000 0000 0000")).rcode, "RCODE11");
}

}  // namespace
}  // namespace gatehouse
