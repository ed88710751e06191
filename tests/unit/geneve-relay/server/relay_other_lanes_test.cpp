// What lanes have to do with each other: packets at the wrong one, and lanes that do not answer.
#include "tests/unit/geneve-relay/server/relay_rig.hpp"

namespace gatehouse::geneve_relay {
namespace {

class RelayOtherLanes : public RelayPlugin {
 protected:
  /// A lane that does nothing until the test ends, or says so.
  class Standstill {
   public:
    explicit Standstill(std::uint32_t lane) {
      const std::scoped_lock lock(RunningLanes::mutex);
      RunningLanes::seats.at(lane).loop->post([gone = end_.get_future().share(), begun = &begun_] {
        begun->set_value();
        gone.wait();
      });
    }
    ~Standstill() { end_.set_value(); }
    void wait() { begun_.get_future().wait(); }

   private:
    std::promise<void> end_, begun_;
  };
  struct Pair {
    TestClient a, b;
    ServerEndpoint endpoint;
  };
  /// A pair that is that lane's.
  std::unique_ptr<Pair> pair_of(std::uint32_t lane, std::uint32_t lanes) {
    for (;;) {
      auto out = std::make_unique<Pair>();
      out->endpoint = allocate(out->a, out->b);
      if (lane_of(out->endpoint.vni, lanes) == lane) return out;
    }
  }
};

/// In one coalesced buffer, which is where lanes get what is not theirs.
TEST_F(RelayOtherLanes, WhatNamesNobodysVniIsNotHandedOver) {
  run(2);
  const auto own = pair_of(0, 2);
  bind(own->a, own->b, own->endpoint);
  std::vector<ByteVector> sent{data(own->endpoint.vni, "own")};
  std::uint64_t strays = 0;
  for (std::uint32_t vni = own->endpoint.vni + 1; sent.size() < 30; vni += 2, ++strays)
    sent.push_back(data(vni, "not"));
  own->a.send_together(relay(), sent);
  EXPECT_EQ(own->b.receive(), sent[0]);
  EXPECT_TRUE(eventually([&] { return drops("unknown_vni") == strays; }));
  EXPECT_EQ(host.metric("handed_over"), 0u);
  const auto other = pair_of(1, 2);
  own->a.send_together(relay(), {sent[0], data(other->endpoint.vni, "is")});
  EXPECT_TRUE(eventually([&] { return host.metric("handed_over") == 1; }));
}

TEST_F(RelayOtherLanes, WhoAsksOneThatStandsStillIsToldSo) {
  run(3);
  const auto of_second = pair_of(1, 3), of_third = pair_of(2, 3);
  Standstill second(1);
  second.wait();
  std::vector<std::future<AllocationOutcome>> asked;
  for (std::size_t i = 0; i < 2 * LaneInbox::kMessages + 10; ++i)
    asked.push_back(RunningLanes::ask(0, demand(of_second->a, of_second->b)));
  EXPECT_EQ(allocate(of_third->a, of_third->b), of_third->endpoint) << "another lane is asked all the same";
  EXPECT_EQ(std::get<AllocationRefusal>(asked.back().get()).cause, AllocationRefusal::Cause::no_answer)
      << "no more than that waits for it";
  ASSERT_EQ(asked.front().wait_for(20s), std::future_status::ready);
  EXPECT_EQ(std::get<AllocationRefusal>(asked.front().get()).cause, AllocationRefusal::Cause::no_answer);
}

TEST_F(RelayOtherLanes, ASessionThatEndsTakesItsEndpointAtOnce) {
  run();
  TestClient a, b;
  const ServerEndpoint endpoint = allocate(a, b);
  bind(a, b, endpoint);
  a.send(relay(), data(endpoint.vni, "before"));
  EXPECT_EQ(b.receive(), data(endpoint.vni, "before"));
  host.pass(49h);  // as the host ends what it has not heard of for so long
  a.send(relay(), data(endpoint.vni, "after"));
  EXPECT_TRUE(eventually([&] { return drops("ended") == 1; }, 1s));
  EXPECT_TRUE(b.receive(50ms).empty());
  a.send(relay(), data(endpoint.vni, "after"));
  EXPECT_TRUE(eventually([&] { return drops("unknown_vni") == 1; }, 1s));
  EXPECT_EQ(host.open_clients(), 0);
}

TEST_F(RelayOtherLanes, WhoAsksAfterThatGetsAnotherOne) {
  run();
  TestClient a, b;
  const ServerEndpoint endpoint = allocate(a, b);
  host.pass(49h);  // as the host ends what it has not heard of for so long
  EXPECT_NE(allocate(a, b).vni, endpoint.vni);
}

}  // namespace
}  // namespace gatehouse::geneve_relay
