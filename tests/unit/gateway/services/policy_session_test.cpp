// gh.policy/1 and sessions: clients of one session share its meters, and count as one.
#include "gateway/policy/session_meters.hpp"
#include "tests/unit/allocations.hpp"
#include "tests/unit/gateway/services/policy_table.hpp"

#include <new>
#include <thread>
#include <vector>

namespace gatehouse {
namespace {

class SessionPolicy : public PolicyTable {
 protected:
  SessionPolicy() {
    lane.policy = remembering.make_lane();
    table = remembering.table();
  }
  std::uint64_t begin_session(const std::string& key) {
    SessionTable::Opening what;
    what.plugin = "udpgw";
    what.key = key;
    what.identity = "token:eve";
    return sessions->open(what, 0).id;
  }
  gh_client* open_of(std::uint64_t session, const std::string& identity = "token:eve", const char* source = "") {
    gh_client_facts facts{sizeof(gh_client_facts), UINT32_MAX, {}, to_border(identity), session};
    if (*source) facts.source = to_border(Endpoint{IpAddress::parse(source).value(), 4000, 0});
    return table->client_open(table->context, &lane.head, &facts, &why);
  }
  gh_client* client(std::uint64_t session) {
    gh_client* const out = open_of(session);
    EXPECT_NE(out, nullptr);
    return out;
  }
  /// Lets the writer take what has ended.
  void write_down() {
    sessions->durability()->changes().take([&](ChangeLink& link) { static_cast<void>(sessions->take_change(link)); });
  }

