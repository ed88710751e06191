// What comes at another lane than its endpoint's is handed over, or dropped and counted.
#include "plugins/geneve-relay/server/lane_message.hpp"
#include "tests/unit/geneve-relay/server/relay_rig.hpp"

#include <deque>

namespace gatehouse::geneve_relay {
namespace {

class RelayLanes : public RelayPlugin {
 protected:
  static constexpr unsigned kLanes = 2;

  ~RelayLanes() override { RunningLanes::are_steered = true; }

  struct Line {
    TestClient* other;
    ServerEndpoint endpoint;
  };
  /// One client, bound with another one by an endpoint of each lane.
  void bind_on_each_lane() {
    std::array<bool, kLanes> has{};
    for (int tries = 0; lines.size() < kLanes && tries < 64; ++tries) {
      TestClient other;
      const ServerEndpoint endpoint = allocate(client, other);
      if (std::exchange(has[endpoint.vni % kLanes], true)) continue;
      others.push_back(std::move(other));
      lines[endpoint.vni % kLanes] = {&others.back(), endpoint};
      bind(client, others.back(), endpoint);
    }
    ASSERT_EQ(lines.size(), kLanes);
  }
  [[nodiscard]] ByteVector packet(std::uint32_t lane, std::size_t number, std::size_t size = 12) const {
    std::string text = std::to_string(1000 + number);
    text.resize(size, '.');
    return data(lines.at(lane).endpoint.vni, text);
  }
  [[nodiscard]] std::uint64_t handed_over() const { return host.metric("handed_over"); }
  /// It is counted behind the hand-over, so the other lane may have been quicker.
  [[nodiscard]] bool come_to_be_handed_over(std::uint64_t packets) const {
    return eventually([&] { return handed_over() == packets; });
  }

  TestClient client;
  std::deque<TestClient> others;
  std::map<std::uint32_t, Line> lines;
};

TEST_F(RelayLanes, WhatOneBufferHasForSeveralIsHandedOver) {
  run(kLanes);
  bind_on_each_lane();
  ASSERT_EQ(handed_over(), 0u) << "the kernel steers";
  // The kernel steers by the first packet, so the others of the buffer's second half come at the wrong lane.
  for (std::uint32_t first = 0; first < kLanes; ++first) {
    const std::uint32_t second = 1 - first;
    std::vector<ByteVector> sent;
    for (std::size_t i = 0; i < 30; ++i) sent.push_back(packet(i % 5 < 3 ? first : second, i));
    client.send_together(relay(), sent);
    for (std::size_t i = 0; i < 30; ++i) EXPECT_EQ(lines.at(i % 5 < 3 ? first : second).other->receive(), sent[i]) << i;
    EXPECT_TRUE(come_to_be_handed_over(12u * (first + 1)));
  }
  EXPECT_EQ(drops("other_lane"), 0u);
}

TEST_F(RelayLanes, WhereTheKernelDoesNotSteerTheyHandOver) {
  RunningLanes::are_steered = false;
  run(kLanes);
  for (std::uint64_t pairs = 0; pairs < 16; ++pairs) {  // by chance some are where they belong
    TestClient a, b(pairs % 2 == 0 ? Family::v4 : Family::v6);
    const ServerEndpoint endpoint = allocate(a, b);
    bind(a, b, endpoint);
    a.send(relay(), data(endpoint.vni, "there"));
    EXPECT_EQ(b.receive(), data(endpoint.vni, "there"));
    b.send(relay(b.local.address.family()), data(endpoint.vni, "and back"));
    EXPECT_EQ(a.receive(), data(endpoint.vni, "and back"));
  }
  EXPECT_GT(handed_over(), 0u);
  EXPECT_EQ(drops("other_lane"), 0u);
  EXPECT_EQ(drops("unknown_vni"), 0u);
}

TEST_F(RelayLanes, ARunThatIsHandedOverInPartsArrivesWhole) {
  run(kLanes);
  bind_on_each_lane();
  std::vector<ByteVector> sent{packet(0, 0, 1392)};
  for (std::size_t i = 1; i < 20; ++i) sent.push_back(packet(1, i, 1392));  // three parts of StrayRun::kMost at most
  sent.back().resize(100);
  client.send_together(relay(), sent);
  EXPECT_EQ(lines.at(0).other->receive(), sent[0]);
  for (std::size_t i = 1; i < 20; ++i) EXPECT_EQ(lines.at(1).other->receive(), sent[i]) << i;
  EXPECT_TRUE(come_to_be_handed_over(19));
}

TEST_F(RelayLanes, WhatIsTooLongToWaitIsDroppedAndCounted) {
  run(kLanes);
  bind_on_each_lane();
  const std::size_t too_long = StrayRun::kMost - kGeneveHeaderSize + 1;
  const std::vector<ByteVector> sent{packet(0, 0, too_long), packet(1, 1, too_long), packet(1, 2, too_long)};
  client.send_together(relay(), sent);
  EXPECT_EQ(lines.at(0).other->receive(), sent[0]);
  EXPECT_TRUE(eventually([&] { return drops("other_lane") == 2; }));
  EXPECT_EQ(handed_over(), 0u);
  client.send_together(relay(), {packet(0, 3, too_long - 1), packet(1, 4, too_long - 1)});
  EXPECT_EQ(lines.at(1).other->receive(), packet(1, 4, too_long - 1)) << "the longest that may wait";
}

TEST_F(RelayLanes, WhatFindsNoPlaceAtABusyLaneIsDroppedAndCounted) {
  run(kLanes);
  bind_on_each_lane();
  std::promise<void> go_on;
  RunningLanes::stop(1, go_on.get_future().share());
  constexpr std::uint64_t kSent = LaneInbox::kStrays + 50;
  for (std::uint64_t i = 0; i < kSent; ++i) {
    client.send_together(relay(), {packet(0, i), packet(1, i)});
    ASSERT_EQ(lines.at(0).other->receive(), packet(0, i)) << "the other lane is not held up";
  }
  EXPECT_TRUE(eventually([&] { return handed_over() + drops("other_lane") == kSent; }));
  EXPECT_EQ(handed_over(), LaneInbox::kStrays);
  go_on.set_value();
  for (std::uint64_t i = 0; i < LaneInbox::kStrays; ++i)
    EXPECT_EQ(lines.at(1).other->receive(), packet(1, i)) << "in order";
  EXPECT_TRUE(lines.at(1).other->receive(50ms).empty());
}

TEST_F(RelayLanes, WhatNoLaneHasIsDroppedWhereItComes) {
  run(kLanes);
  bind_on_each_lane();
  const std::uint32_t none = lines.at(1).endpoint.vni ^ 0x800000;
  client.send_together(relay(), {packet(0, 0), data(none, std::string(12, '?'))});
  EXPECT_TRUE(eventually([&] { return drops("unknown_vni") == 1; }));
  EXPECT_EQ(handed_over(), 0u);
}

}  // namespace
}  // namespace gatehouse::geneve_relay
