#include "gateway/daemon/plugin_set.hpp"

#include "gateway/daemon/session_states.hpp"
#include "gateway/services/fds.hpp"

#include "tests/unit/gateway/plugin/test_folder.hpp"

#include <gatehouse/plugin/border.hpp>

#include <gmock/gmock.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <functional>
#include <memory>
#include <thread>

namespace gatehouse {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using State = ConfiguredPlugin::State;

class PluginSetTest : public testing::Test {
 protected:
  PluginSetTest() {
    services_.journal = std::make_shared<Journal>(-1, LogFormat::text);
    set_.emplace(services_, PluginSet::Events{[] {}, [this](const auto& all) { announced_ = all; }});
  }
  /// Of a file with these plugin tables.
  Config config(const std::string& plugins) {
    const std::filesystem::path file = folder_.path() / "gatehouse.toml";
    std::ofstream(file) << "[gateway]\nstate_dir = \"" << (folder_.path() / "state").string() << "\"\nruntime_dir = \""
                        << (folder_.path() / "run").string() << "\"\nplugin_dirs = [\""
                        << test_plugin("x").parent_path().string() << "\"]\nlane_timeout_seconds = " << lane_timeout_
                        << '\n'
                        << plugins;
    ConfigReading reading = read_config(file, {});
    for (const ConfigProblem& problem : reading.problems) ADD_FAILURE() << problem.to_string();
    return reading.config.value_or(Config());
  }
  static std::vector<std::string> sentences(const std::vector<ConfigProblem>& problems) {
    std::vector<std::string> out;
    for (const ConfigProblem& problem : problems) out.push_back(problem.sentence);
    return out;
  }
  void run(const std::string& plugins) {
    ASSERT_THAT(sentences(set_->load(config(plugins))), IsEmpty());
    ASSERT_THAT(sentences(set_->start()), IsEmpty());
  }
  /// `meanwhile` is called every few ms while the reload waits for plugins.
  std::vector<std::string> reload(
      const std::string& plugins, const std::function<void()>& meanwhile = [] {}) {
    const Config next = config(plugins);
    boost::asio::io_context io;
    std::optional<std::vector<ConfigProblem>> out;
    boost::asio::co_spawn(io, set_->reload(next),
                          [&out](const std::exception_ptr& failure, std::vector<ConfigProblem> problems) {
                            EXPECT_FALSE(failure);
                            out = std::move(problems);
                          });
    while (!out && io.run_one_for(50ms) > 0) meanwhile();
    return out ? sentences(*out) : std::vector<std::string>{"it never ends"};
  }
  /// At some port of loopback.
  static std::unique_ptr<BoundListener> listener_of_others() {
    ListenAddress any;
    any.text = "127.0.0.1:0";
    any.endpoint = Endpoint::parse(any.text).value();
    return std::make_unique<BoundListener>(1, "x", "listen", any, 1);
  }
  /// Of loopback, with nobody there.
  static std::uint16_t free_port() { return listener_of_others()->local().port; }
  /// Its options say where it hangs.
  static std::string hanging(const std::string& at, const std::string& name = "stuck") {
    return "[plugin." + name + "]\npath = \"" + test_plugin("hangs").string() + "\"\nlanes = 1\n[plugin." + name +
           ".options]\nat = \"" + at + "\"\n";
  }
  /// What is said of one session in `state` of each of `plugins`.
  std::vector<std::string> states(std::uint64_t state, const std::vector<std::string>& plugins) {
    std::vector<LiveSession> sessions(plugins.size());
    for (std::size_t i = 0; i < plugins.size(); ++i) {
      sessions[i].record.plugin = plugins[i];
      sessions[i].state[0] = state;
    }
    boost::asio::io_context io;
    DescribeState describe;
    boost::asio::co_spawn(io, describe_states(*set_, sessions), [&](const std::exception_ptr& failure, auto said) {
      EXPECT_FALSE(failure);
      describe = std::move(said);
    });
    while (!describe && io.run_one_for(50ms) > 0) static_cast<void>(set_->tick(steady_now()));
    std::vector<std::string> out;
    for (const LiveSession& session : sessions) out.push_back(describe ? describe(session) : "it never ends");
    return out;
  }
  void tick_until_all_left() {
    static_cast<void>(set_->tick(steady_now()));
    for (const SteadyTime end = steady_now() + 20s; !set_->leaving().empty() && steady_now() < end;) {
      static_cast<void>(set_->tick(steady_now()));
      std::this_thread::sleep_for(5ms);
    }
    ASSERT_THAT(set_->leaving(), IsEmpty());
  }
  std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (const auto& plugin : set_->plugins()) out.push_back(plugin->name());
    return out;
  }

