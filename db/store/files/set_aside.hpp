// Takes files that cannot be used out of the way under another name. Nothing of the store's is ever deleted.
#pragma once

#include <filesystem>
#include <vector>

namespace gatehouse::db {

/// Renames a database that nobody here has open, with its write-ahead log and the log's index: state.db becomes
/// state.db.corrupt-20261121T161234Z, its log the same with -wal, so that SQLite tools find the two together.
/// @return where they are now, those that were there @throws FileError
std::vector<std::filesystem::path> set_aside(const std::filesystem::path& database);

/// The write-ahead log alone, with its index. An empty log holds nothing and stays. @throws FileError
std::vector<std::filesystem::path> set_log_aside(const std::filesystem::path& database);

}  // namespace gatehouse::db
