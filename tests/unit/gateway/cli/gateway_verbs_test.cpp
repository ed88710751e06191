#include "gateway/cli/gateway_verbs.hpp"

#include "gateway/control/control_server.hpp"
#include "tests/unit/gateway/cli/cli_test.hpp"
#include "tests/unit/gateway/control/server_thread.hpp"
#include "tests/unit/gateway/plugin/test_folder.hpp"

#include <gmock/gmock.h>

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <optional>

namespace gatehouse {
namespace {

using testing::HasSubstr;

using GatewayVerbs = CliTest;

TEST_F(GatewayVerbs, CheckNamesEveryProblem) {
  const std::string file = config("[log]\nlevel = 1\n[plugin.none]\n[plugin.good.options]\ndepth = 1\n");
  const Outcome broken = call({"check", "--config", file});
  EXPECT_EQ(broken.code, 2);
  EXPECT_EQ(broken.out, "");
  EXPECT_EQ(broken.err,
            "gatehouse: " + file + ":7:9: `log.level` must be one of error, warn, info, debug, trace, not 1\n");
  const Outcome plugins = call({"check", "--config", file, "--set", "log.level=info"});
  EXPECT_EQ(plugins.code, 2);
  EXPECT_THAT(plugins.err, HasSubstr("the file of the plugin none is missing"));
  EXPECT_THAT(plugins.err, HasSubstr(":10:1: unknown key `plugin.good.options.depth`; plugin good has no options"));
  const Outcome json = call({"check", "--config", file, "--json"});
  EXPECT_EQ(json.code, 2);
  EXPECT_EQ(json.out, "{\"problems\":[{\"file\":\"" + file +
                          "\",\"line\":7,\"column\":9,\"sentence\":\"`log.level` must be one of error, warn, info, "
                          "debug, trace, not 1\"}]}\n");
}

TEST_F(GatewayVerbs, CheckIsFineWithAGoodPlugin) {
  const Outcome outcome = call({"check", "--config", config("[plugin.good]\n[plugin.none]\nenabled = false\n")});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("state   ok\n"));
  EXPECT_THAT(outcome.out, HasSubstr("NAME  VERSION  FILE\ngood  1.2.3    "));
}

TEST_F(GatewayVerbs, CheckLooksAtTheListenerThatARoleHasByItself) {
  const std::string file = config("[plugin.probing]\n"), fresh = (folder_.path() / "fresh").string();
  EXPECT_EQ(call({"check", "--config", file}).code, 0);
  EXPECT_EQ(call({"check", "--config", file, "--set", "gateway.runtime_dir=" + fresh}).code, 0) << "it would be made";
  std::ofstream(folder_.path() / "probing-api.sock");
  const Outcome taken = call({"check", "--config", file});
  EXPECT_EQ(taken.code, 2);
  EXPECT_THAT(taken.err, HasSubstr("probing-api.sock is there already and is not a socket"));
  EXPECT_EQ(call({"check", "--config", file, "--set", "plugin.probing.listen_api=[]"}).code, 0);
}

TEST_F(GatewayVerbs, CheckSaysHowToDoWithoutASocketWhereTheRuntimeFolderIsTooFarDown) {
  const std::string far = (folder_.path() / std::string(90, 'x')).string();
  const Outcome outcome =
      call({"check", "--config", config("[plugin.probing]\n"), "--set", "gateway.runtime_dir=" + far});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("or `listen_api = []` in [plugin.probing] for none"));
}

TEST_F(GatewayVerbs, CheckTakesARuntimeFolderWithASlashAtItsEnd) {
  const std::string file = config("[plugin.probing]\n"), fresh = (folder_.path() / "fresh/").string();
  const Outcome outcome = call({"check", "--config", file, "--set", "gateway.runtime_dir=" + fresh});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
}

