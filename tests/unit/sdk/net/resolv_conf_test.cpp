#include <gatehouse/net/resolv_conf.hpp>

#include <gtest/gtest.h>

#include <fcntl.h>
#include <net/if.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

namespace gatehouse {
namespace {

using std::chrono::milliseconds;

std::vector<std::string> read(std::string_view text) {
  std::vector<std::string> out;
  for (const Endpoint& server : parse_resolv_conf(text)) out.push_back(server.to_string());
  return out;
}

TEST(ResolvConfText, ListsServersOfBothFamiliesInOrder) {
  EXPECT_EQ(read("nameserver 192.0.2.1\nnameserver 2001:db8::1\nnameserver\t::ffff:192.0.2.2\n"),
            (std::vector<std::string>{"192.0.2.1:53", "[2001:db8::1]:53", "192.0.2.2:53"}));
}

TEST(ResolvConfText, IgnoresOddLines) {
  EXPECT_EQ(read("# nameserver 192.0.2.9\n; comment\nsearch example.test\noptions edns0 trust-ad\n\nnameserver\n"
                 "nameserver nonsense\nnameserver 192.0.2.300\nnameservers 192.0.2.8\n#\n"
                 "nameserver 192.0.2.1 # trailing\r\n  nameserver   192.0.2.2   \r\nnameserver 192.0.2.3"),
            (std::vector<std::string>{"192.0.2.1:53", "192.0.2.2:53", "192.0.2.3:53"}));
}

TEST(ResolvConfText, DefaultsToThisMachine) {
  EXPECT_EQ(read(""), std::vector<std::string>{"127.0.0.1:53"});
  EXPECT_EQ(read("search example.test\n"), std::vector<std::string>{"127.0.0.1:53"});
}

TEST(ResolvConfText, TakesZonesByNameAndNumber) {
  const std::string loopback = std::to_string(if_nametoindex("lo"));
  EXPECT_EQ(read("nameserver fe80::1%lo\nnameserver fe80::2%77\nnameserver fe80::3%no-such-if0\n"
                 "nameserver fe80::4%\nnameserver 192.0.2.1%lo\nnameserver fe80::5%1\nnameserver fe80::6%0\n"),
            (std::vector<std::string>{"[fe80::1%" + loopback + "]:53", "[fe80::2%77]:53", "[fe80::5%1]:53"}));
}

class ResolvConfFile : public testing::Test {
 protected:
  ResolvConfFile() {
    std::string pattern = testing::TempDir() + "resolv-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    path_ = folder_ / "resolv.conf";
  }
  ~ResolvConfFile() override { std::filesystem::remove_all(folder_); }

  /// As an editor does it: a new file in the place of the old one.
  void replace(std::string_view text) const {
    std::ofstream(folder_ / "new") << text;
    std::filesystem::rename(folder_ / "new", path_);
  }

  std::filesystem::path folder_;
  std::filesystem::path path_;
};

TEST_F(ResolvConfFile, IsReadAgainWhenItChangesAtMostOnceASecond) {
  replace("nameserver 192.0.2.1\n");
  ResolvConf conf(path_);
  SteadyTime now{};
  EXPECT_EQ(conf.nameservers(now)[0].to_string(), "192.0.2.1:53");
  const auto version = conf.version();
  replace("nameserver 192.0.2.2\n");
  EXPECT_EQ(conf.nameservers(now += milliseconds(999))[0].to_string(), "192.0.2.1:53");
  EXPECT_EQ(conf.version(), version);
  EXPECT_EQ(conf.nameservers(now += milliseconds(1))[0].to_string(), "192.0.2.2:53");
  EXPECT_NE(conf.version(), version);
}

TEST_F(ResolvConfFile, KeepsItsListWhileTheFileIsGone) {
  replace("nameserver 192.0.2.1\n");
  ResolvConf conf(path_);
  SteadyTime now{};
  (void)conf.nameservers(now);
  std::filesystem::remove(path_);
  EXPECT_EQ(conf.nameservers(now += milliseconds(1000))[0].to_string(), "192.0.2.1:53");
  replace("nameserver 192.0.2.2\n");
  EXPECT_EQ(conf.nameservers(now += milliseconds(1000))[0].to_string(), "192.0.2.2:53");
}

TEST_F(ResolvConfFile, IsReadAgainWhereItsTimeIsTooNewToTellTwoWritesApart) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  now.tv_sec += 2;  // a machine that stands still for three seconds makes it an old one
  const timespec times[] = {now, now};
  const auto rewrite = [&](const char* text) {  // in place, within one step of a coarse clock
    std::ofstream(path_) << text;
    ASSERT_EQ(::utimensat(AT_FDCWD, path_.c_str(), times, 0), 0);
  };
  rewrite("nameserver 192.0.2.1\n");
  ResolvConf conf(path_);
  EXPECT_EQ(conf.nameservers({})[0].to_string(), "192.0.2.1:53");
  rewrite("nameserver 192.0.2.2\n");
  EXPECT_EQ(conf.nameservers(SteadyTime{} + milliseconds(1000))[0].to_string(), "192.0.2.2:53");
}

TEST_F(ResolvConfFile, DefaultsWhenThereIsNone) {
  ResolvConf conf(path_);
  SteadyTime now{};
  EXPECT_EQ(conf.nameservers(now)[0].to_string(), "127.0.0.1:53");
  replace("nameserver 192.0.2.1\n");
  EXPECT_EQ(conf.nameservers(now += milliseconds(1000))[0].to_string(), "192.0.2.1:53");
}

}  // namespace
}  // namespace gatehouse
