#include "db/sqlite.hpp"

#include <sqlite3.h>

namespace gatehouse::db {
namespace {

SqliteError error_of(sqlite3* handle, const std::filesystem::path& path) {
  const int code = sqlite3_extended_errcode(handle);
  const char* const why = (code & 0xff) == SQLITE_INTERRUPT ? "given up before its end" : sqlite3_errmsg(handle);
  return {path.string() + ": " + why, code, path, sqlite3_system_errno(handle)};
}

[[noreturn]] void fail(sqlite3* handle, const std::filesystem::path& path) { throw error_of(handle, path); }

int open_flags(OpenMode mode) noexcept {
  switch (mode) {
    case OpenMode::read_only: return SQLITE_OPEN_READONLY;
    case OpenMode::read_write: return SQLITE_OPEN_READWRITE;
    case OpenMode::create: return SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    case OpenMode::frozen: return SQLITE_OPEN_READONLY | SQLITE_OPEN_URI;
  }
  return SQLITE_OPEN_READONLY;
}

/// As SQLite wants it (sqlite.org/uri.html): every byte that could mean something else as %XX.
std::string frozen_uri(const std::filesystem::path& path) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string uri = "file:";
  for (const char c : std::filesystem::absolute(path).string()) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > 0x20 && byte < 0x7f && c != '%' && c != '?' && c != '#') {
      uri += c;
    } else {
      (uri += '%').append({kDigits[byte >> 4U], kDigits[byte & 15U]});
    }
  }
  return uri + "?immutable=1";
}

}  // namespace

void Database::Close::operator()(sqlite3* handle) const noexcept { sqlite3_close_v2(handle); }

Database::Database(const std::filesystem::path& path, OpenMode mode, std::chrono::milliseconds busy_timeout)
    : path_(path) {
  sqlite3* raw = nullptr;
  const std::string name = mode == OpenMode::frozen ? frozen_uri(path) : path.string();
  const int code = sqlite3_open_v2(name.c_str(), &raw, open_flags(mode) | SQLITE_OPEN_NOMUTEX, nullptr);
  handle_.reset(raw);
  if (code != SQLITE_OK) {
    if (!raw) throw SqliteError(path.string() + ": out of memory", code, path);
    fail(raw, path);
  }
  sqlite3_extended_result_codes(raw, 1);
  this->busy_timeout(busy_timeout);
}

void Database::run(std::string_view sql) {
  if (sqlite3_exec(handle(), std::string(sql).c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) fail(handle(), path_);
}

bool Database::checkpoint(Checkpoint kind) {
  int frames = 0, moved = 0;
  const int mode = kind == Checkpoint::passive ? SQLITE_CHECKPOINT_PASSIVE : SQLITE_CHECKPOINT_TRUNCATE;
  const int code = sqlite3_wal_checkpoint_v2(handle(), "main", mode, &frames, &moved);
  if (code != SQLITE_OK && (code & 0xff) != SQLITE_BUSY) fail(handle(), path_);
  return code == SQLITE_OK && moved == frames;
}

bool Database::is_in_transaction() const noexcept { return sqlite3_get_autocommit(handle_.get()) == 0; }

void Database::busy_timeout(std::chrono::milliseconds timeout) noexcept {
  sqlite3_busy_timeout(handle(), static_cast<int>(timeout.count()));
}

void Database::harden() noexcept {
  sqlite3_db_config(handle(), SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle(), SQLITE_DBCONFIG_DQS_DML, 0, nullptr);
  sqlite3_db_config(handle(), SQLITE_DBCONFIG_DQS_DDL, 0, nullptr);
}

void Database::release_memory() noexcept { sqlite3_db_release_memory(handle()); }

void Database::interrupt() noexcept { sqlite3_interrupt(handle()); }

void Database::checkpoint_on_close(bool wanted) noexcept {
  sqlite3_db_config(handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, wanted ? 0 : 1, nullptr);
}

std::int64_t Database::number(std::string_view sql) {
  Statement statement = prepare(sql);
  return statement.step() ? statement.integer(0) : 0;
}

Statement Database::prepare(std::string_view sql) { return {*this, sql}; }

void Statement::Finalize::operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }

Statement::Statement(Database& database, std::string_view sql) : path_(database.path()) {
  sqlite3_stmt* raw = nullptr;
  if (sqlite3_prepare_v2(database.handle(), sql.data(), static_cast<int>(sql.size()), &raw, nullptr) != SQLITE_OK)
    fail(database.handle(), path_);
  handle_.reset(raw);
}

