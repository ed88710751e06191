#include <gatehouse/base/domain.hpp>

#include <gtest/gtest.h>

namespace gatehouse {
namespace {

TEST(CanonicalDomain, IsLowerCaseWithoutAFinalDot) {
  EXPECT_EQ(*canonical_domain("Ads.Example.COM."), "ads.example.com");
  EXPECT_EQ(*canonical_domain("a"), "a");
  EXPECT_EQ(*canonical_domain("_dns.resolver.arpa"), "_dns.resolver.arpa");
  EXPECT_EQ(*canonical_domain("*.EXAMPLE-1.test"), "*.example-1.test");
}

TEST(CanonicalDomain, RefusesEmptyNamesAndLabels) {
  for (const char* text : {"", ".", "..", ".a", "a..b", "a.."})
    EXPECT_EQ(canonical_domain(text).error(), Errc::malformed) << text;
}

TEST(CanonicalDomain, RefusesSpacesAndControlCharacters) {
  for (const std::string_view text : {std::string_view("a b"), std::string_view("a\tb"), std::string_view("a\0b", 3),
                                      std::string_view("a\x7f"), std::string_view("a\n")})
    EXPECT_EQ(canonical_domain(text).error(), Errc::malformed) << text;
}

TEST(CanonicalDomain, AsksForALabels) {
  EXPECT_EQ(canonical_domain("b\xc3\xbc"
                             "cher.example")
                .error(),
            Errc::unsupported);
  EXPECT_EQ(*canonical_domain("xn--bcher-kva.example"), "xn--bcher-kva.example");
}

TEST(CanonicalDomain, TakesTheLongestAndNoLonger) {
  const std::string label(kLongestLabel, 'a');
  EXPECT_TRUE(canonical_domain(label));
  EXPECT_EQ(canonical_domain(label + "a").error(), Errc::oversize);
  const std::string longest = label + '.' + label + '.' + label + '.' + std::string(61, 'b');
  ASSERT_EQ(longest.size(), kLongestDomain);
  EXPECT_TRUE(canonical_domain(longest));
  EXPECT_TRUE(canonical_domain(longest + '.'));
  EXPECT_EQ(canonical_domain(longest + "b").error(), Errc::oversize);
}

TEST(IsBelow, EndsAtLabels) {
  EXPECT_TRUE(is_below("example.com", "example.com"));
  EXPECT_TRUE(is_below("a.b.example.com", "example.com"));
  EXPECT_FALSE(is_below("badexample.com", "example.com"));
  EXPECT_FALSE(is_below("com", "example.com"));
  EXPECT_FALSE(is_below("example.com.evil", "example.com"));
}

TEST(IsBelow, HoldsEverythingUnderTheRoot) {
  EXPECT_TRUE(is_below("example.com", ""));
  EXPECT_TRUE(is_below("", ""));
  EXPECT_FALSE(is_below("", "com"));
}

}  // namespace
}  // namespace gatehouse
