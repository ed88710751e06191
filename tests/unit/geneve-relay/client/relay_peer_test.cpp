// The client against the relay's own endpoint, without a network.
#include "plugins/geneve-relay/client/relay_peer.hpp"

#include "tests/unit/allocations.hpp"
#include "tests/unit/geneve-relay/relay_fixture.hpp"

#include <gmock/gmock.h>

namespace gatehouse::geneve_relay {
namespace {

struct RelayPeerTest : testing::TestWithParam<WireForm>, RelayFixture {
  const LegAddress at_a{remote("192.0.2.10:41641"), IpAddress::parse("192.0.2.1").value()};
  const LegAddress at_b{remote("[2001:db8::b]:5000"), IpAddress::parse("2001:db8::1").value()};
  const ServerEndpoint told{server, clients, 1, kVectorVni, 30s, 5min, {}};
  // The pair's order is not that of the names.
  const bool is_a_first = clients.keys[0] == public_of("a");
  RelayPeer a = peer("a", "b", GetParam()), b = peer("b", "a", GetParam());
  std::array<std::byte, kLargestHandshake> out{};

  RelayPeer peer(const std::string& own, const std::string& other, WireForm form) {
    return RelayPeer::make(secret_of(own), public_of(other), told, form, random).value();
  }
  ByteVector bind_of(RelayPeer& client) {
    ByteVector wire(kLargestHandshake);
    wire.resize(client.write_bind(wire));
    return wire;
  }
  /// The relay's Challenge for a Bind.
  ByteVector challenge_for(Bytes bind, const LegAddress& from) {
    const Taken taken = take(bind, from);
    EXPECT_TRUE(taken.has_value()) << describe(taken.error());
    return ByteVector(reply.begin(), reply.begin() + static_cast<std::ptrdiff_t>(taken ? taken->size : 0));
  }
  Taken answer(RelayPeer& client, Bytes challenge, const LegAddress& from) {
    const auto event = client.take(challenge, out);
    EXPECT_TRUE(event.has_value()) << event.error().message();
    return take(Bytes(out).first(event ? event->size : 0), from);
  }
  void bind_as(RelayPeer& client, const LegAddress& from) {
    client.begin();
    const Taken answered = answer(client, challenge_for(bind_of(client), from), from);
    ASSERT_TRUE(answered.has_value()) << describe(answered.error());
    EXPECT_EQ(answered->kind, ControlEffect::Kind::answered);
    EXPECT_TRUE(client.has_answered());
  }
};

TEST_P(RelayPeerTest, BindsAndItsDataIsRelayed) {
  bind_as(a, at_a);
  bind_as(b, at_b);
  EXPECT_TRUE(endpoint.is_open());
  EXPECT_EQ(endpoint.state(0).form, GetParam());

  ByteVector wire(kGeneveHeaderSize);
  a.write_data_header(wire);
  wire.push_back(std::byte{7});
  EXPECT_EQ(relay_header(wire).value(), (GeneveHeader{.protocol = kProtocolWireguard, .vni = kVectorVni}));
  const auto event = b.take(wire, out);
  ASSERT_TRUE(event.has_value());
  EXPECT_EQ(event->kind, PeerEvent::Kind::data);
  EXPECT_THAT(event->payload, testing::ElementsAre(std::byte{7}));
}

TEST_P(RelayPeerTest, BindsAgainFromElsewhere) {
  bind_as(a, at_a);
  bind_as(b, at_b);
  LegAddress moved = at_a;
  ++moved.remote.port;
  bind_as(a, moved);
  EXPECT_EQ(endpoint.address(is_a_first ? 0 : 1), moved);
}

TEST_P(RelayPeerTest, AnswersTheFirstChallengeOnly) {
  a.begin();
  const ByteVector first = challenge_for(bind_of(a), at_a), second = challenge_for(bind_of(a), at_b);
  EXPECT_TRUE(answer(a, first, at_a).has_value());
  EXPECT_EQ(a.take(second, out)->kind, PeerEvent::Kind::repeated);
  EXPECT_EQ(endpoint.address(is_a_first ? 0 : 1), at_a);
}

TEST_P(RelayPeerTest, AnswersNothingUnasked) {
  RelayPeer twin = a;
  twin.begin();
  EXPECT_EQ(a.take(challenge_for(bind_of(twin), at_a), out).error(), Errc::wrong_state);
}

TEST_P(RelayPeerTest, TakesNothingThatIsNotForIt) {
  a.begin();
  b.begin();
  const ByteVector challenge = challenge_for(bind_of(a), at_a);
  EXPECT_EQ(b.take(challenge, out).error(), Errc::denied) << "of the other client";
  ByteVector of_other_vni = challenge;
  of_other_vni[6] ^= std::byte{1};
  EXPECT_EQ(a.take(of_other_vni, out).error(), Errc::malformed);
  EXPECT_EQ(a.take(bind_of(b), out).error(), Errc::denied) << "not from the relay";
  for (std::size_t at = kGeneveHeaderSize; at < challenge.size(); ++at) {
    ByteVector changed = challenge;
    changed[at] ^= std::byte{1};
    EXPECT_FALSE(a.take(changed, out).has_value()) << "byte " << at;
  }
  for (std::size_t size = 0; size < challenge.size(); ++size)
    EXPECT_TRUE(!a.take(Bytes(challenge).first(size), out)) << "of " << size << " bytes";
  EXPECT_FALSE(a.has_answered());
  EXPECT_EQ(a.take(challenge, out)->kind, PeerEvent::Kind::answer);
}

TEST_P(RelayPeerTest, AllocatesNothing) {
  a.begin();
  const ByteVector challenge = challenge_for(bind_of(a), at_a);
  const std::size_t before = allocations();
  static_cast<void>(a.write_bind(out));
  static_cast<void>(a.take(challenge, out));
  EXPECT_EQ(allocations(), before);
}

INSTANTIATE_TEST_SUITE_P(Forms, RelayPeerTest, testing::Values(WireForm::first, WireForm::current),
                         [](const auto& test) { return test.param == WireForm::first ? "First" : "Current"; });

struct RelayPeerOfTodayTest : RelayPeerTest {};
INSTANTIATE_TEST_SUITE_P(Forms, RelayPeerOfTodayTest, testing::Values(WireForm::current));

TEST_P(RelayPeerOfTodayTest, ForgetsAnEarlierHandshake) {
  a.begin();
  const ByteVector challenge = challenge_for(bind_of(a), at_a);
  a.begin();
  EXPECT_EQ(a.take(challenge, out).error(), Errc::wrong_state);
}

TEST_P(RelayPeerOfTodayTest, IsNoClientOfAKeyThatNobodyHas) {
  const ServerEndpoint wrong{DiscoKey{}, clients, 1, kVectorVni, 30s, 5min, {}};
  EXPECT_EQ(RelayPeer::make(secret_of("a"), public_of("b"), wrong, WireForm::current, random).error(), Errc::invalid);
}

}  // namespace
}  // namespace gatehouse::geneve_relay
