// DNS answers that lead to a blocked name, one by one and many at a time among others: each question has one answer.
#include "tests/unit/udpgw/udpgw_fixture.hpp"

#include <gatehouse/base/endian.hpp>

#include <map>

namespace gatehouse::udpgw {
namespace {

class JudgedAnswers : public UdpgwPlugin {
 protected:
  JudgedAnswers() {
    host.set_policy([](const testkit::FakeFlow& flow) -> std::uint16_t {
      if ((flow.flags & GH_FLOW_BAD_NAME) != 0) return GH_REASON_DNS_MALFORMED;
      return flow.domain == "bad.test" ? GH_REASON_DOMAIN : 0;
    });
    judge(true);
    stream.send(frame(1, 0, far.endpoint, hex(kDnsQuery)));
    far.receive();
  }
  void judge(bool answers) {
    host.set_dns({far.endpoint.port}, answers);
    plugin.policy_changed();
  }
  /// Of a.test: a CNAME record for `label`.test, which has three letters.
  static ByteVector answer(std::uint16_t id, const char* label) {
    ByteVector out = hex("0000 8180 0001 0001 0000 0000 0161 0474657374 00 0001 0001 c00c 0005 0001 0000003c 0006");
    store_big(MutableBytes(out), id);
    out.push_back(std::byte{3});
    for (const char* c = label; *c != '\0'; ++c) out.push_back(static_cast<std::byte>(*c));
    const ByteVector pointer = hex("c00e");
    out.insert(out.end(), pointer.begin(), pointer.end());
    return out;
  }
  /// What of the next `count` frames came as it was sent, and what as NXDOMAIN: how often by id.
  struct Came {
    std::map<unsigned, int> whole, blocked;
  };
  Came receive(std::size_t count) {
    Came out;
    for (std::size_t i = 0; i < count; ++i) {
      const ByteVector got = stream.receive();
      if (got.size() < kOverheadV4 + 12) break;
      const Bytes payload = Bytes(got).subspan(kOverheadV4);
      const unsigned id = load_big<std::uint16_t>(payload);
      const bool is_whole = got == frame(1, 0, far.endpoint, answer(static_cast<std::uint16_t>(id), "fin"));
      if (is_whole)
        ++out.whole[id];
      else if ((load_big<std::uint16_t>(payload.subspan(2)) & 15) == 3 &&
               load_big<std::uint16_t>(payload.subspan(6)) == 0)
        ++out.blocked[id];
    }
    return out;
  }

  Stream stream{plugin.address()};
};

TEST_F(JudgedAnswers, IsABlockedOneWhereItLeadsToABlockedName) {
  far.send(far.from, answer(7, "bad"));
  far.send(far.from, answer(8, "fin"));
  const Came came = receive(2);
  EXPECT_EQ(came.blocked, (std::map<unsigned, int>{{7, 1}}));
  EXPECT_EQ(came.whole, (std::map<unsigned, int>{{8, 1}}));
  EXPECT_EQ(host.metric("blocked_answers"), 1u);
  EXPECT_EQ(host.metric("denied{reason=\"domain\"}"), 1u);
}

TEST_F(JudgedAnswers, LeavesTheOthersOfABatchAlone) {
  for (std::uint16_t round = 0; round < 4; ++round) {  // by single receives, in batches, and aggregated
    std::vector<ByteVector> run;
    Came want;
    for (std::uint16_t i = 0; i < 24; ++i) {
      const auto id = static_cast<std::uint16_t>(100 * round + i);
      const bool is_bad = i % 3 == 1;
      run.push_back(answer(id, is_bad ? "bad" : "fin"));
      ++(is_bad ? want.blocked : want.whole)[id];
    }
    if (round % 2 == 0)
      far.send_together(far.from, run);
    else
      for (const ByteVector& one : run) far.send(far.from, one);
    const Came came = receive(run.size());
    EXPECT_EQ(came.blocked, want.blocked) << round;
    EXPECT_EQ(came.whole, want.whole) << round;
  }
}

TEST_F(JudgedAnswers, DropsWhatIsNone) {
  far.send(far.from, hex("01020304"));
  far.send(far.from, answer(9, "fin"));
  EXPECT_EQ(receive(1).whole, (std::map<unsigned, int>{{9, 1}}));
  EXPECT_EQ(host.metric("denied{reason=\"dns_malformed\"}"), 1u);
}

/// Or a flood of answers would be judged that no rate lets through.
TEST_F(JudgedAnswers, IsJudgedOnceItIsPaidFor) {
  set_limits(UINT64_MAX, true);
  std::atomic<bool> may_pass = false;
  set_traffic({[&may_pass](std::uint32_t direction, std::uint64_t, std::uint64_t want, std::uint64_t) {
                 return direction != GH_DOWN || may_pass ? Grant{want, 0} : Grant{0, 1'000'000};
               },
               {},
               {}});
  stream.send(frame(1, 0, far.endpoint, hex(kDnsQuery)));
  far.receive();
  far.send(far.from, answer(7, "bad"));
  EXPECT_TRUE(eventually([&] { return host.metric("drops{cause=\"rate\"}") == 1; }));
  EXPECT_EQ(host.metric("denied{reason=\"domain\"}"), 0u);
  may_pass = true;
  far.send(far.from, answer(8, "bad"));
  EXPECT_EQ(receive(1).blocked, (std::map<unsigned, int>{{8, 1}}));
}

TEST_F(JudgedAnswers, FollowsThePolicy) {
  judge(false);
  stream.send(frame(1, 0, far.endpoint, hex(kDnsQuery)));
  far.receive();
  far.send(far.from, answer(7, "bad"));
  EXPECT_EQ(stream.receive(), frame(1, 0, far.endpoint, answer(7, "bad")));
  judge(true);
  stream.send(frame(1, 0, far.endpoint, hex(kDnsQuery)));
  far.receive();
  far.send(far.from, answer(8, "bad"));
  EXPECT_EQ(receive(1).blocked, (std::map<unsigned, int>{{8, 1}}));
}

}  // namespace
}  // namespace gatehouse::udpgw
