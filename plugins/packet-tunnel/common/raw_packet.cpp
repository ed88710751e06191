#include "plugins/packet-tunnel/common/raw_packet.hpp"

#include <gatehouse/base/endian.hpp>
#include <gatehouse/packet/checksum.hpp>
#include <gatehouse/packet/ip_packet.hpp>

#include <algorithm>

namespace gatehouse::packet_tunnel {
namespace {

constexpr std::size_t kHeaderV4 = 20, kHeaderV6 = 40, kEcho = 16, kUdpHeader = 8, kTcpHeader = 20;
constexpr std::byte kHops{64}, kEcho4{8}, kEcho6{128}, kFiveWords{0x50};
constexpr std::uint16_t kWindow = 64240;

void put_checksum(MutableBytes at, std::uint64_t sum) noexcept {
  store_checksum(ChecksumField(at.first<2>()), static_cast<std::uint16_t>(~fold_sum(sum)));
}

std::size_t header_size(const IpAddress& address) noexcept { return address.is_v4() ? kHeaderV4 : kHeaderV6; }

/// The IP header of a packet that is cleared, and has `size` bytes behind it.
void put_ip_header(const IpAddress& from, const IpAddress& to, std::uint8_t protocol, std::size_t size,
                   MutableBytes packet) noexcept {
  if (from.is_v4()) {
    packet[0] = std::byte{0x45};
    store_big(packet.subspan(2), static_cast<std::uint16_t>(kHeaderV4 + size));
    packet[8] = kHops;
    packet[9] = std::byte{protocol};
    std::ranges::copy(from.bytes(), packet.begin() + 12);
    std::ranges::copy(to.bytes(), packet.begin() + 16);
    put_checksum(packet.subspan(10), sum_words(packet.first(kHeaderV4)));
  } else {
    packet[0] = std::byte{0x60};
    store_big(packet.subspan(4), static_cast<std::uint16_t>(size));
    packet[6] = std::byte{protocol};
    packet[7] = kHops;
    std::ranges::copy(from.bytes(), packet.begin() + 8);
    std::ranges::copy(to.bytes(), packet.begin() + 24);
  }
}

std::uint64_t transport_sum(const IpAddress& from, const IpAddress& to, std::uint8_t protocol,
                            Bytes transport) noexcept {
  return pseudo_header_sum(from.bytes(), to.bytes(), protocol, static_cast<std::uint32_t>(transport.size())) +
         sum_words(transport);
}

}  // namespace

std::size_t make_echo_request(const IpAddress& from, const IpAddress& to, std::uint16_t id, std::uint16_t number,
                              MutableBytes out) noexcept {
  const std::size_t size = header_size(from) + kEcho;
  const MutableBytes packet = out.first(size), icmp = packet.last(kEcho);
  std::ranges::fill(packet, std::byte{0});
  const std::uint8_t protocol = from.is_v4() ? kIcmp4 : kIcmp6;
  put_ip_header(from, to, protocol, kEcho, packet);
  icmp[0] = from.is_v4() ? kEcho4 : kEcho6;
  store_big(icmp.subspan(4), id);
  store_big(icmp.subspan(6), number);
  put_checksum(icmp.subspan(2), from.is_v4() ? sum_words(icmp) : transport_sum(from, to, protocol, icmp));
  return size;
}

std::size_t make_udp_packet(const Endpoint& from, const Endpoint& to, Bytes payload, MutableBytes out) noexcept {
  const std::size_t behind = kUdpHeader + payload.size(), size = header_size(from.address) + behind;
  const MutableBytes packet = out.first(size), udp = packet.last(behind);
  std::ranges::fill(packet, std::byte{0});
  put_ip_header(from.address, to.address, kUdp, behind, packet);
  store_big(udp, from.port);
  store_big(udp.subspan(2), to.port);
  store_big(udp.subspan(4), static_cast<std::uint16_t>(behind));
  std::ranges::copy(payload, udp.begin() + kUdpHeader);
  put_checksum(udp.subspan(6), transport_sum(from.address, to.address, kUdp, udp));
  if (udp[6] == std::byte{0} && udp[7] == std::byte{0}) udp[6] = udp[7] = std::byte{0xff};
  return size;
}

std::size_t make_tcp_packet(const Endpoint& from, const Endpoint& to, std::uint32_t number, std::uint8_t flags,
                            MutableBytes out) noexcept {
  const std::size_t size = header_size(from.address) + kTcpHeader;
  const MutableBytes packet = out.first(size), tcp = packet.last(kTcpHeader);
  std::ranges::fill(packet, std::byte{0});
  put_ip_header(from.address, to.address, kTcp, kTcpHeader, packet);
  store_big(tcp, from.port);
  store_big(tcp.subspan(2), to.port);
  store_big(tcp.subspan(4), number);
  tcp[12] = kFiveWords;
  tcp[13] = std::byte{flags};
  store_big(tcp.subspan(14), kWindow);
  put_checksum(tcp.subspan(16), transport_sum(from.address, to.address, kTcp, tcp));
  return size;
}

}  // namespace gatehouse::packet_tunnel
