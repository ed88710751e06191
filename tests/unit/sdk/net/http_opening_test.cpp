#include <gatehouse/net/http_opening.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace gatehouse {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using State = HttpOpening::State;

constexpr std::string_view kPlugin = "udpgw";
constexpr std::string_view kKey = "dGhlIHNhbXBsZSBub25jZQ==";  // RFC 6455, 1.3
constexpr std::string_view kPlain = "Host: a\r\nConnection: upgrade\r\nUpgrade: udpgw\r\n";
constexpr std::string_view kSocket =
    "Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// A request for /udpgw with these fields, each with its line's end.
std::string get(std::string_view fields, std::string_view more = {}) {
  return "GET /udpgw HTTP/1.1\r\n" + std::string(fields) + std::string(more) + "\r\n";
}

HttpOpening parse(std::string_view text, const std::vector<std::string>& origins = {}) {
  const std::vector<std::byte> exact(bytes_of(text).begin(), bytes_of(text).end());
  return parse_http_opening(exact, kPlugin, origins);
}

HttpRequest request_of(std::string_view text) {
  const HttpOpening opening = parse(text);
  EXPECT_EQ(opening.state, State::request) << opening.refusal.status << ' ' << opening.refusal.sentence;
  return opening.request;
}

std::vector<std::string> words(const std::vector<IpAddress>& addresses) {
  std::vector<std::string> out;
  for (const IpAddress& address : addresses) out.push_back(address.to_string());
  return out;
}

struct Valid {
  const char* name;
  std::string text;
  bool is_web_socket = false;
  const char* token = "";
};

const Valid kValid[] = {
    {"Plain", get(kPlain)},
    {"WebSocket", get(kSocket), true},
    {"Query", "GET /udpgw?a=b&c HTTP/1.1\r\n" + std::string(kPlain) + "\r\n"},
    {"OtherFields", get(kPlain, "User-Agent: x\r\nAccept: */*\r\nX-Y: \r\n")},
    {"OtherCases", get("host: a\r\nCONNECTION: UPGRADE\r\nupgrade: UDPGW\r\n")},
    {"ListOfConnections", get("Host: a\r\nConnection: keep-alive , Upgrade\r\nUpgrade: udpgw\r\n")},
    {"TwoLinesOfConnection", get("Host: a\r\nConnection: keep-alive\r\nConnection: upgrade\r\nUpgrade: udpgw\r\n")},
    {"FirstKnownUpgrade", get("Host: a\r\nConnection: upgrade\r\nUpgrade: h2c, , udpgw, websocket\r\n")},
    {"WebSocketFirst", get(kSocket, "Upgrade: udpgw\r\n"), true},
    {"EmptyBody", get(kPlain, "Content-Length: 0\r\n")},
    {"Token", get(kPlain, "Authorization: Bearer aZ09-._~+/==\r\n"), false, "aZ09-._~+/=="},
    {"TokenOtherCase", get(kPlain, "authorization: bEARER t\r\n"), false, "t"},
    {"TokenAfterSpaces", get(kPlain, "Authorization:   Bearer   t  \r\n"), false, "t"},
    {"WebSocketWithToken", get(kSocket, "Authorization: Bearer t\r\n"), true, "t"},
    {"Longest", get(kPlain, "X: " + std::string(8192 - get(kPlain, "X: \r\n").size(), 'x') + "\r\n")},
};

class ValidHttpOpening : public testing::TestWithParam<Valid> {};

TEST_P(ValidHttpOpening, IsRead) {
  const HttpRequest request = request_of(GetParam().text + "GET \x82\x05\r\n\r\n");
  EXPECT_EQ(request.size, GetParam().text.size());
  EXPECT_LE(request.size, kLongestHttpOpening);
  EXPECT_EQ(request.is_web_socket, GetParam().is_web_socket);
  EXPECT_EQ(request.web_socket_key, GetParam().is_web_socket ? kKey : "");
  EXPECT_EQ(request.token, GetParam().token);
  EXPECT_THAT(request.forwarded_for, IsEmpty());
}

