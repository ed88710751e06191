#include "plugins/packet-tunnel/common/netlink_socket.hpp"

#include "plugins/packet-tunnel/common/host_error.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace gatehouse::packet_tunnel {
namespace {

constexpr std::size_t kLargestPart = 64 * 1024;  // the kernel makes parts of a dump of 32 KiB at most
constexpr int kReceiveBuffer = 1 << 20;

Error system_error(int code) noexcept { return {code, boost::system::system_category()}; }

}  // namespace

NetlinkSocket::NetlinkSocket(int protocol)
    : fd_(::socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol)), buffer_(kLargestPart) {
  if (!fd_) throw HostError("speak to the kernel by netlink", last_system_error());
  const int on = 1;
  ::setsockopt(fd_.get(), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
  ::setsockopt(fd_.get(), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);  // refusals without the request
  ::setsockopt(fd_.get(), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &kReceiveBuffer, sizeof kReceiveBuffer);
}

Result<void> NetlinkSocket::ask(NetlinkMessage& message, const OnMessage& on_message) {
  last_words_.clear();
  interrupted_ = false;
  const Bytes bytes = message.finish(++sequence_);
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  if (::sendto(fd_.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel) < 0)
    return last_system_error();
  while (true) {
    const auto part = read_part(on_message);
    if (!part) return part.error();
    if (*part == Part::last) return boost::system::in_place_value;
  }
}

Result<NetlinkSocket::Part> NetlinkSocket::read_part(const OnMessage& on_message) {
  const ssize_t got = ::recv(fd_.get(), buffer_.data(), buffer_.size(), 0);
  if (got < 0) return last_system_error();
  Bytes rest(buffer_.data(), static_cast<std::size_t>(got));
  while (true) {
    nlmsghdr header{};
    if (rest.size() < sizeof header) break;
    std::memcpy(&header, rest.data(), sizeof header);
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > rest.size()) return system_error(EBADMSG);
    Bytes body = rest.first(header.nlmsg_len).subspan(NLMSG_HDRLEN);
    rest = rest.subspan(std::min<std::size_t>(NLMSG_ALIGN(header.nlmsg_len), rest.size()));
    if (header.nlmsg_seq != sequence_) continue;  // of a request that was given up
    interrupted_ |= (header.nlmsg_flags & NLM_F_DUMP_INTR) != 0;

    if (header.nlmsg_type == NLMSG_ERROR || header.nlmsg_type == NLMSG_DONE) {
      const auto code = take_header<int>(body).value_or(0);
      if (header.nlmsg_type == NLMSG_ERROR && body.size() >= sizeof(nlmsghdr)) body = body.subspan(sizeof(nlmsghdr));
      if ((header.nlmsg_flags & NLM_F_ACK_TLVS) != 0) last_words_ = NetlinkAttributes(body).text(NLMSGERR_ATTR_MSG);
      if (code != 0) return system_error(-code);
      if (interrupted_) return system_error(EINTR);
      return Part::last;
    }
    if (on_message) on_message(header.nlmsg_type, body);
  }
  return Part::more_follows;
}

}  // namespace gatehouse::packet_tunnel
