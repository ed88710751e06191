// The two ends between which a tunnel's server works in a test: its device as the kernel sees it, and a client's
// stream.
#pragma once

#include <gatehouse/base/address.hpp>
#include <gatehouse/base/endian.hpp>
#include <gatehouse/base/unique_fd.hpp>
#include <gatehouse/testkit/hex.hpp>

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>

#include <chrono>
#include <string>
#include <thread>

namespace gatehouse::packet_tunnel {

using testkit::ByteVector;
using testkit::hex;
using namespace std::chrono_literals;

/// Waits until `fact` holds.
template <class Fact>
bool eventually(Fact&& fact, std::chrono::milliseconds within = 5s) {
  const auto deadline = std::chrono::steady_clock::now() + within;
  while (!fact()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

/// For messages.
inline std::string to_hex(Bytes bytes) {
  std::string out;
  for (const std::byte one : bytes)
    for (const unsigned shift : {4u, 0u}) out += "0123456789abcdef"[std::to_integer<unsigned>(one) >> shift & 15];
  return out;
}

inline bool readable(int fd, std::chrono::milliseconds within) {
  pollfd ready{fd, POLLIN, 0};
  return ::poll(&ready, 1, static_cast<int>(within.count())) == 1;
}

/// What passes a device of this network.
class DeviceTap {
 public:
  explicit DeviceTap(const char* device)
      : fd_(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)), index_(::if_nametoindex(device)) {
    const sockaddr_ll all = address(ETH_P_ALL);
    EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&all), sizeof all), 0) << device;
  }
  /// The next packet that somebody has written to the device; empty when none comes.
  [[nodiscard]] ByteVector next(std::chrono::milliseconds within = 2s) const {
    while (readable(fd_.get(), within)) {
      ByteVector out(65536);
      sockaddr_ll from{};
      socklen_t size = sizeof from;
      const ssize_t got = ::recvfrom(fd_.get(), out.data(), out.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
      if (got < 0 || from.sll_pkttype == PACKET_OUTGOING) continue;
      out.resize(static_cast<std::size_t>(got));
      return out;
    }
    return {};
  }
  /// As if the kernel had routed it there.
  void send(Bytes packet) const {
    const sockaddr_ll to = address(std::to_integer<unsigned>(packet[0]) >> 4 == 4 ? ETH_P_IP : ETH_P_IPV6);
    EXPECT_EQ(::sendto(fd_.get(), packet.data(), packet.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to),
              static_cast<ssize_t>(packet.size()));
  }

 private:
  [[nodiscard]] sockaddr_ll address(std::uint16_t protocol) const {
    sockaddr_ll out{};
    out.sll_family = AF_PACKET;
    out.sll_protocol = htons(protocol);
    out.sll_ifindex = static_cast<int>(index_);
    return out;
  }

  UniqueFd fd_;
  unsigned index_;
};

/// A client's stream, opened.
class TunnelStream {
 public:
  /// @param fields  of the opening, each with its end of line
  TunnelStream(const Endpoint& server, const std::string& session, const std::string& fields = {})
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_storage address{};
    const socklen_t size = server.to_sockaddr(address);
    EXPECT_EQ(::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    write(
        bytes_of("GET /packet-tunnel HTTP/1.1\r\nHost: gate.example\r\nConnection: upgrade\r\n"
                 "Upgrade: packet-tunnel\r\nSession-ID: " +
                 session + "\r\n" + fields + "\r\n"));
    while (answer.find("\r\n\r\n") == answer.npos && readable(fd_.get(), 5s)) {
      char byte;
      if (::recv(fd_.get(), &byte, 1, 0) != 1) break;
      answer += byte;
    }
    EXPECT_EQ(answer.substr(0, 12), "HTTP/1.1 101");
  }
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  void write(Bytes bytes) const {
    EXPECT_EQ(::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }
  void send(Bytes packet) const {
    ByteVector framed(2 + packet.size());
    store_big(MutableBytes(framed), static_cast<std::uint16_t>(packet.size()));
    std::copy(packet.begin(), packet.end(), framed.begin() + 2);
    write(framed);
  }
  /// The next packet; empty when none comes.
  [[nodiscard]] ByteVector receive(std::chrono::milliseconds within = 2s) {
    for (;;) {
      const std::size_t size = input_.size() < 2 ? SIZE_MAX : load_big<std::uint16_t>(Bytes(input_));
      if (size != SIZE_MAX && input_.size() >= 2 + size) {
        const auto end = input_.begin() + 2 + static_cast<std::ptrdiff_t>(size);
        ByteVector out(input_.begin() + 2, end);
        input_.erase(input_.begin(), end);
        return out;
      }
      if (!readable(fd_.get(), within) || !more()) return {};
    }
  }
  /// Has the server ended the stream?
  [[nodiscard]] bool has_ended() {
    while (readable(fd_.get(), 2s))
      if (!more()) return true;
    return false;
  }

  std::string answer;

 private:
  bool more() {
    std::byte bytes[65536];
    const ssize_t got = ::recv(fd_.get(), bytes, sizeof bytes, 0);
    if (got > 0) input_.insert(input_.end(), bytes, bytes + got);
    return got > 0;
  }

  UniqueFd fd_;
  ByteVector input_;
};

}  // namespace gatehouse::packet_tunnel
