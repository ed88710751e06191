#include "tests/fuzz/edited_database.hpp"

#include "db/file/work_limit.hpp"
#include "db/sqlite.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <gatehouse/base/unique_fd.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <fstream>
#include <iterator>
#include <string_view>
#include <utility>

namespace gatehouse {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr milliseconds kEditTime{50};
constexpr std::size_t kLongValue = (1U << 20U) + 1;  // one more than a policy's value may have
constexpr std::uint64_t kMostGrowth = 1U << 16U;

/// What an edit's SQL may be: a statement a line, each run by itself. {t} is a table and {c} a column of it, chosen
/// once an edit; {v} a value of any type, {n} a number, {i} a small one, {x} the input's own words.
constexpr std::array kEdits = {
    "UPDATE {t} SET {c} = {v}",
    "UPDATE {t} SET {c} = {v} WHERE rowid = {i}",
    "INSERT OR REPLACE INTO {t} ({c}) VALUES ({v})",
    "DELETE FROM {t}",
    "PRAGMA user_version = {n}",
    "PRAGMA application_id = {n}",
    "PRAGMA journal_mode = DELETE",
    "PRAGMA journal_mode = DELETE\nPRAGMA page_size = 512\nPRAGMA auto_vacuum = {i}\nVACUUM",
    "DROP TABLE {t}",
    "ALTER TABLE {t} RENAME TO elsewhere",
    "ALTER TABLE {t} RENAME COLUMN {c} TO other",
    "ALTER TABLE {t} DROP COLUMN {c}",
    "ALTER TABLE {t} DROP COLUMN {c}\nALTER TABLE {t} ADD COLUMN {c} AS ({x})",
    "ALTER TABLE {t} ADD COLUMN added CHECK ({x})",
    "ALTER TABLE {t} RENAME TO elsewhere\nCREATE VIEW {t} AS SELECT * FROM elsewhere {x}",
    "DROP TABLE {t}\nCREATE VIEW {t} AS {x}",
    "DROP TABLE {t}\nCREATE VIRTUAL TABLE {t} USING {x}",
    "DROP TABLE {t}\nCREATE TABLE {t} ({x})",
    "CREATE TRIGGER own_before BEFORE INSERT ON {t} BEGIN {x}; END",
    "CREATE TRIGGER own_updated AFTER UPDATE ON {t} BEGIN {x}; END",
    "CREATE TRIGGER own_deleted BEFORE DELETE ON {t} BEGIN {x}; END",
    "CREATE UNIQUE INDEX own_index ON {t} ({c})",
    "CREATE INDEX own_index ON {t} ({x})",
    "PRAGMA writable_schema = ON\nUPDATE sqlite_schema SET sql = substr(sql, 1, {n}) || {v} || substr(sql, {n}) "
    "WHERE rowid = {i}",
    "PRAGMA writable_schema = ON\nUPDATE sqlite_schema SET sql = {v} WHERE rowid = {i}",
    "PRAGMA writable_schema = ON\nUPDATE sqlite_schema SET rootpage = {n} WHERE rowid = {i}",
    "PRAGMA writable_schema = ON\nUPDATE sqlite_schema SET name = {v}, tbl_name = {v} WHERE rowid = {i}",
    "PRAGMA writable_schema = ON\nUPDATE sqlite_schema SET type = {v} WHERE rowid = {i}",
    "PRAGMA writable_schema = ON\nDELETE FROM sqlite_schema WHERE rowid = {i}",
};

/// Fields of the header (sqlite.org/fileformat2.html#the_database_header): where, and how many bytes.
constexpr std::array<std::pair<int, int>, 16> kHeaderFields = {{{0, 16},
                                                                {16, 2},
                                                                {18, 1},
                                                                {19, 1},
                                                                {20, 1},
                                                                {21, 3},
                                                                {24, 4},
                                                                {28, 4},
                                                                {32, 4},
                                                                {36, 4},
                                                                {40, 4},
                                                                {44, 4},
                                                                {52, 4},
                                                                {56, 4},
                                                                {64, 4},
                                                                {92, 8}}};

std::string hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out = "x'";
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out.append({kDigits[byte >> 4U], kDigits[byte & 15U]});
  }
  return out + '\'';
}

std::string as_name(std::string_view name) {
  std::string out = "\"";
  for (const char c : name) out.append(c == '"' ? 2 : 1, c);
  return out + '"';
}

std::string number(Script& script) {
  constexpr std::array kExtremes = {"-9223372036854775808", "-2147483648",        "-1", "0", "1", "2147483647",
                                    "4294967296",           "9223372036854775807"};
  const std::uint8_t choice = script.byte();
  return choice < kExtremes.size() ? kExtremes[choice] : std::to_string(static_cast<std::int64_t>(script.number(8)));
}

/// As SQL.
std::string value(Script& script) {
  switch (script.byte() % 8) {
    case 0: return "NULL";
    case 1: return number(script);
    case 2: return script.byte() % 2 == 0 ? "9e999" : "-1.5";
    case 3: return hex(script.text());
    case 4: return "printf('%.*c', " + std::to_string(kLongValue - script.byte()) + ", 'x')";
    case 5: return "zeroblob(" + std::to_string(script.number(2)) + ")";
    default: return "CAST(" + hex(script.text()) + " AS TEXT)";
  }
}

/// The first column of the row at that place, counted round and round.
std::string pick(db::Database& database, const std::string& from, std::uint64_t place) {
  const std::int64_t count = database.number("SELECT count(*) FROM " + from);
  if (count == 0) return {};
  db::Statement found = database.prepare("SELECT name FROM " + from + " LIMIT 1 OFFSET ?1");
  found.bind(1, static_cast<std::int64_t>(place % static_cast<std::uint64_t>(count)));
  return found.step() ? found.text(0) : std::string();
}

