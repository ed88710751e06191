#include "plugins/packet-tunnel/common/device_port.hpp"

#include <gatehouse/packet/frame_reader.hpp>
#include <gatehouse/packet/segmenter.hpp>

#include <algorithm>
#include <array>
#include <cerrno>

namespace gatehouse::packet_tunnel {

Result<PacketFault> DevicePort::read(PacketBlock& into) noexcept {
  const MutableBytes room = into.room();
  const auto got = queue_.read(room);
  if (!got) return got.error();
  ++counters_.reads;
  const std::size_t head = has_headers_ ? OffloadHeader::kSize : 0;
  into.begin = static_cast<std::uint32_t>(head);
  into.size = static_cast<std::uint32_t>(*got - std::min(*got, head));
  const auto offload = has_headers_ ? OffloadHeader::load(room.first(*got)) : Result<OffloadHeader>(OffloadHeader{});
  const auto facts = IpPacket::parse(into.bytes());
  if (!facts) return facts.error();
  if (!offload) return PacketFault::ip_packet_length;
  into.offload = *offload;
  into.facts = *facts;
  return PacketFault::none;
}

Result<void> DevicePort::write_parts(std::span<const Bytes> parts) noexcept {
  ++counters_.writes;
  const auto written = queue_.write(parts);
  if (!written) ++counters_.refused;
  return written;
}

bool DevicePort::write(GatheredPacket& packet) noexcept {
  const bool is_single = packet.payload.empty();
  if (is_single) return write(Bytes(packet.headers));
  if (takes(packet.offload.kind)) {
    std::array<Bytes, GatheredPacket::kMostPieces> parts;
    const auto written = write_parts(std::span(parts).first(packet.fill(parts)));
    if (written || written.error().value() != EINVAL) return written.has_value();
    merges_ = false;
  }
  return write_in_pieces(packet);
}

bool DevicePort::write(Bytes packet) noexcept {
  std::array<std::byte, OffloadHeader::kSize> header;
  OffloadHeader{}.store(header);
  const std::array<Bytes, 2> parts = {header, packet};
  return write_parts(has_headers_ ? std::span(parts) : std::span(parts).last(1)).has_value();
}

/// Allocates until it has seen the largest. What cannot be had memory for is lost, as on a full link.
/// False: nothing was taken.
bool DevicePort::write_in_pieces(const GatheredPacket& packet) noexcept try {
  const std::size_t room = framed_size(packet.offload, packet.size);
  if (whole_.size() < packet.size) whole_.resize(packet.size);
  if (frames_.size() < room) frames_.resize(room);
  auto end = std::ranges::copy(packet.headers, whole_.begin()).out;
  for (const Bytes piece : packet.payload) end = std::ranges::copy(piece, end).out;
  const auto cut = cut_into_frames(packet.offload, MutableBytes(whole_).first(packet.size), frames_);
  if (!cut) return false;
  bool any = false;
  FrameReader reader(MutableBytes(frames_).first(cut->bytes), kLongestFrame);
  for (auto next = reader.next(); next.kind == FrameReader::Kind::frame; next = reader.next())
    any |= write(Bytes(next.packet));
  return any;
} catch (const std::bad_alloc&) {
  return false;
}

}  // namespace gatehouse::packet_tunnel
