// WebSocket frames between a stream's user and what carries them, TLS or the socket itself.
#pragma once

#include <gatehouse/net/stream_layer.hpp>
#include <gatehouse/net/web_socket.hpp>

#include <array>
#include <vector>

namespace gatehouse {

/// Each write is one binary message; the last ping of a read is answered. A Close ends one direction, as FIN does:
/// after the peer's, read() says Errc::closed and put() still writes, for the answer may wait until all is sent (RFC
/// 6455, 5.5.1); finish() sends ours, and what the peer still sends is read. A client's side masks what it writes, in
/// memory of its own, by OpenSSL's random bytes.
class WebSocketLayer final : public StreamLayer {
 public:
  /// @param lower  carries the frames: a SocketLayer or TLS, whose opening is over  @param role  of this side
  explicit WebSocketLayer(std::unique_ptr<StreamLayer> lower, WebSocketRole role = WebSocketRole::server) noexcept
      : lower_(std::move(lower)), reader_(role), role_(role) {}

  [[nodiscard]] Result<std::size_t> read(MutableBytes out) noexcept override;
  void unread(Bytes input) override { lower_->unread(input); }
  [[nodiscard]] bool holds_input() const noexcept override {
    return !held_.empty() || has_news_ || lower_->holds_input();
  }
  [[nodiscard]] std::size_t room(std::size_t wanted) noexcept override { return lower_->room(wanted); }
  [[nodiscard]] Result<void> put(std::span<const Bytes> parts) noexcept override;
  [[nodiscard]] Result<void> flush() noexcept override;
  [[nodiscard]] bool has_left_over() const noexcept override { return lower_->has_left_over(); }
  [[nodiscard]] bool may_close() const noexcept override { return lower_->may_close(); }
  void finish() noexcept override;
  void set_most_unsent(std::size_t bytes) noexcept override { lower_->set_most_unsent(bytes); }
  [[nodiscard]] std::size_t take_work() noexcept override { return lower_->take_work(); }
  [[nodiscard]] std::size_t memory() const noexcept override { return held_.capacity() + lower_->memory(); }

 private:
  static constexpr std::size_t kLeastRead = 512;  // a control frame, and more
  Result<std::size_t> read_frames(MutableBytes out) noexcept;
  Error decode(MutableBytes frames, std::size_t& got) noexcept;
  void take_held(MutableBytes out, std::size_t& got) noexcept;
  Result<void> put_masked(WebSocketOpcode opcode, std::span<const Bytes> payload) noexcept;
  Result<void> put_control(WebSocketOpcode opcode, Bytes payload) noexcept;
  void put_close(std::uint16_t code) noexcept;
  void answer_ping() noexcept;

  std::unique_ptr<StreamLayer> lower_;
  WebSocketReader reader_;
  WebSocketRole role_;
  std::array<std::byte, kLongestControlFrame> cut_;  // a header or a control frame that has begun
  std::size_t cut_size_ = 0;
  std::vector<std::byte> held_;  // content that a small read had no room for
  std::array<std::byte, kLongestControlPayload> ping_;
  std::size_t ping_size_ = 0;
  bool owes_pong_ = false, has_closed_ = false;
  Error ended_;            // why nothing more is read
  bool has_news_ = false;  // the user has not been told of that yet
};

}  // namespace gatehouse
