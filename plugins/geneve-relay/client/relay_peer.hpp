// One client of an endpoint: its side of the handshake, in both wire forms, and its data. A state machine that is told
// what came: no socket, no clock.
//
//   begin() -> write_bind(), to every address of the relay
//           -> take(a Challenge): an Answer, for where that came from; the first Challenge only
//           -> write_data(), take(data)      nobody confirms an Answer: data that passes does
#pragma once

#include "plugins/geneve-relay/wire/bind_message.hpp"
#include "plugins/geneve-relay/wire/disco_envelope.hpp"
#include "plugins/geneve-relay/wire/disco_secret.hpp"
#include "plugins/geneve-relay/wire/endpoint_message.hpp"
#include "plugins/geneve-relay/wire/geneve_header.hpp"
#include "plugins/geneve-relay/wire/random_source.hpp"

namespace gatehouse::geneve_relay {

/// Of a Bind or an Answer, Geneve header included.
inline constexpr std::size_t kLargestHandshake = kGeneveHeaderSize + kEnvelopeOverhead + kLargestBindMessage;

/// What a datagram from the relay was.
struct PeerEvent {
  enum class Kind : std::uint8_t {
    answer,    ///< a Challenge: send `size` bytes of the output back, from the socket that it came to
    repeated,  ///< a Challenge of a handshake that is answered already: nothing to do
    data       ///< of the other client
  };
  Kind kind;
  std::size_t size = 0;
  Bytes payload{};  ///< data's, behind the Geneve header; aliases the datagram
};

/// Not thread-safe. Neither throws nor allocates.
class RelayPeer {
 public:
  /// @param own, other  this client's key, and whom it speaks to
  /// @param relay       of the endpoint: its key and VNI are used
  /// @param random      outlives this
  /// @return Errc::invalid  the relay's key is none that a relay can have
  [[nodiscard]] static Result<RelayPeer> make(const DiscoSecret& own, const DiscoKey& other,
                                              const ServerEndpoint& relay, WireForm form,
                                              RandomSource& random) noexcept;

  /// A handshake with a new generation. One that is under way is forgotten; what is bound stays so until the Answer.
  void begin() noexcept;
  /// Was the present handshake's Challenge answered? That the relay got the Answer is not known by that.
  [[nodiscard]] bool has_answered() const noexcept { return state_ == State::answered; }

  /// The present handshake's Bind, as often as it is wanted. @param out  kLargestHandshake bytes @return how many
  [[nodiscard]] std::size_t write_bind(MutableBytes out) noexcept;

  /// @param out  kLargestHandshake bytes, apart from the datagram
  /// @return Errc::malformed    no packet of this endpoint
  ///         Errc::denied       not from the relay, or not for this client
  ///         Errc::unsupported  no message that a relay sends
  ///         Errc::wrong_state  a Challenge that nobody asked for: of an earlier handshake
  [[nodiscard]] Result<PeerEvent> take(Bytes datagram, MutableBytes out) noexcept;

  /// The Geneve header of data for the other client, which its payload follows. @param out  kGeneveHeaderSize bytes
  void write_data_header(MutableBytes out) const noexcept;

 private:
  enum class State : std::uint8_t { idle, asked, answered };

  RelayPeer(const DiscoKey& own, const DiscoKey& other, const SharedKey& shared, const ServerEndpoint& relay,
            WireForm form, RandomSource& random) noexcept;
  [[nodiscard]] std::size_t seal(MutableBytes out, const BindMessage& message) noexcept;
  [[nodiscard]] Result<BindMessage> open(Bytes envelope) const noexcept;
  [[nodiscard]] Result<PeerEvent> take_challenge(BindMessage challenge, MutableBytes out) noexcept;

  DiscoKey own_, other_, server_;
  SharedKey shared_;
  RandomSource* random_;
  std::uint32_t vni_, generation_ = 0;
  WireForm form_;
  State state_ = State::idle;
};

}  // namespace gatehouse::geneve_relay
