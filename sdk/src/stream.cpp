#include <gatehouse/net/stream.hpp>

#include <gatehouse/net/socket_layer.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace gatehouse {
namespace {

std::uint32_t events_of(bool readable, bool writable) noexcept {
  return (readable ? std::uint32_t{EPOLLIN} : 0) | (writable ? std::uint32_t{EPOLLOUT} : 0);
}

}  // namespace

/// A stream's layer and its place in the poller: it sends what is left over by itself, and tells of held input.
class Stream::Layered final : public HeldReadiness {
 public:
  Layered(int fd, std::unique_ptr<StreamLayer> layer) : fd_(fd), layer_(std::move(layer)) {}
  ~Layered() { leave(); }

  [[nodiscard]] StreamLayer& layer() noexcept { return *layer_; }

  [[nodiscard]] Result<void> watch(Poller& poller, Readiness& target) noexcept {
    poller_ = &poller;
    target_ = &target;
    return want(EPOLLIN, true);
  }
  void want(std::uint32_t events) noexcept { static_cast<void>(want(events, true)); }
  void unwatch() noexcept { static_cast<void>(want(0, false)); }

  [[nodiscard]] Result<std::size_t> read(MutableBytes out) noexcept {
    const auto got = layer_->read(out);
    tell_of_held();
    if (layer_->has_left_over()) static_cast<void>(update());  // TLS answers by itself
    return got;
  }
  [[nodiscard]] Result<std::size_t> write(std::span<const Bytes> in) noexcept {
    std::size_t wanted = 0;
    for (const Bytes part : in) wanted += part.size();
    const std::size_t room = layer_->room(wanted);
    if (room == 0 && wanted != 0) return make_error_code(Errc::would_block);
    Bytes parts[64];
    std::size_t count = 0, taken = 0;
    for (; count < std::min(in.size(), std::size(parts)) && taken < room; ++count) {
      parts[count] = in[count].first(std::min(in[count].size(), room - taken));
      taken += parts[count].size();
    }
    const auto put = layer_->put(std::span(parts, count));
    if (!put) return put.error();
    static_cast<void>(update());
    return taken;
  }
  void finish() noexcept {
    layer_->finish();
    static_cast<void>(update());
  }

 private:
  void on_ready(std::uint32_t events) override {
    if ((events & EPOLLOUT) != 0 && layer_->has_left_over()) {
      if (const auto flushed = layer_->flush(); !flushed && flushed.error() != Errc::would_block)
        events |= EPOLLERR;  // the next read() or write() says what
      if (layer_->has_left_over() && (events & EPOLLERR) == 0) events &= ~std::uint32_t{EPOLLOUT};
      static_cast<void>(update());
    }
    if ((events & EPOLLOUT) != 0 && (wanted_ & EPOLLOUT) == 0) events &= ~std::uint32_t{EPOLLOUT};
    if ((events & EPOLLIN) != 0 && (wanted_ & EPOLLIN) == 0) events &= ~std::uint32_t{EPOLLIN};
    if (events == 0) return;
    if (is_watched_) target_->on_ready(events);  // which may destroy this
  }

  Result<void> want(std::uint32_t events, bool is_watched) noexcept {
    wanted_ = events;
    is_watched_ = is_watched;
    const auto done = update();
    tell_of_held();
    return done;
  }

  /// Brings the poller up to date; a system call only where something changes.
  Result<void> update() noexcept {
    if (poller_ == nullptr) return boost::system::in_place_value;
    const bool is_needed = is_watched_ || layer_->has_left_over();
    const std::uint32_t events = wanted_ | (layer_->has_left_over() ? std::uint32_t{EPOLLOUT} : 0);
    if (!is_needed) {
      leave();
    } else if (!is_in_) {
      if (const auto added = poller_->add(fd_, events, *this); !added) return added;
      is_in_ = true;
    } else if (events != events_) {
      poller_->modify(fd_, events, *this);
    }
    events_ = events;
    return boost::system::in_place_value;
  }
  void leave() noexcept {
    if (std::exchange(is_in_, false)) poller_->remove(fd_, *this);
  }
  void tell_of_held() noexcept {
    if (poller_ == nullptr || !is_in_ || (wanted_ & EPOLLIN) == 0 || !layer_->holds_input()) return;
    poller_->deliver_again(*this, EPOLLIN);
  }

