#include "gateway/cli/plugin/attach_verb.hpp"

#include "tests/unit/gateway/cli/cli_test.hpp"
#include "tests/unit/gateway/control/server_thread.hpp"

#include <gmock/gmock.h>

#include <sys/wait.h>

namespace gatehouse {
namespace {

using testing::HasSubstr;

using AttachVerb = CliTest;

TEST_F(AttachVerb, AttachSaysWhatIsMissing) {
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

TEST_F(AttachVerb, AttachJoinsStandardInputAndOutputWithTheListener) {
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
