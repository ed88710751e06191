// What each database of Gatehouse is: its number, its schemas, who may read it; and how it becomes the newest of its
// kind. Constants, and functions of the connection's thread.
#pragma once

#include "db/sqlite.hpp"

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace gatehouse::db {

// What the header of a file says (sqlite.org/fileformat2.html#application_id).
inline constexpr std::int64_t kPolicyApplicationId = 0x4748'706f;   ///< "GHpo": policy.db
inline constexpr std::int64_t kStateApplicationId = 0x4748'7374;    ///< "GHst": state.db
inline constexpr std::int64_t kSecretsApplicationId = 0x4748'7365;  ///< "GHse": secrets.db

struct FileKind {
  const char* noun;    ///< "state", for sentences
  const char* chosen;  ///< what of the operator's choosing leads to the file, for sentences: "[gateway] state_dir"
  std::int64_t application_id;
  std::span<const std::string_view> migrations;  ///< all of them, in order
  std::filesystem::perms mode;                   ///< of a file that is made
  std::span<const std::string_view> tables;      ///< those that are read, of any version
  /// The version that this program knows.
  [[nodiscard]] std::int64_t newest() const noexcept { return static_cast<std::int64_t>(migrations.size()); }
};
[[nodiscard]] const FileKind& policy_kind() noexcept;
[[nodiscard]] const FileKind& state_kind() noexcept;
[[nodiscard]] const FileKind& secrets_kind() noexcept;

/// @return user_version; 0 for an empty file
/// @throws SqliteError; std::runtime_error, a sentence, unless the file is of that kind, or empty, and no newer than
///         this program
[[nodiscard]] std::int64_t schema_version(Database& database, const FileKind& kind);

/// Do the tables that are read only hold rows? SQLite works out what stands in place of a table, and what a computed
/// column says, each time that it is read, however long that takes: a single function cannot be interrupted.
/// @return a sentence without its end: what stands where there has to be a table or a column; "" for a sound file
/// @throws SqliteError
[[nodiscard]] std::string why_not_plain(Database& database, const FileKind& kind);

/// A copy of the file as it is before it is migrated: `policy.db.v1` of version 1. One of an attempt that did not come
/// to its end is replaced. @return the copy @throws SqliteError, FileError
[[nodiscard]] std::filesystem::path keep_version(const std::filesystem::path& path, std::int64_t version);

/// From version `from` to the newest. Inside the caller's transaction. @throws SqliteError
void migrate(Database& database, const FileKind& kind, std::int64_t from);

}  // namespace gatehouse::db
