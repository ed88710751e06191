#include "plugins/packet-tunnel/common/large_frame.hpp"

#include "plugins/packet-tunnel/common/dns_address.hpp"

#include <gatehouse/packet/coalescer.hpp>

#include <algorithm>

namespace gatehouse::packet_tunnel {
namespace {

constexpr std::size_t kUdpLength = 4;

/// Is it the head of a flow's segments, all of which have the same headers?
bool may_have_segments(Bytes packet, const IpPacket& facts) noexcept {
  if (facts.has_options || facts.has_extensions || facts.is_fragment || facts.destination_port == kDnsPort)
    return false;
  if (!has_right_header_checksum(facts, packet)) return false;
  if (facts.is_tcp()) return (facts.tcp_flags & (kTcpSyn | kTcpRst)) == 0;
  return facts.is_udp() &&
         load_big<std::uint16_t>(packet.subspan(facts.transport + kUdpLength)) == facts.transport_size();
}

/// Does the device say what the other end will read off the packet?
bool is_told_by_headers(const OffloadHeader& offload, const IpPacket& facts) noexcept {
  const OffloadHeader derived = super_packet_offload(facts, offload.segment_size);
  return offload.needs_checksum && offload.kind == derived.kind && offload.checksum_start == derived.checksum_start &&
         offload.checksum_offset == derived.checksum_offset;
}

}  // namespace

Result<std::uint32_t> count_segments(Bytes packet, const IpPacket& facts, std::size_t segment_size,
                                     std::size_t mtu) noexcept {
  if (!may_have_segments(packet, facts)) return Errc::malformed;
  // With more headers than payload a trickle on the stream would be a flood behind the device.
  if (segment_size < facts.payload || segment_size >= facts.payload_size()) return Errc::malformed;
  if (facts.payload + segment_size > mtu) return Errc::oversize;
  const auto segments = static_cast<std::uint32_t>((facts.payload_size() + segment_size - 1) / segment_size);
  if (segments > (facts.is_udp() ? kMostUdpSegments : kMostTcpSegments)) return Errc::malformed;
  return segments;
}

Result<CutFrames> write_frames(FrameForm form, const OffloadHeader& offload, MutableBytes packet, const IpPacket& facts,
                               std::size_t mtu, MutableBytes out) noexcept {
  const bool may_be_large = form == FrameForm::large && offload.kind != OffloadHeader::Kind::none &&
                            packet.size() <= kLongestFrame && is_told_by_headers(offload, facts);
  const auto segments = may_be_large ? count_segments(packet, facts, offload.segment_size, mtu) : Errc::malformed;
  if (!segments) return cut_into_frames(offload, packet, out);
  if (out.size() < kLargeHeadSize + packet.size()) return Errc::oversize;
  store_big(out, std::uint16_t{0});
  store_big(out.subspan(2), offload.segment_size);
  store_big(out.subspan(4), static_cast<std::uint16_t>(packet.size()));
  std::ranges::copy(packet, out.subspan(kLargeHeadSize).begin());
  return CutFrames{kLargeHeadSize + packet.size(), *segments};
}

}  // namespace gatehouse::packet_tunnel
