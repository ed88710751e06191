// Where a store's files are. Whatever name leads to a database, these are the same: two names would be two locks.
#pragma once

#include <filesystem>

namespace gatehouse::db {

/// The file that a path leads to, which need not be there yet: absolute, without symbolic links, so that SQLite's log
/// lies beside it under the same name. Some system calls. @throws StoreError  the links go round in a circle, say
[[nodiscard]] std::filesystem::path resolved(const std::filesystem::path& database);

/// secrets.db beside a state database. @throws StoreError; std::runtime_error, a sentence: they have the same name
[[nodiscard]] std::filesystem::path secrets_beside(const std::filesystem::path& state_db);

/// The same name with another extension: state.db's state.lock.
[[nodiscard]] std::filesystem::path beside(const std::filesystem::path& database, const char* extension);

}  // namespace gatehouse::db
