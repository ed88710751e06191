#include "db/file/own_database.hpp"
#include "db/policy/policy_copy.hpp"
#include "db/policy/policy_database.hpp"
#include "db/store/store.hpp"
#include "tests/unit/db/scratch.hpp"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace gatehouse::db {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

constexpr uid_t kSomebody = 4242;

class OwnDatabase : public testing::Test {
 protected:
  fs::path make(const std::string& name) const {
    std::ofstream(folder.path() / name) << "x";
    return folder.path() / name;
  }
  ScratchFolder folder;
  const fs::path state = folder.path() / "state.db", precious = make("precious");
};

TEST_F(OwnDatabase, MayBeMissingAndMayBeALinkOfOurs) {
  EXPECT_EQ(why_not_own_store(state), "");
  EXPECT_EQ(why_not_own_policy(state), "");
  fs::create_directory(folder.path() / "db");
  fs::create_symlink("db/state.db", state);
  EXPECT_EQ(why_not_own_store(state), "") << "its target is not there yet";
  make("db/state.db"), make("db/state.db-wal"), make("db/state.db-shm");
  EXPECT_EQ(why_not_own_store(state), "");
  fs::create_symlink(precious, folder.path() / "db" / "state.db-journal");
  EXPECT_THAT(why_not_own_store(state), HasSubstr("db/state.db-journal is a symbolic link"))
      << "what lies at the target";
}

TEST_F(OwnDatabase, HasNoLinkAndNoSecondNameBesideIt) {
  make("state.db"), make("secrets.db");
  for (const char* name : {"state.db-wal", "state.db-shm", "state.db-journal", "secrets.db-wal", "secrets.db-shm",
                           "secrets.db-journal", "state.lock", "secrets.lock", "state.epoch"}) {
    const fs::path planted = folder.path() / name;
    fs::create_symlink(precious, planted);
    EXPECT_THAT(why_not_own_store(state), StartsWith(planted.string() + " is a symbolic link"));
    fs::remove(planted);
    fs::create_hard_link(precious, planted);
    EXPECT_THAT(why_not_own_store(state), StartsWith(planted.string() + " is a file with a second name"));
    fs::remove(planted);
    make(name);
    EXPECT_EQ(why_not_own_store(state), "");
  }
}

TEST_F(OwnDatabase, OfAPolicyMayHaveASecondName) {
  fs::create_hard_link(precious, state);
  EXPECT_THAT(why_not_own_store(state), HasSubstr("state.db is a file with a second name (a hard link): put a copy"));
  EXPECT_EQ(why_not_own_policy(state), "");
  fs::remove(state);
  ASSERT_EQ(::mkfifo(state.c_str(), 0600), 0);
  EXPECT_THAT(why_not_own_policy(state), HasSubstr("state.db is no regular file: put a copy"));
}

TEST_F(OwnDatabase, OfAPolicyIsLookedAtWithItsCopies) {
  for (const fs::path& copy : {last_good_path(state), former_good_path(state)}) {
    ASSERT_EQ(::mkfifo(copy.c_str(), 0600), 0);
    EXPECT_THAT(why_not_own_policy(state), StartsWith(copy.string() + " is no regular file"));
    fs::remove(copy);
  }
}

TEST_F(OwnDatabase, BelongsToNobodyElse) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  make("state.db");
  for (const fs::path& file : {make("state.db-wal"), state}) {
    ASSERT_EQ(::chown(file.c_str(), kSomebody, 0), 0);
    EXPECT_THAT(why_not_own_store(state), AllOf(StartsWith(file.string() + " belongs to 4242"),
                                                HasSubstr("move the database away with all that is beside it")));
    EXPECT_THAT(why_not_own_policy(state), StartsWith(file.string() + " belongs to 4242"));
  }
}

TEST_F(OwnDatabase, IsNotWhatALinkOfSomebodyElseLeadsTo) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a link away";
  for (const char* name : {"state.db", "secrets.db"}) {
    const fs::path link = folder.path() / name;
    fs::create_symlink(precious, link);
    ASSERT_EQ(::lchown(link.c_str(), kSomebody, 0), 0);
    EXPECT_THAT(why_not_own_store(state), StartsWith(link.string() + " belongs to 4242"));
    EXPECT_THAT(why_not_own_policy(link), StartsWith(link.string() + " belongs to 4242"));
    fs::remove(link);
  }
}

}  // namespace
}  // namespace gatehouse::db
