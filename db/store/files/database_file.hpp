// One of the store's SQLite files, open for writing: found or made, checked, brought up to date, and watched for being
// replaced. One thread's.
#pragma once

#include "db/sqlite.hpp"
#include "db/store/store.hpp"

#include <gatehouse/base/file_stamp.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string_view>

namespace gatehouse::db {

inline constexpr std::int64_t kStateApplicationId = 0x4748'7374;    ///< "GHst": what the header of state.db says
inline constexpr std::int64_t kSecretsApplicationId = 0x4748'7365;  ///< "GHse": secrets.db

/// What a file of the store is.
struct FileKind {
  const char* noun;  ///< "state", for sentences
  std::int64_t application_id;
  std::span<const std::string_view> migrations;
  std::filesystem::perms mode;
};
[[nodiscard]] const FileKind& state_kind() noexcept;
[[nodiscard]] const FileKind& secrets_kind() noexcept;

/// @return user_version; 0 for an empty file
/// @throws std::runtime_error, a sentence, unless the file is of that kind, or empty, and no newer than this program
[[nodiscard]] std::int64_t schema_version(Database& database, const FileKind& kind);

/// For whoever only reads, with or without the right to write beside it. A file in WAL mode wants a log and an index
/// there; where they are not and cannot be made, it holds everything itself.
/// @throws SqliteError; std::runtime_error, a sentence: there is no such file
[[nodiscard]] Database open_to_read(const std::filesystem::path& named, std::chrono::milliseconds busy_timeout);

class DatabaseFile {
 public:
  /// Opens it. A file that is broken, and a log without a file, are set aside and a new file is made. Blocks: reads the
  /// whole file for its check, up to two seconds.
  /// @param told  gets what was moved, and whatever else a person should know
  /// @throws SqliteError; StoreError; std::runtime_error, a sentence: a newer schema, or none of ours
  DatabaseFile(std::filesystem::path path, const FileKind& kind, StoreOpening& told);
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

  /// Are file and log still what the path names, and did nobody write to them past this connection? Two system calls,
  /// about 2 us.
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
  void rescue_log(StoreOpening& told) const;
  void make(const FileKind& kind) const;
  void open(const FileKind& kind, StoreOpening& told);
  void migrate(const FileKind& kind);
  void check(StoreOpening& told);
  void stamp() noexcept;

  const std::filesystem::path path_;
  const std::filesystem::path log_path_;
  std::optional<Database> database_;
  FileStamp file_, log_;
  std::int64_t from_version_ = 0;
  std::filesystem::path backup_;
  std::uint64_t page_size_ = 0;
  std::uint64_t log_pages_ = 0;      // since the last checkpoint that was complete
  std::int64_t least_log_size_ = 0;  // a log that is shorter was cut by somebody
};

}  // namespace gatehouse::db
