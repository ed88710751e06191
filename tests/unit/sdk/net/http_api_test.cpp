// Requests of an HTTP API, and answers: pure functions over text.
#include <gatehouse/net/http_api.hpp>

#include <gmock/gmock.h>

namespace gatehouse {
namespace {

using testing::HasSubstr;

constexpr std::size_t kLargest = 16;

ApiRead parse(std::string_view text) { return parse_api_request(bytes_of(text), kLargest); }
std::string post(std::string_view fields, std::string_view body = {}) {
  return "POST /v0/things?a=b HTTP/1.1\r\nHost: gate\r\n" + std::string(fields) + "\r\n" + std::string(body);
}

TEST(ApiRequest, IsReadWithItsBody) {
  const std::string text = post("Content-Length: 4\r\nAccept: text/plain\r\nAuthorization: bearer abc\r\n", "body");
  const ApiRead read = parse(text + "GET /next");
  ASSERT_EQ(read.state, ApiRead::State::request);
  EXPECT_EQ(read.request.size, text.size());
  EXPECT_EQ(read.request.method, "POST");
  EXPECT_EQ(read.request.path, "/v0/things");
  EXPECT_EQ(read.request.query, "a=b");
  EXPECT_EQ(read.request.body, "body");
  EXPECT_EQ(read.request.token, "abc");
  EXPECT_EQ(find_field(read.request.fields, "accept"), "text/plain");
  EXPECT_TRUE(read.request.wants_more);
}

TEST(ApiRequest, EveryPrefixIsIncompleteAndSaysWhatItNeeds) {
  const std::string text = post("Content-Length: 4\r\n", "body");
  for (std::size_t n = 0; n < text.size(); ++n) {
    const ApiRead read = parse(text.substr(0, n));
    ASSERT_EQ(read.state, ApiRead::State::incomplete) << "at byte " << n;
    EXPECT_EQ(read.needed, n + 4 < text.size() ? 0 : text.size()) << "at byte " << n;
  }
}

TEST(ApiRequest, NeedsNoBody) {
  const ApiRead read = parse("DELETE / HTTP/1.1\r\nHost: gate\r\nConnection: Keep-Alive, close\r\n\r\n");
  ASSERT_EQ(read.state, ApiRead::State::request);
  EXPECT_EQ(read.request.method, "DELETE");
  EXPECT_EQ(read.request.query, "");
  EXPECT_FALSE(read.request.wants_more);
}

struct Refused {
  const char* name;
  std::string text;
  unsigned status;
};
class RefusedApiRequest : public testing::TestWithParam<Refused> {};

TEST_P(RefusedApiRequest, HasItsStatus) {
  const ApiRead read = parse(GetParam().text);
  ASSERT_EQ(read.state, ApiRead::State::refusal);
  EXPECT_EQ(read.refusal.status, GetParam().status) << read.refusal.sentence;
}

const Refused kRefused[] = {
    {"NoHttp", "\x16\x03\x01", 400},
    {"OldVersion", "POST / HTTP/1.0\r\nHost: a\r\n\r\n", 400},
    {"NoHost", "POST / HTTP/1.1\r\n\r\n", 400},
    {"TwoHosts", post("Host: b\r\n"), 400},
    {"NoPath", "POST http://gate/x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"Origin", post("Origin: https://evil.example\r\n"), 403},
    {"NullOrigin", post("Origin: null\r\n"), 403},
    {"UnknownLength", post("Transfer-Encoding: chunked\r\n"), 411},
    {"BothLengths", post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"), 400},
    {"LongBody", post("Content-Length: 17\r\n"), 413},
    {"LongestBody", post("Content-Length: 18446744073709551615\r\n"), 413},
    {"LengthsThatDiffer", post("Content-Length: 4\r\nContent-Length: 5\r\n"), 400},
    {"NegativeLength", post("Content-Length: -1\r\n"), 400},
    {"Expect", post("Expect: 100-continue\r\nContent-Length: 4\r\n"), 417},
    {"Basic", post("Authorization: Basic YTpi\r\n"), 400},
    {"TwoTokens", post("Authorization: Bearer a\r\nAuthorization: Bearer b\r\n"), 400},
    {"LongHeader", post("A: " + std::string(kLongestHttpOpening, 'a') + "\r\n"), 400},
};
INSTANTIATE_TEST_SUITE_P(Table, RefusedApiRequest, testing::ValuesIn(kRefused),
                         [](const auto& test) { return test.param.name; });

TEST(ApiRequest, AllowsPagesThatMayAsk) {
  const std::string text = post("Origin: https://app.example\r\n");
  const std::vector<std::string> origins{"https://app.example"};
  EXPECT_EQ(parse_api_request(bytes_of(text), kLargest, origins).state, ApiRead::State::request);
}

TEST(ApiAnswer, IsWritten) {
  EXPECT_EQ(write_api_answer(ApiAnswer::error(503, "not \"now\"", std::chrono::seconds(3)), false),
            "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 3\r\nCache-Control: no-store\r\n"
            "Content-Type: application/json\r\nContent-Length: 23\r\n\r\n{\"error\":\"not \\\"now\\\"\"}");
  ApiAnswer other = ApiAnswer::error(405, "no");
  other.allow = "POST";
  EXPECT_THAT(write_api_answer(other, true), HasSubstr("\r\nAllow: POST\r\n"));
  EXPECT_THAT(write_api_answer(other, true), testing::Not(HasSubstr("Connection")));
}

}  // namespace
}  // namespace gatehouse
