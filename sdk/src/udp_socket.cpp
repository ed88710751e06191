#include <gatehouse/net/udp_socket.hpp>

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103  // linux/udp.h, since 4.18
#endif

namespace gatehouse {
namespace {

/// bind(2) to `local` with any port. IP_BIND_ADDRESS_NO_PORT leaves the choice of the port to connect(2), where a port
/// may serve several remotes.
bool bind_address(int fd, const IpAddress& local) noexcept {
  const int on = 1;
  setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  sockaddr_storage address{};
  const socklen_t size = Endpoint{local, 0, 0}.to_sockaddr(address);
  return bind(fd, reinterpret_cast<const sockaddr*>(&address), size) == 0;
}

}  // namespace

void UdpConnector::set_receive_buffer(int fd) noexcept {
  if (may_force_) {
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &receive_buffer_, sizeof receive_buffer_) == 0) return;
    may_force_ = false;
  }
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer_, sizeof receive_buffer_);
}

Result<UniqueFd> UdpConnector::connect(const Endpoint& remote, const std::optional<IpAddress>& local) noexcept {
  UniqueFd fd(socket(remote.address.is_v4() ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return last_system_error();
  set_receive_buffer(fd.get());
  if (local && !bind_address(fd.get(), *local)) return last_system_error();
  sockaddr_storage address{};
  const socklen_t size = remote.to_sockaddr(address);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) return last_system_error();
  return fd;
}

std::optional<int> UdpConnector::small_buffer() noexcept {
  const UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) return {};
  set_receive_buffer(fd.get());
  int doubled = 0;
  socklen_t size = sizeof doubled;
  getsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &doubled, &size);
  if (doubled / 2 >= receive_buffer_) return {};
  return doubled / 2;
}

Result<void> send_segments(int fd, std::span<const Bytes> payloads, std::size_t segment) noexcept {
  iovec parts[kMostSegments];
  std::size_t count = 0;
  for (const Bytes payload : payloads) parts[count++] = {const_cast<std::byte*>(payload.data()), payload.size()};

  alignas(cmsghdr) std::byte control[CMSG_SPACE(sizeof(std::uint16_t))] = {};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = count;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = IPPROTO_UDP;
  header->cmsg_type = UDP_SEGMENT;
  header->cmsg_len = CMSG_LEN(sizeof(std::uint16_t));
  const auto size = static_cast<std::uint16_t>(segment);
  std::memcpy(CMSG_DATA(header), &size, sizeof size);
  if (sendmsg(fd, &message, MSG_NOSIGNAL) < 0) return last_system_error();
  return boost::system::in_place_value;
}

}  // namespace gatehouse
