#include "plugins/geneve-relay/relay/endpoint.hpp"

#include "tests/unit/allocations.hpp"
#include "tests/unit/geneve-relay/relay_fixture.hpp"

namespace gatehouse::geneve_relay {
namespace {

struct RelayEndpointTest : testing::Test, RelayFixture {
  const LegAddress at_a{remote("192.0.2.10:41641"), IpAddress::parse("192.0.2.1").value()};
  const LegAddress at_b{remote("[2001:db8::b]:5000"), IpAddress::parse("2001:db8::1").value()};
  const LegAddress elsewhere{remote("198.51.100.7:1"), IpAddress::parse("192.0.2.1").value()};

  OrDrop<LegIndex> send(const LegAddress& from) { return endpoint.route(from.remote, from.local, now); }
  void bind_both() {
    bind(kA, at_a);
    bind(kB, at_b);
  }
  /// The bytes of a vector, from A.
  Drop refused(const char* vector) { return take(datagram_of(vector), at_a).error(); }
  Drop refused(const BindMessage& wrong) { return take(kA, wrong, at_a).error(); }
};

// ---- handshakes

TEST_F(RelayEndpointTest, TheVectorsBindIsChallengedInItsForm) {
  const Taken taken = take(datagram_of("cur-bind-a"), at_a);
  ASSERT_TRUE(taken.has_value());
  EXPECT_EQ(taken->kind, ControlEffect::Kind::reply);
  EXPECT_EQ(taken->size, datagram_of("cur-bind-a").size()) << "nobody gets more than was sent in his name";
  const BindMessage challenge = read_reply(kA, taken->size);
  EXPECT_EQ(challenge.type, MessageType::challenge);
  EXPECT_EQ(challenge.generation, 9U);
  EXPECT_EQ(challenge.remote, public_of("b"));
  EXPECT_EQ(challenge.vni, kVectorVni);
  EXPECT_EQ(endpoint.state(kA).handshake, HandshakeState::challenged);
}

TEST_F(RelayEndpointTest, TheFirstFormsVectorBindIsChallengedInItsForm) {
  const Taken taken = take(datagram_of("seed-bind-a"), at_a);
  ASSERT_TRUE(taken.has_value());
  EXPECT_EQ(taken->size, datagram_of("seed-bind-a").size());
  EXPECT_EQ(read_reply(kA, taken->size).form, WireForm::first);
  EXPECT_EQ(endpoint.state(kA).form, WireForm::first);
}

TEST_F(RelayEndpointTest, DataPassesOnceBothAreBound) {
  bind(kA, at_a);
  EXPECT_FALSE(endpoint.is_open());
  EXPECT_EQ(send(at_a).error(), Drop::not_bound);
  EXPECT_EQ(send(elsewhere).error(), Drop::not_bound);
  bind(kB, at_b);
  EXPECT_TRUE(endpoint.is_open());
  now += 1s;
  EXPECT_EQ(send(at_a).value(), kB);
  EXPECT_EQ(send(at_b).value(), kA);
  EXPECT_EQ(endpoint.address(kB), at_b);
  EXPECT_EQ(endpoint.last_seen(kA), now);
  EXPECT_EQ(send(elsewhere).error(), Drop::unbound_source);
}

TEST_F(RelayEndpointTest, AnAnswerCountsOnce) {
  const Taken bound = take(kA, message(MessageType::bind, kA, 5), at_a);
  const ByteVector answer = datagram(kA, answer_to(read_reply(kA, bound->size)));
  EXPECT_EQ(take(answer, at_a)->kind, ControlEffect::Kind::answered);
  EXPECT_EQ(take(answer, at_a).error(), Drop::no_handshake);
  EXPECT_EQ(endpoint.address(kA), at_a);
}

TEST_F(RelayEndpointTest, AnAnswerIsForThePathOfItsBind) {
  const Taken bound = take(kA, message(MessageType::bind, kA, 5), at_a);
  const BindMessage answer = answer_to(read_reply(kA, bound->size));
  LegAddress moved = at_a;
  ++moved.remote.port;
  EXPECT_EQ(take(kA, answer, moved).error(), Drop::wrong_challenge);
  moved = at_a;
  moved.local = elsewhere.remote.address;
  EXPECT_EQ(take(kA, answer, moved).error(), Drop::wrong_challenge);
  EXPECT_TRUE(take(kA, answer, at_a).has_value());
}

TEST_F(RelayEndpointTest, ABindIsAnsweredOnEveryPathAndTheFirstAnswerCounts) {
  const BindMessage bind = message(MessageType::bind, kA, 5);
  const BindMessage one = read_reply(kA, take(kA, bind, at_a)->size);
  const BindMessage other = read_reply(kA, take(kA, bind, elsewhere)->size);
  EXPECT_NE(one, other);
  EXPECT_TRUE(take(kA, answer_to(one), at_a).has_value());
  EXPECT_EQ(take(kA, answer_to(other), elsewhere).error(), Drop::no_handshake);
  EXPECT_EQ(endpoint.address(kA), at_a);
}

TEST_F(RelayEndpointTest, ALaterBindReplacesTheHandshake) {
  const BindMessage old = read_reply(kA, take(kA, message(MessageType::bind, kA, 5), at_a)->size);
  const BindMessage later = read_reply(kA, take(kA, message(MessageType::bind, kA, 6), at_a)->size);
  EXPECT_EQ(take(kA, answer_to(old), at_a).error(), Drop::other_generation);
  EXPECT_TRUE(take(kA, answer_to(later), at_a).has_value());
}

TEST_F(RelayEndpointTest, AHandshakeThatWasRecordedDoesNotMoveTheClientBack) {
  const ByteVector recorded_bind = datagram(kA, message(MessageType::bind, kA, 5));
  const ByteVector recorded_answer = datagram(kA, answer_to(read_reply(kA, take(recorded_bind, at_a)->size)));
  EXPECT_TRUE(take(recorded_answer, at_a).has_value());
  endpoint.bind(kA, at_a, now);
  const Taken moved = take(kA, message(MessageType::bind, kA, 6), elsewhere);
  EXPECT_TRUE(take(kA, answer_to(read_reply(kA, moved->size)), elsewhere).has_value());
  endpoint.bind(kA, elsewhere, now);
  EXPECT_TRUE(take(recorded_bind, at_a).has_value());
  EXPECT_EQ(take(recorded_answer, at_a).error(), Drop::wrong_challenge);
  EXPECT_EQ(endpoint.address(kA), elsewhere);
}

TEST_F(RelayEndpointTest, ABoundClientThatMovesIsFollowedWithItsAnswer) {
  bind_both();
  const Taken rebind = take(kA, message(MessageType::bind, kA, 2), elsewhere);
  EXPECT_EQ(endpoint.state(kA).handshake, HandshakeState::rebinding);
  EXPECT_EQ(send(at_a).value(), kB) << "a Bind alone disturbs nothing";
  EXPECT_TRUE(take(kA, answer_to(read_reply(kA, rebind->size)), elsewhere).has_value());
  EXPECT_EQ(endpoint.address(kA), elsewhere);
  EXPECT_EQ(send(at_a).error(), Drop::unbound_source);
  EXPECT_EQ(send(elsewhere).value(), kB);
  EXPECT_EQ(endpoint.state(kA).handshake, HandshakeState::bound);
}

TEST_F(RelayEndpointTest, AFirstFormClientThatMovesIsFollowedToo) {
  const auto handshake = [&](const LegAddress& from) {
    const Taken bound = take(kA, first_form(MessageType::bind), from);
    ASSERT_TRUE(bound.has_value());
    ASSERT_TRUE(take(kA, answer_to(read_reply(kA, bound->size)), from).has_value());
    EXPECT_EQ(endpoint.address(kA), from);
  };
  handshake(at_a);
  bind(kB, at_b);  // the current form's: legs need not agree
  const BindMessage old = read_reply(kA, take(kA, first_form(MessageType::bind), at_a)->size);
  EXPECT_EQ(take(kA, answer_to(old), elsewhere).error(), Drop::wrong_challenge)
      << "what was sent elsewhere proves nothing";
  handshake(elsewhere);
  EXPECT_EQ(send(elsewhere).value(), kB);
}

TEST_F(RelayEndpointTest, AFirstFormAnswerDoesNotEndACurrentHandshake) {
  const BindMessage first = read_reply(kA, take(kA, first_form(MessageType::bind), at_a)->size);
  ASSERT_TRUE(take(kA, message(MessageType::bind, kA, 5), at_a).has_value());
  EXPECT_EQ(take(kA, answer_to(first), at_a).error(), Drop::other_generation);
}

TEST_F(RelayEndpointTest, AnAnswerMayBeLateAndNotTooLate) {
  for (const bool is_late : {false, true}) {
    const BindMessage challenge = read_reply(kA, take(kA, message(MessageType::bind, kA, 5), at_a)->size);
    for (int rotations = is_late ? 2 : 1; rotations > 0; --rotations) secrets.look_at_clock(now += 2min);
    const Taken taken = take(kA, answer_to(challenge), at_a);
    EXPECT_EQ(taken.has_value(), !is_late);
    if (is_late) {
      EXPECT_EQ(taken.error(), Drop::wrong_challenge);
    }
  }
}

TEST_F(RelayEndpointTest, ControlPacketsAllocateNothing) {
  const ByteVector bind = datagram(kA, message(MessageType::bind, kA, 5));
  const std::size_t before = allocations();
  const Taken bound = take(bind, at_a);
  EXPECT_EQ(allocations(), before);
  const ByteVector answer = datagram(kA, answer_to(read_reply(kA, bound->size)));
  const std::size_t later = allocations();
  EXPECT_TRUE(take(answer, at_a).has_value());
  EXPECT_EQ(send(at_a).error(), Drop::not_bound);
  EXPECT_EQ(allocations(), later);
}

TEST_F(RelayEndpointTest, WhatNothingHasComeForHasNoLegs) {
  const std::size_t before = allocations();
  RelayEndpoint untouched(kVectorVni, clients, now);
  EXPECT_EQ(untouched.route(at_a.remote, at_a.local, now).error(), Drop::not_bound);
  EXPECT_EQ(untouched.leg_of(clients.keys[kB]).value(), kB);
  EXPECT_EQ(untouched.expires_at(30s, 5min), now + 30s);
  EXPECT_TRUE(untouched.may_handshake(kA, now));
  untouched.set_permitted(kA, false);
  EXPECT_TRUE(untouched.is_permitted(kA));
  EXPECT_EQ(untouched.state(kA), LegState());
  EXPECT_FALSE(untouched.address(kB).is_set());
  EXPECT_EQ(allocations(), before);
  untouched.refuse(kA, Drop::handshake_limit);
  untouched.bind(kB, at_b, now);
  EXPECT_EQ(allocations(), before + 1) << "both legs at once";
  EXPECT_EQ(untouched.state(kA).last_refusal, Drop::handshake_limit);
  EXPECT_EQ(untouched.address(kB), at_b);
}

TEST_F(RelayEndpointTest, ItsFirstHandshakeMakesTheKeyThatIsShared) {
  const DiscoSecret own(secret_of("server"));
  RelayEndpoint fresh(kVectorVni, clients, now);
  const ByteVector wire = datagram(kA, message(MessageType::bind, kA, 5));
  const auto envelope = control_envelope(relay_header(wire).value(), wire);
  HandshakeTools without{server, secrets, random}, tools{server, secrets, random, &own};
  EXPECT_EQ(fresh.take_control(kA, *envelope, at_a, without, reply).error(), Drop::box);
  const std::size_t before = allocations();
  EXPECT_TRUE(fresh.take_control(kA, *envelope, at_a, tools, reply).has_value());
  EXPECT_EQ(allocations(), before);
}

TEST_F(RelayEndpointTest, AClientHasFiftyHandshakesASecondAndTheOtherIsNotHeldUp) {
  int burst = 0;
  for (; burst < 100 && endpoint.may_handshake(kA, now); ++burst) endpoint.count_handshake(kA, now);
  EXPECT_EQ(burst, 64);
  EXPECT_TRUE(endpoint.may_handshake(kB, now));
  now += 20ms;
  EXPECT_TRUE(endpoint.may_handshake(kA, now));
  endpoint.count_handshake(kA, now);
  EXPECT_FALSE(endpoint.may_handshake(kA, now));
}

// ---- what is dropped

TEST_F(RelayEndpointTest, VectorsThatMustNotPassAreDroppedForTheirCause) {
  EXPECT_EQ(refused("neg-gen0"), Drop::zero_generation);
  EXPECT_EQ(refused("neg-vni-mismatch"), Drop::sealed_vni);
  EXPECT_EQ(refused("neg-remote-self"), Drop::remote_key);
  EXPECT_EQ(refused("neg-bitflip"), Drop::box);
  EXPECT_EQ(refused("neg-truncated"), Drop::short_envelope);
  EXPECT_EQ(refused("neg-ctl-wg"), Drop::control_protocol);
  EXPECT_EQ(refused("neg-7-bytes"), Drop::short_header);
  EXPECT_EQ(refused("geneve-version3"), Drop::geneve_version);
  EXPECT_EQ(refused("stun-response"), Drop::no_geneve);
  EXPECT_EQ(refused("cur-answer-a"), Drop::no_handshake);
  EXPECT_EQ(refused("cur-challenge-a"), Drop::unknown_key) << "the relay's own key is no client's";
  EXPECT_EQ(refused("geneve-ctl-disco-1"), Drop::short_envelope);
}

TEST_F(RelayEndpointTest, OtherMessagesAreDroppedForTheirCause) {
  ByteVector other_magic = datagram_of("cur-bind-a");
  other_magic[kGeneveHeaderSize + 5] ^= std::byte{1};
  EXPECT_EQ(take(other_magic, at_a).error(), Drop::envelope_magic);
  ByteVector stranger = datagram_of("cur-bind-a");
  stranger[kGeneveHeaderSize + kDiscoMagicSize] ^= std::byte{1};
  EXPECT_EQ(take(stranger, at_a).error(), Drop::unknown_key);

  EXPECT_EQ(refused(message(MessageType::challenge, kA, 1)), Drop::message_type);
  EXPECT_EQ(refused(message(MessageType::ping, kA, 1)), Drop::message_type);
  EXPECT_EQ(refused(message(static_cast<MessageType>(200), kA, 1)), Drop::message_type);
  for (const char* plain : {"", "04", "0400", "06000000abcd"})
    EXPECT_EQ(take(sealed(kA, hex(plain)), at_a).error(), Drop::short_message) << plain;
  EXPECT_EQ(take(sealed(kA, ByteVector(kLargestControlMessage + 1)), at_a).error(), Drop::long_message);
  ByteVector padded(kLargestControlMessage);
  write_bind_message(padded, message(MessageType::bind, kA, 1));
  EXPECT_TRUE(take(sealed(kA, padded), at_a).has_value()) << "bytes behind a body are ignored";
}

TEST_F(RelayEndpointTest, AnAnswersOwnFaultsAreLookedAtToo) {
  const BindMessage answer = answer_to(read_reply(kA, take(kA, message(MessageType::bind, kA, 5), at_a)->size));
  const auto changed = [&](auto change) {
    BindMessage out = answer;
    change(out);
    return refused(out);
  };
  EXPECT_EQ(changed([](BindMessage& m) { m.vni = 1; }), Drop::sealed_vni);
  EXPECT_EQ(changed([&](BindMessage& m) { m.remote = clients.keys[kA]; }), Drop::remote_key);
  EXPECT_EQ(changed([](BindMessage& m) { m.generation = 0; }), Drop::zero_generation);
  EXPECT_EQ(changed([](BindMessage& m) { m.generation = 6; }), Drop::other_generation);
  EXPECT_EQ(changed([](BindMessage& m) { m.challenge[31] ^= std::byte{1}; }), Drop::wrong_challenge);
  EXPECT_TRUE(take(kA, answer, at_a).has_value()) << "none of that has hurt";
}

TEST_F(RelayEndpointTest, TheOthersAnswerIsNotMine) {
  const BindMessage answer = answer_to(read_reply(kA, take(kA, message(MessageType::bind, kA, 5), at_a)->size));
  ASSERT_TRUE(take(kB, message(MessageType::bind, kB, 5), at_a).has_value());
  BindMessage stolen = answer;
  stolen.remote = clients.keys[kA];
  EXPECT_EQ(take(kB, stolen, at_a).error(), Drop::wrong_challenge);
}

TEST_F(RelayEndpointTest, WhatSomebodyElseRelayedCountsAndOldNewsShortenNoLife) {
  bind_both();
  endpoint.note_relayed(kA, now + 5s);
  EXPECT_EQ(endpoint.last_seen(kA), now + 5s);
  endpoint.note_relayed(kA, now + 1s);
  EXPECT_EQ(endpoint.last_seen(kA), now + 5s);
  EXPECT_EQ(endpoint.last_seen(kB), now);
}

TEST_F(RelayEndpointTest, RefusalsAreTheSendersState) {
  bind(kA, at_a);
  EXPECT_EQ(endpoint.state(kA).refusals, 0U);
  EXPECT_EQ(refused("neg-bitflip"), Drop::box);
  EXPECT_EQ(endpoint.state(kA).last_refusal, Drop::box);
  EXPECT_EQ(send(at_a).error(), Drop::not_bound);
  EXPECT_EQ(endpoint.state(kA).last_refusal, Drop::not_bound);
  EXPECT_EQ(send(elsewhere).error(), Drop::not_bound);
  EXPECT_EQ(endpoint.state(kA).refusals, 2U) << "a stranger's packets are nobody's";
  EXPECT_EQ(endpoint.state(kB), LegState());
  endpoint.refuse(kB, Drop::denied);
  EXPECT_EQ(endpoint.state(kB).last_refusal, Drop::denied);
}

// ---- policy

TEST_F(RelayEndpointTest, DataPassesOnlyWhileBothArePermitted) {
  bind_both();
  for (const LegIndex leg : {kA, kB}) {
    endpoint.set_permitted(leg, false);
    EXPECT_EQ(send(at_a).error(), Drop::denied);
    EXPECT_EQ(send(at_b).error(), Drop::denied);
    endpoint.set_permitted(leg, true);
    EXPECT_TRUE(send(at_a).has_value());
  }
  endpoint.set_permitted(kA, false);
  bind(kA, elsewhere, 2);
  EXPECT_TRUE(send(at_b).has_value()) << "the new place was judged anew";
}

// ---- addresses

TEST_F(RelayEndpointTest, ClientsBehindOneAddressAreToldApartByTheRelays) {
  LegAddress at_second = at_a;
  at_second.local = IpAddress::parse("192.0.2.2").value();
  bind(kA, at_a);
  bind(kB, at_second);
  EXPECT_EQ(send(at_a).value(), kB);
  EXPECT_EQ(send(at_second).value(), kA);
  EXPECT_EQ(send({at_a.remote, elsewhere.remote.address}).value(), kB) << "else the first matches";
}

TEST_F(RelayEndpointTest, OnePlaceForBothGetsItsPacketsBack) {
  bind(kA, at_a);
  bind(kB, at_a);
  EXPECT_EQ(send(at_a).value(), kB);
  EXPECT_EQ(endpoint.address(kB), at_a);
}

TEST_F(RelayEndpointTest, ASourceIsKnownWhicheverAddressItSendsTo) {
  bind_both();
  EXPECT_EQ(send({at_b.remote, elsewhere.local}).value(), kA);
  EXPECT_EQ(endpoint.address(kB), at_b);
}

// ---- life

TEST_F(RelayEndpointTest, ExpiresUnlessBothBindInTime) {
  const SteadyTime start = now;
  bind(kA, at_a);
  now += 20s;
  EXPECT_EQ(endpoint.expires_at(30s, 5min), start + 30s);
  endpoint.extend(now);
  EXPECT_EQ(endpoint.expires_at(30s, 5min), now + 30s);
}

TEST_F(RelayEndpointTest, ExpiresWhenEitherIsSilent) {
  bind_both();
  const SteadyTime bound = now;
  now += 1min;
  ASSERT_TRUE(send(at_a).has_value());
  EXPECT_EQ(endpoint.expires_at(30s, 5min), bound + 5min);
  now += 1min;
  ASSERT_TRUE(send(at_b).has_value());
  EXPECT_EQ(endpoint.expires_at(30s, 5min), bound + 6min);
  EXPECT_EQ(endpoint.expires_at(30s, 0s), SteadyTime::max());
}

TEST_F(RelayEndpointTest, IsSmall) { EXPECT_EQ(sizeof(RelayEndpoint), 88U); }

}  // namespace
}  // namespace gatehouse::geneve_relay
