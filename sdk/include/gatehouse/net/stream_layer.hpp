// What stands between a stream's user and its socket: nothing, TLS, WebSocket frames, or both. For those who write
// Stream and its openings; frontends see Stream only.
#pragma once

#include <gatehouse/base/bytes.hpp>
#include <gatehouse/base/error.hpp>

#include <cstddef>
#include <memory>
#include <span>

namespace gatehouse {

struct TlsBuffers;

/// Not thread-safe. Never blocks and never throws, but for want of memory, which ends the stream.
///
/// What a user has written is taken for good: what the socket does not take at once is left over in here, encoded, and
/// goes out with flush(). So a user may change its mind about everything that write() did not take.
class StreamLayer {
 public:
  StreamLayer() = default;
  StreamLayer(const StreamLayer&) = delete;
  StreamLayer& operator=(const StreamLayer&) = delete;
  virtual ~StreamLayer() = default;

  /// As Stream::read(): one system call at most.
  [[nodiscard]] virtual Result<std::size_t> read(MutableBytes out) noexcept = 0;
  /// read() gives `input` first: it was read too early. Once, before anything else. @throws std::bad_alloc
  virtual void unread(Bytes input) = 0;
  /// Would read() give something, though the socket has nothing?
  [[nodiscard]] virtual bool holds_input() const noexcept = 0;

  /// How many bytes may be put now, of `wanted`; 0: something is left over, wait for the socket.
  [[nodiscard]] virtual std::size_t room(std::size_t wanted) noexcept = 0;
  /// Takes all of the parts, one after the other, and sends what the socket takes.
  [[nodiscard]] virtual Result<void> put(std::span<const Bytes> parts) noexcept = 0;
  /// Sends what is left over, as much as the socket takes.
  [[nodiscard]] virtual Result<void> flush() noexcept = 0;
  [[nodiscard]] virtual bool has_left_over() const noexcept = 0;
  /// Has all that was put gone where it does not get lost with the socket? May cost some system calls, at a stream's
  /// end.
  [[nodiscard]] virtual bool may_close() const noexcept { return !has_left_over(); }
  /// Ends our side behind all that was put: no put() after that.
  virtual void finish() noexcept = 0;
  /// What the kernel may hold and not send yet; room() goes by it.
  virtual void set_most_unsent(std::size_t bytes) noexcept = 0;

  /// From now on another lane's thread has this stream, and lends it its buffers.
  virtual void move_to_lane(const std::shared_ptr<TlsBuffers>& /*buffers*/) noexcept {}

  /// As Stream::take_work().
  [[nodiscard]] virtual std::size_t take_work() noexcept { return 0; }
  /// Bytes of the heap that are held for this stream now, and grow with what its peer does not read or ends.
  [[nodiscard]] virtual std::size_t memory() const noexcept = 0;
};

}  // namespace gatehouse
