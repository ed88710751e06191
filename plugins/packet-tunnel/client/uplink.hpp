// From the tun device to the stream. The device is read whatever the stream takes: a tun device has no back-pressure
// (its driver lets go of the sender's socket and drops what its ring cannot hold), so that an unread ring would be 500
// super-packets of delay with a tail drop. What waits stands in a PacketQueue: fair, short, with early drops.
#pragma once

#include "plugins/packet-tunnel/client/packet_rules.hpp"
#include "plugins/packet-tunnel/common/device_port.hpp"
#include "plugins/packet-tunnel/common/large_frame.hpp"
#include "plugins/packet-tunnel/common/packet_queue.hpp"

#include <gatehouse/async/lane_loop.hpp>
#include <gatehouse/net/stream.hpp>
#include <gatehouse/table/gcra.hpp>

#include <functional>

namespace gatehouse::packet_tunnel {

/// On the loop's thread.
class Uplink final : public Readiness {
 public:
  /// All of them live longer. @param on_gone  the device has been deleted
  Uplink(LaneLoop& loop, DevicePort& device, const PacketRules& rules, std::function<void()> on_gone);
  ~Uplink();

  /// Packets go into `stream`, which lives until stop(), in that form, of `mtu` bytes at most.
  /// @param discards  what the device has by now is dropped
  void start(Stream& stream, std::size_t mtu, FrameForm form = FrameForm::plain, bool discards = false);
  /// Nothing is read any more; what waits is dropped.
  void stop() noexcept;

  /// The stream takes more.
  void go_on() noexcept;
  /// Sends what has gathered: at the end of a turn.
  void flush() noexcept;
  /// A frame of our own, behind what is there.
  void send(Bytes packet) noexcept;
  /// It waits for the stream to take more.
  [[nodiscard]] bool is_blocked() const noexcept { return is_blocked_; }

  struct Counters {
    std::uint64_t packets = 0, bytes = 0;  ///< as cut, bytes without the frames' heads
    std::uint64_t dropped = 0;             ///< nobody is told: the link's own, foreign sources, malformed
    std::uint64_t refused = 0;             ///< the sender was told
    std::uint64_t lost = 0;                ///< early, or because too much waited
  };
  [[nodiscard]] const Counters& counters() const noexcept { return counters_; }

 private:
  void on_ready(std::uint32_t events) override;
  bool read_packet();
  void take(PacketBlockPtr& packet);
  void refuse(PacketBlock& packet, std::uint16_t mtu) noexcept;
  void enqueue(PacketBlockPtr& packet);
  [[nodiscard]] bool emit(PacketBlock& packet) noexcept;
  void write_output() noexcept;
  void pump() noexcept;

  LaneLoop& loop_;
  DevicePort& device_;
  const PacketRules& rules_;
  std::function<void()> on_gone_;
  PacketPool pool_;
  PacketQueue queue_;
  PacketBlockPtr reading_;
  std::vector<std::byte> output_;
  std::size_t begin_ = 0, end_ = 0;  // of what is in output_
  Stream* stream_ = nullptr;
  std::size_t mtu_ = 0;
  FrameForm form_ = FrameForm::plain;
  bool is_blocked_ = false;
  Gcra answers_;
  Counters counters_;
};

}  // namespace gatehouse::packet_tunnel
