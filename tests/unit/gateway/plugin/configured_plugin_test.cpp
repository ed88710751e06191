#include "gateway/plugin/configured_plugin.hpp"

#include "tests/unit/gateway/plugin/test_folder.hpp"

#include <gatehouse/plugin/border.hpp>

#include <gmock/gmock.h>

#include <sys/socket.h>
#include <unistd.h>

#include <array>
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
        services_, [this] { ++moves_; });
  }
  /// Waits up to two seconds. What the call was refused with, or "".
  static std::string refusal(const ConfiguredPlugin::Call& call) {
    for (const SteadyTime end = steady_now() + 2s; steady_now() < end; std::this_thread::sleep_for(1ms)) {
      if (call->is_over()) return call->refusal().value_or("");
    }
    return "it is not over";
  }
  void start() {
    ASSERT_EQ(refusal(plugin_->start()), "");
    plugin_->finish_start(now_);
    ASSERT_EQ(plugin_->state(), State::running);
  }
  /// What apply() and take_over() do together. @return the refusal, or ""
  std::string change(PluginSettings next) {
    const auto call = plugin_->apply(next);
    if (call) {
      if (std::string why = refusal(call); !why.empty()) return why;
    }
    plugin_->retire_unused(plugin_->take_over(std::move(next)));
    return "";
  }
  /// Ticks at the time `now` until the plugin is in `state`; lanes get two seconds of real time for it.
  bool reaches(State state, SteadyTime now) {
    for (const SteadyTime end = steady_now() + 2s; steady_now() < end; std::this_thread::sleep_for(1ms)) {
      due_ = plugin_->tick(now);
      if (plugin_->state() == state) return true;
    }
    return false;
  }

  /// Ticks once a second of now_, which runs fifty times as fast as ours, until the plugin is in another state.
  void tick_while(State state) {
    for (int i = 0; i < 20; ++i, now_ += 1s) {
      static_cast<void>(plugin_->tick(now_));
      if (plugin_->state() != state) return;
      std::this_thread::sleep_for(20ms);
    }
  }

  TestFolder folder_;
  HostServices services_;
  std::atomic<int> moves_{0};  // lanes that ended, and calls that were over
  std::unique_ptr<ConfiguredPlugin> plugin_;
  SteadyTime due_;
  SteadyTime now_ = steady_now();
};

TEST_F(ConfiguredPluginTest, RunsAndStops) {
  make("good");
  start();
  plugin_->stop(now_);
  EXPECT_TRUE(reaches(State::stopped, now_));
  EXPECT_TRUE(plugin_->stopped());
  EXPECT_GE(moves_, 1);
}

TEST_F(ConfiguredPluginTest, StopsWhenItsClientsHaveLeft) {
  make("good", {}, "busy");
  start();
  for (int i = 0; i < 1000 && plugin_->pending() == 0; ++i, std::this_thread::sleep_for(1ms))
    static_cast<void>(plugin_->tick(now_));
  EXPECT_EQ(plugin_->pending(), 3u);
  plugin_->drain(now_ + 10s);
  EXPECT_EQ(plugin_->state_name(), "draining");
  EXPECT_TRUE(reaches(State::stopped, now_));
}

TEST_F(ConfiguredPluginTest, IsMadeAnewOneSecondAfterAFailure) {
  make("lane-fails");
  start();
  ASSERT_TRUE(reaches(State::waiting, now_));
  EXPECT_EQ(plugin_->failure(), "lane 0 failed: the socket burst");
  EXPECT_EQ(due_, now_ + 1s);
  EXPECT_EQ(plugin_->restarts(), 0u);
  EXPECT_TRUE(reaches(State::running, now_ + 1s));
  EXPECT_EQ(plugin_->restarts(), 1u);
}

TEST_F(ConfiguredPluginTest, WaitsTwiceAsLongEachTimeAndIsQuarantinedAtTheFifthFailure) {
  make("lane-fails");
  start();
  for (const auto pause : {1s, 2s, 4s, 8s}) {
    ASSERT_TRUE(reaches(State::waiting, now_));
    EXPECT_EQ(due_, now_ + pause);
    now_ = due_;
    ASSERT_TRUE(reaches(State::running, now_));
  }
  EXPECT_TRUE(reaches(State::quarantined, now_));
  EXPECT_EQ(due_, SteadyTime::max());
  plugin_->restart_if_quarantined();
  EXPECT_TRUE(reaches(State::running, now_));
}

