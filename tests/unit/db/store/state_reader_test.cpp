// Reading, copying and checking the store's files beside the gateway and without one.
#include "db/store/state_reader.hpp"
#include "db/policy/policy_database.hpp"
#include "db/sqlite.hpp"
#include "tests/unit/db/store/life.hpp"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

namespace gatehouse::db {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class StateFile : public testing::Test {
 protected:
  void SetUp() override {
    life.open();
    SessionRecord ended = session(2);
    ended.ended_at = life.now;
    life.write({.sessions = {session(1), ended, session(3)},
                .leases = {lease("a", 1), lease("b", 3, life.now + 60)},
                .usage = {usage("x", 1, 100), usage("y", 2, 101), usage("x", 3, 102)},
                .values = {value("k", "v", true)}});
  }
  std::vector<std::uint64_t> ids(bool ended_too, std::size_t most) {
    std::vector<std::uint64_t> out;
    for (const SessionRecord& found : StateReader(life.path()).sessions(ended_too, most)) out.push_back(found.id);
    return out;
  }
  ScratchFolder folder{memory_folder()};
  Life life{folder.path() / "state.db"};
  const std::filesystem::path copy = folder.path() / "copy.db";
};

TEST_F(StateFile, IsReadWhileTheGatewayWrites) {
  EXPECT_THAT(ids(false, 10), ElementsAre(3, 1));
  EXPECT_THAT(ids(true, 10), ElementsAre(3, 2, 1));
  EXPECT_THAT(ids(true, 2), ElementsAre(3, 2));
  StateReader reader(life.path());
  EXPECT_EQ(reader.leases().size(), 2u);
  const SessionRecord found = reader.sessions(false, 1).at(0);
  EXPECT_EQ(found.key, "key-3");
  EXPECT_EQ(found.source.to_string(), "192.0.2.3:4711");
  EXPECT_EQ(found.totals, session(3).totals);
  EXPECT_EQ(found.blob, nullptr);
  const std::vector<UsageRecord> days = reader.usage(101, 102);
  ASSERT_EQ(days.size(), 2u);
  EXPECT_EQ(days[0].key.day, 102);
  EXPECT_EQ(days[1].key.identity, "y");
  life.write({.sessions = {session(9)}});
  EXPECT_EQ(reader.sessions(false, 1).at(0).id, 9u) << "what was committed since";
}

TEST_F(StateFile, IsReadWithoutAGateway) {
  life.kill();
  EXPECT_THAT(ids(false, 10), ElementsAre(3, 1));
  life.open();
  life.close();
  EXPECT_THAT(ids(false, 10), ElementsAre(3, 1));
  for (const char* const suffix : {"-wal", "-shm"}) std::filesystem::remove(life.path().string() + suffix);
  EXPECT_THAT(ids(false, 10), ElementsAre(3, 1));
}

TEST_F(StateFile, IsReadByWhoMayOnlyRead) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become somebody else";
  constexpr uid_t kNobody = 65534;
  std::filesystem::permissions(folder.path(), std::filesystem::perms{0755});
  const auto read_as_nobody = [&] {
    for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
      if (entry.path().filename().string().starts_with("state.db")) ::chown(entry.path().c_str(), 0, kNobody);
    EXPECT_EQ(::setegid(kNobody), 0);
    EXPECT_EQ(::seteuid(kNobody), 0);
    EXPECT_THAT(ids(false, 10), ElementsAre(3, 1));
    EXPECT_THAT(verify(life.path()), IsEmpty());
    EXPECT_EQ(::seteuid(0), 0);
    EXPECT_EQ(::setegid(0), 0);
  };
  read_as_nobody();  // beside the gateway
  life.kill();
  read_as_nobody();  // after a crash
  life.open();
  life.close();
  read_as_nobody();  // after an orderly end
  for (const char* const suffix : {"-wal", "-shm"}) std::filesystem::remove(life.path().string() + suffix);
  read_as_nobody();
  EXPECT_FALSE(std::filesystem::exists(life.path().string() + "-wal"));
}

TEST_F(StateFile, MustBeThereAndOurs) {
  const auto refusal = [](const std::filesystem::path& path) {
    try {
      StateReader reader(path);
      return std::string();
    } catch (const std::exception& error) {
      return std::string(error.what());
    }
  };
  EXPECT_THAT(refusal(folder.path() / "none.db"), HasSubstr("there is no such file"));
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "none.db"));
  EXPECT_THAT(refusal(folder.path() / "secrets.db"), HasSubstr("is not a state database"));
  life.close();
  run_sqlite_shell(life.path(), "PRAGMA user_version = 9");
  EXPECT_THAT(refusal(life.path()), HasSubstr("schema version 9"));
}

