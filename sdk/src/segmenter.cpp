// Stages: the offload header is held against the packet; what all segments share is summed up once; then each segment
// is written: headers copied, its own fields put in, payload copied and summed in one pass, checksums from the sums.
#include <gatehouse/packet/segmenter.hpp>

#include <gatehouse/base/endian.hpp>
#include <gatehouse/packet/checksum.hpp>
#include <gatehouse/packet/frame_reader.hpp>
#include <gatehouse/packet/ip_packet.hpp>

#include <algorithm>
#include <cstring>

namespace gatehouse {
namespace {

using Kind = OffloadHeader::Kind;

constexpr std::size_t kIp4Header = 20, kIp6Header = 40, kUdpHeader = 8, kTcpHeader = 20, kLargestTcpHeader = 60;
constexpr std::size_t kIp4Length = 2, kIp4Id = 4, kIp4Protocol = 9, kIp4Checksum = 10;
constexpr std::size_t kIp6Length = 4, kIp6NextHeader = 6;
constexpr std::size_t kUdpLength = 4, kUdpChecksum = 6, kTcpSequence = 4, kTcpFlags = 13, kTcpChecksum = 16;

std::size_t byte_at(Bytes in, std::size_t at) noexcept { return std::to_integer<std::size_t>(in[at]); }

ChecksumField field_at(MutableBytes in, std::size_t at) noexcept { return in.subspan(at).first<2>(); }

void put_word(MutableBytes in, std::size_t at, std::size_t value) noexcept {
  store_big(in.subspan(at), static_cast<std::uint16_t>(value));
}

std::uint16_t checksum_of(std::uint64_t sum) noexcept { return static_cast<std::uint16_t>(~fold_sum(sum)); }

/// How a super-packet is laid out, as far as that could be believed.
struct Layout {
  bool v4 = false, udp = false;
  std::size_t ip_header = 0;  ///< of IPv4, for its checksum; what lies between it and the transport is copied only
  std::size_t transport = 0, header = 0;
  std::size_t checksum = 0;  ///< offset from the transport header
  std::size_t segment = 0;
};

/// @return without a segment size where it cannot be believed
Layout layout_of(const OffloadHeader& offload, Bytes packet) noexcept {
  Layout out;
  if (packet.size() < kIp4Header || offload.segment_size == 0) return {};
  const std::size_t version = byte_at(packet, 0) >> 4;
  out.v4 = version == 4;
  out.udp = offload.kind == Kind::udp;
  out.transport = offload.checksum_start;
  out.ip_header = out.v4 ? (byte_at(packet, 0) & 15) * 4 : kIp6Header;
  if (!out.v4 && version != 6) return {};
  if (!out.udp && out.v4 != (offload.kind == Kind::tcp4)) return {};
  if (out.ip_header < kIp4Header || (out.v4 ? out.transport != out.ip_header : out.transport < kIp6Header)) return {};
  const std::size_t protocol = out.udp ? kUdp : kTcp;
  const std::size_t next = byte_at(packet, out.v4 ? kIp4Protocol : kIp6NextHeader);
  if (out.v4 || out.transport == kIp6Header ? next != protocol : next == kTcp || next == kUdp) return {};
  const std::size_t least = out.udp ? kUdpHeader : kTcpHeader;
  if (packet.size() < out.transport + least) return {};
  const std::size_t size = out.udp ? kUdpHeader : (byte_at(packet, out.transport + 12) >> 4) * 4;
  out.header = out.transport + size;
  out.checksum = out.udp ? kUdpChecksum : kTcpChecksum;
  if (size < least || packet.size() <= out.header || offload.checksum_offset != out.checksum) return {};
  out.segment = offload.segment_size;
  return out;
}

/// One packet; its checksum, if it is partial, is finished on the way.
Result<CutFrames> frame_single(const OffloadHeader& offload, Bytes packet, MutableBytes out) noexcept {
  if (packet.size() > kLongestFrame || out.size() < kFrameLengthSize + packet.size()) return Errc::oversize;
  store_big(out, static_cast<std::uint16_t>(packet.size()));
  const MutableBytes to = out.subspan(kFrameLengthSize, packet.size());
  const CutFrames done{kFrameLengthSize + packet.size(), 1};
  if (!offload.needs_checksum) {
    std::memcpy(to.data(), packet.data(), packet.size());
    return done;
  }
  const std::size_t start = offload.checksum_start, field = start + offload.checksum_offset;
  if (field + 2 > packet.size()) return Errc::malformed;
  std::memcpy(to.data(), packet.data(), start);
  // The field has the pseudo-header's sum and is summed up with the rest.
  const std::uint16_t checksum = checksum_of(copy_and_sum_words(to.subspan(start), packet.subspan(start)));
  store_checksum(field_at(to, field), checksum == 0 && offload.checksum_offset == kUdpChecksum ? 0xffff : checksum);
  return done;
}

/// Writes the segments of one super-packet.
class Cutter {
 public:
  Cutter(const Layout& layout, MutableBytes packet) noexcept : at_(layout), packet_(packet) {
    const MutableBytes headers = packet.first(at_.header), transport = headers.subspan(at_.transport);
    sequence_ = at_.udp ? 0 : load_big<std::uint32_t>(transport.subspan(kTcpSequence));
    flags_ = at_.udp ? 0 : std::to_integer<std::uint8_t>(transport[kTcpFlags]);
    id_ = at_.v4 ? load_big<std::uint16_t>(headers.subspan(kIp4Id)) : std::uint16_t{0};
    // What differs from segment to segment is zero while the rest is summed up.
    store_checksum(field_at(transport, at_.checksum), 0);
    if (at_.udp) {
      put_word(transport, kUdpLength, 0);
    } else {
      store_big<std::uint32_t>(transport.subspan(kTcpSequence), 0);
      transport[kTcpFlags] = std::byte{0};
    }
    if (at_.v4) {
      put_word(headers, kIp4Length, 0);
      put_word(headers, kIp4Id, 0);
      put_word(headers, kIp4Checksum, 0);
      ip_sum_ = sum_words(headers.first(at_.ip_header));
    }
    const Bytes source = at_.v4 ? headers.subspan(12, 4) : headers.subspan(8, 16);
    const Bytes destination = at_.v4 ? headers.subspan(16, 4) : headers.subspan(24, 16);
    transport_sum_ = sum_words(transport) +
                     pseudo_header_sum(source, destination, at_.udp ? std::uint8_t{kUdp} : std::uint8_t{kTcp}, 0);
  }

