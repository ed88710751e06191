#include "db/policy/policy_database.hpp"

#include "db/migrations.hpp"
#include "db/policy/policy_copy.hpp"
#include "policy/limits.hpp"

#include <gatehouse/base/unique_fd.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <system_error>
#include <utility>

namespace gatehouse::db {
namespace {

constexpr std::chrono::milliseconds kWriterTimeout{5000};
constexpr std::chrono::milliseconds kReaderTimeout{100};

constexpr std::array<std::string_view, 8> kTables = {"settings",     "groups",       "group_members", "credentials",
                                                     "domain_rules", "domain_lists", "port_permits",  "traffic_rules"};

/// What to do about a file without a schema. The starter policy in its place would let through what it denied.
std::string empty_sentence(const std::filesystem::path& path) {
  const std::filesystem::path copy = last_good_path(path);
  return path.string() + " is empty: put " +
         (std::filesystem::exists(copy)
              ? copy.string() + " in its place"
              : "a copy of it in its place, or delete it and run `gatehouse policy init` for the starter policy");
}

/// 0 for a file without a schema.
/// @throws std::runtime_error unless the file is a policy database, or empty, and no newer than `newest`
std::int64_t schema_version(Database& database, std::int64_t newest) {
  const std::string name = database.path().string();
  const std::int64_t version = database.number("PRAGMA user_version");
  const std::int64_t tables = database.number("SELECT count(*) FROM sqlite_schema");
  if (database.number("PRAGMA application_id") != kPolicyApplicationId && (tables != 0 || version != 0))
    throw std::runtime_error(name +
                             " is not a policy database of Gatehouse: give another path, or move that file away");
  if (version > newest)
    throw std::runtime_error(name + " has schema version " + std::to_string(version) + " and this Gatehouse knows " +
                             std::to_string(newest) + ": update Gatehouse, or restore an older copy");
  return version;
}

/// Makes an empty file, 0640 whatever the umask is: policy.db holds the hashes of tokens. SQLite fills it.
/// @return false: there is one
bool make_file(const std::filesystem::path& path) {
  const UniqueFd file(::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0640));
  if (!file && errno == EEXIST) return false;
  if (!file || ::fchmod(file.get(), 0640) != 0) throw std::system_error(errno, std::system_category(), path.string());
  return true;
}

/// A consistent copy beside the file. A copy of an earlier attempt is replaced.
std::filesystem::path back_up(Database& database, std::int64_t version) {
  std::filesystem::path copy = database.path();
  copy += ".v" + std::to_string(version);
  std::filesystem::remove(copy);
  static_cast<void>(make_file(copy));
  Statement statement = database.prepare("VACUUM INTO ?1");
  statement.bind(1, copy.string());
  static_cast<void>(statement.step());
  return copy;
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
PolicySchema bring_up(const std::filesystem::path& path, bool is_new, std::span<const std::string_view> migrations) {
  Database database(path, OpenMode::read_write, kWriterTimeout);
  const auto newest = static_cast<std::int64_t>(migrations.size());
  PolicySchema done;
  done.to = newest;
  done.from = schema_version(database, newest);
  if (done.from == newest) return done;
  if (is_new || done.from > 0) database.run("PRAGMA journal_mode = WAL");
  if (done.from > 0) done.backup = back_up(database, done.from);
  Transaction transaction(database, Transaction::Kind::immediate);
  done.from = schema_version(database, newest);  // again, under the lock: another process may have been faster
  done.created = done.from == 0;
  if (done.created && !is_new) throw std::runtime_error(empty_sentence(path));
  for (std::int64_t version = done.from; version < newest; ++version)
    database.run(migrations[static_cast<std::size_t>(version)]);
  if (done.created) database.run(starter_policy());
  database.run("PRAGMA application_id = " + std::to_string(kPolicyApplicationId));
  database.run("PRAGMA user_version = " + std::to_string(newest));
  transaction.commit();
  return done;
}

}  // namespace

PolicySchema prepare_policy(const std::filesystem::path& path) { return prepare_policy(path, policy_migrations()); }

PolicySchema prepare_policy(const std::filesystem::path& path, std::span<const std::string_view> migrations) {
  const bool is_new = make_file(path);
  try {
    return bring_up(path, is_new, migrations);
  } catch (...) {
    std::error_code ignored;
    if (is_new)
      for (const char* const suffix : {"", "-wal", "-shm"}) std::filesystem::remove(path.string() + suffix, ignored);
    throw;
  }
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
  if (!found.exists() || ::faccessat(AT_FDCWD, path_.c_str(), R_OK, AT_EACCESS) != 0)
    throw std::system_error(errno, std::system_category(), path_.string());
  return found;
}

void PolicyDatabase::open() {
  give_up();
  const FileStamp file = readable_stamp();
  remove_orphans(file);
  Database database(path_, OpenMode::read_write, kReaderTimeout);
  database.checkpoint_on_close(false);
  const auto newest = static_cast<std::int64_t>(policy_migrations().size());
  const std::int64_t version = schema_version(database, newest);
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
  log_file_ = FileStamp::of(log_path());
}

/// The write-ahead log of a file that was replaced would be replayed into the new one.
void PolicyDatabase::remove_orphans(const FileStamp& now) {
  if (!file_.exists() || now.is_file(file_)) return;
  if (!log_file_.exists() || !FileStamp::of(log_path()).is_file(log_file_)) return;
  std::error_code ignored;
  std::filesystem::remove(log_path(), ignored);
  std::filesystem::remove(path_.string() + "-shm", ignored);
}

/// Is the file not the one that was opened, or was it written to by something else than a commit? A checkpoint looks
/// the same; it is rare.
bool PolicyDatabase::is_another() {
  const FileStamp log = FileStamp::of(log_path());
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
