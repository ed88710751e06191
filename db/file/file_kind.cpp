#include "db/file/file_kind.hpp"

#include "db/file/copy.hpp"
#include "db/migrations.hpp"

#include <array>
#include <stdexcept>
#include <string>

namespace gatehouse::db {

using std::filesystem::perms;

namespace {

constexpr std::array<std::string_view, 12> kPolicyTables = {
    "meta",        "changes",    "rows_before",  "settings",     "groups",       "group_members",
    "credentials", "admissions", "domain_rules", "domain_lists", "port_permits", "traffic_rules"};
constexpr std::array<std::string_view, 6> kStateTables = {"epoch", "sessions",      "leases",
                                                          "usage", "plugin_values", "shares"};
constexpr std::array<std::string_view, 2> kSecretsTables = {"epoch", "plugin_values"};

}  // namespace

const FileKind& policy_kind() noexcept {
  static const FileKind kind{"policy", "path", kPolicyApplicationId, policy_migrations(), perms{0640}, kPolicyTables};
  return kind;
}

const FileKind& state_kind() noexcept {
  static const FileKind kind{"state",     "[gateway] state_dir", kStateApplicationId, state_migrations(),
                             perms{0640}, kStateTables};
  return kind;
}

const FileKind& secrets_kind() noexcept {
  static const FileKind kind{"secrets",   "[gateway] state_dir", kSecretsApplicationId, secrets_migrations(),
                             perms{0600}, kSecretsTables};
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

std::string why_not_plain(Database& database, const FileKind& kind) {
  Statement stand_in = database.prepare(
      "SELECT 1 FROM sqlite_schema WHERE name = ?1 COLLATE NOCASE AND (type <> 'table' OR rootpage = 0)");
  Statement computed = database.prepare("SELECT name FROM pragma_table_xinfo(?1) WHERE hidden > 1");
  for (const std::string_view table : kind.tables) {
    stand_in.bind(1, table);
    if (stand_in.step())
      return '`' + std::string(table) + "` is a view or a virtual table there, and has to be a table";
    stand_in.reset();
    computed.bind(1, table);
    if (computed.step())
      return '`' + computed.text(0) + "` of `" + std::string(table) + "` is computed there, and has to be stored";
    computed.reset();
  }
  return {};
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
