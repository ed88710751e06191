#include "gateway/plugin/trust.hpp"

#include "gateway/base/refusal.hpp"
#include "tests/unit/gateway/plugin/test_folder.hpp"

#include <gmock/gmock.h>

#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

namespace gatehouse {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

class Trust : public testing::Test {
 protected:
  Trust() { std::ofstream(file_) << "abc"; }

  std::string refusal() {
    try {
      static_cast<void>(trust_plugin_file(file_, copies_));
    } catch (const Refusal& why) {
      return why.what();
    }
    return "";
  }

  TestFolder folder_;
  fs::path home_ = fs::canonical(folder_.path()) / "plugins";
  bool made_ = fs::create_directory(home_);
  fs::path file_ = home_ / "x.so";
  fs::path copies_ = folder_.path() / "run" / "plugins";
};

TEST_F(Trust, CopiesTheFileToAPrivateFolderNamedByItsHash) {
  const TrustedFile trusted = trust_plugin_file(file_, copies_);
  EXPECT_EQ(trusted.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(trusted.copy, copies_ / trusted.sha256 / "x.so");
  std::string content;
  std::ifstream(trusted.copy) >> content;
  EXPECT_EQ(content, "abc");
  EXPECT_EQ(fs::status(copies_).permissions(), fs::perms::owner_all);
  EXPECT_EQ(fs::status(copies_ / trusted.sha256).permissions(), fs::perms::owner_all);
}

TEST_F(Trust, MakesAFreshCopyAtEveryLoad) {
  const fs::path copy = trust_plugin_file(file_, copies_).copy;
  fs::permissions(copy, fs::perms::owner_all);
  std::ofstream(copy) << "spoiled";
  std::string content;
  std::ifstream(trust_plugin_file(file_, copies_).copy) >> content;
  EXPECT_EQ(content, "abc");
}

TEST_F(Trust, FollowsASymbolicLinkToTheFileThatIsJudged) {
  const fs::path link = folder_.path() / "link.so";
  fs::create_symlink(file_, link);
  EXPECT_EQ(trust_plugin_file(link, copies_).original, file_);
}

TEST_F(Trust, LoadsNothingThatSomebodyElseHasOpen) {
  const fs::path copy = trust_plugin_file(file_, copies_).copy;
  fs::permissions(copy, fs::perms::owner_all);
  std::fstream planted(copy);  // as one who has made the file beforehand and kept it open
  fs::create_symlink(home_ / "target", copies_ / "new-link");
  const fs::path fresh = trust_plugin_file(file_, copies_).copy;
  planted << "spoiled" << std::flush;
  std::string content;
  std::ifstream(fresh) >> content;
  EXPECT_EQ(content, "abc");
  EXPECT_EQ(fs::status(fresh).permissions(), fs::perms::owner_read | fs::perms::owner_exec);
}

TEST_F(Trust, RefusesAFolderOfCopiesThatSomebodyElseHasMade) {
  fs::create_directories(copies_);
  chmod(copies_.c_str(), 0777);
  EXPECT_THAT(refusal(), HasSubstr(copies_.filename().string() + " may be written by everybody"));
  chmod(copies_.c_str(), 0700);
  if (geteuid() != 0 || chown(copies_.c_str(), 1, 0) != 0) GTEST_SKIP() << "only root can give a folder away";
  EXPECT_THAT(refusal(), HasSubstr(" belongs to "));
}

TEST_F(Trust, RefusesAFileBelowAFolderWhereOthersMayRename) {
  chmod(folder_.path().c_str(), 0777);
  EXPECT_THAT(refusal(), HasSubstr(folder_.path().string() + " may be written by everybody"));
  chmod(folder_.path().c_str(), 01777);
  EXPECT_EQ(refusal(), "") << "not with the sticky bit";
}

TEST_F(Trust, RefusesAFileThatEverybodyMayWrite) {
  chmod(file_.c_str(), 0646);
  EXPECT_EQ(refusal(), file_.string() + " may be written by everybody: run `chmod o-w " + file_.string() + "`");
  EXPECT_FALSE(fs::exists(copies_));
}

TEST_F(Trust, RefusesAFolderThatEverybodyMayWrite) {
  chmod(home_.c_str(), 01777);
  EXPECT_EQ(refusal(), home_.string() + " may be written by everybody: run `chmod o-w " + home_.string() + "`");
}

TEST_F(Trust, AllowsTheOwnersOwnGroupToWrite) {
  if (chown(file_.c_str(), geteuid(), getegid()) != 0) GTEST_SKIP() << "cannot choose the file's group here";
  chmod(file_.c_str(), 0664);
  EXPECT_EQ(refusal(), "");
}

TEST_F(Trust, RefusesAnotherGroupThatMayWrite) {
  if (chown(file_.c_str(), geteuid(), getegid() + 1) != 0) GTEST_SKIP() << "only root can give a file to another group";
  chmod(file_.c_str(), 0664);
  EXPECT_THAT(refusal(), HasSubstr("may be written by a group that is not its owner's own: run `chmod g-w "));
}

TEST_F(Trust, RefusesAFileOfAnotherUser) {
  if (geteuid() != 0 || chown(file_.c_str(), 1, 0) != 0) GTEST_SKIP() << "only root can give a file to another user";
  EXPECT_THAT(refusal(), AllOf(HasSubstr(" belongs to "), HasSubstr(", not to root, who runs the gateway")));
}

TEST_F(Trust, RefusesWhatIsNoRegularFile) {
  fs::remove(file_);
  ASSERT_EQ(mkfifo(file_.c_str(), 0600), 0);
  EXPECT_EQ(refusal(), file_.string() + " is not a regular file, so it is no plugin");
}

TEST_F(Trust, RefusesAMissingFile) {
  fs::remove(file_);
  EXPECT_EQ(refusal(), "cannot open the plugin file " + file_.string() + ": No such file or directory");
}

}  // namespace
}  // namespace gatehouse
