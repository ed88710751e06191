// What comes before a stream's first byte for the frontend, with real sockets and a real lane.
#include <gatehouse/plugin/stream_listeners.hpp>

#include <gatehouse/net/kernel_tls.hpp>
#include <gatehouse/net/proxy_header.hpp>
#include <gatehouse/net/web_socket.hpp>
#include <gatehouse/plugin/lane_plugin.hpp>
#include <gatehouse/testkit/plugin_runner.hpp>

#include "tests/unit/sdk/net/test_authority.hpp"

#include <gmock/gmock.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <mutex>
#include <thread>

namespace gatehouse {
namespace {

using namespace std::chrono_literals;
using test::TestAuthority;
using test::TestCertificate;
using test::TlsTestClient;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

/// What the tests see and say of the frontend, on other threads than its lane.
struct Desk {
  std::mutex mutex;
  std::vector<std::string> arrivals;  // "identity source"
  HttpRefusal refusal;                // with a status: for everybody
};
Desk* desk = nullptr;

struct Settings {
  explicit Settings(const Options&) {}
  void check_change(const Settings&) const {}
};

/// Sends back what comes.
class Echo final : public Readiness {
 public:
  Echo(Stream stream, LaneLoop& loop, std::function<void(Echo&)> ended)
      : stream_(std::move(stream)), ended_(std::move(ended)) {
    EXPECT_TRUE(stream_.watch(loop.poller(), *this));
  }

 private:
  void on_ready(std::uint32_t) override {
    std::array<std::byte, 4096> part;
    const auto got = stream_.read(part);
    if (!got && got.error() == Errc::would_block) return;
    if (!got || !stream_.write(Bytes(part).first(*got))) return ended_(*this);
  }
  Stream stream_;
  std::function<void(Echo&)> ended_;
};

class Worker final : public LaneWorker {
 public:
  Worker(const LaneContext& context, const std::shared_ptr<const Settings>&)
      : context_(context),
        listeners_(context, {[this](Arrival arrival) { take(std::move(arrival)); }, [](const Error&) {}}) {}
  void configure(const std::shared_ptr<const Settings>&) {}
  void listen(const std::vector<Listener>& listeners) override { listeners_.listen(listeners); }
  void drain(SteadyTime) override { listeners_.listen({}); }

 private:
  void take(Arrival arrival) {
    {
      const std::scoped_lock lock(desk->mutex);
      desk->arrivals.push_back(arrival.identity() + ' ' + arrival.peer().source.address.to_string());
      if (desk->refusal.status != 0) return arrival.refuse(desk->refusal);
    }
    auto echo = std::make_unique<Echo>(arrival.accept(), context_.loop, [this](Echo& gone) {
      std::erase_if(echoes_, [&](const auto& one) { return one.get() == &gone; });
    });
    echoes_.push_back(std::move(echo));
  }

