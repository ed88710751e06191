// What a lane calls for each packet allocates nothing, also where the policy has just changed.
#include "tests/unit/allocations.hpp"
#include "tests/unit/gateway/services/policy_table.hpp"

#include <thread>

namespace gatehouse {
namespace {

/// How often `work` allocates on this thread.
template <class Work>
std::size_t allocations_in(Work work) {
  const std::size_t before = allocations();
  work();
  return allocations() - before;
}

class LaneAllocation : public PolicyTable {
 protected:
  /// Everything that a lane asks about a running client, after `publish()`: with the change of generation in it.
  std::size_t packet_path(gh_client* client) {
    std::array<gh_flow, 3> flows{};
    flows.fill(make_flow(GH_TRANSPORT_UDP, {IpAddress::v4(0x08080808), 53, 0}));
    const std::string name = "a.name.that.is.too.long.for.any.small.string.example";
    flows[1].domain = to_border(name);
    std::array<gh_verdict, 3> verdicts;
    verdicts.fill(no_verdict());
    return allocations_in([&] {
      table->refresh(table->context, &lane.head);
      table->check_batch(table->context, &lane.head, client, flows.data(), verdicts.data(), flows.size());
      static_cast<void>(limits(client));
      for (std::uint32_t i = 0; i < 500; ++i) {
        const gh_flow flow = make_flow(GH_TRANSPORT_UDP, {IpAddress::v4(0x08080000 + i), 53, 0});
        opened += table->flow_open(table->context, &lane.head, client, &flow, kNow, verdicts.data()) == GH_OK;
        static_cast<void>(consume(client, 1000));
      }
    });
  }
  static policy::Model limited(std::int64_t destinations) {
    policy::Model out = model();
    for (const char* const scope : {"session", "identity"}) {
      policy::TrafficRule& rule = out.traffic_rules.emplace_back();
      rule.id = static_cast<std::int64_t>(out.traffic_rules.size());
      rule.scope = scope;
      rule.destinations_per_minute = destinations;
      rule.quota_bytes = 1'000'000'000;
      rule.rate_up = 1'000'000'000;
    }
    out.domain_rules = {{3, {}, "example", "suffix", "monitor", {}}};
    return out;
  }
  int opened = 0;
};

TEST_F(LaneAllocation, IsCounted) {
  EXPECT_EQ(allocations_in([] { ::operator delete(::operator new(8)); }), 1u);
  EXPECT_EQ(allocations_in([] { policy::DistinctWindow().reserve(100); }), 2u);
}

TEST_F(LaneAllocation, IsNoneWhereALimitComesAndGrows) {
  gh_client* const client = open("token:eve");
  EXPECT_EQ(packet_path(client), 0u);
  EXPECT_EQ(opened, 500);
  publish(limited(100));
  EXPECT_EQ(packet_path(client), 0u);
  EXPECT_EQ(opened, 600);
  publish(limited(400));
  EXPECT_EQ(packet_path(client), 0u);
  EXPECT_EQ(opened, 600 + 100 + 300);  // the former ones are known, and not counted again
}

TEST_F(LaneAllocation, IsNoneForAClientThatChangesItsGroup) {
  policy::Model rows = model();
  gh_client* const client = open("token:bob");
  rows.traffic_rules = limited(100).traffic_rules;
  for (policy::TrafficRule& rule : rows.traffic_rules) rule.group_id = 2;
  publish(rows);
  EXPECT_EQ(packet_path(client), 0u);
  EXPECT_EQ(opened, 500);
  rows.group_members.push_back({3, 2, "identity", "token:bob", {}});
  rows.group_members.erase(rows.group_members.begin());
  publish(rows);
  EXPECT_EQ(packet_path(client), 0u);
  EXPECT_EQ(opened, 600);
}

/// Lanes open clients at any moment of a publication, and meet the limit only later.
TEST_F(LaneAllocation, IsNoneForClientsThatOpenWhileALimitIsPublished) {
  std::atomic<bool> done{false};
  std::vector<std::thread> lanes;
  for (int i = 0; i < 2; ++i)
    lanes.emplace_back([&] {
      HostLane mine;
      mine.policy = plugin.make_lane();
      const gh_client_facts facts{sizeof facts, UINT32_MAX, {}, {}, 0};
      const gh_flow flow = make_flow(GH_TRANSPORT_UDP, {IpAddress::v4(0x08080808), 53, 0});
      gh_verdict verdict = no_verdict();
      while (!done) {
        std::array<gh_client*, 8> clients{};
        for (gh_client*& client : clients) client = table->client_open(table->context, &mine.head, &facts, &verdict);
        const std::size_t counted = allocations_in([&] {
          table->refresh(table->context, &mine.head);
          for (gh_client* const client : clients)
            static_cast<void>(table->flow_open(table->context, &mine.head, client, &flow, kNow, &verdict));
        });
        ASSERT_EQ(counted, 0u);
        for (gh_client* const client : clients) table->client_close(table->context, &mine.head, client);
      }
    });
  for (int i = 0; i < 300; ++i) {
    publish(limited(i % 3 == 0 ? 0 : 100 * i));
    board->free_unused();
  }
  done = true;
  for (std::thread& thread : lanes) thread.join();
}

}  // namespace
}  // namespace gatehouse
