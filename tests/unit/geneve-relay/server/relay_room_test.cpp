// Who gets an endpoint of a relay that has as many as it may.
#include "tests/unit/geneve-relay/server/relay_rig.hpp"

namespace gatehouse::geneve_relay {
namespace {

using Cause = AllocationRefusal::Cause;

class RelayRoom : public RelayPlugin {
 protected:
  /// An endpoint of two new clients for that identity; none: the relay is full.
  std::optional<ServerEndpoint> ask(const std::string& identity, std::uint32_t lane = 0) {
    const TestClient a, b;
    auto future = RunningLanes::ask(lane, demand(a, b, identity));
    if (future.wait_for(5s) != std::future_status::ready) throw std::runtime_error("no outcome");
    const AllocationOutcome got = future.get();
    if (const auto* const endpoint = std::get_if<ServerEndpoint>(&got)) return *endpoint;
    EXPECT_EQ(std::get<AllocationRefusal>(got).cause, Cause::full);
    return {};
  }
  std::map<std::string, unsigned> owners() {
    std::map<std::string, unsigned> out;
    for (const auto& session : host.store().sessions()) ++out[session.identity];
    return out;
  }
};

TEST_F(RelayRoom, WhoeverHasMostGivesWayDownToAnEvenShare) {
  run(1, {{"most_endpoints", 4}});
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(ask("token:greedy"));
  EXPECT_FALSE(ask("token:greedy")) << "nobody has more";
  EXPECT_TRUE(ask("token:bob"));
  EXPECT_TRUE(ask("token:bob"));
  EXPECT_FALSE(ask("token:bob")) << "both have two";
  EXPECT_FALSE(ask("token:greedy"));
  EXPECT_EQ(owners(), (std::map<std::string, unsigned>{{"token:bob", 2}, {"token:greedy", 2}}));
  EXPECT_TRUE(ask("token:carol"));
  EXPECT_EQ(host.metric("displaced"), 3u);
  EXPECT_EQ(host.store().sessions().size(), 4u);
  EXPECT_EQ(host.open_clients(), 4);
}

TEST_F(RelayRoom, WhatWasIdleForLongestGoesFirst) {
  run(1, {{"most_endpoints", 3}});
  const auto oldest = ask("token:greedy"), middle = ask("token:greedy");
  ASSERT_TRUE(oldest && middle && ask("token:greedy"));
  ASSERT_TRUE(ask("token:bob"));
  std::vector<std::string> leases;
  for (const auto& session : host.store().sessions())
    leases.insert(leases.end(), session.leases.begin(), session.leases.end());
  EXPECT_EQ(std::ranges::count(leases, "vni:" + std::to_string(oldest->vni)), 0);
  EXPECT_EQ(std::ranges::count(leases, "vni:" + std::to_string(middle->vni)), 1);
}

TEST_F(RelayRoom, WhoMayNotAskTakesNobodysPlace) {
  run(1, {{"most_endpoints", 2}});
  ASSERT_TRUE(ask("token:greedy") && ask("token:greedy"));
  host.set_traffic({{}, {}, [] { return std::uint16_t{GH_REASON_ADMISSION}; }});
  plugin->policy_changed();
  const TestClient a, b;
  const AllocationOutcome got = RunningLanes::ask(0, demand(a, b, "token:bob")).get();
  EXPECT_EQ(std::get<AllocationRefusal>(got).cause, Cause::denied);
  EXPECT_EQ(host.metric("displaced"), 0u);
  EXPECT_EQ(owners()["token:greedy"], 2u);
}

TEST_F(RelayRoom, WhatALaneHasToServeAgainKeepsItsPlace) {
  constexpr std::size_t kMost = 16, kAsked = 40;  // of the pairs of either, some are of each lane
  run(2, {{"most_endpoints", kMost}});
  for (std::uint32_t i = 0; i < kMost; ++i) ASSERT_TRUE(ask("token:greedy", i % 2));
  std::promise<void> policy_comes;
  RunningLanes::late[1] = policy_comes.get_future().share();
  restart(2, {{"most_endpoints", kMost}});
  std::vector<std::future<AllocationOutcome>> asked;
  for (std::size_t i = 0; i < kAsked; ++i) {
    const TestClient a, b;
    asked.push_back(RunningLanes::ask(0, demand(a, b, "token:greedy")));
  }
  const auto is_answered = [](const auto& one) { return one.wait_for(0s) == std::future_status::ready; };
  EXPECT_TRUE(eventually([&] { return std::ranges::any_of(asked, is_answered); })) << "those of the first lane are";
  policy_comes.set_value();
  for (auto& one : asked) {
    ASSERT_EQ(one.wait_for(5s), std::future_status::ready);
    EXPECT_TRUE(std::holds_alternative<AllocationRefusal>(one.get()));
  }
  EXPECT_EQ(owners(), (std::map<std::string, unsigned>{{"token:greedy", kMost}}));
  RunningLanes::late.clear();
}

TEST_F(RelayRoom, EachLaneGivesWayByItsOwn) {
  run(3, {{"most_endpoints", 60}});
  for (std::uint32_t i = 0; i < 60; ++i) ASSERT_TRUE(ask("token:greedy", i % 3));
  for (std::uint32_t i = 0; i < 6; ++i) EXPECT_TRUE(ask("token:bob", i % 3)) << i;
  EXPECT_EQ(owners()["token:bob"], 6u);
}

}  // namespace
}  // namespace gatehouse::geneve_relay
