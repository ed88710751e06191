// When the system's clock is believed.
#include "db/file/clock_trust.hpp"

#include <gtest/gtest.h>

namespace gatehouse::db {
namespace {

using std::chrono::hours;

constexpr std::int64_t kHour = 3600, kDay = 24 * kHour, kSeen = 1'790'000'000;

class Trust : public testing::Test {
 protected:
  const ClockTrust::Steady::time_point begin{};
  ClockTrust trust{kSeen, begin};
  std::int64_t believed(std::int64_t now, hours later, bool synchronised = false) {
    return trust.believed(now, synchronised, begin + later);
  }
};

TEST_F(Trust, BelievesWhatIsNear) {
  EXPECT_EQ(believed(kSeen + 5, hours(0)), kSeen + 5);
  EXPECT_EQ(believed(kSeen + kDay, hours(0)), kSeen + kDay);
  EXPECT_EQ(believed(kSeen + 40 * kDay, hours(39 * 24)), kSeen + 40 * kDay) << "time has passed meanwhile";
  EXPECT_FALSE(trust.doubts());
}

TEST_F(Trust, DoubtsWhatIsFarAheadUntilItHasStoodForADay) {
  const std::int64_t ahead = kSeen + 400 * kDay;
  EXPECT_EQ(believed(ahead, hours(0)), kSeen);
  EXPECT_TRUE(trust.doubts());
  EXPECT_EQ(believed(ahead + 23 * kHour, hours(23)), kSeen + 23 * kHour);
  EXPECT_EQ(believed(ahead + 24 * kHour, hours(24)), ahead + 24 * kHour);
  EXPECT_FALSE(trust.doubts());
  EXPECT_EQ(believed(ahead + 25 * kHour, hours(25)), ahead + 25 * kHour);
}

TEST_F(Trust, DoubtsAnewAClockThatLeapsOn) {
  EXPECT_EQ(believed(kSeen + 400 * kDay, hours(0)), kSeen);
  EXPECT_EQ(believed(kSeen + 800 * kDay, hours(20)), kSeen + 20 * kHour);
  EXPECT_EQ(believed(kSeen + 800 * kDay + 10 * kHour, hours(30)), kSeen + 30 * kHour);
  EXPECT_EQ(believed(kSeen + 801 * kDay, hours(44)), kSeen + 801 * kDay);
}

TEST_F(Trust, BelievesTheKernelAtOnce) {
  EXPECT_EQ(believed(kSeen + 400 * kDay, hours(0)), kSeen);
  EXPECT_EQ(believed(kSeen + 400 * kDay, hours(1), true), kSeen + 400 * kDay);
  EXPECT_FALSE(trust.doubts());
}

TEST_F(Trust, BelievesAClockThatIsCorrected) {
  EXPECT_EQ(believed(kSeen + 400 * kDay, hours(0)), kSeen);
  EXPECT_EQ(believed(kSeen + kHour, hours(1)), kSeen + kHour);
  EXPECT_FALSE(trust.doubts());
  EXPECT_EQ(believed(kSeen - 10 * kDay, hours(1)), kSeen - 10 * kDay);
}

TEST(ClockTrust, BelievesTheFirstTimeThatItSees) {
  ClockTrust trust(0);
  EXPECT_EQ(trust.believed(kSeen, false), kSeen);
}

}  // namespace
}  // namespace gatehouse::db
