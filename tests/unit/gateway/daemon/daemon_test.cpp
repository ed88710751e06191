// The daemon as a process of its own: signals, exit code, what it leaves behind.
#include "gateway/daemon/daemon.hpp"

#include "gateway/control/control_client.hpp"
#include "tests/unit/gateway/daemon/test_certificate.hpp"
#include "tests/unit/gateway/plugin/test_folder.hpp"

#include <gatehouse/base/clock.hpp>

#include <gmock/gmock.h>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

#include <fstream>
#include <thread>

namespace gatehouse {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class DaemonTest : public testing::Test {
 protected:
  ~DaemonTest() override {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
  }
  void write(const std::string& plugins, const std::string& level = "error") {
    std::ofstream(file_) << "[gateway]\nstate_dir = \"" << (folder_.path() / "state").string() << "\"\nruntime_dir = \""
                         << runtime_.string() << "\"\nplugin_dirs = [\"" << test_plugin("x").parent_path().string()
                         << "\"]\n[metrics]\nlisten = \"127.0.0.1:0\"\n"
                         << "[log]\nlevel = \"" << level << "\"\n"
                         << plugins;
  }
  /// Starts it in a child process and waits until its plugins have started.
  void launch() {
    pid_ = fork();
    ASSERT_GE(pid_, 0);
    if (pid_ == 0) {
      Daemon daemon(read_config(file_, {}).config.value(), [this] { return read_config(file_, {}); });
      _exit(daemon.start().empty() ? daemon.run() : 2);
    }
    for (const SteadyTime end = steady_now() + 20s; steady_now() < end; std::this_thread::sleep_for(5ms)) {
      try {
        if (ask("status").find(R"("state":"starting")") == std::string::npos) return;
      } catch (const NoGateway&) {
      }
    }
    FAIL() << "it does not answer";
  }
  std::string ask(const std::string& verb, Access access = Access::read) {
    return control_request(runtime_ / "control.sock", verb, access).json;
  }
  /// Waits until `verb` answers with `part` in it.
  bool answers(const std::string& verb, const std::string& part) {
    for (const SteadyTime end = steady_now() + 10s; steady_now() < end; std::this_thread::sleep_for(5ms)) {
      if (ask(verb).find(part) != std::string::npos) return true;
    }
    return false;
  }
  int exit_code() {
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  TestFolder folder_;
  std::filesystem::path file_ = folder_.path() / "gatehouse.toml";
  std::filesystem::path runtime_ = folder_.path() / "run";
  pid_t pid_ = 0;
};

TEST_F(DaemonTest, TellsItsStateAndItsPlugins) {
  write("[plugin.good]\nlisten = [\"127.0.0.1:0\"]\n");
  launch();
  EXPECT_THAT(ask("status"), AllOf(HasSubstr(R"("state":"ok","reasons":[])"), HasSubstr(R"("name":"good")"),
                                   HasSubstr(R"("address":"127.0.0.1:)"), HasSubstr(R"("readable":true)")));
  EXPECT_THAT(ask("plugins"), HasSubstr(R"("summary":"Does nothing, well.")"));
  EXPECT_EQ(ask("sessions"), R"({"source":"gateway","current":true,"count":0,"sessions":[]})");
}

TEST_F(DaemonTest, EndsOnTermAndLeavesNoSocketBehind) {
  write("[plugin.good]\nlisten = [\"unix:" + (runtime_ / "good.sock").string() + "\"]\n");
  launch();
  EXPECT_TRUE(std::filesystem::exists(runtime_ / "good.sock"));
  kill(pid_, SIGTERM);
  EXPECT_EQ(exit_code(), 0);
  EXPECT_FALSE(std::filesystem::exists(runtime_ / "good.sock"));
  EXPECT_FALSE(std::filesystem::exists(runtime_ / "control.sock"));
}

TEST_F(DaemonTest, EndsOnIntAlthoughALaneNeverReturns) {
  write("[plugin.lane-sticks]\nlanes = 1\n");
  launch();
  kill(pid_, SIGINT);
  EXPECT_EQ(exit_code(), 0);
}

TEST_F(DaemonTest, ReadsItsConfigurationAgainOnHup) {
  write("[plugin.good]\n");
  launch();
  write("[plugin.good]\n[plugin.two-options]\n");
  kill(pid_, SIGHUP);
  EXPECT_TRUE(answers("status", R"("name":"two-options")"));
}

TEST_F(DaemonTest, RefusesAReloadThatItCannotCarryOut) {
  write("[plugin.good]\n");
  launch();
  write("[plugin.good]\nlanez = 3\n");
  EXPECT_THAT(ask("reload", Access::write),
              AllOf(HasSubstr(R"("error":"reload refused, nothing was changed")"), HasSubstr("lanez")));
  EXPECT_THAT(ask("status"), HasSubstr(R"("state":"ok")"));
}

TEST_F(DaemonTest, AnswersWhileAReloadHangsAndEndsOnTerm) {
  const auto with = [this](const std::string& at) {
    write("[plugin.good]\n[plugin.hangs]\nlanes = 1\n[plugin.hangs.options]\nat = \"" + at + "\"\n");
  };
  with("");
  launch();
  with("check");
  kill(pid_, SIGHUP);
  for (int i = 0; i < 20; ++i) {
    const SteadyTime before = steady_now();
    EXPECT_THAT(ask("status"), HasSubstr(R"("name":"hangs")"));
    EXPECT_LT(steady_now() - before, 1s);
    std::this_thread::sleep_for(10ms);
  }
  EXPECT_THAT(ask("reload", Access::write), HasSubstr("another reload is under way"));
  const SteadyTime before = steady_now();
  kill(pid_, SIGTERM);
  EXPECT_EQ(exit_code(), 0);
  EXPECT_LT(steady_now() - before, 15s);
}

TEST_F(DaemonTest, StaysUpWhenDrained) {
  write("[plugin.good]\n");
  launch();
  EXPECT_EQ(ask("drain", Access::write), R"({"draining":true})");
  EXPECT_TRUE(answers("status", R"("state":"stopped")"));
  EXPECT_THAT(ask("status"), HasSubstr(R"("state":"draining")"));
  EXPECT_THAT(ask("reload", Access::write), HasSubstr("the gateway is draining"));
  kill(pid_, SIGTERM);
  EXPECT_EQ(exit_code(), 0);
}

TEST_F(DaemonTest, IsDegradedWhileAPluginIsMadeAnew) {
  write("[plugin.good]\n[plugin.lane-fails]\nlanes = 1\n", "error");
  launch();
  EXPECT_TRUE(answers("status", R"("state":"degraded")"));
  EXPECT_THAT(ask("status"), HasSubstr("lane 0 failed: the socket burst"));
}

TEST_F(DaemonTest, StartsNothingWhenSomethingIsWrong) {
  write("[plugin.good]\nlisten = [\"unix:" + (runtime_ / "good.sock").string() +
        "\"]\n[plugin.two-options]\nlisten = [{address = \"192.0.2.1:1\", auth = \"none\"}]\n");
  Daemon daemon(read_config(file_, {}).config.value(), [] { return ConfigReading(); });
  std::vector<std::string> sentences;
  for (const ConfigProblem& problem : daemon.start()) sentences.push_back(problem.sentence);
  EXPECT_THAT(sentences, ElementsAre(HasSubstr("192.0.2.1:1: this machine has no such address")));
  EXPECT_FALSE(std::filesystem::exists(runtime_ / "good.sock"));
  EXPECT_FALSE(std::filesystem::exists(runtime_ / "control.sock"));
}

TEST_F(DaemonTest, StartsInNoFolderThatOthersMayWriteTo) {
  write("");
  const auto refusal = [this] {
    Daemon daemon(read_config(file_, {}).config.value(), [] { return ConfigReading(); });
    const auto problems = daemon.start();
    return problems.empty() ? std::string() : problems.front().sentence;
  };
  const std::filesystem::path state = folder_.path() / "state";
  for (const auto& folder : {state, runtime_, state / "lists"}) {
    std::filesystem::create_directories(folder);
    std::filesystem::permissions(folder, std::filesystem::perms::all);
    EXPECT_THAT(refusal(), HasSubstr(folder.filename().string() + " may be written by everybody"));
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all);
  }
  EXPECT_EQ(refusal(), "");
}

TEST_F(DaemonTest, RaisesTheLimitOfOpenFiles) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit low{std::min<rlim_t>(256, before.rlim_max), before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
  write("");
  Daemon daemon(read_config(file_, {}).config.value(), [] { return ConfigReading(); });
  EXPECT_THAT(daemon.start(), testing::IsEmpty());
  rlimit now{};
  EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &now), 0);
  EXPECT_EQ(now.rlim_cur, before.rlim_max);
  setrlimit(RLIMIT_NOFILE, &before);
}

TEST_F(DaemonTest, SaysThatACertificateExpiresUntilAnotherIsThere) {
  const auto put = [&](const char* name, const std::string& text) {
    const std::filesystem::path file = folder_.path() / name, next = folder_.path() / "next";
    std::ofstream(next) << text;
    std::filesystem::permissions(next, std::filesystem::perms::owner_read);
    std::filesystem::rename(next, file);
    return file.string();
  };
  const TestCertificate old("old.test", nullptr, -3600, 10L * 86'400), next("next.test");
  const std::string chain = put("chain.pem", old.pem()), key = put("key.pem", old.key_pem());
  write("[tls]\ncertificate = \"" + chain + "\"\nkey = \"" + key +
        "\"\n[plugin.openings]\nlanes = 1\nlisten = [\"tls:127.0.0.1:0\"]\n");
  launch();
  EXPECT_THAT(ask("status"), AllOf(HasSubstr(R"("state":"degraded")"), HasSubstr("(CN=old.test) expires at "),
                                   HasSubstr(R"("address":"tls:127.0.0.1:)")));
  put("key.pem", next.key_pem());
  put("chain.pem", next.pem());
  EXPECT_TRUE(answers("status", R"("state":"ok")"));
  kill(pid_, SIGTERM);
  EXPECT_EQ(exit_code(), 0);
}

}  // namespace
}  // namespace gatehouse
