// A ping as a raw packet.
#pragma once

#include <gatehouse/base/address.hpp>
#include <gatehouse/base/bytes.hpp>

#include <cstddef>
#include <cstdint>

namespace gatehouse::packet_tunnel {

inline constexpr std::size_t kEchoRequestSize = 40 + 8 + 8;  ///< with an IPv6 header, the longer one

/// A whole packet: IP header, ICMP echo request (RFC 792, RFC 4443), 8 bytes behind it.
/// @param from, to  of one family @param out  at least kEchoRequestSize bytes @return its size
[[nodiscard]] std::size_t make_echo_request(const IpAddress& from, const IpAddress& to, MutableBytes out,
                                            std::uint16_t id = 0x6774, std::uint16_t number = 1) noexcept;

}  // namespace gatehouse::packet_tunnel
