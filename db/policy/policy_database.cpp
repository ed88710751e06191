#include "db/policy/policy_database.hpp"

#include "db/file/disk.hpp"
#include "db/file/own_database.hpp"
#include "db/file/paths.hpp"
#include "db/file/work_limit.hpp"
#include "db/migrations.hpp"
#include "db/policy/policy_copy.hpp"
#include "policy/limits.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <utility>

namespace gatehouse::db {
namespace {

constexpr std::chrono::milliseconds kWriterTimeout{5000};
constexpr std::chrono::milliseconds kReaderTimeout{100};
constexpr std::chrono::seconds kMigrating{60};

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

/// Counts what rows come to in memory.
class Weight {
 public:
  explicit Weight(const std::filesystem::path& path) : path_(path) {}

  /// @param fixed  bytes of a row besides its text
  void add(const Statement& row, std::size_t fixed) {
    bytes_ += fixed;
    for (int i = 0; i < row.columns(); ++i) bytes_ += row.is_integer(i) ? 0 : row.text(i).size();
    if (bytes_ > PolicyDatabase::kMostBytes)
      throw std::runtime_error(path_.string() + " has more than " + std::to_string(PolicyDatabase::kMostBytes >> 20U) +
                               " MiB of rows: delete some, or import names as a list (`gatehouse policy import`)");
  }

 private:
  const std::filesystem::path& path_;
  std::size_t bytes_ = 0;
};

/// Reads tables, and counts what their rows come to.
class Reader {
 public:
  explicit Reader(Database& database) : database_(database), weight_(database.path()) {}

  /// Adds `make(row)` to `rows` for each row of `table`, by id, which is column 0.
  template <class Row, class Make>
  void read(std::vector<Row>& rows, std::string_view table, const std::string& columns, Make make) {
    Statement row = database_.prepare("SELECT id, " + columns + " FROM " + std::string(table) + " ORDER BY id");
    std::int64_t last = 0;
    while (step(row, table, last)) {
      last = row.integer(0);
      weight_.add(row, sizeof(Row));
      rows.push_back(make(row));
    }
  }

 private:
  bool step(Statement& row, std::string_view table, std::int64_t last) const {
    try {
      return row.step();
    } catch (const SqliteError& error) {
      if (!is_too_big(error)) throw;
      throw std::runtime_error(database_.path().string() + ": a value of the first row after " + std::to_string(last) +
                               " of " + std::string(table) + " has more than " +
                               std::to_string(PolicyDatabase::kLongestValue) + " bytes: shorten it, or delete the row");
    }
  }

