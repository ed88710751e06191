// UDP ASSOCIATE: whose datagrams go where, and what is dropped.
#include "plugins/socks5/wire/udp_header.hpp"
#include "tests/unit/socks5/socks5_fixture.hpp"

namespace gatehouse::socks5 {
namespace {

constexpr const char* kDnsQuery = "1234 0100 0001 0000 0000 0000 0161 0474657374 00 0001 0001";  // a.test A

class Socks5Udp : public Socks5 {
 protected:
  /// A client with an association.
  struct Associated {
    Socket stream;
    Socket datagrams{SOCK_DGRAM, kLoopback};
    Endpoint relay;

    void send(const Endpoint& to, Bytes payload, std::uint8_t fragment = 0) {
      ByteVector out(udp_header_size(to.address.family()));
      write_udp_header(out, to);
      out[2] = static_cast<std::byte>(fragment);
      out.insert(out.end(), payload.begin(), payload.end());
      datagrams.send_to(relay, out);
    }
    void send(std::string_view name, std::uint16_t port, Bytes payload) {
      ByteVector out = request(static_cast<Command>(0), name, port);
      out[0] = std::byte{0};
      out.insert(out.end(), payload.begin(), payload.end());
      datagrams.send_to(relay, out);
    }
    /// The payload of the next one, and whom it is said to come from.
    ByteVector receive() {
      const ByteVector got = datagrams.receive_datagram();
      const auto message = read_udp_message(got);
      if (!message) return {};
      source = message->destination.endpoint;
      return {message->payload.begin(), message->payload.end()};
    }
    Endpoint source;
  };
  Associated associate(const testkit::PluginRunner& server, const Endpoint& said = {IpAddress::v4(0), 0}) {
    Associated out{greeted(server), Socket(SOCK_DGRAM, kLoopback), {}, {}};
    out.stream.send(request(Command::udp_associate, said));
    const ByteVector answer = out.stream.receive(10);
    if (answer.size() == 10 && answer[1] == std::byte{0})
      out.relay = read_destination(Bytes(answer).subspan(3))->destination.endpoint;
    return out;
  }
  Associated associate() { return associate(plugin); }
  /// One that waits long for resolvers, so that a test can do much meanwhile.
  [[nodiscard]] std::string patient_options() const { return options(resolver.endpoint(), true, 1000); }

