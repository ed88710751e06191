// A listening UDP socket that answers from the address it was asked on, also when it is bound to a wildcard: clients
// with connected sockets, and clients behind a NAT, drop answers from any other address. Batched both ways, and what
// the kernel can carry in one piece (UDP_GRO, UDP_SEGMENT) is carried so: sending is two thirds of what a datagram
// costs, and a coalesced one costs a tenth.
#pragma once

#include <gatehouse/async/poller.hpp>
#include <gatehouse/net/batch_counters.hpp>
#include <gatehouse/net/datagram.hpp>
#include <gatehouse/net/gso.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

namespace gatehouse {

class UdpBatchReceiver;
class UdpBatchSender;

/// How a listener receives and sends; the defaults are right for a few datagrams a second.
struct UdpListenerOptions {
  /// Take datagrams that came together in one piece (UDP_GRO, since kernel 5.0; quietly without otherwise): then a
  /// Datagram of the callback may have a `segment`. Otherwise each is single.
  bool aggregates = false;
  Gso gso = Gso::automatic;  ///< whether runs of datagrams are sent as one message (UDP_SEGMENT)
  int receive_buffer = 0;    ///< bytes, as SO_RCVBUF has them (the kernel doubles it); 0: the system's default
  int send_buffer = 0;       ///< the same for SO_SNDBUF
};

/// One per lane and socket; not thread-safe. Its buffers (4.2 MiB of address space) are touched only as far as used.
/// Nothing is allocated after construction.
class UdpListener final : private Readiness {
 public:
  /// A name that is short where listeners are made.
  using Options = UdpListenerOptions;
  /// At most 64 at a time, fewer where they are large, once a turn: what is left is there in the next one.
  using OnDatagrams = std::function<void(std::span<Datagram>)>;

  /// Does not own `fd`. Throws boost::system::system_error when the socket cannot tell local addresses (IP_PKTINFO).
  /// With Gso::automatic gso_works() is asked.
  UdpListener(Poller& poller, int fd, OnDatagrams on_datagrams, const Options& options = {});
  ~UdpListener();
  UdpListener(const UdpListener&) = delete;
  UdpListener& operator=(const UdpListener&) = delete;

  /// Collects a datagram, or several with a `segment`, that goes to `remote` from `local`; without a `local`, from the
  /// one that its route has. The order to one `remote` from one `local` is kept; those of one size go as one message,
  /// whatever is queued between them, and what is coalesced already stays so. `payload` must stay until flush(), which
  /// is called here when there are 64 messages.
  /// Cost: some 20 ns; no system call as a rule.
  void queue(const Datagram& datagram) noexcept;

  /// Sends what is queued, 64 messages a system call. What the kernel refuses is counted and skipped; when the socket
  /// is full, the rest is dropped and counted.
  void flush() noexcept;

  /// queue() for each, and flush().
  /// @return how many datagrams were taken; the rest are lost, as datagrams are
  std::size_t send(std::span<const Datagram> datagrams) noexcept;

  [[nodiscard]] const BatchCounters& counters() const noexcept { return counters_; }
  /// Are runs sent by UDP_SEGMENT?
  [[nodiscard]] bool segments() const noexcept;
  /// What the kernel has granted of `receive_buffer`, in the same measure: less than was asked for beyond
  /// net.core.rmem_max, without CAP_NET_ADMIN. One system call.
  [[nodiscard]] int receive_buffer() const noexcept;
  /// Datagrams that the kernel dropped since the socket was made, because nobody read in time (SO_MEMINFO; wraps). One
  /// system call.
  [[nodiscard]] std::uint32_t overflows() const noexcept;

 private:
  void on_ready(std::uint32_t events) override;

  Poller& poller_;
  int fd_;
  OnDatagrams on_datagrams_;
  BatchCounters counters_;
  std::unique_ptr<UdpBatchReceiver> in_;
  std::unique_ptr<UdpBatchSender> out_;
};

}  // namespace gatehouse
