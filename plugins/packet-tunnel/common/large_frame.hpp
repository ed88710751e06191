// The two forms that a stream of packets has. The plain one is the reference's: each packet behind its length
// (frame_reader.hpp of the SDK). The large one, agreed on as `large-frames` (features.hpp), has the same frames for
// single packets and, behind a length of 0, super-packets: what a tun device gives and takes in one piece, many
// segments of one flow behind a single header. Nobody cuts them, sums them up, and puts them together again.
//
//    0        2              4        6
//   +--------+--------------+--------+---------------------+
//   | length | IP packet ...                                   length > 0: of one packet, as in the plain form
//   +--------+--------------+--------+---------------------+
//   | 0      | segment size | length | IP super-packet     |   length: of the super-packet alone, 0 .. 65,535
//   +--------+--------------+--------+---------------------+
//   | 0      | 0            |                                  nothing: "I am here"
//   +--------+--------------+                                  all big-endian
//
// A single packet has the plain form's bytes, so that small packets cost nothing more. Of the offload header only the
// segment size cannot be read off the packet; everything else of it is: the kind, where the checksum stands, whether
// CWR belongs to the first segment alone. The checksum field's content means nothing; who takes the packet in puts the
// pseudo-header's sum there.
#pragma once

#include <gatehouse/base/bytes.hpp>
#include <gatehouse/base/endian.hpp>
#include <gatehouse/base/error.hpp>
#include <gatehouse/packet/frame_reader.hpp>
#include <gatehouse/packet/ip_packet.hpp>
#include <gatehouse/packet/offload_header.hpp>
#include <gatehouse/packet/segmenter.hpp>

#include <cstddef>
#include <cstdint>

namespace gatehouse::packet_tunnel {

enum class FrameForm : bool { plain, large };

inline constexpr std::size_t kLargeHeadSize = 6;
/// Bytes of the longest frame: what may have to be kept of one that is not whole.
inline constexpr std::size_t kLongestLargeFrame = kLargeHeadSize + kLongestFrame;

/// Packets that a super-packet stands for, at most. Of UDP the kernel's own bound (UDP_MAX_SEGMENTS of old); of TCP
/// twice what segments of the least MTU make of 64 KiB, so that nobody makes thousands of packets out of one.
inline constexpr std::uint32_t kMostUdpSegments = 64, kMostTcpSegments = 128;

/// Walks the whole frames of what has been read of a stream, in either form, as FrameReader walks those of the plain
/// one. Made anew for each read; borrows the bytes.
class TunnelFrameReader {
 public:
  using Kind = FrameReader::Kind;
  struct Next {
    Kind kind;
    MutableBytes packet{};           ///< may be empty, which is legal
    std::uint16_t segment_size = 0;  ///< of a super-packet, as the other end says; 0: a single one
  };

  /// @param in   begins at a frame
  /// @param mtu  of a single packet, in bytes; a super-packet is as long as it likes
  TunnelFrameReader(MutableBytes in, std::size_t mtu, FrameForm form) noexcept : in_(in), mtu_(mtu), form_(form) {}

  [[nodiscard]] Next next() noexcept {
    const MutableBytes left = in_.subspan(used_);
    if (left.size() < kFrameLengthSize) return {Kind::need_more};
    const std::size_t size = load_big<std::uint16_t>(left);
    if (size == 0 && form_ == FrameForm::large) return next_large(left);
    if (size > mtu_) return {Kind::oversize};
    return take(left, kFrameLengthSize, size, 0);
  }

  /// Bytes of the frames handed out so far, heads included.
  [[nodiscard]] std::size_t used() const noexcept { return used_; }

 private:
  Next take(MutableBytes left, std::size_t head, std::size_t size, std::uint16_t segment_size) noexcept {
    if (left.size() - head < size) return {Kind::need_more};
    used_ += head + size;
    return {Kind::frame, left.subspan(head, size), segment_size};
  }
  Next next_large(MutableBytes left) noexcept {
    constexpr std::size_t kSegmentSize = kFrameLengthSize, kLength = kSegmentSize + 2;
    if (left.size() < kLength) return {Kind::need_more};
    const auto segment_size = load_big<std::uint16_t>(left.subspan(kSegmentSize));
    if (segment_size == 0) return take(left, kLength, 0, 0);
    if (left.size() < kLargeHeadSize) return {Kind::need_more};
    return take(left, kLargeHeadSize, load_big<std::uint16_t>(left.subspan(kLength)), segment_size);
  }

  MutableBytes in_;
  std::size_t mtu_;
  FrameForm form_;
  std::size_t used_ = 0;
};

/// How many packets a super-packet of the stream stands for: it is held against everything that a kernel, or what lies
/// behind it, has to rely on. Plain TCP without SYN and RST, or UDP whose length is the packet's; no IPv4 options,
/// extension headers or fragments; a right IPv4 header; more payload than a segment has, in at most as many segments as
/// above, each with as much payload as headers, so that what leaves is no more than twice what came; not to port 53,
/// where each packet is judged; to other ports of DNS the server cuts them.
/// @param packet  whole  @param facts  of it  @param mtu  of the packets that it stands for, in bytes
/// @return Errc::malformed  it cannot be one
///         Errc::oversize   its segments would be longer than the MTU
[[nodiscard]] Result<std::uint32_t> count_segments(Bytes packet, const IpPacket& facts, std::size_t segment_size,
                                                   std::size_t mtu) noexcept;

/// Writes a packet of the device to the front of `out` in that form: a super-packet of the large form as one frame, if
/// count_segments() would take it, everything else as cut_into_frames() does. framed_size() is room enough.
/// @param packet  as of cut_into_frames()  @param facts  of it
/// @param mtu     to which `packet` was held by largest_cut()
/// @return bytes that were written, heads included, and the packets that they stand for; errors as cut_into_frames()
[[nodiscard]] Result<CutFrames> write_frames(FrameForm form, const OffloadHeader& offload, MutableBytes packet,
                                             const IpPacket& facts, std::size_t mtu, MutableBytes out) noexcept;

}  // namespace gatehouse::packet_tunnel
