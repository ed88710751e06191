#include <gatehouse/plugin/policy_client.hpp>
#include <gatehouse/testkit/fake_host.hpp>
#include <gatehouse/testkit/hex.hpp>

#include <gtest/gtest.h>

namespace gatehouse {
namespace {

using testkit::FakeFlow;
using testkit::hex;

class JudgeDatagram : public testing::Test {
 protected:
  gh_verdict judge(const char* destination, std::uint32_t flags, Bytes payload) {
    const Host cpp(host.table(), "test");
    gh_lane lane{sizeof(gh_lane), 0, 1, -1, 0};
    gh_verdict why{};
    const auto client = PolicyClient::open(cpp, &lane, {}, why);
    return judge_datagram(*client, make_flow(GH_TRANSPORT_UDP, *Endpoint::parse(destination), flags), payload);
  }
  /// Records what policy is asked; denies `bad`.
  void watch_policy() {
    host.set_policy([this](const FakeFlow& flow) {
      asked.push_back(flow);
      return flow.domain == "bad.test" ? std::uint16_t{GH_REASON_DOMAIN} : std::uint16_t{0};
    });
  }

  testkit::FakeHost host;
  std::vector<FakeFlow> asked;
  const testkit::ByteVector good_query = hex("1234 0100 0001 0000 0000 0000 04676f6f64 0474657374 00 0001 0001");
  const testkit::ByteVector both_query =
      hex("1234 0100 0002 0000 0000 0000 04676f6f64 0474657374 00 0001 0001 03626164 c011 0001 0001");
};

TEST_F(JudgeDatagram, LooksIntoDnsOnPort53AndToResolvers) {
  watch_policy();
  EXPECT_EQ(judge("192.0.2.1:53", 0, good_query).action, GH_ACTION_ALLOW);
  EXPECT_EQ(judge("192.0.2.1:5353", GH_FLOW_RESOLVER, good_query).action, GH_ACTION_ALLOW);
  ASSERT_EQ(asked.size(), 2u);
  for (const FakeFlow& flow : asked) {
    EXPECT_EQ(flow.domain, "good.test");
    EXPECT_TRUE(flow.flags & GH_FLOW_NAMED);
  }
}

TEST_F(JudgeDatagram, JudgesEveryQuestion) {
  watch_policy();
  const gh_verdict verdict = judge("192.0.2.1:53", 0, both_query);
  EXPECT_EQ(verdict.action, GH_ACTION_DENY);
  EXPECT_EQ(verdict.reason, GH_REASON_DOMAIN);
  ASSERT_EQ(asked.size(), 2u);
  EXPECT_EQ(asked[1].domain, "bad.test");
}

TEST_F(JudgeDatagram, TellsPolicyWhenAQueryCannotBeRead) {
  watch_policy();
  judge("192.0.2.1:53", 0, hex("1234"));
  testkit::ByteVector update = good_query;
  update[2] = std::byte{0x28};  // opcode 5
  judge("192.0.2.1:53", 0, update);
  ASSERT_EQ(asked.size(), 2u);
  for (const FakeFlow& flow : asked) EXPECT_EQ(flow.flags, GH_FLOW_BAD_NAME);
}

TEST_F(JudgeDatagram, LeavesOtherPortsAlone) {
  watch_policy();
  judge("192.0.2.1:443", 0, both_query);
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].flags, 0u);
  EXPECT_EQ(asked[0].domain, "");
}

}  // namespace
}  // namespace gatehouse
