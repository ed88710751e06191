#include "plugins/packet-tunnel/common/packet_queue.hpp"

#include <gtest/gtest.h>

#include <array>
#include <chrono>

namespace gatehouse::packet_tunnel {
namespace {

using namespace std::chrono_literals;

constexpr SteadyTime kStart{1h};

class PacketQueues : public testing::Test {
 protected:
  /// A packet whose first byte is `name`, of IPv4 without ECN.
  PacketBlockPtr packet(std::size_t size, std::uint8_t name = 0) {
    PacketBlockPtr out(pool_, pool_.take(size));
    out->size = static_cast<std::uint32_t>(size);
    out->room()[0] = std::byte{0x45};
    out->room()[1] = std::byte{0};
    out->room()[19] = std::byte{name};
    out->facts.version = 4;
    return out;
  }
  void push(std::size_t size, std::uint32_t flow, SteadyTime now = kStart, std::uint8_t name = 0) {
    queue_.push(packet(size, name), flow, now);
  }
  /// The name of the next packet; -1: there is none.
  int pop(SteadyTime now = kStart) {
    early_ = {};
    const PacketBlockPtr got = queue_.pop(now, early_);
    dropped_ += early_.dropped;
    return got ? std::to_integer<int>(got->bytes()[19]) : -1;
  }

