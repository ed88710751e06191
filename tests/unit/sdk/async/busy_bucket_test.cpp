#include <gatehouse/async/busy_bucket.hpp>

#include <gtest/gtest.h>

namespace gatehouse {
namespace {

using namespace std::chrono_literals;

class BusyBucketTest : public testing::Test {
 protected:
  /// A turn `after` the one before that finds so many. @return does it want a pause?
  bool turn(Nanoseconds after, std::size_t datagrams) {
    now += after;
    bucket.begin_turn(now);
    bucket.add(datagrams);
    return bucket.wants_pause();
  }

  BusyBucket bucket;
  SteadyTime now = SteadyTime(1h);
};

TEST_F(BusyBucketTest, NeverDelaysLoneDatagrams) {
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(turn(25us, 1));  // 40,000 a second
}

TEST_F(BusyBucketTest, WaitsWhereFewComeAtATimeAndManyASecond) {
  int pauses = 0;
  for (int i = 0; i < 100; ++i) pauses += turn(20us, 1) ? 1 : 0;  // 50,000 a second
  EXPECT_EQ(pauses, 25);                                          // after 75, of which each left a fifth
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(turn(10us, 2));
}

TEST_F(BusyBucketTest, DoesNotWaitForMoreThanEnough) {
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(turn(10us, BusyBucket::kEnough));
  EXPECT_TRUE(turn(10us, BusyBucket::kEnough - 1));
}

TEST_F(BusyBucketTest, DoesNotWaitForWhatIsNotThere) {
  turn(0ns, 32);
  EXPECT_FALSE(turn(10us, 0));
  EXPECT_TRUE(turn(10us, 1));
}

TEST_F(BusyBucketTest, DoesNotWaitWhenASocketWasLeftWithMore) {
  turn(0ns, 32);
  now += 10us;
  bucket.begin_turn(now);
  bucket.add(1);
  bucket.reached_limit();
  EXPECT_FALSE(bucket.wants_pause());
  EXPECT_TRUE(turn(10us, 1));  // of that turn only
}

TEST_F(BusyBucketTest, OneTurnFillsItAtMost) {
  turn(0ns, 1'000'000);
  EXPECT_TRUE(turn(16 * 25us, 1));
  turn(0ns, 1'000'000);
  EXPECT_FALSE(turn(18 * 25us, 1));
}

TEST_F(BusyBucketTest, TellsTheTailOfABurst) {
  EXPECT_FALSE(turn(0ns, 12));
  EXPECT_TRUE(turn(10us, 5));
  EXPECT_FALSE(turn(1ms, 1));
}

}  // namespace
}  // namespace gatehouse
