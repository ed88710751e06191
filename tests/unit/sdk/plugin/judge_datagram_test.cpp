#include <gatehouse/plugin/policy_client.hpp>
#include <gatehouse/testkit/hex.hpp>

#include "tests/unit/sdk/plugin/lane_fixture.hpp"

namespace gatehouse {
namespace {

using testkit::FakeFlow;
using testkit::hex;

class JudgeDatagram : public LaneTest {
 protected:
  Verdict judge(const char* destination, bool to_resolver, Bytes payload) {
    const auto client = PolicyClient::open(context, {});
    return judge_datagram(*client, {.destination = *Endpoint::parse(destination), .to_resolver = to_resolver}, payload);
  }
  /// Records what policy is asked; denies `bad`.
  void watch_policy() {
    host.set_policy([this](const FakeFlow& flow) {
      asked.push_back(flow);
      return flow.domain == "bad.test" ? std::uint16_t{GH_REASON_DOMAIN} : std::uint16_t{0};
    });
  }

  std::vector<FakeFlow> asked;
  const testkit::ByteVector good_query = hex("1234 0100 0001 0000 0000 0000 04676f6f64 0474657374 00 0001 0001");
  const testkit::ByteVector both_query =
      hex("1234 0100 0002 0000 0000 0000 04676f6f64 0474657374 00 0001 0001 03626164 c011 0001 0001");
};

TEST_F(JudgeDatagram, LooksIntoDnsOnPort53AndToResolvers) {
  watch_policy();
  EXPECT_TRUE(judge("192.0.2.1:53", false, good_query).allowed);
  EXPECT_TRUE(judge("192.0.2.1:5353", true, good_query).allowed);
  ASSERT_EQ(asked.size(), 2u);
  for (const FakeFlow& flow : asked) {
    EXPECT_EQ(flow.domain, "good.test");
    EXPECT_TRUE(flow.flags & GH_FLOW_NAMED);
  }
}

TEST_F(JudgeDatagram, JudgesEveryQuestion) {
  watch_policy();
  const Verdict verdict = judge("192.0.2.1:53", false, both_query);
  EXPECT_FALSE(verdict.allowed);
  EXPECT_EQ(verdict.reason, Reason::domain);
  ASSERT_EQ(asked.size(), 2u);
  EXPECT_EQ(asked[1].domain, "bad.test");
}

TEST_F(JudgeDatagram, TellsPolicyWhenAQueryCannotBeRead) {
  watch_policy();
  judge("192.0.2.1:53", false, hex("1234"));
  testkit::ByteVector update = good_query;
  update[2] = std::byte{0x28};  // opcode 5
  judge("192.0.2.1:53", false, update);
  ASSERT_EQ(asked.size(), 2u);
  for (const FakeFlow& flow : asked) EXPECT_EQ(flow.flags, GH_FLOW_BAD_NAME);
}

TEST_F(JudgeDatagram, TakesThePortsForDnsThatPolicySays) {
  watch_policy();
  host.set_dns({5353}, false);
  EXPECT_FALSE(judge("192.0.2.1:5353", false, both_query).allowed);
  EXPECT_TRUE(judge("192.0.2.1:53", false, both_query).allowed);
  const auto client = PolicyClient::open(context, {});
  EXPECT_TRUE(client->dns({.destination = *Endpoint::parse("192.0.2.1:5353")}).queries);
  EXPECT_FALSE(client->dns({.destination = *Endpoint::parse("192.0.2.1:5353")}).answers);
  EXPECT_FALSE(client->dns({.destination = *Endpoint::parse("192.0.2.1:53")}).queries);
  EXPECT_TRUE(client->dns({.destination = *Endpoint::parse("192.0.2.1:53"), .to_resolver = true}).queries);
}

TEST_F(JudgeDatagram, LeavesOtherPortsAlone) {
  watch_policy();
  judge("192.0.2.1:443", false, both_query);
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].flags, 0u);
  EXPECT_EQ(asked[0].domain, "");
}

class JudgeAnswer : public JudgeDatagram {
 protected:
  Verdict judge_reply(Bytes payload) {
    const auto client = PolicyClient::open(context, {});
    return judge_answer(*client, {.destination = *Endpoint::parse("192.0.2.1:53")}, payload);
  }
};

TEST_F(JudgeAnswer, JudgesEachTargetUntilOneIsRefused) {
  watch_policy();
  // good.test -> also.test -> bad.test -> last.test
  const Verdict verdict =
      judge_reply(hex("1234 8180 0001 0003 0000 0000 04676f6f64 0474657374 00 0001 0001"
                      "c00c 0005 0001 0000003c 0007 04616c736f c011  c027 0005 0001 0000003c 0006 03626164 c011"
                      "c03a 0005 0001 0000003c 0007 046c617374 c011"));
  EXPECT_FALSE(verdict.allowed);
  EXPECT_EQ(verdict.reason, Reason::domain);
  ASSERT_EQ(asked.size(), 2u);
  EXPECT_EQ(asked[0].domain, "also.test");
  EXPECT_EQ(asked[1].domain, "bad.test");
  for (const FakeFlow& flow : asked) EXPECT_EQ(flow.flags, GH_FLOW_NAMED | GH_FLOW_ANSWER);
}

TEST_F(JudgeAnswer, LetsAnswersPassThatLeadNowhere) {
  watch_policy();
  EXPECT_TRUE(judge_reply(hex("1234 8183 0001 0000 0000 0000 03626164 0474657374 00 0001 0001")).allowed);
  EXPECT_TRUE(asked.empty());
}

TEST_F(JudgeAnswer, TellsPolicyWhenOneCannotBeRead) {
  watch_policy();
  judge_reply(hex("1234 8180 0001 0001 0000 0000 04676f6f64 0474657374 00 0001 0001"));
  judge_reply(good_query);
  ASSERT_EQ(asked.size(), 2u);
  for (const FakeFlow& flow : asked) EXPECT_EQ(flow.flags, GH_FLOW_BAD_NAME | GH_FLOW_ANSWER);
}

}  // namespace
}  // namespace gatehouse
