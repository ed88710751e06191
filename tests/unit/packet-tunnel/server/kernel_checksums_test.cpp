// Every checksum that the server makes, held against the kernel's own: packets are given to sockets of this kernel,
// which counts the bad ones.
#include "tests/unit/own_network.hpp"
#include "tests/unit/packet-tunnel/far_network.hpp"
#include "tests/unit/packet-tunnel/server/tunnel_rig.hpp"
#include "tests/unit/sdk/packet/made_super_packet.hpp"

#include <gatehouse/net/tun_device.hpp>
#include <gatehouse/packet/frame_reader.hpp>
#include <gatehouse/packet/packet_reply.hpp>
#include <gatehouse/packet/segmenter.hpp>

#include <gmock/gmock.h>

#include <atomic>
#include <fstream>
#include <map>
#include <random>
#include <sstream>

namespace gatehouse::packet_tunnel {
namespace {

using test::Made;

/// What the kernel has found wrong with packets so far, in this network: by the names of /proc/net/snmp and snmp6.
std::map<std::string, std::uint64_t> faults() {
  std::map<std::string, std::uint64_t> out;
  std::ifstream v4("/proc/net/snmp"), v6("/proc/net/snmp6");
  for (std::string names, values; std::getline(v4, names) && std::getline(v4, values);) {
    std::istringstream name(names), value(values);
    std::string group, one, number;
    name >> group;
    value >> group;
    while (name >> one && value >> number)
      if (one == "InCsumErrors" || one == "InHdrErrors") out[group + one] = std::stoull(number);
  }
  for (std::string name, number; v6 >> name >> number;)
    if (name.ends_with("InCsumErrors") || name == "Ip6InHdrErrors") out[name] = std::stoull(number);
  EXPECT_GE(out.size(), 8u);
  return out;
}

std::uint64_t sum_of(const std::map<std::string, std::uint64_t>& counts) {
  std::uint64_t out = 0;
  for (const auto& [name, count] : counts) out += count;
  return out;
}

/// A tun device of the test's own, whose other side is this kernel: 198.51.100.7 and 2001:db8::7, which everything is
/// sent to, and by which 172.16.0.0/16 and fd26:b6a6:4454:310a::/64 are reached.
class Wire {
 public:
  Wire() {
    output_of("sysctl -qw net.ipv6.conf.wire0.router_solicitations=0 net.ipv6.conf.wire0.addr_gen_mode=1");
    output_of("ip address add 198.51.100.7/32 dev wire0 && ip -6 address add 2001:db8::7/128 nodad dev wire0");
    output_of("ip link set up dev wire0");
    output_of("ip route add 172.16.0.0/16 dev wire0 && ip -6 route add fd26:b6a6:4454:310a::/64 dev wire0");
  }
  /// A whole packet, of which the kernel checks everything.
  void give(Bytes packet) {
    std::array<std::byte, OffloadHeader::kSize> none;
    OffloadHeader{}.store(none);
    const std::array<Bytes, 2> parts = {none, packet};
    EXPECT_TRUE(device_.queue(0).write(parts));
  }
  /// The next packet of the kernel that `wanted` wants; without a checksum, which would be the device's work.
  template <class Wanted>
  ByteVector take(Wanted wanted) {
    while (readable(device_.queue(0).fd(), 2s)) {
      ByteVector out(kLongestTunRead);
      const auto got = device_.queue(0).read(out);
      if (!got) continue;
      out.resize(*got);
      out.erase(out.begin(), out.begin() + OffloadHeader::kSize);
      const auto facts = IpPacket::parse(out);
      if (facts && wanted(*facts)) return out;
    }
    ADD_FAILURE() << "the kernel has sent nothing of that kind";
    return {};
  }
  void drain() {
    ByteVector out(kLongestTunRead);
    while (device_.queue(0).read(out)) {
    }
  }

