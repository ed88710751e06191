// Answers to a packet that will not be forwarded, so that its sender fails at once or learns the path's MTU: a whole
// packet, checksums and all. Pure: who answers how often is the caller's business, and it must be bounded.
#pragma once

#include <gatehouse/base/address.hpp>
#include <gatehouse/base/bytes.hpp>
#include <gatehouse/packet/ip_packet.hpp>

#include <cstddef>
#include <cstdint>

namespace gatehouse {

/// Room for any answer, in bytes.
inline constexpr std::size_t kLargestReply = 1280;

/// The reset that ends the connection of `packet`, as from the other end: what a host sends where nobody listens
/// (RFC 9293, section 3.5.2).
/// @param headers  the packet, or its front with all headers
/// @param out      at least 60 bytes
/// @return its size, or 0 where none may be made: not TCP, a reset itself, a later fragment, an address that is no
///         host's
[[nodiscard]] std::size_t make_tcp_reset(Bytes headers, const IpPacket& packet, MutableBytes out) noexcept;

enum class Unreachable : std::uint8_t {
  no_route,    ///< network unreachable (3/0); no route to destination (1/0)
  port,        ///< nobody there (3/3, 1/4)
  prohibited,  ///< administratively prohibited (3/13, 1/1)
  too_big,     ///< fragmentation needed (3/4), packet too big (2/0), with the MTU
};

/// The ICMP error that tells the sender of `packet` why it does not arrive. It quotes what it has of the packet: of
/// IPv4 up to 576 bytes in all, of IPv6 up to 1,280 (RFC 792, 1191, 1812 section 4.3.2; RFC 4443, section 3).
/// @param front   the packet, or as much of its front as is at hand; all headers
/// @param source  of the answer, of the packet's family
/// @param mtu     with too_big: the largest packet that would have passed, in bytes
/// @param out     at least kLargestReply bytes
/// @return its size, or 0 where none may be made (RFC 1122, section 3.2.2; RFC 4443, section 2.4 e): in answer to an
/// ICMP
///         error, a TCP reset, a later fragment, a multicast or broadcast packet, an address that is no host's; or
///         too_big for an IPv4 packet that may be fragmented
[[nodiscard]] std::size_t make_unreachable(Unreachable why, Bytes front, const IpPacket& packet,
                                           const IpAddress& source, std::uint16_t mtu, MutableBytes out) noexcept;

}  // namespace gatehouse
