// Stages: recvmmsg of up to kMessages -> local addresses out of the control messages -> the callback -> sendmmsg.
#include <gatehouse/net/udp_listener.hpp>

#include <boost/system/system_error.hpp>

#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace gatehouse {
namespace {

constexpr std::size_t kMessages = 64;
constexpr std::size_t kRoom = 65536;
// Room for both families' control messages; too little would drop them silently (MSG_CTRUNC).
constexpr std::size_t kControl = 128;

void enable(int fd, int level, int option, const char* what) {
  const int on = 1;
  if (setsockopt(fd, level, option, &on, sizeof on) != 0) throw boost::system::system_error(last_system_error(), what);
}

int family_of(int fd) noexcept {
  int family = 0;
  socklen_t size = sizeof family;
  getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size);
  return family;
}

/// Reads the address that was asked, and the link it came by.
void read_local(msghdr& message, Datagram& out) noexcept {
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
      in_pktinfo info;
      std::memcpy(&info, CMSG_DATA(c), sizeof info);
      out.local = IpAddress::v4(ntohl(info.ipi_spec_dst.s_addr));  // not ipi_addr: that may be a group
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info;
      std::memcpy(&info, CMSG_DATA(c), sizeof info);
      const IpAddress local = IpAddress::v6(std::as_bytes(std::span(info.ipi6_addr.s6_addr)));
      if (!local.is_multicast()) out.local = local.unmapped();
      out.link = info.ipi6_ifindex;
    }
  }
}

/// Writes the source address as a control message. @return its length in bytes
std::size_t write_local(msghdr& message, const Datagram& from) noexcept {
  cmsghdr* const c = CMSG_FIRSTHDR(&message);
  if (from.local.is_v4()) {
    in_pktinfo info{};  // no interface: setting it would force the link, where routing may be asymmetric
    info.ipi_spec_dst.s_addr = htonl(from.local.to_v4());
    c->cmsg_level = IPPROTO_IP;
    c->cmsg_type = IP_PKTINFO;
    c->cmsg_len = CMSG_LEN(sizeof info);
    std::memcpy(CMSG_DATA(c), &info, sizeof info);
    return CMSG_SPACE(sizeof info);
  }
  in6_pktinfo info{};
  std::memcpy(info.ipi6_addr.s6_addr, from.local.storage().data(), 16);
  if (from.remote.address.is_link_local()) info.ipi6_ifindex = from.link;
  c->cmsg_level = IPPROTO_IPV6;
  c->cmsg_type = IPV6_PKTINFO;
  c->cmsg_len = CMSG_LEN(sizeof info);
  std::memcpy(CMSG_DATA(c), &info, sizeof info);
  return CMSG_SPACE(sizeof info);
}

}  // namespace

struct UdpListener::Batch {
  mmsghdr messages[kMessages];
  iovec parts[kMessages];
  sockaddr_storage names[kMessages];
  alignas(cmsghdr) std::byte control[kMessages][kControl];
  Datagram datagrams[kMessages];
};

UdpListener::UdpListener(Poller& poller, int fd, OnDatagrams on_datagrams)
    : poller_(poller),
      fd_(fd),
      on_datagrams_(std::move(on_datagrams)),
      in_(std::make_unique<Batch>()),
      out_(std::make_unique<Batch>()),
      buffer_(new std::byte[kMessages * kRoom]) {
  if (family_of(fd) == AF_INET6)
    enable(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, "IPV6_RECVPKTINFO");
  else
    enable(fd, IPPROTO_IP, IP_PKTINFO, "IP_PKTINFO");
  if (const auto added = poller_.add(fd, EPOLLIN, *this); !added)
    throw boost::system::system_error(added.error(), "watch a UDP listener");
}

UdpListener::~UdpListener() { poller_.remove(fd_, *this); }

void UdpListener::on_ready(std::uint32_t) {
  for (std::size_t i = 0; i < kMessages; ++i) {
    in_->parts[i] = {&buffer_[i * kRoom], kRoom};
    msghdr& message = in_->messages[i].msg_hdr;
    message = {};
    message.msg_name = &in_->names[i];
    message.msg_namelen = sizeof in_->names[i];
    message.msg_iov = &in_->parts[i];
    message.msg_iovlen = 1;
    message.msg_control = in_->control[i];
    message.msg_controllen = kControl;
  }
  const int received = recvmmsg(fd_, in_->messages, kMessages, 0, nullptr);
  if (received <= 0) return;  // nothing, or an ICMP error that belongs to no datagram of ours

  for (int i = 0; i < received; ++i) {
    Datagram& datagram = in_->datagrams[i];
    datagram = {};
    datagram.payload = MutableBytes(&buffer_[i * kRoom], in_->messages[i].msg_len);
    datagram.remote = Endpoint::from_sockaddr(in_->names[i]);
    read_local(in_->messages[i].msg_hdr, datagram);
  }
  on_datagrams_(std::span(in_->datagrams, static_cast<std::size_t>(received)));
}

std::size_t UdpListener::send(std::span<const Datagram> datagrams) noexcept {
  std::size_t taken = 0;
  while (!datagrams.empty()) {
    const std::size_t count = std::min(datagrams.size(), kMessages);
    for (std::size_t i = 0; i < count; ++i) {
      const Datagram& datagram = datagrams[i];
      out_->parts[i] = {datagram.payload.data(), datagram.payload.size()};
      msghdr& message = out_->messages[i].msg_hdr;
      message = {};
      message.msg_name = &out_->names[i];
      message.msg_namelen = datagram.remote.to_sockaddr(out_->names[i]);
      message.msg_iov = &out_->parts[i];
      message.msg_iovlen = 1;
      if (datagram.local.family() != Family::none) {
        message.msg_control = out_->control[i];
        message.msg_controllen = kControl;
        message.msg_controllen = write_local(message, datagram);
      }
    }
    for (std::size_t at = 0; at < count;) {
      const int sent = sendmmsg(fd_, out_->messages + at, static_cast<unsigned>(count - at), MSG_NOSIGNAL);
      if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return taken;
      if (sent > 0) {
        at += static_cast<std::size_t>(sent);
        taken += static_cast<std::size_t>(sent);
      } else {
        ++at;  // this one's address or route is gone: the others may go
      }
    }
    datagrams = datagrams.subspan(count);
  }
  return taken;
}

}  // namespace gatehouse
