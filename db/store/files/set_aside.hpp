// Takes files that cannot be used out of the way under another name. Nothing of the store's is ever deleted.
#pragma once

#include <filesystem>
#include <vector>

namespace gatehouse::db {

/// Renames a database that nobody here has open, with its write-ahead log and the log's index: state.db becomes
/// state.db.corrupt-20261121T161234Z, its log the same with -wal, so that SQLite tools find the two together.
/// @param moved  gets where they are now, those that were there @throws FileError
void set_aside(const std::filesystem::path& database, std::vector<std::filesystem::path>& moved);

/// The write-ahead log alone, with its index. An empty log holds nothing and stays. @throws FileError
void set_log_aside(const std::filesystem::path& database, std::vector<std::filesystem::path>& moved);

}  // namespace gatehouse::db