  Socket there{SOCK_DGRAM, kLoopback};
};

TEST_F(Socks5Udp, CarriesDatagramsBothWays) {
  Associated client = associate();
  ASSERT_NE(client.relay.port, 0);
  EXPECT_EQ(client.relay.address, kLoopback.address);
  client.send(there.local(), hex("0102"));
  EXPECT_EQ(there.receive_datagram(), hex("0102"));
  there.send_to(there.from, hex("0304"));
  EXPECT_EQ(client.receive(), hex("0304"));
  EXPECT_EQ(client.source, there.local());
  EXPECT_EQ(host.open_flows(), 1);
  client.stream.close();
  EXPECT_TRUE(eventually([&] { return host.open_flows() == 0; }));
  EXPECT_TRUE(counts("associations", 0));
}

TEST_F(Socks5Udp, AllDestinationsSeeOnePort) {
  Associated client = associate();
  Socket other(SOCK_DGRAM, kLoopback);
  client.send(there.local(), hex("01"));
  client.send(other.local(), hex("02"));
  there.receive_datagram();
  other.receive_datagram();
  EXPECT_EQ(there.from, other.from);
}

TEST_F(Socks5Udp, OnlyTheClientIsHeardAndOnlyWhomItSpokeToAnswers) {
  Associated client = associate();
  client.send(there.local(), hex("01"));
  there.receive_datagram();
  Socket stranger(SOCK_DGRAM, kLoopback);
  ByteVector wire(udp_header_size(Family::v4));
  write_udp_header(wire, there.local());
  stranger.send_to(client.relay, wire);
  EXPECT_TRUE(counts("drops{cause=\"foreign\"}", 1));
  stranger.send_to(there.from, hex("ff"));
  EXPECT_TRUE(counts("drops{cause=\"unsolicited\"}", 1));
  EXPECT_TRUE(client.datagrams.is_silent());
}

TEST_F(Socks5Udp, APortThatTheClientNamesIsTheOnlyOne) {
  std::uint64_t dropped = 0;
  for (const IpAddress& address : {kLoopback.address, IpAddress::v4(0)}) {
    Associated client = associate(plugin, {address, 1});
    client.send(there.local(), hex("01"));
    EXPECT_TRUE(counts("drops{cause=\"foreign\"}", ++dropped));
  }
}

TEST_F(Socks5Udp, NonsenseDoesNotTellThePort) {
  Associated client = associate();
  Socket stranger(SOCK_DGRAM, kLoopback);
  stranger.send_to(client.relay, hex("0000"));
  EXPECT_TRUE(counts("drops{cause=\"malformed\"}", 1));
  client.send(there.local(), hex("01"));
  EXPECT_EQ(there.receive_datagram(), hex("01"));
}

TEST_F(Socks5Udp, ADatagramThatIsCutIsDropped) {
  Associated client = associate();
  client.send(there.local(), ByteVector(65507 - 10));
  EXPECT_TRUE(counts("drops{cause=\"oversize\"}", 1));
  client.send(there.local(), hex("01"));
  EXPECT_EQ(there.receive_datagram(), hex("01"));
}

TEST_F(Socks5Udp, FragmentsAndNonsenseAreDropped) {
  Associated client = associate();
  client.send(there.local(), hex("01"), 1);
  EXPECT_TRUE(counts("drops{cause=\"fragment\"}", 1));
  client.datagrams.send_to(client.relay, hex("0000"));
  EXPECT_TRUE(counts("drops{cause=\"malformed\"}", 1));
  EXPECT_TRUE(there.is_silent());
}

TEST_F(Socks5Udp, NamesAreLookedUpAndJudged) {
  host.set_policy(
      [](const testkit::FakeFlow& flow) -> std::uint16_t { return flow.domain == "ads.test" ? GH_REASON_DOMAIN : 0; });
  plugin.policy_changed();
  Associated client = associate();
  client.send("ads.test", there.local().port, hex("ff"));
  EXPECT_TRUE(counts("drops{cause=\"denied\"}", 1));
  EXPECT_EQ(resolver.asked, 0);
  client.send("a.test", there.local().port, hex("01"));
  client.send("a.test", there.local().port, hex("02"));
  EXPECT_EQ(there.receive_datagram(), hex("01"));
  EXPECT_EQ(there.receive_datagram(), hex("02"));
  EXPECT_EQ(resolver.asked, 2);
}

/// What its answers lead to may be blocked since.
TEST_F(Socks5Udp, ANameIsLookedUpAgainUnderAnotherPolicy) {
  Associated client = associate();
  client.send("a.test", there.local().port, hex("01"));
  EXPECT_EQ(there.receive_datagram(), hex("01"));
  client.send("a.test", there.local().port, hex("02"));
  EXPECT_EQ(there.receive_datagram(), hex("02"));
  EXPECT_EQ(resolver.asked, 2) << "it is remembered";
  host.set_policy([](const testkit::FakeFlow&) -> std::uint16_t { return 0; });
  plugin.policy_changed();
  EXPECT_TRUE(eventually([&] {
    client.send("a.test", there.local().port, hex("03"));
    return resolver.asked >= 4;
  }));
  EXPECT_EQ(there.receive_datagram(), hex("03"));
}

TEST_F(Socks5Udp, AMappedAddressIsAnIpv4One) {
  resolver.is_mapped = true;
  Associated client = associate();
  client.send("a.test", there.local().port, hex("01"));
  EXPECT_EQ(there.receive_datagram(), hex("01"));
  there.send_to(there.from, hex("02"));
  EXPECT_EQ(client.receive(), hex("02"));
  EXPECT_EQ(client.source, there.local());
}

TEST_F(Socks5Udp, WhatWaitsForNamesIsBoundedAndLeavesRoomForOthers) {
  host.set_memory(65'536);  // 4096 bytes may wait
  testkit::PluginRunner server(gatehouse_plugin, host, patient_options(), 1, GH_TRANSPORT_TCP);
  resolver.is_silent = true;
  Associated greedy = associate(server), other = associate(server);
  for (int i = 0; i < 4; ++i) greedy.send("a.test", there.local().port, ByteVector(1500));
  EXPECT_TRUE(counts("drops{cause=\"unresolved\"}", 3));
  EXPECT_TRUE(eventually([&] { return resolver.asked == 2; }));
  other.send("b.test", there.local().port, ByteVector(1000));
  EXPECT_TRUE(eventually([&] { return resolver.asked == 4; }));
  resolver.is_silent = false;
  const std::size_t first = there.receive_datagram().size(), second = there.receive_datagram().size();
  EXPECT_EQ(first + second, 2500u);
  greedy.send("c.test", there.local().port, ByteVector(2000));  // what has gone waits no more
  EXPECT_EQ(there.receive_datagram().size(), 2000u);
  EXPECT_EQ(host.metric("drops{cause=\"unresolved\"}"), 3u);
}

TEST_F(Socks5Udp, WhatWaitsForANameWhenItsClientLeavesIsCounted) {
  testkit::PluginRunner server(gatehouse_plugin, host, patient_options(), 1, GH_TRANSPORT_TCP);
  resolver.is_silent = true;
  {
    Associated client = associate(server);
    for (int i = 0; i < 3; ++i) client.send("a.test", there.local().port, hex("01"));
    EXPECT_TRUE(eventually([&] { return resolver.asked == 2; }));
    client.send(there.local(), hex("02"));  // behind them
    EXPECT_EQ(there.receive_datagram(), hex("02"));
    EXPECT_EQ(host.metric("drops{cause=\"unresolved\"}"), 0u);
  }
  EXPECT_TRUE(counts("drops{cause=\"unresolved\"}", 3));
}

TEST_F(Socks5Udp, ANameThatIsLookedUpIsNotForgottenForAnother) {
  testkit::PluginRunner server(gatehouse_plugin, host, patient_options(), 1, GH_TRANSPORT_TCP);
  Associated client = associate(server);
  for (int i = 0; i < 64; ++i) {
    client.send("n" + std::to_string(i) + ".test", there.local().port, hex("01"));
    ASSERT_EQ(there.receive_datagram(), hex("01"));
  }
  resolver.is_silent = true;
  for (const char* const name : {"a.test", "b.test", "c.test", "d.test", "e.test"})
    client.send(name, there.local().port, hex("02"));
  EXPECT_TRUE(counts("drops{cause=\"unresolved\"}", 1));   // four at once
  client.send("n63.test", there.local().port, hex("03"));  // still known
  EXPECT_EQ(there.receive_datagram(), hex("03"));
  resolver.is_silent = false;
  for (int i = 0; i < 4; ++i) EXPECT_EQ(there.receive_datagram(), hex("02"));
}

TEST_F(Socks5Udp, ABlockedQueryIsAnsweredHere) {
  host.set_policy(
      [](const testkit::FakeFlow& flow) -> std::uint16_t { return flow.domain == "a.test" ? GH_REASON_DOMAIN : 0; });
  plugin.policy_changed();
  Associated client = associate();
  const Endpoint server{IpAddress::v4(0x7f000001), 53, 0};
  client.send(server, hex(kDnsQuery));
  const ByteVector answer = client.receive();
  ASSERT_GE(answer.size(), 12u);
  EXPECT_EQ(client.source, server);
  EXPECT_EQ(answer[3] & std::byte{15}, std::byte{3});  // NXDOMAIN
  EXPECT_TRUE(counts("blocked_answers", 1));
}

TEST_F(Socks5Udp, ANewPolicyCutsFlows) {
  Associated client = associate();
  client.send(there.local(), hex("01"));
  there.receive_datagram();
  host.set_policy([](const testkit::FakeFlow&) -> std::uint16_t { return GH_REASON_PORT_PERMIT; });
  plugin.policy_changed();
  EXPECT_TRUE(eventually([&] { return host.open_flows() == 0; }));
  there.send_to(there.from, hex("02"));
  EXPECT_TRUE(counts("drops{cause=\"unsolicited\"}", 1));
  client.send(there.local(), hex("03"));
  EXPECT_TRUE(counts("drops{cause=\"denied\"}", 1));
}

TEST_F(Socks5Udp, RatesAndQuotasDrop) {
  std::atomic<std::uint64_t> left = 30;
  set_traffic({.charge = [&](std::uint32_t, std::uint64_t, std::uint64_t want,
                             std::uint64_t least) { return testkit::take_from(left, want, least, 1'000'000); },
               .open_flow = {},
               .open_client = {}});
  Associated client = associate();
  client.send(there.local(), hex("0102"));  // 28 bytes of headers
  EXPECT_EQ(there.receive_datagram(), hex("0102"));
  client.send(there.local(), hex("0304"));
  EXPECT_TRUE(counts("drops{cause=\"rate\"}", 1));
}

}  // namespace
}  // namespace gatehouse::socks5
