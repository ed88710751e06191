// Reads a listening UDP socket many datagrams at a time, with the address that each was sent to, and takes those that
// came in one piece as they are. For connected sockets there is BatchReceiver.
#pragma once

#include <gatehouse/net/batch_counters.hpp>
#include <gatehouse/net/datagram.hpp>

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <memory>
#include <span>

namespace gatehouse {

/// One per socket; not thread-safe. Has 4 MiB of address space, touched only as far as used; allocates nothing after
/// construction.
///
/// What is read is sent soon, so a batch is to stay in the core's own cache: where datagrams come coalesced, it is as
/// many as fit there by the size of those before.
class UdpBatchReceiver {
 public:
  static constexpr std::size_t kMessages = 64;  ///< of one recvmmsg(), coalesced or not

  /// Does not own `fd`. Throws boost::system::system_error when the socket cannot tell local addresses.
  /// @param aggregates  take several in one piece (UDP_GRO), where the kernel can
  UdpBatchReceiver(int fd, bool aggregates, BatchCounters& counters);
  UdpBatchReceiver(const UdpBatchReceiver&) = delete;
  UdpBatchReceiver& operator=(const UdpBatchReceiver&) = delete;

  /// What one recvmmsg() of a non-blocking socket brings, not always all that is there; nothing when there is nothing.
  /// Valid until the next call.
  [[nodiscard]] std::span<Datagram> receive() noexcept;

 private:
  static constexpr std::size_t kRoom = 65536;
  static constexpr std::size_t kCached = 256 * 1024;  // bytes of a batch: a quarter of a core's second-level cache
  // For the control messages of both families and of UDP_GRO; too little would drop them silently (MSG_CTRUNC).
  static constexpr std::size_t kControl = 128;

  void make_ready(std::size_t message) noexcept;
  void choose_depth() noexcept;

  int fd_;
  BatchCounters& counters_;
  std::size_t used_ = kMessages;   // messages that the last call has written to
  std::size_t depth_ = kMessages;  // of the next call
  std::array<mmsghdr, kMessages> messages_{};
  std::array<iovec, kMessages> parts_;
  std::array<sockaddr_storage, kMessages> names_;
  struct alignas(cmsghdr) Control {
    std::byte bytes[kControl];
  };
  std::array<Control, kMessages> controls_;
  std::array<Datagram, kMessages> datagrams_;
  std::unique_ptr<std::byte[]> buffer_;
};

}  // namespace gatehouse
