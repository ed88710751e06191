// What comes to the relay's port beside Geneve: sealed requests for endpoints, and answers of STUN servers.
#include "plugins/geneve-relay/wire/stun_message.hpp"
#include "tests/unit/geneve-relay/server/relay_rig.hpp"

#include <gmock/gmock.h>

namespace gatehouse::geneve_relay {
namespace {

/// `client`'s request for an endpoint with `other`, as a naked envelope.
ByteVector sealed_request(TestClient& client, const TestClient& other, const ServerEndpoint& of_relay,
                          std::uint32_t generation) {
  std::array<std::byte, kAllocationRequestSize> message;
  write_allocation_request(message, {{client.key, other.key}, generation});
  const ByteVector control = client.sealed(of_relay, Bytes(message));
  return {control.begin() + kGeneveHeaderSize, control.end()};
}

TEST_F(RelayPlugin, ASealedRequestIsAnsweredWhereItCameFrom) {
  for (const unsigned lanes : {1u, 3u}) {
    run(lanes);
    for (const Family family : {Family::v4, Family::v6}) {
      TestClient a(family), b(family), c, d;
      host.set_credential(GH_CREDENTIAL_RELAY_KEY, a.key.to_hex(), "relay:alice");
      a.send(relay(family), sealed_request(a, b, allocate(c, d), 4711));
      const auto response = read_allocation_response(a.open_naked(allocate(c, d).server, a.receive()));
      ASSERT_TRUE(response);
      EXPECT_EQ(response->generation, 4711u);
      EXPECT_EQ(response->endpoint, allocate(a, b));
      bind(a, b, response->endpoint);
      a.send(relay(family), data(response->endpoint.vni, "asked for over UDP"));
      EXPECT_EQ(b.receive(), data(response->endpoint.vni, "asked for over UDP"));
      EXPECT_THAT(host.store().sessions(),
                  testing::Contains(testing::Field(&testkit::FakeSession::identity, "relay:alice")));
    }
  }
  EXPECT_EQ(host.metric(R"(allocations{via="disco"})"), 4u);
  EXPECT_EQ(host.metric(R"(other_datagrams{kind="disco"})"), 4u);
}

TEST_F(RelayPlugin, AStunServerIsAskedFromItsPortAndBelieved) {
  TestClient server, a, b;
  run(2, {{"stun_servers", {server.local.to_string()}}});
  const ByteVector request = server.receive();
  ASSERT_EQ(request.size(), kStunRequestSize);
  ByteVector answer = testkit::hex("0101000c|2112a442|000000000000000000000000|00200008|0001|8180|ea12d547");
  std::copy(request.begin() + 8, request.begin() + 20, answer.begin() + 8);
  server.send(relay(), answer);
  const Endpoint seen = Endpoint::parse("203.0.113.5:41106").value();
  EXPECT_TRUE(eventually([&] {
    const AddressList offered = allocate(a, b).addresses;
    return std::ranges::find(offered.all(), seen) != offered.all().end();
  }));
  EXPECT_EQ(host.metric(R"(other_datagrams{kind="stun"})"), 1u);
  answer[31] = std::byte{0};
  TestClient().send(relay(), answer);  // from somebody who was not asked
  EXPECT_TRUE(eventually([&] { return host.metric(R"(other_datagrams{kind="stun"})") == 2; }));
  EXPECT_EQ(allocate(a, b).addresses.size(), 2u) << "nobody else is";
}

}  // namespace
}  // namespace gatehouse::geneve_relay