 private:
  TunDevice device_ = TunDevice::open({"wire0", 1, true});
};

UniqueFd socket_of(int type, bool v6, const std::string& local) {
  UniqueFd out(::socket(v6 ? AF_INET6 : AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int bytes = 4 << 20;
  ::setsockopt(out.get(), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
  sockaddr_storage address{};
  const socklen_t size = Endpoint::parse(local)->to_sockaddr(address);
  EXPECT_EQ(::bind(out.get(), reinterpret_cast<sockaddr*>(&address), size), 0) << local;
  return out;
}

/// 0: it is under way, or done.
int connect_to(const UniqueFd& socket, const std::string& remote) {
  sockaddr_storage address{};
  const socklen_t size = Endpoint::parse(remote)->to_sockaddr(address);
  return ::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), size) == 0 || errno == EINPROGRESS ? 0 : errno;
}

/// What the socket is told within two seconds; 0: nothing.
int next_error(const UniqueFd& socket) {
  pollfd waiting{socket.get(), 0, 0};
  ::poll(&waiting, 1, 2000);
  int out = 0;
  socklen_t size = sizeof out;
  EXPECT_EQ(::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &out, &size), 0);
  return out;
}

class KernelChecksums : public testing::Test {
 protected:
  unsigned random(unsigned from, unsigned to) { return std::uniform_int_distribution<unsigned>(from, to)(random_); }

  /// Super-packets of random bytes, as our segmenter cuts them. @return their payloads
  std::vector<ByteVector> cut_and_give(Wire& wire, const Made& made, std::size_t segment) {
    ByteVector whole = test::with_partial_checksum(test::make_packet(made), made);
    const std::size_t header = test::made_header(made);
    for (std::size_t at = header; at < whole.size(); ++at) whole[at] = static_cast<std::byte>(random_());
    const OffloadHeader offload = test::made_offload(made, segment);
    ByteVector frames(framed_size(offload, whole.size()));
    const auto cut = cut_into_frames(offload, whole, frames);
    EXPECT_TRUE(cut);
    std::vector<ByteVector> out;
    FrameReader reader(MutableBytes(frames).first(cut ? cut->bytes : 0), kLongestFrame);
    for (auto next = reader.next(); next.kind == FrameReader::Kind::frame; next = reader.next()) {
      wire.give(next.packet);
      out.emplace_back(next.packet.begin() + static_cast<std::ptrdiff_t>(header), next.packet.end());
    }
    return out;
  }

