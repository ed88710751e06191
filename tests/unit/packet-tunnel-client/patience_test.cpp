// What waits: between attempts, and for a peer that may be gone.
#include "plugins/packet-tunnel/client/back_off.hpp"
#include "plugins/packet-tunnel/client/dead_peer.hpp"

#include <gtest/gtest.h>

namespace gatehouse::packet_tunnel {
namespace {

using namespace std::chrono_literals;
using Step = DeadPeer::Step;

constexpr SteadyTime kBegin{Nanoseconds(1h)};

TEST(BackOff, DoublesUpToHalfAMinuteAndNeverMore) {
  BackOff back_off;
  std::chrono::milliseconds most = BackOff::kFirst;
  for (int i = 0; i < 20; ++i) {
    const auto wait = back_off.next(0ms, 4'000'000'007U * static_cast<unsigned>(i + 1));
    EXPECT_GE(wait, most / 2);
    EXPECT_LE(wait, most);
    most = std::min(most * 2, BackOff::kLongest);
  }
}

TEST(BackOff, ComesAtOnceAfterAConnectionThatWorked) {
  BackOff back_off;
  for (int i = 0; i < 9; ++i) static_cast<void>(back_off.next(0ms, 1));
  back_off.reset();
  EXPECT_LE(back_off.next(0ms, UINT32_MAX), 50ms);
  EXPECT_GE(back_off.next(0ms, UINT32_MAX), BackOff::kFirst / 2);  // but only once
}

TEST(BackOff, WaitsAsLongAsTheServerAsks) {
  BackOff back_off;
  for (const std::uint32_t random : {0U, 12345U, UINT32_MAX}) {
    EXPECT_GE(back_off.next(7s, random), 7s);
    EXPECT_LE(back_off.next(7s, random), 8400ms);
  }
  EXPECT_LE(back_off.next(100h, UINT32_MAX), 12min);
}

TEST(DeadPeer, HasNothingToDoWhileNothingIsWritten) {
  DeadPeer peer;
  EXPECT_FALSE(peer.due());
  peer.heard();
  EXPECT_FALSE(peer.due());
  EXPECT_EQ(peer.check(kBegin + 1h), Step::none);
}

TEST(DeadPeer, IsNotAskedWhenItAnswers) {
  DeadPeer peer;
  peer.wrote(kBegin);
  peer.heard();
  EXPECT_FALSE(peer.due());
  EXPECT_EQ(peer.check(kBegin + 1h), Step::none);
}

TEST(DeadPeer, IsAskedAfterSilenceThatFollowsAWrite) {
  DeadPeer peer;
  peer.wrote(kBegin);
  peer.wrote(kBegin + 5s);  // counts from the first
  EXPECT_EQ(peer.due(), kBegin + DeadPeer::kSilence);
  EXPECT_EQ(peer.check(kBegin + DeadPeer::kSilence - 1ns), Step::none);
  EXPECT_EQ(peer.check(kBegin + DeadPeer::kSilence), Step::ask);
}

TEST(DeadPeer, IsDeadWhenItHasAnsweredOnceAndDoesNotAnyMore) {
  DeadPeer peer;
  peer.wrote(kBegin);
  EXPECT_EQ(peer.check(kBegin + 10s), Step::ask);
  peer.heard();
  peer.wrote(kBegin + 20s);
  EXPECT_EQ(peer.check(kBegin + 30s), Step::ask);
  EXPECT_EQ(peer.check(*peer.due() - 1ns), Step::none);
  EXPECT_EQ(peer.check(*peer.due()), Step::dead);
}

TEST(DeadPeer, IsNotDeadBecauseItNeverAnswersSuchQuestions) {
  DeadPeer peer;
  peer.wrote(kBegin);
  EXPECT_EQ(peer.check(kBegin + 10s), Step::ask);
  EXPECT_FALSE(peer.due());
  EXPECT_EQ(peer.check(kBegin + 1h), Step::none);
  peer.wrote(kBegin + 1h);
  EXPECT_FALSE(peer.due());
}

}  // namespace
}  // namespace gatehouse::packet_tunnel
