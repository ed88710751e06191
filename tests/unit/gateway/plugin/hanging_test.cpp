// What becomes of lanes and calls that do not answer.
#include "gateway/base/refusal.hpp"
#include "gateway/plugin/instance.hpp"

#include "tests/unit/gateway/plugin/test_folder.hpp"
#include "tests/unit/gateway/plugin/test_offer.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>

#include <thread>

namespace gatehouse {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::HasSubstr;

class HangingTest : public testing::TestWithParam<const char*> {
 protected:
  /// An instance that hangs there.
  std::unique_ptr<Instance> make(const std::string& at, unsigned lanes = 1, const std::string& name = "one") {
    const LoadedPlugin loaded = load_plugin(test_plugin("hangs"), folder_.path() / "copies", {GH_LOG_ID});
    auto out = std::make_unique<Instance>(loaded, InstanceSpec{name, lanes, false, std::make_shared<PluginTimeout>(5s)},
                                          std::make_unique<TestOffer>(events_), nullptr);
    configured_ = out->configure("{\"at\":\"" + at + "\"}", false);
    return out;
  }
  template <class Done>
  static bool eventually(Done done) {
    for (const SteadyTime end = steady_now() + 2s; steady_now() < end; std::this_thread::sleep_for(1ms)) {
      if (done()) return true;
    }
    return false;
  }
  /// Lets it start, and its lanes run.
  void run(Instance& instance, const Instance::Listeners& listeners = {}) {
    const auto started = instance.start(listeners);
    ASSERT_TRUE(eventually([&] { return started->is_over(); }));
    ASSERT_FALSE(started->refusal());
    instance.run_lanes();
  }
  /// Ticks once a second of a time of its own, which runs fifty times as fast as ours, until the instance has failed.
  /// @return how many seconds that took
  int seconds_until_failed(Instance& instance) {
    for (int seconds = 0; seconds < 20; ++seconds, now_ += 1s) {
      instance.tick(now_);
      if (instance.failure()) return seconds;
      std::this_thread::sleep_for(20ms);
    }
    return -1;
  }