  gh_verdict why = no_verdict();
  std::shared_ptr<SessionTable> sessions = std::make_shared<SessionTable>();
  PluginPolicy remembering{board, keys, {.plugin = "udpgw", .allow_local = true, .sessions = sessions}};
};

TEST_F(SessionPolicy, AResumedSessionGoesOnWithWhatIsLeft) {
  policy::TrafficRule row;
  row.rate_up = 1000;
  row.unthrottled_up = 500;
  row.quota_bytes = 4000;
  rule("session", row);
  const std::uint64_t session = begin_session("key");
  gh_client* const first = client(session);
  EXPECT_EQ(consume(first, 1500), 0u);  // all that is free, and the burst
  close(first);
  gh_client* const again = client(session);
  EXPECT_NE(consume(again, 1), 0u);
  EXPECT_EQ(consume(again, 2501, GH_DOWN), UINT64_MAX);
  EXPECT_EQ(consume(again, 2500, GH_DOWN), 0u);
  EXPECT_EQ(consume(client(begin_session("other")), 1500), 0u);
  EXPECT_EQ(consume(client(0), 1500), 0u);  // one of its own
  EXPECT_EQ(consume(client(0), 1500), 0u);
}

TEST_F(SessionPolicy, AnAbandonedInstanceOccupiesNobodysConcurrentSessions) {
  policy::TrafficRule row;
  row.concurrent_sessions = 1;
  rule("identity", row);
  PluginPolicy other(board, keys, {.plugin = "echo", .allow_local = true});
  gh_client* const held = open_of(0);
  ASSERT_NE(held, nullptr);
  other.abandoned();
  EXPECT_EQ(open_of(0), nullptr) << "the client of an instance that is well counts";
  remembering.abandoned();
  EXPECT_EQ(open_of(0), nullptr) << "its own lanes, should they move again, get no clients any more";
  PluginPolicy successor(board, keys, {.plugin = "udpgw", .allow_local = true});
  const gh_policy* const mine = std::exchange(table, successor.table());
  EXPECT_NE(open_of(0), nullptr) << "the place is free";
  mine->client_close(mine->context, &lane.head, held);  // its lane moves again after all
  EXPECT_EQ(open_of(0), nullptr) << "what is undone once is not undone again";
}

TEST_F(SessionPolicy, ASessionOfAnotherPluginOrNoneGivesItsClientMetersOfItsOwn) {
  policy::TrafficRule row;
  row.rate_up = 1000;
  rule("session", row);
  SessionTable::Opening foreign;
  foreign.plugin = "echo";
  foreign.key = "key";
  for (const std::uint64_t session : {sessions->open(foreign, 0).id, std::uint64_t{1} << 40, UINT64_MAX}) {
    EXPECT_EQ(consume(client(session), 1000), 0u);
    EXPECT_EQ(consume(client(session), 1000), 0u);
  }
}

TEST_F(SessionPolicy, MetersGoWithTheirSession) {
  const std::uint64_t session = begin_session("key");
  const boost::intrusive_ptr<SessionMeters> meters = sessions->meters_of("udpgw", session);
  EXPECT_EQ(meters->use_count(), 2u);
  EXPECT_EQ(sessions->end("udpgw", session, 1), GH_OK);
  EXPECT_EQ(sessions->meters_of("udpgw", session), nullptr);
  write_down();
  EXPECT_EQ(meters->use_count(), 1u) << "nobody has them but this test";
  // A client that is still there keeps them, and itself.
  const std::uint64_t next = begin_session("key");
  gh_client* const last = client(next);
  EXPECT_EQ(open_flow(last, why), GH_OK);
  EXPECT_EQ(sessions->end("udpgw", next, 1), GH_OK);
  write_down();
  EXPECT_EQ(consume(last, 1), 0u);
  close(last);
}

TEST_F(SessionPolicy, CountsOnceWhileAnOldStreamLingers) {
  policy::TrafficRule one;
  one.concurrent_sessions = 1;
  rule("identity", one);
  const std::uint64_t session = begin_session("key");
  gh_client* const old_stream = client(session);
  gh_client* const new_stream = client(session);
  EXPECT_EQ(open_of(begin_session("other")), nullptr);
  EXPECT_EQ(why.reason, GH_REASON_CONCURRENT_SESSIONS);
  EXPECT_EQ(open_of(0), nullptr);
  close(old_stream);
  EXPECT_EQ(open_of(begin_session("other")), nullptr) << "the new one is still there";
  close(new_stream);
  EXPECT_NE(open_of(begin_session("other")), nullptr);
}

TEST_F(SessionPolicy, CountsAtEachOfTheAddressesThatItComesFrom) {
  policy::TrafficRule one;
  one.concurrent_sessions = 1;
  rule("identity", one);
  const std::uint64_t session = begin_session("key");
  gh_client* const here = open_of(session, "", "192.0.2.1");
  gh_client* const there = open_of(session, "", "192.0.2.2");
  EXPECT_NE(here, nullptr);
  EXPECT_NE(there, nullptr);
  EXPECT_EQ(open_of(0, "", "192.0.2.1"), nullptr);
  EXPECT_EQ(open_of(0, "", "192.0.2.2"), nullptr);
  close(here);
  EXPECT_NE(open_of(0, "", "192.0.2.1"), nullptr);
  EXPECT_EQ(open_of(0, "", "192.0.2.2"), nullptr);
}

TEST_F(SessionPolicy, EachClientGivesItsOwnFlowsBack) {
  policy::TrafficRule row;
  row.concurrent_flows = 3;
  rule("session", row);
  const std::uint64_t session = begin_session("key");
  gh_client* const old_stream = client(session);
  gh_client* const new_stream = client(session);
  EXPECT_EQ(open_flow(old_stream, why), GH_OK);
  EXPECT_EQ(open_flow(old_stream, why), GH_OK);
  EXPECT_EQ(open_flow(new_stream, why), GH_OK);
  EXPECT_EQ(open_flow(new_stream, why), GH_E_LIMIT);
  EXPECT_EQ(why.reason, GH_REASON_CONCURRENT_FLOWS);
  table->flow_close(table->context, &lane.head, old_stream);
  EXPECT_EQ(open_flow(new_stream, why), GH_OK);
  close(old_stream);
  EXPECT_EQ(open_flow(new_stream, why), GH_OK);
  EXPECT_EQ(open_flow(new_stream, why), GH_E_LIMIT);
  close(new_stream);
  EXPECT_EQ(sessions->meters_of("udpgw", session)->meters()->flows.open(), 0u);
}

TEST_F(SessionPolicy, ALimitThatComesLaterCountsWhatIsOpenByThen) {
  const std::uint64_t session = begin_session("key");
  gh_client* const first = client(session);
  gh_client* const second = client(session);
  EXPECT_EQ(open_flow(first, why), GH_OK);
  EXPECT_EQ(open_flow(second, why), GH_OK);
  EXPECT_EQ(sessions->meters_of("udpgw", session)->meters(), nullptr) << "nothing limits it";
  policy::TrafficRule row;
  row.concurrent_flows = 3;
  rule("session", row);
  ASSERT_NE(sessions->meters_of("udpgw", session)->meters(), nullptr);
  limits(second);  // each client is counted when its lane next asks about it
  EXPECT_EQ(open_flow(first, why), GH_OK);
  EXPECT_EQ(open_flow(first, why), GH_E_LIMIT);
  EXPECT_EQ(why.row, 21);
  close(second);
  EXPECT_EQ(open_flow(first, why), GH_OK);
  publish(model());  // no limit again
  table->refresh(table->context, &lane.head);
  EXPECT_EQ(open_flow(first, why), GH_OK);
  close(first);
  EXPECT_EQ(sessions->meters_of("udpgw", session)->meters()->flows.open(), 0u);
}

TEST_F(SessionPolicy, BeginsNothingWhileThereIsNoMemoryForItsMeters) {
  const std::uint64_t session = begin_session("key");
  gh_client* const early = client(session);
  EXPECT_EQ(open_flow(early, why), GH_OK);
  policy::TrafficRule row;
  row.id = 21;
  row.scope = "session";
  row.rate_up = 1000;
  row.concurrent_flows = 2;
  policy::Model rows = model();
  rows.traffic_rules = {row};
  const auto next = policy::compile(rows, {}, ++generation, 0).snapshot;
  // All that fails but the meters keeps the policy from being published.
  for (std::size_t nth = 1; board->generation() != generation; ++nth) try {
      const FailingAllocation one(nth);
      board->publish(next);
    } catch (const std::bad_alloc&) {
    }
  const auto meters = sessions->meters_of("udpgw", session);
  ASSERT_EQ(meters->meters(), nullptr);
  table->refresh(table->context, &lane.head);
  EXPECT_EQ(open_flow(early, why), GH_E_LIMIT);
  EXPECT_EQ(why.action, GH_ACTION_DENY);
  EXPECT_EQ(why.reason, GH_REASON_NONE);
  EXPECT_EQ(consume(early, 100), kSecond / 10);
  board->reserve_again();
  EXPECT_NE(meters->meters(), nullptr);
  EXPECT_EQ(consume(early, 100), 0u);
  EXPECT_EQ(open_flow(early, why), GH_OK);
  EXPECT_EQ(open_flow(early, why), GH_E_LIMIT) << "the flow that began before is counted";
  EXPECT_EQ(why.reason, GH_REASON_CONCURRENT_FLOWS);
  close(early);
  EXPECT_EQ(meters->meters()->flows.open(), 0u);
}

TEST_F(SessionPolicy, AnIdentitysLimitIsToldAsItsOwnWhereTheSessionHasNone) {
  policy::TrafficRule row;
  row.concurrent_flows = 1;
  rule("identity", row);
  gh_client* const one = client(begin_session("key"));
  EXPECT_EQ(open_flow(one, why), GH_OK);
  EXPECT_EQ(open_flow(one, why), GH_E_LIMIT);
  EXPECT_EQ(why.row, 21);
}

TEST_F(SessionPolicy, LanesMayHaveClientsOfOneSessionAtOnce) {
  policy::TrafficRule row;
  row.concurrent_flows = 50;
  row.destinations_per_minute = 40;
  row.concurrent_sessions = 1;
  rule("session", row);
  const std::uint64_t session = begin_session("key");
  const auto common = keys->open("token:eve", {});
  std::vector<std::thread> threads;
  for (std::uint32_t me = 0; me < 3; ++me)
    threads.emplace_back([&, me] {
      HostLane mine;
      mine.policy = remembering.make_lane();
      const std::string eve = "token:eve";
      gh_client_facts facts{sizeof facts, UINT32_MAX, {}, to_border(eve), session};
      for (std::uint32_t i = 0; i < 200; ++i) {
        gh_verdict verdict = no_verdict();
        gh_client* const one = table->client_open(table->context, &mine.head, &facts, &verdict);
        ASSERT_NE(one, nullptr);  // it is one session, however many streams it has
        for (std::uint32_t k = 0; k < 20; ++k) {
          const gh_flow flow = make_flow(GH_TRANSPORT_UDP, {IpAddress::v4(0x08080000 + (me + i * k) % 60), 53, 0});
          if (table->flow_open(table->context, &mine.head, one, &flow, kNow, &verdict) == GH_OK && k % 3 == 0)
            table->flow_close(table->context, &mine.head, one);
        }
        table->client_close(table->context, &mine.head, one);
      }
    });
  for (std::thread& thread : threads) thread.join();
  const policy::Meters& meters = *sessions->meters_of("udpgw", session)->meters();
  EXPECT_EQ(meters.flows.open(), 0u);
  EXPECT_EQ(meters.destinations.counted(kNow), 40u);
  EXPECT_EQ(common->sessions.open(), 0u);
  EXPECT_EQ(common->flows.open(), 0u);
}

TEST(SessionMeters, AreCountedWhereTheyEnterAsOftenAsTheyLeave) {
  SessionMeters one, other;
  policy::Meters common;
  EXPECT_TRUE(one.enter(common, 1));
  EXPECT_TRUE(one.enter(common, 1));
  EXPECT_FALSE(other.enter(common, 1));
  EXPECT_EQ(common.sessions.open(), 1u);
  one.leave(common);
  EXPECT_EQ(common.sessions.open(), 1u);
  one.leave(common);
  EXPECT_EQ(common.sessions.open(), 0u);
  EXPECT_TRUE(other.enter(common, 1));
}

}  // namespace
}  // namespace gatehouse
