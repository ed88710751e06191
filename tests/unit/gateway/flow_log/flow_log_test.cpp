// The flow log: a verdict as a line, the file that may be renamed away, lanes and the thread that reads them.
#include "gateway/flow_log/flow_log.hpp"

#include "gateway/base/refusal.hpp"
#include "gateway/flow_log/flow_line.hpp"
#include "tests/unit/gateway/config/config_folder.hpp"

#include <nlohmann/json.hpp>

#include <gmock/gmock.h>

#include <sys/resource.h>
#include <sys/stat.h>
#include <csignal>

#include <fstream>
#include <thread>

namespace gatehouse {
namespace {

using namespace std::chrono_literals;
using policy::Action;
using policy::Reason;
using policy::Table;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

policy::Flow flow_to(const char* address, std::uint16_t port, std::string_view name = {}) {
  return {IpAddress::parse(address).value(), port, policy::kUdp, 0, name};
}

constexpr policy::Verdict kAllowed{Action::allow, Reason::port_permit, Table::port_permits, 12, 4};
constexpr policy::Verdict kHardDeny{Action::deny, Reason::hard_deny, Table::none, 0, 4};

std::vector<std::string> lines_of(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::vector<std::string> out;
  for (std::string line; std::getline(in, line);) out.push_back(line);
  return out;
}

/// The line of one verdict at a fixed time.
std::string line(const policy::Verdict& verdict, const policy::Flow& flow, const IpAddress& source,
                 std::string_view identity) {
  auto ring = std::make_unique<FlowLane::Ring>();
  FlowLane::write(*ring, verdict, flow, source, identity);
  std::string out;
  ring->drain([&](FlowEntry entry) {
    entry.time_ns = 1'795'271'400'125'999'999;
    append_flow_line(out, "udpgw", entry);
  });
  return out;
}

TEST(FlowLine, SaysWhoWhereAndWhy) {
  EXPECT_EQ(line(kAllowed, flow_to("8.8.8.8", 53, "a.example"), IpAddress::parse("192.0.2.7").value(), "unix:bob"),
            R"({"time":"2026-11-21T14:30:00.125Z","plugin":"udpgw","identity":"unix:bob","source":"192.0.2.7",)"
            R"("destination":"8.8.8.8","port":53,"transport":"udp","domain":"a.example","verdict":"allow",)"
            R"("reason":"port_permit","table":"port_permits","row":12,"generation":4})"
            "\n");
}

TEST(FlowLine, LeavesOutWhatIsNotKnown) {
  policy::Flow flow = flow_to("2001:db8::1", 0);
  flow.transport = 58;
  EXPECT_EQ(line(kHardDeny, flow, {}, ""),
            R"({"time":"2026-11-21T14:30:00.125Z","plugin":"udpgw","destination":"2001:db8::1","port":0,)"
            R"("transport":"icmp","verdict":"deny","reason":"hard_deny","generation":4})"
            "\n");
}

TEST(FlowLine, IsJsonWhateverTheClientAsksFor) {
  std::string bytes;
  for (int c = 0; c < 256; ++c) bytes += static_cast<char>(c);
  const std::string text = line(kAllowed, flow_to("8.8.8.8", 53, bytes), {}, "cert:\"J\xc3\xbcrgen\"\n");
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  const auto body = nlohmann::json::parse(text, nullptr, false);
  ASSERT_TRUE(body.is_object()) << text;
  EXPECT_EQ(body["identity"], "cert:\"J\xc3\xbcrgen\"\n");
  EXPECT_THAT(body["domain"].get<std::string>(), HasSubstr("abc"));
}

TEST(FlowLine, HasNoControlCharacterWhateverTheClientAsksFor) {
  const std::string text =
      line(kAllowed, flow_to("8.8.8.8", 53, "a\xc2\x9b\x7f\xe2\x80\xaegnp.exe"), {}, "unix:\xc2\x85");
  EXPECT_THAT(text, HasSubstr(R"("identity":"unix:\u0085")"));
  EXPECT_THAT(text, HasSubstr(R"("domain":"a\u009b\u007f\u202egnp.exe")"));
}

TEST(FlowLine, CutsWhatNoNameIsAsLongAs) {
  const std::string longest(300, 'x'), identity(300, 'i');
  const auto body = nlohmann::json::parse(line(kAllowed, flow_to("8.8.8.8", 53, longest), {}, identity));
  EXPECT_EQ(body["domain"], longest.substr(0, 255));
  EXPECT_EQ(body["identity"], identity.substr(0, 255));
}

class AppendFileTest : public testing::Test {
 protected:
  /// Why the file cannot be opened, or "".
  std::string refusal() const {
    try {
      const AppendFile file(path_);
    } catch (const Refusal& refusal) {
      return refusal.what();
    }
    return "";
  }

