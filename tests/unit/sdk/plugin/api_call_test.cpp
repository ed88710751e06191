// Requests of an HTTP API, seen through by StreamListeners: with real sockets and a real lane.
#include <gatehouse/plugin/api_call.hpp>

#include <gatehouse/plugin/lane_plugin.hpp>
#include <gatehouse/plugin/stream_listeners.hpp>
#include <gatehouse/testkit/plugin_runner.hpp>

#include "tests/unit/sdk/net/test_authority.hpp"
#include "tests/unit/sdk/plugin/api_caller.hpp"

#include <gmock/gmock.h>

#include <fcntl.h>
#include <unistd.h>

#include <functional>
#include <mutex>
#include <thread>

namespace gatehouse {
namespace {

using namespace std::chrono_literals;
using test::ApiCaller;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

/// What the tests see and say of the API, on other threads than its lane.
struct Desk {
  std::mutex mutex;
  bool holds = false;          // calls are kept
  std::vector<ApiCall> calls;  // that are kept
  std::vector<LaneLoop*> loops;
  unsigned asked = 0;
};
Desk* desk = nullptr;

struct Settings {
  explicit Settings(const Options&) {}
  void check_change(const Settings&) const {}
};

ApiAnswer echo(const ApiCall& call) {
  ApiAnswer out;
  out.body = call.identity() + '|' + call.peer().source.address.to_string() + '|' + call.request().method + ' ' +
             call.request().path + '|' + call.request().body;
  return out;
}

class Worker final : public LaneWorker {
 public:
  Worker(const LaneContext& context, const std::shared_ptr<const Settings>&)
      : listeners_(context,
                   StreamListeners::Api{[](ApiCall call) { take(std::move(call)); }, [](const Error&) {}, 64}) {
    const std::scoped_lock lock(desk->mutex);
    desk->loops.push_back(&context.loop);
  }
  ~Worker() override {
    const std::scoped_lock lock(desk->mutex);
    desk->loops.clear();
  }
  void configure(const std::shared_ptr<const Settings>&) {}
  void listen(const std::vector<Listener>& listeners) override { listeners_.listen(listeners); }
  void drain(SteadyTime) override { listeners_.listen({}); }

 private:
  static void take(ApiCall call) {
    const std::scoped_lock lock(desk->mutex);
    ++desk->asked;
    if (desk->holds) return desk->calls.push_back(std::move(call));
    const ApiAnswer answer = echo(call);
    call.answer(answer);
  }
  StreamListeners listeners_;
};

class TestPlugin final : public LanePlugin<Worker, Settings> {
  using LanePlugin::LanePlugin;
};
constexpr gh_listener_role kRoles[] = {make_role("listen", RoleKind::streams, true, Openings::http)};
const gh_manifest kManifest =
    make_manifest<TestPlugin>({.id = "api", .version = "1", .summary = "Says what it was asked.", .roles = kRoles});

class ApiCallTest : public testing::Test {
 protected:
  ApiCallTest() { desk = &desk_; }
  ~ApiCallTest() override {
    on_lane([](std::vector<ApiCall>& calls) { calls.clear(); });
    plugin.reset();
  }

  void start(testkit::TestListener listener = {}) {
    listener.http_opening = true;
    plugin.emplace(kManifest, host, "{}", 1, std::vector{listener});
  }
  ApiCaller call() { return ApiCaller(plugin->address()); }
  static std::string post(std::string_view body, std::string_view fields = {}) {
    return "POST /x HTTP/1.1\r\nHost: gate\r\n" + std::string(fields) +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
  }
  /// Runs `what` with the calls that are kept, where they belong.
  void on_lane(std::function<void(std::vector<ApiCall>&)> what) {
    std::atomic<bool> done = false;
    {
      const std::scoped_lock lock(desk_.mutex);
      if (desk_.loops.empty()) return;
      desk_.loops[0]->post([&] {
        std::vector<ApiCall> calls;
        {
          const std::scoped_lock inner(desk_.mutex);
          calls.swap(desk_.calls);
        }
        what(calls);
        done = true;
      });
    }
    EXPECT_TRUE(eventually([&] { return done.load(); }));
  }
  void hold(bool holds) {
    const std::scoped_lock lock(desk_.mutex);
    desk_.holds = holds;
  }
  unsigned asked() {
    const std::scoped_lock lock(desk_.mutex);
    return desk_.asked;
  }
  void answer_all() {
    on_lane([](std::vector<ApiCall>& calls) {
      for (ApiCall& one : calls) {
        const ApiAnswer answer = echo(one);
        one.answer(answer);
      }
    });
  }
  template <class Done>
  static bool eventually(Done done) {
    for (const SteadyTime end = steady_now() + 10s; steady_now() < end; std::this_thread::sleep_for(1ms))
      if (done()) return true;
    return false;
  }