  /// @param out  of the size of the segment, its length in front included
  void write(std::size_t index, Bytes payload, bool is_last, MutableBytes out) noexcept {
    const std::size_t size = at_.header + payload.size();
    put_word(out, 0, size);
    const MutableBytes to = out.subspan(kFrameLengthSize);
    std::memcpy(to.data(), packet_.data(), at_.header);
    if (at_.v4) {
      put_word(to, kIp4Length, size);
      put_word(to, kIp4Id, id_ + index);
      store_checksum(field_at(to, kIp4Checksum), checksum_of(ip_sum_ + load_checksum(field_at(to, kIp4Length)) +
                                                             load_checksum(field_at(to, kIp4Id))));
    } else {
      put_word(to, kIp6Length, size - kIp6Header);
    }
    const MutableBytes transport = to.subspan(at_.transport);
    const std::size_t transport_size = size - at_.transport;
    // The pseudo header has the size as a word of 32 bits, whose upper half is 0.
    std::uint64_t sum = transport_sum_ + big_word(transport_size);
    sum += copy_and_sum_words(to.subspan(at_.header), payload);
    sum += at_.udp ? put_udp(transport, transport_size) : put_tcp(transport, index, is_last);
    const std::uint16_t checksum = checksum_of(sum);
    store_checksum(field_at(transport, at_.checksum), at_.udp && checksum == 0 ? 0xffff : checksum);
  }

 private:
  /// A number as a word of the sum.
  static std::uint64_t big_word(std::size_t value) noexcept {
    std::byte bytes[2];
    store_big(bytes, static_cast<std::uint16_t>(value));
    return load_checksum(bytes);
  }

  std::uint64_t put_udp(MutableBytes transport, std::size_t size) const noexcept {
    put_word(transport, kUdpLength, size);
    return big_word(size);
  }

  /// FIN and PSH belong to the last segment, CWR to the first. @return the sum of what was put in
  std::uint64_t put_tcp(MutableBytes transport, std::size_t index, bool is_last) const noexcept {
    const auto sequence = static_cast<std::uint32_t>(sequence_ + index * at_.segment);
    store_big(transport.subspan(kTcpSequence), sequence);
    unsigned flags = flags_;
    if (!is_last) flags &= ~unsigned{kTcpFin | kTcpPsh};
    if (index > 0) flags &= ~unsigned{kTcpCwr};
    transport[kTcpFlags] = static_cast<std::byte>(flags);
    return big_word(sequence >> 16) + big_word(sequence & 0xffff) + big_word(flags);
  }

  Layout at_;
  MutableBytes packet_;
  std::uint32_t sequence_;
  std::uint8_t flags_;
  std::uint16_t id_;
  std::uint64_t ip_sum_ = 0, transport_sum_ = 0;
};

}  // namespace

std::size_t framed_size(const OffloadHeader& offload, std::size_t packet_size) noexcept {
  if (offload.kind == Kind::none || offload.segment_size == 0) return kFrameLengthSize + packet_size;
  const std::size_t header = offload.checksum_start + (offload.kind == Kind::udp ? kUdpHeader : kLargestTcpHeader);
  const std::size_t segments = packet_size / offload.segment_size + 1;
  return packet_size + segments * (kFrameLengthSize + header);
}

std::size_t largest_cut(const OffloadHeader& offload, Bytes packet) noexcept {
  if (offload.kind == Kind::none) return packet.size();
  const Layout layout = layout_of(offload, packet);
  return std::min(packet.size(), layout.header + layout.segment);  // of what cannot be believed both are 0
}

Result<CutFrames> cut_into_frames(const OffloadHeader& offload, MutableBytes packet, MutableBytes out) noexcept {
  if (packet.empty()) return Errc::malformed;
  if (offload.kind == Kind::none) return frame_single(offload, packet, out);
  const Layout layout = layout_of(offload, packet);
  if (layout.segment == 0) return Errc::malformed;

  const Bytes payload = packet.subspan(layout.header);
  const std::size_t segments = (payload.size() + layout.segment - 1) / layout.segment;
  const std::size_t bytes = payload.size() + segments * (kFrameLengthSize + layout.header);
  if (largest_cut(offload, packet) > kLongestFrame || bytes > out.size()) return Errc::oversize;

  Cutter cutter(layout, packet);
  std::size_t used = 0;
  for (std::size_t i = 0; i < segments; ++i) {
    const std::size_t begin = i * layout.segment, size = std::min(layout.segment, payload.size() - begin);
    const std::size_t framed = kFrameLengthSize + layout.header + size;
    cutter.write(i, payload.subspan(begin, size), i + 1 == segments, out.subspan(used, framed));
    used += framed;
  }
  return CutFrames{used, static_cast<unsigned>(segments)};
}

}  // namespace gatehouse
