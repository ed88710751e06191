#include "gateway/base/utc_time.hpp"

#include <gtest/gtest.h>

namespace gatehouse {
namespace {

TEST(UtcTime, IsSpelledForPeopleAndForPrograms) {
  EXPECT_EQ(utc_text(0), "1970-01-01 00:00:00 UTC");
  EXPECT_EQ(rfc3339(86399), "1970-01-01T23:59:59Z");
  EXPECT_EQ(rfc3339(INT64_MAX), "9223372036854775807") << "no calendar has that year";
}

TEST(UtcTime, IsReadInSeveralForms) {
  EXPECT_EQ(parse_time("1970-01-02"), 86400);
  EXPECT_EQ(parse_time("1970-01-01T00:01:05Z"), 65);
  EXPECT_EQ(parse_time("1970-01-01 01:00"), 3600);
  EXPECT_EQ(parse_time("77"), 77);
  EXPECT_EQ(parse_time(rfc3339(1'700'000'000)), 1'700'000'000);
  for (const char* bad : {"", "noon", "1970-01-01T", "1970-01-01Tx", "12:00"})
    EXPECT_EQ(parse_time(bad), std::nullopt) << bad;
}

TEST(UtcTime, IsRoundedDown) {
  using namespace std::chrono;
  EXPECT_EQ(unix_seconds(system_clock::time_point(milliseconds(1999))), 1);
  EXPECT_EQ(unix_seconds(system_clock::time_point(milliseconds(-1))), -1);
}

}  // namespace
}  // namespace gatehouse
