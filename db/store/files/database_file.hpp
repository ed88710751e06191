// One of the store's SQLite files, open for writing: found or made, checked, brought up to date, and watched for being
// replaced. One thread's.
#pragma once

#include "db/file/file_head.hpp"
#include "db/file/file_kind.hpp"
#include "db/sqlite.hpp"
#include "db/store/store.hpp"

#include <gatehouse/base/file_stamp.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>

namespace gatehouse::db {

class DatabaseFile {
 public:
  /// Opens it. A file that is broken, and a log without a file, are set aside and a new file is made. Blocks: reads the
  /// whole file for its check, up to two seconds.
  /// @param opening  gets what was moved, and whatever else a person should know
  /// @throws SqliteError, FileError; StoreError; std::runtime_error, a sentence: a newer schema, or none of ours
  DatabaseFile(std::filesystem::path path, const FileKind& kind, StoreOpening& opening);
  ~DatabaseFile();
  DatabaseFile(const DatabaseFile&) = delete;
  DatabaseFile& operator=(const DatabaseFile&) = delete;

  [[nodiscard]] Database& database() noexcept { return *database_; }
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  /// Was it made just now?
  [[nodiscard]] bool created() const noexcept { return from_version_ == 0; }
  /// Of the schema, before it was migrated.
  [[nodiscard]] std::int64_t from_version() const noexcept { return from_version_; }
  /// Made before it was migrated, or "".
  [[nodiscard]] const std::filesystem::path& backup() const noexcept { return backup_; }

  /// Are file and log still what the path names, and did nobody write to them past this connection? As stat() and their
  /// first bytes tell it: four system calls, about 4 us.
  [[nodiscard]] bool is_current() const noexcept;
  /// Before an object goes that is not current: saves what the log holds into the file that it belongs to.
  /// @return true: the log that lies there now belongs to another file than the one beside it, and would be played into
  ///         it: to be set aside when this object is gone
  [[nodiscard]] bool part() noexcept;

  /// Bytes in the log that are not in the file yet.
  [[nodiscard]] std::uint64_t log_bytes() const noexcept { return log_pages_ * page_size_; }
  /// @return true: nothing is left in the log @throws SqliteError
  bool checkpoint(Database::Checkpoint kind);

 private:
  void rescue_log(StoreOpening& opening) const;
  void open(const FileKind& kind, StoreOpening& opening);
  void bring_up(const FileKind& kind);
  void check(StoreOpening& opening);
  void stamp() noexcept;
  void stamp_file() noexcept;
  void stamp_restarted_log() noexcept;
  [[nodiscard]] bool has_its_heads() const noexcept;

  const std::filesystem::path path_;
  const std::filesystem::path log_path_;
  std::optional<Database> database_;
  FileStamp file_, log_;
  FileHead file_head_{};
  LogHead log_head_{};
  bool log_may_restart_ = true;  // all of the log is in the file: a commit, also one that fails, may begin it anew
  std::int64_t from_version_ = 0;
  std::filesystem::path backup_;
  std::uint64_t page_size_ = 0;
  std::uint64_t log_pages_ = 0;      // since the last checkpoint that was complete
  std::int64_t least_log_size_ = 0;  // a log that is shorter was cut by somebody
};

}  // namespace gatehouse::db