  ConfigFolder folder_;
  std::filesystem::path path_ = folder_.path() / "flows.json";
};

TEST_F(AppendFileTest, MakesAFileThatOthersCannotReadAndAppends) {
  const mode_t before = umask(0);
  EXPECT_EQ(AppendFile(path_).write("one\n"), 0u);
  umask(before);
  struct stat about {};
  ASSERT_EQ(stat(path_.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777U, 0640U);
  EXPECT_EQ(AppendFile(path_).write("two\nthree\n"), 0u);
  EXPECT_THAT(lines_of(path_), ElementsAre("one", "two", "three"));
}

TEST_F(AppendFileTest, FollowsItsName) {
  AppendFile file(path_);
  ASSERT_EQ(file.write("one\n"), 0u);
  std::filesystem::rename(path_, folder_.path() / "flows.json.1");
  ASSERT_EQ(file.write("two\n"), 0u);
  std::filesystem::remove(path_);
  ASSERT_EQ(file.write("three\n"), 0u);
  EXPECT_THAT(lines_of(folder_.path() / "flows.json.1"), ElementsAre("one"));
  EXPECT_THAT(lines_of(path_), ElementsAre("three"));
}

TEST_F(AppendFileTest, StaysInTheOldFileWhereNoNewOneCanBe) {
  AppendFile file(path_);
  std::filesystem::rename(path_, folder_.path() / "old");
  std::filesystem::create_directory(path_);
  EXPECT_EQ(file.write("one\n"), 0u);
  EXPECT_THAT(file.failure(), HasSubstr(path_.string() + " is no regular file"));
  std::filesystem::remove(path_);
  EXPECT_EQ(file.write("two\n"), 0u);
  EXPECT_EQ(file.failure(), "");
  EXPECT_THAT(lines_of(folder_.path() / "old"), ElementsAre("one"));
  EXPECT_THAT(lines_of(path_), ElementsAre("two"));
}

TEST_F(AppendFileTest, BeginsANewLineAfterATornOne) {
  AppendFile file(path_);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{10, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  EXPECT_EQ(file.write("12345\n12345\n12345\n"), 2u);
  EXPECT_THAT(file.failure(), HasSubstr("cannot write to " + path_.string() + ": File too large"));
  EXPECT_EQ(file.write("6\n"), 1u);
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(file.write("7\n8\n"), 0u);
  EXPECT_EQ(file.failure(), "");
  EXPECT_THAT(lines_of(path_), ElementsAre("12345", "1234", "7", "8"));
}

TEST_F(AppendFileTest, RefusesWhatIsNoRegularFile) {
  EXPECT_THROW(AppendFile(folder_.path() / "none" / "flows.json"), Refusal);
  EXPECT_THROW(AppendFile(folder_.path()), Refusal);
  EXPECT_THROW(AppendFile("/dev/null"), Refusal);
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  EXPECT_THROW(AppendFile{path_}, Refusal);
}

TEST_F(AppendFileTest, WritesToNoFileOfSomebodyElse) {
  std::ofstream(path_) << "";
  ASSERT_EQ(::chmod(path_.c_str(), 0666), 0);
  EXPECT_THAT(refusal(), HasSubstr(path_.string() + " may be written by everybody"));
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  ASSERT_EQ(::chmod(path_.c_str(), 0640), 0);
  ASSERT_EQ(::chown(path_.c_str(), 4242, 0), 0);
  EXPECT_THAT(refusal(), HasSubstr(path_.string() + " belongs to 4242"));
}

TEST_F(AppendFileTest, MakesNoFileInAFolderOfSomebodyElse) {
  const std::filesystem::path folder = folder_.path();
  ASSERT_EQ(::chmod(folder.c_str(), 0777), 0);
  EXPECT_THAT(refusal(), HasSubstr(folder.string() + " may be written by everybody"));
  ASSERT_EQ(::chmod(folder.c_str(), 01777), 0);
  EXPECT_EQ(refusal(), "") << "as /tmp is";
  ASSERT_EQ(::chmod(folder.c_str(), 0775), 0);
  EXPECT_EQ(refusal(), "") << "as /var/log is, whose group is syslog";
  std::filesystem::remove(path_);
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a folder away";
  ASSERT_EQ(::chown(folder.c_str(), 4242, 0), 0);
  EXPECT_THAT(refusal(), HasSubstr(folder.string() + " belongs to 4242"));
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(AppendFileTest, LeavesTheNameToAFileOfSomebodyElse) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  AppendFile file(path_);
  const std::filesystem::path old = folder_.path() / "old";
  std::filesystem::rename(path_, old);
  std::ofstream(path_) << "";
  ASSERT_EQ(::chown(path_.c_str(), 4242, 0), 0);
  EXPECT_EQ(file.write("one\n"), 0u);
  EXPECT_THAT(file.failure(), HasSubstr(path_.string() + " belongs to 4242"));
  EXPECT_THAT(lines_of(old), ElementsAre("one"));
}

TEST_F(AppendFileTest, WritesToNoFileThatALinkLeadsTo) {
  std::filesystem::create_symlink(folder_.path() / "elsewhere", path_);
  EXPECT_THROW(AppendFile{path_}, Refusal);
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "elsewhere"));
}

class FlowLogTest : public AppendFileTest {
 protected:
  /// One verdict, told as a lane does.
  static bool tell(const FlowLane& lane, std::uint16_t port, const policy::Verdict& verdict = kAllowed) {
    FlowLane::Ring* const ring = lane.ring();
    if (ring == nullptr) return false;
    FlowLane::write(*ring, verdict, flow_to("8.8.8.8", port), {}, "");
    return true;
  }
  std::vector<std::int64_t> ports(const std::filesystem::path& file) const {
    std::vector<std::int64_t> out;
    for (const std::string& text : lines_of(file)) {
      const auto body = nlohmann::json::parse(text);
      out.push_back(body.contains("lost") ? -body["lost"].get<std::int64_t>() : body["port"].get<std::int64_t>());
    }
    return out;
  }
  std::vector<std::string> warnings_;
  FlowLog log_{[this](const LogMessage& message) {
    EXPECT_TRUE(message.is_warning);
    warnings_.push_back(message.text);
  }};
};

TEST_F(FlowLogTest, IsOffUntilItHasAFile) {
  const auto before = log_.open_lane("udpgw");
  EXPECT_FALSE(tell(*before, 1));
  log_.switch_to(AppendFile(path_));
  const auto after = log_.open_lane("echo");
  EXPECT_TRUE(tell(*before, 2));
  EXPECT_TRUE(tell(*after, 3));
  log_.switch_to({});
  EXPECT_FALSE(tell(*before, 4));
  EXPECT_FALSE(tell(*after, 5));
  EXPECT_THAT(ports(path_), ElementsAre(2, 3));
  EXPECT_THAT(lines_of(path_)[1], HasSubstr(R"("plugin":"echo")"));
  EXPECT_EQ(log_.status().lines, 2u);
  EXPECT_EQ(log_.status().file, "");
}

TEST_F(FlowLogTest, LosesNothingBetweenTwoFiles) {
  log_.switch_to(AppendFile(path_));
  const auto lane = log_.open_lane("udpgw");
  std::atomic<bool> stop{false};
  std::uint64_t told = 0;
  std::thread writer([&] {
    while (!stop) {
      told += tell(*lane, 1) ? 1 : 0;
      std::this_thread::sleep_for(100us);
    }
  });
  for (int i = 0; i < 10; ++i) {
    std::this_thread::sleep_for(5ms);
    log_.switch_to(AppendFile(folder_.path() / ("other" + std::to_string(i % 2))));
  }
  stop = true;
  writer.join();
  log_.switch_to({});
  const auto in = [this](const char* name) { return lines_of(folder_.path() / name).size(); };
  EXPECT_EQ(in("flows.json") + in("other0") + in("other1"), told);
  EXPECT_GT(told, 0u);
  EXPECT_EQ(log_.status().lines, told);
  EXPECT_EQ(log_.status().lost, 0u);
}

TEST_F(FlowLogTest, TakesWhatALaneHasToldLast) {
  log_.switch_to(AppendFile(path_));
  auto lane = log_.open_lane("udpgw");
  tell(*lane, 7);
  lane->end();
  lane.reset();
  log_.switch_to({});
  EXPECT_THAT(ports(path_), ElementsAre(7));
}

TEST_F(FlowLogTest, CountsAndTellsWhatIsLost) {
  log_.switch_to(AppendFile(path_));
  const auto lane = log_.open_lane("udpgw");
  constexpr std::uint64_t kMany = 20 * FlowLane::kRing;
  for (std::uint64_t i = 0; i < kMany; ++i) tell(*lane, 1);
  lane->end();
  log_.switch_to({});
  const FlowLog::Status status = log_.status();
  EXPECT_GT(status.lost, 0u);
  EXPECT_EQ(status.lines + status.lost, kMany);
  std::int64_t lines = 0, lost = 0;
  for (const std::int64_t port : ports(path_)) (port < 0 ? lost : lines) += port;
  EXPECT_EQ(lines, static_cast<std::int64_t>(status.lines));
  EXPECT_EQ(-lost, static_cast<std::int64_t>(status.lost));
  ASSERT_THAT(warnings_, testing::Not(IsEmpty()));
  EXPECT_THAT(warnings_[0], HasSubstr("they came faster than they could be written"));
}

TEST_F(FlowLogTest, GoesOnWhenThereIsRoomAgain) {
  log_.switch_to(AppendFile(path_));
  const auto lane = log_.open_lane("udpgw");
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit none{0, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &none), 0);
  tell(*lane, 1);
  for (int i = 0; i < 500 && log_.status().failure.empty(); ++i) std::this_thread::sleep_for(10ms);
  EXPECT_THAT(log_.status().failure, HasSubstr("File too large"));
  setrlimit(RLIMIT_FSIZE, &before);
  for (int i = 0; i < 500 && !log_.status().failure.empty(); ++i) std::this_thread::sleep_for(10ms);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(log_.status().failure, "");
  tell(*lane, 2);
  log_.switch_to({});
  EXPECT_THAT(ports(path_), ElementsAre(-1, 2));
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("verdicts missing in " + path_.string() + ": 1; cannot write")));
}

}  // namespace
}  // namespace gatehouse
