#include <gatehouse/net/batch_receiver.hpp>

#include <gatehouse/base/endian.hpp>
#include <gatehouse/base/unique_fd.hpp>
#include <gatehouse/net/udp_socket.hpp>

#include <gtest/gtest.h>

#include <poll.h>

#include <deque>
#include <vector>

namespace gatehouse {
namespace {

constexpr std::size_t kHead = 11;
using Sizes = std::vector<std::size_t>;

/// Datagram `number` of a test: so many bytes that say which one it is.
std::vector<std::byte> datagram(std::size_t number, std::size_t size) {
  std::vector<std::byte> out(size);
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<std::byte>(number * 31 + i * 7);
  return out;
}

/// Keeps frames one behind the other, each with its size in front, as a frontend's queue does.
class Frames {
 public:
  explicit Frames(std::size_t capacity) : memory_(capacity) {}
  bool wants_more() const { return wants && taken < most_taken; }
  MutableBytes room() {
    const MutableBytes rest = MutableBytes(memory_).subspan(used_);
    return rest.first(std::min(rest.size(), most_room));
  }
  std::size_t take(MutableBytes place, std::size_t payload) {
    EXPECT_EQ(place.data(), memory_.data() + used_);
    EXPECT_GE(place.size(), kHead + payload);
    if (taken++ % every != 0) return 0;
    store_big(place, static_cast<std::uint32_t>(payload));
    used_ += kHead + payload;
    return kHead + payload;
  }
  /// What has been kept, taken out.
  std::vector<std::vector<std::byte>> payloads() {
    std::vector<std::vector<std::byte>> out;
    for (Bytes rest = Bytes(memory_).first(used_); !rest.empty();) {
      const std::size_t size = load_big<std::uint32_t>(rest);
      const Bytes payload = rest.subspan(kHead, size);
      out.emplace_back(payload.begin(), payload.end());
      rest = rest.subspan(kHead + size);
    }
    used_ = 0;
    return out;
  }

  bool wants = true;
  std::size_t every = 1;  // keeps one of so many
  std::size_t taken = 0;
  std::size_t most_taken = SIZE_MAX, most_room = SIZE_MAX;

