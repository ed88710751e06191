#include "gateway/cli/cli.hpp"

#include "gateway/control/control_server.hpp"
#include "tests/unit/folders.hpp"
#include "tests/unit/gateway/cli/call.hpp"
#include "tests/unit/gateway/config/config_folder.hpp"
#include "tests/unit/gateway/control/server_thread.hpp"
#include "tests/unit/gateway/plugin/test_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/wait.h>

#include <optional>
#include <vector>

namespace gatehouse {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using testing::StartsWith;

class Cli : public testing::Test {
 protected:
  /// A configuration whose plugins are the test's, with `more` at its end.
  std::string config(const std::string& more = "") {
    return folder_
        .write("gatehouse.toml", "[gateway]\nstate_dir = \"" + folder_.path().string() + "/state\"\nruntime_dir = \"" +
                                     folder_.path().string() + "\"\nplugin_dirs = [\"" + binary_folder().string() +
                                     "/test-plugins\"]\n" + more)
        .string();
  }
  ConfigFolder folder_;
};

TEST_F(Cli, WrongUseIsTwo) {
  EXPECT_EQ(call({}).code, 2);
  EXPECT_EQ(call({"rnu"}).code, 2);
  EXPECT_EQ(call({"check", "--colour"}).code, 2);
  EXPECT_EQ(call({"plugin"}).code, 2);
  EXPECT_EQ(call({"attach"}).code, 2);
  EXPECT_EQ(call({"probe"}).code, 2);
  const Outcome help = call({"--help"});
  EXPECT_EQ(help.code, 0);
  EXPECT_THAT(help.out, HasSubstr("attach"));
}

TEST_F(Cli, TellsItsVersion) {
  const Outcome version = call({"--version"});
  EXPECT_EQ(version.code, 0);
  EXPECT_THAT(version.out, MatchesRegex("gatehouse [0-9]+\\.[0-9]+\\.[0-9]+\n"));
}

TEST_F(Cli, CheckNamesEveryProblem) {
  const std::string file = config("[log]\nlevel = 1\n[plugin.none]\n[plugin.good.options]\ndepth = 1\n");
  const Outcome broken = call({"check", "--config", file});
  EXPECT_EQ(broken.code, 2);
  EXPECT_EQ(broken.out, "");
  EXPECT_EQ(broken.err,
            "gatehouse: " + file + ":6:9: `log.level` must be one of error, warn, info, debug, trace, not 1\n");
  const Outcome plugins = call({"check", "--config", file, "--set", "log.level=info"});
  EXPECT_EQ(plugins.code, 2);
  EXPECT_THAT(plugins.err, HasSubstr("the file of the plugin none is missing"));
  EXPECT_THAT(plugins.err, HasSubstr(":9:1: unknown key `plugin.good.options.depth`; plugin good has no options"));
  const Outcome json = call({"check", "--config", file, "--json"});
  EXPECT_EQ(json.code, 2);
  EXPECT_EQ(json.out, "{\"problems\":[{\"file\":\"" + file +
                          "\",\"line\":6,\"column\":9,\"sentence\":\"`log.level` must be one of error, warn, info, "
                          "debug, trace, not 1\"}]}\n");
}

TEST_F(Cli, CheckIsFineWithAGoodPlugin) {
  const Outcome outcome = call({"check", "--config", config("[plugin.good]\n[plugin.none]\nenabled = false\n")});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("state   ok\n"));
  EXPECT_THAT(outcome.out, HasSubstr("NAME  VERSION  FILE\ngood  1.2.3    "));
}

TEST_F(Cli, CheckRefusesAnotherAbi) {
  const Outcome outcome =
      call({"check", "--config", config("[plugin.x]\npath = \"" + test_plugin("other-major").string() + "\"\n")});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("is built for plugin ABI "));
}

TEST_F(Cli, CheckAsksThePluginItself) {
  const Outcome outcome =
      call({"check", "--config", config("[plugin.uncreatable]\npath = \"" + test_plugin("good").string() + "\"\n")});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("no such day"));
}

