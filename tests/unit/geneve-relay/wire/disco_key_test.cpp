#include "plugins/geneve-relay/wire/disco_key.hpp"

#include "plugins/geneve-relay/wire/cryptography.hpp"
#include "plugins/geneve-relay/wire/disco_pair.hpp"
#include "plugins/geneve-relay/wire/disco_secret.hpp"
#include "plugins/geneve-relay/wire/random_pool.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

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

TEST(DiscoKey, IsOfSmallOrderWhereNothingCanBeSharedWithIt) {
  ASSERT_TRUE(prepare_cryptography());
  RandomPool random;
  const DiscoSecret own = DiscoSecret::make(random);
  DiscoKey all_but_last = key(0xec, 0x7f);
  std::fill(all_but_last.bytes.begin() + 1, all_but_last.bytes.end() - 1, std::byte{0xff});
  const auto one_more = [&](unsigned first, unsigned last) {
    DiscoKey out = all_but_last;
    out.bytes.front() = static_cast<std::byte>(first);
    out.bytes.back() = static_cast<std::byte>(last);
    return out;
  };
  const auto parse = [](std::string_view digits) { return DiscoKey::parse("discokey:" + std::string(digits)).value(); };
  const std::vector<DiscoKey> refused{key(0),
                                      key(1),
                                      key(1, 0x80),
                                      all_but_last,
                                      one_more(0xed, 0x7f),
                                      one_more(0xee, 0x7f),
                                      one_more(0xee, 0xff),
                                      parse("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
                                      parse("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
                                      parse("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f11d7")};
  for (const DiscoKey& one : refused) {
    EXPECT_TRUE(one.has_small_order()) << one.to_string();
    EXPECT_FALSE(SharedKey::make(one, own)) << one.to_string();
  }
  for (const DiscoKey& one : {key(2), key(9), one_more(0xeb, 0x7f), one_more(0xef, 0x7f), own.public_key()}) {
    EXPECT_FALSE(one.has_small_order()) << one.to_string();
    EXPECT_TRUE(SharedKey::make(one, own)) << one.to_string();
  }
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
