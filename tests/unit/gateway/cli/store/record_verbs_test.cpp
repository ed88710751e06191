#include "gateway/cli/store/record_verbs.hpp"

#include "gateway/control/control_server.hpp"
#include "tests/unit/gateway/cli/store/store_files.hpp"
#include "tests/unit/gateway/control/server_thread.hpp"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include <optional>

namespace gatehouse {
namespace {

using testing::AllOf;
using testing::Field;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

using RecordVerbs = StoreFiles;

TEST_F(RecordVerbs, ReadTheFileWhenNoGatewayRuns) {
  fill();
  const Outcome sessions = call({"sessions", "--config", config()});
  EXPECT_EQ(sessions.code, 0) << sessions.err;
  EXPECT_THAT(sessions.err,
              AllOf(HasSubstr("the gateway is not running"),
                    HasSubstr("this is what " + (state_ / "state.db").string() + " has, as of its last commit\n")));
  EXPECT_THAT(sessions.out,
              AllOf(StartsWith("sessions\nID        PLUGIN  IDENTITY"), HasSubstr("unix:bob"), HasSubstr("vni:7"),
                    Not(HasSubstr("unix:eve")), Not(HasSubstr("ENDED_AT")), Not(HasSubstr("bobs-secret-key"))));
  const Outcome ended = call({"sessions", "--ended", "--config", config()});
  EXPECT_THAT(ended.out, AllOf(HasSubstr("unix:eve"), HasSubstr("ENDED_AT")));
  EXPECT_THAT(call({"sessions", "--plugin", "relay", "--ended", "--limit", "1", "--config", config()}),
              AllOf(Field(&Outcome::out, HasSubstr("relay")), Field(&Outcome::err, HasSubstr("1 of 2 are shown"))));
  EXPECT_THAT(call({"sessions", "--plugin", "udpgw", "--ended", "--config", config()}),
              AllOf(Field(&Outcome::out, Not(HasSubstr("unix:"))), Field(&Outcome::err, Not(HasSubstr("are shown")))));
  EXPECT_THAT(call({"leases", "--config", config()}).out, AllOf(HasSubstr("vni:7"), HasSubstr("unix:bob")));
}

TEST_F(RecordVerbs, SayInJsonWhereRowsComeFrom) {
  fill();
  const Outcome usage = call({"usage", "--by", "plugin", "--json", "--config", config()});
  EXPECT_EQ(usage.code, 0);
  const auto body = nlohmann::json::parse(usage.out);
  EXPECT_EQ(body["source"], "state.db");
  EXPECT_EQ(body["usage"][0]["plugin"], "relay");
  EXPECT_EQ(body["bytes_down"], 20);
}

TEST_F(RecordVerbs, AreNoWhereNothingIsKept) {
  EXPECT_EQ(call({"sessions", "--config", config()}).code, 1);
  EXPECT_THAT(call({"leases", "--config", config("[store]\nurl = \"memory:\"\n")}).err,
              AllOf(StartsWith("gatehouse: the gateway is not running"), Not(HasSubstr("last commit"))));
  folder_.write("state/state.db", "no database at all, but some text that is as long as a header\n");
  const Outcome broken = call({"usage", "--config", config()});
  EXPECT_EQ(broken.code, 1);
  EXPECT_THAT(broken.err, HasSubstr("state.db"));
}

TEST_F(RecordVerbs, RefuseWrongUse) {
  EXPECT_EQ(call({"usage", "--since", "yesterday", "--config", config()}).code, 2);
  EXPECT_EQ(call({"usage", "--by", "colour", "--config", config()}).code, 2);
}

TEST_F(RecordVerbs, AskTheRunningGatewayFirst) {
  fill();
  ServerThread thread;
  std::optional<ControlServer> server(std::in_place, thread.io());
  std::string question;
  server->on("sessions", Access::read, [&](const std::string& asked) {
    question = asked;
    return ControlReply{200, R"({"source":"gateway","count":7,"sessions":[{"id":"1a","ended_at":null}]})"};
  });
  server->on("usage", Access::read, [](const std::string&) {
    return ControlReply{200, R"({"source":"gateway","current":false,"count":0,"usage":[]})"};
  });
  server->listen(folder_.path() / "control.sock", 0600);
  thread.start();
  const Outcome outcome = call({"sessions", "--limit", "1", "--plugin", "relay", "--config", config()});
  const Outcome usage = call({"usage", "--config", config()});
  thread.run([&] { server.reset(); });
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.out, "sessions\nID\n1a\n");
  EXPECT_EQ(outcome.err, "gatehouse: 1 of 7 are shown; --limit takes more\n");
  EXPECT_EQ(nlohmann::json::parse(question)["most"], 1);
  EXPECT_EQ(nlohmann::json::parse(question)["plugin"], "relay");
  EXPECT_THAT(usage.err, HasSubstr("since its last commit is not shown"));
}

}  // namespace
}  // namespace gatehouse
