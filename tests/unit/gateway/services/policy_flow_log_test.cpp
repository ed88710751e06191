// What gh.policy/1 tells the flow log.
#include "tests/unit/gateway/config/config_folder.hpp"
#include "tests/unit/gateway/services/policy_table.hpp"

#include <gmock/gmock.h>

#include <fstream>

namespace gatehouse {
namespace {

using testing::ElementsAre;

TEST_F(PolicyTable, TellsTheFlowLogOfVerdictsAndRefusedFlowsWhileItIsOn) {
  const auto log = std::make_shared<FlowLog>();
  PluginPolicy::Spec spec;
  spec.plugin = "udpgw";
  spec.flow_log = log;
  const PluginPolicy told(board, keys, spec);
  table = told.table();
  lane.policy = told.make_lane();
  const ConfigFolder folder;
  const auto file = folder.path() / "flows.json";
  gh_verdict why = no_verdict();
  gh_client* const client = open_from("192.0.2.7", why, "token:bob");
  check(client, "8.8.4.4", 1);  // nobody wants to know
  log->switch_to(AppendFile(file));
  check(client, "8.8.8.8", 53);
  check(client, "10.0.0.1", 53);
  policy::TrafficRule columns;
  columns.concurrent_flows = 1;
  rule("session", columns);
  EXPECT_EQ(open_flow(client, why), GH_OK);
  EXPECT_EQ(open_flow(client, why, "8.8.8.8", kNow, GH_FLOW_FIRST_TRY),
            GH_E_LIMIT);  // no line: it may be let through at the next
  EXPECT_EQ(why.reason, GH_REASON_CONCURRENT_FLOWS);
  EXPECT_EQ(open_flow(client, why), GH_E_LIMIT);
  lane.policy.reset();
  log->switch_to({});
  std::ifstream in(file);
  std::vector<std::string> lines;
  for (std::string text; std::getline(in, text);) lines.push_back(text.substr(text.find(",\"plugin\"")));
  const std::string who = R"(,"plugin":"udpgw","identity":"token:bob","source":"192.0.2.7",)";
  EXPECT_THAT(lines,
              ElementsAre(who + R"("destination":"8.8.8.8","port":53,"transport":"udp","verdict":"allow",)" +
                              R"("reason":"port_permit","table":"port_permits","row":5,"generation":1})",
                          who + R"("destination":"10.0.0.1","port":53,"transport":"udp","verdict":"deny",)" +
                              R"("reason":"bogon","generation":1})",
                          who + R"("destination":"8.8.8.8","port":53,"transport":"udp","verdict":"deny",)" +
                              R"("reason":"concurrent_flows","table":"traffic_rules","row":21,"generation":2})"));
}

}  // namespace
}  // namespace gatehouse
