// IP packets as a client behind the tunnel would send them, whole and with right checksums.
#pragma once

#include <gatehouse/base/address.hpp>
#include <gatehouse/base/endian.hpp>

#include <netinet/in.h>

#include <string_view>
#include <vector>

namespace gatehouse::packet_tunnel {

using Packet = std::vector<std::byte>;

inline void append_number(Packet& to, std::uint32_t value, unsigned bytes) {
  while (bytes-- > 0) to.push_back(static_cast<std::byte>(value >> (8 * bytes)));
}

inline void append(Packet& to, Bytes bytes) { to.insert(to.end(), bytes.begin(), bytes.end()); }

/// RFC 1071, of `bytes` after `sum`.
inline std::uint16_t checksum(Bytes bytes, std::uint32_t sum = 0) {
  for (std::size_t at = 0; at < bytes.size(); ++at)
    sum += std::to_integer<std::uint32_t>(bytes[at]) << (at % 2 == 0 ? 8 : 0);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

/// `segment` with its header, whose checksum stands at `checksum_at` and is zero.
inline Packet ip_packet(const IpAddress& from, const IpAddress& to, std::uint8_t protocol, Packet segment,
                        std::size_t checksum_at) {
  Packet pseudo;
  append(pseudo, from.bytes());
  append(pseudo, to.bytes());
  append_number(pseudo, static_cast<std::uint32_t>(segment.size()), 4);
  append_number(pseudo, protocol, 4);
  append(pseudo, segment);
  const std::uint16_t sum = checksum(pseudo);
  segment[checksum_at] = static_cast<std::byte>(sum >> 8), segment[checksum_at + 1] = static_cast<std::byte>(sum);

  Packet out;
  if (from.is_v4()) {
    append_number(out, 0x45000000 + 20 + static_cast<std::uint32_t>(segment.size()), 4);
    append_number(out, 0x00014000, 4);  // an id, and "do not fragment"
    append_number(out, 64u << 24 | std::uint32_t{protocol} << 16, 4);
  } else {
    append_number(out, 6u << 28, 4);
    append_number(out, static_cast<std::uint32_t>(segment.size()) << 16 | std::uint32_t{protocol} << 8 | 64, 4);
  }
  append(out, from.bytes());
  append(out, to.bytes());
  if (from.is_v4()) {
    const std::uint16_t header = checksum(out);
    out[10] = static_cast<std::byte>(header >> 8), out[11] = static_cast<std::byte>(header);
  }
  append(out, segment);
  return out;
}

inline Packet udp_packet(const Endpoint& from, const Endpoint& to, std::string_view text) {
  Packet segment;
  append_number(segment, std::uint32_t{from.port} << 16 | to.port, 4);
  append_number(segment, static_cast<std::uint32_t>(8 + text.size()) << 16, 4);
  append(segment, bytes_of(text));
  return ip_packet(from.address, to.address, IPPROTO_UDP, std::move(segment), 6);
}

/// A SYN that offers `mss` bytes.
inline Packet syn_packet(const Endpoint& from, const Endpoint& to, std::uint16_t mss) {
  Packet segment;
  append_number(segment, std::uint32_t{from.port} << 16 | to.port, 4);
  append_number(segment, 1000, 4);
  append_number(segment, 0, 4);
  append_number(segment, 0x6002ffff, 4);
  append_number(segment, 0, 4);
  append_number(segment, 0x02040000u | mss, 4);
  return ip_packet(from.address, to.address, IPPROTO_TCP, std::move(segment), 16);
}

}  // namespace gatehouse::packet_tunnel
