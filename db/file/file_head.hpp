// The first bytes of an open database and of its log, as they are on the disk: what stat() cannot tell where a file
// system's timestamps are coarse. Functions of the connection's thread.
#pragma once

#include "db/sqlite.hpp"

#include <array>

namespace gatehouse::db {

/// The first page or pages: the change counter and the version at which it held, the schema's own table
/// (sqlite.org/fileformat2.html#the_database_header). Only a checkpoint changes it.
using FileHead = std::array<char, 4096>;
/// Checkpoint number, salts and checksum: changed when the log begins anew, and by no commit
/// (sqlite.org/fileformat2.html#walformat).
using LogHead = std::array<char, 32>;

/// Each reads by the connection's own descriptor, since closing another one of the same file would drop SQLite's locks.
/// Zeros stand for what is not there. One system call.
/// @return false: it cannot be read, and `out` is as it was
[[nodiscard]] bool read_head(const Database& database, FileHead& out) noexcept;
[[nodiscard]] bool read_head(const Database& database, LogHead& out) noexcept;

}  // namespace gatehouse::db
