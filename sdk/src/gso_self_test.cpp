#include <gatehouse/base/clock.hpp>
#include <gatehouse/net/gso.hpp>
#include <gatehouse/net/udp_socket.hpp>

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>

namespace gatehouse {
namespace {

constexpr std::size_t kSegment = 1200, kSegments = 16, kTail = 77;
constexpr int kPatience = 150;  // milliseconds, each time

using Pattern = std::array<std::byte, kSegment * kSegments>;

/// Known bytes, of which no two datagrams are alike.
Pattern make_pattern() noexcept {
  Pattern out;
  std::uint32_t state = 1;
  for (std::byte& byte : out) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<std::byte>(state >> 24);
  }
  return out;
}

/// Two sockets of loopback, connected to each other: nobody else can put in a word.
struct Pair {
  Pair() noexcept
      : receiver(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)),
        sender(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_storage address{};
    const auto at = reinterpret_cast<sockaddr*>(&address);
    const socklen_t any_port = Endpoint{IpAddress::v4(INADDR_LOOPBACK), 0, 0}.to_sockaddr(address);
    socklen_t size = any_port;
    is_connected = bind(receiver.get(), at, any_port) == 0 && bind(sender.get(), at, any_port) == 0 &&
                   getsockname(receiver.get(), at, &size) == 0 && connect(sender.get(), at, size) == 0 &&
                   getsockname(sender.get(), at, &size) == 0 && connect(receiver.get(), at, size) == 0;
  }
  UniqueFd receiver, sender;
  bool is_connected = false;
};

/// Does `expected` come, as datagrams of kSegment bytes and a shorter last one?
bool arrives(const UniqueFd& receiver, Bytes expected) noexcept {
  std::array<std::byte, kSegment + 1> datagram;
  while (!expected.empty()) {
    pollfd ready{receiver.get(), POLLIN, 0};
    if (poll(&ready, 1, kPatience) != 1) return false;
    const ssize_t got = recv(receiver.get(), datagram.data(), datagram.size(), 0);
    const Bytes wanted = expected.first(std::min(kSegment, expected.size()));
    if (got < 0 || !std::ranges::equal(wanted, Bytes(datagram).first(static_cast<std::size_t>(got)))) return false;
    expected = expected.subspan(wanted.size());
  }
  return true;
}

/// Sends kSegments datagrams as one, of which the last has `last` bytes, from as many places.
Result<void> send_run(const UniqueFd& sender, Bytes pattern, std::size_t last) noexcept {
  std::array<Bytes, kSegments> payloads;
  for (std::size_t i = 0; i < kSegments; ++i) payloads[i] = pattern.subspan(i * kSegment, kSegment);
  payloads.back() = payloads.back().first(last);
  return send_segments(sender.get(), payloads, kSegment);
}

}  // namespace

bool gso_works() noexcept {
  const Pattern pattern = make_pattern();
  const Pair pair;
  // Without loopback nothing can be said.
  if (!pair.is_connected || send(pair.sender.get(), pattern.data(), 1, MSG_NOSIGNAL) != 1) return true;
  std::byte first;
  pollfd ready{pair.receiver.get(), POLLIN, 0};
  if (poll(&ready, 1, kPatience) != 1 || recv(pair.receiver.get(), &first, 1, 0) != 1) return true;

  for (const std::size_t last : {kSegment, kTail}) {
    const auto expected = Bytes(pattern).first((kSegments - 1) * kSegment + last);
    if (!send_run(pair.sender, pattern, last) || !arrives(pair.receiver, expected)) return false;
  }
  return true;
}

}  // namespace gatehouse
