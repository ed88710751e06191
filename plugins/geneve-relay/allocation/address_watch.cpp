// rtnetlink (RFC 3549; linux/rtnetlink.h): a dump of RTM_GETADDR, and the groups of addresses.
#include "plugins/geneve-relay/allocation/address_watch.hpp"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace gatehouse::geneve_relay {
namespace {

constexpr int kTries = 10;                       // of a dump that changes while it is read
constexpr std::size_t kLargestPart = 64 * 1024;  // the kernel makes parts of 32 KiB at most
constexpr std::uint32_t kNotForOthers = IFA_F_TENTATIVE | IFA_F_OPTIMISTIC | IFA_F_DADFAILED | IFA_F_DEPRECATED;
constexpr std::uint32_t kNotForOthersV6 = IFA_F_TEMPORARY;  // of IPv4 the same bit is IFA_F_SECONDARY;

Error system_error(int code) noexcept { return {code, boost::system::system_category()}; }

/// Takes a fixed header off the front of `bytes`; false: they are too short.
template <class Header>
bool take_header(Bytes& bytes, Header& out) noexcept {
  if (bytes.size() < sizeof out) return false;
  std::memcpy(&out, bytes.data(), sizeof out);
  bytes = bytes.subspan(std::min<std::size_t>(NLMSG_ALIGN(sizeof out), bytes.size()));
  return true;
}

IpAddress address_of(Bytes value) noexcept {
  return value.size() == 4 ? IpAddress::v4(value) : value.size() == 16 ? IpAddress::v6(value) : IpAddress();
}

/// The address of an RTM_NEWADDR, if others may be told of it.
IpAddress usable_address(Bytes body) noexcept {
  ifaddrmsg header{};
  if (!take_header(body, header)) return {};
  std::uint32_t flags = header.ifa_flags;
  IpAddress local, address;
  for (rtattr attribute{}; body.size() >= sizeof attribute;) {
    std::memcpy(&attribute, body.data(), sizeof attribute);
    if (attribute.rta_len < sizeof attribute || attribute.rta_len > body.size()) break;
    const Bytes value = body.first(attribute.rta_len).subspan(sizeof attribute);
    if (attribute.rta_type == IFA_LOCAL) local = address_of(value);
    if (attribute.rta_type == IFA_ADDRESS) address = address_of(value);
    if (attribute.rta_type == IFA_FLAGS && value.size() == sizeof flags)
      std::memcpy(&flags, value.data(), sizeof flags);
    body = body.subspan(std::min<std::size_t>(RTA_ALIGN(attribute.rta_len), body.size()));
  }
  const IpAddress own = local.family() != Family::none ? local : address;  // of a point-to-point link the near end
  const std::uint32_t wrong = kNotForOthers | (own.is_v6() ? kNotForOthersV6 : 0);
  const bool is_usable = (flags & wrong) == 0 && !own.is_link_local() && !own.is_multicast();
  return is_usable ? own : IpAddress();
}

Error ask(int fd) noexcept {
  struct {
    nlmsghdr header{};
    ifaddrmsg body{};
  } request;
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = RTM_GETADDR;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  const ssize_t sent =
      ::sendto(fd, &request, sizeof request, 0, reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel);
  return sent < 0 ? last_system_error() : Error();
}

Error read_dump(std::vector<IpAddress>& out) {
  const UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!fd) return last_system_error();
  if (const Error failure = ask(fd.get())) return failure;
  std::vector<std::byte> part(kLargestPart);
  Error state = Errc::not_found;
  while (state == Errc::not_found) {
    const ssize_t size = ::recv(fd.get(), part.data(), part.size(), 0);  // answers are there when the request is sent
    if (size < 0) return last_system_error();
    state = read_addresses(Bytes(part).first(static_cast<std::size_t>(size)), out);
  }
  return state;
}

}  // namespace

Error read_addresses(Bytes part, std::vector<IpAddress>& out) {
  nlmsghdr header{};
  bool is_interrupted = false;
  while (part.size() >= sizeof header) {
    std::memcpy(&header, part.data(), sizeof header);
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > part.size()) return system_error(EBADMSG);
    const Bytes body = part.first(header.nlmsg_len).subspan(NLMSG_HDRLEN);
    part = part.subspan(std::min<std::size_t>(NLMSG_ALIGN(header.nlmsg_len), part.size()));
    is_interrupted = is_interrupted || (header.nlmsg_flags & NLM_F_DUMP_INTR) != 0;
    if (is_interrupted) return system_error(EINTR);
    if (header.nlmsg_type == NLMSG_DONE) return {};
    if (header.nlmsg_type == NLMSG_ERROR) {
      int code = EBADMSG;
      if (body.size() >= sizeof code) std::memcpy(&code, body.data(), sizeof code);
      return system_error(code < 0 ? -code : EBADMSG);
    }
    if (header.nlmsg_type != RTM_NEWADDR) continue;
    const IpAddress address = usable_address(body);
    if (address.family() != Family::none && std::ranges::find(out, address) == out.end()) out.push_back(address);
  }
  return Errc::not_found;
}

Result<std::vector<IpAddress>> usable_addresses() {
  Error failure;
  for (int tries = 0; tries < kTries; ++tries) {
    std::vector<IpAddress> out;
    failure = read_dump(out);
    if (!failure) return out;
    if (failure.value() != EINTR) break;
  }
  return failure;
}

AddressWatch::AddressWatch(Poller& poller, std::function<void()> on_change)
    : poller_(poller),
      on_change_(std::move(on_change)),
      fd_(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE)) {
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
  const bool is_there = fd_ && ::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
                        poller_.add(fd_.get(), EPOLLIN, *this).has_value();
  if (!is_there) fd_.reset();
}

AddressWatch::~AddressWatch() {
  if (fd_) poller_.remove(fd_.get(), *this);
}

/// What has changed is read as a whole: notices may have been lost.
void AddressWatch::on_ready(std::uint32_t) {
  std::array<std::byte, 16 * 1024> notices;
  while (::recv(fd_.get(), notices.data(), notices.size(), 0) >= 0 || errno == ENOBUFS) {
  }
  on_change_();
}

}  // namespace gatehouse::geneve_relay
