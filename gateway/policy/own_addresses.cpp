#include "gateway/policy/own_addresses.hpp"

#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <system_error>

namespace gatehouse {
namespace {

IpAddress address_of(const sockaddr* from) noexcept {
  sockaddr_storage storage{};
  std::memcpy(&storage, from, from->sa_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
  return Endpoint::from_sockaddr(storage).address;
}

void sort_unique(std::vector<IpAddress>& addresses) {
  std::sort(addresses.begin(), addresses.end());
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
}

}  // namespace

AddressSet read_own_addresses() {
  ifaddrs* raw = nullptr;
  if (::getifaddrs(&raw) != 0) throw std::system_error(errno, std::system_category(), "addresses of this machine");
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> list(raw, ::freeifaddrs);
  AddressSet out;
  for (const ifaddrs* entry = raw; entry; entry = entry->ifa_next) {
    if (!entry->ifa_addr || (entry->ifa_addr->sa_family != AF_INET && entry->ifa_addr->sa_family != AF_INET6)) continue;
    const IpAddress own = address_of(entry->ifa_addr);
    out.own.push_back(own);
    if (!own.is_v4() || (entry->ifa_flags & IFF_BROADCAST) == 0) continue;
    if (entry->ifa_broadaddr) out.broadcast.push_back(address_of(entry->ifa_broadaddr));
    // The kernel takes the last address of the network as broadcast also where none is configured.
    const std::uint32_t mask = entry->ifa_netmask ? address_of(entry->ifa_netmask).to_v4() : ~std::uint32_t{0};
    if (~mask > 1) out.broadcast.push_back(IpAddress::v4(own.to_v4() | ~mask));
  }
  std::erase_if(out.broadcast, [](const IpAddress& a) { return !a.is_v4() || a.is_unspecified(); });
  sort_unique(out.own);
  sort_unique(out.broadcast);
  return out;
}

AddressWatch::AddressWatch() : socket_(::socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE)) {
  sockaddr_nl local{};
  local.nl_family = AF_NETLINK;
  local.nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
  if (!socket_ || ::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&local), sizeof local) != 0)
    throw std::system_error(errno, std::system_category(), "rtnetlink");
}

bool AddressWatch::drain() noexcept {
  std::array<char, 8192> ignored;  // what changed is read again as a whole
  bool any = false;
  for (;;) {
    const ssize_t size = ::recv(socket_.get(), ignored.data(), ignored.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno != ENOBUFS) return any;  // ENOBUFS: more came than was kept
    any = true;
  }
}

}  // namespace gatehouse
