// What the client wants (RFC 1928, 4), and what it is told (6).
//
//   client  | VER = 5 | CMD | RSV | destination |        server  | VER = 5 | REP | RSV | bound address |
#pragma once

#include "plugins/socks5/wire/destination.hpp"

#include <array>

namespace gatehouse::socks5 {

enum class Command : std::uint8_t { connect = 1, bind = 2, udp_associate = 3 };

enum class Reply : std::uint8_t {
  succeeded = 0,
  general_failure = 1,
  not_allowed = 2,
  network_unreachable = 3,
  host_unreachable = 4,
  connection_refused = 5,
  ttl_expired = 6,
  command_not_supported = 7,
  address_type_not_supported = 8
};
inline constexpr std::size_t kReplies = 9;

/// Borrows the bytes that it was read from.
struct Request {
  Command command = Command::connect;  ///< as it came, which may be none of these
  Destination destination;
  std::size_t size = 0;  ///< bytes of it
};

/// @return Errc::truncated; Errc::malformed: another version, an empty name; Errc::unsupported: another ATYP
[[nodiscard]] Result<Request> read_request(Bytes in) noexcept;

/// The server's answer, as bytes.
class ReplyMessage {
 public:
  ReplyMessage(Reply reply, const Endpoint& bound) noexcept;
  [[nodiscard]] Bytes bytes() const noexcept { return Bytes(bytes_).first(size_); }

 private:
  std::array<std::byte, 3 + kLargestAddressField> bytes_{};
  std::size_t size_;
};

}  // namespace gatehouse::socks5
