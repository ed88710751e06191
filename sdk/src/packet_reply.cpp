#include <gatehouse/packet/packet_reply.hpp>

#include <gatehouse/base/endian.hpp>
#include <gatehouse/packet/checksum.hpp>

#include <algorithm>
#include <cassert>
#include <cstring>

namespace gatehouse {
namespace {

constexpr std::size_t kIp4Header = 20, kIp6Header = 40, kTcpHeader = 20, kIcmpHeader = 8;
constexpr std::size_t kLargestIp4Error = 576, kLargestIp6Error = 1280;
constexpr std::uint8_t kHopLimit = 64;

template <std::unsigned_integral Int>
void put(MutableBytes out, std::size_t at, Int value) noexcept {
  store_big<Int>(out.subspan(at), value);
}

ChecksumField field_at(MutableBytes in, std::size_t at) noexcept { return in.subspan(at).first<2>(); }

void finish_checksum(MutableBytes out, std::size_t at, std::uint64_t sum) noexcept {
  store_checksum(field_at(out, at), static_cast<std::uint16_t>(~fold_sum(sum)));
}

/// Might a host have sent from it, and be answered there?
bool is_host(const IpAddress& address) noexcept {
  if (address.is_unspecified() || address.is_multicast()) return false;
  if (!address.is_v4()) return true;
  const std::uint32_t first = address.to_v4() >> 24;
  return first != 0 && first < 240;  // "this network"; reserved and limited broadcast
}

/// May a host or router say anything at all about this packet?
bool may_be_answered(Bytes headers, const IpPacket& packet) noexcept {
  return !packet.is_later_fragment() && is_host(packet.source_address(headers)) &&
         is_host(packet.destination_address(headers));
}

/// Writes the IP header of an answer.
void put_ip_header(MutableBytes out, std::uint8_t protocol, std::size_t size, Bytes from, Bytes to) noexcept {
  if (from.size() == 4) {
    std::memset(out.data(), 0, kIp4Header);
    out[0] = std::byte{0x45};
    put<std::uint16_t>(out, 2, static_cast<std::uint16_t>(size));
    out[6] = std::byte{0x40};  // not to be fragmented, and so without an identification (RFC 6864)
    out[8] = std::byte{kHopLimit};
    out[9] = std::byte{protocol};
    std::memcpy(out.data() + 12, from.data(), 4);
    std::memcpy(out.data() + 16, to.data(), 4);
    finish_checksum(out, 10, sum_words(out.first(kIp4Header)));
    return;
  }
  put<std::uint32_t>(out, 0, 0x6000'0000);
  put<std::uint16_t>(out, 4, static_cast<std::uint16_t>(size - kIp6Header));
  out[6] = std::byte{protocol};
  out[7] = std::byte{kHopLimit};
  std::memcpy(out.data() + 8, from.data(), 16);
  std::memcpy(out.data() + 24, to.data(), 16);
}

/// Type, code, and what the four bytes behind the checksum say.
struct IcmpFront {
  std::uint8_t type, code;
  std::uint32_t rest;
};

IcmpFront front_of(Unreachable why, bool v4, std::uint16_t mtu) noexcept {
  switch (why) {
    case Unreachable::no_route: return v4 ? IcmpFront{3, 0, 0} : IcmpFront{1, 0, 0};
    case Unreachable::port: return v4 ? IcmpFront{3, 3, 0} : IcmpFront{1, 4, 0};
    case Unreachable::prohibited: return v4 ? IcmpFront{3, 13, 0} : IcmpFront{1, 1, 0};
    case Unreachable::too_big: return v4 ? IcmpFront{3, 4, mtu} : IcmpFront{2, 0, mtu};
  }
  return {3, 0, 0};
}

bool may_be_fragmented(Bytes headers, const IpPacket& packet) noexcept {
  constexpr std::byte kDontFragment{0x40};
  return packet.version == 4 && (headers[6] & kDontFragment) == std::byte{0};
}

}  // namespace

std::size_t make_tcp_reset(Bytes headers, const IpPacket& packet, MutableBytes out) noexcept {
  if (!packet.is_tcp() || (packet.tcp_flags & kTcpRst) != 0 || !may_be_answered(headers, packet)) return 0;
  const std::size_t at = packet.version == 4 ? kIp4Header : kIp6Header;
  const std::size_t size = at + kTcpHeader;
  assert(out.size() >= size);
  const Bytes from = packet.destination(headers), to = packet.source(headers);
  put_ip_header(out, kTcp, size, from, to);
  const Bytes theirs = headers.subspan(packet.transport);
  const bool has_ack = (packet.tcp_flags & kTcpAck) != 0;
  const auto sequence = load_big<std::uint32_t>(theirs.subspan(4));
  const auto length = static_cast<std::uint32_t>(packet.payload_size() + ((packet.tcp_flags & kTcpSyn) != 0 ? 1 : 0) +
                                                 ((packet.tcp_flags & kTcpFin) != 0 ? 1 : 0));
  const MutableBytes tcp = out.subspan(at, kTcpHeader);
  std::memset(tcp.data(), 0, tcp.size());
  put<std::uint16_t>(tcp, 0, packet.destination_port);
  put<std::uint16_t>(tcp, 2, packet.source_port);
  put<std::uint32_t>(tcp, 4, has_ack ? load_big<std::uint32_t>(theirs.subspan(8)) : 0);
  put<std::uint32_t>(tcp, 8, has_ack ? 0 : sequence + length);
  tcp[12] = std::byte{kTcpHeader / 4 << 4};
  tcp[13] = static_cast<std::byte>(has_ack ? kTcpRst : kTcpRst | kTcpAck);
  finish_checksum(tcp, 16, sum_words(tcp) + pseudo_header_sum(from, to, kTcp, kTcpHeader));
  return size;
}

std::size_t make_unreachable(Unreachable why, Bytes front, const IpPacket& packet, const IpAddress& source,
                             std::uint16_t mtu, MutableBytes out) noexcept {
  const bool v4 = packet.version == 4;
  assert(source.is_v4() == v4 && out.size() >= kLargestReply);
  if (!may_be_answered(front, packet) || packet.is_icmp_error()) return 0;
  if (packet.is_tcp() && (packet.tcp_flags & kTcpRst) != 0) return 0;
  if (why == Unreachable::too_big && may_be_fragmented(front, packet)) return 0;

  const std::size_t at = v4 ? kIp4Header : kIp6Header;
  const std::size_t most = (v4 ? kLargestIp4Error : kLargestIp6Error) - at - kIcmpHeader;
  const Bytes quote = front.first(std::min({front.size(), std::size_t{packet.size}, most}));
  const std::size_t size = at + kIcmpHeader + quote.size();
  const Bytes to = packet.source(front);
  put_ip_header(out, v4 ? kIcmp4 : kIcmp6, size, source.bytes(), to);

  const MutableBytes icmp = out.subspan(at, size - at);
  const IcmpFront begin = front_of(why, v4, mtu);
  icmp[0] = std::byte{begin.type};
  icmp[1] = std::byte{begin.code};
  put<std::uint16_t>(icmp, 2, 0);
  put<std::uint32_t>(icmp, 4, begin.rest);
  std::memcpy(icmp.data() + kIcmpHeader, quote.data(), quote.size());
  std::uint64_t sum = sum_words(icmp);
  if (!v4) sum += pseudo_header_sum(source.bytes(), to, kIcmp6, static_cast<std::uint32_t>(icmp.size()));
  finish_checksum(icmp, 2, sum);
  return size;
}

}  // namespace gatehouse
