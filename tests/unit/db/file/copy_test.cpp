#include "db/file/copy.hpp"

#include "tests/unit/db/scratch.hpp"

#include <gmock/gmock.h>

namespace gatehouse::db {
namespace {

namespace fs = std::filesystem;

TEST(Copy, GivesNoRightsToWhatALinkInItsPlaceLeadsTo) {
  const ScratchFolder folder;
  const fs::path from = folder.path() / "from.db", victim = folder.path() / "victim", place = folder.path() / "place";
  ASSERT_EQ(run_sqlite_shell(from, "CREATE TABLE t (x)"), "");
  fs::permissions(from, fs::perms(0644));
  std::ofstream(victim) << "precious";
  fs::permissions(victim, fs::perms(0600));
  fs::create_directory(place);
  const auto plant = [&](std::uint64_t done, std::uint64_t all) {  // as whoever may write to that folder can
    if (done != all) return;
    const fs::path half = fs::directory_iterator(place)->path();
    fs::remove(half);
    fs::create_symlink(victim, half);
  };
  EXPECT_THROW(copy_database(from, place / "to.db", Existing::refuse, plant), std::runtime_error);
  EXPECT_EQ(fs::status(victim).permissions(), fs::perms(0600));
  EXPECT_TRUE(fs::is_empty(place));
}

}  // namespace
}  // namespace gatehouse::db
