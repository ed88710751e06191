#include "db/file/paths.hpp"

#include "db/file/disk.hpp"

#include <stdexcept>

namespace gatehouse::db {

std::filesystem::path resolved(const std::filesystem::path& database) {
  constexpr int kMostLinks = 40;  // as Linux has it: path_resolution(7)
  try {
    std::filesystem::path path = std::filesystem::absolute(database);
    // weakly_canonical() does not follow a link to a file that is not there yet.
    for (int i = 0; i < kMostLinks && std::filesystem::is_symlink(path); ++i)
      path = path.parent_path() / std::filesystem::read_symlink(path);
    return std::filesystem::weakly_canonical(path);
  } catch (const std::filesystem::filesystem_error& error) {
    throw FileError(database, error.code().value());
  }
}

std::filesystem::path beside(const std::filesystem::path& database, const char* extension) {
  return std::filesystem::path(database).replace_extension(extension);
}

std::filesystem::path log_of(const std::filesystem::path& database) { return database.string() + "-wal"; }

std::filesystem::path lists_beside(const std::filesystem::path& policy_db) { return policy_db.parent_path() / "lists"; }

std::filesystem::path secrets_link_beside(const std::filesystem::path& state_db) {
  return resolved(state_db).parent_path() / "secrets.db";
}

std::filesystem::path secrets_beside(const std::filesystem::path& state_db) {
  const std::filesystem::path state = resolved(state_db), secrets = resolved(secrets_link_beside(state));
  if (beside(secrets, ".lock") == beside(state, ".lock"))
    throw std::runtime_error(state.string() + " has the name of the secrets beside it: give it another, as in " +
                             "[store] url = \"sqlite:/var/lib/gatehouse/state.db\"");
  return secrets;
}

}  // namespace gatehouse::db
