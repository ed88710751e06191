#include "policy/lists/binary_fuse.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace gatehouse::policy {
namespace {

std::vector<std::uint64_t> sorted_random(std::size_t count, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<std::uint64_t> out(count);
  std::generate(out.begin(), out.end(), random);
  std::sort(out.begin(), out.end());
  return out;
}

TEST(BinaryFuse, ContainsNothingWhenEmpty) {
  EXPECT_FALSE(BinaryFuse().may_contain(0));
  EXPECT_FALSE(BinaryFuse(std::vector<std::uint64_t>{}).may_contain(7));
}

// One shard and several, and what lies around the border.
TEST(BinaryFuse, NeverMissesAndSeldomErrs) {
  for (const std::size_t count : {100, 5'000, 65'536, 65'537, 200'000, 500'000}) {
    const std::vector<std::uint64_t> hashes = sorted_random(count, count);
    const BinaryFuse filter{hashes};
    for (const std::uint64_t hash : hashes) ASSERT_TRUE(filter.may_contain(hash)) << count;
    std::mt19937_64 random(99);
    int wrong = 0;
    constexpr int kTries = 500'000;
    for (int i = 0; i < kTries; ++i) wrong += filter.may_contain(random()) ? 1 : 0;
    EXPECT_LT(wrong, kTries * 0.006) << count;
    EXPECT_GT(wrong, kTries * 0.002) << count;  // else it is not the filter that was asked
  }
}

TEST(BinaryFuse, TakesEverySmallSize) {
  for (std::size_t count = 1; count <= 500; ++count) {
    const std::vector<std::uint64_t> hashes = sorted_random(count, count);
    const BinaryFuse filter{hashes};
    for (const std::uint64_t hash : hashes) ASSERT_TRUE(filter.may_contain(hash)) << count;
  }
}

TEST(BinaryFuse, HoldsLittleMemory) {
  for (const std::size_t count : {65'536, 200'000, 1'000'000}) {
    const double bytes = static_cast<double>(BinaryFuse{sorted_random(count, 1)}.bytes());
    EXPECT_LT(bytes / static_cast<double>(count), 1.3) << count;
  }
}

// A shard of hashes that all lie in one corner leaves the others empty.
TEST(BinaryFuse, TakesHashesOfOneCorner) {
  std::vector<std::uint64_t> hashes;
  for (std::uint64_t i = 0; i < 200'000; ++i) hashes.push_back(i);
  const BinaryFuse filter{hashes};
  for (const std::uint64_t hash : hashes) ASSERT_TRUE(filter.may_contain(hash));
  EXPECT_FALSE(filter.may_contain(~std::uint64_t{0}) && filter.may_contain(~std::uint64_t{0} - 1));
}

}  // namespace
}  // namespace gatehouse::policy
