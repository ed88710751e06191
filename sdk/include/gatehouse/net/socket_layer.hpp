// The layer next to the socket: bytes as they are, what was read too early, and what the socket did not take.
#pragma once

#include <gatehouse/net/stream_layer.hpp>

#include <vector>

namespace gatehouse {

/// The innermost layer: a system call a read and a write. Not thread-safe.
class SocketLayer final : public StreamLayer {
 public:
  /// Does not own `fd`, a non-blocking stream socket.
  explicit SocketLayer(int fd) noexcept : fd_(fd) {}

  [[nodiscard]] Result<std::size_t> read(MutableBytes out) noexcept override;
  void unread(Bytes input) override { input_.assign(input.begin(), input.end()); }
  [[nodiscard]] bool holds_input() const noexcept override { return !input_.empty(); }
  [[nodiscard]] std::size_t room(std::size_t wanted) noexcept override;
  [[nodiscard]] Result<void> put(std::span<const Bytes> parts) noexcept override;
  [[nodiscard]] Result<void> flush() noexcept override;
  [[nodiscard]] bool has_left_over() const noexcept override { return sent_ < left_over_.size(); }
  void finish() noexcept override;
  void set_most_unsent(std::size_t bytes) noexcept override { most_unsent_ = bytes; }
  [[nodiscard]] std::size_t memory() const noexcept override { return input_.capacity() + left_over_.capacity(); }

  static constexpr std::size_t kLeastRoom =
      16 * 1024;  ///< of a layer that has nothing left over: a TLS record's content
  static constexpr std::size_t kMostAtOnce = 128 * 1024;  ///< that room() grants

 private:
  void end_if_finished() noexcept;
  Error break_with(Error why) noexcept;

  int fd_;
  std::vector<std::byte> input_;
  std::vector<std::byte> left_over_;
  std::size_t sent_ = 0;  // of left_over_
  std::size_t most_unsent_ = 256 * 1024;
  Error broken_;
  bool finished_ = false;
};

/// recv(2) of a non-blocking socket, as Stream::read() tells of it: how many bytes came, not 0; one system call.
/// @return Errc::would_block; Errc::closed, also for an empty `out`; or the system's answer
[[nodiscard]] Result<std::size_t> receive_some(int fd, MutableBytes out) noexcept;
/// send(2), as Stream::write() tells of it: how many bytes the socket has taken; one system call, and never SIGPIPE.
/// @return Errc::would_block, or the system's answer
[[nodiscard]] Result<std::size_t> send_some(int fd, Bytes in) noexcept;
/// The same of parts that follow one another, the first 64 of them.
[[nodiscard]] Result<std::size_t> send_some(int fd, std::span<const Bytes> in) noexcept;

}  // namespace gatehouse
