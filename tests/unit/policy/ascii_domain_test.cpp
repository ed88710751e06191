#include "policy/match/ascii_domain.hpp"

#include <gtest/gtest.h>

namespace gatehouse::policy {
namespace {

TEST(AsciiDomain, MakesALabelsOfLettersBeyondAscii) {
  struct Case {
    std::string text, expected;
  };
  const Case cases[]{
      {"Ads.Example.COM.", "ads.example.com"},
      {"_dmarc.example", "_dmarc.example"},
      {"xn--bcher-kva.example", "xn--bcher-kva.example"},
      {"B\u00fccher.Example", "xn--bcher-kva.example"},
      {"BU\u0308CHER.example.", "xn--bcher-kva.example"},        // composed first
      {"stra\u00dfe.de", "xn--strae-oqa.de"},                    // non-transitional: not strasse.de
      {"\u4f8b\u3002\u30c6\u30b9\u30c8", "xn--fsq.xn--zckzah"},  // ideographic full stop
      {"\uff41\uff44\uff53.example", "ads.example"},             // full-width letters
      {"_tcp.b\u00fccher.example", "_tcp.xn--bcher-kva.example"},
  };
  for (const Case& one : cases) {
    const auto result = ascii_domain(one.text);
    ASSERT_TRUE(result) << one.text;
    EXPECT_EQ(*result, one.expected);
  }
}

TEST(AsciiDomain, RefusesWhatIsNoName) {
  struct Case {
    std::string text;
    Errc why;
  };
  std::string long_text;
  for (int i = 0; i < 100; ++i) long_text += "\u00fc.";
  const Case cases[]{
      {"", Errc::malformed},
      {"a..b", Errc::malformed},
      {"a b.example", Errc::malformed},
      {std::string("\u00fc\0.example", 11), Errc::malformed},
      {"\u00fc .example", Errc::malformed},
      {"\xff\xfe.example", Errc::unsupported},
      {"a\u2028b.example", Errc::unsupported},
      {std::string(64, 'a') + ".example", Errc::oversize},
      {"\u00fc" + std::string(63, 'a') + ".example", Errc::oversize},
      {long_text + "example", Errc::oversize},
      {"\u00fc" + std::string(5000, 'a'), Errc::oversize},
  };
  for (const Case& one : cases) {
    const auto result = ascii_domain(one.text);
    ASSERT_FALSE(result) << one.text;
    EXPECT_EQ(result.error(), one.why) << one.text << ": " << result.error().message();
  }
}

}  // namespace
}  // namespace gatehouse::policy
