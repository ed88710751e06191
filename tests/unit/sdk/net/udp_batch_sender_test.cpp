#include <gatehouse/net/udp_batch_sender.hpp>

#include "tests/unit/sdk/net/bound_socket.hpp"

#include <gtest/gtest.h>

#include <netinet/in.h>

#include <algorithm>

namespace gatehouse {
namespace {

using Payload = std::vector<std::byte>;

/// Of `size` bytes, all of them `value`.
Payload payload(std::size_t size, int value) { return Payload(size, static_cast<std::byte>(value)); }

struct Way {
  const char* name;
  const char* from;  // a wildcard
  const char* local;
  const char* to;
};

/// A sender at a wildcard, and plain sockets that it sends to.
class BatchSend : public testing::TestWithParam<Way> {
 protected:
  void SetUp() override { begin(Gso::automatic, 1); }
  void begin(Gso gso, std::size_t receiver_count, int protocol = 0) {
    near = bound(*IpAddress::parse(GetParam().from), 0, false, protocol);
    counters = {};
    sender = std::make_unique<UdpBatchSender>(near.get(), gso, counters);
    receivers.clear();
    while (receivers.size() < receiver_count) {
      receivers.push_back(bound(*IpAddress::parse(GetParam().to), 0, false, protocol));
      const int bytes = 1 << 22;
      setsockopt(receivers.back().get(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    }
  }
  Datagram to(std::size_t receiver, Payload& of) {
    Datagram out{};
    out.payload = of;
    out.remote = local_of(receivers[receiver]);
    out.local = *IpAddress::parse(GetParam().local);
    return out;
  }
  void send_all(std::vector<Payload>& sent) {
    for (Payload& one : sent) sender->queue(to(0, one));
    sender->flush();
  }
  /// Exactly these come, in this order.
  void expect_at(std::size_t receiver, const std::vector<Payload>& expected) {
    for (std::size_t i = 0; i < expected.size(); ++i) {
      Endpoint from;
      const auto got = next_of(receivers[receiver], &from);
      ASSERT_TRUE(got) << i;
      ASSERT_EQ(got->size(), expected[i].size()) << i;
      ASSERT_EQ(*got, expected[i]) << i;
      ASSERT_EQ(from.address.to_string(), GetParam().local);
    }
    EXPECT_FALSE(next_of(receivers[receiver], nullptr, 0));
  }
  std::uint64_t refused() const {
    return counters.unreachable + counters.invalid + counters.too_long + counters.forbidden +
           counters.refused_otherwise + counters.full;
  }

  UniqueFd near;
  std::vector<UniqueFd> receivers;
  BatchCounters counters;
  std::unique_ptr<UdpBatchSender> sender;
};

TEST_P(BatchSend, DatagramsOfOneSizeAreOneMessage) {
  std::vector<Payload> sent;
  for (int i = 0; i < 64; ++i) sent.push_back(payload(500, i));
  send_all(sent);
  expect_at(0, sent);
  EXPECT_EQ(counters.messages_sent, 1u);
  EXPECT_EQ(counters.datagrams_sent, 64u);
  EXPECT_EQ(counters.send_calls, 1u);
}

TEST_P(BatchSend, AMessageHasSixtyFourDatagramsAtMost) {
  std::vector<Payload> sent;
  for (int i = 0; i < 150; ++i) sent.push_back(payload(3, i));
  send_all(sent);
  expect_at(0, sent);
  EXPECT_EQ(counters.messages_sent, 3u);
}

TEST_P(BatchSend, AMessageHasNoMoreBytesThanADatagramMayHave) {
  std::vector<Payload> sent;
  for (int i = 0; i < 60; ++i) sent.push_back(payload(1400, i));
  send_all(sent);
  expect_at(0, sent);
  EXPECT_EQ(counters.messages_sent, 2u);
  EXPECT_EQ(counters.datagrams_sent, 60u);
}

TEST_P(BatchSend, AShorterOneIsTheLastAndALongerOneTheFirst) {
  std::vector<Payload> sent;
  int value = 0;
  // In braces what goes together: {100 100 60} {100} {200} {0} {200 50} {0}
  for (const std::size_t size : {100u, 100u, 60u, 100u, 200u, 0u, 200u, 50u, 0u})
    sent.push_back(payload(size, ++value));
  send_all(sent);
  expect_at(0, sent);
  EXPECT_EQ(counters.messages_sent, 6u);
  EXPECT_EQ(counters.datagrams_sent, sent.size());
}

TEST_P(BatchSend, FlowsAreMergedAcrossEachOtherAndEachKeepsItsOrder) {
  constexpr std::size_t kFlows = 16, kRounds = 40;
  begin(Gso::automatic, kFlows);
  std::vector<std::vector<Payload>> sent(kFlows);
  for (std::size_t round = 0; round < kRounds; ++round) {
    for (std::size_t flow = 0; flow < kFlows; ++flow)  // now and then of another size
      sent[flow].push_back(payload((round + flow) % 13 == 0 ? 40 : 90, static_cast<int>(round)));
  }
  for (std::size_t round = 0; round < kRounds; ++round)
    for (std::size_t flow = 0; flow < kFlows; ++flow) sender->queue(to(flow, sent[flow][round]));
  sender->flush();
  for (std::size_t flow = 0; flow < kFlows; ++flow) expect_at(flow, sent[flow]);
  EXPECT_EQ(counters.datagrams_sent, kFlows * kRounds);
  EXPECT_LT(counters.messages_sent, kFlows * kRounds / 5);
}

TEST_P(BatchSend, WhatCameInOnePieceGoesInOne) {
  Payload all;
  std::vector<Payload> expected;
  for (int i = 0; i < 20; ++i) {
    expected.push_back(payload(i < 19 ? 300 : 5, i));
    all.insert(all.end(), expected.back().begin(), expected.back().end());
  }
  Datagram piece = to(0, all);
  piece.segment = 300;
  EXPECT_EQ(piece.count(), 20u);
  sender->queue(piece);
  sender->flush();
  expect_at(0, expected);
  EXPECT_EQ(counters.messages_sent, 1u);
  EXPECT_EQ(counters.datagrams_sent, 20u);
}

TEST_P(BatchSend, PiecesAndSinglesOfOneSizeGoTogether) {
  Payload first = payload(200, 1), pair = payload(400, 2), longer = payload(201, 3), last = payload(100, 4);
  Datagram piece = to(0, pair);
  piece.segment = 200;
  sender->queue(to(0, first));
  sender->queue(piece);
  sender->queue(to(0, last));
  sender->queue(to(0, longer));
  sender->flush();
  expect_at(0, {first, payload(200, 2), payload(200, 2), last, longer});
  EXPECT_EQ(counters.messages_sent, 2u);
}

TEST_P(BatchSend, APieceWithMoreThanAMessageMayHaveIsCut) {
  Payload all;
  std::vector<Payload> expected;
  for (int i = 0; i < 150; ++i) expected.push_back(payload(10, i));
  for (const Payload& one : expected) all.insert(all.end(), one.begin(), one.end());
  Datagram piece = to(0, all);
  piece.segment = 10;
  sender->queue(piece);
  sender->flush();
  expect_at(0, expected);
  EXPECT_EQ(counters.messages_sent, 3u);
}

TEST_P(BatchSend, APieceWithMoreBytesThanADatagramMayHaveIsCut) {
  Payload all = payload(20 * 3500, 5);
  Datagram piece = to(0, all);
  piece.segment = 3500;
  sender->queue(piece);
  sender->flush();
  expect_at(0, std::vector<Payload>(20, payload(3500, 5)));
  EXPECT_EQ(counters.messages_sent, 2u);
  EXPECT_EQ(refused(), 0u);
}

TEST_P(BatchSend, WithoutSegmentationAllGoSingly) {
  begin(Gso::off, 1);
  EXPECT_FALSE(sender->segments());
  Payload all = payload(1000, 1), single = payload(100, 2);
  Datagram piece = to(0, all);
  piece.segment = 300;
  sender->queue(piece);
  sender->queue(to(0, single));
  sender->queue(to(0, single));
  sender->flush();
  expect_at(0, {payload(300, 1), payload(300, 1), payload(300, 1), payload(100, 1), single, single});
  EXPECT_EQ(counters.messages_sent, 6u);
  EXPECT_EQ(counters.send_calls, 1u);
}

TEST_P(BatchSend, MoreThanABatchIsSentInOrder) {
  begin(Gso::off, 1);
  std::vector<Payload> sent;
  for (int i = 0; i < 200; ++i) sent.push_back(payload(4, i));
  send_all(sent);
  expect_at(0, sent);
  EXPECT_EQ(counters.send_calls, 4u);
}

TEST_P(BatchSend, WhatIsRefusedEndsNothing) {
  const bool is_v4 = IpAddress::parse(GetParam().to)->is_v4();
  std::vector<Payload> sent;
  for (int i = 0; i < 3; ++i) sent.push_back(payload(8, i));
  Payload huge = payload(65530, 9), lost = payload(8, 9);
  Datagram foreign = to(0, lost);
  foreign.local = *IpAddress::parse(is_v4 ? "192.0.2.77" : "2001:db8::77");  // an address that is gone
  Datagram no_port = to(0, lost);
  no_port.remote.port = 0;

  sender->queue(foreign);
  sender->queue(to(0, sent[0]));
  sender->queue(to(0, huge));
  sender->queue(to(0, sent[1]));
  sender->queue(no_port);
  sender->queue(foreign);
  sender->queue(to(0, sent[2]));
  sender->flush();
  expect_at(0, sent);
  EXPECT_EQ(counters.datagrams_sent, 3u);
  EXPECT_EQ(counters.too_long, 1u);
  EXPECT_EQ(counters.unreachable, is_v4 ? 2u : 0u);
  EXPECT_EQ(counters.invalid, is_v4 ? 1u : 3u);
  EXPECT_EQ(refused(), 4u);
}

TEST_P(BatchSend, ARefusedRunEndsNothingAndIsCountedWhole) {
  const bool is_v4 = IpAddress::parse(GetParam().to)->is_v4();
  std::vector<Payload> sent;
  for (int i = 0; i < 10; ++i) sent.push_back(payload(8, i));
  for (Payload& one : sent) {
    Datagram foreign = to(0, one);
    foreign.local = *IpAddress::parse(is_v4 ? "192.0.2.77" : "2001:db8::77");
    sender->queue(foreign);
    sender->queue(to(0, one));
  }
  sender->flush();
  expect_at(0, sent);
  EXPECT_EQ(counters.unreachable + counters.invalid, 10u);
  EXPECT_EQ(counters.datagrams_sent, 10u);
  EXPECT_EQ(counters.messages_sent, 1u);
  EXPECT_LE(counters.send_calls, 4u);  // a refused run is not tried datagram by datagram
}

TEST_P(BatchSend, OnlyTheEndOfEqualOnesIsMadeShorter) {
  begin(Gso::never_equal_tail, 1);
  std::vector<Payload> sent;
  for (int i = 0; i < 8; ++i) sent.push_back(payload(50, i));
  send_all(sent);
  std::vector<Payload> expected = sent;
  expected.push_back(payload(1, 7));
  expect_at(0, expected);
  EXPECT_EQ(counters.messages_sent, 1u);
  EXPECT_EQ(counters.datagrams_sent, 8u);

  sent.push_back(payload(20, 8));
  send_all(sent);
  expect_at(0, sent);
  EXPECT_EQ(counters.messages_sent, 2u);
}

TEST_P(BatchSend, FewEqualOnesGoSingly) {
  begin(Gso::never_equal_tail, 2);
  std::vector<Payload> sent;
  for (int i = 0; i < 7; ++i) sent.push_back(payload(50, i));
  for (Payload& one : sent) sender->queue(to(0, one)), sender->queue(to(1, one));
  sender->flush();
  expect_at(0, sent);
  expect_at(1, sent);
  EXPECT_EQ(counters.messages_sent, 14u);
  EXPECT_EQ(counters.datagrams_sent, 14u);
}

TEST_P(BatchSend, FewEqualOnesGoSinglyBetweenOthers) {
  begin(Gso::never_equal_tail, 3);
  Payload single = payload(40, 1), three = payload(3 * 60, 2), many = payload(9 * 30, 3);
  Datagram few = to(1, three), run = to(2, many);
  few.segment = 60;
  run.segment = 30;
  sender->queue(to(0, single));
  sender->queue(few);
  sender->queue(run);
  sender->flush();
  expect_at(0, {single});
  expect_at(1, std::vector<Payload>(3, payload(60, 2)));
  std::vector<Payload> with_tail(9, payload(30, 3));
  with_tail.push_back(payload(1, 7));
  expect_at(2, with_tail);
  EXPECT_EQ(counters.messages_sent, 5u);
}

TEST_P(BatchSend, ManyEqualOnesLeaveRoomForTheTail) {
  begin(Gso::never_equal_tail, 1);
  Payload all = payload(64 * 20, 3);
  Datagram piece = to(0, all);
  piece.segment = 20;
  sender->queue(piece);
  sender->flush();
  std::vector<Payload> expected(63, payload(20, 3));
  expected.push_back(payload(1, 7));
  expected.push_back(payload(20, 3));
  expect_at(0, expected);
  // Datagrams of a byte have no shorter one.
  std::vector<Payload> bytes(10, payload(1, 1));
  send_all(bytes);
  expect_at(0, bytes);
}

// The kernel does not cut UDP-Lite (RFC 3828), which is like UDP else.
TEST_P(BatchSend, WhereAPathHasNoSegmentationItIsSwitchedOff) {
  if (!UniqueFd(socket(AF_INET6, SOCK_DGRAM, IPPROTO_UDPLITE))) GTEST_SKIP() << "this kernel has no UDP-Lite";
  begin(Gso::automatic, 1, IPPROTO_UDPLITE);
  std::vector<Payload> sent;
  for (int i = 0; i < 10; ++i) sent.push_back(payload(8, i));
  send_all(sent);
  expect_at(0, sent);
  EXPECT_EQ(counters.gso_switched_off, 1u);
  EXPECT_FALSE(sender->segments());
  EXPECT_EQ(counters.messages_sent, 10u);
  send_all(sent);
  expect_at(0, sent);
  EXPECT_EQ(counters.datagrams_sent, 20u);
  EXPECT_EQ(counters.send_calls, 3u);  // two the first time, one the second
  EXPECT_EQ(refused(), 0u);
}

// An answer may leave by another link than the question came by; only a link-local address needs to be told.
TEST_P(BatchSend, TheLinkIsTheRoutesToChoose) {
  Payload one = payload(30, 1);
  Datagram datagram = to(0, one);
  datagram.link = 424242;  // of no interface
  sender->queue(datagram);
  sender->flush();
  expect_at(0, {one});
}

// Longer than the path's MTU, each is cut into fragments; as one message they would be refused.
TEST_P(BatchSend, WhatIsLongerThanThePathTakesGoesSingly) {
  if (IpAddress::parse(GetParam().to)->is_v4()) GTEST_SKIP() << "only IPv6 lets a socket choose its MTU";
  const int mtu = 1280;
  ASSERT_EQ(setsockopt(near.get(), IPPROTO_IPV6, IPV6_MTU, &mtu, sizeof mtu), 0);
  std::vector<Payload> sent;
  for (int i = 0; i < 5; ++i) sent.push_back(payload(i < 4 ? 2000 : 100, i));
  send_all(sent);
  expect_at(0, sent);
  EXPECT_EQ(counters.datagrams_sent, 5u);
  EXPECT_EQ(counters.messages_sent, 5u);
  EXPECT_EQ(refused(), 0u);
  EXPECT_TRUE(sender->segments());
}

TEST_P(BatchSend, TwoLocalAddressesAreTwoFlows) {
  if (!IpAddress::parse(GetParam().to)->is_v4()) GTEST_SKIP() << "loopback has one IPv6 address";
  Payload one = payload(30, 1), two = payload(30, 2);
  Datagram second = to(0, two);
  second.local = *IpAddress::parse("127.0.0.99");
  sender->queue(to(0, one));
  sender->queue(second);
  sender->flush();
  Endpoint from;
  EXPECT_EQ(next_of(receivers[0], &from), one);
  EXPECT_EQ(from.address.to_string(), GetParam().local);
  EXPECT_EQ(next_of(receivers[0], &from), two);
  EXPECT_EQ(from.address.to_string(), "127.0.0.99");
}

constexpr Way kWays[] = {{"V4", "0.0.0.0", "127.0.0.5", "127.0.0.1"},
                         {"V6", "::", "::1", "::1"},
                         {"V4OverV6", "::", "127.0.0.5", "127.0.0.1"}};
INSTANTIATE_TEST_SUITE_P(Families, BatchSend, testing::ValuesIn(kWays),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace gatehouse
