// The whole relay under a fake host: real UDP sockets on loopback, one or more lanes, and a way to ask a lane for an
// endpoint without HTTP.
#pragma once

#include "plugins/geneve-relay/relay/datagram.hpp"
#include "plugins/geneve-relay/relay/leg_state.hpp"
#include "plugins/geneve-relay/server/lane.hpp"
#include "plugins/geneve-relay/wire/cryptography.hpp"
#include "plugins/geneve-relay/wire/random_pool.hpp"

#include <gatehouse/testkit/hex.hpp>
#include <gatehouse/testkit/plugin_runner.hpp>

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>

#include <chrono>
#include <future>
#include <optional>
#include <thread>

namespace gatehouse::geneve_relay {

using testkit::ByteVector;
using namespace std::chrono_literals;

/// Waits until `fact` holds; a test never sleeps for a fixed time.
template <class Fact>
bool eventually(Fact&& fact, std::chrono::milliseconds within = 5s) {
  const auto deadline = std::chrono::steady_clock::now() + within;
  while (!fact()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(2ms);
  }
  return true;
}

/// The lanes that run, for the test to ask.
struct RunningLanes {
  struct Seat {
    LaneLoop* loop;
    RelayLane* lane;
  };
  static inline std::mutex mutex;
  static inline std::map<std::uint32_t, Seat> seats;                     // by lane; guarded by mutex
  static inline std::map<std::uint32_t, std::shared_future<void>> late;  // which hear of policy only then; as seats
  static inline std::atomic<bool> are_steered = true;                    // by the kernel, to the lane of a VNI

  /// Asks that lane, and waits for the outcome; none within 5 s, or while it is not awaited.
  static std::future<AllocationOutcome> ask(std::uint32_t lane, AllocationDemand demand) {
    auto promise = std::make_shared<std::promise<AllocationOutcome>>();
    const std::scoped_lock lock(mutex);
    const Seat seat = seats.at(lane);
    seat.loop->post([seat, promise, demand = std::move(demand)] {
      seat.lane->allocate(demand, [promise](AllocationOutcome outcome) { promise->set_value(std::move(outcome)); });
    });
    return promise->get_future();
  }

  static std::shared_future<void> when_policy_comes(std::uint32_t lane) {
    const std::scoped_lock lock(mutex);
    const auto at = late.find(lane);
    return at == late.end() ? std::shared_future<void>() : at->second;
  }

  /// That lane does nothing until the promise is kept.
  static void stop(std::uint32_t lane, std::shared_future<void> until) {
    const std::scoped_lock lock(mutex);
    seats.at(lane).loop->post([until = std::move(until)] { until.wait(); });
  }
};

/// A lane that the test can ask.
class TestLane final : public LaneWorker {
 public:
  TestLane(const LaneContext& context, std::shared_ptr<const RelaySettings> settings, RelayShared& shared)
      : index_(context.lane->index), lane_(context, std::move(settings), shared) {
    const std::scoped_lock lock(RunningLanes::mutex);
    RunningLanes::seats[index_] = {&context.loop, &lane_};
  }
  ~TestLane() override {
    const std::scoped_lock lock(RunningLanes::mutex);
    RunningLanes::seats.erase(index_);
  }
  void configure(std::shared_ptr<const RelaySettings> settings) { lane_.configure(std::move(settings)); }
  void listen(const std::vector<Listener>& listeners) override {
    lane_.listen(listeners);
    if (RunningLanes::are_steered) return;
    for (const Listener& listener : listeners) {
      const int on = 1;
      static_cast<void>(setsockopt(listener.fd, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &on, sizeof on));
    }
  }
  void policy_changed(std::uint64_t generation) override {
    if (const auto until = RunningLanes::when_policy_comes(index_); until.valid()) until.wait();
    lane_.policy_changed(generation);
  }
  void woken(WakeReasons reasons) override { lane_.woken(reasons); }
  void drain(SteadyTime deadline) override { lane_.drain(deadline); }

