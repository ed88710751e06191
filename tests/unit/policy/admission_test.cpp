// Who may use which frontend: rows of `admissions`, and what is said of them.
#include "policy/compile.hpp"
#include "policy/explain.hpp"

#include <gtest/gtest.h>

namespace gatehouse::policy {
namespace {

class AdmissionRows : public testing::Test {
 protected:
  AdmissionRows() {
    model.groups = {{0, "everyone", 100, true}, {1, "kids", 10, true}, {2, "gone", 20, false}};
    model.group_members = {{1, 1, "identity", "token:kid", {}}, {2, 2, "identity", "token:kid", {}}};
    PortPermit permit;
    permit.id = 5;
    model.port_permits = {permit};
  }
  /// The row that keeps such a client away; 0 = it is admitted.
  std::int64_t refusing(const ClientFacts& client) {
    compiled = compile(model, {}, 1, 1000);
    return compiled.snapshot->refuses(compiled.snapshot->group_of(client), client).value_or(0);
  }
  static ClientFacts client(std::string_view identity, std::string_view plugin = "udpgw",
                            std::string_view listener = "127.0.0.1:7300") {
    return {plugin, listener, identity, IpAddress::v4(0xc0000201)};
  }

  Model model;
  Compiled compiled;
};

TEST_F(AdmissionRows, AdmitEverybodyWhereThereAreNone) { EXPECT_EQ(refusing(client("token:kid")), 0); }

TEST_F(AdmissionRows, GoByGroupPluginAndListener) {
  model.admissions = {{3, 1, "udp*", "*:7300", "deny", 100, {}}};
  EXPECT_EQ(refusing(client("token:kid")), 3);
  EXPECT_EQ(refusing(client("token:bob")), 0) << "of another group";
  EXPECT_EQ(refusing(client("token:kid", "echo")), 0);
  EXPECT_EQ(refusing(client("token:kid", "udpgw", "unix:/run/udpgw.sock")), 0);
  EXPECT_EQ(refusing(client("token:kid", "udpgw", "")), 0) << "a client that came through no listener";
}

TEST_F(AdmissionRows, AreJudgedByPriorityThenId) {
  model.admissions = {{3, {}, "*", "*", "deny", 100, {}}, {4, 1, "*", "*", "allow", 50, {}}};
  EXPECT_EQ(refusing(client("token:kid")), 0);
  EXPECT_EQ(refusing(client("token:bob")), 3);
  model.admissions[1].priority = 100;
  EXPECT_EQ(refusing(client("token:kid")), 3);
}

TEST_F(AdmissionRows, CountOnlyWhileTheyLive) {
  model.admissions = {{3, {}, "*", "*", "deny", 100, {false, {}}},
                      {4, {}, "*", "*", "deny", 100, {true, 1000}},
                      {5, 2, "*", "*", "deny", 100, {}}};
  EXPECT_EQ(refusing(client("token:kid")), 0);
  EXPECT_TRUE(compiled.problems.empty()) << compiled.problems[0].sentence;
}

TEST_F(AdmissionRows, AreTheFirstStepThatIsExplained) {
  model.admissions = {{3, 1, "*", "*", "deny", 100, {}}, {4, {}, "echo", "*", "allow", 100, {}}};
  const auto explained = [&](const ClientFacts& of) {
    compiled = compile(model, {}, 1, 1000);
    return explain(*compiled.snapshot, of, false, {IpAddress::v4(0x08080808), 53, kUdp, 0, {}});
  };
  const Explanation refused = explained(client("token:kid"));
  ASSERT_EQ(refused.steps.size(), 1u);
  EXPECT_EQ(refused.steps[0].name, "admission");
  EXPECT_EQ(refused.steps[0].outcome, "deny");
  EXPECT_EQ(refused.verdict, (Verdict{Action::deny, Reason::admission, Table::admissions, 3, 1}));
  const Explanation admitted = explained(client("token:bob", "echo"));
  EXPECT_EQ(admitted.steps[0].row, 4);
  EXPECT_EQ(admitted.steps[0].table, Table::admissions);
  EXPECT_EQ(admitted.verdict.reason, Reason::port_permit);
  EXPECT_EQ(explained(client("token:bob")).steps[0].table, Table::none);
}

TEST(IcmpPermit, CoversBothProtocolsAndNothingElse) {
  Model model;
  model.groups = {{0, "everyone", 100, true}};
  PortPermit permit;
  permit.id = 5;
  permit.transport = "icmp";
  model.port_permits = {permit};
  const Compiled compiled = compile(model, {}, 1, 1000);
  ASSERT_TRUE(compiled.problems.empty());
  const auto allowed = [&](std::uint32_t transport, const char* to) {
    const Flow flow{IpAddress::parse(to).value(), 0, transport, 0, {}};
    return compiled.snapshot->judge(compiled.snapshot->standing_of({}, false), flow).allowed();
  };
  EXPECT_TRUE(allowed(1, "8.8.8.8"));
  EXPECT_TRUE(allowed(58, "2606:4700::1111"));
  EXPECT_FALSE(allowed(6, "8.8.8.8"));
  EXPECT_FALSE(allowed(17, "8.8.8.8"));
  EXPECT_FALSE(allowed(50, "8.8.8.8"));
}

}  // namespace
}  // namespace gatehouse::policy
