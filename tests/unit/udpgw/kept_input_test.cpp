#include <gatehouse/table/kept_input.hpp>

#include <gtest/gtest.h>

namespace gatehouse::udpgw {
namespace {

std::vector<std::byte> numbered(std::size_t size) {
  std::vector<std::byte> out(size);
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<std::byte>(i * 7);
  return out;
}

TEST(KeptInput, WhatIsLeftStaysWhereItIsUntilItIsHalf) {
  const auto input = numbered(256 * 1024);
  KeptInput kept;
  kept.assign(input);
  std::size_t moves = 0, moved = 0, used = 0;
  while (!kept.bytes().empty()) {
    const std::byte* const next = kept.bytes().data() + std::min<std::size_t>(700, kept.bytes().size());
    kept.consume(std::min<std::size_t>(700, kept.bytes().size()));
    used = input.size() - kept.bytes().size();
    ASSERT_TRUE(std::ranges::equal(kept.bytes(), Bytes(input).subspan(used)));
    if (kept.bytes().empty() || kept.bytes().data() == next) continue;
    ++moves;
    moved += kept.bytes().size();
  }
  EXPECT_LE(moves, 10u);  // each time it has halved
  EXPECT_LE(moved, input.size());
}

TEST(KeptInput, GivesBackTheMemoryOfWhatIsUsedUp) {
  KeptInput kept;
  kept.assign(numbered(256 * 1024));
  kept.consume(100);
  EXPECT_GE(kept.memory(), 256u * 1024);
  kept.trim();
  EXPECT_EQ(kept.memory(), 256u * 1024 - 100);
  EXPECT_EQ(kept.bytes().size(), 256u * 1024 - 100);
  kept.consume(200 * 1024);
  EXPECT_EQ(kept.memory(), 56u * 1024 - 100);
  kept.assign(numbered(10));
  EXPECT_LE(kept.memory(), 8192u);
  EXPECT_EQ(kept.bytes().size(), 10u);
  kept.clear();
  EXPECT_TRUE(kept.bytes().empty());
}

TEST(KeptInput, HoldsAtMostTwiceWhatItNeeds) {
  KeptInput kept;
  kept.assign(numbered(100'000));
  kept.consume(40'000);
  EXPECT_EQ(kept.memory(), 100'000u);
  kept.consume(20'000);
  EXPECT_EQ(kept.memory(), 40'000u);
  kept.assign(numbered(100'000));
  kept.assign(numbered(60'000));
  EXPECT_EQ(kept.memory(), 100'000u) << "for the next one";
  kept.assign(numbered(40'000));
  EXPECT_EQ(kept.memory(), 40'000u);
}

}  // namespace
}  // namespace gatehouse::udpgw
