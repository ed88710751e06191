// Packets in a byte stream: each behind its length.
//
//    0        2
//   +--------+---------------------+--------+----
//   | length | IP packet           | length | ...   length: of the packet alone, big-endian, 0 .. 65,535
//   +--------+---------------------+--------+----
#pragma once

#include <gatehouse/base/bytes.hpp>
#include <gatehouse/base/endian.hpp>

#include <cstddef>
#include <cstdint>

namespace gatehouse {

inline constexpr std::size_t kFrameLengthSize = 2;   ///< bytes before each packet
inline constexpr std::size_t kLongestFrame = 65535;  ///< bytes of a packet

/// Walks the whole frames of what has been read of a stream. Made anew for each read; borrows the bytes.
class FrameReader {
 public:
  /// Of what next() has found.
  enum class Kind : std::uint8_t {
    frame,      ///< `packet` is one; it may be empty, which is legal
    need_more,  ///< no whole frame is left: keep what is behind used(), and come again with more
    oversize,   ///< a length above the MTU: the stream is lost, and so says every later call
  };
  /// What next() has found.
  struct Next {
    Kind kind;            ///< why there is a packet, or none
    MutableBytes packet;  ///< with Kind::frame: inside the input, without its length
  };

  /// @param in   begins at a length
  /// @param mtu  the largest packet, in bytes; more than kLongestFrame is as good as kLongestFrame
  FrameReader(MutableBytes in, std::size_t mtu) noexcept : in_(in), mtu_(mtu) {}

  /// The next frame, inside the input, or why there is none. Never reads beyond it. Some ns.
  [[nodiscard]] Next next() noexcept {
    const MutableBytes left = in_.subspan(used_);
    if (left.size() < kFrameLengthSize) return {Kind::need_more, {}};
    const std::size_t size = load_big<std::uint16_t>(left);
    if (size > mtu_) return {Kind::oversize, {}};
    if (left.size() - kFrameLengthSize < size) return {Kind::need_more, {}};
    used_ += kFrameLengthSize + size;
    return {Kind::frame, left.subspan(kFrameLengthSize, size)};
  }

  /// Bytes of the frames handed out so far, lengths included.
  [[nodiscard]] std::size_t used() const noexcept { return used_; }

 private:
  MutableBytes in_;
  std::size_t mtu_;
  std::size_t used_ = 0;
};

}  // namespace gatehouse
