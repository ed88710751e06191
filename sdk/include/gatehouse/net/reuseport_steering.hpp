// Which socket of a SO_REUSEPORT group gets a datagram: by default the kernel hashes its addresses, so that a client
// stays with one lane. Where a number in the payload names the lane instead, what belongs together is found by one
// lane, and nothing needs a lock.
#pragma once

#include <gatehouse/base/error.hpp>

#include <cstdint>

namespace gatehouse {

/// A big-endian number in each datagram.
struct PayloadNumber {
  std::uint32_t offset = 0;  ///< bytes from the front of the UDP payload
  std::uint32_t width = 1;   ///< bytes, 1 to 4
};

/// Has each datagram go to the socket of the group whose index is the number modulo `sockets`; one that is too short
/// for the number, to socket 0. The index is the order in which the sockets were bound, as the gateway does by lane: so
/// for a UDP listener's socket it is the lane, and `sockets` the number of lanes. Of a coalesced buffer the first
/// datagram is asked. Any of the group may be given, once or again; the group remembers it.
///
/// With one socket there is no group and nothing to do. Others take the system's answer: EINVAL where `fd` is in no
/// group. Source: kernel net/core/sock_reuseport.c, run_bpf_filter(): offset 0 of the program is the UDP payload.
[[nodiscard]] Result<void> steer_by(int fd, PayloadNumber number, unsigned sockets) noexcept;

}  // namespace gatehouse
