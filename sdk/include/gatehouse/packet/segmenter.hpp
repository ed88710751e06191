// Cuts what one read of a tun device gave, a super-packet or a packet with a partial checksum, into whole packets, each
// behind its length, as a stream carries them (frame_reader.hpp). The reverse of coalescer.hpp.
#pragma once

#include <gatehouse/base/bytes.hpp>
#include <gatehouse/base/error.hpp>
#include <gatehouse/packet/offload_header.hpp>

#include <cstddef>

namespace gatehouse {

/// What was written.
struct CutFrames {
  std::size_t bytes = 0;  ///< lengths included
  unsigned packets = 0;   ///< each behind its length
};

/// Room that cut_into_frames() may want for a packet of `packet_size` bytes: an upper bound, within 3 % where segments
/// are of some 1,400 bytes. Where it is more than there is, a packet may still fit.
[[nodiscard]] std::size_t framed_size(const OffloadHeader& offload, std::size_t packet_size) noexcept;

/// The size of the largest packet that `packet` will be cut into, in bytes: to be held against the MTU.
/// @return 0 where `offload` cannot be true of the packet
[[nodiscard]] std::size_t largest_cut(const OffloadHeader& offload, Bytes packet) noexcept;

/// Writes the packets of `packet`, each behind two bytes of length (big-endian), to the front of `out`. Each is
/// complete: lengths, IPv4 identification (counting up), TCP sequence number, FIN and PSH on the last and CWR on the
/// first only, both checksums (a UDP one of 0 as 0xffff). What the packet's own headers say of lengths, and
/// `offload.header_size`, is not used. Addresses and the like are to be rewritten before. One pass over the payload.
///
/// @param packet  as it was read; its checksum fields may be changed
/// @param out     does not overlap
/// @return Errc::malformed  the offload header cannot be true of this packet (offsets beyond it, no TCP or UDP where it
///                          says so, no segment size, no payload); nothing is written
///         Errc::oversize   `out` is too small, or a packet of more than 65,535 bytes; nothing that counts is written
[[nodiscard]] Result<CutFrames> cut_into_frames(const OffloadHeader& offload, MutableBytes packet,
                                                MutableBytes out) noexcept;

}  // namespace gatehouse