  int fd_;
  std::unique_ptr<StreamLayer> layer_;
  Poller* poller_ = nullptr;
  Readiness* target_ = nullptr;
  std::uint32_t wanted_ = 0;  // by the user
  std::uint32_t events_ = 0;  // in the poller
  bool is_watched_ = false, is_in_ = false;
};

std::string StreamPeer::to_string() const {
  if (uid && source.address.family() == Family::none) return "unix:" + std::to_string(*uid);
  return source.to_string();
}

StreamPeer Stream::peer_of(int fd) noexcept {
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

Stream::Stream(UniqueFd fd) noexcept : fd_(std::move(fd)), peer_(peer_of(fd_.get())) {}

Stream::Stream(UniqueFd fd, StreamPeer peer, std::unique_ptr<StreamLayer> layer) : fd_(std::move(fd)), peer_(peer) {
  if (layer) layered_ = std::make_unique<Layered>(fd_.get(), std::move(layer));
}

Stream::Stream(Stream&&) noexcept = default;
Stream::~Stream() { close(); }

Result<void> Stream::watch(Poller& poller, Readiness& target) noexcept {
  if (layered_) return layered_->watch(poller, target);
  if (const auto added = poller.add(fd_.get(), EPOLLIN, target); !added) return added;
  poller_ = &poller;
  target_ = &target;
  events_ = EPOLLIN;
  watched_ = true;
  return boost::system::in_place_value;
}

void Stream::unwatch() noexcept {
  if (layered_) return layered_->unwatch();
  if (std::exchange(watched_, false)) poller_->remove(fd_.get(), *target_);
  events_ = 0;
}

void Stream::watch_for(bool readable, bool writable) noexcept {
  const std::uint32_t events = events_of(readable, writable);
  if (layered_) return layered_->want(events);
  if (poller_ == nullptr || events == events_) return;
  events_ = events;
  if (watched_)
    poller_->modify(fd_.get(), events, *target_);
  else
    watched_ = poller_->add(fd_.get(), events, *target_).has_value();
}

Result<std::size_t> Stream::read(MutableBytes out) noexcept {
  return layered_ ? layered_->read(out) : receive_some(fd_.get(), out);
}

Result<std::size_t> Stream::write(Bytes in) noexcept {
  return layered_ ? layered_->write(std::span(&in, 1)) : send_some(fd_.get(), in);
}

Result<std::size_t> Stream::write(std::span<const Bytes> in) noexcept {
  return layered_ ? layered_->write(in) : send_some(fd_.get(), in);
}

void Stream::limit_unsent(std::size_t bytes) noexcept {
  const int most = static_cast<int>(std::min<std::size_t>(bytes, std::numeric_limits<int>::max()));
  if (layered_) layered_->layer().set_most_unsent(bytes);
  if (setsockopt(fd_.get(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &most, sizeof most) == 0) return;
  const int half = most / 2;  // a Unix socket; the kernel doubles it, and counts its own headers (socket(7))
  setsockopt(fd_.get(), SOL_SOCKET, SO_SNDBUF, &half, sizeof half);
}

void Stream::shutdown_write() noexcept {
  if (layered_) return layered_->finish();
  ::shutdown(fd_.get(), SHUT_WR);
}

void Stream::close() noexcept {
  if (!fd_) return;
  if (layered_) layered_->layer().finish();
  layered_.reset();
  if (std::exchange(watched_, false)) poller_->remove(fd_.get(), *target_);
  poller_ = nullptr;
  fd_.reset();
}

bool Stream::has_unsent() const noexcept { return layered_ && !layered_->layer().may_close(); }

std::size_t Stream::take_work() noexcept { return layered_ ? layered_->layer().take_work() : 0; }

std::size_t Stream::memory() const noexcept { return layered_ ? layered_->layer().memory() : 0; }

}  // namespace gatehouse
