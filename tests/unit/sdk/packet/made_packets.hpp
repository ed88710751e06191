// Packets made for tests, field by field, and a judge of their checksums that shares no code with what is tested.
#pragma once

#include <gatehouse/base/endian.hpp>
#include <gatehouse/testkit/hex.hpp>

#include <cstdint>
#include <cstring>
#include <string_view>

namespace gatehouse::test {

using testkit::ByteVector;

/// What a packet is made of; the defaults are a TCP segment that a coalescer would merge.
struct Made {
  unsigned version = 4;
  unsigned protocol = 6;  ///< 6 and 17 have headers made for them
  std::size_t payload = 100;
  std::uint8_t fill = 0;  ///< payload byte i is i * 7 + fill
  std::uint8_t traffic_class = 0, ttl = 64;
  std::uint16_t id = 0x1c46, fragment = 0x4000;  ///< IPv4: identification; flags and offset
  std::uint32_t flow_label = 0;
  std::uint8_t last_source = 1, last_destination = 7;  ///< last bytes of the addresses
  std::uint16_t source_port = 40001, destination_port = 443;
  std::uint32_t sequence = 1000, acknowledgement = 5000;
  std::uint8_t flags = 0x10;
  std::uint16_t window = 500, urgent = 0;
  std::string_view options = {};     ///< TCP, in hex, a multiple of 4 bytes
  std::string_view ip_options = {};  ///< IPv4, in hex, a multiple of 4 bytes
  std::string_view extensions = {};  ///< IPv6, in hex, the last names `protocol`
  std::uint8_t first_extension = 60;
};

/// Plainly, a word at a time, in network order.
inline std::uint32_t plain_sum(Bytes bytes, std::uint32_t sum = 0) {
  for (std::size_t i = 0; i < bytes.size(); ++i)
    sum += std::to_integer<std::uint32_t>(bytes[i]) << (i % 2 == 0 ? 8 : 0), sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

/// Of the transport header and what follows, with the pseudo header; 0xffff where it is right.
inline std::uint32_t transport_sum(Bytes packet, std::size_t transport, unsigned protocol, bool pseudo = true) {
  const bool v4 = std::to_integer<unsigned>(packet[0]) >> 4 == 4;
  std::uint32_t sum = plain_sum(packet.subspan(transport));
  if (!pseudo) return sum;
  sum = plain_sum(packet.subspan(v4 ? 12 : 8, v4 ? 8 : 32), sum) + protocol;
  sum += static_cast<std::uint32_t>(packet.size() - transport);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

inline std::uint32_t ip4_header_sum(Bytes packet) {
  return plain_sum(packet.first((std::to_integer<std::size_t>(packet[0]) & 15) * 4));
}

template <std::unsigned_integral Int>
void put(ByteVector& out, std::size_t at, Int value) {
  store_big<Int>(MutableBytes(out).subspan(at), value);
}

inline std::size_t made_transport(const Made& made) {
  return made.version == 4 ? 20 + made.ip_options.size() / 2 : 40 + made.extensions.size() / 2;
}
inline std::size_t made_header(const Made& made) {
  return made_transport(made) + (made.protocol == 6 ? 20 + made.options.size() / 2 : made.protocol == 17 ? 8 : 0);
}

inline void put_ip_header(ByteVector& out, const Made& made, std::size_t transport) {
  if (made.version == 4) {
    out[0] = static_cast<std::byte>(0x40 | transport / 4);
    out[1] = std::byte{made.traffic_class};
    put<std::uint16_t>(out, 2, static_cast<std::uint16_t>(out.size()));
    put<std::uint16_t>(out, 4, made.id);
    put<std::uint16_t>(out, 6, made.fragment);
    out[8] = std::byte{made.ttl};
    out[9] = static_cast<std::byte>(made.protocol);
    put<std::uint32_t>(out, 12, 0xac100000U + made.last_source);
    put<std::uint32_t>(out, 16, 0xc6336400U + made.last_destination);
    const ByteVector options = testkit::hex(made.ip_options);
    std::copy(options.begin(), options.end(), out.begin() + 20);
    put<std::uint16_t>(out, 10, static_cast<std::uint16_t>(~ip4_header_sum(out)));
    return;
  }
  put<std::uint32_t>(out, 0, 0x60000000U | std::uint32_t{made.traffic_class} << 20 | made.flow_label);
  put<std::uint16_t>(out, 4, static_cast<std::uint16_t>(out.size() - 40));
  const ByteVector extensions = testkit::hex(made.extensions);
  out[6] = static_cast<std::byte>(extensions.empty() ? made.protocol : made.first_extension);
  out[7] = std::byte{made.ttl};
  const ByteVector addresses = testkit::hex("fd26b6a64454310a0000000000000000 20010db8000000000000000000000000");
  std::copy(addresses.begin(), addresses.end(), out.begin() + 8);
  out[23] = std::byte{made.last_source};
  out[39] = std::byte{made.last_destination};
  std::copy(extensions.begin(), extensions.end(), out.begin() + 40);
}

inline ByteVector make_packet(const Made& made) {
  const std::size_t transport = made_transport(made), header = made_header(made);
  ByteVector out(header + made.payload);
  put_ip_header(out, made, transport);
  for (std::size_t i = 0; i < made.payload; ++i) out[header + i] = static_cast<std::byte>(i * 7 + made.fill);
  if (made.protocol != 6 && made.protocol != 17) return out;
  put<std::uint16_t>(out, transport, made.source_port);
  put<std::uint16_t>(out, transport + 2, made.destination_port);
  std::size_t checksum = transport + 6;
  if (made.protocol == 6) {
    checksum = transport + 16;
    put<std::uint32_t>(out, transport + 4, made.sequence);
    put<std::uint32_t>(out, transport + 8, made.acknowledgement);
    out[transport + 12] = static_cast<std::byte>((header - transport) / 4 << 4);
    out[transport + 13] = std::byte{made.flags};
    put<std::uint16_t>(out, transport + 14, made.window);
    put<std::uint16_t>(out, transport + 18, made.urgent);
    const ByteVector options = testkit::hex(made.options);
    std::copy(options.begin(), options.end(), out.begin() + static_cast<std::ptrdiff_t>(transport) + 20);
  } else {
    put<std::uint16_t>(out, transport + 4, static_cast<std::uint16_t>(out.size() - transport));
  }
  put<std::uint16_t>(out, checksum, static_cast<std::uint16_t>(~transport_sum(out, transport, made.protocol)));
  if (made.protocol == 17 && out[checksum] == std::byte{0} && out[checksum + 1] == std::byte{0})
    put<std::uint16_t>(out, checksum, 0xffff);
  return out;
}

/// Of a packet that is neither a fragment nor has extension headers; IPv4's header and the transport's.
inline bool has_right_checksums(Bytes packet) {
  const bool v4 = std::to_integer<unsigned>(packet[0]) >> 4 == 4;
  const std::size_t transport = v4 ? (std::to_integer<std::size_t>(packet[0]) & 15) * 4 : 40;
  const auto protocol = std::to_integer<unsigned>(packet[v4 ? 9 : 6]);
  if (v4 && ip4_header_sum(packet) != 0xffff) return false;
  return transport_sum(packet, transport, protocol, protocol != 1) == 0xffff;
}

}  // namespace gatehouse::test
