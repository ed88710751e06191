#include "policy/lists/blocked_bloom.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace gatehouse::policy {
namespace {

std::vector<std::uint64_t> random_hashes(std::size_t count) {
  std::mt19937_64 random(count);
  std::vector<std::uint64_t> out(count);
  std::generate(out.begin(), out.end(), random);
  return out;
}

TEST(BlockedBloom, ContainsNothingWhenEmpty) {
  EXPECT_FALSE(BlockedBloom().may_contain(0));
  EXPECT_FALSE(BlockedBloom(std::vector<std::uint64_t>{}).may_contain(7));
}

TEST(BlockedBloom, NeverMissesAndSeldomErrs) {
  for (const std::size_t count : {100, 5'000, 200'000, 3'000'000}) {  // the last in huge pages
    const std::vector<std::uint64_t> hashes = random_hashes(count);
    const BlockedBloom filter{hashes};
    for (const std::uint64_t hash : hashes) ASSERT_TRUE(filter.may_contain(hash)) << count;
    std::mt19937_64 random(99);
    int wrong = 0;
    constexpr int kTries = 500'000;
    for (int i = 0; i < kTries; ++i) wrong += filter.may_contain(random()) ? 1 : 0;
    EXPECT_LT(wrong, kTries * 0.017) << count;
    EXPECT_GT(wrong, kTries * 0.010) << count;  // else it is not the filter that was asked
  }
}

TEST(BlockedBloom, TakesEverySmallSize) {
  for (std::size_t count = 1; count <= 500; ++count) {
    const std::vector<std::uint64_t> hashes = random_hashes(count);
    const BlockedBloom filter{hashes};
    for (const std::uint64_t hash : hashes) ASSERT_TRUE(filter.may_contain(hash)) << count;
  }
}

TEST(BlockedBloom, HoldsLittleMemory) {
  for (const std::size_t count : {10'000, 1'000'000, 4'000'000}) {
    const double bytes = static_cast<double>(BlockedBloom{random_hashes(count)}.bytes());
    EXPECT_LT(bytes / static_cast<double>(count), 1.26) << count;
  }
}

}  // namespace
}  // namespace gatehouse::policy
