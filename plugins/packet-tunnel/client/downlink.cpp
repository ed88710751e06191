// Stages: one read of up to 512 KiB behind what was kept; frames in place; packets of a flow that follow each other
// become one super-packet, a large frame is one; one write a group. No payload is copied but what is cut at the end of
// a read.
#include "plugins/packet-tunnel/client/downlink.hpp"

#include <algorithm>
#include <cstring>

namespace gatehouse::packet_tunnel {
namespace {

constexpr std::size_t kRead = 512 * 1024;

}  // namespace

Downlink::Downlink(DevicePort& device, const PacketRules& rules)
    : device_(device), rules_(rules), coalescer_(*this, device.merges_udp()), input_(kRead + kLongestLargeFrame) {}

void Downlink::start(std::size_t mtu, FrameForm form) noexcept {
  mtu_ = mtu;
  form_ = form;
  kept_ = 0;
}

Result<std::size_t> Downlink::read(Stream& stream) noexcept {
  const auto got = stream.read(MutableBytes(input_).subspan(kept_, kRead));
  if (!got) return got;
  const MutableBytes in = MutableBytes(input_).first(kept_ + *got);
  TunnelFrameReader reader(in, mtu_, form_);
  auto next = reader.next();
  for (; next.kind == TunnelFrameReader::Kind::frame; next = reader.next()) add(next);
  coalescer_.flush();
  if (next.kind == TunnelFrameReader::Kind::oversize) return Errc::oversize;
  kept_ = in.size() - reader.used();
  std::memmove(input_.data(), input_.data() + reader.used(), kept_);
  return got;
}

void Downlink::add(const TunnelFrameReader::Next& frame) noexcept {
  const MutableBytes packet = frame.packet;
  const auto facts = IpPacket::parse(packet);
  if (!facts) {
    counters_.dropped += packet.empty() ? 0 : 1;  // an empty frame says nothing but "I am here"
    return;
  }
  const bool is_single = frame.segment_size == 0;
  const auto packets = is_single ? Result<std::uint32_t>(1) : count_segments(packet, *facts, frame.segment_size, mtu_);
  if (!packets || !rules_.may_come(packet, *facts)) {
    ++counters_.dropped;
    return;
  }
  counters_.packets += *packets;
  counters_.bytes += packet.size() + (*packets - 1) * std::uint64_t{facts->payload};
  if (!is_single)
    coalescer_.add_super_packet(packet, *facts, frame.segment_size, *packets);
  else if (device_.merges())
    coalescer_.add(packet, *facts);
  else
    coalescer_.add_alone(packet, *facts);
}

void Downlink::take(GatheredPacket& packet) noexcept {
  rules_.rewrite_answer(packet.headers, packet.facts, packet.offload.needs_checksum);
  device_.write(packet);
}

}  // namespace gatehouse::packet_tunnel
