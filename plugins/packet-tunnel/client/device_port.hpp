// The client's end of its tun device: packets out of it, and groups of packets into it.
#pragma once

#include "plugins/packet-tunnel/server/packet_pool.hpp"

#include <gatehouse/net/tun_device.hpp>
#include <gatehouse/packet/coalescer.hpp>

#include <cstdint>

namespace gatehouse::packet_tunnel {

/// Not thread-safe. Counts what it moves.
class DevicePort {
 public:
  /// Uses the first queue of `device`, which lives longer.
  explicit DevicePort(TunDevice& device) noexcept : device_(device), has_headers_(device.has_headers()) {}

  [[nodiscard]] int fd() const noexcept { return device_.queue(0).fd(); }
  /// May groups of UDP be written?
  [[nodiscard]] bool merges_udp() const noexcept { return device_.has_udp_segmentation(); }
  /// Writing groups makes sense at all: the kernel takes headers, and has not refused one.
  [[nodiscard]] bool merges() const noexcept { return merges_; }

  /// The next packet with its offload header and facts; one system call.
  /// @param into  PacketPool::kLargestPacket at least @return Errc::would_block; Errc::malformed: it is none, go on;
  ///              Errc::closed: the device is gone; else as TunQueue::read()
  [[nodiscard]] Result<void> read(PacketBlock& into) noexcept;

  /// Writes a group, or a single packet; where the kernel refuses a group, its packets one by one, and so from then on.
  void write(GatheredPacket& packet) noexcept;
  /// Writes a packet that is whole.
  void write(Bytes packet) noexcept;

  struct Counters {
    std::uint64_t reads = 0, writes = 0, refused = 0;  ///< refused: by the kernel; the packets are lost
  };
  [[nodiscard]] const Counters& counters() const noexcept { return counters_; }

 private:
  void write_in_pieces(const GatheredPacket& packet) noexcept;

  TunDevice& device_;
  bool has_headers_, merges_ = true;
  Counters counters_;
};

}  // namespace gatehouse::packet_tunnel
