// A stream by itself: who is at the other end, what a call takes, and what is told.
#include <gatehouse/net/stream.hpp>

#include <gmock/gmock.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string>
#include <vector>

namespace gatehouse {
namespace {

Bytes bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

struct Pair {
  explicit Pair(int domain) {
    int ends[2];
    if (domain == AF_UNIX) {
      EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
      near.reset(ends[0]);
      far.reset(ends[1]);
      return;
    }
    const UniqueFd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_storage address{};
    socklen_t size = Endpoint{IpAddress::v4(0x7f000001), 0, 0}.to_sockaddr(address);
    EXPECT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener.get(), 1), 0);
    size = sizeof address;
    EXPECT_EQ(getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    far.reset(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(connect(far.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    near.reset(accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  }
  UniqueFd near, far;
};

class Told final : public Readiness {
 public:
  void on_ready(std::uint32_t events) override { seen.push_back(events); }
  std::vector<std::uint32_t> seen;
};

TEST(StreamSocket, KnowsAPeerByAddressAndSendsAtOnce) {
  Pair pair(AF_INET);
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  ASSERT_EQ(getsockname(pair.far.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  const int fd = pair.near.get();
  const Stream stream(std::move(pair.near));
  EXPECT_EQ(stream.peer().source, Endpoint::from_sockaddr(address));
  EXPECT_FALSE(stream.peer().uid);
  EXPECT_EQ(stream.peer().to_string(), Endpoint::from_sockaddr(address).to_string());
  int no_delay = 0;
  size = sizeof no_delay;
  ASSERT_EQ(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &no_delay, &size), 0);
  EXPECT_NE(no_delay, 0);
}

TEST(StreamSocket, KnowsAUnixPeerByItsUser) {
  Pair pair(AF_UNIX);
  const Stream stream(std::move(pair.near));
  EXPECT_EQ(stream.peer().source.address.family(), Family::none);
  EXPECT_EQ(stream.peer().uid, ::geteuid());
  EXPECT_EQ(stream.peer().to_string(), "unix:" + std::to_string(::geteuid()));
}

TEST(StreamSocket, TellsNothingYetFromTheEnd) {
  Pair pair(AF_UNIX);
  Stream stream(std::move(pair.near));
  std::array<std::byte, 16> room{};
  EXPECT_EQ(stream.read(room).error(), Errc::would_block);
  ASSERT_EQ(::write(pair.far.get(), "abc", 3), 3);
  const auto read = stream.read(room);
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(*read, 3u);
  EXPECT_EQ(room[2], std::byte{'c'});
  pair.far.reset();
  EXPECT_EQ(stream.read(room).error(), Errc::closed);
  EXPECT_EQ(stream.write(bytes_of("x")).error().value(), EPIPE) << "and no signal";
}

TEST(StreamSocket, WritesPartsInOrderAndAtMost64OfThem) {
  Pair pair(AF_UNIX);
  Stream stream(std::move(pair.near));
  std::string text;
  for (char c = '0'; text.size() < 70; ++c) text += c;
  std::vector<Bytes> parts;
  for (std::size_t i = 0; i < text.size(); ++i) parts.push_back(bytes_of(text).subspan(i, 1));
  const auto first = stream.write(std::span(parts).first(3));
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(*first, 3u);
  const auto most = stream.write(parts);
  ASSERT_TRUE(most.has_value());
  EXPECT_EQ(*most, 64u);
  std::string got(200, '\0');
  const ssize_t n = ::read(pair.far.get(), got.data(), got.size());
  EXPECT_EQ(got.substr(0, static_cast<std::size_t>(n)), text.substr(0, 3) + text.substr(0, 64));
}

TEST(StreamSocket, SaysWhenThePeerTakesNoMore) {
  Pair pair(AF_UNIX);
  Stream stream(std::move(pair.near));
  const std::vector<std::byte> block(65536);
  const Bytes parts[] = {block};
  Result<std::size_t> written = stream.write(block);
  while (written.has_value()) written = stream.write(block);
  EXPECT_EQ(written.error(), Errc::would_block);
  EXPECT_EQ(stream.write(parts).error(), Errc::would_block);
}

TEST(StreamSocket, LimitsWhatTheKernelHoldsOfAUnixStream) {
  Pair pair(AF_UNIX);
  Stream stream(std::move(pair.near));
  stream.limit_unsent(65536);
  const std::vector<std::byte> block(4096);
  std::size_t held = 0;
  for (auto written = stream.write(block); written.has_value(); written = stream.write(block)) held += *written;
  EXPECT_GT(held, 16'384u);
  EXPECT_LE(held, 65'536u);
}

TEST(StreamSocket, LimitsWhatTheKernelHasNotSentOfATcpStream) {
  Pair pair(AF_INET);
  const int fd = pair.near.get();
  Stream stream(std::move(pair.near));
  int before = 0, after = 0, most = 0;
  socklen_t size = sizeof before;
  getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &before, &size);
  stream.limit_unsent(65536);
  ASSERT_EQ(getsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &most, &size), 0);
  EXPECT_EQ(most, 65536);
  getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &after, &size);
  EXPECT_EQ(after, before) << "the kernel still sizes its window by itself";
}

TEST(StreamSocket, EndsItsSideOnly) {
  Pair pair(AF_UNIX);
  Stream stream(std::move(pair.near));
  stream.shutdown_write();
  char byte = 0;
  EXPECT_EQ(::read(pair.far.get(), &byte, 1), 0);
  ASSERT_EQ(::write(pair.far.get(), "x", 1), 1);
  std::array<std::byte, 1> room{};
  EXPECT_TRUE(stream.read(room).has_value());
}

TEST(StreamSocket, IsToldOfWhatItWatchesForUntilItCloses) {
  Pair pair(AF_UNIX);
  Poller poller;
  Told told;
  Stream stream(std::move(pair.near));
  ASSERT_TRUE(stream.watch(poller, told).has_value());
  poller.turn();
  EXPECT_TRUE(told.seen.empty()) << "nothing to read, and nobody asked about writing";
  stream.watch_for(true, true);
  poller.turn();
  EXPECT_EQ(told.seen, (std::vector<std::uint32_t>{EPOLLOUT}));
  ASSERT_EQ(::write(pair.far.get(), "x", 1), 1);
  stream.watch_for(true, false);
  poller.turn();
  EXPECT_EQ(told.seen.back(), std::uint32_t{EPOLLIN});
  told.seen.clear();
  stream.unwatch();
  poller.turn();
  EXPECT_TRUE(told.seen.empty());
  stream.watch_for(true, false);
  poller.turn();
  EXPECT_EQ(told.seen.size(), 1u) << "watched again";
  stream.close();
  poller.turn();
  EXPECT_EQ(told.seen.size(), 1u);
}

}  // namespace
}  // namespace gatehouse
