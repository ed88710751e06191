// From the stream to the tun device.
#pragma once

#include "plugins/packet-tunnel/client/packet_rules.hpp"
#include "plugins/packet-tunnel/common/device_port.hpp"
#include "plugins/packet-tunnel/common/large_frame.hpp"

#include <gatehouse/net/stream.hpp>

namespace gatehouse::packet_tunnel {

/// On the loop's thread.
class Downlink final : private GatheredSink {
 public:
  /// Both live longer.
  Downlink(DevicePort& device, const PacketRules& rules);

  /// From a stream's beginning, on which that form holds. @param mtu  bytes of the longest packet that the server may
  /// send
  void start(std::size_t mtu, FrameForm form = FrameForm::plain) noexcept;

  /// Reads what is there, once, and writes it to the device.
  /// @return bytes that were read; Errc::would_block; Errc::oversize: a packet that is longer than the server has said,
  ///         so that the stream cannot be followed any more; else as Stream::read()
  [[nodiscard]] Result<std::size_t> read(Stream& stream) noexcept;

  struct Counters {
    std::uint64_t packets = 0, bytes = 0;  ///< as cut, bytes without the frames' heads
    std::uint64_t dropped = 0;             ///< malformed
  };
  [[nodiscard]] const Counters& counters() const noexcept { return counters_; }

 private:
  void take(GatheredPacket& packet) noexcept override;
  void add(const TunnelFrameReader::Next& frame) noexcept;

  DevicePort& device_;
  const PacketRules& rules_;
  Coalescer coalescer_;
  std::vector<std::byte> input_;
  std::size_t kept_ = 0;  // bytes at the front of input_: a frame that has begun
  std::size_t mtu_ = 0;
  FrameForm form_ = FrameForm::plain;
  Counters counters_;
};

}  // namespace gatehouse::packet_tunnel
