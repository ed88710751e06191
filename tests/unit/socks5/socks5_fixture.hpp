// The whole plugin under a fake host: real streams, real sockets on loopback, one lane, and a resolver of the test's
// own.
#pragma once

#include "plugins/socks5/wire/request.hpp"

#include <gatehouse/base/endian.hpp>
#include <gatehouse/net/dns_client.hpp>
#include <gatehouse/testkit/hex.hpp>
#include <gatehouse/testkit/plugin_runner.hpp>

#include <gtest/gtest.h>

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>

extern "C" const gh_manifest gatehouse_plugin;

namespace gatehouse::socks5 {

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

inline bool readable(int fd, std::chrono::milliseconds within = 3s) {
  pollfd ready{fd, POLLIN, 0};
  return poll(&ready, 1, static_cast<int>(within.count())) == 1;
}

inline Endpoint local_of(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  EXPECT_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
  return Endpoint::from_sockaddr(address);
}

/// A socket of the test's: a stream, a listener or a datagram socket.
class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  Socket(int type, const Endpoint& local) : fd_(::socket(AF_INET, type | SOCK_CLOEXEC, 0)) {
    sockaddr_storage address{};
    const socklen_t size = local.to_sockaddr(address);
    EXPECT_EQ(bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  }
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] Endpoint local() const { return local_of(fd_.get()); }
  void connect(const Endpoint& to) {
    sockaddr_storage address{};
    const socklen_t size = to.to_sockaddr(address);
    EXPECT_EQ(::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  }
  void send(Bytes bytes) {
    for (std::size_t at = 0; at < bytes.size();) {
      const ssize_t n = ::send(fd_.get(), bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
      ASSERT_GT(n, 0);
      at += static_cast<std::size_t>(n);
    }
  }
  /// What comes, `size` bytes or until it ends; fewer after three seconds of nothing.
  ByteVector receive(std::size_t size = 65536) {
    ByteVector out;
    while (out.size() < size && readable(fd_.get())) {
      const std::size_t at = out.size();
      out.resize(size);
      const ssize_t n = recv(fd_.get(), out.data() + at, size - at, 0);
      out.resize(at + (n > 0 ? static_cast<std::size_t>(n) : 0));
      if (n <= 0) break;
    }
    return out;
  }
  /// One datagram, and where it came from; empty after three seconds.
  ByteVector receive_datagram() {
    ByteVector out(65536);
    if (!readable(fd_.get())) return {};
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    const ssize_t n = recvfrom(fd_.get(), out.data(), out.size(), 0, reinterpret_cast<sockaddr*>(&address), &size);
    out.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    from = Endpoint::from_sockaddr(address);
    return out;
  }
  void send_to(const Endpoint& to, Bytes payload) {
    sockaddr_storage address{};
    const socklen_t size = to.to_sockaddr(address);
    sendto(fd_.get(), payload.data(), payload.size(), 0, reinterpret_cast<sockaddr*>(&address), size);
  }
  /// Has the other side ended it, in order or not?
  bool ended() {
    std::byte bytes[4096];
    while (readable(fd_.get()))
      if (recv(fd_.get(), bytes, sizeof bytes, 0) <= 0) return true;
    return false;
  }
  bool is_silent(std::chrono::milliseconds time = 60ms) { return !readable(fd_.get(), time); }
  void finish() { shutdown(fd_.get(), SHUT_WR); }
  void close() { fd_.reset(); }

  Endpoint from;

 private:
  UniqueFd fd_;
};

inline const Endpoint kLoopback{IpAddress::v4(0x7f000001), 0};

/// The far end of connections.
class Server {
 public:
  Server() : listener_(SOCK_STREAM, kLoopback) { listen(listener_.fd(), 128); }
  [[nodiscard]] Endpoint endpoint() const { return listener_.local(); }
  Socket accept() {
    EXPECT_TRUE(readable(listener_.fd()));
    return Socket(::accept(listener_.fd(), nullptr, nullptr));
  }
  bool is_left_alone() { return !readable(listener_.fd(), 60ms); }

 private:
  Socket listener_;
};

/// Answers A questions with those addresses, and AAAA ones with nothing, or with ::ffff:127.0.0.1 in their place.
class FakeResolver {
 public:
  FakeResolver() : socket_(SOCK_DGRAM, kLoopback), thread_([this] { serve(); }) {}
  ~FakeResolver() {
    stops_ = true;
    thread_.join();
  }
  [[nodiscard]] Endpoint endpoint() const { return socket_.local(); }
  void set_addresses(std::vector<IpAddress> addresses) {
    const std::scoped_lock lock(mutex_);
    addresses_ = std::move(addresses);
  }

  std::atomic<int> rcode = 0, asked = 0;
  std::atomic<bool> is_silent = false, is_mapped = false;

 private:
  void serve() {
    while (!stops_) {
      if (!readable(socket_.fd(), 20ms)) continue;
      ByteVector message = socket_.receive_datagram();
      ++asked;
      if (is_silent || message.size() < 17) continue;
      message[2] |= std::byte{0x80};
      message[3] = static_cast<std::byte>(rcode.load());
      const auto type = load_big<std::uint16_t>(Bytes(message).last(4));
      if (type == kDnsTypeAaaa && is_mapped) {
        store_big(MutableBytes(message).subspan(6), std::uint16_t{1});
        const ByteVector record = hex("c00c 001c 0001 0000003c 0010 00000000000000000000ffff7f000001");
        message.insert(message.end(), record.begin(), record.end());
      }
      if (type == kDnsTypeA && rcode == 0 && !is_mapped) {
        const std::scoped_lock lock(mutex_);
        store_big(MutableBytes(message).subspan(6), static_cast<std::uint16_t>(addresses_.size()));
        for (const IpAddress& one : addresses_) {
          const ByteVector record = hex("c00c 0001 0001 0000003c 0004");
          message.insert(message.end(), record.begin(), record.end());
          message.insert(message.end(), one.bytes().begin(), one.bytes().end());
        }
      }
      socket_.send_to(socket_.from, message);
    }
  }

  Socket socket_;
  std::mutex mutex_;
  std::vector<IpAddress> addresses_ = {IpAddress::v4(0x7f000001)};
  std::atomic<bool> stops_ = false;
  std::thread thread_;
};

inline ByteVector request(Command command, const Endpoint& to) {
  ByteVector out(3 + kLargestAddressField);
  out[0] = std::byte{5};
  out[1] = static_cast<std::byte>(command);
  out.resize(3 + write_destination(MutableBytes(out).subspan(3), to));
  return out;
}

inline ByteVector request(Command command, std::string_view name, std::uint16_t port) {
  ByteVector out = {std::byte{5}, static_cast<std::byte>(command), std::byte{0}, std::byte{3},
                    static_cast<std::byte>(name.size())};
  for (const char c : name) out.push_back(static_cast<std::byte>(c));
  out.resize(out.size() + 2);
  store_big(MutableBytes(out).last(2), port);
  return out;
}

inline std::string options(const Endpoint& resolver, bool splice = true, int resolver_timeout_ms = 100) {
  return R"({"dns_resolvers": [")" + resolver.to_string() + R"("], "resolver_timeout_ms": )" +
         std::to_string(resolver_timeout_ms) +
         R"(, "connect_timeout_seconds": 5, "tunnel_idle_seconds": 60, "egress_addresses": [], "blocked_answer": "nxdomain", "blocked_ttl_seconds": 10, "splice": )" +
         (splice ? "true}" : "false}");
}

class Socks5 : public testing::Test {
 protected:
  /// A stream that has been greeted, without a login.
  Socket greeted(const testkit::PluginRunner& server) {
    Socket out(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    out.connect(server.address());
    out.send(hex("050100"));
    EXPECT_EQ(out.receive(2), hex("0500"));
    return out;
  }
  Socket greeted() { return greeted(plugin); }
  /// The code of the answer to a request.
  static Reply reply(Socket& client) {
    const ByteVector answer = client.receive(10);
    return answer.size() == 10 ? static_cast<Reply>(answer[1]) : static_cast<Reply>(0xff);
  }
  bool said(std::string_view text) {
    return eventually([&] {
      const auto lines = host.log_lines();
      return std::any_of(lines.begin(), lines.end(), [&](const auto& line) { return line.find(text) != line.npos; });
    });
  }
  bool counts(const std::string& series, std::uint64_t value) {
    return eventually([&] { return host.metric(series) == value; });
  }
  void set_traffic(testkit::FakeTraffic traffic, bool metered = true) {
    gh_limits limits{};
    limits.struct_size = sizeof limits;
    limits.metered = metered;
    limits.udp_idle_ns = limits.tcp_idle_ns = limits.session_idle_ns = limits.concurrent_flows = UINT64_MAX;
    host.set_limits(limits);
    host.set_traffic(std::move(traffic));
    plugin.policy_changed();
  }

  testkit::FakeHost host;
  Server far;
  FakeResolver resolver;
  testkit::PluginRunner plugin{gatehouse_plugin, host, options(resolver.endpoint()), 1, GH_TRANSPORT_TCP};
};

}  // namespace gatehouse::socks5
