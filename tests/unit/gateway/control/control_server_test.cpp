#include "gateway/control/control_server.hpp"

#include "gateway/control/control_client.hpp"
#include "tests/unit/gateway/config/config_folder.hpp"
#include "tests/unit/gateway/control/server_thread.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/stat.h>
#include <sys/wait.h>

namespace gatehouse {
namespace {

using testing::StartsWith;

class ControlServerTest : public testing::Test {
 protected:
  ControlServerTest() : socket_(folder_.path() / "control.sock") {
    server_.emplace(thread_.io());
    server_->on("status", Access::read, [](const std::string& json) { return ControlReply{200, json}; });
    server_->on("reload", Access::write, [](const std::string&) { return ControlReply{200, "{\"done\":true}"}; });
    server_->on("broken", Access::read,
                [](const std::string&) -> ControlReply { throw std::runtime_error("a \"quoted\" reason"); });
    server_->listen(socket_, 0660);
    thread_.start();
  }
  ~ControlServerTest() override {
    thread_.run([this] { server_.reset(); });
  }

  ConfigFolder folder_;
  std::filesystem::path socket_;
  ServerThread thread_;
  std::optional<ControlServer> server_;
};

TEST_F(ControlServerTest, AnswersReadsAndWrites) {
  const ControlReply read = control_request(socket_, "status", Access::read);
  EXPECT_EQ(read.status, 200U);
  EXPECT_EQ(read.json, "{}");
  EXPECT_EQ(control_request(socket_, "status", Access::read, R"({"a":1})").json, R"({"a":1})");
  EXPECT_EQ(control_request(socket_, "reload", Access::write).json, R"({"done":true})");
}

TEST_F(ControlServerTest, RefusesWithASentence) {
  const ControlReply unknown = control_request(socket_, "stauts", Access::read);
  EXPECT_EQ(unknown.status, 404U);
  EXPECT_EQ(unknown.json, R"({"error":"there is no verb `stauts`"})");
  const ControlReply wrong_method = control_request(socket_, "reload", Access::read);
  EXPECT_EQ(wrong_method.status, 405U);
  EXPECT_EQ(wrong_method.json, R"({"error":"`reload` is asked for with POST"})");
  const ControlReply no_json = control_request(socket_, "status", Access::read, "{");
  EXPECT_EQ(no_json.status, 400U);
  EXPECT_EQ(no_json.json, R"({"error":"the body is not JSON"})");
}

TEST_F(ControlServerTest, HandlerThatThrowsIsAnError) {
  const ControlReply reply = control_request(socket_, "broken", Access::read);
  EXPECT_EQ(reply.status, 500U);
  EXPECT_EQ(reply.json, R"({"error":"a \"quoted\" reason"})");
}

TEST_F(ControlServerTest, SocketHasItsMode) {
  struct stat found {};
  ASSERT_EQ(::stat(socket_.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777U, 0660U);
}

TEST_F(ControlServerTest, OtherUsersReadAndDoNotWrite) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to become somebody else";
  thread_.run([this] {
    EXPECT_THAT(server_->set_admins({"root", "nobody-of-that-name"}), testing::ElementsAre("nobody-of-that-name"));
  });
  ASSERT_EQ(::chmod(socket_.c_str(), 0666), 0);
  ASSERT_EQ(::chmod(folder_.path().c_str(), 0755), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (::setresuid(65534, 65534, 65534) != 0) ::_exit(9);
    const auto status_of = [&](const char* request) {
      const UniqueFd fd = connect_to(socket_);
      send_all(fd, request);
      return read_to_end(fd).substr(9, 3);
    };
    const bool right =
        status_of("GET /v1/status HTTP/1.0\r\n\r\n") == "200" && status_of("POST /v1/reload HTTP/1.0\r\n\r\n") == "403";
    ::_exit(right ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(ControlServerTest, SecondGatewayIsRefusedAndAStaleFileReplaced) {
  boost::asio::io_context other_io;
  ControlServer other(other_io);
  try {
    other.listen(socket_, 0660);
    FAIL() << "nothing was thrown";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("another gateway is running there; stop it"));
  }
  const auto stale = folder_.path() / "stale.sock";
  {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    stale.string().copy(address.sun_path, sizeof address.sun_path - 1);
    const UniqueFd dead(::socket(AF_UNIX, SOCK_STREAM, 0));
    ASSERT_EQ(::bind(dead.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  EXPECT_TRUE(std::filesystem::exists(stale));
  other.listen(stale, 0600);
  EXPECT_TRUE(connect_to(stale));
}

TEST(ControlClient, SaysThatNobodyRuns) {
  const ConfigFolder folder;
  const auto socket = folder.path() / "control.sock";
  try {
    static_cast<void>(control_request(socket, "status", Access::read));
    FAIL() << "nothing was thrown";
  } catch (const NoGateway& error) {
    EXPECT_EQ(error.what(), "the gateway is not running (nobody listens on " + socket.string() + ")");
  }
}

TEST(ControlClient, GivesUpInTime) {
  const ConfigFolder folder;
  const auto socket = folder.path() / "control.sock";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socket.string().copy(address.sun_path, sizeof address.sun_path - 1);
  const UniqueFd silent(::socket(AF_UNIX, SOCK_STREAM, 0));
  ASSERT_EQ(::bind(silent.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(silent.get(), 1), 0);
  EXPECT_THROW(static_cast<void>(control_request(socket, "status", Access::read, "", std::chrono::milliseconds(50))),
               NoGateway);
}

}  // namespace
}  // namespace gatehouse
