// A byte stream as WebSocket messages, which proxies and CDNs let pass: frames are decoded in place and written, by
// client and server, without extensions. The bytes of all binary messages in turn are the stream; where one ends says
// nothing. Text is refused. Reads and writes nothing itself; never allocates.
//
//    0               1               2               3
//   +-+-+-+-+-------+-+-------------+-------------------------------+
//   |F|R|R|R|opcode |M| length      | 16 or 64 bits of length, where the seven are 126 or 127
//   |I|S|S|S|       |A|             | mask: 4 bytes, where MASK is set: by clients always, by servers never
//   |N|V|V|V|       |S|             | payload; under a mask, byte i is XORed with mask[i % 4]
//   +-+-+-+-+-------+-+-------------+-------------------------------+
//
// Source: RFC 6455, section 5.
#pragma once

#include <gatehouse/base/bytes.hpp>
#include <gatehouse/base/error.hpp>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace gatehouse {

/// What a frame is (RFC 6455, 5.2).
enum class WebSocketOpcode : std::uint8_t {
  continuation = 0,  ///< more of the message that has begun
  text = 1,          ///< a message of UTF-8 begins: refused here
  binary = 2,        ///< a message of bytes begins
  close = 8,         ///< nothing comes after it
  ping = 9,          ///< to be answered
  pong = 10,         ///< its answer, or unasked
};
/// Whose side it is: the `server` takes masked frames only, the `client` unmasked ones only.
enum class WebSocketRole : std::uint8_t { server, client };

/// As on the wire. A client makes another one for each frame, which nobody can guess (RFC 6455, 5.3).
using WebSocketMask = std::array<std::byte, 4>;

inline constexpr std::size_t kLongestWebSocketHeader = 14;  ///< bytes, with 64 bits of length and a mask
inline constexpr std::size_t kLongestControlPayload = 125;  ///< bytes (RFC 6455, 5.5)
/// Bytes of a whole control frame: a buffer for the reader has at least as many.
inline constexpr std::size_t kLongestControlFrame = 2 + 4 + kLongestControlPayload;

/// What a close frame says (RFC 6455, 7.4.1), as far as this reader says it.
enum WebSocketClose : std::uint16_t {
  kCloseNormal = 1000,         ///< all has been said
  kCloseGoingAway = 1001,      ///< the server stops, or the page was left
  kCloseProtocolError = 1002,  ///< a frame that breaks the rules
  kCloseNotBinary = 1003,      ///< text, where bytes are spoken
  kCloseWithoutCode = 1005,    ///< the frame has none; never sent
};

/// Decodes what one peer sends. One stream's, on its lane.
class WebSocketReader {
 public:
  /// Of a part.
  enum class Kind : std::uint8_t {
    incomplete,  ///< keep what is left of the input, and come again when there is more behind it
    data,        ///< `payload` is of the stream; it may be empty
    ping,        ///< to be answered by a pong with the same payload
    pong,        ///< of a ping of ours, or unasked: nothing is to be done
    close,       ///< to be answered by a close, unless ours went first; nothing comes after it
  };

  /// What was found at the front of the input.
  struct Part {
    std::size_t used = 0;          ///< bytes of the input that are done with; with `incomplete` 0
    Kind kind = Kind::incomplete;  ///< what of the rest there is
    MutableBytes payload;          ///< unmasked, inside the input; of a close its reason, in whatever bytes it is
    std::uint16_t close_code = 0;  ///< with `close`: the peer's, or kCloseWithoutCode
  };

  /// @param role  of the peer's partner: who reads. A server insists on masked frames, a client on unmasked ones
  explicit WebSocketReader(WebSocketRole role) noexcept : role_(role) {}

  /// Decodes from the front of `in`, which begins where the last call's `used` ended. A data frame is handed out as it
  /// comes, in parts cut wherever the input ends; a control frame only when it is whole. It is checked in full that
  /// reserved bits are 0, opcodes known, lengths written in the fewest bytes, messages continued in order, control
  /// frames short and in one piece, and codes of a close such as may be sent.
  ///
  /// Cost: some ns a frame, and its unmasking (mask_payload).
  ///
  /// @return Errc::malformed  a rule is broken: close_code() is what to close with; so is every later call
  ///         Errc::closed     a close has been read
  [[nodiscard]] Result<Part> next(MutableBytes in) noexcept;

  /// After Errc::malformed: kCloseNotBinary for text, else kCloseProtocolError. 0 before.
  [[nodiscard]] std::uint16_t close_code() const noexcept { return close_code_; }

 private:
  struct Header;

  [[nodiscard]] std::uint16_t judge_first_byte(std::byte first) const noexcept;
  [[nodiscard]] Result<Part> refuse(std::uint16_t close_code) noexcept;
  [[nodiscard]] Result<Part> take_data(MutableBytes in, std::size_t header_size) noexcept;
  [[nodiscard]] Result<Part> take_control(MutableBytes in, const Header& header) noexcept;

  std::uint64_t left_ = 0;  // bytes of the data frame that are to come
  WebSocketMask mask_{};    // its mask, from the next byte on
  WebSocketRole role_;
  bool in_message_ = false;  // the last data frame was not its message's last
  bool closed_ = false;
  std::uint16_t close_code_ = 0;
};

/// Writes the header of a frame that is a message of its own; `payload_size` bytes follow, under `mask` if there is
/// one.
/// @param payload_size  below 2^63; of a control frame at most kLongestControlPayload
/// @return its size, 2 .. kLongestWebSocketHeader, or 0 if `out` is too small
[[nodiscard]] std::size_t write_frame_header(MutableBytes out, WebSocketOpcode opcode, std::uint64_t payload_size,
                                             std::optional<WebSocketMask> mask = {}) noexcept;

/// Masks `bytes`, which begin `phase` bytes into their frame's payload, or unmasks them: it is the same. 1,400 bytes in
/// 50 ns, much at once at 30 GB/s.
void mask_payload(MutableBytes bytes, WebSocketMask mask, std::size_t phase = 0) noexcept;

/// What a server shows for the client's Sec-WebSocket-Key (RFC 6455, 4.2.2): Sec-WebSocket-Accept. Allocates.
/// @throws std::runtime_error  this system's OpenSSL has no SHA-1
[[nodiscard]] std::string accept_key(std::string_view client_key);

}  // namespace gatehouse
