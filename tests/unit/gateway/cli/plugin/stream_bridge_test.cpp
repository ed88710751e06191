#include "gateway/cli/plugin/stream_bridge.hpp"

#include "tests/unit/gateway/config/config_folder.hpp"
#include "tests/unit/sdk/net/test_authority.hpp"

#include <gatehouse/base/address.hpp>

#include <gtest/gtest.h>

#include <sys/socket.h>
#include <sys/time.h>

#include <chrono>
#include <csignal>
#include <functional>
#include <future>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

namespace gatehouse {
namespace {

using namespace std::chrono_literals;

using Pair = std::pair<UniqueFd, UniqueFd>;

Pair pipe_pair() {  // read end, write end
  int fds[2];
  if (::pipe(fds) != 0) throw std::runtime_error("pipe");
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}
Pair socket_pair() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0) throw std::runtime_error("socketpair");
  const timeval patience{5, 0};
  ::setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(fds[1], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

std::string read_to_end(const UniqueFd& fd) {
  std::string out;
  char part[8192];
  for (ssize_t n; (n = ::read(fd.get(), part, sizeof part)) > 0;) out.append(part, static_cast<std::size_t>(n));
  return out;
}
std::string read_exactly(const UniqueFd& fd, std::size_t size) {
  std::string out(size, '\0');
  std::size_t got = 0;
  for (ssize_t n; got < size && (n = ::read(fd.get(), out.data() + got, size - got)) > 0;) {
    got += static_cast<std::size_t>(n);
  }
  out.resize(got);
  return out;
}
void write_all(const UniqueFd& fd, const std::string& bytes) {
  for (std::size_t sent = 0; sent < bytes.size();) {
    const ssize_t n = ::write(fd.get(), bytes.data() + sent, bytes.size() - sent);
    if (n <= 0) return;
    sent += static_cast<std::size_t>(n);
  }
}

/// stdin and stdout of an attach as pipes, its socket's far end, and the bridge at work.
class BridgeTest : public testing::Test {
 protected:
  BridgeTest() {
    std::signal(SIGPIPE, SIG_IGN);
    auto in = pipe_pair(), out = pipe_pair();
    auto sockets = socket_pair();
    stdin_ = std::move(in.second);
    stdout_ = std::move(out.first);
    server_ = std::move(sockets.second);
    start(std::move(in.first), std::move(out.second), std::move(sockets.first));
  }
  void start(UniqueFd in, UniqueFd out, UniqueFd socket) {
    result_ = std::async(std::launch::async,
                         [in = std::move(in), out = std::move(out), socket = std::move(socket)]() mutable {
                           return bridge_streams(std::move(in), std::move(out), ClientStream(std::move(socket)));
                         });
  }
  ~BridgeTest() override {
    stdin_.reset();
    stdout_.reset();
    server_.reset();
  }
  std::string result() {
    if (result_.wait_for(5s) != std::future_status::ready) {
      ADD_FAILURE() << "the bridge does not end";
      return {};
    }
    return result_.get();
  }

  UniqueFd stdin_, stdout_, server_;
  std::future<std::string> result_;
};

TEST_F(BridgeTest, PassesTheEndOfEachSideOn) {
  write_all(stdin_, "question");
  stdin_.reset();
  EXPECT_EQ(read_to_end(server_), "question");  // returns: the half-close came through
  write_all(server_, "answer");
  server_.reset();
  EXPECT_EQ(read_to_end(stdout_), "answer");
  EXPECT_EQ(result(), "");
}

TEST_F(BridgeTest, ServerMayEndFirstAndStillRead) {
  write_all(server_, "hello");
  ::shutdown(server_.get(), SHUT_WR);
  EXPECT_EQ(read_to_end(stdout_), "hello");
  write_all(stdin_, "late");
  EXPECT_EQ(read_exactly(server_, 4), "late");
  stdin_.reset();
  EXPECT_EQ(read_to_end(server_), "");
  EXPECT_EQ(result(), "");
}

TEST_F(BridgeTest, EndsWhenTheServerHasGoneThoughStdinStaysOpen) {
  write_all(server_, "bye");
  server_.reset();
  EXPECT_EQ(read_to_end(stdout_), "bye");
  EXPECT_EQ(result(), "");
}

TEST_F(BridgeTest, EndsWhenNobodyReadsItsOutput) {
  stdout_.reset();
  EXPECT_EQ(result(), "nobody reads standard output any more");
}

TEST_F(BridgeTest, CarriesMuchBothWaysAtOnceUnchanged) {
  std::string up(8 << 20, '\0'), down(8 << 20, '\0');
  for (std::size_t i = 0; i < up.size(); ++i) {
    up[i] = static_cast<char>(i * 31 >> 3);
    down[i] = static_cast<char>(i * 17 >> 5);
  }
  auto write_up = std::async(std::launch::async, [&] {
    write_all(stdin_, up);
    stdin_.reset();
  });
  auto write_down = std::async(std::launch::async, [&] {
    write_all(server_, down);
    ::shutdown(server_.get(), SHUT_WR);
  });
  auto got_down = std::async(std::launch::async, [&] { return read_to_end(stdout_); });
  EXPECT_TRUE(read_to_end(server_) == up);
  EXPECT_TRUE(got_down.get() == down);
  EXPECT_EQ(result(), "");
}

TEST_F(BridgeTest, ServerThatStopsReadingStillDeliversItsWords) {
  write_all(server_, std::string(200'000, 'x'));
  ::shutdown(server_.get(), SHUT_RD);
  write_all(stdin_, "nobody reads this");
  ::shutdown(server_.get(), SHUT_WR);
  EXPECT_EQ(read_to_end(stdout_).size(), 200'000U);
  EXPECT_EQ(result(), "");
}

// ---- over TLS

/// The same, with a server over TCP and TLS that does what a test tells it.
class BridgeOverTls : public testing::Test {
 protected:
  void start(std::function<void(test::TlsTestServer&, int fd)> serve) {
    const test::TestAuthority authority;
    const UniqueFd listening(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_storage address{};
    socklen_t size = Endpoint{IpAddress::v4(0x7f000001), 0, 0}.to_sockaddr(address);
    ASSERT_EQ(::bind(listening.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    ASSERT_EQ(::listen(listening.get(), 1), 0);
    size = sizeof address;
    ASSERT_EQ(::getsockname(listening.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    ConfigFolder folder;
    ClientOptions options;
    options.address = Endpoint::from_sockaddr(address).to_string();
    options.tls = true;
    options.ca = folder.write("ca.pem", authority.certificate());
    server_ = std::thread([fd = ::dup(listening.get()), shown = authority.issue({.alternatives = "IP:127.0.0.1"}),
                           serve = std::move(serve)] {
      const UniqueFd waiting(fd), client(::accept(fd, nullptr, nullptr));
      const timeval patience{5, 0};
      ::setsockopt(client.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
      test::TlsTestServer tls(client.get(), shown);
      serve(tls, client.get());
    });
    std::signal(SIGPIPE, SIG_IGN);
    auto in = pipe_pair(), out = pipe_pair();
    stdin_ = std::move(in.second);
    stdout_ = std::move(out.first);
    result_ = std::async(std::launch::async, [in = std::move(in.first), out = std::move(out.second),
                                              stream = ClientStream(options, "x", steady_now() + 5s)]() mutable {
      stream.set_deadline(ClientStream::kNever);
      return bridge_streams(std::move(in), std::move(out), std::move(stream));
    });
  }
  ~BridgeOverTls() override {
    stdin_.reset();
    stdout_.reset();
    if (server_.joinable()) server_.join();
  }

  UniqueFd stdin_, stdout_;
  std::future<std::string> result_;
  std::thread server_;
};

TEST_F(BridgeOverTls, CarriesMuchBothWaysAndPassesTheEndOfStdinOn) {
  start([](test::TlsTestServer& tls, int) {
    for (std::string part; !(part = tls.read()).empty();) tls.write(part);
    tls.write("bye");
    tls.finish();
  });
  std::string up((8 << 20) + 13, '\0');
  for (std::size_t i = 0; i < up.size(); ++i) up[i] = static_cast<char>(i * 31 >> 3);
  auto write_up = std::async(std::launch::async, [&] {
    write_all(stdin_, up);
    stdin_.reset();
  });
  EXPECT_TRUE(read_to_end(stdout_) == up + "bye");
  EXPECT_EQ(result_.get(), "");
}

TEST_F(BridgeOverTls, ServerMayEndFirstAndStillRead) {
  std::promise<std::string> got;
  start([&](test::TlsTestServer& tls, int fd) {
    tls.write("hello");
    tls.finish();
    ::shutdown(fd, SHUT_WR);
    std::string all;
    for (std::string part; !(part = tls.read()).empty();) all += part;
    got.set_value(all);
  });
  EXPECT_EQ(read_to_end(stdout_), "hello");
  const std::string late(300'007, 'x');
  write_all(stdin_, late);
  stdin_.reset();
  EXPECT_TRUE(got.get_future().get() == late);
  EXPECT_EQ(result_.get(), "");
}

TEST_F(BridgeOverTls, ForgetsNothingOfWhatTlsHoldsBack) {
  std::string down(40'000, '\0');  // in one segment: more than one read, and nothing behind it to wake up for
  for (std::size_t i = 0; i < down.size(); ++i) down[i] = static_cast<char>(i * 17 >> 5);
  std::promise<void> is_read;
  start([&](test::TlsTestServer& tls, int) {
    tls.write(down);
    is_read.get_future().wait_for(5s);
  });
  EXPECT_TRUE(read_exactly(stdout_, down.size()) == down);
  is_read.set_value();
}

TEST_F(BridgeOverTls, SaysThatTheConnectionWasCut) {
  start([](test::TlsTestServer& tls, int) { tls.write("a part"); });
  EXPECT_EQ(read_to_end(stdout_), "a part");
  EXPECT_EQ(result_.get(), "the connection has ended without the end that TLS has: what was to come may be missing");
}

// sshd hands one socket over as both standard input and standard output.
TEST(Bridge, OneSocketMayBeBothEnds) {
  auto terminal = socket_pair(), sockets = socket_pair();
  UniqueFd twin(::dup(terminal.first.get()));
  auto result = std::async(std::launch::async, [&] {
    return bridge_streams(std::move(terminal.first), std::move(twin), ClientStream(std::move(sockets.first)));
  });
  write_all(terminal.second, "ping");
  ::shutdown(terminal.second.get(), SHUT_WR);
  EXPECT_EQ(read_to_end(sockets.second), "ping");
  write_all(sockets.second, "pong");
  sockets.second.reset();
  EXPECT_EQ(read_to_end(terminal.second), "pong");
  EXPECT_EQ(result.get(), "");
}

}  // namespace
}  // namespace gatehouse
