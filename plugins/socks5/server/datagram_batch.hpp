// Datagrams of unconnected sockets, many a system call, in buffers that a lane's associations share.
#pragma once

#include <gatehouse/base/address.hpp>
#include <gatehouse/base/bytes.hpp>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <span>
#include <vector>

namespace gatehouse::socks5 {

/// One lane's; not thread-safe. 2 MiB of address space, touched only as far as used; allocates nothing after
/// construction.
class DatagramBatch {
 public:
  static constexpr std::size_t kMost = 32;
  static constexpr std::size_t kHeadroom = 32;  ///< free bytes before each payload
  static constexpr std::size_t kLargest = 65536 - kHeadroom;

  struct Received {
    MutableBytes payload;  ///< valid until the next receive()
    Endpoint from;
    bool is_whole = true;  ///< else it was larger than kLargest, and its end is lost
  };

  DatagramBatch();

  /// What waits at the socket, kMost at most; none: nothing does.
  [[nodiscard]] std::span<Received> receive(int socket) noexcept;

  /// Collects a datagram for flush(); its bytes must stay until then. Of kMost at most. It leaves from `egress`, of the
  /// family of `to`, where that is an address.
  void queue(Bytes datagram, const Endpoint& to, const IpAddress& egress = {}) noexcept;
  [[nodiscard]] bool is_full() const noexcept { return queued_ == kMost; }
  struct Sent {
    std::size_t datagrams = 0, bytes = 0, refused = 0;
  };
  /// Sends what is queued; what the kernel does not take is lost, as datagrams are.
  Sent flush(int socket) noexcept;

 private:
  struct alignas(cmsghdr) Control {
    std::array<std::byte, CMSG_SPACE(sizeof(in6_pktinfo))> bytes;
  };
  static void say_source(msghdr& message, Control& control, const IpAddress& egress) noexcept;

  std::vector<std::byte> buffers_;
  std::array<Received, kMost> received_;
  std::array<mmsghdr, kMost> in_{}, out_{};
  std::array<iovec, kMost> in_parts_{}, out_parts_{};
  std::array<sockaddr_storage, kMost> in_names_{}, out_names_{};
  std::array<Control, kMost> out_controls_{};
  std::size_t queued_ = 0;
};

}  // namespace gatehouse::socks5
