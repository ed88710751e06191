// policy.db broken in every way, and what stays in force.
#include "gateway/policy/policy_source.hpp"
#include "db/policy/policy_copy.hpp"
#include "tests/unit/db/many_rows.hpp"
#include "tests/unit/db/scratch.hpp"

#include <gmock/gmock.h>

#include <sys/stat.h>
#include <unistd.h>

#include <thread>

namespace gatehouse {
namespace {

using namespace std::chrono_literals;
using From = PolicySource::From;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class Source : public testing::Test {
 protected:
  std::unique_ptr<PolicySource> start() {
    auto out = std::make_unique<PolicySource>(
        path, [this](const LogMessage& message) { (message.is_warning ? complaints : notes).push_back(message.text); });
    out->open();
    return out;
  }
  std::string sql(const std::string& text) { return run_sqlite_shell(path, text); }
  void add(const std::string& domain) {
    ASSERT_EQ(sql("INSERT INTO domain_rules(domain) VALUES('" + domain + "')"), "");
  }
  template <class Condition>
  static bool soon(PolicySource& source, Condition condition) {
    for (int i = 0; i < 1000; ++i, std::this_thread::sleep_for(10ms)) {
      static_cast<void>(source.poll());
      if (condition()) return true;
    }
    return false;
  }
  static bool failing(PolicySource& source) {
    return soon(source, [&] { return !source.failure().empty(); });
  }
  static bool healthy(PolicySource& source) {
    return soon(source, [&] { return source.failure().empty(); });
  }
  static std::size_t rules(const PolicySource& source) {
    return source.model() ? source.model()->domain_rules.size() : 0;
  }
  /// Files as they are, to be put back.
  void save() { std::filesystem::copy_file(path, folder.path() / "saved.db"); }
  void put_back() { std::filesystem::rename(folder.path() / "saved.db", path); }
  void fill(const std::filesystem::path& file, const std::string& text) { std::ofstream(file) << text; }

  ScratchFolder folder;
  std::filesystem::path path = folder.path() / "policy.db", copy = folder.path() / "policy.last-good.db",
                        former = folder.path() / "policy.last-good.1.db";
  std::vector<std::string> complaints, notes;
};

TEST_F(Source, KeepsACopyOnceItIsQuiet) {
  const auto source = start();
  add("a.test");
  ASSERT_TRUE(soon(*source, [&] { return rules(*source) == 1; }));
  EXPECT_FALSE(source->last_good());
  ASSERT_TRUE(soon(*source, [&] { return source->last_good().has_value(); }));
  EXPECT_EQ(db::PolicyDatabase(copy).load().domain_rules.size(), 1u);
  struct stat found {};
  ASSERT_EQ(::stat(copy.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0640u);
  EXPECT_THAT(complaints, IsEmpty());
}

TEST_F(Source, KeepsACopyAtTheEnd) {
  const auto source = start();
  add("a.test");
  ASSERT_TRUE(soon(*source, [&] { return rules(*source) == 1; }));
  source->close();
  EXPECT_EQ(db::PolicyDatabase(copy).load().domain_rules.size(), 1u);
}

/// The state of policy.db at a start, with a copy that holds one rule more than the starter policy.
class StartWithCopy : public Source {
 protected:
  void SetUp() override {
    db::prepare_policy(path);
    add("a.test");
    db::copy_policy(path, copy, former);
    save();
  }
  void expect_copy_until_put_back(const std::string& why) {
    const auto source = start();
    EXPECT_EQ(source->from(), From::last_good);
    EXPECT_EQ(rules(*source), 1u);
    EXPECT_THAT(source->failure(), HasSubstr(why));
    EXPECT_THAT(source->failure(), HasSubstr("the last good policy, of 20"));
    EXPECT_THAT(complaints, Contains(HasSubstr("the last good policy, of 20")));
    for (int i = 0; i < 3; ++i) static_cast<void>(source->poll());
    EXPECT_EQ(source->from(), From::last_good);
    EXPECT_EQ(complaints.size(), 1u) << complaints.back();
    put_back();
    EXPECT_TRUE(healthy(*source)) << source->failure();
    EXPECT_EQ(source->from(), From::database);
    EXPECT_THAT(notes, Contains(HasSubstr("can be read again")));
  }
};

TEST_F(StartWithCopy, TakesItWhenTheFileIsGone) {
  std::filesystem::remove(path);
  expect_copy_until_put_back("is gone");
}

TEST_F(StartWithCopy, TakesItWhenTheFileIsEmptyAndLeavesBoth) {
  fill(path, "");
  expect_copy_until_put_back("is empty: put " + copy.string() + " in its place");
  EXPECT_EQ(db::PolicyDatabase(copy).load().domain_rules.size(), 1u);
}

TEST_F(StartWithCopy, KeepsTheCopyThatTheFileDoesNotContinue) {
  std::filesystem::remove(path);
  db::prepare_policy(path);
  const auto source = start();
  EXPECT_EQ(source->from(), From::database);
  source->close();
  EXPECT_EQ(db::PolicyDatabase(copy).load().domain_rules.size(), 0u);
  EXPECT_EQ(db::PolicyDatabase(former).load().domain_rules.size(), 1u);
  EXPECT_THAT(complaints, Contains(AllOf(HasSubstr("does not continue"), HasSubstr(former.string()))));
}

TEST_F(StartWithCopy, KeepsTheCopyOfAFileWithTheSameRevisionAndOtherEdits) {
  std::filesystem::remove(path);
  db::prepare_policy(path);
  add("another.test");
  const auto source = start();
  source->close();
  EXPECT_EQ(db::PolicyDatabase(former).load().domain_rules.at(0).domain, "a.test");
}

TEST_F(StartWithCopy, KeepsNoSecondCopyOfWhatGoesOn) {
  add("b.test");
  const auto source = start();
  source->close();
  EXPECT_EQ(db::PolicyDatabase(copy).load().domain_rules.size(), 2u);
  EXPECT_FALSE(std::filesystem::exists(former));
  EXPECT_THAT(complaints, IsEmpty());
}

TEST_F(Source, DeniesEverythingWhenTheFileIsEmptyAndThereIsNoCopy) {
  fill(path, "");
  const auto source = start();
  EXPECT_EQ(source->from(), From::none);
  EXPECT_THAT(source->failure(), AllOf(HasSubstr("is empty: put a copy"), HasSubstr("everything is denied")));
  EXPECT_EQ(std::filesystem::file_size(path), 0u);
}

TEST_F(StartWithCopy, TakesItWhenTheFileIsRubbish) {
  fill(path, std::string(9000, 'x'));
  expect_copy_until_put_back("not a database");
}

TEST_F(StartWithCopy, TakesItWhenTheFileIsCutInHalf) {
  std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2);
  expect_copy_until_put_back("malformed");
}

TEST_F(StartWithCopy, TakesItWhenTheFileIsAnotherProgramsDatabase) {
  std::filesystem::remove(path);
  ASSERT_EQ(sql("CREATE TABLE other(x)"), "");
  expect_copy_until_put_back("not a policy database");
}

TEST_F(StartWithCopy, IsNeitherWhenBothAreRubbish) {
  fill(path, std::string(9000, 'x'));
  fill(copy, std::string(9000, 'y'));
  const auto source = start();
  EXPECT_EQ(source->from(), From::none);
  EXPECT_THAT(source->failure(), HasSubstr("everything is denied"));
  EXPECT_THAT(complaints, Contains(HasSubstr("cannot be read either")));
}

/// A running gateway with one rule, in the file and in the log beside it.
class Running : public Source {
 protected:
  void SetUp() override {
    source = start();
    add("a.test");
    ASSERT_TRUE(soon(*source, [&] { return rules(*source) == 1; }));
  }
  void expect_last_good() {
    EXPECT_TRUE(failing(*source));
    EXPECT_EQ(source->from(), From::last_good);
    EXPECT_EQ(rules(*source), 1u);
    EXPECT_THAT(source->failure(), HasSubstr("the last good policy stays in force"));
  }
  std::unique_ptr<PolicySource> source;
};

TEST_F(Running, GoesOnWhenTheFileIsCutToNothing) {
  ASSERT_EQ(sql("VACUUM INTO '" + (folder.path() / "saved.db").string() + "'"), "");
  std::filesystem::resize_file(path, 0);
  expect_last_good();
  EXPECT_THAT(source->failure(), HasSubstr("is empty: put "));
  EXPECT_THROW(db::prepare_policy(path), std::runtime_error);  // what `policy init` does
  EXPECT_EQ(std::filesystem::file_size(path), 0u);
  std::filesystem::remove(path.string() + "-wal");
  put_back();
  EXPECT_TRUE(healthy(*source)) << source->failure();
  EXPECT_EQ(rules(*source), 1u);
}

TEST_F(Running, GoesOnWhenTheFileIsCutInHalf) {
  ASSERT_EQ(sql("PRAGMA wal_checkpoint(TRUNCATE)"), "0|0|0\n");
  ASSERT_TRUE(healthy(*source));
  save();
  std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2);
  expect_last_good();
  put_back();
  EXPECT_TRUE(healthy(*source)) << source->failure();
}

TEST_F(Running, SaysWhenTheLogWasCutAndEditsAreLost) {
  add("b.test");
  ASSERT_TRUE(soon(*source, [&] { return rules(*source) == 2; }));
  ASSERT_GT(std::filesystem::file_size(path.string() + "-wal"), 0u);
  std::filesystem::resize_file(path.string() + "-wal", 0);
  ASSERT_TRUE(soon(*source, [&] { return !complaints.empty(); }));
  EXPECT_THAT(complaints, ElementsAre(AllOf(HasSubstr("went back from revision"), HasSubstr("edits were lost"))));
  EXPECT_EQ(source->failure(), "");
  EXPECT_EQ(rules(*source), 0u);  // both rules were in the log alone
  add("c.test");
  EXPECT_TRUE(soon(*source, [&] { return rules(*source) == 1; }));
}

TEST_F(Running, GoesOnWhenTheFileIsWrittenOver) {
  ASSERT_EQ(sql("PRAGMA wal_checkpoint(TRUNCATE)"), "0|0|0\n");
  save();
  fill(path, std::string(std::filesystem::file_size(path), 'x'));
  expect_last_good();
  put_back();
  EXPECT_TRUE(healthy(*source)) << source->failure();
}

TEST_F(Running, GoesOnWhenTheFileIsDeleted) {
  ASSERT_EQ(sql("VACUUM INTO '" + (folder.path() / "saved.db").string() + "'"), "");
  std::filesystem::remove(path);
  expect_last_good();
  put_back();
  EXPECT_TRUE(healthy(*source)) << source->failure();
}

/// What root may read is closed to nobody: so not as root.
class AsNobody {
 public:
  explicit AsNobody(const std::filesystem::path& folder) {
    if (::geteuid() != 0) return;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
      static_cast<void>(::chown(entry.path().c_str(), kNobody, kNobody) == 0);
    static_cast<void>(::chown(folder.c_str(), kNobody, kNobody) == 0);
    is_root_ = ::seteuid(kNobody) == 0;
  }
  ~AsNobody() {
    if (is_root_) static_cast<void>(::seteuid(0) == 0);
  }