/// One that is kept takes values again afterwards.
void Statement::give_up() {
  const SqliteError error = error_of(sqlite3_db_handle(handle_.get()), path_);
  reset();
  throw error;
}

bool Statement::step() {
  switch (sqlite3_step(handle_.get())) {
    case SQLITE_ROW: return true;
    case SQLITE_DONE: return false;
    default: give_up();
  }
}

void Statement::reset() noexcept { sqlite3_reset(handle_.get()); }

void Statement::run() {
  int code = SQLITE_ROW;
  while (code == SQLITE_ROW) code = sqlite3_step(handle_.get());
  if (code != SQLITE_DONE) give_up();
  reset();
}

void Statement::bind(int parameter, std::int64_t value) {
  if (sqlite3_bind_int64(handle_.get(), parameter, value) != SQLITE_OK) fail(sqlite3_db_handle(handle_.get()), path_);
}

void Statement::bind(int parameter, std::string_view text) {
  const char* const data = text.data() ? text.data() : "";  // a null pointer would bind NULL
  if (sqlite3_bind_text(handle_.get(), parameter, data, static_cast<int>(text.size()), SQLITE_TRANSIENT) != SQLITE_OK)
    fail(sqlite3_db_handle(handle_.get()), path_);
}

void Statement::bind_null(int parameter) {
  if (sqlite3_bind_null(handle_.get(), parameter) != SQLITE_OK) fail(sqlite3_db_handle(handle_.get()), path_);
}

void Statement::bind_borrowed(int parameter, std::string_view text) {
  const char* const data = text.data() ? text.data() : "";  // a null pointer would bind NULL
  if (sqlite3_bind_text(handle_.get(), parameter, data, static_cast<int>(text.size()), SQLITE_STATIC) != SQLITE_OK)
    fail(sqlite3_db_handle(handle_.get()), path_);
}

void Statement::bind_borrowed(int parameter, std::span<const std::uint8_t> blob) {
  const void* const data = blob.empty() ? "" : static_cast<const void*>(blob.data());
  if (sqlite3_bind_blob(handle_.get(), parameter, data, static_cast<int>(blob.size()), SQLITE_STATIC) != SQLITE_OK)
    fail(sqlite3_db_handle(handle_.get()), path_);
}

void Statement::bind_value(int parameter, const Cell& value) {
  if (const auto* const number = std::get_if<std::int64_t>(&value)) return bind(parameter, *number);
  if (const auto* const text = std::get_if<std::string>(&value)) return bind(parameter, std::string_view(*text));
  bind_null(parameter);
}

int Statement::columns() const noexcept { return sqlite3_column_count(handle_.get()); }

std::string Statement::column_name(int column) const { return sqlite3_column_name(handle_.get(), column); }

bool Statement::is_null(int column) const noexcept { return sqlite3_column_type(handle_.get(), column) == SQLITE_NULL; }

bool Statement::is_integer(int column) const noexcept {
  return sqlite3_column_type(handle_.get(), column) == SQLITE_INTEGER;
}

Cell Statement::cell(int column) const {
  if (is_null(column)) return {};
  if (is_integer(column)) return integer(column);
  return text(column);
}

std::int64_t Statement::integer(int column) const noexcept { return sqlite3_column_int64(handle_.get(), column); }

std::string Statement::text(int column) const {
  const unsigned char* const text = sqlite3_column_text(handle_.get(), column);
  if (!text) return {};
  return {reinterpret_cast<const char*>(text), static_cast<std::size_t>(sqlite3_column_bytes(handle_.get(), column))};
}

std::vector<std::uint8_t> Statement::blob(int column) const {
  const auto* const data = static_cast<const std::uint8_t*>(sqlite3_column_blob(handle_.get(), column));
  const int size = data ? sqlite3_column_bytes(handle_.get(), column) : 0;
  return {data, data + size};
}

std::optional<std::int64_t> Statement::optional_integer(int column) const noexcept {
  if (is_null(column)) return {};
  return integer(column);
}

std::optional<std::string> Statement::optional_text(int column) const {
  if (is_null(column)) return {};
  return text(column);
}

Transaction::Transaction(Database& database, Kind kind) : database_(database) {
  database_.run(kind == Kind::immediate ? "BEGIN IMMEDIATE" : "BEGIN");
}

Transaction::~Transaction() {
  if (open_) sqlite3_exec(database_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
}

void Transaction::commit() {
  database_.run("COMMIT");
  open_ = false;
}

}  // namespace gatehouse::db
