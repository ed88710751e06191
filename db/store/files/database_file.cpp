#include "db/store/files/database_file.hpp"

#include "db/file/disk.hpp"
#include "db/file/paths.hpp"
#include "db/store/files/set_aside.hpp"

#include <sqlite3.h>
#include <sys/stat.h>

#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <utility>

namespace gatehouse::db {
namespace {

constexpr std::chrono::milliseconds kBusyTimeout{250};
constexpr std::chrono::milliseconds kCheckTime{2000};
constexpr std::int64_t kLogHeader = 32;       // sqlite.org/fileformat2.html#walformat
constexpr std::int64_t kLogFrameHeader = 24;  // before each page

constexpr const char* kSettings =
    "PRAGMA synchronous = FULL;"
    "PRAGMA wal_autocheckpoint = 0;"  // upkeep() does it, when nobody waits
    "PRAGMA journal_size_limit = 67108864;"
    "PRAGMA foreign_keys = ON;"
    "PRAGMA trusted_schema = OFF;"
    "PRAGMA cell_size_check = ON;"
    "PRAGMA temp_store = MEMORY;"
    "PRAGMA cache_size = -8192;"
    "PRAGMA mmap_size = 0;"  // a file that is cut would be a SIGBUS
    "PRAGMA secure_delete = FAST;";

std::string text(Database& database, std::string_view sql) {
  Statement statement = database.prepare(sql);
  return statement.step() ? statement.text(0) : std::string();
}

/// Interrupts a statement that takes too long. (A progress handler is not asked during a check: SQLite before 3.42.)
class Watchdog {
 public:
  Watchdog(Database& database, std::chrono::milliseconds limit)
      : thread_([this, &database, limit] {
          std::unique_lock lock(mutex_);
          if (done_cv_.wait_for(lock, limit, [this] { return done_; })) return;
          fired_ = true;
          database.interrupt();
        }) {}
  ~Watchdog() { static_cast<void>(stop()); }
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  /// @return did it?
  bool stop() {
    {
      const std::scoped_lock lock(mutex_);
      done_ = true;
    }
    done_cv_.notify_one();
    if (thread_.joinable()) thread_.join();
    return fired_;
  }

 private:
  std::mutex mutex_;  // guards done_ and fired_
  std::condition_variable done_cv_;
  bool done_ = false, fired_ = false;
  std::thread thread_;
};

/// A page that the disk did not give is a finding like any other and says nothing about the file: "unable to get the
/// page. error code=266", "failed to get page 7", "Failed to read ptrmap key=3".
int code_of_finding(const std::string& finding) {
  constexpr std::string_view kCode = "error code=";
  if (const auto at = finding.find(kCode); at != finding.npos) return std::atoi(finding.c_str() + at + kCode.size());
  const bool unread =
      finding.find("ailed to get page") != finding.npos || finding.find("ailed to read") != finding.npos;
  return unread ? SQLITE_IOERR_READ : SQLITE_CORRUPT;
}

/// Takes from others what `mode` does not give them. By its name: closing a descriptor of a database's file would drop
/// SQLite's locks on it.
void narrow(const std::filesystem::path& path, std::filesystem::perms mode, StoreOpening& opening) {
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0) return;
  const mode_t wanted = found.st_mode & static_cast<mode_t>(mode);
  if (wanted != (found.st_mode & 07777U) && ::chmod(path.c_str(), wanted) != 0)
    opening.remarks.push_back(path.string() + " is open to more users than it should be and belongs to another one: " +
                              "give it to the gateway's user");
}

}  // namespace

DatabaseFile::DatabaseFile(std::filesystem::path path, const FileKind& kind, StoreOpening& opening)
    : path_(std::move(path)), log_path_(log_of(path_)) {
  for (bool again = false;; again = true) {
    rescue_log(opening);
    for (const char* const suffix : {"", "-wal", "-shm"}) narrow(path_.string() + suffix, kind.mode, opening);
    try {
      open(kind, opening);
      return;
    } catch (const SqliteError& error) {
      database_.reset();
      if (!error.is_corrupt() || again) throw;
      set_aside(path_, opening.moved);
    }
  }
}

DatabaseFile::~DatabaseFile() {
  if (database_) sqlite3_wal_hook(database_->handle(), nullptr, nullptr);
}

/// SQLite deletes the log of a file that is missing or empty; there may be commits in it.
void DatabaseFile::rescue_log(StoreOpening& opening) const {
  if (FileStamp::of(path_).size == 0) set_log_aside(path_, opening.moved);
}

