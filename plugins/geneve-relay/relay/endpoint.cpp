#include "plugins/geneve-relay/relay/endpoint.hpp"

#include "plugins/geneve-relay/wire/endpoint_message.hpp"

#include <algorithm>
#include <new>

namespace gatehouse::geneve_relay {
namespace {

// A client sends a Bind to each address that it was told.
constexpr std::uint64_t kHandshakesOfLeg = 50, kHandshakeBurstOfLeg = 2 * AddressList::kMost;

std::size_t write_reply(MutableBytes out, std::uint32_t vni, const BindMessage& message, const SharedKey& key,
                        HandshakeTools& tools) noexcept {
  write_geneve_header(out, {.control = true, .protocol = kProtocolDisco, .vni = vni});
  std::array<std::byte, kLargestBindMessage> plain;
  const std::size_t size = write_bind_message(plain, message);
  return kGeneveHeaderSize +
         seal_envelope(out.subspan(kGeneveHeaderSize), tools.server, key, tools.nonces, Bytes(plain).first(size));
}

}  // namespace

const RelayEndpoint::Leg RelayEndpoint::kNoLeg;

RelayEndpoint::RelayEndpoint(std::uint32_t vni, const DiscoPair& clients, SteadyTime now) noexcept
    : clients_(clients), allocated_(now), vni_(vni) {}

RelayEndpoint::RelayEndpoint(std::uint32_t vni, const DiscoPair& clients, const std::array<SharedKey, 2>& shared,
                             SteadyTime now)
    : RelayEndpoint(vni, clients, now) {
  legs_ = std::make_unique<Legs>();
  for (LegIndex leg = 0; leg < kLegs; ++leg) (*legs_)[leg].shared = shared[leg];
}

/// Makes them, if there is memory.
bool RelayEndpoint::has_legs() noexcept {
  if (!legs_) legs_.reset(new (std::nothrow) Legs);
  return legs_ != nullptr;
}

OrDrop<LegIndex> RelayEndpoint::leg_of(const DiscoKey& sender) const noexcept {
  for (LegIndex leg = 0; leg < kLegs; ++leg)
    if (clients_.keys[leg] == sender) return leg;
  return Drop::unknown_key;
}

bool RelayEndpoint::may_handshake(LegIndex leg, SteadyTime now) const noexcept {
  return at(leg).handshakes.wait(to_ns(now), 1, kHandshakesOfLeg, kHandshakeBurstOfLeg) == 0;
}

void RelayEndpoint::count_handshake(LegIndex leg, SteadyTime now) noexcept {
  if (legs_) static_cast<void>((*legs_)[leg].handshakes.take(to_ns(now), 1, kHandshakesOfLeg, kHandshakeBurstOfLeg));
}

OrDrop<ControlEffect> RelayEndpoint::take_control(LegIndex leg, const DiscoEnvelope& envelope, const LegAddress& from,
                                                  HandshakeTools& tools, MutableBytes out) noexcept {
  const auto effect = follow(leg, envelope, from, tools, out);
  if (!effect) refuse(leg, effect.error());
  return effect;
}

OrDrop<ControlEffect> RelayEndpoint::follow(LegIndex leg, const DiscoEnvelope& envelope, const LegAddress& from,
                                            HandshakeTools& tools, MutableBytes out) noexcept {
  if (!has_key(leg, tools.own)) return Drop::box;
  const auto message = open(leg, envelope);
  if (!message) return message.error();
  if (const auto fault = fault_of(leg, *message)) return *fault;
  return message->type == MessageType::bind ? take_bind(leg, *message, from, tools, out)
                                            : take_answer(leg, *message, from, tools.secrets);
}

bool RelayEndpoint::has_key(LegIndex leg, const DiscoSecret* own) noexcept {
  if (!has_legs()) return false;
  auto& shared = (*legs_)[leg].shared;
  if (!shared && own != nullptr) shared = SharedKey::make(clients_.keys[leg], *own);
  return shared.has_value();
}

OrDrop<BindMessage> RelayEndpoint::open(LegIndex leg, const DiscoEnvelope& envelope) const noexcept {
  std::array<std::byte, kLargestControlMessage> plain;
  const auto opened = open_envelope(envelope, *at(leg).shared, plain);
  if (!opened) return opened.error() == Errc::oversize ? Drop::long_message : Drop::box;
  const auto message = read_bind_message(*opened);
  if (!message) return message.error() == Errc::unsupported ? Drop::message_type : Drop::short_message;
  if (message->type == MessageType::challenge) return Drop::message_type;
  return *message;
}

/// What the current form has in the box must be of this endpoint.
std::optional<Drop> RelayEndpoint::fault_of(LegIndex leg, const BindMessage& message) const noexcept {
  if (message.form == WireForm::first) return std::nullopt;
  if (message.vni != vni_) return Drop::sealed_vni;
  if (message.remote != key_of_other(leg)) return Drop::remote_key;
  if (message.generation == 0) return Drop::zero_generation;
  return std::nullopt;
}

ChallengeFacts RelayEndpoint::facts_of(LegIndex leg, const BindMessage& message,
                                       const LegAddress& from) const noexcept {
  return {vni_, message.generation, key_of_other(leg), from.remote, from.local, at(leg).binds};
}

OrDrop<ControlEffect> RelayEndpoint::take_bind(LegIndex leg, const BindMessage& message, const LegAddress& from,
                                               HandshakeTools& tools, MutableBytes out) noexcept {
  const auto challenge = tools.secrets.make(facts_of(leg, message, from));
  if (!challenge) return Drop::wrong_challenge;
  Leg& mine = (*legs_)[leg];
  mine.generation = message.generation;
  mine.state.handshake = mine.address.is_set() ? HandshakeState::rebinding : HandshakeState::challenged;
  mine.state.form = message.form;
  BindMessage reply = message;
  reply.type = MessageType::challenge;
  reply.challenge = *challenge;
  return ControlEffect{ControlEffect::Kind::reply, write_reply(out, vni_, reply, *mine.shared, tools)};
}

OrDrop<ControlEffect> RelayEndpoint::take_answer(LegIndex leg, const BindMessage& message, const LegAddress& from,
                                                 ChallengeSecrets& secrets) noexcept {
  Leg& mine = (*legs_)[leg];
  if (!mine.state.is_challenged()) return Drop::no_handshake;
  if (mine.state.form != message.form || mine.generation != message.generation) return Drop::other_generation;
  if (!secrets.is_made_for(facts_of(leg, message, from), message.challenge)) return Drop::wrong_challenge;
  // The same again is dropped.
  mine.state.handshake = mine.address.is_set() ? HandshakeState::bound : HandshakeState::none;
  return ControlEffect{ControlEffect::Kind::answered};
}

void RelayEndpoint::bind(LegIndex leg, const LegAddress& where, SteadyTime now) {
  if (!legs_) legs_ = std::make_unique<Legs>();
  Leg& mine = (*legs_)[leg];
  mine.address = where;
  ++mine.binds;
  mine.last_seen = now;
  mine.is_permitted = true;
  mine.state.handshake = HandshakeState::bound;
}

void RelayEndpoint::refuse(LegIndex leg, Drop why) noexcept {
  if (has_legs()) (*legs_)[leg].state.refuse(why);
}

void RelayEndpoint::set_permitted(LegIndex leg, bool is_permitted) noexcept {
  if (legs_) (*legs_)[leg].is_permitted = is_permitted;
}

/// Both clients may be behind one address and port, if they come to different addresses of the relay. A client that
/// sends to another than it is bound by is still who it is.
std::optional<LegIndex> RelayEndpoint::leg_at(const Endpoint& source, const IpAddress& local) const noexcept {
  std::optional<LegIndex> found;
  for (LegIndex leg = 0; legs_ && leg < kLegs; ++leg) {
    const LegAddress& address = (*legs_)[leg].address;
    if (!address.is_set() || address.remote != source) continue;
    if (address.local == local) return leg;
    if (!found) found = leg;
  }
  return found;
}

OrDrop<LegIndex> RelayEndpoint::sender_of(const Endpoint& source, const IpAddress& local) const noexcept {
  if (!is_open()) return Drop::not_bound;
  if (!is_permitted(0) || !is_permitted(1)) return Drop::denied;
  const auto leg = leg_at(source, local);
  if (!leg) return Drop::unbound_source;
  return *leg;
}

OrDrop<LegIndex> RelayEndpoint::route(const Endpoint& source, const IpAddress& local, SteadyTime now) noexcept {
  const auto leg = sender_of(source, local);
  if (!leg) {
    if (const auto bound = leg_at(source, local)) refuse(*bound, leg.error());
    return leg;
  }
  (*legs_)[*leg].last_seen = now;
  return 1 - *leg;
}

void RelayEndpoint::note_relayed(LegIndex leg, SteadyTime last_seen) noexcept {
  SteadyTime& mine = (*legs_)[leg].last_seen;
  mine = std::max(mine, last_seen);
}

SteadyTime RelayEndpoint::expires_at(Nanoseconds bind, Nanoseconds steady) const noexcept {
  if (!is_open()) return allocated_ + bind;
  if (steady == Nanoseconds::zero()) return SteadyTime::max();
  return std::min(last_seen(0), last_seen(1)) + steady;
}

}  // namespace gatehouse::geneve_relay
