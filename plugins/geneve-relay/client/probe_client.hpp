// One of the probe's two clients: it asks the relay at all its addresses, from a socket for each, and stays with the
// first that answers, as the relay's real clients do.
#pragma once

#include "plugins/geneve-relay/client/peer_socket.hpp"
#include "plugins/geneve-relay/client/relay_peer.hpp"

#include <optional>
#include <vector>

namespace gatehouse::geneve_relay {

/// One of the relay's addresses, and how it has answered.
struct Candidate {
  explicit Candidate(const Endpoint& relay) : socket(relay) {}

  PeerSocket socket;
  std::optional<Nanoseconds> challenged_in;  ///< from the first Bind to its first Challenge
  Endpoint answered_from;                    ///< of that; the relay's address, if all is well

  [[nodiscard]] bool has_wrong_source() const noexcept { return challenged_in && answered_from != socket.relay(); }
};

/// Not thread-safe; nothing but handshake() blocks.
class ProbeClient {
 public:
  /// @throws boost::system::system_error  there are no sockets
  ProbeClient(const RelayPeer& peer, const DiscoKey& key, std::span<const Endpoint> addresses);

  /// Binds, by the candidate that answers first. The others are waited for a little, so that it is known which do.
  /// @return false: none has answered until the deadline
  [[nodiscard]] bool handshake(SteadyTime deadline);

  /// To the other client, once a handshake was. @param datagram  with room for the Geneve header in front
  void send_data(MutableBytes datagram) noexcept;
  /// What comes from the other client, as it is there. @param room  where it is put
  [[nodiscard]] std::optional<Bytes> receive_data(MutableBytes room) noexcept;

  [[nodiscard]] const DiscoKey& key() const noexcept { return key_; }
  [[nodiscard]] const std::vector<Candidate>& candidates() const noexcept { return candidates_; }
  /// By which it is bound; none before.
  [[nodiscard]] const Candidate* bound() const noexcept { return bound_ ? &candidates_[*bound_] : nullptr; }
  /// Data packets that came from another address than the one that is sent to.
  [[nodiscard]] std::uint64_t data_from_elsewhere() const noexcept { return data_from_elsewhere_; }

 private:
  void send_binds() noexcept;
  [[nodiscard]] bool wait(SteadyTime deadline) const;
  void receive_all(SteadyTime began) noexcept;
  void take(std::size_t candidate, const PeerSocket::Received& received, SteadyTime began) noexcept;
  [[nodiscard]] bool have_all_answered() const noexcept;

  RelayPeer peer_;
  DiscoKey key_;
  std::vector<Candidate> candidates_;
  std::optional<std::size_t> bound_;  // of candidates_
  std::uint64_t data_from_elsewhere_ = 0;
};

}  // namespace gatehouse::geneve_relay
