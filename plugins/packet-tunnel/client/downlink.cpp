// Stages: one read of up to 512 KiB behind what was kept; frames in place; packets of a flow that follow each other
// become one super-packet; one write a group. No payload is copied but what is cut at the end of a read.
#include "plugins/packet-tunnel/client/downlink.hpp"

#include <gatehouse/packet/frame_reader.hpp>

#include <algorithm>
#include <cstring>

namespace gatehouse::packet_tunnel {
namespace {

constexpr std::size_t kRead = 512 * 1024;

}  // namespace

Downlink::Downlink(DevicePort& device, const PacketRules& rules)
    : device_(device),
      rules_(rules),
      coalescer_(*this, device.merges_udp()),
      input_(kRead + kFrameLengthSize + kLongestFrame) {}

void Downlink::start(std::size_t mtu) noexcept {
  mtu_ = mtu;
  kept_ = 0;
}

Result<std::size_t> Downlink::read(Stream& stream) noexcept {
  const auto got = stream.read(MutableBytes(input_).subspan(kept_, kRead));
  if (!got) return got;
  const MutableBytes in = MutableBytes(input_).first(kept_ + *got);
  FrameReader reader(in, mtu_);
  auto next = reader.next();
  for (; next.kind == FrameReader::Kind::frame; next = reader.next()) add(next.packet);
  coalescer_.flush();
  if (next.kind == FrameReader::Kind::oversize) return Errc::oversize;
  kept_ = in.size() - reader.used();
  std::memmove(input_.data(), input_.data() + reader.used(), kept_);
  return got;
}

void Downlink::add(MutableBytes packet) noexcept {
  const auto facts = IpPacket::parse(packet);
  if (!facts) {
    counters_.dropped += packet.empty() ? 0 : 1;  // an empty frame says nothing but "I am here"
    return;
  }
  if (!rules_.may_come(packet, *facts)) {
    ++counters_.dropped;
    return;
  }
  ++counters_.packets;
  counters_.bytes += packet.size();
  if (device_.merges())
    coalescer_.add(packet, *facts);
  else
    coalescer_.add_alone(packet, *facts);
}

void Downlink::take(GatheredPacket& packet) noexcept {
  rules_.rewrite_answer(packet.headers, packet.facts, packet.offload.needs_checksum);
  device_.write(packet);
}

}  // namespace gatehouse::packet_tunnel
