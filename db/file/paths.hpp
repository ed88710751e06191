// Where the databases are and what stands beside them. Thread-safe: no state.
#pragma once

#include <filesystem>

namespace gatehouse::db {

/// The file that a path leads to, which need not be there yet: absolute, without symbolic links, so that SQLite's log
/// lies beside it under the same name. Whatever name leads to a database, this one is the same: two names would be two
/// locks. Some system calls. @throws FileError  the links go round in a circle, say
[[nodiscard]] std::filesystem::path resolved(const std::filesystem::path& database);

/// The same name with another extension: state.db's state.lock, policy.db's policy.last-good.db.
[[nodiscard]] std::filesystem::path beside(const std::filesystem::path& database, const char* extension);

/// The write-ahead log.
[[nodiscard]] std::filesystem::path log_of(const std::filesystem::path& database);

/// The folder of compiled lists beside a policy database.
[[nodiscard]] std::filesystem::path lists_beside(const std::filesystem::path& policy_db);

/// secrets.db beside a state database, which may be a link.
[[nodiscard]] std::filesystem::path secrets_link_beside(const std::filesystem::path& state_db);

/// What it leads to. @throws FileError; std::runtime_error, a sentence: they have the same name
[[nodiscard]] std::filesystem::path secrets_beside(const std::filesystem::path& state_db);

}  // namespace gatehouse::db
