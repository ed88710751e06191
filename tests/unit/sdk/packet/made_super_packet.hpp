// Super-packets made for tests, and the packets that they are of, each made by itself.
#pragma once

#include <gatehouse/packet/checksum.hpp>
#include <gatehouse/packet/offload_header.hpp>

#include "tests/unit/sdk/packet/made_packets.hpp"

#include <vector>

namespace gatehouse::test {

/// What a device says of a super-packet of these headers.
inline OffloadHeader made_offload(const Made& made, std::size_t segment) {
  OffloadHeader out;
  out.kind = made.protocol == 17 ? OffloadHeader::Kind::udp
             : made.version == 4 ? OffloadHeader::Kind::tcp4
                                 : OffloadHeader::Kind::tcp6;
  out.needs_checksum = true;
  out.header_size = static_cast<std::uint16_t>(made_header(made));
  out.segment_size = static_cast<std::uint16_t>(segment);
  out.checksum_start = static_cast<std::uint16_t>(made_transport(made));
  out.checksum_offset = made.protocol == 17 ? 6 : 16;
  return out;
}

/// As `packet`, with the pseudo-header's sum in the checksum field.
inline ByteVector with_partial_checksum(ByteVector packet, const Made& made) {
  const std::size_t transport = made_transport(made), at = transport + (made.protocol == 17 ? 6 : 16);
  const bool v4 = made.version == 4;
  std::uint32_t sum = plain_sum(Bytes(packet).subspan(v4 ? 12 : 8, v4 ? 8 : 32), made.protocol);
  sum += static_cast<std::uint32_t>(packet.size() - transport);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  put<std::uint16_t>(packet, at, static_cast<std::uint16_t>(sum));
  return packet;
}

/// The packets that `made` is to be cut into, whole and right.
inline std::vector<ByteVector> made_segments(const Made& made, std::size_t segment) {
  std::vector<ByteVector> out;
  for (std::size_t begin = 0; begin < made.payload; begin += segment) {
    Made one = made;
    const std::size_t index = out.size();
    one.payload = std::min(segment, made.payload - begin);
    one.fill = static_cast<std::uint8_t>(made.fill + begin * 7);
    one.id = static_cast<std::uint16_t>(made.id + index);
    one.sequence = static_cast<std::uint32_t>(made.sequence + begin);
    if (begin + segment < made.payload) one.flags &= 0xf6;  // FIN, PSH
    if (index > 0) one.flags &= 0x7f;                       // CWR
    out.push_back(make_packet(one));
  }
  return out;
}

/// Each behind its length.
inline ByteVector framed(const std::vector<ByteVector>& packets) {
  ByteVector out;
  for (const ByteVector& packet : packets) {
    out.push_back(static_cast<std::byte>(packet.size() >> 8));
    out.push_back(static_cast<std::byte>(packet.size()));
    out.insert(out.end(), packet.begin(), packet.end());
  }
  return out;
}

}  // namespace gatehouse::test
