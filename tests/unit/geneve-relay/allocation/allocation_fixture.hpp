// A plugin that gives out endpoints by HTTP and by sealed messages, as its test says: real sockets, a real lane, and an
// Allocator that does what it is told.
#pragma once

#include "plugins/geneve-relay/allocation/allocation_api.hpp"
#include "plugins/geneve-relay/allocation/sealed_allocation.hpp"
#include "plugins/geneve-relay/wire/cryptography.hpp"
#include "plugins/geneve-relay/wire/endpoint_json.hpp"
#include "tests/unit/geneve-relay/vectors.hpp"
#include "tests/unit/sdk/plugin/api_caller.hpp"

#include <gatehouse/plugin/lane_plugin.hpp>
#include <gatehouse/testkit/plugin_runner.hpp>

#include <gmock/gmock.h>

#include <sys/socket.h>

#include <mutex>
#include <thread>

namespace gatehouse::geneve_relay {

using namespace std::chrono_literals;

/// The endpoint of the vectors.
inline ServerEndpoint vector_endpoint() { return read_allocation_response(datagram_of("alloc-response"))->endpoint; }

/// What the tests see and say of the allocator, on other threads than its lane.
struct AllocatorDesk {
  std::mutex mutex;
  AllocationOutcome outcome = vector_endpoint();
  bool holds = false;  // answers are kept
  std::vector<AllocationDemand> demands;
  std::vector<Allocator::Then> kept;
  LaneLoop* loop = nullptr;
  ByteVector nonce = hex_of(vector_of("alloc-response-sealed")["fields"]["nonce"]);
};
inline AllocatorDesk* allocator_desk = nullptr;

class DeskAllocator final : public Allocator {
 public:
  void allocate(AllocationDemand demand, Then then) override {
    std::unique_lock lock(allocator_desk->mutex);
    allocator_desk->demands.push_back(std::move(demand));
    if (allocator_desk->holds) return allocator_desk->kept.push_back(std::move(then));
    const AllocationOutcome outcome = allocator_desk->outcome;
    lock.unlock();
    then(outcome);
  }
};

struct AllocationTestSettings {
  explicit AllocationTestSettings(const Options&) {}
  void check_change(const AllocationTestSettings&) const {}
};

class AllocationTestWorker final : public LaneWorker, private Readiness {
 public:
  AllocationTestWorker(const LaneContext& context, const std::shared_ptr<const AllocationTestSettings>&)
      : context_(context),
        nonces_(allocator_desk->nonce),
        secret_(secret_of("server")),
        api_(context, allocator_),
        sealed_(context, allocator_, secret_, nonces_,
                [this](Bytes datagram, const LegAddress& path, std::uint32_t listener) {
                  EXPECT_EQ(listener, udp_.id);
                  send(datagram, path);
                }) {
    const std::scoped_lock lock(allocator_desk->mutex);
    allocator_desk->loop = &context.loop;
  }
  ~AllocationTestWorker() override { listen({}); }
  void configure(const std::shared_ptr<const AllocationTestSettings>&) {}
  void drain(SteadyTime) override { listen({}); }
  void listen(const std::vector<Listener>& listeners) override {
    api_.listen(listeners);
    if (udp_.fd >= 0) context_.loop.poller().remove(udp_.fd, *this);
    udp_ = {};
    for (const Listener& one : listeners)
      if (one.transport == Transport::udp) udp_ = one;
    if (udp_.fd < 0) return;
    EXPECT_TRUE(context_.loop.poller().add(udp_.fd, EPOLLIN, *this));
  }

 private:
  void on_ready(std::uint32_t) override {
    std::array<std::byte, 2048> buffer;
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    const ssize_t got = recvfrom(udp_.fd, buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
    if (got >= 0)
      sealed_.take(Bytes(buffer).first(static_cast<std::size_t>(got)),
                   {Endpoint::from_sockaddr(from), udp_.local.address}, udp_.id);
  }
  void send(Bytes datagram, const LegAddress& path) const {
    EXPECT_EQ(path.local, udp_.local.address);
    sockaddr_storage to{};
    const socklen_t size = path.remote.to_sockaddr(to);
    sendto(udp_.fd, datagram.data(), datagram.size(), 0, reinterpret_cast<const sockaddr*>(&to), size);
  }

  LaneContext context_;
  DeskAllocator allocator_;
  GivenBytes nonces_;
  const DiscoSecret secret_;
  AllocationApi api_;
  SealedAllocation sealed_;
  Listener udp_;
};

class AllocationTestPlugin final : public LanePlugin<AllocationTestWorker, AllocationTestSettings> {
  using LanePlugin::LanePlugin;
};
inline constexpr gh_listener_role kAllocationRoles[] = {make_role("listen", RoleKind::datagrams, false),
                                                        AllocationApi::role()};

class AllocationFixture : public testing::Test {
 protected:
  AllocationFixture()
      : manifest(make_manifest<AllocationTestPlugin>(
            {.id = "allocation", .version = "1", .summary = "Gives out.", .roles = kAllocationRoles})) {
    EXPECT_TRUE(prepare_cryptography());
    allocator_desk = &desk;
  }
  ~AllocationFixture() override {
    plugin.reset();
    desk.kept.clear();
  }

  void start(const testkit::TestListener& listener) { plugin.emplace(manifest, host, "{}", 1, std::vector{listener}); }
  void answer_with(AllocationOutcome outcome) {
    const std::scoped_lock lock(desk.mutex);
    desk.outcome = std::move(outcome);
  }
  void hold() {
    const std::scoped_lock lock(desk.mutex);
    desk.holds = true;
  }
  /// On the lane, what is kept; to the end of it.
  void release(const AllocationOutcome& outcome) {
    std::atomic<bool> done = false;
    desk.loop->post([&] {
      for (const auto& then : std::exchange(desk.kept, {})) then(outcome);
      done = true;
    });
    EXPECT_TRUE(eventually([&] { return done.load(); }));
  }
  std::size_t asked() {
    const std::scoped_lock lock(desk.mutex);
    return desk.demands.size();
  }
  AllocationDemand demand() {
    const std::scoped_lock lock(desk.mutex);
    return desk.demands.at(0);
  }
  template <class Done>
  static bool eventually(Done done) {
    for (const SteadyTime end = steady_now() + 10s; steady_now() < end; std::this_thread::sleep_for(1ms))
      if (done()) return true;
    return false;
  }

  const gh_manifest manifest;
  AllocatorDesk desk;
  testkit::FakeHost host;
  std::optional<testkit::PluginRunner> plugin;
};

}  // namespace gatehouse::geneve_relay
