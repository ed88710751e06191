// What stands in front of each packet of a tun device that was opened with IFF_VNET_HDR: how far the packet is from
// being whole. A super-packet is many segments of one flow behind a single header; a packet "with a partial checksum"
// has the pseudo-header's sum in its checksum field, and somebody has still to sum up the rest.
//
//    0        1        2            4              6                8                 10
//   +--------+--------+------------+--------------+----------------+-----------------+
//   | flags  | kind   | hdr_len    | gso_size     | csum_start     | csum_offset     |   native byte order
//   +--------+--------+------------+--------------+----------------+-----------------+
//
// Source: struct virtio_net_hdr of the kernel's include/uapi/linux/virtio_net.h.
#pragma once

#include <gatehouse/base/bytes.hpp>
#include <gatehouse/base/error.hpp>

#include <cstdint>

namespace gatehouse {

/// A value. Offsets are in bytes from the front of the IP packet and are as the device gave them: whoever uses one
/// holds it against the packet's size first.
struct OffloadHeader {
  /// What a super-packet is cut into.
  enum class Kind : std::uint8_t {
    none,  ///< nothing: it is a single packet
    tcp4,  ///< TCP segments over IPv4
    tcp6,  ///< TCP segments over IPv6
    udp,   ///< UDP datagrams of one size (USO), over either
  };

  static constexpr std::size_t kSize = 10;  ///< bytes before each packet

  Kind kind = Kind::none;             ///< what the packet is
  bool needs_checksum = false;        ///< the transport checksum is partial; of a super-packet it always is
  bool has_ecn = false;               ///< TCP with CWR on its first segment
  std::uint16_t header_size = 0;      ///< IP and transport headers together; a hint only, the kernel's is often wrong
  std::uint16_t segment_size = 0;     ///< payload bytes of each segment but the last
  std::uint16_t checksum_start = 0;   ///< where summing begins: the transport header
  std::uint16_t checksum_offset = 0;  ///< of the checksum field, from checksum_start

  /// Reads the header at the front of `in`.
  /// @return Errc::truncated  fewer than kSize bytes
  ///         Errc::malformed  a kind that nobody has asked the device for (UDP fragmentation offload and unknown ones)
  [[nodiscard]] static Result<OffloadHeader> load(Bytes in) noexcept;

  /// Writes kSize bytes to the front of `out`, which has room for them.
  void store(MutableBytes out) const noexcept;

  bool operator==(const OffloadHeader&) const = default;
};

}  // namespace gatehouse
