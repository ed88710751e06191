// The whole plugin under a fake host: real streams, real UDP sockets on loopback, one lane.
#include "plugins/udpgw/frame.hpp"

#include <gatehouse/testkit/fake_host.hpp>
#include <gatehouse/testkit/hex.hpp>

#include <gtest/gtest.h>

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <chrono>

extern "C" const gh_manifest gatehouse_plugin;

namespace gatehouse::udpgw {
namespace {

using testkit::ByteVector;
using testkit::hex;
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

bool readable(int fd, std::chrono::milliseconds within) {
  pollfd ready{fd, POLLIN, 0};
  return poll(&ready, 1, static_cast<int>(within.count())) == 1;
}

/// A UDP socket on 127.0.0.1: the far end of a forward.
class Far {
 public:
  Far() : fd_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_storage address{};
    socklen_t size = Endpoint{IpAddress::v4(0x7f000001), 0, 0}.to_sockaddr(address);
    EXPECT_EQ(bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    size = sizeof address;
    EXPECT_EQ(getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    endpoint = Endpoint::from_sockaddr(address);
  }
  /// The next datagram and where it came from; empty after two seconds.
  ByteVector receive() {
    if (!readable(fd_.get(), 2s)) return {};
    ByteVector out(65536);
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    const ssize_t n = recvfrom(fd_.get(), out.data(), out.size(), 0, reinterpret_cast<sockaddr*>(&address), &size);
    out.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    from = Endpoint::from_sockaddr(address);
    return out;
  }
  void send(const Endpoint& to, Bytes payload) {
    sockaddr_storage address{};
    const socklen_t size = to.to_sockaddr(address);
    sendto(fd_.get(), payload.data(), payload.size(), 0, reinterpret_cast<sockaddr*>(&address), size);
  }
  bool idle() { return !readable(fd_.get(), 50ms); }

  Endpoint endpoint, from;

 private:
  UniqueFd fd_;
};

ByteVector wire_address(const Endpoint& endpoint) {
  ByteVector out(endpoint.address.bytes().begin(), endpoint.address.bytes().end());
  out.resize(out.size() + 2);
  store_big(MutableBytes(out).last(2), endpoint.port);
  return out;
}

ByteVector frame(std::uint16_t conid, std::uint8_t flags, const Endpoint& to, Bytes payload) {
  const ByteVector address = wire_address(to);
  ByteVector out(kOverheadV6 + payload.size());
  const std::size_t header = write_header(out, conid, address, payload.size());
  out[2] |= static_cast<std::byte>(flags);
  std::copy(payload.begin(), payload.end(), out.begin() + static_cast<std::ptrdiff_t>(header));
  out.resize(header + payload.size());
  return out;
}

class Stream {
 public:
  explicit Stream(const Endpoint& server) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_storage address{};
    const socklen_t size = server.to_sockaddr(address);
    EXPECT_EQ(connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  }
  void send(Bytes bytes) {
    EXPECT_EQ(::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }
  void finish() { shutdown(fd_.get(), SHUT_WR); }
  /// The next whole frame; empty after two seconds or at the end of the stream.
  ByteVector receive() {
    for (;;) {
      if (const Decoded got = decode(input_); got.kind != FrameKind::incomplete) {
        const ByteVector out(input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(got.size));
        input_.erase(input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(got.size));
        return out;
      }
      if (!readable(fd_.get(), 2s) || !more()) return {};
    }
  }
  /// Has the server ended the stream? Waits up to two seconds for it.
  bool ended() {
    while (readable(fd_.get(), 2s))
      if (!more()) return true;
    return false;
  }

 private:
  bool more() {
    std::byte bytes[65536];
    const ssize_t n = recv(fd_.get(), bytes, sizeof bytes, 0);
    if (n > 0) input_.insert(input_.end(), bytes, bytes + n);
    return n > 0;
  }

  UniqueFd fd_;
  ByteVector input_;
};

constexpr const char* kDnsQuery = "1234 0100 0001 0000 0000 0000 0161 0474657374 00 0001 0001";  // a.test A

std::string options(const Endpoint& first, const Endpoint& second) {
  return R"({"dns_resolvers": [")" + first.to_string() + R"(", ")" + second.to_string() +
         R"("], "blocked_answer": "nxdomain", "resolver_timeout_ms": 100, "stream_idle_seconds": 60,
             "fin_grace_seconds": 1, "client_buffer_bytes": 131072, "egress_addresses": [], "udp_segment": true})";
}

