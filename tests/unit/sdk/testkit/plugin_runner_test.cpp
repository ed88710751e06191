// A plugin with listeners of every kind on two lanes, and what LanePlugin tells its workers.
#include <gatehouse/testkit/plugin_runner.hpp>

#include <gatehouse/net/stream_listener.hpp>
#include <gatehouse/net/udp_listener.hpp>
#include <gatehouse/plugin/lane_plugin.hpp>

#include <gmock/gmock.h>

#include <linux/filter.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <map>

namespace gatehouse {
namespace {

using namespace std::chrono_literals;
using testing::AnyOf;
using testing::ElementsAre;
using testkit::TestListener;

/// What workers have seen, over all lanes. The test looks while they run.
struct Seen {
  std::mutex mutex;  // guards what follows
  std::uint32_t lanes = 0;
  std::size_t listeners = 0;
  std::vector<std::string> clients;  // "role identity lane"
  std::vector<std::uint64_t> generations;
  int certificates = 0, ranges = 0;

  template <class Look>
  auto look(Look look_at) {
    const std::scoped_lock lock(mutex);
    return look_at(*this);
  }
};
Seen* seen = nullptr;  // of the test under way: a manifest has no room for it

struct Settings {
  explicit Settings(const Options&) {}
  void check_change(const Settings&) const {}
};

struct Shared {
  /// To the lane that the first bit of the payload's first byte names.
  static void steer(int fd) {
    sock_filter code[] = {
        {BPF_LD | BPF_B | BPF_ABS, 0, 0, 0}, {BPF_ALU | BPF_AND | BPF_K, 0, 0, 1}, {BPF_RET | BPF_A, 0, 0, 0}};
    const sock_fprog program{static_cast<unsigned short>(std::size(code)), code};
    EXPECT_EQ(setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program), 0);
  }
  Shared(const StartContext& context, const Settings&) {
    for (const Listener& listener : context.listeners)
      if (listener.transport == Transport::udp && listener.lane == 0) steer(listener.fd);
    seen->look([&](Seen& at) {
      at.lanes = context.lanes;
      at.listeners = context.listeners.size();
      return 0;
    });
  }
};

class Worker final : public LaneWorker {
 public:
  Worker(const LaneContext& context, std::shared_ptr<const Settings>, Shared&) : context_(context) {}
  void configure(const std::shared_ptr<const Settings>&) {}
  void listen(const std::vector<Listener>& listeners) override {
    streams_.clear();
    datagrams_.clear();
    for (const Listener& listener : listeners) {
      const auto came = [this, listener] {
        seen->look([&](Seen& at) {
          at.clients.push_back(listener.role + ' ' + listener.identity + ' ' + std::to_string(context_.lane->index));
          return 0;
        });
      };
      if (listener.transport == Transport::udp) {
        datagrams_.push_back(
            std::make_unique<UdpListener>(context_.loop.poller(), listener.fd, [came](auto) { came(); }));
      } else {
        streams_.push_back(std::make_unique<StreamListener>(
            context_.loop, listener.fd, [came](Stream) { came(); }, [](const Error&) {}));
      }
    }
  }
  void drain(SteadyTime) override {}
  void policy_changed(std::uint64_t generation) override {
    seen->look([&](Seen& at) {
      if (context_.lane->index == 0) at.generations.push_back(generation);
      return 0;
    });
  }
  void woken(WakeReasons why) override {
    seen->look([&](Seen& at) {
      at.certificates += why.certificates ? 1 : 0;
      at.ranges += why.ranges ? 1 : 0;
      return 0;
    });
  }

