// How a store opens: alone, with its own files and no others, of its own version or an older one, and after a crash.
#include "db/migrations.hpp"
#include "db/sqlite.hpp"
#include "db/store/files/database_file.hpp"
#include "db/store/state_reader.hpp"
#include "tests/unit/db/store/life.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <fstream>
#include <thread>

namespace gatehouse::db {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

/// What opening it throws, or "".
std::string refusal(const std::filesystem::path& state_db) {
  try {
    static_cast<void>(open_sqlite_store(state_db, {}));
    return {};
  } catch (const std::exception& error) {
    return error.what();
  }
}

class StoreFiles : public testing::Test {
 protected:
  std::string mode(const std::string& name) const {
    struct stat found {};
    if (::stat((folder.path() / name).c_str(), &found) != 0) return "none";
    std::array<char, 8> text{};
    std::snprintf(text.data(), text.size(), "%04o", found.st_mode & 07777U);
    return text.data();
  }
  void make() const { open_sqlite_store(path, {})->close(); }
  ScratchFolder folder{memory_folder()};
  const std::filesystem::path path = folder.path() / "state.db", secrets = folder.path() / "secrets.db";
};

TEST_F(StoreFiles, NeverWritesToWhatAPlantedLinkLeadsTo) {
  const std::filesystem::path target = folder.path() / "target";
  for (const char* const name : {"state.lock", "secrets.lock", "state.epoch", "state.ballast"}) {
    std::ofstream(target) << "untouched";
    std::filesystem::remove(folder.path() / name);
    std::filesystem::create_symlink(target, folder.path() / name);
    static_cast<void>(refusal(path));
    std::string now;
    std::ifstream(target) >> now;
    EXPECT_EQ(now, "untouched") << name;
    std::filesystem::remove(folder.path() / name);
  }
  std::filesystem::remove(folder.path() / "state.lock");
  std::filesystem::create_symlink(target, folder.path() / "state.lock");
  EXPECT_THAT(refusal(path), HasSubstr("state.lock is a symbolic link, where the gateway keeps a file of its own"));
}

TEST_F(StoreFiles, CanBeReadByThoseWhoMayOnly) {
  const mode_t before = ::umask(0);
  const auto store = open_sqlite_store(path, {});
  ::umask(before);
  static_cast<void>(store->load(unix_now()));
  EXPECT_EQ(store->write({.values = {value("k", "v", true)}}), Store::Written::done);
  for (const char* const name : {"state.db", "state.db-wal", "state.db-shm", "state.lock", "state.epoch"})
    EXPECT_EQ(mode(name), "0640") << name;
  for (const char* const name : {"secrets.db", "secrets.db-wal", "secrets.db-shm", "state.ballast"})
    EXPECT_EQ(mode(name), "0600") << name;
  EXPECT_EQ(std::filesystem::file_size(folder.path() / "state.ballast"), 1U << 20U);
}

TEST_F(StoreFiles, AreClosedToOthersAgain) {
  make();
  for (const auto& file : {path, secrets}) std::filesystem::permissions(file, std::filesystem::perms{0666});
  const auto store = open_sqlite_store(path, {});
  EXPECT_EQ(mode("state.db"), "0640");
  EXPECT_EQ(mode("secrets.db"), "0600");
}

TEST_F(StoreFiles, AreMadeUnderANarrowUmaskToo) {
  const mode_t before = ::umask(0077);
  make();
  ::umask(before);
  EXPECT_EQ(mode("state.db"), "0640");
}

TEST_F(StoreFiles, HaveTheSettingsThatKeepThemSound) {
  make();
  EXPECT_EQ(
      run_sqlite_shell(path, "PRAGMA journal_mode; PRAGMA auto_vacuum; PRAGMA application_id; PRAGMA user_version"),
      "wal\n2\n" + std::to_string(kStateApplicationId) + "\n4\n");
  EXPECT_EQ(
      run_sqlite_shell(path, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE '%STRICT%'"),
      "0\n");
  StoreOpening told;
  DatabaseFile file(path, state_kind(), told);
  for (const auto& [name, wanted] :
       std::initializer_list<std::pair<const char*, std::int64_t>>{{"synchronous", 2},
                                                                   {"busy_timeout", 250},
                                                                   {"wal_autocheckpoint", 0},
                                                                   {"mmap_size", 0},
                                                                   {"cell_size_check", 1},
                                                                   {"secure_delete", 2},
                                                                   {"journal_size_limit", 64 << 20},
                                                                   {"foreign_keys", 1},
                                                                   {"trusted_schema", 0},
                                                                   {"temp_store", 2}})
    EXPECT_EQ(file.database().number(std::string("PRAGMA ") + name), wanted) << name;
  EXPECT_THROW(file.database().run("PRAGMA writable_schema = ON; DELETE FROM sqlite_schema"), SqliteError);
  EXPECT_THROW(file.database().run("SELECT \"no such column\""), SqliteError);
}

TEST_F(StoreFiles, OfAnotherProgramAreLeftAlone) {
  EXPECT_EQ(run_sqlite_shell(path, "CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)"), "");
  EXPECT_THAT(refusal(path), AllOf(HasSubstr(path.string()), HasSubstr("is not a state database of Gatehouse")));
  EXPECT_EQ(run_sqlite_shell(path, "SELECT * FROM theirs; PRAGMA journal_mode"), "1\ndelete\n");
  std::filesystem::remove(path);
  EXPECT_EQ(run_sqlite_shell(secrets, "CREATE TABLE theirs (x)"), "");
  EXPECT_THAT(refusal(path), HasSubstr("is not a secrets database of Gatehouse"));
}

TEST_F(StoreFiles, OfANewerVersionAreRefused) {
  make();
  EXPECT_EQ(run_sqlite_shell(path, "PRAGMA user_version = 5"), "");
  EXPECT_THAT(refusal(path), AllOf(HasSubstr("has schema version 5 and this Gatehouse knows 4"),
                                   HasSubstr("update Gatehouse, or restore an older copy")));
  EXPECT_EQ(run_sqlite_shell(path, "PRAGMA user_version; SELECT clean FROM epoch"), "5\n1\n");
}

TEST_F(StoreFiles, OfAVersionThatNobodyGaveThemAreRefused) {
  make();
  for (const auto& file : {path, secrets}) {
    for (const char* version : {"-1", "-2147483648", "0"}) {
      EXPECT_EQ(run_sqlite_shell(file, std::string("PRAGMA user_version = ") + version), "");
      EXPECT_THAT(refusal(path), AllOf(HasSubstr(file.string() + " has schema version " + version),
                                       HasSubstr("which no Gatehouse has given it"), HasSubstr("restore a copy")));
    }
    EXPECT_EQ(run_sqlite_shell(file, file == path ? "PRAGMA user_version = 4" : "PRAGMA user_version = 1"), "");
  }
}

TEST_F(StoreFiles, GoOnFromSoundNumbersWhereSomebodyWroteTheLastThatThereAre) {
  const std::string last = std::to_string(std::numeric_limits<std::int64_t>::max());
  Life life(path);
  life.open();
  life.write({.sessions = {session(7)}});
  for (const auto& [file, column] :
       {std::pair(path, "last_session_id"), {path, "n"}, {path, "secrets_n"}, {secrets, "n"}}) {
    life.kill();
    EXPECT_EQ(run_sqlite_shell(file, std::string("UPDATE epoch SET ") + column + " = " + last), "") << column;
    life.open();
    const std::uint64_t skipped = life.store().load(unix_now()).last_session_id;
    EXPECT_GE(skipped, 7u) << column;
    EXPECT_LT(skipped, kLastNumber / 2) << column;
    life.write({.sessions = {session(skipped + 1)}, .values = {value("k", "v", true)}});
  }
  life.expect_promises();
  life.close();
  EXPECT_EQ(run_sqlite_shell(path, "SELECT count(*) FROM epoch WHERE n BETWEEN 1 AND 100 AND secrets_n < 100"), "1\n");
}

TEST_F(StoreFiles, OfAnOlderVersionAreUpdatedWithACopyKept) {
  make();
  std::vector<std::string_view> migrations(state_migrations().begin(), state_migrations().end());
  migrations.push_back("ALTER TABLE slots ADD COLUMN lease_until INTEGER");
  FileKind next = state_kind();
  next.migrations = migrations;
  const auto columns = [&](const std::filesystem::path& file) {
    return run_sqlite_shell(file, "SELECT count(*) FROM pragma_table_info('slots'); PRAGMA user_version");
  };
  for (const char* const leftover : {"", "of an attempt that broke off"}) {
    if (*leftover) {
      std::ofstream(path.string() + ".v4") << leftover;
      EXPECT_EQ(run_sqlite_shell(path, "ALTER TABLE slots DROP COLUMN lease_until; PRAGMA user_version = 4"), "");
    }
    StoreOpening told;
    DatabaseFile file(path, next, told);
    EXPECT_EQ(file.from_version(), 4);
    EXPECT_FALSE(file.created());
    EXPECT_EQ(file.backup(), path.string() + ".v4");
    EXPECT_EQ(mode("state.db.v4"), "0640");
    EXPECT_EQ(columns(path), "4\n5\n");
    EXPECT_EQ(columns(file.backup()), "3\n4\n");
    EXPECT_THAT(told.moved, IsEmpty());
  }
}

TEST_F(StoreFiles, ThatAreBrokenAreSetAside) {
  Life life(path);
  life.open();
  life.write({.sessions = {session(1)}, .leases = {lease("a", 1, life.now + 700)}});
  life.close();
  for (int i = 1; i <= 2; ++i) {  // also twice in one second
    std::fstream(path, std::ios::in | std::ios::out | std::ios::binary) << std::string(100, '\0');
    const auto store = open_sqlite_store(path, {});
    EXPECT_TRUE(store->opening().created);
    EXPECT_FALSE(store->opening().clean);
    EXPECT_GT(store->opening().unsure_until, unix_now() + 600);
    ASSERT_FALSE(store->opening().moved.empty());
    const std::string moved = store->opening().moved[0];
    EXPECT_THAT(moved, testing::StartsWith(path.string() + ".corrupt-2"));
    EXPECT_GT(std::filesystem::file_size(moved), 4096u);
    EXPECT_THAT(lines(store->load(unix_now())), IsEmpty());
    store->close();
  }
}

TEST_F(StoreFiles, ThatAreBrokenInsideAreSetAside) {
  Life life(path);
  life.open();
  StoreBatch many;
  for (std::uint64_t i = 1; i < 500; ++i) many.sessions.push_back(session(i));
  life.write(many);
  life.close();
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(std::filesystem::file_size(path) - 8192));
  file << std::string(4096, '\xa5');
  file.close();
  const auto store = open_sqlite_store(path, {});
  EXPECT_TRUE(store->opening().created);
  EXPECT_THAT(store->opening().moved, testing::Not(IsEmpty()));
}

TEST_F(StoreFiles, WhoseTablesAreViewsAreRefusedWithoutRunningThem) {
  for (const std::string table : {"sessions", "leases", "usage", "plugin_values", "epoch"}) {
    make();
    ASSERT_EQ(run_sqlite_shell(path, "DROP TABLE " + table + "; CREATE VIEW " + table +
                                         " AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
                                         "SELECT i AS id, i AS n FROM n"),
              "");
    EXPECT_THAT(refusal(path), AllOf(HasSubstr('`' + table + "` is a view"), HasSubstr("move the file away")));
    std::filesystem::remove(path);
  }
}

TEST_F(StoreFiles, WithAComputedColumnAreRefusedAndLoseNothing) {
  Life life(path);
  life.open();
  life.write({.sessions = {session(1)}});
  life.close();
  ASSERT_EQ(run_sqlite_shell(path, "ALTER TABLE sessions ADD COLUMN day INTEGER AS (created_at / 86400)"), "");
  EXPECT_THAT(refusal(path), HasSubstr("`day` of `sessions` is computed there, and has to be stored: undo that"));
  ASSERT_EQ(run_sqlite_shell(path, "ALTER TABLE sessions DROP COLUMN day"), "");
  life.expect_promises();
}

TEST_F(StoreFiles, ThatAreBrokenWithoutACountLeaveDoubtForAnHour) {
  make();
  std::fstream(path, std::ios::in | std::ios::out | std::ios::binary) << std::string(100, '\0');
  std::filesystem::remove(folder.path() / "state.epoch");
  const auto store = open_sqlite_store(path, {});
  EXPECT_NEAR(static_cast<double>(store->opening().unsure_until), static_cast<double>(unix_now() + 3600), 2);
}

TEST_F(StoreFiles, OfSecretsThatAreBrokenAreSetAsideAlone) {
  Life life(path);
  life.open();
  life.write({.sessions = {session(1)}, .values = {value("k", "v", true)}});
  life.close();
  std::fstream(secrets, std::ios::in | std::ios::out | std::ios::binary) << std::string(100, '\0');
  const auto store = open_sqlite_store(path, {});
  EXPECT_EQ(store->load(unix_now()).sessions.size(), 1u);
  EXPECT_EQ(store->opening().unsure_until, 0);
  ASSERT_FALSE(store->opening().moved.empty());
  EXPECT_THAT(store->opening().moved[0].string(), HasSubstr("secrets.db.corrupt-"));
  EXPECT_THAT(store->opening().remarks, testing::ElementsAre(HasSubstr("secrets.db lacks commits")));
}

TEST_F(StoreFiles, WhoseFolderIsMissingAreNotMade) {
  const auto nowhere = folder.path() / "none" / "state.db";
  try {
    static_cast<void>(open_sqlite_store(nowhere, {}));
    ADD_FAILURE();
  } catch (const StoreError& error) {
    EXPECT_EQ(error.kind(), StoreError::Kind::missing);
  }
}

/// A process that runs `task` and waits to be killed.
class Child {
 public:
  explicit Child(const std::function<void(int)>& task) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
    pid_ = ::fork();
    if (pid_ == 0) {
      try {
        task(ends[1]);
      } catch (const std::exception& error) {
        std::fprintf(stderr, "child: %s\n", error.what());
      }
      for (;;) ::pause();
    }
    ::close(ends[1]);
    from_ = ends[0];
  }
  ~Child() {
    kill();
    ::close(from_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  pid_t pid() const { return pid_; }
  /// The next number that it has sent; 0 = it has ended.
  std::uint64_t next() const {
    std::uint64_t number = 0;
    return ::read(from_, &number, sizeof number) == sizeof number ? number : 0;
  }

 private:
  pid_t pid_ = -1;
  int from_ = -1;
};

void send(int to, std::uint64_t number) {
  if (::write(to, &number, sizeof number) != sizeof number) ::_exit(1);
}

TEST_F(StoreFiles, BelongToOneProcessAtATime) {
  Child holder([this](int to) {
    const auto store = open_sqlite_store(path, {});
    send(to, 1);
    for (;;) ::pause();
  });
  ASSERT_EQ(holder.next(), 1u);
  EXPECT_THAT(refusal(path), AllOf(HasSubstr(path.string() + " is in use by another gateway"),
                                   HasSubstr("process " + std::to_string(holder.pid()) + " ("), HasSubstr("unit_db"),
                                   HasSubstr(", since 2"), HasSubstr("state_dir")));
  holder.kill();
  EXPECT_EQ(refusal(path), "");
  const auto store = open_sqlite_store(path, {});
  EXPECT_THAT(refusal(path), HasSubstr("process " + std::to_string(::getpid()) + " (")) << "in one process too";
}

TEST_F(StoreFiles, BelongToOneProcessWhateverTheirPath) {
  std::filesystem::create_directory(folder.path() / "db");
  std::filesystem::create_symlink("db", folder.path() / "way");
  std::filesystem::create_symlink("way/state.db", path);
  const auto target = folder.path() / "db" / "state.db";
  const auto store = open_sqlite_store(path, {});  // nothing is there yet
  EXPECT_TRUE(std::filesystem::exists(target));
  for (const char* const name : {"db/state.lock", "db/state.epoch", "db/state.ballast", "db/secrets.db"})
    EXPECT_TRUE(std::filesystem::exists(folder.path() / name)) << name;
  static_cast<void>(store->load(unix_now()));
  EXPECT_EQ(store->write({.sessions = {session(1)}}), Store::Written::done) << "it is not taken for a replaced file";
  for (const auto& name : {path, target, folder.path() / "way" / ".." / "db" / "state.db"})
    EXPECT_THAT(refusal(name), HasSubstr(target.string() + " is in use by another gateway"));
  EXPECT_THAT(verify(path), IsEmpty());
  EXPECT_EQ(StateReader(path).sessions(false, 9).size(), 1u);
}

TEST_F(StoreFiles, DoNotShareTheirSecretsWithAnotherStore) {
  const auto store = open_sqlite_store(path, {});
  EXPECT_THAT(refusal(folder.path() / "other.db"), HasSubstr(secrets.string() + " is in use by another gateway"));
  std::filesystem::create_directory(folder.path() / "elsewhere");
  std::filesystem::create_symlink(secrets, folder.path() / "elsewhere" / "secrets.db");
  EXPECT_THAT(refusal(folder.path() / "elsewhere" / "state.db"), HasSubstr("is in use by another gateway"));
  EXPECT_THAT(refusal(secrets), HasSubstr("has the name of the secrets beside it: give it another"));
}

TEST_F(StoreFiles, BehindACircleOfLinksAreRefused) {
  std::filesystem::create_symlink("state.db", path);
  EXPECT_THAT(refusal(path), HasSubstr("Too many levels of symbolic links"));
}

TEST_F(StoreFiles, AreNotLockedByProgramsThatTheGatewayStarts) {
  auto store = open_sqlite_store(path, {});
  FILE* const program = ::popen("sleep 5", "w");
  ASSERT_NE(program, nullptr);
  store.reset();
  std::string last = refusal(path);
  for (int i = 0; i < 100 && !last.empty();
       ++i) {  // Linux lets a parent go on just before the child's files are closed
    std::this_thread::sleep_for(10ms);
    last = refusal(path);
  }
  EXPECT_EQ(last, "") << "the program goes on";
  ::pclose(program);
}

/// A shell that holds a transaction open.
class Shell {
 public:
  explicit Shell(const std::filesystem::path& database) : database_(database, OpenMode::read_write, 0ms) {
    database_.run("BEGIN IMMEDIATE");
  }
  void end() { database_.run("COMMIT"); }

 private:
  Database database_;
};

TEST_F(StoreFiles, AreWaitedForAtAStart) {
  make();
  Shell shell(path);
  std::atomic<int> told{0};
  std::thread gateway([&] {
    const auto store = open_sqlite_store(path, {}, [&told](const std::string& sentence) {
      EXPECT_THAT(sentence, AllOf(HasSubstr("waiting up to 10 s"), HasSubstr("sqlite3 shell inside a transaction")));
      ++told;
    });
    EXPECT_TRUE(store->opening().clean);
  });
  for (int i = 0; i < 500 && told == 0; ++i) std::this_thread::sleep_for(10ms);
  std::this_thread::sleep_for(600ms);  // another try or two
  shell.end();
  gateway.join();
  EXPECT_EQ(told, 1);
}

TEST_F(StoreFiles, ThatStayLockedAreRefusedAtAStart) {
  make();
  const Shell shell(secrets);
  const auto begin = std::chrono::steady_clock::now();
  static_cast<void>(open_sqlite_store(path, {}));  // a lock on the secrets alone is in nobody's way yet
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 1s);
  const Shell other(path);
  EXPECT_THAT(refusal(path),
              AllOf(HasSubstr(path.string()), HasSubstr("locked by another program for 10 s"),
                    HasSubstr("end that, then start the gateway again"), testing::Not(HasSubstr("writing goes on"))));
}

/// What a process that was killed in mid-write had promised is there, and nothing in part.
TEST_F(StoreFiles, KeepTheirPromisesAfterKill9) {
  std::uint64_t last = 0;
  for (int round = 0; round < 12 && !HasFailure(); ++round) {
    Child writer([&](int to) {
      Life life(path);
      life.open();
      for (std::uint64_t n = last + 1;; ++n) {
        life.write({.sessions = {session(2 * n), session(2 * n + 1)}, .leases = {lease(std::to_string(n), 2 * n)}});
        if (n % 7 == 0) life.upkeep();
        send(to, n);
      }
    });
    const std::uint64_t wanted = last + 3 + static_cast<std::uint64_t>(round % 5) * 9;
    std::uint64_t promised = last;
    while (promised < wanted) {
      promised = writer.next();
      ASSERT_NE(promised, 0u);
    }
    std::this_thread::sleep_for(std::chrono::microseconds(137 * round));
    writer.kill();
    while (const std::uint64_t more = writer.next()) promised = more;
    const auto store = open_sqlite_store(path, {});
    EXPECT_EQ(store->opening().unsure_until, 0);
    const StoredState state = store->load(unix_now());
    EXPECT_EQ(state.sessions.size(), 2 * state.leases.size());
    last = state.leases.size();
    EXPECT_GE(last, promised);
    EXPECT_LE(last, promised + 1);
  }
  EXPECT_THAT(verify(path), IsEmpty());
}

}  // namespace
}  // namespace gatehouse::db
