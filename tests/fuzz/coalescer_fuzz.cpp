// Any bytes as the frames of one read: whatever is merged can be cut again into what came in, in the order of each
// flow. After the stream has been read as it is, a second pass sets lengths and checksums right, so that there is more
// to merge than a fuzzer would find.
#include <gatehouse/base/endian.hpp>
#include <gatehouse/packet/checksum.hpp>
#include <gatehouse/packet/coalescer.hpp>
#include <gatehouse/packet/frame_reader.hpp>
#include <gatehouse/packet/segmenter.hpp>

#include "tests/fuzz/fuzz.hpp"

#include <algorithm>
#include <list>
#include <map>
#include <vector>

namespace gatehouse {
namespace {

using Packet = std::vector<std::byte>;
using Flow = std::vector<std::byte>;

/// What keeps its order: addresses, protocol and ports; what has no ports is a flow by its protocol.
Flow flow_of(const Packet& packet, const IpPacket& facts) {
  Flow out{std::byte{facts.version}, std::byte{facts.protocol}};
  if ((!facts.is_tcp() && !facts.is_udp()) || facts.is_later_fragment()) return out;
  for (const Bytes part : {facts.source(packet), facts.destination(packet), Bytes(packet).subspan(facts.transport, 4)})
    out.insert(out.end(), part.begin(), part.end());
  return out;
}

/// The IPv4 identification and with it the header's checksum are counted anew in a group.
Packet without_id(Packet packet) {
  if (!packet.empty() && std::to_integer<unsigned>(packet[0]) >> 4 == 4) {
    for (const std::size_t at : {4U, 5U, 10U, 11U}) packet[at] = std::byte{0};
  }
  return packet;
}

class Sink final : public GatheredSink {
 public:
  std::map<Flow, std::vector<Packet>> flows;
  std::size_t packets = 0;

  void take(GatheredPacket& one) noexcept override {
    Packet whole(one.headers.begin(), one.headers.end());
    for (const Bytes piece : one.payload) whole.insert(whole.end(), piece.begin(), piece.end());
    require(whole.size() == one.size && one.facts.size == one.size && one.packets > 0);
    require((one.packets == 1) == one.payload.empty() && one.packets <= Coalescer::kMostPackets);
    require(one.offload.needs_checksum == (one.packets > 1) && one.size <= 65535);
    const auto facts = IpPacket::parse(whole);
    require(facts && *facts == one.facts);
    packets += one.packets;
    std::vector<std::byte> frames(framed_size(one.offload, whole.size()));
    const Flow flow = flow_of(whole, *facts);
    const auto done = cut_into_frames(one.offload, whole, frames);
    require(done && done->packets == one.packets);
    FrameReader reader(MutableBytes(frames).first(done->bytes), kLongestFrame);
    for (auto next = reader.next(); next.kind == FrameReader::Kind::frame; next = reader.next())
      flows[flow].push_back(without_id({next.packet.begin(), next.packet.end()}));
  }
};

/// Lengths and checksums as they should be; true: worth a try.
bool set_right(Packet& packet) {
  if (packet.size() < 20) return false;
  const bool v4 = std::to_integer<unsigned>(packet[0]) >> 4 == 4;
  const std::size_t transport = v4 ? 20 : 40;
  if (packet.size() < transport + 8 || (!v4 && std::to_integer<unsigned>(packet[0]) >> 4 != 6)) return false;
  const MutableBytes bytes(packet);
  if (v4) packet[0] = std::byte{0x45};
  store_big(bytes.subspan(v4 ? 2 : 4), static_cast<std::uint16_t>(packet.size() - (v4 ? 0 : 40)));
  const auto field = [&](std::size_t at, std::uint64_t sum) {
    store_checksum(bytes.subspan(at).first<2>(), static_cast<std::uint16_t>(~fold_sum(sum)));
  };
  const auto clear = [&](std::size_t at) { store_checksum(bytes.subspan(at).first<2>(), 0); };
  if (v4) {
    clear(10);
    field(10, sum_words(bytes.first(20)));
  }
  const auto protocol = std::to_integer<std::uint8_t>(packet[v4 ? 9 : 6]);
  if (protocol == kUdp) store_big(bytes.subspan(transport + 4), static_cast<std::uint16_t>(packet.size() - transport));
  const std::size_t at = transport + (protocol == kUdp ? 6 : 16);
  if ((protocol != kUdp && protocol != kTcp) || packet.size() < at + 2) return true;
  clear(at);
  field(at, sum_words(bytes.subspan(transport)) +
                pseudo_header_sum(bytes.subspan(v4 ? 12 : 8, v4 ? 4 : 16), bytes.subspan(v4 ? 16 : 24, v4 ? 4 : 16),
                                  protocol, static_cast<std::uint32_t>(packet.size() - transport)));
  return true;
}

void gather(std::list<Packet> packets, bool merge_udp) {
  std::map<Flow, std::vector<Packet>> expected;
  std::size_t count = 0;
  Sink sink;
  Coalescer coalescer(sink, merge_udp);
  for (Packet& packet : packets) {
    const auto facts = IpPacket::parse(packet);
    if (!facts) continue;
    expected[flow_of(packet, *facts)].push_back(without_id(packet));
    packet.back() == std::byte{0x7e} ? coalescer.add_alone(packet, *facts) : coalescer.add(packet, *facts);
    ++count;
  }
  coalescer.flush();
  require(sink.packets == count && sink.flows == expected);
}

}  // namespace
}  // namespace gatehouse

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gatehouse;
  std::vector<std::byte> in(size);
  std::transform(data, data + size, in.begin(), [](std::uint8_t one) { return std::byte{one}; });
  std::list<Packet> raw, right;
  FrameReader reader(in, kLongestFrame);
  for (auto next = reader.next(); next.kind == FrameReader::Kind::frame; next = reader.next()) {
    raw.emplace_back(next.packet.begin(), next.packet.end());
    right.push_back(raw.back());
    if (!set_right(right.back())) right.pop_back();
  }
  gather(std::move(raw), true);
  gather(right, true);
  gather(std::move(right), false);
  return 0;
}
