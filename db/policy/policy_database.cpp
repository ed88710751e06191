#include "db/policy/policy_database.hpp"

#include "db/file/disk.hpp"
#include "db/file/paths.hpp"
#include "db/migrations.hpp"
#include "db/policy/policy_copy.hpp"
#include "policy/limits.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <utility>

namespace gatehouse::db {
namespace {

constexpr std::chrono::milliseconds kWriterTimeout{5000};
constexpr std::chrono::milliseconds kReaderTimeout{100};

constexpr std::array<std::string_view, 9> kTables = {"settings",     "groups",       "group_members",
                                                     "credentials",  "admissions",   "domain_rules",
                                                     "domain_lists", "port_permits", "traffic_rules"};

/// What to do about a file without a schema. The starter policy in its place would let through what it denied.
std::string empty_sentence(const std::filesystem::path& path) {
  const std::filesystem::path copy = last_good_path(path);
  return path.string() + " is empty: put " +
         (std::filesystem::exists(copy)
              ? copy.string() + " in its place"
              : "a copy of it in its place, or delete it and run `gatehouse policy init` for the starter policy");
}

policy::Life life(const Statement& row, int column) {
  return {row.integer(column) != 0, row.optional_integer(column + 1)};
}

/// Calls `take(statement)` for each row of `sql`.
template <class Take>
void for_each(Database& database, std::string_view sql, Take take) {
  Statement statement = database.prepare(sql);
  while (statement.step()) take(statement);
}

void load_groups(Database& database, policy::Model& model) {
  for_each(database, "SELECT id, name, priority, enabled FROM groups ORDER BY id", [&](const Statement& row) {
    model.groups.push_back({row.integer(0), row.text(1), row.integer(2), row.integer(3) != 0});
  });
  for_each(database, "SELECT id, group_id, kind, pattern, enabled, expires_at FROM group_members ORDER BY id",
           [&](const Statement& row) {
             model.group_members.push_back({row.integer(0), row.integer(1), row.text(2), row.text(3), life(row, 4)});
           });
  for_each(database, "SELECT id, kind, value, identity, plugin, enabled, expires_at FROM credentials ORDER BY id",
           [&](const Statement& row) {
             model.credentials.push_back(
                 {row.integer(0), row.text(1), row.text(2), row.text(3), row.optional_text(4), life(row, 5)});
           });
}

void load_rules(Database& database, policy::Model& model) {
  for_each(database,
           "SELECT id, group_id, plugin, listener, action, priority, enabled, expires_at FROM admissions ORDER BY id",
           [&](const Statement& row) {
             model.admissions.push_back({row.integer(0), row.optional_integer(1), row.text(2), row.text(3), row.text(4),
                                         row.integer(5), life(row, 6)});
           });
  for_each(database, "SELECT id, group_id, domain, match, action, enabled, expires_at FROM domain_rules ORDER BY id",
           [&](const Statement& row) {
             model.domain_rules.push_back(
                 {row.integer(0), row.optional_integer(1), row.text(2), row.text(3), row.text(4), life(row, 5)});
           });
  for_each(database,
           "SELECT id, name, group_id, match, action, file, enabled, expires_at FROM domain_lists ORDER BY id",
           [&](const Statement& row) {
             model.domain_lists.push_back({row.integer(0), row.text(1), row.optional_integer(2), row.text(3),
                                           row.text(4), row.text(5), life(row, 6)});
           });
  for_each(database,
           "SELECT id, group_id, transport, ports, destination, action, priority, enabled, expires_at "
           "FROM port_permits ORDER BY id",
           [&](const Statement& row) {
             model.port_permits.push_back({row.integer(0), row.optional_integer(1), row.text(2), row.optional_text(3),
                                           row.optional_text(4), row.text(5), row.integer(6), life(row, 7)});
           });
  for_each(database, "SELECT id, name, value FROM settings ORDER BY id", [&](const Statement& row) {
    model.settings.push_back({row.integer(0), row.text(1), row.text(2)});
  });
}

void load_traffic_rules(Database& database, policy::Model& model) {
  std::string sql = "SELECT id, group_id, scope, quota_period, enabled, expires_at";
  for (const policy::TrafficColumn& column : policy::kTrafficColumns) sql += ", " + std::string(column.name);
  for_each(database, sql + " FROM traffic_rules ORDER BY id", [&](const Statement& row) {
    policy::TrafficRule rule;
    rule.id = row.integer(0);
    rule.group_id = row.integer(1);
    rule.scope = row.text(2);
    rule.quota_period = row.optional_text(3);
    rule.life = life(row, 4);
    int at = 6;
    for (const policy::TrafficColumn& column : policy::kTrafficColumns) rule.*column.row = row.optional_integer(at++);
    model.traffic_rules.push_back(std::move(rule));
  });
}

/// @param is_new  the file was made for it, so that it may be empty
PolicySchema bring_up(const std::filesystem::path& path, bool is_new, const FileKind& kind) {
  Database database(path, OpenMode::read_write, kWriterTimeout);
  PolicySchema done;
  done.to = kind.newest();
  done.from = schema_version(database, kind);
  if (done.from == done.to) return done;
  if (is_new || done.from > 0) database.run("PRAGMA journal_mode = WAL");
  if (done.from > 0) done.backup = keep_version(path, done.from);
  Transaction transaction(database, Transaction::Kind::immediate);
  done.from = schema_version(database, kind);  // again, under the lock: another process may have been faster
  done.created = done.from == 0;
  if (done.created && !is_new) throw std::runtime_error(empty_sentence(path));
  migrate(database, kind, done.from);
  if (done.created) database.run(starter_policy());
  transaction.commit();
  return done;
}

}  // namespace

PolicySchema prepare_policy(const std::filesystem::path& path) { return prepare_policy(path, policy_migrations()); }

PolicySchema prepare_policy(const std::filesystem::path& path, std::span<const std::string_view> migrations) {
  FileKind kind = policy_kind();
  kind.migrations = migrations;
  const bool is_new = make_file(path, kind.mode);
  try {
    return bring_up(path, is_new, kind);
  } catch (...) {
    if (is_new) remove_database(path);
    throw;
  }
}

const std::filesystem::path& checked_policy(const std::filesystem::path& path) {
  static_cast<void>(PolicyDatabase(path));
  return path;
}

PolicyDatabase::PolicyDatabase(const std::filesystem::path& path) : path_(path) { open(); }

PolicyDatabase::~PolicyDatabase() {
  if (database_) database_->checkpoint_on_close(true);
}

void PolicyDatabase::give_up() noexcept {
  data_version_.reset();
  database_.reset();
}

FileStamp PolicyDatabase::readable_stamp() const {
  const FileStamp found = FileStamp::of(path_);
  if (!found.exists() || ::faccessat(AT_FDCWD, path_.c_str(), R_OK, AT_EACCESS) != 0) throw FileError(path_, errno);
  return found;
}

void PolicyDatabase::open() {
  give_up();
  const FileStamp file = readable_stamp();
  remove_orphans(file);
  Database database(path_, OpenMode::read_write, kReaderTimeout);
  database.checkpoint_on_close(false);
  const std::int64_t newest = policy_kind().newest(), version = schema_version(database, policy_kind());
  if (version == 0) throw std::runtime_error(empty_sentence(path_));
  if (version != newest)
    throw std::runtime_error(path_.string() + " has schema version " + std::to_string(version) + ", not " +
                             std::to_string(newest) + ": run `gatehouse policy init`");
  try {  // a file that was put in place may have another mode, in which readers and writers shut each other out
    database.run("PRAGMA journal_mode = WAL");
  } catch (const SqliteError&) {  // somebody is in it, or it cannot be written: it can be read all the same
  }
  database.run("PRAGMA query_only = ON");
  database_.emplace(std::move(database));
  data_version_.emplace(database_->prepare("PRAGMA data_version"));
  if (data_version_->step()) seen_version_ = data_version_->integer(0);
  data_version_->reset();
  const FileStamp now = FileStamp::of(path_);  // the mode may have been written
  file_ = now.is_file(file) ? now : file;
  log_file_ = FileStamp::of(log_of(path_));
}

/// The write-ahead log of a file that was replaced would be replayed into the new one.
void PolicyDatabase::remove_orphans(const FileStamp& now) {
  if (!file_.exists() || now.is_file(file_)) return;
  if (!log_file_.exists() || !FileStamp::of(log_of(path_)).is_file(log_file_)) return;
  std::error_code ignored;
  std::filesystem::remove(log_of(path_), ignored);
  std::filesystem::remove(path_.string() + "-shm", ignored);
}

/// Is the file not the one that was opened, or was it written to by something else than a commit? A checkpoint looks
/// the same; it is rare.
bool PolicyDatabase::is_another() {
  const FileStamp log = FileStamp::of(log_of(path_));
  const bool log_was_cut = log_file_.exists() && (!log.is_file(log_file_) || log.size < log_file_.size);
  log_file_ = log;
  return readable_stamp() != file_ || log_was_cut;
}

bool PolicyDatabase::changed() {
  if (!database_ || is_another()) return open(), true;
  const std::int64_t version = data_version_->step() ? data_version_->integer(0) : seen_version_;
  data_version_->reset();
  return std::exchange(seen_version_, version) != version;
}

policy::Model load_policy(Database& database) {
  policy::Model model;
  model.revision = database.number("SELECT revision FROM meta");
  load_groups(database, model);
  load_rules(database, model);
  load_traffic_rules(database, model);
  return model;
}

policy::Model PolicyDatabase::load() {
  if (!database_) open();
  Transaction transaction(*database_, Transaction::Kind::read);
  policy::Model model = load_policy(*database_);
  transaction.commit();
  return model;
}

TableRows PolicyDatabase::read_table(std::string_view name) {
  if (!database_) open();
  Statement statement = database_->prepare("SELECT * FROM " + std::string(name) + " ORDER BY id");
  TableRows table;
  for (int i = 0; i < statement.columns(); ++i) table.columns.push_back(statement.column_name(i));
  while (statement.step()) {
    auto& row = table.rows.emplace_back();
    for (int i = 0; i < statement.columns(); ++i) row.push_back(statement.cell(i));
  }
  return table;
}

std::span<const std::string_view> policy_tables() noexcept { return kTables; }

}  // namespace gatehouse::db