TEST_F(StateFile, IsCopiedWhileTheGatewayWrites) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> told;
  StoreBatch many;
  for (std::uint64_t i = 1000; i < 6000; ++i) many.sessions.push_back(session(i));
  life.write(many);
  back_up(life.path(), copy, [&](std::uint64_t done, std::uint64_t all) {
    life.write({.sessions = {session(7000 + told.size())}});
    told.emplace_back(done, all);
  });
  ASSERT_GT(told.size(), 1u);
  EXPECT_EQ(told.back().first, told.back().second);
  EXPECT_THAT(verify(copy), IsEmpty());
  EXPECT_EQ(StateReader(copy).sessions(true, 99999).size(), 5003u) << "the moment when it began";
  struct stat found {};
  ASSERT_EQ(::stat(copy.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777U, 0640u);
  back_up(folder.path() / "secrets.db", folder.path() / "secrets-copy.db");
  ASSERT_EQ(::stat((folder.path() / "secrets-copy.db").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777U, 0600u);
  EXPECT_THAT(verify(folder.path() / "secrets-copy.db"), IsEmpty());
  life.write({.sessions = {session(8000)}});
  life.expect_promises();
}

TEST_F(StateFile, IsNotCopiedOverAnotherFile) {
  std::ofstream(copy) << "precious";
  EXPECT_THROW(back_up(life.path(), copy), std::runtime_error);
  EXPECT_EQ(std::filesystem::file_size(copy), 8u);
  EXPECT_THROW(back_up(life.path(), folder.path() / "none" / "copy.db"), std::runtime_error);
  EXPECT_THROW(back_up(folder.path() / "none.db", folder.path() / "copy2.db"), std::runtime_error);
  std::size_t leftovers = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
    leftovers += entry.path().filename().string().starts_with("copy2") ? 1 : 0;
  EXPECT_EQ(leftovers, 0u);
}

TEST_F(StateFile, CanBeRestoredFromACopy) {
  back_up(life.path(), copy);
  life.write({.sessions = {session(50)}});
  life.close();
  for (const char* const suffix : {"", "-wal", "-shm"}) std::filesystem::remove(life.path().string() + suffix);
  std::filesystem::rename(copy, life.path());
  const auto store = open_sqlite_store(life.path(), {});
  EXPECT_EQ(store->load(life.now).sessions.size(), 2u);
  EXPECT_GT(store->opening().unsure_until, 0) << "session 50 may have had a lease";
  EXPECT_THAT(store->opening().moved, IsEmpty());
}

TEST_F(StateFile, SaysWhatDoesNotFit) {
  EXPECT_THAT(verify(life.path()), IsEmpty());
  life.close();
  const auto findings_after = [&](const std::string& sql) {
    EXPECT_EQ(run_sqlite_shell(life.path(), sql), "");
    return verify(life.path());
  };
  EXPECT_THAT(findings_after("UPDATE leases SET session_id = 2 WHERE resource = 'a'"),
              ElementsAre(HasSubstr("lease udpgw a is held by a session that has ended or is not there")));
  EXPECT_THAT(findings_after("DELETE FROM leases; UPDATE sessions SET key = 'key-3' WHERE id = 1"),
              ElementsAre(HasSubstr("are live and have the same key")));
  EXPECT_THAT(findings_after("DELETE FROM sessions; DELETE FROM slots WHERE slot > 9"),
              ElementsAre(HasSubstr("slots has 10 rows in place of 4096")));
  EXPECT_THAT(verify(folder.path() / "none.db"), ElementsAre(HasSubstr("there is no such file")));
  run_sqlite_shell(copy, "CREATE TABLE x (y)");
  EXPECT_THAT(verify(copy), ElementsAre(HasSubstr("no database of Gatehouse")));
}

TEST_F(StateFile, WhoseTablesAreViewsIsReadByNobody) {
  life.close();
  ASSERT_EQ(run_sqlite_shell(life.path(),
                             "DROP TABLE sessions; CREATE VIEW sessions AS WITH RECURSIVE n(id) AS "
                             "(SELECT 1 UNION ALL SELECT id + 1 FROM n) SELECT id FROM n"),
            "");
  EXPECT_THAT(verify(life.path()), ElementsAre(HasSubstr("`sessions` is a view")));
  EXPECT_THAT([&] { StateReader{life.path()}; },
              testing::ThrowsMessage<std::runtime_error>(HasSubstr("`sessions` is a view")));
}

TEST_F(StateFile, IsCheckedPageByPage) {
  life.close();
  std::fstream file(life.path(), std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(std::filesystem::file_size(life.path()) - 4096));
  file << std::string(200, '\xa5');
  file.close();
  EXPECT_THAT(verify(life.path()), testing::Not(IsEmpty()));
}

TEST(Verify, KnowsPolicyDatabasesToo) {
  ScratchFolder folder(memory_folder());
  prepare_policy(folder.path() / "policy.db");
  EXPECT_THAT(verify(folder.path() / "policy.db"), IsEmpty());
}

}  // namespace
}  // namespace gatehouse::db
