// A tun device (linux/if_tun.h): IP packets, and super-packets of up to 64 KiB, as a program reads and writes them. One
// queue a lane; each read and write is one packet, with a virtio header before it that tells how to cut it.
#pragma once

#include <gatehouse/base/bytes.hpp>
#include <gatehouse/base/error.hpp>
#include <gatehouse/base/unique_fd.hpp>
#include <gatehouse/packet/offload_header.hpp>

#include <span>
#include <string>
#include <vector>

namespace gatehouse {

/// No read is longer, in bytes: a header and the longest IP packet.
inline constexpr std::size_t kLongestTunRead = OffloadHeader::kSize + 65535;
/// Parts that one write may have.
inline constexpr std::size_t kMostTunParts = 512;

/// One descriptor of a device. Non-blocking; for an epoll set by its fd(). One thread at a time.
class TunQueue {
 public:
  /// @param fd  an attached, non-blocking queue of a device with virtio headers
  explicit TunQueue(UniqueFd fd) noexcept : fd_(std::move(fd)) {}

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }

  /// The next packet, header first. One system call.
  /// @param into  at least kLongestTunRead bytes: of a packet that does not fit, the rest is lost
  /// @return bytes of header and packet; Errc::would_block; Errc::closed: the device has been deleted, there is nothing
  ///         more to come; else as read(2)
  [[nodiscard]] Result<std::size_t> read(MutableBytes into) noexcept;

  /// One packet, header first, gathered from `parts`. One system call, in which the kernel also forwards the packet,
  /// and may hand it to its receiver: it is most of what a packet costs.
  /// @return EINVAL: the kernel refuses this header; for a super-packet whose header is right that is a fault of some
  ///         kernels (6.6.40 and others of mid-2024): send single packets from then on. EIO: the device is down.
  ///         Errc::closed: it has been deleted. Errc::would_block; Errc::invalid: more than kMostTunParts
  [[nodiscard]] Result<void> write(std::span<const Bytes> parts) noexcept;

 private:
  UniqueFd fd_;
};

/// What to open.
struct TunRequest {
  /// "gatehouse0", or with one %d, for which the kernel puts the first free number. At most 15 characters.
  std::string name = "tun%d";
  unsigned queues = 1;  ///< 1..256, one descriptor each
  bool offload = true;  ///< virtio headers, checksums left to us, super-packets of TCP and, where there is, of UDP
};

/// Owns its queues. They may be used on threads of their own; everything else is for one thread, and makes system
/// calls.
class TunDevice {
 public:
  /// Makes the device, or attaches to one of that name that has outlived its owner (persist), whatever number of queues
  /// it had. A new one belongs to this user, and nobody else without CAP_NET_ADMIN can attach to it. Needs
  /// /dev/net/tun, and CAP_NET_ADMIN unless the device exists and belongs to this user (ip tuntap add mode tun
  /// multi_queue user NAME).
  /// @throws std::runtime_error  a sentence that says what is missing and what to do: module, device node, capability;
  ///                             a name that is no tun device's or that another process is using
  [[nodiscard]] static TunDevice open(const TunRequest& request);

  /// Takes over descriptors of one device that somebody else has opened, in their order. Everything that the device can
  /// is found out from them; nothing needs a privilege.
  /// @throws std::runtime_error  a sentence: none, not all of one device, no tun device, or one without IFF_NO_PI
  [[nodiscard]] static TunDevice adopt(std::vector<UniqueFd> fds);

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  /// The number that routes and rules have it by.
  [[nodiscard]] unsigned index() const noexcept { return index_; }
  /// Does an OffloadHeader precede each packet? If not, there are no super-packets either.
  [[nodiscard]] bool has_headers() const noexcept { return headers_; }
  /// Super-packets of TCP (TSO4 and TSO6), both ways.
  [[nodiscard]] bool has_tcp_segmentation() const noexcept { return tcp_segmentation_; }
  /// Super-packets of UDP (USO4 and USO6; Linux 6.2), both ways.
  [[nodiscard]] bool has_udp_segmentation() const noexcept { return udp_segmentation_; }
  /// Was it there before open()? Then it still has its addresses and routes. Always so for an adopted one.
  [[nodiscard]] bool was_there() const noexcept { return was_there_; }
  [[nodiscard]] bool is_adopted() const noexcept { return adopted_; }

  [[nodiscard]] std::size_t queues() const noexcept { return queues_.size(); }
  /// Valid as long as the device.
  [[nodiscard]] TunQueue& queue(std::size_t number) noexcept { return queues_[number]; }

  /// Whether the device outlives its last descriptor, and so a process that is killed, with addresses, routes and what
  /// conntrack knows. Off: it goes with its last descriptor.
  /// @return EPERM and the like: it stays as it was
  [[nodiscard]] Result<void> persist(bool on) noexcept;

  /// From here on the kernel gives each packet to queue N, where N is the number that the last three bytes of its
  /// destination make, modulo queues(); IPv4 and IPv6 alike. Nothing to do for one queue. What stands in queues already
  /// stays there. Needs CAP_BPF (or CAP_SYS_ADMIN) where unprivileged BPF is off, beside an own device.
  /// @return EPERM, EINVAL, ...: the kernel will not (BPF is missing or refused): use one queue
  [[nodiscard]] Result<void> steer() noexcept;

 private:
  TunDevice() = default;
  void find_out_features();

  std::string name_;
  unsigned index_ = 0;
  std::vector<TunQueue> queues_;
  bool headers_ = false, tcp_segmentation_ = false, udp_segmentation_ = false;
  bool was_there_ = false, adopted_ = false;
};

}  // namespace gatehouse