  std::mt19937 random_{20261126};
};

TEST_F(KernelChecksums, OfDatagramsThatWereCutAreRight) {
  in_own_network([this] {
    Wire wire;
    for (const bool v6 : {false, true}) {
      const UniqueFd socket = socket_of(SOCK_DGRAM, v6, v6 ? "[2001:db8::7]:443" : "198.51.100.7:443");
      const auto before = faults();
      for (int round = 0; round < 200; ++round) {
        const std::size_t segment = random(1, 1400);
        const Made made{.version = v6 ? 6u : 4u,
                        .protocol = 17,
                        .payload = random(1, std::min<unsigned>(60000, static_cast<unsigned>(segment) * 60)),
                        .source_port = static_cast<std::uint16_t>(random(1, 65535))};
        for (const ByteVector& payload : cut_and_give(wire, made, segment)) {
          const Arrived got = next_datagram(socket);
          ASSERT_EQ(to_hex(bytes_of(got.text)), to_hex(payload)) << "round " << round;
        }
      }
      EXPECT_EQ(faults(), before);
      ByteVector bad = test::make_packet({.version = v6 ? 6u : 4u, .protocol = 17});
      bad.back() ^= std::byte{1};
      wire.give(bad);
      EXPECT_EQ(next_datagram(socket, 50).text, "");
      EXPECT_EQ(sum_of(faults()), sum_of(before) + 1) << "the kernel looks at them";
    }
  });
}

TEST_F(KernelChecksums, OfTcpSegmentsThatWereCutAreRight) {
  in_own_network([this] {
    Wire wire;
    for (const bool v6 : {false, true}) {
      const UniqueFd listener = socket_of(SOCK_STREAM, v6, v6 ? "[2001:db8::7]:443" : "198.51.100.7:443");
      ASSERT_EQ(::listen(listener.get(), 1), 0);
      const auto before = faults();
      Made made{.version = v6 ? 6u : 4u, .payload = 0, .sequence = 0xffff'0000, .acknowledgement = 0, .flags = kTcpSyn};
      wire.give(test::make_packet(made));
      const ByteVector welcome = wire.take([](const IpPacket& one) { return one.tcp_flags == (kTcpSyn | kTcpAck); });
      const auto facts = IpPacket::parse(welcome);
      ASSERT_TRUE(facts);
      made.acknowledgement = load_big<std::uint32_t>(Bytes(welcome).subspan(facts->transport + 4)) + 1;
      made.sequence += 1;
      made.flags = kTcpAck;
      wire.give(test::make_packet(made));
      ASSERT_TRUE(readable(listener.get(), 2s));
      const UniqueFd stream(::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      for (int round = 0; round < 200; ++round) {
        made.payload = random(1, 30000);
        made.flags = kTcpAck | kTcpPsh;
        ByteVector sent;
        for (const ByteVector& payload : cut_and_give(wire, made, random(100, 1440)))
          sent.insert(sent.end(), payload.begin(), payload.end());
        ByteVector got(sent.size());
        std::size_t have = 0;
        while (have < got.size() && readable(stream.get(), 2s)) {
          const ssize_t more = ::recv(stream.get(), got.data() + have, got.size() - have, 0);
          if (more <= 0) break;
          have += static_cast<std::size_t>(more);
        }
        ASSERT_TRUE(got == sent) << "round " << round << ": " << have << " of " << sent.size() << " bytes";
        made.sequence += static_cast<std::uint32_t>(made.payload);
        wire.drain();
      }
      EXPECT_EQ(faults(), before);
    }
  });
}

TEST_F(KernelChecksums, OfResetsAreRight) {
  in_own_network([] {
    Wire wire;
    const auto before = faults();
    for (const bool v6 : {false, true})
      for (int round = 0; round < 50; ++round) {
        const UniqueFd socket = socket_of(SOCK_STREAM, v6, v6 ? "[2001:db8::7]:0" : "198.51.100.7:0");
        ASSERT_EQ(connect_to(socket, (v6 ? "[fd26:b6a6:4454:310a::9]:" : "172.16.0.9:") + std::to_string(100 + round)),
                  0);
        const ByteVector syn = wire.take([](const IpPacket& one) { return one.tcp_flags == kTcpSyn; });
        const auto facts = IpPacket::parse(syn);
        ASSERT_TRUE(facts);
        std::array<std::byte, kLargestReply> reply;
        wire.give(Bytes(reply).first(make_tcp_reset(syn, *facts, reply)));
        EXPECT_EQ(next_error(socket), ECONNREFUSED);
      }
    EXPECT_EQ(faults(), before);
  });
}

TEST_F(KernelChecksums, OfIcmpErrorsAreRight) {
  in_own_network([this] {
    Wire wire;
    const auto before = faults();
    struct {
      Unreachable why;
      int v4, v6;
    } const kinds[] = {{Unreachable::no_route, ENETUNREACH, ENETUNREACH},
                       {Unreachable::port, ECONNREFUSED, ECONNREFUSED},
                       {Unreachable::prohibited, EHOSTUNREACH, EACCES},
                       {Unreachable::too_big, EMSGSIZE, EMSGSIZE}};
    for (const bool v6 : {false, true})
      for (const auto& kind : kinds)
        for (int round = 0; round < 20; ++round) {
          const UniqueFd socket = socket_of(SOCK_DGRAM, v6, v6 ? "[2001:db8::7]:0" : "198.51.100.7:0");
          const int on = 1;
          ::setsockopt(socket.get(), v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVERR : IP_RECVERR, &on, sizeof on);
          const std::string last = std::to_string(100 + static_cast<int>(kind.why));
          ASSERT_EQ(connect_to(socket, (v6 ? "[fd26:b6a6:4454:310a::" + last + "]:9" : "172.16.0." + last + ":9")), 0);
          const std::string text(random(0, kind.why == Unreachable::too_big ? 1200 : 1400), 'x');
          ASSERT_EQ(::send(socket.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
          const ByteVector sent = wire.take([](const IpPacket& one) { return one.is_udp(); });
          const auto facts = IpPacket::parse(sent);
          ASSERT_TRUE(facts);
          std::array<std::byte, kLargestReply> reply;
          const auto gateway = *IpAddress::parse(v6 ? "fd26:b6a6:4454:310a::fe" : "172.16.0.254");
          const std::size_t size = make_unreachable(kind.why, sent, *facts, gateway, 1280, reply);
          ASSERT_NE(size, 0u);
          wire.give(Bytes(reply).first(size));
          EXPECT_EQ(next_error(socket), v6 ? kind.v6 : kind.v4) << (v6 ? "IPv6 " : "IPv4 ") << last;
        }
    EXPECT_EQ(faults(), before);
  });
}

/// Carries packets between a tun device of the client, in this network too, and the stream to the server.
class ClientHost {
 public:
  explicit ClientHost(TunnelStream stream) : stream_(std::move(stream)) {
    output_of(
        "ip address add 172.16.0.1/32 dev client0 && ip -6 address add fd26:b6a6:4454:310a::1/128 nodad dev client0");
    // Errors come from 10.0.0.1, which is an address of this network, since both ends of the tunnel are in it.
    output_of("ip link set up dev client0 && sysctl -qw net.ipv4.conf.client0.accept_local=1");
    output_of("ip route add 9.9.9.9 dev client0 && ip -6 route add 2001:db8::9 dev client0");
    output_of("ip route add 10.0.0.2 dev client0 && ip -6 route add fd19:ca83:e6d5:1c44::2 dev client0");
    thread_ = std::thread([this] { carry(); });
  }
  ~ClientHost() {
    stopped_ = true;
    thread_.join();
  }
  ClientHost(const ClientHost&) = delete;
  ClientHost& operator=(const ClientHost&) = delete;

 private:
  void carry() {
    while (!stopped_) {
      pollfd ready[] = {{device_.queue(0).fd(), POLLIN, 0}, {stream_.fd(), POLLIN, 0}};
      ::poll(ready, 2, 20);
      ByteVector packet(kLongestTunRead);
      if (const auto got = device_.queue(0).read(packet)) stream_.send(Bytes(packet).first(*got));
      if ((ready[1].revents & POLLIN) == 0) continue;
      for (ByteVector next = stream_.receive(0ms); !next.empty(); next = stream_.receive(0ms)) {
        const Bytes all(next);
        EXPECT_TRUE(device_.queue(0).write({&all, 1}));
      }
    }
  }

  TunDevice device_ = TunDevice::open({"client0", 1, false});
  TunnelStream stream_;
  std::atomic<bool> stopped_{false};
  std::thread thread_;
};

TEST_F(KernelChecksums, OfAllThatTheServerAnswersAreRight) {
  in_own_network([this] {
    TunnelRig rig;
    const ClientHost client(rig.open());
    const auto before = faults();
    ByteVector query = hex("0000 0100 0001 0000 0000 0000 07 626c6f636b6564 07 6578616d706c65 03 6f7267 00 0001 0001");
    for (const std::string to : {"9.9.9.9", "[2001:db8::9]", "10.0.0.2", "[fd19:ca83:e6d5:1c44::2]"}) {
      const bool v6 = to[0] == '[';
      const std::string local = v6 ? "[fd26:b6a6:4454:310a::1]:0" : "172.16.0.1:0";
      for (int round = 0; round < 100; ++round) {
        const UniqueFd socket = socket_of(SOCK_DGRAM, v6, local);
        ASSERT_EQ(connect_to(socket, to + ":53"), 0);
        store_big(MutableBytes(query), static_cast<std::uint16_t>(random(0, 65535)));
        ASSERT_EQ(::send(socket.get(), query.data(), query.size(), 0), static_cast<ssize_t>(query.size()));
        const Arrived got = next_datagram(socket);
        ASSERT_GE(got.text.size(), 12u) << to << " round " << round;
        EXPECT_EQ(got.text.substr(0, 2), std::string(text_of(Bytes(query).first(2))));
        EXPECT_EQ(got.text[3] & 15, 3) << "NXDOMAIN";
      }
      if (to == "10.0.0.2" || to == "[fd19:ca83:e6d5:1c44::2]") continue;
      for (int round = 0; round < 10; ++round) {  // fewer than what is answered at once
        const UniqueFd stream = socket_of(SOCK_STREAM, v6, local), datagrams = socket_of(SOCK_DGRAM, v6, local);
        ASSERT_EQ(connect_to(stream, to + ":25"), 0);
        EXPECT_EQ(next_error(stream), ECONNREFUSED) << to;
        const int on = 1;
        ::setsockopt(datagrams.get(), v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVERR : IP_RECVERR, &on, sizeof on);
        ASSERT_EQ(connect_to(datagrams, to + ":25"), 0);
        ASSERT_EQ(::send(datagrams.get(), "x", 1, 0), 1);
        EXPECT_EQ(next_error(datagrams), v6 ? EACCES : EHOSTUNREACH) << to;
      }
    }
    EXPECT_EQ(faults(), before);
  });
}

}  // namespace
}  // namespace gatehouse::packet_tunnel