class UdpgwPlugin : public testing::Test {
 protected:
  bool said(std::string_view text) {
    return eventually([&] {
      const auto lines = host.log_lines();
      return std::any_of(lines.begin(), lines.end(), [&](const auto& line) { return line.find(text) != line.npos; });
    });
  }

  void set_limits(std::uint64_t concurrent_flows, bool metered) {
    gh_limits limits{};
    limits.struct_size = sizeof limits;
    limits.metered = metered;
    limits.udp_idle_ns = limits.tcp_idle_ns = limits.session_idle_ns = UINT64_MAX;
    limits.concurrent_flows = concurrent_flows;
    host.set_limits(limits);
    plugin.policy_changed();
  }
  void set_traffic(testkit::FakeTraffic traffic) {
    host.set_traffic(std::move(traffic));
    plugin.policy_changed();
  }

  testkit::FakeHost host;
  Far far, resolver, second_resolver;
  testkit::PluginRunner plugin{gatehouse_plugin, host, options(resolver.endpoint, second_resolver.endpoint), 1,
                               GH_TRANSPORT_TCP};
};

TEST_F(UdpgwPlugin, CarriesDatagramsBothWays) {
  Stream stream(plugin.address());
  stream.send(frame(7, kRebind, far.endpoint, hex("0102")));
  EXPECT_EQ(far.receive(), hex("0102"));
  far.send(far.from, hex("0304"));
  EXPECT_EQ(stream.receive(), frame(7, 0, far.endpoint, hex("0304")));
  stream.send(frame(7, 0, far.endpoint, {}));
  EXPECT_EQ(far.receive(), ByteVector());
  EXPECT_EQ(host.metric("forwards_opened"), 1u);
}

TEST_F(UdpgwPlugin, TakesAStreamThatIsCutAnywhere) {
  ByteVector wire = hex("0300010000");  // keepalive
  for (const char* malformed : {"02000000", "0000", "08000005007f00000100"}) {
    const ByteVector bytes = hex(malformed);
    wire.insert(wire.end(), bytes.begin(), bytes.end());
  }
  const ByteVector data = frame(5, 0xf0, far.endpoint, hex("6162"));  // unknown flags: data
  wire.insert(wire.end(), data.begin(), data.end());
  for (std::size_t cut = 1; cut < wire.size(); ++cut) {
    Stream stream(plugin.address());
    stream.send(Bytes(wire).first(cut));
    std::this_thread::sleep_for(1ms);  // so that the parts are read apart, as a rule
    stream.send(Bytes(wire).subspan(cut));
    ASSERT_EQ(far.receive(), hex("6162")) << "cut at " << cut;
  }
  EXPECT_EQ(host.metric("drops{cause=\"malformed\"}"), 3 * (wire.size() - 1));
}

TEST_F(UdpgwPlugin, RunsOfOneForwardArriveAsTheyWereSent) {
  Stream stream(plugin.address());
  ByteVector wire;
  std::vector<ByteVector> sent;
  for (std::size_t i = 0; i < 100; ++i) {
    sent.emplace_back(i % 10 == 9 ? 3 : 8, static_cast<std::byte>(i));
    if (i % 10 == 4) sent.back().clear();  // an empty datagram ends a run
    const ByteVector bytes = frame(1, 0, far.endpoint, sent.back());
    wire.insert(wire.end(), bytes.begin(), bytes.end());
  }
  stream.send(wire);
  for (const ByteVector& payload : sent) EXPECT_EQ(far.receive(), payload);
  EXPECT_EQ(host.metric("datagrams{direction=\"up\"}"), 100u);
}

