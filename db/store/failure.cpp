#include "db/store/failure.hpp"

#include <sqlite3.h>
#include <sys/statvfs.h>

#include <cerrno>
#include <cstring>

namespace gatehouse::db {
namespace {

using Kind = StoreError::Kind;

/// A file system that has less left than SQLite writes at once reports that in more than one way.
constexpr std::uint64_t kHardlyAnything = 64U * 1024U;

bool is_full(const std::filesystem::path& path) noexcept {
  struct statvfs found {};
  const std::filesystem::path folder = path.parent_path();
  if (::statvfs(folder.empty() ? "." : folder.c_str(), &found) != 0) return false;
  return found.f_bavail * found.f_frsize < kHardlyAnything;
}

Kind kind_of(int system_error) noexcept {
  switch (system_error) {
    case ENOSPC:
    case EDQUOT: return Kind::full;
    case EROFS:
    case EACCES:
    case EPERM: return Kind::read_only;
    case ENOENT:
    case ENOTDIR: return Kind::missing;
    default: return Kind::io;
  }
}

Kind kind_of(const SqliteError& error) noexcept {
  if (error.is_corrupt()) return Kind::corrupt;
  if (error.is_busy()) return Kind::busy;
  const int system_error = error.system_error();  // of an earlier call, perhaps: only what explains it counts
  switch (error.code() & 0xff) {
    case SQLITE_PROTOCOL: return Kind::busy;
    case SQLITE_FULL: return Kind::full;
    case SQLITE_READONLY: return error.code() == SQLITE_READONLY_DBMOVED ? Kind::missing : Kind::read_only;
    case SQLITE_PERM:
    case SQLITE_AUTH: return Kind::read_only;
    case SQLITE_CANTOPEN: return is_full(error.file()) ? Kind::full : kind_of(system_error);
    default: break;
  }
  if (system_error == EROFS) return Kind::read_only;
  return system_error == EDQUOT || is_full(error.file()) ? Kind::full : Kind::io;
}

const char* advice(Kind kind) noexcept {
  switch (kind) {
    case Kind::full: return "the disk is full: make room, and writing goes on by itself";
    case Kind::read_only:
      return "it cannot be written: mount its file system read-write, or give file and folder to the gateway's user; "
             "writing then goes on by itself";
    case Kind::busy:
      return "another program holds it locked, perhaps a sqlite3 shell inside a transaction: end that, and writing "
             "goes on by itself";
    case Kind::io: return "the disk fails: see the kernel's log (dmesg); writing is tried again";
    case Kind::missing: return "it is gone, or its folder is: put the folder back, and writing goes on by itself";
    case Kind::corrupt: return "at the next write it is set aside and a new one made";
  }
  return "";
}

}  // namespace

StoreError store_error(const SqliteError& error) {
  const Kind kind = kind_of(error);
  std::string sentence = error.what();
  if ((error.code() & 0xff) == SQLITE_CANTOPEN && error.system_error() != 0)
    sentence += std::string(" (") + std::strerror(error.system_error()) + ")";
  return {kind, sentence + "; " + advice(kind)};
}

StoreError store_error(const FileError& error) { return store_error(error.path(), error.code().value()); }

StoreError store_error(const std::filesystem::path& path, int system_error) {
  const Kind kind = kind_of(system_error);
  return {kind, path.string() + ": " + std::strerror(system_error) + "; " + advice(kind)};
}

}  // namespace gatehouse::db
