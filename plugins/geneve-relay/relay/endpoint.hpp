// One endpoint: two clients, how far the handshake of each is, and where each is reached. A state machine that is told
// what came, from where and when: no socket, no clock, no table.
//
//   control   leg_of() -> [the caller's bounds] -> take_control() -> a challenge to send, or
//                                                                 -> a valid Answer -> [policy] -> bind() or refuse()
//   data      route() -> the other leg
//
// An Answer is asked for by MAC (challenge.hpp), so a Bind never disturbs what is bound: data goes to the old place
// until the Answer has come. The first form's clients are handled alike, with generation 0. Their reference pinned a
// client to the source of its first Bind and was final when bound, so that one behind a NAT which moves was lost until
// the endpoint expired; here it is followed, as soon as it has answered from where it is.
#pragma once

#include "plugins/geneve-relay/relay/leg_state.hpp"
#include "plugins/geneve-relay/wire/challenge_secrets.hpp"
#include "plugins/geneve-relay/wire/disco_envelope.hpp"
#include "plugins/geneve-relay/wire/disco_pair.hpp"
#include "plugins/geneve-relay/wire/geneve_header.hpp"

#include <gatehouse/table/gcra.hpp>

#include <memory>
#include <optional>

namespace gatehouse::geneve_relay {

/// Which of a pair's two clients: 0 or 1.
using LegIndex = std::size_t;
inline constexpr std::size_t kLegs = 2;

/// A path between a client and the relay.
struct LegAddress {
  Endpoint remote;               ///< the client; port 0: none
  IpAddress local;               ///< the relay's address that the client sends to, and is answered from
  std::uint16_t local_port = 0;  ///< the relay's port there

  [[nodiscard]] bool is_set() const noexcept { return remote.port != 0; }
  bool operator==(const LegAddress&) const = default;
};

/// A challenge's datagram, Geneve header included.
inline constexpr std::size_t kLargestReply = kGeneveHeaderSize + kEnvelopeOverhead + kLargestBindMessage;
/// The longest message of a client that is opened, bytes.
inline constexpr std::size_t kLargestControlMessage = 1024;

/// What one lane handles control packets with.
struct HandshakeTools {
  const DiscoKey& server;     ///< the relay's own key
  ChallengeSecrets& secrets;  ///< the caller has them look at the clock
  RandomSource& nonces;
  const DiscoSecret* own = nullptr;  ///< the relay's, for endpoints without shared keys
};

/// What a control packet leads to.
struct ControlEffect {
  enum class Kind : std::uint8_t {
    reply,    ///< send `size` bytes of the output back, from the address that the packet came to
    answered  ///< the client has shown that it is there: bind(), or refuse()
  };
  Kind kind;
  std::size_t size = 0;
};

/// From one thread: the lane that owns the endpoint. 88 bytes; its legs, 240 more, are made when something first comes
/// in a client's name, or a client is bound: most of those that are asked for in vain cost no more.
class RelayEndpoint {
 public:
  /// What is shared with a client is made when its first handshake comes, for 40 us: asking for endpoints costs a lane
  /// no cryptography, and a hundred thousand that are remembered are there at once.
  RelayEndpoint(std::uint32_t vni, const DiscoPair& clients, SteadyTime now) noexcept;
  /// @param shared  the keys that the relay shares with each client, in the pair's order
  RelayEndpoint(std::uint32_t vni, const DiscoPair& clients, const std::array<SharedKey, 2>& shared, SteadyTime now);

  [[nodiscard]] std::uint32_t vni() const noexcept { return vni_; }
  [[nodiscard]] const DiscoPair& clients() const noexcept { return clients_; }

  // ---- control
  /// Which client says that it sends. Cheap, and proves nothing.
  [[nodiscard]] OrDrop<LegIndex> leg_of(const DiscoKey& sender) const noexcept;

  /// May the client have another handshake? 50 a second, by its key and whatever the source: one alone must not cost
  /// the lane its share. Those count that count_handshake() is told of.
  [[nodiscard]] bool may_handshake(LegIndex leg, SteadyTime now) const noexcept;
  /// One that may_handshake() has let pass was the client's own: its box has opened.
  void count_handshake(LegIndex leg, SteadyTime now) noexcept;

  /// Opens and follows a handshake's message. A Bind costs about 1.5 us, what does not open 0.3 us; neither throws, nor
  /// allocates once the legs are there. Without memory for these it is Drop::box.
  /// @param leg   what leg_of() said
  /// @param from  where the packet came from, and to
  /// @param out   room for kLargestReply bytes, apart from the packet
  [[nodiscard]] OrDrop<ControlEffect> take_control(LegIndex leg, const DiscoEnvelope& envelope, const LegAddress& from,
                                                   HandshakeTools& tools, MutableBytes out) noexcept;

