// Has somebody else put something in the place of a database? Thread-safe: no state.
#pragma once

#include <gatehouse/base/own_path.hpp>

#include <filesystem>
#include <string>

namespace gatehouse::db {

/// SQLite opens a database, its log, the log's index and its journal by their names, and maps the index: what somebody
/// else has put there it would cut or write over, and whoever may cut the index ends the process (SIGBUS). A folder
/// that is the gateway's own may have been open to others once. Looks at the folders and links that lead to `database`
/// and at each of these files: regular ones of root or the effective user, whatever their modes. Some ten system calls.
/// @param names  of the database; those beside it have one
/// @return "" where they are that, or not there; else a sentence that says what to do, and loses nothing
/// @throws FileError  as resolved()
[[nodiscard]] std::string why_not_own_database(const std::filesystem::path& database, Names names = Names::one);

}  // namespace gatehouse::db
