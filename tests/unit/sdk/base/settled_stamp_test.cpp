#include <gatehouse/base/settled_stamp.hpp>

#include <gtest/gtest.h>

namespace gatehouse {
namespace {

/// A stamp of so many seconds from now. Asked again where the second has changed meanwhile.
bool is_settled_at(std::int64_t seconds) {
  for (;;) {
    timespec before{}, after{};
    ::clock_gettime(CLOCK_REALTIME, &before);
    FileStamp stamp;
    stamp.seconds = before.tv_sec + seconds;
    const bool is = is_settled(stamp);
    ::clock_gettime(CLOCK_REALTIME, &after);
    if (before.tv_sec == after.tv_sec) return is;
  }
}

TEST(SettledStamp, IsMoreThanAStepOfTheClockAwayOnEitherSide) {
  for (const std::int64_t close : {-2, -1, 0, 1, 2}) EXPECT_FALSE(is_settled_at(close)) << close;
  for (const std::int64_t far : {-1000, -3, 3, 1000}) EXPECT_TRUE(is_settled_at(far)) << far;
}

}  // namespace
}  // namespace gatehouse
