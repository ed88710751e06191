#include <gatehouse/base/own_path.hpp>

#include <gmock/gmock.h>

#include <dlfcn.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

namespace {

thread_local char** group_members = nullptr;            // of every group that this thread asks for; null: as they are
thread_local std::map<std::string, std::string> shown;  // files in place of those of that name

}  // namespace

/// In place of the C library's, in this program.
extern "C" int getgrgid_r(gid_t gid, group* entry, char* buffer, std::size_t size, group** found) {
  static const auto real = reinterpret_cast<decltype(&getgrgid_r)>(dlsym(RTLD_NEXT, "getgrgid_r"));
  const int failure = real(gid, entry, buffer, size, found);
  if (failure == 0 && *found != nullptr && group_members != nullptr) entry->gr_mem = group_members;
  return failure;
}
extern "C" FILE* fopen(const char* path, const char* mode) {
  static const auto real = reinterpret_cast<FILE* (*)(const char*, const char*)>(dlsym(RTLD_NEXT, "fopen"));
  const auto text = shown.find(path);
  return text == shown.end() ? real(path, mode) : ::fmemopen(text->second.data(), text->second.size(), "r");
}

namespace gatehouse {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

constexpr uid_t kSomebody = 4242;

class OwnPath : public testing::Test {
 protected:
  OwnPath() {
    std::string name = (fs::temp_directory_path() / "gatehouse-own-XXXXXX").string();
    home_ = fs::canonical(::mkdtemp(name.data()));
  }
  ~OwnPath() override {
    fs::remove_all(home_);
    group_members = nullptr;
    shown.clear();
  }

  fs::path folder(const char* name, mode_t mode = 0755) const {
    const fs::path path = home_ / name;
    fs::create_directories(path);
    EXPECT_EQ(::chmod(path.c_str(), mode), 0);
    return path;
  }
  static fs::path file(const fs::path& path, const char* text = "mine") {
    std::ofstream(path) << text;
    return path;
  }
  static std::string content(const fs::path& path) {
    std::ostringstream out;
    out << std::ifstream(path).rdbuf();
    return out.str();
  }

  fs::path home_;
};

TEST_F(OwnPath, IsWhatNobodyElseMayChange) {
  const fs::path inner = folder("a/b");
  EXPECT_EQ(why_not_own(inner), "");
  EXPECT_EQ(why_not_own(file(inner / "x")), "");
  EXPECT_EQ(why_not_own(inner / "not" / "yet"), "") << "what is not there is nobody's";
}

TEST_F(OwnPath, IsRefusedWhereAParentMayBeWrittenByOthers) {
  const fs::path inner = folder("a/b");
  folder("a", 0757);
  EXPECT_EQ(why_not_own(inner),
            (home_ / "a").string() + " may be written by everybody: run `chmod o-w " + (home_ / "a").string() + "`");
}

TEST_F(OwnPath, IsFineBelowAStickyFolderButNotAsOne) {
  const fs::path inner = folder("a/b");
  const fs::path sticky = folder("a", 01777);
  EXPECT_EQ(why_not_own(inner), "");
  EXPECT_THAT(why_not_own(sticky), HasSubstr("may be written by everybody"));
}

TEST_F(OwnPath, IsRefusedWhereAnotherUserOwnsAPart) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a folder away";
  const fs::path inner = folder("a/b");
  ASSERT_EQ(::chown((home_ / "a").c_str(), kSomebody, 0), 0);
  EXPECT_THAT(why_not_own(inner), AllOf(StartsWith((home_ / "a").string() + " belongs to 4242"),
                                        EndsWith("who runs the gateway: change its owner, or move it away")));
}

TEST_F(OwnPath, IsRefusedThroughAnotherUsersLink) {
  const fs::path inner = folder("a"), link = home_ / "link";
  fs::create_directory_symlink("a", link);
  EXPECT_EQ(why_not_own(link), "");
  EXPECT_EQ(why_not_own(link / "x"), "");
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a link away";
  ASSERT_EQ(::lchown(link.c_str(), kSomebody, 0), 0);
  EXPECT_THAT(why_not_own(link / "x"), StartsWith(link.string() + " belongs to 4242"));
}

TEST_F(OwnPath, OfAFileThatALibraryOpensIsAPlainOneWithOneName) {
  const fs::path file = folder("a") / "file", other = home_ / "other";
  EXPECT_EQ(why_not_own_file(file, "do"), "") << "nothing is there";
  std::ofstream(file) << "x";
  fs::permissions(file, fs::perms{0666});
  EXPECT_EQ(why_not_own_file(file, "do"), "") << "whatever its mode";
  fs::create_hard_link(file, other);
  EXPECT_THAT(why_not_own_file(file, "do"), EndsWith("is a file with a second name (a hard link): do"));
  EXPECT_EQ(why_not_own_file(file, "do", Names::any), "");
  fs::remove(file);
  fs::create_symlink(other, file);
  EXPECT_THAT(why_not_own_file(file, "do"), HasSubstr("is a symbolic link"));
  fs::remove(file);
  ASSERT_EQ(::mkfifo(file.c_str(), 0600), 0);
  EXPECT_THAT(why_not_own_file(file, "do"), HasSubstr("is no regular file"));
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  ASSERT_EQ(::chown(other.c_str(), kSomebody, 0), 0);
  EXPECT_THAT(why_not_own_file(other, "do"), StartsWith(other.string() + " belongs to 4242"));
}

