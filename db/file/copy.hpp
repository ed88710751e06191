// Copies of databases that may be in use.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>

namespace gatehouse::db {

/// Called with the pages done and the pages in all.
using CopyProgress = std::function<void(std::uint64_t done, std::uint64_t all)>;

/// What to do with a file that has the copy's name already.
enum class Existing { refuse, replace };

/// Copies page by page (sqlite.org/backup.html), to a file that is made beside `to` under another name and renamed when
/// it is whole and on the disk. Mode as the original.
/// @throws SqliteError, FileError; std::runtime_error, a sentence: there is a file of that name
void copy_database(const std::filesystem::path& from, const std::filesystem::path& to, Existing existing,
                   const CopyProgress& progress = {});

}  // namespace gatehouse::db
