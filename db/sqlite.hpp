// A thin layer over SQLite: connections, statements and transactions with owners. Not thread-safe: one thread a
// connection. The database's own header stays inside this folder's sources.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

struct sqlite3;
struct sqlite3_stmt;

namespace gatehouse::db {

/// What SQLite refused, in its own sentence, with what was being done: "policy.db: database is locked".
class SqliteError : public std::runtime_error {
 public:
  SqliteError(const std::string& what, int extended_code, std::filesystem::path file = {}, int system_error = 0)
      : std::runtime_error(what), file_(std::move(file)), code_(extended_code), system_error_(system_error) {}
  /// The extended result code (sqlite.org/rescode.html).
  [[nodiscard]] int code() const noexcept { return code_; }
  /// Of the connection.
  [[nodiscard]] const std::filesystem::path& file() const noexcept { return file_; }
  /// errno of the system call that failed, if one did; else 0, or that of an earlier one.
  [[nodiscard]] int system_error() const noexcept { return system_error_; }
  /// Somebody else holds a lock: the same may work later.
  [[nodiscard]] bool is_busy() const noexcept { return (code_ & 0xff) == 5 || (code_ & 0xff) == 6; }
  /// The row is refused, whatever the file is like: a constraint or trigger, a type, a size.
  [[nodiscard]] bool is_of_row() const noexcept {
    return (code_ & 0xff) == 19 || (code_ & 0xff) == 20 || (code_ & 0xff) == 18;
  }
  /// The file is not what SQLite wrote there.
  [[nodiscard]] bool is_corrupt() const noexcept { return (code_ & 0xff) == 11 || (code_ & 0xff) == 26; }

 private:
  std::filesystem::path file_;
  int code_, system_error_;
};

/// `frozen` reads the file alone, as if nobody could change it: no lock, no write-ahead log (immutable=1).
enum class OpenMode { read_only, read_write, create, frozen };

/// One value of a row: NULL, a number or text.
using Cell = std::variant<std::monostate, std::int64_t, std::string>;

class Statement;

/// One connection.
class Database {
 public:
  /// @throws SqliteError
  Database(const std::filesystem::path& path, OpenMode mode, std::chrono::milliseconds busy_timeout);

  /// Runs statements that give no rows, one after another. @throws SqliteError
  void run(std::string_view sql);
  /// The one integer that `sql` gives, or 0 without a row. @throws SqliteError
  [[nodiscard]] std::int64_t number(std::string_view sql);
  /// @throws SqliteError
  [[nodiscard]] Statement prepare(std::string_view sql);

  /// Shall the last connection to close move the write-ahead log into the file (as it does unless told otherwise)?
  /// Not where the two may no longer belong together.
  void checkpoint_on_close(bool wanted) noexcept;

  enum class Checkpoint { passive, truncate };
  /// Moves the write-ahead log into the file. `truncate` waits for readers, as long as busy_timeout says.
  /// @return false: somebody still reads what is left in the log @throws SqliteError
  bool checkpoint(Checkpoint kind);
  void busy_timeout(std::chrono::milliseconds timeout) noexcept;
  /// Is a transaction open? A trigger may have rolled it back.
  [[nodiscard]] bool is_in_transaction() const noexcept;
  /// No SQL that comes in can write to the schema's own tables or past the pager, and "x" is never a string.
  void harden() noexcept;
  /// Frees the pages that it keeps to read them no second time.
  void release_memory() noexcept;
  /// Makes the statement that runs give up with SQLITE_INTERRUPT. From any thread.
  void interrupt() noexcept;

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  [[nodiscard]] sqlite3* handle() const noexcept { return handle_.get(); }

 private:
  struct Close {
    void operator()(sqlite3* handle) const noexcept;
  };
  std::filesystem::path path_;
  std::unique_ptr<sqlite3, Close> handle_;
};

/// A prepared statement. Must not outlive its Database. Columns count from 0.
class Statement {
 public:
  /// Moves to the next row. @return false after the last one @throws SqliteError  and it is back at the beginning
  [[nodiscard]] bool step();
  /// Back to before the first row.
  void reset() noexcept;
  /// All of it, for a statement whose rows nobody wants, and back to the beginning. @throws SqliteError
  void run();

  /// Parameters count from 1. `text` is copied.
  void bind(int parameter, std::int64_t value);
  void bind(int parameter, std::string_view text);
  void bind_null(int parameter);
  void bind_value(int parameter, const Cell& value);
  /// Not copied: to be there, unchanged, until the next bind of that parameter or the last run.
  void bind_borrowed(int parameter, std::string_view text);
  void bind_borrowed(int parameter, std::span<const std::uint8_t> blob);

  [[nodiscard]] int columns() const noexcept;
  [[nodiscard]] std::string column_name(int column) const;
  [[nodiscard]] bool is_null(int column) const noexcept;
  [[nodiscard]] bool is_integer(int column) const noexcept;
  [[nodiscard]] Cell cell(int column) const;
  [[nodiscard]] std::int64_t integer(int column) const noexcept;
  [[nodiscard]] std::string text(int column) const;
  [[nodiscard]] std::vector<std::uint8_t> blob(int column) const;
  [[nodiscard]] std::optional<std::int64_t> optional_integer(int column) const noexcept;
  [[nodiscard]] std::optional<std::string> optional_text(int column) const;

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const noexcept;
  };
  Statement(Database& database, std::string_view sql);
  [[noreturn]] void give_up();
  std::unique_ptr<sqlite3_stmt, Finalize> handle_;
  std::filesystem::path path_;  // of the database, for errors
};

/// Rolls back unless commit() was reached. `immediate` takes the write lock at once, so that no later step can find
/// the database busy.
class Transaction {
 public:
  enum class Kind { read, immediate };
  /// @throws SqliteError
  Transaction(Database& database, Kind kind);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  /// @throws SqliteError
  void commit();

 private:
  Database& database_;
  bool open_ = true;
};

}  // namespace gatehouse::db
