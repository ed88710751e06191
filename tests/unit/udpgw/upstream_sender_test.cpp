// The sender alone: sockets, a lane without a thread, traffic rules as functions; no client and no stream.
#include "plugins/udpgw/upstream_sender.hpp"

#include "tests/unit/sdk/plugin/lane_fixture.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <deque>

namespace gatehouse::udpgw {
namespace {

constexpr std::size_t kOverhead = 11;

using Sizes = std::vector<std::size_t>;

/// A flow's socket and its far end.
struct Flow final : FlowSocket {
  void on_ready(std::uint32_t events) override { last_events = events; }
  /// Sizes of what arrived by now.
  [[nodiscard]] Sizes arrived() const {
    Sizes out;
    std::byte bytes[65536];
    for (ssize_t n; (n = recv(far.get(), bytes, sizeof bytes, 0)) >= 0;) out.push_back(static_cast<std::size_t>(n));
    return out;
  }
  std::uint32_t last_events = 0;
  UniqueFd far;
};

class UpstreamSenderTest : public LaneTest {
 protected:
  UpstreamSenderTest() {
    to.headers = other.headers = 0;
    host.set_traffic({[this](std::uint32_t, std::uint64_t packets, std::uint64_t want, std::uint64_t least) {
                        charged.push_back({packets, want, least});
                        return rule ? rule(want, least) : Grant{want, 0};
                      },
                      {},
                      {}});
    host.set_policy({});
    cpp.policy().refresh(cpp.policy().context, &lane);
    session.emplace(std::move(*Session::open(context, {})));
    policy.emplace(std::move(*PolicyClient::open(context, {})));
    sender.emplace(loop, counters, *policy, *session, segmentation, [this] {
      ++resumed;
      loop.stop();
    });
  }
  ~UpstreamSenderTest() override {
    for (Flow* flow : {&to, &other})
      if (flow->fd) loop.poller().remove(flow->fd.get(), *flow);
  }

