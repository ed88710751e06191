#include "gateway/cli/policy/edit/duration.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

namespace gatehouse {
namespace {

TEST(Durations, AreNumbersWithAUnit) {
  EXPECT_EQ(parse_duration("90s"), 90);
  EXPECT_EQ(parse_duration("15m"), 900);
  EXPECT_EQ(parse_duration("2h"), 7200);
  EXPECT_EQ(parse_duration("7d"), 604800);
  for (const char* wrong : {"", "h", "2", "2x", "-2h", "0s", "2 h", "2hh", "99999999999999999999d", "9999999999d"})
    EXPECT_THROW(static_cast<void>(parse_duration(wrong)), std::runtime_error) << wrong;
}

}  // namespace
}  // namespace gatehouse
