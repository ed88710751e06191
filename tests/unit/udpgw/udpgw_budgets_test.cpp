// What all clients of a lane may use together, and who gives way.
#include "plugins/udpgw/lane.hpp"
#include "tests/unit/udpgw/udpgw_fixture.hpp"

#include <deque>

namespace gatehouse::udpgw {
namespace {

class UdpgwBudgets : public UdpgwPlugin {
 protected:
  std::uint64_t metric(const char* name) const { return host.metric(name); }
  bool comes_to(const char* name, std::uint64_t value) {
    return eventually([&] { return metric(name) == value; });
  }
  /// A stream that the lane knows.
  Stream& open() {
    const std::uint64_t before = metric("streams_opened");
    Stream& stream = streams.emplace_back(plugin.address());
    EXPECT_TRUE(comes_to("streams_opened", before + 1));
    return stream;
  }
  void open_forwards(Stream& stream, std::uint16_t count) {
    for (std::uint16_t conid = 0; conid < count; ++conid) {
      stream.send(frame(conid, 0, far.endpoint, hex("01")));
      EXPECT_EQ(far.receive(), hex("01"));
    }
  }
  /// The lane looks at its share of the memory four times a second.
  void set_memory(std::uint64_t bytes) {
    host.set_memory(bytes);
    const std::uint64_t before = plugin.turns(0);
    EXPECT_TRUE(eventually([&] { return plugin.turns(0) >= before + 2; }));
  }

