// What people are told: that the relay is full, and what its sockets do.
#include "tests/unit/geneve-relay/server/relay_rig.hpp"

#include "plugins/geneve-relay/server/relay_notices.hpp"

#include <gmock/gmock.h>

namespace gatehouse::geneve_relay {
namespace {

using testing::HasSubstr;

TEST_F(RelayPlugin, AFullRelayIsANoticeForSomeSeconds) {
  run(1, {{"most_endpoints", 1}});
  TestClient a, b, c;
  allocate(a, b);
  EXPECT_EQ(host.notice("room"), "");
  EXPECT_EQ(std::get<AllocationRefusal>(outcome(a, c)).cause, AllocationRefusal::Cause::full);
  EXPECT_TRUE(eventually([&] { return !host.notice("room").empty(); }));
  EXPECT_THAT(host.notice("room"), HasSubstr("most_endpoints allows (1)"));
  EXPECT_EQ(host.notice("vnis"), "");
}

TEST_F(RelayPlugin, SoIsOneWithoutAFreeVni) {
  host.set_ranges("vni", {{5, 5}});
  run();
  TestClient a, b, c;
  EXPECT_EQ(allocate(a, b).vni, 5u);
  EXPECT_EQ(std::get<AllocationRefusal>(outcome(a, c)).cause, AllocationRefusal::Cause::full);
  EXPECT_TRUE(eventually([&] { return !host.notice("vnis").empty(); }));
}

TEST(Shortage, HoldsForTenSeconds) {
  Shortage shortage;
  const SteadyTime now = steady_now();
  EXPECT_FALSE(shortage.holds(now));
  shortage.begin(now);
  EXPECT_TRUE(shortage.holds(now + 9s));
  EXPECT_FALSE(shortage.holds(now + 10s));
}

TEST_F(RelayPlugin, BatchesAreCounted) {
  run();
  TestClient a, b;
  const ServerEndpoint endpoint = allocate(a, b);
  bind(a, b, endpoint);
  a.send_together(relay(), {data(endpoint.vni, "one"), data(endpoint.vni, "two"), data(endpoint.vni, "six")});
  EXPECT_TRUE(eventually([&] { return host.metric("udp_datagrams{way=\"sent\"}") == 2u + 3u; })) << "two challenges";
  EXPECT_EQ(host.metric("udp_datagrams{way=\"received\"}"), 4u + 3u);
  EXPECT_LE(host.metric("udp_messages{way=\"received\"}"), 4u + 3u);
  EXPECT_GT(host.metric("udp_calls{way=\"received\"}"), 0u);
}

/// With a buffer that no kernel grants, and a socket that is told not to coalesce.
TEST_F(RelayPlugin, WhatTheKernelDoesNotGrantIsANotice) {
  const UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  Poller poller;
  Listener listener;
  listener.fd = fd.get();
  listener.local = Endpoint::parse("127.0.0.1:7500").value();
  std::vector<std::unique_ptr<RelaySocket>> sockets;
  sockets.push_back(std::make_unique<RelaySocket>(poller, listener, UdpListenerOptions{.gso = Gso::off},
                                                  [](RelaySocket&, std::span<Datagram>) {}));
  const int granted = sockets[0]->granted_buffer();
  ASSERT_GT(granted, 0);
  const Host face(host.table(), "relay");
  RelaySettings settings{Options(options())};
  RelayNotices(face, granted).tell_sockets(sockets, settings);
  EXPECT_EQ(host.notice("buffers"), "");
  RelayNotices notices(face, granted + 1);
  notices.tell_sockets(sockets, settings);
  EXPECT_THAT(host.notice("buffers"), HasSubstr("net.core.rmem_max"));
  EXPECT_THAT(host.notice("gso"), HasSubstr("gso = \"off\""));
  settings.gso = Gso::off;
  notices.tell_sockets(sockets, settings);
  EXPECT_EQ(host.notice("gso"), "") << "as it was asked for";
}

}  // namespace
}  // namespace gatehouse::geneve_relay