 private:
  LaneContext context_;
  std::vector<std::unique_ptr<StreamListener>> streams_;
  std::vector<std::unique_ptr<UdpListener>> datagrams_;
};

class TestPlugin final : public LanePlugin<Worker, Settings, Shared> {
  using LanePlugin::LanePlugin;
};

constexpr gh_listener_role kRoles[] = {make_role("listen", RoleKind::both, true)};
const gh_manifest kManifest =
    make_manifest<TestPlugin>({.id = "test", .version = "1", .summary = "Remembers.", .roles = kRoles});

class PluginRunnerTest : public testing::Test {
 protected:
  PluginRunnerTest() { seen = &seen_; }
  template <class Done>
  static bool eventually(Done done) {
    for (const SteadyTime end = steady_now() + 5s; steady_now() < end; std::this_thread::sleep_for(1ms))
      if (done()) return true;
    return false;
  }
  /// What the next client is taken for.
  std::string next_client(std::size_t before) {
    EXPECT_TRUE(eventually([&] { return seen_.look([](Seen& at) { return at.clients.size(); }) > before; }));
    return seen_.look([](Seen& at) { return at.clients.empty() ? std::string() : at.clients.back(); });
  }
  static UniqueFd connect_to(int type, const Endpoint& to) {
    UniqueFd fd(socket(to.address.family() == Family::v6 ? AF_INET6 : AF_INET, type, 0));
    sockaddr_storage address{};
    const socklen_t size = to.to_sockaddr(address);
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), size), 0);
    return fd;
  }

  Seen seen_;
  testkit::FakeHost host_;
};

