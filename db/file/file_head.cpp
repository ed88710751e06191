#include "db/file/file_head.hpp"

#include <sqlite3.h>

namespace gatehouse::db {
namespace {

/// @param which  SQLITE_FCNTL_FILE_POINTER or SQLITE_FCNTL_JOURNAL_POINTER, which is the log in WAL mode
template <class Head>
bool read(const Database& database, int which, Head& out) noexcept {
  sqlite3_file* file = nullptr;
  if (sqlite3_file_control(database.handle(), "main", which, static_cast<void*>(&file)) != SQLITE_OK) return false;
  if (file == nullptr || file->pMethods == nullptr) return false;
  Head found{};
  const int code = file->pMethods->xRead(file, found.data(), static_cast<int>(found.size()), 0);
  if (code != SQLITE_OK && code != SQLITE_IOERR_SHORT_READ) return false;
  out = found;
  return true;
}

}  // namespace

bool read_head(const Database& database, FileHead& out) noexcept {
  return read(database, SQLITE_FCNTL_FILE_POINTER, out);
}

bool read_head(const Database& database, LogHead& out) noexcept {
  return read(database, SQLITE_FCNTL_JOURNAL_POINTER, out);
}

}  // namespace gatehouse::db
