#include "plugins/geneve-relay/allocation/seen_nonces.hpp"

#include "tests/unit/geneve-relay/vectors.hpp"

#include <gtest/gtest.h>

namespace gatehouse::geneve_relay {
namespace {

constexpr std::uint64_t kWays = 8, kRows = 2048;  // as the README counts them: 16,384

/// A nonce by its first eight bytes and the eight behind them, which say its row.
ByteVector nonce(std::uint64_t first, std::uint64_t second) {
  ByteVector out(kDiscoNonceSize);
  store_big(MutableBytes(out), first);
  store_big(MutableBytes(out).subspan(8), second);
  return out;
}

TEST(SeenNonces, AreRememberedForAsManyAsThereIsRoomFor) {
  SeenNonces seen;
  const auto random = [](std::uint64_t number) { return nonce(number << 8U, number * 0x9e3779b97f4a7c15U); };
  for (std::uint64_t i = 1; i <= 2000; ++i) {
    EXPECT_FALSE(seen.has(random(i)));
    seen.add(random(i));
  }
  for (std::uint64_t i = 1900; i <= 2000; ++i) EXPECT_TRUE(seen.has(random(i)));
  for (std::uint64_t i = 2001; i <= 200'000; ++i) seen.add(random(i));
  EXPECT_FALSE(seen.has(random(1)));
}

TEST(SeenNonces, NoneIsThereBeforeItCame) {
  SeenNonces seen;
  EXPECT_FALSE(seen.has(nonce(0, 0)));
  seen.add(nonce(0, 0));
  EXPECT_TRUE(seen.has(nonce(0, 0)));
}

TEST(SeenNonces, TheOldestOfARowMakesPlaceForTheNewest) {
  SeenNonces seen;
  const auto of_row = [](std::uint64_t number) { return nonce(1000, 5 + number * kRows); };
  for (std::uint64_t i = 0; i < kWays; ++i) seen.add(of_row(i));
  for (std::uint64_t i = 0; i < kWays; ++i) EXPECT_TRUE(seen.has(of_row(i))) << i;
  for (std::uint64_t i = 0; i < kWays; ++i) {
    seen.add(of_row(kWays + i));
    for (std::uint64_t old = 0; old < 2 * kWays; ++old)
      EXPECT_EQ(seen.has(of_row(old)), old > i && old <= i + kWays) << old << " after " << i + kWays;
  }
}

TEST(SeenNonces, EachRowHasARoomOfItsOwn) {
  SeenNonces seen;
  for (std::uint64_t row = 0; row < kRows; ++row)
    for (std::uint64_t i = 0; i < kWays; ++i) seen.add(nonce(2 * i, row));
  std::size_t there = 0;
  for (std::uint64_t row = 0; row < kRows; ++row)
    for (std::uint64_t i = 0; i < kWays; ++i) there += seen.has(nonce(2 * i, row));
  EXPECT_EQ(there, kWays * kRows);
}

TEST(SeenNonces, AreToldApartByAnyOfTheirFirstBitsButOne) {
  SeenNonces seen;
  seen.add(nonce(0, 0));
  for (std::size_t bit = 0; bit < 128; ++bit) {
    ByteVector other = nonce(0, 0);
    other[bit / 8] = std::byte{0x80} >> (bit % 8);
    EXPECT_EQ(seen.has(other), bit == 63) << bit;  // that one says that a place is taken
  }
}

}  // namespace
}  // namespace gatehouse::geneve_relay