TEST_F(PluginRunnerTest, ServesListenersOfEveryKindRoleAndFamily) {
  testkit::PluginRunner runner(kManifest, host_, "{}", 2,
                               {{.transport = GH_TRANSPORT_TCP},
                                {.transport = GH_TRANSPORT_TCP, .role = "listen_api", .family = Family::v6},
                                {.transport = GH_TRANSPORT_UNIX, .identity = "unix:bob"},
                                {.transport = GH_TRANSPORT_UDP, .family = Family::v6}});
  EXPECT_EQ(seen_.look([](Seen& at) { return at.lanes; }), 2u);
  EXPECT_EQ(seen_.look([](Seen& at) { return at.listeners; }), 8u) << "four, for each of two lanes";
  const UniqueFd v4 = connect_to(SOCK_STREAM, runner.address(0));
  EXPECT_THAT(next_client(0), AnyOf("listen  0", "listen  1"));
  const UniqueFd v6 = connect_to(SOCK_STREAM, runner.address(1));
  EXPECT_THAT(next_client(1), AnyOf("listen_api  0", "listen_api  1"));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  runner.path(2).string().copy(address.sun_path, sizeof address.sun_path - 1);
  const UniqueFd local(socket(AF_UNIX, SOCK_STREAM, 0));
  ASSERT_EQ(connect(local.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_THAT(next_client(2), AnyOf("listen unix:bob 0", "listen unix:bob 1"));
  const UniqueFd datagram = connect_to(SOCK_DGRAM, runner.address(3));
  ASSERT_EQ(send(datagram.get(), "x", 1, 0), 1);
  EXPECT_THAT(next_client(3), AnyOf("listen  0", "listen  1"));
}

TEST_F(PluginRunnerTest, SteersDatagramsToTheLaneThatAProgramPicks) {
  testkit::PluginRunner runner(kManifest, host_, "{}", 2, GH_TRANSPORT_UDP);
  const UniqueFd datagram = connect_to(SOCK_DGRAM, runner.address());
  std::size_t sent = 0;
  for (const char lane : {'1', '0', '1', '1', '0'}) {
    ASSERT_EQ(send(datagram.get(), &lane, 1, 0), 1);
    EXPECT_EQ(next_client(sent++), std::string("listen  ") + lane);
  }
}

TEST_F(PluginRunnerTest, RemovesItsUnixSockets) {
  std::filesystem::path path;
  {
    const testkit::PluginRunner runner(kManifest, host_, "{}", 1, {{.transport = GH_TRANSPORT_UNIX}});
    path = runner.path(0);
    EXPECT_TRUE(std::filesystem::exists(path));
  }
  EXPECT_FALSE(std::filesystem::exists(path.parent_path()));
}

TEST_F(PluginRunnerTest, ServesTheListenersThatAreLeft) {
  testkit::PluginRunner runner(kManifest, host_, "{}", 2, {{.transport = GH_TRANSPORT_TCP}, {.role = "listen_api"}});
  std::string why;
  ASSERT_EQ(runner.keep_listeners({1}, why), GH_OK) << why;
  const UniqueFd client = connect_to(SOCK_STREAM, runner.address(1));
  EXPECT_THAT(next_client(0), AnyOf("listen_api  0", "listen_api  1"));
}

TEST_F(PluginRunnerTest, TellsAWorkerOfAPolicyOnceForEachGeneration) {
  testkit::PluginRunner runner(kManifest, host_, "{}", 1, GH_TRANSPORT_TCP);
  const auto generations = [this] { return seen_.look([](Seen& at) { return at.generations; }); };
  const auto settled = [&](std::size_t count) { return eventually([&] { return generations().size() == count; }); };
  runner.policy_changed();
  ASSERT_TRUE(settled(1)) << "the first turn takes the policy that there is";
  for (int i = 0; i < 3; ++i) runner.policy_changed();
  host_.set_policy({});
  runner.policy_changed();
  ASSERT_TRUE(settled(2));
  EXPECT_THAT(generations(), ElementsAre(1u, 2u)) << "waking a lane without a new policy tells it nothing";
}

TEST_F(PluginRunnerTest, PassesOnWhyALaneWasWokenAndRaisesItsHeartbeat) {
  testkit::PluginRunner runner(kManifest, host_, "{}", 2, GH_TRANSPORT_TCP);
  ASSERT_TRUE(eventually([&] { return runner.turns(0) > 0 && runner.turns(1) > 0; }));
  runner.wake(GH_WAKE_CERTIFICATES | GH_WAKE_RANGES | GH_WAKE_POLICY);
  EXPECT_TRUE(eventually([&] { return seen_.look([](Seen& at) { return at.certificates == 2 && at.ranges == 2; }); }));
  const std::uint64_t before = runner.turns(1);
  runner.wake(GH_WAKE_ALIVE);
  EXPECT_TRUE(eventually([&] { return runner.turns(1) > before; }));
  EXPECT_EQ(seen_.look([](Seen& at) { return at.certificates; }), 2);
}

struct Withholding final : testkit::HostInterposer {
  const void* get(const char* id, const void* offered) override {
    return std::string_view(id) == GH_BUDGET_ID ? nullptr : offered;
  }
};

TEST_F(PluginRunnerTest, LetsAnInterposerAnswerInPlaceOfTheHost) {
  Withholding between;
  host_.interpose(&between);
  const gh_host* const table = host_.table();
  EXPECT_EQ(table->get(table->context, GH_BUDGET_ID), nullptr);
  EXPECT_NE(table->get(table->context, GH_POLICY_ID), nullptr);
}

TEST_F(PluginRunnerTest, TellsAnInterposerWhoseThreadsTheLanesAre) {
  struct Seeing final : testkit::HostInterposer {
    const void* get(const char*, const void* offered) override { return offered; }
    void lane_begins(const gh_lane& lane) override { ++lanes.at(lane.index); }
    std::array<std::atomic<int>, 2> lanes{};
  } between;
  host_.interpose(&between);
  testkit::PluginRunner runner(kManifest, host_, "{}", 2, GH_TRANSPORT_TCP);
  EXPECT_TRUE(eventually([&] { return between.lanes[0] == 1 && between.lanes[1] == 1; }));
  runner.stop();
}

TEST_F(PluginRunnerTest, StartsTheSameInstanceAgain) {
  testkit::PluginRunner runner(kManifest, host_, "{}", 1, GH_TRANSPORT_TCP);
  runner.stop();
  const std::uint64_t before = runner.turns(0);
  runner.start_again();
  EXPECT_TRUE(eventually([&] { return runner.turns(0) > before; }));
  const UniqueFd client = connect_to(SOCK_STREAM, runner.address());
  EXPECT_EQ(next_client(0), "listen  0");
}

TEST_F(PluginRunnerTest, RunsAPluginInAHostWhoseStructsHaveGrown) {
  host_.pretend_later_minor();
  testkit::PluginRunner runner(kManifest, host_, "{}", 2, {{.transport = GH_TRANSPORT_TCP}, {.role = "listen_api"}});
  const UniqueFd client = connect_to(SOCK_STREAM, runner.address(1));
  EXPECT_THAT(next_client(0), AnyOf("listen_api  0", "listen_api  1"));
}

}  // namespace
}  // namespace gatehouse