TEST_F(UdpgwPlugin, RebindLeavesFromANewPort) {
  Stream stream(plugin.address());
  stream.send(frame(1, kRebind, far.endpoint, hex("01")));
  far.receive();
  const Endpoint first = far.from;
  stream.send(frame(1, 0, far.endpoint, hex("02")));
  far.receive();
  EXPECT_EQ(far.from, first);
  stream.send(frame(1, kRebind, far.endpoint, hex("03")));
  far.receive();
  EXPECT_NE(far.from, first);
  far.send(first, hex("ff"));  // nobody is there any more
  far.send(far.from, hex("04"));
  EXPECT_EQ(stream.receive(), frame(1, 0, far.endpoint, hex("04")));
}

TEST_F(UdpgwPlugin, AnotherAddressOpensAnotherForward) {
  Far other;
  Stream stream(plugin.address());
  stream.send(frame(1, 0, far.endpoint, hex("01")));
  stream.send(frame(1, 0, other.endpoint, hex("02")));
  EXPECT_EQ(far.receive(), hex("01"));
  EXPECT_EQ(other.receive(), hex("02"));
  EXPECT_EQ(host.metric("forwards_opened"), 2u);
  EXPECT_TRUE(eventually([&] { return host.metric("forwards") == 1; }));
}

TEST_F(UdpgwPlugin, MappedAddressKeepsItsLabel) {
  Stream stream(plugin.address());
  ByteVector mapped(16);
  mapped[10] = mapped[11] = std::byte{0xff};
  std::copy_n(far.endpoint.address.bytes().begin(), 4, mapped.begin() + 12);
  const Endpoint label{IpAddress::v6(mapped), far.endpoint.port, 0};
  stream.send(frame(1, 0, label, hex("01")));
  EXPECT_EQ(far.receive(), hex("01"));
  far.send(far.from, hex("02"));
  EXPECT_EQ(stream.receive(), frame(1, 0, label, hex("02")));
}

TEST_F(UdpgwPlugin, SendsDnsFramesToTheResolverAndKeepsTheLabel) {
  Stream stream(plugin.address());
  const Endpoint stated = *Endpoint::parse("203.0.113.9:9999");
  stream.send(frame(5, kRebind | kDns, stated, hex(kDnsQuery)));
  EXPECT_EQ(resolver.receive(), hex(kDnsQuery));
  resolver.send(resolver.from, hex("12348180"));
  EXPECT_EQ(stream.receive(), frame(5, 0, stated, hex("12348180")));
}

TEST_F(UdpgwPlugin, AsksTheNextResolverWhenOneIsSilent) {
  Stream stream(plugin.address());
  const Endpoint stated = *Endpoint::parse("203.0.113.9:53");
  stream.send(frame(5, kDns, stated, hex(kDnsQuery)));
  EXPECT_EQ(resolver.receive(), hex(kDnsQuery));
  EXPECT_EQ(second_resolver.receive(), hex(kDnsQuery));
  second_resolver.send(second_resolver.from, hex("12348180"));
  EXPECT_EQ(stream.receive(), frame(5, 0, stated, hex("12348180")));
  stream.send(frame(6, kDns, stated, hex(kDnsQuery)));  // the one that failed is last in turn now
  EXPECT_EQ(second_resolver.receive(), hex(kDnsQuery));
  EXPECT_TRUE(resolver.idle());
}

