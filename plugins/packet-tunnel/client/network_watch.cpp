#include "plugins/packet-tunnel/client/network_watch.hpp"

#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace gatehouse::packet_tunnel {

NetworkWatch::NetworkWatch(Poller& poller, std::function<void()> on_change)
    : poller_(poller),
      on_change_(std::move(on_change)),
      fd_(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE)) {
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;
  const bool is_there = fd_ && ::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
                        poller_.add(fd_.get(), EPOLLIN, *this).has_value();
  if (!is_there) fd_.reset();
}

NetworkWatch::~NetworkWatch() {
  if (fd_) poller_.remove(fd_.get(), *this);
}

/// What has changed is asked for elsewhere: here it matters only that something has.
void NetworkWatch::on_ready(std::uint32_t) {
  std::array<std::byte, 16 * 1024> notices;
  for (;;) {
    const ssize_t size = ::recv(fd_.get(), notices.data(), notices.size(), 0);
    if (size < 0 && errno != ENOBUFS) break;  // some were lost: there is something all the same
  }
  on_change_();
}

}  // namespace gatehouse::packet_tunnel