  Database& database_;
  Weight weight_;
};

/// A policy database of this version, with tables to read.
void must_be_policy(Database& database) {
  const std::int64_t newest = policy_kind().newest(), version = schema_version(database, policy_kind());
  if (version == 0) throw std::runtime_error(empty_sentence(database.path()));
  if (version != newest)
    throw std::runtime_error(database.path().string() + " has schema version " + std::to_string(version) + ", not " +
                             std::to_string(newest) + ": run `gatehouse policy init`");
  must_be_tables(database);
}

void load_groups(Reader& from, policy::Model& model) {
  from.read(model.groups, "groups", "name, priority, enabled", [](const Statement& row) {
    return policy::Group{row.integer(0), row.text(1), row.integer(2), row.integer(3) != 0};
  });
  from.read(model.group_members, "group_members", "group_id, kind, pattern, enabled, expires_at",
            [](const Statement& row) {
              return policy::GroupMember{row.integer(0), row.integer(1), row.text(2), row.text(3), life(row, 4)};
            });
  from.read(model.credentials, "credentials", "kind, value, identity, plugin, enabled, expires_at",
            [](const Statement& row) {
              return policy::Credential{row.integer(0), row.text(1),          row.text(2),
                                        row.text(3),    row.optional_text(4), life(row, 5)};
            });
}

void load_rules(Reader& from, policy::Model& model) {
  from.read(model.admissions, "admissions", "group_id, plugin, listener, action, priority, enabled, expires_at",
            [](const Statement& row) {
              return policy::Admission{row.integer(0), row.optional_integer(1), row.text(2), row.text(3),
                                       row.text(4),    row.integer(5),          life(row, 6)};
            });
  from.read(model.domain_rules, "domain_rules", "group_id, domain, match, action, enabled, expires_at",
            [](const Statement& row) {
              return policy::DomainRule{row.integer(0), row.optional_integer(1), row.text(2), row.text(3), row.text(4),
                                        life(row, 5)};
            });
  from.read(model.domain_lists, "domain_lists", "name, group_id, match, action, file, enabled, expires_at",
            [](const Statement& row) {
              return policy::DomainList{row.integer(0), row.text(1), row.optional_integer(2), row.text(3), row.text(4),
                                        row.text(5),    life(row, 6)};
            });
  from.read(model.port_permits, "port_permits",
            "group_id, transport, ports, destination, action, priority, enabled, expires_at", [](const Statement& row) {
              return policy::PortPermit{
                  row.integer(0), row.optional_integer(1), row.text(2), row.optional_text(3), row.optional_text(4),
                  row.text(5),    row.integer(6),          life(row, 7)};
            });
  from.read(model.settings, "settings", "name, value", [](const Statement& row) {
    return policy::Setting{row.integer(0), row.text(1), row.text(2)};
  });
}

void load_traffic_rules(Reader& from, policy::Model& model) {
  std::string columns = "group_id, scope, quota_period, enabled, expires_at";
  for (const policy::TrafficColumn& column : policy::kTrafficColumns) columns += ", " + std::string(column.name);
  from.read(model.traffic_rules, "traffic_rules", columns, [](const Statement& row) {
    policy::TrafficRule rule;
    rule.id = row.integer(0);
    rule.group_id = row.integer(1);
    rule.scope = row.text(2);
    rule.quota_period = row.optional_text(3);
    rule.life = life(row, 4);
    int at = 6;
    for (const policy::TrafficColumn& column : policy::kTrafficColumns) rule.*column.row = row.optional_integer(at++);
    return rule;
  });
}

/// @param is_new  the file was made for it, so that it may be empty
PolicySchema bring_up(const std::filesystem::path& path, bool is_new, const FileKind& kind) {
  Database database(path, OpenMode::read_write, kWriterTimeout);
  limit_values(database, PolicyDatabase::kLongestValue);
  PolicySchema done;
  done.to = kind.newest();
  done.from = schema_version(database, kind);
  if (done.from == done.to) return done;
  must_be_tables(database);
  if (is_new || done.from > 0) database.run("PRAGMA journal_mode = WAL");
  if (done.from > 0) done.backup = keep_version(path, done.from);
  const WorkLimit limit(database, kMigrating, nullptr);  // triggers that somebody made may run
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

void must_be_tables(Database& database) {
  if (const std::string why = why_not_plain(database, policy_kind()); !why.empty())
    throw std::runtime_error(database.path().string() + ": " + why + ": restore a copy");
}

std::string why_not_own_policy(const std::filesystem::path& path) {
  if (const std::string why = why_not_own_database(path, Names::any); !why.empty()) return why;
  for (const std::filesystem::path& copy : {last_good_path(path), former_good_path(path)})
    if (const std::string why = why_not_own_database(copy, Names::any); !why.empty()) return why;
  return {};
}

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

void check_policy(const std::filesystem::path& path) { static_cast<void>(PolicyDatabase(path)); }

Database open_policy(const std::filesystem::path& path, std::chrono::milliseconds busy_timeout) {
  check_policy(path);
  Database database(path, OpenMode::read_write, busy_timeout);
  limit_values(database, PolicyDatabase::kLongestChange);
  return database;
}

PolicyDatabase::PolicyDatabase(const std::filesystem::path& path, const std::atomic<bool>* stop)
    : path_(path), stop_(stop) {
  open();
}

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

/// Does the work, and says plainly when it took too long.
template <class Work>
auto PolicyDatabase::bounded(Database& database, Work work) const {
  const WorkLimit limit(database, kPatience, stop_);
  try {
    return work();
  } catch (const SqliteError&) {
    if (!limit.is_over()) throw;
    throw std::runtime_error(path_.string() + " takes more than " + std::to_string(kPatience.count()) +
                             " s to read: see what it holds, or put a copy of an older one in its place");
  }
}

void PolicyDatabase::open() {
  give_up();
  const FileStamp file = readable_stamp();
  remove_orphans(file);
  Database database(path_, OpenMode::read_write, kReaderTimeout);
  database.checkpoint_on_close(false);
  limit_values(database, kLongestValue);
  bounded(database, [&] { must_be_policy(database); });
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
  static_cast<void>(read_head(*database_, head_));
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
  if (readable_stamp() != file_ || log_was_cut) return true;
  FileHead head{};
  return read_head(*database_, head) && head != head_;
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
  Reader reader(database);
  load_groups(reader, model);
  load_rules(reader, model);
  load_traffic_rules(reader, model);
  return model;
}

policy::Model PolicyDatabase::load() {
  if (!database_) open();
  return bounded(*database_, [this] {
    Transaction transaction(*database_, Transaction::Kind::read);
    must_be_policy(*database_);  // anybody may have changed the schema since it was opened
    policy::Model model = load_policy(*database_);
    transaction.commit();
    return model;
  });
}

TableRows PolicyDatabase::read_table(std::string_view name) {
  if (!database_) open();
  return bounded(*database_, [&] {
    must_be_policy(*database_);
    Statement statement = database_->prepare("SELECT * FROM " + std::string(name) + " ORDER BY id");
    TableRows table;
    Weight weight(path_);
    for (int i = 0; i < statement.columns(); ++i) table.columns.push_back(statement.column_name(i));
    while (statement.step()) {
      weight.add(statement, static_cast<std::size_t>(statement.columns()) * sizeof(Cell));
      auto& row = table.rows.emplace_back();
      for (int i = 0; i < statement.columns(); ++i) row.push_back(statement.cell(i));
    }
    return table;
  });
}

std::span<const std::string_view> policy_tables() noexcept {
  return policy_kind().tables.subspan(3);  // without what the triggers keep: meta, changes and rows_before
}

}  // namespace gatehouse::db
