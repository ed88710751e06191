// gh.policy/1 in a test's hand: one plugin, one lane, and a policy that the test publishes.
#pragma once

#include "gateway/base/lane.hpp"
#include "gateway/services/policy.hpp"
#include "policy/compile.hpp"

#include <gatehouse/plugin/host.hpp>

#include <gtest/gtest.h>

namespace gatehouse {

inline constexpr std::uint64_t kSecond = 1'000'000'000;
inline constexpr std::uint64_t kNow = 100 * kSecond;

/// A flow as a plugin asks about it.
inline gh_flow make_flow(std::uint32_t transport, const Endpoint& destination, std::uint32_t flags = 0,
                         std::string_view domain = {}) {
  gh_flow out{};
  out.struct_size = sizeof out;
  out.flags = flags;
  out.destination = to_border(destination);
  out.domain = to_border(domain);
  out.transport = transport;
  return out;
}

/// Room for a verdict.
inline gh_verdict no_verdict() {
  gh_verdict out{};
  out.struct_size = sizeof out;
  return out;
}

class PolicyTable : public testing::Test {
 protected:
  PolicyTable() { lane.policy = plugin.make_lane(); }

  static policy::Model model() {
    policy::Model out;
    out.groups = {{0, "everyone", 100, true}, {1, "bobs", 10, true}, {2, "front", 20, true}};
    out.group_members = {{1, 1, "identity", "token:bob", {}}, {2, 2, "listener", "127.0.0.1:7300", {}}};
    policy::PortPermit permit;
    permit.id = 5;
    out.port_permits = {permit};
    return out;
  }
  void publish(const policy::Model& next) { board->publish(policy::compile(next, {}, ++generation, 0).snapshot); }
  gh_client* open_from(const char* source, gh_verdict& verdict, const std::string& identity = "") {
    gh_client_facts facts{sizeof(gh_client_facts), UINT32_MAX, {}, to_border(identity), 0};
    if (*source) facts.source = to_border(Endpoint{IpAddress::parse(source).value(), 4000, 0});
    return table->client_open(table->context, &lane.head, &facts, &verdict);
  }
  gh_client* open_from(const char* source) {
    gh_verdict verdict = no_verdict();
    return open_from(source, verdict);
  }
  void close(gh_client* client) { table->client_close(table->context, &lane.head, client); }
  /// One packet. @return 0, or the ns to wait
  static std::uint64_t consume(const gh_policy* table, HostLane& lane, gh_client* client, std::uint32_t direction,
                               std::uint64_t bytes, std::uint64_t now) {
    std::uint64_t wait = 0;
    const std::uint64_t granted =
        table->charge(table->context, &lane.head, client, direction, 1, bytes, bytes, now, &wait);
    return granted == bytes ? 0 : wait;
  }
  std::uint64_t consume(gh_client* client, std::uint64_t bytes, std::uint32_t direction = GH_UP) {
    return consume(table, lane, client, direction, bytes, kNow);
  }
  /// Puts one traffic rule in force, with row 21.
  void rule(const std::string& scope, policy::TrafficRule columns) {
    columns.id = 21;
    columns.scope = scope;
    policy::Model rows = model();
    rows.traffic_rules = {columns};
    publish(rows);
    table->refresh(table->context, &lane.head);
  }
  gh_client* open(const std::string& identity, std::uint32_t listener = UINT32_MAX) {
    gh_client_facts facts{sizeof(gh_client_facts), listener, {}, to_border(identity), 0};
    gh_verdict verdict = no_verdict();
    gh_client* const client = table->client_open(table->context, &lane.head, &facts, &verdict);
    EXPECT_EQ(verdict.action, GH_ACTION_ALLOW);
    return client;
  }
  gh_verdict check(gh_client* client, const char* to, std::uint16_t port) {
    const gh_flow flow = make_flow(GH_TRANSPORT_UDP, {IpAddress::parse(to).value(), port, 0});
    gh_verdict verdict = no_verdict();
    table->check(table->context, &lane.head, client, &flow, &verdict);
    return verdict;
  }
  gh_status open_flow(gh_client* client, gh_verdict& why, const char* to = "8.8.8.8", std::uint64_t now = kNow,
                      std::uint32_t flags = 0) {
    const gh_flow flow = make_flow(GH_TRANSPORT_UDP, {IpAddress::parse(to).value(), 53, 0}, flags);
    return table->flow_open(table->context, &lane.head, client, &flow, now, &why);
  }
  gh_limits limits(gh_client* client) {
    gh_limits out{};
    out.struct_size = sizeof out;
    table->limits(table->context, &lane.head, client, &out);
    return out;
  }

  std::uint64_t generation = 1;
  std::shared_ptr<SnapshotBoard> board =
      std::make_shared<SnapshotBoard>(policy::compile(model(), {}, generation, 0).snapshot);
  std::shared_ptr<KeyMeters> keys = std::make_shared<KeyMeters>();
  std::shared_ptr<ListenerNames> listeners = std::make_shared<ListenerNames>();
  const std::uint32_t front = listeners->add("udpgw", "127.0.0.1:7300");
  PluginPolicy plugin{board, keys, {.plugin = "udpgw", .allow_local = true, .listener_names = listeners}};
  const gh_policy* table = plugin.table();
  HostLane lane;
};

}  // namespace gatehouse
