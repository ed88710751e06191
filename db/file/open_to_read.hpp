// How whoever only reads opens a database.
#pragma once

#include "db/sqlite.hpp"

#include <chrono>
#include <filesystem>

namespace gatehouse::db {

/// With or without the right to write beside it. A file in WAL mode wants a log and an index there; where they are not
/// and cannot be made, it holds everything itself.
/// @throws SqliteError, FileError; std::runtime_error, a sentence: there is no such file
[[nodiscard]] Database open_to_read(const std::filesystem::path& named, std::chrono::milliseconds busy_timeout);

}  // namespace gatehouse::db