// What is written may have it, and what another plugin has by itself.
TEST_F(GatewayVerbs, CheckFindsAnAddressThatARoleHasByItselfAndAnotherToo) {
  const std::string socket = "unix:" + (folder_.path() / "probing-api.sock").string();
  const Outcome written =
      call({"check", "--config", config("[plugin.good]\nlisten = [\"" + socket + "\"]\n" + "[plugin.probing]\n")});
  EXPECT_EQ(written.code, 2);
  EXPECT_THAT(written.err, HasSubstr("`" + socket +
                                     "` in `plugin.probing.listen_api` is taken by `plugin.good.listen` "
                                     "already; give each listener its own address"));
}

/// Another user, for as long as it lives; root only.
class AnotherUser {
 public:
  explicit AnotherUser(uid_t uid) : is_other_(::geteuid() == 0 && ::seteuid(uid) == 0) {}
  ~AnotherUser() {
    if (is_other_ && ::seteuid(0) != 0) std::abort();
  }
  explicit operator bool() const { return is_other_; }

 private:
  bool is_other_;
};

constexpr uid_t kSomebody = 4242;

class GatewayVerbsOfAUser : public GatewayVerbs {
 protected:
  /// The folders of a gateway that has been set up, which belong to that user but for what root has made since.
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can be another user";
    file_ = config();
    ASSERT_EQ(call({"policy", "init", "--config", file_}).code, 0);
    for (const auto& path : {folder_.path(), state_, policy_})
      ASSERT_EQ(::chown(path.c_str(), kSomebody, kSomebody), 0);
    ASSERT_EQ(::chown(file_.c_str(), kSomebody, kSomebody), 0);
  }
  Outcome check() const {
    const AnotherUser user(kSomebody);
    return call({"check", "--config", file_});
  }
  std::string file_;
  std::filesystem::path state_ = folder_.path() / "state", policy_ = state_ / "policy.db";
};

TEST_F(GatewayVerbsOfAUser, CheckIsFineWhereAllBelongsToHim) {
  const Outcome outcome = check();
  EXPECT_EQ(outcome.code, 0) << outcome.err;
}

TEST_F(GatewayVerbsOfAUser, CheckSaysThatAPolicyWhichHeCannotOpenDeniesEverything) {
  ASSERT_EQ(::chown(policy_.c_str(), 0, 0), 0);
  ASSERT_EQ(::chmod(policy_.c_str(), 0600), 0);
  const Outcome outcome = check();
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("policy.db: "));
  EXPECT_THAT(outcome.err, HasSubstr("; the gateway would deny everything"));
}

TEST_F(GatewayVerbsOfAUser, CheckSaysWhichFoldersHeCannotWriteTo) {
  ASSERT_EQ(::chown(state_.c_str(), 0, 0), 0);
  const Outcome outcome = check();
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr(state_.string() + " cannot be written to by this user, with the number 4242"));
}

TEST_F(GatewayVerbsOfAUser, CheckSaysWhichDatabasesAndPortsHeCannotUse) {
  std::ofstream(state_ / "state.db");
  const std::string more = "[plugin.good]\nlisten = [{address = \"192.0.2.1:1\", auth = \"none\"}]\n";
  config(more);
  const Outcome outcome = check();
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("state.db cannot be read and written by this user"));
  EXPECT_THAT(outcome.err, HasSubstr("192.0.2.1:1: this machine has no such address"));
}

TEST_F(GatewayVerbs, CheckSaysThatAPolicyOfAnotherKindIsNotInForce) {
  const std::string file = config();
  ASSERT_EQ(call({"policy", "init", "--config", file}).code, 0);
  std::ofstream(folder_.path() / "state" / "policy.db") << "this is no database, and far too long to be an empty one";
  const Outcome outcome = call({"check", "--config", file});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("; the gateway would deny everything"));
}

TEST_F(GatewayVerbsOfAUser, CheckSaysThatHeCannotWriteToTheFolderOfPluginCopies) {
  std::filesystem::create_directory(folder_.path() / "plugins");
  const Outcome outcome = check();
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr((folder_.path() / "plugins").string() + " cannot be written to by this user"));
  ASSERT_EQ(::chown((folder_.path() / "plugins").c_str(), kSomebody + 1, 0), 0);
  EXPECT_THAT(check().err, HasSubstr((folder_.path() / "plugins").string() + " belongs to 4243"));
}

