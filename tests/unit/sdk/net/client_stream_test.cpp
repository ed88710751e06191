// A client's stream against the listeners of a real lane.
#include <gatehouse/net/client_stream.hpp>

#include <gatehouse/plugin/lane_plugin.hpp>
#include <gatehouse/plugin/stream_listeners.hpp>
#include <gatehouse/testkit/plugin_runner.hpp>

#include "tests/unit/sdk/net/client_calls.hpp"
#include "tests/unit/sdk/net/test_authority.hpp"

#include <gmock/gmock.h>

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <mutex>
#include <thread>

namespace gatehouse {
namespace {

using namespace std::chrono_literals;
using test::CertificateWish;
using test::read;
using test::read_to_end;
using test::sentence_of;
using test::TestAuthority;
using test::TestCertificate;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

/// What a test says of the frontend, and what that has read.
struct Desk {
  std::mutex mutex;
  HttpRefusal refusal;      // with a status: for everybody
  bool ends_first = false;  // the server says "first" and ends its side; else it sends back what comes
  std::string received;
};
Desk* desk = nullptr;

struct Settings {
  explicit Settings(const Options&) {}
  void check_change(const Settings&) const {}
};

/// Sends back what comes, and "bye" when its client has ended.
class Served final : public Readiness {
 public:
  Served(Stream stream, LaneLoop& loop, std::function<void(Served&)> gone)
      : stream_(std::move(stream)), gone_(std::move(gone)) {
    EXPECT_TRUE(stream_.watch(loop.poller(), *this));
    const std::scoped_lock lock(desk->mutex);
    if (!desk->ends_first) return;
    EXPECT_TRUE(stream_.write(bytes_of("first")));
    stream_.shutdown_write();
    echoes_ = false;
  }

 private:
  void on_ready(std::uint32_t) override {
    std::array<std::byte, 40000> part;
    const Result<std::size_t> got = has_ended_ ? Result<std::size_t>(Errc::would_block) : stream_.read(part);
    if (got) take(Bytes(part).first(*got));
    if (!got && got.error() != Errc::would_block) {
      if (got.error() != Errc::closed || !echoes_) return gone_(*this);
      has_ended_ = true;
      waiting_ += "bye";
    }
    while (!waiting_.empty()) {
      const auto taken = stream_.write(bytes_of(waiting_));
      if (!taken && taken.error() != Errc::would_block) return gone_(*this);
      if (!taken) break;
      waiting_.erase(0, *taken);
    }
    if (waiting_.empty() && has_ended_) return gone_(*this);
    stream_.watch_for(!has_ended_, !waiting_.empty());
  }
  void take(Bytes part) {
    if (echoes_) {
      waiting_ += text_of(part);
    } else {
      const std::scoped_lock lock(desk->mutex);
      desk->received += text_of(part);
    }
  }

  Stream stream_;
  std::function<void(Served&)> gone_;
  std::string waiting_;
  bool echoes_ = true, has_ended_ = false;
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
    HttpRefusal refusal;
    {
      const std::scoped_lock lock(desk->mutex);
      refusal = desk->refusal;
    }
    if (refusal.status != 0) return arrival.refuse(refusal);
    std::vector<HttpField> fields;
    if (const auto asked = arrival.field("Door-Question")) fields = {{"Door-Answer", *asked + '!'}};
    served_.push_back(std::make_unique<Served>(arrival.accept(fields), context_.loop, [this](Served& gone) {
      std::erase_if(served_, [&](const auto& one) { return one.get() == &gone; });
    }));
  }

