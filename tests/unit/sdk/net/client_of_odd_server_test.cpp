// A client's stream against servers that do not behave, or not as ours.
#include <gatehouse/base/address.hpp>
#include <gatehouse/net/client_stream.hpp>
#include <gatehouse/net/web_socket.hpp>

#include "tests/unit/sdk/net/client_calls.hpp"
#include "tests/unit/sdk/net/test_authority.hpp"

#include <gmock/gmock.h>

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <thread>

namespace gatehouse {
namespace {

using namespace std::chrono_literals;
using test::read;
using test::read_to_end;
using test::sentence_of;
using test::TlsTestServer;
using testing::HasSubstr;

/// Takes one client, and does with its socket what it is told.
class OddServer {
 public:
  explicit OddServer(std::function<void(int)> serve) : listening_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_storage address{};
    socklen_t size = Endpoint{IpAddress::v4(0x7f000001), 0, 0}.to_sockaddr(address);
    EXPECT_EQ(bind(listening_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listening_.get(), 1), 0);
    size = sizeof address;
    EXPECT_EQ(getsockname(listening_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    options.address = Endpoint::from_sockaddr(address).to_string();
    thread_ = std::thread([this, serve = std::move(serve)] {
      const UniqueFd client(accept(listening_.get(), nullptr, nullptr));
      const timeval most{5, 0};
      setsockopt(client.get(), SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most);
      serve(client.get());
    });
  }
  ~OddServer() { thread_.join(); }

  static std::string receive(int fd, std::size_t size) {
    std::string out(size, '\0');
    const ssize_t got = recv(fd, out.data(), size, MSG_WAITALL);
    out.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return out;
  }
  static std::string receive_request(int fd) {
    std::string out;
    while (!out.ends_with("\r\n\r\n")) {
      const std::string one = receive(fd, 1);
      if (one.empty()) break;
      out += one;
    }
    return out;
  }
  static void send(int fd, const std::string& text) { ::send(fd, text.data(), text.size(), MSG_NOSIGNAL); }

  ClientOptions options;  // to reach it

 private:
  UniqueFd listening_;
  std::thread thread_;
};

/// What is said of a server that answers so, once the request is there.
std::string answered(const std::string& answer) {
  OddServer server([&](int fd) {
    OddServer::receive_request(fd);
    OddServer::send(fd, answer);
  });
  server.options.http = true;
  return sentence_of([&] { ClientStream(server.options, "door", steady_now() + 5s); });
}

TEST(ClientOfAnOddServer, SaysWhatIsWrongWithAnAnswer) {
  EXPECT_THAT(answered("SSH-2.0-OpenSSH_9.2\r\n"), HasSubstr("does not open the stream over HTTP"));
  EXPECT_THAT(answered(""), HasSubstr("ended the stream without an answer"));
  EXPECT_THAT(answered("HTTP/1.1 101 "), HasSubstr("ended the stream without an answer"));
  EXPECT_THAT(answered("HTTP/1.1 101 Fine\r\nConnection: upgrade\r\nUpgrade: window\r\n\r\n"),
              HasSubstr("switched to another protocol"));
  EXPECT_EQ(answered("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"),
            "the gateway refused with 502: Bad Gateway");
  EXPECT_THAT(answered(std::string(1 << 20, 'x')), HasSubstr("does not open the stream over HTTP"));
  EXPECT_NE(answered("HTTP/1.1 200 OK\r\nA: " + std::string(1 << 20, 'x')), "");
}

TEST(ClientOfAnOddServer, KeepsWhatCameBehindTheAnswer) {
  OddServer server([&](int fd) {
    OddServer::receive_request(fd);
    OddServer::send(fd, "HTTP/1.1 101 Fine\r\nConnection: upgrade\r\nUpgrade: door\r\n\r\nearly");
  });
  server.options.http = true;
  ClientStream stream(server.options, "door", steady_now() + 5s);
  EXPECT_EQ(read_to_end(stream), "early");
}

TEST(ClientOfAnOddServer, WaitsNoLongerThanItsDeadline) {
  for (const bool tls : {false, true}) {
    OddServer server([](int fd) {
      while (!OddServer::receive(fd, 1).empty()) {
      }
    });
    server.options.tls = tls;
    server.options.http = !tls;
    const SteadyTime begin = steady_now();
    EXPECT_THROW(ClientStream(server.options, "door", begin + 100ms), ClientTimeout);
    EXPECT_LT(steady_now() - begin, 3s);
  }
}

TEST(ClientOfAnOddServer, WritesNoLongerThanItsDeadline) {
  OddServer server([](int fd) {
    pollfd gone{fd, POLLRDHUP, 0};
    poll(&gone, 1, 5000);
  });
  const SteadyTime begin = steady_now();
  ClientStream stream(server.options, "door", begin + 100ms);
  const std::string text(64 << 20, 'x');
  EXPECT_THROW(stream.write_all(bytes_of(text)), ClientTimeout);
  EXPECT_LT(steady_now() - begin, 3s);
}

TEST(ClientOfAnOddServer, AnswersAPingAndACloseOfAWebSocket) {
  const auto unmasked = [](std::string frame) {
    WebSocketMask mask;
    std::copy_n(std::as_bytes(std::span(frame)).begin() + 2, 4, mask.begin());
    std::string payload = frame.substr(6);
    mask_payload(std::as_writable_bytes(std::span(payload)), mask);
    return frame.substr(0, 2) + payload;
  };
  std::vector<std::string> got;
  {
    OddServer server([&](int fd) {
      const std::string request = OddServer::receive_request(fd);
      constexpr std::string_view kKey = "Sec-WebSocket-Key: ";
      const std::string key = request.substr(request.find(kKey) + kKey.size(), 24);
      OddServer::send(fd, "HTTP/1.1 101 Fine\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: " +
                              accept_key(key) + "\r\n\r\n\x89\x05hello\x82\x01x");
      got.push_back(unmasked(OddServer::receive(fd, 11)));
      got.push_back(unmasked(OddServer::receive(fd, 7)));
      OddServer::send(fd, std::string("\x88\x02\x03\xe8", 4));
      got.push_back(unmasked(OddServer::receive(fd, 8)));
    });
    server.options.web_socket = true;
    ClientStream stream(server.options, "door", steady_now() + 5s);
    EXPECT_EQ(read(stream, 1), "x");
    stream.write_all(bytes_of("y"));
    EXPECT_EQ(read_to_end(stream), "");
  }
  EXPECT_EQ(got, (std::vector<std::string>{"\x8a\x85hello", "\x82\x81y", std::string("\x88\x82\x03\xe8", 4)}));
}

class ClientOfATlsServer : public testing::Test {
 protected:
  ClientOfATlsServer() {
    std::string name = (std::filesystem::temp_directory_path() / "gatehouse-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    folder_ = name;
    std::ofstream(folder_ / "ca.pem") << authority_.certificate();
  }
  ~ClientOfATlsServer() override { std::filesystem::remove_all(folder_); }
  void serve(std::function<void(TlsTestServer&)> serve, int most_version = TLS1_3_VERSION) {
    server.emplace(
        [shown = authority_.issue({.alternatives = "IP:127.0.0.1"}), serve = std::move(serve), most_version](int fd) {
          TlsTestServer tls(fd, shown, most_version);
          serve(tls);
        });
    server->options.tls = true;
    server->options.ca = folder_ / "ca.pem";
  }
  ClientStream connect() { return ClientStream(server->options, "door", steady_now() + 5s); }

  std::optional<OddServer> server;

 private:
  test::TestAuthority authority_;
  std::filesystem::path folder_;
};

TEST_F(ClientOfATlsServer, KnowsAnEndFromACut) {
  serve([](TlsTestServer& tls) {
    tls.write("all of it");
    tls.finish();
  });
  {
    ClientStream whole = connect();
    EXPECT_EQ(read_to_end(whole), "all of it");
  }
  server.reset();
  serve([](TlsTestServer& tls) { tls.write("a part"); });
  ClientStream cut = connect();
  EXPECT_EQ(read(cut, 6), "a part");
  EXPECT_EQ(sentence_of([&] { read(cut, 1); }),
            "the connection has ended without the end that TLS has: what was to come may be missing");
}

TEST_F(ClientOfATlsServer, SpeaksTls12OnlyWhereItIsTold) {
  const auto say = [](TlsTestServer& tls) {
    tls.write("hello");
    tls.finish();
  };
  serve(say, TLS1_2_VERSION);
  EXPECT_THAT(sentence_of([&] { connect(); }), HasSubstr("`--min-tls 1.2` goes on with TLS 1.2"));
  server.reset();
  serve(say, TLS1_2_VERSION);
  server->options.least_tls = "1.2";
  ClientStream stream = connect();
  EXPECT_EQ(read_to_end(stream), "hello");
  EXPECT_EQ(stream.tls()->version, "TLSv1.2");
}

TEST_F(ClientOfATlsServer, GoesOnWithNewKeys) {
  serve([](TlsTestServer& tls) {
    tls.write("old ");
    SSL_key_update(tls.ssl(), SSL_KEY_UPDATE_REQUESTED);
    tls.write("new");
    tls.write(tls.read());
    tls.finish();
  });
  ClientStream stream = connect();
  EXPECT_EQ(read(stream, 7), "old new");
  stream.write_all(bytes_of("mine"));
  EXPECT_EQ(read_to_end(stream), "mine");
}

}  // namespace
}  // namespace gatehouse
