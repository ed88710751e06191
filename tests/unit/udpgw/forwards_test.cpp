// What becomes of forwards and queries where something is refused, is short, or is over.
#include "tests/unit/udpgw/udpgw_fixture.hpp"

namespace gatehouse::udpgw {
namespace {

class Forwards : public UdpgwPlugin {
 protected:
  /// All that was sent before has been dealt with.
  void settle(Stream& stream) {
    stream.send(frame(999, 0, barrier.endpoint, hex("ee")));
    EXPECT_EQ(barrier.receive(), hex("ee"));
  }
  std::uint64_t of(const char* what, const Endpoint& resolver_endpoint) const {
    return host.metric(std::string(what) + "{resolver=\"" + resolver_endpoint.to_string() + "\"}");
  }
  std::uint64_t dropped(const char* cause) const { return host.metric("drops{cause=\"" + std::string(cause) + "\"}"); }

  const Endpoint stated = *Endpoint::parse("203.0.113.9:53");
  Far barrier;
};

TEST_F(Forwards, AnAnsweredQueryIsOver) {
  Stream stream(plugin.address());
  stream.send(frame(5, kDns, stated, hex(kDnsQuery)));
  EXPECT_EQ(resolver.receive(), hex(kDnsQuery));
  resolver.send(resolver.from, hex("12348180"));
  EXPECT_EQ(stream.receive(), frame(5, 0, stated, hex("12348180")));
  const std::uint64_t before = of("resolver_failures", resolver.endpoint);  // 1 where that took longer than the timeout
  stream.send(frame(6, kDns, stated, hex(kDnsQuery)));  // nobody answers: its end tells that the first one's is past
  EXPECT_TRUE(eventually([&] { return of("resolver_failures", second_resolver.endpoint) == 1; }, 20s));
  settle(stream);
  EXPECT_EQ(of("resolver_failures", resolver.endpoint), before + 1);
  EXPECT_EQ(host.metric("icmp_errors"), 0u);
}

TEST_F(Forwards, AQueryCountsForTheResolverThatIsAsked) {
  Stream stream(plugin.address());
  stream.send(frame(5, kDns, stated, hex(kDnsQuery)));
  EXPECT_EQ(second_resolver.receive(), hex(kDnsQuery));  // the first is silent
  second_resolver.send(second_resolver.from, hex("12348180"));
  EXPECT_EQ(stream.receive(), frame(5, 0, stated, hex("12348180")));
  stream.send(frame(6, kDns, stated, hex(kDnsQuery)));
  EXPECT_EQ(second_resolver.receive(), hex(kDnsQuery));
  second_resolver.send(second_resolver.from, hex("12348180"));
  EXPECT_EQ(stream.receive(), frame(6, 0, stated, hex("12348180")));
  EXPECT_EQ(of("resolver_queries", second_resolver.endpoint), 2u);
}

TEST_F(Forwards, ARefusingResolverIsNotAskedAgainWhereThereIsNoOther) {
  Endpoint closed_port;
  {
    const Far gone;
    closed_port = gone.endpoint;
  }
  std::string why;
  ASSERT_EQ(plugin.reconfigure(options(closed_port, closed_port), why), GH_OK) << why;
  Stream stream(plugin.address());
  settle(stream);
  stream.send(frame(5, kDns, stated, hex(kDnsQuery)));
  EXPECT_TRUE(eventually([&] { return of("resolver_failures", closed_port) >= 1; }));
  settle(stream);
  EXPECT_EQ(of("resolver_queries", closed_port), 1u);
}

TEST_F(Forwards, OneIcmpErrorOfOneClientTakesTheResolverFromNobodyElse) {
  auto first = std::make_unique<Far>();
  const Endpoint alive = first->endpoint;
  std::string why;
  ASSERT_EQ(plugin.reconfigure(options(alive, second_resolver.endpoint, 60'000), why), GH_OK) << why;
  Stream one(plugin.address()), other(plugin.address());
  one.send(frame(5, kDns, stated, hex(kDnsQuery)));  // it is never answered
  EXPECT_EQ(first->receive(), hex(kDnsQuery));
  other.send(frame(6, kDns, stated, hex(kDnsQuery)));
  EXPECT_EQ(first->receive(), hex(kDnsQuery));
  first->send(first->from, hex("12348180"));
  EXPECT_EQ(other.receive(), frame(6, 0, stated, hex("12348180")));
  first.reset();
  one.send(frame(5, kDns, stated, hex(kDnsQuery)));
  EXPECT_EQ(second_resolver.receive(), hex(kDnsQuery)) << "who was refused asks the next one at once";
  EXPECT_EQ(of("resolver_failures", alive), 1u);
  first = std::make_unique<Far>(alive.port);
  other.send(frame(7, kDns, stated, hex(kDnsQuery)));
  EXPECT_EQ(first->receive(), hex(kDnsQuery));
}

TEST_F(Forwards, AResolverThatRefusesAndSaysNothingElseHasFailed) {
  Endpoint closed_port;
  {
    const Far gone;
    closed_port = gone.endpoint;
  }
  std::string why;
  ASSERT_EQ(plugin.reconfigure(options(closed_port, second_resolver.endpoint, 60'000), why), GH_OK) << why;
  Stream one(plugin.address()), other(plugin.address());
  one.send(frame(5, kDns, stated, hex(kDnsQuery)));
  EXPECT_EQ(second_resolver.receive(), hex(kDnsQuery));
  other.send(frame(6, kDns, stated, hex(kDnsQuery)));
  EXPECT_EQ(second_resolver.receive(), hex(kDnsQuery));
  EXPECT_EQ(of("resolver_queries", closed_port), 1u);
}

TEST_F(Forwards, ADestinationThatCannotBeReachedCostsNobodyAForward) {
  Stream stream(plugin.address());
  stream.send(frame(1, 0, far.endpoint, hex("01")));
  EXPECT_EQ(far.receive(), hex("01"));
  stream.send(frame(2, 0, *Endpoint::parse("255.255.255.255:9"), hex("02")));  // no broadcast without SO_BROADCAST
  settle(stream);
  EXPECT_EQ(dropped("send_failed"), 1u);
  EXPECT_EQ(dropped("no_socket"), 0u);
  EXPECT_EQ(host.metric("forwards_recycled"), 0u);
  EXPECT_EQ(host.open_flows(), 2) << "far's and the barrier's: the policy's flow is closed, too";
}

TEST_F(Forwards, OneIsClosedForAnotherWhereOthersShareTheLimit) {
  std::atomic<int> asked{0};
  set_traffic({{},
               [&asked](const Endpoint&) {
                 return ++asked == 2 ? std::uint16_t{GH_REASON_CONCURRENT_FLOWS} : std::uint16_t{0};
               },
               {}});
  Far other;
  Stream stream(plugin.address());
  stream.send(frame(1, 0, far.endpoint, hex("01")));
  EXPECT_EQ(far.receive(), hex("01"));
  stream.send(frame(2, 0, other.endpoint, hex("02")));
  EXPECT_EQ(other.receive(), hex("02"));
  EXPECT_EQ(host.metric("forwards_recycled"), 1u);
  EXPECT_EQ(host.metric("flows_refused{reason=\"concurrent_flows\"}"), 0u);
  EXPECT_EQ(host.open_flows(), 1);
}

TEST_F(Forwards, NoneIsClosedWhereThereIsNone) {
  set_traffic({{}, [](const Endpoint&) { return std::uint16_t{GH_REASON_CONCURRENT_FLOWS}; }, {}});
  Stream stream(plugin.address());
  stream.send(frame(1, 0, far.endpoint, hex("01")));
  EXPECT_TRUE(eventually([&] { return host.metric("flows_refused{reason=\"concurrent_flows\"}") == 1; }));
  EXPECT_EQ(host.metric("forwards_recycled"), 0u);
  set_traffic({});
  stream.send(frame(1, 0, far.endpoint, hex("02")));
  EXPECT_EQ(far.receive(), hex("02"));
}

TEST_F(Forwards, ComeNoMoreFromAListenerThatIsGone) {
  testkit::FakeHost its_host;
  testkit::PluginRunner two(gatehouse_plugin, its_host, options(resolver.endpoint, second_resolver.endpoint), 1,
                            {testkit::TestListener{}, testkit::TestListener{}});
  for (const std::size_t listener : {0u, 1u}) {  // a lane that has not begun would never know of the second
    Stream before(two.address(listener));
    settle(before);
  }
  std::string why;
  ASSERT_EQ(two.keep_listeners({0}, why), GH_OK) << why;
  EXPECT_TRUE(eventually([&] {  // a lane that has just been busy knows it some turns later
    Stream gone(two.address(1)), kept(two.address(0));
    gone.send(frame(1, 0, far.endpoint, hex("01")));
    settle(kept);
    return far.idle() || (far.receive(), false);
  }));
}

TEST_F(Forwards, LeaveNothingPendingWhenTheirStreamsEnd) {
  {
    Stream stream(plugin.address()), other(plugin.address());
    settle(stream);
    settle(other);
    EXPECT_EQ(plugin.pending(), 2u);
  }
  EXPECT_TRUE(eventually([&] { return plugin.pending() == 0 && host.metric("streams") == 0; }));
  EXPECT_EQ(host.open_flows(), 0);
  plugin.stop();
  EXPECT_EQ(plugin.pending(), 0u);
}

TEST_F(Forwards, AQueryThatIsTooLongToBeKeptIsNotAskedAgain) {
  ByteVector long_query = hex(kDnsQuery);
  long_query.resize(1300);
  ByteVector wire = frame(5, kDns, stated, hex(kDnsQuery));
  const ByteVector second = frame(5, kDns, stated, long_query);
  wire.insert(wire.end(), second.begin(), second.end());
  Stream stream(plugin.address());
  stream.send(wire);
  EXPECT_EQ(resolver.receive(), hex(kDnsQuery));
  EXPECT_EQ(resolver.receive(), long_query);
  EXPECT_EQ(second_resolver.receive(), hex(kDnsQuery));
  settle(stream);
  EXPECT_EQ(of("resolver_queries", second_resolver.endpoint), 1u);
}

TEST_F(Forwards, AQuietOneLeavesAResolverThatHasFailedForOthers) {
  Stream stream(plugin.address());
  stream.send(frame(4, kDns, stated, hex(kDnsQuery)));
  EXPECT_EQ(resolver.receive(), hex(kDnsQuery));
  resolver.send(resolver.from, hex("12348180"));
  EXPECT_EQ(stream.receive(), frame(4, 0, stated, hex("12348180")));
  stream.send(frame(5, kDns, stated, hex(kDnsQuery)));  // the first is silent now
  EXPECT_EQ(second_resolver.receive(), hex(kDnsQuery));
  second_resolver.send(second_resolver.from, hex("12348180"));
  EXPECT_EQ(stream.receive(), frame(5, 0, stated, hex("12348180")));
  stream.send(frame(4, 0, stated, hex(kDnsQuery)));
  EXPECT_EQ(second_resolver.receive(), hex(kDnsQuery));
  EXPECT_EQ(dropped("no_socket"), 0u);
}

TEST_F(Forwards, AreClosedByAVerdictOnTheFlowAndNotByOneOnAName) {
  std::atomic<std::uint16_t> reason{0};
  host.set_policy(
      [&reason](const testkit::FakeFlow& flow) { return flow.domain == "a.test" ? reason.load() : std::uint16_t{0}; });
  plugin.policy_changed();
  Stream stream(plugin.address());
  ByteVector fine = hex(kDnsQuery);
  fine[13] = std::byte{'b'};
  const auto open = [this] { return host.open_flows(); };
  stream.send(frame(5, kDns, stated, fine));
  settle(stream);
  EXPECT_EQ(open(), 2) << "the barrier's, too";
  for (const std::uint16_t of_name : {std::uint16_t{GH_REASON_DOMAIN}, std::uint16_t{GH_REASON_DNS_MALFORMED}}) {
    reason = of_name;
    stream.send(frame(5, kDns, stated, hex(kDnsQuery)));
    settle(stream);
    EXPECT_EQ(open(), 2) << of_name;
  }
  reason = GH_REASON_PORT_PERMIT;
  stream.send(frame(5, kDns, stated, hex(kDnsQuery)));
  settle(stream);
  EXPECT_EQ(open(), 1);
}

TEST_F(Forwards, AnswersThatAreMadeHereFindNoPlaceInAFullQueue) {
  host.set_policy([](const testkit::FakeFlow& flow) {
    return flow.domain.empty() ? std::uint16_t{0} : std::uint16_t{GH_REASON_DOMAIN};
  });
  plugin.policy_changed();
  ByteVector query = hex("1234 0100 0001 0000 0000 0000");
  for (int label = 0; label < 4; ++label) {
    query.push_back(std::byte{60});
    query.insert(query.end(), 60, std::byte{'a'});
  }
  const ByteVector end = hex("00 0001 0001"), one = [&] {
    query.insert(query.end(), end.begin(), end.end());
    return frame(5, kDns, stated, query);
  }();
  ByteVector wire;
  for (int i = 0; i < 1000; ++i) wire.insert(wire.end(), one.begin(), one.end());
  Stream stream(plugin.address());  // that nobody reads
  stream.send(frame(1, 0, far.endpoint, hex("01")));
  EXPECT_EQ(far.receive(), hex("01"));
  std::uint64_t asked = 0;
  do {
    stream.send(wire);
    asked += 1000;
    ASSERT_TRUE(eventually([&] { return host.metric("denied{reason=\"domain\"}") == asked; }, 20s));
  } while (host.metric("blocked_answers") == asked && asked < 100'000);
  EXPECT_LT(host.metric("blocked_answers"), asked);
  far.send(far.from, hex("02"));
  EXPECT_TRUE(eventually([&] { return host.metric("datagrams{direction=\"down\"}") == 1; })) << "a place of its own";
  EXPECT_EQ(dropped("client_buffer"), 0u);
}

}  // namespace
}  // namespace gatehouse::udpgw
