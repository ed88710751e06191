#include "plugins/geneve-relay/client/endpoint_exchange.hpp"

#include "plugins/geneve-relay/wire/endpoint_json.hpp"
#include "tests/unit/geneve-relay/vectors.hpp"

#include <gmock/gmock.h>

namespace gatehouse::geneve_relay {
namespace {

using testing::HasSubstr;
using testing::Not;
using State = EndpointAnswer::State;

EndpointAnswer read(std::string_view text, bool has_ended = true) {
  return read_endpoint_answer(bytes_of(text), has_ended);
}

TEST(EndpointRequest, IsThatOfTheProtocol) {
  const DiscoPair clients(public_of("a"), public_of("b"));
  const std::string request = write_endpoint_request("relay.example:80", "", clients, WireForm::current);
  EXPECT_THAT(request, testing::StartsWith("POST /v0/relay/endpoint HTTP/1.1\r\nHost: relay.example:80\r\n"));
  EXPECT_THAT(request, Not(HasSubstr("Authorization")));
  EXPECT_THAT(request, Not(HasSubstr("form=1")));
  const std::string body = request.substr(request.find("\r\n\r\n") + 4);
  EXPECT_EQ(parse_json_request(body).value(), clients);
  EXPECT_THAT(request, HasSubstr("\r\nContent-Length: " + std::to_string(body.size()) + "\r\n"));
}

TEST(EndpointRequest, ShowsATokenAndAsksForTheFirstForm) {
  const DiscoPair clients(public_of("a"), public_of("b"));
  const std::string request = write_endpoint_request("localhost", "secret", clients, WireForm::first);
  EXPECT_THAT(request, HasSubstr("\r\nAuthorization: Bearer secret\r\n"));
  EXPECT_THAT(request, HasSubstr("\r\nAccept: application/json; form=1\r\n"));
}

TEST(EndpointAnswer, IsWholeWithItsLengthAndNotBefore) {
  const std::string text = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}\n";
  for (std::size_t size = 0; size < text.size(); ++size) {
    EXPECT_EQ(read(text.substr(0, size), false).state, State::incomplete) << size;
    EXPECT_EQ(read(text.substr(0, size), true).state, State::refused) << size;
  }
  const EndpointAnswer answer = read(text, false);
  EXPECT_EQ(answer.state, State::endpoint);
  EXPECT_EQ(answer.text, "{}\n");
}

TEST(EndpointAnswer, WithoutALengthEndsWithTheStream) {
  const std::string text = "HTTP/1.1 200 OK\r\n\r\n{}";
  EXPECT_EQ(read(text, false).state, State::incomplete);
  EXPECT_EQ(read(text, true).text, "{}");
}

TEST(EndpointAnswer, TellsARefusalsSentence) {
  const EndpointAnswer json = read("HTTP/1.1 403 Forbidden\r\nContent-Length: 18\r\n\r\n{\"error\": \"No.\\n\"}");
  EXPECT_EQ(json.state, State::refused);
  EXPECT_EQ(json.status, 403u);
  EXPECT_EQ(json.text, "No.");
  const EndpointAnswer plain = read("HTTP/1.1 503 Wait\r\nRetry-After: 3\r\nContent-Length: 10\r\n\r\nnot\x1bready\n");
  EXPECT_EQ(plain.text, "not?ready");
  EXPECT_EQ(plain.retry_after.count(), 3);
  EXPECT_EQ(read("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").text, "Not Found");
}

TEST(EndpointAnswer, IsBounded) {
  EXPECT_EQ(read("HTTP/1.1 200 OK\r\n\r\n" + std::string(kLongestEndpointAnswer, 'x'), false).status, 0u);
  EXPECT_EQ(read("HTTP/1.1 200 OK\r\nX: " + std::string(kLongestEndpointAnswer, 'x'), false).status, 0u);
  EXPECT_EQ(read("HTTP/1.1 500 No\r\n\r\n" + std::string(1000, 'x')).text.size(), 400u);
}

TEST(EndpointAnswer, ThatIsNoHttpIsSaidToBeNone) {
  const EndpointAnswer answer = read("SSH-2.0-OpenSSH_9.2\r\n", false);
  EXPECT_EQ(answer.status, 0u);
  EXPECT_THAT(answer.text, HasSubstr("not HTTP"));
}

}  // namespace
}  // namespace gatehouse::geneve_relay
