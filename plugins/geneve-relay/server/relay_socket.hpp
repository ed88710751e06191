// One UDP listener of a lane: a socket of a group that all lanes have, by which clients reach the relay.
#pragma once

#include <gatehouse/net/udp_listener.hpp>
#include <gatehouse/plugin/host.hpp>

#include <functional>
#include <span>

namespace gatehouse::geneve_relay {

/// One lane's; not thread-safe. Answers leave by the socket that was asked, as its port is what clients know.
class RelaySocket {
 public:
  using OnDatagrams = std::function<void(RelaySocket&, std::span<Datagram>)>;

  /// @throws boost::system::system_error when the socket cannot tell local addresses
  RelaySocket(Poller& poller, const Listener& listener, const UdpListenerOptions& options, OnDatagrams on_datagrams);

  [[nodiscard]] std::uint32_t listener() const noexcept { return id_; }
  /// The address may be a wildcard.
  [[nodiscard]] const Endpoint& local() const noexcept { return local_; }
  [[nodiscard]] std::uint16_t port() const noexcept { return local_.port; }
  /// Does what is sent to that address of the host arrive here?
  [[nodiscard]] bool serves(const IpAddress& address, std::uint16_t port) const noexcept {
    return port == local_.port && address.family() == local_.address.family() &&
           (local_.address.is_unspecified() || local_.address == address);
  }
  [[nodiscard]] UdpListener& udp() noexcept { return udp_; }
  /// UdpListener::receive_buffer(), when it was made.
  [[nodiscard]] int granted_buffer() const noexcept { return granted_buffer_; }

  BatchCounters told;           ///< of udp().counters(), as the metrics have them
  std::uint32_t overflows = 0;  ///< the same of udp().overflows()

 private:
  std::uint32_t id_;
  Endpoint local_;
  UdpListener udp_;
  int granted_buffer_;
};

}  // namespace gatehouse::geneve_relay