  LaneContext context_;
  StreamListeners listeners_;
  std::vector<std::unique_ptr<Echo>> echoes_;
};

class TestPlugin final : public LanePlugin<Worker, Settings> {
  using LanePlugin::LanePlugin;
};
constexpr gh_listener_role kRoles[] = {make_role("listen", RoleKind::streams, true, Openings::configured)};
const gh_manifest kManifest =
    make_manifest<TestPlugin>({.id = "door", .version = "1", .summary = "Sends back.", .roles = kRoles});

/// A client's socket, with deadlines.
class Caller {
 public:
  explicit Caller(const Endpoint& server) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_storage address{};
    const socklen_t size = server.to_sockaddr(address);
    EXPECT_EQ(connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    be_quick();
  }
  explicit Caller(const std::filesystem::path& path) : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.string().copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    be_quick();
  }
  [[nodiscard]] int fd() const { return fd_.get(); }
  void send(std::string_view text) {
    EXPECT_EQ(::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  /// So many bytes, or fewer if the stream ends or nothing comes for seconds.
  std::string receive(std::size_t size) {
    std::string out(size, '\0');
    std::size_t got = 0;
    for (ssize_t n = 1; got < size && n > 0; got += static_cast<std::size_t>(std::max<ssize_t>(n, 0)))
      n = recv(fd_.get(), out.data() + got, size - got, 0);
    out.resize(got);
    return out;
  }
  /// To the end of the header.
  std::string receive_header() {
    std::string out;
    while (!out.ends_with("\r\n\r\n")) {
      const std::string one = receive(1);
      if (one.empty()) break;
      out += one;
    }
    return out;
  }
  /// Everything to the end of the stream.
  std::string receive_all() { return receive(1 << 20); }
  /// Does it end, within that time?
  bool ends(std::chrono::milliseconds within = 5s) {
    pollfd ready{fd_.get(), POLLIN, 0};
    char byte = 0;
    return poll(&ready, 1, static_cast<int>(within.count())) == 1 && recv(fd_.get(), &byte, 1, 0) <= 0;
  }

 private:
  void be_quick() {
    const timeval most{5, 0};
    setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most);
  }
  UniqueFd fd_;
};

const TestAuthority& authority() {
  static const TestAuthority one;
  return one;
}

class StreamListenersTest : public testing::Test {
 protected:
  StreamListenersTest() { desk = &desk_; }
  ~StreamListenersTest() override { plugin.reset(); }

  void start(const testkit::TestListener& listener) {
    if (listener.tls) {
      const TestCertificate own = authority().issue();
      host.set_certificate(0, {.chain = own.certificate,
                               .key = own.key,
                               .client_ca = authority().certificate(),
                               .ktls = true});  // where the kernel can
    }
    plugin.emplace(kManifest, host, "{}", 1, std::vector{listener});
  }
  Caller call() { return Caller(plugin->address()); }
  template <class Done>
  static bool eventually(Done done) {
    for (const SteadyTime end = steady_now() + 10s; steady_now() < end; std::this_thread::sleep_for(1ms))
      if (done()) return true;
    return false;
  }
  std::uint64_t refused(const std::string& cause) const {
    return host.metric("openings_refused{cause=\"" + cause + "\"}");
  }
  std::vector<std::string> arrivals() {
    const std::scoped_lock lock(desk_.mutex);
    return desk_.arrivals;
  }
  static std::string request(const std::string& more = "", const std::string& upgrade = "door") {
    return "GET /door HTTP/1.1\r\nHost: gate.example\r\nConnection: Upgrade\r\nUpgrade: " + upgrade + "\r\n" + more +
           "\r\n";
  }

