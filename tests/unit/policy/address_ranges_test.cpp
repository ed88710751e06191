// Ranges against a walk over all borders.
#include "policy/match/address_ranges.hpp"

#include <gtest/gtest.h>

#include <random>

namespace gatehouse::policy {
namespace {

PrefixBits prefix(const char* text) { return PrefixBits(Prefix::parse(text).value()); }
AddressBits bits(const char* text) { return AddressBits(IpAddress::parse(text).value()); }

TEST(AddressRanges, CoverEverythingWithoutABorder) {
  const AddressRanges ranges(std::span<const PrefixBits>{});
  EXPECT_EQ(ranges.size(), 2u);
  for (const char* v4 : {"0.0.0.0", "8.8.8.8", "255.255.255.255"}) EXPECT_EQ(ranges.find(bits(v4)), 0u);
  for (const char* v6 : {"::", "2a00::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"})
    EXPECT_EQ(ranges.find(bits(v6)), 1u);
}

TEST(AddressRanges, BeginAndEndAtTheBorders) {
  const std::vector<PrefixBits> borders{prefix("10.0.0.0/8"),    prefix("10.1.0.0/16"), prefix("255.255.255.255/32"),
                                        prefix("2001:db8::/32"), prefix("ff00::/8"),    prefix("::1/128"),
                                        prefix("0.0.0.0/0")};
  const AddressRanges ranges(borders);
  const auto of = [&](const char* text) { return ranges.find(bits(text)); };
  EXPECT_NE(of("9.255.255.255"), of("10.0.0.0"));
  EXPECT_EQ(of("10.0.0.0"), of("10.0.255.255"));
  EXPECT_NE(of("10.0.255.255"), of("10.1.0.0"));
  EXPECT_NE(of("10.1.255.255"), of("10.2.0.0"));
  EXPECT_NE(of("255.255.255.254"), of("255.255.255.255"));
  EXPECT_NE(of("::"), of("::1"));
  EXPECT_NE(of("::1"), of("::2"));
  EXPECT_NE(of("2001:db7:ffff::"), of("2001:db8::"));
  EXPECT_EQ(of("2001:db8::"), of("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"));
  EXPECT_EQ(of("ff00::"), of("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
  const auto [first, end] = ranges.inside(prefix("10.0.0.0/8"));
  EXPECT_EQ(end - first, 3u);
  const auto [all, all_end] = ranges.inside(prefix("0.0.0.0/0"));
  EXPECT_EQ(all, 0u);
  EXPECT_EQ(all_end, of("255.255.255.255") + 1);
}

TEST(AddressRanges, PutTwoAddressesApartWhereAnyPrefixDoes) {
  std::mt19937_64 random(3);
  const auto number = [&](bool wide) {
    const auto some = random() & 0x0f0f'0000'ffff'00ff;  // few values, so that prefixes nest and meet
    return wide ? AddressBits{0x2000'0000'0000'0000 | some, random() & 0xff, Family::v6}
                : AddressBits{0, AddressBits::kMapped | (some & 0xffff'ffff), Family::v4};
  };
  for (int round = 0; round < 50; ++round) {
    std::vector<PrefixBits> borders;
    for (int i = 0; i < 40; ++i) {
      const AddressBits base = number(i % 2 != 0);
      PrefixBits made(base, static_cast<unsigned>(random() % (i % 2 != 0 ? 129 : 33)));
      made.base.high &= made.high_mask;
      made.base.low &= made.low_mask;
      if (base.family == Family::v4) made.base.low |= AddressBits::kMapped;
      borders.push_back(made);
    }
    const AddressRanges ranges(borders);
    for (int i = 0; i < 500; ++i) {
      const AddressBits address = number(i % 2 != 0);
      const std::uint32_t range = ranges.find(address);
      const AddressBits lowest = ranges.lowest(range);
      ASSERT_EQ(ranges.find(lowest), range);
      for (const PrefixBits& border : borders) {
        ASSERT_EQ(border.contains(address), border.contains(lowest));
        const auto [first, end] = ranges.inside(border);
        ASSERT_EQ(border.contains(address), range >= first && range < end);
      }
    }
  }
}

}  // namespace
}  // namespace gatehouse::policy
