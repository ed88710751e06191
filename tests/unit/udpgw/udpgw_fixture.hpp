// The whole plugin under a fake host: real streams, real UDP sockets on loopback, one lane.
#pragma once

#include "plugins/udpgw/frame.hpp"

#include <gatehouse/testkit/hex.hpp>
#include <gatehouse/testkit/plugin_runner.hpp>

#include <gtest/gtest.h>

#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <chrono>

extern "C" const gh_manifest gatehouse_plugin;

namespace gatehouse::udpgw {

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

inline bool readable(int fd, std::chrono::milliseconds within) {
  pollfd ready{fd, POLLIN, 0};
  return poll(&ready, 1, static_cast<int>(within.count())) == 1;
}

/// A UDP socket on 127.0.0.1: the far end of a forward.
class Far {
 public:
  explicit Far(std::uint16_t port = 0) : fd_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_storage address{};
    socklen_t size = Endpoint{IpAddress::v4(0x7f000001), port, 0}.to_sockaddr(address);
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
  /// All of them by one UDP_SEGMENT send: none but the last is shorter than the first.
  void send_together(const Endpoint& to, const std::vector<ByteVector>& payloads) {
    sockaddr_storage address{};
    const socklen_t size = to.to_sockaddr(address);
    ByteVector bytes;
    for (const ByteVector& payload : payloads) bytes.insert(bytes.end(), payload.begin(), payload.end());
    iovec part{bytes.data(), bytes.size()};
    alignas(cmsghdr) std::byte control[CMSG_SPACE(sizeof(std::uint16_t))] = {};
    msghdr message{&address, size, &part, 1, control, sizeof control, 0};
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    *header = {CMSG_LEN(sizeof(std::uint16_t)), IPPROTO_UDP, UDP_SEGMENT};
    const auto segment = static_cast<std::uint16_t>(payloads[0].size());
    std::memcpy(CMSG_DATA(header), &segment, sizeof segment);
    EXPECT_EQ(sendmsg(fd_.get(), &message, 0), static_cast<ssize_t>(bytes.size()));
  }
  bool idle(std::chrono::milliseconds time = 50ms) { return !readable(fd_.get(), time); }

  Endpoint endpoint, from;

 private:
  UniqueFd fd_;
};

inline ByteVector wire_address(const Endpoint& endpoint) {
  ByteVector out(endpoint.address.bytes().begin(), endpoint.address.bytes().end());
  out.resize(out.size() + 2);
  store_big(MutableBytes(out).last(2), endpoint.port);
  return out;
}

inline ByteVector frame(std::uint16_t conid, std::uint8_t flags, const Endpoint& to, Bytes payload) {
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

inline constexpr const char* kDnsQuery = "1234 0100 0001 0000 0000 0000 0161 0474657374 00 0001 0001";  // a.test A

inline std::string options(const Endpoint& first, const Endpoint& second, int timeout_ms = 100) {
  return R"({"dns_resolvers": [")" + first.to_string() + R"(", ")" + second.to_string() +
         R"("], "blocked_answer": "nxdomain", "blocked_ttl_seconds": 10, "resolver_timeout_ms": )" +
         std::to_string(timeout_ms) +
         R"(, "stream_idle_seconds": 60,
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

}  // namespace gatehouse::udpgw