TEST_F(OwnPath, OfTheWayLooksAtNothingAtItsEnd) {
  const fs::path file = folder("a") / "file", link = home_ / "link";
  std::ofstream(file) << "x";
  fs::permissions(file, fs::perms{0666});
  fs::create_symlink(file, link);
  EXPECT_EQ(why_not_own_way(link), "");
  fs::permissions(home_ / "a", fs::perms{0777});
  EXPECT_THAT(why_not_own_way(link), StartsWith((home_ / "a").string() + " may be written by everybody"));
  fs::permissions(home_ / "a", fs::perms{0755});
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a link away";
  ASSERT_EQ(::lchown(link.c_str(), kSomebody, 0), 0);
  EXPECT_THAT(why_not_own_way(link), StartsWith(link.string() + " belongs to 4242"));
}

TEST_F(OwnPath, LooksAtTheFoldersThatALinkLeadsThrough) {
  folder("open/inner");
  folder("open", 0757);
  fs::create_directory_symlink(home_ / "open" / "inner", home_ / "link");
  EXPECT_THAT(why_not_own(home_ / "link"), StartsWith((home_ / "open").string() + " may be written by everybody"));
}

TEST_F(OwnPath, EndsAtALinkThatLeadsToItself) {
  fs::create_symlink("loop", home_ / "loop");
  EXPECT_EQ(why_not_own(home_ / "loop"), "cannot follow the symbolic link " + (home_ / "loop").string());
}

TEST_F(OwnPath, KnowsAGroupThatIsNotTheOwnersAlone) {
  const fs::path shared = folder("a", 0775);
  if (::chown(shared.c_str(), ::geteuid(), ::getegid() + 1) != 0) GTEST_SKIP() << "only root can choose the group";
  EXPECT_THAT(why_not_own(shared), HasSubstr("may be written by a group that is not its owner's own: run `chmod g-w "));
}

TEST_F(OwnPath, KnowsTheOwnersGroupByItsMembers) {
  const fs::path shared = folder("a", 0775);
  if (!why_not_own(shared).empty()) GTEST_SKIP() << "this user has no group of its own";
  std::string me = ::getpwuid(::geteuid())->pw_name, other = "somebody-else";
  char* alone[] = {me.data(), nullptr};
  group_members = alone;
  EXPECT_EQ(why_not_own(shared), "");
  char* together[] = {me.data(), other.data(), nullptr};
  group_members = together;
  EXPECT_THAT(why_not_own(shared), HasSubstr("may be written by a group that is not its owner's own"));
}

TEST_F(OwnPath, KnowsTheOwnersGroupByTheFirstGroupsOfOthers) {
  const fs::path shared = folder("a", 0775);
  if (!why_not_own(shared).empty()) GTEST_SKIP() << "this user has no group of its own";
  const std::string gid = std::to_string(::getegid()), me = std::to_string(::geteuid());
  const auto why = [&](const std::string& passwd) {
    shown["/etc/passwd"] = passwd;
    return why_not_own(shared);
  };
  EXPECT_EQ(why("me:x:" + me + ":" + gid + "::/:\nother:x:4242:4242::/:\n"), "");
  EXPECT_THAT(why("me:x:" + me + ":" + gid + "::/:\nagent:x:4242:" + gid + "::/:\n"),
              HasSubstr("may be written by a group that is not its owner's own"));
}

TEST_F(OwnPath, TrustsAUserWithoutANumberOnlyWhereNoUserHasThatNumber) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a folder away";
  const fs::path inner = folder("a/b");
  ASSERT_EQ(::chown((home_ / "a").c_str(), 65534, 0), 0);
  const auto why = [&](const std::string& map) {
    shown["/proc/self/uid_map"] = map;
    return why_not_own(inner);
  };
  EXPECT_EQ(why("         0       1000          1\n"), "");
  EXPECT_EQ(why("0 1000 1\n1 100000 65533\n"), "") << "the last is 65533";
  for (const char* const map :
       {"0 0 4294967295\n", "0 100000 65536\n", "0 1000 1\n1 100000 65534\n", "0 1000 1\n65534 65534 1\n"})
    EXPECT_THAT(why(map), StartsWith((home_ / "a").string() + " belongs to ")) << map;
}

TEST_F(OwnPath, MakesAFileThatIsNotThere) {
  const UniqueFd made = open_or_make(home_ / "x", O_WRONLY, 0640);
  ASSERT_TRUE(made);
  const UniqueFd again = open_or_make(home_ / "x", O_RDWR, 0640);
  EXPECT_TRUE(again) << "and opens one that is";
}

TEST_F(OwnPath, OpensNothingThatLeadsToAnotherFile) {
  const fs::path target = file(home_ / "target"), planted = home_ / "planted";
  fs::create_symlink(target, planted);
  EXPECT_FALSE(open_or_make(planted, O_RDWR, 0640));
  EXPECT_EQ(why_not_opened(planted, errno),
            planted.string() + " is a symbolic link, where the gateway keeps a file of its own: remove it");
  fs::remove(planted);
  fs::create_symlink(home_ / "nothing", planted);
  EXPECT_FALSE(open_or_make(planted, O_RDWR, 0640));
  EXPECT_FALSE(fs::exists(home_ / "nothing"));
  fs::remove(planted);
  fs::create_hard_link(target, planted);
  EXPECT_FALSE(open_or_make(planted, O_RDWR, 0640));
  EXPECT_THAT(why_not_opened(planted, errno), HasSubstr("a file with a second name"));
  EXPECT_EQ(content(target), "mine");
}

TEST_F(OwnPath, OpensNoFifoAndDoesNotWaitForIt) {
  const fs::path fifo = home_ / "fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  for (const int flags : {O_RDONLY, O_WRONLY, O_RDWR}) {
    EXPECT_FALSE(open_or_make(fifo, flags, 0640));
    EXPECT_THAT(why_not_opened(fifo, errno), HasSubstr("is no regular file"));
  }
}

}  // namespace
}  // namespace gatehouse
