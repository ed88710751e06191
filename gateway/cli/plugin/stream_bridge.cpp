// Stages: poll, unless the stream holds input that no poll tells of; read what is there into the direction's buffer;
// write what the other end takes; pass an end on.
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
constexpr short kGone = POLLERR | POLLHUP | POLLNVAL;

bool is_socket(int fd) {
  struct stat found {};
  return ::fstat(fd, &found) == 0 && S_ISSOCK(found.st_mode);
}

/// One way: bytes that were read and not yet written, and whether the source has ended.
class Direction {
 public:
  [[nodiscard]] bool wants_read() const noexcept { return !ended_ && begin_ == end_; }
  [[nodiscard]] bool wants_write() const noexcept { return begin_ != end_; }
  /// Everything was passed on: the end may be passed on too.
  [[nodiscard]] bool drained() const noexcept { return ended_ && begin_ == end_; }

  [[nodiscard]] MutableBytes space() noexcept { return buffer_; }
  [[nodiscard]] Bytes rest() const noexcept { return Bytes(buffer_).subspan(begin_, end_ - begin_); }
  void add(std::size_t size) noexcept {
    begin_ = 0;
    end_ = size;
  }
  void take(std::size_t size) noexcept { begin_ += size; }
  void end() noexcept { ended_ = true; }
  /// Nobody takes the bytes: they are dropped and nothing more is read.
  void give_up() noexcept {
    begin_ = end_;
    ended_ = true;
  }

 private:
  bool ended_ = false;
  std::size_t begin_ = 0, end_ = 0;
  std::array<std::byte, kBufferSize> buffer_;
};

/// After POLLIN or POLLHUP on `in`.
Error read_from(int in, Direction& up) noexcept {
  const ssize_t size = ::read(in, up.space().data(), up.space().size());
  if (size > 0) {
    up.add(static_cast<std::size_t>(size));
  } else if (size == 0) {
    up.end();
  } else if (errno != EINTR && errno != EAGAIN) {
    return last_system_error();
  }
  return {};
}

/// After POLLOUT on `out`. A pipe that is ready takes PIPE_BUF bytes without blocking (pipe(7)).
Error write_to(int out, bool to_socket, Direction& down) noexcept {
  const Bytes rest = down.rest();
  const ssize_t size = to_socket ? ::send(out, rest.data(), rest.size(), MSG_DONTWAIT | MSG_NOSIGNAL)
                                 : ::write(out, rest.data(), std::min<std::size_t>(rest.size(), PIPE_BUF));
  if (size >= 0) {
    down.take(static_cast<std::size_t>(size));
  } else if (errno != EINTR && errno != EAGAIN) {
    return last_system_error();
  }
  return {};
}

/// What the stream takes now.
Error write_to(StreamLayer& stream, Direction& up) noexcept {
  while (up.wants_write()) {
    const Bytes part = up.rest().first(stream.room(up.rest().size()));
    if (part.empty()) return {};
    if (const auto put = stream.put({&part, 1}); !put) return put.error();
    up.take(part.size());
  }
  return {};
}

/// What the stream has.
Error read_from(StreamLayer& stream, Direction& down) noexcept {
  const auto got = stream.read(down.space());
  if (got) {
    down.add(*got);
  } else if (got.error() == Errc::closed) {
    down.end();
  } else if (got.error() != Errc::would_block) {
    return got.error();
  }
  return {};
}

pollfd watch(bool wanted, int fd, int events) { return {wanted ? fd : -1, static_cast<short>(events), 0}; }

/// Passes an end on. A socket is shut first: its descriptor may have a twin, as sshd makes stdin and stdout.
void end_output(UniqueFd& out) {
  if (is_socket(out.get())) ::shutdown(out.get(), SHUT_WR);
  out.reset();
}

}  // namespace

std::string bridge_streams(UniqueFd in, UniqueFd out, ClientStream stream) {
  StreamLayer& layer = stream.layer();
  const bool to_socket = is_socket(out.get());
  Direction up, down;
  bool is_finished = false;
  while (in || out || layer.has_left_over()) {
    // Each is watched only while its events can be acted on, since a hang-up is reported for ever. `out` is watched
    // for nothing but its loss, and so is the peer once it has ended its side.
    const bool has_input = down.wants_read() && layer.holds_input();
    const int of_peer = (down.wants_read() ? POLLIN : 0) | (layer.has_left_over() ? POLLOUT : 0);
    std::array<pollfd, 3> polled{watch(in && up.wants_read(), in.get(), POLLIN),
                                 watch(static_cast<bool>(out), out.get(), down.wants_write() ? POLLOUT : 0),
                                 watch(of_peer != 0 || !out, stream.fd(), of_peer)};
    if (::poll(polled.data(), polled.size(), has_input ? 0 : -1) < 0 && errno != EINTR)
      return last_system_error().message();
    const auto [from_in, to_out, peer] = polled;

    if ((to_out.revents & kGone) != 0) return "nobody reads standard output any more";
    if (!out && (peer.revents & kGone) != 0) return {};
    if (from_in.revents != 0) {
      if (const Error error = read_from(in.get(), up)) return "standard input: " + error.message();
    }
    if (has_input || (peer.revents & (POLLIN | kGone)) != 0) {
      if (const Error error = down.wants_read() ? read_from(layer, down) : Error()) return stream.explain(error);
    }
    // A peer that reads no more has its say nevertheless: what it has sent is still delivered.
    if (layer.has_left_over() && (peer.revents & (POLLOUT | kGone)) != 0) {
      if (const auto sent = layer.flush(); !sent && sent.error() != Errc::would_block) up.give_up();
    }
    if (write_to(layer, up)) up.give_up();
    if (to_out.revents != 0 && down.wants_write()) {
      if (const Error error = write_to(out.get(), to_socket, down)) return "standard output: " + error.message();
    }
    if (in && up.drained()) {
      in.reset();
      if (!is_finished) layer.finish();
      is_finished = true;
    }
    if (out && down.drained()) end_output(out);
  }
  return {};
}

}  // namespace gatehouse
