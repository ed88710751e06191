// Endpoints are given out, bound and carry data.
#include "tests/unit/geneve-relay/server/relay_rig.hpp"

#include <gmock/gmock.h>

namespace gatehouse::geneve_relay {
namespace {

TEST_F(RelayPlugin, CarriesDataBetweenTwoClients) {
  run();
  TestClient a, b;
  const ServerEndpoint endpoint = allocate(a, b);
  EXPECT_EQ(endpoint.clients, DiscoPair(a.key, b.key));
  EXPECT_EQ(endpoint.addresses, AddressList({Endpoint::parse("192.0.2.1:7500").value()}));
  EXPECT_EQ(endpoint.bind_lifetime, 30s);
  EXPECT_EQ(endpoint.steady_lifetime, 300s);
  bind(a, b, endpoint);
  for (const std::string_view text : {"to b", "", "again"}) {
    a.send(relay(), data(endpoint.vni, text));
    EXPECT_EQ(b.receive(), data(endpoint.vni, text));
    b.send(relay(), data(endpoint.vni, text, kProtocolDisco));
    EXPECT_EQ(a.receive(), data(endpoint.vni, text, kProtocolDisco));
  }
  EXPECT_EQ(host.metric(R"(forwarded_packets{transport_in="udp4",transport_out="udp4"})"), 6u);
  EXPECT_EQ(host.metric(R"(endpoints{state="open"})"), 1u);
  const auto sessions = host.store().sessions();
  ASSERT_EQ(sessions.size(), 1u);
  EXPECT_EQ(sessions[0].identity, "token:bob");
  EXPECT_EQ(sessions[0].leases, std::vector{"vni:" + std::to_string(endpoint.vni)});
  EXPECT_EQ(sessions[0].packets_up + sessions[0].packets_down, 6u);
  EXPECT_EQ(describe_session(sessions[0].state[0], sessions[0].state[1]), "first client: bound. Second client: bound");
}

TEST_F(RelayPlugin, CarriesDataBetweenFamilies) {
  run();
  TestClient a, b(Family::v6);
  const ServerEndpoint endpoint = allocate(a, b);
  bind(a, b, endpoint);
  a.send(relay(), data(endpoint.vni, "from IPv4"));
  EXPECT_EQ(b.receive(), data(endpoint.vni, "from IPv4"));
  b.send(relay(Family::v6), data(endpoint.vni, "from IPv6"));
  EXPECT_EQ(a.receive(), data(endpoint.vni, "from IPv6"));
  EXPECT_EQ(host.metric(R"(forwarded_packets{transport_in="udp4",transport_out="udp6"})"), 1u);
  EXPECT_EQ(host.metric(R"(forwarded_packets{transport_in="udp6",transport_out="udp4"})"), 1u);
}

TEST_F(RelayPlugin, BothFormsOfTheWireMayMeet) {
  run();
  TestClient a, b;
  const ServerEndpoint endpoint = allocate(a, b);
  a.send(relay(), a.sealed(endpoint, BindMessage{MessageType::bind, WireForm::first, 0, 0, {}, {}}));
  auto challenge = a.open(endpoint, a.receive());
  ASSERT_TRUE(challenge);
  EXPECT_EQ(challenge->form, WireForm::first);
  challenge->type = MessageType::answer;
  a.send(relay(), a.sealed(endpoint, *challenge));
  ASSERT_TRUE(b.bind(relay(), endpoint));
  ASSERT_TRUE(eventually([&] { return bound() == 2; }));
  a.send(relay(), data(endpoint.vni, "old to new"));
  EXPECT_EQ(b.receive(), data(endpoint.vni, "old to new"));
}

TEST_F(RelayPlugin, WhatComesCoalescedGoesToEachEndpointsOtherClient) {
  for (const unsigned lanes : {1u, 3u}) {
    run(lanes);
    TestClient a, b, c;
    const ServerEndpoint with_b = allocate(a, b), with_c = allocate(a, c);
    bind(a, b, with_b);
    const std::uint64_t before = bound();
    ASSERT_TRUE(a.bind(relay(), with_c) && c.bind(relay(), with_c));
    ASSERT_TRUE(eventually([&] { return bound() == before + 2; }));
    std::vector<ByteVector> sent;
    for (int i = 0; i < 30; ++i)
      sent.push_back(data((i % 5 < 3 ? with_b : with_c).vni, "packet " + std::to_string(100 + i)));
    a.send_together(relay(), sent);
    for (int i = 0; i < 30; ++i) EXPECT_EQ((i % 5 < 3 ? b : c).receive(), sent[static_cast<std::size_t>(i)]) << i;
  }
}

TEST_F(RelayPlugin, AClientThatMovesIsFollowedOnceItHasAnswered) {
  run();
  TestClient a, b;
  const ServerEndpoint endpoint = allocate(a, b);
  bind(a, b, endpoint);
  a.send(relay(), data(endpoint.vni, "before"));
  EXPECT_EQ(b.receive(), data(endpoint.vni, "before"));
  ASSERT_TRUE(b.bind(relay(), endpoint, 7));
  ASSERT_TRUE(eventually([&] { return bound() == 3; }));
  EXPECT_EQ(host.metric(R"(handshakes{step="moved"})"), 0u);
}

TEST_F(RelayPlugin, AnyLaneGivesTheSameEndpointAgain) {
  run(3);
  TestClient a, b;
  const ServerEndpoint first = allocate(a, b, 0);
  for (std::uint32_t lane = 0; lane < 3; ++lane) EXPECT_EQ(allocate(b, a, lane), first);
  EXPECT_EQ(host.metric(R"(endpoints_given{outcome="made"})"), 1u);
  EXPECT_EQ(host.metric(R"(endpoints_given{outcome="there"})"), 3u);
  EXPECT_EQ(host.open_clients(), 1);
}

TEST_F(RelayPlugin, AnEndpointBelongsToTheLaneOfItsVni) {
  run(3);
  TestClient a, b;
  for (std::uint32_t i = 0; i < 12; ++i) {
    TestClient one, other;
    const ServerEndpoint endpoint = allocate(one, other, i % 3);
    bind(one, other, endpoint);
    one.send(relay(), data(endpoint.vni, "x"));
    EXPECT_EQ(other.receive(), data(endpoint.vni, "x"));
  }
  EXPECT_EQ(host.metric("handed_over"), 0u) << "the kernel steers";
}

TEST_F(RelayPlugin, ItsOwnKeyGetsNoEndpoint) {
  run();
  TestClient a, b;
  const ServerEndpoint endpoint = allocate(a, b);
  auto asked = RunningLanes::ask(0, {DiscoPair(a.key, endpoint.server), "token:bob", {}, 0});
  EXPECT_EQ(std::get<AllocationRefusal>(asked.get()).cause, AllocationRefusal::Cause::own_key);
  asked = RunningLanes::ask(0, {DiscoPair(a.key, a.key), "token:bob", {}, 0});
  EXPECT_EQ(std::get<AllocationRefusal>(asked.get()).cause, AllocationRefusal::Cause::own_key);
  asked = RunningLanes::ask(0, {DiscoPair(a.key, DiscoKey()), "token:bob", {}, 0});
  EXPECT_EQ(std::get<AllocationRefusal>(asked.get()).cause, AllocationRefusal::Cause::own_key) << "of low order";
}

TEST_F(RelayPlugin, IsFullAtMostEndpoints) {
  run(1, {{"most_endpoints", 2}});
  TestClient a, b, c;
  allocate(a, b);
  allocate(a, c);
  EXPECT_EQ(std::get<AllocationRefusal>(outcome(b, c)).cause, AllocationRefusal::Cause::full);
  allocate(a, b);
}

TEST_F(RelayPlugin, AnswersOnceTheEndpointIsDurable) {
  run();
  TestClient a, b, c;
  allocate(a, c);  // numbers are there
  host.store().hold_durable(true);
  auto first = RunningLanes::ask(0, demand(a, b)), second = RunningLanes::ask(0, demand(b, a));
  EXPECT_TRUE(eventually([&] { return plugin->pending() == 2; }));
  EXPECT_EQ(first.wait_for(0s), std::future_status::timeout);
  host.store().release_durable();
  EXPECT_EQ(std::get<ServerEndpoint>(first.get()), std::get<ServerEndpoint>(second.get()));
  EXPECT_EQ(plugin->pending(), 0u);
}

TEST_F(RelayPlugin, AnEndpointThatIsNotDurableIsNone) {
  run();
  TestClient a, b, c;
  allocate(a, c);
  host.store().hold_durable(true);
  auto asked = RunningLanes::ask(0, demand(a, b));
  EXPECT_TRUE(eventually([&] { return plugin->pending() == 1; }));
  host.store().release_durable(GH_E_IO);
  EXPECT_EQ(std::get<AllocationRefusal>(asked.get()).cause, AllocationRefusal::Cause::not_durable);
  host.store().hold_durable(false);
  EXPECT_EQ(host.metric(R"(endpoints{state="connecting"})"), 1u);
  allocate(a, b);
}

TEST_F(RelayPlugin, WhoMayNotUseTheFrontendGetsNoEndpoint) {
  run();
  TestClient a, b;
  allocate(a, b);
  host.set_traffic({{}, {}, [] { return std::uint16_t{GH_REASON_ADMISSION}; }});
  plugin->policy_changed();
  TestClient c;
  EXPECT_EQ(std::get<AllocationRefusal>(outcome(a, c)).cause, AllocationRefusal::Cause::denied);
  EXPECT_EQ(std::get<AllocationRefusal>(outcome(a, b)).cause, AllocationRefusal::Cause::denied);
  host.set_traffic({{}, {}, [] { return std::uint16_t{GH_REASON_CONCURRENT_SESSIONS}; }});
  plugin->policy_changed();
  EXPECT_EQ(std::get<AllocationRefusal>(outcome(a, c)).cause, AllocationRefusal::Cause::limit);
  EXPECT_EQ(host.store().sessions().size(), 1u);
}

TEST_F(RelayPlugin, GivesNothingWhileItDrains) {
  run();
  plugin->drain();
  TestClient a, b;
  EXPECT_EQ(std::get<AllocationRefusal>(outcome(a, b)).cause, AllocationRefusal::Cause::draining);
}

TEST_F(RelayPlugin, AnEndpointThatNobodyBindsIsGivenUp) {
  run(1, {{"bind_lifetime_seconds", 1}});
  TestClient a, b;
  const ServerEndpoint endpoint = allocate(a, b);
  EXPECT_TRUE(eventually([&] { return host.metric("expired") == 1; }));
  EXPECT_TRUE(host.store().sessions().empty());
  EXPECT_EQ(host.metric(R"(endpoints{state="connecting"})"), 0u);
  EXPECT_EQ(host.open_clients(), 0);
  a.send(relay(), a.sealed(endpoint, a.bind_message(endpoint, 1)));
  EXPECT_TRUE(eventually([&] { return drops("unknown_vni") == 1; }));
  EXPECT_GT(allocate(a, b).lamport_id, endpoint.lamport_id);
}

TEST_F(RelayPlugin, AnEndpointThatIsSilentIsGivenUp) {
  run(1, {{"steady_lifetime_seconds", 1}});
  TestClient a, b;
  bind(a, b, allocate(a, b));
  EXPECT_TRUE(eventually([&] { return host.metric("expired") == 1; }));
  EXPECT_EQ(host.metric(R"(endpoints{state="open"})"), 0u);
}

// Until another one's lifetime has run out, which was allocated later.
TEST_F(RelayPlugin, AnOpenEndpointThatIsSilentStaysWhereItMayBeForEver) {
  run(1, {{"bind_lifetime_seconds", 2}, {"steady_lifetime_seconds", 0}});
  TestClient a, b, c;
  const ServerEndpoint endpoint = allocate(a, b);
  bind(a, b, endpoint);
  allocate(a, c);
  EXPECT_TRUE(eventually([&] { return host.metric("expired") == 1; }, 20s));
  EXPECT_EQ(host.metric(R"(endpoints{state="open"})"), 1u);
  a.send(relay(), data(endpoint.vni, "hello again"));
  EXPECT_EQ(b.receive(), data(endpoint.vni, "hello again"));
}

// ---- over a restart

// Blocks of 1,000 are asked for: the disk would hold up whoever asked for a block of one.
TEST_F(RelayPlugin, LamportIdsGoOnInAnotherBlockAfterARestart) {
  TestClient a, b, c;
  run();
  const std::uint64_t first = allocate(a, b).lamport_id;
  EXPECT_EQ(allocate(a, c).lamport_id, first + 1);
  restart();
  EXPECT_GE(allocate(b, c).lamport_id, first + 1000) << "what is left of a block is skipped";
}

TEST_F(RelayPlugin, DataGoesOnAfterARestartWithoutAHandshake) {
  TestClient a, b, c;
  run();
  const ServerEndpoint endpoint = allocate(a, b);
  bind(a, b, endpoint);
  for (int i = 0; i < 2; ++i) {
    restart();
    a.send(relay(), data(endpoint.vni, "hello again"));
    EXPECT_EQ(b.receive(), data(endpoint.vni, "hello again"));
    b.send(relay(), data(endpoint.vni, "and back"));
    EXPECT_EQ(a.receive(), data(endpoint.vni, "and back"));
  }
  EXPECT_EQ(bound(), 2u) << "as before the first restart";
  EXPECT_EQ(allocate(a, b), endpoint);
  EXPECT_GT(allocate(a, c).lamport_id, endpoint.lamport_id);
}

TEST_F(RelayPlugin, ALegWhoseListenerIsGoneAfterARestartBindsByAnother) {
  TestClient a, b;
  run();
  const ServerEndpoint endpoint = allocate(a, b);
  const Endpoint before = relay();
  bind(a, b, endpoint);
  plugin.reset();
  const TestClient another(Family::v4, before.port);
  host.restart();
  run();
  ASSERT_NE(relay(), before);
  a.send(relay(), data(endpoint.vni, "lost"));
  EXPECT_TRUE(eventually([&] { return drops("no_socket") == 1; }));
  ASSERT_TRUE(b.bind(relay(), endpoint, 2));
  ASSERT_TRUE(eventually([&] { return bound() == 3; }));
  a.send(relay(), data(endpoint.vni, "hello again"));
  EXPECT_EQ(b.receive(), data(endpoint.vni, "hello again"));
}

TEST_F(RelayPlugin, WhomPolicyDeniesEndsNothingByAsking) {
  TestClient a, b;
  run();
  const ServerEndpoint endpoint = allocate(a, b);
  bind(a, b, endpoint);
  host.set_traffic({{}, {}, [] { return std::uint16_t{GH_REASON_ADMISSION}; }});
  restart();
  EXPECT_EQ(std::get<AllocationRefusal>(outcome(a, b)).cause, AllocationRefusal::Cause::denied);
  a.send(relay(), data(endpoint.vni, "lost"));
  EXPECT_TRUE(eventually([&] { return drops("unknown_vni") == 1; }));
  host.set_traffic({});
  plugin->policy_changed();
  EXPECT_TRUE(eventually([&] { return host.metric(R"(endpoints{state="open"})") == 1; }));
  a.send(relay(), data(endpoint.vni, "without a handshake"));
  EXPECT_EQ(b.receive(), data(endpoint.vni, "without a handshake"));
  EXPECT_EQ(allocate(a, b), endpoint);
}

/// As after a later version was taken back.
TEST_F(RelayPlugin, WhatIsKeptInAnotherFormStaysUntilItsPairIsAskedFor) {
  TestClient a, b, c;
  run();
  const ServerEndpoint endpoint = allocate(a, b);
  plugin.reset();
  host.restart();
  {
    const auto later_version = host.store().instance("geneve-relay");
    gh_session session{};
    session.struct_size = sizeof session;
    session.id = host.store().sessions().at(0).id;
    session.blob_version = RelayBlob::kVersion + 1;
    session.blob = to_border(std::string_view("another form"));
    gh_lane lane{sizeof(gh_lane), 0, 1, -1, 0};
    const gh_sessions& sessions = *later_version->sessions();
    ASSERT_EQ(sessions.touch(sessions.context, &lane, &session, nullptr), GH_OK);
  }
  run();
  EXPECT_TRUE(std::ranges::any_of(host.log_lines(), [](const std::string& line) {
    return line.find("in a form that this version does not read") != std::string::npos;
  }));
  allocate(a, c);
  ASSERT_EQ(host.store().sessions().size(), 2u);
  EXPECT_EQ(host.store().sessions()[0].leases, std::vector{"vni:" + std::to_string(endpoint.vni)});
  EXPECT_EQ(host.store().sessions()[0].blob_version, RelayBlob::kVersion + 1);

  const ServerEndpoint anew = allocate(a, b);
  EXPECT_NE(anew.vni, endpoint.vni);
  std::vector<std::string> leases;
  for (const auto& session : host.store().sessions())
    leases.insert(leases.end(), session.leases.begin(), session.leases.end());
  EXPECT_THAT(leases, testing::AllOf(testing::SizeIs(2), testing::Contains("vni:" + std::to_string(anew.vni)),
                                     testing::Not(testing::Contains("vni:" + std::to_string(endpoint.vni)))));
}

TEST_F(RelayPlugin, ARememberedEndpointKeepsItsVniWithAnotherNumberOfLanes) {
  TestClient clients[8];
  std::vector<ServerEndpoint> before;
  run(3);
  for (std::size_t i = 0; i < 8; i += 2) before.push_back(allocate(clients[i], clients[i + 1]));
  plugin.reset();
  host.restart();
  for (const unsigned lanes : {2u, 5u}) {
    run(lanes);
    for (std::size_t i = 0; i < 8; i += 2)
      EXPECT_EQ(allocate(clients[i], clients[i + 1], static_cast<std::uint32_t>(i) % lanes), before[i / 2]);
    for (std::size_t i = 0; i < 8; i += 2) bind(clients[i], clients[i + 1], before[i / 2]);
    EXPECT_EQ(host.metric("handed_over"), 0u);
    plugin.reset();
    host.restart();
  }
}

// ---- policy

TEST_F(RelayPlugin, ALegThatPolicyDeniesIsNotBound) {
  run();
  TestClient a, b;
  const ServerEndpoint endpoint = allocate(a, b);
  host.set_policy([port = b.local.port](const testkit::FakeFlow& flow) {
    EXPECT_NE(flow.flags & GH_FLOW_PEER, 0u);
    return flow.destination.port == port ? std::uint16_t{GH_REASON_HARD_DENY} : std::uint16_t{0};
  });
  plugin->policy_changed();
  EXPECT_TRUE(a.bind(relay(), endpoint));
  EXPECT_TRUE(b.bind(relay(), endpoint));
  EXPECT_TRUE(eventually([&] { return drops("denied") == 1; }));
  EXPECT_EQ(bound(), 1u);
}

TEST_F(RelayPlugin, ALegThatPolicyDeniesLaterIsCutUntilItMayBeAgain) {
  run();
  TestClient a, b;
  const ServerEndpoint endpoint = allocate(a, b);
  bind(a, b, endpoint);
  host.set_policy([port = b.local.port](const testkit::FakeFlow& flow) {
    return flow.destination.port == port ? std::uint16_t{GH_REASON_HARD_DENY} : std::uint16_t{0};
  });
  plugin->policy_changed();
  EXPECT_TRUE(eventually([&] {
    a.send(relay(), data(endpoint.vni, "x"));
    return drops("denied") > 0;
  }));
  while (!b.receive(50ms).empty()) {
  }
  host.set_policy([](const testkit::FakeFlow&) { return std::uint16_t{0}; });
  plugin->policy_changed();
  EXPECT_TRUE(eventually([&] {
    a.send(relay(), data(endpoint.vni, "x"));
    return !b.receive(20ms).empty();
  }));
}

TEST_F(RelayPlugin, ARateLetsSomeOfARunPass) {
  gh_limits limits{};
  limits.struct_size = sizeof limits;
  limits.metered = true;
  limits.udp_idle_ns = limits.tcp_idle_ns = limits.session_idle_ns = limits.concurrent_flows = UINT64_MAX;
  host.set_limits(limits);
  std::atomic<std::uint64_t> left{3 * (12 + 28) + 5};
  host.set_traffic({[&left](std::uint32_t, std::uint64_t, std::uint64_t want, std::uint64_t least) {
                      return testkit::take_from(left, want, least, 1000);
                    },
                    {},
                    {}});
  run();
  TestClient a, b;
  const ServerEndpoint endpoint = allocate(a, b);
  bind(a, b, endpoint);
  std::vector<ByteVector> sent;
  for (int i = 0; i < 8; ++i) sent.push_back(data(endpoint.vni, "abc" + std::to_string(i)));
  a.send_together(relay(), sent);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(b.receive(), sent[i]);
  EXPECT_TRUE(eventually([&] { return drops("rate") == 5; }));
  EXPECT_TRUE(b.receive(50ms).empty());
}

TEST_F(RelayPlugin, HandshakesAreBoundedBySource) {
  run(1, {{"handshakes_per_second_of_a_source", 1}});
  TestClient a, b;
  const ServerEndpoint endpoint = allocate(a, b);
  for (std::uint32_t i = 1; i <= 20; ++i) a.send(relay(), a.sealed(endpoint, a.bind_message(endpoint, i)));
  EXPECT_TRUE(eventually([&] { return drops("handshake_limit") >= 15; }));
  EXPECT_LE(host.metric(R"(handshakes{step="challenged"})"), 5u);
}

TEST_F(RelayPlugin, HandshakesAreBoundedByClientWhateverTheirSources) {
  run(1, {{"handshakes_per_second_of_a_source", 0}});
  TestClient a, b;
  const ServerEndpoint endpoint = allocate(a, b);
  for (std::uint32_t i = 1; i <= 300; ++i) a.send(relay(), a.sealed(endpoint, a.bind_message(endpoint, i)));
  EXPECT_TRUE(eventually([&] { return drops("handshake_limit") > 0; }));
  EXPECT_TRUE(b.bind(relay(), endpoint)) << "the other one is as free as before";
}

/// Who knows a client's public key can send in its name, from wherever it likes.
TEST_F(RelayPlugin, WhatOthersSendInAClientsNameIsNotChargedToIt) {
  run(1, {{"handshakes_per_second_of_a_source", 0}});
  TestClient a, b, stranger;
  const ServerEndpoint endpoint = allocate(a, b);
  ByteVector broken = a.sealed(endpoint, a.bind_message(endpoint, 1));
  broken.back() ^= std::byte{1};
  const ByteVector long_one = a.sealed(endpoint, ByteVector(kLargestControlMessage + 1));
  for (std::uint64_t sent = 1; sent <= 300; ++sent) {
    stranger.send(relay(), broken);
    stranger.send(relay(), long_one);
    if (sent % 30 != 0) continue;
    ASSERT_TRUE(eventually([&] { return drops("box") == sent && drops("long_message") == sent; }));
  }
  EXPECT_TRUE(a.bind(relay(), endpoint));
  EXPECT_EQ(drops("handshake_limit"), 0u);
}

/// Nor does it cost the lane more than a hundredth of what it has for all.
TEST_F(RelayPlugin, AFloodInOneClientsNameLeavesTheOthersAlone) {
  run(1, {{"handshakes_per_second_of_a_lane", 1000}});
  TestClient a, b, c, stranger(Endpoint{IpAddress::v4(0x7f000002), 0, 0});
  const ServerEndpoint endpoint = allocate(a, b), other = allocate(a, c);
  ASSERT_TRUE(a.bind(relay(), endpoint));
  ASSERT_TRUE(eventually([&] { return bound() == 1; }));
  ByteVector broken = a.sealed(endpoint, a.bind_message(endpoint, 1));
  broken.back() ^= std::byte{1};
  constexpr std::uint64_t kSent = 3000, kRate = 10;
  const SteadyTime began = steady_now();
  for (std::uint64_t sent = 1; sent <= kSent; ++sent) {
    stranger.send(relay(), broken);
    if (sent % 100 != 0) continue;
    ASSERT_TRUE(eventually([&] { return drops("box") + drops("handshake_limit") == sent; }));
  }
  const auto passed = std::chrono::ceil<std::chrono::seconds>(steady_now() - began).count();
  EXPECT_GE(drops("box"), FalseBoxes::kSeconds * kRate);
  EXPECT_LE(drops("box"), (FalseBoxes::kSeconds + static_cast<std::uint64_t>(passed)) * kRate);
  EXPECT_TRUE(b.bind(relay(), endpoint)) << "the other client";
  EXPECT_TRUE(a.bind(relay(), other)) << "its other endpoint";
  EXPECT_TRUE(a.bind(relay(), endpoint, 2)) << "the owner, where it is bound";
}

/// As the kernel puts them together: what stands behind the first one's seven bytes is the next one's.
TEST_F(RelayPlugin, RuntsThatComeTogetherAreRunts) {
  run();
  TestClient a, b;
  ByteVector runt = data(allocate(a, b).vni, "");
  runt.at(1) = std::byte{0x80};  // control
  runt.resize(7);
  a.send_together(relay(), {runt, runt, runt, runt});
  EXPECT_TRUE(eventually([&] { return drops("short_header") == 4; }));
}

}  // namespace
}  // namespace gatehouse::geneve_relay
