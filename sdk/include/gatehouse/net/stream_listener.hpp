// Accepts streams on a listening socket that several lanes share. One per lane and listener; not thread-safe.
#pragma once

#include <gatehouse/async/lane_loop.hpp>
#include <gatehouse/net/stream.hpp>

#include <functional>

namespace gatehouse {

/// Waits with EPOLLEXCLUSIVE, so that a connection wakes one lane and not all. When the process or the machine runs
/// out of descriptors it says so by `on_exhausted` (free some!) and looks again 50 ms later: never a busy loop.
class StreamListener final : private Readiness {
 public:
  /// Takes a client's stream, which is its own from then on.
  using OnStream = std::function<void(Stream)>;
  /// Told why none could be accepted: EMFILE, ENFILE, ENOBUFS or ENOMEM.
  using OnExhausted = std::function<void(const Error&)>;

  /// Does not own `fd`.
  StreamListener(LaneLoop& loop, int fd, OnStream on_stream, OnExhausted on_exhausted);
  ~StreamListener();
  StreamListener(const StreamListener&) = delete;
  StreamListener& operator=(const StreamListener&) = delete;

 private:
  void on_ready(std::uint32_t events) override;
  void watch();
  void pause(const Error& why);

  LaneLoop& loop_;
  int fd_;
  bool watched_ = false;
  OnStream on_stream_;
  OnExhausted on_exhausted_;
  LaneTimer pause_;
};

}  // namespace gatehouse