TEST_F(ConfiguredPluginTest, ForgetsFailuresAfterTenMinutes) {
  make("lane-fails");
  start();
  for (int i = 0; i < 8; ++i) {
    ASSERT_TRUE(reaches(State::waiting, now_));
    EXPECT_EQ(due_, now_ + 1s);
    now_ += 11min;
    ASSERT_TRUE(reaches(State::running, now_));
  }
}

TEST_F(ConfiguredPluginTest, IsNotMadeAnewOnceDrained) {
  make("lane-fails");
  start();
  plugin_->drain(now_ + 10s);
  EXPECT_TRUE(reaches(State::stopped, now_));
}

TEST_F(ConfiguredPluginTest, GivesUpALaneThatNeverReturns) {
  make("lane-sticks");
  start();
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
  EXPECT_THAT(refusal(plugin_->check("unacceptable")), HasSubstr("that is unacceptable"));
  start();
  EXPECT_THAT(refusal(plugin_->check("unacceptable")), HasSubstr("that is unacceptable"));
  EXPECT_EQ(refusal(plugin_->check("{}")), "");
}

TEST_F(ConfiguredPluginTest, KeepsTheListenerOfAnUnchangedAddress) {
  make("good", {tcp("127.0.0.1:0")});
  ASSERT_TRUE(plugin_->bind().empty());
  start();
  const auto kept = plugin_->settings().listeners[0];
  PluginConfig next = plugin_->settings().config;
  next.listeners["listen"].push_back(tcp("127.0.0.2:0"));

  EXPECT_EQ(change(plugin_->prepare(next, "{}")), "");
  ASSERT_EQ(plugin_->settings().listeners.size(), 2u);
  EXPECT_EQ(plugin_->settings().listeners[0], kept);
  EXPECT_NE(plugin_->settings().listeners[1]->id(), kept->id());
}

TEST_F(ConfiguredPluginTest, StaysAsItWasWhenAChangeIsRefused) {
  make("good", {tcp("127.0.0.1:0")});
  ASSERT_TRUE(plugin_->bind().empty());
  start();
  EXPECT_NE(change(plugin_->prepare(plugin_->settings().config, "restart")), "");
  EXPECT_EQ(plugin_->settings().options, "{}");
}

TEST_F(ConfiguredPluginTest, IsMadeAnewWhenALaneHangs) {
  services_.plugin_timeout->store(5s);
  make("hangs", {tcp("127.0.0.1:0")}, R"({"at":"lane-once"})");
  ASSERT_TRUE(plugin_->bind().empty());
  start();
  tick_while(State::running);
  EXPECT_EQ(plugin_->failure(), "lane 0 hangs: it has not moved for 5 s");
  ASSERT_EQ(plugin_->hung().size(), 1u);
  EXPECT_THAT(plugin_->hung()[0].stack, testing::Contains(HasSubstr("hang_here")));
  ASSERT_TRUE(reaches(State::ending, now_));  // it serves nobody
  now_ += Instance::kStopTime;
  ASSERT_TRUE(reaches(State::waiting, now_));
  EXPECT_EQ(plugin_->abandoned_lanes(), 1u);
  const auto listener = plugin_->settings().listeners[0];
  ASSERT_TRUE(reaches(State::running, due_));
  EXPECT_EQ(plugin_->failure(), "");
  for (const Hung& one : plugin_->hung()) EXPECT_EQ(one.what, "lane 0 hangs: it has not moved for 5 s");
  EXPECT_EQ(plugin_->hung().size(), 1u);
  EXPECT_EQ(plugin_->settings().listeners[0], listener);
}

