// What the client writes to disk: its session, what it has changed, another resolv.conf.
#include "plugins/packet-tunnel/client/dns_setup.hpp"
#include "plugins/packet-tunnel/client/state_file.hpp"
#include "plugins/packet-tunnel/common/session_id.hpp"

#include <gmock/gmock.h>

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace gatehouse::packet_tunnel {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class KeptFiles : public testing::Test {
 protected:
  KeptFiles() {
    std::string name = (fs::temp_directory_path() / "gatehouse-XXXXXX").string();
    dir_ = ::mkdtemp(name.data());
  }
  ~KeptFiles() override { fs::remove_all(dir_); }

  static std::string text_in(const fs::path& path) {
    std::ostringstream out;
    out << std::ifstream(path).rdbuf();
    return out.str();
  }
  static void write(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }

  fs::path dir_;
};

template <class Call>
std::string sentence_of(Call&& call) {
  try {
    call();
  } catch (const std::runtime_error& problem) {
    return problem.what();
  }
  return "nothing was thrown";
}

// ---- the session

TEST(SessionId, IsRandomAndOfTheAlphabet) {
  const std::string one = make_session_id();
  EXPECT_GE(one.size(), 32U);
  EXPECT_LE(one.size(), 64U);
  EXPECT_THAT(one, testing::MatchesRegex("[-_A-Za-z0-9]+"));
  EXPECT_NE(one, make_session_id());
}

TEST_F(KeptFiles, GiveTheSameSessionAgain) {
  const fs::path file = dir_ / "session";
  const std::string first = keep_session_id(file);
  EXPECT_EQ(keep_session_id(file), first);
  EXPECT_EQ(fs::status(file).permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(KeptFiles, RefuseASessionThatOthersCanReadOrThatIsNone) {
  const fs::path file = dir_ / "session";
  static_cast<void>(keep_session_id(file));
  ::chmod(file.c_str(), 0644);
  EXPECT_THAT(sentence_of([&] { static_cast<void>(keep_session_id(file)); }), HasSubstr("chmod 600"));
  ::chmod(file.c_str(), 0600);
  write(file, "short\n");
  EXPECT_THAT(sentence_of([&] { static_cast<void>(keep_session_id(file)); }), HasSubstr("holds no session id"));
  EXPECT_THAT(sentence_of([&] { static_cast<void>(keep_session_id(dir_ / "no" / "such")); }),
              HasSubstr("cannot be kept"));
}

// ---- what was changed

HostChanges all_changes() {
  HostChanges out;
  out.number = 26484;
  out.rules = {{.family = Family::v4, .priority = 30000, .table = RT_TABLE_MAIN, .suppress_length = 0U},
               {.family = Family::v6, .priority = 30001, .table = 26484, .mark = 26484, .invert = true},
               {.family = Family::v4, .priority = 30002, .table = 26484, .to = *Prefix::parse("10.0.0.2/32")}};
  out.marks_connections = true;
  out.source_mark_before = "0";
  out.resolv_conf = "/etc/resolv.conf";
  out.is_blocked = true;
  out.known = {{"gate.example:443", {*IpAddress::parse("192.0.2.1"), *IpAddress::parse("2001:db8::1")}}};
  return out;
}

void expect_equal(const HostChanges& one, const HostChanges& other) {
  EXPECT_EQ(one.number, other.number);
  EXPECT_EQ(one.rules, other.rules);
  EXPECT_EQ(one.marks_connections, other.marks_connections);
  EXPECT_EQ(one.source_mark_before, other.source_mark_before);
  EXPECT_EQ(one.resolv_conf, other.resolv_conf);
  EXPECT_EQ(one.is_blocked, other.is_blocked);
  EXPECT_EQ(one.known, other.known);
}

TEST_F(KeptFiles, SayWhatAnEarlierProcessHasChanged) {
  {
    const StateFile first(dir_ / "state", "tun7");
    expect_equal(first.load(), {});
    first.save(all_changes());
  }
  const StateFile second(dir_ / "state", "tun7");
  expect_equal(second.load(), all_changes());
  second.remove();
  expect_equal(second.load(), {});
}

TEST_F(KeptFiles, BelongToOneProcessAndDeviceAtATime) {
  const StateFile first(dir_, "tun7");
  EXPECT_THAT(sentence_of([&] { StateFile(dir_, "tun7"); }), HasSubstr("another gatehouse-tunnel has the device tun7"));
  EXPECT_NO_THROW(StateFile(dir_, "tun8"));
}

TEST_F(KeptFiles, ThatAreBrokenSayNothing) {
  const StateFile state(dir_, "tun7");
  for (const char* text : {"", "{", "[]", "{\"table\": \"x\"}", "{\"rules\": [{}], \"servers\": {}}"}) {
    write(dir_ / "tun7.json", text);
    EXPECT_TRUE(state.load().rules.empty()) << text;
  }
}

TEST_F(KeptFiles, InAFolderOfOthersAreNotBelieved) {
  ::chmod(dir_.c_str(), 0777);
  EXPECT_THAT(sentence_of([&] { StateFile(dir_, "tun7"); }), HasSubstr(dir_.string()));
}

// ---- the resolver

const std::vector<IpAddress> kServers = {*IpAddress::parse("10.0.0.2"), *IpAddress::parse("fd19:ca83:e6d5:1c44::2")};

TEST_F(KeptFiles, PutAnotherResolvConfInItsPlace) {
  const fs::path file = dir_ / "resolv.conf";
  write(file, "nameserver 192.0.2.1\n");
  const ResolvConfReplacement replacement(file);
  EXPECT_FALSE(replacement.is_replaced());
  replacement.replace(kServers);
  EXPECT_TRUE(replacement.is_replaced());
  EXPECT_THAT(text_in(file), HasSubstr("\nnameserver 10.0.0.2\nnameserver fd19:ca83:e6d5:1c44::2\n"));
  EXPECT_EQ(fs::status(file).permissions(), fs::perms(0644));
  ResolvConfReplacement(file).restore();  // another process's
  EXPECT_EQ(text_in(file), "nameserver 192.0.2.1\n");
  EXPECT_FALSE(replacement.is_replaced());
  EXPECT_EQ(std::distance(fs::directory_iterator(dir_), {}), 1);
}

TEST_F(KeptFiles, BringASymbolicLinkBack) {
  const fs::path file = dir_ / "resolv.conf";
  write(dir_ / "stub", "nameserver 127.0.0.53\n");
  fs::create_symlink("stub", file);
  const ResolvConfReplacement replacement(file);
  replacement.replace(kServers);
  EXPECT_FALSE(fs::is_symlink(file));
  EXPECT_EQ(text_in(dir_ / "stub"), "nameserver 127.0.0.53\n");  // which others may read
  replacement.restore();
  EXPECT_EQ(fs::read_symlink(file), "stub");
}

TEST_F(KeptFiles, KeepTheFirstResolvConfWhenTheyAreReplacedTwice) {
  const fs::path file = dir_ / "resolv.conf";
  write(file, "nameserver 192.0.2.1\n");
  ResolvConfReplacement(file).replace(kServers);
  ResolvConfReplacement(file).replace(kServers);
  ResolvConfReplacement(file).restore();
  EXPECT_EQ(text_in(file), "nameserver 192.0.2.1\n");
}

TEST_F(KeptFiles, LeaveAResolvConfThatSomebodyElseHasPutThereMeanwhile) {
  const fs::path file = dir_ / "resolv.conf";
  write(file, "nameserver 192.0.2.1\n");
  const ResolvConfReplacement replacement(file);
  replacement.replace(kServers);
  write(file, "nameserver 198.51.100.7\n");
  replacement.restore();
  EXPECT_EQ(text_in(file), "nameserver 198.51.100.7\n");
  EXPECT_FALSE(replacement.is_replaced());
}

}  // namespace
}  // namespace gatehouse::packet_tunnel
