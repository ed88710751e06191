// Generic receive offload over the packets of one stream read: what belongs together becomes one super-packet, which a
// tun device takes in one write and the kernel's stack in one pass. Payloads are gathered where they lie, never copied.
// The reverse of segmenter.hpp.
//
// Packets are merged when they are what one sender's segmentation made of one super-packet, so that nothing is lost:
// same flow; IP headers equal but for length, identification and checksum; no IPv4 options, fragments or IPv6 extension
// headers; both checksums right; some payload; none larger than the first, a smaller one the last; at most kMostPackets
// and 65,535 bytes. Of TCP: flags just ACK, or ACK and PSH, which ends a group; adjacent in sequence; equal
// acknowledgement, window, options. Of UDP: a checksum that is not 0. The order of a flow's packets is kept.
#pragma once

#include <gatehouse/base/bytes.hpp>
#include <gatehouse/packet/ip_packet.hpp>
#include <gatehouse/packet/offload_header.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace gatehouse {

/// What stands in front of a super-packet with these headers, plain TCP or UDP.
/// @param facts         of the whole
/// @param segment_size  payload bytes of each packet but the last
[[nodiscard]] OffloadHeader super_packet_offload(const IpPacket& facts, std::size_t segment_size) noexcept;

/// A packet as the device takes it: one of the stream as it came, or several as one. Valid during GatheredSink::take().
struct GatheredPacket {
  const IpPacket& facts;             ///< of the whole
  OffloadHeader offload{};           ///< of a single packet: nothing to do
  MutableBytes headers{};            ///< of a group: IP and transport headers; of a single packet: all of it, in place
  std::span<const Bytes> payload{};  ///< of a group: the pieces behind the headers; of a single packet: none
  std::size_t size = 0;              ///< of the IP packet in bytes, headers and pieces together
  unsigned packets = 0;              ///< of the stream that it is made of
  /// Room for the offload header, OffloadHeader::kSize bytes, and, of a group, `headers` right behind it.
  MutableBytes with_offload_header{};

  /// The most pieces that a packet is written in.
  static constexpr std::size_t kMostPieces = 65;

  /// Stores the offload header and fills in the parts of a write to the device, after any rewriting.
  /// @param out  kMostPieces of them
  /// @return how many are used
  [[nodiscard]] std::size_t fill(std::span<Bytes> out) const noexcept;
};

/// Where packets go.
class GatheredSink {
 public:
  /// Takes `packet`, whose headers it may rewrite: those of a group have a partial checksum (offload.needs_checksum),
  /// that of a single packet is whole. Must not call the coalescer.
  virtual void take(GatheredPacket& packet) noexcept = 0;

 protected:
  ~GatheredSink() = default;
};

/// One of a lane, used for one read after the other. Allocates 40 KB when it is made, and nothing later.
class Coalescer {
 public:
  static constexpr std::size_t kMostPackets = 64;  ///< in a group: the kernel's UDP_MAX_SEGMENTS of old
  static constexpr std::size_t kMostGroups = 32;   ///< open at a time; then one of them gives way

  /// @param sink       lives longer
  /// @param merge_udp  the device takes UDP super-packets (TUN_F_USO4 and TUN_F_USO6)
  explicit Coalescer(GatheredSink& sink, bool merge_udp = true);
  ~Coalescer();
  Coalescer(const Coalescer&) = delete;
  Coalescer& operator=(const Coalescer&) = delete;

  /// Takes a packet in. `packet` must stay where it is, unchanged, until flush() returns. What cannot be merged goes to
  /// the sink at once, behind what its flow has gathered. Some 15 ns and the checksum.
  /// @param facts  of `packet`, which is whole
  void add(MutableBytes packet, const IpPacket& facts) noexcept { take(packet, facts, true); }

  /// As add(), for a packet that must not be merged: one that is looked into, or answered, by itself.
  void add_alone(MutableBytes packet, const IpPacket& facts) noexcept { take(packet, facts, false); }

  /// Takes in what is a super-packet already, behind what its flow has gathered, and gives it to the sink at once. Its
  /// headers are finished as those of a group: length, IPv4 checksum and partial checksum are not believed.
  /// @param packet        of TCP or UDP, without IPv4 options, extension headers and fragments
  /// @param segment_size  less than its payload
  /// @param packets       that it stands for
  void add_super_packet(MutableBytes packet, const IpPacket& facts, std::size_t segment_size,
                        unsigned packets) noexcept;

  /// Gives the sink all that is gathered. Before the read's buffer is used for anything else.
  void flush() noexcept;

 private:
  struct Group;
  struct Groups;

  void take(MutableBytes packet, const IpPacket& facts, bool may_merge) noexcept;
  void give(Group& group) noexcept;
  void give_whole(Group& group, std::size_t pieces) noexcept;
  void give_single(MutableBytes packet, const IpPacket& facts) noexcept;

  GatheredSink& sink_;
  bool merge_udp_;
  std::unique_ptr<Groups> groups_;
};

}  // namespace gatehouse