  Desk desk_;
  testkit::FakeHost host;
  std::optional<testkit::PluginRunner> plugin;
};

using testkit::TestListener;

TEST_F(StreamListenersTest, HandAPlainStreamOverAtOnce) {
  start({});
  Caller client = call();
  client.send("hello");
  EXPECT_EQ(client.receive(5), "hello");
  EXPECT_EQ(arrivals(), std::vector<std::string>{" 127.0.0.1"});
}

TEST_F(StreamListenersTest, NameTheUserOfAUnixStream) {
  start({.transport = GH_TRANSPORT_UNIX, .auth = GH_AUTH_UNIX});
  Caller client(plugin->path(0));
  client.send("hello");
  EXPECT_EQ(client.receive(5), "hello");
  EXPECT_THAT(arrivals().at(0), StartsWith("unix:" + std::to_string(geteuid())));
}

TEST_F(StreamListenersTest, RefuseAPlainClientWhereACredentialIsAskedFor) {
  start({.auth = GH_AUTH_CERT});
  Caller client = call();
  EXPECT_TRUE(client.ends());
  EXPECT_TRUE(eventually([&] { return refused("credential") == 1u; }));
  EXPECT_TRUE(arrivals().empty());
}

// ---- TLS

TEST_F(StreamListenersTest, ShakeHandsBeforeAnybodyArrives) {
  start({.tls = true});
  Caller client = call();
  TlsTestClient tls(client.fd());
  ASSERT_TRUE(tls.handshake());
  ASSERT_TRUE(tls.write("hello"));
  char text[6] = {};
  EXPECT_EQ(SSL_read(tls.ssl(), text, 5), 5);
  EXPECT_STREQ(text, "hello");
  EXPECT_EQ(arrivals(), std::vector<std::string>{" 127.0.0.1"});
  EXPECT_EQ(host.metric("tls_handshakes"), 1u);
  EXPECT_EQ(host.metric("tls_in_kernel"), KernelTls::prepare(client.fd()) ? 1u : 0u);
}

TEST_F(StreamListenersTest, NameTheClientByItsCertificate) {
  host.set_credential(GH_CREDENTIAL_CERT, "bob.example", "cert:bob");
  start({.auth = GH_AUTH_CERT, .tls = true});
  Caller client = call();
  TlsTestClient tls(client.fd(), authority().issue({.alternatives = "DNS:other.example,DNS:bob.example"}));
  ASSERT_TRUE(tls.handshake());
  ASSERT_TRUE(tls.write("hello"));
  char text[6] = {};
  EXPECT_EQ(SSL_read(tls.ssl(), text, 5), 5);
  EXPECT_EQ(arrivals(), std::vector<std::string>{"cert:bob 127.0.0.1"});
}

TEST_F(StreamListenersTest, RefuseACertificateThatIsNobodys) {
  start({.auth = GH_AUTH_CERT, .tls = true});
  Caller client = call();
  TlsTestClient tls(client.fd(), authority().issue({.alternatives = "DNS:nobody.example"}));
  tls.handshake();
  char text[6] = {};
  EXPECT_LE(SSL_read(tls.ssl(), text, 5), 0);
  EXPECT_TRUE(eventually([&] { return refused("credential") == 1u; }));
  EXPECT_TRUE(arrivals().empty());
}

TEST_F(StreamListenersTest, RefuseWhatIsNoTls) {
  start({.tls = true});
  Caller client = call();
  client.send("GET / HTTP/1.1\r\n\r\n");
  client.receive_all();
  EXPECT_TRUE(eventually([&] { return refused("tls") == 1; }));
}

TEST_F(StreamListenersTest, ShowANewCertificateToNewStreamsAndLeaveOthersAlone) {
  start({.tls = true});
  Caller first = call();
  TlsTestClient old(first.fd());
  ASSERT_TRUE(old.handshake());
  const TestCertificate next = authority().issue({.name = "next"});
  host.set_certificate(0, {.chain = next.certificate, .key = next.key});
  Caller second = call();
  TlsTestClient fresh(second.fd());
  ASSERT_TRUE(fresh.handshake());
  const std::unique_ptr<X509, void (*)(X509*)> shown(SSL_get1_peer_certificate(fresh.ssl()), X509_free);
  char name[64] = {};
  X509_NAME_get_text_by_NID(X509_get_subject_name(shown.get()), NID_commonName, name, sizeof name);
  EXPECT_STREQ(name, "next");
  ASSERT_TRUE(old.write("still"));
  char text[6] = {};
  EXPECT_EQ(SSL_read(old.ssl(), text, 5), 5);
}

TEST_F(StreamListenersTest, GoOnWithTheCertificateBeforeWhereTheNextDoesNotWork) {
  start({.tls = true});
  Caller first = call();
  TlsTestClient old(first.fd());
  ASSERT_TRUE(old.handshake());
  host.set_certificate(0, {.chain = "broken", .key = "broken"});
  Caller second = call();
  TlsTestClient fresh(second.fd());
  EXPECT_TRUE(fresh.handshake());
  EXPECT_THAT(host.log_lines(), testing::Contains(HasSubstr("a certificate cannot be used")));
}

TEST_F(StreamListenersTest, LetWhoSaysNothingGoAfterItsTime) {
  start({.tls = true});
  Caller client = call();
  const SteadyTime begin = steady_now();
  EXPECT_TRUE(client.ends(8s));
  EXPECT_GE(steady_now() - begin, StreamListeners::kDeadline - 300ms);
  EXPECT_TRUE(eventually([&] { return refused("too_slow") == 1u; }));
}

TEST_F(StreamListenersTest, MakePlaceForNewOnesByTheOldestOfTheSourceWithMost) {
  host.set_descriptors(160);  // ten on their way in
  start({.tls = true});
  std::vector<Caller> waiting;
  for (int i = 0; i < 10; ++i) waiting.push_back(call());
  EXPECT_TRUE(eventually([&] { return refused("too_many") == 0; }));
  Caller client = call();
  TlsTestClient tls(client.fd());
  ASSERT_TRUE(tls.handshake());
  EXPECT_TRUE(waiting.front().ends());
  EXPECT_TRUE(eventually([&] { return refused("too_many") == 1u; }));
  EXPECT_GE(host.shortages(GH_RESOURCE_DESCRIPTORS), 1u);
}

TEST_F(StreamListenersTest, RefuseASourceWithTooManyHandshakes) {
  start({.tls = true, .proxy_protocol = true, .trusted_proxies = {*Prefix::parse("127.0.0.1")}});
  const std::string hello = test::client_hello();
  const auto handshake = [&](const char* source) {
    Caller client = call();
    client.send(write_proxy_header(ProxyVersion::v2, *Endpoint::parse(source), *Endpoint::parse("192.0.2.99:443")) +
                hello);
    return client.receive(1).size();
  };
  std::uint64_t answered = 0;
  for (std::uint64_t i = 0; i < StreamListeners::kOpeningBurst + 1000 && refused("too_fast") == 0; ++i)
    answered += handshake("192.0.2.7:1");
  EXPECT_GE(answered, StreamListeners::kOpeningBurst);
  EXPECT_TRUE(eventually([&] { return refused("too_fast") == 1; }));
  EXPECT_EQ(handshake("192.0.2.8:1"), 1u);
}

// ---- HTTP

TEST_F(StreamListenersTest, SwitchAnHttpOpeningAndGoOnInBareBytes) {
  start({.http_opening = true});
  Caller client = call();
  client.send(request());
  EXPECT_THAT(client.receive_header(), AllOf(StartsWith("HTTP/1.1 101 "), HasSubstr("Upgrade: door\r\n")));
  client.send("hello");
  EXPECT_EQ(client.receive(5), "hello");
}

TEST_F(StreamListenersTest, KeepWhatCameBehindTheOpening) {
  start({.http_opening = true});
  Caller client = call();
  client.send(request() + "early ");
  EXPECT_THAT(client.receive_header(), StartsWith("HTTP/1.1 101 "));
  EXPECT_EQ(client.receive(6), "early ");
  client.send("late");
  EXPECT_EQ(client.receive(4), "late");
}

TEST_F(StreamListenersTest, TakeAnOpeningByteByByte) {
  start({.http_opening = true});
  Caller client = call();
  for (const char one : request()) client.send({&one, 1});
  EXPECT_THAT(client.receive_header(), StartsWith("HTTP/1.1 101 "));
}

TEST_F(StreamListenersTest, RefuseWhatIsNoOpening) {
  start({.http_opening = true});
  Caller client = call();
  client.send("POST /door HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
  EXPECT_THAT(client.receive_all(), StartsWith("HTTP/1.1 405 "));
  EXPECT_TRUE(eventually([&] { return refused("http") == 1u; }));
}

TEST_F(StreamListenersTest, AskForATokenAndKnowItsOwner) {
  host.set_credential(GH_CREDENTIAL_TOKEN, "secret", "token:bob");
  start({.auth = GH_AUTH_TOKEN, .http_opening = true});
  Caller none = call();
  none.send(request());
  EXPECT_THAT(none.receive_all(), AllOf(StartsWith("HTTP/1.1 401 "), HasSubstr("WWW-Authenticate: Bearer")));
  Caller wrong = call();
  wrong.send(request("Authorization: Bearer guessed\r\n"));
  EXPECT_THAT(wrong.receive_all(), AllOf(StartsWith("HTTP/1.1 401 "), Not(HasSubstr("guessed"))));
  Caller bob = call();
  bob.send(request("Authorization: Bearer secret\r\n"));
  EXPECT_THAT(bob.receive_header(), StartsWith("HTTP/1.1 101 "));
  EXPECT_EQ(arrivals(), std::vector<std::string>{"token:bob 127.0.0.1"});
  for (const std::string& line : host.log_lines()) {
    EXPECT_THAT(line, AllOf(Not(HasSubstr("secret")), Not(HasSubstr("guessed"))));
  }
}

TEST_F(StreamListenersTest, TakeNoOtherCredentialThanTheyAskFor) {
  host.set_credential(GH_CREDENTIAL_TOKEN, "secret", "token:bob");
  host.set_credential(GH_CREDENTIAL_CERT, "bob.example", "cert:bob");
  const TestCertificate bob = authority().issue({.name = "bob.example"}),
                        nobody = authority().issue({.name = "nobody"});
  const auto answer = [&](std::uint32_t auth, const TestCertificate& shown) {
    plugin.reset();
    start({.auth = auth, .tls = true, .http_opening = true});
    Caller client = call();
    TlsTestClient tls(client.fd(), shown);
    if (!tls.handshake() || !tls.write(request("Authorization: Bearer secret\r\n"))) return std::string("no handshake");
    std::string text(12, '\0');
    return SSL_read(tls.ssl(), text.data(), 12) == 12 ? text.substr(9) : "closed";
  };
  EXPECT_EQ(answer(GH_AUTH_CERT, nobody), "401");  // whatever token it has
  EXPECT_EQ(answer(GH_AUTH_CERT, bob), "101");
  EXPECT_EQ(answer(GH_AUTH_TOKEN, bob), "101");
  EXPECT_EQ(answer(GH_AUTH_TOKEN | GH_AUTH_CERT, nobody), "101");
  EXPECT_EQ(answer(GH_AUTH_TOKEN | GH_AUTH_CERT, {}), "101");
  EXPECT_EQ(arrivals(), (std::vector<std::string>{"cert:bob 127.0.0.1", "token:bob 127.0.0.1", "token:bob 127.0.0.1",
                                                  "token:bob 127.0.0.1"}));
}

TEST_F(StreamListenersTest, SayHowLongASourceOfWrongTokensIsToWait) {
  start({.auth = GH_AUTH_TOKEN, .http_opening = true});
  host.refuse_tokens(1500ms);
  Caller client = call();
  client.send(request("Authorization: Bearer guessed\r\n"));
  EXPECT_THAT(client.receive_all(), AllOf(StartsWith("HTTP/1.1 429 "), HasSubstr("Retry-After: 2\r\n")));
}

TEST_F(StreamListenersTest, AnswerAsTheFrontendRefuses) {
  start({.http_opening = true});
  {
    const std::scoped_lock lock(desk_.mutex);
    desk_.refusal = {503, "we are full", 7s};
  }
  Caller client = call();
  client.send(request());
  EXPECT_THAT(client.receive_all(),
              AllOf(StartsWith("HTTP/1.1 503 "), HasSubstr("Retry-After: 7\r\n"), HasSubstr("we are full")));
}

TEST_F(StreamListenersTest, SpeakWebSocketWithWhoAsksForIt) {
  start({.http_opening = true});
  Caller client = call();
  client.send(request("Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "websocket"));
  EXPECT_THAT(client.receive_header(), AllOf(StartsWith("HTTP/1.1 101 "), HasSubstr("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")));
  const auto frame = [](WebSocketOpcode opcode, std::string text) {
    const WebSocketMask mask = {std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};
    std::array<std::byte, kLongestWebSocketHeader> header;
    const std::size_t size = write_frame_header(header, opcode, text.size(), mask);
    mask_payload(std::as_writable_bytes(std::span(text)), mask);
    return std::string(reinterpret_cast<const char*>(header.data()), size) + text;
  };
  client.send(frame(WebSocketOpcode::binary, "hello"));
  EXPECT_EQ(client.receive(7), "\x82\x05hello");
  client.send(frame(WebSocketOpcode::ping, "are you there"));
  EXPECT_EQ(client.receive(15),
            "\x8a\x0d"
            "are you there");
  client.send(frame(WebSocketOpcode::binary, "one ") + frame(WebSocketOpcode::binary, "two"));
  EXPECT_EQ(client.receive(9), "\x82\x07one two");
  client.send(frame(WebSocketOpcode::close, std::string("\x03\xe8", 2)));
  EXPECT_EQ(client.receive_all(), std::string("\x88\x02\x03\xe8", 4));
}

TEST_F(StreamListenersTest, SpeakWebSocketWithinTls) {
  start({.tls = true, .http_opening = true});
  Caller client = call();
  TlsTestClient tls(client.fd());
  ASSERT_TRUE(tls.handshake());
  ASSERT_TRUE(
      tls.write(request("Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "websocket")));
  std::string header(4096, '\0');
  const int size = SSL_read(tls.ssl(), header.data(), static_cast<int>(header.size()));
  ASSERT_GT(size, 0);
  EXPECT_THAT(header, StartsWith("HTTP/1.1 101 "));
  ASSERT_TRUE(tls.write(std::string("\x82\x85\x00\x00\x00\x00hello", 11)));
  EXPECT_EQ(SSL_read(tls.ssl(), header.data(), 64), 7);
  EXPECT_EQ(header.substr(0, 7), "\x82\x05hello");
}

// ---- proxies

TEST_F(StreamListenersTest, TakeATrustedProxysWordForTheSource) {
  start({.proxy_protocol = true, .trusted_proxies = {*Prefix::parse("127.0.0.0/8")}});
  for (const ProxyVersion version : {ProxyVersion::v1, ProxyVersion::v2}) {
    Caller client = call();
    client.send(write_proxy_header(version, *Endpoint::parse("192.0.2.7:4711"), *Endpoint::parse("198.51.100.1:443")) +
                "hello");
    EXPECT_EQ(client.receive(5), "hello");
    EXPECT_EQ(arrivals().back(), " 192.0.2.7");
  }
}

TEST_F(StreamListenersTest, TakeNobodyBehindAProxyForTheProxysUser) {
  start({.transport = GH_TRANSPORT_UNIX, .auth = GH_AUTH_UNIX, .proxy_protocol = true});
  Caller client(plugin->path(0));
  client.send(write_proxy_header(ProxyVersion::v1, *Endpoint::parse("192.0.2.7:1"), *Endpoint::parse("192.0.2.8:2")));
  EXPECT_TRUE(client.ends());
  plugin.reset();
  start({.transport = GH_TRANSPORT_UNIX, .proxy_protocol = true});
  Caller other(plugin->path(0));
  other.send(write_proxy_header(ProxyVersion::v1, *Endpoint::parse("192.0.2.7:1"), *Endpoint::parse("192.0.2.8:2")) +
             "x");
  EXPECT_EQ(other.receive(1), "x");
  EXPECT_EQ(arrivals(), std::vector<std::string>{" 192.0.2.7"});
}

TEST_F(StreamListenersTest, CountWhoGoesByWhatWasStillToCome) {
  start({.http_opening = true, .proxy_protocol = true, .trusted_proxies = {*Prefix::parse("127.0.0.1")}});
  {
    Caller client = call();
    client.send("PROXY TCP4 ");
  }
  EXPECT_TRUE(eventually([&] { return refused("proxy") == 1; }));
  {
    Caller client = call();
    client.send("PROXY UNKNOWN\r\nGET /door HT");
  }
  EXPECT_TRUE(eventually([&] { return refused("http") == 1; }));
  EXPECT_EQ(refused("proxy"), 1u);
}

TEST_F(StreamListenersTest, TakeTokensWithoutTlsOfTrustedProxiesAlone) {
  host.set_credential(GH_CREDENTIAL_TOKEN, "secret", "token:bob");
  start({.auth = GH_AUTH_TOKEN,
         .http_opening = true,
         .proxy_protocol = true,
         .trusted_proxies = {*Prefix::parse("127.0.0.1")}});
  Caller client = call();
  client.send(write_proxy_header(ProxyVersion::v1, *Endpoint::parse("192.0.2.7:1"), *Endpoint::parse("192.0.2.8:2")) +
              request("Authorization: Bearer secret\r\n"));
  EXPECT_THAT(client.receive_header(), StartsWith("HTTP/1.1 101 "));
}

TEST_F(StreamListenersTest, RefuseWhoIsNoTrustedProxyOrSendsNoHeader) {
  start({.proxy_protocol = true, .trusted_proxies = {*Prefix::parse("127.0.0.0/8")}});
  Caller rude = call();
  rude.send("hello");
  EXPECT_TRUE(rude.ends());
  plugin.reset();
  start({.proxy_protocol = true, .trusted_proxies = {*Prefix::parse("192.0.2.0/24")}});
  Caller stranger = call();
  EXPECT_TRUE(stranger.ends());
  EXPECT_TRUE(eventually([&] { return refused("proxy") == 2u; }));
  EXPECT_TRUE(arrivals().empty());
}

TEST_F(StreamListenersTest, ReadTlsBehindAProxyHeaderInTheSameSegment) {
  start({.tls = true, .proxy_protocol = true, .trusted_proxies = {*Prefix::parse("127.0.0.1")}});
  Caller client = call();
  TlsTestClient tls(client.fd());
  BIO* const out = BIO_new(BIO_s_mem());  // so that its first words can follow the header at once
  SSL_set0_wbio(tls.ssl(), out);
  fcntl(client.fd(), F_SETFL, O_NONBLOCK);
  EXPECT_FALSE(tls.handshake());
  char* hello = nullptr;
  const long size = BIO_get_mem_data(out, &hello);
  client.send(write_proxy_header(ProxyVersion::v2, *Endpoint::parse("192.0.2.7:1"), *Endpoint::parse("192.0.2.8:2")) +
              std::string(hello, static_cast<std::size_t>(size)));
  SSL_set0_wbio(tls.ssl(), BIO_new_socket(client.fd(), BIO_NOCLOSE));
  ASSERT_TRUE(eventually([&] { return tls.handshake() || tls.has_failed(); }));
  ASSERT_FALSE(tls.has_failed());
  EXPECT_TRUE(eventually([&] { return arrivals() == std::vector<std::string>{" 192.0.2.7"}; }));
}

TEST_F(StreamListenersTest, ReadXForwardedForOfTrustedProxiesAlone) {
  start({.http_opening = true, .trusted_proxies = {*Prefix::parse("127.0.0.1")}});
  Caller client = call();
  client.send(request("X-Forwarded-For: 203.0.113.9, 192.0.2.7\r\n"));
  EXPECT_THAT(client.receive_header(), StartsWith("HTTP/1.1 101 "));
  EXPECT_EQ(arrivals().back(), " 192.0.2.7");
  plugin.reset();
  start({.http_opening = true});
  Caller liar = call();
  liar.send(request("X-Forwarded-For: 192.0.2.7\r\n"));
  EXPECT_THAT(liar.receive_header(), StartsWith("HTTP/1.1 101 "));
  EXPECT_EQ(arrivals().back(), " 127.0.0.1");
}

TEST_F(StreamListenersTest, DropWhoIsOnTheWayInWhenTheListenerGoes) {
  start({.tls = true});
  Caller client = call();
  std::this_thread::sleep_for(50ms);
  std::string why;
  ASSERT_EQ(plugin->keep_listeners({}, why), GH_OK) << why;
  EXPECT_TRUE(client.ends(2s));
}

}  // namespace
}  // namespace gatehouse