  LaneContext context_;
  StreamListeners listeners_;
  std::vector<std::unique_ptr<Served>> served_;
};

class TestPlugin final : public LanePlugin<Worker, Settings> {
  using LanePlugin::LanePlugin;
};
constexpr gh_listener_role kRoles[] = {make_role("listen", RoleKind::streams, true)};
const gh_manifest kManifest =
    make_manifest<TestPlugin>({.id = "door", .version = "1", .summary = "Sends back.", .roles = kRoles});

const TestAuthority& authority() {
  static const TestAuthority one;
  return one;
}

std::string long_text(std::size_t size) {
  std::string out(size, '\0');
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<char>(i * 31 + i / 253);
  return out;
}

class ClientStreamTest : public testing::Test {
 protected:
  ClientStreamTest() {
    desk = &desk_;
    std::string name = (std::filesystem::temp_directory_path() / "gatehouse-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    folder_ = name;
  }
  ~ClientStreamTest() override {
    plugin.reset();
    std::filesystem::remove_all(folder_);
  }

  void start(const testkit::TestListener& listener,
             const CertificateWish& shown = {.alternatives = "DNS:gate.example,DNS:*.wild.example,IP:127.0.0.1"}) {
    if (listener.tls) {
      const TestCertificate own = authority().issue(shown);
      host.set_certificate(
          0, {.chain = own.certificate, .key = own.key, .client_ca = authority().certificate(), .ktls = true});
    }
    plugin.emplace(kManifest, host, "{}", 1, std::vector{listener});
  }
  ClientOptions options() {
    ClientOptions out;
    out.address = plugin->address().to_string();
    return out;
  }
  ClientOptions tls_options() {
    ClientOptions out = options();
    out.tls = true;
    out.ca = file("ca.pem", authority().certificate());
    return out;
  }
  void show(ClientOptions& options, const TestCertificate& certificate) {
    options.cert = file("cert.pem", certificate.certificate);
    options.key = file("key.pem", certificate.key);
  }
  static ClientStream connect(const ClientOptions& options, const std::string& name = "door") {
    return ClientStream(options, name, steady_now() + 5s);
  }
  static std::string why_not(const ClientOptions& options, const std::string& name = "door") {
    return sentence_of([&] { connect(options, name); });
  }
  std::filesystem::path file(const std::string& name, const std::string& text, mode_t mode = 0600) {
    const std::filesystem::path out = folder_ / name;
    std::ofstream(out) << text;
    EXPECT_EQ(::chmod(out.c_str(), mode), 0);
    return out;
  }
  static std::string ask(ClientStream& stream, const std::string& text) {
    stream.write_all(bytes_of(text));
    return read(stream, text.size());
  }

  Desk desk_;
  std::filesystem::path folder_;
  testkit::FakeHost host;
  std::optional<testkit::PluginRunner> plugin;
};

using testkit::TestListener;

TEST_F(ClientStreamTest, ReachesAPlainListener) {
  start({});
  ClientStream stream = connect(options());
  EXPECT_EQ(ask(stream, "hello"), "hello");
  EXPECT_FALSE(stream.tls().has_value());
  EXPECT_FALSE(stream.has_opening());
}

TEST_F(ClientStreamTest, ReachesAUnixListener) {
  start({.transport = GH_TRANSPORT_UNIX, .http_opening = true});
  ClientOptions options;
  options.address = "unix:" + plugin->path(0).string();
  options.http = true;
  ClientStream stream = connect(options);
  EXPECT_EQ(ask(stream, "hello"), "hello");
  EXPECT_TRUE(stream.has_opening());
}

TEST_F(ClientStreamTest, SaysThatNobodyListens) {
  ClientOptions options;
  options.address = "127.0.0.1:1";
  EXPECT_THAT(why_not(options), StartsWith("connect to 127.0.0.1:1: Connection refused"));
  options.address = "unix:/nowhere";
  EXPECT_THAT(why_not(options), StartsWith("connect to /nowhere: No such file"));
}

// ---- TLS

TEST_F(ClientStreamTest, SpeaksTlsWithAServerOfItsAuthority) {
  start({.tls = true});
  ClientStream stream = connect(tls_options());
  EXPECT_EQ(ask(stream, "hello"), "hello");
  ASSERT_TRUE(stream.tls().has_value());
  EXPECT_EQ(stream.tls()->version, "TLSv1.3");
  EXPECT_THAT(stream.tls()->cipher, StartsWith("TLS_"));
}

TEST_F(ClientStreamTest, TrustsNobodyElse) {
  start({.tls = true});
  ClientOptions options = tls_options();
  options.ca = file("other.pem", TestAuthority("other").certificate());
  EXPECT_THAT(why_not(options), AllOf(StartsWith("the server's certificate is not signed by an authority in "),
                                      HasSubstr("other.pem; name the one that has signed it with --ca FILE")));
  options.ca.clear();
  EXPECT_THAT(why_not(options), HasSubstr("an authority that this system trusts; "));
  options.ca = file("broken.pem", "no certificate");
  EXPECT_THAT(why_not(options), HasSubstr("broken.pem cannot be used as --ca"));
  options.ca = folder_ / "none.pem";
  EXPECT_THAT(why_not(options), HasSubstr("No such file or directory"));
}

TEST_F(ClientStreamTest, WantsACertificateForTheNameThatItWasTold) {
  start({.tls = true});
  ClientOptions options = tls_options();
  for (const char* const name : {"gate.example", "GATE.example", "a.wild.example", "127.0.0.1"}) {
    options.server_name = name;
    EXPECT_EQ(why_not(options), "") << name;
  }
  for (const char* const name : {"else.example", "a.b.wild.example", "wild.example", "127.0.0.2", "localhost"}) {
    options.server_name = name;
    EXPECT_EQ(why_not(options), "the server's certificate is not for " + std::string(name) +
                                    "; it is for gate.example, *.wild.example, 127.0.0.1; if that is the server that "
                                    "you mean, say so with --server-name");
  }
}

TEST_F(ClientStreamTest, TakesNoCommonNameForAName) {
  start({.tls = true}, {.name = "gate.example"});
  ClientOptions options = tls_options();
  options.server_name = "gate.example";
  EXPECT_THAT(why_not(options), HasSubstr("it is for no name or address (subjectAltName)"));
}

TEST_F(ClientStreamTest, ShowsNothingOddOfAStrangersNames) {
  start({.tls = true}, {.alternatives = "DNS:\x1b[31m" + std::string(2000, 'x')});
  EXPECT_THAT(why_not(tls_options()), AllOf(HasSubstr("it is for ?[31mxxx"), Not(HasSubstr(std::string(250, 'x')))));
}

TEST_F(ClientStreamTest, RefusesACertificateThatHasExpired) {
  start({.tls = true}, {.alternatives = "IP:127.0.0.1", .valid_seconds = -60});
  EXPECT_THAT(why_not(tls_options()), HasSubstr("has expired"));
}

TEST_F(ClientStreamTest, ShowsItsCertificate) {
  host.set_credential(GH_CREDENTIAL_CERT, "bob.example", "cert:bob");
  start({.auth = GH_AUTH_CERT, .tls = true});
  ClientOptions options = tls_options();
  show(options, authority().issue({.alternatives = "DNS:bob.example"}));
  ClientStream stream = connect(options);
  EXPECT_EQ(ask(stream, "hello"), "hello");
}

TEST_F(ClientStreamTest, SaysWhatIsWrongWithItsCertificate) {
  start({.auth = GH_AUTH_CERT, .tls = true});
  const auto try_it = [](const ClientOptions& with) {
    return sentence_of([&] {  // TLS 1.3 tells it after the handshake
      ClientStream stream = connect(with);
      if (read(stream, 1).empty()) throw std::runtime_error("ended");
    });
  };
  ClientOptions options = tls_options();
  EXPECT_THAT(try_it(options), HasSubstr("show one with --cert FILE and --key FILE"));
  show(options, TestAuthority("other").issue({.alternatives = "DNS:bob.example"}));
  EXPECT_THAT(try_it(options),
              AllOf(StartsWith("the server does not take the certificate of "), HasSubstr("cert.pem")));
  options.key = file("key.pem", authority().issue().key);
  EXPECT_THAT(try_it(options), HasSubstr("key.pem cannot be used as --key"));
  options.key = file("key.pem", authority().issue().key, 0644);
  EXPECT_THAT(try_it(options), AllOf(HasSubstr("others can use"), HasSubstr("key.pem, which holds a secret")));
  options.cert = file("cert.pem", "nothing");
  EXPECT_THAT(try_it(options), HasSubstr("cert.pem cannot be used as --cert"));
}

TEST_F(ClientStreamTest, SaysThatTheServerSpeaksNoTls) {
  start({.http_opening = true});
  EXPECT_THAT(why_not(tls_options()), HasSubstr("does not speak TLS there"));
}

// ---- HTTP

TEST_F(ClientStreamTest, ShowsItsToken) {
  host.set_credential(GH_CREDENTIAL_TOKEN, "secret", "token:bob");
  start({.auth = GH_AUTH_TOKEN, .http_opening = true});
  ClientOptions options = this->options();
  options.http = true;
  EXPECT_THAT(why_not(options),
              AllOf(StartsWith("the gateway refused with 401: "), HasSubstr("Show one with --token-file FILE.")));
  options.token_file = file("token", "secret\n");
  ClientStream stream = connect(options);
  EXPECT_EQ(ask(stream, "hello"), "hello");
  options.token_file = file("wrong", "guessed\n");
  EXPECT_THAT(why_not(options), AllOf(StartsWith("the gateway refused with 401: "), Not(HasSubstr("guessed"))));
  options.token_file = file("odd", "two words\n");
  EXPECT_THAT(why_not(options), AllOf(HasSubstr("a token has letters"), Not(HasSubstr("two words"))));
}

TEST_F(ClientStreamTest, AsksForTheInstanceByItsPath) {
  start({.http_opening = true});
  ClientOptions options = this->options();
  options.path = "/door";
  for (const bool web_socket : {false, true}) {
    options.http = !web_socket;
    options.web_socket = web_socket;
    ClientStream stream(options, "window", steady_now() + 30s);
    EXPECT_EQ(ask(stream, "hello"), "hello");
  }
}

TEST_F(ClientStreamTest, HasFieldsOfItsOwnInTheOpening) {
  start({.http_opening = true});
  ClientOptions options = this->options();
  options.fields = {{"Door-Question", "open"}};
  for (const bool web_socket : {false, true}) {
    options.http = !web_socket;
    options.web_socket = web_socket;
    ClientStream stream = connect(options);
    EXPECT_EQ(stream.answer_field("door-answer"), "open!");
    EXPECT_EQ(stream.answer_field("Door-Question"), std::nullopt);
    EXPECT_EQ(ask(stream, "hello"), "hello");
  }
}

TEST_F(ClientStreamTest, OpensASocketThatSomebodyElseHasConnected) {
  start({.http_opening = true});
  ClientOptions options = this->options();
  sockaddr_storage address{};
  const socklen_t size = Endpoint::parse(options.address)->to_sockaddr(address);
  UniqueFd socket(::socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), size), 0);
  options.address = "unix:whatever";
  options.http = true;
  ClientStream stream(std::move(socket), options, "door", steady_now() + 5s);
  EXPECT_EQ(ask(stream, "hello"), "hello");
}