  /// The client is at `where` from now on: after a valid Answer, or as it was remembered over a restart.
  /// @throws std::bad_alloc only in the latter case
  void bind(LegIndex leg, const LegAddress& where, SteadyTime now);
  /// What came from this client, or in its name, went no further. Allocates only where the client is not bound; without
  /// memory it is forgotten.
  void refuse(LegIndex leg, Drop why) noexcept;

  // ---- policy
  /// May the client be where it is bound? Data passes only while both may. bind() says yes; where it is not bound
  /// nothing is to be said.
  void set_permitted(LegIndex leg, bool is_permitted) noexcept;
  [[nodiscard]] bool is_permitted(LegIndex leg) const noexcept { return at(leg).is_permitted; }

  // ---- data
  /// Where packets from `source` go, which came to `local`: the leg of the other client.
  [[nodiscard]] OrDrop<LegIndex> route(const Endpoint& source, const IpAddress& local, SteadyTime now) noexcept;
  /// Where to send to, and from, for a leg.
  [[nodiscard]] const LegAddress& address(LegIndex leg) const noexcept { return at(leg).address; }

  // ---- in the kernel
  /// Who relays what the leg sends, for people; of an open endpoint.
  void set_kernel(LegIndex leg, InKernel state) noexcept { (*legs_)[leg].state.kernel = state; }
  /// The kernel has relayed for the leg, as its sender, until then.
  void note_relayed(LegIndex leg, SteadyTime last_seen) noexcept;

  // ---- life
  /// Both bound, once: stays so.
  [[nodiscard]] bool is_open() const noexcept { return address(0).is_set() && address(1).is_set(); }
  /// Asked for again: an endpoint that is not open has its whole bind lifetime from now.
  void extend(SteadyTime now) noexcept { allocated_ = now; }
  /// When it is over if nothing comes: not open for `bind` since the allocation, or either client silent for `steady`.
  /// SteadyTime::max(): never, as `steady` is 0 and the endpoint open.
  [[nodiscard]] SteadyTime expires_at(Nanoseconds bind, Nanoseconds steady) const noexcept;

  // ---- for people
  [[nodiscard]] const LegState& state(LegIndex leg) const noexcept { return at(leg).state; }
  [[nodiscard]] SteadyTime last_seen(LegIndex leg) const noexcept { return at(leg).last_seen; }

 private:
  struct Leg {
    LegAddress address;
    std::uint32_t binds = 0;       // of this process, whose challenges no other one knows
    std::uint32_t generation = 0;  // of the latest Bind; 0 with the first form
    bool is_permitted = true;
    std::optional<SharedKey> shared;  // none before the first handshake
    LegState state;
    SteadyTime last_seen{};
    Gcra handshakes;
  };
  using Legs = std::array<Leg, kLegs>;
  static_assert(sizeof(Legs) <= 232, "with what the allocator adds, 240");

  static const Leg kNoLeg;  // of a client that nothing has come from
  [[nodiscard]] const Leg& at(LegIndex leg) const noexcept { return legs_ ? (*legs_)[leg] : kNoLeg; }
  [[nodiscard]] bool has_legs() noexcept;
  [[nodiscard]] OrDrop<ControlEffect> follow(LegIndex leg, const DiscoEnvelope& envelope, const LegAddress& from,
                                             HandshakeTools& tools, MutableBytes out) noexcept;
  [[nodiscard]] bool has_key(LegIndex leg, const DiscoSecret* own) noexcept;
  [[nodiscard]] OrDrop<BindMessage> open(LegIndex leg, const DiscoEnvelope& envelope) const noexcept;
  [[nodiscard]] std::optional<Drop> fault_of(LegIndex leg, const BindMessage& message) const noexcept;
  [[nodiscard]] OrDrop<ControlEffect> take_bind(LegIndex leg, const BindMessage& message, const LegAddress& from,
                                                HandshakeTools& tools, MutableBytes out) noexcept;
  [[nodiscard]] OrDrop<ControlEffect> take_answer(LegIndex leg, const BindMessage& message, const LegAddress& from,
                                                  ChallengeSecrets& secrets) noexcept;
  [[nodiscard]] ChallengeFacts facts_of(LegIndex leg, const BindMessage& message,
                                        const LegAddress& from) const noexcept;
  [[nodiscard]] OrDrop<LegIndex> sender_of(const Endpoint& source, const IpAddress& local) const noexcept;
  [[nodiscard]] std::optional<LegIndex> leg_at(const Endpoint& source, const IpAddress& local) const noexcept;
  [[nodiscard]] const DiscoKey& key_of_other(LegIndex leg) const noexcept { return clients_.keys[1 - leg]; }

  DiscoPair clients_;
  std::unique_ptr<Legs> legs_;
  SteadyTime allocated_;
  std::uint32_t vni_;
};

}  // namespace gatehouse::geneve_relay