void DatabaseFile::open(const FileKind& kind, StoreOpening& opening) {
  if (make_file(path_, kind.mode)) sync_folder(path_.parent_path());
  database_.emplace(path_, OpenMode::read_write, kBusyTimeout);
  database_->checkpoint_on_close(false);  // by then the log's name may belong to another file
  database_->harden();
  from_version_ = schema_version(*database_, kind);
  if (from_version_ == 0) database_->run("PRAGMA auto_vacuum = INCREMENTAL");
  database_->run(kSettings);
  if (text(*database_, "PRAGMA journal_mode = WAL") != "wal")
    throw StoreError(StoreError::Kind::io,
                     path_.string() +
                         ": its file system has no shared memory, which a write-ahead log needs; keep "
                         "[gateway] state_dir on a local disk");
  if (const std::string why = why_not_plain(*database_, kind); !why.empty())  // it is sound: its rows are not to go
    throw std::runtime_error(path_.string() + ": " + why + ": undo that, or move the file away");
  if (from_version_ > 0) check(opening);
  bring_up(kind);
  page_size_ = static_cast<std::uint64_t>(database_->number("PRAGMA page_size"));
  sqlite3_wal_hook(
      database_->handle(),
      [](void* self, sqlite3*, const char*, int pages) {
        auto& file = *static_cast<DatabaseFile*>(self);
        file.log_pages_ = static_cast<std::uint64_t>(pages);
        file.least_log_size_ = kLogHeader + pages * (kLogFrameHeader + static_cast<std::int64_t>(file.page_size_));
        file.stamp_restarted_log();
        return SQLITE_OK;
      },
      this);
  stamp();
}

void DatabaseFile::bring_up(const FileKind& kind) {
  if (from_version_ == kind.newest()) return;
  if (from_version_ > 0) backup_ = keep_version(path_, from_version_);
  Transaction transaction(*database_, Transaction::Kind::immediate);
  migrate(*database_, kind, from_version_);
  transaction.commit();
}

void DatabaseFile::check(StoreOpening& opening) {
  std::string found;
  bool cut_short = false;
  {
    Watchdog watchdog(*database_, kCheckTime);
    try {
      found = text(*database_, "PRAGMA quick_check(1)");
    } catch (const SqliteError& error) {
      if ((error.code() & 0xff) != SQLITE_INTERRUPT) throw;
    }
    cut_short = watchdog.stop();
  }
  if (cut_short) {  // and then the answer means nothing
    opening.remarks.push_back(path_.string() + " is so large that its check was cut short after " +
                              std::to_string(kCheckTime.count() / 1000) + " s: `gatehouse db verify` makes all of it");
  } else if (found != "ok") {
    throw SqliteError(path_.string() + ": " + found, code_of_finding(found), path_);
  }
}

void DatabaseFile::stamp() noexcept {
  stamp_file();
  log_ = FileStamp::of(log_path_);
  static_cast<void>(read_head(*database_, log_head_));
  log_may_restart_ = log_.size == 0;
}

void DatabaseFile::stamp_file() noexcept {
  file_ = FileStamp::of(path_);
  static_cast<void>(read_head(*database_, file_head_));
}

/// After a commit. One that follows a complete checkpoint writes the log from its beginning, unless somebody still
/// reads it: then a later one does.
void DatabaseFile::stamp_restarted_log() noexcept {
  LogHead now{};
  if (!log_may_restart_ || !read_head(*database_, now)) return;
  log_may_restart_ = now == log_head_;
  log_head_ = now;
}

/// What cannot be read now is for the next commit to find.
bool DatabaseFile::has_its_heads() const noexcept {
  FileHead file{};
  if (read_head(*database_, file) && file != file_head_) return false;
  LogHead log{};
  return log_may_restart_ || !read_head(*database_, log) || log == log_head_;
}

bool DatabaseFile::is_current() const noexcept {
  if (FileStamp::of(path_) != file_) return false;
  const FileStamp log = FileStamp::of(log_path_);
  return log.is_file(log_) && log.size >= least_log_size_ && has_its_heads();
}

bool DatabaseFile::part() noexcept {
  const bool same_file = FileStamp::of(path_).is_file(file_);
  const FileStamp log = FileStamp::of(log_path_);
  const bool same_log = log.is_file(log_);
  if (same_file && same_log) return false;
  const bool was_cut = same_log && log.size < least_log_size_;
  bool saved = false;
  try {
    saved = !was_cut && checkpoint(Database::Checkpoint::truncate);
  } catch (const SqliteError&) {  // then its commits stay where they are
  }
  return same_file != same_log && !(same_log && saved);
}

bool DatabaseFile::checkpoint(Database::Checkpoint kind) {
  // Whoever still reads must not make the writer wait.
  if (kind == Database::Checkpoint::truncate) database_->busy_timeout(std::chrono::milliseconds(0));
  const bool done = database_->checkpoint(kind);
  database_->busy_timeout(kBusyTimeout);
  if (done) {
    log_pages_ = 0;
    log_may_restart_ = true;
    if (kind == Database::Checkpoint::truncate) {
      least_log_size_ = 0;
      static_cast<void>(read_head(*database_, log_head_));
    }
  }
  stamp_file();
  return done;
}

}  // namespace gatehouse::db
