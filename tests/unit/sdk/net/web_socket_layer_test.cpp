// WebSocket frames between a stream's user and its socket.
#include <gatehouse/net/web_socket_layer.hpp>

#include <gatehouse/base/unique_fd.hpp>
#include <gatehouse/net/socket_layer.hpp>

#include <gtest/gtest.h>

#include <sys/socket.h>

#include <string>

namespace gatehouse {
namespace {

std::string text_of(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

std::string long_text(std::size_t size) {
  std::string out(size, '\0');
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<char>('a' + (i * 5 + i / 97) % 26);
  return out;
}

class Messages : public testing::Test {
 protected:
  Messages() {
    int both[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, both), 0);
    ours = UniqueFd(both[0]);
    theirs = UniqueFd(both[1]);
    layer = std::make_unique<WebSocketLayer>(std::make_unique<SocketLayer>(ours.get()));
  }
  static std::string frame(WebSocketOpcode opcode, std::string payload) {
    const WebSocketMask mask = {std::byte{9}, std::byte{8}, std::byte{7}, std::byte{6}};
    std::array<std::byte, kLongestWebSocketHeader> header;
    const std::size_t size = write_frame_header(header, opcode, payload.size(), mask);
    mask_payload(std::as_writable_bytes(std::span(payload)), mask);
    return text_of(Bytes(header).first(size)) + payload;
  }
  void send(std::string_view bytes) {
    ASSERT_EQ(::send(theirs.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  }
  std::string received(std::size_t most = 1 << 20) {
    std::string out(most, '\0');
    std::size_t got = 0;
    for (ssize_t n; got < most && (n = recv(theirs.get(), out.data() + got, most - got, 0)) > 0;)
      got += static_cast<std::size_t>(n);
    out.resize(got);
    return out;
  }
  std::string read(std::size_t most = 4096) {
    std::string out(most, '\0');
    last = layer->read(std::as_writable_bytes(std::span(out)));
    out.resize(last ? *last : 0);
    return out;
  }

  UniqueFd ours, theirs;
  std::unique_ptr<WebSocketLayer> layer;
  Result<std::size_t> last = std::size_t{0};
};

TEST_F(Messages, AreReadWhereverTheyAreCut) {
  const std::string all = frame(WebSocketOpcode::binary, "one ") + frame(WebSocketOpcode::ping, "?") +
                          frame(WebSocketOpcode::binary, "") + frame(WebSocketOpcode::binary, long_text(300));
  for (std::size_t cut = 0; cut <= all.size(); ++cut) {
    send(std::string_view(all).substr(0, cut));
    std::string got = read();
    send(std::string_view(all).substr(cut));
    got += read();
    ASSERT_EQ(got, "one " + long_text(300)) << cut;
    ASSERT_EQ(received(), "\x8a\x01?") << cut;
  }
}

TEST_F(Messages, GiveASmallReaderAllOfThem) {
  send(frame(WebSocketOpcode::binary, long_text(2000)));
  std::string got = read(10);
  EXPECT_EQ(got.size(), 10u);
  EXPECT_TRUE(layer->holds_input());
  while (got.size() < 2000) {
    got += read(7);
    ASSERT_TRUE(last) << last.error().message();
  }
  EXPECT_EQ(got, long_text(2000));
  EXPECT_FALSE(layer->holds_input());
  EXPECT_EQ(layer->memory(), 0u);
}

TEST_F(Messages, AnswerTheLastPingOfARead) {
  send(frame(WebSocketOpcode::ping, "first") + frame(WebSocketOpcode::ping, "last"));
  EXPECT_EQ(read(), "");
  EXPECT_EQ(last.error(), Errc::would_block);
  EXPECT_EQ(received(), "\x8a\x04last");
}

TEST_F(Messages, OweAPeerThatDoesNotReadOnePong) {
  const std::string text = long_text(16000);
  const Bytes part = bytes_of(text);
  while (!layer->has_left_over()) ASSERT_TRUE(layer->put({&part, 1}));
  const std::size_t before = layer->memory();
  for (int i = 0; i < 1000; ++i) {
    send(frame(WebSocketOpcode::ping, "again"));
    read();
  }
  EXPECT_EQ(layer->memory(), before);
  std::string got = received();
  for (int i = 0; i < 100 && layer->has_left_over(); ++i) {
    static_cast<void>(layer->flush());
    got += received();
  }
  EXPECT_TRUE(
      got.ends_with("\x8a\x05"
                    "again"));
}

TEST_F(Messages, AreWrittenAsOneEach) {
  const std::string large = long_text(70'000);
  for (const auto& [content, header] :
       {std::pair(std::string("hello"), std::string("\x82\x05")),
        std::pair(long_text(126), std::string("\x82\x7e\x00\x7e", 4)),
        std::pair(large, std::string("\x82\x7f\x00\x00\x00\x00\x00\x01\x11\x70", 10))}) {
    const Bytes parts[] = {bytes_of(content).first(2), bytes_of(content).subspan(2)};
    ASSERT_TRUE(layer->put(parts));
    EXPECT_EQ(received(), header + content);
  }
}

TEST_F(Messages, EndWithACloseThatIsAnsweredWhenWeEndToo) {
  send(frame(WebSocketOpcode::binary, "last") + frame(WebSocketOpcode::close, std::string("\x03\xe9", 2)));
  EXPECT_EQ(read(), "last");
  EXPECT_TRUE(layer->holds_input());  // the news
  EXPECT_EQ(read(), "");
  EXPECT_EQ(last.error(), Errc::closed);
  EXPECT_FALSE(layer->holds_input());
  const Bytes more = bytes_of("more");
  EXPECT_TRUE(layer->put({&more, 1}));
  EXPECT_EQ(received(), "\x82\x04more");
  layer->finish();
  EXPECT_EQ(received(), std::string("\x88\x02\x03\xe8", 4));
  EXPECT_FALSE(layer->put({&more, 1}));
}

TEST_F(Messages, EndWithTheRuleThatWasBroken) {
  send(std::string("\x82\x05hello"));  // without a mask
  EXPECT_EQ(read(), "");
  EXPECT_EQ(last.error(), Errc::malformed);
  EXPECT_EQ(received(), std::string("\x88\x02\x03\xea", 4));
  EXPECT_EQ(read(), "");
  EXPECT_EQ(last.error(), Errc::malformed);
}

TEST_F(Messages, OfTextAreRefused) {
  send(frame(WebSocketOpcode::text, "hello"));
  read();
  EXPECT_EQ(last.error(), Errc::malformed);
  EXPECT_EQ(received(), std::string("\x88\x02\x03\xeb", 4));
}

TEST_F(Messages, SayThatWeGo) {
  layer->finish();
  layer->finish();
  EXPECT_EQ(received(), std::string("\x88\x02\x03\xe8", 4));
  send(frame(WebSocketOpcode::binary, "heard"));
  EXPECT_EQ(read(), "heard");
}

// ---- the layer below

TEST(SocketLayer, GivesWhatWasReadTooEarlyFirst) {
  int both[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, both), 0);
  const UniqueFd ours(both[0]), theirs(both[1]);
  SocketLayer layer(ours.get());
  layer.unread(bytes_of("early "));
  EXPECT_TRUE(layer.holds_input());
  std::array<std::byte, 4> part;
  ASSERT_EQ(send(theirs.get(), "late", 4, 0), 4);
  std::string got;
  for (int i = 0; i < 3; ++i) {
    const auto size = layer.read(part);
    ASSERT_TRUE(size);
    got += text_of(Bytes(part).first(*size));
  }
  EXPECT_EQ(got, "early late");
  EXPECT_FALSE(layer.holds_input());
  EXPECT_EQ(layer.read(part).error(), Errc::would_block);
}

TEST(SocketLayer, KeepsTheOrderOfWhatIsPutBehindWhatIsLeftOver) {
  int both[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, both), 0);
  const UniqueFd ours(both[0]), theirs(both[1]);
  SocketLayer layer(ours.get());
  EXPECT_LE(layer.room(64 << 20), SocketLayer::kMostAtOnce);
  std::string sent, got;
  const auto put = [&](char what) {
    const std::string text(10'000, what);
    const Bytes part = bytes_of(text);
    ASSERT_TRUE(layer.put({&part, 1}));
    sent += text;
  };
  const auto read = [&] {
    std::string part(1 << 20, '\0');
    for (ssize_t n; (n = recv(theirs.get(), part.data(), part.size(), 0)) > 0;)
      got.append(part, 0, static_cast<std::size_t>(n));
  };
  while (!layer.has_left_over()) put('a');
  read();    // the socket has room again
  put('b');  // and this must not overtake
  for (int i = 0; i < 10 && layer.has_left_over(); ++i) {
    static_cast<void>(layer.flush());
    read();
  }
  read();
  EXPECT_TRUE(got == sent);
}

TEST(SocketLayer, BreaksWhereAPeerReadsNothingAndMakesUsAnswer) {
  int both[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, both), 0);
  const UniqueFd ours(both[0]), theirs(both[1]);
  SocketLayer layer(ours.get());
  const std::string text(16'000, 'x');
  const Bytes part = bytes_of(text);
  Result<void> put = boost::system::in_place_value;
  int puts = 0;
  while (puts < 10'000 && (put = layer.put({&part, 1}))) ++puts;
  EXPECT_EQ(put.error(), Errc::limit);
  EXPECT_FALSE(layer.has_left_over());  // it can go nowhere
  EXPECT_EQ(layer.memory(), 0u);
}

}  // namespace
}  // namespace gatehouse
