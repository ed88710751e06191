// POST /v0/relay/endpoint over real sockets.
#include "tests/unit/geneve-relay/allocation/allocation_fixture.hpp"

namespace gatehouse::geneve_relay {
namespace {

using test::ApiCaller;
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using Cause = AllocationRefusal::Cause;

class AllocationApiTest : public AllocationFixture {
 protected:
  void start_unix() { start({.transport = GH_TRANSPORT_UNIX, .role = AllocationApi::kRole, .http_opening = true}); }
  ApiCaller call() { return ApiCaller(plugin->path(0)); }
  static std::string body() { return write_json_request({public_of("a"), public_of("b")}); }
  static std::string post(std::string_view body, std::string_view fields = {}) {
    return "POST /v0/relay/endpoint HTTP/1.1\r\nHost: relay\r\n" + std::string(fields) +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
  }
};

TEST_F(AllocationApiTest, GivesAnEndpointInTheFormThatIsAskedFor) {
  start_unix();
  ApiCaller caller = call();
  EXPECT_THAT(caller.ask(post(body())),
              AllOf(StartsWith("HTTP/1.1 200 OK\r\n"), HasSubstr("Content-Type: application/json\r\n"),
                    EndsWith("\r\n\r\n" + write_json_endpoint(vector_endpoint(), WireForm::current))));
  EXPECT_THAT(caller.ask(post(body(), "accept: text/html;q=0.1\r\nAccept: application/json; form=1\r\n")),
              EndsWith("\r\n\r\n" + write_json_endpoint(vector_endpoint(), WireForm::first)));
  EXPECT_EQ(demand().clients, DiscoPair(public_of("a"), public_of("b")));
  EXPECT_THAT(demand().identity, StartsWith("unix:"));
  EXPECT_EQ(demand().source.address.family(), Family::none);
  EXPECT_EQ(host.metric("allocations{via=\"http\"}"), 2u);
}

TEST_F(AllocationApiTest, SaysWhatIsWrongWithARequest) {
  start_unix();
  ApiCaller caller = call();
  EXPECT_THAT(caller.ask("POST /v0/relay HTTP/1.1\r\nHost: a\r\n\r\n"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(caller.ask("GET /v0/relay/endpoint HTTP/1.1\r\nHost: a\r\n\r\n"),
              AllOf(StartsWith("HTTP/1.1 405 "), HasSubstr("\r\nAllow: POST\r\n")));
  const std::string key = public_of("a").to_string();
  for (const std::string& wrong :
       {std::string(), std::string("{"), std::string("[]"), std::string("{\"DiscoKeys\":[\"" + key + "\"]}"),
        "{\"DiscoKeys\":[\"" + key + "\",\"" + key + "\"]}", "{\"DiscoKeys\":[\"" + key + "\",7]}",
        std::string(512, ' ')})
    EXPECT_THAT(caller.ask(post(wrong)), AllOf(StartsWith("HTTP/1.1 400 "), HasSubstr("{\"error\":\""))) << wrong;
  EXPECT_EQ(asked(), 0u);
  EXPECT_THAT(caller.ask(post(std::string(513, ' '))), StartsWith("HTTP/1.1 413 "));
  EXPECT_TRUE(caller.ends());
  EXPECT_THAT(call().ask(post(body(), "Origin: http://localhost\r\n")), StartsWith("HTTP/1.1 403 "));
  EXPECT_EQ(asked(), 0u);
}

TEST_F(AllocationApiTest, TakesTheLargestBody) {
  start_unix();
  std::string largest = body();
  largest.resize(kLargestJsonRequest, ' ');
  EXPECT_THAT(call().ask(post(largest)), StartsWith("HTTP/1.1 200 "));
}

TEST_F(AllocationApiTest, HasAStatusForEachRefusal) {
  struct Case {
    Cause cause;
    std::chrono::seconds wait;
    const char *status, *name;
    const char* retry;
  };
  const Case kCases[] = {
      {Cause::denied, 0s, "403", "denied", nullptr},   {Cause::own_key, 0s, "400", "own_key", nullptr},
      {Cause::not_ready, 3s, "503", "not_ready", "3"}, {Cause::limit, 7s, "429", "limit", "7"},
      {Cause::limit, 0s, "429", "limit", "3"},         {Cause::full, 0s, "503", "full", "3"},
      {Cause::draining, 0s, "503", "draining", "3"},   {Cause::not_durable, 5s, "503", "not_durable", "5"},
  };
  start_unix();
  ApiCaller caller = call();
  for (const Case& one : kCases) {
    answer_with(AllocationRefusal{one.cause, "words for people", one.wait});
    const std::string answer = caller.ask(post(body()));
    EXPECT_THAT(answer, AllOf(StartsWith(std::string("HTTP/1.1 ") + one.status + ' '),
                              EndsWith("{\"error\":\"words for people\"}")));
    if (one.retry != nullptr) {
      EXPECT_THAT(answer, HasSubstr(std::string("\r\nRetry-After: ") + one.retry + "\r\n"));
    } else {
      EXPECT_THAT(answer, Not(HasSubstr("Retry-After")));
    }
    EXPECT_GE(host.metric("allocations_refused{via=\"http\",cause=\"" + std::string(one.name) + "\"}"), 1u);
  }
}

TEST_F(AllocationApiTest, AnswersWhenTheEndpointIsDurable) {
  start_unix();
  hold();
  ApiCaller caller = call();
  caller.send(post(body()));
  ASSERT_TRUE(eventually([&] { return asked() == 1; }));
  EXPECT_TRUE(caller.is_silent());
  EXPECT_EQ(plugin->pending(), 1u);
  release(vector_endpoint());
  EXPECT_THAT(caller.answer(), StartsWith("HTTP/1.1 200 "));
  EXPECT_TRUE(eventually([&] { return plugin->pending() == 0; }));
}

TEST_F(AllocationApiTest, AnswersNobodyThatHasGone) {
  start_unix();
  hold();
  {
    ApiCaller caller = call();
    caller.send(post(body()));
    ASSERT_TRUE(eventually([&] { return asked() == 1; }));
  }
  release(vector_endpoint());
  ApiCaller other = call();
  other.send(post(body()));
  ASSERT_TRUE(eventually([&] { return asked() == 2; }));
  release(vector_endpoint());
  EXPECT_THAT(other.answer(), StartsWith("HTTP/1.1 200 "));
}

TEST_F(AllocationApiTest, WantsACredentialOverTcp) {
  host.set_credential(GH_CREDENTIAL_TOKEN, "good", "token:bob");
  start({.role = AllocationApi::kRole, .auth = GH_AUTH_TOKEN, .http_opening = true});
  EXPECT_THAT(ApiCaller(plugin->address()).ask(post(body())), StartsWith("HTTP/1.1 401 "));
  EXPECT_THAT(ApiCaller(plugin->address()).ask(post(body(), "Authorization: Bearer bad\r\n")),
              StartsWith("HTTP/1.1 401 "));
  EXPECT_EQ(asked(), 0u);
  EXPECT_THAT(ApiCaller(plugin->address()).ask(post(body(), "Authorization: Bearer good\r\n")),
              StartsWith("HTTP/1.1 200 "));
  EXPECT_EQ(demand().identity, "token:bob");
}

TEST(AllocationApi, RefusesListenersThatAnybodyCouldAsk) {
  Listener one;
  one.role = AllocationApi::kRole;
  one.name = "127.0.0.1:7200";
  one.local = Endpoint::parse("127.0.0.1:7200").value();
  EXPECT_THAT(AllocationApi::fault_of({one}), HasSubstr("auth"));
  one.takes_token = true;
  EXPECT_EQ(AllocationApi::fault_of({one}), "");
  one.local = Endpoint::parse("192.0.2.1:7200").value();
  EXPECT_THAT(AllocationApi::fault_of({one}), HasSubstr("TLS"));
  one.tls = true;
  EXPECT_EQ(AllocationApi::fault_of({one}), "");
  Listener unix_one;
  unix_one.role = AllocationApi::kRole;
  unix_one.transport = Transport::unix_stream;
  Listener other;
  other.role = "listen";
  EXPECT_EQ(AllocationApi::fault_of({unix_one, other}), "");
  unix_one.origins = {"https://app.example"};
  EXPECT_THAT(AllocationApi::fault_of({unix_one}), HasSubstr("origins"));
}

}  // namespace
}  // namespace gatehouse::geneve_relay