  TestFolder folder_;
  std::shared_ptr<Events> events_ = std::make_shared<Events>();
  Instance::Call configured_;
  SteadyTime now_ = steady_now();
};

TEST_F(HangingTest, ALaneThatStandsStillIsNamedWithItsStack) {
  const auto instance = make("lane", 2);
  run(*instance);
  ASSERT_TRUE(events_->wait_for("lane is there 0"));
  ASSERT_TRUE(events_->wait_for("lane runs 1"));
  const int seconds = seconds_until_failed(*instance);
  EXPECT_GE(seconds, 5);
  EXPECT_LE(seconds, 8);
  EXPECT_EQ(instance->failure(), "lane 0 hangs: it has not moved for 5 s");
  const std::vector<Hung> hung = instance->take_hung();
  ASSERT_EQ(hung.size(), 1u);
  EXPECT_EQ(hung[0].what, "lane 0 hangs: it has not moved for 5 s");
  EXPECT_THAT(hung[0].stack, Contains(HasSubstr("hangs.so(hang_here")));

  instance->request_stop(now_);
  ASSERT_TRUE(eventually([&] { return !instance->lanes()[1].running; }));
  EXPECT_TRUE(instance->ended(now_ + 1s));
  EXPECT_EQ(instance->abandoned_lanes(), 1u);
}

TEST_F(HangingTest, ALaneThatWaitsInAListenersSocketLeavesItWhenItIsAbandoned) {
  ListenAddress address;
  address.kind = ListenAddress::Kind::udp;
  address.text = "127.0.0.1:0";
  address.endpoint = Endpoint::parse(address.text).value();
  const auto listener = std::make_shared<BoundListener>(1, "one", "listen", address, 1);
  const auto instance = make("lane-reads");
  run(*instance, {listener});
  ASSERT_TRUE(events_->wait_for("lane is there 0"));
  const auto blocks = [&] { return (fcntl(listener->dup_for(0).get(), F_GETFL) & O_NONBLOCK) == 0; };
  instance->request_stop(now_);
  ASSERT_TRUE(instance->ended(now_ + 1s));
  EXPECT_EQ(instance->abandoned_lanes(), 1u);
  EXPECT_FALSE(blocks()) << "for the next instance";

  address.endpoint = listener->local();
  listener->retire();
  EXPECT_TRUE(eventually([&] {  // which it is not while anybody waits in its socket
    try {
      const BoundListener next(2, "two", "listen", address, 1);
      return true;
    } catch (const Refusal&) {
      return false;
    }
  }));
}

TEST_F(HangingTest, AnIdleLaneIsAskedAndAnswers) {
  const auto instance = make("");
  run(*instance);
  ASSERT_TRUE(events_->wait_for("lane runs 0"));
  EXPECT_EQ(seconds_until_failed(*instance), -1);
}

TEST_F(HangingTest, ATimeInWhichNobodyLookedCountsForLittle) {
  const auto instance = make("lane");
  run(*instance);
  ASSERT_TRUE(events_->wait_for("lane is there 0"));
  instance->tick(now_);
  instance->tick(now_ + 1h);  // the process was stopped itself
  EXPECT_FALSE(instance->failure());
}

TEST_F(HangingTest, CreateThatHangsRefusesWhatComesAfterIt) {
  const auto instance = make("", 1, "hanging");
  const auto started = instance->start({});
  EXPECT_GE(seconds_until_failed(*instance), 5);
  const std::string why = "the plugin hanging hangs: `create` has not returned for 5 s";
  EXPECT_EQ(instance->failure(), why);
  ASSERT_TRUE(started->is_over());
  EXPECT_EQ(started->refusal(), why);
  EXPECT_EQ(configured_->refusal(), why);
  instance->request_stop(now_);
  EXPECT_TRUE(eventually([&] { return instance->ended(now_); }));
  EXPECT_EQ(instance->abandoned_calls(), 1u);
}

/// A running instance, one of whose functions hangs.
TEST_P(HangingTest, CallOfARunningInstanceIsGivenUp) {
  const std::string at = GetParam();
  const auto instance = make(at == "check" || at == "reconfigure" ? "" : at);
  run(*instance);
  ASSERT_TRUE(events_->wait_for("lane runs 0"));
  Instance::Call call;
  if (at == "check") call = instance->configure(R"({"at":"check"})", true);
  if (at == "reconfigure") call = instance->change({R"({"at":"reconfigure"})", "{}", {}});
  if (at == "listeners_changed") call = instance->change({{}, {}, Instance::Listeners()});
  if (at == "wake") instance->wake(GH_WAKE_POLICY);
  if (at == "drain") instance->drain(now_);
  if (at == "describe") call = instance->describe(std::make_shared<std::vector<SessionState>>(1));
  EXPECT_GE(seconds_until_failed(*instance), 5);
  const std::string function = at == "check" ? "configure" : at;
  EXPECT_EQ(instance->failure(), "the plugin one hangs: `" + function + "` has not returned for 5 s");
  if (call) {
    ASSERT_TRUE(call->is_over());
    EXPECT_EQ(call->refusal(), instance->failure());
  }
  EXPECT_THAT(instance->take_hung(), Contains(testing::Field(&Hung::stack, Contains(HasSubstr("hang_here")))));

  // Whatever hangs, the lanes are told to stop; but stop() wakes them, too, where wake() is what hangs.
  const bool wakes = at == "wake";
  instance->request_stop(now_);
  EXPECT_TRUE(eventually([&] { return !instance->lanes()[0].running; }));
  EXPECT_TRUE(eventually([&] { return instance->ended(wakes ? now_ + Instance::kStopTime : now_); }));
  EXPECT_EQ(instance->abandoned_calls(), wakes ? 2u : 1u);
  EXPECT_EQ(instance->abandoned_lanes(), 0u);
  EXPECT_EQ(events_->count("destroyed 0"), 0);
}
INSTANTIATE_TEST_SUITE_P(Functions, HangingTest,
                         testing::Values("check", "reconfigure", "listeners_changed", "wake", "drain", "pending",
                                         "describe"),
                         [](const auto& test) { return std::string(test.param); });

TEST_F(HangingTest, NoLaneIsBlamedThatNobodyCouldAsk) {
  const auto instance = make("pending");  // in the way of wake()
  run(*instance);
  ASSERT_TRUE(events_->wait_for("lane runs 0"));
  EXPECT_GE(seconds_until_failed(*instance), 5);
  for (int seconds = 0; seconds < 10; ++seconds) instance->tick(now_ += 1s);
  EXPECT_THAT(instance->take_hung(),
              testing::ElementsAre(testing::Field(&Hung::what, HasSubstr("`pending` has not returned"))));
}

TEST_F(HangingTest, StopThatHangsCostsTheLanes) {
  const auto instance = make("stop");
  run(*instance);
  ASSERT_TRUE(events_->wait_for("lane runs 0"));
  instance->request_stop(now_);
  std::this_thread::sleep_for(100ms);  // until it is in stop()
  EXPECT_FALSE(instance->ended(now_ + 999ms));
  EXPECT_TRUE(instance->ended(now_ + 1s));
  EXPECT_EQ(instance->abandoned_lanes(), 1u);
  EXPECT_EQ(instance->abandoned_calls(), 1u);
}

TEST_F(HangingTest, DestroyThatHangsIsGivenUp) {
  const auto instance = make("destroy");
  run(*instance);
  ASSERT_TRUE(events_->wait_for("lane runs 0"));
  instance->request_stop(now_);
  ASSERT_TRUE(eventually([&] { return instance->lanes_returned(); }));
  for (int i = 0; i < 50; ++i) {  // until it is destroyed, which takes a while
    ASSERT_FALSE(instance->ended(now_ + 4s));
    std::this_thread::sleep_for(1ms);
  }
  EXPECT_TRUE(instance->ended(now_ + 4s + Instance::kCallTime));
  EXPECT_EQ(instance->abandoned_lanes(), 0u);
  EXPECT_EQ(instance->abandoned_calls(), 1u);
  EXPECT_THAT(instance->take_hung(), Contains(testing::Field(&Hung::what, "`destroy` did not return")));
}

}  // namespace
}  // namespace gatehouse
