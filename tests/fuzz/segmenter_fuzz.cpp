// Any bytes as what a device reads, ten bytes of offload header and a packet: cutting it stays within the bounds that
// were told before; what comes out holds every byte of the payload once, in packets of the size that was told, with
// right checksums.
#include <gatehouse/packet/frame_reader.hpp>
#include <gatehouse/packet/ip_packet.hpp>
#include <gatehouse/packet/segmenter.hpp>

#include "tests/fuzz/fuzz.hpp"

#include <algorithm>
#include <vector>

namespace gatehouse {
namespace {

using Kind = OffloadHeader::Kind;

/// Of a segment whose headers are as plain as can be: others are not read by the segmenter, and need not be right.
void check_segment(Bytes packet) {
  const auto facts = IpPacket::parse(packet);
  if (!facts || facts->has_extensions || facts->is_fragment || (!facts->is_tcp() && !facts->is_udp())) return;
  require(has_right_header_checksum(*facts, packet));
  require(has_right_checksum(*facts, packet));
}

void check_cut(const OffloadHeader& offload, Bytes packet, MutableBytes frames, const CutFrames& done) {
  const std::size_t largest = largest_cut(offload, packet);
  std::vector<std::byte> payload;
  FrameReader reader(frames.first(done.bytes), kLongestFrame);
  unsigned packets = 0;
  for (auto next = reader.next(); next.kind == FrameReader::Kind::frame; next = reader.next()) {
    require(next.packet.size() <= largest);
    require(packets + 1 == done.packets || next.packet.size() == largest);
    ++packets;
    if (offload.kind == Kind::none || done.packets == 1) continue;
    const std::size_t header = largest - offload.segment_size;
    require(next.packet.size() > header);
    payload.insert(payload.end(), next.packet.begin() + header, next.packet.end());
    check_segment(next.packet);
  }
  require(packets == done.packets && reader.used() == done.bytes);
  if (offload.kind == Kind::none || packets == 1) return;
  require(payload.size() <= packet.size());
  require(std::equal(payload.begin(), payload.end(), packet.end() - payload.size()));
}

}  // namespace
}  // namespace gatehouse

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gatehouse;
  const Bytes in = fuzz_input(data, size);
  const auto offload = OffloadHeader::load(in);
  require(offload || offload.error() == (size < OffloadHeader::kSize ? Errc::truncated : Errc::malformed));
  if (!offload) return 0;
  std::vector<std::byte> stored(OffloadHeader::kSize);
  offload->store(stored);
  require(OffloadHeader::load(stored).value() == *offload);

  const Bytes packet = in.subspan(OffloadHeader::kSize);
  const std::size_t room = framed_size(*offload, packet.size());
  if (room > 1 << 22) return 0;
  std::vector<std::byte> work(packet.begin(), packet.end()), frames(room);  // each of just its size
  const auto done = cut_into_frames(*offload, work, frames);
  if (!done) {
    require(done.error() == Errc::malformed || (done.error() == Errc::oversize && packet.size() > kLongestFrame));
    require(std::equal(work.begin(), work.end(), packet.begin()));
    return 0;
  }
  require(done->packets > 0 && done->bytes <= room);
  check_cut(*offload, packet, frames, *done);

  // In too small a room nothing is written beyond it.
  work.assign(packet.begin(), packet.end());
  std::vector<std::byte> small(done->bytes - 1);
  require(cut_into_frames(*offload, work, small).error() == Errc::oversize);
  return 0;
}
