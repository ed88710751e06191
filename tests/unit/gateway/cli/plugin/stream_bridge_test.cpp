#include "gateway/cli/plugin/stream_bridge.hpp"

#include <gtest/gtest.h>

#include <sys/socket.h>
#include <sys/time.h>

#include <chrono>
#include <csignal>
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
                           return bridge_streams(std::move(in), std::move(out), std::move(socket));
                         });
  }
  ~BridgeTest() override {
    stdin_.reset();
    stdout_.reset();
    server_.reset();
  }
  Error result() {
    if (result_.wait_for(5s) != std::future_status::ready) {
      ADD_FAILURE() << "the bridge does not end";
      return {};
    }
    return result_.get();
  }

  UniqueFd stdin_, stdout_, server_;
  std::future<Error> result_;
};

TEST_F(BridgeTest, PassesTheEndOfEachSideOn) {
  write_all(stdin_, "question");
  stdin_.reset();
  EXPECT_EQ(read_to_end(server_), "question");  // returns: the half-close came through
  write_all(server_, "answer");
  server_.reset();
  EXPECT_EQ(read_to_end(stdout_), "answer");
  EXPECT_FALSE(result());
}

TEST_F(BridgeTest, ServerMayEndFirstAndStillRead) {
  write_all(server_, "hello");
  ::shutdown(server_.get(), SHUT_WR);
  EXPECT_EQ(read_to_end(stdout_), "hello");
  write_all(stdin_, "late");
  EXPECT_EQ(read_exactly(server_, 4), "late");
  stdin_.reset();
  EXPECT_EQ(read_to_end(server_), "");
  EXPECT_FALSE(result());
}

TEST_F(BridgeTest, EndsWhenTheServerHasGoneThoughStdinStaysOpen) {
  write_all(server_, "bye");
  server_.reset();
  EXPECT_EQ(read_to_end(stdout_), "bye");
  EXPECT_FALSE(result());
}

TEST_F(BridgeTest, EndsWhenNobodyReadsItsOutput) {
  stdout_.reset();
  EXPECT_EQ(result(), boost::system::errc::broken_pipe);
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
  EXPECT_FALSE(result());
}

TEST_F(BridgeTest, ServerThatStopsReadingStillDeliversItsWords) {
  write_all(server_, std::string(200'000, 'x'));
  ::shutdown(server_.get(), SHUT_RD);
  write_all(stdin_, "nobody reads this");
  ::shutdown(server_.get(), SHUT_WR);
  EXPECT_EQ(read_to_end(stdout_).size(), 200'000U);
  EXPECT_FALSE(result());
}

// sshd hands one socket over as both standard input and standard output.
TEST(Bridge, OneSocketMayBeBothEnds) {
  auto terminal = socket_pair(), sockets = socket_pair();
  UniqueFd twin(::dup(terminal.first.get()));
  auto result = std::async(std::launch::async, [&] {
    return bridge_streams(std::move(terminal.first), std::move(twin), std::move(sockets.first));
  });
  write_all(terminal.second, "ping");
  ::shutdown(terminal.second.get(), SHUT_WR);
  EXPECT_EQ(read_to_end(sockets.second), "ping");
  write_all(sockets.second, "pong");
  sockets.second.reset();
  EXPECT_EQ(read_to_end(terminal.second), "pong");
  EXPECT_FALSE(result.get());
}

}  // namespace
}  // namespace gatehouse