  TestFolder folder_;
  int lane_timeout_ = 10;
  HostServices services_;
  std::vector<policy::OwnListener> announced_;
  std::optional<PluginSet> set_;
};

TEST_F(PluginSetTest, ReportsTheProblemsOfEveryPluginAtOnce) {
  const auto problems =
      set_->load(config("[plugin.other-major]\n[plugin.missing]\n[plugin.good]\n"
                        "[plugin.good.options]\nsise = 1\n"));
  EXPECT_THAT(sentences(problems),
              testing::UnorderedElementsAre(HasSubstr("built for plugin ABI 2.0"), HasSubstr("looked for missing.so"),
                                            HasSubstr("sise")));
}

TEST_F(PluginSetTest, TwoRolesHaveNotTheSameAddressByThemselves) {
  const std::string socket = (folder_.path() / "run" / "probing-api.sock").string();
  const std::string both = "[plugin.good]\nlisten = [\"unix:" + socket + "\"]\n[plugin.probing]\n";
  const auto is_taken = ElementsAre(HasSubstr("in `plugin.probing.listen_api` is taken by `plugin.good.listen`"));
  Config all = config(both);
  EXPECT_THAT(sentences(set_->load(all)), IsEmpty());
  EXPECT_THAT(sentences(set_->add_defaults(all)), is_taken);
  set_.emplace(services_, PluginSet::Events{[] {}, [](const auto&) {}});
  run("[plugin.good]\n");
  EXPECT_THAT(reload(both), is_taken);
}

TEST_F(PluginSetTest, LeavesAPluginAloneThatIsNotEnabled) {
  run("[plugin.good]\n[plugin.other-major]\nenabled = false\n");
  EXPECT_THAT(names(), ElementsAre("good"));
}

TEST_F(PluginSetTest, StartsNothingWhenOneAddressCannotBeBound) {
  ASSERT_THAT(set_->load(config("[plugin.good]\nlisten = [\"127.0.0.1:0\"]\n[plugin.lane-sticks]\nlisten = "
                                "[{address = \"192.0.2.1:1\", auth = \"none\"}]\n")),
              IsEmpty());
  EXPECT_THAT(sentences(set_->start()), ElementsAre(HasSubstr("this machine has no such address")));
  EXPECT_THAT(set_->plugins(), IsEmpty());
}

TEST_F(PluginSetTest, AsksPluginsWhatStatesOfSessionsMean) {
  run(hanging("", "speaks") + "[plugin.good]\n");
  EXPECT_THAT(states(7, {"speaks", "good", "unknown", "speaks"}), ElementsAre("state 7", "", "", "state 7"));
  EXPECT_THAT(states(0, {"speaks"}), ElementsAre("")) << "no state was set";
}

TEST_F(PluginSetTest, GivesUpAPluginThatNeverSaysWhatAStateMeans) {
  lane_timeout_ = 1;
  run(hanging("describe") + "[plugin.good]\n");
  EXPECT_THAT(states(7, {"stuck"}), ElementsAre(""));
  EXPECT_THAT(set_->plugins()[1]->failure(), HasSubstr("`describe` has not returned for 1 s"));
}

