// One stream whose bytes go back as they came. Owned by its lane; not thread-safe.
#pragma once

#include <gatehouse/async/lane_loop.hpp>
#include <gatehouse/net/stream.hpp>
#include <gatehouse/plugin/session.hpp>
#include <gatehouse/plugin/source_table.hpp>

#include <array>

namespace gatehouse::echo {

class EchoStream;

/// Whoever holds the streams.
class EchoStreamOwner {
 public:
  /// The last thing that `stream` does: destroy it.
  virtual void stream_ended(EchoStream& stream) = 0;

 protected:
  ~EchoStreamOwner() = default;
};

/// Reads no more than it could write: a peer that does not read is not read from either.
class EchoStream final : public SourceClient, private Readiness {
 public:
  EchoStream(LaneLoop& loop, Stream stream, Session session, EchoStreamOwner& owner) noexcept
      : loop_(loop), stream_(std::move(stream)), session_(std::move(session)), owner_(owner) {
    last_active = loop.now();
    stream_.limit_unsent(held_.size());
  }
  EchoStream(const EchoStream&) = delete;
  EchoStream& operator=(const EchoStream&) = delete;

  /// False: it was ended; destroy this.
  [[nodiscard]] bool has_session() const noexcept { return session_.is_mine(); }
  /// False: the stream cannot be watched; destroy this.
  [[nodiscard]] bool start() { return stream_.watch(loop_.poller(), *this).has_value(); }

 private:
  void on_ready(std::uint32_t events) override;
  /// Sends what is held. False when the peer is gone.
  bool flush();

  LaneLoop& loop_;
  Stream stream_;
  Session session_;  // what the stream has carried; ends with it
  EchoStreamOwner& owner_;
  std::array<std::byte, 65536> held_;
  std::size_t begin_ = 0, end_ = 0;  // of what has been read and not yet been written
  bool peer_done_ = false;
};

}  // namespace gatehouse::echo