TEST_F(UdpgwPlugin, AnswersABlockedNameInEveryDatagram) {
  host.set_policy([](const testkit::FakeFlow& flow) {
    return flow.domain == "a.test" ? std::uint16_t{GH_REASON_DOMAIN} : std::uint16_t{0};
  });
  plugin.policy_changed();
  Stream stream(plugin.address());
  const Endpoint stated = *Endpoint::parse("203.0.113.9:53");
  ByteVector allowed = hex(kDnsQuery);
  allowed[13] = std::byte{'b'};
  stream.send(frame(5, kDns, stated, allowed));
  EXPECT_EQ(resolver.receive(), allowed);
  stream.send(frame(5, 0, stated, hex(kDnsQuery)));  // later, on the same forward
  const ByteVector answer = stream.receive();
  ASSERT_GT(answer.size(), kOverheadV4 + 4);
  EXPECT_EQ(answer[kOverheadV4 + 3] & std::byte{0x0f}, std::byte{3});  // NXDOMAIN
  EXPECT_TRUE(resolver.idle());
}

TEST_F(UdpgwPlugin, ANewRuleCutsARunningForward) {
  Stream stream(plugin.address());
  stream.send(frame(1, 0, far.endpoint, hex("01")));
  EXPECT_EQ(far.receive(), hex("01"));
  host.set_policy([](const testkit::FakeFlow&) { return std::uint16_t{GH_REASON_PORT_PERMIT}; });
  plugin.policy_changed();
  EXPECT_TRUE(eventually([&] { return host.metric("forwards") == 0; }));
  stream.send(frame(1, 0, far.endpoint, hex("02")));
  EXPECT_TRUE(eventually([&] { return host.metric("denied{reason=\"port_permit\"}") == 1; }));
  EXPECT_TRUE(far.idle());
  host.set_policy({});
  plugin.policy_changed();
  stream.send(frame(1, 0, far.endpoint, hex("03")));
  EXPECT_EQ(far.receive(), hex("03"));
}

TEST_F(UdpgwPlugin, ClosesAfter64MalformedFramesInARow) {
  Stream tolerated(plugin.address()), closed(plugin.address());
  ByteVector wire(63 * 2);  // "0000" each
  tolerated.send(wire);
  tolerated.send(frame(1, 0, far.endpoint, hex("01")));
  tolerated.send(wire);
  tolerated.send(frame(1, 0, far.endpoint, hex("02")));
  EXPECT_EQ(far.receive(), hex("01"));
  EXPECT_EQ(far.receive(), hex("02"));
  wire.resize(64 * 2);
  closed.send(wire);
  EXPECT_TRUE(closed.ended());
  EXPECT_TRUE(said("why=64 malformed frames in a row"));
}

TEST_F(UdpgwPlugin, ClosesOnTun2proxysProtocolAndSaysSo) {
  Stream stream(plugin.address());
  stream.send(hex("0003010000"));
  EXPECT_TRUE(stream.ended());
  EXPECT_TRUE(said("tun2proxy"));
}

TEST_F(UdpgwPlugin, DeliversRepliesAfterTheClientsFin) {
  Stream stream(plugin.address());
  stream.send(frame(1, 0, far.endpoint, hex("01")));
  stream.finish();
  EXPECT_EQ(far.receive(), hex("01"));
  far.send(far.from, hex("02"));
  EXPECT_EQ(stream.receive(), frame(1, 0, far.endpoint, hex("02")));
  EXPECT_TRUE(stream.ended());
  EXPECT_TRUE(eventually([&] { return host.open_clients() == 0 && host.open_flows() == 0; }));
}

TEST_F(UdpgwPlugin, RecyclesTheForwardThatWasQuietForLongest) {
  set_limits(2, false);
  Stream stream(plugin.address());
  for (const std::uint16_t conid : {std::uint16_t{1}, std::uint16_t{2}}) {
    stream.send(frame(conid, 0, far.endpoint, hex("01")));
    far.receive();
  }
  stream.send(frame(1, 0, far.endpoint, hex("01")));
  far.receive();
  const Endpoint first = far.from;
  stream.send(frame(3, 0, far.endpoint, hex("01")));  // takes the place of 2
  far.receive();
  stream.send(frame(1, 0, far.endpoint, hex("01")));
  far.receive();
  EXPECT_EQ(far.from, first);
  EXPECT_EQ(host.metric("forwards_recycled"), 1u);
  EXPECT_EQ(host.open_flows(), 2);
}