  Desk desk_;
  testkit::FakeHost host;
  std::optional<testkit::PluginRunner> plugin;
};

TEST_F(ApiCallTest, AnswersOneRequestAfterTheOther) {
  start();
  ApiCaller caller = call();
  EXPECT_THAT(caller.ask(post("one")), AllOf(StartsWith("HTTP/1.1 200 OK\r\n"), HasSubstr("|127.0.0.1|POST /x|one")));
  EXPECT_THAT(caller.ask(post("two")), HasSubstr("|two"));
  EXPECT_THAT(caller.ask(post("end", "Connection: close\r\n")),
              AllOf(HasSubstr("Connection: close"), HasSubstr("|end")));
  EXPECT_TRUE(caller.ends());
}

TEST_F(ApiCallTest, AnswersRequestsThatComeAtOnceOneByOne) {
  start();
  std::string all;
  for (int i = 0; i < 50; ++i) all += post("n" + std::to_string(i));
  ApiCaller caller = call();
  caller.send(all);
  for (int i = 0; i < 50; ++i) EXPECT_THAT(caller.answer(), testing::EndsWith("|n" + std::to_string(i)));
}

TEST_F(ApiCallTest, ReadsNothingMoreUntilItHasAnswered) {
  start();
  hold(true);
  ApiCaller caller = call();
  caller.send(post("one") + post("two"));
  ASSERT_TRUE(eventually([&] { return asked() == 1; }));
  EXPECT_TRUE(caller.is_silent());
  EXPECT_EQ(asked(), 1u);
  answer_all();
  EXPECT_THAT(caller.answer(), HasSubstr("|one"));
  ASSERT_TRUE(eventually([&] { return asked() == 2; }));
  answer_all();
  EXPECT_THAT(caller.answer(), HasSubstr("|two"));
}

TEST_F(ApiCallTest, SurvivesAnAskerThatHasGone) {
  start({.transport = GH_TRANSPORT_UNIX});
  hold(true);
  {
    ApiCaller caller(plugin->path(0));
    caller.send(post("one"));
    ASSERT_TRUE(eventually([&] { return asked() == 1; }));
  }
  std::this_thread::sleep_for(20ms);
  answer_all();
  hold(false);
  ApiCaller next(plugin->path(0));
  EXPECT_THAT(next.ask(post("still there")), HasSubstr("|still there"));
}

TEST_F(ApiCallTest, EndsTheConnectionOfACallThatIsLetGo) {
  start();
  hold(true);
  ApiCaller caller = call();
  caller.send(post("one"));
  ASSERT_TRUE(eventually([&] { return asked() == 1; }));
  on_lane([](std::vector<ApiCall>& calls) { calls.clear(); });
  EXPECT_TRUE(caller.ends());
}

TEST_F(ApiCallTest, LooksAtTheTokenOfEachRequest) {
  host.set_credential(GH_CREDENTIAL_TOKEN, "good", "token:bob");
  host.set_credential(GH_CREDENTIAL_TOKEN, "other", "token:eve");
  start({.auth = GH_AUTH_TOKEN});
  ApiCaller caller = call();
  EXPECT_THAT(caller.ask(post("", "Authorization: Bearer good\r\n")), HasSubstr("token:bob|"));
  EXPECT_THAT(caller.ask(post("", "Authorization: Bearer other\r\n")), HasSubstr("token:eve|"));
  EXPECT_THAT(caller.ask(post("")), AllOf(StartsWith("HTTP/1.1 401 "), HasSubstr("WWW-Authenticate: Bearer")));
  EXPECT_TRUE(caller.ends());
  EXPECT_THAT(call().ask(post("", "Authorization: Bearer wrong\r\n")), StartsWith("HTTP/1.1 401 "));
}

TEST_F(ApiCallTest, BelievesATrustedProxyForEachRequest) {
  start({.trusted_proxies = {*Prefix::parse("127.0.0.1/32")}});
  ApiCaller caller = call();
  EXPECT_THAT(caller.ask(post("", "X-Forwarded-For: 192.0.2.7\r\n")), HasSubstr("|192.0.2.7|"));
  EXPECT_THAT(caller.ask(post("", "X-Forwarded-For: 192.0.2.8\r\n")), HasSubstr("|192.0.2.8|"));
  EXPECT_THAT(caller.ask(post("")), HasSubstr("|127.0.0.1|"));
}

/// And not the proxy, which speaks for all of them.
TEST_F(ApiCallTest, BoundsWhatAProxyNamesBySourcesOfTheirOwn) {
  start({.trusted_proxies = {*Prefix::parse("127.0.0.1/32")}});
  std::optional<ApiCaller> caller;
  const auto is_answered = [&](const std::string& source) {
    if (!caller) caller.emplace(call());
    const bool out = caller->ask(post("", "X-Forwarded-For: " + source + "\r\n")).starts_with("HTTP/1.1 200 ");
    if (!out) caller.reset();
    return out;
  };
  const auto refused = [&] { return host.metric(R"(openings_refused{cause="too_fast"})"); };
  std::uint64_t answered = 0;
  for (std::uint64_t i = 0; i < 4 * StreamListeners::kOpeningBurst && refused() == 0; ++i)
    answered += is_answered("192.0.2.7") ? 1 : 0;
  EXPECT_GE(answered, StreamListeners::kOpeningBurst);
  EXPECT_EQ(refused(), 1u);
  EXPECT_TRUE(is_answered("192.0.2.8"));
  EXPECT_THAT(call().ask(post("")), StartsWith("HTTP/1.1 200 ")) << "for itself";
}

TEST_F(ApiCallTest, KnowsTheUserOfAUnixSocketEachTime) {
  start({.transport = GH_TRANSPORT_UNIX, .auth = GH_AUTH_UNIX});
  host.delay_identities(2);
  ApiCaller caller(plugin->path(0));
  EXPECT_THAT(caller.ask(post("one")), HasSubstr("unix:" + std::to_string(getuid()) + '|'));
  EXPECT_THAT(caller.ask(post("two")), HasSubstr("unix:" + std::to_string(getuid()) + '|'));
}

TEST_F(ApiCallTest, SpeaksTls) {
  const test::TestAuthority authority;
  const test::TestCertificate own = authority.issue();
  host.set_certificate(0, {.chain = own.certificate, .key = own.key});
  start({.tls = true});
  ApiCaller caller = call();
  ASSERT_EQ(fcntl(caller.fd(), F_SETFL, O_NONBLOCK), 0);
  test::TlsTestClient client(caller.fd());
  ASSERT_TRUE(eventually([&] { return client.handshake(); }));
  for (const std::string body : {"one", "two"}) {
    ASSERT_TRUE(client.write(post(body)));
    std::string got;
    EXPECT_TRUE(eventually([&] { return (got += client.read()).ends_with("|" + body); }));
    EXPECT_THAT(got, StartsWith("HTTP/1.1 200 OK"));
  }
}

TEST_F(ApiCallTest, EndsSlowAndIdleConnections) {
  start();
  ApiCaller slow = call(), idle = call();
  slow.send("POST /x HTTP/1.1\r\nHos");
  EXPECT_THAT(idle.ask(post("one")), HasSubstr("|one"));
  EXPECT_TRUE(slow.ends());
  EXPECT_TRUE(idle.ends());
  EXPECT_EQ(host.metric("openings_refused{cause=\"too_slow\"}"), 1u);  // the idle one is nobody's fault
}

TEST_F(ApiCallTest, AnswersWhatWasAskedBeforeItsListenerWent) {
  start();
  hold(true);
  ApiCaller caller = call();
  caller.send(post("one"));
  ASSERT_TRUE(eventually([&] { return asked() == 1; }));
  plugin->drain();
  answer_all();
  EXPECT_THAT(caller.answer(), AllOf(HasSubstr("Connection: close"), HasSubstr("|one")));
  EXPECT_TRUE(caller.ends());
}

}  // namespace
}  // namespace gatehouse
