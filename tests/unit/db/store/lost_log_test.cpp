// Commits that go missing without SQLite saying so: the log cut at each byte of its end, damaged, taken away, or put
// under an older copy. The store opens, holds whole commits only, and says that some are missing exactly when they are.
#include "db/sqlite.hpp"
#include "db/store/files/epoch_file.hpp"
#include "db/store/state_reader.hpp"
#include "tests/unit/db/store/life.hpp"

#include <gmock/gmock.h>

#include <fstream>
#include <iterator>
#include <limits>

namespace gatehouse::db {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

using Content = std::string;

Content content_of(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void put(const std::filesystem::path& path, const Content& content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

std::uint32_t big32(const Content& content, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8U | static_cast<unsigned char>(content.at(at + i));
  return value;
}

/// A log's frames (sqlite.org/fileformat2.html#walformat).
struct Log {
  explicit Log(const Content& content) : page_size(big32(content, 8)) {
    for (std::size_t at = 32; at < content.size(); at += frame_size())
      ends_commit.push_back(big32(content, at + 4) != 0);
  }
  std::size_t frame_size() const { return 24 + page_size; }
  /// Commits that are whole in so many bytes.
  std::size_t commits_in(std::size_t bytes) const {
    const std::size_t frames = bytes < 32 ? 0 : (bytes - 32) / frame_size();
    return static_cast<std::size_t>(
        std::count(ends_commit.begin(), ends_commit.begin() + static_cast<std::ptrdiff_t>(frames), true));
  }
  std::size_t page_size;
  std::vector<bool> ends_commit;
};

/// A store that was killed with a log of several commits. Small pages, so that every byte can be tried.
class KilledStore : public testing::Test {
 protected:
  void SetUp() override {
    life.open();
    life.close();
    EXPECT_EQ(run_sqlite_shell(life.path(), "PRAGMA journal_mode = DELETE; PRAGMA page_size = 512; VACUUM"),
              "delete\n");
    life.open();
    for (std::uint64_t i = 1; i <= kCommits; ++i)
      life.write({.sessions = {session(i)}, .leases = {lease("l" + std::to_string(i), i, life.now + 1000)}});
    life.kill();
    state = content_of(life.path());
    log = content_of(log_path);
    epoch = content_of(epoch_path);
    ASSERT_EQ(Log(log).page_size, 512u);
    ASSERT_EQ(Log(log).commits_in(log.size()), kCommits + 1) << "load() was the first";
  }

  /// The files as they were, but for the log.
  void put_back(const Content& with_log) {
    for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
      if (entry.path().filename().string().starts_with("state.") && entry.path() != folder.path() / "state.ballast")
        std::filesystem::remove(entry.path());
    }
    put(life.path(), state);
    put(epoch_path, epoch);
    put(log_path, with_log);
  }
  /// How many sessions are there when it starts now; `missing`: are commits said to be missing?
  std::size_t sessions_after_start(bool& missing) {
    const auto store = open_sqlite_store(life.path(), {});
    const StoredState found = store->load(life.now);
    missing = store->opening().unsure_until != 0;
    EXPECT_THAT(store->opening().moved, IsEmpty());
    EXPECT_EQ(found.sessions.size(), found.leases.size()) << "half a commit";
    for (const LeaseRecord& found_lease : found.leases) {
      const std::int64_t until = missing ? store->opening().unsure_until : life.now + 1000;
      EXPECT_EQ(found_lease.expires_at, until);
    }
    return found.sessions.size();
  }
  void expect_cut_at(std::size_t bytes) {
    put_back(log.substr(0, bytes));
    const std::size_t commits = Log(log).commits_in(bytes);
    bool missing = false;
    EXPECT_EQ(sessions_after_start(missing), commits == 0 ? 0 : commits - 1) << "cut at " << bytes;
    EXPECT_EQ(missing, commits < kCommits + 1) << "cut at " << bytes;
  }

  static constexpr std::size_t kCommits = 4;
  ScratchFolder folder{memory_folder()};
  Life life{folder.path() / "state.db"};
  const std::filesystem::path log_path = folder.path() / "state.db-wal", epoch_path = folder.path() / "state.epoch";
  Content state, log, epoch;
};

/// The frames, counted from the end.
class KilledStoreFrame : public KilledStore, public testing::WithParamInterface<std::size_t> {};

TEST_P(KilledStoreFrame, MayBeCutAnywhere) {
  const std::size_t size = Log(log).frame_size();
  const std::size_t begin = log.size() - GetParam() * size;
  for (std::size_t at = begin; at < begin + size && !HasFailure(); ++at) expect_cut_at(at);
  EXPECT_THAT(verify(life.path()), IsEmpty());
}

TEST_P(KilledStoreFrame, MayBeDamagedAnywhere) {
  const std::size_t size = Log(log).frame_size();
  const std::size_t begin = log.size() - GetParam() * size;
  for (std::size_t at = begin; at < begin + size && !HasFailure(); at += at < begin + 24 ? 1 : 13) {
    Content damaged = log;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    put_back(damaged);
    const std::size_t whole = Log(log).commits_in(begin);
    bool missing = false;
    EXPECT_EQ(sessions_after_start(missing), whole - 1) << "byte " << at;
    EXPECT_TRUE(missing) << "byte " << at;
  }
}

INSTANTIATE_TEST_SUITE_P(FromTheEnd, KilledStoreFrame, testing::Values(1u, 2u, 3u));

TEST_F(KilledStore, IsWholeWhenNothingHappened) { expect_cut_at(log.size()); }

TEST_F(KilledStore, NoticesThatTheLogIsGone) {
  put_back({});
  std::filesystem::remove(log_path);
  bool missing = false;
  EXPECT_EQ(sessions_after_start(missing), 0u);
  EXPECT_TRUE(missing);
}

TEST_F(KilledStore, NoticesALogWithoutItsHeader) {
  Content damaged = log;
  std::fill_n(damaged.begin(), 32, '\0');
  put_back(damaged);
  bool missing = false;
  EXPECT_EQ(sessions_after_start(missing), 0u);
  EXPECT_TRUE(missing);
}

TEST_F(KilledStore, IsUnsureForAsLongAsTheLongestLeaseLasts) {
  put_back({});
  const std::int64_t before = unix_now();
  auto store = open_sqlite_store(life.path(), {});
  const std::int64_t unsure_until = store->opening().unsure_until;
  EXPECT_GE(unsure_until, before + 990) << "leases were for 1000 s";
  EXPECT_LE(unsure_until, unix_now() + 1000);
  store.reset();
  store = open_sqlite_store(life.path(), {});
  EXPECT_EQ(store->opening().unsure_until, unsure_until) << "a second crash does not make it forget";
  EXPECT_EQ(store->write({.sessions = {session(9)}}), Store::Written::done);
  store->close();
  store.reset();
  store = open_sqlite_store(life.path(), {});
  EXPECT_TRUE(store->opening().clean);
  EXPECT_EQ(store->opening().unsure_until, unsure_until);
}

TEST_F(KilledStore, NeverUsesTheNumbersOfLostSessions) {
  put_back({});
  EXPECT_GT(open_sqlite_store(life.path(), {})->load(life.now).last_session_id, kCommits);
}

TEST_F(KilledStore, SaysThatTheCountIsGoneOrBrokenAndGoesOn) {
  for (const Content& found : {Content(), Content("rubbish"), Content(32, '\0')}) {
    put_back(log);
    put(epoch_path, found);
    if (found.empty()) std::filesystem::remove(epoch_path);
    const auto store = open_sqlite_store(life.path(), {});
    EXPECT_EQ(store->opening().unsure_until, 0);
    EXPECT_THAT(store->opening().remarks, testing::ElementsAre(HasSubstr(found.empty() ? "gone" : "broken")));
    EXPECT_EQ(store->load(life.now).sessions.size(), kCommits);
    EXPECT_EQ(EpochFile::read(epoch_path).found, EpochFile::Found::sound);
  }
}

TEST_F(KilledStore, TakesEachByteOfTheCountForItself) {
  for (std::size_t at = 0; at < epoch.size(); ++at) {
    put_back(log);
    Content damaged = epoch;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    put(epoch_path, damaged);
    EXPECT_EQ(open_sqlite_store(life.path(), {})->opening().unsure_until, 0) << at;
  }
}

/// state.db as it was some commits and a checkpoint ago.
class OlderCopy : public testing::Test {
 protected:
  void SetUp() override {
    life.open();
    life.write({.sessions = {session(1)}, .leases = {lease("a", 1, life.now + 500)}});
    back_up(life.path(), copy);
    life.write({.sessions = {session(2)}, .leases = {lease("b", 2, life.now + 500)}});
    life.kill();
    life.open();  // moves the log into the file
    life.write({.sessions = {session(3)}});
    life.kill();
  }
  StoredState start() {
    store = open_sqlite_store(life.path(), {});
    return store->load(life.now);
  }
  std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (const auto& entry : std::filesystem::directory_iterator(folder.path())) out.push_back(entry.path().filename());
    return out;
  }
  ScratchFolder folder{memory_folder()};
  Life life{folder.path() / "state.db"};
  const std::filesystem::path copy = folder.path() / "copy.db";
  std::unique_ptr<Store> store;
};

TEST_F(OlderCopy, IsNoticed) {
  std::filesystem::rename(copy, life.path());
  std::filesystem::remove(life.path().string() + "-wal");
  const StoredState found = start();
  EXPECT_GT(store->opening().unsure_until, 0);
  EXPECT_EQ(found.sessions.size(), 1u);
  ASSERT_EQ(found.leases.size(), 1u);
  EXPECT_EQ(found.leases[0].expires_at, store->opening().unsure_until) << "it may have been renewed since";
}

TEST_F(OlderCopy, LeavesLeasesWithoutATimeInDoubtForAnHour) {
  life.open();
  life.write({.leases = {lease("c", 1)}});
  life.kill();
  life.open();  // what it has is known at the next start, too
  life.kill();
  std::filesystem::rename(copy, life.path());
  std::filesystem::remove(life.path().string() + "-wal");
  start();
  EXPECT_GE(store->opening().unsure_until, unix_now() + 3590);
}

TEST_F(OlderCopy, LeavesValuesInDoubtUntilTheyAreWritten) {
  life.open();
  life.write({.values = {value("n", "41"), value("m", "7"), value("s", "9", true)}});
  const auto older = folder.path() / "older.db";
  back_up(life.path(), older);
  life.write({.values = {value("n", "42")}});
  life.close();
  std::filesystem::rename(older, life.path());
  const auto doubtful = [this] {
    std::vector<std::string> names;
    const StoredState state = start();
    for (const ValueRecord& record : state.values)
      if (record.is_doubtful) names.push_back(record.key.name);
    return names;
  };
  EXPECT_THAT(doubtful(), testing::UnorderedElementsAre("n", "m"));
  EXPECT_EQ(store->write({.values = {value("n", "4294967339")}}), Store::Written::done);
  store.reset();
  EXPECT_THAT(doubtful(), testing::ElementsAre("m")) << "at the next start, too";
  EXPECT_FALSE(store->load(life.now).lacks_values);
}

TEST_F(OlderCopy, IsNotMixedWithTheLogOfANewerOne) {
  std::filesystem::copy_file(copy, life.path(), std::filesystem::copy_options::overwrite_existing);
  const StoredState found = start();
  EXPECT_GT(store->opening().unsure_until, 0);
  EXPECT_EQ(found.sessions.size(), 1u);
  ASSERT_FALSE(store->opening().moved.empty());
  EXPECT_THAT(store->opening().moved[0].string(), testing::EndsWith("-wal"));
  EXPECT_THAT(store->opening().remarks, testing::Contains(HasSubstr("older copy")));
  store.reset();
  EXPECT_THAT(verify(life.path()), IsEmpty());
}

TEST_F(OlderCopy, OfTheSecretsIsRemarkedOn) {
  const auto secrets = folder.path() / "secrets.db";
  life.open();
  back_up(secrets, folder.path() / "older.db");
  life.write({.values = {value("k", "v", true)}});
  life.close();
  std::filesystem::rename(folder.path() / "older.db", secrets);
  EXPECT_THAT(start().values, IsEmpty());
  EXPECT_EQ(store->opening().unsure_until, 0);
  EXPECT_THAT(store->opening().remarks, testing::ElementsAre(HasSubstr("secrets.db lacks commits")));
  store.reset();
  start();
  EXPECT_THAT(store->opening().remarks, IsEmpty()) << "it was said";
}

TEST_F(OlderCopy, OfAnotherGatewayIsNoticedWhateverItsCount) {
  ScratchFolder elsewhere(memory_folder());
  Life other(elsewhere.path() / "state.db");
  other.open();
  for (std::uint64_t i = 1; i < 30; ++i) other.write({.sessions = {session(i)}});
  other.close();
  std::filesystem::copy_file(other.path(), life.path(), std::filesystem::copy_options::overwrite_existing);
  std::filesystem::remove(life.path().string() + "-wal");
  EXPECT_EQ(start().sessions.size(), 29u);
  EXPECT_GT(store->opening().unsure_until, 0);
}

TEST_F(OlderCopy, ThatIsNotThereIsNoticedToo) {
  std::filesystem::remove(life.path());
  const StoredState found = start();
  EXPECT_TRUE(store->opening().created);
  EXPECT_FALSE(store->opening().clean);
  EXPECT_GT(store->opening().unsure_until, unix_now() + 400);
  EXPECT_EQ(found.sessions.size(), 0u);
  EXPECT_THAT(store->opening().moved, testing::Contains(HasSubstr("-wal"))) << "SQLite would have deleted it";
}

TEST_F(OlderCopy, IsSeenByVerify) {
  EXPECT_THAT(verify(life.path()), IsEmpty());
  std::filesystem::rename(copy, life.path());
  std::filesystem::remove(life.path().string() + "-wal");
  EXPECT_THAT(verify(life.path()), testing::ElementsAre(HasSubstr("commits are missing")));
}

TEST(EpochFile, KeepsItsMark) {
  ScratchFolder folder;
  const auto path = folder.path() / "state.epoch";
  EXPECT_EQ(EpochFile::read(path).found, EpochFile::Found::nothing);
  EpochFile file(path);
  const EpochMark mark{0x7123456789abcdef, 1'000'000'000'000, 999'999'999'000, 86'400};
  EXPECT_FALSE(file.write(mark)) << "nothing was opened yet";
  ASSERT_TRUE(file.save(mark));
  EXPECT_EQ(EpochFile::read(path).mark, mark);
  EXPECT_EQ(std::filesystem::file_size(path), 32u);
  EpochMark next = mark;
  next.n += std::uint64_t{1} << 33U;  // so many commits without a checkpoint do not fit
  EXPECT_TRUE(file.write(next));
  next.checkpointed = 0;
  EXPECT_EQ(EpochFile::read(path).mark, next);
  std::filesystem::remove(path);
  EXPECT_FALSE(file.is_there());
  ASSERT_TRUE(file.save(mark));
  EXPECT_EQ(EpochFile::read(path).mark, mark);
}

}  // namespace
}  // namespace gatehouse::db
