// Each cause of a silent drop has its own counter, and what is a client's stands in its session's words.
#include "tests/unit/geneve-relay/server/relay_rig.hpp"

namespace gatehouse::geneve_relay {
namespace {

/// Two clients, bound, and how far a third handshake of the first is.
struct Scene {
  TestClient a, b, stranger;
  ServerEndpoint endpoint, unbound;
  BindMessage challenge;  ///< of a handshake in progress
};

struct Dropped {
  Drop cause;
  ByteVector (*datagram)(Scene&);
  bool from_stranger = false;
};

BindMessage answer_of(const Scene& scene) {
  BindMessage out = scene.challenge;
  out.type = MessageType::answer;
  return out;
}
ByteVector control(Scene& scene, void (*change)(BindMessage&)) {
  BindMessage message = answer_of(scene);
  change(message);
  return scene.a.sealed(scene.endpoint, message);
}
ByteVector changed(ByteVector datagram, std::size_t at, std::uint8_t value) {
  datagram[at] = std::byte{value};
  return datagram;
}

const Dropped kDropped[] = {
    {Drop::short_header, [](Scene&) { return testkit::hex("00007a"); }},
    {Drop::geneve_version, [](Scene& s) { return changed(data(s.endpoint.vni, "x"), 0, 0x40); }},
    {Drop::no_geneve, [](Scene&) { return testkit::hex("0100000000000000000000000000"); }},
    {Drop::unknown_vni, [](Scene& s) { return data(s.endpoint.vni ^ 0x800000, "x"); }},
    {Drop::control_protocol, [](Scene& s) { return changed(s.a.sealed(s.endpoint, answer_of(s)), 3, 0x12); }},
    {Drop::short_envelope, [](Scene& s) { return changed(data(s.endpoint.vni, "TS", kProtocolDisco), 1, 0x80); }},
    {Drop::envelope_magic, [](Scene& s) { return changed(s.a.sealed(s.endpoint, answer_of(s)), 8, 0); }},
    {Drop::unknown_key, [](Scene& s) { return s.stranger.sealed(s.endpoint, answer_of(s)); }},
    {Drop::box, [](Scene& s) { return changed(s.a.sealed(s.endpoint, answer_of(s)), 159, 0x55); }},
    {Drop::long_message, [](Scene& s) { return s.a.sealed(s.endpoint, ByteVector(1100, std::byte{4})); }},
    {Drop::short_message, [](Scene& s) { return s.a.sealed(s.endpoint, testkit::hex("0600 01020304")); }},
    {Drop::message_type, [](Scene& s) { return control(s, [](BindMessage& m) { m.type = MessageType::challenge; }); }},
    {Drop::sealed_vni, [](Scene& s) { return control(s, [](BindMessage& m) { ++m.vni; }); }},
    {Drop::remote_key, [](Scene& s) { return control(s, [](BindMessage& m) { m.remote = {}; }); }},
    {Drop::zero_generation, [](Scene& s) { return control(s, [](BindMessage& m) { m.generation = 0; }); }},
    {Drop::other_generation, [](Scene& s) { return control(s, [](BindMessage& m) { ++m.generation; }); }},
    {Drop::wrong_challenge, [](Scene& s) { return control(s, [](BindMessage& m) { m.challenge = {}; }); }},
    {Drop::no_handshake,
     [](Scene& s) {
       return s.b.sealed(s.endpoint, [&] {
         BindMessage m = s.b.bind_message(s.endpoint, 1);
         m.type = MessageType::answer;
         return m;
       }());
     }},
    {Drop::not_bound, [](Scene& s) { return data(s.unbound.vni, "x"); }},
    {Drop::unbound_source, [](Scene& s) { return data(s.endpoint.vni, "x"); }, true},
};

/// What needs more than a datagram has a test of its own.
const Drop kElsewhere[] = {
    Drop::handshake_limit,  // RelayPlugin.HandshakesAreBounded...
    Drop::denied,           // RelayPlugin.ALegThatPolicyDenies...
    Drop::rate,             // RelayPlugin.ARateLetsSomeOfARunPass
    Drop::quota,            // RelayPlugin.WhatIsBeyondAQuotaIsDroppedAndSaid
    Drop::other_lane,       // RelayLanes.WhatIsTooLongToWait..., WhatFindsNoPlace...
    Drop::no_socket,        // RelayPlugin.ALegWhoseListenerIsGone...
    Drop::ended,            // RelayOtherLanes.ASessionThatEnds...
};

TEST(SilentDrops, AreAllTested) {
  std::vector<Drop> tested(std::begin(kElsewhere), std::end(kElsewhere));
  for (const Dropped& one : kDropped) tested.push_back(one.cause);
  std::ranges::sort(tested);
  std::vector<Drop> all;
  for (std::size_t i = 0; i < kDrops; ++i) all.push_back(static_cast<Drop>(i));
  EXPECT_EQ(tested, all) << "each once";
}

TEST_F(RelayPlugin, EachSilentDropRaisesItsOwnCounter) {
  run();
  Scene scene;
  scene.unbound = allocate(scene.a, scene.stranger);
  scene.endpoint = allocate(scene.a, scene.b);
  bind(scene.a, scene.b, scene.endpoint);
  scene.a.send(relay(), scene.a.sealed(scene.endpoint, scene.a.bind_message(scene.endpoint, 9)));
  const auto challenge = scene.a.open(scene.endpoint, scene.a.receive());
  ASSERT_TRUE(challenge);
  scene.challenge = *challenge;
  const auto all = [this] {
    std::array<std::uint64_t, kDrops> out{};
    for (std::size_t i = 0; i < kDrops; ++i) out[i] = drops(to_text(static_cast<Drop>(i)));
    return out;
  };
  for (const Dropped& one : kDropped) {
    SCOPED_TRACE(to_text(one.cause));
    auto expected = all();
    ++expected[static_cast<std::size_t>(one.cause)];
    (one.from_stranger ? scene.stranger : scene.a).send(relay(), one.datagram(scene));
    EXPECT_TRUE(eventually([&] { return all() == expected; }));
  }
  scene.a.send(relay(), scene.a.sealed(scene.endpoint, answer_of(scene)));
  EXPECT_TRUE(eventually([&] { return bound() == 3; })) << "nothing of it disturbs a handshake";
  scene.a.send(relay(), data(scene.endpoint.vni, "still"));
  EXPECT_EQ(scene.b.receive(), data(scene.endpoint.vni, "still"));
}

TEST_F(RelayPlugin, WhatIsBeyondAQuotaIsDroppedAndSaid) {
  gh_limits limits{};
  limits.struct_size = sizeof limits;
  limits.metered = true;
  limits.udp_idle_ns = limits.tcp_idle_ns = limits.session_idle_ns = limits.concurrent_flows = UINT64_MAX;
  host.set_limits(limits);
  std::atomic<std::uint64_t> left{2 * (8 + 4 + 28)};
  host.set_traffic({[&left](std::uint32_t, std::uint64_t, std::uint64_t want, std::uint64_t least) {
                      return testkit::take_from(left, want, least, UINT64_MAX);  // never again
                    },
                    {},
                    {}});
  run();
  TestClient a, b;
  const ServerEndpoint endpoint = allocate(a, b);
  bind(a, b, endpoint);
  for (int i = 0; i < 2; ++i) {
    a.send(relay(), data(endpoint.vni, "fits"));
    EXPECT_EQ(b.receive(), data(endpoint.vni, "fits"));
  }
  a.send(relay(), data(endpoint.vni, "lost"));
  EXPECT_TRUE(eventually([&] { return drops("quota") == 1; }));
  EXPECT_EQ(drops("rate"), 0u);
  EXPECT_TRUE(b.receive(50ms).empty());
  const auto session = host.store().sessions().at(0);
  const bool is_first = endpoint.clients.keys[0] == a.key;
  EXPECT_EQ(LegState::from_word(session.state[is_first ? 0 : 1]).to_string(),
            "bound; refused 1 time: data beyond a traffic rule's quota");
  EXPECT_EQ(LegState::from_word(session.state[is_first ? 1 : 0]).to_string(), "bound");
}

TEST_F(RelayPlugin, ASessionSaysWhatItsClientWasRefusedFor) {
  run();
  TestClient a, b;
  const ServerEndpoint endpoint = allocate(a, b);
  BindMessage message = a.bind_message(endpoint, 1);
  message.remote = {};
  a.send(relay(), a.sealed(endpoint, message));
  ASSERT_TRUE(eventually([&] { return drops("remote_key") == 1; }));
  const bool is_first = endpoint.clients.keys[0] == a.key;
  const std::string refused = "no handshake yet; refused 1 time: the remote key is not the other client's";
  const auto session = host.store().sessions().at(0);
  EXPECT_EQ(describe_session(session.state[0], session.state[1]),
            is_first ? "first client: " + refused + ". Second client: no handshake yet"
                     : "first client: no handshake yet. Second client: " + refused);
}

}  // namespace
}  // namespace gatehouse::geneve_relay
