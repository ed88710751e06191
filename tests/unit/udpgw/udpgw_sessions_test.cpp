// A stream is a session in the store: what it has carried, and how long it lasts.
#include "tests/unit/udpgw/udpgw_fixture.hpp"

namespace gatehouse::udpgw {
namespace {

TEST_F(UdpgwPlugin, ASessionCarriesWhatItsFlowsDid) {
  Far other;
  Stream stream(plugin.address()), second(plugin.address());
  for (std::size_t i = 1; i <= 10; ++i) {  // some leave as runs, some singly, some on another forward
    stream.send(frame(1, 0, far.endpoint, ByteVector(10, std::byte{1})));
    EXPECT_EQ(far.receive().size(), 10u);
    stream.send(frame(2, 0, other.endpoint, ByteVector(i, std::byte{2})));
    EXPECT_EQ(other.receive().size(), i);
    far.send(far.from, ByteVector(100, std::byte{3}));
    EXPECT_FALSE(stream.receive().empty());
  }
  second.send(frame(1, 0, far.endpoint, {}));
  EXPECT_TRUE(eventually([&] {
    const auto all = host.store().sessions();
    return all.size() == 2 && all[0].packets_up + all[1].packets_up == 21;
  }));
  auto sessions = host.store().sessions();
  ASSERT_EQ(sessions.size(), 2u);
  if (sessions[0].packets_up < sessions[1].packets_up) std::swap(sessions[0], sessions[1]);
  EXPECT_EQ(sessions[0].plugin, "udpgw");
  EXPECT_EQ(sessions[0].packets_up, 20u);
  EXPECT_EQ(sessions[0].bytes_up, 155u);
  EXPECT_EQ(sessions[0].packets_down, 10u);
  EXPECT_EQ(sessions[0].bytes_down, 1000u);
  EXPECT_EQ(sessions[0].source.address.to_string(), "127.0.0.1");
  EXPECT_EQ(sessions[1].packets_up, 1u);
  EXPECT_EQ(sessions[1].bytes_up, 0u);
  EXPECT_EQ(host.metric("bytes{direction=\"up\"}"), 155u);
}

TEST_F(UdpgwPlugin, ASessionCarriesNothingThatWentNowhere) {
  host.set_policy([](const testkit::FakeFlow& flow) {
    return flow.destination.port == 9 ? std::uint16_t{GH_REASON_PORT_PERMIT} : std::uint16_t{0};
  });
  plugin.policy_changed();
  Stream stream(plugin.address());
  stream.send(frame(1, 0, *Endpoint::parse("127.0.0.1:9"), hex("01")));
  stream.send(frame(2, 0, far.endpoint, ByteVector(65508)));
  stream.send(frame(3, 0, far.endpoint, hex("010203")));
  EXPECT_EQ(far.receive(), hex("010203"));
  EXPECT_TRUE(eventually([&] { return host.store().sessions().at(0).bytes_up == 3; }));
  EXPECT_EQ(host.store().sessions().at(0).packets_up, 1u);
  EXPECT_EQ(host.metric("drops{cause=\"denied\"}"), 1u);
  EXPECT_EQ(host.metric("drops{cause=\"oversize\"}"), 1u);
}

TEST_F(UdpgwPlugin, ASessionEndsWithItsStream) {
  {
    Stream stream(plugin.address());
    ASSERT_TRUE(eventually([&] { return host.open_clients() == 1; }));
    const auto sessions = host.store().sessions();
    ASSERT_EQ(sessions.size(), 1u);
    EXPECT_EQ(host.last_client_session(), sessions[0].id) << "policy knows it";
    EXPECT_EQ(sessions[0].key, "");
  }
  EXPECT_TRUE(eventually([&] { return host.store().sessions().empty(); }));
}

TEST_F(UdpgwPlugin, ClosesAStreamThatGetsNoSession) {
  host.store().refuse_new(GH_E_LIMIT);
  Stream stream(plugin.address());
  EXPECT_TRUE(stream.ended());
  EXPECT_EQ(host.metric("streams_refused{cause=\"no_session\"}"), 1u);
  EXPECT_EQ(host.open_clients(), 0);
}

}  // namespace
}  // namespace gatehouse::udpgw
