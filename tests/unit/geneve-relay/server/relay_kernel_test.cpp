// The relay with its way in the kernel, where a host gives it one VNI: between two network namespaces.
#include "tests/unit/geneve-relay/server/relay_rig.hpp"
#include "tests/unit/own_network.hpp"

#include "plugins/geneve-relay/fast_path/fast_path.hpp"

#include <fcntl.h>

#include <atomic>

namespace gatehouse::geneve_relay {
namespace {

constexpr std::uint32_t kVni = 5;

/// Where the clients are, behind a veth: 10.9.0.2 to .5, and the relay is 10.9.0.1. Checksums are complete, as on a
/// wire.
class FarSide {
 public:
  FarSide() {
    EXPECT_EQ(::unshare(CLONE_NEWNET), 0);
    far_ = UniqueFd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    enter(near_);
    output_of("ip link add near type veth peer name far netns /proc/" + std::to_string(::getpid()) + "/fd/" +
              std::to_string(far_.get()));
    output_of("ip address add 10.9.0.1/24 dev near && ip link set near up");
    inside([] {
      for (const char host : {'2', '3', '4', '5'})
        output_of(std::string("ip address add 10.9.0.") + host + "/24 dev far");
      output_of("ip link set far up && ethtool -K far tx off");
    });
  }

  /// What `act` makes there stays there.
  template <class Act>
  void inside(Act act) const {
    enter(far_);
    act();
    enter(near_);
  }

 private:
  static void enter(const UniqueFd& network) { EXPECT_EQ(::setns(network.get(), CLONE_NEWNET), 0); }

  UniqueFd near_{::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)}, far_;
};

/// This process has a network of its own from now on, and the kernel takes the program there.
bool enter_network_with_xdp() {
  if (::unshare(CLONE_NEWNET) != 0 || std::system("ip link set lo up && ethtool --version >/dev/null") != 0)
    return false;
  try {
    const FastPath trial(1);
    return true;
  } catch (const FastPathError&) {
    return false;
  }
}

class RelayInKernel : public RelayPlugin {
 protected:
  void run_in_kernel() {
    static_cast<void>(prepare_cryptography());
    host.set_ranges("vni", {{kVni, kVni}});
    plugin.emplace(kTestManifest, host,
                   options({{"fast_path", "xdp"}, {"bind_lifetime_seconds", 5}, {"steady_lifetime_seconds", 1}}), 1,
                   std::vector<testkit::TestListener>{
                       {.transport = GH_TRANSPORT_UDP, .address = IpAddress::parse("10.9.0.1").value()}});
    ASSERT_TRUE(eventually([&] {
      const std::scoped_lock lock(RunningLanes::mutex);
      return RunningLanes::seats.size() == 1;
    }));
  }
  [[nodiscard]] std::uint64_t legs_there() const { return host.metric("kernel_legs{state=\"there\"}"); }
  [[nodiscard]] std::uint64_t relayed() const { return host.metric("kernel_packets{outcome=\"relayed\"}"); }
  /// Both ways, until the kernel says that it did it.
  void expect_by_kernel(TestClient& left, TestClient& right) {
    const std::uint64_t before = relayed();
    EXPECT_TRUE(eventually(
        [&] {
          left.send(relay(), data(kVni, "ours"));
          right.send(relay(), data(kVni, "ours"));
          for (TestClient* const client : {&left, &right})
            while (true) {
              const ByteVector got = client->receive(1ms);
              if (got.empty()) break;
              EXPECT_EQ(got, data(kVni, "ours"));
            }
          return relayed() >= before + 10;
        },
        10s));
  }
};

/// What its clients send goes on to come after their endpoint has ended: it reaches nobody that has the VNI now.
TEST_F(RelayInKernel, WhoHadAVniReachesNobodyThatHasItNow) {
  in_own_process("XDP in a network namespace, with the ip and ethtool commands", enter_network_with_xdp, [this] {
    const FarSide far;
    run_in_kernel();
    std::optional<TestClient> clients[4];
    far.inside([&] {
      for (std::uint32_t i = 0; i < 4; ++i) clients[i].emplace(Endpoint{IpAddress::v4(0x0a090002 + i), 0, 0});
    });
    auto& [a, b, c, d] = clients;
    bind(*a, *b, allocate(*a, *b));
    ASSERT_TRUE(eventually([&] { return legs_there() == 2; }));
    expect_by_kernel(*a, *b);

    std::atomic<bool> ends = false;
    std::thread flood([&] {  // one side alone keeps no endpoint
      for (; !ends; std::this_thread::sleep_for(1ms)) a->send(relay(), data(kVni, "theirs"));
    });
    EXPECT_TRUE(std::holds_alternative<AllocationRefusal>(outcome(*c, *d))) << "the VNI is in use";
    std::optional<ServerEndpoint> next;
    EXPECT_TRUE(eventually([&] {
      const AllocationOutcome got = outcome(*c, *d);
      if (const auto* const endpoint = std::get_if<ServerEndpoint>(&got)) next = *endpoint;
      return next.has_value();
    }));
    if (next) {
      EXPECT_EQ(next->vni, kVni);
      bind(*c, *d, *next);
      expect_by_kernel(*c, *d);
      const std::uint64_t before = drops("unbound_source");
      EXPECT_TRUE(eventually([&] { return drops("unbound_source") > before + 100; })) << "they come, and are dropped";
      b->send(relay(), data(kVni, "theirs"));
      expect_by_kernel(*c, *d);
    }
    ends = true;
    flood.join();
    plugin.reset();
  });
}

}  // namespace
}  // namespace gatehouse::geneve_relay