/// One statement only, whatever words of the input are in it: none of them can attach another file.
void run_line(db::Database& database, std::string_view line, const std::string& table, const std::string& column,
              Script& script) {
  std::string sql;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] != '{') {
      sql += line[i];
      continue;
    }
    switch (line[i + 1]) {
      case 't': sql += as_name(table); break;
      case 'c': sql += as_name(column); break;
      case 'v': sql += value(script); break;
      case 'n': sql += number(script); break;
      case 'i': sql += std::to_string(script.byte()); break;
      default: sql += script.text(); break;
    }
    i += 2;
  }
  database.prepare(sql).run();
}

void edit_by_sql(const fs::path& path, std::string_view lines, Script& script) {
  const std::uint8_t table_place = script.byte(), column_place = script.byte();
  try {
    db::Database database(path, db::OpenMode::read_write, milliseconds(0));
    const db::WorkLimit limit(database, kEditTime, nullptr);
    const std::string table = pick(database, "sqlite_schema WHERE type IN ('table', 'view')", table_place);
    const std::string column = pick(database, "pragma_table_xinfo(CAST(" + hex(table) + " AS TEXT))", column_place);
    while (!lines.empty()) {
      const std::size_t end = std::min(lines.find('\n'), lines.size());
      run_line(database, lines.substr(0, end), table, column, script);
      lines.remove_prefix(std::min(end + 1, lines.size()));
    }
  } catch (const db::SqliteError&) {
  }
}

void edit_bytes(const fs::path& path, unsigned kind, Script& script) {
  const UniqueFd file(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  struct stat found {};
  if (!file || ::fstat(file.get(), &found) != 0) return;
  const auto size = static_cast<std::uint64_t>(found.st_size);
  std::uint64_t at = 0;
  std::string bytes;
  switch (kind) {
    case 0: {
      const auto [field, width] = kHeaderFields[script.byte() % kHeaderFields.size()];
      at = static_cast<std::uint64_t>(field);
      for (int i = 0; i < width; ++i) bytes += static_cast<char>(script.byte());
      break;
    }
    case 1:  // the head of a page
      at = script.byte() * std::uint64_t{4096} + script.byte();
      bytes = script.text();
      break;
    case 2:
      at = script.number(4) % (size + 1);
      bytes = script.text();
      break;
    default:
      static_cast<void>(::ftruncate(file.get(), static_cast<off_t>(script.number(4) % (size + kMostGrowth))));
      return;
  }
  if (at < size) static_cast<void>(::pwrite(file.get(), bytes.data(), bytes.size(), static_cast<off_t>(at)));
}

std::string read_all(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

std::uint64_t Script::number(std::size_t bytes) noexcept {
  std::uint64_t out = 0;
  for (std::size_t i = 0; i < bytes && !rest_.empty(); ++i) {
    out |= static_cast<std::uint64_t>(rest_.front()) << (8 * i);
    rest_ = rest_.subspan(1);
  }
  return out;
}

std::string Script::text() {
  const std::size_t size = byte();
  const Bytes out = rest_.first(std::min(size, rest_.size()));
  rest_ = rest_.subspan(out.size());
  return std::string(text_of(out));
}

MemoryFolder::MemoryFolder() {
  const fs::path memory = "/dev/shm";
  std::string name =
      ((fs::is_directory(memory) ? memory : fs::temp_directory_path()) / "gatehouse-fuzz-XXXXXX").string();
  require(::mkdtemp(name.data()) != nullptr);
  path_ = name;
}

MemoryFolder::~MemoryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

void MemoryFolder::empty() const {
  for (const auto& entry : fs::directory_iterator(path_)) fs::remove_all(entry.path());
}

BaseFiles::BaseFiles(const db::FileKind& kind, std::span<const char* const> rows, const fs::path& folder) {
  const fs::path path = folder / "base.db";
  for (std::size_t version = kind.migrations.size(); version > 0; --version) {
    for (const bool is_loose : {false, true}) {
      fs::remove(path);
      {
        db::FileKind older = kind;
        older.migrations = kind.migrations.first(version);
        db::Database database(path, db::OpenMode::create, milliseconds(0));
        database.run("PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL");
        db::migrate(database, older, 0);
        for (const char* const row : rows) {
          try {
            database.run(row);
          } catch (const db::SqliteError&) {
          }
        }
        if (is_loose)
          database.run(
              "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE type = 'trigger'; UPDATE sqlite_schema SET "
              "sql = replace(replace(replace(replace(sql, ') STRICT, WITHOUT', ') WITHOUT'), ') STRICT', ')'), "
              "'NOT NULL', ''), 'CHECK (', 'CHECK (1 OR ') WHERE type = 'table'");
      }
      contents_.push_back(read_all(path));
    }
  }
  fs::remove(path);
}

void BaseFiles::write(const fs::path& to, Script& script) const {
  const std::string& content = contents_[script.byte() % contents_.size()];
  std::ofstream(to, std::ios::binary) << content;
}

void edit(const fs::path& database, Script& script, unsigned most) {
  constexpr unsigned kOfBytes = 4;
  for (; most > 0 && !script.is_over(); --most) {
    const unsigned kind = script.byte() % (kOfBytes + static_cast<unsigned>(kEdits.size()));
    if (kind < kOfBytes) {
      edit_bytes(database, kind, script);
    } else {
      edit_by_sql(database, kEdits[kind - kOfBytes], script);
    }
  }
}

}  // namespace gatehouse
