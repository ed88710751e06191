// The plugin under a fake gateway, with packets put into a real stream on loopback.
#include <gatehouse/packet/ip_packet.hpp>
#include <gatehouse/testkit/client.hpp>
#include <gatehouse/testkit/packets.hpp>
#include <gatehouse/testkit/plugin_file.hpp>
#include <gatehouse/testkit/plugin_runner.hpp>

#include <gtest/gtest.h>

namespace {

using namespace gatehouse;
using namespace gatehouse::testkit;

IpAddress address(const char* text) { return IpAddress::parse(text).value(); }

class Frontend : public testing::Test {
 protected:
  FakeHost host;
  PluginRunner plugin{load_plugin(PLUGIN_FILE), host, R"({"mtu": 1500})", 2, GH_TRANSPORT_TCP};
  PacketClient client{plugin.address()};
};

TEST_F(Frontend, AnswersPings) {
  for (const auto& [from, to] : {std::pair("10.0.0.2", "9.9.9.9"), std::pair("fd00::2", "2620:fe::fe")}) {
    client.send(ping_packet(address(from), address(to), 77, bytes_of("payload")));
    const ByteVector answer = client.receive();
    const auto facts = IpPacket::parse(answer);
    ASSERT_TRUE(facts);
    EXPECT_EQ(facts->source_address(answer), address(to));
    EXPECT_EQ(facts->destination_address(answer), address(from));
    EXPECT_EQ(facts->icmp_id, 77);
    EXPECT_EQ(facts->ttl, 64);
    EXPECT_TRUE(has_right_header_checksum(*facts, answer));
    EXPECT_TRUE(has_right_checksum(*facts, answer));
  }
}

TEST_F(Frontend, TellsWhatPolicyDenies) {
  host.set_policy([](const FakeFlow&) { return GH_REASON_PORT_PERMIT; });
  plugin.policy_changed();
  client.send(ping_packet(address("10.0.0.2"), address("9.9.9.9")));
  const ByteVector answer = client.receive();
  const auto facts = IpPacket::parse(answer);
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->icmp_type, 3);
  EXPECT_EQ(facts->icmp_code, 13) << "administratively prohibited";
}

TEST_F(Frontend, EndsWhoSendsNoPackets) {
  client.stream().send("\xff\xff is no length below the mtu");
  EXPECT_TRUE(client.receive().empty());
  EXPECT_TRUE(eventually([this] { return plugin.pending() == 0; }));
}

}  // namespace
