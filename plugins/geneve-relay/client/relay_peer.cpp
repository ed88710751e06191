#include "plugins/geneve-relay/client/relay_peer.hpp"

#include <gatehouse/base/endian.hpp>

namespace gatehouse::geneve_relay {

RelayPeer::RelayPeer(const DiscoKey& own, const DiscoKey& other, const SharedKey& shared, const ServerEndpoint& relay,
                     WireForm form, RandomSource& random) noexcept
    : own_(own), other_(other), server_(relay.server), shared_(shared), random_(&random), vni_(relay.vni), form_(form) {
  std::array<std::byte, sizeof generation_> first;
  random.fill(first);
  generation_ = load_big<std::uint32_t>(first);
}

Result<RelayPeer> RelayPeer::make(const DiscoSecret& own, const DiscoKey& other, const ServerEndpoint& relay,
                                  WireForm form, RandomSource& random) noexcept {
  const auto shared = SharedKey::make(relay.server, own);
  if (!shared) return Errc::invalid;
  return RelayPeer(own.public_key(), other, *shared, relay, form, random);
}

void RelayPeer::begin() noexcept {
  if (++generation_ == 0) ++generation_;
  state_ = State::asked;
}

std::size_t RelayPeer::write_bind(MutableBytes out) noexcept {
  return seal(out, {MessageType::bind, form_, vni_, generation_, other_, {}});
}

void RelayPeer::write_data_header(MutableBytes out) const noexcept {
  write_geneve_header(out, {.protocol = kProtocolWireguard, .vni = vni_});
}

std::size_t RelayPeer::seal(MutableBytes out, const BindMessage& message) noexcept {
  write_geneve_header(out, {.control = true, .protocol = kProtocolDisco, .vni = vni_});
  std::array<std::byte, kLargestBindMessage> plain;
  const std::size_t size = write_bind_message(plain, message);
  return kGeneveHeaderSize +
         seal_envelope(out.subspan(kGeneveHeaderSize), own_, shared_, *random_, Bytes(plain).first(size));
}

Result<PeerEvent> RelayPeer::take(Bytes datagram, MutableBytes out) noexcept {
  if (kind_of(datagram) != DatagramKind::geneve) return Errc::malformed;
  const GeneveHeader header = read_geneve_header(datagram);
  const Bytes rest = datagram.subspan(kGeneveHeaderSize);
  if (header.version != 0 || header.vni != vni_) return Errc::malformed;
  if (!header.control) return PeerEvent{PeerEvent::Kind::data, 0, rest};
  const auto message = open(rest);
  if (!message) return message.error();
  return take_challenge(*message, out);
}

Result<BindMessage> RelayPeer::open(Bytes envelope) const noexcept {
  const auto read = read_envelope(envelope);
  if (!read) return Errc::malformed;
  if (read->sender != server_) return Errc::denied;
  std::array<std::byte, 1024> plain;
  const auto opened = open_envelope(*read, shared_, plain);
  if (!opened) return opened.error();
  const auto message = read_bind_message(*opened);
  if (!message || message->type != MessageType::challenge) return Errc::unsupported;
  return *message;
}

Result<PeerEvent> RelayPeer::take_challenge(BindMessage challenge, MutableBytes out) noexcept {
  const bool is_for_us =
      challenge.form == form_ && (form_ == WireForm::first || (challenge.vni == vni_ && challenge.remote == other_));
  if (!is_for_us) return Errc::denied;
  const bool is_of_now = form_ == WireForm::first || challenge.generation == generation_;
  if (state_ == State::idle || !is_of_now) return Errc::wrong_state;
  if (state_ == State::answered) return PeerEvent{PeerEvent::Kind::repeated};
  state_ = State::answered;
  challenge.type = MessageType::answer;
  return PeerEvent{PeerEvent::Kind::answer, seal(out, challenge)};
}

}  // namespace gatehouse::geneve_relay
