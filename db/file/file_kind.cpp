#include "db/file/file_kind.hpp"

#include "db/file/copy.hpp"
#include "db/migrations.hpp"

#include <stdexcept>
#include <string>

namespace gatehouse::db {

using std::filesystem::perms;

const FileKind& policy_kind() noexcept {
  static const FileKind kind{"policy", "path", kPolicyApplicationId, policy_migrations(), perms{0640}};
  return kind;
}

const FileKind& state_kind() noexcept {
  static const FileKind kind{"state", "[gateway] state_dir", kStateApplicationId, state_migrations(), perms{0640}};
  return kind;
}

const FileKind& secrets_kind() noexcept {
  static const FileKind kind{"secrets", "[gateway] state_dir", kSecretsApplicationId, secrets_migrations(),
                             perms{0600}};
  return kind;
}

std::int64_t schema_version(Database& database, const FileKind& kind) {
  const std::string name = database.path().string();
  const std::int64_t application_id = database.number("PRAGMA application_id");
  const std::int64_t version = database.number("PRAGMA user_version");
  const bool is_empty = database.number("SELECT count(*) FROM sqlite_schema") == 0;
  if (application_id != kind.application_id && (application_id != 0 || version != 0 || !is_empty))
    throw std::runtime_error(name + " is not a " + kind.noun + " database of Gatehouse: give another " + kind.chosen +
                             ", or move that file away");
  if (version < 0 || (version == 0 && !is_empty))
    throw std::runtime_error(name + " has schema version " + std::to_string(version) +
                             ", which no Gatehouse has given it: restore a copy, or move that file away");
  if (version > kind.newest())
    throw std::runtime_error(name + " has schema version " + std::to_string(version) + " and this Gatehouse knows " +
                             std::to_string(kind.newest()) + ": update Gatehouse, or restore an older copy");
  return version;
}

std::filesystem::path keep_version(const std::filesystem::path& path, std::int64_t version) {
  std::filesystem::path copy = path.string() + ".v" + std::to_string(version);
  copy_database(path, copy, Existing::replace);
  return copy;
}

void migrate(Database& database, const FileKind& kind, std::int64_t from) {
  for (std::int64_t version = from; version < kind.newest(); ++version)
    database.run(kind.migrations[static_cast<std::size_t>(version)]);
  database.run("PRAGMA application_id = " + std::to_string(kind.application_id));
  database.run("PRAGMA user_version = " + std::to_string(kind.newest()));
}

}  // namespace gatehouse::db