TEST_F(Cli, PluginListShowsGoodAndBad) {
  const Outcome outcome = call({"plugin", "list", "--config", config("[plugin.good]\n"), "--json"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("\"summary\": \"Does nothing, well.\""));
  EXPECT_THAT(outcome.out, HasSubstr("that is no plugin manifest"));
}

TEST_F(Cli, PluginDescribeShowsOptionsAndProbe) {
  const Outcome outcome = call({"plugin", "describe", "probing", "--config", config()});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("probe     works|fails [WORD...]\n"));
  EXPECT_THAT(outcome.out, HasSubstr("\nlisteners\nNAME        KINDS             REQUIRED\n"
                                     "listen      stream, datagram  no\n"));
  EXPECT_THAT(outcome.out, HasSubstr("\noptions\nNAME   TYPE     DEFAULT  ALLOWED  RELOAD  DESCRIPTION\n"
                                     "depth  integer  3        1..9     live    How deep.\n"));
  const Outcome unknown = call({"plugin", "describe", "probin", "--config", config()});
  EXPECT_EQ(unknown.code, 2);
  EXPECT_EQ(unknown.err,
            "gatehouse: there is no plugin probin in the configuration or in gateway.plugin_dirs; did you mean "
            "`probing`?\n");
}

TEST_F(Cli, PluginDisableIsSeenByCheck) {
  const std::string file = config("[plugin.good]\n[plugin.none]\n");
  EXPECT_EQ(call({"check", "--config", file}).code, 2);
  EXPECT_EQ(call({"plugin", "disable", "none", "--config", file}).code, 0);
  EXPECT_EQ(call({"check", "--config", file}).code, 0);
  folder_.write("gatehouse.d/95-more.toml", "[plugin.none]\nenabled = false\n");
  const Outcome overridden = call({"plugin", "enable", "none", "--config", file});
  EXPECT_EQ(overridden.code, 2);
  EXPECT_THAT(overridden.err, HasSubstr("a later file of that folder overrides plugin.none.enabled"));
}

TEST_F(Cli, ProbePassesItsArgumentsOn) {
  const std::string file = config();
  const Outcome works = call({"probe", "--config", file, "--json", "probing", "works", "--json", "-x", "--dns", "a b"});
  EXPECT_EQ(works.code, 0) << works.err;
  EXPECT_EQ(works.out, "{\"arguments\":\"works|--json|-x|--dns|a b\"}\n");
  const Outcome fails = call({"probe", "--config", file, "probing", "fails"});
  EXPECT_EQ(fails.code, 1);
  EXPECT_EQ(fails.out, "arguments  fails\n");
  EXPECT_EQ(fails.err, "gatehouse: no answer came\n");
  const Outcome wrong = call({"probe", "--config", file, "probing"});
  EXPECT_EQ(wrong.code, 2);
  EXPECT_EQ(wrong.err,
            "gatehouse: the first word is works or fails\n"
            "gatehouse: usage: gatehouse probe probing works|fails [WORD...]\n");
  const Outcome none = call({"probe", "--config", file, "good"});
  EXPECT_EQ(none.code, 2);
  EXPECT_EQ(none.err, "gatehouse: plugin good offers no probe; ask its author for one\n");
}

TEST_F(Cli, PolicyIsMadeAndExplained) {
  const std::string file = config("[plugin.good]\n");
  const Outcome missing = call({"policy", "problems", "--config", file});
  EXPECT_NE(missing.code, 0);
  EXPECT_THAT(missing.err, StartsWith("gatehouse: "));
  ASSERT_EQ(call({"policy", "init", "--config", file}).code, 0);
  EXPECT_TRUE(std::filesystem::exists(folder_.path() / "state/policy.db"));
  EXPECT_EQ(call({"policy", "problems", "--config", file}).code, 0);
  EXPECT_EQ(call({"policy", "order"}).code, 0);
  EXPECT_THAT(call({"policy", "show", "port_permits", "--config", file}).out, HasSubstr("port_permits"));
  const auto explain = [&](const char* transport, const char* destination) {
    return call({"policy", "explain", "--plugin", "good", "--source", "192.0.2.7", transport, destination, "--domain",
                 "a.example", "--config", file});
  };
  EXPECT_EQ(explain("udp", "8.8.8.8:53").code, 0);
  EXPECT_EQ(explain("tcp", "8.8.8.8:25").code, 1);
  EXPECT_EQ(explain("udp", "nowhere").code, 2);
}

TEST_F(Cli, NoGatewayIsANo) {
  const Outcome outcome = call({"status", "--config", config()});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(outcome.err, "gatehouse: the gateway is not running (nobody listens on " +
                             (folder_.path() / "control.sock").string() + ")\n");
}

