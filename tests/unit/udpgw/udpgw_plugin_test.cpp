// What goes through the plugin, what does not, and what becomes of streams.
#include "plugins/udpgw/flow_socket.hpp"
#include "tests/unit/udpgw/udpgw_fixture.hpp"

namespace gatehouse::udpgw {
namespace {

TEST_F(UdpgwPlugin, CarriesDatagramsBothWays) {
  Stream stream(plugin.address());
  stream.send(frame(7, kRebind, far.endpoint, hex("0102")));
  EXPECT_EQ(far.receive(), hex("0102"));
  far.send(far.from, hex("0304"));
  EXPECT_EQ(stream.receive(), frame(7, 0, far.endpoint, hex("0304")));
  stream.send(frame(7, 0, far.endpoint, {}));
  EXPECT_EQ(far.receive(), ByteVector());
  EXPECT_EQ(host.metric("forwards_opened"), 1u);
}

TEST_F(UdpgwPlugin, TakesAStreamThatIsCutAnywhere) {
  ByteVector wire = hex("0300010000");  // keepalive
  for (const char* malformed : {"02000000", "0000", "08000005007f00000100"}) {
    const ByteVector bytes = hex(malformed);
    wire.insert(wire.end(), bytes.begin(), bytes.end());
  }
  const ByteVector data = frame(5, 0xf0, far.endpoint, hex("6162"));  // unknown flags: data
  wire.insert(wire.end(), data.begin(), data.end());
  for (std::size_t cut = 1; cut < wire.size(); ++cut) {
    Stream stream(plugin.address());
    stream.send(Bytes(wire).first(cut));
    std::this_thread::sleep_for(1ms);  // so that the parts are read apart, as a rule
    stream.send(Bytes(wire).subspan(cut));
    ASSERT_EQ(far.receive(), hex("6162")) << "cut at " << cut;
  }
  EXPECT_EQ(host.metric("drops{cause=\"malformed\"}"), 3 * (wire.size() - 1));
}

TEST_F(UdpgwPlugin, RunsOfOneForwardArriveAsTheyWereSent) {
  Stream stream(plugin.address());
  ByteVector wire;
  std::vector<ByteVector> sent;
  for (std::size_t i = 0; i < 100; ++i) {
    sent.emplace_back(i % 10 == 9 ? 3 : 8, static_cast<std::byte>(i));
    if (i % 10 == 4) sent.back().clear();  // an empty datagram ends a run
    const ByteVector bytes = frame(1, 0, far.endpoint, sent.back());
    wire.insert(wire.end(), bytes.begin(), bytes.end());
  }
  stream.send(wire);
  for (const ByteVector& payload : sent) EXPECT_EQ(far.receive(), payload);
  EXPECT_TRUE(eventually([&] { return host.metric("datagrams{direction=\"up\"}") == 100; }));
}

TEST_F(UdpgwPlugin, RebindLeavesFromANewPort) {
  Stream stream(plugin.address());
  stream.send(frame(1, kRebind, far.endpoint, hex("01")));
  far.receive();
  const Endpoint first = far.from;
  stream.send(frame(1, 0, far.endpoint, hex("02")));
  far.receive();
  EXPECT_EQ(far.from, first);
  stream.send(frame(1, kRebind, far.endpoint, hex("03")));
  far.receive();
  EXPECT_NE(far.from, first);
  far.send(first, hex("ff"));  // nobody is there any more
  far.send(far.from, hex("04"));
  EXPECT_EQ(stream.receive(), frame(1, 0, far.endpoint, hex("04")));
}

TEST_F(UdpgwPlugin, AnotherAddressOpensAnotherForward) {
  Far other;
  Stream stream(plugin.address());
  stream.send(frame(1, 0, far.endpoint, hex("01")));
  stream.send(frame(1, 0, other.endpoint, hex("02")));
  EXPECT_EQ(far.receive(), hex("01"));
  EXPECT_EQ(other.receive(), hex("02"));
  EXPECT_EQ(host.metric("forwards_opened"), 2u);
  EXPECT_TRUE(eventually([&] { return host.metric("forwards") == 1; }));
}

TEST_F(UdpgwPlugin, MappedAddressKeepsItsLabel) {
  Stream stream(plugin.address());
  ByteVector mapped(16);
  mapped[10] = mapped[11] = std::byte{0xff};
  std::copy_n(far.endpoint.address.bytes().begin(), 4, mapped.begin() + 12);
  const Endpoint label{IpAddress::v6(mapped), far.endpoint.port, 0};
  stream.send(frame(1, 0, label, hex("01")));
  EXPECT_EQ(far.receive(), hex("01"));
  far.send(far.from, hex("02"));
  EXPECT_EQ(stream.receive(), frame(1, 0, label, hex("02")));
}

TEST_F(UdpgwPlugin, SendsDnsFramesToTheResolverAndKeepsTheLabel) {
  Stream stream(plugin.address());
  const Endpoint stated = *Endpoint::parse("203.0.113.9:9999");
  stream.send(frame(5, kRebind | kDns, stated, hex(kDnsQuery)));
  EXPECT_EQ(resolver.receive(), hex(kDnsQuery));
  resolver.send(resolver.from, hex("12348180"));
  EXPECT_EQ(stream.receive(), frame(5, 0, stated, hex("12348180")));
}

TEST_F(UdpgwPlugin, AsksTheNextResolverWhenOneIsSilent) {
  Stream stream(plugin.address());
  const Endpoint stated = *Endpoint::parse("203.0.113.9:53");
  stream.send(frame(5, kDns, stated, hex(kDnsQuery)));
  EXPECT_EQ(resolver.receive(), hex(kDnsQuery));
  EXPECT_EQ(second_resolver.receive(), hex(kDnsQuery));
  second_resolver.send(second_resolver.from, hex("12348180"));
  EXPECT_EQ(stream.receive(), frame(5, 0, stated, hex("12348180")));
  stream.send(frame(6, kDns, stated, hex(kDnsQuery)));  // the one that failed is last in turn now
  EXPECT_EQ(second_resolver.receive(), hex(kDnsQuery));
  EXPECT_TRUE(resolver.idle());
}

TEST_F(UdpgwPlugin, AsksEachResolverOnce) {
  Stream stream(plugin.address());
  stream.send(frame(5, kDns, *Endpoint::parse("203.0.113.9:53"), hex(kDnsQuery)));
  const auto count = [this](const char* what, const Far& of) {
    return host.metric(std::string(what) + "{resolver=\"" + of.endpoint.to_string() + "\"}");
  };
  EXPECT_TRUE(eventually([&] { return count("resolver_failures", second_resolver) == 1; }, 20s));
  stream.send(frame(1, 0, far.endpoint, hex("01")));
  EXPECT_EQ(far.receive(), hex("01"));  // what follows from the second failure is over
  EXPECT_EQ(count("resolver_failures", resolver), 1u);
  EXPECT_EQ(count("resolver_queries", resolver), 1u);
  EXPECT_EQ(count("resolver_queries", second_resolver), 1u);
}

TEST_F(UdpgwPlugin, ForgivesAResolverThatAnswersAgain) {
  Stream stream(plugin.address());
  const Endpoint stated = *Endpoint::parse("203.0.113.9:53");
  stream.send(frame(4, kDns, stated, hex(kDnsQuery)));
  EXPECT_EQ(resolver.receive(), hex(kDnsQuery));
  const Endpoint early = resolver.from;
  resolver.send(early, hex("12348180"));
  EXPECT_EQ(stream.receive(), frame(4, 0, stated, hex("12348180")));
  stream.send(frame(5, kDns, stated, hex(kDnsQuery)));
  EXPECT_EQ(resolver.receive(), hex(kDnsQuery));
  EXPECT_EQ(second_resolver.receive(), hex(kDnsQuery));  // the first was silent, and is last in turn now
  second_resolver.send(second_resolver.from, hex("12348180"));
  EXPECT_EQ(stream.receive(), frame(5, 0, stated, hex("12348180")));
  std::string patient = options(resolver.endpoint, second_resolver.endpoint), why;
  patient.replace(patient.find(": 100,"), 6, ": 60000,");  // nobody is asked for another from here on
  ASSERT_EQ(plugin.reconfigure(patient, why), GH_OK) << why;
  resolver.send(early, hex("43218180"));
  EXPECT_EQ(stream.receive(), frame(4, 0, stated, hex("43218180")));
  stream.send(frame(6, kDns, stated, hex(kDnsQuery)));
  EXPECT_EQ(resolver.receive(), hex(kDnsQuery)) << "first in turn again";
}

TEST_F(UdpgwPlugin, AnswersABlockedNameInEveryDatagram) {
  host.set_policy([](const testkit::FakeFlow& flow) {
    return flow.domain == "a.test" ? std::uint16_t{GH_REASON_DOMAIN} : std::uint16_t{0};
  });
  plugin.policy_changed();
  Stream stream(plugin.address());
  const Endpoint stated = *Endpoint::parse("203.0.113.9:53");
  ByteVector allowed = hex(kDnsQuery);
  allowed[13] = std::byte{'b'};
  stream.send(frame(5, kDns, stated, allowed));
  EXPECT_EQ(resolver.receive(), allowed);
  stream.send(frame(5, 0, stated, hex(kDnsQuery)));  // later, on the same forward
  const ByteVector answer = stream.receive();
  ASSERT_GT(answer.size(), kOverheadV4 + 4);
  EXPECT_EQ(answer[kOverheadV4 + 3] & std::byte{0x0f}, std::byte{3});  // NXDOMAIN
  EXPECT_TRUE(resolver.idle());
}

TEST_F(UdpgwPlugin, ANewRuleCutsARunningForward) {
  Stream stream(plugin.address());
  stream.send(frame(1, 0, far.endpoint, hex("01")));
  EXPECT_EQ(far.receive(), hex("01"));
  host.set_policy([](const testkit::FakeFlow&) { return std::uint16_t{GH_REASON_PORT_PERMIT}; });
  plugin.policy_changed();
  EXPECT_TRUE(eventually([&] { return host.metric("forwards") == 0; }));
  stream.send(frame(1, 0, far.endpoint, hex("02")));
  EXPECT_TRUE(eventually([&] { return host.metric("denied{reason=\"port_permit\"}") == 1; }));
  EXPECT_TRUE(far.idle());
  host.set_policy({});
  plugin.policy_changed();
  stream.send(frame(1, 0, far.endpoint, hex("03")));
  EXPECT_EQ(far.receive(), hex("03"));
}

TEST_F(UdpgwPlugin, ClosesAfter64MalformedFramesInARow) {
  Stream tolerated(plugin.address()), closed(plugin.address());
  ByteVector wire(63 * 2);  // "0000" each
  tolerated.send(wire);
  tolerated.send(frame(1, 0, far.endpoint, hex("01")));
  tolerated.send(wire);
  tolerated.send(frame(1, 0, far.endpoint, hex("02")));
  EXPECT_EQ(far.receive(), hex("01"));
  EXPECT_EQ(far.receive(), hex("02"));
  wire.resize(64 * 2);
  closed.send(wire);
  EXPECT_TRUE(closed.ended());
  EXPECT_TRUE(said("why=64 malformed frames in a row"));
}

TEST_F(UdpgwPlugin, ClosesOnTun2proxysProtocolAndSaysSo) {
  Stream stream(plugin.address());
  stream.send(hex("0003010000"));
  EXPECT_TRUE(stream.ended());
  EXPECT_TRUE(said("tun2proxy"));
}

TEST_F(UdpgwPlugin, DeliversRepliesAfterTheClientsFin) {
  Stream stream(plugin.address());
  stream.send(frame(1, 0, far.endpoint, hex("01")));
  stream.finish();
  EXPECT_EQ(far.receive(), hex("01"));
  far.send(far.from, hex("02"));
  EXPECT_EQ(stream.receive(), frame(1, 0, far.endpoint, hex("02")));
  EXPECT_TRUE(stream.ended());
  EXPECT_TRUE(eventually([&] { return host.open_clients() == 0 && host.open_flows() == 0; }));
}

TEST_F(UdpgwPlugin, RecyclesTheForwardThatWasQuietForLongest) {
  set_limits(2, false);
  Stream stream(plugin.address());
  for (const std::uint16_t conid : {std::uint16_t{1}, std::uint16_t{2}}) {
    stream.send(frame(conid, 0, far.endpoint, hex("01")));
    far.receive();
  }
  stream.send(frame(1, 0, far.endpoint, hex("01")));
  far.receive();
  const Endpoint first = far.from;
  stream.send(frame(3, 0, far.endpoint, hex("01")));  // takes the place of 2
  far.receive();
  stream.send(frame(1, 0, far.endpoint, hex("01")));
  far.receive();
  EXPECT_EQ(far.from, first);
  EXPECT_EQ(host.metric("forwards_recycled"), 1u);
  EXPECT_EQ(host.open_flows(), 2);
}

TEST_F(UdpgwPlugin, DropsWhatAQuotaDoesNotHoldAndGoesOnWhenItDoes) {
  std::atomic<std::uint64_t> left{2 * (10 + 28) + 5};
  set_limits(UINT64_MAX, true);
  set_traffic({[&left](std::uint32_t, std::uint64_t, std::uint64_t want, std::uint64_t least) {
                 return testkit::take_from(left, want, least, UINT64_MAX);
               },
               {},
               {}});
  Stream stream(plugin.address());
  ByteVector wire;
  for (int i = 0; i < 5; ++i) {
    const ByteVector one = frame(1, 0, far.endpoint, ByteVector(10, static_cast<std::byte>(i)));
    wire.insert(wire.end(), one.begin(), one.end());
  }
  stream.send(wire);  // one run of five: two of them fit
  EXPECT_EQ(far.receive(), ByteVector(10, std::byte{0}));
  EXPECT_EQ(far.receive(), ByteVector(10, std::byte{1}));
  EXPECT_TRUE(eventually([&] { return host.metric("drops{cause=\"quota\"}") == 3; }));
  EXPECT_TRUE(far.idle());
  far.send(far.from, ByteVector(10, std::byte{9}));
  EXPECT_TRUE(eventually([&] { return host.metric("drops{cause=\"quota\"}") == 4; }));
  left = 1000;  // the stream was read all the time
  stream.send(frame(1, 0, far.endpoint, hex("07")));
  EXPECT_EQ(far.receive(), hex("07"));
  far.send(far.from, hex("08"));
  EXPECT_EQ(stream.receive(), frame(1, 0, far.endpoint, hex("08")));
  EXPECT_EQ(host.metric("drops{cause=\"rate\"}"), 0u);
}

TEST_F(UdpgwPlugin, WaitsForARateAndLosesNothing) {
  std::atomic<int> asked{0};
  set_limits(UINT64_MAX, true);
  set_traffic({[&asked](std::uint32_t, std::uint64_t, std::uint64_t want, std::uint64_t) {
                 return ++asked % 4 == 0 ? Grant{want, 0} : Grant{0, 1'000'000};
               },
               {},
               {}});
  Stream stream(plugin.address());
  for (int i = 0; i < 5; ++i) stream.send(frame(1, 0, far.endpoint, ByteVector(10, static_cast<std::byte>(i))));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(far.receive(), ByteVector(10, static_cast<std::byte>(i)));
}

TEST_F(UdpgwPlugin, ManySmallDatagramsWaitForARateTogether) {
  constexpr std::uint64_t kCost = 1 + FlowSocket::kHeadersV4, kNsAByte = 100'000;  // 10 kB/s
  std::atomic<int> asked{0};
  std::uint64_t taken = 0;
  const auto start = std::chrono::steady_clock::now();
  set_limits(UINT64_MAX, true);
  set_traffic({[&](std::uint32_t, std::uint64_t, std::uint64_t want, std::uint64_t least) {
                 ++asked;
                 const std::uint64_t all =
                     static_cast<std::uint64_t>((std::chrono::steady_clock::now() - start) / 1ns) / kNsAByte;
                 const std::uint64_t free = all - std::min(all, taken);
                 const std::uint64_t now = std::min(want, free / least * least);
                 taken += now;
                 return Grant{now, now == want ? 0 : (least - std::min(least, free - now)) * kNsAByte};
               },
               {},
               {}});
  Stream stream(plugin.address());
  constexpr int kCount = 100;
  ByteVector frames;
  for (int i = 0; i < kCount; ++i) {
    const ByteVector one = frame(1, 0, far.endpoint, ByteVector(1, static_cast<std::byte>(i)));
    frames.insert(frames.end(), one.begin(), one.end());
  }
  stream.send(frames);
  for (int i = 0; i < kCount; ++i) ASSERT_EQ(far.receive(), ByteVector(1, static_cast<std::byte>(i)));
  EXPECT_LT(asked, kCount / 2) << "one wake-up lets several go";
  EXPECT_GE(std::chrono::steady_clock::now() - start, Nanoseconds(kCount * kCost * kNsAByte - 1'000'000));
}

TEST_F(UdpgwPlugin, DropsFramesWhoseForwardATrafficRuleRefusesAndRecyclesNothingForThem) {
  Far refused;
  std::atomic<std::uint16_t> reason{0};
  const std::uint16_t port = refused.endpoint.port;
  set_limits(1, false);
  set_traffic(
      {{}, [&reason, port](const Endpoint& to) { return to.port == port ? reason.load() : std::uint16_t{0}; }, {}});
  Stream stream(plugin.address());
  stream.send(frame(1, 0, far.endpoint, hex("01")));
  EXPECT_EQ(far.receive(), hex("01"));
  const std::pair<std::uint16_t, const char*> kRefusals[] = {
      {GH_REASON_DESTINATIONS, "destinations"}, {GH_REASON_NEW_FLOW_RATE, "new_flow_rate"}, {GH_REASON_QUOTA, "quota"}};
  for (const auto& [number, text] : kRefusals) {
    reason = number;
    stream.send(frame(2, 0, refused.endpoint, hex("02")));
    const std::string series = std::string("flows_refused{reason=\"") + text + "\"}";
    EXPECT_TRUE(eventually([&] { return host.metric(series) == 1; })) << text;
  }
  EXPECT_TRUE(refused.idle());
  EXPECT_EQ(host.metric("drops{cause=\"flow_limit\"}"), 2u);
  EXPECT_EQ(host.metric("drops{cause=\"quota\"}"), 1u);
  EXPECT_TRUE(said("why=destinations row=traffic_rules 7"));
  EXPECT_EQ(host.metric("forwards_recycled"), 0u);  // only against concurrent_flows that would help
  stream.send(frame(1, 0, far.endpoint, hex("03")));
  EXPECT_EQ(far.receive(), hex("03"));
  EXPECT_EQ(host.metric("forwards_opened"), 1u);
}

TEST_F(UdpgwPlugin, ClosesAStreamThatPolicyRefusesAndSaysWhy) {
  set_traffic({{}, {}, [] { return std::uint16_t{GH_REASON_CONCURRENT_SESSIONS}; }});
  Stream stream(plugin.address());
  EXPECT_TRUE(stream.ended());
  EXPECT_TRUE(said("why=concurrent_sessions row=traffic_rules 7"));
  EXPECT_EQ(host.metric("streams_refused{cause=\"concurrent_sessions\"}"), 1u);
  EXPECT_EQ(host.open_clients(), 0);
  EXPECT_NE(host.last_client_session(), 0u);
  EXPECT_TRUE(host.store().sessions().empty());
}

TEST_F(UdpgwPlugin, AFrameAfterAnIcmpErrorGetsThrough) {
  Stream stream(plugin.address());
  Endpoint closed_port;
  {
    Far gone;
    closed_port = gone.endpoint;
  }
  stream.send(frame(1, 0, closed_port, hex("01")));
  EXPECT_TRUE(eventually([&] { return host.metric("icmp_errors") >= 1; }));
  UniqueFd back(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_storage address{};
  const socklen_t size = closed_port.to_sockaddr(address);
  ASSERT_EQ(bind(back.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  stream.send(frame(1, 0, closed_port, hex("02")));
  EXPECT_TRUE(readable(back.get(), 2s));
  EXPECT_EQ(host.metric("forwards_opened"), 1u);
}

TEST_F(UdpgwPlugin, CountsPayloadsThatNoDatagramCanCarry) {
  Stream stream(plugin.address());
  const ByteVector most(65507, std::byte{1}), more(65508, std::byte{2});
  stream.send(frame(1, 0, far.endpoint, most));
  EXPECT_EQ(far.receive(), most);
  stream.send(frame(1, 0, far.endpoint, more));
  stream.send(frame(1, 0, far.endpoint, hex("03")));
  EXPECT_EQ(far.receive(), hex("03"));
  EXPECT_EQ(host.metric("drops{cause=\"oversize\"}"), 1u);
  far.send(far.from, most);
  EXPECT_EQ(stream.receive(), frame(1, 0, far.endpoint, most));
}

TEST_F(UdpgwPlugin, AFloodDoesNotStarveAQuietForward) {
  Far quiet;
  Stream stream(plugin.address());
  stream.send(frame(1, 0, far.endpoint, hex("01")));
  stream.send(frame(2, 0, quiet.endpoint, hex("01")));
  far.receive();
  quiet.receive();
  const ByteVector block(1400, std::byte{9});
  // Until the stream's socket buffers and the queue are full: nobody reads.
  ASSERT_TRUE(eventually(
      [&] {
        for (int i = 0; i < 100; ++i) far.send(far.from, block);
        return host.metric("drops{cause=\"client_buffer\"}") > 1000;
      },
      20s));
  quiet.send(quiet.from, hex("02"));
  const ByteVector wanted = frame(2, 0, quiet.endpoint, hex("02"));
  ByteVector got;
  do got = stream.receive();
  while (!got.empty() && got != wanted);
  EXPECT_EQ(got, wanted);
}

}  // namespace
}  // namespace gatehouse::udpgw