/// Connected to it.
UniqueFd connect_to(const Endpoint& at) {
  sockaddr_storage address;
  const unsigned size = at.to_sockaddr(address);
  UniqueFd out(socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval patience{5, 0};
  setsockopt(out.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return connect(out.get(), reinterpret_cast<const sockaddr*>(&address), size) == 0 ? std::move(out) : UniqueFd();
}

TEST_F(ConfiguredPluginTest, TellsTheClientsOfALaneThatHangs) {
  services_.plugin_timeout->store(5s);
  make("hangs", {tcp("127.0.0.1:0")}, R"({"at":"lane-once-accepts"})");
  ASSERT_TRUE(plugin_->bind().empty());
  start();
  const Endpoint at = plugin_->settings().listeners[0]->local();
  const UniqueFd client = connect_to(at);
  ASSERT_TRUE(client);
  tick_while(State::running);
  ASSERT_TRUE(reaches(State::ending, now_));
  now_ += Instance::kStopTime;
  ASSERT_TRUE(reaches(State::waiting, now_));
  char byte;
  EXPECT_EQ(recv(client.get(), &byte, 1, 0), 0) << "it may connect again, to the next instance";
  EXPECT_TRUE(connect_to(at));
  EXPECT_TRUE(reaches(State::running, due_));
}

TEST_F(ConfiguredPluginTest, IsMadeAnewWhenACallHangs) {
  services_.plugin_timeout->store(5s);
  make("hangs");
  start();
  const auto check = plugin_->check(R"({"at":"check"})");
  tick_while(State::running);
  EXPECT_EQ(plugin_->failure(), "the plugin one hangs: `configure` has not returned for 5 s");
  EXPECT_EQ(refusal(check), plugin_->failure());
  ASSERT_TRUE(reaches(State::waiting, now_));
  EXPECT_EQ(plugin_->abandoned_lanes(), 0u);
  EXPECT_EQ(plugin_->abandoned_calls(), 1u);
  EXPECT_TRUE(reaches(State::running, due_));
}

TEST_F(ConfiguredPluginTest, AStartThatHangsIsAFailure) {
  services_.plugin_timeout->store(5s);
  make("hangs", {}, R"({"at":"start"})");
  static_cast<void>(plugin_->start());
  tick_while(State::starting);
  EXPECT_EQ(plugin_->state(), State::waiting);
  EXPECT_EQ(plugin_->failure(), "the plugin one hangs: `start` has not returned for 5 s");
  plugin_->stop(now_);
  for (int i = 0; i < 2000 && !plugin_->stopped(); ++i, std::this_thread::sleep_for(1ms))
    static_cast<void>(plugin_->tick(now_));  // until gh-one-w has come to its stop()
  EXPECT_TRUE(plugin_->stopped());
  EXPECT_EQ(plugin_->abandoned_calls(), 1u);
}

TEST_F(ConfiguredPluginTest, ClosesWhatAnEarlierInstanceKeptAndNobodyTook) {
  const PluginFds earlier(services_.fds, "one"), other(services_.fds, "two");
  std::array<std::int32_t, 2> ends{};
  ASSERT_EQ(pipe(ends.data()), 0);
  for (const PluginFds* const face : {&earlier, &other})
    ASSERT_EQ(face->table()->keep(face->table()->context, to_border("tun"), &ends[1], 1), GH_OK);
  close(ends[1]);
  const auto is_kept = [](const PluginFds& face) {
    std::int32_t fd = -1;
    std::size_t count = 0;
    return face.table()->take(face.table()->context, to_border("tun"), &fd, 0, &count) == GH_E_LIMIT;
  };
  make("good");
  start();
  static_cast<void>(plugin_->tick(now_ + 9s));
  EXPECT_TRUE(is_kept(earlier));
  static_cast<void>(plugin_->tick(now_ + 10s));
  EXPECT_FALSE(is_kept(earlier));
  EXPECT_TRUE(is_kept(other));  // another plugin's
  close(ends[0]);
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
                          "plugin.one.listen (tls, auth, opening, proxies, identity, mode or group of 127.0.0.1:0)"));
}

TEST_F(ConfiguredPluginTest, TakesOtherFilesOfTlsButNoOtherWayToBegin) {
  ListenAddress address = tcp("127.0.0.1:0");
  address.tls = TlsConfig{"/a/chain.pem", "/a/key.pem", {}, {}, false};
  make("openings", {address});
  const auto is_fixed = [&](auto change) {
    PluginConfig next = plugin_->settings().config;
    change(next.listeners["listen"][0]);
    return !plugin_->needs_restart(next).empty();
  };
  EXPECT_FALSE(is_fixed([](ListenAddress& one) { one.tls->key = one.tls->client_ca = "/b/all.pem"; }));
  EXPECT_TRUE(is_fixed([](ListenAddress& one) { one.tls.reset(); }));
  EXPECT_TRUE(is_fixed([](ListenAddress& one) { one.auth.token = true; }));
  EXPECT_TRUE(is_fixed([](ListenAddress& one) { one.http_opening = true; }));
  EXPECT_TRUE(is_fixed([](ListenAddress& one) { one.proxy_protocol = true; }));
  EXPECT_TRUE(is_fixed([](ListenAddress& one) { one.origins = {"https://app.example"}; }));
  EXPECT_TRUE(is_fixed([](ListenAddress& one) { one.trusted_proxies = {Prefix::parse("10.0.0.0/8").value()}; }));
}

}  // namespace
}  // namespace gatehouse
