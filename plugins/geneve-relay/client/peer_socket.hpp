// A client's UDP socket for one address of the relay. Not connected, as the sockets of such clients are not: an answer
// from another address than was asked comes through, and is seen to.
#pragma once

#include <gatehouse/base/address.hpp>
#include <gatehouse/base/bytes.hpp>
#include <gatehouse/base/clock.hpp>
#include <gatehouse/base/error.hpp>
#include <gatehouse/base/unique_fd.hpp>

#include <optional>
#include <span>

namespace gatehouse::geneve_relay {

/// Not thread-safe. Its calls do not block.
class PeerSocket {
 public:
  struct Received {
    Endpoint from;
    Bytes datagram;  ///< at the front of the caller's room
  };

  /// @throws boost::system::system_error  the system gives no socket of that family
  explicit PeerSocket(const Endpoint& relay);

  [[nodiscard]] const Endpoint& relay() const noexcept { return relay_; }
  /// Where the relay sees it, but for NAT; port 0 before the first send.
  [[nodiscard]] Endpoint local() const noexcept;

  void send(Bytes datagram) noexcept { send_to(relay_, datagram); }
  /// A datagram that cannot be sent is a lost one, and leaves its cause as failure().
  void send_to(const Endpoint& to, Bytes datagram) noexcept;
  /// The next datagram that is there.
  [[nodiscard]] std::optional<Received> receive(MutableBytes room) noexcept;
  /// What the system or the network has said last: "Connection refused", where nobody listens.
  [[nodiscard]] const Error& failure() const noexcept { return failure_; }

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }

 private:
  /// Errors of the network stay in the way of datagrams until they are taken.
  void take_errors() noexcept;

  Endpoint relay_;
  UniqueFd fd_;
  Error failure_;
};

/// Until one of them has something to be received. @return false: the deadline has come
[[nodiscard]] bool wait_for_any(std::span<const PeerSocket* const> sockets, SteadyTime deadline);

}  // namespace gatehouse::geneve_relay
