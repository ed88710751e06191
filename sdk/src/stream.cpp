#include <gatehouse/net/stream.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <utility>

namespace gatehouse {
namespace {

Error read_or_write_error() noexcept {
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return Errc::would_block;
  return last_system_error();
}

StreamPeer peer_of(int fd) noexcept {
  StreamPeer peer;
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return peer;
  peer.source = Endpoint::from_sockaddr(address);
  if (address.ss_family == AF_UNIX) {
    ucred credentials{};
    size = sizeof credentials;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0 &&
        credentials.uid != std::numeric_limits<uid_t>::max())
      peer.uid = credentials.uid;
  } else {
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  return peer;
}

}  // namespace

std::string StreamPeer::to_string() const {
  if (uid) return "unix:" + std::to_string(*uid);
  return source.to_string();
}

Stream::Stream(UniqueFd fd) noexcept : fd_(std::move(fd)), peer_(peer_of(fd_.get())) {}

Stream::~Stream() { close(); }

Result<void> Stream::watch(Poller& poller, Readiness& target) noexcept {
  if (const auto added = poller.add(fd_.get(), EPOLLIN, target); !added) return added;
  poller_ = &poller;
  target_ = &target;
  events_ = EPOLLIN;
  watched_ = true;
  return boost::system::in_place_value;
}

void Stream::unwatch() noexcept {
  if (std::exchange(watched_, false)) poller_->remove(fd_.get(), *target_);
  events_ = 0;
}

void Stream::watch_for(bool readable, bool writable) noexcept {
  const std::uint32_t events = (readable ? std::uint32_t{EPOLLIN} : 0) | (writable ? std::uint32_t{EPOLLOUT} : 0);
  if (poller_ == nullptr || events == events_) return;
  events_ = events;
  if (watched_)
    poller_->modify(fd_.get(), events, *target_);
  else
    watched_ = poller_->add(fd_.get(), events, *target_).has_value();
}

Result<std::size_t> Stream::read(MutableBytes out) noexcept {
  const ssize_t n = recv(fd_.get(), out.data(), out.size(), 0);
  if (n > 0) return static_cast<std::size_t>(n);
  if (n == 0) return Errc::closed;
  return read_or_write_error();
}

Result<std::size_t> Stream::write(Bytes in) noexcept {
  const ssize_t n = send(fd_.get(), in.data(), in.size(), MSG_NOSIGNAL);
  if (n >= 0) return static_cast<std::size_t>(n);
  return read_or_write_error();
}

Result<std::size_t> Stream::write(std::span<const Bytes> in) noexcept {
  iovec parts[64];
  std::size_t count = 0;
  for (; count < std::min(in.size(), std::size(parts)); ++count)
    parts[count] = {const_cast<std::byte*>(in[count].data()), in[count].size()};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = count;
  const ssize_t n = sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
  if (n >= 0) return static_cast<std::size_t>(n);
  return read_or_write_error();
}

void Stream::limit_unsent(std::size_t bytes) noexcept {
  const int most = static_cast<int>(std::min<std::size_t>(bytes, std::numeric_limits<int>::max()));
  if (setsockopt(fd_.get(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &most, sizeof most) == 0) return;
  const int half = most / 2;  // a Unix socket; the kernel doubles it, and counts its own headers (socket(7))
  setsockopt(fd_.get(), SOL_SOCKET, SO_SNDBUF, &half, sizeof half);
}

void Stream::shutdown_write() noexcept { ::shutdown(fd_.get(), SHUT_WR); }

void Stream::close() noexcept {
  if (!fd_) return;
  if (std::exchange(watched_, false)) poller_->remove(fd_.get(), *target_);
  poller_ = nullptr;
  fd_.reset();
}

}  // namespace gatehouse
