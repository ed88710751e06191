#include "policy/match/name_suffixes.hpp"

#include "policy/match/find_dots.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <random>
#include <string>
#include <vector>

namespace gatehouse::policy {
namespace {

constexpr HashSeed kSeed{0x0123'4567'89ab'cdef, 0xfedc'ba98'7654'3210};

std::vector<std::string> suffixes_of(const std::string& name) {
  std::vector<std::string> out;
  const NameSuffixes suffixes(name, kSeed);
  for (std::size_t i = 0; i < suffixes.count(); ++i) out.emplace_back(suffixes.text(i));
  return out;
}

TEST(NameSuffixes, AreTheLabelsFromTheLastOn) {
  EXPECT_EQ(suffixes_of("a.ads.example.com"),
            (std::vector<std::string>{"com", "example.com", "ads.example.com", "a.ads.example.com"}));
  EXPECT_EQ(suffixes_of("com"), std::vector<std::string>{"com"});
}

TEST(NameSuffixes, TheRootHasNone) {
  for (const char* const root : {"", "."}) {
    EXPECT_TRUE(NameSuffixes(root).valid());
    EXPECT_EQ(NameSuffixes(root).count(), 0U);
  }
}

TEST(NameSuffixes, HashEachSuffixAsIfItStoodAlone) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 20'000; ++round) {
    std::string name;
    const std::size_t length = 1 + random() % 253;
    const std::size_t label = 1 + random() % 20;
    while (name.size() < length) {
      const bool border = !name.empty() && name.back() != '.' && name.size() + 1 < length && random() % label == 0;
      name += border ? '.' : static_cast<char>('a' + random() % 26);
    }
    const NameSuffixes suffixes(name, kSeed);
    ASSERT_TRUE(suffixes.valid()) << name;
    ASSERT_EQ(suffixes.count(), std::count(name.begin(), name.end(), '.') + 1) << name;
    ASSERT_EQ(suffixes.text(suffixes.count() - 1), name);
    for (std::size_t i = 0; i < suffixes.count(); ++i) {
      ASSERT_TRUE(name.ends_with(suffixes.text(i)));
      ASSERT_EQ(suffixes.hash(i), hash_name(std::string(suffixes.text(i)), kSeed)) << name << ' ' << suffixes.text(i);
    }
  }
}

TEST(NameSuffixes, DoNotCareForCaseAndOneFinalDot) {
  for (const char* const spelling : {"ads.example.com", "ADS.eXample.COM", "ads.example.com.", "Ads.Example.Com."}) {
    const NameSuffixes suffixes(spelling, kSeed);
    ASSERT_EQ(suffixes.count(), 3U) << spelling;
    EXPECT_EQ(suffixes.text(2), "ads.example.com");
    EXPECT_EQ(suffixes.hash(2), hash_name("ads.example.com", kSeed));
  }
}

TEST(NameSuffixes, LowerCaseLettersOnly) {
  std::string all, lower;
  for (int c = 1; c < 256; ++c) {
    if (c == '.') continue;
    all += static_cast<char>(c);
    lower += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 0x20 : c);
    if (all.size() % 32 == 0) (all += '.', lower += '.');
    if (all.size() < 200) continue;
    EXPECT_EQ(suffixes_of(all).back(), lower);
    all.clear(), lower.clear();
  }
  EXPECT_EQ(suffixes_of(all).back(), lower);
}

TEST(NameSuffixes, TakeAsLongANameAsThereIs) {
  std::string longest = "a";
  while (longest.size() < 253) longest += ".a";
  EXPECT_EQ(suffixes_of(longest).size(), 127U);
  EXPECT_EQ(suffixes_of(longest + ".").size(), 127U);
  EXPECT_FALSE(NameSuffixes(longest + "b").valid());
  EXPECT_FALSE(NameSuffixes("b." + longest).valid());
}

TEST(NameSuffixes, AreNotOfANameWithAnEmptyLabel) {
  for (const std::string tail : {"", "m", ".org", ".example.com", ".ads.example.org"}) {
    for (std::size_t padding = 0; padding < 140; ++padding) {
      const std::string name = "a.." + std::string(padding, 'x') + (padding ? tail : "");
      ASSERT_FALSE(NameSuffixes(name).valid()) << name;
      ASSERT_EQ(NameSuffixes(name).count(), 0U);
    }
    EXPECT_FALSE(NameSuffixes(".x" + tail).valid());
    EXPECT_FALSE(NameSuffixes("x" + tail + "..").valid());
  }
  for (std::size_t dots = 2; dots < 300; ++dots) ASSERT_FALSE(NameSuffixes(std::string(dots, '.')).valid());
}

