// Sends many datagrams of an unconnected UDP socket at a time, each from the local address it is to come from, those of
// one destination and one size as one message that the kernel cuts (UDP_SEGMENT).
#pragma once

#include <gatehouse/net/batch_counters.hpp>
#include <gatehouse/net/datagram.hpp>
#include <gatehouse/net/gso.hpp>
#include <gatehouse/net/udp_socket.hpp>

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cstdint>

namespace gatehouse {

/// One per socket; not thread-safe. 190 KiB, touched only as far as used; allocates nothing.
///
/// A *run* is what one message of sendmmsg() will carry: datagrams of one destination (remote and local address) and of
/// one size, of which the last may be shorter and then is the last. They lie where they came; the message lists them. A
/// datagram goes into the youngest run of its destination, or begins a younger one: that keeps their order.
class UdpBatchSender {
 public:
  static constexpr std::size_t kMessages = 64;  ///< of one sendmmsg()

  UdpBatchSender(int fd, Gso gso, BatchCounters& counters) noexcept;  ///< does not own `fd`
  UdpBatchSender(const UdpBatchSender&) = delete;
  UdpBatchSender& operator=(const UdpBatchSender&) = delete;

  /// As UdpListener::queue().
  void queue(const Datagram& datagram) noexcept;
  /// As UdpListener::flush().
  void flush() noexcept;

  [[nodiscard]] bool segments() const noexcept { return most_segments_ > 1; }

 private:
  static constexpr std::size_t kMostBytes = kLargestUdpPayloadV4 - 1;  // of several in one: the last byte is the tail's
  static constexpr std::size_t kFewest = 8;                            // equal ones that are worth a tail
  static constexpr std::size_t kSlots = 256;                           // for as many destinations as messages

  struct Run {
    Endpoint remote;
    IpAddress local;
    std::size_t slot = 0;
    std::size_t bytes = 0;
    std::size_t segment = 0;        // size of each datagram but the last
    std::size_t segments = 0;       // datagrams
    std::size_t local_control = 0;  // bytes of the control message that names `local`
    bool is_closed = false;         // the last one was shorter, or empty
    bool goes_singly = false;
  };
  struct alignas(cmsghdr) Control {
    std::byte bytes[64];  // IPV6_PKTINFO 40, UDP_SEGMENT 24
  };
  using Messages = std::array<mmsghdr, kMessages>;

  void add(const Datagram& to, MutableBytes payload, std::size_t segment) noexcept;
  [[nodiscard]] bool takes(std::size_t run, std::size_t bytes, std::size_t segment,
                           std::size_t segments) const noexcept;
  [[nodiscard]] bool is_used(std::size_t slot) const noexcept;
  [[nodiscard]] std::size_t slot_of(const Datagram& to) const noexcept;
  void begin_run(const Datagram& to, std::size_t slot, std::size_t segment) noexcept;
  void finish(std::size_t run) noexcept;
  [[nodiscard]] std::size_t until_single(std::size_t run) const noexcept;
  void refuse(std::size_t run, int error) noexcept;
  void send_singly(std::size_t run) noexcept;
  void count_refused(int error, std::size_t datagrams) noexcept;

  int fd_;
  BatchCounters& counters_;
  std::size_t most_segments_;
  bool never_equal_;
  std::byte tail_{7};
  std::size_t count_ = 0;  // runs
  // The youngest run of each destination, by open addressing. A slot is in use if its run names it: so nothing needs to
  // be cleared between batches.
  std::array<std::uint8_t, kSlots> youngest_{};
  std::array<Run, kMessages> runs_;
  Messages messages_, singles_;
  std::array<iovec, kMostSegments> single_parts_;
  std::array<sockaddr_storage, kMessages> names_;
  std::array<Control, kMessages> controls_;
  std::array<std::array<iovec, kMostSegments>, kMessages> parts_;
};

}  // namespace gatehouse
