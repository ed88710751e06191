// A network's own NAT64 prefixes: which can be one, and what is behind them.
#include "policy/compile.hpp"
#include "policy/match/nat64_prefixes.hpp"

#include <gtest/gtest.h>

namespace gatehouse::policy {
namespace {

Prefix prefix(const char* text) { return Prefix::parse(text).value(); }

struct Embedded {
  const char *nat64, *address;
};

// RFC 6052, 2.4: 192.0.2.33 in each of the lengths.
constexpr Embedded kRfc6052[] = {
    {"2001:db8::/32", "2001:db8:c000:221::"},
    {"2001:db8:100::/40", "2001:db8:1c0:2:21::"},
    {"2001:db8:122::/48", "2001:db8:122:c000:2:2100::"},
    {"2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"},
    {"2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::"},
    {"2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"},
};

TEST(Nat64, UnwrapsEveryLengthOfRfc6052) {
  for (const auto& [nat64, text] : kRfc6052) {
    const Nat64Prefixes own({prefix(nat64)});
    EXPECT_TRUE(is_nat64_prefix(prefix(nat64))) << nat64;
    const Canonical canonical = canonical_address(IpAddress::parse(text).value(), own);
    EXPECT_EQ(canonical.address.to_string(), "192.0.2.33") << nat64;
    ASSERT_NE(canonical.form, nullptr);
    EXPECT_EQ(canonical.form->to_string(), std::string(nat64) + ", NAT64 of this network (RFC 6052)");
  }
}

TEST(Nat64, IgnoresWhatStandsInTheReservedBitsAndInTheSuffix) {
  const Nat64Prefixes own({prefix("2001:db8:122:344::/64")});
  EXPECT_EQ(canonical_address(IpAddress::parse("2001:db8:122:344:ffc0:2:21ab:cdef").value(), own).address.to_string(),
            "192.0.2.33");
}

TEST(Nat64, TakesTheLongestOfThePrefixes) {
  const Nat64Prefixes own({prefix("2001:db8::/32"), prefix("2001:db8:1::/96")});
  EXPECT_EQ(canonical_address(IpAddress::parse("2001:db8:1::8.8.8.8").value(), own).address.to_string(), "8.8.8.8");
  EXPECT_EQ(canonical_address(IpAddress::parse("2001:db8:808:808::").value(), own).address.to_string(), "8.8.8.8");
}

TEST(Nat64, OpensTheLocalUsePrefixThatIsRefusedElse) {
  const IpAddress address = IpAddress::parse("64:ff9b:1::8.8.8.8").value();
  EXPECT_TRUE(canonical_address(address, {}).refused);
  const Canonical own = canonical_address(address, Nat64Prefixes({prefix("64:ff9b:1::/96")}));
  EXPECT_FALSE(own.refused);
  EXPECT_EQ(own.address.to_string(), "8.8.8.8");
}

TEST(Nat64, IsNoPrefixOfAnotherLengthOrMeaning) {
  for (const char* text :
       {"2001:db8::/33", "2001:db8::/128", "192.0.2.0/32", "10.0.0.0/8", "::/96", "::/32", "::ffff:0:0/96", "fe80::/64",
        "ff02::/96", "2002::/32", "2001::/40", "2001:db8:0:0:100::/96"})
    EXPECT_FALSE(is_nat64_prefix(Prefix::parse(text).value())) << text;
  for (const char* text : {"64:ff9b::/96", "64:ff9b:1::/48", "fd00:64::/96", "2a00:1:2:3:4:5::/96"})
    EXPECT_TRUE(is_nat64_prefix(prefix(text))) << text;
}

TEST(Nat64, SourcesBehindItAreInTheGroupsOfTheirIpv4Address) {
  Model model;
  model.groups = {{0, "everyone", 1000, true}, {1, "office", 100, true}};
  model.group_members = {{1, 1, "source", "192.0.2.0/24", {}}};
  const auto compiled = compile(model, {.nat64 = {prefix("2001:db8:64::/96")}}, 1, 0);
  ClientFacts client;
  client.source = IpAddress::parse("2001:db8:64::192.0.2.7").value();
  EXPECT_EQ(compiled.snapshot->group(compiled.snapshot->group_of(client)).name, "office");
}

TEST(Nat64, RowThatNamesAddressesInsideItIsAProblem) {
  Model model;
  model.groups = {{0, "everyone", 1000, true}};
  PortPermit permit;
  permit.id = 1;
  permit.destination = "2001:db8:64::a00:0/104";
  model.port_permits = {permit};
  const auto compiled = compile(model, {.nat64 = {prefix("2001:db8:64::/96")}}, 1, 0);
  ASSERT_EQ(compiled.problems.size(), 1u);
  EXPECT_NE(compiled.problems[0].sentence.find("write the IPv4 CIDR"), std::string::npos);
}

}  // namespace
}  // namespace gatehouse::policy
