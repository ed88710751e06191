// Replies that come many at a time: each is one frame, counted and charged by itself, however the kernel delivers it.
#include "tests/unit/udpgw/udpgw_fixture.hpp"

namespace gatehouse::udpgw {
namespace {

class Downstream : public UdpgwPlugin {
 protected:
  /// Opens forward 1 and has a burst come, after which its socket is read in batches and with UDP_GRO.
  void open(std::size_t payload = 100) {
    stream.send(frame(1, 0, far.endpoint, hex("01")));
    far.receive();
    for (int i = 0; i < 8; ++i) send(reply(payload));
    expect_all();
    for (int i = 0; i < 8; ++i) send(reply(payload));
    expect_all();
  }
  ByteVector reply(std::size_t size) {
    ++number_;
    ByteVector out(size);
    for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<std::byte>(number_ * 31 + i);
    return out;
  }
  std::vector<ByteVector> replies(std::size_t count, std::size_t size) {
    std::vector<ByteVector> out;
    while (out.size() < count) out.push_back(reply(size));
    return out;
  }
  void send(const ByteVector& payload) {
    far.send(far.from, payload);
    sent.push_back(payload);
  }
  void send_together(const std::vector<ByteVector>& payloads) {
    far.send_together(far.from, payloads);
    sent.insert(sent.end(), payloads.begin(), payloads.end());
  }
  void expect_all() {
    for (std::size_t i = 0; i < sent.size(); ++i)
      ASSERT_EQ(stream.receive(), frame(1, 0, far.endpoint, sent[i])) << "reply " << i << " of " << sent.size();
    sent.clear();
  }
  std::uint64_t down(const char* what) { return host.metric(std::string(what) + "{direction=\"down\"}"); }
  std::uint64_t dropped(const char* cause) { return host.metric("drops{cause=\"" + std::string(cause) + "\"}"); }

  Stream stream{plugin.address()};
  std::vector<ByteVector> sent;

 private:
  std::size_t number_ = 0;
};

TEST_F(Downstream, MixedSizesArriveAsTheyWereSent) {
  open();
  for (int round = 0; round < 3; ++round) {
    for (const std::size_t size : {100, 0, 1400, 3, 0, 20000, 100, 100, 9000, 1, 1400, 1400}) send(reply(size));
    expect_all();
  }
  EXPECT_EQ(down("datagrams"), 16u + 36u);
}

TEST_F(Downstream, ASenderThatSegmentsIsLikeAnyOther) {
  open(1400);
  const std::uint64_t datagrams = down("datagrams"), bytes = down("bytes");
  for (int round = 0; round < 4; ++round) {
    std::vector<ByteVector> run = replies(20, 1400);
    run.push_back(reply(7));
    send_together(run);
    send(reply(1500));
    send(reply(0));
    expect_all();
  }
  EXPECT_EQ(down("datagrams") - datagrams, 4u * 23u);
  EXPECT_EQ(down("bytes") - bytes, 4u * (20 * 1400 + 7 + 1500));
  EXPECT_TRUE(eventually([&] { return host.store().sessions().size() == 1; }));
}

TEST_F(Downstream, ChargesEachDatagramOfAnAggregate) {
  open();
  std::atomic<std::uint64_t> asked{0};
  set_limits(UINT64_MAX, true);
  set_traffic({[&asked](std::uint32_t direction, std::uint64_t, std::uint64_t want, std::uint64_t) {
                 if (direction != GH_DOWN) return Grant{want, 0};
                 EXPECT_EQ(want, 100u + 28);
                 return ++asked % 2 == 0 ? Grant{0, 1'000'000} : Grant{want, 0};  // each second one is too much
               },
               {},
               {}});
  for (int round = 1; round <= 3; ++round) {
    const std::vector<ByteVector> run = replies(10, 100);
    far.send_together(far.from, run);
    for (std::size_t i = 0; i < run.size(); i += 2) sent.push_back(run[i]);
    expect_all();
    EXPECT_TRUE(eventually([&] { return dropped("rate") == 5u * static_cast<unsigned>(round); }));
  }
}

TEST_F(Downstream, AnswersInOneAggregateAreEachKnownToTheRelay) {
  const Endpoint stated = *Endpoint::parse("203.0.113.9:53");
  const auto ask = [&](int id) {
    ByteVector query = hex(kDnsQuery);
    query[1] = static_cast<std::byte>(id);
    stream.send(frame(1, kDns, stated, query));
    EXPECT_EQ(resolver.receive(), query);
    query[2] = std::byte{0x81};
    return query;  // its answer
  };
  std::vector<ByteVector> answers;
  for (int id = 0; id < 8; ++id) answers.push_back(ask(id));
  for (int round = 0; round < 2; ++round) {
    resolver.send_together(resolver.from, answers);
    for (const ByteVector& answer : answers) EXPECT_EQ(stream.receive(), frame(1, 0, stated, answer));
    answers.clear();
    for (int id = 8; id < 16; ++id) answers.push_back(ask(id));
  }
  resolver.send_together(resolver.from, answers);
  EXPECT_TRUE(second_resolver.idle(250ms));  // after 100 ms it would be asked what has not been answered
}

/// Nobody reads: what does not fit is dropped and counted, and what fits is whole and in order.
TEST_F(Downstream, ANearlyFullQueueDropsWholeDatagrams) {
  open(1400);
  const std::uint64_t before = down("datagrams");
  std::size_t offered = 0;
  ASSERT_TRUE(eventually(
      [&] {
        std::vector<ByteVector> run = replies(30, 1400);
        run.push_back(reply(50));
        for (std::size_t i = 0; i < run.size(); ++i)
          store_big(MutableBytes(run[i]), static_cast<std::uint32_t>(offered + i));
        far.send_together(far.from, run);
        ByteVector single(1000);
        store_big(MutableBytes(single), static_cast<std::uint32_t>(offered + run.size()));
        far.send(far.from, single);
        offered += run.size() + 1;
        return dropped("client_buffer") > 500;
      },
      20s));
  ASSERT_TRUE(eventually([&] { return down("datagrams") - before + dropped("client_buffer") == offered; }));
  std::uint32_t last = 0;
  for (std::uint64_t i = 0; i < down("datagrams") - before; ++i) {
    const ByteVector got = stream.receive();
    const Decoded decoded = decode(got);
    ASSERT_EQ(decoded.kind, FrameKind::data);
    const std::uint32_t number = load_big<std::uint32_t>(decoded.frame.payload);
    ASSERT_EQ(decoded.frame.payload.size(), number % 32 == 30 ? 50u : number % 32 == 31 ? 1000u : 1400u);
    ASSERT_TRUE(i == 0 || number > last) << number << " after " << last;
    last = number;
  }
}

}  // namespace
}  // namespace gatehouse::udpgw