 private:
  static constexpr uid_t kNobody = 65534;
  bool is_root_ = false;
};

TEST_F(Running, GoesOnWhenTheFileIsClosedToIt) {
  const AsNobody nobody(folder.path());
  std::filesystem::permissions(path, std::filesystem::perms::none);
  expect_last_good();
  EXPECT_THAT(source->failure(), HasSubstr("Permission denied"));
  std::filesystem::permissions(path, std::filesystem::perms(0640));
  EXPECT_TRUE(healthy(*source)) << source->failure();
}

TEST_F(Running, ReadsWhileAWriterHoldsTheFile) {
  db::Database writer(path, db::OpenMode::read_write, 0ms);
  writer.run("BEGIN EXCLUSIVE");
  EXPECT_FALSE(soon(*source,
                    [&, end = std::chrono::steady_clock::now() + 1s] {
                      return !source->failure().empty() || std::chrono::steady_clock::now() > end;
                    }) &&
               !source->failure().empty());
  writer.run("ROLLBACK");
}

TEST_F(Running, SaysWhenAWriterLetsNobodyRead) {
  const auto fresh = folder.path() / "fresh.db";
  db::prepare_policy(fresh);
  ASSERT_EQ(run_sqlite_shell(fresh, "PRAGMA journal_mode = DELETE"), "delete\n");
  db::Database writer(fresh, db::OpenMode::read_write, 0ms);
  writer.run("BEGIN EXCLUSIVE");
  std::filesystem::rename(fresh, path);
  expect_last_good();
  EXPECT_THAT(source->failure(), HasSubstr("locked by another program"));
  writer.run("ROLLBACK");
  EXPECT_TRUE(healthy(*source)) << source->failure();
  EXPECT_EQ(rules(*source), 0u);
}

/// A policy and a copy of it.
class PolicyCopy : public testing::Test {
 protected:
  void SetUp() override { db::prepare_policy(from); }
  bool copy(const std::atomic<bool>* stop = nullptr) { return db::copy_policy(from, to, former, stop); }
  ScratchFolder folder;
  std::filesystem::path from = folder.path() / "a.db", to = folder.path() / "b.db", former = folder.path() / "c.db";
};

TEST_F(PolicyCopy, LeavesTheOlderOneWhenItFails) {
  copy();
  std::ofstream(from) << std::string(9000, 'x');
  EXPECT_ANY_THROW(copy());
  EXPECT_FALSE(db::PolicyDatabase(to).load().port_permits.empty());
  EXPECT_FALSE(std::filesystem::exists(to.string() + ".new"));
}

TEST_F(PolicyCopy, GoesOnFromOneWhoseNewestChangeIsLong) {
  ASSERT_EQ(run_sqlite_shell(from,
                             "UPDATE groups SET comment = printf('%.*c', 900000, 'a');"
                             "UPDATE groups SET comment = printf('%.*c', 900000, 'b')"),
            "");
  EXPECT_FALSE(copy());
  EXPECT_FALSE(copy()) << "the old and the new row are longer together than a value of the policy may be";
}

TEST_F(PolicyCopy, SetsOneAsideWhoseHistoryNeverEnds) {
  copy();
  ASSERT_EQ(run_sqlite_shell(to,
                             "DROP TABLE changes; CREATE VIEW changes AS WITH RECURSIVE n(i) AS (SELECT 1 UNION "
                             "ALL SELECT i + 1 FROM n) SELECT -i AS id, 0 AS changed_at, '' AS who, '' AS "
                             "table_name, 0 AS row_id, '' AS old_row, '' AS new_row FROM n"),
            "");
  EXPECT_TRUE(copy());
  EXPECT_TRUE(std::filesystem::exists(former));
  EXPECT_FALSE(copy());
}

TEST_F(PolicyCopy, IsGivenUpWhenSomebodyWantsToStop) {
  const std::string rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) ";
  ASSERT_EQ(run_sqlite_shell(from, rows + "INSERT INTO domain_rules(domain) SELECT 'n' || i FROM n"), "");
  const std::atomic<bool> stop{true};
  EXPECT_THROW(copy(&stop), std::runtime_error);
  EXPECT_FALSE(std::filesystem::exists(to));
  EXPECT_FALSE(std::filesystem::exists(to.string() + ".new"));
}

