#include <gatehouse/async/lane_channel.hpp>

#include <gtest/gtest.h>

#include <poll.h>

#include <memory>
#include <thread>
#include <vector>

namespace gatehouse {
namespace {

bool is_readable(int fd, int timeout_ms = 0) {
  pollfd entry{fd, POLLIN, 0};
  return ::poll(&entry, 1, timeout_ms) == 1;
}

std::vector<int> receive(LaneChannel<int>& channel, std::size_t budget = SIZE_MAX) {
  std::vector<int> out;
  channel.receive([&](int&& value) { out.push_back(value); }, budget);
  return out;
}

TEST(LaneChannel, DeliversInOrder) {
  LaneChannel<int> channel(8);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(channel.try_send(int{i}));
  EXPECT_TRUE(is_readable(channel.fd()));
  EXPECT_EQ(receive(channel), (std::vector{0, 1, 2, 3, 4}));
  EXPECT_FALSE(is_readable(channel.fd()));
}

TEST(LaneChannel, RefusesWhatDoesNotFitAndLeavesIt) {
  LaneChannel<std::unique_ptr<int>> channel(3);
  ASSERT_EQ(channel.capacity(), 4u);
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(channel.try_send(std::make_unique<int>(i)));
  auto fifth = std::make_unique<int>(4);
  EXPECT_FALSE(channel.try_send(std::move(fifth)));
  ASSERT_NE(fifth, nullptr);
  EXPECT_EQ(channel.receive([](std::unique_ptr<int>&&) {}, 1), 1u);
  EXPECT_TRUE(channel.try_send(std::move(fifth)));
  int expected = 1;
  channel.receive([&](std::unique_ptr<int>&& value) { EXPECT_EQ(*value, expected++); });
  EXPECT_EQ(expected, 5);
}

TEST(LaneChannel, StaysReadableWhenTheBudgetLeavesSome) {
  LaneChannel<int> channel(8);
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(channel.try_send(int{i}));
  EXPECT_EQ(receive(channel, 3).size(), 3u);
  EXPECT_TRUE(is_readable(channel.fd()));
  EXPECT_EQ(receive(channel, 2).size(), 2u);
  EXPECT_FALSE(is_readable(channel.fd()));
}

TEST(LaneChannel, DestroysWhatWasNotReceived) {
  const auto counted = std::make_shared<int>(0);
  {
    LaneChannel<std::shared_ptr<int>> channel(4);
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(channel.try_send(std::shared_ptr<int>(counted)));
    EXPECT_EQ(counted.use_count(), 4);
  }
  EXPECT_EQ(counted.use_count(), 1);
}

TEST(LaneChannel, MayBeSentToWhileItIsReceivedFrom) {
  LaneChannel<int> channel(4);
  ASSERT_TRUE(channel.try_send(10));
  std::vector<int> seen;
  channel.receive([&](int&& value) {
    seen.push_back(value);
    const bool sent = value == 0 || channel.try_send(value - 1);
    EXPECT_TRUE(sent);
  });
  EXPECT_EQ(seen.size(), 11u);
}

// Four senders against a receiver that sleeps on the descriptor: nothing is lost, nothing comes twice, each sender's
// order holds, and no wake-up is missed (a missed one shows as the poll's time-out).
TEST(LaneChannel, LosesNothingBetweenThreads) {
  constexpr int kSenders = 4;
  constexpr int kEach = 20000;
  struct Message {
    int sender;
    std::unique_ptr<int> number;
  };
  LaneChannel<Message> channel(64);
  std::vector<std::thread> senders;
  for (int sender = 0; sender < kSenders; ++sender) {
    senders.emplace_back([&channel, sender] {
      for (int i = 0; i < kEach; ++i) {
        Message message{sender, std::make_unique<int>(i)};
        while (!channel.try_send(std::move(message))) std::this_thread::yield();
      }
    });
  }
  std::vector<int> next(kSenders, 0);
  bool in_order = true;
  for (std::size_t left = std::size_t{kSenders} * kEach; left > 0;) {
    if (!is_readable(channel.fd(), 20000)) {
      ADD_FAILURE() << "a wake-up was lost; " << left << " messages are missing";
      break;
    }
    left -= channel.receive(
        [&](Message&& message) { in_order &= *message.number == next[static_cast<std::size_t>(message.sender)]++; },
        16);
  }
  for (std::thread& sender : senders) sender.join();
  EXPECT_TRUE(in_order);
  EXPECT_EQ(next, std::vector<int>(kSenders, kEach));
}

}  // namespace
}  // namespace gatehouse