TEST_F(PluginSetTest, ClosesWhatAPluginHasKeptOnceItIsGoneForGood) {
  const std::string other = "[plugin.other]\npath = \"" + test_plugin("good").string() + "\"\n";
  run("[plugin.good]\n" + other);
  const PluginFds face(services_.fds, "good");
  std::array<std::int32_t, 2> ends{};
  ASSERT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
  ASSERT_EQ(face.table()->keep(face.table()->context, to_border("tun"), &ends[1], 1), GH_OK);
  close(ends[1]);
  const auto is_closed = [&](std::chrono::milliseconds within) {
    pollfd reader{ends[0], POLLIN, 0};
    for (const SteadyTime end = steady_now() + within; steady_now() < end && reader.revents == 0;) {
      static_cast<void>(set_->tick(steady_now()));
      poll(&reader, 1, 5);
    }
    return reader.revents != 0;
  };
  EXPECT_THAT(reload(other), IsEmpty());
  EXPECT_THAT(reload("[plugin.good]\n" + other), IsEmpty());
  EXPECT_FALSE(is_closed(300ms)) << "it has come back";
  EXPECT_THAT(reload(other), IsEmpty());
  EXPECT_TRUE(is_closed(5s));
  close(ends[0]);
}

// For the next one to take from whoever has it still, as a program in the kernel. One that was to come, and never ran,
// has had no occasion to.
TEST_F(PluginSetTest, KeepsWhatAPluginHasKeptWhoseThreadsNeverReturned) {
  run(hanging("lane"));
  const PluginFds face(services_.fds, "stuck");
  std::array<std::int32_t, 2> ends{};
  ASSERT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
  ASSERT_EQ(face.table()->keep(face.table()->context, to_border("links"), &ends[1], 1), GH_OK);
  EXPECT_THAT(reload(""), IsEmpty());
  tick_until_all_left();
  EXPECT_EQ(set_->abandoned_lanes(), 1u);
  const auto other = listener_of_others();
  EXPECT_THAT(reload(hanging("") + "[plugin.good]\nlisten = [\"" + other->local().to_string() + "\"]\n"),
              ElementsAre(HasSubstr("another program has it already")));
  tick_until_all_left();
  const PluginFds next(services_.fds, "stuck");
  std::int32_t taken = -1;
  std::size_t count = 0;
  EXPECT_EQ(next.table()->take(next.table()->context, to_border("links"), &taken, 1, &count), GH_OK);
  for (const int fd : {ends[0], ends[1], taken}) close(fd);
}

TEST_F(PluginSetTest, AnnouncesItsListeners) {
  run("[plugin.good]\nlisten = [\"127.0.0.1:0\", \"udp:127.0.0.1:0\"]\n");
  const auto& listeners = set_->plugins()[0]->settings().listeners;
  EXPECT_THAT(announced_, testing::UnorderedElementsAre(policy::OwnListener{listeners[0]->local(), GH_TRANSPORT_TCP},
                                                        policy::OwnListener{listeners[1]->local(), GH_TRANSPORT_UDP}));
}

TEST_F(PluginSetTest, ReloadsAddedAndRemovedPlugins) {
  run("[plugin.good]\n");
  EXPECT_THAT(reload("[plugin.second]\npath = \"" + test_plugin("good").string() + "\"\n"), IsEmpty());
  EXPECT_THAT(names(), ElementsAre("second"));
  EXPECT_EQ(set_->plugins()[0]->state(), State::running);
  EXPECT_FALSE(set_->stopped());
}

// Each kind of address, since each becomes free in its own way.
TEST_F(PluginSetTest, APluginThatComesBackWhileItDrainsHasItsAddressesAtOnce) {
  const std::string at = "127.0.0.1:" + std::to_string(free_port());
  const std::string plugin = "[plugin.strays]\nlisten = [\"" + at + "\", \"udp:" + at +
                             "\", \"unix:" + (folder_.path() / "x.sock").string() +
                             "\"]\n[plugin.strays.options]\nhow = \"nothing\"\n";  // it is never drained
  run(plugin);
  EXPECT_THAT(reload(""), IsEmpty());
  ASSERT_THAT(set_->leaving(), SizeIs(1));
  EXPECT_EQ(set_->leaving()[0]->state(), State::draining);
  EXPECT_THAT(reload(plugin), IsEmpty());
  EXPECT_THAT(names(), ElementsAre("strays"));
  EXPECT_EQ(set_->plugins()[0]->state(), State::running);
  EXPECT_THAT(set_->plugins()[0]->settings().listeners, SizeIs(3));
  EXPECT_THAT(set_->leaving(), IsEmpty());
}

