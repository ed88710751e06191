#include "plugins/udpgw/reply_queue.hpp"

#include <gatehouse/testkit/hex.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>

namespace gatehouse::udpgw {
namespace {

constexpr std::size_t kCapacity = 128 * 1024;

class ReplyQueueTest : public testing::Test {
 protected:
  /// Queues a frame of `payload` bytes, each of them `fill`. False if it was not admitted.
  bool push(std::uint16_t conid, std::size_t payload, QueueShare& share, int fill = 0) {
    const MutableBytes room = queue.room();
    if (room.size() < kLargestFrame) return false;
    const std::size_t header = write_header(room, conid, testkit::hex("7f0000010035"), payload);
    std::fill_n(room.begin() + static_cast<std::ptrdiff_t>(header), payload, static_cast<std::byte>(fill));
    if (!queue.admits(header + payload, share)) return false;
    queue.push(header + payload, share);
    return true;
  }
  void sent(std::size_t bytes) {
    queue.sent(bytes, [this](std::uint16_t conid, std::size_t size) { left[conid] += size; });
  }
  std::vector<std::uint16_t> conids() const {
    std::vector<std::uint16_t> out;
    for (Bytes rest = queue.unsent(); !rest.empty();) {
      const Decoded frame = decode(rest);
      out.push_back(frame.frame.conid);
      rest = rest.subspan(frame.size);
    }
    return out;
  }

