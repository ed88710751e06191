#include "gateway/plugin/configured_plugin.hpp"

#include "gateway/base/refusal.hpp"
#include "tests/unit/gateway/plugin/test_folder.hpp"

#include <gmock/gmock.h>

#include <atomic>
#include <thread>

namespace gatehouse {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using State = ConfiguredPlugin::State;

constexpr std::int32_t kSilent = -1;

ListenAddress tcp(const std::string& text) {
  ListenAddress address;
  address.text = text;
  address.endpoint = Endpoint::parse(text).value();
  return address;
}

class ConfiguredPluginTest : public testing::Test {
 protected:
  ConfiguredPluginTest() { services_.journal = std::make_shared<Journal>(kSilent, LogFormat::text); }

  void make(const std::string& fixture, std::vector<ListenAddress> listen = {}, std::string options = "{}") {
    PluginSettings settings;
    settings.config.name = "one";
    settings.config.lanes = 1;
    if (!listen.empty()) settings.config.listeners["listen"] = std::move(listen);
    settings.options = std::move(options);
    plugin_ = std::make_unique<ConfiguredPlugin>(
        load_plugin(test_plugin(fixture), folder_.path() / "copies", offered_interfaces()), std::move(settings),
        services_, [this] { ++ended_lanes_; });
  }
  /// Ticks at the time `now` until the plugin is in `state`; lanes get two seconds of real time for it.
  bool reaches(State state, SteadyTime now) {
    for (const SteadyTime end = steady_now() + 2s; steady_now() < end; std::this_thread::sleep_for(1ms)) {
      due_ = plugin_->tick(now);
      if (plugin_->state() == state) return true;
    }
    return false;
  }

