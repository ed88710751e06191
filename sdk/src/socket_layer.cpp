#include <gatehouse/net/socket_layer.hpp>

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

namespace gatehouse {
namespace {

/// What room() has granted, encoded, and answers to a peer that reads none of them.
constexpr std::size_t kMostLeftOver = 2 * SocketLayer::kMostAtOnce;

Error read_or_write_error() noexcept {
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return Errc::would_block;
  return last_system_error();
}

}  // namespace

Result<std::size_t> receive_some(int fd, MutableBytes out) noexcept {
  const ssize_t n = recv(fd, out.data(), out.size(), 0);
  if (n > 0) return static_cast<std::size_t>(n);
  if (n == 0) return Errc::closed;
  return read_or_write_error();
}

Result<std::size_t> send_some(int fd, Bytes in) noexcept {
  const ssize_t n = send(fd, in.data(), in.size(), MSG_NOSIGNAL);
  if (n >= 0) return static_cast<std::size_t>(n);
  return read_or_write_error();
}

Result<std::size_t> send_some(int fd, std::span<const Bytes> in) noexcept {
  iovec parts[64];
  std::size_t count = 0;
  for (; count < std::min(in.size(), std::size(parts)); ++count)
    parts[count] = {const_cast<std::byte*>(in[count].data()), in[count].size()};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = count;
  const ssize_t n = sendmsg(fd, &message, MSG_NOSIGNAL);
  if (n >= 0) return static_cast<std::size_t>(n);
  return read_or_write_error();
}

Result<std::size_t> SocketLayer::read(MutableBytes out) noexcept {
  if (input_.empty()) return receive_some(fd_, out);
  const std::size_t size = std::min(out.size(), input_.size());
  std::copy_n(input_.begin(), size, out.begin());
  if (size == input_.size())
    input_ = std::vector<std::byte>();
  else
    input_.erase(input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(size));
  return size;
}

std::size_t SocketLayer::room(std::size_t wanted) noexcept {
  if (has_left_over()) return 0;
  wanted = std::min(wanted, kMostAtOnce);
  if (wanted <= kLeastRoom) return wanted;
  int unsent = 0;
  if (ioctl(fd_, SIOCOUTQNSD, &unsent) != 0) return std::min(wanted, kLeastRoom);  // a Unix stream
  const std::size_t free = most_unsent_ - std::min(most_unsent_, static_cast<std::size_t>(unsent));
  return std::min(wanted, std::max(free, kLeastRoom));
}

Result<void> SocketLayer::put(std::span<const Bytes> parts) noexcept {
  if (broken_) return broken_;
  std::size_t taken = 0;
  if (!has_left_over()) {
    const auto sent = send_some(fd_, parts);
    if (!sent && sent.error() != Errc::would_block) return break_with(sent.error());
    taken = sent ? *sent : 0;
  }
  try {
    for (Bytes part : parts) {
      const std::size_t gone = std::min(taken, part.size());
      taken -= gone;
      part = part.subspan(gone);
      left_over_.insert(left_over_.end(), part.begin(), part.end());
    }
  } catch (const std::bad_alloc&) {
    return break_with(Errc::limit);
  }
  if (left_over_.size() - sent_ > kMostLeftOver) return break_with(Errc::limit);
  return boost::system::in_place_value;
}

Result<void> SocketLayer::flush() noexcept {
  if (broken_) return broken_;
  if (has_left_over()) {
    const Bytes rest = Bytes(left_over_).subspan(sent_);
    const auto sent = send_some(fd_, rest);
    if (!sent && sent.error() != Errc::would_block) return break_with(sent.error());
    sent_ += sent ? *sent : 0;
    if (has_left_over()) return make_error_code(Errc::would_block);
    left_over_ = std::vector<std::byte>();  // which "= {}" would not give back
    sent_ = 0;
  }
  end_if_finished();
  return boost::system::in_place_value;
}

/// What is left over can go nowhere any more.
Error SocketLayer::break_with(Error why) noexcept {
  left_over_ = std::vector<std::byte>();
  sent_ = 0;
  return broken_ = why;
}

void SocketLayer::finish() noexcept {
  finished_ = true;
  end_if_finished();
}

void SocketLayer::end_if_finished() noexcept {
  if (finished_ && !has_left_over()) ::shutdown(fd_, SHUT_WR);
}

}  // namespace gatehouse
