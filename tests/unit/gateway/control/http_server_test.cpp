#include "gateway/control/http_server.hpp"

#include "gateway/control/listening_socket.hpp"
#include "gateway/control/metrics_server.hpp"
#include "tests/unit/gateway/control/server_thread.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/steady_timer.hpp>

namespace gatehouse {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::StartsWith;

const Endpoint kAnyPort = *Endpoint::parse("127.0.0.1:0");

/// A server that answers "METHOD path body", with small bounds.
class HttpServerTest : public testing::Test {
 protected:
  HttpServerTest() {
    HttpBounds bounds;
    bounds.connections = 4;
    bounds.header_bytes = 1024;
    bounds.body_bytes = 2048;
    bounds.header_time = 1s;
    bounds.time = 1s;
    server_.emplace(
        thread_.io(),
        [this](const HttpRequest& request, const HttpRespond& respond) {
          if (request.path == "/never") return never_.push_back(respond);
          if (request.path == "/throw") throw std::runtime_error("it broke");
          const HttpReply reply{200, "text/plain", request.method + ' ' + request.path + ' ' + request.body};
          if (request.path != "/later") return respond(reply);
          later_.expires_after(1500ms);
          later_.async_wait([respond, reply](const boost::system::error_code&) { respond(reply); });
        },
        bounds);
    UniqueFd listening = listen_tcp(kAnyPort);
    at_ = local_endpoint(listening);
    server_->serve(std::move(listening));
    thread_.start();
  }
  ~HttpServerTest() override {
    thread_.run([this] { server_.reset(); });
  }

  std::string exchange(const std::string& bytes) {
    const UniqueFd fd = connect_to(at_);
    send_all(fd, bytes);
    return read_to_end(fd);
  }
  void expect_alive() { EXPECT_THAT(exchange("GET /x HTTP/1.0\r\n\r\n"), testing::EndsWith("\r\n\r\nGET /x ")); }

