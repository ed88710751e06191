// The probe against a relay that does what it should, and ones that do not: what it prints, and what it says is wrong.
#include "plugins/geneve-relay/client/probe.hpp"

#include "tests/unit/geneve-relay/client/small_relay.hpp"

#include <gmock/gmock.h>

namespace gatehouse::geneve_relay {
namespace {

using testing::AllOf;
using testing::HasSubstr;

struct Outcome {
  Json printed;
  std::string why;  ///< "" = it works
};

Outcome probe(std::vector<std::string> words) {
  Outcome out;
  const std::vector<std::string_view> arguments(words.begin(), words.end());
  try {
    run_probe(arguments, [&](std::string_view json) { out.printed = Json::parse(json); });
  } catch (const std::exception& wrong) {
    out.why = wrong.what();
    EXPECT_FALSE(out.why.empty());
  }
  return out;
}

/// Of a relay with these faults, until half a second has passed.
Outcome probe_faulty(SmallRelay::Faults faults, std::vector<std::string> more = {}) {
  const SmallRelay relay(std::move(faults));
  more.insert(more.end(), {relay.api(), "--count", "20", "--timeout-ms", "500"});
  return probe(std::move(more));
}

TEST(RelayProbe, SendsThroughARelayAndBack) {
  const SmallRelay relay({});
  const Outcome out = probe({relay.api(), "--count", "50"});
  EXPECT_EQ(out.why, "");
  EXPECT_EQ(out.printed["works"], true);
  EXPECT_EQ(out.printed["vni"], 7);
  EXPECT_EQ(out.printed["form"], "current");
  for (const Json& client : out.printed["clients"]) EXPECT_EQ(client["bound_by"], relay.address.to_string());
  ASSERT_EQ(out.printed["candidates"].size(), 2u);
  for (const Json& candidate : out.printed["candidates"]) EXPECT_GT(candidate["challenge_ms"], 0);
  const Json& trips = out.printed["round_trips"];
  EXPECT_EQ(trips["sent"], 50);
  EXPECT_EQ(trips["lost"], 0);
  EXPECT_GT(trips["min_ms"], 0);
  EXPECT_LE(trips["min_ms"], trips["median_ms"]);
  EXPECT_LE(trips["median_ms"], trips["p99_ms"]);
}

TEST(RelayProbe, SpeaksTheFirstForm) {
  SmallRelay relay({});
  const Outcome out = probe({relay.api(), "--form", "1", "--count", "2", "--size", "1280"});
  EXPECT_EQ(out.why, "");
  EXPECT_EQ(out.printed["form"], "1");
  EXPECT_THAT(relay.last_request(), HasSubstr("form=1"));
}

TEST(RelayProbe, TellsWhichAddressesAnswerAndStaysWithOneThatDoes) {
  const SmallRelay relay({.first = {Endpoint::parse("127.0.0.1:9").value()}});
  const Outcome out = probe({relay.api(), "--count", "2"});
  EXPECT_EQ(out.why, "");
  const Json& wrong = out.printed["candidates"][0];
  EXPECT_EQ(wrong["challenge_ms"], nullptr);
  EXPECT_EQ(wrong["error"], "Connection refused");
  EXPECT_EQ(out.printed["clients"][0]["bound_by"], relay.address.to_string());
}

TEST(RelayProbe, AsksAnotherAddressInstead) {
  SmallRelay relay({.first = {Endpoint::parse("127.0.0.1:9").value()}});
  const Outcome out = probe({relay.api(), "--count", "2", "--server", relay.address.to_string()});
  EXPECT_EQ(out.why, "");
  EXPECT_EQ(out.printed["candidates"].size(), 2u) << "one of each client";
}

TEST(RelayProbe, SaysThatTheApiIsNotThere) {
  EXPECT_THAT(probe({"unix:/nowhere/relay.sock"}).why,
              AllOf(HasSubstr("cannot be reached"), HasSubstr("listen_api"), HasSubstr("No such file")));
}

TEST(RelayProbe, SaysWhyTheApiRefuses) {
  const Outcome out = probe_faulty({.api_says = "HTTP/1.1 403 Forbidden\r\nContent-Length: 11\r\n\r\nnot for you"});
  EXPECT_THAT(out.why, HasSubstr("403: not for you"));
  EXPECT_TRUE(out.printed.is_null());
}

TEST(RelayProbe, ComesAgainWhenTheApiSaysSo) {
  const SmallRelay relay(
      {.api_says = "HTTP/1.1 503 Wait\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n", .says_it_once = true});
  const Outcome out = probe({relay.api(), "--count", "2"});
  EXPECT_EQ(out.why, "");
  EXPECT_GT(out.printed["allocated_ms"], 1000);
}

TEST(RelayProbe, TakesNoEndpointOfOtherClients) {
  const ServerEndpoint other{public_of("server"),    DiscoPair(public_of("a"), public_of("b")), 1, 7, 30s, 5min,
                             {remote("127.0.0.1:9")}};
  const std::string body = write_json_endpoint(other, WireForm::current);
  const Outcome out = probe_faulty(
      {.api_says = "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body});
  EXPECT_THAT(out.why, HasSubstr("of other clients"));
}

TEST(RelayProbe, SaysThatNoBindIsAnswered) {
  const Outcome out = probe_faulty({.drops_binds = true});
  EXPECT_THAT(out.why, AllOf(HasSubstr("no Challenge came to the first"), HasSubstr("127.0.0.1:")));
  EXPECT_EQ(out.printed["works"], false);
  EXPECT_EQ(out.printed["clients"][0]["bound_by"], nullptr);
}

TEST(RelayProbe, SaysThatNobodyListens) {
  EXPECT_THAT(probe_faulty({}, {"--server", "127.0.0.1:9"}).why, HasSubstr("127.0.0.1:9 (Connection refused)"));
}

TEST(RelayProbe, SaysThatDataDoesNotPass) {
  for (const SmallRelay::Faults& faults :
       {SmallRelay::Faults{.drops_answers = true}, SmallRelay::Faults{.drops_data = true}})
    EXPECT_THAT(probe_faulty(faults).why,
                AllOf(HasSubstr("data does not pass"), HasSubstr("nothing of the first client"), HasSubstr("VNI 7")));
}

TEST(RelayProbe, SaysWhichWayDataDoesNotPass) {
  EXPECT_THAT(probe_faulty({.drops_way_back = true}).why, HasSubstr("it reached the second client"));
}

TEST(RelayProbe, SaysThatAnswersComeFromElsewhere) {
  const Outcome out = probe_faulty({.answers_from_elsewhere = true});
  EXPECT_THAT(out.why, AllOf(HasSubstr("was answered from"), HasSubstr("NAT")));
  const Json& candidate = out.printed["candidates"][0];
  EXPECT_NE(candidate["answered_from"], candidate["address"]);
}

TEST(RelayProbe, SeesDataThatWasChanged) {
  const Outcome out = probe_faulty({.damages_from = 4});
  EXPECT_THAT(out.why, HasSubstr("not what was sent"));
  EXPECT_GT(out.printed["round_trips"]["damaged"], 0);
}

TEST(RelayProbe, SaysWhatIsWrongWithItsWords) {
  EXPECT_THAT(probe(std::vector<std::string>{}).why, AllOf(HasSubstr("listen_api"), HasSubstr("usage:")));
  EXPECT_THAT(probe({"unix:/x", "--form", "2"}).why, HasSubstr("--form takes 1"));
  EXPECT_THAT(probe({"unix:/x", "--size", "63"}).why, HasSubstr("from 64 to"));
  EXPECT_THAT(probe({"unix:/x", "--server", "relay.example:1"}).why, HasSubstr("--server takes an address"));
  EXPECT_THAT(probe({"unix:/x", "--http"}).why, HasSubstr("the relay's API has none"));
  EXPECT_THAT(probe({"unix:/x", "--ca", "/y"}).why, HasSubstr("--ca needs --tls"));
  EXPECT_THAT(probe({"unix:/x", "unix:/y"}).why, HasSubstr("one word too many"));
}

}  // namespace
}  // namespace gatehouse::geneve_relay