  PacketPool pool_;
  PacketQueue queue_{pool_};
  PacketQueue::Early early_;
  std::uint32_t dropped_ = 0;
};

TEST_F(PacketQueues, GiveAFlowsPacketsInTheirOrder) {
  for (std::uint8_t i = 0; i < 10; ++i) push(1000, 7, kStart, i);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(pop(), i);
  EXPECT_EQ(pop(), -1);
  EXPECT_TRUE(queue_.empty());
}

TEST_F(PacketQueues, LetASmallFlowPassALargeOne) {
  for (int i = 0; i < 20; ++i) push(60000, 1, kStart, 1);
  EXPECT_EQ(pop(), 1);
  push(100, 2, kStart, 2);
  EXPECT_EQ(pop(), 2) << "one that has just begun goes first";
  EXPECT_EQ(pop(), 1);
}

TEST_F(PacketQueues, ShareBytesEvenlyAndNotPackets) {
  for (int i = 0; i < 40; ++i) push(30000, 1, kStart, 1);
  for (int i = 0; i < 1000; ++i) push(1000, 2, kStart, 2);
  std::array<std::size_t, 3> bytes{};
  for (int i = 0; i < 400; ++i) {
    const int name = pop();
    bytes[static_cast<std::size_t>(name)] += name == 1 ? 30000 : 1000;
  }
  EXPECT_NEAR(static_cast<double>(bytes[1]), static_cast<double>(bytes[2]), 62000);
}

TEST_F(PacketQueues, KeepAllThatWaitsAShortTime) {
  for (int i = 0; i < 100; ++i) push(1500, 1);
  for (int i = 0; i < 100; ++i) EXPECT_NE(pop(kStart + 4ms), -1);
  EXPECT_EQ(dropped_, 0u);
}

TEST_F(PacketQueues, KeepABurstThatIsGoneWithinAnInterval) {
  for (int i = 0; i < 90; ++i) push(1500, 1);
  for (int i = 0; i < 90; ++i) EXPECT_NE(pop(kStart + 6ms + i * 1ms), -1);
  EXPECT_EQ(dropped_, 0u);
}

TEST_F(PacketQueues, LoseMoreAndMoreOfAFlowThatStaysLate) {
  SteadyTime now = kStart;
  std::array<std::uint32_t, 4> lost{};
  for (int i = 0; i < 40; ++i) push(1500, 1, now);  // waits 40 ms
  for (std::uint32_t& in_a_second : lost) {
    dropped_ = 0;
    for (int i = 0; i < 1000; ++i) {
      now += 1ms;
      push(1500, 1, now);
      pop(now);
      while (queue_.packets() < 40) push(1500, 1, now - 40ms);
    }
    in_a_second = dropped_;
  }
  EXPECT_GE(lost[0], 8u);
  EXPECT_LE(lost[0], 60u);
  EXPECT_GT(lost[1], lost[0]);
  EXPECT_GT(lost[3], lost[2]);
}

TEST_F(PacketQueues, MarkInPlaceOfLosingWhereEcnIsSpoken) {
  SteadyTime now = kStart;
  const auto push_ecn = [&] {
    PacketBlockPtr one = packet(1500);
    one->room()[1] = std::byte{2};
    one->facts.traffic_class = 2;
    queue_.push(std::move(one), 1, now - 40ms);
  };
  std::uint32_t marked = 0;
  for (int i = 0; i < 500; ++i) {
    now += 1ms;
    push_ecn();
    push_ecn();
    const PacketBlockPtr got = queue_.pop(now, early_);
    EXPECT_EQ(early_.dropped, 0u);
    if (early_.marked != 0) {
      EXPECT_EQ(got->bytes()[1], std::byte{3});
    }
    marked += early_.marked;
    early_ = {};
  }
  EXPECT_GT(marked, 3u);
}

TEST_F(PacketQueues, PutAPacketBackWhereItWas) {
  push(1000, 1, kStart, 1);
  push(1000, 1, kStart, 2);
  const std::size_t before = queue_.memory();
  PacketBlockPtr first = queue_.pop(kStart, early_);
  EXPECT_LT(queue_.memory(), before);
  queue_.put_back(std::move(first));
  EXPECT_EQ(queue_.memory(), before);
  EXPECT_EQ(pop(), 1);
  EXPECT_EQ(pop(), 2);
}

TEST_F(PacketQueues, PutTheOnlyPacketBack) {
  push(1000, 1, kStart, 1);
  queue_.put_back(queue_.pop(kStart, early_));
  EXPECT_FALSE(queue_.empty());
  EXPECT_EQ(pop(), 1);
  EXPECT_EQ(pop(), -1);
}

TEST_F(PacketQueues, MakeRoomAtTheCostOfTheLongestFlow) {
  for (int i = 0; i < 50; ++i) push(2000, 1, kStart, 1);
  push(2000, 2, kStart, 2);
  const std::size_t before = queue_.memory();
  const std::size_t lost = queue_.drop_to(before / 2);
  EXPECT_LE(queue_.memory(), before / 2);
  EXPECT_EQ(lost + queue_.packets(), 51u);
  bool has_small = false;
  for (int name = pop(); name != -1; name = pop()) has_small = has_small || name == 2;
  EXPECT_TRUE(has_small);
}

TEST_F(PacketQueues, TellOfLossesInThePacketsThatItWouldHaveBeen) {
  for (int i = 0; i < 2; ++i) {
    PacketBlockPtr super = packet(60000);
    super->packets = 42;
    queue_.push(std::move(super), 1, kStart);
  }
  EXPECT_EQ(queue_.drop_to(queue_.memory() - 1), 42u);
  EXPECT_EQ(queue_.clear(), 42u);
  EXPECT_EQ(packet(60000)->packets, 1u) << "a block that is used again says nothing of what it was";
}

TEST_F(PacketQueues, HaveNoMemoryWithoutPackets) {
  EXPECT_EQ(queue_.memory(), 0u);
  for (int i = 0; i < 5; ++i) push(2000, static_cast<std::uint32_t>(i));
  EXPECT_EQ(queue_.clear(), 5u);
  EXPECT_EQ(queue_.memory(), 0u);
  push(100, 3, kStart, 9);
  EXPECT_EQ(pop(), 9);
}

TEST(PacketPool, GivesARoomThatIsLargeEnough) {
  PacketPool pool;
  for (const std::size_t size :
       {std::size_t{1}, std::size_t{320}, std::size_t{321}, std::size_t{65545}, PacketPool::kOutput}) {
    const PacketBlockPtr block(pool, pool.take(size));
    EXPECT_GE(block->room().size(), size);
  }
}

TEST(PacketPool, KeepsNoMoreWarmThanItMay) {
  PacketPool pool;
  pool.set_most_warm(0);
  PacketBlock* const block = pool.take(100);
  pool.give(block);  // freed: the address sanitizer tells of a leak otherwise
  pool.set_most_warm(1 << 20);
  PacketBlock* const warm = pool.take(100);
  pool.give(warm);
  EXPECT_EQ(pool.take(100), warm);
  pool.give(warm);
}

}  // namespace
}  // namespace gatehouse::packet_tunnel
