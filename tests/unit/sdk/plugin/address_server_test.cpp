// A whole plugin that keeps sessions, leases and values, through restarts and with a disk that does not answer; and
// that sdk/README.md shows it as it is.
#include "tests/unit/sdk/plugin/address_server.hpp"

#include "tests/unit/folders.hpp"

#include <gatehouse/testkit/plugin_runner.hpp>

#include <gmock/gmock.h>

#include <poll.h>
#include <sys/socket.h>

#include <fstream>
#include <optional>
#include <sstream>
#include <thread>

namespace gatehouse::address_server {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;

constexpr unsigned kLanes = 2;
const std::string kAnn = std::string(32, 'a') + '\n', kBob = std::string(32, 'b') + '\n',
                  kEve = std::string(32, 'e') + '\n';

class Caller {
 public:
  Caller(const Endpoint& server, const std::string& hello) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_storage address{};
    const socklen_t size = server.to_sockaddr(address);
    EXPECT_EQ(connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    send(hello);
  }
  void send(const std::string& text) {
    EXPECT_EQ(::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  /// What comes within that time: "" = nothing, "end" = the stream ended.
  std::string receive(std::chrono::milliseconds within = 5s) {
    pollfd ready{fd_.get(), POLLIN, 0};
    if (poll(&ready, 1, static_cast<int>(within.count())) != 1) return "";
    char text[256];
    const ssize_t n = recv(fd_.get(), text, sizeof text, 0);
    return n > 0 ? std::string(text, static_cast<std::size_t>(n)) : "end";
  }

 private:
  UniqueFd fd_;
};

class AddressServerTest : public testing::Test {
 protected:
  void start() { plugin.emplace(kManifest, host, "{}", kLanes, GH_TRANSPORT_TCP); }
  /// The gateway is killed, and started again.
  void crash() {
    host.store().hold_durable(true);
    plugin.reset();
    host.restart();
    start();
  }
  Caller call(const std::string& secret) { return Caller(plugin->address(), secret); }

  testkit::FakeHost host;
  std::optional<testkit::PluginRunner> plugin;
};

TEST_F(AddressServerTest, AnswersOnlyWhatIsOnDisk) {
  start();
  host.store().hold_durable(true);
  Caller ann = call(kAnn);
  EXPECT_EQ(ann.receive(50ms), "");
  host.store().hold_durable(false);
  EXPECT_THAT(ann.receive(), MatchesRegex("10\\.0\\.0\\.2 [0-9]+\n"));
}

TEST_F(AddressServerTest, ClosesAClientWhoseLeaseIsRefused) {
  start();
  host.store().hold_durable(true);
  Caller ann = call(kAnn);
  std::string answer;
  for (int i = 0; i < 250 && answer.empty(); ++i) {  // its session may wait before its lease does
    host.store().release_durable(GH_E_IO);
    answer = ann.receive(20ms);
  }
  EXPECT_EQ(answer, "end");
  Caller short_secret = call("short\n");
  EXPECT_EQ(short_secret.receive(), "end");
}

TEST_F(AddressServerTest, ForgetsAClientThatHungUpBeforeItsAnswer) {
  start();
  host.store().hold_durable(true);
  {
    Caller gone = call(kAnn);
    while (host.store().sessions().empty()) std::this_thread::yield();
  }
  std::this_thread::sleep_for(20ms);  // long enough that the lane has destroyed the client, as a rule
  host.store().hold_durable(false);
  EXPECT_THAT(call(kBob).receive(), HasSubstr("10.0.0."));
}

TEST_F(AddressServerTest, GivesTheSameAddressBackAfterACrash) {
  start();
  const auto key = host.store().value("addresses", "key");
  ASSERT_TRUE(key);
  EXPECT_TRUE(host.store().is_secret("addresses", "key"));
  EXPECT_THAT(call(kAnn).receive(), HasSubstr("10.0.0.2 "));
  EXPECT_THAT(call(kBob).receive(), HasSubstr("10.0.0.3 "));
  crash();
  EXPECT_EQ(host.store().value("addresses", "key"), key);
  EXPECT_THAT(call(kEve).receive(), HasSubstr("10.0.0.4 ")) << "those of ann and bob are theirs";
  EXPECT_THAT(call(kBob).receive(), HasSubstr("10.0.0.3 "));
  EXPECT_THAT(call(kAnn).receive(), HasSubstr("10.0.0.2 "));
}

TEST_F(AddressServerTest, NeverTellsANumberTwice) {
  start();
  std::set<std::string> numbers;
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 20; ++i) {
      const std::string line = call(kAnn).receive();
      ASSERT_THAT(line, HasSubstr("10.0.0.2 "));
      EXPECT_TRUE(numbers.insert(line).second) << line;
    }
    crash();
  }
}

TEST_F(AddressServerTest, ASecondStreamOfAClientReplacesTheFirst) {
  start();
  Caller first = call(kAnn);
  EXPECT_THAT(first.receive(), HasSubstr("10.0.0.2 "));
  first.send("0123456789");
  while (host.store().sessions().at(0).bytes_up != 10) std::this_thread::yield();
  Caller second = call(kAnn);  // on whatever lane
  EXPECT_THAT(second.receive(), HasSubstr("10.0.0.2 "));
  EXPECT_EQ(first.receive(), "end");
  second.send("01234");
  while (host.store().sessions().at(0).bytes_up != 15) std::this_thread::yield();
  EXPECT_EQ(host.store().sessions().size(), 1u);
}

TEST_F(AddressServerTest, DoesNotStartWithAKeyThatIsNotKept) {
  host.store().hold_durable(true);
  std::thread disk([this] {
    while (host.store().waiting() == 0) std::this_thread::yield();
    host.store().release_durable(GH_E_IO);
  });
  try {
    start();
    ADD_FAILURE() << "it started";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("a new key cannot be kept"));
  }
  disk.join();
}

std::string text_of_file(const char* path) {
  std::ifstream in(source_folder() / path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

/// Lines without their indentation.
std::vector<std::string> lines(std::string_view text) {
  std::vector<std::string> out;
  std::istringstream in{std::string(text)};
  for (std::string line; std::getline(in, line);)
    out.push_back(line.substr(std::min(line.find_first_not_of(' '), line.size())));
  return out;
}

TEST(SdkReadme, ShowsThisPluginAsItIs) {
  const std::string readme = text_of_file("sdk/README.md");
  const std::string source = text_of_file("tests/unit/sdk/plugin/address_server.hpp");
  const auto section = readme.find("## Sessions, leases, values");
  ASSERT_NE(section, readme.npos);
  const auto from = readme.find("```cpp\n", section) + 7;
  std::vector<std::string> shown;
  for (std::size_t at = 0; (at = source.find("// ---- README", at)) != source.npos; ++at) {
    const auto begin = source.find('\n', at) + 1;
    for (std::string& line : lines(source.substr(begin, source.find("// ---- end", begin) - begin)))
      if (!line.empty()) shown.push_back(std::move(line));
  }
  std::vector<std::string> in_readme = lines(readme.substr(from, readme.find("```", from) - from));
  std::erase(in_readme, "");
  EXPECT_EQ(in_readme, shown);
}

}  // namespace
}  // namespace gatehouse::address_server
