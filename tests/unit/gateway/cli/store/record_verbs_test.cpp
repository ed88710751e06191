// `gatehouse sessions`, `leases`, `usage` and `db` on the files that a gateway has left.
#include "db/policy/policy_database.hpp"
#include "db/store/store.hpp"
#include "gateway/control/control_server.hpp"
#include "tests/unit/gateway/cli/call.hpp"
#include "tests/unit/gateway/cli/policy/import_domains.hpp"
#include "tests/unit/gateway/config/config_folder.hpp"
#include "tests/unit/gateway/control/server_thread.hpp"

#include <nlohmann/json.hpp>

#include <gmock/gmock.h>

#include <sys/stat.h>

#include <chrono>
#include <optional>

namespace gatehouse {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class StoreVerbs : public testing::Test {
 protected:
  StoreVerbs() { std::filesystem::create_directory(state_); }
  /// What a gateway leaves that has ended in an orderly way.
  void fill() {
    const auto store = db::open_sqlite_store(state_ / "state.db", {});
    static_cast<void>(store->load(now_));
    db::StoreBatch batch;
    db::SessionRecord session;
    session.id = 1;
    session.plugin = "relay";
    session.key = "bobs-secret-key";
    session.identity = "unix:bob";
    session.group_name = "everyone";
    session.created_at = session.last_seen_at = now_;
    session.totals = {10, 20, 1, 2};
    batch.sessions.push_back(session);
    session.id = 2;
    session.key = "another-key";
    session.identity = "unix:eve";
    session.ended_at = now_;
    batch.sessions.push_back(session);
    batch.leases.push_back({{"relay", "vni:7"}, 1, now_, 0});
    batch.usage.push_back({{now_ / 86'400, "relay", "unix:bob", "everyone"}, {10, 20, 1, 2}});
    ASSERT_EQ(store->write(batch), db::Store::Written::done);
    store->close();
  }
  std::string config(const std::string& more = "") {
    return folder_
        .write("gatehouse.toml", "[gateway]\nstate_dir = \"" + state_.string() + "\"\nruntime_dir = \"" +
                                     folder_.path().string() + "\"\n" + more)
        .string();
  }

  ConfigFolder folder_;
  const std::filesystem::path state_ = folder_.path() / "state";
  const std::int64_t now_ = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
};

TEST_F(StoreVerbs, ReadTheFileWhenNoGatewayRuns) {
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
  EXPECT_THAT(call({"leases", "--config", config()}).out, AllOf(HasSubstr("vni:7"), HasSubstr("unix:bob")));
}

TEST_F(StoreVerbs, SayInJsonWhereRowsComeFrom) {
  fill();
  const Outcome usage = call({"usage", "--by", "plugin", "--json", "--config", config()});
  EXPECT_EQ(usage.code, 0);
  const auto body = nlohmann::json::parse(usage.out);
  EXPECT_EQ(body["source"], "state.db");
  EXPECT_EQ(body["usage"][0]["plugin"], "relay");
  EXPECT_EQ(body["bytes_down"], 20);
}

TEST_F(StoreVerbs, AreNoWhereNothingIsKept) {
  EXPECT_EQ(call({"sessions", "--config", config()}).code, 1);
  EXPECT_THAT(call({"leases", "--config", config("[store]\nurl = \"memory:\"\n")}).err,
              AllOf(StartsWith("gatehouse: the gateway is not running"), Not(HasSubstr("last commit"))));
  folder_.write("state/state.db", "no database at all, but some text that is as long as a header\n");
  const Outcome broken = call({"usage", "--config", config()});
  EXPECT_EQ(broken.code, 1);
  EXPECT_THAT(broken.err, HasSubstr("state.db"));
}

TEST_F(StoreVerbs, RefuseWrongUse) {
  EXPECT_EQ(call({"usage", "--since", "yesterday", "--config", config()}).code, 2);
  EXPECT_EQ(call({"usage", "--by", "colour", "--config", config()}).code, 2);
  EXPECT_EQ(call({"db"}).code, 2);
  EXPECT_EQ(call({"db", "backup", "--config", config()}).code, 2);
  EXPECT_EQ(call({"db", "backup", "x", "--policy", "--secrets", "--config", config()}).code, 2);
}

TEST_F(StoreVerbs, AskTheRunningGatewayFirst) {
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
  const Outcome outcome = call({"sessions", "--limit", "1", "--config", config()});
  const Outcome usage = call({"usage", "--config", config()});
  thread.run([&] { server.reset(); });
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.out, "sessions\nID\n1a\n");
  EXPECT_EQ(outcome.err, "gatehouse: 1 of 7 are shown; --limit takes more\n");
  EXPECT_EQ(nlohmann::json::parse(question)["most"], 1);
  EXPECT_THAT(usage.err, HasSubstr("since its last commit is not shown"));
}

TEST_F(StoreVerbs, BackUpACopyThatOpens) {
  fill();
  const auto copy = folder_.path() / "copy.db", secrets = folder_.path() / "secrets-copy.db";
  const Outcome outcome = call({"db", "backup", copy.string(), "--json", "--config", config()});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(nlohmann::json::parse(outcome.out)["bytes"], std::filesystem::file_size(copy));
  const Outcome again = call({"db", "backup", copy.string(), "--config", config()});
  EXPECT_EQ(again.code, 2);
  EXPECT_THAT(again.err, HasSubstr("copy.db is there already"));
  EXPECT_EQ(call({"db", "backup", secrets.string(), "--secrets", "--config", config()}).code, 0);
  struct stat about {};
  ASSERT_EQ(stat(secrets.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777U, 0600U);
  EXPECT_THAT(call({"leases", "--config", config("[store]\nurl = \"sqlite:" + copy.string() + "\"\n")}).out,
              HasSubstr("vni:7"));
}

TEST_F(StoreVerbs, BackUpSaysWhatIsNotThere) {
  const auto copy = (folder_.path() / "copy.db").string();
  const Outcome none = call({"db", "backup", copy, "--config", config()});
  EXPECT_EQ(none.code, 1);
  EXPECT_THAT(none.err, HasSubstr("state.db"));
  EXPECT_FALSE(std::filesystem::exists(copy));
  EXPECT_THAT(call({"db", "backup", copy, "--config", config("[store]\nurl = \"memory:\"\n")}).err,
              HasSubstr("the store is memory:, which has no file to copy"));
}

TEST_F(StoreVerbs, VerifyNamesWhatIsBroken) {
  EXPECT_EQ(call({"db", "verify", "--config", config()}).code, 1);
  fill();
  const Outcome good = call({"db", "verify", "--json", "--config", config()});
  EXPECT_EQ(good.code, 0) << good.out;
  EXPECT_EQ(nlohmann::json::parse(good.out)["databases"][2]["state"], "missing");
  EXPECT_EQ(call({"policy", "init", "--config", config()}).code, 0);
  EXPECT_EQ(nlohmann::json::parse(call({"db", "verify", "--json", "--config", config()}).out)["databases"][2]["state"],
            "ok");
  folder_.write("state/secrets.db", std::string(8192, 'x'));
  const Outcome bad = call({"db", "verify", "--config", config()});
  EXPECT_EQ(bad.code, 1);
  EXPECT_THAT(bad.out, AllOf(StartsWith("state  broken\n"), HasSubstr("secrets.db  broken")));
}

TEST_F(StoreVerbs, BackupOfThePolicyTakesItsListsAlong) {
  db::prepare_policy(state_ / "policy.db");
  import_domains(state_ / "policy.db", "ads", "ads.test\n");
  std::filesystem::create_directory(folder_.path() / "copy");
  const std::string copy = (folder_.path() / "copy" / "p.db").string();
  EXPECT_EQ(call({"db", "backup", copy, "--policy", "--config", config()}).code, 0);
  std::filesystem::remove_all(state_ / "lists");
  const Outcome explained =
      call({"policy", "explain", "udp", "8.8.8.8:53", "--domain", "x.ads.test", "--db", copy, "--config", config()});
  EXPECT_EQ(explained.code, 1) << explained.out;
  const Outcome lacking = call({"db", "backup", copy + "2", "--policy", "--config", config()});
  EXPECT_EQ(lacking.code, 0);
  EXPECT_THAT(lacking.err, AllOf(HasSubstr(".names is not in"), HasSubstr("import its list again")));
}

}  // namespace
}  // namespace gatehouse
