#include "db/file/open_to_read.hpp"

#include "db/file/paths.hpp"

#include <gatehouse/base/file_stamp.hpp>

#include <sqlite3.h>

#include <stdexcept>

namespace gatehouse::db {

Database open_to_read(const std::filesystem::path& named, std::chrono::milliseconds busy_timeout) {
  const std::filesystem::path path = resolved(named);
  if (!FileStamp::of(path).exists()) throw std::runtime_error(path.string() + ": there is no such file");
  try {
    Database database(path, OpenMode::read_only, busy_timeout);
    static_cast<void>(database.number("PRAGMA user_version"));
    return database;
  } catch (const SqliteError& error) {
    const int code = error.code() & 0xff;
    if ((code != SQLITE_CANTOPEN && code != SQLITE_READONLY) || FileStamp::of(log_of(path)).size > 0) throw;
    return {path, OpenMode::frozen, busy_timeout};
  }
}

}  // namespace gatehouse::db
