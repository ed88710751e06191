#include "gateway/plugin/heartbeat.hpp"

#include <gtest/gtest.h>

namespace gatehouse {
namespace {

using namespace std::chrono_literals;
using Sign = Heartbeat::Sign;

constexpr SteadyTime kBegin{1000s};

TEST(Heartbeat, MovesWhenTheTurnsDo) {
  Heartbeat beat;
  for (std::uint64_t turn = 1; turn < 20; ++turn) EXPECT_EQ(beat.look(turn, kBegin + turn * 1s, 3s), Sign::moves);
}

TEST(Heartbeat, IsHungAfterItHasStoodForSoLong) {
  Heartbeat beat;
  EXPECT_EQ(beat.look(5, kBegin, 3s), Sign::moves);
  EXPECT_EQ(beat.look(5, kBegin + 10s, 3s), Sign::stands);  // from here on it is asked
  EXPECT_EQ(beat.look(5, kBegin + 11s, 3s), Sign::stands);
  EXPECT_EQ(beat.look(5, kBegin + 12s, 3s), Sign::stands);
  EXPECT_EQ(beat.look(5, kBegin + 13s, 3s), Sign::hung);
}

TEST(Heartbeat, BeginsAnewWithEachTurn) {
  Heartbeat beat;
  EXPECT_EQ(beat.look(0, kBegin, 3s), Sign::stands);
  EXPECT_EQ(beat.look(0, kBegin + 2s, 3s), Sign::stands);
  EXPECT_EQ(beat.look(1, kBegin + 3s, 3s), Sign::moves);
  EXPECT_EQ(beat.look(1, kBegin + 4s, 3s), Sign::stands);
  EXPECT_EQ(beat.look(1, kBegin + 6s, 3s), Sign::stands);
  EXPECT_EQ(beat.look(1, kBegin + 7s, 3s), Sign::hung);
}

TEST(Patience, CountsOnlyWhatItWasThereToSee) {
  Patience patience;
  EXPECT_EQ(patience.look(kBegin), 0s);
  EXPECT_EQ(patience.look(kBegin + 1s), 1s);
  EXPECT_EQ(patience.look(kBegin + 1h), 1s + Patience::kLongestLook);
  patience.reset();
  EXPECT_EQ(patience.look(kBegin + 2h), 0s);
}

}  // namespace
}  // namespace gatehouse