TEST_F(ClientStreamTest, TellsStatusAndPatienceOfARefusal) {
  start({.http_opening = true});
  ClientOptions options = this->options();
  options.http = true;
  {
    const std::scoped_lock lock(desk_.mutex);
    desk_.refusal = {503, "later", 7s};
  }
  try {
    connect(options);
    ADD_FAILURE() << "it was let in";
  } catch (const ClientRefused& refused) {
    EXPECT_EQ(refused.status, 503U);
    EXPECT_EQ(refused.retry_after, 7s);
  }
}

TEST_F(ClientStreamTest, SaysHowItWasRefused) {
  start({.http_opening = true});
  ClientOptions options = this->options();
  options.http = true;
  EXPECT_THAT(why_not(options, "window"), StartsWith("the gateway refused with 404: "));
  for (const unsigned status : {400u, 401u, 403u, 404u, 405u, 426u, 429u, 503u}) {
    for (const bool web_socket : {false, true}) {
      {
        const std::scoped_lock lock(desk_.mutex);
        desk_.refusal = {status, "for this \"reason\"", 1s};
      }
      options.http = !web_socket;
      options.web_socket = web_socket;
      EXPECT_THAT(why_not(options),
                  StartsWith("the gateway refused with " + std::to_string(status) + ": for this \"reason\""));
    }
  }
}