TEST_F(GatewayVerbs, CheckMakesNothing) {
  EXPECT_EQ(call({"check", "--config", config()}).code, 0);
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "state"));
}

TEST_F(GatewayVerbs, CheckRefusesAnotherAbi) {
  const Outcome outcome =
      call({"check", "--config", config("[plugin.x]\npath = \"" + test_plugin("other-major").string() + "\"\n")});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("is built for plugin ABI "));
}

TEST_F(GatewayVerbs, CheckAsksThePluginItself) {
  const Outcome outcome =
      call({"check", "--config", config("[plugin.uncreatable]\npath = \"" + test_plugin("good").string() + "\"\n")});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("no such day"));
}

TEST_F(GatewayVerbs, NoGatewayIsANo) {
  const Outcome outcome = call({"status", "--config", config()});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(outcome.err, "gatehouse: the gateway is not running (nobody listens on " +
                             (folder_.path() / "control.sock").string() + ")\n");
}

class GatewayVerbsAsking : public CliTest {
 protected:
  GatewayVerbsAsking() {
    server_.emplace(thread_.io());
    server_->on("status", Access::read, [this](const std::string&) { return ControlReply{200, status_}; });
    server_->on("reload", Access::write, [](const std::string&) {
      return ControlReply{422, R"({"error":"the old configuration stays","problems":["f:1:2: wrong"]})"};
    });
    server_->on("drain", Access::write, [](const std::string&) {
      return ControlReply{200, R"({"state":"draining"})"};
    });
    server_->listen(folder_.path() / "control.sock", 0600);
    thread_.start();
  }
  ~GatewayVerbsAsking() override {
    thread_.run([this] { server_.reset(); });
  }
  std::string status_ = R"({"state":"ok","reasons":[]})";
  ServerThread thread_;
  std::optional<ControlServer> server_;
};

TEST_F(GatewayVerbsAsking, StatusIsYesOnlyWhenOk) {
  const std::string file = config();
  const Outcome good = call({"status", "--config", file});
  EXPECT_EQ(good.code, 0) << good.err;
  EXPECT_EQ(good.out, "state    ok\nreasons  -\n");
  status_ = R"({"state":"ok","plugins":[{"name":"echo","id":"echo","version":"1","state":"running","pending":3,)"
            R"("listeners":[{"role":"listen","address":"127.0.0.1:1"}],"lanes":[{"lane":0},{"lane":1}]}]})";
  EXPECT_EQ(call({"status", "--config", file}).out,
            "state  ok\n\nplugins\n"
            "NAME  VERSION  STATE    LANES  PENDING  SESSIONS  RESTARTS  LISTENERS    FAILURE  NOTES\n"
            "echo  1        running  2      3        0         0         127.0.0.1:1  -        -\n");
  status_ = R"({"state":"degraded","reasons":["a row cannot be read"]})";
  const Outcome bad = call({"status", "--json", "--config", file});
  EXPECT_EQ(bad.code, 1);
  EXPECT_EQ(bad.out, status_ + "\n");
}

TEST_F(GatewayVerbsAsking, BrokenReloadIsTwoAndSaysWhy) {
  const Outcome outcome = call({"reload", "--config", config()});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_EQ(outcome.err, "gatehouse: the old configuration stays\ngatehouse: f:1:2: wrong\n");
}

TEST_F(GatewayVerbsAsking, SocketMayBeNamed) {
  const Outcome outcome = call({"drain", "--socket", (folder_.path() / "control.sock").string()});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "state  draining\n");
  const Outcome unknown = call({"sessions", "--config", config()});
  EXPECT_EQ(unknown.code, 1);
  EXPECT_EQ(unknown.err, "gatehouse: there is no verb `sessions`\n");
}

}  // namespace
}  // namespace gatehouse
