// Packets of one client that ask together whether they may go: a run from one socket, a super-packet. A value.
#pragma once

#include <algorithm>
#include <cstdint>

namespace gatehouse::policy {

/// Each packet but the last has `least` bytes. What may go of a run is packets from its front.
struct PacketRun {
  std::uint64_t packets = 1;  ///< 0 counts as one
  std::uint64_t bytes = 0;    ///< of all together
  std::uint64_t least = 0;    ///< 0 = all or none

  /// How many bytes the packets from the front have that fit into `room`.
  [[nodiscard]] constexpr std::uint64_t fitting(std::uint64_t room) const noexcept {
    return room >= bytes ? bytes : before_last() == 0 ? 0 : std::min(room / least, before_last()) * least;
  }
  /// The packets whose `part` bytes fitting() has said.
  [[nodiscard]] constexpr PacketRun first(std::uint64_t part) const noexcept {
    return part == bytes ? *this : PacketRun{part == 0 ? 0 : part / least, part, least};
  }
  /// The size of the packet behind the first `part` bytes.
  [[nodiscard]] constexpr std::uint64_t next(std::uint64_t part) const noexcept {
    return part < before_last() * least ? least : bytes - part;
  }

 private:
  /// How many packets have `least` bytes for sure: something is left for the last one.
  [[nodiscard]] constexpr std::uint64_t before_last() const noexcept {
    return packets <= 1 || least == 0 || bytes == 0 ? 0 : std::min(packets - 1, (bytes - 1) / least);
  }
};

}  // namespace gatehouse::policy