TEST_F(PolicyCopy, IsRefusedOfAFileThatIsMuchMoreThanAPolicy) {
  ASSERT_EQ(run_sqlite_shell(from, "PRAGMA journal_mode = DELETE"), "delete\n");
  constexpr std::uint32_t kPages = 300'000;  // of 4 KiB, most of them holes
  std::filesystem::resize_file(from, std::uintmax_t{kPages} * 4096);
  std::fstream file(from, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(28);  // sqlite.org/fileformat2.html#in_header_database_size
  for (const unsigned shift : {24U, 16U, 8U, 0U}) file.put(static_cast<char>(kPages >> shift));
  file.close();
  try {
    copy();
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("has 1171 MiB, more than a policy and its history come to"));
  }
}

TEST_F(Source, LeavesAFileAloneThatTakesLongAndFails) {
  const auto source = start();
  ASSERT_EQ(sql(many_rows()), "");
  ASSERT_TRUE(failing(*source));
  EXPECT_THAT(source->failure(), AllOf(HasSubstr("MiB of rows"), HasSubstr("the last good policy stays in force")));
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 3; ++i) static_cast<void>(source->poll());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 100ms) << "not read again while nothing has changed";
  ASSERT_EQ(sql("DELETE FROM domain_rules"), "");
  EXPECT_TRUE(healthy(*source));
}

}  // namespace
}  // namespace gatehouse
