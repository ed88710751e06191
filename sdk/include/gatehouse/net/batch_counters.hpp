// What a batched UDP socket has done, for metrics, and to see whether batches are what they could be.
#pragma once

#include <cstdint>

namespace gatehouse {

/// Of one socket since it was made; only ever grows. Of its lane; not thread-safe. Each datagram that was queued is
/// in exactly one of `datagrams_sent`, the refused ones and `full`.
struct BatchCounters {
  std::uint64_t receive_calls = 0;       ///< recvmmsg(2) that brought something
  std::uint64_t buffers_received = 0;    ///< what they brought: single datagrams, or several coalesced ones
  std::uint64_t datagrams_received = 0;  ///< in these buffers
  std::uint64_t truncated = 0;           ///< buffers dropped, of which a part or a control message did not fit

  std::uint64_t send_calls = 0;      ///< sendmmsg(2), tried
  std::uint64_t messages_sent = 0;   ///< single datagrams, or several that one UDP_SEGMENT message carried
  std::uint64_t datagrams_sent = 0;  ///< in these messages; never_equal_tail's own are not counted

  // Datagrams that the kernel refused, by its reason.
  std::uint64_t unreachable = 0;  ///< ENETUNREACH, EHOSTUNREACH, ENETDOWN: no route, or an IPv4 address that is gone
  std::uint64_t invalid = 0;      ///< EINVAL, EAFNOSUPPORT, EADDRNOTAVAIL: also an IPv6 address that is gone
  std::uint64_t too_long = 0;     ///< EMSGSIZE
  std::uint64_t forbidden = 0;    ///< EPERM, EACCES: a firewall on this machine
  std::uint64_t refused_otherwise = 0;  ///< all others: ECONNREFUSED, ENOBUFS, ...
  std::uint64_t full = 0;               ///< dropped because the socket's send buffer was full (EAGAIN)

  std::uint64_t gso_switched_off = 0;  ///< 1: a path of this socket has no segmentation (EIO), so nothing uses it
};

}  // namespace gatehouse