  ServerThread thread_;
  boost::asio::steady_timer later_{thread_.io()};
  std::vector<HttpRespond> never_;
  std::optional<HttpServer> server_;
  Endpoint at_;
};

TEST_F(HttpServerTest, AnswersAndKeepsAlive) {
  const std::string got = exchange(
      "GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\nPOST /d HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: "
      "close\r\n\r\nxyz");
  EXPECT_THAT(got, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(got, HasSubstr("\r\n\r\nGET /a "));
  EXPECT_THAT(got, testing::EndsWith("\r\n\r\nPOST /d xyz"));
}

// Longer than a request may take to come.
TEST_F(HttpServerTest, AnswersLaterToo) {
  EXPECT_THAT(exchange("GET /later HTTP/1.0\r\n\r\n"), testing::EndsWith("GET /later "));
}

TEST_F(HttpServerTest, HeadHasTheLengthAndNoBody) {
  const std::string got = exchange("HEAD /a HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(got, HasSubstr("Content-Length: 7\r\n"));
  EXPECT_THAT(got, testing::EndsWith("\r\n\r\n"));
}

TEST_F(HttpServerTest, HandlerThatThrowsIs500) {
  EXPECT_THAT(exchange("GET /throw HTTP/1.0\r\n\r\n"), testing::EndsWith("it broke\n"));
  expect_alive();
}

TEST_F(HttpServerTest, LargeBodyIsRefused) {
  EXPECT_THAT(exchange("POST / HTTP/1.1\r\nContent-Length: 2049\r\n\r\n"), StartsWith("HTTP/1.1 413 "));
  const std::string chunk = "400\r\n" + std::string(1024, 'x') + "\r\n";
  EXPECT_THAT(exchange("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk + chunk + chunk),
              testing::AnyOf(StartsWith("HTTP/1.1 413 "), ""));  // "": reset, with bytes of ours unread
  expect_alive();
}

TEST_F(HttpServerTest, LargeHeaderIsRefused) {
  EXPECT_THAT(exchange("GET / HTTP/1.1\r\nA: " + std::string(1100, 'x')), StartsWith("HTTP/1.1 431 "));
  expect_alive();
}

TEST_F(HttpServerTest, GarbageIsRefused) {
  EXPECT_THAT(exchange(std::string("\x16\x03\x01\x02\0\x01", 6) + "\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(exchange("GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_EQ(exchange("").size(), 0U);
  expect_alive();
}

TEST_F(HttpServerTest, SlowRequestIsCutOff) {
  const UniqueFd fd = connect_to(at_);
  const auto start = std::chrono::steady_clock::now();
  send_all(fd, "GET / HT");
  EXPECT_EQ(read_to_end(fd), "");
  EXPECT_LT(std::chrono::steady_clock::now() - start, 3s);
  expect_alive();
}

TEST_F(HttpServerTest, SlowBodyIsCutOff) {
  const UniqueFd fd = connect_to(at_);
  send_all(fd, "POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nab");
  EXPECT_EQ(read_to_end(fd), "");
  expect_alive();
}

TEST_F(HttpServerTest, OldestIncompleteConnectionMakesRoom) {
  std::vector<UniqueFd> held;
  for (int i = 0; i < 4; ++i) {
    held.push_back(connect_to(at_));
    send_all(held.back(), "GET /held HTTP/1.0\r\n");
    thread_.run([] {});
  }
  expect_alive();
  EXPECT_EQ(read_to_end(held[0]), "") << "it was the oldest";
  send_all(held[3], "\r\n");
  EXPECT_THAT(read_to_end(held[3]), testing::EndsWith("GET /held "));
}

TEST_F(HttpServerTest, AnswersWhileEveryPlaceIsHeldByHalfSentRequests) {
  for (int i = 0; i < 50; ++i) {
    std::vector<UniqueFd> held;
    for (int k = 0; k < 8; ++k) {
      held.push_back(connect_to(at_));
      send_all(held.back(), k % 2 == 0 ? "GET / HTTP/1.1\r\n" : "POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nab");
    }
    expect_alive();
  }
}

TEST_F(HttpServerTest, OneConnectionTooManyIsClosedWhereAllOthersAreBeingAnswered) {
  std::vector<UniqueFd> held;
  for (int i = 0; i < 4; ++i) {
    held.push_back(connect_to(at_));
    send_all(held.back(), "GET /never HTTP/1.0\r\n\r\n");
  }
  const auto end = std::chrono::steady_clock::now() + 5s;
  for (std::size_t asked = 0; std::chrono::steady_clock::now() < end && asked < 4;)
    thread_.run([&] { asked = never_.size(); });
  EXPECT_EQ(exchange("GET /x HTTP/1.0\r\n\r\n"), "");
  thread_.run([this] {
    for (const HttpRespond& respond : std::exchange(never_, {})) respond({200, "text/plain", "at last"});
  });
  for (const UniqueFd& one : held) EXPECT_THAT(read_to_end(one), testing::EndsWith("at last"));
}

TEST_F(HttpServerTest, TwoHostsAreRefused) {
  EXPECT_THAT(exchange("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
}

TEST_F(HttpServerTest, EndsWithOpenConnections) {
  const UniqueFd fd = connect_to(at_);
  send_all(fd, "GET /x HTTP/1.1\r\n\r\n");
  char byte = 0;
  ASSERT_EQ(::recv(fd.get(), &byte, 1, 0), 1);
  thread_.run([this] { server_.reset(); });
  read_to_end(fd);  // returns: the connection is closed
  EXPECT_FALSE(connect_to(at_));
}

TEST(ListenTcp, TakenPortIsASentence) {
  const UniqueFd first = listen_tcp(kAnyPort);
  const Endpoint at = local_endpoint(first);
  try {
    static_cast<void>(listen_tcp(at));
    FAIL() << "nothing was thrown";
  } catch (const std::runtime_error& error) {
    EXPECT_EQ(error.what(), "cannot listen on " + at.to_string() + ": another program has that port; choose another");
  }
}

class MetricsServerTest : public testing::Test {
 protected:
  MetricsServerTest() {
    server_.emplace(thread_.io(), MetricsServer::Sources{[] { return "a_total 1\n# EOF\n"; }, [] { return Health{}; },
                                                         [this] { return ready_; }});
    at_ = server_->listen(kAnyPort);
    thread_.start();
  }
  ~MetricsServerTest() override {
    thread_.run([this] { server_.reset(); });
  }
  std::string get(const std::string& path, const std::string& method = "GET") {
    const UniqueFd fd = connect_to(at_);
    send_all(fd, method + ' ' + path + " HTTP/1.0\r\n\r\n");
    return read_to_end(fd);
  }
  ServerThread thread_;
  Health ready_;
  std::optional<MetricsServer> server_;
  Endpoint at_;
};

TEST_F(MetricsServerTest, ServesOpenMetrics) {
  const std::string got = get("/metrics");
  EXPECT_THAT(got, HasSubstr("Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"));
  EXPECT_THAT(got, testing::EndsWith("\r\n\r\na_total 1\n# EOF\n"));
}

TEST_F(MetricsServerTest, ReadinessFollowsItsSource) {
  EXPECT_THAT(get("/readyz"), StartsWith("HTTP/1.1 200 "));
  thread_.run([this] { ready_ = {false, {"no policy could be read"}}; });
  const std::string got = get("/readyz");
  EXPECT_THAT(got, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(got, testing::EndsWith("\r\n\r\nnot well\nno policy could be read\n"));
  EXPECT_THAT(get("/livez"), testing::EndsWith("ok\n"));
}

TEST_F(MetricsServerTest, AnswersOnlyToItsOwnNames) {
  thread_.run([this] { server_->set_hosts({"gateway.example"}); });
  const auto asked_as = [this](const std::string& host) {
    const UniqueFd fd = connect_to(at_);
    send_all(fd, "GET /livez HTTP/1.0\r\nHost: " + host + "\r\n\r\n");
    return read_to_end(fd).substr(0, 12);
  };
  for (const char* const own : {"127.0.0.1", "127.0.0.1:9477", "[::1]:9477", "[2001:db8::1]", "localhost",
                                "LocalHost:1", "gateway.example", "Gateway.Example.:9477", "192.0.2.1:80"})
    EXPECT_EQ(asked_as(own), "HTTP/1.1 200") << own;
  for (const char* const other :
       {"attacker.example", "attacker.example:9477", "127.0.0.1.attacker.example", "localhost.attacker.example",
        "gateway.example.attacker.example", "1", "[", "]:", ":"})
    EXPECT_EQ(asked_as(other), "HTTP/1.1 421") << other;
}

TEST_F(MetricsServerTest, RefusesTheRest) {
  EXPECT_THAT(get("/"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(get("/metrics", "DELETE"), StartsWith("HTTP/1.1 405 "));
}

}  // namespace
}  // namespace gatehouse
