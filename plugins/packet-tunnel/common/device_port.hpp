// One queue of a tun device as packets: out of it with their facts, into it singly or in groups.
#pragma once

#include "plugins/packet-tunnel/common/packet_pool.hpp"

#include <gatehouse/net/tun_device.hpp>
#include <gatehouse/packet/coalescer.hpp>

#include <cstdint>
#include <vector>

namespace gatehouse::packet_tunnel {

/// On one thread. Counts what it moves.
class DevicePort {
 public:
  /// Uses that queue of `device`, which lives longer.
  explicit DevicePort(TunDevice& device, unsigned queue = 0) noexcept
      : queue_(device.queue(queue)),
        has_headers_(device.has_headers()),
        merges_udp_(device.has_udp_segmentation()),
        merges_(device.has_tcp_segmentation()) {}

  [[nodiscard]] int fd() const noexcept { return queue_.fd(); }
  /// May groups of UDP be written?
  [[nodiscard]] bool merges_udp() const noexcept { return merges_udp_; }
  /// Writing groups makes sense at all: the kernel takes them, and has not refused one.
  [[nodiscard]] bool merges() const noexcept { return merges_; }

  /// The next packet with its offload header and facts; one system call.
  /// @param into  PacketPool::kLargestPacket at least
  /// @return what is wrong with it, if anything: then only its bytes are there, and the next read goes on. Errors as of
  ///         TunQueue::read(): Errc::would_block, Errc::closed and others
  [[nodiscard]] Result<PacketFault> read(PacketBlock& into) noexcept;

  /// Writes a super-packet, or a single packet; where the kernel takes no super-packets of that kind, its packets one
  /// by one, and where it refuses one that it should take, merges() is false from then on. One system call, in which
  /// the kernel forwards it. False: it did not take it.
  bool write(GatheredPacket& packet) noexcept;
  /// The same for one whole packet.
  bool write(Bytes packet) noexcept;

  struct Counters {
    std::uint64_t reads = 0, writes = 0;
    std::uint64_t refused = 0;  ///< writes that the kernel did not take; the packets are lost
  };
  [[nodiscard]] const Counters& counters() const noexcept { return counters_; }

 private:
  [[nodiscard]] bool takes(OffloadHeader::Kind kind) const noexcept {
    return merges_ && (kind != OffloadHeader::Kind::udp || merges_udp_);
  }
  [[nodiscard]] Result<void> write_parts(std::span<const Bytes> parts) noexcept;
  [[nodiscard]] bool write_in_pieces(const GatheredPacket& packet) noexcept;

  TunQueue& queue_;
  const bool has_headers_, merges_udp_;
  bool merges_;
  std::vector<std::byte> whole_, frames_;  // of write_in_pieces(), with its first call
  Counters counters_;
};

}  // namespace gatehouse::packet_tunnel
