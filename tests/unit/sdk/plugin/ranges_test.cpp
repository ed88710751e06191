#include <gatehouse/plugin/ranges.hpp>

#include "tests/unit/sdk/plugin/border_host.hpp"

#include <gmock/gmock.h>

namespace gatehouse {
namespace {

using testing::ElementsAre;

std::uint64_t generation_of_all = 7;

constexpr gh_ranges kTable = {
    sizeof(gh_ranges), 0, nullptr, &generation_of_all,
    [](void*, gh_bytes space, gh_range* out, std::size_t capacity, std::size_t* count) -> gh_status {
      if (space.size == 0) return GH_E_INVALID;
      *count = 3;
      for (std::size_t i = 0; i < *count && i < capacity; ++i) out[i] = {i * 10, i * 10 + 4};
      return GH_OK;
    }};

TEST(Ranges, AreAllOfTheSpace) {
  const BorderHost border(GH_RANGES_ID, &kTable);
  const Ranges ranges(border.host());
  EXPECT_EQ(ranges.generation(), 7u);
  EXPECT_THAT(ranges.of("vni"), ElementsAre(NumberRange{0, 4}, NumberRange{10, 14}, NumberRange{20, 24}));
  EXPECT_THROW(static_cast<void>(ranges.of("")), std::invalid_argument);
}

TEST(Ranges, AreAllNumbersWhereTheHostKnowsOfNone) {
  const BorderHost border(GH_RANGES_ID, nullptr);
  const Ranges ranges(border.host());
  EXPECT_EQ(ranges.generation(), 0u);
  EXPECT_THAT(ranges.of("vni"), ElementsAre(NumberRange{0, UINT64_MAX}));
}

}  // namespace
}  // namespace gatehouse