  TestFolder folder_;
  HostServices services_;
  std::atomic<int> ended_lanes_{0};
  std::unique_ptr<ConfiguredPlugin> plugin_;
  SteadyTime due_;
  SteadyTime now_ = steady_now();
};

TEST_F(ConfiguredPluginTest, RunsAndStops) {
  make("good");
  plugin_->start();
  EXPECT_EQ(plugin_->state(), State::running);
  plugin_->stop(now_);
  EXPECT_TRUE(reaches(State::stopped, now_));
  EXPECT_EQ(ended_lanes_, 1);
}

TEST_F(ConfiguredPluginTest, StopsWhenItsClientsHaveLeft) {
  make("good", {}, "busy");
  plugin_->start();
  EXPECT_EQ(plugin_->pending(), 3u);
  plugin_->drain(now_ + 10s);
  EXPECT_EQ(plugin_->state_name(), "draining");
  EXPECT_TRUE(reaches(State::stopped, now_));
}

TEST_F(ConfiguredPluginTest, IsMadeAnewOneSecondAfterAFailure) {
  make("lane-fails");
  plugin_->start();
  ASSERT_TRUE(reaches(State::waiting, now_));
  EXPECT_EQ(plugin_->failure(), "lane 0 failed: the socket burst");
  EXPECT_EQ(due_, now_ + 1s);
  EXPECT_EQ(plugin_->restarts(), 0u);
  static_cast<void>(plugin_->tick(now_ + 1s));
  EXPECT_EQ(plugin_->state(), State::running);
  EXPECT_EQ(plugin_->restarts(), 1u);
}

TEST_F(ConfiguredPluginTest, WaitsTwiceAsLongEachTimeAndIsQuarantinedAtTheFifthFailure) {
  make("lane-fails");
  plugin_->start();
  for (const auto pause : {1s, 2s, 4s, 8s}) {
    ASSERT_TRUE(reaches(State::waiting, now_));
    EXPECT_EQ(due_, now_ + pause);
    now_ = due_;
    static_cast<void>(plugin_->tick(now_));
    ASSERT_EQ(plugin_->state(), State::running);
  }
  EXPECT_TRUE(reaches(State::quarantined, now_));
  EXPECT_EQ(due_, SteadyTime::max());
  plugin_->restart_if_quarantined();
  EXPECT_TRUE(reaches(State::running, now_));
}

TEST_F(ConfiguredPluginTest, ForgetsFailuresAfterTenMinutes) {
  make("lane-fails");
  plugin_->start();
  for (int i = 0; i < 8; ++i) {
    ASSERT_TRUE(reaches(State::waiting, now_));
    EXPECT_EQ(due_, now_ + 1s);
    now_ += 11min;
    static_cast<void>(plugin_->tick(now_));
    ASSERT_EQ(plugin_->state(), State::running);
  }
}

TEST_F(ConfiguredPluginTest, IsNotMadeAnewOnceDrained) {
  make("lane-fails");
  plugin_->start();
  plugin_->drain(now_ + 10s);
  EXPECT_TRUE(reaches(State::stopped, now_));
}

TEST_F(ConfiguredPluginTest, GivesUpALaneThatNeverReturns) {
  make("lane-sticks");
  plugin_->start();
  plugin_->stop(now_);
  static_cast<void>(plugin_->tick(now_ + 999ms));
  EXPECT_EQ(plugin_->state(), State::ending);
  static_cast<void>(plugin_->tick(now_ + 1s));
  EXPECT_EQ(plugin_->state(), State::stopped);
  EXPECT_EQ(plugin_->abandoned_lanes(), 1u);
}

TEST_F(ConfiguredPluginTest, NamesEachAddressThatCannotBeBound) {
  make("good", {tcp("127.0.0.1:0"), tcp("192.0.2.1:1"), tcp("192.0.2.1:2")});
  EXPECT_THAT(plugin_->bind(), ElementsAre(HasSubstr("192.0.2.1:1"), HasSubstr("192.0.2.1:2")));
  EXPECT_EQ(plugin_->settings().listeners.size(), 1u);
}

TEST_F(ConfiguredPluginTest, ChecksOptionsBeforeItRunsAndWhileItRuns) {
  make("good");
  EXPECT_THROW(plugin_->check("unacceptable"), Refusal);
  plugin_->start();
  EXPECT_THROW(plugin_->check("unacceptable"), Refusal);
  plugin_->check("{}");
}

TEST_F(ConfiguredPluginTest, KeepsTheListenerOfAnUnchangedAddress) {
  make("good", {tcp("127.0.0.1:0")});
  ASSERT_TRUE(plugin_->bind().empty());
  plugin_->start();
  const auto kept = plugin_->settings().listeners[0];
  PluginConfig next = plugin_->settings().config;
  next.listeners["listen"].push_back(tcp("127.0.0.2:0"));

  const PluginSettings before = plugin_->apply(plugin_->prepare(next, "{}"));
  plugin_->retire_unused(before);
  ASSERT_EQ(plugin_->settings().listeners.size(), 2u);
  EXPECT_EQ(plugin_->settings().listeners[0], kept);
  EXPECT_NE(plugin_->settings().listeners[1]->id(), kept->id());
}

TEST_F(ConfiguredPluginTest, StaysAsItWasWhenAChangeIsRefused) {
  make("good", {tcp("127.0.0.1:0")});
  ASSERT_TRUE(plugin_->bind().empty());
  plugin_->start();
  PluginSettings next = plugin_->prepare(plugin_->settings().config, "restart");
  EXPECT_THROW(static_cast<void>(plugin_->apply(std::move(next))), Refusal);
  EXPECT_EQ(plugin_->settings().options, "{}");
}

TEST_F(ConfiguredPluginTest, NamesWhatNeedsARestart) {
  make("good", {tcp("127.0.0.1:0")});
  PluginConfig next = plugin_->settings().config;
  EXPECT_THAT(plugin_->needs_restart(next), ElementsAre());
  next.lanes = 2;
  next.allow_local_destinations = true;
  next.listeners["listen"][0].identity = "unix:bob";
  EXPECT_THAT(plugin_->needs_restart(next),
              ElementsAre("plugin.one.lanes", "plugin.one.allow_local_destinations",
                          "plugin.one.listen (auth, identity, mode or group of 127.0.0.1:0)"));
}

}  // namespace
}  // namespace gatehouse
