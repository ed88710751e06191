// Where a SOCKS client wants to go: the address field that requests, replies and UDP headers share (RFC 1928, 5).
//
//   +------+----------+------+   ATYP 1: 4 bytes; 3: a length byte and so many characters of a name; 4: 16 bytes.
//   | ATYP |   ADDR   | PORT |   PORT: 16 bits, network order
//   +------+----------+------+
#pragma once

#include <gatehouse/base/address.hpp>

#include <string_view>

namespace gatehouse::socks5 {

/// An address, or a name as it came, which may be anything; with a port. Borrows the bytes that it was read from.
struct Destination {
  Endpoint endpoint;        ///< family none where there is a name; the port is always set
  std::string_view name{};  ///< 1 to 255 bytes; empty: there is an address
};

/// A destination, and how many bytes it took.
struct DestinationField {
  Destination destination;
  std::size_t size = 0;
};

inline constexpr std::size_t kLargestAddressField = 1 + 16 + 2;  ///< bytes that write_destination() needs

/// Reads a field from its ATYP on. A name that is an address in digits is that address, for clients that know names
/// only. An IPv4 address inside IPv6 stays as it is: policy unwraps it.
/// @return Errc::truncated; Errc::unsupported: another ATYP; Errc::malformed: an empty name
[[nodiscard]] Result<DestinationField> read_destination(Bytes in) noexcept;

/// Writes an endpoint as such a field; family none becomes 0.0.0.0.
/// @param out  kLargestAddressField bytes @return how many it took
std::size_t write_destination(MutableBytes out, const Endpoint& endpoint) noexcept;

}  // namespace gatehouse::socks5
