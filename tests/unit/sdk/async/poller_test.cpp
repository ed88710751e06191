// What is told of again, though the kernel says nothing.
#include <gatehouse/async/poller.hpp>

#include <gtest/gtest.h>

#include <sys/socket.h>

#include <functional>

namespace gatehouse {
namespace {

class Told final : public HeldReadiness {
 public:
  int calls = 0;
  std::function<void()> then = [] {};

 private:
  void on_ready(std::uint32_t) override {
    ++calls;
    then();
  }
};

class TellingAgain : public testing::Test {
 protected:
  TellingAgain() {
    int both[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, both), 0);
    ours = UniqueFd(both[0]);
    theirs = UniqueFd(both[1]);
    EXPECT_TRUE(poller.add(ours.get(), EPOLLIN, told));
  }
  Poller poller;
  UniqueFd ours, theirs;
  Told told;
};

TEST_F(TellingAgain, IsDoneOnceHoweverOftenItIsAskedFor) {
  for (int i = 0; i < 10; ++i) poller.deliver_again(told, EPOLLIN);
  EXPECT_TRUE(poller.has_more());
  EXPECT_EQ(poller.turn(), 1u);
  EXPECT_EQ(told.calls, 1);
  EXPECT_FALSE(poller.has_more());
  EXPECT_EQ(poller.turn(), 0u);
}

TEST_F(TellingAgain, DoesNotMultiplyBesideTheKernel) {
  told.then = [&] { poller.deliver_again(told, EPOLLIN); };
  ASSERT_EQ(send(theirs.get(), "x", 1, 0), 1);
  for (int i = 0; i < 100; ++i) poller.turn();
  EXPECT_LE(told.calls, 200);
  EXPECT_GE(told.calls, 100);
}

TEST_F(TellingAgain, IsForgottenWithTheDescriptor) {
  poller.deliver_again(told, EPOLLIN);
  poller.remove(ours.get(), told);
  poller.turn();
  EXPECT_EQ(told.calls, 0);
  ASSERT_TRUE(poller.add(ours.get(), EPOLLIN, told));
  poller.deliver_again(told, EPOLLIN);
  poller.turn();
  EXPECT_EQ(told.calls, 1);
}

TEST_F(TellingAgain, IsForgottenByWhoeverIsRemovedInTheSameTurn) {
  Told other;
  int both[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, both), 0);
  const UniqueFd here(both[0]), there(both[1]);
  ASSERT_TRUE(poller.add(here.get(), EPOLLIN, other));
  poller.deliver_again(told, EPOLLIN);
  poller.deliver_again(other, EPOLLIN);
  told.then = [&] { poller.remove(here.get(), other); };
  poller.turn();
  EXPECT_EQ(other.calls, 0);
}

}  // namespace
}  // namespace gatehouse
