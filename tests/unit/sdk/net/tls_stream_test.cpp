// A stream with TLS inside: what its user is told, and when.
#include <gatehouse/async/lane_loop.hpp>
#include <gatehouse/net/stream.hpp>

#include "tests/unit/sdk/net/tls_pair.hpp"

#include <array>
#include <functional>
#include <vector>

namespace gatehouse {
namespace {

using namespace test;

class TlsStream : public Tls, public Readiness {
 protected:
  void on_ready(std::uint32_t events) override {
    told.push_back(events);
    if (on_told) on_told(events);
  }
  void open() {
    begin();
    ASSERT_TRUE(shake_hands());
    stream.emplace(std::move(ours), StreamPeer(), std::move(layer));
    ASSERT_TRUE(stream->watch(loop.poller(), *this));
  }

  LaneLoop loop;
  std::optional<Stream> stream;
  std::vector<std::uint32_t> told;
  std::function<void(std::uint32_t)> on_told;
};

TEST_F(TlsStream, IsToldInTheNextTurnOfWhatIsHeldBack) {
  open();
  const std::string text = long_text(16000);
  ASSERT_TRUE(client->write(text));
  std::string got;
  on_told = [&](std::uint32_t) {
    std::array<std::byte, 1000> part;
    const auto size = stream->read(part);
    if (size) got += text_of(Bytes(part).first(*size));
  };
  for (int i = 0; i < 15; ++i) {
    EXPECT_GT(loop.poller().turn(), 0u);
    EXPECT_EQ(told.size(), static_cast<std::size_t>(i) + 1);  // once a turn: others have theirs
  }
  EXPECT_TRUE(loop.poller().has_more());
  EXPECT_GT(loop.poller().turn(), 0u);
  EXPECT_EQ(got, text);
  EXPECT_FALSE(loop.poller().has_more());
  EXPECT_EQ(loop.poller().turn(), 0u);
}

TEST_F(TlsStream, IsToldOfHeldInputWhenItWantsItAgain) {
  open();
  ASSERT_TRUE(client->write(long_text(3000)));
  on_told = [&](std::uint32_t) {
    std::array<std::byte, 1000> part;
    EXPECT_TRUE(stream->read(part));
    stream->watch_for(false, false);
  };
  EXPECT_GT(loop.poller().turn(), 0u);
  loop.poller().turn();
  EXPECT_EQ(told.size(), 1u);
  stream->watch_for(true, false);
  loop.poller().turn();
  EXPECT_EQ(told.size(), 2u);
  stream->unwatch();
  loop.poller().turn();
  EXPECT_EQ(told.size(), 2u);
  stream->watch_for(true, false);
  loop.poller().turn();
  EXPECT_EQ(told.size(), 3u);
}

TEST_F(TlsStream, SendsWhatIsLeftOverByItself) {
  open();
  const std::string text = long_text(100'000);
  std::size_t sent = 0;
  for (;;) {
    const auto taken = stream->write(bytes_of(text));
    if (!taken) {
      EXPECT_EQ(taken.error(), Errc::would_block);
      break;
    }
    sent += *taken;
    ASSERT_LT(sent, 64u << 20);
  }
  std::size_t got = 0;
  for (int i = 0; i < 1000 && got < sent; ++i) {
    got += client->read().size();
    loop.poller().turn();
  }
  EXPECT_EQ(got, sent);
  EXPECT_TRUE(told.empty());  // nobody wanted to write more
  EXPECT_FALSE(stream->has_unsent());
}

TEST_F(TlsStream, TellsAWriterWhenThereIsRoomAgain) {
  open();
  const std::string text = long_text(100'000);
  while (stream->write(bytes_of(text))) {
  }
  stream->watch_for(true, true);
  loop.poller().turn();
  EXPECT_TRUE(told.empty());
  for (int i = 0; i < 100 && told.empty(); ++i) {
    static_cast<void>(client->read());
    loop.poller().turn();
  }
  ASSERT_FALSE(told.empty());
  EXPECT_NE(told.front() & EPOLLOUT, 0u);
  EXPECT_TRUE(stream->write(bytes_of("x")));
}

TEST_F(TlsStream, MayBeClosedByWhoeverIsTold) {
  open();
  ASSERT_TRUE(client->write(long_text(3000)));
  on_told = [&](std::uint32_t) {
    std::array<std::byte, 1000> part;
    EXPECT_TRUE(stream->read(part));
    stream->close();
  };
  EXPECT_GT(loop.poller().turn(), 0u);
  loop.poller().turn();
  EXPECT_EQ(told.size(), 1u);
  static_cast<void>(client->read());
  EXPECT_TRUE(client->ended());
}

TEST_F(TlsStream, DoesNotSpinForAPeerThatIsGone) {
  open();
  const std::string text = long_text(100'000);
  while (stream->write(bytes_of(text))) {
  }
  stream->unwatch();
  theirs = UniqueFd();
  for (int i = 0; i < 4; ++i) loop.poller().turn();
  EXPECT_EQ(loop.poller().turn(), 0u);
  EXPECT_TRUE(told.empty());
}

}  // namespace
}  // namespace gatehouse
