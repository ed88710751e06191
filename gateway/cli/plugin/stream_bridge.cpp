// Stages: poll; read what is there into the direction's buffer; write what the other end takes; pass an end on.
#include "gateway/cli/plugin/stream_bridge.hpp"

#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace gatehouse {
namespace {

constexpr std::size_t kBufferSize = 64 * 1024;

bool is_socket(int fd) {
  struct stat found {};
  return ::fstat(fd, &found) == 0 && S_ISSOCK(found.st_mode);
}

/// One way: bytes that were read and not yet written, and whether the source has ended.
class Direction {
 public:
  Direction(int from, int to) : from_(from), to_(to), to_socket_(is_socket(to)) {}

  [[nodiscard]] bool wants_read() const noexcept { return !ended_ && begin_ == end_; }
  [[nodiscard]] bool wants_write() const noexcept { return begin_ != end_; }
  /// Everything was passed on: the end may be passed on too.
  [[nodiscard]] bool drained() const noexcept { return ended_ && begin_ == end_; }

  /// After POLLIN or POLLHUP on the source.
  Error read() noexcept {
    const ssize_t size = ::read(from_, buffer_.data(), buffer_.size());
    if (size > 0) {
      begin_ = 0;
      end_ = static_cast<std::size_t>(size);
    } else if (size == 0) {
      ended_ = true;
    } else if (errno != EINTR && errno != EAGAIN) {
      return last_system_error();
    }
    return {};
  }

  /// After POLLOUT on the target. A pipe that is ready takes PIPE_BUF bytes without blocking (pipe(7)).
  Error write() noexcept {
    const std::size_t left = end_ - begin_;
    const ssize_t size = to_socket_ ? ::send(to_, buffer_.data() + begin_, left, MSG_DONTWAIT | MSG_NOSIGNAL)
                                    : ::write(to_, buffer_.data() + begin_, std::min<std::size_t>(left, PIPE_BUF));
    if (size >= 0) {
      begin_ += static_cast<std::size_t>(size);
    } else if (errno != EINTR && errno != EAGAIN) {
      return last_system_error();
    }
    return {};
  }

  /// Nobody takes the bytes: they are dropped and nothing more is read.
  void give_up() noexcept {
    begin_ = end_;
    ended_ = true;
  }

 private:
  int from_, to_;
  bool to_socket_;
  bool ended_ = false;
  std::size_t begin_ = 0, end_ = 0;
  std::array<char, kBufferSize> buffer_;
};

pollfd watch(bool wanted, int fd, int events) { return {wanted ? fd : -1, static_cast<short>(events), 0}; }

/// Passes an end on. A socket is shut first: its descriptor may have a twin, as sshd makes stdin and stdout.
void end_output(UniqueFd& out) {
  if (is_socket(out.get())) ::shutdown(out.get(), SHUT_WR);
  out.reset();
}

}  // namespace

Error bridge_streams(UniqueFd in, UniqueFd out, UniqueFd socket) {
  constexpr short kGone = POLLERR | POLLHUP | POLLNVAL;
  Direction up(in.get(), socket.get()), down(socket.get(), out.get());
  while (in || out) {
    // Each is watched only while its events can be acted on, since a hang-up is reported for ever. `out` is watched
    // for nothing but its loss, and so is the socket once it has ended its side.
    const int of_peer = (down.wants_read() ? POLLIN : 0) | (up.wants_write() ? POLLOUT : 0);
    std::array<pollfd, 3> polled{watch(in && up.wants_read(), in.get(), POLLIN),
                                 watch(static_cast<bool>(out), out.get(), down.wants_write() ? POLLOUT : 0),
                                 watch(of_peer != 0 || !out, socket.get(), of_peer)};
    if (::poll(polled.data(), polled.size(), -1) < 0 && errno != EINTR) return last_system_error();
    const auto [from_in, to_out, peer] = polled;

    if ((to_out.revents & kGone) != 0) return make_error_code(boost::system::errc::broken_pipe);
    if (!out && (peer.revents & kGone) != 0) return {};
    if (from_in.revents != 0) {
      if (const Error error = up.read()) return error;
    }
    if (peer.revents != 0 && up.wants_write()) {
      if (up.write()) up.give_up();  // the peer reads no more; what it has sent is still delivered
    }
    if ((peer.revents & (POLLIN | kGone)) != 0 && down.wants_read()) {
      if (const Error error = down.read()) return error;
    }
    if (to_out.revents != 0 && down.wants_write()) {
      if (const Error error = down.write()) return error;
    }
    if (in && up.drained()) {
      in.reset();
      ::shutdown(socket.get(), SHUT_WR);
    }
    if (out && down.drained()) end_output(out);
  }
  return {};
}

}  // namespace gatehouse
