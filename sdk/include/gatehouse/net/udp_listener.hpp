// A listening UDP socket that answers from the address it was asked on, also when it is bound to a wildcard: clients
// with connected sockets, and clients behind a NAT, drop answers from any other address. Batched both ways.
#pragma once

#include <gatehouse/async/poller.hpp>
#include <gatehouse/base/address.hpp>
#include <gatehouse/base/bytes.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <span>

namespace gatehouse {

/// A datagram that came, and where an answer to it goes: to `remote`, from `local`.
struct Datagram {
  MutableBytes payload;  ///< in the listener's buffer: valid during the callback
  Endpoint remote;
  IpAddress local;         ///< the address that was asked; for a broadcast or multicast the one to answer from
  std::uint32_t link = 0;  ///< interface index, for a link-local `remote` only
};

/// One per lane and socket; not thread-safe. Its buffers (4 MiB of address space) are touched only as far as used.
class UdpListener final : private Readiness {
 public:
  using OnDatagrams = std::function<void(std::span<Datagram>)>;

  /// Does not own `fd`. Throws boost::system::system_error when the socket cannot tell local addresses (IP_PKTINFO).
  UdpListener(Poller& poller, int fd, OnDatagrams on_datagrams);
  ~UdpListener();
  UdpListener(const UdpListener&) = delete;
  UdpListener& operator=(const UdpListener&) = delete;

  /// Sends each payload to its `remote` from its `local`. A datagram that the kernel refuses is skipped.
  /// @return how many were taken; the rest are lost, as datagrams are
  std::size_t send(std::span<const Datagram> datagrams) noexcept;

 private:
  struct Batch;
  void on_ready(std::uint32_t events) override;

  Poller& poller_;
  int fd_;
  OnDatagrams on_datagrams_;
  std::unique_ptr<Batch> in_, out_;
  std::unique_ptr<std::byte[]> buffer_;
};

}  // namespace gatehouse
