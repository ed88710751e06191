// Whole packets made by hand, for whoever speaks through a tunnel without a host's network: questions of probes.
// Addresses of one packet are of one family; each function returns the packet's size.
#pragma once

#include <gatehouse/base/address.hpp>
#include <gatehouse/base/bytes.hpp>

#include <cstddef>
#include <cstdint>

namespace gatehouse::packet_tunnel {

inline constexpr std::size_t kEchoRequestSize = 40 + 8 + 8;  ///< with an IPv6 header, the longer one
inline constexpr std::size_t kUdpOverhead = 40 + 8;
inline constexpr std::size_t kSynSize = 40 + 20;

/// An ICMP echo request (RFC 792, RFC 4443) with 8 bytes behind it.
/// @param out  at least kEchoRequestSize bytes
std::size_t make_echo_request(const IpAddress& from, const IpAddress& to, std::uint16_t id, std::uint16_t number,
                              MutableBytes out) noexcept;

/// @param out  at least kUdpOverhead bytes and the payload
std::size_t make_udp_packet(const Endpoint& from, const Endpoint& to, Bytes payload, MutableBytes out) noexcept;

/// A TCP packet that opens a connection, or resets one.
/// @param flags  TcpFlag @param out  at least kSynSize bytes
std::size_t make_tcp_packet(const Endpoint& from, const Endpoint& to, std::uint32_t number, std::uint8_t flags,
                            MutableBytes out) noexcept;

}  // namespace gatehouse::packet_tunnel
