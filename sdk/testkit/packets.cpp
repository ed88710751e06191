#include <gatehouse/testkit/packets.hpp>

#include <gatehouse/base/endian.hpp>
#include <gatehouse/packet/checksum.hpp>
#include <gatehouse/packet/ip_packet.hpp>

#include <algorithm>

namespace gatehouse::testkit {
namespace {

constexpr std::size_t kHeader4 = 20, kHeader6 = 40, kTransportHeader = 8;
constexpr std::uint8_t kHops = 64;

void put(MutableBytes at, Bytes bytes) { std::copy(bytes.begin(), bytes.end(), at.begin()); }

/// IP header and room for the transport's 8 bytes, which are zero, and the payload.
ByteVector packet_of(const IpAddress& source, const IpAddress& destination, std::uint8_t protocol, Bytes payload) {
  const std::size_t header = source.is_v4() ? kHeader4 : kHeader6, transport = kTransportHeader + payload.size();
  ByteVector out(header + transport);
  const MutableBytes at(out);
  if (source.is_v4()) {
    at[0] = std::byte{0x45};
    store_big(at.subspan(2), static_cast<std::uint16_t>(out.size()));
    at[8] = std::byte{kHops};
    at[9] = std::byte{protocol};
    put(at.subspan(12), source.bytes());
    put(at.subspan(16), destination.bytes());
    store_checksum(at.subspan<10, 2>(), static_cast<std::uint16_t>(~fold_sum(sum_words(at.first(kHeader4)))));
  } else {
    at[0] = std::byte{0x60};
    store_big(at.subspan(4), static_cast<std::uint16_t>(transport));
    at[6] = std::byte{protocol};
    at[7] = std::byte{kHops};
    put(at.subspan(8), source.bytes());
    put(at.subspan(24), destination.bytes());
  }
  put(at.subspan(header + kTransportHeader), payload);
  return out;
}

/// Sums the transport up, with the pseudo-header where its protocol has one, into the field at `field`.
void sum_up(ByteVector& packet, const IpAddress& source, const IpAddress& destination, std::uint8_t protocol,
            std::size_t field) {
  const MutableBytes transport = MutableBytes(packet).subspan(source.is_v4() ? kHeader4 : kHeader6);
  std::uint64_t sum = sum_words(transport);
  if (protocol != kIcmp4)
    sum +=
        pseudo_header_sum(source.bytes(), destination.bytes(), protocol, static_cast<std::uint32_t>(transport.size()));
  store_checksum(transport.subspan(field).first<2>(), static_cast<std::uint16_t>(~fold_sum(sum)));
}

}  // namespace

ByteVector ping_packet(const IpAddress& source, const IpAddress& destination, std::uint16_t id, Bytes payload) {
  const bool v4 = source.is_v4();
  const std::uint8_t protocol = v4 ? kIcmp4 : kIcmp6;
  ByteVector out = packet_of(source, destination, protocol, payload);
  const MutableBytes icmp = MutableBytes(out).subspan(v4 ? kHeader4 : kHeader6);
  icmp[0] = std::byte{v4 ? std::uint8_t{8} : std::uint8_t{128}};
  store_big(icmp.subspan(4), id);
  sum_up(out, source, destination, protocol, 2);
  return out;
}

ByteVector udp_packet(const Endpoint& source, const Endpoint& destination, Bytes payload) {
  ByteVector out = packet_of(source.address, destination.address, kUdp, payload);
  const MutableBytes udp = MutableBytes(out).subspan(source.address.is_v4() ? kHeader4 : kHeader6);
  store_big(udp, source.port);
  store_big(udp.subspan(2), destination.port);
  store_big(udp.subspan(4), static_cast<std::uint16_t>(udp.size()));
  sum_up(out, source.address, destination.address, kUdp, 6);
  return out;
}

}  // namespace gatehouse::testkit
