// Where clients ask for names, whatever the tunnel's prefixes are: 10.0.0.2 and fd19:ca83:e6d5:1c44::2.
#pragma once

#include <gatehouse/base/address.hpp>
#include <gatehouse/base/endian.hpp>

#include <array>
#include <cstdint>

namespace gatehouse::packet_tunnel {

inline constexpr std::uint16_t kDnsPort = 53;

[[nodiscard]] inline IpAddress dns_address(Family family) noexcept {
  if (family == Family::v4) return IpAddress::v4(0x0a00'0002);
  std::array<std::byte, 16> bytes{};
  store_big<std::uint64_t>(bytes, 0xfd19'ca83'e6d5'1c44);
  bytes[15] = std::byte{2};
  return IpAddress::v6(bytes);
}
/// @param version  of IP: 4 or 6
[[nodiscard]] inline IpAddress dns_address(std::uint8_t version) noexcept {
  return dns_address(version == 4 ? Family::v4 : Family::v6);
}

}  // namespace gatehouse::packet_tunnel
