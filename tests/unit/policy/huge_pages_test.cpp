#include "policy/lists/huge_pages.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <numeric>

namespace gatehouse::policy {
namespace {

TEST(HugePageVector, KeepsWhatItHoldsOnEitherSideOfItsLimit) {
  constexpr std::size_t kLimit = HugePageAllocator<std::uint32_t>::kLarge / sizeof(std::uint32_t);
  for (const std::size_t count : {std::size_t{1}, kLimit - 1, kLimit, kLimit + 1, 3 * kLimit}) {
    HugePageVector<std::uint32_t> numbers(count);
    EXPECT_EQ(std::accumulate(numbers.begin(), numbers.end(), std::uint64_t{0}), 0U) << count;
    std::iota(numbers.begin(), numbers.end(), 0U);
    const HugePageVector<std::uint32_t> copy = numbers;
    numbers.resize(count + kLimit);  // moves
    EXPECT_TRUE(std::equal(copy.begin(), copy.end(), numbers.begin())) << count;
    EXPECT_EQ(numbers.back(), 0U);
  }
}

TEST(HugePageVector, SaysWhenThereIsNoMemory) {
  EXPECT_THROW(static_cast<void>(map_huge_pages(std::size_t{1} << 60)), std::bad_alloc);
}

}  // namespace
}  // namespace gatehouse::policy
