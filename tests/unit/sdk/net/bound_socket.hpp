// UDP sockets of a test.
#pragma once

#include <gatehouse/base/address.hpp>
#include <gatehouse/base/bytes.hpp>
#include <gatehouse/base/unique_fd.hpp>

#include <gtest/gtest.h>

#include <poll.h>
#include <sys/socket.h>

#include <optional>
#include <vector>

namespace gatehouse {

inline Endpoint local_of(const UniqueFd& fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  EXPECT_EQ(getsockname(fd.get(), reinterpret_cast<sockaddr*>(&storage), &size), 0);
  return Endpoint::from_sockaddr(storage);
}

/// A socket at `address`, with any port or with `port`; `shared`: in its SO_REUSEPORT group.
inline UniqueFd bound(const IpAddress& address, std::uint16_t port = 0, bool shared = false, int protocol = 0) {
  UniqueFd fd(socket(address.is_v4() ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
  const int on = 1;
  EXPECT_TRUE(!shared || setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0);
  sockaddr_storage storage{};
  const socklen_t size = Endpoint{address, port, 0}.to_sockaddr(storage);
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&storage), size), 0);
  return fd;
}

inline UniqueFd bound(const char* address, Endpoint& local) {
  UniqueFd fd = bound(*IpAddress::parse(address));
  local = local_of(fd);
  return fd;
}

/// The next datagram, and who sent it; none within `patience` milliseconds.
inline std::optional<std::vector<std::byte>> next_of(const UniqueFd& fd, Endpoint* remote = nullptr,
                                                     int patience = 2000) {
  pollfd ready{fd.get(), POLLIN, 0};
  if (poll(&ready, 1, patience) != 1) return {};
  std::vector<std::byte> out(70000);
  sockaddr_storage from{};
  socklen_t size = sizeof from;
  const ssize_t got = recvfrom(fd.get(), out.data(), out.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
  if (got < 0) return {};
  out.resize(static_cast<std::size_t>(got));
  if (remote != nullptr) *remote = Endpoint::from_sockaddr(from);
  return out;
}

}  // namespace gatehouse