  std::deque<Stream> streams;
};

TEST_F(UdpgwBudgets, StreamsGetHalfOfTheDescriptorsAndTheLongestIdleOneGoes) {
  host.set_descriptors(8);
  for (int i = 0; i < 4; ++i) open();
  EXPECT_EQ(host.shortages(GH_RESOURCE_DESCRIPTORS), 0u);
  streams[0].send(frame(1, 0, far.endpoint, hex("02")));
  EXPECT_EQ(far.receive(), hex("02"));
  open();
  EXPECT_TRUE(streams[1].ended());
  EXPECT_TRUE(comes_to("streams", 4));
  EXPECT_EQ(metric("streams_recycled"), 1u);
  EXPECT_EQ(host.shortages(GH_RESOURCE_DESCRIPTORS), 1u);
  EXPECT_TRUE(said("it made place for a newer stream"));
  for (const std::size_t stays : {0u, 2u, 3u, 4u}) open_forwards(streams[stays], 1);
}

TEST_F(UdpgwBudgets, ForwardsGetWhatStreamsLeave) {
  host.set_descriptors(8);
  open_forwards(open(), 10);
  EXPECT_EQ(metric("forwards"), 7u);
  EXPECT_EQ(metric("forwards_recycled"), 3u);
  EXPECT_EQ(host.shortages(GH_RESOURCE_DESCRIPTORS), 3u);
  open();
  EXPECT_EQ(metric("forwards"), 6u) << "a stream that comes takes the place of a forward, not of a stream";
  EXPECT_EQ(metric("streams"), 2u);
}

TEST_F(UdpgwBudgets, ASmallerShareIsComeDownTo) {
  host.set_descriptors(40);
  Stream& stream = open();
  open_forwards(stream, 30);
  host.set_descriptors(11);
  for (int i = 0; i < 10; ++i) {
    stream.send(frame(static_cast<std::uint16_t>(100 + i), 0, far.endpoint, hex("03")));
    EXPECT_EQ(far.receive(), hex("03"));
  }
  EXPECT_EQ(metric("forwards"), 10u);
}

TEST_F(UdpgwBudgets, WithoutDescriptorsNoStreamIsServed) {
  host.set_descriptors(1);
  Stream stream(plugin.address());
  EXPECT_TRUE(stream.ended());
  EXPECT_EQ(metric("streams_refused{cause=\"no_socket\"}"), 1u);
  EXPECT_EQ(host.shortages(GH_RESOURCE_DESCRIPTORS), 1u);
}

TEST_F(UdpgwBudgets, RepliesThatWaitComeOutOfTheMemoryOfAll) {
  set_memory(64 * 1024);
  Stream& stream = open();
  stream.send(frame(1, 0, far.endpoint, hex("04")));
  EXPECT_EQ(far.receive(), hex("04"));
  // The kernels of both sides take some hundred KB first.
  const ByteVector payload(1400, std::byte{5});
  EXPECT_TRUE(eventually([&] {
    for (int i = 0; i < 64; ++i) far.send(far.from, payload);
    return metric("drops{cause=\"memory\"}") > 0;
  }));
  EXPECT_GT(host.shortages(GH_RESOURCE_MEMORY), 0u);
  EXPECT_EQ(stream.receive().size(), payload.size() + kOverheadV4) << "the oldest are delivered, whole";
  Stream& other = open();
  other.send(frame(1, 0, far.endpoint, hex("06")));
  EXPECT_EQ(far.receive(), hex("06"));
  far.send(far.from, hex("07"));
  EXPECT_EQ(other.receive(), frame(1, 0, far.endpoint, hex("07")));
}

TEST_F(UdpgwBudgets, AClientThatReadsLosesNothingWhileOthersHoldTheMemory) {
  set_memory(160 * 1024);
  const ByteVector payload(1400, std::byte{5});
  std::vector<Endpoint> hogs;  // each may have 64 KiB waiting
  for (int i = 0; i < 4; ++i) {
    open().send(frame(1, 0, far.endpoint, hex("09")));
    EXPECT_EQ(far.receive(), hex("09"));
    hogs.push_back(far.from);
  }
  EXPECT_TRUE(eventually([&] {
    for (int i = 0; i < 128; ++i) far.send(hogs[static_cast<std::size_t>(i) % hogs.size()], payload);
    return metric("drops{cause=\"memory\"}") > 500;  // all at an even share
  }));
  Stream& reader = open();
  reader.send(frame(1, 0, far.endpoint, hex("0a")));
  EXPECT_EQ(far.receive(), hex("0a"));
  for (int burst = 0; burst < 20; ++burst) {  // each more than an even share
    far.send_together(far.from, std::vector<ByteVector>(43, payload));
    for (int i = 0; i < 43; ++i) ASSERT_EQ(reader.receive().size(), payload.size() + kOverheadV4) << burst << ' ' << i;
  }
  EXPECT_EQ(metric("streams"), 5u);
}

TEST_F(UdpgwBudgets, AClientThatHoldsNothingIsNotTakenForALargeOne) {
  set_memory(2 * 1024 * 1024);
  Stream& reader = open();
  reader.send(frame(1, 0, far.endpoint, hex("0b")));
  EXPECT_EQ(far.receive(), hex("0b"));
  const ByteVector payload(1400, std::byte{5});
  far.send_together(far.from, std::vector<ByteVector>(43, payload));
  for (int i = 0; i < 43; ++i) EXPECT_FALSE(reader.receive().empty());
  Endpoint closed_port;
  {
    Far gone;
    closed_port = gone.endpoint;
  }
  Stream& innocent = open();  // its error is read into the memory that the reader's replies have warmed
  innocent.send(frame(1, 0, closed_port, hex("0c")));
  EXPECT_TRUE(comes_to("icmp_errors", 1));
  const ByteVector whole = frame(1, 0, far.endpoint, ByteVector(60'000, std::byte{8}));
  for (int i = 0; i < 45; ++i) open().send(ByteVector(whole.begin(), whole.begin() + 50'000));
  EXPECT_TRUE(said("it has most waiting"));
  open_forwards(innocent, 1);
  open_forwards(reader, 1);
}

TEST_F(UdpgwBudgets, InputThatCannotBeUsedYetComesOutOfTheMemoryOfAll) {
  set_memory(128 * 1024);
  const ByteVector whole = frame(1, 0, far.endpoint, ByteVector(60'000, std::byte{8}));
  const ByteVector half(whole.begin(), whole.begin() + 50'000);
  for (int i = 0; i < 3; ++i) open().send(half);
  EXPECT_TRUE(comes_to("streams", 2));
  EXPECT_TRUE(said("it has most waiting"));
  EXPECT_GT(host.shortages(GH_RESOURCE_MEMORY), 0u);
  EXPECT_EQ(metric("drops{cause=\"memory\"}"), 0u);
}

TEST(MostUnsent, IsLittleWhereManyStreamsWouldHoldMuchOfTheMemory) {
  constexpr std::size_t kMiB = 1024 * 1024;
  EXPECT_EQ(most_unsent(256 * kMiB, 1), 4 * kMiB);
  EXPECT_EQ(most_unsent(256 * kMiB, 16), kMiB);
  EXPECT_EQ(most_unsent(256 * kMiB, 512), 128u * 1024);
  EXPECT_EQ(most_unsent(256 * kMiB, 513), 256 * kMiB / 16 / 513);
  EXPECT_EQ(most_unsent(256 * kMiB, 20'000), 16u * 1024);
  EXPECT_EQ(most_unsent(65536, 1), 16u * 1024);
}

/// Frames of one client, so cheap to send that they come faster than they are dealt with: how many turns they take.
class TurnBudget : public UdpgwBudgets {
 protected:
  template <class FrameOf>
  std::uint64_t turns_of(std::size_t count, const char* metric_name, FrameOf&& frame_of) {
    ByteVector wire;
    for (std::size_t i = 0; i < count; ++i) {
      const ByteVector one = frame_of(i);
      wire.insert(wire.end(), one.begin(), one.end());
    }
    Stream& stream = open();
    const std::uint64_t turns = plugin.turns(0), before = metric(metric_name);
    stream.send(wire);
    EXPECT_TRUE(eventually([&] { return metric(metric_name) == before + count; }, 60s));
    return plugin.turns(0) - turns;
  }
};

TEST_F(TurnBudget, OfAClientHoldsSoManySends) {
  const auto alternating = [&](std::size_t i) {
    return frame(static_cast<std::uint16_t>(i % 2), 0, (i % 2 == 0 ? far : resolver).endpoint, {});
  };
  EXPECT_GE(turns_of(20'000, "datagrams{direction=\"up\"}", alternating), 45u);
}

TEST_F(TurnBudget, OfAClientHoldsSoManyDatagramsOfARun) {
  const auto one_forward = [&](std::size_t) { return frame(1, 0, far.endpoint, hex("01")); };
  EXPECT_GE(turns_of(20'000, "datagrams{direction=\"up\"}", one_forward), 9u);
}

TEST_F(TurnBudget, OfAClientHoldsSoManyQuestions) {
  const Endpoint stated = *Endpoint::parse("203.0.113.9:53");
  const auto question = [&](std::size_t) { return frame(1, kDns, stated, hex(kDnsQuery)); };
  EXPECT_GE(turns_of(5'000, "datagrams{direction=\"up\"}", question), 20u);
}

TEST_F(TurnBudget, OfAClientHoldsSoManyNamesThatAreRefused) {
  host.set_policy([](const testkit::FakeFlow& flow) {
    return flow.domain.empty() ? std::uint16_t{0} : std::uint16_t{GH_REASON_DOMAIN};
  });
  plugin.policy_changed();
  const Endpoint stated = *Endpoint::parse("203.0.113.9:53");
  const auto question = [&](std::size_t) { return frame(1, kDns, stated, hex(kDnsQuery)); };
  EXPECT_GE(turns_of(5'000, "denied{reason=\"domain\"}", question), 45u);
}

TEST_F(TurnBudget, OfAClientHoldsSoManyOpens) {
  const auto rebind = [&](std::size_t) { return frame(1, kRebind, far.endpoint, {}); };
  EXPECT_GE(turns_of(1'000, "datagrams{direction=\"up\"}", rebind), 15u);
}

}  // namespace
}  // namespace gatehouse::udpgw
