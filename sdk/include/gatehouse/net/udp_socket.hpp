// Connected UDP sockets, one a flow: nobody but the addressed host can speak through them, and ICMP errors are
// reported by the next call. Functions over descriptors, because a flow's state must stay small.
#pragma once

#include <gatehouse/base/address.hpp>
#include <gatehouse/base/bytes.hpp>
#include <gatehouse/base/error.hpp>
#include <gatehouse/base/unique_fd.hpp>

#include <optional>
#include <span>

namespace gatehouse {

inline constexpr std::size_t kLargestUdpPayloadV4 = 65507;  ///< 65535 - 20 - 8 (RFC 791, RFC 768)
inline constexpr std::size_t kLargestUdpPayloadV6 = 65527;  ///< 65535 - 8 without jumbograms (RFC 8200)
inline constexpr std::size_t kMostSegments = 64;            ///< in one UDP_SEGMENT send, on every kernel that has it

/// Makes connected sockets of one kind. One per lane; not thread-safe.
class UdpConnector {
 public:
  /// @param receive_buffer  SO_RCVBUF in bytes of payload, as setsockopt takes it (the kernel doubles it)
  explicit UdpConnector(int receive_buffer) noexcept : receive_buffer_(receive_buffer) {}

  /// A non-blocking socket connected to `remote`, sent from `local` if given. 3 or 4 system calls.
  /// @return EMFILE, ENFILE: no descriptor; EAGAIN: no port is free; ENETUNREACH, EACCES, ...: as connect(2)
  [[nodiscard]] Result<UniqueFd> connect(const Endpoint& remote, const std::optional<IpAddress>& local) noexcept;

  /// The receive buffer that sockets really get, where it is less than asked for: raise net.core.rmem_max, or give
  /// CAP_NET_ADMIN. Makes a socket to find out.
  [[nodiscard]] std::optional<int> small_buffer() noexcept;

 private:
  void set_receive_buffer(int fd) noexcept;

  int receive_buffer_;
  bool may_force_ = true;
};

/// Sends the payloads as separate datagrams of `segment` bytes each (the last may be shorter) by one system call.
/// @param payloads  2..kMostSegments, together no more than 65507 bytes less one header
/// @return EINVAL, EMSGSIZE: this run must go singly; EIO: this path has no segmentation (kernel: udp_send_skb);
///         EAGAIN: the socket is full
[[nodiscard]] Result<void> send_segments(int fd, std::span<const Bytes> payloads, std::size_t segment) noexcept;

}  // namespace gatehouse
