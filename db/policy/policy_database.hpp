// policy.db: making it, bringing it up to date, reading it and noticing edits. One thread an object.
#pragma once

#include "db/file/file_head.hpp"
#include "db/file/file_kind.hpp"
#include "db/sqlite.hpp"
#include "policy/model.hpp"

#include <gatehouse/base/file_stamp.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::db {

/// What init or migrate has done.
struct PolicySchema {
  bool created = false;           ///< the file is new and holds the starter policy
  std::int64_t from = 0, to = 0;  ///< schema versions
  std::filesystem::path backup;   ///< the copy made before a migration, or empty
};

/// Makes policy.db with the starter policy, or brings an older one up to date after a copy of it
/// (`policy.db.v1` for version 1). Nothing to do is not an error. The file is 0640 when made. One that is there and
/// empty was cut, or is not written yet: it is left alone, for the starter policy allows what its rows denied.
/// @param migrations  all of them, in order; tests give their own
/// @throws SqliteError; std::runtime_error with a sentence for a file that is empty, none of ours or of a newer
///         version; FileError when none can be made
PolicySchema prepare_policy(const std::filesystem::path& path);
PolicySchema prepare_policy(const std::filesystem::path& path, std::span<const std::string_view> migrations);

/// Has somebody else put something in the place of the database or of a copy of the last good one? People may keep a
/// second name (a hard link) of each. @return a sentence, or "" @throws FileError  as resolved()
[[nodiscard]] std::string why_not_own_policy(const std::filesystem::path& path);

/// Every table in force. Inside a transaction of the caller's.
/// @throws SqliteError; std::runtime_error, a sentence: a value is too long, or the rows are too many, to be a policy
[[nodiscard]] policy::Model load_policy(Database& database);

/// SQLite runs what stands in place of a table, or of a column, each time that it is read: one step of that may take
/// minutes, which no deadline ends.
/// @throws SqliteError; std::runtime_error, a sentence: one of the schema's tables is a view or a virtual table, or has
///         a generated column
void must_be_tables(Database& database);

/// Any table, for `policy show`.
struct TableRows {
  std::vector<std::string> columns;
  std::vector<std::vector<Cell>> rows;
};

/// Opens it and closes it again. @throws as PolicyDatabase: it is not a policy database of this version
void check_policy(const std::filesystem::path& path);
/// For statements of one's own, after check_policy(): values are as long as one of the audit trail at most.
[[nodiscard]] Database open_policy(const std::filesystem::path& path, std::chrono::milliseconds busy_timeout);

/// Reads policy.db and never writes it: the connection is read-write, as WAL readers want, with query_only on.
class PolicyDatabase {
 public:
  /// Whoever wrote the file, opening and reading it end within kPatience, and hold kMostBytes of rows at most.
  static constexpr std::chrono::seconds kPatience{10};
  static constexpr std::size_t kMostBytes = 512U << 20U;
  static constexpr std::size_t kLongestValue = 1U << 20U;
  /// Of the audit trail: a whole row as JSON.
  static constexpr std::size_t kLongestChange = 4 * kLongestValue;

  /// @param stop  set by another thread: whatever is read is given up; may be null; lives as long as this
  /// @throws SqliteError; std::runtime_error when it is not a policy database of this version
  explicit PolicyDatabase(const std::filesystem::path& path, const std::atomic<bool>* stop = nullptr);
  ~PolicyDatabase();
  PolicyDatabase(PolicyDatabase&&) = default;
  PolicyDatabase& operator=(PolicyDatabase&&) = default;

  /// Has anybody committed since the last call, or was the file replaced by another one, cut or written over? The
  /// first call says no. About 5 us. A file that is not as it was is opened anew, so that nothing remembered of the
  /// old one hides the damage.
  /// @throws SqliteError, std::runtime_error as the constructor; std::system_error when the file is gone or closed
  ///         to this user
  [[nodiscard]] bool changed();
  /// After an error: closes the file without touching it. The next call opens it anew.
  void give_up() noexcept;

  /// Every table in force, in one read transaction. @throws as load_policy(); std::runtime_error: it took too long
  [[nodiscard]] policy::Model load();

  /// One table in the order of its ids. `name` is one of policy_tables(). @throws SqliteError
  [[nodiscard]] TableRows read_table(std::string_view name);

 private:
  [[nodiscard]] FileStamp readable_stamp() const;
  [[nodiscard]] bool is_another();
  void open();
  void remove_orphans(const FileStamp& now);

  template <class Work>
  auto bounded(Database& database, Work work) const;

  std::filesystem::path path_;
  const std::atomic<bool>* stop_;
  FileStamp file_, log_file_;
  FileHead head_{};                        // of file_
  std::optional<Database> database_;       // none after give_up() or a failed opening: tried again
  std::optional<Statement> data_version_;  // of database_, so it goes first
  std::int64_t seen_version_ = 0;
};

/// The tables that hold policy, in the order to show them.
[[nodiscard]] std::span<const std::string_view> policy_tables() noexcept;

}  // namespace gatehouse::db
