// The store's files under its feet: replaced, removed, cut, overwritten or broken by somebody while it runs. Memory is
// the truth: it is written down again, and whatever lay there is moved, never deleted.
#include "db/sqlite.hpp"
#include "db/store/state_reader.hpp"
#include "tests/unit/db/store/life.hpp"

#include <gmock/gmock.h>

#include <fstream>

namespace gatehouse::db {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

class RunningStore : public testing::Test {
 protected:
  void SetUp() override {
    life.open();
    life.write({.sessions = {session(1), session(2)},
                .leases = {lease("a", 1), lease("b", 2)},
                .usage = {usage("token:bob", 7, life.now / 86'400)},
                .values = {value("plain", "p"), value("secret", "s", true)}});
  }
  /// Goes on, and remembers everything at the next start.
  void expect_recovery(int start_overs) {
    SessionRecord ended = session(2);
    ended.ended_at = life.now;
    life.write({.sessions = {session(3), ended}, .released = {{"udpgw", "b"}}});
    EXPECT_EQ(life.start_overs, start_overs);
    life.write({.sessions = {session(4)}});
    life.upkeep();
    EXPECT_EQ(life.start_overs, start_overs);
    life.expect_promises();
    EXPECT_THAT(verify(life.path()), IsEmpty());
    EXPECT_THAT(verify(secrets), IsEmpty());
  }
  std::size_t moved() const {
    std::size_t n = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
      n += entry.path().string().find(".corrupt-") != std::string::npos ? 1 : 0;
    return n;
  }
  /// As where timestamps are coarse: the file has the time that it had.
  void overwrite_unseen(const std::filesystem::path& path, std::size_t at, std::size_t size) const {
    const auto time = std::filesystem::last_write_time(path);
    overwrite(path, at, size);
    std::filesystem::last_write_time(path, time);
  }
  void overwrite(const std::filesystem::path& path, std::size_t at, std::size_t size) const {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(at));
    file << std::string(size, '\xa5');
  }

  ScratchFolder folder{memory_folder()};
  Life life{folder.path() / "state.db"};
  const std::filesystem::path secrets = folder.path() / "secrets.db", log = folder.path() / "state.db-wal",
                              other = folder.path() / "other.db";
};

TEST_F(RunningStore, StartsOverInAFileThatReplacedItsOwn) {
  ScratchFolder elsewhere(memory_folder());
  Life stranger(elsewhere.path() / "state.db");
  stranger.open();
  SessionRecord unknown = session(77);
  stranger.write({.sessions = {unknown}, .leases = {lease("a", 77), lease("unknown", 77)}});
  stranger.close();
  std::filesystem::copy_file(stranger.path(), other);
  std::filesystem::rename(other, life.path());
  expect_recovery(1);
}

TEST_F(RunningStore, StartsOverInAnOlderCopyOfItsFile) {
  back_up(life.path(), other);
  SessionRecord ended = session(1);
  ended.ended_at = life.now;
  life.write({.sessions = {ended}, .released = {{"udpgw", "a"}}});
  std::filesystem::rename(other, life.path());
  expect_recovery(1);
}

TEST_F(RunningStore, GoesOnInAnEqualCopy) {
  back_up(life.path(), other);
  std::filesystem::rename(other, life.path());
  expect_recovery(0);
}

TEST_F(RunningStore, StartsOverWhenItsFileIsRemoved) {
  std::filesystem::remove(life.path());
  expect_recovery(1);
}

TEST_F(RunningStore, StartsOverWhenAllFilesAreRemoved) {
  for (const char* const name : {"state.db", "state.db-wal", "state.db-shm", "secrets.db", "secrets.db-wal",
                                 "secrets.db-shm", "state.epoch", "state.ballast"})
    std::filesystem::remove(folder.path() / name);
  expect_recovery(1);
  EXPECT_TRUE(std::filesystem::exists(folder.path() / "state.epoch"));
}

TEST_F(RunningStore, WritesSecretsAgainWhenTheirFileIsRemoved) {
  std::filesystem::remove(secrets);
  life.write({.sessions = {session(3)}});
  EXPECT_EQ(life.start_overs, 1);
  life.expect_promises();
}

TEST_F(RunningStore, LeavesAReplacedFileWholeForWhoeverKeptIt) {
  std::filesystem::rename(life.path(), other);
  expect_recovery(1);
  Database kept(other, OpenMode::read_only, std::chrono::milliseconds(0));
  EXPECT_EQ(kept.number("SELECT count(*) FROM sessions"), 2) << "the log has moved into the file first";
}

TEST_F(RunningStore, LosesNothingWithItsLog) {
  std::filesystem::remove(log);
  std::filesystem::remove(life.path().string() + "-shm");
  expect_recovery(0);
}

TEST_F(RunningStore, StartsOverWhenItsLogIsCut) {
  std::filesystem::resize_file(log, 0);
  expect_recovery(1);
}

TEST_F(RunningStore, StartsOverWhenItsFileIsWrittenOver) {
  life.close();
  life.open();  // everything is in the file now
  overwrite(life.path(), 0, 8192);
  expect_recovery(1);
  EXPECT_GE(moved(), 1u);
}

TEST_F(RunningStore, SetsASecretsFileAsideThatIsBroken) {
  life.close();
  life.open();
  overwrite(secrets, 100, 4000);
  expect_recovery(1);
  EXPECT_GE(moved(), 1u);
}

TEST_F(RunningStore, NoticesAFileThatIsWrittenOverWithinOneTickOfTheClock) {
  life.close();
  life.open();
  overwrite_unseen(life.path(), 0, 8192);
  expect_recovery(1);
  EXPECT_GE(moved(), 1u);
}

TEST_F(RunningStore, NoticesASecretsFileThatIsWrittenOverWithinOneTickOfTheClock) {
  life.close();
  life.open();
  overwrite_unseen(secrets, 100, 3900);
  expect_recovery(1);
  EXPECT_GE(moved(), 1u);
}

TEST_F(RunningStore, NoticesALogThatIsWrittenOver) {
  overwrite_unseen(log, 8, 24);  // counter, salts and checksum
  EXPECT_TRUE(life.store().needs_write());
  expect_recovery(1);
}

TEST_F(RunningStore, TakesItsOwnCommitsAndCheckpointsForNobodyElses) {
  for (std::uint64_t i = 10; i < 40; ++i) {
    life.write({.sessions = {session(i)}});
    EXPECT_FALSE(life.store().needs_write()) << i;
    if (i % 3 == 0) life.upkeep();
    EXPECT_FALSE(life.store().needs_write()) << i;
  }
  Database reader(life.path(), OpenMode::read_only, std::chrono::milliseconds(0));
  Transaction reading(reader, Transaction::Kind::read);
  static_cast<void>(reader.number("SELECT count(*) FROM sessions"));
  for (std::uint64_t i = 40; i < 50; ++i) {
    life.write({.sessions = {session(i)}});
    life.upkeep();
    EXPECT_FALSE(life.store().needs_write()) << i << ", with a reader in the log";
  }
  reading.commit();
  life.write({.sessions = {session(50)}});
  life.upkeep();
  life.write({.sessions = {session(51)}});
  EXPECT_FALSE(life.store().needs_write());
  EXPECT_EQ(life.start_overs, 0);
}

TEST_F(RunningStore, SetsAFileAsideWhoseTablesAreGone) {
  EXPECT_EQ(run_sqlite_shell(life.path(), "DROP TABLE leases"), "");
  expect_recovery(1);
  EXPECT_GE(moved(), 1u);
}

TEST_F(RunningStore, WaitsAQuarterOfASecondForAnotherProgramsLock) {
  Database shell(life.path(), OpenMode::read_write, std::chrono::milliseconds(0));
  shell.checkpoint_on_close(false);
  std::optional<Transaction> held(std::in_place, shell, Transaction::Kind::immediate);
  const auto begin = std::chrono::steady_clock::now();
  try {
    static_cast<void>(life.store().write({.sessions = {session(3)}}));
    ADD_FAILURE() << "it is locked";
  } catch (const StoreError& error) {
    EXPECT_EQ(error.kind(), StoreError::Kind::busy);
    EXPECT_THAT(error.what(), AllOf(HasSubstr("sqlite3 shell"), HasSubstr(life.path().string())));
  }
  const auto waited = std::chrono::steady_clock::now() - begin;
  EXPECT_GE(waited, std::chrono::milliseconds(200));
  held.reset();
  expect_recovery(0);
}

TEST_F(RunningStore, IsNotHeldUpByAReader) {
  Database reader(life.path(), OpenMode::read_only, std::chrono::milliseconds(0));
  Transaction reading(reader, Transaction::Kind::read);
  EXPECT_EQ(reader.number("SELECT count(*) FROM sessions"), 2);
  life.write({.sessions = {session(3)}});
  life.upkeep();
  EXPECT_EQ(reader.number("SELECT count(*) FROM sessions"), 2) << "its own moment";
  life.kill();
  life.open();  // with that reader in the log
  life.write({.sessions = {session(4)}});
  EXPECT_EQ(life.store().opening().unsure_until, 0);
  reading.commit();
  EXPECT_EQ(reader.number("SELECT count(*) FROM sessions"), 4);
  expect_recovery(0);
}

TEST_F(RunningStore, GoesOnWhenAnotherProgramMovesItsLogIntoTheFile) {
  EXPECT_EQ(run_sqlite_shell(life.path(), "PRAGMA wal_checkpoint(TRUNCATE)"), "0|0|0\n");
  expect_recovery(0);
}

TEST_F(RunningStore, TriesAgainWhileItsFolderIsAway) {
  const std::filesystem::path away = folder.path().string() + ".away";
  std::filesystem::rename(folder.path(), away);
  for (int i = 0; i < 2; ++i) {
    try {
      static_cast<void>(life.store().write({.sessions = {session(9)}}));
      ADD_FAILURE() << "its folder is away";
    } catch (const StoreError& error) {
      EXPECT_EQ(error.kind(), StoreError::Kind::missing) << error.what();
    }
  }
  std::filesystem::rename(away, folder.path());
  expect_recovery(0);
}

TEST_F(RunningStore, RefusesToWriteIntoAFileOfAnotherKindAndRecovers) {
  EXPECT_EQ(run_sqlite_shell(other, "CREATE TABLE theirs (x)"), "");
  std::filesystem::rename(other, life.path());
  try {
    static_cast<void>(life.store().write({.sessions = {session(9)}}));
    ADD_FAILURE() << "it is not ours";
  } catch (const StoreError& error) {
    EXPECT_THAT(error.what(), HasSubstr("is not a state database of Gatehouse"));
  }
  std::filesystem::remove(life.path());
  expect_recovery(1);
}

TEST_F(RunningStore, MakesItsCountAgain) {
  std::filesystem::remove(folder.path() / "state.epoch");
  life.upkeep();
  EXPECT_TRUE(std::filesystem::exists(folder.path() / "state.epoch"));
  life.write({.sessions = {session(3)}});
  life.kill();
  std::filesystem::remove(log);
  life.open();
  EXPECT_GT(life.store().opening().unsure_until, 0);
}

}  // namespace
}  // namespace gatehouse::db
