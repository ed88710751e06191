#include "gateway/cli/plugin/attach_verb.hpp"

#include "tests/unit/gateway/cli/cli_test.hpp"
#include "tests/unit/gateway/control/server_thread.hpp"
#include "tests/unit/sdk/net/test_authority.hpp"

#include <gmock/gmock.h>

#include <sys/wait.h>

#include <utility>
#include <vector>

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

/// A listening socket, and the process of an attach to it.
class AttachTest : public CliTest {
 protected:
  ~AttachTest() override {
    for (UniqueFd* const end : {&listening_, &stdin_, &stdout_}) end->reset();
    if (child_ > 0) ::waitpid(child_, nullptr, 0);
  }
  void listen(int family, const sockaddr* address, socklen_t size) {
    listening_ = UniqueFd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::bind(listening_.get(), address, size), 0);
    ASSERT_EQ(::listen(listening_.get(), 1), 0);
  }
  void attach(std::vector<std::string> words) {
    int in[2], out[2];
    ASSERT_EQ(::pipe(in), 0);
    ASSERT_EQ(::pipe(out), 0);
    child_ = ::fork();
    ASSERT_GE(child_, 0);
    if (child_ == 0) {
      ::dup2(in[0], STDIN_FILENO);
      ::dup2(out[1], STDOUT_FILENO);
      for (const int fd : {in[0], in[1], out[0], out[1]}) ::close(fd);
      words.insert(words.begin(), {"gatehouse", "attach"});
      std::vector<char*> argv;
      for (std::string& word : words) argv.push_back(word.data());
      argv.push_back(nullptr);
      ::_exit(run_cli(static_cast<int>(words.size()), argv.data()));
    }
    ::close(in[0]);
    ::close(out[1]);
    stdin_ = UniqueFd(in[1]);
    stdout_ = UniqueFd(out[0]);
  }
  UniqueFd accept() { return UniqueFd(::accept(listening_.get(), nullptr, nullptr)); }
  std::string output() {
    std::string out;
    char part[64];
    for (ssize_t n; (n = ::read(stdout_.get(), part, sizeof part)) > 0;) out.append(part, static_cast<std::size_t>(n));
    return out;
  }
  int exit_code() {
    int status = 0;
    const pid_t child = std::exchange(child_, 0);
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return WEXITSTATUS(status);
  }

  UniqueFd listening_, stdin_, stdout_;
  pid_t child_ = 0;
};

TEST_F(AttachTest, JoinsStandardInputAndOutputWithTheListener) {
  const auto path = folder_.path() / "x.sock";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.string().copy(address.sun_path, sizeof address.sun_path - 1);
  listen(AF_UNIX, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  attach({"x", "--config", config("[plugin.x]\nlisten = [\"unix:" + path.string() + "\"]\n")});
  UniqueFd server = accept();
  ASSERT_EQ(::write(stdin_.get(), "ping", 4), 4);
  stdin_.reset();
  EXPECT_EQ(read_to_end(server), "ping");
  send_all(server, "pong");
  server.reset();
  EXPECT_EQ(output(), "pong");
  EXPECT_EQ(exit_code(), 0);
}

TEST_F(AttachTest, JoinsThemWithAListenerOverTls) {
  sockaddr_storage address{};
  socklen_t size = Endpoint{IpAddress::v4(0x7f000001), 0, 0}.to_sockaddr(address);
  listen(AF_INET, reinterpret_cast<const sockaddr*>(&address), size);
  size = sizeof address;
  ASSERT_EQ(::getsockname(listening_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  const test::TestAuthority authority;
  attach({"x", "--address", Endpoint::from_sockaddr(address).to_string(), "--tls", "--ca",
          folder_.write("ca.pem", authority.certificate()).string(), "--server-name", "gate.example", "--http"});
  const UniqueFd server = accept();
  test::TlsTestServer tls(server.get(), authority.issue({.alternatives = "DNS:gate.example"}));
  EXPECT_THAT(tls.read(), testing::AllOf(testing::StartsWith("GET /x HTTP/1.1\r\n"), HasSubstr("Host: gate.example:")));
  tls.write("HTTP/1.1 101 Fine\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
  ASSERT_EQ(::write(stdin_.get(), "ping", 4), 4);
  stdin_.reset();
  EXPECT_EQ(tls.read(), "ping");
  EXPECT_EQ(tls.read(), "");
  tls.write("pong");
  tls.finish();
  EXPECT_EQ(output(), "pong");
  EXPECT_EQ(exit_code(), 0);
}

TEST_F(AttachTest, SaysWhatIsWrongWithItsOptions) {
  const auto wrong = [this](std::vector<std::string> words) {
    words.insert(words.begin(), {"attach", "x"});
    const Outcome out = call(words);
    EXPECT_EQ(out.code, 2);
    return out.err;
  };
  EXPECT_EQ(wrong({"--address", "a:1", "--socket", "/x"}), "gatehouse: give either --socket or --address\n");
  EXPECT_EQ(wrong({"--address", "a:1", "--ca", "y"}), "gatehouse: --ca needs --tls\n");
  EXPECT_EQ(wrong({"--address", "nowhere"}), "gatehouse: `nowhere` has no port\n");
  const Outcome nobody = call({"attach", "x", "--address", "127.0.0.1:1"});
  EXPECT_EQ(nobody.code, 1);
  EXPECT_THAT(nobody.err, HasSubstr("cannot attach to 127.0.0.1:1: nobody listens there; is the gateway running"));
  const Outcome keyless = call({"attach", "x", "--address", "127.0.0.1:1", "--http", "--token-file", "/nowhere"});
  EXPECT_EQ(keyless.code, 1);
}

}  // namespace
}  // namespace gatehouse
