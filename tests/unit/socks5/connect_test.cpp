// CONNECT: by address and by name, what policy refuses, and what becomes of connections.
#include "tests/unit/socks5/socks5_fixture.hpp"

namespace gatehouse::socks5 {
namespace {

TEST_F(Socks5, ConnectsToAnAddressAndCarriesBothWays) {
  Socket client = greeted();
  client.send(request(Command::connect, far.endpoint()));
  const ByteVector answer = client.receive(10);
  Socket server = far.accept();
  ASSERT_EQ(answer.size(), 10u);
  EXPECT_EQ(answer[1], std::byte{0});
  EXPECT_EQ(read_destination(Bytes(answer).subspan(3))->destination.endpoint.address, kLoopback.address);
  client.send(hex("0102"));
  EXPECT_EQ(server.receive(2), hex("0102"));
  server.send(hex("0304"));
  EXPECT_EQ(client.receive(2), hex("0304"));
  EXPECT_TRUE(counts("bytes{direction=\"up\"}", 2));
  EXPECT_EQ(host.open_flows(), 1);
}

TEST_F(Socks5, EachSideMayEndFirst) {
  for (const bool client_first : {true, false}) {
    Socket client = greeted();
    client.send(request(Command::connect, far.endpoint()));
    EXPECT_EQ(reply(client), Reply::succeeded);
    Socket server = far.accept();
    Socket& first = client_first ? client : server;
    Socket& second = client_first ? server : client;
    first.finish();
    EXPECT_TRUE(second.ended());
    second.send(hex("aabb"));
    EXPECT_EQ(first.receive(2), hex("aabb"));
    second.finish();
    EXPECT_TRUE(first.ended());
    EXPECT_TRUE(counts("tunnels", 0));
  }
  EXPECT_TRUE(eventually([&] { return host.open_flows() == 0 && host.open_clients() == 0; }));
}

TEST_F(Socks5, AllIsTakenHoweverItIsCut) {
  ByteVector wire = hex("050100");
  const ByteVector asked = request(Command::connect, "a.test", far.endpoint().port), early = hex("616263");
  wire.insert(wire.end(), asked.begin(), asked.end());
  wire.insert(wire.end(), early.begin(), early.end());
  for (std::size_t cut = 1; cut <= wire.size(); ++cut) {
    Socket client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    client.connect(plugin.address());
    client.send(Bytes(wire).first(cut));
    std::this_thread::sleep_for(1ms);  // so that the parts are read apart, as a rule
    client.send(Bytes(wire).subspan(cut));
    EXPECT_EQ(client.receive(2), hex("0500"));
    ASSERT_EQ(reply(client), Reply::succeeded) << "cut at " << cut;
    EXPECT_EQ(far.accept().receive(3), early);
  }
}

/// Through splice, and through copies.
class Socks5Transfer : public Socks5, public testing::WithParamInterface<bool> {};
INSTANTIATE_TEST_SUITE_P(Ways, Socks5Transfer, testing::Bool(),
                         [](const auto& test) { return test.param ? "Splice" : "Copy"; });

TEST_P(Socks5Transfer, MuchComesWholeBothWaysToOneWhoReadsLate) {
  testkit::PluginRunner server(gatehouse_plugin, host, options(resolver.endpoint(), GetParam()), 1, GH_TRANSPORT_TCP);
  Socket client = greeted(server);
  client.send(request(Command::connect, far.endpoint()));
  EXPECT_EQ(reply(client), Reply::succeeded);
  Socket there = far.accept();
  ByteVector sent(24 << 20);
  for (std::size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<std::byte>(i * 31 + (i >> 11));
  for (auto [from, to] : {std::pair(&client, &there), std::pair(&there, &client)}) {
    std::thread sender([&sent, from = from] { from->send(sent); });
    std::this_thread::sleep_for(100ms);  // until everything on the way is full
    EXPECT_TRUE(to->receive(sent.size()) == sent);
    sender.join();
  }
  EXPECT_EQ(host.metric("bytes_spliced") != 0, GetParam());
}

/// A splice stops before it and finds nothing, in turn after turn, though there is something.
TEST_P(Socks5Transfer, UrgentDataStopsNothing) {
  testkit::PluginRunner server(gatehouse_plugin, host, options(resolver.endpoint(), GetParam()), 1, GH_TRANSPORT_TCP);
  Socket client = greeted(server);
  client.send(request(Command::connect, far.endpoint()));
  EXPECT_EQ(reply(client), Reply::succeeded);
  Socket there = far.accept();
  const ByteVector sent(4 << 20);
  std::thread sender([&] {
    client.send(sent);
    EXPECT_EQ(::send(client.fd(), "!", 1, MSG_OOB), 1);
    client.send(hex("010203"));
  });
  EXPECT_EQ(there.receive(sent.size() + 3).size(), sent.size() + 3);
  sender.join();
  EXPECT_LT(server.turns(0), 10'000u);
  client.finish();
  EXPECT_TRUE(there.ended());
}

TEST_F(Socks5, AResetIsPassedOn) {
  Socket client = greeted();
  client.send(request(Command::connect, far.endpoint()));
  EXPECT_EQ(reply(client), Reply::succeeded);
  {
    const Socket server = far.accept();
    const linger at_once{1, 0};
    setsockopt(server.fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  }
  ASSERT_TRUE(readable(client.fd()));
  std::byte byte;
  EXPECT_EQ(recv(client.fd(), &byte, 1, 0), -1);
  EXPECT_EQ(errno, ECONNRESET);
}

TEST_F(Socks5, SaysWhyNotConnected) {
  const Endpoint nobody = Server().endpoint();
  Socket client = greeted();
  client.send(request(Command::connect, nobody));
  EXPECT_EQ(reply(client), Reply::connection_refused);
  EXPECT_TRUE(client.ended());
  client = greeted();
  client.send(request(Command::bind, nobody));
  EXPECT_EQ(reply(client), Reply::command_not_supported);
  EXPECT_TRUE(client.ended());
  client = greeted();
  client.send(hex("050100 02 00000000 0000"));
  EXPECT_EQ(reply(client), Reply::address_type_not_supported);
  EXPECT_TRUE(counts("replies{reply=\"connection_refused\"}", 1));
}

TEST_F(Socks5, OtherProtocolsAndMethodsAreRefused) {
  Socket other(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  other.connect(plugin.address());
  other.send(hex("474554202f"));
  EXPECT_TRUE(other.ended());
  EXPECT_TRUE(counts("streams_refused{cause=\"protocol\"}", 1));
  Socket gssapi(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  gssapi.connect(plugin.address());
  gssapi.send(hex("050101"));
  EXPECT_EQ(gssapi.receive(2), hex("05ff"));
  EXPECT_TRUE(gssapi.ended());
  EXPECT_TRUE(counts("streams_refused{cause=\"method\"}", 1));
}

TEST_F(Socks5, WhatPolicyDeniesIsNotTried) {
  host.set_policy(
      [](const testkit::FakeFlow& flow) -> std::uint16_t { return flow.transport == 6 ? GH_REASON_PORT_PERMIT : 0; });
  plugin.policy_changed();
  Socket client = greeted();
  client.send(request(Command::connect, far.endpoint()));
  EXPECT_EQ(reply(client), Reply::not_allowed);
  EXPECT_TRUE(far.is_left_alone());
  EXPECT_TRUE(counts("denied{reason=\"port_permit\"}", 1));
}

TEST_F(Socks5, ANewPolicyCutsWhatItDenies) {
  Socket client = greeted();
  client.send(request(Command::connect, "a.test", far.endpoint().port));
  EXPECT_EQ(reply(client), Reply::succeeded);
  Socket server = far.accept();
  host.set_policy(
      [](const testkit::FakeFlow& flow) -> std::uint16_t { return flow.domain == "b.test" ? GH_REASON_DOMAIN : 0; });
  plugin.policy_changed();
  client.send(hex("01"));
  EXPECT_EQ(server.receive(1), hex("01"));  // not this one
  host.set_policy(
      [](const testkit::FakeFlow& flow) -> std::uint16_t { return flow.domain == "a.test" ? GH_REASON_DOMAIN : 0; });
  plugin.policy_changed();
  EXPECT_TRUE(client.ended());
  EXPECT_TRUE(server.ended());
  EXPECT_TRUE(counts("tunnels_cut", 1));
}

// ---- names

TEST_F(Socks5, ANameIsLookedUpAndItsAddressJudged) {
  std::atomic<bool> was_judged = false;
  host.set_policy([&](const testkit::FakeFlow& flow) -> std::uint16_t {
    if (flow.transport == 6 && flow.domain == "a.test" && flow.destination == far.endpoint()) was_judged = true;
    return 0;
  });
  plugin.policy_changed();
  Socket client = greeted();
  client.send(request(Command::connect, "A.Test.", far.endpoint().port));
  EXPECT_EQ(reply(client), Reply::succeeded);
  EXPECT_TRUE(was_judged);
  EXPECT_EQ(resolver.asked, 2);
}

TEST_F(Socks5, ABlockedNameIsNeverLookedUp) {
  host.set_policy(
      [](const testkit::FakeFlow& flow) -> std::uint16_t { return flow.domain == "ads.test" ? GH_REASON_DOMAIN : 0; });
  plugin.policy_changed();
  Socket client = greeted();
  client.send(request(Command::connect, "ads.test", far.endpoint().port));
  EXPECT_EQ(reply(client), Reply::not_allowed);
  EXPECT_EQ(resolver.asked, 0);
  EXPECT_TRUE(far.is_left_alone());
}

TEST_F(Socks5, TheNextAddressIsTriedWhereOneIsDeniedOrRefuses) {
  resolver.set_addresses({IpAddress::v4(0x7f000002), IpAddress::v4(0x7f000003), IpAddress::v4(0x7f000001)});
  host.set_policy([](const testkit::FakeFlow& flow) -> std::uint16_t {
    return flow.destination.address == IpAddress::v4(0x7f000002) ? GH_REASON_HARD_DENY : 0;
  });
  plugin.policy_changed();
  Socket client = greeted();
  client.send(request(Command::connect, "a.test", far.endpoint().port));
  EXPECT_EQ(reply(client), Reply::succeeded);  // nobody listens at 127.0.0.3
  EXPECT_TRUE(counts("denied{reason=\"hard_deny\"}", 1));
  EXPECT_EQ(host.open_flows(), 1);
}

TEST_F(Socks5, SaysWhyNotResolved) {
  resolver.rcode = 3;
  Socket client = greeted();
  client.send(request(Command::connect, "a.test", 80));
  EXPECT_EQ(reply(client), Reply::host_unreachable);
  EXPECT_TRUE(said("its name has no address"));
  resolver.is_silent = true;
  client = greeted();
  client.send(request(Command::connect, "a.test", 80));
  EXPECT_EQ(reply(client), Reply::host_unreachable);
  EXPECT_TRUE(said("no resolver answers"));
  client = greeted();
  client.send(request(Command::connect, "a..test", 80));
  EXPECT_EQ(reply(client), Reply::host_unreachable);
}

TEST_F(Socks5, AClientThatGoesWhileItsNameIsLookedUpLeavesNothing) {
  resolver.is_silent = true;
  Socket client = greeted();
  client.send(request(Command::connect, "a.test", 80));
  EXPECT_TRUE(eventually([&] { return resolver.asked >= 2; }));
  const linger at_once{1, 0};
  setsockopt(client.fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  client.close();
  EXPECT_TRUE(counts("streams", 0));
  resolver.is_silent = false;
  client = greeted();
  client.send(request(Command::connect, "a.test", far.endpoint().port));
  EXPECT_EQ(reply(client), Reply::succeeded);
}

TEST_F(Socks5, EverybodyWhoWaitsForANameIsTold) {
  testkit::PluginRunner server(gatehouse_plugin, host, options(resolver.endpoint(), true, 1000), 1, GH_TRANSPORT_TCP);
  resolver.is_silent = true;
  std::vector<Socket> clients;
  for (int i = 0; i < 150; ++i) {
    clients.push_back(greeted(server));
    clients.back().send(request(Command::connect, "a.test", Server().endpoint().port));
  }
  resolver.is_silent = false;
  for (Socket& client : clients) ASSERT_EQ(reply(client), Reply::connection_refused);
  clients.clear();
  EXPECT_TRUE(counts("streams", 0));
}

TEST_F(Socks5, OneSourceLeavesLookUpsForOthersAndThoseOfWhoHasGoneEnd) {
  host.set_descriptors(64);  // eight look-ups
  testkit::PluginRunner server(gatehouse_plugin, host, options(resolver.endpoint(), true, 1000), 1, GH_TRANSPORT_TCP);
  resolver.is_silent = true;
  std::vector<Socket> clients;
  for (int i = 0; i < 5; ++i) {
    clients.push_back(greeted(server));
    clients.back().send(request(Command::connect, "n" + std::to_string(i) + ".test", 80));
    EXPECT_TRUE(eventually([&] { return resolver.asked == 2 * std::min(i + 1, 4); }));
  }
  EXPECT_EQ(reply(clients.back()), Reply::general_failure);
  const linger at_once{1, 0};
  for (const Socket& client : clients) setsockopt(client.fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  clients.clear();
  EXPECT_TRUE(counts("streams", 0));
  resolver.is_silent = false;
  Socket client = greeted(server);
  client.send(request(Command::connect, "n9.test", far.endpoint().port));
  EXPECT_EQ(reply(client), Reply::succeeded);
  EXPECT_EQ(host.metric("look_ups"), 5u);
}

// ---- traffic rules

TEST_F(Socks5, ARateDelaysAndLosesNothing) {
  std::atomic<std::uint64_t> left = 20'000;
  set_traffic({.charge = [&](std::uint32_t, std::uint64_t, std::uint64_t want,
                             std::uint64_t least) { return testkit::take_from(left, want, least, 1'000'000); },
               .open_flow = {},
               .open_client = {}});
  Socket client = greeted();
  client.send(request(Command::connect, far.endpoint()));
  EXPECT_EQ(reply(client), Reply::succeeded);
  Socket server = far.accept();
  const ByteVector sent(100'000, std::byte{7});
  client.send(sent);
  EXPECT_TRUE(eventually([&] { return host.metric("bytes{direction=\"up\"}") >= 15'000; }));
  EXPECT_LE(host.metric("bytes{direction=\"up\"}"), 20'000u);
  left = UINT64_MAX / 2;
  EXPECT_TRUE(server.receive(sent.size()) == sent);
}

TEST_F(Socks5, AQuotaThatIsUsedUpEndsIt) {
  std::atomic<std::uint64_t> left = 20'000;
  set_traffic({.charge = [&](std::uint32_t, std::uint64_t, std::uint64_t want,
                             std::uint64_t least) { return testkit::take_from(left, want, least, UINT64_MAX); },
               .open_flow = {},
               .open_client = {}});
  Socket client = greeted();
  client.send(request(Command::connect, far.endpoint()));
  EXPECT_EQ(reply(client), Reply::succeeded);
  Socket server = far.accept();
  client.send(ByteVector(30'000));
  EXPECT_TRUE(client.ended());
  EXPECT_TRUE(said("its quota is used up"));
}

TEST_F(Socks5, ClientsAndFlowsThatARuleForbidsAreRefused) {
  set_traffic({.charge = {},
               .open_flow = [](const Endpoint&) -> std::uint16_t { return GH_REASON_NEW_FLOW_RATE; },
               .open_client = {}},
              false);
  Socket client = greeted();
  client.send(request(Command::connect, far.endpoint()));
  EXPECT_EQ(reply(client), Reply::not_allowed);
  set_traffic(
      {.charge = {}, .open_flow = {}, .open_client = []() -> std::uint16_t { return GH_REASON_CONCURRENT_SESSIONS; }},
      false);
  Socket refused(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  refused.connect(plugin.address());
  refused.send(hex("050100"));
  EXPECT_EQ(refused.receive(2), hex("05ff"));
  EXPECT_TRUE(counts("streams_refused{cause=\"policy\"}", 1));
}

// ---- budgets

TEST_F(Socks5, TheLongestIdleStreamGivesWayWhereDescriptorsAreShort) {
  host.set_descriptors(8);
  std::vector<Socket> clients;
  for (int i = 0; i < 12; ++i) clients.push_back(greeted());
  EXPECT_TRUE(clients.front().ended());
  clients.back().send(request(Command::connect, far.endpoint()));
  EXPECT_EQ(reply(clients.back()), Reply::succeeded);
  EXPECT_NE(host.shortages(GH_RESOURCE_DESCRIPTORS), 0u);
}

TEST_F(Socks5, WhoeverHasMostWaitingGivesWayWhereMemoryIsShort) {
  host.set_memory(65'536);  // each keeps up to 16 KiB
  std::vector<Socket> clients, servers;
  for (int i = 0; i < 24; ++i) {
    clients.push_back(greeted());
    clients.back().send(request(Command::connect, far.endpoint()));
    EXPECT_EQ(reply(clients.back()), Reply::succeeded);
    servers.push_back(far.accept());
    const timeval soon{0, 100'000};
    setsockopt(clients.back().fd(), SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof soon);
    const ByteVector much(6 << 20);  // nobody reads it
    static_cast<void>(::send(clients.back().fd(), much.data(), much.size(), MSG_NOSIGNAL));
  }
  EXPECT_TRUE(eventually([&] { return host.shortages(GH_RESOURCE_MEMORY) != 0; }));
  EXPECT_TRUE(said("memory_bytes of all clients are used up"));
}

}  // namespace
}  // namespace gatehouse::socks5
