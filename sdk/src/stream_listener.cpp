#include <gatehouse/net/stream_listener.hpp>

#include <sys/socket.h>

#include <cerrno>
#include <utility>

namespace gatehouse {
namespace {

using namespace std::chrono_literals;

constexpr int kAcceptsPerTurn = 4;  // 30 us each with all that a client costs; the rest stays readable

}  // namespace

StreamListener::StreamListener(LaneLoop& loop, int fd, OnStream on_stream, OnExhausted on_exhausted)
    : loop_(loop), fd_(fd), on_stream_(std::move(on_stream)), on_exhausted_(std::move(on_exhausted)), pause_([this] {
        watch();
      }) {
  watch();
}

StreamListener::~StreamListener() {
  loop_.cancel(pause_);
  if (watched_) loop_.poller().remove(fd_, *this);
}

void StreamListener::watch() {
  const auto added = loop_.poller().add(fd_, EPOLLIN | EPOLLEXCLUSIVE, *this);
  watched_ = added.has_value();
  if (!watched_) pause(added.error());
}

void StreamListener::pause(const Error& why) {
  if (std::exchange(watched_, false)) loop_.poller().remove(fd_, *this);
  loop_.schedule(pause_, 50ms);
  on_exhausted_(why);
}

void StreamListener::on_ready(std::uint32_t) {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    UniqueFd fd(accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd) {
      on_stream_(Stream(std::move(fd)));
      continue;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      return pause(last_system_error());
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) return;
    // Everything else (ECONNABORTED, EPERM by a firewall, ...) is the fate of that one connection: accept(2).
  }
}

}  // namespace gatehouse
