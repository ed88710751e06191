// Stages: recvmmsg of as many as stay in the cache -> addresses and segment sizes out of the control messages -> what
// was cut off left out.
#include <gatehouse/base/error.hpp>
#include <gatehouse/net/udp_batch_receiver.hpp>

#include <boost/system/system_error.hpp>

#include <netinet/in.h>
#include <netinet/udp.h>

#include <algorithm>
#include <cstring>

#ifndef UDP_GRO
#define UDP_GRO 104  // linux/udp.h, since 5.0
#endif

namespace gatehouse {
namespace {

bool enable(int fd, int level, int option) noexcept {
  const int on = 1;
  return setsockopt(fd, level, option, &on, sizeof on) == 0;
}

int family_of(int fd) noexcept {
  int family = 0;
  socklen_t size = sizeof family;
  getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size);
  return family;
}

template <class T>
T content_of(const cmsghdr& control) noexcept {
  T out;
  std::memcpy(&out, CMSG_DATA(&control), sizeof out);
  return out;
}

/// Reads the address that was asked, the link it came by, and the size of coalesced datagrams.
void read_control(msghdr& message, Datagram& out) noexcept {
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
      // Not ipi_addr: that may be a group.
      out.local = IpAddress::v4(ntohl(content_of<in_pktinfo>(*c).ipi_spec_dst.s_addr));
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
      const auto info = content_of<in6_pktinfo>(*c);
      const IpAddress local = IpAddress::v6(std::as_bytes(std::span(info.ipi6_addr.s6_addr)));
      if (!local.is_multicast()) out.local = local.unmapped();
      out.link = info.ipi6_ifindex;
    } else if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
      const auto segment = static_cast<std::size_t>(content_of<int>(*c));
      if (segment < out.payload.size()) out.segment = static_cast<std::uint16_t>(segment);
    }
  }
}

}  // namespace

UdpBatchReceiver::UdpBatchReceiver(int fd, bool aggregates, BatchCounters& counters)
    : fd_(fd), counters_(counters), buffer_(new std::byte[kMessages * kRoom]) {
  const bool tells_local =
      family_of(fd) == AF_INET6 ? enable(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO) : enable(fd, IPPROTO_IP, IP_PKTINFO);
  if (!tells_local) throw boost::system::system_error(last_system_error(), "local addresses of a UDP listener");
  if (aggregates) enable(fd, IPPROTO_UDP, UDP_GRO);
  for (std::size_t i = 0; i < kMessages; ++i) {
    parts_[i] = {&buffer_[i * kRoom], kRoom};
    msghdr& message = messages_[i].msg_hdr;
    message.msg_name = &names_[i];
    message.msg_iov = &parts_[i];
    message.msg_iovlen = 1;
    message.msg_control = controls_[i].bytes;
  }
}

/// The kernel writes over what it was told of the room for names and control messages.
void UdpBatchReceiver::make_ready(std::size_t message) noexcept {
  messages_[message].msg_hdr.msg_namelen = sizeof names_[message];
  messages_[message].msg_hdr.msg_controllen = kControl;
}

/// Of messages as large as those of the last call, what the cache holds.
void UdpBatchReceiver::choose_depth() noexcept {
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < used_; ++i) bytes += messages_[i].msg_len;
  depth_ = bytes == 0 ? kMessages : std::clamp<std::size_t>(used_ * kCached / bytes, 4, kMessages);
}

std::span<Datagram> UdpBatchReceiver::receive() noexcept {
  for (std::size_t i = 0; i < used_; ++i) make_ready(i);
  used_ = 0;
  const int received = recvmmsg(fd_, messages_.data(), static_cast<unsigned>(depth_), 0, nullptr);
  if (received <= 0) return {};  // nothing, or an ICMP error that belongs to no datagram of ours
  used_ = static_cast<std::size_t>(received);
  ++counters_.receive_calls;

  std::size_t whole = 0;
  for (std::size_t i = 0; i < used_; ++i) {
    msghdr& message = messages_[i].msg_hdr;
    if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
      ++counters_.truncated;
      continue;
    }
    Datagram& datagram = datagrams_[whole++];
    datagram = {};
    datagram.payload = MutableBytes(&buffer_[i * kRoom], messages_[i].msg_len);
    datagram.remote = Endpoint::from_sockaddr(names_[i]);
    read_control(message, datagram);
    counters_.datagrams_received += datagram.count();
  }
  counters_.buffers_received += used_;
  choose_depth();
  return std::span(datagrams_).first(whole);
}

}  // namespace gatehouse