TEST_F(UdpgwPlugin, DropsWhatAQuotaDoesNotHoldAndGoesOnWhenItDoes) {
  std::atomic<std::uint64_t> left{25};
  set_limits(UINT64_MAX, true);
  set_traffic({[&left](std::uint32_t, std::uint64_t bytes) {
                 if (bytes > left) return UINT64_MAX;
                 left -= bytes;
                 return std::uint64_t{0};
               },
               {},
               {}});
  Stream stream(plugin.address());
  ByteVector wire;
  for (int i = 0; i < 5; ++i) {
    const ByteVector one = frame(1, 0, far.endpoint, ByteVector(10, static_cast<std::byte>(i)));
    wire.insert(wire.end(), one.begin(), one.end());
  }
  stream.send(wire);  // one run of five: two of them fit
  EXPECT_EQ(far.receive(), ByteVector(10, std::byte{0}));
  EXPECT_EQ(far.receive(), ByteVector(10, std::byte{1}));
  EXPECT_TRUE(eventually([&] { return host.metric("drops{cause=\"quota\"}") == 3; }));
  EXPECT_TRUE(far.idle());
  far.send(far.from, ByteVector(10, std::byte{9}));
  EXPECT_TRUE(eventually([&] { return host.metric("drops{cause=\"quota\"}") == 4; }));
  left = 1000;  // the stream was read all the time
  stream.send(frame(1, 0, far.endpoint, hex("07")));
  EXPECT_EQ(far.receive(), hex("07"));
  far.send(far.from, hex("08"));
  EXPECT_EQ(stream.receive(), frame(1, 0, far.endpoint, hex("08")));
  EXPECT_EQ(host.metric("drops{cause=\"rate\"}"), 0u);
}

TEST_F(UdpgwPlugin, WaitsForARateAndLosesNothing) {
  std::atomic<int> asked{0};
  set_limits(UINT64_MAX, true);
  set_traffic(
      {[&asked](std::uint32_t, std::uint64_t) { return ++asked % 4 == 0 ? std::uint64_t{0} : 1'000'000; }, {}, {}});
  Stream stream(plugin.address());
  for (int i = 0; i < 5; ++i) stream.send(frame(1, 0, far.endpoint, ByteVector(10, static_cast<std::byte>(i))));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(far.receive(), ByteVector(10, static_cast<std::byte>(i)));
}

TEST_F(UdpgwPlugin, DropsFramesWhoseForwardATrafficRuleRefusesAndRecyclesNothingForThem) {
  Far refused;
  std::atomic<std::uint16_t> reason{0};
  const std::uint16_t port = refused.endpoint.port;
  set_limits(1, false);
  set_traffic(
      {{}, [&reason, port](const Endpoint& to) { return to.port == port ? reason.load() : std::uint16_t{0}; }, {}});
  Stream stream(plugin.address());
  stream.send(frame(1, 0, far.endpoint, hex("01")));
  EXPECT_EQ(far.receive(), hex("01"));
  const std::pair<std::uint16_t, const char*> kRefusals[] = {
      {GH_REASON_DESTINATIONS, "destinations"}, {GH_REASON_NEW_FLOW_RATE, "new_flow_rate"}, {GH_REASON_QUOTA, "quota"}};
  for (const auto& [number, text] : kRefusals) {
    reason = number;
    stream.send(frame(2, 0, refused.endpoint, hex("02")));
    const std::string series = std::string("flows_refused{reason=\"") + text + "\"}";
    EXPECT_TRUE(eventually([&] { return host.metric(series) == 1; })) << text;
  }
  EXPECT_TRUE(refused.idle());
  EXPECT_EQ(host.metric("drops{cause=\"flow_limit\"}"), 2u);
  EXPECT_EQ(host.metric("drops{cause=\"quota\"}"), 1u);
  EXPECT_TRUE(said("why=destinations row=traffic_rules 7"));
  EXPECT_EQ(host.metric("forwards_recycled"), 0u);  // only against concurrent_flows that would help
  stream.send(frame(1, 0, far.endpoint, hex("03")));
  EXPECT_EQ(far.receive(), hex("03"));
  EXPECT_EQ(host.metric("forwards_opened"), 1u);
}

