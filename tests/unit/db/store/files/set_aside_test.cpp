// Broken files get names that nothing else has.
#include "db/store/files/set_aside.hpp"
#include "tests/unit/db/scratch.hpp"

#include <gmock/gmock.h>

#include <fstream>

namespace gatehouse::db {
namespace {

class SetAside : public testing::Test {
 protected:
  void make(const std::filesystem::path& path, const char* text = "x") const { std::ofstream(path) << text; }

  ScratchFolder folder;
  const std::filesystem::path database = folder.path() / "state.db";
  std::vector<std::filesystem::path> moved;
};

TEST_F(SetAside, MovesAFileWithWhatBelongsToIt) {
  for (const char* const suffix : {"", "-wal", "-shm"}) make(database.string() + suffix, suffix);
  set_aside(database, moved);
  ASSERT_EQ(moved.size(), 3u);
  EXPECT_EQ(moved[1], moved[0].string() + "-wal");
  EXPECT_EQ(moved[2], moved[0].string() + "-shm");
  EXPECT_THAT(moved[0].filename().string(), testing::MatchesRegex("state\\.db\\.corrupt-[0-9]+T[0-9]+Z"));
  EXPECT_FALSE(std::filesystem::exists(database));
  EXPECT_FALSE(std::filesystem::exists(database.string() + "-wal"));
}

TEST_F(SetAside, OverwritesNothingThatWasSetAsideBefore) {
  // More than a second holds, so that some have the same time: each a file, or a log alone.
  for (int i = 0; i < 6; ++i) {
    make(database.string() + (i % 2 == 0 ? "" : "-wal"), std::to_string(i).c_str());
    set_aside(database, moved);
  }
  ASSERT_EQ(moved.size(), 6u);
  for (int i = 0; i < 6; ++i) {
    std::string text;
    std::ifstream(moved[static_cast<std::size_t>(i)]) >> text;
    EXPECT_EQ(text, std::to_string(i)) << moved[static_cast<std::size_t>(i)];
    const std::filesystem::path log = moved[static_cast<std::size_t>(i)].string() + "-wal";
    EXPECT_FALSE(i % 2 == 0 && std::filesystem::exists(log)) << log;
  }
}

TEST_F(SetAside, LeavesALogOfNoBytes) {
  make(database.string() + "-wal", "");
  set_log_aside(database, moved);
  EXPECT_THAT(moved, testing::IsEmpty());
  make(database.string() + "-wal");
  make(database);
  set_log_aside(database, moved);
  EXPECT_EQ(moved.size(), 1u);
  EXPECT_TRUE(std::filesystem::exists(database));
}

}  // namespace
}  // namespace gatehouse::db