TEST_F(PluginSetTest, AnAddressThatWasGivenUpIsHadAgainAtOnce) {
  const std::string port = std::to_string(free_port()), socket = (folder_.path() / "x.sock").string();
  const std::string second = "[plugin.second]\npath = \"" + test_plugin("good").string() + "\"\n";
  for (const std::string& at : {"127.0.0.1:" + port, "udp:127.0.0.1:" + port, "unix:" + socket}) {
    SCOPED_TRACE(at);
    const std::string listen = "listen = [\"" + at + "\"]\n";
    if (set_->plugins().empty()) run("[plugin.good]\n" + listen + second);
    EXPECT_THAT(reload("[plugin.good]\n" + listen + second), IsEmpty());
    EXPECT_THAT(reload("[plugin.good]\n" + second), IsEmpty());
    EXPECT_THAT(reload("[plugin.good]\n" + listen + second), IsEmpty()) << "by whoever had it";
    EXPECT_THAT(reload("[plugin.good]\n" + second), IsEmpty());
    EXPECT_THAT(reload("[plugin.good]\n" + second + listen), IsEmpty()) << "by another plugin";
    EXPECT_THAT(set_->plugins()[0]->settings().listeners, IsEmpty());
    EXPECT_THAT(set_->plugins()[1]->settings().listeners, SizeIs(1));
  }
}

TEST_F(PluginSetTest, APortThatAPluginHasInItsDrainIsWaitedFor) {
  const std::string listen = "listen = [\"udp:127.0.0.1:" + std::to_string(free_port()) + "\"]\n";
  run("[plugin.strays]\n" + listen + "[plugin.strays.options]\nhow = \"nothing\"\n");  // it is never drained
  EXPECT_THAT(reload(""), IsEmpty());
  EXPECT_THAT(reload("[plugin.good]\n" + listen), IsEmpty());
  EXPECT_THAT(set_->leaving(), IsEmpty());
}

// `good` gives up its address, and then `strays`, which drains, comes back at that one.
TEST_F(PluginSetTest, APluginThatComesBackWhileItDrainsWaitsForWhatAnotherGaveUp) {
  const std::string port = std::to_string(free_port());
  const std::string listen = "listen = [\"udp:127.0.0.1:" + port + "\"]\n";
  const std::string strays = "[plugin.strays]\n[plugin.strays.options]\nhow = \"nothing\"\n";  // it is never drained
  run("[plugin.good]\n" + listen + strays);
  EXPECT_THAT(reload("[plugin.good]\n" + listen), IsEmpty());
  EXPECT_THAT(reload("[plugin.good]\n"), IsEmpty());
  EXPECT_THAT(reload("[plugin.good]\n[plugin.strays]\n" + listen + "[plugin.strays.options]\nhow = \"nothing\"\n"),
              IsEmpty());
  ASSERT_THAT(names(), ElementsAre("good", "strays"));
  EXPECT_THAT(set_->plugins()[1]->settings().listeners, SizeIs(1));
}

// Nor is it said of an address which is about to be free that another program has it.
TEST_F(PluginSetTest, AReloadThatIsWrongAnywayWaitsForNoAddress) {
  const std::string listen = "listen = [\"udp:127.0.0.1:" + std::to_string(free_port()) + "\"]\n";
  run("[plugin.strays]\n" + listen + "[plugin.strays.options]\nhow = \"nothing\"\n");  // it is never drained
  EXPECT_THAT(reload(""), IsEmpty());
  EXPECT_THAT(reload("[plugin.good]\n" + listen + "[plugin.other-major]\n"),
              ElementsAre(HasSubstr("built for plugin ABI 2.0")));
  ASSERT_THAT(set_->leaving(), testing::Not(IsEmpty()));
  EXPECT_EQ(set_->leaving()[0]->state(), State::draining) << "nobody has waited for its end";
}

