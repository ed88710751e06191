// What a refusal by SQLite or by the system means for the store, as a sentence that says what to do.
#pragma once

#include "db/file/disk.hpp"
#include "db/sqlite.hpp"
#include "db/store/store.hpp"

#include <filesystem>

namespace gatehouse::db {

[[nodiscard]] StoreError store_error(const SqliteError& error);
[[nodiscard]] StoreError store_error(const FileError& error);
/// @param system_error  errno
[[nodiscard]] StoreError store_error(const std::filesystem::path& path, int system_error);

}  // namespace gatehouse::db
