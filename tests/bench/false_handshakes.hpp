// A flood of handshakes that lead nowhere, as somebody sends them who knows nothing, a VNI, a client's key, or has
// recorded a Bind. In the thread of whoever sends beside it, in small bursts, so that it delays that one by little.
#pragma once

#include "plugins/geneve-relay/wire/disco_key.hpp"

#include <gatehouse/base/address.hpp>
#include <gatehouse/base/unique_fd.hpp>

#include <optional>
#include <string_view>
#include <vector>

namespace gatehouse::bench {

/// From the cheapest for the relay to those that cost it cryptography, as far as its bounds let them.
enum class FalseHandshake : std::uint8_t {
  unknown_vni,   ///< ever new VNIs and keys
  unknown_key,   ///< an endpoint's VNI, ever new keys
  false_box,     ///< its VNI and a client's key, a box that does not open
  replayed_bind  ///< a Bind that the client has sealed itself, again and again
};
/// By its name above.
[[nodiscard]] std::optional<FalseHandshake> false_handshake_of(std::string_view name) noexcept;

struct FloodShape {
  FalseHandshake kind = FalseHandshake::unknown_vni;
  double rate = 200'000;      ///< datagrams a second
  std::size_t ports = 1;      ///< of senders, each a socket
  std::size_t addresses = 1;  ///< of senders, of 127.0.0.0/8
  bool is_coalesced = false;  ///< a burst by one UDP_SEGMENT
};

/// What the flood knows of an endpoint.
struct KnownEndpoint {
  std::uint32_t vni = 0;
  geneve_relay::DiscoKey client;
  std::vector<std::byte> bind;  ///< a datagram of the client
};

/// A socket of loopback that nobody reads: what a flood to it costs is the sender's.
class FloodSink {
 public:
  /// @throws boost::system::system_error  no socket
  FloodSink();
  [[nodiscard]] const Endpoint& address() const noexcept { return address_; }

 private:
  UniqueFd socket_;
  Endpoint address_;
};

/// From one thread.
class Flood {
 public:
  /// @throws boost::system::system_error  no socket
  Flood(const FloodShape& shape, const KnownEndpoint& known);

  /// From `now` on, ns, to that place of IPv4. Counts from 0.
  void begin(const Endpoint& to, std::uint64_t now);
  /// Sends a burst where one is due. What it is late by more than some bursts it leaves out.
  void send_due(std::uint64_t now);
  /// Since begin().
  [[nodiscard]] std::uint64_t sent() const noexcept { return sent_; }

 private:
  void fill(MutableBytes datagram) noexcept;
  [[nodiscard]] std::uint64_t next_number() noexcept;
  [[nodiscard]] std::size_t send_burst();

  const FloodShape shape_;
  const KnownEndpoint known_;
  std::vector<UniqueFd> sockets_;
  std::vector<std::byte> buffer_;  // a burst
  Endpoint to_;
  std::uint64_t began_ = 0, sent_ = 0, left_out_ = 0;
  std::size_t bursts_ = 0;
  std::uint64_t seed_ = 0x9e3779b97f4a7c15;
};

}  // namespace gatehouse::bench
