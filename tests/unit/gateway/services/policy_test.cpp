// gh.policy/1 as a plugin meets it: through the C table.
#include "tests/unit/gateway/services/policy_table.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <thread>

namespace gatehouse {
namespace {

TEST_F(PolicyTable, HasEveryFunction) {
  EXPECT_EQ(table->struct_size, sizeof(gh_policy));
  EXPECT_TRUE(table->refresh && table->client_open && table->client_close && table->limits && table->check &&
              table->check_batch && table->flow_open && table->flow_close && table->charge && table->claim &&
              table->dns);
  EXPECT_EQ(*table->generation, 1u);
}

TEST_F(PolicyTable, JudgesWithRowAndGeneration) {
  gh_client* const client = open("");
  const gh_verdict allowed = check(client, "8.8.8.8", 53);
  EXPECT_EQ(allowed.action, GH_ACTION_ALLOW);
  EXPECT_EQ(allowed.reason, GH_REASON_PORT_PERMIT);
  EXPECT_EQ(allowed.table, static_cast<std::uint32_t>(GH_TABLE_PORT_PERMITS));
  EXPECT_EQ(allowed.row, 5);
  EXPECT_EQ(allowed.generation, 1u);
  EXPECT_EQ(check(client, "10.0.0.1", 53).reason, GH_REASON_BOGON);
  EXPECT_EQ(check(client, "127.0.0.1", 53).reason, GH_REASON_LOCAL);
  table->client_close(table->context, &lane.head, client);
}

TEST_F(PolicyTable, TellsWhatIsDnsAndWhoseAnswersAreJudged) {
  gh_client* const bob = open("token:bob");
  gh_client* const other = open("");
  const auto look = [&](gh_client* client, std::uint16_t port, std::uint32_t flags = 0) {
    const gh_flow flow = make_flow(GH_TRANSPORT_UDP, {IpAddress::v4(0x08080808), port, 0}, flags);
    return table->dns(table->context, &lane.head, client, &flow);
  };
  const auto use = [&](const policy::Model& rows) {
    publish(rows);
    table->refresh(table->context, &lane.head);
  };
  constexpr std::uint32_t kBoth = GH_DNS_QUERIES | GH_DNS_ANSWERS;
  EXPECT_EQ(look(bob, 53), std::uint32_t{GH_DNS_QUERIES}) << "no rule has a name";
  EXPECT_EQ(look(bob, 5353), 0u);
  EXPECT_EQ(look(bob, 5353, GH_FLOW_RESOLVER), std::uint32_t{GH_DNS_QUERIES});

  policy::Model rows = model();
  rows.domain_rules = {{3, 1, "ads.test", "suffix", "block", {}}};
  use(rows);
  EXPECT_EQ(look(bob, 53), kBoth);
  EXPECT_EQ(look(other, 53), std::uint32_t{GH_DNS_QUERIES}) << "no rule of its group has";
  rows.domain_rules = {{3, {}, "ads.test", "suffix", "monitor", {}}};
  use(rows);
  EXPECT_EQ(look(other, 53), kBoth);
  rows.settings = {{1, "dns_ports", "54,5353"}};
  use(rows);
  EXPECT_EQ(look(other, 53), 0u);
  EXPECT_EQ(look(other, 5353), kBoth);
  rows.settings = {{1, "dns_ports", "53"}, {2, "judge_answers", "0"}};
  use(rows);
  EXPECT_EQ(look(other, 53), std::uint32_t{GH_DNS_QUERIES});
}

TEST_F(PolicyTable, JudgesAnAnswerByNamesAlone) {
  policy::Model rows = model();
  rows.port_permits.clear();  // no flow would be allowed
  rows.domain_rules = {{3, {}, "ads.test", "suffix", "block", {}}};
  publish(rows);
  table->refresh(table->context, &lane.head);
  gh_client* const client = open("");
  const auto judge = [&](std::uint32_t flags, std::string_view name) {
    const gh_flow flow = make_flow(GH_TRANSPORT_UDP, {IpAddress::v4(0x08080808), 53, 0}, flags | GH_FLOW_ANSWER, name);
    gh_verdict out = no_verdict();
    table->check(table->context, &lane.head, client, &flow, &out);
    return out;
  };
  EXPECT_EQ(judge(GH_FLOW_NAMED, "good.test").action, GH_ACTION_ALLOW);
  EXPECT_EQ(judge(GH_FLOW_NAMED, "x.ads.test").reason, GH_REASON_DOMAIN);
  EXPECT_EQ(judge(GH_FLOW_NAMED, "x.ads.test").row, 3);
  EXPECT_EQ(judge(GH_FLOW_BAD_NAME, "").reason, GH_REASON_DNS_MALFORMED);
  rows.domain_rules[0].action = "monitor";
  publish(rows);
  table->refresh(table->context, &lane.head);
  EXPECT_EQ(judge(GH_FLOW_NAMED, "x.ads.test").action, GH_ACTION_ALLOW);
  EXPECT_EQ(judge(GH_FLOW_BAD_NAME, "").action, GH_ACTION_ALLOW);
  EXPECT_EQ(judge(GH_FLOW_BAD_NAME | GH_FLOW_RESOLVER, "").action, GH_ACTION_ALLOW);
}

TEST_F(PolicyTable, KeepsOneGenerationUntilRefresh) {
  gh_client* const client = open("");
  policy::Model closed = model();
  closed.port_permits.clear();
  publish(closed);
  EXPECT_EQ(*table->generation, 2u);
  EXPECT_EQ(check(client, "8.8.8.8", 53).generation, 1u);
  EXPECT_EQ(table->refresh(table->context, &lane.head), 2u);
  EXPECT_EQ(check(client, "8.8.8.8", 53).generation, 2u);
  EXPECT_EQ(check(client, "8.8.8.8", 53).reason, GH_REASON_DEFAULT);
}

TEST_F(PolicyTable, FindsTheGroupByIdentityAndListener) {
  policy::Model rows = model();
  rows.port_permits.push_back({6, 1, "any", {}, {}, "deny", 1, {}});
  rows.port_permits.push_back({7, 2, "any", {}, {}, "deny", 1, {}});
  publish(rows);
  table->refresh(table->context, &lane.head);
  EXPECT_EQ(check(open("token:bob"), "8.8.8.8", 53).row, 6);
  EXPECT_EQ(check(open("", front), "8.8.8.8", 53).row, 7);
  EXPECT_EQ(check(open("", 4), "8.8.8.8", 53).row, 5);
}

TEST_F(PolicyTable, JudgesABatchAsOneByOne) {
  gh_client* const client = open("");
  std::array<gh_flow, 3> flows{};
  std::array<gh_verdict, 3> verdicts;
  verdicts.fill(no_verdict());
  const char* const to[] = {"8.8.8.8", "10.0.0.1", "127.0.0.1"};
  for (std::size_t i = 0; i < 3; ++i) flows[i] = make_flow(GH_TRANSPORT_UDP, {IpAddress::parse(to[i]).value(), 53, 0});
  table->check_batch(table->context, &lane.head, client, flows.data(), verdicts.data(), 3);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(verdicts[i].reason, check(client, to[i], 53).reason);
}

TEST_F(PolicyTable, CountsFlowsOfASessionAndOfItsIdentity) {
  policy::Model rows = model();
  policy::TrafficRule session;
  session.id = 11;
  session.scope = "session";
  session.concurrent_flows = 2;
  policy::TrafficRule identity;
  identity.id = 12;
  identity.scope = "identity";
  identity.concurrent_flows = 3;
  rows.traffic_rules = {session, identity};
  publish(rows);
  table->refresh(table->context, &lane.head);
  gh_client* const one = open("token:eve");
  gh_client* const two = open("token:eve");
  gh_verdict why = no_verdict();
  EXPECT_EQ(limits(one).concurrent_flows, 2u);
  EXPECT_EQ(open_flow(one, why), GH_OK);
  EXPECT_EQ(open_flow(one, why), GH_OK);
  EXPECT_EQ(open_flow(one, why), GH_E_LIMIT);
  EXPECT_EQ(why.reason, GH_REASON_CONCURRENT_FLOWS);
  EXPECT_EQ(why.row, 11);
  EXPECT_EQ(open_flow(two, why), GH_OK);
  EXPECT_EQ(open_flow(two, why), GH_E_LIMIT);
  EXPECT_EQ(why.row, 12);
  table->client_close(table->context, &lane.head, one);  // its flows go with it
  EXPECT_EQ(open_flow(two, why), GH_OK);
  table->flow_close(table->context, &lane.head, two);
  EXPECT_EQ(open_flow(two, why), GH_OK);
}

TEST_F(PolicyTable, MetersAnIdentityAcrossLanesAndPlugins) {
  policy::Model rows = model();
  policy::TrafficRule rule;
  rule.scope = "identity";
  rule.rate_up = 1000;
  rows.traffic_rules = {rule};
  publish(rows);
  PluginPolicy other{board, keys, {.plugin = "echo"}};
  HostLane second;
  second.policy = other.make_lane();
  table->refresh(table->context, &lane.head);
  gh_client* const here = open("token:eve");
  const std::string eve = "token:eve", bob = "token:max";
  gh_client_facts facts{sizeof facts, UINT32_MAX, {}, to_border(eve), 0};
  gh_verdict verdict = no_verdict();
  gh_client* const there = other.table()->client_open(other.table()->context, &second.head, &facts, &verdict);
  facts.identity = to_border(bob);
  gh_client* const stranger = other.table()->client_open(other.table()->context, &second.head, &facts, &verdict);
  EXPECT_EQ(limits(here).metered, 1u);
  EXPECT_EQ(limits(open("")).metered, 0u);  // nobody's identity
  EXPECT_EQ(consume(table, lane, here, GH_UP, 1000, kNow), 0u);
  EXPECT_EQ(consume(other.table(), second, there, GH_UP, 1000, kNow), kSecond);
  EXPECT_EQ(consume(other.table(), second, stranger, GH_UP, 1000, kNow), 0u);
  EXPECT_EQ(consume(table, lane, here, GH_DOWN, 5000, kNow), 0u);
  // A new generation goes on with the old state.
  rows.traffic_rules[0].rate_up = 2000;
  publish(rows);
  table->refresh(table->context, &lane.head);
  EXPECT_NE(consume(table, lane, here, GH_UP, 2000, kNow), 0u);
}

TEST_F(PolicyTable, ChargesARunInPart) {
  policy::TrafficRule row;
  row.rate_up = 1000;
  row.burst_up = 2500;
  row.quota_bytes = 3200;
  rule("session", row);
  gh_client* const client = open("");
  std::uint64_t wait = 77;
  const auto charge = [&](std::uint64_t packets, std::uint64_t want, std::uint64_t least, std::uint64_t now) {
    return table->charge(table->context, &lane.head, client, GH_UP, packets, want, least, now, &wait);
  };
  EXPECT_EQ(charge(4, 3500, 1000, kNow), 2000u);
  EXPECT_EQ(wait, kSecond / 2);
  EXPECT_EQ(charge(2, 1500, 1000, kNow + kSecond / 2), 1000u);
  EXPECT_EQ(wait, UINT64_MAX);
  EXPECT_EQ(charge(2, 200, 100, kNow + kSecond), 200u);
  EXPECT_EQ(wait, 0u);
}

TEST_F(PolicyTable, GrantsWhatNothingLimits) {
  std::uint64_t wait = 77;
  EXPECT_EQ(table->charge(table->context, &lane.head, open(""), GH_DOWN, 3, 3000, 1000, kNow, &wait), 3000u);
  EXPECT_EQ(wait, 0u);
}

TEST_F(PolicyTable, TellsLimitsInTheBordersUnits) {
  policy::Model rows = model();
  policy::TrafficRule rule;
  rule.scope = "session";
  rule.udp_idle_seconds = 20;
  rule.tcp_idle_seconds = 0;
  rows.traffic_rules = {rule};
  publish(rows);
  gh_client* const client = open("");
  EXPECT_EQ(limits(client).udp_idle_ns, UINT64_MAX);  // before the refresh
  table->refresh(table->context, &lane.head);
  EXPECT_EQ(limits(client).udp_idle_ns, 20 * kSecond);
  EXPECT_EQ(limits(client).tcp_idle_ns, 0u);
  EXPECT_EQ(limits(client).concurrent_flows, UINT64_MAX);
}

TEST_F(PolicyTable, LimitsClientsWithoutAnIdentityByTheirNetwork) {
  policy::TrafficRule rule_row;
  rule_row.rate_up = 1000;
  rule("identity", rule_row);
  gh_client* const one = open_from("192.0.2.7");
  EXPECT_EQ(limits(one).metered, 1u);
  EXPECT_EQ(consume(one, 1000), 0u);
  EXPECT_NE(consume(open_from("192.0.2.7"), 1000), 0u);
  EXPECT_EQ(consume(open_from("192.0.2.8"), 1000), 0u);
  EXPECT_EQ(consume(open_from("2001:db8::1"), 1000), 0u);
  EXPECT_NE(consume(open_from("2001:db8::2"), 1000), 0u);
  close(one);
  EXPECT_NE(consume(open_from("192.0.2.7"), 1000), 0u);  // a new session is no new allowance
  for (const char* unknown : {"127.0.0.1", "127.0.0.1", "::1", ""}) {
    EXPECT_EQ(limits(open_from(unknown)).metered, 0u);
    EXPECT_EQ(consume(open_from(unknown), 1'000'000), 0u);
  }
}

TEST_F(PolicyTable, RefusesSessionsBeyondTheLimitOfTheirIdentityOrSource) {
  policy::TrafficRule two;
  two.concurrent_sessions = 2;
  rule("session", two);
  gh_verdict why = no_verdict();
  gh_client* const first = open_from("192.0.2.7");
  EXPECT_NE(open_from("192.0.2.7"), nullptr);
  EXPECT_EQ(open_from("192.0.2.7", why), nullptr);
  EXPECT_EQ(why.action, GH_ACTION_DENY);
  EXPECT_EQ(why.reason, GH_REASON_CONCURRENT_SESSIONS);
  EXPECT_EQ(why.table, static_cast<std::uint32_t>(GH_TABLE_TRAFFIC_RULES));
  EXPECT_EQ(why.row, 21);
  EXPECT_NE(open_from("192.0.2.8"), nullptr);
  EXPECT_NE(open_from("192.0.2.7", why, "token:bob"), nullptr);  // known by its identity, not by where it is
  for (int i = 0; i < 5; ++i) EXPECT_NE(open_from("127.0.0.1"), nullptr);
  close(first);
  EXPECT_NE(open_from("192.0.2.7"), nullptr);
  EXPECT_EQ(open_from("192.0.2.7"), nullptr);

  policy::TrafficRule one = two;
  one.concurrent_sessions = 1;
  rule("identity", one);
  EXPECT_NE(check(open_from("127.0.0.1"), "8.8.8.8", 53).generation, 0u);
  EXPECT_EQ(open_from("192.0.2.7"), nullptr);  // nobody is ended, none is added
  EXPECT_EQ(open_from("192.0.2.8"), nullptr);
}

TEST_F(PolicyTable, TakesTheSessionLimitOfScopeIdentityFirst) {
  policy::Model rows = model();
  policy::TrafficRule session, identity;
  session.id = 31;
  session.scope = "session";
  session.concurrent_sessions = 1;
  identity.id = 32;
  identity.scope = "identity";
  identity.concurrent_sessions = 0;  // no limit
  rows.traffic_rules = {session, identity};
  publish(rows);
  table->refresh(table->context, &lane.head);
  for (int i = 0; i < 3; ++i) EXPECT_NE(open_from("192.0.2.7"), nullptr);
}

TEST_F(PolicyTable, HoldsAQuotaOverGenerationsUntilItsPeriodEnds) {
  using namespace std::chrono;
  const auto noon = system_clock::time_point(sys_days(year(2026) / 11 / 30) + 12h);
  board->calendar().refresh(noon);
  policy::TrafficRule quota;
  quota.quota_bytes = 10'000;
  quota.quota_period = "day";
  rule("identity", quota);
  gh_client* const client = open("token:eve");
  gh_verdict why = no_verdict();
  EXPECT_EQ(limits(client).metered, 1u);
  EXPECT_EQ(consume(client, 6000), 0u);
  EXPECT_EQ(open_flow(client, why), GH_OK);
  EXPECT_EQ(consume(client, 4000, GH_DOWN), 0u);
  EXPECT_EQ(consume(client, 1), UINT64_MAX);
  EXPECT_EQ(open_flow(client, why), GH_E_LIMIT);
  EXPECT_EQ(why.reason, GH_REASON_QUOTA);
  EXPECT_EQ(why.row, 21);
  quota.quota_bytes = 11'000;  // raised: what is used stays used
  rule("identity", quota);
  EXPECT_EQ(consume(client, 1000), 0u);
  EXPECT_EQ(consume(client, 1), UINT64_MAX);
  EXPECT_EQ(consume(open("token:eve"), 1), UINT64_MAX);
  board->calendar().refresh(noon + 12h);
  EXPECT_EQ(consume(client, 11'000), 0u);
  quota.quota_period = {};  // by month
  rule("identity", quota);
  EXPECT_EQ(consume(client, 11'000), 0u);
  board->calendar().refresh(noon + 10 * 24h);
  EXPECT_EQ(consume(client, 1), UINT64_MAX);
}

TEST_F(PolicyTable, CountsDestinationsByAddressAndKeepsThemOverGenerations) {
  policy::TrafficRule row;
  row.destinations_per_minute = 2;
  rule("session", row);
  gh_client* const client = open("");
  gh_verdict why = no_verdict();
  EXPECT_EQ(open_flow(client, why, "8.8.8.8"), GH_OK);
  EXPECT_EQ(open_flow(client, why, "8.8.4.4"), GH_OK);
  EXPECT_EQ(open_flow(client, why, "::ffff:8.8.8.8"), GH_OK);  // the same
  EXPECT_EQ(open_flow(client, why, "1.1.1.1"), GH_E_LIMIT);
  EXPECT_EQ(why.reason, GH_REASON_DESTINATIONS);
  EXPECT_EQ(why.row, 21);
  row.destinations_per_minute = 200;
  rule("session", row);
  for (int i = 0; i < 198; ++i) EXPECT_EQ(open_flow(client, why, ("9.9.9." + std::to_string(i)).c_str()), GH_OK);
  EXPECT_EQ(open_flow(client, why, "9.9.9.200"), GH_E_LIMIT);
  EXPECT_EQ(open_flow(client, why, "8.8.8.8"), GH_OK);
  EXPECT_EQ(open_flow(client, why, "9.9.9.200", kNow + 60 * kSecond), GH_OK);
}

/// Generation g allows port g % 7 + 1 alone, by the row g: every verdict can be held against its own generation.
TEST_F(PolicyTable, JudgesEachBatchByOneGeneration) {
  constexpr std::size_t kPorts = 7;
  const auto of_generation = [](std::uint64_t g) {
    policy::Model rows = model();
    rows.port_permits[0].id = static_cast<std::int64_t>(g);
    rows.port_permits[0].ports = std::to_string(g % kPorts + 1);
    rows.port_permits[0].action = g % 2 ? "allow" : "monitor";  // the other path through judge()
    return rows;
  };
  const auto records = std::make_shared<LaneRecords>();
  PluginPolicy counted{board, keys, {.plugin = "udpgw", .records = records}};
  publish(of_generation(generation + 1));
  std::atomic<bool> done{false};
  std::atomic<std::uint64_t> batches{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i)
    threads.emplace_back([&] {
      HostLane mine;
      mine.policy = counted.make_lane();
      gh_client_facts facts{sizeof facts, 3, {}, {}, 0};
      gh_verdict verdict = no_verdict();
      gh_client* const client = counted.table()->client_open(counted.table()->context, &mine.head, &facts, &verdict);
      std::array<gh_flow, kPorts> flows{};
      for (std::size_t k = 0; k < kPorts; ++k)
        flows[k] = make_flow(GH_TRANSPORT_UDP, {IpAddress::v4(0x08080808), static_cast<std::uint16_t>(k + 1), 0});
      std::array<gh_verdict, kPorts> out;
      out.fill(no_verdict());
      while (!done) {
        const std::uint64_t now = counted.table()->refresh(counted.table()->context, &mine.head);
        counted.table()->check_batch(counted.table()->context, &mine.head, client, flows.data(), out.data(), kPorts);
        for (std::size_t k = 0; k < kPorts; ++k) {
          const bool open = now % 2 && k == now % kPorts;
          ASSERT_EQ(out[k].generation, now);
          ASSERT_EQ(out[k].action, open ? GH_ACTION_ALLOW : GH_ACTION_DENY);
          ASSERT_TRUE(!open || out[k].row == static_cast<std::int64_t>(now));
        }
        ++batches;
      }
      counted.table()->client_close(counted.table()->context, &mine.head, client);
    });
  for (int i = 0; i < 500; ++i) {
    publish(of_generation(generation + 1));
    board->free_unused();
    records->drain([](const Notice& notice) { ASSERT_EQ(notice.row.table, policy::Table::port_permits); });
  }
  done = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(batches, 3u);
}

TEST_F(PolicyTable, ServesLanesWhileSnapshotsChange) {
  std::atomic<bool> done{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i)
    threads.emplace_back([&] {
      HostLane mine;
      mine.policy = plugin.make_lane();
      const std::string eve = "token:eve";
      while (!done) {
        const std::uint64_t now = table->refresh(table->context, &mine.head);
        gh_client_facts facts{sizeof facts, 3, {}, to_border(eve), 0};
        gh_verdict verdict = no_verdict();
        gh_client* const client = table->client_open(table->context, &mine.head, &facts, &verdict);
        const gh_flow flow = make_flow(GH_TRANSPORT_UDP, {IpAddress::v4(0x08080808), 53, 0});
        for (int k = 0; k < 10; ++k) {
          table->check(table->context, &mine.head, client, &flow, &verdict);
          ASSERT_EQ(verdict.generation, now);
          ASSERT_EQ(verdict.row, static_cast<std::int64_t>(now % 2 ? 5 : 50)) << now;
          static_cast<void>(table->flow_open(table->context, &mine.head, client, &flow, kNow, &verdict));
          static_cast<void>(consume(table, mine, client, GH_UP, 100, kNow));
        }
        table->client_close(table->context, &mine.head, client);
      }
    });
  policy::Model rows = model();
  for (int i = 0; i < 300; ++i) {
    rows.port_permits[0].id = generation % 2 ? 50 : 5;
    publish(rows);
    board->free_unused();
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  done = true;
  for (std::thread& thread : threads) thread.join();
  table->refresh(table->context, &lane.head);
  EXPECT_EQ(board->free_unused(), 1u);
}

TEST_F(PolicyTable, RefusesClientsThatMayNotUseTheFrontend) {
  policy::Model rows = model();
  rows.admissions = {{9, 1, "udpgw", "*", "deny", 100, {}}};
  publish(rows);
  table->refresh(table->context, &lane.head);
  gh_verdict why = no_verdict();
  EXPECT_EQ(open_from("192.0.2.1", why, "token:bob"), nullptr);
  EXPECT_EQ(why.action, GH_ACTION_DENY);
  EXPECT_EQ(why.reason, GH_REASON_ADMISSION);
  EXPECT_EQ(why.table, GH_TABLE_ADMISSIONS);
  EXPECT_EQ(why.row, 9);
  EXPECT_NE(open_from("192.0.2.1", why, "token:ann"), nullptr) << "of another group";
}

TEST_F(PolicyTable, DeniesTheFlowsOfAClientThatMayNoLongerUseTheFrontend) {
  gh_client* const client = open("token:bob");
  EXPECT_EQ(check(client, "8.8.8.8", 53).action, GH_ACTION_ALLOW);
  policy::Model rows = model();
  rows.admissions = {{9, {}, "*", "*", "deny", 100, {}}};
  publish(rows);
  table->refresh(table->context, &lane.head);
  const gh_verdict verdict = check(client, "8.8.8.8", 53);
  EXPECT_EQ(verdict.action, GH_ACTION_DENY);
  EXPECT_EQ(verdict.reason, GH_REASON_ADMISSION);
  EXPECT_EQ(verdict.row, 9);
  publish(model());
  table->refresh(table->context, &lane.head);
  EXPECT_EQ(check(client, "8.8.8.8", 53).action, GH_ACTION_ALLOW);
}

class Accounting : public PolicyTable {
 protected:
  Accounting() {
    lane.policy = accounted.make_lane();
    table = accounted.table();
  }
  /// The group and payer that a client's session has once the client was opened.
  std::string opened(const char* source, const std::string& identity = "") {
    const std::uint64_t session = sessions->open({.plugin = "udpgw", .identity = identity}, 0).id;
    close(open_from(source, session, identity));
    sessions->change_all();
    std::string out;
    sessions->durability()->changes().take([&](ChangeLink& link) {
      const SessionTable::Change change = sessions->take_change(link);
      if (change.record.id == session) out = change.record.group_name + ' ' + change.payer;
    });
    return out;
  }
  gh_client* open_from(const char* source, std::uint64_t session, const std::string& identity) {
    gh_client_facts facts{sizeof(gh_client_facts), UINT32_MAX, {}, to_border(identity), session};
    facts.source = to_border(Endpoint{IpAddress::parse(source).value(), 4000, 0});
    gh_verdict verdict = no_verdict();
    return table->client_open(table->context, &lane.head, &facts, &verdict);
  }
  std::shared_ptr<SessionTable> sessions = std::make_shared<SessionTable>();
  PluginPolicy accounted{board, keys, {.plugin = "udpgw", .allow_local = true, .sessions = sessions}};
};

TEST_F(Accounting, GoesByIdentityAndGroup) { EXPECT_EQ(opened("192.0.2.1", "token:bob"), "bobs token:bob"); }

TEST_F(Accounting, IsNotAskedForWithoutASession) {
  close(open_from("192.0.2.1", 0, "token:bob"));
  EXPECT_EQ(sessions->count("udpgw"), 0u);
}

TEST_F(Accounting, NamesAnAddressOnlyWhereAQuotaGoesByIt) {
  EXPECT_EQ(opened("192.0.2.1"), "everyone ");
  policy::TrafficRule columns;
  columns.quota_bytes = 1000;
  rule("identity", columns);
  EXPECT_EQ(opened("192.0.2.1"), "everyone 192.0.2.1/32");
  EXPECT_EQ(opened("127.0.0.1"), "everyone ");
}

/// What is asked for a client that is not this lane's: refused, and counted.
class StrangeClient : public PolicyTable {
 protected:
  StrangeClient() {
    lane.policy = told.make_lane();
    table = told.table();
  }
  void expect_refused(gh_client* client) {
    gh_verdict why = no_verdict();
    EXPECT_EQ(check(client, "8.8.8.8", 53).action, GH_ACTION_DENY);
    EXPECT_EQ(open_flow(client, why), GH_E_LIMIT);
    EXPECT_EQ(why.action, GH_ACTION_DENY);
    EXPECT_EQ(consume(client, 100), UINT64_MAX);
    EXPECT_EQ(limits(client).concurrent_flows, 0u);
    table->flow_close(table->context, &lane.head, client);
    close(client);
    EXPECT_THAT(records->strange_clients(), testing::ElementsAre(testing::Pair("udpgw", calls += 6)));
  }
  const std::shared_ptr<LaneRecords> records = std::make_shared<LaneRecords>();
  PluginPolicy told{board, keys, {.plugin = "udpgw", .allow_local = true, .records = records}};
  std::uint64_t calls = 0;
};

TEST_F(StrangeClient, IsOneThatWasClosed) {
  gh_client* const closed = open("token:eve");
  close(closed);
  expect_refused(closed);  // also where its memory was given back
  gh_client* const next = open("token:eve");
  gh_verdict why = no_verdict();
  EXPECT_EQ(open_flow(next, why), GH_OK);
  EXPECT_NE(next, closed) << "though it is in its place";
  expect_refused(closed);
  expect_refused(nullptr);
  EXPECT_EQ(check(next, "8.8.8.8", 53).action, GH_ACTION_ALLOW);
  EXPECT_EQ(keys->open("token:eve", {})->flows.open(), 1u);
  close(next);
  EXPECT_THAT(records->strange_clients(), testing::ElementsAre(testing::Pair("udpgw", calls)))
      << "that one was its own";
}

TEST_F(StrangeClient, IsOneOfManyThatWereClosed) {
  std::vector<gh_client*> clients;
  for (int i = 0; i < 200; ++i) clients.push_back(open("token:eve"));
  for (gh_client* const client : clients) close(client);
  for (gh_client* const client : clients) expect_refused(client);
}

TEST_F(StrangeClient, IsOneOfAnotherLane) {
  HostLane other;
  other.policy = told.make_lane();
  const gh_client_facts facts{sizeof facts, UINT32_MAX, {}, {}, 0};
  gh_verdict why = no_verdict();
  gh_client* const theirs = table->client_open(table->context, &other.head, &facts, &why);
  gh_client* const mine = open("token:eve");  // in the same place, of its lane
  EXPECT_NE(theirs, mine);
  expect_refused(theirs);
  EXPECT_EQ(check(mine, "8.8.8.8", 53).action, GH_ACTION_ALLOW);
  const gh_flow flow = make_flow(GH_TRANSPORT_UDP, {IpAddress::v4(0x08080808), 53, 0});
  EXPECT_EQ(table->flow_open(table->context, &other.head, theirs, &flow, kNow, &why), GH_OK) << "it is still there";
  table->client_close(table->context, &other.head, theirs);
}

TEST_F(PolicyTable, EndsNoMoreFlowsThanThereAre) {
  gh_client* const client = open("token:eve");
  gh_client* const other = open("token:eve");
  gh_verdict why = no_verdict();
  EXPECT_EQ(open_flow(other, why), GH_OK);
  for (int i = 0; i < 2; ++i) table->flow_close(table->context, &lane.head, client);
  close(client);
  EXPECT_EQ(keys->open("token:eve", {})->flows.open(), 1u);
}

}  // namespace
}  // namespace gatehouse