TEST(NameSuffixes, OfAnyLengthAndSpellingAreThoseOfTheCanonicalName) {
  std::mt19937_64 random(2);
  for (std::size_t length = 1; length <= 253; ++length)
    for (int round = 0; round < 20; ++round) {
      std::string name, canonical;
      while (name.size() < length) {
        static constexpr std::string_view kCharacters = "abcXYZ019-_\xc3.";
        const char c = kCharacters[random() % (round % 2 ? kCharacters.size() : 3)];
        const bool border = c == '.' && !name.empty() && name.back() != '.' && name.size() + 1 < length;
        name += c == '.' && !border ? 'x' : c;
        canonical += static_cast<char>(name.back() >= 'A' && name.back() <= 'Z' ? name.back() + 0x20 : name.back());
      }
      const std::string with_dot = canonical + '.';
      const NameSuffixes suffixes(name, kSeed), of_canonical(with_dot, kSeed);
      ASSERT_EQ(suffixes.count(), of_canonical.count()) << name;
      ASSERT_EQ(suffixes.text(suffixes.count() - 1), canonical);
      for (std::size_t i = 0; i < suffixes.count(); ++i) {
        ASSERT_EQ(suffixes.text(i), of_canonical.text(i));
        ASSERT_EQ(suffixes.hash(i), hash_name(std::string(of_canonical.text(i)), kSeed)) << name << ' ' << i;
      }
    }
}

TEST(FindDots, FindsThemAllOnAnyProcessor) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 200'000; ++round) {
    std::uint64_t word = 0, want = 0;
    for (int i = 0; i < 8; ++i) {
      static constexpr std::array<std::uint64_t, 6> kNear{'.', '.', '-', '/', '.' | 0x80, 0};
      const std::uint64_t byte = round % 2 ? random() & 0xff : kNear[random() % kNear.size()];
      word |= byte << (8 * i);
      want |= std::uint64_t{byte == '.'} << i;
    }
    ASSERT_EQ(find_dots_portably(word), want) << word;
    ASSERT_EQ(find_dots(word), want) << word;
  }
}

TEST(HashName, DiffersFromSeedToSeed) {
  for (const std::string name : {"x", "com", "example", "example.com", "www.a-longer-name.example.com"}) {
    const std::uint64_t hash = hash_name(name, kSeed);
    for (int bit = 0; bit < 64; ++bit) {
      EXPECT_NE(hash, hash_name(name, {kSeed.first ^ std::uint64_t{1} << bit, kSeed.second}));
      EXPECT_NE(hash, hash_name(name, {kSeed.first, kSeed.second ^ std::uint64_t{1} << bit}));
    }
  }
}

TEST(HashName, KeepsThePartsOfANameApart) {
  EXPECT_NE(hash_name("ab.c", kSeed), hash_name("a.bc", kSeed));
  EXPECT_NE(hash_name("", kSeed), hash_name(std::string(1, '\0'), kSeed));
  EXPECT_NE(hash_name("x", kSeed), hash_name(std::string("\0x", 2), kSeed));
  EXPECT_NE(hash_name(std::string(8, '\0'), kSeed), hash_name(std::string(16, '\0'), kSeed));
}

/// A million names that differ as little as names do.
std::vector<std::uint64_t> hashes_of_like_names(const HashSeed& seed) {
  std::vector<std::uint64_t> out;
  for (int i = 0; i < 250'000; ++i) {
    const std::string number = std::to_string(i);
    for (const std::string& name : {"ads" + number + ".com", number + ".metrics.example.com",
                                    "www.a-longer-name-" + number + ".example", "x." + number + ".co.uk"})
      out.push_back(hash_name(name, seed));
  }
  return out;
}

TEST(HashName, CollidesForNoneOfAMillionNames) {
  for (const HashSeed& seed : {HashSeed{}, kSeed}) {
    std::vector<std::uint64_t> hashes = hashes_of_like_names(seed);
    std::sort(hashes.begin(), hashes.end());
    EXPECT_EQ(std::adjacent_find(hashes.begin(), hashes.end()), hashes.end());
  }
}

TEST(HashName, SpreadsOverEveryByte) {
  for (const HashSeed& seed : {HashSeed{}, HashSeed{1, 0}, HashSeed{0, 1}, kSeed}) {
    const std::vector<std::uint64_t> hashes = hashes_of_like_names(seed);
    for (int shift = 0; shift <= 56; shift += 4) {
      std::array<double, 256> seen{};
      for (const std::uint64_t hash : hashes) ++seen[hash >> shift & 0xff];
      const double expected = static_cast<double>(hashes.size()) / 256;
      double chi_square = 0;
      for (const double count : seen) chi_square += (count - expected) * (count - expected) / expected;
      EXPECT_LT(chi_square, 400) << "bits from " << shift;  // 255 +- 23; by chance once in 10^8
      EXPECT_GT(chi_square, 130) << "bits from " << shift;
    }
  }
}

TEST(HashName, FlipsHalfItsBitsForOneBitOfTheName) {
  const std::string name = "ads.example-name.com";
  std::array<int, 64> flips{};
  int tries = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    const HashSeed drawn{seed * 0x9e37'79b9'7f4a'7c15, seed * 0xc2b2'ae3d'27d4'eb4f};
    for (std::size_t bit = 0; bit < name.size() * 8; ++bit, ++tries) {
      std::string other = name;
      other[bit / 8] = static_cast<char>(other[bit / 8] ^ 1 << bit % 8);
      const std::uint64_t change = hash_name(name, drawn) ^ hash_name(other, drawn);
      for (std::size_t i = 0; i < flips.size(); ++i) flips[i] += static_cast<int>(change >> i & 1);
    }
  }
  for (const int flip : flips) EXPECT_NEAR(static_cast<double>(flip) / tries, 0.5, 0.02);
}

}  // namespace
}  // namespace gatehouse::policy