  BlockPool pool;
  ReplyQueue queue{pool, kCapacity};
  std::map<std::uint16_t, std::size_t> left;
};

TEST_F(ReplyQueueTest, GivesBackFramesInOrder) {
  QueueShare a, b;
  EXPECT_TRUE(push(1, 10, a));
  EXPECT_TRUE(push(2, 0, b));
  EXPECT_TRUE(push(1, 100, a));
  EXPECT_EQ(conids(), (std::vector<std::uint16_t>{1, 2, 1}));
  EXPECT_EQ(queue.unsent().size(), 110 + 3 * kOverheadV4);
}

TEST_F(ReplyQueueTest, RunningEmptyClearsEveryShare) {
  QueueShare a;
  push(1, 1000, a);
  EXPECT_EQ(queue.bytes_of(a), 1000 + kOverheadV4);
  sent(queue.unsent().size());
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.bytes_of(a), 0u);
}

TEST_F(ReplyQueueTest, ReportsFramesThatLeftWhole) {
  QueueShare a;
  for (int i = 0; i < 3; ++i) push(7, 100, a);
  const std::size_t frame = 100 + kOverheadV4;
  sent(frame - 1);
  EXPECT_EQ(left[7], 0u);
  sent(1);
  EXPECT_EQ(left[7], frame);
  sent(frame / 2);
  EXPECT_EQ(left[7], frame);
}

TEST_F(ReplyQueueTest, OneFloodGetsHalfAndLeavesRoomForOthers) {
  QueueShare flood, quiet;
  std::size_t pushed = 0;
  while (push(1, 1000, flood)) ++pushed;
  EXPECT_NEAR(static_cast<double>(pushed * (1000 + kOverheadV4)), kCapacity / 2.0, 2000);
  EXPECT_TRUE(push(2, 1000, quiet));
  EXPECT_LE(queue.unsent().size(), kCapacity);
}

TEST_F(ReplyQueueTest, TwoFloodsGetAThirdEach) {
  QueueShare a, b;
  for (bool more = true; more;) {
    more = push(1, 1000, a);
    more = push(2, 1000, b) || more;
  }
  EXPECT_NEAR(queue.bytes_of(a), kCapacity / 3.0, 3000);
  EXPECT_NEAR(queue.bytes_of(b), kCapacity / 3.0, 3000);
}

TEST_F(ReplyQueueTest, DropsOnlyWholeFramesOfOneConid) {
  QueueShare a, b;
  push(1, 50, a);
  push(2, 60, b);
  push(1, 70, a);
  push(2, 80, b);
  sent(5);  // of the first
  queue.drop(1, a);
  queue.sweep();
  EXPECT_EQ(queue.take_swept(), 1u);
  EXPECT_EQ(queue.take_swept(), 0u);
  EXPECT_EQ(queue.unsent().size(), 50 + 60 + 80 + 3 * kOverheadV4 - 5);
  sent(50 + kOverheadV4 - 5);
  EXPECT_EQ(conids(), (std::vector<std::uint16_t>{2, 2}));
  queue.drop(2, b);
  queue.sweep();
  EXPECT_EQ(queue.take_swept(), 2u);
  EXPECT_TRUE(queue.empty());
}

TEST_F(ReplyQueueTest, DropsWhatCameBeforeAndNotWhatComesAfter) {
  QueueShare before, after, other;
  push(1, 10, before);
  push(2, 20, other);
  queue.drop(1, before);
  push(1, 30, after);
  push(2, 40, other);
  queue.sweep();
  EXPECT_EQ(conids(), (std::vector<std::uint16_t>{2, 1, 2}));
  queue.drop(1, after);
  push(1, 50, before);
  queue.sweep();
  EXPECT_EQ(conids(), (std::vector<std::uint16_t>{2, 2, 1}));
  EXPECT_EQ(queue.take_swept(), 2u);
}

TEST_F(ReplyQueueTest, WhatWasDroppedTakesNobodysPlace) {
  for (int round = 0; round < 50; ++round) {
    QueueShare share;  // of a forward that is opened, flooded and closed while nothing is read
    std::size_t pushed = 0;
    while (push(1, 1000, share)) ++pushed;
    EXPECT_NEAR(static_cast<double>(pushed * (1000 + kOverheadV4)), kCapacity / 2.0, 2000) << round;
    queue.drop(1, share);
  }
}

TEST_F(ReplyQueueTest, DroppingDoesNotWalkTheQueue) {
  const auto time_of_drops = [this] {  // the least of three, since others want the processor, too
    auto least = std::chrono::steady_clock::duration::max();
    for (int round = 0; round < 3; ++round) {
      const auto began = std::chrono::steady_clock::now();
      for (int i = 0; i < 10'000; ++i) {
        const auto conid = static_cast<std::uint16_t>(1 + i % 2000);
        QueueShare share;
        EXPECT_TRUE(push(conid, 0, share));
        queue.drop(conid, share);
      }
      least = std::min(least, std::chrono::steady_clock::now() - began);
    }
    return least;
  };
  const auto empty = time_of_drops();
  QueueShare full;
  while (push(0, 0, full)) {
  }
  EXPECT_GT(queue.bytes_of(full) / kOverheadV4, 5000u) << "frames that a walk would look at each time";
  EXPECT_LT(time_of_drops(), 5 * empty);
}

TEST_F(ReplyQueueTest, DropsWhatFollowsAFrameUnderWayOfTheSameConid) {
  QueueShare before, after;
  push(1, 100, before);
  sent(50);
  queue.drop(1, before);
  push(1, 10, after);
  queue.drop(1, after);
  queue.sweep();
  EXPECT_EQ(queue.unsent().size(), 100 + kOverheadV4 - 50);
}

TEST_F(ReplyQueueTest, FinishesTheFrameThatIsUnderWayThoughItsForwardIsGone) {
  QueueShare share;
  push(1, 100, share);
  sent(50);
  queue.drop(1, share);
  queue.sweep();
  EXPECT_EQ(queue.unsent().size(), 100 + kOverheadV4 - 50);
}

TEST_F(ReplyQueueTest, KeepsTheBytesWhenItMovesThemToTheFront) {
  QueueShare share;
  std::size_t next_in = 0, next_out = 0;
  for (int round = 0; round < 400; ++round) {
    while (push(static_cast<std::uint16_t>(next_in), 900, share, static_cast<int>(next_in & 0xff))) ++next_in;
    const std::size_t part = std::min<std::size_t>(queue.unsent().size(), 10 * (900 + kOverheadV4));
    for (Bytes rest = queue.unsent().first(part); !rest.empty();) {
      const Decoded frame = decode(rest);
      ASSERT_EQ(frame.frame.conid, static_cast<std::uint16_t>(next_out));
      ASSERT_EQ(frame.frame.payload.back(), static_cast<std::byte>(next_out & 0xff));
      ++next_out;
      rest = rest.subspan(frame.size);
    }
    queue.sent(part, [&](std::uint16_t, std::size_t size) { queue.reduce(share, size); });
  }
  EXPECT_GT(next_out, 3000u);
}

TEST_F(ReplyQueueTest, LargestFrameAlwaysFitsIntoAnEmptyQueue) {
  QueueShare share;
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(push(1, 65507, share));
    sent(queue.unsent().size());
  }
}

