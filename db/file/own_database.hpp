// Has somebody else put something in the place of a database? Thread-safe: no state.
#pragma once

#include <filesystem>
#include <string>

namespace gatehouse::db {

/// Whose a database may be.
enum class Owner {
  gateway,  ///< root's or the effective user's, and under one name
  any,      ///< people's, who edit it: what stands beside it is theirs then, or the gateway's
};

/// SQLite opens a database, its log, the log's index and its journal by their names, follows links, and cuts what it
/// finds there to the size that it wants. The folder is the gateway's own, but may have been open to others once. Looks
/// at the folders and links that lead to `database`, and at each of these files; their modes are no matter. Some ten
/// system calls. @return "" where nothing is there, or plain files of nobody else; else a sentence that says what to do
[[nodiscard]] std::string why_not_own_database(const std::filesystem::path& database, Owner owner);

/// The same of a state database, of the secrets beside it, and of their locks and epoch. @throws as secrets_beside()
[[nodiscard]] std::string why_not_own_store(const std::filesystem::path& state_db);

}  // namespace gatehouse::db