class CliWithGateway : public Cli {
 protected:
  CliWithGateway() {
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
  ~CliWithGateway() override {
    thread_.run([this] { server_.reset(); });
  }
  std::string status_ = R"({"state":"ok","reasons":[]})";
  ServerThread thread_;
  std::optional<ControlServer> server_;
};

TEST_F(CliWithGateway, StatusIsYesOnlyWhenOk) {
  const std::string file = config();
  const Outcome good = call({"status", "--config", file});
  EXPECT_EQ(good.code, 0) << good.err;
  EXPECT_EQ(good.out, "state    ok\nreasons  -\n");
  status_ = R"({"state":"ok","plugins":[{"name":"echo","id":"echo","version":"1","state":"running","pending":3,)"
            R"("listeners":[{"role":"listen","address":"127.0.0.1:1"}],"lanes":[{"lane":0},{"lane":1}]}]})";
  EXPECT_EQ(call({"status", "--config", file}).out,
            "state  ok\n\nplugins\n"
            "NAME  VERSION  STATE    LANES  PENDING  SESSIONS  RESTARTS  LISTENERS    FAILURE\n"
            "echo  1        running  2      3        0         0         127.0.0.1:1  -\n");
  status_ = R"({"state":"degraded","reasons":["a row cannot be read"]})";
  const Outcome bad = call({"status", "--json", "--config", file});
  EXPECT_EQ(bad.code, 1);
  EXPECT_EQ(bad.out, status_ + "\n");
}

TEST_F(CliWithGateway, BrokenReloadIsTwoAndSaysWhy) {
  const Outcome outcome = call({"reload", "--config", config()});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_EQ(outcome.err, "gatehouse: the old configuration stays\ngatehouse: f:1:2: wrong\n");
}

TEST_F(CliWithGateway, SocketMayBeNamed) {
  const Outcome outcome = call({"drain", "--socket", (folder_.path() / "control.sock").string()});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "state  draining\n");
  const Outcome unknown = call({"sessions", "--config", config()});
  EXPECT_EQ(unknown.code, 1);
  EXPECT_EQ(unknown.err, "gatehouse: there is no verb `sessions`\n");
}

TEST_F(Cli, AttachSaysWhatIsMissing) {
  const std::string file = config("[plugin.good]\nlisten = [\"127.0.0.1:1\"]\n[plugin.x]\nlisten = [\"unix:" +
                                  (folder_.path() / "x.sock").string() + "\"]\n");
  EXPECT_EQ(call({"attach", "good", "--config", file}).err,
            "gatehouse: plugin good has no unix: listener to attach to; add \"unix:/run/gatehouse/good.sock\" to "
            "`plugin.good.listen`\n");
  EXPECT_THAT(call({"attach", "goood", "--config", file}).err, HasSubstr("did you mean `good`?"));
  const Outcome nobody = call({"attach", "x", "--config", file});
  EXPECT_EQ(nobody.code, 1);
  EXPECT_THAT(nobody.err, HasSubstr("x.sock: nobody listens there; is the gateway running, and the plugin enabled?"));
}

TEST_F(Cli, AttachJoinsStandardInputAndOutputWithTheListener) {
  const auto path = folder_.path() / "x.sock";
  const std::string file = config("[plugin.x]\nlisten = [\"unix:" + path.string() + "\"]\n");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.string().copy(address.sun_path, sizeof address.sun_path - 1);
  const UniqueFd listening(::socket(AF_UNIX, SOCK_STREAM, 0));
  ASSERT_EQ(::bind(listening.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(listening.get(), 1), 0);
  int in[2], out[2];
  ASSERT_EQ(::pipe(in), 0);
  ASSERT_EQ(::pipe(out), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::dup2(in[0], STDIN_FILENO);
    ::dup2(out[1], STDOUT_FILENO);
    for (const int fd : {in[0], in[1], out[0], out[1]}) ::close(fd);
    std::string arguments[] = {"gatehouse", "attach", "x", "--config", file};
    char* argv[] = {arguments[0].data(), arguments[1].data(), arguments[2].data(),
                    arguments[3].data(), arguments[4].data(), nullptr};
    ::_exit(run_cli(5, argv));
  }
  ::close(in[0]);
  ::close(out[1]);
  UniqueFd to(in[1]), from(out[0]);
  UniqueFd server(::accept(listening.get(), nullptr, nullptr));
  ASSERT_EQ(::write(to.get(), "ping", 4), 4);
  to.reset();
  EXPECT_EQ(read_to_end(server), "ping");
  send_all(server, "pong");
  server.reset();
  char got[8];
  EXPECT_EQ(::read(from.get(), got, sizeof got), 4);
  EXPECT_EQ(::read(from.get(), got, sizeof got), 0);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace gatehouse