  void open(Flow& flow) {
    flow.far.reset(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_storage address{};
    socklen_t size = Endpoint{IpAddress::v4(0x7f000001), 0, 0}.to_sockaddr(address);
    ASSERT_EQ(bind(flow.far.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    size = sizeof address;
    getsockname(flow.far.get(), reinterpret_cast<sockaddr*>(&address), &size);
    UdpConnector connector(65536);
    auto fd = connector.connect(Endpoint::from_sockaddr(address), {});
    ASSERT_TRUE(fd);
    flow.fd = std::move(*fd);
    ASSERT_TRUE(loop.poller().add(flow.fd.get(), EPOLLIN, flow));
  }
  /// A socket that takes only so many datagrams as the far end's queue: net.unix.max_dgram_qlen.
  void open_narrow(Flow& flow) {
    int fds[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    flow.fd.reset(fds[0]);
    flow.far.reset(fds[1]);
    ASSERT_TRUE(loop.poller().add(flow.fd.get(), EPOLLIN, flow));
    segmentation = false;  // which this family does not have
  }

  /// A frame in memory that stays: `size` bytes, each of them `fill`.
  Bytes payload(std::size_t size, int fill = 1) {
    frames.emplace_back(kOverhead + size, static_cast<std::byte>(fill));
    return Bytes(frames.back()).subspan(kOverhead);
  }
  bool add(Flow& flow, std::size_t size, int fill = 1) { return sender->add(flow, kOverhead, payload(size, fill)); }
  std::uint64_t dropped(const char* cause) { return host.metric("drops{cause=\"" + std::string(cause) + "\"}"); }
  std::uint64_t sent() { return host.metric("datagrams{direction=\"up\"}"); }

  Counters counters{context};
  std::optional<Session> session;
  std::optional<PolicyClient> policy;
  bool segmentation = true;
  int resumed = 0;
  std::function<Grant(std::uint64_t want, std::uint64_t least)> rule;
  /// What the rates were asked for.
  struct Charge {
    std::uint64_t packets, want, least;
    bool operator==(const Charge&) const = default;
  };
  std::vector<Charge> charged;
  std::optional<UpstreamSender> sender;
  std::deque<std::vector<std::byte>> frames;
  Flow to, other;
};

TEST_F(UpstreamSenderTest, SendsDatagramsAsTheyCame) {
  open(to);
  open(other);
  for (const std::size_t size : {100u, 100u, 40u, 100u, 200u, 0u, 7u}) ASSERT_TRUE(add(to, size));
  ASSERT_TRUE(add(other, 5));
  ASSERT_TRUE(add(to, 9));
  EXPECT_EQ(sender->flush(), SendResult::sent);
  EXPECT_EQ(to.arrived(), (Sizes{100, 100, 40, 100, 200, 0, 7, 9}));
  EXPECT_EQ(other.arrived(), Sizes{5});
  EXPECT_EQ(sent(), 9u);
  EXPECT_EQ(host.metric("bytes{direction=\"up\"}"), 561u);
  EXPECT_EQ(sender->take_unsent(), nullptr);
  EXPECT_EQ(sender->flush(), SendResult::lost);  // there is none
}

TEST_F(UpstreamSenderTest, ARunHasSoManySegmentsAndBytesAsTheKernelTakes) {
  open(to);
  sender->set_metered(true);
  for (std::size_t i = 0; i < kMostSegments + 1; ++i) ASSERT_TRUE(add(to, 10));
  EXPECT_EQ(charged, (std::vector<Charge>{{kMostSegments, 10 * kMostSegments, 10}}));
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(add(to, 30'000, i));
  EXPECT_EQ(charged, (std::vector<Charge>{{kMostSegments, 10 * kMostSegments, 10}, {1, 10, 10}, {2, 60'000, 30'000}}));
}

TEST_F(UpstreamSenderTest, TellsHowManySystemCallsItMade) {
  open(to);
  open(other);
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(add(to, 20));  // one for a run
  EXPECT_EQ(sender->take_calls(), 0u);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(add(other, 20));
    ASSERT_TRUE(add(to, 20));
  }
  sender->flush();
  EXPECT_EQ(sender->take_calls(), 7u);
  EXPECT_EQ(sender->take_calls(), 0u);
}

TEST_F(UpstreamSenderTest, IsChargedForHeadersToo) {
  open(to);
  sender->set_metered(true);
  to.headers = FlowSocket::kHeadersV6;
  for (const std::size_t size : {100u, 100u, 40u, 0u}) ASSERT_TRUE(add(to, size));
  sender->flush();
  EXPECT_EQ(charged, (std::vector<Charge>{{3, 240 + 3 * 48, 148}, {1, 48, 48}}));
}

TEST_F(UpstreamSenderTest, GoesSinglyWhereTheKernelRefusesRuns) {
  open(to);
  const int on = 1;  // without a checksum there is no segmentation: EINVAL (kernel: udp_send_skb)
  ASSERT_EQ(setsockopt(to.fd.get(), SOL_SOCKET, SO_NO_CHECK, &on, sizeof on), 0);
  for (int run = 0; run < 4; ++run) {
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(add(to, 50));
    EXPECT_EQ(sender->flush(), SendResult::sent);
  }
  EXPECT_EQ(to.arrived().size(), 12u);
  EXPECT_EQ(to.refused_runs, 2);  // tried twice, not again
  EXPECT_TRUE(segmentation);      // which others may have
}

TEST_F(UpstreamSenderTest, GoesSinglyWhereTheLaneHasNoSegmentation) {
  open(to);
  segmentation = false;
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(add(to, 50));
  EXPECT_EQ(to.arrived().size(), 2u);  // each left with the next
  sender->flush();
  EXPECT_EQ(to.arrived().size(), 1u);
}

TEST_F(UpstreamSenderTest, TriesNoMoreRunsOnALaneWhoseWayHasNoneOfThem) {
  open(to);
  open(other);
  const UniqueFd lite(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDPLITE));
  if (!lite) GTEST_SKIP() << "the kernel has no UDP-Lite, whose runs it refuses as on a way without checksum offload";
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  getsockname(to.far.get(), reinterpret_cast<sockaddr*>(&address), &size);
  ASSERT_EQ(connect(lite.get(), reinterpret_cast<const sockaddr*>(&address), size), 0);
  ASSERT_EQ(dup2(lite.get(), to.fd.get()), to.fd.get());
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(add(to, 50));
  EXPECT_EQ(sender->flush(), SendResult::sent);
  EXPECT_FALSE(segmentation);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(add(other, 50));
  EXPECT_EQ(other.arrived().size(), 2u);  // each left with the next
  EXPECT_EQ(sent(), 5u);
}

TEST_F(UpstreamSenderTest, TellsAnIcmpErrorFromARefusedDatagram) {
  open(to);
  to.far.reset();
  ASSERT_TRUE(add(to, 10));
  EXPECT_EQ(sender->flush(), SendResult::sent);
  ASSERT_TRUE(add(to, 10));  // the error of the first one is reported, and it goes
  EXPECT_EQ(sender->flush(), SendResult::sent);
  EXPECT_EQ(host.metric("icmp_errors"), 1u);
  ASSERT_TRUE(add(to, 65'520));  // longer than a datagram
  EXPECT_EQ(sender->flush(), SendResult::lost);
  EXPECT_EQ(dropped("send_failed"), 1u);
  EXPECT_EQ(sent(), 2u);
}

TEST_F(UpstreamSenderTest, SendsWhatARateHoldsAndGoesOnWithTheRest) {
  open(to);
  sender->set_metered(true);
  std::atomic<std::uint64_t> left = 250;
  rule = [&left](std::uint64_t want, std::uint64_t least) { return testkit::take_from(left, want, least, 2'000'000); };
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(add(to, 100));
  EXPECT_EQ(sender->flush(), SendResult::waiting);
  EXPECT_EQ(charged.size(), 1u);  // one call tells all
  EXPECT_EQ(to.arrived().size(), 2u);
  EXPECT_TRUE(sender->is_waiting());
  EXPECT_EQ(sender->take_unsent(), frames[2].data());
  EXPECT_TRUE(sender->empty());
  loop.run();
  EXPECT_EQ(resumed, 1);
  EXPECT_FALSE(sender->is_waiting());
  left = 1000;
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(add(to, 100));
  EXPECT_EQ(sender->flush(), SendResult::sent);
  EXPECT_EQ(to.arrived().size(), 3u);
  EXPECT_EQ(left, 700u);
}

TEST_F(UpstreamSenderTest, ARateThatHoldsNothingDoesNotTakeTheNextDatagram) {
  open(to);
  sender->set_metered(true);
  rule = [](std::uint64_t, std::uint64_t) { return Grant{0, 1'000'000}; };
  ASSERT_TRUE(add(to, 10));
  EXPECT_FALSE(add(to, 20));
  EXPECT_EQ(sender->take_unsent(), frames[0].data());
  EXPECT_TRUE(to.arrived().empty());
}

TEST_F(UpstreamSenderTest, DropsWhatAQuotaDoesNotHold) {
  open(to);
  sender->set_metered(true);
  std::atomic<std::uint64_t> left = 250;
  rule = [&left](std::uint64_t want, std::uint64_t least) { return testkit::take_from(left, want, least, UINT64_MAX); };
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(add(to, 100));
  EXPECT_EQ(sender->flush(), SendResult::sent);
  EXPECT_EQ(to.arrived().size(), 2u);
  EXPECT_EQ(dropped("quota"), 3u);
  EXPECT_FALSE(sender->is_waiting());
  ASSERT_TRUE(add(to, 100));
  EXPECT_EQ(sender->flush(), SendResult::lost);
  EXPECT_EQ(sender->take_unsent(), nullptr);
}

TEST_F(UpstreamSenderTest, WaitsForAFullSocketAndIsNotChargedTwice) {
  open_narrow(to);
  sender->set_metered(true);
  std::size_t taken = 0;
  while (add(to, 100)) ++taken;
  ASSERT_GT(taken, 1u);  // the last that was taken did not go
  EXPECT_TRUE(sender->is_waiting());
  EXPECT_EQ(sender->take_unsent(), frames[taken - 1].data());
  EXPECT_EQ(charged.size(), taken);

  EXPECT_EQ(to.arrived().size(), taken - 1);
  ASSERT_EQ(loop.poller().turn(), 1u);
  EXPECT_NE(to.last_events & EPOLLOUT, 0u);
  sender->writable(to);
  EXPECT_EQ(loop.poller().turn(), 0u) << "that it takes more is not told again and again";
  EXPECT_EQ(resumed, 1);
  EXPECT_FALSE(sender->is_waiting());
  ASSERT_TRUE(add(to, 100));
  EXPECT_EQ(sender->flush(), SendResult::sent);
  EXPECT_EQ(charged.size(), taken);
  ASSERT_TRUE(add(to, 100));
  sender->flush();
  EXPECT_EQ(charged.size(), taken + 1);
  EXPECT_EQ(sent(), taken + 1);
}

TEST_F(UpstreamSenderTest, GoesOnWhenTheFullSocketIsClosed) {
  open_narrow(to);
  while (add(to, 100)) continue;
  ASSERT_NE(sender->take_unsent(), nullptr);
  sender->forget(other);  // not the one
  sender->forget(to);
  EXPECT_TRUE(sender->is_waiting());
  EXPECT_EQ(resumed, 0);
  loop.run();
  EXPECT_EQ(resumed, 1);
  EXPECT_FALSE(sender->is_waiting());
}

TEST_F(UpstreamSenderTest, StopsWaiting) {
  open(to);
  sender->set_metered(true);
  rule = [](std::uint64_t, std::uint64_t) { return Grant{0, 1'000'000'000}; };
  ASSERT_TRUE(add(to, 10));
  EXPECT_EQ(sender->flush(), SendResult::waiting);
  EXPECT_TRUE(sender->is_waiting());
  sender->stop();
  EXPECT_FALSE(sender->is_waiting());
}

}  // namespace
}  // namespace gatehouse::udpgw