TEST_F(PluginSetTest, WhatAnotherProgramHasIsNotWaitedFor) {
  ListenAddress taken;
  taken.kind = ListenAddress::Kind::udp;
  taken.text = "udp:127.0.0.1:0";
  taken.endpoint = Endpoint::parse("127.0.0.1:0").value();
  const BoundListener other(1, "x", "listen", taken, 1);
  run("[plugin.good]\nlisten = [\"udp:127.0.0.1:0\"]\n");
  EXPECT_THAT(reload("[plugin.good]\n"), IsEmpty());
  const SteadyTime before = steady_now();
  EXPECT_THAT(reload("[plugin.good]\nlisten = [\"udp:" + other.local().to_string() + "\"]\n"),
              ElementsAre(HasSubstr("another program has it already")));
  EXPECT_LT(steady_now() - before, 1s);
}

TEST_F(PluginSetTest, OneThatDrainsIsNotEndedForAReloadThatIsRefused) {
  const std::string strays = "[plugin.strays]\n[plugin.strays.options]\nhow = \"nothing\"\n";
  run(strays);
  EXPECT_THAT(reload(""), IsEmpty());
  const auto other = listener_of_others();
  EXPECT_THAT(reload(strays + "[plugin.good]\nlisten = [\"" + other->local().to_string() + "\"]\n"),
              ElementsAre(HasSubstr("another program has it already")));
  ASSERT_THAT(set_->leaving(), testing::Not(IsEmpty()));
  EXPECT_EQ(set_->leaving()[0]->state(), State::draining);
}

