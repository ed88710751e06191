#include "plugins/packet-tunnel/client/echo_request.hpp"

#include <gatehouse/base/endian.hpp>
#include <gatehouse/packet/checksum.hpp>
#include <gatehouse/packet/ip_packet.hpp>

#include <algorithm>

namespace gatehouse::packet_tunnel {
namespace {

constexpr std::size_t kHeaderV4 = 20, kHeaderV6 = 40, kIcmp = 16;
constexpr std::byte kHops{64}, kEcho4{8}, kEcho6{128};

void put_checksum(MutableBytes at, std::uint64_t sum) noexcept {
  store_checksum(ChecksumField(at.first<2>()), static_cast<std::uint16_t>(~fold_sum(sum)));
}

}  // namespace

std::size_t make_echo_request(const IpAddress& from, const IpAddress& to, MutableBytes out, std::uint16_t id,
                              std::uint16_t number) noexcept {
  const bool is_v4 = from.is_v4();
  const std::size_t header = is_v4 ? kHeaderV4 : kHeaderV6, size = header + kIcmp;
  const MutableBytes packet = out.first(size), icmp = packet.subspan(header);
  std::ranges::fill(packet, std::byte{0});
  icmp[0] = is_v4 ? kEcho4 : kEcho6;
  store_big(icmp.subspan(4), id);
  store_big(icmp.subspan(6), number);
  if (is_v4) {
    packet[0] = std::byte{0x45};
    store_big(packet.subspan(2), static_cast<std::uint16_t>(size));
    packet[8] = kHops;
    packet[9] = std::byte{kIcmp4};
    std::ranges::copy(from.bytes(), packet.begin() + 12);
    std::ranges::copy(to.bytes(), packet.begin() + 16);
    put_checksum(packet.subspan(10), sum_words(packet.first(header)));
    put_checksum(icmp.subspan(2), sum_words(icmp));
  } else {
    packet[0] = std::byte{0x60};
    store_big(packet.subspan(4), static_cast<std::uint16_t>(kIcmp));
    packet[6] = std::byte{kIcmp6};
    packet[7] = kHops;
    std::ranges::copy(from.bytes(), packet.begin() + 8);
    std::ranges::copy(to.bytes(), packet.begin() + 24);
    put_checksum(icmp.subspan(2), pseudo_header_sum(from.bytes(), to.bytes(), kIcmp6, kIcmp) + sum_words(icmp));
  }
  return size;
}

}  // namespace gatehouse::packet_tunnel
