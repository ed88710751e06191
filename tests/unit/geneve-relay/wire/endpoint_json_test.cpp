#include "plugins/geneve-relay/wire/endpoint_json.hpp"

#include "tests/unit/geneve-relay/vectors.hpp"

namespace gatehouse::geneve_relay {
namespace {

using namespace std::chrono_literals;

std::string vector_text(const char* name) { return vector_file()["json"][name]; }
DiscoPair clients() { return {public_of("a"), public_of("b")}; }

ServerEndpoint endpoint() {
  return {public_of("server"),
          clients(),
          77,
          kVectorVni,
          30s,
          5min,
          {Endpoint::parse("192.0.2.1:41100").value(), Endpoint::parse("[2001:db8::1]:41101").value()}};
}

std::string with(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

TEST(JsonRequest, VectorIsReadAndWritten) {
  const std::string text = vector_text("peerapi_request");
  EXPECT_EQ(parse_json_request(text).value(), clients());
  EXPECT_EQ(write_json_request(clients()), text);
}

TEST(JsonRequest, OrderAndOtherMembersDoNotMatter) {
  const std::string text = R"({"More":[[{}]], "DiscoKeys":[")" + public_of("b").to_string() + R"(",")" +
                           public_of("a").to_string() + "\"]}\n";
  EXPECT_EQ(parse_json_request(text).value(), clients());
}

TEST(JsonRequest, IsBounded) {
  std::string text = write_json_request(clients());
  text.resize(kLargestJsonRequest, ' ');
  EXPECT_EQ(parse_json_request(text).value(), clients());
  text += ' ';
  EXPECT_EQ(parse_json_request(text).error(), make_error_code(Errc::oversize));
}

TEST(JsonRequest, EveryPrefixIsRefused) {
  const std::string text = write_json_request(clients());
  for (std::size_t size = 0; size < text.size(); ++size)
    EXPECT_EQ(parse_json_request(text.substr(0, size)).error(), make_error_code(Errc::malformed));
}

TEST(JsonRequest, AnythingElseIsRefused) {
  const std::string a = '"' + public_of("a").to_string() + '"', b = '"' + public_of("b").to_string() + '"';
  const auto request = [](const std::string& keys) { return R"({"DiscoKeys":)" + keys + '}'; };
  for (const std::string& keys :
       {std::string("[]"), '[' + a + ']', '[' + a + ',' + b + ',' + b + ']', '[' + a + ',' + a + ']'})
    EXPECT_EQ(parse_json_request(request(keys)).error(), make_error_code(Errc::invalid)) << keys;
  for (const std::string& keys : {std::string("null"), a, std::string("{}"), '[' + a + ",1]", '[' + a + ",null]",
                                  '[' + a + ",\"\"]", "[\"x\"," + b + ']', '[' + a + "," + b + ",]"})
    EXPECT_EQ(parse_json_request(request(keys)).error(), make_error_code(Errc::malformed)) << keys;
  for (const std::string& text : {std::string("[]"), std::string("1"), std::string("{}"), std::string(500, '['),
                                  std::string("\xff"), request('[' + a + ',' + b + ']') + "}"})
    EXPECT_EQ(parse_json_request(text).error(), make_error_code(Errc::malformed)) << text;
}

TEST(JsonEndpoint, CurrentVectorIsReadAndWritten) {
  const std::string text = vector_text("server_endpoint_current");
  EXPECT_EQ(write_json_endpoint(endpoint(), WireForm::current), text + '\n');
  EXPECT_EQ(parse_json_endpoint(text).value(), endpoint());
}

TEST(JsonEndpoint, FirstFormsVectorIsReadAndWritten) {
  const std::string text = vector_text("server_endpoint_seed");
  EXPECT_EQ(write_json_endpoint(endpoint(), WireForm::first), text + '\n');
  ServerEndpoint known = endpoint();
  known.clients = {};
  EXPECT_EQ(parse_json_endpoint(text).value(), known);
}

TEST(JsonEndpoint, NoAddressesAreNull) {
  ServerEndpoint none = endpoint();
  none.addresses = {};
  const std::string text = write_json_endpoint(none, WireForm::current);
  EXPECT_NE(text.find(R"("AddrPorts":null,)"), std::string::npos);
  EXPECT_EQ(parse_json_endpoint(text).value(), none);
  EXPECT_EQ(parse_json_endpoint(with(text, "null", "[]")).value(), none);
}

TEST(JsonEndpoint, TheLargestIsWhatClientsRead) {
  ServerEndpoint large = endpoint();
  large.lamport_id = std::numeric_limits<std::uint64_t>::max();
  large.bind_lifetime = large.steady_lifetime = Nanoseconds::max();
  const Endpoint longest = Endpoint::parse("[1111:2222:3333:4444:5555:6666:7777:8888]:65535").value();
  while (large.addresses.add(longest)) {
  }
  const std::string text = write_json_endpoint(large, WireForm::current);
  EXPECT_LE(text.size(), kLargestJsonEndpoint);
  EXPECT_EQ(parse_json_endpoint(text).value(), large);
}

TEST(JsonEndpoint, AnythingElseIsRefused) {
  const std::string text = vector_text("server_endpoint_current");
  for (const auto& [from, to] : std::initializer_list<std::pair<const char*, const char*>>{
           {"\"ServerDisco\"", "\"serverDisco\""},
           {"discokey:d8", "discokey:"},
           {"[\"discokey:64", "[1,\"discokey:64"},
           {"[\"discokey:64", "[\"discokey:"},
           {"ID\":77", "ID\":-77"},
           {"ID\":77", "ID\":7.5"},
           {"ID\":77", "ID\":18446744073709551616"},
           {"[\"192.0.2.1:41100\"", "[7"},
           {"192.0.2.1:41100", "192.0.2.1"},
           {"[\"192.0.2.1:41100\",\"[2001:db8::1]:41101\"]", "{}"},
           {":43981", ":0"},
           {":43981", ":16777216"},
           {":43981", ":\"43981\""},
           {"\"30s\"", "\"30\""},
           {"\"30s\"", "-1"},
           {"\"5m0s\"", "null"},
           {"\"5m0s\"", "1e3"},
           {"\"5m0s\"", "9223372036854775808"}})
    EXPECT_EQ(parse_json_endpoint(with(text, from, to)).error(), make_error_code(Errc::malformed)) << from << ' ' << to;
  const std::string a = public_of("a").to_string(), b = public_of("b").to_string();
  const std::string both = "[\"" + a + "\",\"" + b + "\"]";
  for (const std::string& clients :
       {std::string("{}"), std::string("7"), '"' + a + '"', both.substr(0, both.size() - 1) + ",\"" + b + "\"]",
        "[\"" + a + "\"]", "[\"" + a + "\",null]"})
    EXPECT_EQ(parse_json_endpoint(with(text, both, clients)).error(), make_error_code(Errc::malformed)) << clients;
  EXPECT_EQ(parse_json_endpoint("[]").error(), make_error_code(Errc::malformed));
  EXPECT_EQ(parse_json_endpoint(std::string(kLargestJsonEndpoint + 1, ' ')).error(), make_error_code(Errc::oversize));
  for (const auto& [from, to] : std::initializer_list<std::pair<const char*, const char*>>{
           {":43981", ":16777215"}, {"\"5m0s\"", "9223372036854775807"}, {"\"5m0s\"", "0"}, {"ID\":77", "ID\":0"}})
    EXPECT_TRUE(parse_json_endpoint(with(text, from, to)).has_value()) << from << ' ' << to;
}

}  // namespace
}  // namespace gatehouse::geneve_relay
