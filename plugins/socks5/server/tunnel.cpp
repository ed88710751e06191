#include "plugins/socks5/server/tunnel.hpp"

#include "plugins/socks5/server/lane.hpp"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace gatehouse::socks5 {
namespace {

using namespace std::chrono_literals;

/// A pipe pays where much comes: before that it would cost its two system calls for a saved copy of little.
constexpr std::uint64_t kSpliceAfter = 1 << 20;
constexpr std::size_t kSegment = 1448;     ///< what a packet of the Internet side carries, as a rule
constexpr std::size_t kHeaders = 52;       ///< and the IPv4 and TCP headers around it
constexpr Nanoseconds kLongestPause = 1s;  // the rate may have been raised
constexpr Nanoseconds kShortestPause = 2ms;

void reset_on_close(int socket) noexcept {
  const linger at_once{1, 0};
  ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

bool is_full(int error) noexcept { return error == EAGAIN || error == EWOULDBLOCK; }

}  // namespace

Tunnel::Way::Way(Tunnel& tunnel, Stream& source, Stream& sink, int source_fd, int sink_fd, Direction where)
    : from(source),
      to(sink),
      from_fd(source_fd),
      to_fd(sink_fd),
      direction(where),
      may_splice(source_fd >= 0 && sink_fd >= 0),
      pause([&tunnel, this] {
        tunnel.run(*this);
        tunnel.settle();
      }) {}

Tunnel::Tunnel(TunnelOwner& owner, Socks5Lane& lane, const PolicyClient& policy, Session& session, ClientEnd client,
               UniqueFd target, Bytes early)
    : owner_(owner),
      lane_(lane),
      policy_(policy),
      session_(session),
      client_(client),
      target_fd_(target.get()),
      target_(std::move(target), StreamPeer{}, nullptr),
      up_(*this, client.stream, target_, client.socket, target_fd_, Direction::up),
      down_(*this, target_, client.stream, target_fd_, client.socket, Direction::down) {
  if (!early.empty()) up_.kept.assign(early);
  lane_.counters.tunnels.add();
}

Tunnel::~Tunnel() {
  give_back(up_);
  give_back(down_);
  lane_.counters.tunnels.sub();
}

bool Tunnel::start() {
  if (!target_.watch(lane_.loop().poller(), target_end_)) return false;
  if (up_.holds()) run(up_);
  settle();
  return true;
}

void Tunnel::client_ready(std::uint32_t events) { ready(events, up_, down_); }
void Tunnel::target_ready(std::uint32_t events) { ready(events, down_, up_); }

/// One end is ready, from which one way comes and to which the other leads.
void Tunnel::ready(std::uint32_t events, Way& from_there, Way& to_there) {
  constexpr std::uint32_t kGone = EPOLLERR | EPOLLHUP;
  if ((events & kGone) != 0 && !from_there.wants_input() && !to_there.wants_room()) {
    // Nothing is wanted of it at the moment, and the sign would come again and again. A reset ends what goes there;
    // where something waits that has come from there before, that waits on.
    if ((events & EPOLLERR) == 0 || !from_there.has_ended || to_there.is_finished) return from_there.from.unwatch();
    sink_is_gone(to_there);
    return settle();
  }
  if ((events & EPOLLOUT) != 0 || (events & kGone) != 0) run(to_there);
  if ((events & (EPOLLIN | kGone)) != 0) run(from_there);
  settle();
}

void Tunnel::run(Way& way) {
  if (way.is_finished) return;
  way.is_full = false;
  push(way);
  if (way.wants_input()) pull(way);
  if (!way.has_ended || way.holds() || way.is_finished) return;
  if (!is_broken_) way.to.shutdown_write();
  way.is_finished = true;
}

void Tunnel::pull(Way& way) {
  if (way.may_splice && way.moved >= kSpliceAfter && !metered_ && lane_.settings().splice) {
    if (!way.pipe) way.pipe = lane_.pipes.lend();
    if (way.pipe) return pull_pipe(way);
  }
  const MutableBytes place = lane_.room_to_read();
  const auto got = way.from.read(place);
  if (!got) {
    if (got.error() == Errc::would_block) return;
    if (got.error() == Errc::closed)
      way.has_ended = true;
    else
      source_is_gone(way);
    return;
  }
  owner_.tunnel_active();
  lane_.did_read(*got);
  const Bytes in = place.first(*got);
  const std::size_t sent = send(way, in);
  if (sent != in.size() && !way.is_finished) way.kept.assign(in.subspan(sent));
}

void Tunnel::pull_pipe(Way& way) {
  const auto fill = [&] {
    return ::splice(way.from_fd, nullptr, way.pipe.in.get(), nullptr, lane_.room_to_splice(),
                    SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  };
  ssize_t got = fill();
  bool is_stuck = got < 0 && (errno == EINVAL || errno == ENOSYS);
  if (got == 0 || (got < 0 && is_full(errno))) {
    std::byte next;
    const ssize_t left = ::recv(way.from_fd, &next, sizeof next, MSG_PEEK | MSG_DONTWAIT);
    if (left == 0) way.has_ended = true;
    if (left < 0 && !is_full(errno)) source_is_gone(way);
    if (left <= 0) return;
    got = fill();  // it came just now, or it is behind urgent data, where a splice stops and read() does not
    is_stuck = got <= 0;
  }
  if (got > 0) {
    owner_.tunnel_active();
    way.is_resting = false;
    way.pipe.held += static_cast<std::size_t>(got);
    lane_.did_read(static_cast<std::size_t>(got));
    return push_pipe(way);
  }
  if (!is_stuck) return source_is_gone(way);
  way.may_splice = false;  // the next event comes at once
  give_back(way);
}

void Tunnel::push(Way& way) {
  if (way.pipe.held != 0) return push_pipe(way);
  if (way.kept.bytes().empty() || way.pause.is_scheduled()) return;
  const std::size_t sent = send(way, std::as_const(way.kept).bytes());
  if (sent != 0) owner_.tunnel_active();
  if (!way.is_finished) way.kept.consume(sent);
}

void Tunnel::push_pipe(Way& way) {
  while (way.pipe.held != 0) {
    const ssize_t sent =
        ::splice(way.pipe.out.get(), nullptr, way.to_fd, nullptr, way.pipe.held, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (sent > 0) {
      way.pipe.held -= static_cast<std::size_t>(sent);
      count(way, static_cast<std::size_t>(sent));
      lane_.counters.bytes_spliced.add(static_cast<std::uint64_t>(sent));
    } else if (sent < 0 && is_full(errno)) {
      way.is_full = true;
      return;
    } else {
      return sink_is_gone(way);
    }
  }
  owner_.tunnel_active();
}

/// Bytes that are gone; the rest is to be kept, unless the way is finished.
std::size_t Tunnel::send(Way& way, Bytes in) {
  const std::size_t may_go = metered_ ? pay(way, in.size()) : in.size();
  if (may_go == 0) return 0;
  const auto written = way.to.write(in.first(may_go));
  if (!written && written.error() != Errc::would_block) {
    sink_is_gone(way);
    return 0;
  }
  const std::size_t sent = written ? *written : 0;
  if (sent != may_go) way.is_full = true;
  if (metered_) way.paid -= sent;
  count(way, sent);
  return sent;
}

/// How much of `size` bytes may go; the rest after a pause. What was paid for and not taken is not paid again.
std::size_t Tunnel::pay(Way& way, std::size_t size) {
  if (way.paid >= size) return size;
  const std::size_t unpaid = size - way.paid;
  const std::size_t packets = (unpaid + kSegment - 1) / kSegment;
  const std::uint64_t want = unpaid + packets * kHeaders, least = kSegment + kHeaders;
  const Grant grant = policy_.charge(way.direction, packets, want, least, lane_.now());
  way.paid += grant.bytes == want ? unpaid : grant.bytes / least * kSegment;
  if (grant.bytes == want) return size;
  if (grant.wait == UINT64_MAX) {
    is_over_quota_ = true;
  } else {
    const Nanoseconds wait(static_cast<std::int64_t>(std::min<std::uint64_t>(grant.wait, 1'000'000'000)));
    lane_.loop().schedule(way.pause, std::clamp(wait, kShortestPause, kLongestPause));
  }
  return way.paid;
}

void Tunnel::count(Way& way, std::size_t size) noexcept {
  way.moved += size;
  if (way.direction == Direction::up) {
    session_.count_up(0, size);  // a stream has bytes, and no datagrams
    lane_.counters.bytes_up.add(size);
  } else {
    session_.count_down(0, size);
    lane_.counters.bytes_down.add(size);
  }
}

/// What it has sent before still goes to the other end; nothing goes to it any more.
void Tunnel::source_is_gone(Way& way) {
  is_broken_ = true;
  way.has_ended = true;
  drop(other(way));
}

/// What it has sent before may still be read.
void Tunnel::sink_is_gone(Way& way) {
  is_broken_ = true;
  drop(way);
}

void Tunnel::drop(Way& way) noexcept {
  way.has_ended = way.is_finished = true;
  way.is_full = false;
  way.pause.cancel();
  way.kept.clear();
  way.kept.trim();
  give_back(way);
}

void Tunnel::give_back(Way& way) noexcept {
  if (way.pipe) lane_.pipes.take_back(std::exchange(way.pipe, {}));
}

void Tunnel::rest() noexcept {
  for (Way* const way : {&up_, &down_})
    if (way->pipe && std::exchange(way->is_resting, true) && way->pipe.held == 0) {
      give_back(*way);
      way->moved = 0;
    }
}

void Tunnel::abort() noexcept {
  reset_on_close(target_fd_);
  if (client_.socket >= 0) reset_on_close(client_.socket);
}

void Tunnel::settle() {
  if (is_over_quota_) return owner_.tunnel_ended("its quota is used up");
  if (up_.is_finished && down_.is_finished) {
    if (is_broken_) {
      abort();
      return owner_.tunnel_ended("an end has gone");
    }
    if (!client_.stream.has_unsent()) return owner_.tunnel_ended("both sides have finished");
    target_.unwatch();
    return client_.stream.watch_for(false, true);  // until TLS has sent the last of it
  }
  client_.stream.watch_for(up_.wants_input(), down_.wants_room());
  target_.watch_for(down_.wants_input(), up_.wants_room());
  owner_.tunnel_settled();
}

void Tunnel::stop() noexcept {
  drop(up_);
  drop(down_);
  target_.close();
}

}  // namespace gatehouse::socks5
