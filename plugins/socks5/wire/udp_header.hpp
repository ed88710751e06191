// What stands before each datagram between client and server (RFC 1928, 7).
//
//   | RSV = 0, 16 bits | FRAG | destination or source | payload |
#pragma once

#include "plugins/socks5/wire/destination.hpp"

namespace gatehouse::socks5 {

/// Borrows the datagram.
struct UdpMessage {
  std::uint8_t fragment = 0;  ///< 0: it is whole. Fragments are dropped here, as the RFC allows
  Destination destination;
  Bytes payload;
};

inline constexpr std::size_t kLargestUdpHeader = 3 + kLargestAddressField;

/// @return Errc::truncated, Errc::malformed, Errc::unsupported: as read_destination(); it is to be dropped
[[nodiscard]] Result<UdpMessage> read_udp_message(Bytes datagram) noexcept;

/// Bytes of the header of what came from there.
[[nodiscard]] constexpr std::size_t udp_header_size(Family family) noexcept {
  return family == Family::v6 ? kLargestUdpHeader : kLargestUdpHeader - 12;
}
/// @param out  udp_header_size() bytes
void write_udp_header(MutableBytes out, const Endpoint& from) noexcept;

}  // namespace gatehouse::socks5
