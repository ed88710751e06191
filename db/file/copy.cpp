#include "db/file/copy.hpp"

#include "db/file/disk.hpp"
#include "db/file/open_to_read.hpp"
#include "db/sqlite.hpp"

#include <gatehouse/base/file_stamp.hpp>
#include <gatehouse/base/unique_fd.hpp>

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <utility>

namespace gatehouse::db {
namespace {

constexpr std::chrono::milliseconds kTimeout{5000};
constexpr int kPages = 100;  // of a step

[[noreturn]] void refuse(const std::filesystem::path& to) {
  throw std::runtime_error(to.string() + " is there already: give another name, or move that file away");
}

struct Made {
  std::filesystem::path name;
  UniqueFd file;
};

/// A new, empty file beside `to`, that only this user can read until it is whole.
Made make_beside(const std::filesystem::path& to) {
  std::string name = to.string() + ".XXXXXX";
  UniqueFd file(::mkostemp(name.data(), O_CLOEXEC));
  if (!file) throw FileError(to, errno);
  return {name, std::move(file)};
}

void copy_pages(Database& from, Database& to, const CopyProgress& progress) {
  sqlite3_backup* const copy = sqlite3_backup_init(to.handle(), "main", from.handle(), "main");
  if (!copy) throw SqliteError(to.path().string() + ": " + sqlite3_errmsg(to.handle()), SQLITE_ERROR, to.path());
  int code = SQLITE_OK;
  while (code == SQLITE_OK) {
    code = sqlite3_backup_step(copy, kPages);
    const auto all = static_cast<std::uint64_t>(sqlite3_backup_pagecount(copy));
    if (progress) progress(all - static_cast<std::uint64_t>(sqlite3_backup_remaining(copy)), all);
  }
  sqlite3_backup_finish(copy);
  if (code != SQLITE_DONE) throw SqliteError(to.path().string() + ": " + sqlite3_errstr(code), code, to.path());
}

/// Not over another file, whatever happened in the meantime.
void move_to(const std::filesystem::path& made, const std::filesystem::path& to) {
  if (::renameat2(AT_FDCWD, made.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return;
  if (errno == EEXIST) refuse(to);
  if (errno != EINVAL && errno != ENOSYS) throw FileError(to, errno);
  if (FileStamp::of(to).exists()) refuse(to);  // this file system cannot do both at once
  if (::rename(made.c_str(), to.c_str()) != 0) throw FileError(to, errno);
}

void copy_to(const std::filesystem::path& from, const std::filesystem::path& made, const CopyProgress& progress) {
  Database source = open_to_read(from, kTimeout);
  Transaction snapshot(source, Transaction::Kind::read);  // one state, however long it takes and whoever writes
  static_cast<void>(source.number("SELECT count(*) FROM sqlite_schema"));
  Database target(made, OpenMode::read_write, kTimeout);
  copy_pages(source, target, progress);
}

}  // namespace

void copy_database(const std::filesystem::path& from, const std::filesystem::path& to, Existing existing,
                   const CopyProgress& progress) {
  struct stat original {};
  if (::stat(from.c_str(), &original) != 0) throw FileError(from, errno);
  if (existing == Existing::refuse && FileStamp::of(to).exists()) refuse(to);
  const auto [made, file] = make_beside(to);
  try {
    copy_to(from, made, progress);
    if (!FileStamp::of(made).is_file(FileStamp::of(file)))
      throw std::runtime_error(made.string() + " was replaced by somebody who may write to its folder: choose another");
    if (::fchmod(file.get(), original.st_mode & 0777U) != 0 || ::fsync(file.get()) != 0) throw FileError(made, errno);
    if (existing == Existing::refuse) {
      move_to(made, to);
    } else if (::rename(made.c_str(), to.c_str()) != 0) {
      throw FileError(to, errno);
    }
    sync_folder(to.parent_path());
  } catch (...) {
    remove_database(made);
    throw;
  }
}

}  // namespace gatehouse::db
