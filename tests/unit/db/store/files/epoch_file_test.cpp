// What of the file that counts commits is on the disk, and which file that is.
#include "db/store/files/epoch_file.hpp"
#include "tests/unit/db/scratch.hpp"

#include <gatehouse/base/file_stamp.hpp>

#include <gmock/gmock.h>

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

namespace {

// What was synced by this thread, and whether the next time fails.
thread_local std::vector<gatehouse::FileStamp> synced;
thread_local bool sync_fails = false;

}  // namespace

/// In place of the C library's, in this program.
extern "C" int fsync(int fd) {
  struct stat found {};
  if (::fstat(fd, &found) == 0) synced.push_back(gatehouse::FileStamp::of(found));
  if (sync_fails) {
    errno = EIO;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_fsync, fd));
}

namespace gatehouse::db {
namespace {

class EpochOnDisk : public testing::Test {
 protected:
  EpochOnDisk() { synced.clear(); }
  ~EpochOnDisk() override { sync_fails = false; }
  [[nodiscard]] static std::size_t syncs_of(const std::filesystem::path& which) {
    const FileStamp wanted = FileStamp::of(which);
    return static_cast<std::size_t>(
        std::count_if(synced.begin(), synced.end(), [&](const FileStamp& one) { return one.is_file(wanted); }));
  }

  ScratchFolder folder;
  const std::filesystem::path path = folder.path() / "state.epoch";
  EpochFile file{path};
  EpochMark mark{7, 1000, 990, 60};
};

TEST_F(EpochOnDisk, IsSyncedWhenItIsSavedAndNotWhenItIsWritten) {
  ASSERT_TRUE(file.save(mark));
  EXPECT_EQ(syncs_of(path), 1u);
  EXPECT_EQ(syncs_of(folder.path()), 1u) << "the folder has its name now";
  ASSERT_TRUE(file.write(mark));
  EXPECT_EQ(syncs_of(path), 1u);
  ASSERT_TRUE(file.save(mark));
  EXPECT_EQ(syncs_of(path), 2u);
  EXPECT_EQ(syncs_of(folder.path()), 1u);
}

TEST_F(EpochOnDisk, IsBehindWhenItCannotBeSynced) {
  ASSERT_TRUE(file.save(mark));
  EXPECT_FALSE(file.is_behind());
  sync_fails = true;
  EXPECT_FALSE(file.save(mark));
  EXPECT_TRUE(file.is_behind());
  sync_fails = false;
  EXPECT_TRUE(file.write(mark));
  EXPECT_FALSE(file.is_behind());
}

TEST_F(EpochOnDisk, IsNotAnotherFileThatHasItsNameNow) {
  ASSERT_TRUE(file.save(mark));
  ASSERT_TRUE(file.is_there());
  EpochFile other(folder.path() / "other");
  EpochMark older = mark;
  older.n = 1;
  ASSERT_TRUE(other.save(older));
  std::filesystem::rename(folder.path() / "other", path);
  EXPECT_FALSE(file.is_there());
  ++mark.n;
  ASSERT_TRUE(file.save(mark));
  EXPECT_TRUE(file.is_there());
  EXPECT_EQ(EpochFile::read(path).mark, mark);
}

}  // namespace
}  // namespace gatehouse::db
