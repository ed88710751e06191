// The fixed Geneve header (RFC 8926) in front of everything that the relay carries, and what else may arrive on its
// port.
//
//   byte  0         1          2..3       4..6   7
//         Ver OptLen O C Rsvd  protocol   VNI    reserved
//         2   6      1 1 6     16         24     8
//
// The relay neither adds nor removes it, and a packet's message always begins at offset 8: options are not looked at.
#pragma once

#include <gatehouse/base/bytes.hpp>

#include <cstdint>

namespace gatehouse::geneve_relay {

inline constexpr std::size_t kGeneveHeaderSize = 8;
inline constexpr std::uint32_t kLargestVni = 0xffffff;  ///< the smallest of an endpoint is 1

inline constexpr std::uint16_t kProtocolDisco = 0x7a11, kProtocolWireguard = 0x7a12;

/// The fields of a header. C, the reserved bits and byte 7 are ignored when read, as the RFC wants, and written as 0.
struct GeneveHeader {
  std::uint8_t version = 0;        ///< 0..3; who sees another than 0 drops the packet
  std::uint8_t option_length = 0;  ///< in units of 4 bytes, 0..63
  bool control = false;            ///< a handshake with the relay itself; else data for the other client
  std::uint16_t protocol = kProtocolDisco;
  std::uint32_t vni = 0;  ///< 0..kLargestVni

  bool operator==(const GeneveHeader&) const = default;
};

/// The header at the front of `in`, which has at least kGeneveHeaderSize bytes.
[[nodiscard]] GeneveHeader read_geneve_header(Bytes in) noexcept;

/// Writes kGeneveHeaderSize bytes to the front of `out`.
void write_geneve_header(MutableBytes out, const GeneveHeader& header) noexcept;

/// What a datagram on the relay's port is.
enum class DatagramKind : std::uint8_t {
  runt,       ///< shorter than a Geneve header
  stun,       ///< an answer for the discovery of own addresses; never relayed
  disco,      ///< an envelope without a Geneve header
  wireguard,  ///< a WireGuard message without a Geneve header
  geneve,     ///< everything else, also of another version than 0
};

/// Looks at the first 20 bytes at most. Geneve of protocol 0 with one to four words of options would be taken for
/// WireGuard; nobody sends that.
[[nodiscard]] DatagramKind kind_of(Bytes datagram) noexcept;

}  // namespace gatehouse::geneve_relay
