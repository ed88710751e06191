// An endpoint of the vectors' clients, and what they send to it.
#pragma once

#include "plugins/geneve-relay/relay/datagram.hpp"
#include "plugins/geneve-relay/relay/endpoint.hpp"
#include "plugins/geneve-relay/wire/random_pool.hpp"
#include "tests/unit/geneve-relay/vectors.hpp"

namespace gatehouse::geneve_relay {

using namespace std::chrono_literals;

inline Endpoint remote(std::string_view text) { return Endpoint::parse(text).value(); }

/// For OrDrop::value() of a test that expects one.
[[noreturn]] inline void throw_exception_from_error(Drop drop, const boost::source_location&) {
  throw std::runtime_error(std::string(describe(drop)));
}

/// What the relay did with a control packet.
using Taken = OrDrop<ControlEffect>;

struct RelayFixture {
  static constexpr LegIndex kA = 0, kB = 1;

  /// A's or B's message to the relay, as a datagram.
  ByteVector datagram(LegIndex leg, const BindMessage& message) {
    ByteVector plain(kLargestBindMessage);
    plain.resize(write_bind_message(plain, message));
    return sealed(leg, plain);
  }
  ByteVector sealed(LegIndex leg, Bytes plain) {
    ByteVector out(kGeneveHeaderSize + kEnvelopeOverhead + plain.size());
    write_geneve_header(out, {.control = true, .vni = kVectorVni});
    seal_envelope(MutableBytes(out).subspan(kGeneveHeaderSize), clients.keys[leg], shared[leg], random, plain);
    return out;
  }

  /// All that a lane does with a control packet, but for finding the endpoint and asking policy: it says yes.
  Taken take(Bytes datagram, const LegAddress& from) {
    const auto header = relay_header(datagram);
    if (!header) return header.error();
    const auto envelope = control_envelope(*header, datagram);
    if (!envelope) return envelope.error();
    const auto leg = endpoint.leg_of(envelope->sender);
    if (!leg) return leg.error();
    secrets.look_at_clock(now);
    HandshakeTools tools{server, secrets, random};
    const Taken taken = endpoint.take_control(*leg, *envelope, from, tools, reply);
    if (taken && taken->kind == ControlEffect::Kind::answered) endpoint.bind(*leg, from, now);
    return taken;
  }
  Taken take(LegIndex leg, const BindMessage& message, const LegAddress& from) {
    return take(datagram(leg, message), from);
  }

  /// The challenge that was sent, as the client of `leg` reads it.
  BindMessage read_reply(LegIndex leg, std::size_t size) {
    const Bytes wire = Bytes(reply).first(size);
    const GeneveHeader header = read_geneve_header(wire);
    EXPECT_EQ(header, (GeneveHeader{.control = true, .vni = kVectorVni}));
    const auto envelope = read_envelope(wire.subspan(kGeneveHeaderSize));
    EXPECT_EQ(envelope->sender, server);
    ByteVector room(size);
    return read_bind_message(open_envelope(*envelope, shared[leg], room).value()).value();
  }

  [[nodiscard]] BindMessage message(MessageType type, LegIndex leg, std::uint32_t generation) const {
    return {type, WireForm::current, kVectorVni, generation, clients.keys[1 - leg], {}};
  }
  [[nodiscard]] static BindMessage first_form(MessageType type, const Challenge& challenge = {}) {
    return {type, WireForm::first, 0, 0, {}, challenge};
  }
  [[nodiscard]] static BindMessage answer_to(BindMessage challenge) {
    challenge.type = MessageType::answer;
    return challenge;
  }

  /// Bind, challenge, Answer.
  void bind(LegIndex leg, const LegAddress& from, std::uint32_t generation = 1) {
    const Taken bound = take(leg, message(MessageType::bind, leg, generation), from);
    ASSERT_TRUE(bound.has_value()) << describe(bound.error());
    ASSERT_TRUE(take(leg, answer_to(read_reply(leg, bound->size)), from).has_value());
  }

  const DiscoPair clients{public_of("a"), public_of("b")};
  const std::array<SharedKey, 2> shared{shared_by("a", "server"), shared_by("b", "server")};
  const DiscoKey server = public_of("server");
  RandomPool random;
  SteadyTime now{1h};
  ChallengeSecrets secrets{random, now};
  RelayEndpoint endpoint{kVectorVni, clients, shared, now};
  std::array<std::byte, kLargestReply> reply{};
};

}  // namespace gatehouse::geneve_relay
