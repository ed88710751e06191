#include "plugins/packet-tunnel/client/device_port.hpp"

#include <gatehouse/packet/frame_reader.hpp>
#include <gatehouse/packet/segmenter.hpp>

#include <algorithm>
#include <array>
#include <cerrno>

namespace gatehouse::packet_tunnel {

Result<void> DevicePort::read(PacketBlock& into) noexcept {
  const MutableBytes room = into.room();
  const auto got = device_.queue(0).read(room);
  if (!got) return got.error();
  ++counters_.reads;
  const std::size_t head = has_headers_ ? OffloadHeader::kSize : 0;
  into.begin = static_cast<std::uint32_t>(head);
  into.size = static_cast<std::uint32_t>(*got - std::min(*got, head));
  const auto offload = has_headers_ ? OffloadHeader::load(room.first(*got)) : Result<OffloadHeader>(OffloadHeader{});
  const auto facts = IpPacket::parse(into.bytes());
  if (!offload || !facts) return Errc::malformed;
  into.offload = *offload;
  into.facts = *facts;
  return boost::system::in_place_value;
}

void DevicePort::write(GatheredPacket& packet) noexcept {
  std::array<Bytes, GatheredPacket::kMostPieces + 2> parts;
  std::size_t count = 0;
  if (has_headers_) {
    packet.offload.store(packet.with_offload_header);
    parts[count++] = packet.with_offload_header;
  }
  const bool is_single = packet.payload.empty();
  if (!is_single && !has_headers_) return write_in_pieces(packet);
  if (is_single) parts[count++] = packet.headers;
  count = static_cast<std::size_t>(std::ranges::copy(packet.payload, parts.begin() + count).out - parts.begin());
  const auto written = device_.queue(0).write(std::span(parts).first(count));
  ++counters_.writes;
  if (written) return;
  if (is_single || written.error().value() != EINVAL) {
    ++counters_.refused;
    return;
  }
  merges_ = false;
  write_in_pieces(packet);
}

void DevicePort::write(Bytes packet) noexcept {
  std::array<std::byte, OffloadHeader::kSize> header;
  OffloadHeader{}.store(header);
  const std::array<Bytes, 2> parts = {header, packet};
  const auto written = device_.queue(0).write(has_headers_ ? std::span(parts) : std::span(parts).last(1));
  ++counters_.writes;
  if (!written) ++counters_.refused;
}

/// Rare, so that it may allocate. What cannot be had memory for is lost, as on a full link.
void DevicePort::write_in_pieces(const GatheredPacket& packet) noexcept try {
  std::vector<std::byte> whole(packet.size), frames(framed_size(packet.offload, packet.size));
  auto end = std::ranges::copy(packet.headers, whole.begin()).out;
  for (const Bytes piece : packet.payload) end = std::ranges::copy(piece, end).out;
  const auto cut = cut_into_frames(packet.offload, whole, frames);
  if (!cut) return;
  FrameReader reader(MutableBytes(frames).first(cut->bytes), kLongestFrame);
  for (auto next = reader.next(); next.kind == FrameReader::Kind::frame; next = reader.next())
    write(Bytes(next.packet));
} catch (const std::bad_alloc&) {
}

}  // namespace gatehouse::packet_tunnel