TEST_F(UdpgwPlugin, ClosesAStreamThatPolicyRefusesAndSaysWhy) {
  set_traffic({{}, {}, [] { return std::uint16_t{GH_REASON_CONCURRENT_SESSIONS}; }});
  Stream stream(plugin.address());
  EXPECT_TRUE(stream.ended());
  EXPECT_TRUE(said("why=concurrent_sessions row=traffic_rules 7"));
  EXPECT_EQ(host.metric("streams_refused{cause=\"concurrent_sessions\"}"), 1u);
  EXPECT_EQ(host.open_clients(), 0);
}

TEST_F(UdpgwPlugin, AFrameAfterAnIcmpErrorGetsThrough) {
  Stream stream(plugin.address());
  Endpoint closed_port;
  {
    Far gone;
    closed_port = gone.endpoint;
  }
  stream.send(frame(1, 0, closed_port, hex("01")));
  EXPECT_TRUE(eventually([&] { return host.metric("icmp_errors") >= 1; }));
  UniqueFd back(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_storage address{};
  const socklen_t size = closed_port.to_sockaddr(address);
  ASSERT_EQ(bind(back.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  stream.send(frame(1, 0, closed_port, hex("02")));
  EXPECT_TRUE(readable(back.get(), 2s));
  EXPECT_EQ(host.metric("forwards_opened"), 1u);
}

TEST_F(UdpgwPlugin, CountsPayloadsThatNoDatagramCanCarry) {
  Stream stream(plugin.address());
  const ByteVector most(65507, std::byte{1}), more(65508, std::byte{2});
  stream.send(frame(1, 0, far.endpoint, most));
  EXPECT_EQ(far.receive(), most);
  stream.send(frame(1, 0, far.endpoint, more));
  stream.send(frame(1, 0, far.endpoint, hex("03")));
  EXPECT_EQ(far.receive(), hex("03"));
  EXPECT_EQ(host.metric("drops{cause=\"oversize\"}"), 1u);
  far.send(far.from, most);
  EXPECT_EQ(stream.receive(), frame(1, 0, far.endpoint, most));
}

TEST_F(UdpgwPlugin, AFloodDoesNotStarveAQuietForward) {
  Far quiet;
  Stream stream(plugin.address());
  stream.send(frame(1, 0, far.endpoint, hex("01")));
  stream.send(frame(2, 0, quiet.endpoint, hex("01")));
  far.receive();
  quiet.receive();
  const ByteVector block(1400, std::byte{9});
  // Until the stream's socket buffers and the queue are full: nobody reads.
  ASSERT_TRUE(eventually(
      [&] {
        for (int i = 0; i < 100; ++i) far.send(far.from, block);
        return host.metric("drops{cause=\"client_buffer\"}") > 1000;
      },
      20s));
  quiet.send(quiet.from, hex("02"));
  const ByteVector wanted = frame(2, 0, quiet.endpoint, hex("02"));
  ByteVector got;
  do got = stream.receive();
  while (!got.empty() && got != wanted);
  EXPECT_EQ(got, wanted);
}

}  // namespace
}  // namespace gatehouse::udpgw
