#include "gateway/services/token_failures.hpp"

#include <gmock/gmock.h>

#include <thread>

namespace gatehouse {
namespace {

using namespace std::chrono_literals;

class TokenFailuresTest : public testing::Test {
 protected:
  static IpAddress address(const std::string& text) { return IpAddress::parse(text).value(); }
  Nanoseconds wait(const std::string& source, std::uint64_t most = 20) {
    return failures_->ask(address(source), most, now_).wait;
  }
  void fail(const std::string& source, int times = 1, std::uint64_t most = 20) {
    for (int i = 0; i < times; ++i) failures_->add(address(source), most, now_);
  }

  SteadyTime now_{1h};
  std::unique_ptr<TokenFailures> failures_ = std::make_unique<TokenFailures>();
};

TEST_F(TokenFailuresTest, AreFreeUpToTheLimitAndComeBackOneByOne) {
  fail("192.0.2.7", 19);
  EXPECT_EQ(wait("192.0.2.7"), 0ns);
  fail("192.0.2.7");
  EXPECT_EQ(wait("192.0.2.7"), 3s);
  now_ += 2s;
  EXPECT_EQ(wait("192.0.2.7"), 1s);
  now_ += 1s;
  EXPECT_EQ(wait("192.0.2.7"), 0ns);
  fail("192.0.2.7");
  EXPECT_EQ(wait("192.0.2.7"), 3s);
  now_ += 1min;
  fail("192.0.2.7", 19);
  EXPECT_EQ(wait("192.0.2.7"), 0ns) << "a quiet minute makes good for all";
}

TEST_F(TokenFailuresTest, AskingCostsNothing) {
  for (int i = 0; i < 100; ++i) EXPECT_EQ(wait("192.0.2.7"), 0ns);
  EXPECT_EQ(failures_->counts().failures, 0u);
}

TEST_F(TokenFailuresTest, AreOfAnAddressOrItsNetwork) {
  fail("192.0.2.7", 20);
  EXPECT_EQ(wait("192.0.2.8"), 0ns);
  fail("2001:db8:0:1::1", 20);
  EXPECT_EQ(wait("2001:db8:0:1:ffff::2"), 3s);
  EXPECT_EQ(wait("2001:db8:0:2::1"), 0ns);
}

TEST_F(TokenFailuresTest, OfManyNetworksAreTheSitesToo) {
  for (int i = 0; i < 8; ++i) fail("2001:db8:0:" + std::to_string(i) + "::1", 20);
  EXPECT_GT(wait("2001:db8:0:9::1"), 0ns);
  EXPECT_EQ(wait("2001:db8:1:9::1"), 0ns) << "another /48";
}

TEST_F(TokenFailuresTest, HaveNoLimitWithoutOneOrWhereAnybodyMayBe) {
  fail("192.0.2.7", 1000, 0);
  EXPECT_EQ(wait("192.0.2.7", 0), 0ns);
  EXPECT_EQ(wait("192.0.2.7", 20), 0ns);
  for (const char* const source : {"127.0.0.1", "::1"}) {
    fail(source, 1000);
    EXPECT_EQ(wait(source), 0ns) << source;
  }
  for (int i = 0; i < 100; ++i) failures_->add(IpAddress(), 20, now_);
  EXPECT_EQ(failures_->ask(IpAddress(), 20, now_).wait, 0ns);
}

TEST_F(TokenFailuresTest, FollowALimitThatChanges) {
  fail("192.0.2.7", 20);
  EXPECT_EQ(wait("192.0.2.7", 60), 1s);
  EXPECT_EQ(wait("192.0.2.7", 10), 6s);
  EXPECT_EQ(wait("192.0.2.7", UINT64_MAX), 60ns);
}

TEST_F(TokenFailuresTest, AreNewsOnceAMinute) {
  fail("192.0.2.7", 20);
  const auto is_news = [&] { return failures_->ask(address("192.0.2.7"), 20, now_).is_news; };
  EXPECT_TRUE(is_news());
  EXPECT_FALSE(is_news());
  now_ += 4s;
  EXPECT_FALSE(is_news()) << "it need not wait";
  fail("192.0.2.7", 2);
  EXPECT_FALSE(is_news());
  now_ += 1min;
  fail("192.0.2.7", 20);
  EXPECT_TRUE(is_news());
  EXPECT_EQ(failures_->counts().refused, 4u);
}

TEST_F(TokenFailuresTest, OfWhoFailedMostAreRememberedWhenOthersCrowdIn) {
  fail("192.0.2.7", 20);
  for (int i = 0; i < 200'000; ++i)
    failures_->add(
        address("10." + std::to_string(i >> 16) + '.' + std::to_string((i >> 8) & 255) + '.' + std::to_string(i & 255)),
        20, now_);
  EXPECT_EQ(wait("192.0.2.7"), 3s);
}

TEST_F(TokenFailuresTest, AreCountedFromManyThreads) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([this] {
      for (int i = 0; i < 1000; ++i) {
        failures_->add(address("192.0.2.7"), 4000, now_);
        static_cast<void>(failures_->ask(address("192.0.2.7"), 4000, now_));
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures_->counts().failures, 4000u);
  EXPECT_EQ(wait("192.0.2.7", 4000), 15ms);
}

}  // namespace
}  // namespace gatehouse
