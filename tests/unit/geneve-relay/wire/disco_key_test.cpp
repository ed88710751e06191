#include "plugins/geneve-relay/wire/disco_key.hpp"

#include "plugins/geneve-relay/wire/disco_pair.hpp"

#include <gtest/gtest.h>

namespace gatehouse::geneve_relay {
namespace {

DiscoKey key(unsigned first, unsigned last = 0) {
  DiscoKey out;
  out.bytes.front() = static_cast<std::byte>(first);
  out.bytes.back() = static_cast<std::byte>(last);
  return out;
}

TEST(DiscoKey, TextComesBack) {
  const DiscoKey one = key(0xfe, 0x1a);
  const std::string digits = "fe" + std::string(60, '0') + "1a";
  EXPECT_EQ(one.to_string(), "discokey:" + digits);
  EXPECT_EQ(one.to_hex(), digits);
  EXPECT_EQ(one.to_short_string(), "d:fe00000000000000");
  EXPECT_EQ(DiscoKey::parse(one.to_string()).value(), one);
  EXPECT_EQ(DiscoKey::parse("discokey:FE" + std::string(60, '0') + "1A").value(), one);
}

TEST(DiscoKey, OtherTextIsRefused) {
  const std::string zeros(64, '0');
  for (const std::string& text :
       {std::string(), std::string("discokey:"), zeros, "nodekey:" + zeros, "discokey:" + zeros.substr(1),
        "discokey:0" + zeros, "discokey:g" + zeros.substr(1), "discokey:" + zeros.substr(1) + "/",
        "discokey:" + zeros.substr(1) + " ", "discokey:" + zeros.substr(1) + "`", "discokey:" + zeros.substr(1) + ":",
        "discokey:" + zeros.substr(1) + "@", "discokey:" + zeros.substr(1) + "G", "Discokey:" + zeros})
    EXPECT_EQ(DiscoKey::parse(text).error(), make_error_code(Errc::malformed)) << text;
}

TEST(DiscoPair, DoesNotDependOnWhoAsks) {
  // Bytewise, and bytes have no sign.
  const DiscoKey low = key(0x7f, 0xff), high = key(0x80);
  EXPECT_EQ(DiscoPair(low, high), DiscoPair(high, low));
  EXPECT_EQ(DiscoPair(high, low).keys[0], low);
  EXPECT_LT(key(1, 1), key(1, 2));
}

TEST(DiscoPairHash, IsOfPairAndSecret) {
  DiscoPairHash::Secret secret{};
  const DiscoPairHash one(secret);
  secret[15] = std::byte{1};
  const DiscoPairHash other(secret);
  const DiscoPair pair(key(1), key(2));
  EXPECT_EQ(one(pair), one(DiscoPair(key(2), key(1))));
  EXPECT_NE(one(pair), one(DiscoPair(key(1), key(2, 1))));
  EXPECT_NE(one(pair), one(DiscoPair(key(1, 1), key(2))));
  EXPECT_NE(one(pair), other(pair));
}

}  // namespace
}  // namespace gatehouse::geneve_relay
