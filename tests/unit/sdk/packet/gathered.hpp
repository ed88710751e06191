// What a coalescer gave its sink, copied: for tests that look at it afterwards.
#pragma once

#include <gatehouse/packet/coalescer.hpp>
#include <gatehouse/packet/frame_reader.hpp>
#include <gatehouse/packet/segmenter.hpp>

#include "tests/unit/sdk/packet/made_super_packet.hpp"

#include <sys/uio.h>

#include <array>
#include <functional>
#include <string>
#include <vector>

namespace gatehouse::test {

/// One packet for the device.
struct Gathered {
  OffloadHeader offload;  ///< as it was written
  ByteVector packet;      ///< headers and pieces together
  unsigned packets = 0;
  IpPacket facts;
};

/// Writes each packet as a device would get it, offload header in front, and takes that apart again.
class GatheringSink final : public GatheredSink {
 public:
  std::vector<Gathered> all;
  std::function<void(GatheredPacket&)> before;  ///< sees each packet first, and may rewrite it

  void take(GatheredPacket& packet) noexcept override {
    if (before) before(packet);
    std::array<Bytes, GatheredPacket::kMostPieces> pieces;
    const std::size_t count = packet.fill(pieces);
    ByteVector wire;
    for (const Bytes piece : std::span(pieces).first(count)) wire.insert(wire.end(), piece.begin(), piece.end());
    Gathered out;
    out.offload = OffloadHeader::load(wire).value();
    out.packet.assign(wire.begin() + OffloadHeader::kSize, wire.end());
    out.packets = packet.packets;
    out.facts = packet.facts;
    if (out.packet.size() == packet.size) all.push_back(std::move(out));
  }

  /// How many packets each one is of, in order: "3 1 2".
  [[nodiscard]] std::string shape() const {
    std::string out;
    for (const Gathered& one : all) out += (out.empty() ? "" : " ") + std::to_string(one.packets);
    return out;
  }

  /// The packets of all, cut again.
  [[nodiscard]] std::vector<ByteVector> cut() const {
    std::vector<ByteVector> out;
    for (const Gathered& one : all) {
      ByteVector packet = one.packet, frames(framed_size(one.offload, packet.size()));
      const auto done = cut_into_frames(one.offload, packet, frames);
      if (!done || done->packets != one.packets) return {};
      frames.resize(done->bytes);
      FrameReader reader(frames, kLongestFrame);
      for (auto next = reader.next(); next.kind == FrameReader::Kind::frame; next = reader.next())
        out.emplace_back(next.packet.begin(), next.packet.end());
    }
    return out;
  }
};

/// Gives `packets` to a coalescer, as one read.
inline GatheringSink gather(std::vector<ByteVector> packets, bool merge_udp = true) {
  GatheringSink sink;
  Coalescer coalescer(sink, merge_udp);
  for (ByteVector& packet : packets) coalescer.add(packet, IpPacket::parse(packet).value());
  coalescer.flush();
  return sink;
}

}  // namespace gatehouse::test
