// The special ranges by their first and last addresses, written once more from the registries, and what lies beside.
#include "policy/match/special_ranges.hpp"

#include <gtest/gtest.h>

namespace gatehouse::policy {
namespace {

const SpecialRange* around(const char* address) { return special_range(AddressBits(*IpAddress::parse(address))); }

struct Range {
  const char *first, *last;
  RangeKind kind;
};

constexpr Range kWanted[] = {
    {"169.254.169.254", "169.254.169.254", RangeKind::metadata},
    {"169.254.170.2", "169.254.170.2", RangeKind::metadata},
    {"168.63.129.16", "168.63.129.16", RangeKind::metadata},
    {"100.100.100.200", "100.100.100.200", RangeKind::metadata},
    {"fd00:ec2::254", "fd00:ec2::254", RangeKind::metadata},
    {"0.0.0.0", "0.255.255.255", RangeKind::unspecified},
    {"127.0.0.0", "127.255.255.255", RangeKind::loopback},
    {"169.254.0.0", "169.254.255.255", RangeKind::link_local},
    {"224.0.0.0", "239.255.255.255", RangeKind::multicast},
    {"255.255.255.255", "255.255.255.255", RangeKind::broadcast},
    {"240.0.0.0", "255.255.255.254", RangeKind::reserved},
    {"::", "::", RangeKind::unspecified},
    {"::1", "::1", RangeKind::loopback},
    {"fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", RangeKind::link_local},
    {"ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", RangeKind::multicast},
    {"10.0.0.0", "10.255.255.255", RangeKind::bogon},
    {"100.64.0.0", "100.127.255.255", RangeKind::bogon},
    {"172.16.0.0", "172.31.255.255", RangeKind::bogon},
    {"192.0.0.0", "192.0.0.255", RangeKind::bogon},
    {"192.0.2.0", "192.0.2.255", RangeKind::bogon},
    {"192.88.99.0", "192.88.99.255", RangeKind::bogon},
    {"192.168.0.0", "192.168.255.255", RangeKind::bogon},
    {"198.18.0.0", "198.19.255.255", RangeKind::bogon},
    {"198.51.100.0", "198.51.100.255", RangeKind::bogon},
    {"203.0.113.0", "203.0.113.255", RangeKind::bogon},
    {"2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", RangeKind::bogon},
    {"2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", RangeKind::bogon},
    {"3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", RangeKind::bogon},
    {"::2", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", RangeKind::bogon},
    {"4000::", "fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff", RangeKind::bogon},
    {"fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", RangeKind::bogon},
};

TEST(SpecialRanges, BeginAndEndWhereTheRegistriesSay) {
  for (const Range& wanted : kWanted)
    for (const char* const address : {wanted.first, wanted.last}) {
      const SpecialRange* const found = around(address);
      ASSERT_NE(found, nullptr) << address;
      EXPECT_EQ(found->kind, wanted.kind) << address << " is in " << found->to_string();
    }
}

TEST(SpecialRanges, AreNamedByTheNarrowest) {
  EXPECT_EQ(around("100::1")->to_string(), "100::/64, discard only (RFC 6666)");
  EXPECT_EQ(around("100::ffff:ffff:ffff:ffff")->to_string(), "100::/64, discard only (RFC 6666)");
  EXPECT_EQ(around("100:0:0:1::")->to_string(), "100:0:0:1::/64, dummy prefix (RFC 9780)");
  EXPECT_EQ(around("100:0:0:1:ffff::")->to_string(), "100:0:0:1::/64, dummy prefix (RFC 9780)");
  EXPECT_EQ(around("100:0:0:2::")->to_string(), "::/3, not global unicast (RFC 4291)");
  EXPECT_EQ(around("5f00::1")->to_string(), "5f00::/16, segment routing (RFC 9602)");
  EXPECT_EQ(around("5f01::1")->to_string(), "4000::/2, not global unicast (RFC 4291)");
  EXPECT_EQ(around("7fff::1")->to_string(), "4000::/2, not global unicast (RFC 4291)");
  EXPECT_EQ(around("8000::1")->to_string(), "8000::/1, not global unicast (RFC 4291)");
  EXPECT_EQ(around("fc00::1")->to_string(), "fc00::/7, unique local (RFC 4193)");
  EXPECT_EQ(around("fdff::1")->to_string(), "fc00::/7, unique local (RFC 4193)");
  EXPECT_EQ(around("fec0::1")->to_string(), "fec0::/10, site local, deprecated (RFC 3879)");
}

TEST(SpecialRanges, HavePublicAddressesBesideThem) {
  for (const char* const address :
       {"1.0.0.0",      "9.255.255.255",   "11.0.0.0",      "100.63.255.255",  "100.128.0.0", "126.255.255.255",
        "128.0.0.0",    "168.63.129.15",   "168.63.129.17", "169.253.255.255", "169.255.0.0", "172.15.255.255",
        "172.32.0.0",   "191.255.255.255", "192.0.1.0",     "192.0.1.255",     "192.0.3.0",   "192.88.98.255",
        "192.88.100.0", "192.167.255.255", "192.169.0.0",   "198.17.255.255",  "198.20.0.0",  "198.51.99.255",
        "198.51.101.0", "203.0.112.255",   "203.0.114.0",   "223.255.255.255", "2000::",      "2001:200::",
        "2001:db7::",   "2001:db9::",      "2002::",        "3ffe:ffff::",     "3fff:1000::"})
    EXPECT_EQ(around(address), nullptr) << address;
}

TEST(SpecialRanges, AreWrittenWithoutHostBits) {
  for (const SpecialRange& range : special_ranges()) {
    const std::string text = range.to_string();
    EXPECT_TRUE(Prefix::parse(text.substr(0, text.find(',')))) << text;
  }
}

TEST(SpecialRanges, HoldPrefixesThatLieInsideOfThem) {
  const auto bogon = [](const char* prefix) { return bogon_around(PrefixBits(*Prefix::parse(prefix))); };
  ASSERT_NE(bogon("10.0.0.0/8"), nullptr);
  ASSERT_NE(bogon("10.255.255.255/32"), nullptr);
  EXPECT_EQ(bogon("10.0.0.0/7"), nullptr);
  EXPECT_EQ(bogon("8.8.8.8/32"), nullptr);
  EXPECT_EQ(bogon("127.0.0.0/8"), nullptr) << "a hard deny";
}

TEST(CanonicalAddress, IsTheIpv4AddressInside) {
  const auto canonical = [](const char* address) { return canonical_address(*IpAddress::parse(address)); };
  for (const char* const form :
       {"::ffff:8.8.4.4", "::8.8.4.4", "64:ff9b::8.8.4.4", "2002:808:404::", "2002:808:404:ffff:ffff::1"}) {
    EXPECT_EQ(canonical(form).address.to_string(), "8.8.4.4") << form;
    EXPECT_FALSE(canonical(form).refused) << form;
    EXPECT_NE(canonical(form).form, nullptr) << form;
  }
  EXPECT_EQ(canonical("::2").address.to_string(), "0.0.0.2");
  for (const char* const refused : {"2001::1", "2001:0:ffff::1", "64:ff9b:1::1", "64:ff9b:1:ffff::1"}) {
    EXPECT_TRUE(canonical(refused).refused) << refused;
    EXPECT_NE(canonical(refused).form, nullptr) << refused;
  }
  for (const char* const plain : {"8.8.4.4", "::", "::1", "::1:0:0:1", "::fffe:808:404", "64:ff9b::1:0:0",
                                  "64:ff9b:2::1", "2001:1::1", "2003::1", "2606:4700::1"}) {
    EXPECT_EQ(canonical(plain).address.to_string(), plain);
    EXPECT_EQ(canonical(plain).form, nullptr) << plain;
    EXPECT_FALSE(canonical(plain).refused) << plain;
  }
}

}  // namespace
}  // namespace gatehouse::policy