TEST_F(ReplyQueueTest, HalvingDropsTheNewerHalfAndItsMemory) {
  QueueShare a, b;
  for (std::uint16_t i = 0; i < 60; ++i) push(i, 1000, i % 2 == 0 ? a : b);
  const std::size_t frame = 1000 + kOverheadV4, before = queue.memory();
  std::map<std::uint16_t, std::size_t> gone;
  EXPECT_EQ(queue.halve([&](std::uint16_t conid, std::size_t size) { gone[conid] += size; }), 30u);
  ASSERT_EQ(gone.size(), 30u);
  EXPECT_EQ(gone.begin()->first, 30) << "the oldest stay";
  EXPECT_EQ(gone.begin()->second, frame);
  EXPECT_EQ(conids().size(), 30u);
  EXPECT_EQ(conids().back(), 29);
  EXPECT_LE(queue.memory(), before / 2 + 4096);
  EXPECT_GE(queue.memory(), 30 * frame);
}

TEST_F(ReplyQueueTest, HalvingKeepsTheFrameThatIsUnderWay) {
  QueueShare share;
  push(1, 10'000, share, 7);
  push(2, 10, share);
  sent(500);
  EXPECT_EQ(queue.halve([](std::uint16_t, std::size_t) {}), 1u);
  EXPECT_EQ(queue.unsent().size(), 10'000 + kOverheadV4 - 500);
  EXPECT_EQ(queue.unsent().back(), static_cast<std::byte>(7));
  sent(queue.unsent().size());
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(left.count(2), 0u);
}

TEST_F(ReplyQueueTest, HalvingASingleFrameDropsIt) {
  QueueShare share;
  push(1, 10'000, share);
  EXPECT_EQ(queue.halve([](std::uint16_t, std::size_t) {}), 1u);
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.memory(), 0u);
  EXPECT_EQ(queue.halve([](std::uint16_t, std::size_t) {}), 0u);
}

TEST_F(ReplyQueueTest, HalvingTakesOutWhatWasDroppedBefore) {
  QueueShare gone, stays;
  for (int i = 0; i < 40; ++i) push(1, 1000, gone);
  for (int i = 0; i < 10; ++i) push(2, 1000, stays);
  queue.drop(1, gone);
  EXPECT_EQ(queue.halve([](std::uint16_t conid, std::size_t) { EXPECT_EQ(conid, 2); }), 5u);
  EXPECT_EQ(queue.take_swept(), 40u);
  EXPECT_EQ(conids(), std::vector<std::uint16_t>(5, 2));
  EXPECT_TRUE(push(3, 1000, gone));
  EXPECT_EQ(conids().back(), 3);
}

TEST_F(ReplyQueueTest, MemoryIsThatOfTouchedPagesAndOfWhatIsRemembered) {
  QueueShare share;
  EXPECT_EQ(queue.memory(), 0u);
  push(1, 10, share);
  EXPECT_EQ(queue.memory(), 4096u);
  queue.touched(9000);
  const std::size_t touched = queue.memory();
  EXPECT_EQ(touched, 3 * 4096u);
  queue.drop(1, share);
  EXPECT_GT(queue.memory(), touched);
}

TEST_F(ReplyQueueTest, BlocksInThePoolKeepNoMoreMemoryThanAllowed) {
  pool.set_most_warm(0);
  QueueShare share;
  push(1, 10'000, share);
  sent(queue.unsent().size());
  push(1, 10, share);
  EXPECT_EQ(queue.memory(), 4096u) << "a fresh block";
}

}  // namespace
}  // namespace gatehouse::udpgw