// ---- whatever it is carried by

struct Carrier {
  const char* name;
  bool tls, http, web_socket;
};

class ClientStreamOver : public ClientStreamTest, public testing::WithParamInterface<Carrier> {
 protected:
  ClientStream open() {
    const Carrier& carrier = GetParam();
    start({.tls = carrier.tls, .http_opening = carrier.http || carrier.web_socket});
    ClientOptions options = carrier.tls ? tls_options() : this->options();
    options.http = carrier.http;
    options.web_socket = carrier.web_socket;
    return ClientStream(options, "door", steady_now() + 30s);
  }
};

TEST_P(ClientStreamOver, CarriesMuchBothWays) {
  ClientStream stream = open();
  for (const std::size_t size : {1u, 125u, 126u, 127u, 16384u, 16385u, 65535u, 65536u, 300007u, 5000011u}) {
    const std::string text = long_text(size);
    EXPECT_TRUE(ask(stream, text) == text) << size;
  }
}

TEST_P(ClientStreamOver, GivesWhatItHasInSmallPieces) {
  ClientStream stream = open();
  const std::string text = long_text(50000);
  stream.write_all(bytes_of(text));
  std::string got;
  for (std::size_t i = 1; got.size() < text.size(); i = i % 700 + 13) {
    const std::string part = read(stream, std::min(i, text.size() - got.size()));
    if (part.empty()) break;
    got += part;
  }
  EXPECT_TRUE(got == text);
}

