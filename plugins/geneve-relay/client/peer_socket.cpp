#include "plugins/geneve-relay/client/peer_socket.hpp"

#include <boost/system/system_error.hpp>

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <limits>
#include <vector>

namespace gatehouse::geneve_relay {
namespace {

/// Nothing to be read, which is no failure.
bool is_empty(int error) noexcept { return error == EAGAIN || error == EWOULDBLOCK; }

}  // namespace

PeerSocket::PeerSocket(const Endpoint& relay)
    : relay_(relay),
      fd_(::socket(relay.address.is_v6() ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
  if (!fd_) throw boost::system::system_error(last_system_error(), "make a socket for " + relay.to_string());
  const int on = 1;
  if (relay.address.is_v6())
    ::setsockopt(fd_.get(), IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on);
  else
    ::setsockopt(fd_.get(), IPPROTO_IP, IP_RECVERR, &on, sizeof on);
}

Endpoint PeerSocket::local() const noexcept {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) return {};
  return Endpoint::from_sockaddr(address);
}

void PeerSocket::send_to(const Endpoint& to, Bytes datagram) noexcept {
  sockaddr_storage address{};
  const unsigned size = to.to_sockaddr(address);
  const auto send = [&] {
    return ::sendto(fd_.get(), datagram.data(), datagram.size(), MSG_NOSIGNAL,
                    reinterpret_cast<const sockaddr*>(&address), size) >= 0;
  };
  if (send()) return;
  failure_ = last_system_error();
  take_errors();  // it may have been that of an earlier datagram, and this one not sent
  if (!send()) failure_ = last_system_error();
}

std::optional<PeerSocket::Received> PeerSocket::receive(MutableBytes room) noexcept {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  const auto got = ::recvfrom(fd_.get(), room.data(), room.size(), 0, reinterpret_cast<sockaddr*>(&address), &size);
  if (got >= 0) return Received{Endpoint::from_sockaddr(address), room.first(static_cast<std::size_t>(got))};
  if (is_empty(errno)) return std::nullopt;
  failure_ = last_system_error();
  take_errors();
  return std::nullopt;
}

void PeerSocket::take_errors() noexcept {
  std::array<std::byte, 512> rest;
  while (::recv(fd_.get(), rest.data(), rest.size(), MSG_ERRQUEUE | MSG_TRUNC) >= 0) {
  }
}

bool wait_for_any(std::span<const PeerSocket* const> sockets, SteadyTime deadline) {
  std::vector<pollfd> polled;
  for (const PeerSocket* const socket : sockets) polled.push_back({socket->fd(), POLLIN, 0});
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - steady_now()).count();
    if (left <= 0) return false;
    const auto most = std::min<std::int64_t>(left, std::numeric_limits<int>::max());
    const int ready = ::poll(polled.data(), polled.size(), static_cast<int>(most));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) throw boost::system::system_error(last_system_error(), "wait for the relay");
  }
}

}  // namespace gatehouse::geneve_relay
