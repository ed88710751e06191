// Any bytes as a stream of the large form: frames lie inside the input back to back; a super-packet that may pass is
// cut into as many right packets as were told, none longer than the MTU, with every byte of the payload; and written
// again it is the frame that it came in. A second pass sets lengths and header checksums right, so that more may pass.
#include "plugins/packet-tunnel/common/large_frame.hpp"

#include <gatehouse/packet/checksum.hpp>
#include <gatehouse/packet/coalescer.hpp>

#include "tests/fuzz/fuzz.hpp"

#include <algorithm>
#include <vector>

namespace gatehouse::packet_tunnel {
namespace {

using Packet = std::vector<std::byte>;

constexpr std::size_t kMtu = 1500;

/// What the device gets, put together.
class Sink final : public GatheredSink {
 public:
  OffloadHeader offload;
  Packet whole;

  void take(GatheredPacket& one) noexcept override {
    require(whole.empty() && one.payload.size() == 1 && one.with_offload_header.size() == 10 + one.headers.size());
    offload = one.offload;
    whole.assign(one.headers.begin(), one.headers.end());
    whole.insert(whole.end(), one.payload[0].begin(), one.payload[0].end());
    require(whole.size() == one.size);
  }
};

void check_cut(const OffloadHeader& offload, Packet packet, const IpPacket& facts, unsigned packets) {
  require(largest_cut(offload, packet) <= kMtu);
  Packet frames(framed_size(offload, packet.size())), payload;
  const auto done = cut_into_frames(offload, packet, frames);
  require(done && done->packets == packets);
  FrameReader reader(MutableBytes(frames).first(done->bytes), kMtu);
  for (auto next = reader.next(); next.kind == FrameReader::Kind::frame; next = reader.next()) {
    const auto one = IpPacket::parse(next.packet);
    require(one && one->payload == facts.payload && has_right_checksum(*one, next.packet));
    require(has_right_header_checksum(*one, next.packet));
    payload.insert(payload.end(), next.packet.begin() + one->payload, next.packet.end());
  }
  require(reader.used() == done->bytes);
  require(std::equal(payload.begin(), payload.end(), packet.begin() + facts.payload, packet.end()));
}

void check_super_packet(const Packet& in, std::uint16_t segment_size) {
  const auto facts = IpPacket::parse(in);
  if (!facts) return;
  const auto packets = count_segments(in, *facts, segment_size, kMtu);
  if (!packets) return require(packets.error() == Errc::malformed || packets.error() == Errc::oversize);
  require(*packets > 1 && *packets <= kMostTcpSegments);
  Packet packet = in;
  Sink sink;
  Coalescer coalescer(sink);
  coalescer.add_super_packet(packet, *facts, segment_size, *packets);
  require(packet == in && IpPacket::parse(sink.whole).value() == *facts);
  check_cut(sink.offload, sink.whole, *facts, *packets);

  Packet again(framed_size(sink.offload, in.size()));
  const auto done = write_frames(FrameForm::large, sink.offload, sink.whole, *facts, kMtu, again);
  require(done && done->packets == *packets && done->bytes == kLargeHeadSize + in.size());
  TunnelFrameReader reader(MutableBytes(again).first(done->bytes), kMtu, FrameForm::large);
  const auto next = reader.next();
  require(next.kind == FrameReader::Kind::frame && next.segment_size == segment_size);
  require(std::ranges::equal(next.packet, sink.whole));
}

/// Lengths and the IPv4 header's checksum as they should be.
void set_right(Packet& packet) {
  const MutableBytes bytes(packet);
  if (packet.size() < 48) return;
  const bool v4 = std::to_integer<unsigned>(packet[0]) >> 4 == 4;
  const auto size = static_cast<std::uint16_t>(packet.size());
  if (v4) packet[0] = std::byte{0x45};
  store_big(bytes.subspan(v4 ? 2 : 4), static_cast<std::uint16_t>(size - (v4 ? 0 : 40)));
  if (packet[v4 ? 9 : 6] == std::byte{kUdp})
    store_big(bytes.subspan(v4 ? 24 : 44), static_cast<std::uint16_t>(size - (v4 ? 20 : 40)));
  if (!v4) return;
  store_checksum(bytes.subspan(10).first<2>(), 0);
  store_checksum(bytes.subspan(10).first<2>(), static_cast<std::uint16_t>(~fold_sum(sum_words(bytes.first(20)))));
}

}  // namespace
}  // namespace gatehouse::packet_tunnel

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gatehouse;
  using namespace gatehouse::packet_tunnel;
  std::vector<std::byte> in(size);
  std::transform(data, data + size, in.begin(), [](std::uint8_t one) { return std::byte{one}; });
  TunnelFrameReader reader(in, kMtu, FrameForm::large);
  std::size_t used = 0;
  for (auto next = reader.next();; next = reader.next()) {
    if (next.kind != FrameReader::Kind::frame) {
      require(reader.used() == used && reader.next().kind == next.kind);
      require(next.kind == FrameReader::Kind::oversize || size - used < kLongestLargeFrame);
      return 0;
    }
    require(next.segment_size != 0 || next.packet.size() <= kMtu);
    const std::byte* const end = next.packet.data() + next.packet.size();
    require(reader.used() > used && end == in.data() + reader.used());
    used = reader.used();
    if (next.segment_size == 0) continue;
    Packet packet(next.packet.begin(), next.packet.end());  // of just its size
    check_super_packet(packet, next.segment_size);
    set_right(packet);
    check_super_packet(packet, next.segment_size);
  }
}