 private:
  std::vector<std::byte> memory_;
  std::size_t used_ = 0;
};

class BatchReceiverTest : public testing::Test {
 protected:
  BatchReceiverTest() {
    far_.reset(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    near_.reset(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int buffer = 8 << 20;
    setsockopt(near_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer);
    bind_and_connect(near_.get(), far_.get());
    bind_and_connect(far_.get(), near_.get());
  }
  static void bind_and_connect(int to, int from) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    getsockname(to, reinterpret_cast<sockaddr*>(&address), &size);
    if (Endpoint::from_sockaddr(address).port == 0) {
      size = Endpoint{IpAddress::v4(0x7f000001), 0, 0}.to_sockaddr(address);
      EXPECT_EQ(bind(to, reinterpret_cast<sockaddr*>(&address), size), 0);
      size = sizeof address;
      getsockname(to, reinterpret_cast<sockaddr*>(&address), &size);
    }
    EXPECT_EQ(connect(from, reinterpret_cast<sockaddr*>(&address), size), 0);
  }

  /// Sends datagrams of these sizes, each by a call of its own.
  void send(const Sizes& sizes) {
    for (const std::size_t size : sizes) {
      sent.push_back(datagram(sent.size(), size));
      EXPECT_EQ(::send(far_.get(), sent.back().data(), size, 0), static_cast<ssize_t>(size));
    }
  }
  /// The same by one UDP_SEGMENT send: all but the last are equally long.
  void send_together(const Sizes& sizes) {
    std::vector<Bytes> payloads;
    for (const std::size_t size : sizes) {
      sent.push_back(datagram(sent.size(), size));
      payloads.emplace_back(sent.back());
    }
    EXPECT_TRUE(send_segments(far_.get(), payloads, sizes.front()));
  }
  /// The far end is gone, and the host has said so (ICMP).
  void send_back_and_close() {
    far_.reset();
    EXPECT_EQ(::send(near_.get(), "x", 1, 0), 1);
  }
  Received receive() { return receiver.receive(near_.get(), history, ++turn, kHead, frames); }
  /// All that waits, turn after turn.
  void receive_all() {
    pollfd ready{near_.get(), POLLIN, 0};
    while (poll(&ready, 1, 0) == 1) receive();
  }
  /// Everything that was sent has come, in order, none cut or joined.
  void expect_all() {
    const auto got = frames.payloads();
    ASSERT_EQ(got.size(), sent.size());
    for (std::size_t i = 0; i < got.size(); ++i) ASSERT_TRUE(got[i] == sent[i]) << "datagram " << i;
    sent.clear();
  }
  /// Makes the socket one that is read in batches.
  void warm_up(std::size_t size) {
    send({size, size, size});
    receive_all();
    expect_all();
    EXPECT_TRUE(history.bursting);
  }
  /// Lets quiet turns pass.
  void cool_down() {
    turn += 10;
    history.bursting = false;
  }

  BatchReceiver receiver;
  ReceiveHistory history;
  Frames frames{4 << 20};
  std::uint32_t turn = 100;
  std::deque<std::vector<std::byte>> sent;

 private:
  UniqueFd far_, near_;
};

TEST_F(BatchReceiverTest, AQuietSocketGivesOneDatagramATurn) {
  send({100, 200});
  Received got = receive();
  EXPECT_EQ(got.datagrams, 1u);
  EXPECT_EQ(got.reached, kHead + 100);
  EXPECT_FALSE(got.reached_limit);
  EXPECT_FALSE(history.aggregates);
  turn += 10;
  EXPECT_EQ(receive().datagrams, 1u);
  expect_all();
}

TEST_F(BatchReceiverTest, ABusySocketGivesAllItHas) {
  send(Sizes(5, 1400));
  EXPECT_EQ(receive().datagrams, 1u);
  EXPECT_EQ(receive().datagrams, 4u);
  EXPECT_EQ(history.predicted, 1400);
  expect_all();
  send(Sizes(70, 1400));
  EXPECT_EQ(receive().datagrams, 70u);
  expect_all();
  const Received none = receive();
  EXPECT_EQ(none.datagrams, 0u);
  EXPECT_FALSE(none.error);
}

TEST_F(BatchReceiverTest, StopsAtTheLimitOfATurn) {
  warm_up(100);
  send(Sizes(300, 100));
  Received got = receive();
  EXPECT_EQ(got.datagrams, BatchReceiver::kMostPerTurn);
  EXPECT_TRUE(got.reached_limit);
  receive_all();
  expect_all();
}

TEST_F(BatchReceiverTest, LeavesInTheSocketWhatIsNotWanted) {
  warm_up(100);
  send({100, 100});
  frames.wants = false;
  const Received got = receive();
  EXPECT_EQ(got.datagrams, 0u);
  EXPECT_TRUE(got.reached_limit);
  frames.wants = true;
  receive_all();
  expect_all();
}

TEST_F(BatchReceiverTest, TakesOneWhereThereIsRoomForOne) {
  warm_up(100);
  send({100, 100, 100});
  frames.most_room = 2 * (kHead + 100) - 1;
  frames.most_taken = frames.taken + 1;
  EXPECT_EQ(receive().datagrams, 1u);
  frames.most_room = 2 * (kHead + 100);
  frames.most_taken = frames.taken + 2;
  EXPECT_EQ(receive().datagrams, 2u);
  expect_all();
}

TEST_F(BatchReceiverTest, ReportsAnErrorAndGoesOn) {
  warm_up(100);
  send_back_and_close();
  const Received got = receive();
  EXPECT_EQ(got.datagrams, 0u);
  EXPECT_EQ(got.error, boost::system::errc::connection_refused);
  EXPECT_FALSE(receive().error);
}

TEST_F(BatchReceiverTest, DoesWithoutAggregationWhereTheKernelHasNone) {
  int fds[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
  const UniqueFd near(fds[0]), far(fds[1]);
  for (int i = 0; i < 3; ++i) {
    sent.push_back(datagram(sent.size(), 50));
    ASSERT_EQ(::send(far.get(), sent.back().data(), 50, 0), 50);
  }
  receiver.receive(near.get(), history, ++turn, kHead, frames);
  EXPECT_EQ(receiver.receive(near.get(), history, ++turn, kHead, frames).datagrams, 2u);
  EXPECT_FALSE(history.aggregates);
  expect_all();
}

struct Case {
  const char* name;
  std::size_t before;  // bytes of the datagrams that came before: what is predicted
  Sizes sizes;
};

class BatchSizes : public BatchReceiverTest, public testing::WithParamInterface<Case> {};

TEST_P(BatchSizes, ArriveAsTheyWereSent) {
  warm_up(GetParam().before);
  for (int i = 0; i < 3; ++i) {
    send(GetParam().sizes);
    receive_all();
    expect_all();
  }
}

TEST_P(BatchSizes, ArriveAsTheyWereSentWithoutAggregation) {
  receiver.forgo_aggregation();
  warm_up(GetParam().before);
  send(GetParam().sizes);
  receive_all();
  expect_all();
  EXPECT_FALSE(history.aggregates);
}

/// Of each second one, only the others stay.
TEST_P(BatchSizes, AreKeptAsTheSinkWants) {
  warm_up(GetParam().before);
  send(GetParam().sizes);
  frames.every = 2;
  frames.taken = 0;
  receive_all();
  std::deque<std::vector<std::byte>> kept;
  for (std::size_t i = 0; i < sent.size(); i += 2) kept.push_back(sent[i]);
  sent = kept;
  expect_all();
}

Sizes mixed(std::size_t count) {
  Sizes out;
  for (std::size_t i = 0; i < count; ++i) out.push_back(i * 7919 % 1473);
  return out;
}

const Case kCases[] = {
    {"AsPredicted", 1400, Sizes(40, 1400)},
    {"Shorter", 1400, {1400, 20, 1400, 1399, 1400}},
    {"Longer", 100, {100, 101, 100, 1400, 9000, 100}},
    {"AllLonger", 20, Sizes(64, 1400)},
    {"Empty", 1400, {0, 0, 1400, 0}},
    {"OnlyEmpty", 0, Sizes(5, 0)},
    {"AfterEmpty", 0, {1, 1400, 0, 2}},
    {"OneByte", 1, Sizes(100, 1)},
    {"Largest", 1400, {65507, 1400, 65507, 65507, 1}},
    {"LargestPredicted", 65507, {65507, 65507, 3, 65507, 65507, 65507}},
    {"Mixed", 1400, mixed(200)},
};
INSTANTIATE_TEST_SUITE_P(Cases, BatchSizes, testing::ValuesIn(kCases),
                         [](const auto& test) { return test.param.name; });

struct Aggregate {
  const char* name;
  std::size_t before;
  std::vector<Sizes> sends;  // one UDP_SEGMENT send each; of one datagram: a plain one
};

Sizes equal(std::size_t count, std::size_t size, std::size_t last) {
  Sizes out(count, size);
  out.push_back(last);
  return out;
}

class BatchAggregates : public BatchReceiverTest, public testing::WithParamInterface<Aggregate> {
 protected:
  void send_all() {
    for (const Sizes& sizes : GetParam().sends) sizes.size() == 1 ? send(sizes) : send_together(sizes);
  }
};

TEST_P(BatchAggregates, ArriveAsSingleDatagrams) {
  warm_up(GetParam().before);
  for (int i = 0; i < 3; ++i) {  // found, predicted, and again
    send_all();
    receive_all();
    expect_all();
  }
}

TEST_P(BatchAggregates, ArriveAsSingleDatagramsWhenTheSocketWasQuiet) {
  warm_up(GetParam().before);
  for (int i = 0; i < 3; ++i) {
    cool_down();
    send_all();
    receive_all();
    expect_all();
  }
}

TEST_P(BatchAggregates, AreKeptAsTheSinkWants) {
  warm_up(GetParam().before);
  frames.every = 3;
  for (int i = 0; i < 2; ++i) {
    send_all();
    frames.taken = 0;
    receive_all();
    std::deque<std::vector<std::byte>> kept;
    for (std::size_t n = 0; n < sent.size(); n += 3) kept.push_back(sent[n]);
    sent = kept;
    expect_all();
  }
}

TEST_P(BatchAggregates, AreCountedAsTheDatagramsTheyHold) {
  warm_up(GetParam().before);
  send_all();
  std::size_t datagrams = 0;
  for (int i = 0; i < 20; ++i) datagrams += receive().datagrams;
  EXPECT_EQ(datagrams, sent.size());
}

const Aggregate kAggregates[] = {
    {"AsPredicted", 1400, {Sizes(16, 1400)}},
    {"OddTail", 1400, {equal(15, 1400, 3)}},
    {"Longest", 1400, {Sizes(46, 1400), Sizes(46, 1400)}},
    {"OtherSize", 1400, {equal(20, 700, 700), equal(20, 900, 1)}},
    {"OneByteEach", 1400, {Sizes(64, 1)}},
    {"BetweenSingles", 1400, {{1400}, equal(10, 1400, 20), {1400}, {1500}, {0}, Sizes(16, 1400), {3000}}},
    {"SingleLongerThanTheirs", 100, {Sizes(30, 100), {250}, Sizes(30, 100), {60000}}},
    {"SmallAfterLarge", 9000, {Sizes(7, 9000), Sizes(64, 20)}},
};
INSTANTIATE_TEST_SUITE_P(Cases, BatchAggregates, testing::ValuesIn(kAggregates),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace gatehouse
