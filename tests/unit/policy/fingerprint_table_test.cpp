#include "policy/lists/fingerprint_table.hpp"

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

void expect_exact(const std::vector<std::uint64_t>& hashes) {
  const FingerprintTable table{hashes};
  for (const std::uint64_t hash : hashes) ASSERT_TRUE(table.contains(hash)) << hashes.size();
  std::mt19937_64 random(1'000'007);  // not one that made the hashes
  for (int i = 0; i < 2'000; ++i) ASSERT_FALSE(table.contains(random())) << hashes.size();
  for (const std::uint64_t hash : hashes) {
    const std::uint64_t near = hash ^ std::uint64_t{1} << random() % 48;
    if (!std::binary_search(hashes.begin(), hashes.end(), near)) {
      ASSERT_FALSE(table.contains(near)) << hashes.size();
    }
  }
}

TEST(FingerprintTable, ContainsNothingWhenEmpty) {
  EXPECT_FALSE(FingerprintTable().contains(0));
  EXPECT_FALSE(FingerprintTable(std::vector<std::uint64_t>{}).contains(0));
}

TEST(FingerprintTable, ContainsWhatItWasBuiltFrom) {
  for (std::size_t count = 1; count <= 200; ++count) expect_exact(sorted_random(count, count));
  expect_exact(sorted_random(100'000, 1));
}

TEST(FingerprintTable, DoesNotFindZeroInAnEmptySlot) {
  EXPECT_FALSE(FingerprintTable(std::vector<std::uint64_t>{1}).contains(0));
  EXPECT_TRUE(FingerprintTable(std::vector<std::uint64_t>{0}).contains(0));
}

// All for one bucket: they spill over, from the last bucket to the first.
TEST(FingerprintTable, GoesOnInTheNextBucket) {
  for (const std::uint64_t from : {std::uint64_t{0}, std::uint64_t{1} << 63, ~std::uint64_t{0} - 999}) {
    std::vector<std::uint64_t> hashes;
    for (std::uint64_t i = 0; i < 1000; ++i) hashes.push_back(from + i);
    expect_exact(hashes);
  }
  std::vector<std::uint64_t> both_ends = sorted_random(500, 3);
  for (std::uint64_t i = 0; i < 300; ++i) {
    both_ends.push_back(i);
    both_ends.push_back(~i);
  }
  std::sort(both_ends.begin(), both_ends.end());
  expect_exact(both_ends);
}

TEST(FingerprintTable, HoldsLittleMemory) {
  EXPECT_LT(static_cast<double>(FingerprintTable{sorted_random(100'000, 1)}.bytes()) / 100'000, 8.6);
}

}  // namespace
}  // namespace gatehouse::policy