TEST_F(PluginSetTest, APluginThatLeavesRefusesNewClientsAtOnce) {
  run("[plugin.strays]\nlisten = [\"127.0.0.1:0\"]\n[plugin.strays.options]\nhow = \"nothing\"\n");
  const Endpoint at = set_->plugins()[0]->settings().listeners[0]->local();
  EXPECT_THAT(reload(""), IsEmpty());
  const auto refused = [&] {
    static_cast<void>(set_->tick(steady_now()));
    const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(at.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0;
  };
  bool is_refused = false;
  for (const SteadyTime end = steady_now() + 1s; !is_refused && steady_now() < end; std::this_thread::sleep_for(10ms))
    is_refused = refused();
  EXPECT_TRUE(is_refused);
}

TEST_F(PluginSetTest, ReloadsListenersAndKeepsThoseThatStay) {
  run("[plugin.good]\nlisten = [\"127.0.0.1:0\"]\n");
  const auto kept = set_->plugins()[0]->settings().listeners[0];
  EXPECT_THAT(reload("[plugin.good]\nlisten = [\"127.0.0.1:0\", \"udp:127.0.0.1:0\"]\n"), IsEmpty());
  const auto& listeners = set_->plugins()[0]->settings().listeners;
  ASSERT_THAT(listeners, SizeIs(2));
  EXPECT_EQ(listeners[0], kept);
  EXPECT_THAT(announced_, SizeIs(2));
}

TEST_F(PluginSetTest, ChangesNothingWhenOnePluginOfAReloadIsRefused) {
  run("[plugin.good]\nlisten = [\"127.0.0.1:0\"]\n");
  const auto announced = announced_;
  EXPECT_THAT(reload("[plugin.good]\nlisten = [\"127.0.0.1:0\", \"udp:127.0.0.1:0\"]\n[plugin.other-major]\n"),
              ElementsAre(HasSubstr("built for plugin ABI 2.0")));
  EXPECT_THAT(names(), ElementsAre("good"));
  EXPECT_THAT(set_->plugins()[0]->settings().listeners, SizeIs(1));
  EXPECT_EQ(announced_, announced);
}

// `two-options.so` runs, but refuses at run time the change that its schema calls live.
TEST_F(PluginSetTest, UndoesAReloadThatAPluginRefusesAtTheLastMoment) {
  const std::string second = "[plugin.b]\npath = \"" + test_plugin("two-options").string() + "\"\n";
  run("[plugin.a]\npath = \"" + test_plugin("good").string() + "\"\n" + second);
  EXPECT_THAT(reload("[plugin.a]\npath = \"" + test_plugin("good").string() + "\"\nlisten = [\"127.0.0.1:0\"]\n" +
                     second + "[plugin.b.options]\nlive = \"restart\"\n[plugin.good]\n"),
              ElementsAre("the plugin b cannot change its options now: `size` needs a restart"));
  EXPECT_THAT(names(), ElementsAre("a", "b"));
  EXPECT_THAT(set_->plugins()[0]->settings().listeners, IsEmpty());
  EXPECT_THAT(announced_, IsEmpty());
}

TEST_F(PluginSetTest, NamesOptionsAndKeysThatOnlyARestartChanges) {
  run("[plugin.two-options]\nlanes = 1\n");
  EXPECT_THAT(reload("[plugin.two-options]\nlanes = 2\n[plugin.two-options.options]\nfixed = 2\nlive = \"x\"\n"),
              ElementsAre("`plugin.two-options.lanes` cannot change while the gateway runs: restart it",
                          "`plugin.two-options.options.fixed` cannot change while the gateway runs: restart it"));
}

TEST_F(PluginSetTest, APluginWhoseOptionsAreNeverJudgedIsAProblem) {
  lane_timeout_ = 1;
  EXPECT_THAT(sentences(set_->load(config("[plugin.good]\n" + hanging("check")))),
              ElementsAre("the plugin stuck hangs: `configure` has not returned for 1 s"));
}

TEST_F(PluginSetTest, StartsNothingWhenAPluginHangsInItsStart) {
  lane_timeout_ = 1;
  ASSERT_THAT(sentences(set_->load(config("[plugin.good]\n" + hanging("start")))), IsEmpty());
  EXPECT_THAT(sentences(set_->start()), ElementsAre("the plugin stuck hangs: `start` has not returned for 1 s"));
  EXPECT_THAT(set_->plugins(), IsEmpty());
}

TEST_F(PluginSetTest, RefusesAReloadInWhichAPluginHangs) {
  lane_timeout_ = 1;
  run("[plugin.good]\n" + hanging(""));
  int looks = 0;
  const auto problems = reload("[plugin.good]\n" + hanging("check") + hanging("", "more"), [&] {
    ++looks;
    static_cast<void>(set_->tick(steady_now()));
  });
  EXPECT_THAT(problems, ElementsAre("the plugin stuck hangs: `configure` has not returned for 1 s"));
  EXPECT_GT(looks, 5);
  EXPECT_THAT(names(), ElementsAre("good", "stuck"));
  static_cast<void>(set_->tick(steady_now()));
  EXPECT_EQ(set_->plugins()[0]->state(), State::running);
  EXPECT_EQ(set_->plugins()[1]->failure(), problems[0]);
  EXPECT_NE(set_->plugins()[1]->state(), State::running);  // it is being made anew
}

TEST_F(PluginSetTest, AddsNothingThatHangsInItsStart) {
  lane_timeout_ = 1;
  run("[plugin.good]\n");
  EXPECT_THAT(reload("[plugin.good]\nlisten = [\"127.0.0.1:0\"]\n" + hanging("start")),
              ElementsAre("the plugin stuck hangs: `start` has not returned for 1 s"));
  EXPECT_THAT(names(), ElementsAre("good"));
  EXPECT_THAT(set_->plugins()[0]->settings().listeners, IsEmpty());
  for (int i = 0; i < 1000 && set_->abandoned_calls() == 0; ++i, std::this_thread::sleep_for(1ms))
    static_cast<void>(set_->tick(steady_now()));
  EXPECT_EQ(set_->abandoned_calls(), 1u);
}

TEST_F(PluginSetTest, GivesUpAReloadWhenTheGatewayIsToEnd) {
  run("[plugin.good]\n" + hanging(""));
  const SteadyTime began = steady_now();
  const auto problems = reload("[plugin.good]\n" + hanging("check"), [&] { set_->drain(steady_now() + 1s); });
  EXPECT_THAT(problems, ElementsAre("the gateway is to end and takes no new configuration"));
  EXPECT_LT(steady_now() - began, 5s);
}

TEST_F(PluginSetTest, DrainsAndStops) {
  run("[plugin.good]\n[plugin.two-options]\n");
  set_->drain(steady_now() + 10s);
  for (const SteadyTime end = steady_now() + 2s; !set_->stopped() && steady_now() < end;) {
    static_cast<void>(set_->tick(steady_now()));
    std::this_thread::sleep_for(1ms);
  }
  EXPECT_TRUE(set_->stopped());
  EXPECT_EQ(set_->abandoned_lanes(), 0u);
}

}  // namespace
}  // namespace gatehouse