 private:
  std::uint32_t index_;
  RelayLane lane_;
};

class TestRelay final : public LanePlugin<TestLane, RelaySettings, RelayShared> {
 public:
  using LanePlugin::LanePlugin;
};

inline constexpr Role kTestRoles[] = {make_role("listen", RoleKind::datagrams, true)};
inline constexpr Manifest kTestManifest = make_manifest<TestRelay>(
    {.id = "geneve-relay", .version = "0", .summary = "The relay under test.", .roles = kTestRoles});

/// A client with a socket of its own, connected to nobody.
class TestClient {
 public:
  /// On loopback. @param port  that is known to be free; 0: any
  explicit TestClient(Family family = Family::v4, std::uint16_t port = 0)
      : TestClient(Endpoint{IpAddress::parse(family == Family::v4 ? "127.0.0.1" : "::1").value(), port, 0}) {}
  explicit TestClient(const Endpoint& at)
      : secret_(DiscoSecret::make(random())),
        key(secret_.public_key()),
        fd_(socket(at.address.is_v4() ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_storage address{};
    socklen_t size = at.to_sockaddr(address);
    EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    size = sizeof address;
    EXPECT_EQ(getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    local = Endpoint::from_sockaddr(address);
  }

  void send(const Endpoint& to, Bytes payload) {
    sockaddr_storage address{};
    const socklen_t size = to.to_sockaddr(address);
    EXPECT_EQ(sendto(fd_.get(), payload.data(), payload.size(), 0, reinterpret_cast<sockaddr*>(&address), size),
              static_cast<ssize_t>(payload.size()));
  }
  /// All by one UDP_SEGMENT send: none but the last is shorter than the first.
  void send_together(const Endpoint& to, const std::vector<ByteVector>& payloads) {
    ByteVector bytes;
    for (const ByteVector& payload : payloads) bytes.insert(bytes.end(), payload.begin(), payload.end());
    sockaddr_storage address{};
    const socklen_t size = to.to_sockaddr(address);
    iovec part{bytes.data(), bytes.size()};
    alignas(cmsghdr) std::byte control[CMSG_SPACE(sizeof(std::uint16_t))] = {};
    msghdr message{&address, size, &part, 1, control, sizeof control, 0};
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    *header = {CMSG_LEN(sizeof(std::uint16_t)), IPPROTO_UDP, UDP_SEGMENT};
    const auto segment = static_cast<std::uint16_t>(payloads[0].size());
    std::memcpy(CMSG_DATA(header), &segment, sizeof segment);
    EXPECT_EQ(sendmsg(fd_.get(), &message, 0), static_cast<ssize_t>(bytes.size()));
  }
  /// The next datagram; empty when none comes.
  ByteVector receive(std::chrono::milliseconds within = 2s) {
    pollfd ready{fd_.get(), POLLIN, 0};
    if (poll(&ready, 1, static_cast<int>(within.count())) != 1) return {};
    ByteVector out(65536);
    const ssize_t n = recv(fd_.get(), out.data(), out.size(), 0);
    out.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    return out;
  }

  /// A control packet for the endpoint with this message in its box.
  [[nodiscard]] ByteVector sealed(const ServerEndpoint& endpoint, Bytes plain) {
    const auto shared = SharedKey::make(endpoint.server, secret_);
    ByteVector out(kGeneveHeaderSize + kEnvelopeOverhead + plain.size());
    write_geneve_header(out, {.control = true, .vni = endpoint.vni});
    seal_envelope(MutableBytes(out).subspan(kGeneveHeaderSize), key, *shared, random(), plain);
    return out;
  }
  [[nodiscard]] ByteVector sealed(const ServerEndpoint& endpoint, const BindMessage& message) {
    ByteVector plain(kLargestBindMessage);
    plain.resize(write_bind_message(plain, message));
    return sealed(endpoint, plain);
  }
  [[nodiscard]] BindMessage bind_message(const ServerEndpoint& endpoint, std::uint32_t generation) const {
    const DiscoKey& other = endpoint.clients.keys[endpoint.clients.keys[0] == key ? 1 : 0];
    return {MessageType::bind, WireForm::current, endpoint.vni, generation, other, {}};
  }
  /// The challenge in a datagram of the relay.
  [[nodiscard]] std::optional<BindMessage> open(const ServerEndpoint& endpoint, Bytes datagram) const {
    if (datagram.size() < kGeneveHeaderSize) return {};
    const auto envelope = read_envelope(datagram.subspan(kGeneveHeaderSize));
    if (!envelope || envelope->sender != endpoint.server) return {};
    ByteVector room(datagram.size());
    const auto plain = open_envelope(*envelope, *SharedKey::make(endpoint.server, secret_), room);
    if (!plain) return {};
    const auto message = read_bind_message(*plain);
    return message ? std::optional(*message) : std::nullopt;
  }
  /// What stands in a naked envelope of the relay; empty: it is none, or for somebody else.
  [[nodiscard]] ByteVector open_naked(const DiscoKey& relay, Bytes datagram) const {
    const auto envelope = read_envelope(datagram);
    if (!envelope || envelope->sender != relay) return {};
    ByteVector room(datagram.size());
    const auto plain = open_envelope(*envelope, *SharedKey::make(relay, secret_), room);
    return plain ? ByteVector(plain->begin(), plain->end()) : ByteVector();
  }
  /// Bind, challenge, Answer. False: there was no challenge.
  bool bind(const Endpoint& relay, const ServerEndpoint& endpoint, std::uint32_t generation = 1) {
    send(relay, sealed(endpoint, bind_message(endpoint, generation)));
    auto challenge = open(endpoint, receive());
    if (!challenge) return false;
    challenge->type = MessageType::answer;
    send(relay, sealed(endpoint, *challenge));
    return true;
  }

  static RandomPool& random() {
    static RandomPool pool;
    return pool;
  }

 private:
  DiscoSecret secret_;

 public:
  const DiscoKey key;
  Endpoint local;

 private:
  UniqueFd fd_;
};

inline ByteVector data(std::uint32_t vni, std::string_view text, std::uint16_t protocol = kProtocolWireguard) {
  ByteVector out(kGeneveHeaderSize + text.size());
  write_geneve_header(out, {.protocol = protocol, .vni = vni});
  std::ranges::copy(bytes_of(text), out.begin() + kGeneveHeaderSize);
  return out;
}

/// All options, with those of `changes` in place of the usual ones.
inline std::string options(const nlohmann::json& changes = nlohmann::json::object()) {
  nlohmann::json out = {{"advertise", {"192.0.2.1:7500"}},
                        {"bind_lifetime_seconds", 30},
                        {"steady_lifetime_seconds", 300},
                        {"most_endpoints", 1000},
                        {"handshakes_per_second_of_a_source", 0},
                        {"handshakes_per_second_of_a_lane", 0},
                        {"gso", "auto"},
                        {"fast_path", "off"},
                        {"stun_servers", nlohmann::json::array()}};
  out.update(changes);
  return out.dump();
}

class RelayPlugin : public testing::Test {
 protected:
  /// @param ports  of IPv4 and IPv6; 0: any
  void run(unsigned lanes = 1, const nlohmann::json& changes = nlohmann::json::object(),
           std::array<std::uint16_t, 2> ports = {}) {
    static_cast<void>(prepare_cryptography());
    plugin.reset();
    plugin.emplace(
        kTestManifest, host, options(changes), lanes,
        std::vector<testkit::TestListener>{{.transport = GH_TRANSPORT_UDP, .port = ports[0]},
                                           {.transport = GH_TRANSPORT_UDP, .family = Family::v6, .port = ports[1]}});
    EXPECT_TRUE(eventually([&] {
      const std::scoped_lock lock(RunningLanes::mutex);
      return RunningLanes::seats.size() == lanes;
    }));
  }
  /// The process dies, and another one listens where it did.
  void restart(unsigned lanes = 1, const nlohmann::json& changes = nlohmann::json::object()) {
    const std::array<std::uint16_t, 2> ports = {relay().port, relay(Family::v6).port};
    plugin.reset();
    host.restart();
    run(lanes, changes, ports);
  }
  [[nodiscard]] AllocationDemand demand(const TestClient& left, const TestClient& right,
                                        std::string identity = "token:bob") const {
    return {DiscoPair(left.key, right.key), std::move(identity), Endpoint::parse("192.0.2.9:1234").value(), 0};
  }
  AllocationOutcome outcome(const TestClient& left, const TestClient& right, std::uint32_t lane = 0) {
    auto future = RunningLanes::ask(lane, demand(left, right));
    if (future.wait_for(5s) != std::future_status::ready) throw std::runtime_error("no outcome");
    return future.get();
  }
  ServerEndpoint allocate(const TestClient& left, const TestClient& right, std::uint32_t lane = 0) {
    const AllocationOutcome got = outcome(left, right, lane);
    if (const auto* const why = std::get_if<AllocationRefusal>(&got)) throw std::runtime_error(why->sentence);
    return std::get<ServerEndpoint>(got);
  }
  [[nodiscard]] Endpoint relay(Family family = Family::v4) const {
    return plugin->address(family == Family::v4 ? 0 : 1);
  }
  [[nodiscard]] std::uint64_t drops(std::string_view cause) const {
    return host.metric("drops{cause=\"" + std::string(cause) + "\"}");
  }
  [[nodiscard]] std::uint64_t bound() const { return host.metric("handshakes{step=\"bound\"}"); }
  /// Both, and waits until the relay knows.
  void bind(TestClient& left, TestClient& right, const ServerEndpoint& endpoint) {
    const std::uint64_t before = bound();
    ASSERT_TRUE(left.bind(relay(left.local.address.family()), endpoint));
    ASSERT_TRUE(right.bind(relay(right.local.address.family()), endpoint));
    ASSERT_TRUE(eventually([&] { return bound() == before + 2; }));
  }

  testkit::FakeHost host;
  std::optional<testkit::PluginRunner> plugin;
};

}  // namespace gatehouse::geneve_relay
