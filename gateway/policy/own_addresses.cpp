#include "gateway/policy/own_addresses.hpp"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <memory>
#include <optional>
#include <system_error>

namespace gatehouse {
namespace {

constexpr std::array<unsigned char, 2> kFamilies{AF_INET, AF_INET6};
constexpr std::array<unsigned char, 3> kDelivered{RTN_LOCAL, RTN_BROADCAST, RTN_ANYCAST};
constexpr int kMostDumps = 5;  // of routes that change meanwhile: the watch notices the last change

[[noreturn]] void fail(const char* what) { throw std::system_error(errno, std::system_category(), what); }

IpAddress address_of(const sockaddr* from) noexcept {
  sockaddr_storage storage{};
  std::memcpy(&storage, from, from->sa_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
  return Endpoint::from_sockaddr(storage).address;
}

/// IPv4 also where the kernel has it as ::ffff:a.b.c.d.
Prefix host(const IpAddress& address) noexcept { return {address.unmapped(), address.unmapped().bits()}; }

void sort_unique(std::vector<Prefix>& prefixes) {
  std::sort(prefixes.begin(), prefixes.end());
  prefixes.erase(std::unique(prefixes.begin(), prefixes.end()), prefixes.end());
}

void add_interfaces(OwnAddresses& out) {
  ifaddrs* raw = nullptr;
  if (::getifaddrs(&raw) != 0) fail("addresses of this machine");
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> list(raw, ::freeifaddrs);
  for (const ifaddrs* entry = raw; entry; entry = entry->ifa_next) {
    if (!entry->ifa_addr || (entry->ifa_addr->sa_family != AF_INET && entry->ifa_addr->sa_family != AF_INET6)) continue;
    const IpAddress own = address_of(entry->ifa_addr);
    out.own.push_back(host(own));
    if (!own.is_v4() || (entry->ifa_flags & IFF_BROADCAST) == 0) continue;
    if (entry->ifa_broadaddr) out.broadcast.push_back(host(address_of(entry->ifa_broadaddr)));
    // The kernel takes the last address of the network as broadcast also where none is configured.
    const std::uint32_t mask = entry->ifa_netmask ? address_of(entry->ifa_netmask).to_v4() : ~std::uint32_t{0};
    if (~mask > 1) out.broadcast.push_back(host(IpAddress::v4(own.to_v4() | ~mask)));
  }
  std::erase_if(out.broadcast, [](const Prefix& p) { return !p.address().is_v4() || p.address().is_unspecified(); });
}

/// One route as far as it matters here.
struct Route {
  Prefix destination;
  std::uint32_t table = 0;
  unsigned char type = 0;
};

std::optional<Route> read_route(const nlmsghdr& header) {
  rtmsg route{};
  if (header.nlmsg_type != RTM_NEWROUTE || header.nlmsg_len < NLMSG_LENGTH(sizeof route)) return {};
  std::memcpy(&route, NLMSG_DATA(&header), sizeof route);
  if (route.rtm_family != AF_INET && route.rtm_family != AF_INET6) return {};
  const std::size_t size = route.rtm_family == AF_INET ? 4 : 16;
  std::array<std::byte, 16> address{};
  Route out;
  out.table = route.rtm_table;
  out.type = route.rtm_type;
  auto left = static_cast<int>(header.nlmsg_len - NLMSG_LENGTH(sizeof route));
  const char* at = reinterpret_cast<const char*>(&header) + NLMSG_LENGTH(sizeof route);
  for (auto* one = reinterpret_cast<const rtattr*>(at); RTA_OK(one, left); one = RTA_NEXT(one, left)) {
    if (one->rta_type == RTA_DST && RTA_PAYLOAD(one) >= size) std::memcpy(address.data(), RTA_DATA(one), size);
    if (one->rta_type == RTA_TABLE && RTA_PAYLOAD(one) >= sizeof out.table)
      std::memcpy(&out.table, RTA_DATA(one), sizeof out.table);
  }
  const IpAddress destination = size == 4 ? IpAddress::v4(Bytes(address).first(4)) : IpAddress::v6(address);
  if (route.rtm_dst_len > destination.bits()) return {};
  out.destination = Prefix(destination, route.rtm_dst_len);
  return out;
}

bool is_delivered(const Route& route) noexcept {
  return std::find(kDelivered.begin(), kDelivered.end(), route.type) != kDelivered.end();
}

bool counts(const Route& route) noexcept {
  if (!is_delivered(route)) return false;
  return route.destination.length() != 0 || route.table == RT_TABLE_LOCAL || route.table == RT_TABLE_MAIN ||
         route.table == RT_TABLE_DEFAULT;
}

UniqueFd open_rtnetlink() {
  UniqueFd out(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!out) fail("rtnetlink");
  const int on = 1;
  // Kernels before 4.20 cannot choose by type: then all routes come, and are chosen from here.
  static_cast<void>(::setsockopt(out.get(), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on));
  return out;
}

void ask_for_routes(int socket, unsigned char family, unsigned char type) {
  struct {
    nlmsghdr header;
    rtmsg route;
  } question{};
  question.header.nlmsg_len = sizeof question;
  question.header.nlmsg_type = RTM_GETROUTE;
  question.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  question.route.rtm_family = family;
  question.route.rtm_type = type;
  if (::send(socket, &question, sizeof question, 0) < 0) fail("routes of this machine");
}

/// Hands over the routes of a dump. @return false where they changed meanwhile, so that some may be missing
template <class Take>
bool read_dump(int socket, Take take) {
  alignas(nlmsghdr) std::array<char, 32768> buffer;  // the kernel fills no more at once
  bool whole = true;
  for (;;) {
    const ssize_t size = ::recv(socket, buffer.data(), buffer.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) fail("routes of this machine");
    auto left = static_cast<unsigned>(size);
    for (auto* one = reinterpret_cast<const nlmsghdr*>(buffer.data()); NLMSG_OK(one, left);
         one = NLMSG_NEXT(one, left)) {
      if ((one->nlmsg_flags & NLM_F_DUMP_INTR) != 0) whole = false;
      int failure = 0;  // negative, also in the last message of a dump that failed
      const bool is_end = one->nlmsg_type == NLMSG_DONE || one->nlmsg_type == NLMSG_ERROR;
      if (is_end && one->nlmsg_len >= NLMSG_LENGTH(sizeof failure))
        std::memcpy(&failure, NLMSG_DATA(one), sizeof failure);
      if (failure < 0) throw std::system_error(-failure, std::system_category(), "routes of this machine");
      if (is_end) return whole;
      if (const auto route = read_route(*one)) take(*route);
    }
  }
}

void add_routes(unsigned char family, unsigned char type, OwnAddresses& out) {
  std::vector<Prefix>& found = type == RTN_BROADCAST ? out.broadcast : out.own;
  const auto take = [&](const Route& route) {
    if (route.type == type && counts(route)) found.push_back(route.destination);
  };
  for (int i = 0; i < kMostDumps; ++i) {
    const UniqueFd socket = open_rtnetlink();
    ask_for_routes(socket.get(), family, type);
    if (read_dump(socket.get(), take)) return;
  }
}

/// Lets messages through unless they are about a route that delivers nothing here and takes the place of no other: a
/// router with the Internet's routes hears of hundreds a second.
void drop_other_routes(int socket) {
  const auto load = [](std::uint16_t size, std::size_t at) {
    return sock_filter{static_cast<std::uint16_t>(BPF_LD | size | BPF_ABS), 0, 0, static_cast<std::uint32_t>(at)};
  };
  const auto when = [](std::uint16_t test, std::uint32_t value, std::uint8_t yes, std::uint8_t no) {
    return sock_filter{static_cast<std::uint16_t>(BPF_JMP | test | BPF_K), yes, no, value};
  };
  const auto answer = [](std::uint32_t bytes) { return sock_filter{BPF_RET | BPF_K, 0, 0, bytes}; };
  // Halves are loaded in network order, and netlink has the host's. Jumps count from the next line.
  std::array program{load(BPF_H, offsetof(nlmsghdr, nlmsg_type)),
                     when(BPF_JEQ, htons(RTM_NEWROUTE), 0, 2),
                     load(BPF_H, offsetof(nlmsghdr, nlmsg_flags)),
                     when(BPF_JSET, htons(NLM_F_REPLACE), 5, 1),
                     when(BPF_JEQ, htons(RTM_DELROUTE), 0, 4),
                     load(BPF_B, NLMSG_HDRLEN + offsetof(rtmsg, rtm_type)),
                     when(BPF_JEQ, kDelivered[0], 2, 0),
                     when(BPF_JEQ, kDelivered[1], 1, 0),
                     when(BPF_JEQ, kDelivered[2], 0, 1),
                     answer(UINT32_MAX),
                     answer(0)};
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  ::setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter);  // where it is refused, all are read
}

/// Of a route that takes the place of another, the kernel tells the new one only.
bool matters(const nlmsghdr& message, const OwnAddresses& known) {
  const auto route = (message.nlmsg_flags & NLM_F_REPLACE) != 0 ? read_route(message) : std::nullopt;
  if (!route || is_delivered(*route)) return true;
  const auto has = [&](const std::vector<Prefix>& prefixes) {
    return std::binary_search(prefixes.begin(), prefixes.end(), route->destination);
  };
  return has(known.own) || has(known.broadcast);
}

}  // namespace

OwnAddresses read_own_addresses() {
  OwnAddresses out;
  add_interfaces(out);
  for (const unsigned char family : kFamilies)
    for (const unsigned char type : kDelivered) add_routes(family, type, out);
  sort_unique(out.own);
  sort_unique(out.broadcast);
  return out;
}

OwnAddressWatch::OwnAddressWatch()
    : socket_(::socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE)) {
  sockaddr_nl local{};
  local.nl_family = AF_NETLINK;
  local.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;
  if (!socket_) fail("rtnetlink");
  drop_other_routes(socket_.get());
  if (::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&local), sizeof local) != 0) fail("rtnetlink");
}

bool OwnAddressWatch::drain(const OwnAddresses& known) noexcept {
  alignas(nlmsghdr) std::array<char, 8192> buffer;  // what changed is read again as a whole
  bool any = false;
  for (;;) {
    const ssize_t size = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno != ENOBUFS) return any;  // ENOBUFS: more came than was kept
    auto left = static_cast<unsigned>(std::max<ssize_t>(size, 0));
    const auto* one = reinterpret_cast<const nlmsghdr*>(buffer.data());
    any = any || !NLMSG_OK(one, left);  // one that does not fit
    for (; !any && NLMSG_OK(one, left); one = NLMSG_NEXT(one, left)) any = matters(*one, known);
  }
}

}  // namespace gatehouse