TEST_P(ValidHttpOpening, IsIncompleteAtEveryByte) {
  const std::string& text = GetParam().text;
  for (std::size_t n = 0; n < text.size(); ++n) {
    const HttpOpening opening = parse(text.substr(0, n));
    ASSERT_EQ(opening.state, State::incomplete) << "at byte " << n << ": " << opening.refusal.sentence;
  }
}

INSTANTIATE_TEST_SUITE_P(Vectors, ValidHttpOpening, testing::ValuesIn(kValid),
                         [](const auto& test) { return test.param.name; });

struct Invalid {
  const char* name;
  std::string text;
  unsigned status;
};

const Invalid kInvalid[] = {
    {"TlsHello", "\x16\x03\x01", 400},
    {"ProxyHeader", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n\r\n", 400},
    {"ProxyHeaderV2", "\r\n\r\n", 400},
    {"Ssh", "SSH-2.0-x\r\n", 400},
    {"LowerCaseMethod", "get /udpgw", 400},
    {"Space", " GET", 400},
    {"LongMethod", "ABCDEFGHIJKLMNOPQ", 400},
    {"NoVersion", "GET /udpgw\r\n\r\n", 400},
    {"Http10", "GET /udpgw HTTP/1.0\r\n" + std::string(kPlain) + "\r\n", 400},
    {"Http2Preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400},
    {"BadField", "GET /udpgw HTTP/1.1\r\nno colon\r\n\r\n", 400},
    {"SpaceBeforeColon", "GET /udpgw HTTP/1.1\r\nHost : a\r\n\r\n", 400},
    {"ZeroInField", get(kPlain, std::string("X: a\0b\r\n", 8)), 400},
    {"LineFeedAlone", "GET /udpgw HTTP/1.1\nHost: a\r\n\r\n", 400},
    {"TooLong", get(kPlain, "X: " + std::string(8193 - get(kPlain, "X: \r\n").size(), 'x') + "\r\n"), 400},
    {"TooLongInBothParts",
     "GET /udpgw?" + std::string(8000, 'x') + " HTTP/1.1\r\n" + std::string(kPlain) + "X: " + std::string(200, 'x') +
         "\r\n\r\n",
     400},
    {"TooLongWithoutAnEnd", "GET /" + std::string(8192, 'x'), 400},
    {"Post", "POST /udpgw HTTP/1.1\r\n" + std::string(kPlain) + "\r\n", 405},
    {"Connect", "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 405},
    {"UnknownMethod", "BREW /udpgw HTTP/1.1\r\nHost: a\r\n\r\n", 405},
    {"Root", "GET / HTTP/1.1\r\n" + std::string(kPlain) + "\r\n", 404},
    {"OtherPath", "GET /udpgw/ HTTP/1.1\r\n" + std::string(kPlain) + "\r\n", 404},
    {"LongerPath", "GET /udpgws HTTP/1.1\r\n" + std::string(kPlain) + "\r\n", 404},
    {"UpperCasePath", "GET /UDPGW HTTP/1.1\r\n" + std::string(kPlain) + "\r\n", 404},
    {"NoSlash", "GET udpgw HTTP/1.1\r\n" + std::string(kPlain) + "\r\n", 404},
    {"NoHost", get("Connection: upgrade\r\nUpgrade: udpgw\r\n"), 400},
    {"TwoHosts", get(kPlain, "Host: b\r\n"), 400},
    {"Body", get(kPlain, "Content-Length: 1\r\n"), 400},
    {"HugeBody", get(kPlain, "Content-Length: 18446744073709551615\r\n"), 400},
    {"TwoLengths", get(kPlain, "Content-Length: 0\r\nContent-Length: 1\r\n"), 400},
    {"Chunked", get(kPlain, "Transfer-Encoding: chunked\r\n"), 400},
    {"Identity", get(kPlain, "Transfer-Encoding: identity\r\n"), 400},
    {"NoUpgrade", get("Host: a\r\n"), 426},
    {"OfAPageInABrowser", get(kSocket, "Origin: https://evil.example\r\n"), 403},
    {"OtherUpgrade", get("Host: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n"), 426},
    {"NoConnection", get("Host: a\r\nUpgrade: udpgw\r\n"), 400},
    {"OtherConnection", get("Host: a\r\nConnection: close\r\nUpgrade: udpgw\r\n"), 400},
    {"NoWebSocketVersion", get("Host: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"), 426},
    {"WebSocketVersion8", get("Host: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 8\r\n"),
     426},
    {"TwoWebSocketVersions", get(kSocket, "Sec-WebSocket-Version: 8\r\n"), 426},
    {"NoKey", get("Host: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"), 400},
    {"TwoKeys", get(kSocket, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), 400},
    {"ShortKey",
     get("Host: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n"),
     400},
    {"KeyOf17Bytes",
     get("Host: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZUE=\r\n"),
     400},
    {"KeyWithAnotherAlphabet",
     get("Host: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j-Q==\r\n"),
     400},
    {"Basic", get(kPlain, "Authorization: Basic secret\r\n"), 400},
    {"SchemeAlone", get(kPlain, "Authorization: Bearer\r\n"), 400},
    {"EmptyAuthorization", get(kPlain, "Authorization:\r\n"), 400},
    {"TokenWithASpace", get(kPlain, "Authorization: Bearer secret secret\r\n"), 400},
    {"TokenWithAQuote", get(kPlain, "Authorization: Bearer \"secret\"\r\n"), 400},
    {"TokenWithEqualsInside", get(kPlain, "Authorization: Bearer secret=secret\r\n"), 400},
    {"TokenOfEquals", get(kPlain, "Authorization: Bearer ==\r\n"), 400},
    {"TwoTokens", get(kPlain, "Authorization: Bearer secret\r\nAuthorization: Bearer secret\r\n"), 400},
    {"TokenInAnotherCase", get(kPlain, "Authorization: Bearer secret\r\nauthorization: Bearer x\r\n"), 400},
};

class InvalidHttpOpening : public testing::TestWithParam<Invalid> {};

TEST_P(InvalidHttpOpening, IsRefusedWithASentenceThatRepeatsNothing) {
  const HttpOpening opening = parse(GetParam().text);
  ASSERT_EQ(opening.state, State::refusal);
  EXPECT_EQ(opening.refusal.status, GetParam().status) << opening.refusal.sentence;
  EXPECT_THAT(opening.refusal.sentence, Not(IsEmpty()));
  EXPECT_THAT(opening.refusal.sentence, Not(HasSubstr("secret")));
}

INSTANTIATE_TEST_SUITE_P(Vectors, InvalidHttpOpening, testing::ValuesIn(kInvalid),
                         [](const auto& test) { return test.param.name; });

TEST(HttpOpening, IsForThePagesThatAreMeant) {
  const std::vector<std::string> origins{"https://app.example", "http://localhost:8080"};
  const auto status = [&](std::string_view fields) { return parse(get(kSocket, fields), origins).refusal.status; };
  EXPECT_EQ(status(""), 0u) << "who is no page needs none";
  EXPECT_EQ(status("Origin: https://app.example\r\n"), 0u);
  EXPECT_EQ(status("origin:  HTTP://localhost:8080 \r\n"), 0u);
  for (const char* const other :
       {"", "null", "https://app.example.evil", "https://app.exampl", "http://app.example", "https://app.example/",
        "http://localhost", "https://app.example, https://app.example"})
    EXPECT_EQ(status("Origin: " + std::string(other) + "\r\n"), 403u) << other;
  EXPECT_EQ(status("Origin: https://app.example\r\nOrigin: https://app.example\r\n"), 403u);
}

TEST(ForwardedFor, IsReadFromTheLastToTheFirst) {
  const auto of = [](std::string_view fields) { return words(request_of(get(kPlain, fields)).forwarded_for); };
  EXPECT_THAT(of("X-Forwarded-For: 192.0.2.1\r\n"), ElementsAre("192.0.2.1"));
  EXPECT_THAT(of("x-forwarded-for: 192.0.2.1,2001:db8::1 , ::ffff:192.0.2.3\r\n"),
              ElementsAre("192.0.2.3", "2001:db8::1", "192.0.2.1"));
  EXPECT_THAT(of("X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 192.0.2.2, 192.0.2.3\r\n"),
              ElementsAre("192.0.2.3", "192.0.2.2", "192.0.2.1"));
  EXPECT_THAT(of("X-Forwarded-For: 192.0.2.1, unknown, 192.0.2.2\r\n"), ElementsAre("192.0.2.2"));
  EXPECT_THAT(of("X-Forwarded-For: 192.0.2.1,, 192.0.2.2\r\n"), ElementsAre("192.0.2.2"));
  EXPECT_THAT(of("X-Forwarded-For: unknown\r\nX-Forwarded-For: 192.0.2.2\r\n"), ElementsAre("192.0.2.2"));
  EXPECT_THAT(of("X-Forwarded-For: 192.0.2.1:80\r\n"), IsEmpty());
  EXPECT_THAT(of("X-Forwarded-For: \r\n"), IsEmpty());
  EXPECT_THAT(of("Forwarded: for=192.0.2.1\r\n"), IsEmpty());
}

TEST(ForwardedFor, HasSixteenAtMost) {
  std::string list = "X-Forwarded-For: 192.0.2.255";
  for (int i = 0; i < 20; ++i) list += ", 192.0.2." + std::to_string(i);
  const auto read = request_of(get(kPlain, list + "\r\n")).forwarded_for;
  ASSERT_EQ(read.size(), kMostForwardedFor);
  EXPECT_EQ(read.front().to_string(), "192.0.2.19");
  EXPECT_EQ(read.back().to_string(), "192.0.2.4");
}

TEST(ClientBehind, IsTheLastThatIsNoTrustedProxy) {
  const std::vector<Prefix> trusted = {*Prefix::parse("10.0.0.0/8"), *Prefix::parse("2001:db8::/32")};
  const auto behind = [&](std::vector<const char*> chain, const char* peer) -> std::string {
    std::vector<IpAddress> addresses;
    for (const char* text : chain) addresses.push_back(*IpAddress::parse(text));
    const auto client = client_behind(addresses, *IpAddress::parse(peer), trusted);
    return client ? client->to_string() : "none";
  };
  EXPECT_EQ(behind({"192.0.2.1"}, "10.0.0.1"), "192.0.2.1");
  EXPECT_EQ(behind({"192.0.2.1", "192.0.2.2"}, "10.0.0.1"), "192.0.2.1");  // the second is what the client says
  EXPECT_EQ(behind({"10.0.0.2", "2001:db8::1", "192.0.2.1", "10.0.0.3"}, "2001:db8::9"), "192.0.2.1");
  EXPECT_EQ(behind({"10.0.0.2", "10.0.0.3"}, "10.0.0.1"), "10.0.0.3");
  EXPECT_EQ(behind({"192.0.2.1"}, "::ffff:10.0.0.1"), "192.0.2.1");
  EXPECT_EQ(behind({"192.0.2.1"}, "192.0.2.9"), "none");
  EXPECT_EQ(behind({"10.0.0.2"}, "192.0.2.9"), "none");
  EXPECT_EQ(behind({}, "10.0.0.1"), "none");
  EXPECT_EQ(client_behind(std::vector{*IpAddress::parse("192.0.2.1")}, *IpAddress::parse("10.0.0.1"), {}),
            std::nullopt);
}

TEST(HttpSwitch, IsThisBytewise) {
  EXPECT_EQ(write_http_switch({}, kPlugin),
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: udpgw\r\n\r\n");
  EXPECT_EQ(write_http_switch(request_of(get(kSocket)), kPlugin),
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
}

TEST(HttpRefusalText, IsThisBytewise) {
  EXPECT_EQ(write_http_refusal({429, "Too many.", std::chrono::seconds(7)}, kPlugin),
            "HTTP/1.1 429 Too Many Requests\r\nConnection: close\r\nRetry-After: 7\r\nCache-Control: no-store\r\n"
            "Content-Type: application/json\r\nContent-Length: 21\r\n\r\n{\"error\":\"Too many.\"}");
}

TEST(HttpRefusalText, SaysWhatItsStatusAsksFor) {
  const auto text = [](unsigned status) { return write_http_refusal({status, "No."}, kPlugin); };
  EXPECT_THAT(text(400), HasSubstr("HTTP/1.1 400 Bad Request\r\n"));
  EXPECT_THAT(text(401), HasSubstr("HTTP/1.1 401 Unauthorized\r\n"));
  EXPECT_THAT(text(401), HasSubstr("\r\nWWW-Authenticate: Bearer\r\n"));
  EXPECT_THAT(text(403), HasSubstr("HTTP/1.1 403 Forbidden\r\n"));
  EXPECT_THAT(text(404), HasSubstr("HTTP/1.1 404 Not Found\r\n"));
  EXPECT_THAT(text(405), HasSubstr("\r\nAllow: GET\r\n"));
  EXPECT_THAT(text(426), HasSubstr("\r\nConnection: close, upgrade\r\nUpgrade: udpgw, websocket\r\n"));
  EXPECT_THAT(text(426), HasSubstr("\r\nSec-WebSocket-Version: 13\r\n"));
  EXPECT_THAT(text(503), HasSubstr("HTTP/1.1 503 Service Unavailable\r\n"));
  EXPECT_THAT(text(503), Not(HasSubstr("Retry-After")));
}

TEST(HttpRefusalText, CannotBeBrokenByWhatItSays) {
  const std::string text = write_http_refusal({426, "a\"\r\n\r\n\\b\xff"}, "x\r\nY: z");
  EXPECT_THAT(text, HasSubstr("\r\nUpgrade: xYz, websocket\r\n"));
  EXPECT_THAT(text, HasSubstr("\r\n\r\n{\"error\":\"a\\\"\\r\\n\\r\\n\\\\b\\ufffd\"}"));
  const HttpAnswer answer = parse_http_answer(bytes_of(text), kPlugin, {});
  EXPECT_EQ(answer.sentence, "a\"????\\b???");
}

TEST(HttpRequest, IsReadAsItWasWritten) {
  for (const std::string_view token : {"", "aZ09-._~+/=="}) {
    for (const std::string_view key : {std::string_view(), kKey}) {
      for (const std::string_view host : {"gate.example", "gate.example:8443", "[2001:db8::1]:443"}) {
        const std::string text = write_http_request(host, kPlugin, token, key);
        EXPECT_THAT(text, HasSubstr("\r\nHost: " + std::string(host) + "\r\n"));
        const HttpRequest request = request_of(text);
        EXPECT_EQ(request.size, text.size());
        EXPECT_EQ(request.token, token);
        EXPECT_EQ(request.web_socket_key, key);
        const std::string answer = write_http_switch(request, kPlugin);
        EXPECT_EQ(parse_http_answer(bytes_of(answer), kPlugin, key).state, HttpAnswer::State::switched);
      }
    }
  }
}

TEST(HttpRequest, IsNotWrittenWithWhatWouldBreakIt) {
  for (const std::string_view host : {"", "a b", "a\r\nX: y", "a/b", "a\xff"})
    EXPECT_THROW(static_cast<void>(write_http_request(host, kPlugin, "", "")), std::invalid_argument) << host;
  for (const std::string_view plugin : {"", "a b", "a\r\n", "a?b", "../a"})
    EXPECT_THROW(static_cast<void>(write_http_request("a", plugin, "", "")), std::invalid_argument) << plugin;
  for (const std::string_view token : {"a b", "a\r\nX: y", "=", "a=b", "t\n"})
    EXPECT_THROW(static_cast<void>(write_http_request("a", kPlugin, token, "")), std::invalid_argument) << token;
  for (const std::string_view key : {"a", "dGhlIHNhbXBsZSBub25jZQ=\n"})
    EXPECT_THROW(static_cast<void>(write_http_request("a", kPlugin, "", key)), std::invalid_argument) << key;
}

TEST(HttpFields, OfTheFrontendComeThroughTheRequest) {
  const std::vector<HttpField> fields = {{"Session-ID", "abc"}, {"X-Many", "1"}, {"x-many", "2"}};
  const HttpRequest request = request_of(write_http_request("a", kPlugin, "token", kKey, fields));
  EXPECT_EQ(find_field(request.fields, "session-id"), "abc");
  EXPECT_EQ(find_field(request.fields, "X-MANY"), "1, 2") << "RFC 9110, 5.3";
  EXPECT_EQ(find_field(request.fields, "Session"), std::nullopt);
  EXPECT_EQ(request.fields.size(), 3u) << "Host, Upgrade, Authorization and the like are nobody else's";
}

TEST(HttpFields, OfTheFrontendComeThroughTheAnswer) {
  const std::vector<HttpField> fields = {{"Tunnel-MTU", "1500"}};
  const std::string text = write_http_switch(request_of(get(kSocket)), kPlugin, fields);
  const HttpAnswer answer = parse_http_answer(bytes_of(text), kPlugin, kKey);
  ASSERT_EQ(answer.state, HttpAnswer::State::switched);
  EXPECT_EQ(find_field(answer.fields, "tunnel-mtu"), "1500");
  EXPECT_EQ(answer.fields.size(), 1u);
}

TEST(HttpFields, CannotBreakTheHeader) {
  const std::vector<HttpField> fields = {{"A: b\r\nC", "d\r\nE: f\x80\n"}};
  EXPECT_THAT(write_http_switch({}, kPlugin, fields), HasSubstr("\r\nAbC: dE: f\r\n\r\n"));
}

TEST(HttpAnswerText, SaysWhenToComeAgain) {
  const auto after = [](const std::string& lines) {
    const std::string text = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n" + lines + "\r\n";
    return parse_http_answer(bytes_of(text), kPlugin, {}).retry_after.count();
  };
  EXPECT_EQ(after("Retry-After: 7\r\n"), 7);
  EXPECT_EQ(after("Retry-After: 4000000000\r\n"), 86400);
  EXPECT_EQ(after("Retry-After: Fri, 27 Nov 2026 00:00:00 GMT\r\n"), 0);
  EXPECT_EQ(after("Retry-After: 7\r\nRetry-After: 8\r\n"), 0);
  EXPECT_EQ(after(""), 0);
}

struct Answer {
  const char* name;
  std::string text;
  HttpAnswer::State state;
  unsigned status;
  std::string sentence;
  bool is_web_socket = false;
};

constexpr auto kSwitched = HttpAnswer::State::switched, kRefused = HttpAnswer::State::refused;
const std::string kSwitch = "HTTP/1.1 101 Switching Protocols\r\n";
const std::string kOther = "The server has switched to another protocol than was asked for.";
const std::string kNotHttp = "The answer is not HTTP/1.1";

const Answer kAnswers[] = {
    {"Switch", kSwitch + "Upgrade: udpgw\r\nConnection: Upgrade\r\n\r\n", kSwitched, 101, ""},
    {"SwitchOfNginx",
     kSwitch + "Server: nginx\r\nDate: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
               "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
     kSwitched, 101, "", true},
    {"Json", "HTTP/1.1 401 Unauthorized\r\nContent-Length: 17\r\n\r\n{\"error\":\"Who?\"} ", kRefused, 401, "Who?"},
    {"JsonWithMore", "HTTP/1.1 401 x\r\nContent-Length: 22\r\n\r\n{\"a\":1,\"error\":\"Who?\"}", kRefused, 401, "Who?"},
    {"Html", "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 6\r\n\r\n<html>", kRefused, 502, "Bad Gateway"},
    {"JsonOfAnotherKind", "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 11\r\n\r\n{\"error\":1}", kRefused, 502,
     "Bad Gateway"},
    {"JsonList", "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 2\r\n\r\n[]", kRefused, 502, "Bad Gateway"},
    {"NoReason", "HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n", kRefused, 404, "Not Found"},
    {"NoLength", "HTTP/1.1 200 OK\r\n\r\n", kRefused, 200, "OK"},
    {"Chunked", "HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n", kRefused, 503, "Busy"},
    {"LongBody", "HTTP/1.1 503 Busy\r\nContent-Length: 8192\r\n\r\n", kRefused, 503, "Busy"},
    {"HugeBody", "HTTP/1.1 503 Busy\r\nContent-Length: 18446744073709551615\r\n\r\n", kRefused, 503, "Busy"},
    {"OldVersion", "HTTP/1.0 403 Forbidden\r\n\r\n", kRefused, 403, "Forbidden"},
    {"ReasonWithControls", "HTTP/1.1 403 a\x80\xffz\r\n\r\n", kRefused, 403, "a??z"},
    {"JsonWithControls", "HTTP/1.1 403 a\r\nContent-Length: 28\r\n\r\n{\"error\":\"\\u001b[31m\\u009b\"}", kRefused,
     403, "?[31m??"},
    {"SwitchToAnother", kSwitch + "Upgrade: h2c\r\nConnection: upgrade\r\n\r\n", kRefused, 101, kOther},
    {"SwitchToWebSocketUnasked", kSwitch + "Upgrade: websocket\r\nConnection: upgrade\r\n\r\n", kRefused, 101, kOther},
    {"SwitchToThePluginUnasked", kSwitch + "Upgrade: udpgw\r\nConnection: upgrade\r\n\r\n", kRefused, 101, kOther,
     true},
    {"SwitchWithoutConnection", kSwitch + "Upgrade: udpgw\r\n\r\n", kRefused, 101, kOther},
    {"SwitchWithoutAccept", kSwitch + "Upgrade: websocket\r\nConnection: upgrade\r\n\r\n", kRefused, 101,
     "Sec-WebSocket-Accept is not the answer to this request: a proxy may have kept another one's.", true},
    {"SwitchWithAnotherAccept",
     kSwitch + "Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: "
               "S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
     kRefused, 101, "Sec-WebSocket-Accept is not the answer to this request: a proxy may have kept another one's.",
     true},
    {"SwitchWithAnExtension",
     kSwitch + "Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Extensions: permessage-deflate\r\n"
               "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
     kRefused, 101, "The server wants a WebSocket extension or protocol that was not offered.", true},
    {"Ssh", "SSH-2.0-x", kRefused, 0, kNotHttp + '.'},
    {"Tls", "\x15\x03\x01", kRefused, 0, kNotHttp + '.'},
    {"Http2", "HTTP/2", kRefused, 0, kNotHttp + '.'},
    {"BadStatus", "HTTP/1.1 xyz\r\n\r\n", kRefused, 0, kNotHttp + ": bad status."},
    {"Endless", "HTTP/1.1 200 OK\r\nX: " + std::string(8192, 'x'), kRefused, 0, kNotHttp + ": header limit exceeded."},
};

class ParsedHttpAnswer : public testing::TestWithParam<Answer> {};

TEST_P(ParsedHttpAnswer, IsThis) {
  const auto key = GetParam().is_web_socket ? kKey : std::string_view();
  const HttpAnswer answer = parse_http_answer(bytes_of(GetParam().text), kPlugin, key);
  EXPECT_EQ(answer.state, GetParam().state);
  EXPECT_EQ(answer.status, GetParam().status);
  EXPECT_EQ(answer.sentence, GetParam().sentence);
  if (answer.state != kSwitched) return;
  EXPECT_EQ(answer.size, GetParam().text.size());
  const HttpAnswer with_more = parse_http_answer(bytes_of(GetParam().text + "\x82\x05"), kPlugin, key);
  EXPECT_EQ(with_more.size, answer.size);
}

TEST_P(ParsedHttpAnswer, IsIncompleteAtEveryByte) {
  if (GetParam().status == 0) return;
  const auto key = GetParam().is_web_socket ? kKey : std::string_view();
  for (std::size_t n = 0; n < GetParam().text.size(); ++n) {
    const HttpAnswer answer = parse_http_answer(bytes_of(GetParam().text.substr(0, n)), kPlugin, key);
    ASSERT_EQ(answer.state, HttpAnswer::State::incomplete) << "at byte " << n << ": " << answer.sentence;
  }
}

INSTANTIATE_TEST_SUITE_P(Vectors, ParsedHttpAnswer, testing::ValuesIn(kAnswers),
                         [](const auto& test) { return test.param.name; });

TEST(HttpAnswer, ShowsNoMoreOfASentenceThanALine) {
  const std::string text = write_http_refusal({403, std::string(1000, 'x')}, kPlugin);
  EXPECT_EQ(parse_http_answer(bytes_of(text), kPlugin, {}).sentence, std::string(400, 'x'));
}

}  // namespace
}  // namespace gatehouse
