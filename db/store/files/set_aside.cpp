#include "db/store/files/set_aside.hpp"

#include "db/file/disk.hpp"
#include "db/file/paths.hpp"
#include "db/store/files/utc_now.hpp"

#include <cerrno>
#include <cstdio>
#include <initializer_list>

namespace gatehouse::db {
namespace {

/// A name beside `database` that is free with each suffix.
std::string free_name(const std::filesystem::path& database) {
  const std::string first = database.string() + ".corrupt-" + utc_now("%Y%m%dT%H%M%SZ");
  for (int i = 0;; ++i) {
    const std::string name = i == 0 ? first : first + "." + std::to_string(i);
    if (!std::filesystem::exists(name) && !std::filesystem::exists(name + "-wal")) return name;
  }
}

std::vector<std::filesystem::path> rename_all(const std::filesystem::path& database,
                                              std::initializer_list<const char*> suffixes) {
  const std::string to = free_name(database);
  std::vector<std::filesystem::path> done;
  for (const char* const suffix : suffixes) {
    const std::string from = database.string() + suffix;
    if (::rename(from.c_str(), (to + suffix).c_str()) == 0) {
      done.emplace_back(to + suffix);
    } else if (errno != ENOENT) {
      throw FileError(from, errno);
    }
  }
  sync_folder(database.parent_path());
  return done;
}

}  // namespace

std::vector<std::filesystem::path> set_aside(const std::filesystem::path& database) {
  return rename_all(database, {"", "-wal", "-shm", "-journal"});
}

std::vector<std::filesystem::path> set_log_aside(const std::filesystem::path& database) {
  std::error_code ignored;
  const auto size = std::filesystem::file_size(log_of(database), ignored);
  if (ignored || size == 0) return {};
  return rename_all(database, {"-wal", "-shm"});
}

}  // namespace gatehouse::db
