#include "policy/lists/fingerprint_table.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
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

constexpr unsigned kAbsent = FingerprintTable::kAbsent;

FingerprintTable table_of(const std::vector<std::uint64_t>& hashes, unsigned code) {
  FingerprintTable out(hashes.size());
  out.add(hashes, code);
  return out;
}

void expect_exact(const std::vector<std::uint64_t>& hashes) {
  const FingerprintTable table = table_of(hashes, 2);
  for (const std::uint64_t hash : hashes) ASSERT_EQ(table.find(hash), 2U) << hashes.size();
  std::mt19937_64 random(1'000'007);  // not one that made the hashes
  for (int i = 0; i < 2'000; ++i) ASSERT_EQ(table.find(random()), kAbsent) << hashes.size();
  for (const std::uint64_t hash : hashes) {
    const std::uint64_t near = hash ^ std::uint64_t{1} << random() % 48;
    if (!std::binary_search(hashes.begin(), hashes.end(), near)) {
      ASSERT_EQ(table.find(near), kAbsent) << hashes.size();
    }
  }
}

TEST(FingerprintTable, ContainsNothingWhenEmpty) {
  EXPECT_EQ(FingerprintTable().find(0), kAbsent);
  EXPECT_EQ(table_of({}, 1).find(0), kAbsent);
}

TEST(FingerprintTable, ContainsWhatItWasBuiltFrom) {
  for (std::size_t count = 1; count <= 200; ++count) expect_exact(sorted_random(count, count));
  expect_exact(sorted_random(100'000, 1));
}

TEST(FingerprintTable, KeepsTheCodeOfEachHash) {
  for (const std::size_t count : {1, 9, 10, 11, 100, 30'000}) {
    const std::vector<std::uint64_t> hashes = sorted_random(count, 5);
    std::array<std::vector<std::uint64_t>, FingerprintTable::kCodes> parts;
    for (std::size_t i = 0; i < count; ++i) parts[i * 7 % 4].push_back(hashes[i]);
    FingerprintTable table(count);
    for (unsigned code = 0; code < parts.size(); ++code) table.add(parts[code], code);
    for (std::size_t i = 0; i < count; ++i) ASSERT_EQ(table.find(hashes[i]), i * 7 % 4) << i << " of " << count;
  }
}

TEST(FingerprintTable, DoesNotFindZeroInAnEmptySlot) {
  EXPECT_EQ(table_of({1}, 0).find(0), kAbsent);
  EXPECT_EQ(table_of({0}, 0).find(0), 0U);
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
  EXPECT_LT(static_cast<double>(table_of(sorted_random(100'000, 1), 3).bytes()) / 100'000, 8.6);
}

}  // namespace
}  // namespace gatehouse::policy