TEST_P(ClientStreamOver, EndsItsSideBehindWhatItWrote) {
  ClientStream stream = open();
  const std::string text = long_text(100003);
  EXPECT_EQ(ask(stream, text), text);
  stream.finish();
  EXPECT_EQ(read_to_end(stream), "bye");
  EXPECT_EQ(read_to_end(stream), "");
}

TEST_P(ClientStreamOver, MayGoOnWhenTheServerHasEnded) {
  desk_.ends_first = true;
  ClientStream stream = open();
  EXPECT_EQ(read_to_end(stream), "first");
  const std::string text = long_text(200003);
  stream.write_all(bytes_of(text));
  stream.finish();
  const auto received = [this] {
    const std::scoped_lock lock(desk_.mutex);
    return desk_.received;
  };
  for (const SteadyTime end = steady_now() + 5s; received() != text && steady_now() < end;)
    std::this_thread::sleep_for(1ms);
  EXPECT_TRUE(received() == text);
}

TEST_P(ClientStreamOver, WaitsNoLongerThanItsDeadline) {
  ClientStream stream = open();
  std::array<std::byte, 16> out;
  const SteadyTime begin = steady_now();
  stream.set_deadline(begin + 50ms);
  EXPECT_THROW(static_cast<void>(stream.read_some(out)), ClientTimeout);
  EXPECT_GE(steady_now() - begin, 50ms);
  stream.set_deadline(steady_now() + 5s);
  EXPECT_EQ(ask(stream, "hello"), "hello");
}

TEST_P(ClientStreamOver, GoesOnWithoutBlocking) {
  ClientStream opened = open();
  Stream stream = opened.take_stream();
  const std::string text = long_text(300'000);
  std::string got;
  std::array<std::byte, 40'000> part;
  const SteadyTime end = steady_now() + 10s;
  for (std::size_t sent = 0; got.size() < text.size() && steady_now() < end;) {
    if (const auto taken = stream.write(bytes_of(text).subspan(sent)); taken && sent < text.size()) sent += *taken;
    if (const auto size = stream.read(part)) got += text_of(Bytes(part).first(*size));
  }
  EXPECT_EQ(got, text);
}

INSTANTIATE_TEST_SUITE_P(Carriers, ClientStreamOver,
                         testing::Values(Carrier{"Tcp", false, false, false}, Carrier{"Tls", true, false, false},
                                         Carrier{"Http", false, true, false}, Carrier{"HttpInTls", true, true, false},
                                         Carrier{"WebSocket", false, false, true},
                                         Carrier{"WebSocketInTls", true, false, true}),
                         [](const auto& carrier) { return std::string(carrier.param.name); });

}  // namespace
}  // namespace gatehouse
